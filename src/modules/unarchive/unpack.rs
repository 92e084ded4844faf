//! Turns an archive's entries into files below the destination, each in one step.

use super::compare::{Comparison, Why};
use super::format::{Entry, EntryKind};
use super::options::{Options, inside};
use crate::modules::Error;
use crate::sys::Sys;
use crate::sys::fs::{Attributes, Durability};
use indexmap::IndexMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Unpacks what is pending, entry by entry.
pub(super) struct Unpacking<'a> {
    pub sys: &'a Sys,
    pub dest: &'a Path,
    pub options: &'a Options,
    /// For the attributes of entries; its own findings are not used.
    pub comparison: Comparison<'a>,
    pub pending: &'a IndexMap<PathBuf, Why>,
    /// Set at the end: a directory may forbid writing into it, and writing changes its time.
    pub directories: Vec<(PathBuf, Attributes)>,
    pub files: Vec<PathBuf>,
}

impl Unpacking<'_> {
    pub(super) fn visit(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let Some(path) = self.options.place(entry)? else {
            return Ok(());
        };
        let Some(why) = self.pending.get(&path).copied() else {
            return Ok(());
        };
        if self.sys.is_cancelled() {
            return Err(Error::new("cancelled while unpacking"));
        }
        let attributes = self.comparison.attributes(entry)?;
        let place = self.dest.join(&path);
        if why != Why::New && entry.kind != EntryKind::Directory {
            // Nothing: what is there is replaced in one step.
        } else if let Some(parent) = place.parent() {
            self.make_parents(parent)?;
        }
        match &entry.kind {
            EntryKind::Directory => {
                if matches!(why, Why::Differs(_)) {
                    self.sys.remove(&place)?;
                }
                if why != Why::Attributes && self.sys.lstat(&place)?.is_none() {
                    self.sys.create_dir(&place, None)?;
                }
                let mtime = attributes.mtime.filter(|_| why != Why::Attributes);
                self.directories.push((
                    place,
                    Attributes {
                        mtime,
                        ..attributes
                    },
                ));
            }
            EntryKind::File if why == Why::Attributes => self.set(&place, attributes)?,
            EntryKind::File => {
                self.sys
                    .write_atomic_from(&place, content, attributes, Durability::Later)?;
                self.files.push(place);
            }
            EntryKind::Link(target) => {
                self.sys.symlink(target, &place)?;
                self.sys.set_owner(&place, attributes.uid, attributes.gid)?;
                if let Some(mtime) = attributes.mtime {
                    self.sys.set_times(&place, None, Some(mtime))?;
                }
            }
            EntryKind::HardLink(target) => {
                if let Some(target) = self.options.strip(&inside(target)?) {
                    self.sys.hardlink(&self.dest.join(target), &place)?;
                }
            }
            EntryKind::Special => {}
        }
        Ok(())
    }

    /// Makes directories that have no entry of their own.
    fn make_parents(&self, parent: &Path) -> Result<(), Error> {
        let mut missing = Vec::new();
        for directory in parent.ancestors() {
            if self.sys.exists(directory)? {
                break;
            }
            missing.push(directory);
        }
        for directory in missing.into_iter().rev() {
            self.sys.create_dir(directory, None)?;
        }
        Ok(())
    }

    fn set(&self, place: &Path, wished: Attributes) -> Result<(), Error> {
        if wished.uid.is_some() || wished.gid.is_some() {
            self.sys.set_owner(place, wished.uid, wished.gid)?;
        }
        if let Some(mode) = wished.mode {
            self.sys.set_mode(place, mode)?;
        }
        if let Some(mtime) = wished.mtime {
            self.sys.set_times(place, None, Some(mtime))?;
        }
        Ok(())
    }

    /// Sets what directories are to have, the innermost first, and waits until the disk has everything.
    pub(super) fn finish(self) -> Result<(), Error> {
        for file in &self.files {
            self.sys.sync(file)?;
        }
        for (place, attributes) in self.directories.iter().rev() {
            self.set(place, *attributes)?;
        }
        Ok(())
    }
}
