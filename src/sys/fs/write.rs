//! Turns wishes for files into atomic writes: a temporary file beside the old one, synced and renamed into its place.

use super::{Attributes, Durability, Sys, named, umask};
use nix::sys::time::TimeSpec;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

impl Sys {
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
        if let Some((overlay, place)) = self.overlaid(path, false)? {
            return named("write", path, overlay.write(&place, content, attributes));
        }
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

    /// Makes something under a temporary name beside `real` and renames it into place; removes it if either fails.
    pub(super) fn replace(
        &self,
        path: &Path,
        real: &Path,
        verb: &str,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        self.keep(path, false)?;
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

    pub(super) fn changed_beside(&self, real: &Path) {
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
