//! Turns each write into a change of the tree, where the host itself would allow it; else into the host's own refusal.

use super::Overlay;
use super::allowed::{Ground, unknown};
use super::layer::{Content, Directory, Inode, Layer, Seen};
use super::spill;
use crate::sys::fs::{Attributes, Kind, Stat, Time, umask};
use nix::errno::Errno;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Overlay {
    pub(in crate::sys) fn create_dir(&self, path: &Path, mode: Option<u32>) -> io::Result<()> {
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

    pub(in crate::sys) fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        ground.may_replace(path)?;
        let mut stat = ground.fresh(path, Kind::Link)?;
        stat.mode = 0o777;
        stat.size = target.as_os_str().len() as u64;
        stat.link_target = Some(target.to_path_buf());
        release(&mut layer, &self.base, path)?;
        let content = Content::Nothing;
        let number = layer.keep(Inode { stat, content });
        layer.put_inode(path, number);
        Ok(())
    }

    pub(in crate::sys) fn hardlink(&self, source: &Path, path: &Path) -> io::Result<()> {
        let mut layer = self.lock();
        let ground = self.ground(&layer);
        let Some(found) = ground.lstat(source)? else {
            return Err(Errno::ENOENT.into());
        };
        if found.is_dir() {
            return Err(Errno::EPERM.into());
        }
        ground.may_replace(path)?;
        release(&mut layer, &self.base, path)?;
        let number = take_up(&mut layer, &self.base, source)?;
        if let Some(inode) = layer.inode_mut(number) {
            inode.stat.n_links += 1;
        }
        layer.put_inode(path, number);
        Ok(())
    }

    /// Removes what lies at a path; `whole` says that it may be a directory.
    pub(in crate::sys) fn remove(&self, path: &Path, whole: bool) -> io::Result<()> {
        let Some(now) = self.lstat(path)? else {
            return Err(Errno::ENOENT.into());
        };
        if now.is_dir() && !whole {
            return Err(Errno::EISDIR.into());
        }
        self.ground(&self.lock()).may_change(path)?;
        let mut names = Vec::new();
        self.names_below(path, &now, &mut names)?;
        let mut layer = self.lock();
        // Other names of the files that go are counted.
        for name in &names {
            release(&mut layer, &self.base, name)?;
            layer.take(name);
        }
        layer.take(path);
        Ok(())
    }

    /// Collects the files that lie in a directory under other names, too, and the path itself, if all may be removed.
    fn names_below(&self, path: &Path, now: &Stat, names: &mut Vec<PathBuf>) -> io::Result<()> {
        if now.is_file() && now.n_links > 1 {
            names.push(path.to_path_buf());
        }
        if !now.is_dir() {
            return Ok(());
        }
        for name in self.list(path)? {
            let path = path.join(name);
            self.ground(&self.lock()).may_change(&path)?;
            if let Some(now) = self.lstat(&path)? {
                self.names_below(&path, &now, names)?;
            }
        }
        Ok(())
    }

    pub(in crate::sys) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
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
            release(&mut layer, &self.base, to)?;
            let number = take_up(&mut layer, &self.base, from)?;
            if let Some(inode) = layer.inode_mut(number) {
                inode.stat.n_links += 1;
            }
            layer.put_inode(to, number);
            layer.take(from);
        }
        Ok(())
    }

    pub(in crate::sys) fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.set(
            path,
            |ground, now| ground.may_set(path, now),
            |stat| stat.mode = mode,
        )
    }

    pub(in crate::sys) fn set_owner(
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

    pub(in crate::sys) fn set_times(
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
    pub(in crate::sys) fn write(
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
        release(&mut layer, &self.base, path)?;
        let content = Content::Spilled(real);
        let number = layer.keep(Inode { stat, content });
        layer.put_inode(path, number);
        Ok(n_bytes)
    }
}

/// Takes up a file that other names share, before its name at this path goes: putting something there counts it down.
fn release(layer: &mut Layer, base: &Path, path: &Path) -> io::Result<()> {
    let now = (Ground { base, layer }).lstat(path)?;
    if now.is_some_and(|now| now.is_file() && now.n_links > 1) {
        take_up(layer, base, path)?;
    }
    Ok(())
}

/// Returns the number of the file or link at a path, noting the host's where nothing was written yet.
fn take_up(layer: &mut Layer, base: &Path, path: &Path) -> io::Result<u64> {
    let host = match layer.seen(path) {
        Seen::Inode(number, _) => return Ok(number),
        Seen::Host(host) => host,
        Seen::Nothing => return Err(Errno::ENOENT.into()),
        Seen::Unknown(cause) => return Err(unknown(path, cause)),
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
