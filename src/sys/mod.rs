//! The only way a module touches a host: files, processes, users, network, below one root directory.

pub mod before;
pub mod fs;
pub mod http;
mod made;
pub mod net;
pub mod overlay;
pub mod process;
pub mod users;

use before::{Keeper, Keeping};
use overlay::Rehearsal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A host as a module sees it. Cheap to clone; every task gets one of its own.
#[derive(Clone)]
pub struct Sys {
    root: PathBuf,
    cancel: Arc<AtomicBool>,
    progress: Arc<dyn Fn(&str) + Send + Sync>,
    deadline: Option<Instant>,
    /// Directories in which names changed that the disk may not have yet; see [`Sys::settle`].
    unsettled: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Environment of the commands that the task starts, beyond the agent's own.
    environment: Vec<(String, String)>,
    /// Takes all writes, in check mode.
    rehearsal: Option<Arc<Rehearsal>>,
    starts_programs: bool,
    origins: http::Origins,
    /// Nobody has looked at this host: what it has beyond what tasks made is unknown.
    is_imagined: bool,
    /// What was before, of all runs.
    keeper: Option<Arc<Keeper>>,
    /// Under what this task's changes are kept.
    keeping: Option<Arc<Keeping>>,
    made: Arc<made::Made>,
}

impl Sys {
    /// The host itself.
    pub fn host() -> Self {
        Self::at("/")
    }

    /// A host whose files all lie below `root`: what tests use.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            cancel: Arc::new(AtomicBool::new(false)),
            progress: Arc::new(|_| {}),
            deadline: None,
            unsettled: Arc::default(),
            environment: Vec::new(),
            rehearsal: None,
            starts_programs: true,
            origins: http::Origins::default(),
            is_imagined: false,
            keeper: None,
            keeping: None,
            made: Arc::new(made::Made::new()),
        }
    }

    /// Returns a host that is not contacted: only what tasks make of it is known, and nothing runs there.
    #[must_use]
    pub fn imagined(mut self) -> Self {
        self.is_imagined = true;
        self.starts_programs = false;
        self
    }

    pub fn is_imagined(&self) -> bool {
        self.is_imagined
    }

    /// Returns this host with a flag that ends waits and commands when it becomes true.
    #[must_use]
    pub fn with_cancel(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = cancel;
        self
    }

    /// Returns this host with a listener for what a long task says while it waits.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        self.progress = progress;
        self
    }

    /// Returns this host with an end for everything that the task does.
    #[must_use]
    pub fn with_deadline(mut self, limit: Option<Duration>) -> Self {
        self.deadline = limit.map(|limit| Instant::now() + limit);
        self
    }

    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// Returns `true` once the controller went away or took the task back.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// The flag itself, for loops that run elsewhere.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Says what a long task waits for; shown live by the controller.
    pub fn progress(&self, text: &str) {
        (self.progress)(text);
    }

    /// Returns where a program of the host finds `path`: of a file that only an overlay has, its copy.
    pub fn real(&self, path: &Path) -> PathBuf {
        match self.overlay() {
            Some(overlay) => {
                let resolved = self.resolve(path);
                overlay.real(resolved.as_deref().unwrap_or(path))
            }
            None => self.on_host(path),
        }
    }

    /// Returns where the host's own `path` really lies.
    fn on_host(&self, path: &Path) -> PathBuf {
        if self.root == Path::new("/") {
            return path.to_path_buf();
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns `true` for the host itself, `false` below a test's root (where no service, package or account exists).
    pub fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }
}
