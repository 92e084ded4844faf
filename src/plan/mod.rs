//! Turns a playbook and an inventory into a plan: for each play the steps in their order, the batches as slots, and the graph that joins them.

pub mod expand;
pub mod graph;
mod handlers;
mod lint;
mod order;
mod prune;
pub mod serial;
pub mod show;
pub mod why;

pub use expand::Ids;
pub use handlers::Handlers;
pub use prune::Selection;

use crate::diag::{Diagnostics, Span};
use crate::inventory::{Inventory, Limit};
use crate::playbook::{Play, Playbook, Task};
use crate::template::Templar;
use crate::value::{Dict, HostName};
use graph::Graph;
use std::collections::HashSet;
use std::sync::Arc;

/// All plays, ready to run, and the graph for those who want to see it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub plays: Vec<PlayPlan>,
    pub graph: Graph,
}

/// One play: what a batch of it runs, and how the batches are cut.
#[derive(Debug, Clone)]
pub struct PlayPlan {
    pub play: Arc<Play>,
    /// In linear order. Run-time includes and handlers are expanded by the same steps while running.
    pub steps: Vec<Arc<Step>>,
    pub handlers: Arc<Handlers>,
    /// Hosts of the pattern that `--limit` leaves, in the play's order; `None` where the pattern is a template.
    pub hosts: Option<Vec<HostName>>,
    /// Sizes of the batches; `None` where `serial` or the hosts are known only while running.
    pub slots: Option<Vec<usize>>,
    /// What the user said to `vars_prompt`, once somebody has asked.
    pub answers: Dict,
    /// A Kafka gate, `any_errors_fatal` or `max_fail_percentage: 0`: any failed or unreachable host ends the play.
    pub guarded: bool,
    /// Changes that no other host could see need not wait for the other hosts (design.md §3).
    pub grants_ahead: bool,
}

/// One node of a host's way through a play.
#[derive(Debug, Clone)]
pub struct Step {
    pub id: usize,
    pub kind: StepKind,
    /// The blocks with `rescue` or `always` around it, outermost first, and in which part of each it stands.
    pub path: Vec<(BlockId, Part)>,
    /// Only these hosts take it (what an include or a flush added); `None`: all of the batch.
    pub only: Option<Only>,
    /// A barrier that all hosts of the batch have come to: from here on it is a step as any other.
    pub is_open: bool,
}

#[derive(Debug, Clone)]
pub enum StepKind {
    Gather,
    Task(Arc<Task>),
    /// Where a block's unhandled failure goes on to the block around it.
    BlockEnd(BlockId, Span),
    /// Notified handlers run here.
    Flush,
}

pub type BlockId = usize;
/// The hosts for which a step is.
pub type Only = Arc<HashSet<HostName>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `has_rescue`: a failure ends here.
    Body {
        has_rescue: bool,
    },
    Rescue,
    Always,
}

impl Part {
    /// Whether a `rescue` takes over where a step in it fails.
    pub fn is_rescued(self) -> bool {
        self == Self::Body { has_rescue: true }
    }
}

impl Step {
    /// Whether a `rescue` takes over where this fails.
    pub fn is_rescued(&self) -> bool {
        self.path.iter().any(|(_, part)| part.is_rescued())
    }

    pub fn task(&self) -> Option<&Arc<Task>> {
        match &self.kind {
            StepKind::Task(task) => Some(task),
            _ => None,
        }
    }

    /// Whether everything before it must be over on all hosts of the batch, and the runner itself takes it.
    pub fn is_barrier(&self) -> bool {
        match &self.kind {
            StepKind::Flush => true,
            StepKind::Gather | StepKind::BlockEnd(..) => false,
            StepKind::Task(task) => {
                !self.is_open
                    && (is_barrier_module(&task.module) || task.barrier || !task.needs.is_empty())
            }
        }
    }

    /// Whether it can be judged only when everything before it on its host is over.
    pub fn needs_quiet_host(&self) -> bool {
        matches!(self.kind, StepKind::BlockEnd(..))
            || self
                .path
                .iter()
                .any(|(_, part)| matches!(part, Part::Rescue | Part::Always))
    }
}

/// Includes and `meta` change what follows, for all hosts of the batch.
fn is_barrier_module(module: &str) -> bool {
    matches!(
        short_name(module),
        "include_tasks" | "include_role" | "include" | "meta" | "add_host" | "group_by"
    )
}

/// Returns a module's name without its collection.
pub fn short_name(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}

/// What the command line and the inventory say about the run as a whole.
pub struct Input<'a> {
    pub limit: Option<&'a Limit>,
    pub selection: Selection,
    /// Exactly Ansible's rules for a play without a gate (the program runs under Ansible's name).
    pub only_gates_guard: bool,
    pub extra: &'a Dict,
    pub templar: &'a Templar,
}

/// Compiles every play, in order, by the same steps; pure in its arguments.
pub fn compile(
    playbooks: &[Playbook],
    inventory: &Inventory,
    input: &Input<'_>,
    diagnostics: &mut Diagnostics,
) -> Plan {
    let mut ids = Ids::default();
    let mut plays = Vec::new();
    let mut names = serial::Names::new(inventory, input.limit, diagnostics);
    for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
        // Steps come first: everything later needs them.
        let steps = expand::play(play, &mut ids);
        // Handlers are looked up by name from here on.
        let handlers = Handlers::new(&play.handlers, &mut ids);
        // What tags leave out is cut before anything is counted.
        let steps = prune::by_selection(steps, &input.selection);
        let hosts = names.hosts(play, &steps, diagnostics);
        let slots = hosts
            .as_ref()
            .and_then(|hosts| serial::slots(play, hosts.len(), diagnostics));
        let guarded = serial::is_guarded(play, &steps, input.only_gates_guard);
        let grants_ahead = !guarded && order::grants_ahead(play, &steps);
        plays.push(PlayPlan {
            play: Arc::new(play.clone()),
            steps,
            handlers: Arc::new(handlers),
            hosts,
            slots,
            answers: Dict::new(),
            guarded,
            grants_ahead,
        });
    }
    names.judge(&plays, diagnostics);
    // Only what will run is judged.
    lint::check(&plays, inventory, input.extra, input.templar, diagnostics);
    prune::start_at(&mut plays, &input.selection, diagnostics);
    let graph = graph::build(&plays, diagnostics);
    Plan { plays, graph }
}
