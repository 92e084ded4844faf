//! Turns what a run says into files that outlive it, and back: what was run, from what, by whom, and how it went.
//!
//! One directory a run, `.krun/runs/RUN`, readable by its owner only:
//!
//! - `run.json`: [`Header`], written before any host is contacted.
//! - `git.json`: [`Git`], where the playbook stands in a repository.
//! - `included.jsonl`: [`Input`]s that were read while it went on.
//! - `events.jsonl`: every [`Event`](crate::event::Event) but mere progress, one a line, as it happens. Locked while the
//!   run goes on.
//! - `end.json`: [`End`]. It is missing where the run was killed.

mod git;
mod inputs;
mod read;
mod saved;
mod write;

pub use git::Git;
pub use inputs::{Became, Input, Inputs, difference};
pub use read::{Recorded, Runs, State};
pub use saved::SavedPlan;
pub use write::Recorder;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The form of the files; raised when an older krun could no longer read them.
const FORMAT: u32 = 1;
/// Runs that are kept where nobody says otherwise.
pub const KEPT: usize = 100;

/// What was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    /// The version of krun.
    pub krun: String,
    pub run: String,
    /// The command line, its secrets `***`.
    pub command: Vec<String>,
    /// Where it was started.
    pub directory: PathBuf,
    /// `user@machine`.
    pub who: String,
    /// Milliseconds since the epoch.
    pub began: u64,
    pub check_mode: bool,
    pub playbooks: Vec<String>,
    /// Every file that it may read, as it was then.
    pub inputs: Vec<Input>,
    /// The stopped run that this one went on with.
    #[serde(default)]
    pub resumes: Option<String>,
    /// The run that this one rolled back.
    #[serde(default)]
    pub rolls_back: Option<String>,
}

impl Header {
    pub fn new(run: &str) -> Self {
        Self {
            format: FORMAT,
            krun: env!("CARGO_PKG_VERSION").into(),
            run: run.into(),
            command: Vec::new(),
            directory: PathBuf::new(),
            who: String::new(),
            began: 0,
            check_mode: false,
            playbooks: Vec::new(),
            inputs: Vec::new(),
            resumes: None,
            rolls_back: None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Ok,
    /// A task failed, or a gate did not open.
    Failed,
    Unreachable,
    /// Ctrl-C.
    Interrupted,
}

/// A run's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub how: How,
    /// krun's exit code.
    pub code: u8,
    pub hosts: usize,
    /// Tasks that changed something, over all hosts.
    pub changed: u32,
    /// Tasks that failed, over all hosts.
    pub failed: u32,
}

/// Why a record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the record of this run cannot be written to `{}`: {error}", path.display())]
    Unwritable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the record `{}` cannot be read: {error}", path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the record `{}` was written by krun {krun}, in a form that this krun does not know", path.display())]
    Newer { path: PathBuf, krun: String },
    #[error("the plan cannot be written to `{}`: {error}", path.display())]
    PlanUnwritable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("`{}` cannot be used: {reason}", path.display())]
    PlanRefused { path: PathBuf, reason: String },
    #[error("no run `{0}` is recorded here")]
    NoSuchRun(String),
    #[error("`{text}` may be any of {runs}")]
    Ambiguous { text: String, runs: String },
}

/// Milliseconds since the epoch.
pub fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
