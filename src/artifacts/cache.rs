//! Turns a URL into a file of this machine: from the cache, by URL and checksum, or from its server or mirror.

use super::Fetching;
use crate::sys::Sys;
use crate::sys::http::{Locked, Request, bare};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a download says how far it is.
const SAY: Duration = Duration::from_secs(2);

/// How the name of a download begins that is not whole.
const PART: &str = ".part-";
/// A download whose process was killed is left for so long: it may be another's, and under way.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotLocked(#[from] super::NotLocked),
    #[error("`{url}` cannot be had{}: {why}", asked(url, from))]
    Download {
        url: String,
        /// The URL that was asked for: a mirror's.
        from: String,
        why: String,
    },
    #[error(
        "`{url}` is not what krun.lock says: {} bytes with sha256 {} are locked, {} with {} came",
        locked.size, locked.sha256, came.size, came.sha256
    )]
    Differs {
        url: String,
        locked: Locked,
        came: Locked,
    },
    #[error("the cache of artifacts `{path}` cannot be used")]
    Cache {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn asked(url: &str, from: &str) -> String {
    if url == from {
        String::new()
    } else {
        format!(" from its mirror `{from}`")
    }
}

/// An artifact in the cache.
#[derive(Debug, Clone)]
pub struct Held {
    pub path: PathBuf,
    pub bytes: Locked,
}

/// What the cache knows of a URL.
#[derive(Serialize, Deserialize)]
struct Known {
    url: String,
    sha256: String,
    size: u64,
}

impl Fetching {
    /// Returns the artifact's file, downloaded first where the cache does not have it, or may be out of date.
    pub fn get(&self, url: &str, progress: &dyn Fn(&str)) -> Result<Held, Error> {
        let slot = Arc::clone(lock(&self.held).entry(url.to_owned()).or_default());
        let mut slot = lock(&slot);
        if let Some(held) = &*slot {
            return Ok(held.clone());
        }
        let held = self.find_or_download(url, progress)?;
        *slot = Some(held.clone());
        Ok(held)
    }

    /// Whether an artifact can be had, without fetching it: the cache has it, or its server or mirror begins to send it.
    /// `asks` is called before anybody is asked.
    pub fn can_get(&self, url: &str, asks: &dyn Fn()) -> Result<(), Error> {
        let slot = Arc::clone(lock(&self.held).entry(url.to_owned()).or_default());
        let mut slot = lock(&slot);
        if slot.is_none() {
            *slot = self.find(url)?;
        }
        if slot.is_none() {
            asks();
            self.ask(url)?;
        }
        Ok(())
    }

    /// Returns at most so many bytes of an artifact, from that one on; none at its end.
    pub fn piece(
        &self,
        url: &str,
        from: u64,
        size: u64,
        progress: &dyn Fn(&str),
    ) -> Result<Vec<u8>, Error> {
        let held = self.get(url, progress)?;
        let mut piece = Vec::new();
        let read = File::open(&held.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.take(size).read_to_end(&mut piece)
        });
        read.map_err(|source| Error::Cache {
            path: held.path,
            source,
        })?;
        Ok(piece)
    }

    /// What the cache has of it, if that counts.
    fn find(&self, url: &str) -> Result<Option<Held>, Error> {
        let known = match self.locked(url)? {
            Some(locked) => Some(locked),
            None if self.trusts_cache => self.known(url),
            None => None,
        };
        let held = known.map(|bytes| Held {
            path: self.file(&bytes.sha256),
            bytes,
        });
        Ok(held.filter(|held| is_whole(&held.path, &held.bytes)))
    }

    fn find_or_download(&self, url: &str, progress: &dyn Fn(&str)) -> Result<Held, Error> {
        if let Some(held) = self.find(url)? {
            return Ok(held);
        }
        let locked = self.locked(url)?;
        progress(&format!("fetching {}", bare(url)));
        let came = self.download(url, progress)?;
        if let Some(locked) = locked
            && locked.sha256 != came.sha256
        {
            return Err(Error::Differs {
                url: bare(url),
                locked,
                came,
            });
        }
        self.remember(url, &came)?;
        Ok(Held {
            path: self.file(&came.sha256),
            bytes: came,
        })
    }

    fn file(&self, sha256: &str) -> PathBuf {
        self.cache.join("sha256").join(sha256)
    }

    fn note(&self, url: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(url));
        self.cache.join("urls").join(format!("{name}.json"))
    }

    fn known(&self, url: &str) -> Option<Locked> {
        let text = fs::read_to_string(self.note(url)).ok()?;
        let Known { sha256, size, .. } = serde_json::from_str(&text).ok()?;
        Some(Locked { sha256, size })
    }

    fn remember(&self, url: &str, bytes: &Locked) -> Result<(), Error> {
        let path = self.note(url);
        let known = Known {
            url: bare(url),
            sha256: bytes.sha256.clone(),
            size: bytes.size,
        };
        let text = serde_json::to_string(&known).map_err(io::Error::from);
        text.and_then(|text| {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, text)
        })
        .map_err(|source| Error::Cache { path, source })
    }

    fn failed(&self, url: &str, why: String) -> Error {
        Error::Download {
            url: bare(url),
            from: bare(&self.mirrored(url)),
            why,
        }
    }

    /// Opens what a URL or its mirror leads to; with its size, where that is known.
    fn ask(&self, url: &str) -> Result<(Box<dyn Read>, Option<u64>), Error> {
        open(&self.mirrored(url)).map_err(|why| self.failed(url, why))
    }

    fn download(&self, url: &str, progress: &dyn Fn(&str)) -> Result<Locked, Error> {
        let (mut body, total) = self.ask(url)?;
        let failed = |why| self.failed(url, why);
        let dir = self.cache.join("sha256");
        let cache = |source| Error::Cache {
            path: dir.clone(),
            source,
        };
        fs::create_dir_all(&dir).map_err(cache)?;
        sweep(&dir);
        let mut part = tempfile::Builder::new()
            .prefix(PART)
            .tempfile_in(&dir)
            .map_err(cache)?;
        let (mut hash, mut size, mut said) = (Sha256::new(), 0, Instant::now());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => return Err(failed(format!("{error}, after {size} bytes"))),
            };
            part.write_all(&buffer[..n]).map_err(cache)?;
            hash.update(&buffer[..n]);
            size += n as u64;
            if said.elapsed() > SAY {
                said = Instant::now();
                let of = total.map(|total: u64| format!(" of {}", total / 1_000_000));
                progress(&format!(
                    "{}{} MB",
                    size / 1_000_000,
                    of.unwrap_or_default()
                ));
            }
        }
        if let Some(total) = total
            && total != size
        {
            return Err(failed(format!("{size} of {total} bytes came")));
        }
        let sha256 = hex::encode(hash.finalize());
        part.as_file().sync_all().map_err(cache)?;
        let kept = part.persist(self.file(&sha256));
        kept.map_err(|error| cache(error.error))?;
        Ok(Locked { sha256, size })
    }
}

