//! Turns writes into what a host would hold after them, without writing to it: what check mode and plans stand on.
//!
//! Paths that come here have been resolved by [`Sys`], through this overlay and the host alike: no link is on their way.
//! Reads see the host wherever nothing was written. Contents lie in private files ([`spill`]); mode, owner and group are
//! only noted, so that no right is needed to give a file to somebody, except the one that the host itself would ask for
//! ([`allowed`]).

mod allowed;
mod layer;
mod spill;

pub use layer::Layer;
pub use spill::sweep;

use crate::sys::Sys;
use crate::sys::fs::{Attributes, Kind, Stat, Time, umask};
use allowed::Ground;
use layer::{Content, Directory, Inode, Seen};
use nix::errno::Errno;
use nix::unistd::AccessFlags;
use spill::Spill;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One task's view of an overlay, and what the task leaves to be said.
#[derive(Debug)]
pub(super) struct Rehearsal {
    overlay: Arc<Overlay>,
    /// What it looked for and the host does not have.
    missed: Mutex<Vec<String>>,
    leaves_unknown: AtomicBool,
}

/// What was written over a host.
#[derive(Debug)]
pub struct Overlay {
    base: PathBuf,
    layer: Mutex<Layer>,
    spill: Spill,
}

impl Sys {
    /// Returns this host with an overlay, for one task: from here on, nothing is written to it.
    #[must_use]
    pub fn over(mut self, overlay: Arc<Overlay>) -> Self {
        self.rehearsal = Some(Arc::new(Rehearsal {
            overlay,
            missed: Mutex::default(),
            leaves_unknown: AtomicBool::new(false),
        }));
        self
    }

    /// Returns this host with all programs refused, except those that are marked as only reading.
    #[must_use]
    pub fn without_programs(mut self) -> Self {
        self.starts_programs = false;
        self
    }

    /// Returns the overlay that takes the writes, if there is one.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.rehearsal.as_deref().map(|task| &*task.overlay)
    }

    /// Notes that this task would do to the host what no overlay can show: later reads of what is not there are unknown.
    pub fn leave_unknown(&self) {
        if let Some(task) = &self.rehearsal {
            task.leaves_unknown.store(true, Ordering::Relaxed);
        }
    }

    pub fn leaves_unknown(&self) -> bool {
        let task = self.rehearsal.as_ref();
        task.is_some_and(|task| task.leaves_unknown.load(Ordering::Relaxed))
    }

    /// Notes that the host has no such thing: ``user `kafka` ``.
    pub fn miss(&self, what: impl FnOnce() -> String) {
        if let Some(task) = &self.rehearsal
            && let Ok(mut missed) = task.missed.lock()
        {
            missed.push(what());
        }
    }

    /// Returns the last thing that the task looked for in vain.
    pub fn missed(&self) -> Option<String> {
        let task = self.rehearsal.as_ref()?;
        task.missed.lock().ok()?.last().cloned()
    }

    /// Returns an overlay of this host to which nothing has been written.
    pub fn new_overlay(&self) -> Arc<Overlay> {
        Arc::new(Overlay {
            base: self.root.clone(),
            layer: Mutex::default(),
            spill: Spill::default(),
        })
    }
}

impl Overlay {
    /// Returns all that was written, for another agent of this host.
    pub fn layer(&self) -> Layer {
        self.lock().clone()
    }

    /// Takes over what another agent of this host has written in the meantime.
    pub fn adopt(&self, layer: Layer) {
        *self.lock() = layer;
    }

    /// Notes a task after which the host may have more than can be seen now.
    pub fn unknown_after(&self, task: &str) {
        let mut layer = self.lock();
        layer.version += 1;
        layer.unknown_after.push(task.to_owned());
    }

    /// Returns the tasks after which what is missing now may be there.
    pub fn unknowns(&self) -> Vec<String> {
        self.lock().unknown_after.clone()
    }

    /// Whether the host itself, not the overlay, decides what lies at a path.
    pub(super) fn is_untouched(&self, path: &Path) -> bool {
        matches!(self.lock().seen(path), Seen::Host(_))
    }

    /// Counts the changes so far.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    fn lock(&self) -> MutexGuard<'_, Layer> {
        self.layer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ground<'a>(&'a self, layer: &'a Layer) -> Ground<'a> {
        Ground {
            base: &self.base,
            layer,
        }
    }

