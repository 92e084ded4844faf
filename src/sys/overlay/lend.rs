//! Gives a program that knows nothing of overlays private copies of the files that it works on, and takes back what it wrote.

use crate::sys::Sys;
use crate::sys::fs::{Attributes, Stat};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory that stands for the host's root; removed with this value.
pub struct Lent<'a> {
    sys: &'a Sys,
    root: PathBuf,
}

impl Sys {
    /// Returns an empty root that only this user can enter. Without an overlay there is none to be had.
    pub fn lend(&self) -> io::Result<Lent<'_>> {
        let overlay = self
            .overlay()
            .ok_or_else(|| io::Error::other("there is no overlay to work on"))?;
        Ok(Lent {
            sys: self,
            root: overlay.spill.subdirectory()?,
        })
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Lent<'_> {
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Copies a file, if there is one.
    pub fn file(&self, path: &Path) -> io::Result<()> {
        let Some(stat) = self.sys.stat(path)?.filter(Stat::is_file) else {
            return Ok(());
        };
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let place = self.place(path);
        fs::write(&place, self.sys.read(path)?)?;
        own(&place, &stat)
    }

    /// Makes a directory that the host has, and those above it, empty.
    pub fn directory(&self, path: &Path) -> io::Result<()> {
        let Some(stat) = self.sys.stat(path)?.filter(Stat::is_dir) else {
            return Ok(());
        };
        let place = self.place(path);
        if place.exists() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        fs::create_dir(&place)?;
        own(&place, &stat)
    }

    /// Copies a directory with all that is in it.
    pub fn tree(&self, path: &Path) -> io::Result<()> {
        self.directory(path)?;
        for name in self.sys.list(path).unwrap_or_default() {
            let path = path.join(name);
            match self.sys.lstat(&path)? {
                Some(stat) if stat.is_dir() => self.tree(&path)?,
                Some(stat) if stat.is_file() => self.file(&path)?,
                Some(stat) => {
                    if let Some(target) = &stat.link_target {
                        std::os::unix::fs::symlink(target, self.place(&path))?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Puts into the overlay whatever is not as it was lent. What is gone here stays there.
    pub fn take_back(&self) -> io::Result<()> {
        self.take_back_from(Path::new("/"))
    }

    fn take_back_from(&self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.place(directory))? {
            let entry = entry?;
            let (path, metadata) = (directory.join(entry.file_name()), entry.metadata()?);
            let now = self.sys.lstat(&path)?;
            let attributes = Attributes {
                mode: Some(metadata.mode() & 0o7777),
                uid: Some(metadata.uid()),
                gid: Some(metadata.gid()),
                mtime: None,
            };
            if metadata.is_dir() {
                if now.is_none() {
                    self.sys.create_dir(&path, attributes.mode)?;
                    self.sys.set_owner(&path, attributes.uid, attributes.gid)?;
                }
                self.take_back_from(&path)?;
            } else if metadata.is_symlink() {
                if now.is_none() {
                    self.sys.symlink(&fs::read_link(entry.path())?, &path)?;
                    self.sys.set_owner(&path, attributes.uid, attributes.gid)?;
                }
            } else {
                let content = fs::read(entry.path())?;
                if now.is_none() || self.sys.read(&path)? != content {
                    self.sys.write_atomic(&path, &content, attributes)?;
                }
            }
        }
        Ok(())
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Gives a copy the owner and permissions of what it stands for.
fn own(place: &Path, stat: &Stat) -> io::Result<()> {
    match std::os::unix::fs::chown(place, Some(stat.uid), Some(stat.gid)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    fs::set_permissions(place, fs::Permissions::from_mode(stat.mode))
}
