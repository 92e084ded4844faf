//! Turns the archive of an installation, read once as a stream, into what its files were.

use crate::modules::unarchive::format::{EntryKind, Format};
use crate::modules::{Error, digest};
use crate::sys::Sys;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// What a file was when it was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    File { size: u64, sha256: String },
    Link(PathBuf),
}

/// The files and links of an archive below some directories of its tree.
#[derive(Debug)]
pub(super) struct Archived(BTreeMap<PathBuf, Content>);

impl Archived {
    /// Reads the archive. The one directory that all entries lie in is not part of their paths.
    pub(super) fn read(sys: &Sys, archive: &Path, directories: &[String]) -> Result<Self, Error> {
        let name = archive.display().to_string();
        let missing = |what: &str| {
            let help = "fetch the tarball of the old version with `get_url` first: without it nobody can tell what was changed since";
            Error::new(format!("the archive `{name}` {what}")).help(help)
        };
        match sys.stat(archive)? {
            Some(stat) if stat.is_file() => {}
            Some(_) => return Err(missing("is not a file")),
            None => return Err(missing("does not exist on this host")),
        }
        let mut source = sys.open(archive)?;
        let format = Format::of(&mut source, &name)?;
        let mut found: BTreeMap<PathBuf, Content> = BTreeMap::new();
        let mut hard_links = Vec::new();
        let mut tops: Vec<OsString> = Vec::new();
        format.walk(&mut source, &name, &mut |entry, content| {
            let path = plain(&entry.path);
            let mut components = path.components();
            let Some(top) = components.next() else {
                return Ok(());
            };
            let top = top.as_os_str().to_os_string();
            if !tops.contains(&top) {
                tops.push(top);
            }
            let is_below = |path: &Path| directories.iter().any(|d| path.starts_with(d));
            // Whether there is one directory above is known only at the end.
            if !is_below(&path) && !is_below(components.as_path()) {
                return Ok(());
            }
            match &entry.kind {
                EntryKind::File => {
                    let sha256 = digest::of_file("sha256", content)?;
                    let size = entry.size;
                    found.insert(path, Content::File { size, sha256 });
                }
                EntryKind::Link(target) => {
                    found.insert(path, Content::Link(target.clone()));
                }
                EntryKind::HardLink(target) => hard_links.push((path, plain(target))),
                EntryKind::Directory | EntryKind::Special => {}
            }
            Ok(())
        })?;
        for (path, target) in hard_links {
            if let Some(content) = found.get(&target).cloned() {
                found.insert(path, content);
            }
        }
        if let [top] = &tops[..] {
            let found = found.into_iter().filter_map(|(path, content)| {
                let path = path.strip_prefix(top).ok()?.to_path_buf();
                Some((path, content))
            });
            return Ok(Self::below(found.collect(), directories));
        }
        Ok(Self::below(found, directories))
    }

    fn below(mut found: BTreeMap<PathBuf, Content>, directories: &[String]) -> Self {
        found.retain(|path, _| directories.iter().any(|d| path.starts_with(d)));
        Self(found)
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Content> {
        self.0.get(path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

/// `./a//b` as `a/b`.
fn plain(path: &Path) -> PathBuf {
    let normal = |part: &Component| matches!(part, Component::Normal(_));
    path.components().filter(normal).collect()
}
