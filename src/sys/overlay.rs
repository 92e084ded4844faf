//! Turns writes into what a host would hold after them, without writing to it: what check mode and plans stand on.
//!
//! Paths that come here have been resolved by [`Sys`], through this overlay and the host alike: no link is on their way.
//! Reads see the host wherever nothing was written. Contents lie in private files ([`spill`]); mode, owner and group are
//! only noted, so that no right is needed to give a file to somebody, except the one that the host itself would ask for
//! ([`allowed`]).

mod allowed;
mod change;
mod kept;
mod layer;
mod lend;
mod spill;

pub use layer::Layer;
pub use lend::Lent;
pub use spill::sweep;

use crate::sys::Sys;
use crate::sys::fs::Stat;
use allowed::Ground;
use layer::{Content, Seen};
use nix::errno::Errno;
use nix::unistd::AccessFlags;
use spill::Spill;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One task's view of an overlay, and what the task leaves to be said.
#[derive(Debug)]
pub(super) struct Rehearsal {
    overlay: Arc<Overlay>,
    /// What it looked for and the host does not have.
    missed: Mutex<Vec<String>>,
    /// Why nobody can say what it looked at.
    unknown: Mutex<Option<String>>,
    /// Why what it looked at may be something else.
    assumed: Mutex<Option<String>>,
    /// Where nothing lies, so that its result is what it is.
    absent: Mutex<Option<PathBuf>>,
    /// What it looked at and may see only once earlier tasks are done.
    opened: Mutex<Option<PathBuf>>,
    leaves_unknown: AtomicBool,
}

/// What was written over a host.
#[derive(Debug)]
pub struct Overlay {
    base: PathBuf,
    layer: Mutex<Layer>,
    spill: Arc<Spill>,
}