    pub(super) fn lstat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.ground(&self.lock()).lstat(path)
    }

    pub(super) fn link_target(&self, path: &Path) -> Option<PathBuf> {
        self.lstat(path).ok().flatten()?.link_target
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        let layer = self.lock();
        let ground = self.ground(&layer);
        match layer.seen(path) {
            Seen::Host(host) => File::open(ground.real(&host)),
            Seen::Nothing => Err(Errno::ENOENT.into()),
            Seen::Directory(_) => Err(Errno::EISDIR.into()),
            Seen::Inode(_, inode) => {
                ground.may(path, AccessFlags::R_OK)?;
                match &inode.content {
                    Content::Host(host) => File::open(ground.real(host)),
                    Content::Spilled(real) => File::open(real),
                    Content::Nothing => Err(Errno::EINVAL.into()),
                }
            }
        }
    }

    /// Returns a real path at which a program finds what lies here.
    pub(super) fn real(&self, path: &Path) -> PathBuf {
        let layer = self.lock();
        let host = match layer.seen(path) {
            Seen::Inode(_, inode) => match &inode.content {
                Content::Spilled(real) => return real.clone(),
                Content::Host(host) => host.clone(),
                Content::Nothing => path.to_path_buf(),
            },
            Seen::Host(host) => host,
            Seen::Directory(directory) => {
                directory.host.clone().unwrap_or_else(|| path.to_path_buf())
            }
            Seen::Nothing => path.to_path_buf(),
        };
        allowed::real(&self.base, &host)
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let layer = self.lock();
        let ground = self.ground(&layer);
        let read = |host: &Path| -> io::Result<Vec<OsString>> {
            fs::read_dir(ground.real(host))?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect()
        };
        match layer.seen(path) {
            Seen::Nothing => Err(Errno::ENOENT.into()),
            Seen::Inode(..) => Err(Errno::ENOTDIR.into()),
            Seen::Host(host) => {
                let mut names = read(&host)?;
                names.sort();
                Ok(names)
            }
            Seen::Directory(directory) => {
                ground.may(path, AccessFlags::R_OK)?;
                let host = directory.host.as_deref().map_or(Ok(Vec::new()), read)?;
                Ok(directory.merge(host))
            }
        }
    }

    pub(super) fn may(&self, path: &Path, access: AccessFlags) -> bool {
        self.ground(&self.lock()).may(path, access).is_ok()
    }

    pub(super) fn create_dir(&self, path: &Path, mode: Option<u32>) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        if ground.lstat(path)?.is_some() {
            return Err(Errno::EEXIST.into());
        }
        ground.may_change(path)?;
        let mut stat = ground.fresh(path, Kind::Directory)?;
        stat.mode |= mode.unwrap_or(0o777 & !umask());
        stat.size = 4096;
        stat.n_links = 2;
        layer.put_directory(path, Directory::new(stat));
        Ok(())
    }

    pub(super) fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        ground.may_replace(path)?;
        let mut stat = ground.fresh(path, Kind::Link)?;
        stat.mode = 0o777;
        stat.size = target.as_os_str().len() as u64;
        stat.link_target = Some(target.to_path_buf());
        let content = Content::Nothing;
        let number = layer.keep(Inode { stat, content });
        layer.put_inode(path, number);
        Ok(())
    }

    pub(super) fn hardlink(&self, source: &Path, path: &Path) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        let Some(found) = ground.lstat(source)? else {
            return Err(Errno::ENOENT.into());
        };
        if found.is_dir() {
            return Err(Errno::EPERM.into());
        }
        ground.may_replace(path)?;
        let number = take_up(&mut layer, &self.base, source)?;
        if let Some(inode) = layer.inode_mut(number) {
            inode.stat.n_links += 1;
        }
        layer.put_inode(path, number);
        Ok(())
    }

    /// Removes what lies at a path; `whole` says that it may be a directory.
    pub(super) fn remove(&self, path: &Path, whole: bool) -> io::Result<()> {
        let Some(now) = self.lstat(path)? else {
            return Err(Errno::ENOENT.into());
        };
        if now.is_dir() {
            if !whole {
                return Err(Errno::EISDIR.into());
            }
            for name in self.list(path)? {
                self.may_remove(&path.join(name))?;
            }
        }
        let mut layer = self.lock();
        self.ground(&layer).may_change(path)?;
        layer.take(path);
        Ok(())
    }

    /// Says whether a thing and all that is in it may be removed.
    fn may_remove(&self, path: &Path) -> io::Result<()> {
        self.ground(&self.lock()).may_change(path)?;
        if self.lstat(path)?.is_some_and(|now| now.is_dir()) {
            for name in self.list(path)? {
                self.may_remove(&path.join(name))?;
            }
        }
        Ok(())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let Some(moved) = self.lstat(from)? else {
            return Err(Errno::ENOENT.into());
        };
        if to.starts_with(from) && to != from {
            return Err(Errno::EINVAL.into());
        }
        match self.lstat(to)? {
            Some(there) if there.is_dir() && !moved.is_dir() => {
                return Err(Errno::EISDIR.into());
            }
            Some(there) if there.is_dir() && !self.list(to)?.is_empty() => {
                return Err(Errno::ENOTEMPTY.into());
            }
            Some(there) if !there.is_dir() && moved.is_dir() => return Err(Errno::ENOTDIR.into()),
            _ => {}
        }
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        ground.may_change(from)?;
        ground.may_change(to)?;
        let device = |path: &Path| fs::metadata(ground.beneath(path)).map(|found| found.dev());
        if device(from)? != device(to)? {
            return Err(Errno::EXDEV.into());
        }
        if from == to {
            return Ok(());
        }
        if moved.is_dir() {
            layer.directory_mut(from);
            if let Some(directory) = layer.take(from) {
                layer.put_directory(to, directory);
            }
        } else {
            let number = take_up(&mut layer, &self.base, from)?;
            if let Some(inode) = layer.inode_mut(number) {
                inode.stat.n_links += 1;
            }
            layer.put_inode(to, number);
            layer.take(from);
        }
        Ok(())
    }

    pub(super) fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.set(
            path,
            |ground, now| ground.may_set(path, now),
            |stat| stat.mode = mode,
        )
    }

    pub(super) fn set_owner(
        &self,
        path: &Path,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> io::Result<()> {
        let may = |ground: &Ground, now: &Stat| ground.may_give(path, now, uid, gid);
        self.set(path, may, |stat| {
            stat.uid = uid.unwrap_or(stat.uid);
            stat.gid = gid.unwrap_or(stat.gid);
            if stat.is_file() {
                // As the kernel does, for root too.
                let group_runs = stat.mode & 0o010 != 0;
                stat.mode &= if group_runs { !0o6000 } else { !0o4000 };
            }
        })
    }

    pub(super) fn set_times(
        &self,
        path: &Path,
        atime: Option<Time>,
        mtime: Option<Time>,
    ) -> io::Result<()> {
        self.set(
            path,
            |ground, now| ground.may_set(path, now),
            |stat| {
                stat.atime = atime.unwrap_or(stat.atime);
                stat.mtime = mtime.unwrap_or(stat.mtime);
            },
        )
    }

    /// Changes the metadata of what lies at a path itself.
    fn set(
        &self,
        path: &Path,
        may: impl Fn(&Ground, &Stat) -> io::Result<()>,
        change: impl FnOnce(&mut Stat),
    ) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        let Some(mut stat) = ground.lstat(path)? else {
            return Err(Errno::ENOENT.into());
        };
        may(&ground, &stat)?;
        change(&mut stat);
        stat.ctime = Time::now();
        if stat.is_dir() {
            layer.directory_mut(path).stat = Some(stat);
            return Ok(());
        }
        let number = take_up(&mut layer, &self.base, path)?;
        if let Some(inode) = layer.inode_mut(number) {
            if let Content::Spilled(real) = &inode.content {
                spill::share(real, &stat);
            }
            inode.stat = stat;
        }
        Ok(())
    }

    /// Replaces the file at a path; the same defaults as of a real write.
    pub(super) fn write(
        &self,
        path: &Path,
        content: &mut dyn Read,
        wish: Attributes,
    ) -> io::Result<u64> {
        let (real, mut file) = self.spill.file()?;
        let n_bytes = io::copy(content, &mut file)?;
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        ground.may_replace(path)?;
        let old = ground.lstat(path)?.filter(Stat::is_file);
        let mut stat = ground.fresh(path, Kind::File)?;
        let uid = wish.uid.or(old.as_ref().map(|old| old.uid));
        let gid = wish.gid.or(old.as_ref().map(|old| old.gid));
        match ground.may_give(path, &stat, uid, gid) {
            Ok(()) => {
                stat.uid = uid.unwrap_or(stat.uid);
                stat.gid = gid.unwrap_or(stat.gid);
            }
            // Nobody asked: the file stays with whoever writes it.
            Err(_) if wish.uid.is_none() && wish.gid.is_none() => {}
            Err(error) => return Err(error),
        }
        stat.mode = wish
            .mode
            .or(old.map(|old| old.mode))
            .unwrap_or(0o666 & !umask());
        stat.mtime = wish.mtime.unwrap_or(stat.mtime);
        stat.atime = wish.mtime.unwrap_or(stat.atime);
        stat.size = n_bytes;
        stat.blocks = n_bytes.div_ceil(4096) * 8;
        let device = ground.room(path, n_bytes)?;
        *layer.taken.entry(device).or_default() += n_bytes;
        spill::share(&real, &stat);
        let content = Content::Spilled(real);
        let number = layer.keep(Inode { stat, content });
        layer.put_inode(path, number);
        Ok(n_bytes)
    }
}

/// Returns the number of the file or link at a path, noting the host's where nothing was written yet.
fn take_up(layer: &mut Layer, base: &Path, path: &Path) -> io::Result<u64> {
    let host = match layer.seen(path) {
        Seen::Inode(number, _) => return Ok(number),
        Seen::Host(host) => host,
        Seen::Nothing => return Err(Errno::ENOENT.into()),
        Seen::Directory(_) => return Err(Errno::EISDIR.into()),
    };
    let Some(stat) = (Ground { base, layer }).lstat(path)? else {
        return Err(Errno::ENOENT.into());
    };
    let known = layer.shared(stat.device, stat.inode);
    let number = known.map(|(number, _)| number);
    let number = number.unwrap_or_else(|| {
        let content = match stat.kind {
            Kind::File => Content::Host(host),
            _ => Content::Nothing,
        };
        layer.keep_shared(Inode { stat, content })
    });
    // The name in the tree stands for the host's, which `n_links` counts already.
    layer.put_inode(path, number);
    Ok(number)
}

#[cfg(test)]
mod tests;
