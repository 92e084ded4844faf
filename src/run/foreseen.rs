//! Keeps what a plan would write to files of the controller, where lookups and later tasks read.

use crate::playbook::absolute;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// What a file of the controller would hold.
#[derive(Debug)]
pub(super) enum Foreseen {
    /// What a `fetch` brought, or a task of this machine would write.
    Content(Vec<u8>),
    /// A task of this machine would change it, and nobody can say to what.
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
        let is_unknown = |foreseen: &Foreseen| matches!(foreseen, Foreseen::Unknown);
        let beneath = files.range(path.clone()..);
        let mut beneath = beneath.take_while(|(found, _)| found.starts_with(&path));
        let found = beneath.find(|(found, (foreseen, _))| **found != path || is_unknown(foreseen));
        // What is said of the file itself holds, else what is said of the directories it is in.
        let above = || {
            let mut above = path.ancestors().skip(1);
            let mut entry = above.find_map(|above| files.get_key_value(above))?;
            entry = Some(entry).filter(|(_, (foreseen, _))| is_unknown(foreseen))?;
            Some(entry)
        };
        let is_said = files.contains_key(&path);
        let (found, (_, task)) = match found {
            Some(found) => found,
            None if is_said => return None,
            None => {
                let (above, (_, task)) = above()?;
                let above = above.display();
                return Some(format!(
                    "`{}`, and `{task}` would change `{above}`",
                    path.display()
                ));
            }
        };
        let found = found.display();
        Some(format!(
            "`{found}`, which `{task}` would bring (a plan writes nothing to this machine)"
        ))
    }

    /// Whether nobody can say what lies at a path itself: a task changes it, or a directory that it is in.
    pub(super) fn is_open(&self, path: &Path) -> bool {
        let path = PathBuf::from(absolute(path));
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let nearest = path.ancestors().find_map(|above| files.get(above));
        nearest.is_some_and(|(foreseen, _)| matches!(foreseen, Foreseen::Unknown))
    }

    fn of<T>(&self, path: &Path, look: impl Fn(&(Foreseen, String)) -> T) -> Option<T> {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if files.is_empty() {
            return None;
        }
        files.get(Path::new(&absolute(path))).map(look)
    }
}
