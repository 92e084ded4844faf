//! Takes the results of a host in the order of its steps: judged, registered, counted, and carried on to handlers and failures.

use super::batch::{Batch, Ending, task_name};
use super::brought;
use super::control;
use super::host::{Flight, Share};
use super::prepare::{ItemState, Judged, Shape, Work, skipped};
use super::scope::TaskScope;
use super::verdict::{self, Verdict};
use super::world;
use crate::event::{EventKind, Status, TaskResult, cause};
use crate::modules::Error;
use crate::plan::{Step, short_name};
use crate::playbook::Task;
use crate::value::{Mapping, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The result of a `run_once` step, as its first host had it.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub registered: Option<(String, Value)>,
    pub facts: Mapping,
}

impl Batch<'_> {
    /// Finishes the flights at the front of a host's queue, as far as they are complete.
    pub(super) fn settle(&mut self, host: usize) {
        while self.settle_front(host) {}
    }

    /// Finishes the flight at the front. Returns `false` if it is not complete, or there is none.
    pub(super) fn settle_front(&mut self, host: usize) -> bool {
        let Some(flight) = self.hosts[host].flights.front() else {
            return false;
        };
        let step = flight.step;
        if let Share::Follows(leader) = flight.share {
            return self.take_shared(host, leader, step);
        }
        let mut index = 0;
        // `break_when` may cut the loop short meanwhile.
        while index < self.hosts[host].flights[0].items.len() {
            if !self.judge_item(host, index) {
                return false;
            }
            index += 1;
        }
        let Some(flight) = self.hosts[host].flights.pop_front() else {
            return false;
        };
        self.hosts[host].done = step + 1;
        // Not before the last item has ended: what is sent meanwhile must be dropped for it, too.
        self.hosts[host].epoch += flight.n_failures;
        self.finish_flight(host, &flight);
        true
    }

    /// Brings one item of the front flight to a verdict. Returns `false` if it is not there yet.
    fn judge_item(&mut self, host: usize, index: usize) -> bool {
        let flight = &mut self.hosts[host].flights[0];
        let (step, Some(task)) = (flight.step, flight.task.clone()) else {
            return true;
        };
        let item = &mut flight.items[index];
        // Its time has come: what the controller answers itself is asked again.
        if matches!((&item.state, &item.work),
            (ItemState::Resting { until }, Work::Controller) if *until <= Instant::now())
        {
            item.state = ItemState::Ready;
        }
        match (&item.state, &item.work) {
            (ItemState::Judged(_) | ItemState::Dropped, _) => return true,
            (ItemState::Sent { .. }, _) => return false,
            (ItemState::Resting { until }, _) => {
                if *until <= Instant::now() {
                    self.send_ready(host, step);
                }
                return false;
            }
            (ItemState::Arrived { .. }, _) => {}
            (ItemState::Ready, Work::Skip(condition)) => {
                item.state = ItemState::judged(verdict::skip(skipped(condition)));
                return true;
            }
            (ItemState::Ready, Work::Unknown(cause)) => {
                item.state = ItemState::judged(verdict::unforeseen(cause.clone()));
                return true;
            }
            (ItemState::Ready, Work::Fault(error)) if self.run.world.settings.is_imagined => {
                item.state = ItemState::judged(verdict::unforeseen(error.to_string()));
                return true;
            }
            (ItemState::Ready, Work::Fault(error)) => {
                item.state = ItemState::failed(error.clone());
            }
            (ItemState::Ready, Work::Controller) => {
                if !self.answer(host, index, &task) {
                    return false;
                }
            }
            (ItemState::Ready, Work::Agent(_)) => {
                self.send_ready(host, step);
                return false;
            }
        }
        match self.hosts[host].flights[0].items[index].state {
            ItemState::Judged(_) => return true,
            ItemState::Resting { .. } => return false,
            _ => {}
        }
        self.judge_arrived(host, index, &task)
    }

    /// A module of the controller's own.
    /// Returns `false` while it reads what a task under way will bring.
    fn answer(&mut self, host: usize, index: usize, task: &Arc<Task>) -> bool {
        let flight = &self.hosts[host].flights[0];
        let (step, locals) = (flight.step, flight.items[index].locals.clone());
        let envelope = Arc::clone(&flight.items[index].envelope);
        let scope = self.scope_at(host, step, task).with(locals);
        let owner = envelope.owner_of_facts(&self.hosts[host].name);
        let state = match control::answer(self.run, &scope, task, owner) {
            control::Answer::Pending if self.is_anything_under_way(host) => return false,
            control::Answer::Pending => {
                ItemState::failed(Error::new("it waits for a result that no task will bring"))
            }
            control::Answer::Skip(condition) => {
                ItemState::judged(verdict::skip(skipped(&condition)))
            }
            control::Answer::Done(result) => ItemState::Arrived {
                result,
                elapsed_ms: 0,
            },
            control::Answer::Rest(until) => ItemState::Resting { until },
        };
        self.hosts[host].flights[0].items[index].state = state;
        true
    }

    /// Applies `until`, `failed_when`, `changed_when`. Returns `false` if the item is tried again.
    fn judge_arrived(&mut self, host: usize, index: usize, task: &Arc<Task>) -> bool {
        let name = Arc::clone(&self.hosts[host].name);
        let flight = &mut self.hosts[host].flights[0];
        let (step, no_log) = (flight.step, flight.no_log);
        let item = &mut flight.items[index];
        let ItemState::Arrived { result, elapsed_ms } =
            std::mem::replace(&mut item.state, ItemState::Dropped)
        else {
            return true;
        };
        let result = *result;
        if self.ending == Ending::Interrupt && result.as_ref().is_err_and(is_cancelled) {
            self.cut_off(host, index, task, elapsed_ms);
            return true;
        }
        let scope = TaskScope::new(&self.run.world, Some(&self.play), &name, Some(task))
            .with(item.locals.clone());
        let only_shows = item.envelope.check_mode;
        let result =
            result.and_then(|outcome| brought::keep(&scope, &item.work, outcome, only_shows));
        let recheck = item.before.take_if(|before| before.is_recheck);
        if let (Some(before), Err(error)) = (&recheck, &result) {
            let warning = format!("it cannot be looked at again: {error}");
            item.state = ItemState::judged(before.restored(Some(warning)));
            return true;
        }
        let drops = result.is_err() && !item.envelope.on_failure.is_ignored;
        flight.n_failures += u32::from(drops);
        let verdict = verdict::judge(&self.run.templar, &scope, task, result, item.attempt);
        let (attempt, envelope) = (item.attempt, Arc::clone(&item.envelope));
        let item = &mut self.hosts[host].flights[0].items[index];
        match verdict {
            Verdict::Again {
                delay,
                left,
                judged,
            } => {
                item.attempt = attempt + 1;
                item.state = ItemState::Resting {
                    until: Instant::now() + Duration::from_secs_f64(delay.max(0.0)),
                };
                let result = self.run.show(judged.result, no_log);
                let event = EventKind::TaskRetrying {
                    host: name,
                    task: task_name(task),
                    attempt,
                    left,
                    result,
                };
                self.hosts[host].unsaid.push_back((step, event));
                false
            }
            Verdict::Final(mut judged) => {
                let doubt = self.hosts[host].flights[0].items[index].perhaps.clone();
                judged.unknown = judged.unknown.or(doubt);
                judged.result.elapsed_ms = elapsed_ms;
                if envelope.check_mode && !envelope.only_looks {
                    let there = envelope.delegate_to.as_ref().unwrap_or(&name);
                    self.run.foresee_files(there, task, &judged);
                }
                if let Some(before) = &self.hosts[host].flights[0].items[index].before {
                    before.stand(&mut judged);
                }
                if judged.changed && envelope.only_looks {
                    let note = "only looked at: `check_mode: true`";
                    judged.result.msg.get_or_insert_with(|| note.to_owned());
                }
                judged.result.delegated_to.clone_from(&envelope.delegate_to);
                if !envelope.show_diff {
                    judged.result.diffs.clear();
                }
                let pause = task
                    .loop_
                    .as_ref()
                    .and_then(|loop_| loop_.pause.as_ref())
                    .is_some();
                let ends_loop = verdict::ends_loop(&self.run.templar, &scope, task, &judged);
                self.hosts[host].flights[0].items[index].state = ItemState::judged(judged);
                if ends_loop {
                    self.hosts[host].flights[0].items.truncate(index + 1);
                }
                if self.hosts[host].flights[0].shape == Shape::OneByOne && !pause {
                    self.send_ready(host, step);
                } else if pause {
                    self.rest_before_next(host, index, &scope, task);
                }
                true
            }
        }
    }

    /// Tells of an item in hand that the end of the run has cut off.
    fn cut_off(&mut self, host: usize, index: usize, task: &Arc<Task>, elapsed_ms: u64) {
        let name = Arc::clone(&self.hosts[host].name);
        let flight = &self.hosts[host].flights[0];
        let (step, label) = (flight.step, self.run.mask(&flight.items[index].label));
        let task = task_name(task);
        let result = TaskResult {
            elapsed_ms,
            ..TaskResult::new(Status::Cancelled)
        };
        let event = if flight.shape.is_loop() {
            EventKind::ItemEnded {
                host: name,
                task,
                label,
                result,
            }
        } else {
            EventKind::TaskEnded {
                host: name,
                task,
                result,
            }
        };
        self.hosts[host].is_touched = true;
        self.hosts[host].unsaid.push_back((step, event));
    }

    /// `loop_control.pause`.
    fn rest_before_next(&mut self, host: usize, index: usize, scope: &TaskScope, task: &Task) {
        let pause = task.loop_.as_ref().and_then(|loop_| loop_.pause.as_ref());
        let seconds = super::keywords::text(&self.run.templar, pause, &scope.clone().shared())
            .ok()
            .flatten();
        let seconds = seconds
            .and_then(|text| text.trim().parse::<f64>().ok())
            .unwrap_or(0.0)
            .max(0.0);
        if let Some(next) = self.hosts[host].flights[0].items.get_mut(index + 1)
            && matches!(
                (&next.state, &next.work),
                (ItemState::Ready, Work::Agent(_) | Work::Controller)
            )
        {
            next.state = ItemState::Resting {
                until: Instant::now() + Duration::from_secs_f64(seconds),
            };
        }
    }

    /// All items have their verdict: registers, counts, says, notifies, fails.
    fn finish_flight(&mut self, host: usize, flight: &Flight) {
        let Some(task) = flight.task.clone() else {
            return;
        };
        let step = Arc::clone(&self.steps[flight.step]);
        let vars = self.run.world.host(&self.hosts[host].name);
        world::write(&vars, |vars| {
            flight.expects.iter().for_each(|name| vars.met(name));
            if flight.expects_facts {
                vars.met_facts();
            }
        });
        let dropped = flight
            .items
            .iter()
            .any(|item| matches!(item.state, ItemState::Dropped));
        if dropped
            && !flight
                .items
                .iter()
                .any(|item| matches!(&item.state, ItemState::Judged(judged) if judged.failed))
        {
            self.say_results(host, flight, &task, None);
            // Taken back before it began: the host has not gone past this step.
            self.hosts[host].done = flight.step;
            self.hosts[host].next = flight.step;
            return;
        }
        let judged = verdict_of_all(flight, &task);
        self.hosts[host].is_touched |= flight.has_ended_there();
        if self.has_put_back(host, flight, &judged) {
            return;
        }
        self.remember(host, flight, &task, &judged);
        self.say_results(host, flight, &task, Some(&judged));
        if judged.changed || judged.unknown.is_some() {
            self.notify(host, &task, flight, judged.unknown.as_deref());
        }
        self.follow_units(host, flight);
        let envelope = flight
            .items
            .first()
            .map(|item| Arc::clone(&item.envelope))
            .unwrap_or_default();
        let is_ignored = envelope.on_failure.is_ignored && !judged.asks_user;
        if !is_ignored {
            self.doubt_rescue(host, &step, &task, &judged);
        }
        if !judged.failed || is_ignored {
            self.handler_ended(host, &step);
        } else {
            let step = if judged.asks_user {
                beyond_rescue(&step)
            } else {
                step
            };
            self.fail_host(host, &step, Some((&task, &judged)));
            if envelope.on_failure.is_fatal || flight.share == Share::Leads {
                self.fail_everyone(host, flight.step, &step, &task);
            }
        }
    }

    /// `register`, facts, and what a controller's module set.
    fn remember(&mut self, host: usize, flight: &Flight, task: &Task, judged: &Judged) {
        let name = Arc::clone(&self.hosts[host].name);
        let vars = self.run.world.host(&name);
        let registered = task
            .register
            .as_ref()
            .map(|(register, _)| (register.clone(), Value::Mapping(judged.data.clone())));
        if let Some((register, value)) = &registered {
            world::write(&vars, |vars| {
                let cause = judged
                    .unknown
                    .as_ref()
                    .map(|cause| match cause::of_value(cause) {
                        Some(root) => format!("`{register}`, which rests on {root}"),
                        None => format!(
                            "`{register}`, which `{}` would bring ({cause})",
                            task.title()
                        ),
                    });
                match cause {
                    Some(cause) => vars.unknown.insert(register.clone(), cause),
                    None => vars.unknown.remove(register),
                };
                drop(vars.set.insert(register.clone(), value.clone()));
            });
        }
        if short_name(&task.module) == "kafka_facts" {
            world::write(&vars, |vars| {
                for name in ["ansible_facts", "ansible_kafka"] {
                    match &judged.unknown {
                        Some(cause) => vars.unknown.insert(name.to_owned(), cause.clone()),
                        None => vars.unknown.remove(name),
                    };
                }
            });
        }
        if short_name(&task.module) == "set_fact" {
            world::write(&vars, |vars| {
                for name in task.args.entries.keys() {
                    match &judged.unknown {
                        Some(cause) => {
                            let cause = match cause::of_value(cause) {
                                Some(root) => format!("`{name}`, which rests on {root}"),
                                None => {
                                    format!("`{name}`, which `{}` sets ({cause})", task.title())
                                }
                            };
                            vars.unknown.insert(name.clone(), cause)
                        }
                        None if judged.skipped => None,
                        None => vars.unknown.remove(name),
                    };
                }
            });
        }
        let mut facts = Mapping::new();
        for item in &flight.items {
            if let ItemState::Judged(judged) = &item.state {
                facts.extend(judged.facts.clone());
                let owner = item.envelope.owner_of_facts(&name);
                self.run.add_facts(owner, &judged.facts);
                self.run.note_unknown_facts(owner, task, &item.work, judged);
            }
        }
        if flight.share == Share::Leads {
            self.shared
                .insert(flight.step, Shared { registered, facts });
        }
    }

    /// The result of `run_once` reaches this host. Returns `false` while it is not there.
    fn take_shared(&mut self, host: usize, leader: usize, step: usize) -> bool {
        let Some(shared) = self.shared.get(&step).cloned() else {
            // A leader that was lost brings no result: the next host takes its place.
            if !self.hosts[leader].is_alive() && self.hosts[leader].flights.is_empty() {
                self.hosts[host].flights.pop_front();
                self.hosts[host].next = step;
            }
            return false;
        };
        let name = Arc::clone(&self.hosts[host].name);
        self.hosts[host].flights.pop_front();
        self.hosts[host].done = step + 1;
        if let Some((register, value)) = shared.registered {
            world::write(&self.run.world.host(&name), |vars| {
                drop(vars.set.insert(register, value));
            });
        }
        self.run.add_facts(&name, &shared.facts);
        true
    }
}

/// The step as if it stood in no block.
fn beyond_rescue(step: &Step) -> Arc<Step> {
    Arc::new(Step {
        path: Vec::new(),
        ..step.clone()
    })
}

/// Whether a module ended because it was taken back.
fn is_cancelled(error: &Error) -> bool {
    matches!(&*error.message, "cancelled" | "the command was cancelled")
}

/// One verdict for the task: a loop's items are folded into `results`.
fn verdict_of_all(flight: &Flight, task: &Task) -> Judged {
    if let Some(error) = &flight.fault {
        return verdict::failure(error.clone());
    }
    if let Some(data) = &flight.skipped {
        return verdict::skip(data.clone());
    }
    let judged = || {
        flight.items.iter().filter_map(|item| match &item.state {
            ItemState::Judged(judged) => Some((item, judged)),
            _ => None,
        })
    };
    match (flight.shape.is_loop(), judged().next()) {
        (false, Some((_, only))) => (**only).clone(),
        (false, None) => verdict::skip(Mapping::new()),
        (true, _) => verdict::fold(
            judged().map(|(item, judged)| (&item.locals, &**judged)),
            task,
        ),
    }
}
