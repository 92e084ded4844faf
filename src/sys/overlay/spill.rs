//! Gives bytes that were written over a host a private place on its disk, and takes that place away at the end.
//!
//! The directory can be entered but not listed by others, and every file in it has a name that cannot be guessed and, as
//! far as this user may set them, the owner and permissions of the file that it stands for. So another identity's agent
//! that is told the name can read what it could read in earnest, and nobody else anything.

use crate::sys::fs::Stat;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where the directory may be, the best first: on a disk rather than in memory.
const BASES: [&str; 3] = ["/var/tmp", "/tmp", "/dev/shm"];

/// A private directory, made when something is first put into it and removed with this value.
#[derive(Debug, Default)]
pub(super) struct Spill {
    directory: Mutex<Option<Held>>,
    /// Someone else's, who removes it.
    lent: Option<PathBuf>,
}

/// The directory, and the lock that tells others that its agent lives.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Spill {
    /// Uses a directory that stays.
    pub(super) fn lent(directory: PathBuf) -> Self {
        Self {
            directory: Mutex::default(),
            lent: Some(directory),
        }
    }

    /// Makes an empty file that only this user can read.
    pub(super) fn file(&self) -> io::Result<(PathBuf, File)> {
        let path = self
            .directory()?
            .join(format!("{:032x}", rand::random::<u128>()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok((path, file))
    }

    /// Makes an empty directory that only this user can enter.
    pub(super) fn subdirectory(&self) -> io::Result<PathBuf> {
        let path = self
            .directory()?
            .join(format!("{:032x}", rand::random::<u128>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    fn directory(&self) -> io::Result<PathBuf> {
        if let Some(lent) = &self.lent {
            return Ok(lent.clone());
        }
        let mut directory = self
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &*directory {
            return Ok(held.path.clone());
        }
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for base in BASES {
            let path = Path::new(base).join(format!("{}{:016x}", prefix(), rand::random::<u64>()));
            match hold(&path) {
                Ok(lock) => {
                    *directory = Some(Held {
                        path: path.clone(),
                        _lock: lock,
                    });
                    return Ok(path);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Spill {
    /// Removes the directory with all that is in it.
    pub(super) fn remove(&self) {
        let mut directory = self
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = directory.take() {
            let _ = fs::remove_dir_all(held.path);
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Gives a spilled file the owner and permissions of what it stands for, as far as this user may.
pub(super) fn share(spilled: &Path, stat: &Stat) {
    let may_give_away = Uid::effective().is_root();
    if may_give_away && std::os::unix::fs::lchown(spilled, Some(stat.uid), Some(stat.gid)).is_err()
    {
        return;
    }
    let is_own = may_give_away || stat.uid == Uid::effective().as_raw();
    let has_group = may_give_away || stat.gid == nix::unistd::Gid::effective().as_raw();
    let mask = if is_own && has_group { 0o777 } else { 0o700 };
    let mode = fs::Permissions::from_mode(stat.mode & mask);
    let _ = fs::set_permissions(spilled, mode);
}

/// Removes what agents of this user left that were killed.
pub fn sweep() {
    for entry in BASES.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_string_lossy().starts_with(&prefix())
            && entry
                .metadata()
                .is_ok_and(|found| found.is_dir() && found.uid() == Uid::effective().as_raw());
        if is_ours && let Ok(_nobody_else) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes a directory that others can enter, not list, and locks it.
fn hold(path: &Path) -> io::Result<Flock<File>> {
    // Not to be entered before it is locked: an agent that sweeps would take it for a dead one's.
    let hidden = path.with_file_name(format!(".{}", rand::random::<u64>()));
    DirBuilder::new().mode(0o700).create(&hidden)?;
    let lock = lock(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o711))?;
    fs::rename(&hidden, path)?;
    Ok(lock)
}

/// Takes the lock of a directory, if its agent is no more.
fn lock(directory: &Path) -> io::Result<Flock<File>> {
    Flock::lock(File::open(directory)?, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| errno.into())
}

fn prefix() -> String {
    format!("krun-overlay-{}-", Uid::effective())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_agent_left_is_swept_and_a_living_ones_is_not() {
        let left = Path::new(BASES[0]).join(format!("{}1", prefix()));
        fs::create_dir(&left).unwrap();
        let spill = Spill::default();
        let (living, _) = spill.file().unwrap();
        sweep();
        assert!(!left.exists());
        assert!(living.exists());
        drop(spill);
        assert!(!living.exists() && !living.parent().unwrap().exists());
    }

    #[test]
    fn a_file_that_only_its_owner_may_read_is_spilled_so() {
        let spill = Spill::default();
        let (path, file) = spill.file().unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        let mut stat = crate::sys::fs::stat(&metadata, None);
        stat.mode = 0o4640;
        share(&path, &stat);
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        let directory = path.parent().unwrap().metadata().unwrap();
        assert_eq!(directory.mode() & 0o777, 0o711);
    }
}
