//! Holds what is to be done on this host: lanes of tasks, their grants and cancellations. Decides, does nothing.

use crate::proto::{Seq, Task};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by the reader, which fills it, and a worker for every lane that has something to do.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: HashMap<u32, Lane>,
    turns: HashMap<Seq, Turn>,
    closed: bool,
    workers: usize,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Box<Task>>,
    has_worker: bool,
    failed: Option<Failure>,
}

/// A failure that the controller may not have known of when it sent a task.
#[derive(Clone, Copy)]
struct Failure {
    epoch: u32,
    group: u64,
}

impl Failure {
    fn drops(self, task: &Task) -> bool {
        task.epoch <= self.epoch && task.group != self.group
    }
}

struct Turn {
    granted: bool,
    began: bool,
    cancel: Arc<AtomicBool>,
}

/// What became of a task that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// Its lane needs a worker.
    Start(u32),
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted,
    Cancelled,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a task to its lane.
    pub(super) fn push(&self, task: Box<Task>) -> Pushed {
        let mut state = self.state();
        let state = &mut *state;
        let lane = state.lanes.entry(task.lane).or_default();
        if state.closed || lane.failed.is_some_and(|failure| failure.drops(&task)) {
            return Pushed::Dropped;
        }
        let turn = Turn {
            granted: task.granted,
            began: false,
            cancel: Arc::default(),
        };
        state.turns.insert(task.seq, turn);
        let number = task.lane;
        lane.waiting.push_back(task);
        if lane.has_worker {
            return Pushed::Queued;
        }
        lane.has_worker = true;
        state.workers += 1;
        Pushed::Start(number)
    }

    /// Takes the lane's next task, with the flag that cancels it. `None` sends the worker home.
    pub(super) fn next(&self, lane: u32) -> Option<(Box<Task>, Arc<AtomicBool>)> {
        let mut state = self.state();
        let task = state
            .lanes
            .get_mut(&lane)
            .and_then(|lane| lane.waiting.pop_front());
        if let Some(task) = task
            && let Some(turn) = state.turns.get(&task.seq)
        {
            let cancel = Arc::clone(&turn.cancel);
            return Some((task, cancel));
        }
        if let Some(lane) = state.lanes.get_mut(&lane) {
            lane.has_worker = false;
        }
        state.workers -= 1;
        self.changed.notify_all();
        None
    }

    pub(super) fn grant(&self, seq: Seq) {
        if let Some(turn) = self.state().turns.get_mut(&seq) {
            turn.granted = true;
            self.changed.notify_all();
        }
    }

    /// Takes a task back, whether or not its change has begun; `true` if it had not been looked at and is gone.
    pub(super) fn cancel(&self, seq: Seq) -> bool {
        self.take_back_one(seq, |_| true)
    }

    /// The same, but a change that has begun goes on.
    pub(super) fn cancel_unless_begun(&self, seq: Seq) -> bool {
        self.take_back_one(seq, |turn| !turn.began)
    }

    fn take_back_one(&self, seq: Seq, which: impl Fn(&Turn) -> bool) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        for lane in state.lanes.values_mut() {
            if let Some(at) = lane.waiting.iter().position(|task| task.seq == seq) {
                lane.waiting.remove(at);
                state.turns.remove(&seq);
                return true;
            }
        }
        if let Some(turn) = state.turns.get(&seq).filter(|&turn| which(turn)) {
            turn.cancel.store(true, Ordering::Relaxed);
            self.changed.notify_all();
        }
        false
    }

    /// Begins a task's change, unless it was taken back; from then on only [`Queue::cancel`] and
    /// [`Queue::cancel_all`] reach it.
    pub(super) fn begin(&self, seq: Seq) -> bool {
        match self.state().turns.get_mut(&seq) {
            Some(turn) if !turn.cancel.load(Ordering::Relaxed) => {
                turn.began = true;
                true
            }
            _ => false,
        }
    }

    /// Takes everything back; returns what had not been looked at.
    pub(super) fn cancel_all(&self) -> Vec<Seq> {
        self.take_back(|_| true)
    }

    fn take_back(&self, which: impl Fn(&Turn) -> bool) -> Vec<Seq> {
        let mut state = self.state();
        let state = &mut *state;
        let mut dropped = Vec::new();
        for lane in state.lanes.values_mut() {
            dropped.extend(lane.waiting.drain(..).map(|task| task.seq));
        }
        for seq in &dropped {
            state.turns.remove(seq);
        }
        for turn in state.turns.values().filter(|&turn| which(turn)) {
            turn.cancel.store(true, Ordering::Relaxed);
        }
        self.changed.notify_all();
        dropped
    }

    /// Takes everything back and accepts nothing more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.cancel_all();
    }

    /// Takes back what has not begun and accepts nothing more; what has begun goes on.
    pub(super) fn close_gently(&self) {
        self.state().closed = true;
        self.take_back(|turn| !turn.began);
    }

    /// Says, without waiting, whether a task may be applied; `None` where its turn has not come.
    pub(super) fn verdict(&self, seq: Seq) -> Option<Verdict> {
        self.state().verdict(seq)
    }

    /// Waits until a task is granted or taken back.
    pub(super) fn wait(&self, seq: Seq) -> Verdict {
        let mut state = self.state();
        loop {
            if let Some(verdict) = state.verdict(seq) {
                return verdict;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a task that went well, or whose failure is ignored.
    pub(super) fn done(&self, seq: Seq) {
        self.state().turns.remove(&seq);
    }

    /// Ends a task that failed; returns what is dropped for it.
    pub(super) fn fail(&self, task: &Task) -> Vec<Seq> {
        let mut state = self.state();
        let state = &mut *state;
        state.turns.remove(&task.seq);
        let Some(lane) = state.lanes.get_mut(&task.lane) else {
            return Vec::new();
        };
        let failure = Failure {
            epoch: task.epoch,
            group: task.group,
        };
        lane.failed = Some(failure);
        let mut dropped = Vec::new();
        lane.waiting.retain(|task| {
            let stays = !failure.drops(task);
            if !stays {
                dropped.push(task.seq);
            }
            stays
        });
        for seq in &dropped {
            state.turns.remove(seq);
        }
        dropped
    }

    /// Waits until no worker is left.
    pub(super) fn wait_for_workers(&self) {
        let mut state = self.state();
        while state.workers > 0 {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn verdict(&self, seq: Seq) -> Option<Verdict> {
        match self.turns.get(&seq) {
            Some(turn) if turn.cancel.load(Ordering::Relaxed) => Some(Verdict::Cancelled),
            Some(turn) => turn.granted.then_some(Verdict::Granted),
            None => Some(Verdict::Cancelled),
        }
    }
}