fn open(from: &str) -> Result<(Box<dyn Read>, Option<u64>), String> {
    if super::is_path(from) {
        let file = File::open(from).map_err(|error| error.to_string())?;
        return Ok((Box::new(file), None));
    }
    let mut request = Request::get(from);
    request.timeout = SILENCE;
    let response = Sys::host()
        .request(&request)
        .map_err(|error| error.to_string())?;
    if response.status != 200 {
        return Err(format!(
            "the server says {} {}",
            response.status, response.reason
        ));
    }
    let total = response.header("content-length");
    let total = total.and_then(|size| size.parse().ok());
    Ok((response.body, total))
}

/// Removes what killed processes have left.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_part = entry.file_name().to_string_lossy().starts_with(PART);
        let age = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = age.and_then(|at| at.elapsed().ok());
        if is_part && age.is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the file is there as it was written: a disk may have been full, or a person curious.
fn is_whole(path: &Path, bytes: &Locked) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).is_ok_and(|n| n == bytes.size)
        && hex::encode(hash.finalize()) == bytes.sha256
}

#[cfg(test)]
mod tests {
    use super::super::Lock;
    use super::*;
    use crate::sys::http::serve::{Server, answer};

    fn fetching(cache: &Path) -> Fetching {
        Fetching {
            cache: cache.to_path_buf(),
            trusts_cache: true,
            ..Fetching::default()
        }
    }

