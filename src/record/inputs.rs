//! Turns the files and directories that a run may read into a list of hashes, and two lists into what differs.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Larger files (archives) are known by their size and time: hashing them would take longer than the run.
const HASHED: u64 = 4 << 20;
/// Directories deeper than this are not followed: a link may lead back.
const DEPTH: usize = 32;

/// One file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// As the user would type it.
    pub path: PathBuf,
    /// SHA-256 in hex; of a file over 4 MiB, its size and time of change.
    pub hash: String,
}

/// Gathers files, each once.
#[derive(Debug, Default)]
pub struct Inputs {
    found: BTreeMap<PathBuf, String>,
}

impl Inputs {
    /// Adds a file, or all files below a directory. What is not there or cannot be read is no input.
    pub fn add(&mut self, path: &Path) {
        self.walk(path.strip_prefix(".").unwrap_or(path), 0);
    }

    pub fn into_list(self) -> Vec<Input> {
        let entries = self.found.into_iter();
        entries.map(|(path, hash)| Input { path, hash }).collect()
    }

    fn walk(&mut self, path: &Path, depth: usize) {
        let Ok(metadata) = std::fs::metadata(path) else {
            return;
        };
        if metadata.is_file() {
            if !self.found.contains_key(path)
                && let Ok(hash) = hash(path, &metadata)
            {
                self.found.insert(path.to_owned(), hash);
            }
        } else if metadata.is_dir() && depth < DEPTH {
            let entries = std::fs::read_dir(path).into_iter().flatten();
            let below = entries.filter_map(Result::ok).filter(|entry| {
                let name = entry.file_name();
                !matches!(name.to_str(), Some(".git" | ".krun"))
            });
            below.for_each(|entry| self.walk(&entry.path(), depth + 1));
        }
    }
}

fn hash(path: &Path, metadata: &Metadata) -> io::Result<String> {
    if metadata.len() > HASHED {
        let (size, seconds) = (metadata.len(), metadata.mtime());
        return Ok(format!(
            "{size} bytes of {seconds}.{}",
            metadata.mtime_nsec()
        ));
    }
    Ok(hex::encode(Sha256::digest(std::fs::read(path)?)))
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Became {
    Changed,
    Gone,
    New,
}

/// Returns what differs between two lists, by path.
pub fn difference<'a>(before: &'a [Input], after: &'a [Input]) -> Vec<(&'a Path, Became)> {
    let by_path = |list: &'a [Input]| -> BTreeMap<&'a Path, &'a str> {
        list.iter()
            .map(|input| (input.path.as_path(), input.hash.as_str()))
            .collect()
    };
    let (before, after) = (by_path(before), by_path(after));
    let mut differs: Vec<_> = before
        .iter()
        .filter_map(|(path, hash)| match after.get(path) {
            None => Some((*path, Became::Gone)),
            Some(now) => (now != hash).then_some((*path, Became::Changed)),
        })
        .collect();
    let new = after.keys().filter(|path| !before.contains_key(*path));
    differs.extend(new.map(|path| (*path, Became::New)));
    differs.sort();
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(dir: &Path) -> Vec<Input> {
        let mut inputs = Inputs::default();
        inputs.add(dir);
        inputs.add(&dir.join("play.yml"));
        inputs.add(&dir.join("missing"));
        inputs.into_list()
    }

    #[test]
    fn what_was_changed_removed_or_added_is_told() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        file("play.yml", "a");
        let gone = file("roles/r/tasks/main.yml", "b");
        file(".git/index", "x");
        let before = list(place.path());
        assert_eq!(before.len(), 2);
        let changed = file("play.yml", "c");
        let new = file("roles/r/tasks/other.yml", "d");
        std::fs::remove_file(&gone).unwrap();
        let after = list(place.path());
        assert_eq!(
            difference(&before, &after),
            [
                (changed.as_path(), Became::Changed),
                (gone.as_path(), Became::Gone),
                (new.as_path(), Became::New)
            ]
        );
        assert_eq!(difference(&after, &after), []);
    }

    #[test]
    fn a_link_in_a_circle_comes_to_an_end() {
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(place.path(), place.path().join("self")).unwrap();
        assert_eq!(list(place.path()), []);
    }
}
