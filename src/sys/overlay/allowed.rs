//! Says of a write over a host whether the host itself would refuse it: no permission, read-only, no space, a mount.

use super::layer::{Content, Directory, Layer, Seen};
use crate::sys::fs::{Kind, Stat, Time};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Gid, Uid, faccessat, getgroups};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A host and what was written over it, for one question.
pub(super) struct Ground<'a> {
    /// Where the host's `/` really lies.
    pub(super) base: &'a Path,
    pub(super) layer: &'a Layer,
}

impl Ground<'_> {
    /// Who writes.
    fn me(&self) -> Uid {
        if self.layer.as_root {
            Uid::from_raw(0)
        } else {
            Uid::effective()
        }
    }

    fn my_group(&self) -> u32 {
        if self.layer.as_root {
            0
        } else {
            Gid::effective().as_raw()
        }
    }

    /// Returns where a path of the host really lies.
    pub(super) fn real(&self, path: &Path) -> PathBuf {
        real(self.base, path)
    }

    /// Returns what lies at a path itself, a link not followed.
    pub(super) fn lstat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match self.layer.seen(path) {
            Seen::Nothing => Ok(None),
            Seen::Unknown(cause) => Err(unknown(path, cause)),
            Seen::Inode(_, inode) => Ok(Some(inode.stat.clone())),
            Seen::Directory(directory) => {
                let found = match (&directory.stat, &directory.host) {
                    (Some(stat), _) => Some(stat.clone()),
                    (None, Some(host)) => look(&self.real(host))?,
                    (None, None) => None,
                };
                Ok(found.map(|stat| self.linked(directory, stat)))
            }
            Seen::Host(host) => {
                let found = look(&self.real(&host))?;
                let shared = found
                    .as_ref()
                    .filter(|found| found.n_links > 1 && found.is_file())
                    .and_then(|found| self.layer.shared(found.device, found.inode));
                Ok(shared.map(|(_, inode)| inode.stat.clone()).or(found))
            }
        }
    }

    /// Counts a directory's links as most file systems do: those in it lead back to it. Others say 1 of each.
    fn linked(&self, directory: &Directory, stat: Stat) -> Stat {
        if stat.n_links < 2 {
            return stat;
        }
        let was_directory = |name: &OsString| {
            let host = directory.host.as_ref().map(|host| host.join(name));
            let found = host.and_then(|host| look(&self.real(&host)).ok().flatten());
            found.is_some_and(|found| found.is_dir())
        };
        let n_links = directory
            .changed()
            .fold(stat.n_links, |n, (name, is_directory)| {
                (n + u64::from(is_directory)).saturating_sub(u64::from(was_directory(name)))
            });
        Stat { n_links, ..stat }
    }

    /// Says whether this process may use what lies at a path so.
    pub(super) fn may(&self, path: &Path, access: AccessFlags) -> io::Result<()> {
        let ask = |host: &Path| {
            faccessat(AT_FDCWD, &self.real(host), access, AtFlags::AT_EACCESS)
                .map_err(io::Error::from)
        };
        match self.layer.seen(path) {
            Seen::Host(host) => return ask(&host),
            Seen::Directory(directory) if directory.stat.is_none() => {
                return directory.host.as_deref().map_or(Ok(()), ask);
            }
            _ => {}
        }
        let Some(stat) = self.lstat(path)? else {
            return Err(Errno::ENOENT.into());
        };
        for directory in path.ancestors().skip(1) {
            if let Seen::Directory(made) = self.layer.seen(directory)
                && let Some(stat) = &made.stat
                && !grants(stat, self.me(), AccessFlags::X_OK)
            {
                return Err(Errno::EACCES.into());
            }
        }
        if !grants(&stat, self.me(), access) {
            return Err(Errno::EACCES.into());
        }
        if access.contains(AccessFlags::W_OK) && self.is_read_only(path) {
            return Err(Errno::EROFS.into());
        }
        Ok(())
    }

    /// Says whether the host refuses this process a look at a path to which what was written over it would let it.
    pub(super) fn opens(&self, path: &Path) -> bool {
        let me = self.me();
        if me.is_root() {
            return false;
        }
        let is_refused = |host: &Path, access| {
            let asked = faccessat(AT_FDCWD, &self.real(host), access, AtFlags::AT_EACCESS);
            asked == Err(Errno::EACCES)
        };
        let look = AccessFlags::R_OK;
        let (mut is_changed, is_refused) = match self.layer.seen(path) {
            Seen::Host(host) => (false, is_refused(&host, AccessFlags::F_OK)),
            Seen::Inode(_, inode) => match &inode.content {
                Content::Host(host) if grants(&inode.stat, me, look) => {
                    (true, is_refused(host, look))
                }
                _ => return false,
            },
            Seen::Directory(directory) => {
                let stat = directory.stat.as_ref();
                let host = directory.host.as_ref();
                let Some(host) = host.filter(|_| stat.is_none_or(|it| grants(it, me, look))) else {
                    return false;
                };
                (stat.is_some(), is_refused(host, look | AccessFlags::X_OK))
            }
            Seen::Nothing | Seen::Unknown(_) => return false,
        };
        if !is_refused {
            return false;
        }
        for above in path.ancestors().skip(1) {
            if let Seen::Directory(directory) = self.layer.seen(above)
                && let Some(stat) = &directory.stat
            {
                is_changed = true;
                if !grants(stat, me, AccessFlags::X_OK) {
                    return false;
                }
            }
        }
        is_changed
    }

    /// Says whether a name may be made, replaced or removed: `path` is where, nothing may be there yet.
    pub(super) fn may_change(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            return Err(Errno::EBUSY.into());
        };
        let Some(directory) = self.lstat(parent)? else {
            return Err(Errno::ENOENT.into());
        };
        if !directory.is_dir() {
            return Err(Errno::ENOTDIR.into());
        }
        self.may(parent, AccessFlags::W_OK | AccessFlags::X_OK)?;
        match statfs(&self.beneath(path)).map(|disk| disk.filesystem_type()) {
            Ok(PROC_SUPER_MAGIC) => return Err(Errno::ENOENT.into()),
            Ok(SYSFS_MAGIC) => return Err(Errno::EPERM.into()),
            _ => {}
        }
        let Some(now) = self.lstat(path)? else {
            return Ok(());
        };
        let me = self.me();
        let is_sticky = directory.mode & 0o1000 != 0;
        if is_sticky && !me.is_root() && ![now.uid, directory.uid].contains(&me.as_raw()) {
            return Err(Errno::EPERM.into());
        }
        self.is_free(path, &now)
    }

    /// Says whether a file or link may be put at a path, in place of one that is there.
    pub(super) fn may_replace(&self, path: &Path) -> io::Result<()> {
        self.may_change(path)?;
        match self.lstat(path)? {
            Some(now) if now.is_dir() => Err(Errno::EISDIR.into()),
            _ => Ok(()),
        }
    }

    /// Returns the metadata of something that this process makes at a path, without any permission yet.
    pub(super) fn fresh(&self, path: &Path, kind: Kind) -> io::Result<Stat> {
        let parent = path.parent().map(|parent| self.lstat(parent)).transpose()?;
        let parent = parent.flatten();
        let inherited = parent
            .as_ref()
            .filter(|parent| parent.mode & 0o2000 != 0)
            .map(|parent| parent.gid);
        let hands_on = inherited.is_some() && kind == Kind::Directory;
        let now = Time::now();
        Ok(Stat {
            kind,
            mode: if hands_on { 0o2000 } else { 0 },
            uid: self.me().as_raw(),
            gid: inherited.unwrap_or(self.my_group()),
            size: 0,
            mtime: now,
            atime: now,
            ctime: now,
            inode: 0,
            device: parent.map_or(0, |parent| parent.device),
            n_links: 1,
            blocks: 0,
            block_size: 4096,
            device_type: 0,
            link_target: None,
        })
    }

    /// Says whether this process may set the permissions or times of something.
    pub(super) fn may_set(&self, path: &Path, now: &Stat) -> io::Result<()> {
        let me = self.me();
        if !me.is_root() && me.as_raw() != now.uid {
            return Err(Errno::EPERM.into());
        }
        self.is_fixed(path, now)
    }

    /// Says whether this process may give something to this owner and group.
    pub(super) fn may_give(
        &self,
        path: &Path,
        now: &Stat,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> io::Result<()> {
        let me = self.me();
        let keeps_owner = uid.is_none_or(|uid| uid == now.uid);
        let is_in = gid.is_none_or(|gid| gid == now.gid || groups().contains(&gid));
        let is_own = me.as_raw() == now.uid && keeps_owner && is_in;
        if !me.is_root() && !is_own {
            return Err(Errno::EPERM.into());
        }
        self.is_fixed(path, now)
    }

    /// Says whether so many more bytes would find room beside a path. Returns the device they would be on.
    pub(super) fn room(&self, path: &Path, n_bytes: u64) -> io::Result<u64> {
        let beneath = self.beneath(path);
        let device = fs::metadata(&beneath)?.dev();
        let taken = self.layer.taken.get(&device).copied().unwrap_or_default();
        let disk = statvfs(&beneath)?;
        let blocks = if self.me().is_root() {
            disk.blocks_free()
        } else {
            disk.blocks_available()
        };
        // Where the file system counts nothing, nothing runs out.
        let counts = disk.blocks() > 0;
        if counts && taken + n_bytes > blocks * disk.fragment_size() {
            return Err(Errno::ENOSPC.into());
        }
        Ok(device)
    }

    /// Returns the nearest directory of the host above a path, where it really lies.
    pub(super) fn beneath(&self, path: &Path) -> PathBuf {
        let host = path
            .ancestors()
            .skip(1)
            .find_map(|above| match self.layer.seen(above) {
                Seen::Host(host) => Some(host),
                Seen::Directory(directory) => directory.host.clone(),
                _ => None,
            });
        self.real(&host.unwrap_or_else(|| "/".into()))
    }

    fn is_read_only(&self, path: &Path) -> bool {
        statvfs(&self.beneath(path))
            .is_ok_and(|disk| disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
    }

    /// Says whether a thing of the host is not held in its place: a mount, or marked as immutable.
    fn is_free(&self, path: &Path, now: &Stat) -> io::Result<()> {
        if let Seen::Host(host) = self.layer.seen(path)
            && self.base == Path::new("/")
            && is_mounted_on(&host)
        {
            return Err(Errno::EBUSY.into());
        }
        self.is_fixed(path, now)
    }

    fn is_fixed(&self, path: &Path, now: &Stat) -> io::Result<()> {
        if let Seen::Host(host) = self.layer.seen(path)
            && matches!(now.kind, Kind::File | Kind::Directory)
        {
            let access = AccessFlags::W_OK;
            let asked = faccessat(AT_FDCWD, &self.real(&host), access, AtFlags::AT_EACCESS);
            if let Err(fault @ (Errno::EPERM | Errno::EROFS)) = asked {
                return Err(fault.into());
            }
        }
        Ok(())
    }
}

/// Says that nobody can say what lies at a path.
pub(super) fn unknown(path: &Path, cause: &str) -> io::Error {
    io::Error::other(format!(
        "what lies at `{}` is unknown: {cause}",
        path.display()
    ))
}

/// Returns where a path of a host below `base` really lies.
pub(super) fn real(base: &Path, path: &Path) -> PathBuf {
    base.join(path.strip_prefix("/").unwrap_or(path))
}

/// What the permission bits say to this process.
fn grants(stat: &Stat, me: Uid, access: AccessFlags) -> bool {
    if me.is_root() {
        // The kernel asks even root for one x of a file that it is to execute.
        return !access.contains(AccessFlags::X_OK) || stat.is_dir() || stat.mode & 0o111 != 0;
    }
    let shift = if me.as_raw() == stat.uid {
        6
    } else if groups().contains(&stat.gid) {
        3
    } else {
        0
    };
    let bits = stat.mode >> shift;
    [
        (AccessFlags::R_OK, 4),
        (AccessFlags::W_OK, 2),
        (AccessFlags::X_OK, 1),
    ]
    .iter()
    .all(|(flag, bit)| !access.contains(*flag) || bits & bit != 0)
}

fn groups() -> Vec<u32> {
    let mut groups: Vec<u32> = getgroups()
        .unwrap_or_default()
        .into_iter()
        .map(Gid::as_raw)
        .collect();
    groups.push(Gid::effective().as_raw());
    groups
}

/// Whether something is mounted exactly there: a container's `/etc/hosts` often is.
fn is_mounted_on(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let escaped = path.display().to_string().replace(' ', "\\040");
    mounts
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(escaped.as_str()))
}

fn look(real: &Path) -> io::Result<Option<Stat>> {
    match fs::symlink_metadata(real) {
        Ok(metadata) => {
            let target = metadata.is_symlink().then(|| fs::read_link(real));
            Ok(Some(crate::sys::fs::stat(
                &metadata,
                target.and_then(Result::ok),
            )))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
