//! Turns paths of a host into what lies there, and wishes for files into atomic writes: the only writer of files.
//!
//! A file is replaced by making a temporary one beside it, giving it its content, owner and mode, syncing it and
//! renaming it into place. Whatever goes wrong before the rename removes the temporary file and leaves the old one whole.
//! Every error names the path and what was tried.

mod stat;

pub use stat::{Kind, Stat, Time};

use super::Sys;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::AccessFlags;
use stat::stat;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// What a written file is to have besides its content; what is `None` stays as it is, or is the system's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
}

/// Whether a write returns before the disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced before the rename; the name is, at the latest, with [`Sys::settle`].
    Synced,
    /// Atomic for other processes only: for many files at once, with one [`Sys::sync`] each at the end.
    Later,
}

impl Sys {
    /// Returns the whole content of a file, through links.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        named("read", path, fs::read(self.locate(path)?))
    }

    /// Opens a file for reading, through links.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        named("open", path, File::open(self.locate(path)?))
    }

    /// Returns what lies at `path` itself, a link not followed; `None` if nothing does.
    pub fn lstat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let real = self.locate_link(path)?;
        absent_is_none(path, fs::symlink_metadata(&real)).map(|found| {
            found.map(|metadata| {
                let target = metadata.is_symlink().then(|| fs::read_link(&real));
                stat(&metadata, target.and_then(Result::ok))
            })
        })
    }

    /// Returns what `path` leads to; `None` if nothing is there or a link leads nowhere.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        absent_is_none(path, fs::metadata(self.locate(path)?))
            .map(|found| found.map(|metadata| stat(&metadata, None)))
    }

    /// Returns `true` if `path` leads to something.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        self.stat(path).map(|found| found.is_some())
    }

    /// Returns where the link at `path` points, as written in it.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        named("read link", path, fs::read_link(self.locate_link(path)?))
    }

    /// Returns the names in a directory, sorted.
    pub fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let directory = self.locate(path)?;
        let read = || -> io::Result<Vec<OsString>> {
            let mut names = fs::read_dir(directory)?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        };
        named("list", path, read())
    }

    /// Makes one directory, with this mode or the system's default.
    pub fn create_dir(&self, path: &Path, mode: Option<u32>) -> io::Result<()> {
        let real = self.locate_link(path)?;
        // Never wider than asked, not even before its mode is set.
        let created = fs::DirBuilder::new()
            .mode(mode.unwrap_or(0o777))
            .create(&real);
        named("create directory", path, created)?;
        mode.map_or(Ok(()), |mode| self.set_mode(path, mode))
    }

    /// Makes `path` a link to `target`, in place of any file or link there: made under a temporary name and renamed.
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let real = self.locate_link(path)?;
        self.replace(path, &real, "link", |temporary| {
            std::os::unix::fs::symlink(target, temporary)
        })
    }

    /// Makes `path` another name of the file at `source`, in place of any file or link there.
    pub fn hardlink(&self, source: &Path, path: &Path) -> io::Result<()> {
        let (source, real) = (self.locate_link(source)?, self.locate_link(path)?);
        self.replace(path, &real, "link", |temporary| {
            fs::hard_link(&source, temporary)
        })?;
        // A rename between two names of one file does nothing and leaves both.
        Ok(())
    }

    /// Removes a file or link.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        named("remove", path, fs::remove_file(self.locate_link(path)?))
    }

    /// Removes a file, a link or a directory with all that is in it; links in it are not followed.
    pub fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let real = self.locate_link(path)?;
        let remove = || {
            if fs::symlink_metadata(&real)?.is_dir() {
                fs::remove_dir_all(&real)
            } else {
                fs::remove_file(&real)
            }
        };
        named("remove", path, remove())
    }

    /// Moves a file, link or directory within one file system, in place of a file or link there.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_real, to_real) = (self.locate_link(from)?, self.locate_link(to)?);
        named("rename", from, fs::rename(&from_real, &to_real))?;
        self.changed_beside(&from_real);
        self.changed_beside(&to_real);
        Ok(())
    }

    /// Sets the permission bits of what `path` leads to.
    pub fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let real = self.locate(path)?;
        named(
            "set the mode of",
            path,
            fs::set_permissions(real, fs::Permissions::from_mode(mode)),
        )
    }

    /// Sets the owner and group of what lies at `path`; a link itself, not where it leads.
    pub fn set_owner(&self, path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let real = self.locate_link(path)?;
        named(
            "set the owner of",
            path,
            std::os::unix::fs::lchown(real, uid, gid),
        )
    }

    /// Sets the times of what lies at `path`; a link itself, not where it leads.
    pub fn set_times(
        &self,
        path: &Path,
        atime: Option<Time>,
        mtime: Option<Time>,
    ) -> io::Result<()> {
        let real = self.locate_link(path)?;
        let spec = |time: Option<Time>| {
            time.map_or(TimeSpec::UTIME_OMIT, |time| {
                TimeSpec::new(time.seconds, i64::from(time.nanos))
            })
        };
        let set = utimensat(
            AT_FDCWD,
            &real,
            &spec(atime),
            &spec(mtime),
            UtimensatFlags::NoFollowSymlink,
        );
        named("set the times of", path, set.map_err(io::Error::from))
    }

    /// Makes an empty file, or sets the times of the one that is there to now.
    pub fn touch(&self, path: &Path) -> io::Result<()> {
        if self.lstat(path)?.is_none() {
            return self.write_atomic(path, b"", Attributes::default());
        }
        let now = Some(Time::now());
        self.set_times(path, now, now)
    }

    /// Makes a file, or replaces the one there, so that other processes and a crash see the old one or the new one.
    ///
    /// A link at `path` is replaced, not followed: resolve it first where the module follows it.
    /// What `attributes` leaves open stays as it was; a new file gets mode 0666 less the umask.
    pub fn write_atomic(
        &self,
        path: &Path,
        content: &[u8],
        attributes: Attributes,
    ) -> io::Result<()> {
        self.write_atomic_from(path, &mut &content[..], attributes, Durability::Synced)
            .map(drop)
    }

    /// Like [`Sys::write_atomic`], with the content as it comes. Returns how many bytes came.
    pub fn write_atomic_from(
        &self,
        path: &Path,
        content: &mut dyn Read,
        attributes: Attributes,
        durability: Durability,
    ) -> io::Result<u64> {
        let real = self.locate_link(path)?;
        let old = fs::symlink_metadata(&real)
            .ok()
            .filter(fs::Metadata::is_file);
        let mode = attributes
            .mode
            .or_else(|| old.as_ref().map(|old| old.mode() & 0o7777))
            .unwrap_or(0o666 & !umask());
        let mut n_bytes = 0;
        self.replace(path, &real, "write", |temporary| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(temporary)?;
            n_bytes = io::copy(content, &mut file)?;
            set_owner_of(&file, attributes, old.as_ref())?;
            // After the owner: changing it takes setuid away.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            if let Some(mtime) = attributes.mtime {
                let spec = TimeSpec::new(mtime.seconds, i64::from(mtime.nanos));
                nix::sys::stat::futimens(&file, &spec, &spec)?;
            }
            file.flush()?;
            if durability == Durability::Synced {
                file.sync_all()?;
            }
            Ok(())
        })?;
        Ok(n_bytes)
    }

    /// Returns a directory for private files that are soon removed: `/tmp`, made below a test's root.
    pub fn temporary_directory(&self) -> io::Result<PathBuf> {
        let path = PathBuf::from("/tmp");
        if !self.is_host() && !self.exists(&path)? {
            self.create_dir(&path, None)?;
        }
        Ok(path)
    }

    /// Returns `true` if this process may read, write or execute what `path` leads to.
    pub fn may(&self, path: &Path, access: AccessFlags) -> io::Result<bool> {
        Ok(
            nix::unistd::faccessat(AT_FDCWD, &self.locate(path)?, access, AtFlags::AT_EACCESS)
                .is_ok(),
        )
    }

    /// Returns once the disk has the file or directory at `path`.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        let real = self.locate(path)?;
        named(
            "sync",
            path,
            File::open(real).and_then(|file| file.sync_all()),
        )
    }

    /// Makes something under a temporary name beside `real` and renames it into place; removes it if either fails.
    fn replace(
        &self,
        path: &Path,
        real: &Path,
        verb: &str,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = temporary_beside(real);
        let result = make(&temporary).and_then(|()| fs::rename(&temporary, real));
        // Also after a rename between two names of one file, which leaves both.
        let left = fs::remove_file(&temporary);
        debug_assert!(result.is_err() || left.is_err() || verb == "link");
        if result.is_ok() {
            self.changed_beside(real);
        }
        named(verb, path, result)
    }

    fn changed_beside(&self, real: &Path) {
        if let (Ok(mut unsettled), Some(parent)) = (self.unsettled.lock(), real.parent()) {
            unsettled.insert(parent.to_path_buf());
        }
    }

    /// Returns once the disk has every name that this host's clones changed: for the end of a queue.
    ///
    /// Until then a loss of power may bring an old file back, whole: never half of a new one.
    pub fn settle(&self) -> io::Result<()> {
        let unsettled = match self.unsettled.lock() {
            Ok(mut unsettled) => std::mem::take(&mut *unsettled),
            Err(_) => return Ok(()),
        };
        for directory in unsettled {
            match File::open(&directory).and_then(|open| open.sync_all()) {
                // Gone again: there is nothing to keep.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => named("sync", &directory, result)?,
            }
        }
        Ok(())
    }

    /// Returns where `path` leads as the host sees it, all links resolved; what does not exist is kept as written.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.walk(path, true)
    }

    /// Like [`Sys::resolve`], but a link in the last place stays itself.
    pub fn resolve_parent(&self, path: &Path) -> io::Result<PathBuf> {
        self.walk(path, false)
    }

    /// Returns the real path of what `path` leads to. The kernel resolves links, except below a test's root.
    fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_host() {
            return Ok(path.to_path_buf());
        }
        self.walk(path, true).map(|path| self.real(&path))
    }

    /// Returns the real path of what lies at `path` itself, which may be a link.
    fn locate_link(&self, path: &Path) -> io::Result<PathBuf> {
        if self.is_host() {
            // A trailing slash would follow the link.
            return Ok(path.components().collect());
        }
        self.walk(path, false).map(|path| self.real(&path))
    }

    fn walk(&self, path: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let parts = |path: &Path| -> Vec<OsString> {
            let part = |component: Component| match component {
                Component::Normal(name) => Some(name.to_os_string()),
                Component::ParentDir => Some("..".into()),
                _ => None,
            };
            path.components().rev().filter_map(part).collect()
        };
        let mut ahead = parts(path);
        let mut walked = if path.is_absolute() || !self.is_host() {
            PathBuf::from("/")
        } else {
            std::env::current_dir()?
        };
        let mut n_links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                walked.pop();
                continue;
            }
            walked.push(name);
            if ahead.is_empty() && !follow_last {
                break;
            }
            let Ok(target) = fs::read_link(self.real(&walked)) else {
                continue;
            };
            n_links += 1;
            if n_links > MAX_LINKS {
                return named("follow", path, Err(io::Error::other("too many links")));
            }
            walked.pop();
            if target.is_absolute() {
                walked = PathBuf::from("/");
            }
            ahead.extend(parts(&target));
        }
        Ok(walked)
    }
}

