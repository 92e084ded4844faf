//! Compares an archive's entries with what lies below the destination, as `tar --diff` does, and refuses what would leave it.

use super::format::{Entry, EntryKind};
use super::options::{Options, inside, refused};
use crate::modules::Error;
use crate::modules::attributes::Wish;
use crate::sys::Sys;
use crate::sys::fs::{self, Attributes, Stat};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why an entry is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    New,
    Differs(&'static str),
    /// Only its mode or owner.
    Attributes,
}

/// What a walk through the archive found.
pub(super) struct Comparison<'a> {
    sys: &'a Sys,
    dest: &'a Path,
    /// Where the destination really lies.
    real: PathBuf,
    options: &'a Options,
    wish: &'a Wish,
    is_root: bool,
    /// Links that the archive makes: nothing may be written through them.
    links: HashSet<PathBuf>,
    safe_parents: HashSet<PathBuf>,
    accounts: HashMap<(bool, String), Option<u32>>,
    /// Every entry that is meant, by its path below the destination.
    pub names: IndexMap<PathBuf, EntryKind>,
    /// What is to be unpacked.
    pub pending: IndexMap<PathBuf, Why>,
    pub warnings: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        sys: &'a Sys,
        dest: &'a Path,
        options: &'a Options,
        wish: &'a Wish,
    ) -> Result<Self, Error> {
        Ok(Self {
            sys,
            dest,
            real: sys.resolve(dest)?,
            options,
            wish,
            is_root: nix::unistd::geteuid().is_root(),
            links: HashSet::new(),
            safe_parents: HashSet::new(),
            accounts: HashMap::new(),
            names: IndexMap::new(),
            pending: IndexMap::new(),
            warnings: Vec::new(),
        })
    }

    /// Looks at one entry.
    pub(super) fn visit(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let Some(path) = self.options.place(entry)? else {
            return Ok(());
        };
        self.guard(entry, &path)?;
        if entry.kind == EntryKind::Special {
            let text = format!("`{}` is a device or fifo: not unpacked", path.display());
            self.warnings.push(text);
            return Ok(());
        }
        // The last of several entries of one name is the one that counts.
        self.pending.shift_remove(&path);
        self.names.insert(path.clone(), entry.kind.clone());
        if let Some(why) = self.difference(entry, &path, content)? {
            self.pending.insert(path, why);
        }
        Ok(())
    }

    /// Refuses an entry that would be written, or linked to, outside of the destination.
    fn guard(&mut self, entry: &Entry, path: &Path) -> Result<(), Error> {
        let mut paths = vec![path.to_path_buf()];
        if let EntryKind::HardLink(target) = &entry.kind {
            let target = inside(target)
                .map_err(|_| refused(&entry.path, "is a hard link out of the destination"))?;
            paths.extend(self.options.strip(&target));
        }
        for path in &paths {
            if path
                .ancestors()
                .skip(1)
                .any(|parent| self.links.contains(parent))
            {
                return Err(refused(&entry.path, "goes through a link of the archive"));
            }
            let parent = path.parent().unwrap_or(Path::new(""));
            if self.safe_parents.contains(parent) {
                continue;
            }
            if !self
                .sys
                .resolve(&self.dest.join(parent))?
                .starts_with(&self.real)
            {
                return Err(refused(
                    &entry.path,
                    "goes through a link that leads out of the destination",
                ));
            }
            self.safe_parents.insert(parent.to_path_buf());
        }
        if matches!(entry.kind, EntryKind::Link(_)) {
            if self
                .names
                .keys()
                .any(|name| name != path && name.starts_with(path))
            {
                return Err(refused(&entry.path, "is a link and a directory"));
            }
            self.links.insert(path.to_path_buf());
        } else {
            self.links.remove(path);
        }
        Ok(())
    }

    fn difference(
        &mut self,
        entry: &Entry,
        path: &Path,
        content: &mut dyn Read,
    ) -> Result<Option<Why>, Error> {
        let place = self.dest.join(path);
        let Some(now) = self.sys.lstat(&place)? else {
            return Ok(Some(Why::New));
        };
        let differs = |what| Ok(Some(Why::Differs(what)));
        match &entry.kind {
            EntryKind::Directory if now.is_link() => {
                let leads_to = self.sys.stat(&place)?;
                let real = self.sys.resolve(&place)?;
                if leads_to.is_some_and(|stat| stat.is_dir()) && real.starts_with(&self.real) {
                    return Ok(None);
                }
                return differs("kind");
            }
            EntryKind::Directory if !now.is_dir() => return differs("kind"),
            EntryKind::Link(target) => {
                if now.is_dir() {
                    return Err(self.in_the_way(path));
                }
                return if now.link_target.as_ref() == Some(target) {
                    Ok(None)
                } else {
                    differs("link target")
                };
            }
            EntryKind::HardLink(target) => {
                let Some(target) = self.options.strip(&inside(target)?) else {
                    return Ok(None);
                };
                let original = self.sys.lstat(&self.dest.join(&target))?;
                let is_rewritten =
                    matches!(self.pending.get(&target), Some(Why::New | Why::Differs(_)));
                let is_same = |stat: &Stat| (stat.device, stat.inode) == (now.device, now.inode);
                return if !is_rewritten && original.as_ref().is_some_and(is_same) {
                    Ok(None)
                } else {
                    differs("hard link")
                };
            }
            EntryKind::File => {
                if now.is_dir() {
                    return Err(self.in_the_way(path));
                }
                if !now.is_file() {
                    return differs("kind");
                }
                let is_newer = entry.mtime.is_some_and(|mtime| now.mtime > mtime);
                if self.options.keep_newer && is_newer {
                    return Ok(None);
                }
                if now.size != entry.size {
                    return differs("size");
                }
                let same_time = entry.mtime.is_some_and(|mtime| {
                    (mtime.seconds - now.mtime.seconds).abs() <= entry.mtime_slack
                });
                if !same_time && !self.same_content(&place, content)? {
                    return differs("content");
                }
            }
            EntryKind::Directory | EntryKind::Special => {}
        }
        let wished = self.attributes(entry)?;
        let holds = wished.mode.is_none_or(|mode| mode == now.mode)
            && wished.uid.is_none_or(|uid| uid == now.uid)
            && wished.gid.is_none_or(|gid| gid == now.gid);
        Ok((!holds).then_some(Why::Attributes))
    }

    fn in_the_way(&self, path: &Path) -> Error {
        Error::new(format!(
            "cannot unpack `{}`: a directory is in its place",
            self.dest.join(path).display()
        ))
    }

    fn same_content(&self, place: &Path, content: &mut dyn Read) -> Result<bool, Error> {
        let mut file = self.sys.open(place)?;
        let (mut ours, mut theirs) = (vec![0; 64 * 1024], Vec::new());
        loop {
            let n = content.read(&mut ours)?;
            if n == 0 {
                return Ok(true);
            }
            theirs.resize(n, 0);
            if file.read_exact(&mut theirs).is_err() || theirs != ours[..n] {
                return Ok(false);
            }
        }
    }

    /// Returns what the unpacked entry is to have, as tar would give it, with what the task asks on top.
    pub(super) fn attributes(&mut self, entry: &Entry) -> Result<Attributes, Error> {
        let is_directory = entry.kind == EntryKind::Directory;
        let same_permissions = self.options.same_permissions.unwrap_or(self.is_root);
        let mode = entry.mode.map(|mode| {
            if same_permissions {
                mode
            } else {
                mode & !fs::umask()
            }
        });
        let mode = match (&self.wish.mode, mode) {
            (Some(wish), mode) => {
                let default = if is_directory { 0o777 } else { 0o666 } & !fs::umask();
                Some(wish.apply(mode.unwrap_or(default), is_directory, fs::umask()))
            }
            (None, mode) => mode,
        };
        let same_owner = self.options.same_owner.unwrap_or(self.is_root);
        let owner = entry.owner.as_ref().filter(|_| same_owner);
        let (mut uid, mut gid) = (self.wish.uid, self.wish.gid);
        if let Some(owner) = owner {
            if uid.is_none() {
                uid = Some(self.account(false, &owner.user)?.unwrap_or(owner.uid));
            }
            if gid.is_none() {
                gid = Some(self.account(true, &owner.group)?.unwrap_or(owner.gid));
            }
        }
        Ok(Attributes {
            mode,
            uid,
            gid,
            mtime: entry.mtime,
        })
    }

    /// Looks a name up once for the whole archive.
    fn account(&mut self, is_group: bool, name: &str) -> Result<Option<u32>, Error> {
        if name.is_empty() || self.options.numeric_owner {
            return Ok(None);
        }
        if let Some(known) = self.accounts.get(&(is_group, name.to_owned())) {
            return Ok(*known);
        }
        let number = if is_group {
            self.sys.group_named(name)?.map(|group| group.gid)
        } else {
            self.sys.user_named(name)?.map(|user| user.uid)
        };
        self.accounts.insert((is_group, name.to_owned()), number);
        Ok(number)
    }
}
