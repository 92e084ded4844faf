//! Compares what lies at a path with what a run found there.

use crate::modules::Error;
use crate::sys::Sys;
use crate::sys::before::{Kept, Was};
use crate::sys::fs::{Kind, Stat};
use std::io::{BufReader, Read};
use std::path::Path;

/// What lies at a path, which was noted without links on its way; `None`, too, where a link now is on it.
pub(super) fn now_at(sys: &Sys, path: &Path) -> Result<Option<Stat>, Error> {
    match sys.resolve_parent(path) {
        Ok(place) if place == *path => Ok(sys.lstat(path)?),
        _ => Ok(None),
    }
}

/// Whether nothing is to be done. Times do not matter by themselves.
pub(super) fn is_as_it_was(sys: &Sys, kept: &Kept, now: Option<&Stat>) -> Result<bool, Error> {
    let (was, is) = (&kept.image.was, Was::of(now));
    let same = (was.kind, was.mode, was.uid, was.gid, &was.target)
        == (is.kind, is.mode, is.uid, is.gid, &is.target);
    Ok(same && (was.kind != Some(Kind::File) || content_is_same(sys, kept, now)?))
}

/// Whether a file has the content that it had.
pub(super) fn content_is_same(sys: &Sys, kept: &Kept, now: Option<&Stat>) -> Result<bool, Error> {
    let (was, is) = (&kept.image.was, Was::of(now));
    if (was.kind, was.size) != (is.kind, is.size) {
        return Ok(false);
    }
    if was.kind != Some(Kind::File) || was.mtime == is.mtime {
        return Ok(true);
    }
    let Some(content) = &kept.content else {
        return Ok(false);
    };
    let mut one = BufReader::new(std::fs::File::open(content)?).bytes();
    let mut other = BufReader::new(sys.open(&kept.image.path)?).bytes();
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}