/// Gives a new file the wished owner, else the old file's.
fn set_owner_of(file: &File, wish: Attributes, old: Option<&fs::Metadata>) -> io::Result<()> {
    let now = file.metadata()?;
    let uid = wish.uid.or(old.map(MetadataExt::uid));
    let gid = wish.gid.or(old.map(MetadataExt::gid));
    let uid = uid.filter(|uid| *uid != now.uid());
    let gid = gid.filter(|gid| *gid != now.gid());
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    match std::os::unix::fs::fchown(file, uid, gid) {
        // Nobody asked: a user who may write here but not give files away leaves the file to themselves, as Ansible does.
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && wish.uid.is_none()
                && wish.gid.is_none() =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Returns a name beside `real` that nothing has: hidden, and ending so that no `conf.d` reads it.
fn temporary_beside(real: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let start: String = name.chars().take(40).collect();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    real.with_file_name(format!(".{start}.krun-{}-{count}~", std::process::id()))
}

/// Returns the agent's umask, by which new files lose permissions.
pub fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    // The system call can only read it by changing it, which other threads would notice.
    *UMASK.get_or_init(|| {
        fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix("Umask:"))?;
                u32::from_str_radix(line.trim(), 8).ok()
            })
            .unwrap_or(0o022)
    })
}

/// Nothing there, or a file where a directory would have to be, is `None`.
fn absent_is_none<T>(path: &Path, result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => named("look at", path, Err(error)),
    }
}

/// Puts what was tried and the path before the system's reason.
fn named<T>(verb: &str, path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or(&reason);
        io::Error::new(
            error.kind(),
            format!(
                "cannot {verb} `{}`: {}",
                path.display(),
                lowercase_first(reason)
            ),
        )
    })
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests;
