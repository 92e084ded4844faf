//! One host on its way through a batch: where it stands, what is under way, which block has failed.

use super::back::WayBack;
use super::past::Key;
use super::prepare::{Item, ItemState, Prepared, Shape, Work};
use crate::event::EventKind;
use crate::plan::{BlockId, Part, Step};
use crate::playbook::Task;
use crate::value::{HostName, Mapping};
use indexmap::IndexMap;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A host of the batch.
#[derive(Debug)]
pub(super) struct HostRun {
    pub name: HostName,
    pub state: HostState,
    /// The next step to prepare.
    pub next: usize,
    /// Every step before this one is over here.
    pub done: usize,
    /// What is under way, in order: prepared, not yet over.
    pub flights: VecDeque<Flight>,
    pub blocks: HashMap<BlockId, BlockState>,
    /// What is to be said when the linear order has come to it, by step.
    pub unsaid: VecDeque<(usize, EventKind)>,
    /// Positions of notified handlers, with who notified them.
    pub notified: IndexMap<usize, String>,
    /// Check mode: notified handlers of which nobody can say whether they run, and why.
    pub doubtful: HashMap<usize, String>,
    /// Check mode: the same of their steps, by the steps' numbers.
    pub perhaps: HashMap<usize, String>,
    /// Positions of handlers that an earlier run left, with the task that notified them then.
    pub kept: IndexMap<usize, String>,
    /// Handlers that the last flush started, with their last step: they have run when that has ended, or when the host
    /// comes to the next flush.
    pub flushed: Vec<(String, usize)>,
    /// Raised with each failure, so that the agent drops what was sent before it was heard of.
    pub epoch: u32,
    /// By step: how often a task like it had come before it here; for runs that go on with others.
    counted: HashMap<usize, usize>,
    counts: HashMap<Key, usize>,
    pub asked_journal: bool,
    /// Something that an agent does has ended or begun for this host.
    pub is_touched: bool,
    pub way_back: WayBack,
    /// Units that the run stopped on this host and has not started again, with how to start them.
    pub stopped_units: IndexMap<String, StoppedUnit>,
}

/// A unit that is down because the roll stopped it.
#[derive(Debug, Clone)]
pub(super) struct StoppedUnit {
    pub identity: Option<crate::proto::Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostState {
    Alive,
    Failed,
    Unreachable,
    /// `meta: end_host` and its kind, or a play that ended.
    Ended,
}

/// How far a block with `rescue` or `always` has come on this host.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockState {
    /// The body failed.
    failed: bool,
    /// No `rescue` handled it: there is none, or it failed itself.
    unhandled: bool,
    always_failed: bool,
    /// Why a plan cannot say whether the body fails.
    doubt: Option<String>,
}

/// Whose the result of a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// This host's own.
    Own,
    /// `run_once`: what comes of it here is every host's.
    Leads,
    /// `run_once`: it is the result of the host at this position.
    Follows(usize),
}

/// A step under way on a host.
#[derive(Debug)]
pub(super) struct Flight {
    pub step: usize,
    /// `None`: nothing to do or to say here.
    pub task: Option<Arc<Task>>,
    pub items: Vec<Item>,
    pub shape: Shape,
    /// Nothing after it may be sent before it is over.
    pub fence: bool,
    pub share: Share,
    /// Names that are pending because of it.
    pub expects: Vec<String>,
    pub expects_facts: bool,
    pub no_log: bool,
    /// Failures after which the agent drops what was sent behind them, whatever the verdict here is.
    pub n_failures: u32,
    /// For a loop whose items cannot be known: what is wrong.
    pub fault: Option<crate::modules::Error>,
    /// A loop over nothing, or a condition that is false for the task as a whole.
    pub skipped: Option<Mapping>,
}

impl Flight {
    /// A step that this host passes without a word.
    pub(super) fn silent(step: usize) -> Self {
        Self::of(step, None, Prepared::default())
    }

    pub(super) fn of(step: usize, task: Option<Arc<Task>>, prepared: Prepared) -> Self {
        Self {
            step,
            task,
            items: prepared.items,
            shape: prepared.shape,
            fence: prepared.fence,
            share: Share::Own,
            expects: Vec::new(),
            expects_facts: prepared.brings_facts,
            no_log: prepared.no_log,
            n_failures: 0,
            fault: prepared.fault,
            skipped: prepared.skipped,
        }
    }
}

impl Flight {
    /// Whether an agent did any of it, in this run.
    pub(super) fn has_ended_there(&self) -> bool {
        let ended = |item: &Item| {
            matches!((&item.work, &item.state),
            (Work::Agent(_), ItemState::Judged(judged)) if !judged.result.restored)
        };
        self.items.iter().any(ended)
    }
}

impl HostRun {
    pub(super) fn new(name: HostName, epoch: u32) -> Self {
        Self {
            name,
            state: HostState::Alive,
            next: 0,
            done: 0,
            flights: VecDeque::new(),
            blocks: HashMap::new(),
            unsaid: VecDeque::new(),
            notified: IndexMap::new(),
            doubtful: HashMap::new(),
            perhaps: HashMap::new(),
            kept: IndexMap::new(),
            flushed: Vec::new(),
            epoch,
            counted: HashMap::new(),
            counts: HashMap::new(),
            asked_journal: false,
            is_touched: false,
            way_back: WayBack::default(),
            stopped_units: IndexMap::new(),
        }
    }

