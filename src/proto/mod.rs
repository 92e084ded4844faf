//! What controller and agent say to each other: typed messages, one a frame.

pub mod frame;

use crate::modules::{Action, Error, Outcome};
pub use crate::sys::http::Origin;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

/// Raised with every change of a message; both sides must agree.
pub const VERSION: u32 = 7;

/// Numbers a task on one link; rises in the order of the queue.
pub type Seq = u64;

/// How a link notices that bytes no longer arrive, though nobody has hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often the controller says [`ToAgent::Alive`], which the agent answers.
    pub every: Duration,
    /// How long either side waits for a byte of the other before it takes it to be gone.
    pub limit: Duration,
}

impl Default for Heartbeat {
    /// Every 10 s, and 40 s at most: what ssh's keepalives come to where nothing else says a time.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(10),
            limit: Duration::from_secs(40),
        }
    }
}

/// From the controller to the agent.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToAgent {
    /// The first message on every link.
    Hello(Hello),
    /// Joins the end of its lane's queue.
    Task(Box<Task>),
    /// The task's turn has come: what its check found may be applied.
    Grant(Seq),
    /// Take this task back: what has not begun is dropped, a wait ends, a command gets TERM.
    Cancel(Seq),
    /// Take this task back unless its change has begun: then it goes on.
    TakeBack(Seq),
    /// Take everything back, as the end of input does.
    CancelAll,
    /// Ask for the journal (after a lost connection).
    Journal,
    /// From a login agent to an agent of another user: what was written over the host so far, in check mode.
    Overlay(ByteBuf),
    /// Nothing but a sign of life; answered with one.
    Alive,
    /// This handler is due on this host until [`ToAgent::HandlerRan`] says otherwise.
    HandlerDue(Due),
    HandlerRan(Due),
    /// The answer to [`FromAgent::Fetch`]; an empty piece is the end.
    Supply {
        seq: Seq,
        piece: Result<ByteBuf, String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    /// Who drives: `user@machine, process 4711, since 03:12`. Named to a second controller.
    pub controller: String,
    /// The run's identity, for the journal.
    pub run: String,
    /// The host's name in the inventory: the same run under the same name has come back after a lost connection.
    pub host: String,
    /// Check mode of the whole run: each task sees what those before it would have written.
    pub check_mode: bool,
    /// The playbooks' file names: whose kept handlers the controller asks for.
    pub playbooks: String,
    /// An agent that hears nothing for so long drops what has not begun, and ends with what has. `None`: it waits for ever.
    pub silence_limit: Option<Duration>,
}

/// A handler that was notified on a host and has not run there. Told apart by all but `notified_by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub playbooks: String,
    pub play: String,
    /// The host's name in the inventory, as two of them may lead to one machine.
    pub host: String,
    pub handler: String,
    /// The task that changed something.
    pub notified_by: String,
}

impl Due {
    /// Whether both mean the same handler of the same play.
    pub fn is_same<'a>(&'a self, other: &'a Self) -> bool {
        let key = |due: &'a Self| (&due.handler, &due.host, &due.play, &due.playbooks);
        key(self) == key(other)
    }
}

/// One action for one host.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of the task"
)]
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    pub seq: Seq,
    /// Tasks of one lane run in their order; lanes are independent (a delegated task runs in its original host's lane).
    pub lane: u32,
    /// A failure drops what stands behind it in its lane, but not tasks of its own group: the items of one loop all run.
    pub group: u64,
    /// Raised by the controller each time it has heard of a failure in the lane. After a failure the agent drops
    /// every task of that lane with this epoch or a lower one, those still on the wire included.
    pub epoch: u32,
    /// The task's address, for the journal: `kafka › Write server.properties`.
    pub name: String,
    pub action: Action,
    /// Who runs it; `None` is the login user.
    pub identity: Option<Identity>,
    pub environment: Vec<(String, String)>,
    /// May apply without asking.
    pub granted: bool,
    /// Check mode: show what would change, write only to an overlay of the host.
    pub check_mode: bool,
    /// No later task sees what it would have written, even in a run in check mode.
    pub only_looks: bool,
    /// Whatever it does, the user says that it changes nothing: `changed_when: false`.
    pub changes_nothing: bool,
    /// Check mode: why nobody can say whether the task runs at all.
    pub perhaps: Option<String>,
    /// Seconds, counted from when it begins on the host.
    pub deadline: Option<u64>,
    /// A failure does not drop what stands behind it in its lane.
    pub ignore_errors: bool,
    /// Handlers that are due on this host from the moment the task begins to change something: even a controller and an
    /// agent that are killed in the middle leave them.
    pub notifies: Vec<Due>,
    /// What is guarded may be done: a directory that is older than the run may be removed with what is in it.
    pub allow_destroy: bool,
    /// Why a server of a cluster that stops here would not be the only one.
    pub crowd: Option<String>,
    /// URLs of the action whose bytes do not just come from their server.
    pub origins: Vec<Origin>,
    /// How what it changes is kept for a rollback.
    pub keeps: Keeps,
}

