//! One kind of thing that krun manages on a host, a file each: `check` finds what stands between the host and the wish, `apply` does that and nothing else.

mod accounts;
pub mod apt;
pub mod args;
pub mod assemble;
pub mod attributes;
pub mod authorized_key;
pub mod blockinfile;
pub mod command;
pub mod conceal;
pub mod control;
pub mod copy;
pub mod cron;
pub mod diff;
pub mod digest;
pub mod dnf;
pub mod edit;
mod expand;
pub mod fetch;
mod fetched;
pub mod file;
pub mod find;
pub mod get_url;
pub mod getent;
pub mod glob;
pub mod group;
mod guarded;
pub mod hostname;
pub mod ini_file;
mod installing;
mod kafka_access;
pub mod kafka_carry_over;
pub mod kafka_exchange;
pub mod kafka_facts;
pub mod kafka_preferred_leaders;
pub mod kafka_safe_to_stop;
pub mod kafka_topic;
pub mod kafka_upgrade_check;
pub mod keys;
pub mod lineinfile;
mod loss;
pub mod mode;
pub mod package;
pub mod package_facts;
pub mod pattern;
pub mod ping;
pub mod place;
pub mod properties;
pub mod put_back;
pub mod raw;
mod registry;
pub mod replace;
mod restarting;
pub mod script;
pub mod service;
pub mod service_facts;
pub mod setup;
pub mod slurp;
pub mod stat;
pub mod sysctl;
pub mod systemd;
pub mod tempfile;
pub mod template;
pub mod timezone;
pub mod tool;
#[cfg(test)]
pub(crate) mod trial;
pub mod unarchive;
pub mod uri;
pub mod user;
pub mod wait_for;
pub mod wait_for_isr;
pub mod web;
pub mod words;

pub use fetched::FETCHING;
pub use guarded::GUARDED;
pub use installing::INSTALLING;
pub use registry::{Action, Entry, Place, entries, find};

use crate::sys::Sys;
use crate::value::Mapping;
use args::Arg;
use diff::Diff;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whether a module describes a state or does a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Applied and then checked again finds nothing to do.
    State,
    /// Runs when its turn comes unless `creates`/`removes` decide; never in check mode.
    Action,
    /// Only reads (`stat`, `slurp`, facts): runs in check mode too, is never a change.
    Look,
}

/// A module: typed, rendered arguments that know how to check and apply themselves.
///
/// The struct's fields are its arguments, already coerced by [`args::coerce`]; `ARGS` describes them to users,
/// to the linter and to the coercion.
pub trait Module: Serialize + DeserializeOwned + Send + 'static {
    const NAME: &'static str;
    const NATURE: Nature;
    /// Whether no other host could tell that it ran: the closed list of design.md §3.
    const HOST_ONLY: bool = false;
    /// Whether nobody can say what this action leaves on the host: a command.
    const LEAVES_UNKNOWN: bool = false;
    /// Whether this action has a `rehearse` for check mode: what only makes files makes them, what waits looks once.
    const REHEARSES: bool = false;
    const ARGS: &'static [Arg];
    /// User documentation: what it does, then a YAML example.
    const DOC: &'static str;
    /// What `check` found and `apply` needs.
    type Change;

    /// The places on the host that it reads and writes, all beneath them included; `None` if there may be others.
    fn places(&self) -> Option<Vec<PathBuf>> {
        None
    }

    /// Looks at the host, writes nothing.
    fn check(&self, sys: &Sys) -> Result<Found<Self::Change>, Error>;

    /// Brings about what `check` found. For an action: does it.
    fn apply(&self, sys: &Sys, change: Self::Change) -> Result<Outcome, Error>;

    /// What check mode does for `apply`, on a host whose writes go to an overlay and that starts no programs.
    ///
    /// The same, unless what `apply` changes is no file. `seen` is what `check` said.
    fn rehearse(&self, sys: &Sys, change: Self::Change, seen: Outcome) -> Result<Outcome, Error> {
        let _ = seen;
        self.apply(sys, change)
    }
}

/// What a look at the host found.
#[derive(Debug)]
pub struct Found<C> {
    /// What stands between the host and the wish; `None` when it is as wished.
    pub change: Option<C>,
    /// What is registered if nothing changes; in check mode, with the diffs, what would.
    pub outcome: Outcome,
}

impl<C> Found<C> {
    /// The host is as wished.
    pub fn same(outcome: Outcome) -> Self {
        Self {
            change: None,
            outcome,
        }
    }

    /// Something is to be done.
    pub fn change(change: C, outcome: Outcome) -> Self {
        Self {
            change: Some(change),
            outcome: Outcome {
                changed: true,
                ..outcome
            },
        }
    }
}

