//! Publishes results in linear order, and counts what it publishes.

use super::back::PUT_BACK;
use super::batch::{Batch, task_name};
use super::host::Flight;
use super::prepare::{Item, ItemState, Judged};
use crate::event::{EventKind, Status, TaskName, TaskResult};
use crate::plan::{Step, StepKind};
use crate::playbook::Task;
use crate::value::Value;
use std::sync::Arc;

impl Batch<'_> {
    /// Says what the linear order has come to.
    pub(super) fn say(&mut self) {
        if self.is_free() {
            return self.say_until(usize::MAX);
        }
        let frontier = self.frontier();
        while self.said < frontier.min(self.steps.len()) {
            self.say_until(self.said);
            self.said += 1;
        }
        self.say_until(self.said);
    }

    /// Says everything left: the batch is over.
    pub(super) fn say_rest(&mut self) {
        let last = self.steps.len();
        for step in self.said..=last {
            self.say_until(step);
        }
    }

    fn say_until(&mut self, step: usize) {
        for host in 0..self.hosts.len() {
            while self.hosts[host]
                .unsaid
                .front()
                .is_some_and(|(at, _)| *at <= step)
            {
                let Some((at, event)) = self.hosts[host].unsaid.pop_front() else {
                    break;
                };
                match &event {
                    EventKind::TaskEnded { task, .. } if task.module == PUT_BACK => {
                        self.say_title_of_put_back(task.clone());
                    }
                    _ => self.say_title(at),
                }
                self.count(&event);
                self.run.emit(event);
            }
        }
    }

    /// What is said is what counts: results found ahead of a stop are neither.
    fn count(&mut self, event: &EventKind) {
        let EventKind::TaskEnded { host, result, .. } = event else {
            return;
        };
        let changed = result.data.get("changed").and_then(Value::as_bool);
        let stats = self.run.stats(host);
        match result.status {
            Status::Ok => stats.ok += 1,
            Status::Changed => {
                stats.ok += 1;
                stats.changed += 1;
            }
            Status::Skipped => stats.skipped += 1,
            Status::Unforeseen => {
                stats.ok += 1;
                stats.unforeseen += 1;
            }
            Status::Ignored => {
                stats.ok += 1;
                stats.ignored += 1;
                stats.changed += u32::from(changed == Some(true));
            }
            Status::Failed | Status::Unknown | Status::Cancelled => {}
        }
    }

    /// Says what came of a task; without a verdict, only the items of a loop that ended before it was stopped.
    pub(super) fn say_results(
        &mut self,
        host: usize,
        flight: &Flight,
        task: &Arc<Task>,
        judged: Option<&Judged>,
    ) {
        let name = Arc::clone(&self.hosts[host].name);
        let mut shown = task_name(task);
        if shown.title.contains("{{") {
            shown.title = self.run.render_title(&self.play, &name, task, &shown.title);
        }
        let ignored = flight
            .items
            .first()
            .is_some_and(|item| item.envelope.on_failure.is_ignored);
        let asks_user = judged.is_some_and(|judged| judged.asks_user);
        let is_rescued = self.steps[flight.step].is_rescued();
        let finish = |mut result: TaskResult| {
            if result.status == Status::Failed && !asks_user {
                if ignored {
                    result.status = Status::Ignored;
                }
                result.rescued = is_rescued && !ignored;
            }
            result
        };
        let mut is_uncounted = false;
        let mut events = Vec::new();
        if flight.shape.is_loop() {
            for item in &flight.items {
                let ItemState::Judged(judged) = &item.state else {
                    continue;
                };
                let mut result = finish(judged.result.clone());
                is_uncounted |= count_all(item, &mut result);
                result.fingerprint = self.run.fingerprint(&item.work);
                result.wish.clone_from(&item.wish);
                let result = self.run.show(result, flight.no_log);
                let label = self.run.shown_label(item, flight.no_log);
                events.push(EventKind::ItemEnded {
                    host: Arc::clone(&name),
                    task: shown.clone(),
                    label,
                    result,
                });
            }
        }
        let Some(judged) = judged else {
            let events = events.into_iter().map(|event| (flight.step, event));
            return self.hosts[host].unsaid.extend(events);
        };
        let mut result = finish(judged.result.clone());
        if let (false, Some(item)) = (flight.shape.is_loop(), flight.items.first()) {
            result.wish.clone_from(&item.wish);
            result.fingerprint = self.run.fingerprint(&item.work);
            count_all(item, &mut result);
        }
        if is_uncounted && result.status == Status::Ok {
            result.status = Status::Changed;
        }
        result.is_loop = flight.shape.is_loop();
        if result.delegated_to.is_none() {
            result.delegated_to = flight
                .items
                .first()
                .and_then(|item| item.envelope.delegate_to.clone());
        }
        let result = self.run.show(result, flight.no_log);
        events.push(EventKind::TaskEnded {
            host: name,
            task: shown,
            result,
        });
        self.hosts[host]
            .unsaid
            .extend(events.into_iter().map(|event| (flight.step, event)));
    }

    fn say_title(&mut self, step: usize) {
        if self.titled == Some(step) {
            return;
        }
        self.titled = Some(step);
        let Some(step) = self.steps.get(step) else {
            return;
        };
        if let Some(task) = self.shown_task(step) {
            self.run.emit(EventKind::TaskStarted { task });
        }
    }

    /// It stands before a step that has a title of its own.
    fn say_title_of_put_back(&mut self, task: TaskName) {
        if self.titled.replace(usize::MAX) != Some(usize::MAX) {
            self.run.emit(EventKind::TaskStarted { task });
        }
    }

    /// The name under which a step is shown, its templates rendered where that is possible.
    pub(super) fn shown_task(&self, step: &Step) -> Option<TaskName> {
        match &step.kind {
            StepKind::Gather => Some(super::gather_name(&self.plan.play)),
            StepKind::Task(task) => {
                let mut name = task_name(task);
                if let (true, Some(host)) = (name.title.contains("{{"), self.hosts.first()) {
                    name.title = self
                        .run
                        .render_title(&self.play, &host.name, task, &name.title);
                }
                Some(name)
            }
            StepKind::BlockEnd(..) | StepKind::Flush => None,
        }
    }
}

/// A plan shows what would change, whatever `changed_when` makes of it. Returns whether it made nothing of a change.
fn count_all(item: &Item, result: &mut TaskResult) -> bool {
    let is_plan = item.envelope.check_mode && !item.envelope.only_looks;
    let is_uncounted = is_plan && result.status == Status::Ok && !result.diffs.is_empty();
    if is_uncounted {
        let words = "`changed_when` calls it no change, so it notifies nobody";
        result.status = Status::Changed;
        result.msg = Some(match result.msg.take().filter(|msg| !msg.is_empty()) {
            Some(msg) => format!("{msg}; {words}"),
            None => words.into(),
        });
    }
    is_uncounted
}