/// Under what an agent keeps what a task changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeps {
    /// The play of the run, counted from 1.
    pub play: usize,
    /// The task says `no_log`.
    pub is_secret: bool,
}

/// Another user than the one who logged in.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// `sudo` or `su`.
    pub method: String,
    pub user: String,
    /// Further flags of the method; `None` for its usual ones (`-H -S -n`).
    pub flags: Option<String>,
    /// Plain here, as the frame needs it; never logged.
    pub password: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.user)
    }
}

/// From the agent to the controller.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromAgent {
    /// The answer to `Hello`.
    Ready(Ready),
    /// Another controller is at work here.
    Busy {
        controller: String,
    },
    /// Another version: this agent cannot serve.
    Refused {
        reason: String,
    },
    /// The check found something to do and the task is not granted; carries what would change.
    Waiting {
        seq: Seq,
        outcome: Outcome,
    },
    /// Applying has begun (journalled before this is sent).
    Began {
        seq: Seq,
    },
    /// What a long task waits for.
    Progress {
        seq: Seq,
        text: String,
    },
    Ended {
        seq: Seq,
        result: Result<Outcome, Error>,
    },
    /// Asks for a piece of what the controller has under a URL, from that byte on.
    Fetch {
        seq: Seq,
        url: String,
        from: u64,
    },
    /// Never began: taken back, or behind a failure in its lane.
    Dropped {
        seq: Seq,
    },
    Journal(Vec<JournalEntry>),
    /// From an agent of another user to the login agent, before `Ended`: the overlay with what the task wrote over it.
    Overlay {
        seq: Seq,
        layer: ByteBuf,
    },
    /// The answer to [`ToAgent::Alive`].
    Alive,
}

impl FromAgent {
    /// Returns which task this is about, if it is about one.
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Self::Waiting { seq, .. }
            | Self::Began { seq }
            | Self::Progress { seq, .. }
            | Self::Ended { seq, .. }
            | Self::Overlay { seq, .. }
            | Self::Fetch { seq, .. }
            | Self::Dropped { seq } => Some(*seq),
            Self::Ready(_)
            | Self::Busy { .. }
            | Self::Refused { .. }
            | Self::Journal(_)
            | Self::Alive => None,
        }
    }

    /// Returns which task this is the end of.
    pub fn ends(&self) -> Option<Seq> {
        let is_end = matches!(self, Self::Ended { .. } | Self::Dropped { .. });
        self.seq().filter(|_| is_end)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    pub version: u32,
    /// `/etc/machine-id`, or empty: two inventory names may lead to one machine.
    pub machine: String,
    pub hostname: String,
    pub user: String,
    /// `true` where the agent was already cached on the host.
    pub warm: bool,
    /// Handlers of the greeting's playbooks that earlier runs left, whichever machine they ran from.
    pub due: Vec<Due>,
}

/// One line of the agent's journal, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub run: String,
    /// The host's name in the inventory, as two of them may lead to one machine.
    #[serde(default)]
    pub host: String,
    pub seq: Seq,
    pub name: String,
    /// Seconds since the epoch.
    pub at: u64,
    pub what: JournalMark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalMark {
    /// Synced before anything changes.
    Began,
    Ended {
        /// As the module saw it.
        changed: bool,
    },
    Failed,
    /// Taken back or ended in the middle.
    Cancelled,
}