    /// How often a task like that of this step has come before it.
    pub(super) fn nth(&self, step: usize, key: &Key) -> usize {
        let before = || self.counts.get(key).copied().unwrap_or(0);
        self.counted.get(&step).copied().unwrap_or_else(before)
    }

    /// Remembers what [`HostRun::nth`] said of a step: it may be prepared more than once.
    pub(super) fn count(&mut self, step: usize, key: Key, nth: usize) {
        if self.counted.insert(step, nth).is_none() {
            *self.counts.entry(key).or_default() += 1;
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state == HostState::Alive
    }

    /// Whether the step is on this host's way, as its blocks stand now.
    pub(super) fn takes(&self, step: &Step) -> bool {
        if step
            .only
            .as_ref()
            .is_some_and(|only| !only.contains(&self.name))
        {
            return false;
        }
        step.path.iter().all(|(block, part)| {
            let state = self.blocks.get(block).cloned().unwrap_or_default();
            match part {
                Part::Body { .. } => !state.failed,
                Part::Rescue if state.failed => !state.unhandled,
                Part::Rescue => state.doubt.is_some(),
                Part::Always => !state.always_failed,
            }
        })
    }

    /// Marks a failure at a step: the innermost block takes it. Returns `true` if a `rescue` will run,
    /// `false` if the failure goes on (at the block's end, or at once where there is no block).
    pub(super) fn fail_at(&mut self, path: &[(BlockId, Part)]) -> bool {
        let Some((block, part)) = path.last() else {
            self.state = HostState::Failed;
            return false;
        };
        let state = self.blocks.entry(*block).or_default();
        match part {
            Part::Body { has_rescue } => {
                (state.failed, state.unhandled) = (true, !has_rescue);
                *has_rescue
            }
            Part::Rescue => {
                state.unhandled = true;
                false
            }
            Part::Always => {
                state.always_failed = true;
                false
            }
        }
    }

    /// Whether it has failed there already.
    pub(super) fn has_failed_at(&self, path: &[(BlockId, Part)]) -> bool {
        let last = path.last();
        let state = last.and_then(|(block, part)| Some((part, self.blocks.get(block)?)));
        state.is_some_and(|(part, state)| match part {
            Part::Body { .. } => state.failed,
            Part::Rescue => state.unhandled,
            Part::Always => state.always_failed,
        })
    }

    /// Notes that a plan cannot say whether a step fails, so that what would rescue it perhaps runs.
    pub(super) fn doubt_at(&mut self, path: &[(BlockId, Part)], cause: &str) {
        if let Some((block, _)) = path.iter().rfind(|(_, part)| part.is_rescued()) {
            let state = self.blocks.entry(*block).or_default();
            state.doubt.get_or_insert_with(|| cause.to_owned());
        }
    }

    /// Why a plan cannot say whether a step of a `rescue` runs; `None` where it runs for certain.
    pub(super) fn doubt_of(&self, path: &[(BlockId, Part)]) -> Option<&str> {
        let rescues = path.iter().filter(|(_, part)| *part == Part::Rescue);
        let mut states = rescues.filter_map(|(block, _)| self.blocks.get(block));
        states.find_map(|state| state.doubt.as_deref().filter(|_| !state.failed))
    }

    /// Whether the block ends with a failure that nothing handled.
    pub(super) fn block_ends_failed(&self, block: BlockId) -> bool {
        self.blocks
            .get(&block)
            .is_some_and(|state| state.unhandled || state.always_failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StepKind;

    fn step(path: Vec<(BlockId, Part)>) -> Step {
        Step {
            id: 1,
            kind: StepKind::Flush,
            path,
            only: None,
            is_open: false,
        }
    }

    #[test]
    fn a_failure_in_a_body_leads_to_rescue_and_always_and_not_to_the_rest_of_the_body() {
        let mut host = HostRun::new("h".into(), 0);
        let body = vec![(7, Part::Body { has_rescue: true })];
        assert!(!host.takes(&step(vec![(7, Part::Rescue)])));
        assert!(host.fail_at(&body));
        assert!(!host.takes(&step(body)));
        assert!(host.takes(&step(vec![(7, Part::Rescue)])));
        assert!(host.takes(&step(vec![(7, Part::Always)])));
        assert!(!host.block_ends_failed(7));
    }

    #[test]
    fn a_failure_without_rescue_runs_always_and_goes_on_at_the_end_of_the_block() {
        let mut host = HostRun::new("h".into(), 0);
        assert!(!host.fail_at(&[(7, Part::Body { has_rescue: false })]));
        assert!(host.is_alive());
        assert!(host.takes(&step(vec![(7, Part::Always)])));
        assert!(host.block_ends_failed(7));
    }

    #[test]
    fn a_failure_outside_of_blocks_ends_the_host() {
        let mut host = HostRun::new("h".into(), 0);
        host.fail_at(&[]);
        assert_eq!(host.state, HostState::Failed);
    }
}
