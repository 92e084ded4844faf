//! What a run says while it works: the only thing that `run` says and that `report` and the run record hear.

pub mod cause;

use crate::diag::Span;
use crate::modules::diff::Diff;
use crate::value::{HostName, Mapping, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One thing that happened. Secrets are masked before an event exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub kind: EventKind,
}

impl EventKind {
    /// What a task came to on a host, with the label of the item; of a loop its items, not their sum.
    pub fn result(&self) -> Option<(&HostName, &TaskName, Option<&str>, &TaskResult)> {
        match self {
            Self::ItemEnded {
                host,
                task,
                label,
                result,
            } => Some((host, task, Some(label), result)),
            Self::TaskEnded { host, task, result } if !result.is_loop => {
                Some((host, task, None, result))
            }
            _ => None,
        }
    }
}

/// Where a task, play or handler was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct At {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl From<&Span> for At {
    fn from(span: &Span) -> Self {
        Self {
            file: span.path().display().to_string(),
            line: span.line,
            column: span.column,
        }
    }
}

/// A task as it is shown: `role : name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskName {
    pub title: String,
    pub at: At,
    pub module: String,
    pub is_handler: bool,
}

/// The dependency graph, as it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Names of the plays.
    pub plays: Vec<String>,
    pub nodes: Vec<GraphNode>,
    /// From, to, and why: positions in `nodes`.
    pub edges: Vec<(usize, usize, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphNode {
    /// Counted from 0.
    pub play: usize,
    /// Counted from 0.
    pub batch: usize,
    /// `None`: all hosts of the batch meet here.
    pub host: Option<HostName>,
    pub title: String,
    /// `task`, `gate`, `handler`, `deferred` or `barrier`.
    pub kind: String,
    pub at: Option<At>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum EventKind {
    RunStarted {
        run: String,
        playbooks: Vec<String>,
        check_mode: bool,
    },
    /// What the run will do and what waits for what; not said where it would be too large to look at.
    Planned {
        graph: Graph,
    },
    /// A `pause` waits for a line from the terminal.
    Asked {
        question: String,
    },
    Answered {},
    /// Something that the user should know and that stops nothing.
    Warning {
        text: String,
        at: Option<At>,
    },
    PlayStarted {
        name: String,
        at: At,
        hosts: usize,
    },
    /// No host of the inventory matches, or none is left.
    PlaySkipped {
        name: String,
        reason: String,
    },
    /// Counted from 1; `of` is the number of batches expected.
    BatchStarted {
        number: usize,
        of: usize,
        hosts: Vec<HostName>,
    },
    /// These hosts came to the end of the play, and well.
    BatchEnded {
        done: Vec<HostName>,
    },
    /// A review: what a host of the batch is in, and its variables as they are written.
    Inputs {
        host: HostName,
        groups: Vec<String>,
        vars: Mapping,
    },
    /// Why the next batch holds these hosts (`order: kafka`).
    OrderDecided {
        host: HostName,
        reason: String,
    },
    HostConnecting {
        host: HostName,
    },
    HostConnected {
        host: HostName,
        warm: bool,
        elapsed_ms: u64,
    },
    HostUnreachable {
        host: HostName,
        task: Option<TaskName>,
        message: String,
        causes: Vec<String>,
        help: Option<String>,
        ignored: bool,
    },
    TaskStarted {
        task: TaskName,
    },
    /// A host has begun a task or waits in it; for live display only.
    TaskProgress {
        host: HostName,
        task: TaskName,
        text: String,
    },
    ItemEnded {
        host: HostName,
        task: TaskName,
        label: String,
        result: TaskResult,
    },
    TaskRetrying {
        host: HostName,
        task: TaskName,
        attempt: u32,
        left: u32,
        result: TaskResult,
    },
    TaskEnded {
        host: HostName,
        task: TaskName,
        result: TaskResult,
    },
    Included {
        file: String,
        hosts: Vec<HostName>,
    },
    HandlerNotified {
        host: HostName,
        handler: String,
    },
    /// A handler runs although nothing notified it in this run: an earlier run stopped before its flush.
    HandlerKept {
        host: HostName,
        handler: String,
        reason: String,
    },
    /// What the run would do that is guarded, found before anything was done.
    Guarded {
        dangers: Vec<Danger>,
        /// `--allow-destroy`: it goes on; else it ends here.
        is_allowed: bool,
    },
    /// What `set_stats` said in the course of the run.
    CustomStats {
        of_run: Mapping,
        of_hosts: IndexMap<HostName, Mapping>,
    },
    /// The roll ends early.
    RollStopped(Stop),
    RunEnded {
        stats: IndexMap<HostName, Stats>,
        elapsed_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Ok,
    Changed,
    Skipped,
    Failed,
    /// Failed, and the task says `ignore_errors`.
    Ignored,
    /// Began, and its end was never heard of.
    Unknown,
    /// Taken back before or while it ran.
    Cancelled,
    /// Check mode: nobody can say what it would bring about; `msg` says why.
    Unforeseen,
}

/// How a task or an item of its loop ended on one host.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskResult {
    pub status: Status,
    /// The host that did the work, where `delegate_to` names one.
    pub delegated_to: Option<HostName>,
    /// What is shown in full at `-v`: the registered result.
    pub data: Mapping,
    pub msg: Option<String>,
    pub causes: Vec<String>,
    pub help: Option<String>,
    pub diffs: Vec<Diff>,
    pub warnings: Vec<String>,
    /// Milliseconds from its beginning on the host, or from its sending.
    pub elapsed_ms: u64,
    /// `debug` and `assert` output: shown without `-v`.
    pub show: Option<Value>,
    /// A loop of which each item had an event of its own.
    pub is_loop: bool,
    /// Of a plan that is saved: a hash of the diffs as they are, where masks cover some of them.
    #[serde(default)]
    pub covered: Option<String>,
    /// Check mode: not even the task's arguments, or whether it runs, could be known.
    #[serde(default)]
    pub is_dark: bool,
    /// What it destroys, or would, that nobody can bring back.
    #[serde(default)]
    pub destroys: Vec<String>,
    /// What of a cluster it stops, or would.
    #[serde(default)]
    pub stops: Option<String>,
    /// It ended in an earlier run, which this one goes on with.
    #[serde(default)]
    pub restored: bool,
    /// A failure that a `rescue` takes over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rescued: bool,
    /// Tells an action from another one of the same name.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// A review: what the task asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Mapping>,
}

impl TaskResult {
    pub fn new(status: Status) -> Self {
        Self {
            status,
            delegated_to: None,
            data: Mapping::new(),
            msg: None,
            causes: Vec::new(),
            help: None,
            diffs: Vec::new(),
            warnings: Vec::new(),
            elapsed_ms: 0,
            show: None,
            is_loop: false,
            covered: None,
            is_dark: false,
            destroys: Vec::new(),
            stops: None,
            restored: false,
            rescued: false,
            fingerprint: None,
            wish: None,
        }
    }
}

/// Something guarded that one task would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Danger {
    pub task: TaskName,
    /// What it would do: `remove `/data/kafka-logs` with 214 files, 3.2 GB`.
    pub what: String,
    pub hosts: Vec<HostName>,
}

/// Where a stopped roll stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stop {
    pub play: String,
    pub reason: String,
    /// Hosts whose batch is over and well.
    pub done: Vec<HostName>,
    /// Hosts that may be in the middle of something.
    pub between: Vec<HostName>,
    pub untouched: Vec<HostName>,
    /// The command that goes on.
    pub command: String,
    /// Said loudly: a service that the roll stopped and that is not running again.
    pub down: Vec<String>,
}

impl Stop {
    /// Its hosts by how far they came, each group with its name; a group may be empty.
    pub fn groups(&self) -> [(&'static str, &[HostName]); 3] {
        [
            ("done", &self.done),
            ("in between", &self.between),
            ("untouched", &self.untouched),
        ]
    }
}

/// A host's line of the recap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
    /// Tasks of which check mode cannot say what they would bring about.
    #[serde(default)]
    pub unforeseen: u32,
    /// A stopped roll never reached it.
    pub not_run: bool,
}