impl Sys {
    /// Returns this host with an overlay, for one task: from here on, nothing is written to it.
    #[must_use]
    pub fn over(mut self, overlay: Arc<Overlay>) -> Self {
        self.rehearsal = Some(Arc::new(Rehearsal {
            overlay,
            missed: Mutex::default(),
            unknown: Mutex::default(),
            assumed: Mutex::default(),
            absent: Mutex::default(),
            opened: Mutex::default(),
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

    /// Returns why nobody can say what the task looked at, if it looked at such a thing.
    pub fn met_unknown(&self) -> Option<String> {
        self.rehearsal.as_ref()?.unknown.lock().ok()?.clone()
    }

    /// Notes that the task looked at what nobody can say.
    pub(super) fn meet_unknown(&self, cause: String) {
        if let Some(task) = &self.rehearsal
            && let Ok(mut unknown) = task.unknown.lock()
        {
            *unknown = Some(cause);
        }
    }

    /// Returns the last thing that the task looked for in vain.
    pub fn missed(&self) -> Option<String> {
        let task = self.rehearsal.as_ref()?;
        task.missed.lock().ok()?.last().cloned()
    }

    /// Returns why what the task looked at may be something else, if it looked at such a thing.
    pub fn met_assumed(&self) -> Option<String> {
        self.rehearsal.as_ref()?.assumed.lock().ok()?.clone()
    }

    /// Returns what the task looked at that only an earlier task would let this user see.
    pub fn met_opened(&self) -> Option<PathBuf> {
        self.rehearsal.as_ref()?.opened.lock().ok()?.clone()
    }

    pub(super) fn meet_opened(&self, path: &Path) {
        if let Some(task) = &self.rehearsal
            && let Ok(mut opened) = task.opened.lock()
        {
            *opened = Some(path.to_path_buf());
        }
    }

    /// Looks at something that no file says: it may be otherwise than it is now.
    pub fn meet(&self, what: &str) {
        let overlay = self.overlay();
        if let Some(cause) = overlay.and_then(|overlay| overlay.why_doubted(what)) {
            self.meet_assumed(cause);
        }
    }

    pub(super) fn meet_assumed(&self, cause: String) {
        if let Some(task) = &self.rehearsal
            && let Ok(mut assumed) = task.assumed.lock()
        {
            *assumed = Some(cause);
        }
    }

    /// Notes that the task's result would be another one if there were a file at this path, where none is now.
    pub fn rest_on_absence(&self, path: &Path) {
        if let (Some(task), Ok(place)) = (&self.rehearsal, self.resolve(path))
            && task.overlay.is_untouched(&place)
            && let Ok(mut absent) = task.absent.lock()
        {
            *absent = Some(place);
        }
    }

    /// Returns the path at which the task's result rests on nothing being there.
    pub fn rests_on_absence(&self) -> Option<PathBuf> {
        self.rehearsal.as_ref()?.absent.lock().ok()?.clone()
    }

    /// Whether this is among the things that the task looked for in vain.
    pub fn has_missed(&self, what: &str) -> bool {
        let task = self.rehearsal.as_ref();
        let missed = task.and_then(|task| task.missed.lock().ok());
        missed.is_some_and(|missed| missed.iter().any(|it| it == what))
    }

    /// Returns an overlay of this host to which nothing has been written.
    pub fn new_overlay(&self) -> Arc<Overlay> {
        Arc::new(Overlay {
            base: self.root.clone(),
            layer: Mutex::default(),
            spill: Arc::default(),
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

    /// Returns a copy to which a task may be tried that perhaps does not run.
    pub fn fork(&self) -> Arc<Self> {
        Arc::new(Self {
            base: self.base.clone(),
            layer: Mutex::new(self.layer()),
            spill: Arc::clone(&self.spill),
        })
    }

    /// Makes unknown whatever was written to a fork, for this reason.
    pub fn blur(&self, fork: &Self, cause: &str) {
        let tried = fork.layer();
        self.lock().blur(&tried, cause);
    }

    /// Notes that what lies at a path is so only if nothing else lay there before, for this reason.
    pub fn assume(&self, path: &Path, cause: &str) {
        self.doubt(&path.display().to_string(), cause);
    }

    /// Notes that something that no file says, a unit say, may be otherwise, for this reason.
    pub fn doubt(&self, what: &str, cause: &str) {
        self.note(&doubted(what), cause);
    }

    fn why_doubted(&self, what: &str) -> Option<String> {
        self.lock().notes.get(&doubted(what)).cloned()
    }

    /// Returns why what lies at a path may be something else.
    pub(super) fn why_assumed(&self, path: &Path) -> Option<String> {
        let mut above = path.ancestors();
        above.find_map(|path| self.why_doubted(&path.display().to_string()))
    }

    /// Returns why nobody can say what lies at a path.
    pub(super) fn why_unknown(&self, path: &Path) -> Option<String> {
        match self.lock().seen(path) {
            Seen::Unknown(cause) => Some(cause.to_owned()),
            _ => None,
        }
    }

    /// Whether this user may look at a path only once what the overlay holds is done.
    pub(super) fn opens(&self, path: &Path) -> bool {
        self.ground(&self.lock()).opens(path)
    }

    /// Notes that a task may bring something to where nothing is.
    pub fn expect(&self, path: &Path, cause: &str) {
        self.doubt(&format!("new {}", path.display()), cause);
    }

    /// Returns why something may have come to where nothing was.
    pub fn why_expected(&self, path: &Path) -> Option<String> {
        self.why_doubted(&format!("new {}", path.display()))
    }

    /// Whether the host itself, not the overlay, decides what lies at a path.
    pub(super) fn is_untouched(&self, path: &Path) -> bool {
        matches!(self.lock().seen(path), Seen::Host(_))
    }

    /// Whether a task has removed what lay at a path.
    pub(super) fn is_removed(&self, path: &Path) -> bool {
        self.lock().is_removed(path)
    }

    /// Counts the changes so far.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Removes the private files: for the end of an agent, which does not wait for the last who holds this.
    pub fn clear(&self) {
        self.spill.remove();
    }

    /// Notes what no file says: that a unit would run, say.
    pub fn note(&self, what: &str, value: &str) {
        let mut layer = self.lock();
        layer.version += 1;
        layer.notes.insert(what.to_owned(), value.to_owned());
    }

    /// Takes back a note.
    pub fn forget(&self, what: &str) {
        self.lock().notes.remove(what);
    }

    pub fn has_note(&self, what: &str) -> bool {
        self.lock().notes.contains_key(what)
    }

    /// Returns all notes whose name begins so, without that beginning.
    pub fn notes(&self, start: &str) -> Vec<(String, String)> {
        let layer = self.lock();
        let notes = layer.notes.range(start.to_owned()..);
        notes
            .map_while(|(what, value)| Some((what.strip_prefix(start)?, value)))
            .map(|(what, value)| (what.to_owned(), value.clone()))
            .collect()
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
            Seen::Unknown(cause) => Err(allowed::unknown(path, cause)),
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
            Seen::Nothing | Seen::Unknown(_) => path.to_path_buf(),
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
            Seen::Unknown(cause) => Err(allowed::unknown(path, cause)),
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
}

fn doubted(what: &str) -> String {
    format!("doubt {what}")
}

#[cfg(test)]
mod tests;
