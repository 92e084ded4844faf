//! Keeps what a plan would write to files of the controller, where lookups and later tasks read.

use crate::playbook::absolute;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// What a file of the controller would hold.
#[derive(Debug)]
pub(super) enum Foreseen {
    /// What a `fetch` brought.
    Content(Vec<u8>),
    /// A task of this machine would change it.
    Unknown,
}

/// The files, each with the task that would write it.
#[derive(Debug, Default)]
pub struct ForeseenFiles(RwLock<BTreeMap<PathBuf, (Foreseen, String)>>);

impl ForeseenFiles {
    pub(super) fn note(&self, path: &Path, foreseen: Foreseen, task: &str) {
        let mut files = self.0.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(absolute(path).into(), (foreseen, task.to_owned()));
    }

    /// Whether something of the plan would lie there.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.of(path, |_| ()).is_some()
    }

    /// What a file would hold, where the plan knows it and the disk does not.
    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.of(path, |(foreseen, _)| match foreseen {
            Foreseen::Content(bytes) => Some(bytes.clone()),
            Foreseen::Unknown => None,
        })?
    }

    /// Why nobody can say what a file holds, or what a directory does.
    pub(super) fn why_unknown(&self, path: &Path) -> Option<String> {
        let path = PathBuf::from(absolute(path));
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut beneath = files
            .range(path.clone()..)
            .take_while(|(found, _)| found.starts_with(&path));
        let (found, (_, task)) = beneath.find(|(found, (foreseen, _))| {
            **found != path || matches!(foreseen, Foreseen::Unknown)
        })?;
        let found = found.display();
        Some(format!(
            "`{found}`, which `{task}` would bring (a plan writes nothing to this machine)"
        ))
    }

    fn of<T>(&self, path: &Path, look: impl Fn(&(Foreseen, String)) -> T) -> Option<T> {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if files.is_empty() {
            return None;
        }
        files.get(Path::new(&absolute(path))).map(look)
    }
}
