//! Turns a directory into whether it came into being only since this run began on its host.

use super::Sys;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// File systems take the time of a birth from a clock that lags behind by so much at most.
const LAG: Duration = Duration::from_millis(10);

/// What tells new directories from those that were there.
pub(super) struct Made {
    since: SystemTime,
    /// By modules, in this process; links on the way resolved.
    by_modules: Mutex<BTreeSet<PathBuf>>,
}

impl Made {
    pub(super) fn new() -> Self {
        Self {
            since: SystemTime::now(),
            by_modules: Mutex::default(),
        }
    }
}

impl Sys {
    /// Whether a directory is no older than the run: a module made it, or what it lies in, or the file system says so.
    ///
    /// Where neither is known it counts as old.
    pub fn is_new(&self, path: &Path) -> io::Result<bool> {
        let place = self.resolve_parent(path)?;
        let made = self.made.by_modules.lock();
        let made = made.unwrap_or_else(PoisonError::into_inner);
        if place.ancestors().any(|place| made.contains(place)) {
            return Ok(true);
        }
        drop(made);
        let born = std::fs::symlink_metadata(self.on_host(&place)).and_then(|it| it.created());
        // A birth in the future is a clock that was set back: it tells nothing.
        Ok(born.is_ok_and(|born| born + LAG > self.made.since && born <= SystemTime::now()))
    }

    /// Remembers a directory that a module made.
    pub(super) fn note_made(&self, place: PathBuf) {
        let made = self.made.by_modules.lock();
        made.unwrap_or_else(PoisonError::into_inner).insert(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_that_was_there_is_told_from_one_that_came_later() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("data/old")).unwrap();
        std::os::unix::fs::symlink("data", root.path().join("link")).unwrap();
        // Not a wait for something: births are told apart by the clock.
        std::thread::sleep(LAG * 2);
        let sys = Sys::at(root.path());
        sys.create_dir(Path::new("/data/new"), None).unwrap();
        sys.create_dir(Path::new("/data/new/below"), None).unwrap();
        std::thread::sleep(LAG);
        std::fs::create_dir(root.path().join("data/by-a-command")).unwrap();
        let is_new = |path: &str| sys.is_new(Path::new(path)).unwrap();
        assert!(!is_new("/data/old"));
        assert!(!is_new("/data"));
        assert!(is_new("/data/new"));
        assert!(is_new("/link/new/below"));
        assert!(is_new("/data/by-a-command"));
    }
}
