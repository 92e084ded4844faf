//! Turns paths of a host into what lies there, and wishes for files into atomic writes: the only writer of files.
//!
//! A file is replaced by making a temporary one beside it, giving it its content, owner and mode, syncing it and
//! renaming it into place. Whatever goes wrong before the rename removes the temporary file and leaves the old one whole.
//! Every error names the path and what was tried.

mod stat;
mod walk;
mod write;

pub(super) use stat::stat;
pub use stat::{Kind, Stat, Time};

use super::Sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::AccessFlags;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            let mut content = Vec::new();
            let read = overlay
                .open(&place)
                .and_then(|mut file| file.read_to_end(&mut content));
            return named("read", path, read.map(|_| content));
        }
        named("read", path, fs::read(self.locate(path)?))
    }

    /// Opens a file for reading, through links.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            return named("open", path, overlay.open(&place));
        }
        named("open", path, File::open(self.locate(path)?))
    }

    /// Returns what lies at `path` itself, a link not followed; `None` if nothing does.
    pub fn lstat(&self, path: &Path) -> io::Result<Option<Stat>> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named("look at", path, overlay.lstat(&place));
        }
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
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            return named("look at", path, overlay.lstat(&place));
        }
        absent_is_none(path, fs::metadata(self.locate(path)?))
            .map(|found| found.map(|metadata| stat(&metadata, None)))
    }

    /// Returns `true` if `path` leads to something.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        self.stat(path).map(|found| found.is_some())
    }

    /// Returns where the link at `path` points, as written in it.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            let target = overlay.link_target(&place);
            return named("read link", path, target.ok_or(Errno::EINVAL.into()));
        }
        named("read link", path, fs::read_link(self.locate_link(path)?))
    }

    /// Returns the names in a directory, sorted.
    pub fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            return named("list", path, overlay.list(&place));
        }
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
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            named("create directory", path, overlay.create_dir(&place, mode))?;
            self.note_made(place);
            return Ok(());
        }
        self.keep(path, false)?;
        let real = self.locate_link(path)?;
        // Never wider than asked, not even before its mode is set.
        let created = fs::DirBuilder::new()
            .mode(mode.unwrap_or(0o777))
            .create(&real);
        named("create directory", path, created)?;
        self.note_made(self.resolve_parent(path)?);
        mode.map_or(Ok(()), |mode| self.set_mode(path, mode))
    }

    /// Makes `path` a link to `target`, in place of any file or link there: made under a temporary name and renamed.
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named("link", path, overlay.symlink(target, &place));
        }
        let real = self.locate_link(path)?;
        self.replace(path, &real, "link", |temporary| {
            std::os::unix::fs::symlink(target, temporary)
        })
    }

    /// Makes `path` another name of the file at `source`, in place of any file or link there.
    pub fn hardlink(&self, source: &Path, path: &Path) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            let source = self.resolve_parent(source)?;
            return named("link", path, overlay.hardlink(&source, &place));
        }
        let (source, real) = (self.locate_link(source)?, self.locate_link(path)?);
        self.replace(path, &real, "link", |temporary| {
            fs::hard_link(&source, temporary)
        })?;
        // A rename between two names of one file does nothing and leaves both.
        Ok(())
    }

    /// Removes a file or link.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named("remove", path, overlay.remove(&place, false));
        }
        self.keep(path, false)?;
        named("remove", path, fs::remove_file(self.locate_link(path)?))
    }

    /// Removes a file, a link or a directory with all that is in it; links in it are not followed.
    pub fn remove_tree(&self, path: &Path) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named("remove", path, overlay.remove(&place, true));
        }
        self.keep_tree(path)?;
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
        if let Some((overlay, place)) = self.overlaid(from, false)? {
            let to = self.resolve_parent(to)?;
            return named("rename", from, overlay.rename(&place, &to));
        }
        self.keep_tree(from)?;
        self.keep_tree(to)?;
        let (from_real, to_real) = (self.locate_link(from)?, self.locate_link(to)?);
        named("rename", from, fs::rename(&from_real, &to_real))?;
        self.changed_beside(&from_real);
        self.changed_beside(&to_real);
        Ok(())
    }

    /// Sets the permission bits of what `path` leads to.
    pub fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            return named("set the mode of", path, overlay.set_mode(&place, mode));
        }
        self.keep(path, true)?;
        let real = self.locate(path)?;
        named(
            "set the mode of",
            path,
            fs::set_permissions(real, fs::Permissions::from_mode(mode)),
        )
    }

    /// Sets the owner and group of what lies at `path`; a link itself, not where it leads.
    pub fn set_owner(&self, path: &Path, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named(
                "set the owner of",
                path,
                overlay.set_owner(&place, uid, gid),
            );
        }
        self.keep(path, false)?;
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
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            let set = overlay.set_times(&place, atime, mtime);
            return named("set the times of", path, set);
        }
        self.keep(path, false)?;
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

    /// Returns a directory for private files that are soon removed: `/tmp`, made below a test's root.
    pub fn temporary_directory(&self) -> io::Result<PathBuf> {
        let path = PathBuf::from("/tmp");
        if !self.is_host() && !self.exists(&path)? {
            self.create_dir(&path, None)?;
        }
        Ok(path)
    }

    /// Writes what comes to a file without a name, which goes when nobody holds it; returns it at its beginning.
    pub fn spool(&self, content: &mut dyn io::Read) -> io::Result<File> {
        let mut file = tempfile::tempfile_in(self.on_host(&self.temporary_directory()?))?;
        io::copy(content, &mut file)?;
        io::Seek::rewind(&mut file)?;
        Ok(file)
    }

    /// Returns `true` if this process may read, write or execute what `path` leads to.
    pub fn may(&self, path: &Path, access: AccessFlags) -> io::Result<bool> {
        if let Some((overlay, place)) = self.overlaid(path, true)? {
            return Ok(overlay.may(&place, access));
        }
        Ok(
            nix::unistd::faccessat(AT_FDCWD, &self.locate(path)?, access, AtFlags::AT_EACCESS)
                .is_ok(),
        )
    }

    /// Returns once the disk has the file or directory at `path`.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        if self.overlay().is_some() {
            return Ok(());
        }
        let real = self.locate(path)?;
        named(
            "sync",
            path,
            File::open(real).and_then(|file| file.sync_all()),
        )
    }
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