/// What a task brought about: what `register` stores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub changed: bool,
    /// Nothing was done because the module itself decided so (`creates`).
    #[serde(default)]
    pub skipped: bool,
    #[serde(default)]
    pub msg: Option<String>,
    /// Further keys of the registered result (`stdout`, `stat`, `rc`, `dest`, …).
    #[serde(default)]
    pub data: Mapping,
    /// Merged into `ansible_facts`.
    #[serde(default)]
    pub facts: Mapping,
    #[serde(default)]
    pub diffs: Vec<Diff>,
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Check mode: why nobody can say what this task would bring about.
    #[serde(default)]
    pub unknown: Option<String>,
    /// What is lost when it is done, and nobody can bring back: guarded, unless the user allows it.
    #[serde(default)]
    pub destroys: Vec<String>,
    /// What of a cluster it stops: `Kafka broker`.
    #[serde(default)]
    pub stops: Option<String>,
    /// Partitions that would keep too few replicas in sync without what it stops.
    #[serde(default)]
    pub shortens: Vec<String>,
}

impl Outcome {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn changed(mut self) -> Self {
        self.changed = true;
        self
    }

    #[must_use]
    pub fn msg(mut self, msg: impl Into<String>) -> Self {
        self.msg = Some(msg.into());
        self
    }

    /// Adds a key to the registered result.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<crate::value::Value>) -> Self {
        self.data.insert(key.into(), value.into());
        self
    }

    /// Check mode: a wait that would not end at once, and what its one look saw.
    #[must_use]
    pub fn would_wait(seen: impl std::fmt::Display) -> Self {
        let why = format!("would wait: {seen}");
        Self {
            skipped: true,
            unknown: Some(why.clone()),
            ..Self::new().msg(why)
        }
    }

    #[must_use]
    pub fn diff(mut self, diff: Diff) -> Self {
        self.diffs.push(diff);
        self
    }
}

/// A task that failed on its host: what happened, why, and what is registered all the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Lowercase, no full stop, the user's words in backticks.
    pub message: String,
    /// The chain of causes, the nearest first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to do about it, where that is known.
    #[serde(default)]
    pub help: Option<String>,
    /// Keys of the registered result (`rc`, `stdout`, `stderr`, …).
    #[serde(default)]
    pub data: Mapping,
    /// What had changed before it failed.
    #[serde(default)]
    pub diffs: Vec<Diff>,
}

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Adds a cause below the message.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<crate::value::Value>) -> Self {
        self.data.insert(key.into(), value.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.causes
            .iter()
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    /// The host's files and processes name in their errors what was tried.
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// What the one who runs a module says when `check` found a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    Apply,
    /// Check mode: report what would change.
    OnlyShow,
    /// Taken back before it began.
    Cancelled,
}

/// How a run of a module ended short of a failure.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it at a time, and it is handed on, not kept"
)]
pub enum Ran {
    Done(Outcome),
    Cancelled,
}

/// Checks, asks for permission where something would change or be done, applies: once for all modules.
pub fn run<M: Module>(
    module: &M,
    sys: &Sys,
    permission: &mut dyn FnMut(&Outcome) -> Permission,
) -> Result<Ran, Error> {
    let found = module.check(sys)?;
    let Some(change) = found.change else {
        return Ok(Ran::Done(found.outcome));
    };
    let (destroys, stops) = (found.outcome.destroys.clone(), found.outcome.stops.clone());
    let ran = match permission(&found.outcome) {
        Permission::Apply => module.apply(sys, change).map(Ran::Done),
        Permission::OnlyShow
            if M::NATURE == Nature::Action && !(M::REHEARSES && sys.overlay().is_some()) =>
        {
            if M::LEAVES_UNKNOWN {
                sys.leave_unknown();
            }
            let why = format!("{} does not run in check mode", M::NAME);
            Ok(Ran::Done(Outcome {
                skipped: true,
                unknown: Some(why.clone()),
                msg: Some(why),
                ..Outcome::default()
            }))
        }
        Permission::OnlyShow if sys.overlay().is_some() => module
            .rehearse(&sys.clone().without_programs(), change, found.outcome)
            .map(Ran::Done),
        Permission::OnlyShow => Ok(Ran::Done(found.outcome)),
        Permission::Cancelled => Ok(Ran::Cancelled),
    };
    ran.map(|ran| match ran {
        Ran::Done(outcome) => Ran::Done(Outcome {
            destroys,
            stops,
            ..outcome
        }),
        Ran::Cancelled => Ran::Cancelled,
    })
}
