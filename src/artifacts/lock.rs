//! Turns `krun.lock` into what the bytes of each URL must be, and back into a file that reads well in a review.

use crate::sys::http::{Locked, bare};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Raised when an older krun could not read the file any more.
const VERSION: u32 = 1;
const HEAD: &str = "# What playbooks fetch, and the bytes that it must be. Written by `krun lock`; goes into version control.\n";

/// What `krun.lock` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What rehearsals' hosts begin as.
    pub base: Option<Base>,
    artifacts: IndexMap<String, Locked>,
}

/// The base of a lab's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// As the user names it: `debian:12`.
    pub name: String,
    /// The registry's digest (`sha256:…`), or the hash of the `Release` of Debian's archive (`release:…`).
    pub digest: String,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("there is no `{path}`; `krun lock -i HOSTS PLAYBOOK` writes it")]
    Missing { path: PathBuf },
    #[error("`{path}` cannot be read: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("`{path}` cannot be written")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Base>,
    artifacts: Vec<Artifact>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Artifact {
    url: String,
    sha256: String,
    size: u64,
}

impl Lock {
    /// Nothing but the base of a lab's hosts, if there is one.
    pub fn new(base: Option<Base>) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let path_buf = path.to_path_buf();
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LockError::Missing { path: path_buf });
            }
            read => read.map_err(|error| error.to_string()),
        };
        let read = text.and_then(|text| Self::parse(&text));
        read.map_err(|why| LockError::Unreadable {
            path: path_buf,
            why,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        if file.version != VERSION {
            return Err(format!(
                "its version is {}, and this krun knows {VERSION}",
                file.version
            ));
        }
        let mut lock = Self {
            base: file.base,
            ..Self::default()
        };
        for Artifact { url, sha256, size } in file.artifacts {
            let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
            if !is_hash {
                return Err(format!("`{sha256}`, of `{url}`, is no SHA-256"));
            }
            let sha256 = sha256.to_lowercase();
            if lock.artifacts.contains_key(&url) {
                return Err(format!("`{url}` stands there twice"));
            }
            lock.add(&url, Locked { sha256, size });
        }
        Ok(lock)
    }

    /// Writes the file, the URLs in order, so that a review shows what has changed.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let unwritable = |source| LockError::Unwritable {
            path: path.to_path_buf(),
            source,
        };
        let text = self.text().map_err(std::io::Error::other);
        let beside = path.with_extension("lock.new");
        text.and_then(|text| std::fs::write(&beside, text))
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(unwritable)
    }

    fn text(&self) -> Result<String, serde_yaml::Error> {
        let mut artifacts: Vec<Artifact> = self
            .artifacts
            .iter()
            .map(|(url, locked)| Artifact {
                url: url.clone(),
                sha256: locked.sha256.clone(),
                size: locked.size,
            })
            .collect();
        artifacts.sort_by(|one, other| one.url.cmp(&other.url));
        let file = File {
            version: VERSION,
            base: self.base.clone(),
            artifacts,
        };
        serde_yaml::to_string(&file).map(|text| format!("{HEAD}{text}"))
    }

    /// Adds what a URL's bytes must be. A login in it does not get into the file.
    pub fn add(&mut self, url: &str, locked: Locked) {
        self.artifacts.insert(bare(url), locked);
    }

    /// What a URL's bytes must be.
    pub fn find(&self, url: &str) -> Option<&Locked> {
        self.artifacts.get(&bare(url))
    }

    /// Every URL and its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Locked)> {
        self.artifacts
            .iter()
            .map(|(url, locked)| (url.as_str(), locked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock {
            base: Some(Base {
                name: "debian:12".into(),
                digest: "packages:0f".into(),
            }),
            ..Lock::default()
        };
        for (url, digit, size) in [
            ("https://x.example/b", "b", 7),
            ("https://x.example/a", "a", 5),
        ] {
            let sha256 = digit.repeat(64);
            lock.add(url, Locked { sha256, size });
        }
        lock
    }

    #[test]
    fn lock_reads_well_and_comes_back_as_it_was() {
        let text = lock().text().unwrap();
        insta::assert_snapshot!(text);
        let read = Lock::parse(&text).unwrap();
        assert_eq!(read.base, lock().base);
        assert_eq!(
            read.find("https://x.example/b"),
            lock().find("https://x.example/b")
        );
    }

    #[test]
    fn login_of_a_url_does_not_get_into_the_file() {
        let mut lock = Lock::default();
        let (url, sha256) = ("https://me:secret@x.example/a", "a".repeat(64));
        lock.add(url, Locked { sha256, size: 5 });
        assert!(!lock.text().unwrap().contains("secret"));
        assert_eq!(lock.find(url), lock.find("https://x.example/a"));
    }

    #[test]
    fn what_is_wrong_with_a_lock_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("krun.lock");
        let missing = Lock::read(&path).unwrap_err().to_string();
        assert!(
            missing.ends_with("`krun lock -i HOSTS PLAYBOOK` writes it"),
            "{missing}"
        );
        let faults = [
            "version: 2\nartifacts: []\n",
            "version: 1\nartifacts: [{url: u, sha256: abc, size: 1}]\n",
            "version: 1\nartifact: []\n",
            "<<<<<<< HEAD\n",
        ];
        let faults = faults.map(|text| Lock::parse(text).unwrap_err());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