    #[test]
    fn artifact_is_downloaded_once_and_again_only_where_its_file_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::with(|_| answer("200 OK", "", b"bytes"));
        let url = format!("{}/a.tgz", server.url);
        let first = fetching(dir.path()).get(&url, &|_| ()).unwrap();
        assert_eq!(fs::read(&first.path).unwrap(), b"bytes");
        assert_eq!(first.bytes.size, 5);
        fetching(dir.path()).get(&url, &|_| ()).unwrap();
        assert_eq!(server.asked().len(), 1);
        fs::write(&first.path, "bytez").unwrap();
        let again = fetching(dir.path()).get(&url, &|_| ()).unwrap();
        assert_eq!(fs::read(&again.path).unwrap(), b"bytes");
        assert_eq!(server.asked().len(), 2);
    }

    #[test]
    fn what_can_be_had_is_known_without_fetching_it() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::with(|asked| {
            if asked.line.contains("/a.tgz") {
                answer("200 OK", "", b"bytes")
            } else {
                answer("404 Not Found", "", b"")
            }
        });
        let [a, b] = ["a", "b"].map(|name| format!("{}/{name}.tgz", server.url));
        let fetching = fetching(dir.path());
        fetching.can_get(&a, &|| ()).unwrap();
        assert!(fetching.known(&a).is_none(), "nothing was fetched");
        let error = fetching.can_get(&b, &|| ()).unwrap_err().to_string();
        assert!(error.ends_with("the server says 404 Not Found"), "{error}");
        fetching.get(&a, &|_| ()).unwrap();
        fetching.can_get(&a, &|| ()).unwrap();
        assert_eq!(
            server.asked().len(),
            3,
            "what the cache has is not asked for"
        );
    }

    #[test]
    fn pieces_are_the_artifact_whole_and_it_is_downloaded_once() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::with(|_| answer("200 OK", "", b"bytes"));
        let url = format!("{}/a.tgz", server.url);
        let fetching = Fetching {
            trusts_cache: false,
            ..fetching(dir.path())
        };
        let pieces = [0, 2, 4, 5].map(|from| fetching.piece(&url, from, 2, &|_| ()).unwrap());
        assert_eq!(pieces.concat(), b"bytes");
        assert_eq!(pieces[3], b"");
        assert_eq!(server.asked().len(), 1);
    }

    #[test]
    fn other_bytes_than_the_locked_ones_never_come_out_of_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::with(|_| answer("200 OK", "", b"other"));
        let url = format!("{}/a.tgz", server.url);
        let mut lock = Lock::default();
        let sha256 = hex::encode(Sha256::digest("bytes"));
        lock.add(&url, Locked { sha256, size: 5 });
        fetching(dir.path()).get(&url, &|_| ()).unwrap();
        let fetching = Fetching {
            lock: Some(lock),
            ..fetching(dir.path())
        };
        let error = fetching.get(&url, &|_| ()).unwrap_err();
        let text = error.to_string().replace(&server.url, "http://server");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn artifact_that_cannot_be_had_is_named_with_its_mirror() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::with(|_| answer("404 Not Found", "", b""));
        let mut fetching = fetching(dir.path());
        fetching.mirrors = vec![("https://x.example/".to_owned(), format!("{}/", server.url))];
        let error = fetching
            .get("https://x.example/a.tgz", &|_| ())
            .unwrap_err();
        let text = error.to_string().replace(&server.url, "http://mirror");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn mirror_may_be_a_directory_of_the_controller() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.tgz"), "bytes").unwrap();
        let fetching = Fetching {
            mirrors: vec![(
                "https://x.example/".to_owned(),
                format!("{}/", dir.path().display()),
            )],
            ..fetching(&dir.path().join("cache"))
        };
        let held = fetching.get("https://x.example/a.tgz", &|_| ()).unwrap();
        assert_eq!(fs::read(held.path).unwrap(), b"bytes");
        let error = fetching
            .get("https://x.example/b.tgz", &|_| ())
            .unwrap_err();
        let text = error.to_string();
        insta::assert_snapshot!(text.replace(&dir.path().display().to_string(), "/srv/apache"));
    }
}
