//! Turns what a host found into a grant or a stop, where a saved plan or a stopped run says what may be done.

use super::Run;
use super::batch::{Batch, Ending, task_name};
use super::prepare::{Item, ItemState, Judged, Work};
use super::resume::Before;
use crate::event::{Status, TaskResult};
use crate::modules::Outcome;
use crate::playbook::Task;
use crate::proto::ToAgent;
use std::sync::Arc;

impl Batch<'_> {
    /// A host found something to do and waits: what stopped runs did may answer it, and a saved plan may forbid it.
    pub(super) fn waits(&mut self, host: usize, step: usize, index: usize, outcome: Outcome) {
        let flights = &mut self.hosts[host].flights;
        let Some(flight) = flights.iter_mut().find(|flight| flight.step == step) else {
            return;
        };
        let (item, task) = (&mut flight.items[index], flight.task.clone());
        if let ItemState::Sent { waiting, .. } = &mut item.state {
            *waiting = true;
        }
        if let (Some(mut before), Some(task)) = (item.before.take(), task) {
            if let Some(judged) = self.known(host, &task, &before, &outcome) {
                return self.call_off(host, step, index, ItemState::judged(judged));
            }
            before.may_undo = false;
            self.item(host, step, index).before = Some(before);
        }
        self.hold_to_promise(host, step, index, outcome);
    }

    /// What stopped runs make of something that would be done.
    fn known(&self, host: usize, task: &Task, before: &Before, would: &Outcome) -> Option<Judged> {
        if before.is_recheck {
            return Some(self.differs(host, task, before, would));
        }
        let past = self.run.past.as_ref().filter(|_| before.may_undo)?;
        let is_undone = !would.destroys.is_empty()
            && past.is_superseded(&self.hosts[host].name, &before.past, would);
        is_undone.then(|| before.restored(None))
    }

    /// Takes back what waits at its host, and says what became of it.
    fn call_off(&mut self, host: usize, step: usize, index: usize, end: ItemState) {
        let waited = std::mem::replace(&mut self.item(host, step, index).state, end);
        if let ItemState::Sent { seq, to, .. } = waited {
            self.sent.remove(&(Arc::clone(&to), seq));
            self.run.links.send(&to, ToAgent::Cancel(seq));
        }
    }

    /// One that was sent and is not settled.
    fn item(&mut self, host: usize, step: usize, index: usize) -> &mut Item {
        let mut flights = self.hosts[host].flights.iter_mut();
        let flight = flights.find(|flight| flight.step == step);
        &mut flight.expect("its host waits for it").items[index]
    }

    /// Compares what would be done with what the plan showed; what it did not show ends the run before it is done.
    fn hold_to_promise(&mut self, host: usize, step: usize, index: usize, outcome: Outcome) {
        let Some(promise) = &self.run.promise else {
            return;
        };
        let name = Arc::clone(&self.hosts[host].name);
        let flight = self.hosts[host]
            .flights
            .iter()
            .find(|flight| flight.step == step);
        let Some((flight, task)) = flight.and_then(|flight| Some((flight, flight.task.as_ref()?)))
        else {
            return;
        };
        let item = &flight.items[index];
        let Work::Agent(action) = &item.work else {
            return;
        };
        let found = TaskResult {
            diffs: outcome.diffs,
            ..TaskResult::new(Status::Changed)
        };
        let found = self.run.show(found, flight.no_log);
        // Gates and waits change nothing: they may always look.
        let only_looks = crate::modules::find(action.name()).is_some_and(|entry| entry.rehearses);
        if only_looks && found.diffs.is_empty() {
            return;
        }
        let label = flight
            .shape
            .is_loop()
            .then(|| self.run.shown_label(item, flight.no_log));
        let (task_name, fleeting) = (task_name(task), &self.run.fleeting);
        let judged = promise.judge(&name, &task_name, label.as_deref(), &found, fleeting);
        let Err(error) = judged else { return };
        let reason = format!("`{}` on {name}: {}", task.title(), error.message);
        self.call_off(host, step, index, ItemState::failed(error));
        // Whatever the task itself makes of a failure.
        if let Some(promise) = &mut self.run.promise {
            promise.is_broken = true;
        }
        self.stop(Ending::Stop, step, reason);
    }
}

impl Run {
    /// Whether a saved plan was about to be left.
    pub(super) fn is_broken(&self) -> bool {
        self.promise
            .as_ref()
            .is_some_and(|promise| promise.is_broken)
    }
}
