//! Turns a directory of the host into the same elsewhere on it: `mode` is for the directory itself, the owner for all in it.

use super::Copy;
use super::sources::{Entry, Sources, What};
use super::tree::{self, Asked, Change};
use crate::modules::attributes::Wish;
use crate::modules::mode::Mode;
use crate::modules::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::{Kind, umask};
use serde_bytes::ByteBuf;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Looks at the directory `src`, and at everything below the destination.
pub(super) fn check(sys: &Sys, src: &str, copy: &Copy) -> Result<Found<Change>, Error> {
    let sources = load(sys, src, copy.local_follow())?;
    let dest = Path::new(&copy.dest);
    let parent = dest.parent().unwrap_or(Path::new("/"));
    if !copy.dest.ends_with('/') && sys.stat(parent)?.is_none() {
        let text = format!("the directory `{}` does not exist", parent.display());
        return Err(Error::new(text));
    }
    if !copy.force && sys.stat(&dest.join(&sources.name))?.is_some() {
        let outcome = Outcome::new().with("dest", copy.dest.as_str());
        return Ok(Found::same(outcome));
    }
    tree::check(sys, &sources, &asked(sys, copy, &sources)?)
}

/// What lies in the tree beside what the source has, and the tree's own directory, with what they get.
pub(super) fn also(
    sys: &Sys,
    dest: &Path,
    sources: &Sources,
    asked: &Asked,
) -> Result<Vec<(PathBuf, Wish)>, Error> {
    let own = own(sys, asked.copy, sources)?;
    let mut found = vec![(dest.to_path_buf(), own)];
    let owner = &asked.directories;
    if owner.uid.is_none() && owner.gid.is_none() {
        return Ok(found);
    }
    let known: HashSet<PathBuf> = sources
        .entries
        .iter()
        .map(|it| dest.join(&it.path))
        .collect();
    let mut ahead = vec![dest.to_path_buf()];
    while let Some(directory) = ahead.pop() {
        for name in sys.list(&directory)? {
            let path = directory.join(name);
            if sys.lstat(&path)?.is_some_and(|stat| stat.is_dir()) {
                ahead.push(path.clone());
            }
            if !known.contains(&path) {
                found.push((path, owner.clone()));
            }
        }
    }
    Ok(found)
}

/// What the task asks of the directory itself.
fn own(sys: &Sys, copy: &Copy, sources: &Sources) -> Result<Wish, Error> {
    let (permissions, preserve) = copy.permissions.without_preserve();
    let mut own = permissions.wish(sys)?;
    if preserve {
        own.mode = sources.mode.map(Mode::Octal);
    }
    Ok(own)
}

/// As Ansible has it: what is below keeps the modes of the source.
fn asked<'a>(sys: &Sys, copy: &'a Copy, sources: &Sources) -> Result<Asked<'a>, Error> {
    let own = own(sys, copy, sources)?;
    let owner = Wish {
        mode: None,
        ..own.clone()
    };
    let with_slash = copy.dest.ends_with('/');
    let above = if with_slash {
        copy.directory_permissions().wish(sys)?
    } else {
        own.clone()
    };
    // A destination that is written with a slash is made before the source's contents come to it.
    let base = if with_slash && sources.name.is_empty() {
        above.attributes(None, true).mode
    } else {
        sources.mode
    };
    let mode = match (own.mode, base) {
        (Some(mode), Some(base)) => Some(Mode::Octal(mode.apply(base, true, umask()))),
        (mode, base) => mode.or(base.map(Mode::Octal)),
    };
    Ok(Asked {
        files: owner.clone(),
        directories: owner.clone(),
        above,
        top: Wish { mode, ..owner },
        preserve: false,
        copy,
    })
}

/// Reads a directory of the host as [`Sources::load`] reads one of the controller.
fn load(sys: &Sys, written: &str, local_follow: bool) -> Result<Sources, Error> {
    let top = PathBuf::from(written);
    let mut sources = Sources {
        name: match top.file_name() {
            Some(name) if !written.ends_with('/') => name.to_string_lossy().into_owned(),
            _ => String::new(),
        },
        shown: written.into(),
        entries: Vec::new(),
        is_directory: true,
        mode: sys.stat(&top)?.map(|stat| stat.mode),
    };
    let mut ahead = vec![PathBuf::new()];
    while let Some(directory) = ahead.pop() {
        for name in sys.list(&top.join(&directory))? {
            let path = directory.join(name);
            let found = top.join(&path);
            let Some(mut stat) = sys.lstat(&found)? else {
                continue;
            };
            if stat.is_link() && local_follow {
                stat = sys.stat(&found)?.unwrap_or(stat);
            }
            let what = match stat.kind {
                Kind::Directory => {
                    ahead.push(path.clone());
                    What::Directory {
                        mode: Some(stat.mode),
                    }
                }
                Kind::Link => What::Link {
                    target: sys.read_link(&found)?.display().to_string(),
                },
                Kind::File => What::File {
                    content: ByteBuf::from(sys.read(&found)?),
                    mode: stat.mode,
                },
                _ => continue,
            };
            sources.entries.push(Entry {
                path: path.display().to_string(),
                what,
            });
        }
    }
    Ok(sources)
}
