//! Turns what a host found into a grant or a stop, where a saved plan says what may be done.

use super::Run;
use super::batch::{Batch, Ending, task_name};
use super::prepare::{ItemState, Work};
use crate::event::{Status, TaskResult};
use crate::modules::Outcome;
use crate::proto::ToAgent;
use std::sync::Arc;

impl Batch<'_> {
    /// Compares what would be done with what the plan showed; what it did not show ends the run before it is done.
    pub(super) fn hold_to_promise(
        &mut self,
        host: usize,
        step: usize,
        index: usize,
        outcome: Outcome,
    ) {
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
        let judged = promise.judge(&name, &task_name(task), label.as_deref(), &found);
        let Err(error) = judged else { return };
        let reason = format!("`{}` on {name}: {}", task.title(), error.message);
        let item = &mut self.hosts[host]
            .flights
            .iter_mut()
            .find(|flight| flight.step == step)
            .expect("it was found above")
            .items[index];
        let before = std::mem::replace(&mut item.state, ItemState::failed(error));
        if let ItemState::Sent { seq, to, .. } = before {
            self.sent.remove(&(Arc::clone(&to), seq));
            self.run.links.send(&to, ToAgent::Cancel(seq));
        }
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
