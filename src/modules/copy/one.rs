//! Turns content for a destination, which may name a directory, into the one file that is written: for `copy` and `template`.

use super::Directories;
use crate::modules::args::{Arg, ArgKind};
use crate::modules::attributes::Wish;
use crate::modules::place::{self, Placement, Safeguards, Wished, sha1};
use crate::modules::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Stat;
use std::path::{Path, PathBuf};

pub(in crate::modules) const DEST: Arg = Arg::new(
    "dest",
    ArgKind::Path,
    "where to, on the host; with a trailing slash, a directory",
)
.required();
pub(in crate::modules) const FORCE: Arg = Arg::new(
    "force",
    ArgKind::Bool,
    "replace a file that differs (default yes)",
);
pub(in crate::modules) const FOLLOW: Arg = Arg::new(
    "follow",
    ArgKind::Bool,
    "write where a link at `dest` leads, instead of replacing it (default no)",
);

/// Some content and where it is wished.
pub(in crate::modules) struct One<'a> {
    /// As the task writes it: a trailing slash means a directory.
    pub dest: &'a str,
    /// The file's name in a destination that is a directory; `None` if there must be none.
    pub name: Option<&'a str>,
    pub content: &'a [u8],
    pub source: Option<&'a str>,
    pub wish: &'a Wish,
    /// For directories that have to be made on the way.
    pub directories: &'a Wish,
    /// Replace what is there and differs.
    pub force: bool,
    pub follow: bool,
    pub safeguards: &'a Safeguards,
}

/// What is to be done: directories first, then the file.
#[derive(Debug)]
pub struct Change {
    pub(super) directories: Directories,
    pub(super) placement: Placement,
}

impl One<'_> {
    pub(in crate::modules) fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let (mut path, directories) = self.destination(sys)?;
        let mut now = sys.lstat(&path)?;
        if now.is_some() && !self.force {
            let outcome = Outcome::new().with("dest", path.display().to_string());
            return Ok(Found::same(outcome));
        }
        if !self.force {
            sys.rest_on_absence(&path);
        }
        if self.follow && now.as_ref().is_some_and(Stat::is_link) {
            path = sys.resolve(&path)?;
            now = sys.lstat(&path)?;
        }
        let wished = Wished {
            path: &path,
            content: self.content,
            wish: self.wish,
            source: self.source,
            safeguards: self.safeguards,
        };
        let found = place::check_against(sys, &wished, now.as_ref(), None)?;
        let name = |outcome: Outcome| {
            let shown = path.display().to_string();
            let outcome = outcome.with("dest", shown.as_str()).with("path", shown);
            match self.source {
                Some(source) => outcome.with("src", source),
                None => outcome,
            }
        };
        let Some(mut placement) = found.change else {
            return Ok(Found::same(name(found.outcome)));
        };
        placement.outcome = name(placement.outcome);
        let diffs = directories.diffs(sys);
        placement.outcome.diffs.splice(0..0, diffs);
        let outcome = placement.outcome.clone();
        let change = Change {
            directories,
            placement,
        };
        Ok(Found::change(change, outcome))
    }

    /// Returns the file's path and the directories that are missing above it.
    fn destination(&self, sys: &Sys) -> Result<(PathBuf, Directories), Error> {
        let mut path = PathBuf::from(self.dest);
        let is_directory = self.dest.ends_with('/');
        if is_directory || sys.stat(&path)?.is_some_and(|stat| stat.is_dir()) {
            let Some(name) = self.name else {
                return Err(Error::new(format!(
                    "`content` needs a file as `dest`, and `{}` is a directory",
                    self.dest
                )));
            };
            path.push(name);
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        let directories = Directories::missing(sys, parent, self.directories)?;
        if !is_directory && !directories.is_empty() {
            return Err(Error::new(format!(
                "the directory `{}` does not exist",
                parent.display()
            ))
            .with("checksum", sha1(self.content)));
        }
        Ok((path, directories))
    }
}

impl Change {
    pub(in crate::modules) fn make(self, sys: &Sys, content: &[u8]) -> Result<Outcome, Error> {
        self.directories.make(sys)?;
        self.placement.make(sys, content)
    }
}
