//! Turns the directories that are missing above a file into their making.

use crate::modules::Error;
use crate::modules::attributes::Wish;
use crate::modules::diff::Diff;
use crate::modules::place::kind_name;
use crate::sys::Sys;
use std::path::{Path, PathBuf};

/// Directories to be made, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Directories {
    missing: Vec<PathBuf>,
    wish: Wish,
}

impl Directories {
    /// Finds what is missing of `path`. A file in the way is an error.
    pub(super) fn missing(sys: &Sys, path: &Path, wish: &Wish) -> Result<Self, Error> {
        let mut missing = Vec::new();
        for directory in path.ancestors().filter(|path| *path != Path::new("")) {
            match sys.stat(directory)? {
                Some(stat) if stat.is_dir() => break,
                Some(stat) => {
                    return Err(Error::new(format!(
                        "cannot make the directory `{}`: `{}` is {}",
                        path.display(),
                        directory.display(),
                        kind_name(stat.kind)
                    )));
                }
                None => missing.push(directory.to_path_buf()),
            }
        }
        missing.reverse();
        Ok(Self {
            missing,
            wish: wish.clone(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    pub(super) fn diffs(&self, sys: &Sys) -> Vec<Diff> {
        let diff = |path: &PathBuf| {
            let diff = Diff::new(path.display().to_string()).attribute(
                "state",
                Some("absent".into()),
                Some("directory".into()),
            );
            self.wish.diff(sys, diff, None, true)
        };
        self.missing.iter().map(diff).collect()
    }

    pub(super) fn make(&self, sys: &Sys) -> Result<(), Error> {
        for path in &self.missing {
            // Two files of one tree may have found the same directory missing.
            if sys.lstat(path)?.is_some() {
                continue;
            }
            sys.create_dir(path, self.wish.attributes(None, true).mode)?;
            if let Some(now) = sys.lstat(path)? {
                self.wish.set(sys, path, &now)?;
            }
        }
        Ok(())
    }
}
