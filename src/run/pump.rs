//! Prepares a host's next steps and sends them, as far ahead as nothing pending is read.

use super::back::Walk;
use super::batch::{Batch, Ending};
use super::host::{Flight, HostRun, Share};
use super::keywords::Envelope;
use super::prepare::{self, Item, ItemState, NotNow, Prepared, Rendered, Shape, Work};
use super::scope::TaskScope;
use super::world::Guards;
use crate::modules::{Action, Error};
use crate::plan::{Step, StepKind};
use crate::playbook::Task;
use crate::proto::{self, ToAgent};
use crate::value::Mapping;
use std::sync::Arc;
use std::time::Instant;

/// So many tasks a host is sent ahead at most: what is rendered early is rendered in vain if a change comes between.
const AHEAD: usize = 64;

impl Batch<'_> {
    /// Prepares and sends what can be sent to one host.
    pub(super) fn pump(&mut self, host: usize) {
        loop {
            // Before the host that came last is granted what follows.
            self.fail_where_one_has_failed();
            let run = &self.hosts[host];
            if self.ending != Ending::No || !run.is_alive() || run.flights.len() >= AHEAD {
                return;
            }
            let index = self.hosts[host].next;
            let Some(step) = self.steps.get(index).cloned() else {
                return;
            };
            let quiet = self.hosts[host].flights.is_empty();
            // On this machine a task may write what the next one's lookups and sources read.
            let is_here = self.run.links.is_local(&self.hosts[host].name);
            if (step.needs_quiet_host() || is_here) && !quiet {
                return;
            }
            // It may add steps behind itself: a host that passes it waits here, too.
            if self.run.back.is_some() && self.puts_back_before(host, index, &step) {
                self.settle(host);
                if !self.hosts[host].flights.is_empty() {
                    return;
                }
                continue;
            }
            if step.is_barrier() {
                return;
            }
            if !self.hosts[host].takes(&step) {
                self.push(host, Flight::silent(index));
                continue;
            }
            let last = self.hosts[host].flights.back();
            if last.is_some_and(|flight| flight.fence) {
                return;
            }
            match &step.kind {
                StepKind::Flush => return,
                StepKind::BlockEnd(block, _) => {
                    if self.hosts[host].block_ends_failed(*block) {
                        // Where it has failed on more hosts, `always` runs on all of them before one leaves.
                        let is_behind = |other: &HostRun| {
                            other.is_alive()
                                && other.done < index
                                && other.block_ends_failed(*block)
                        };
                        if self.hosts.iter().any(is_behind) {
                            return;
                        }
                        self.hosts[host].next = index + 1;
                        self.fail_host(host, &step, None);
                        self.hosts[host].done = index + 1;
                    } else {
                        self.push(host, Flight::silent(index));
                    }
                }
                StepKind::Gather => self.gather(host, index),
                StepKind::Task(task) => {
                    let mut task = Arc::clone(task);
                    if self.run.back.is_some() {
                        match self.walk_back(host, index, &task) {
                            Walk::Live(live) => task = live,
                            Walk::Passed => {
                                self.push(host, Flight::silent(index));
                                continue;
                            }
                        }
                    }
                    if !self.prepare_task(host, index, &step, &task, quiet) {
                        return;
                    }
                }
            }
        }
    }

    /// Returns `false` if the task must wait.
    fn prepare_task(
        &mut self,
        host: usize,
        index: usize,
        step: &Step,
        task: &Arc<Task>,
        quiet: bool,
    ) -> bool {
        let scope = self.scope_at(host, index, task);
        // Once for all: when everything before it is over everywhere.
        if task.keywords.run_once.is_some() && !scope.turn {
            return false;
        }
        let mut once = false;
        if task.keywords.run_once.is_some() {
            let shared = scope.clone().shared();
            let said =
                super::keywords::flag(&self.run.templar, task.keywords.run_once.as_ref(), &shared);
            once = matches!(said, Ok(Some(true)));
            if once {
                let leader = self
                    .hosts
                    .iter()
                    .position(HostRun::is_alive)
                    .unwrap_or(host);
                if leader != host {
                    let mut flight = Flight::of(
                        index,
                        Some(Arc::clone(task)),
                        Prepared {
                            fence: true,
                            ..Prepared::default()
                        },
                    );
                    flight.share = Share::Follows(leader);
                    self.push(host, flight);
                    return true;
                }
            }
        }
        if self.is_throttled(host, index, task, &scope)
            || self.waits_for_earlier_hosts(host, index, task)
        {
            return false;
        }
        let mut prepared = match prepare::prepare(&self.run.templar, &scope, task, quiet) {
            Ok(prepared) => prepared,
            Err(NotNow::Pending) if !quiet => return false,
            Err(NotNow::NotQuiet) => return false,
            // Nothing is under way here, so what is pending is another host's; its end wakes this one.
            Err(NotNow::Pending) if self.is_anything_under_way(host) => {
                return false;
            }
            Err(NotNow::Pending) => Prepared {
                fault: Some(Error::new(
                    "it waits for a result that no task under way will bring",
                )),
                ..Prepared::default()
            },
        };
        if self.waits_for_delegates(host, index, &prepared) {
            return false;
        }
        let run = &self.hosts[host];
        let handler = run.perhaps.get(&step.id).map(String::as_str);
        if let Some(cause) = handler.or_else(|| run.doubt_of(&step.path)) {
            prepared.items.iter_mut().for_each(|item| item.doubt(cause));
        }
        if self.run.back.is_some() {
            self.hold_back(host, task, &mut prepared);
        }
        if !self.lay_past_over(host, index, task, &mut prepared) {
            return false;
        }
        let mut flight = Flight::of(index, Some(Arc::clone(task)), prepared);
        if once {
            flight.share = Share::Leads;
        }
        if let Some((name, _)) = &task.register {
            flight.expects.push(name.clone());
        }
        self.push(host, flight);
        self.send_ready(host, index);
        self.settle(host);
        true
    }

    /// `throttle`: no more than so many hosts at the task at once.
    fn is_throttled(&self, host: usize, index: usize, task: &Task, scope: &TaskScope) -> bool {
        if task.keywords.throttle.is_none() {
            return false;
        }
        let shared = scope.clone().shared();
        let limit =
            super::keywords::text(&self.run.templar, task.keywords.throttle.as_ref(), &shared)
                .ok()
                .flatten();
        let Some(limit) = limit
            .and_then(|text| text.trim().parse::<usize>().ok())
            .filter(|&limit| limit > 0)
        else {
            return false;
        };
        let others = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != host);
        others
            .filter(|(_, other)| other.flights.iter().any(|flight| flight.step == index))
            .count()
            >= limit
    }

    pub(super) fn push(&mut self, host: usize, flight: Flight) {
        let vars = self.run.world.host(&self.hosts[host].name);
        super::world::write(&vars, |vars| {
            flight.expects.iter().for_each(|name| vars.expect(name));
            if flight.expects_facts {
                vars.expect_facts();
            }
        });
        self.hosts[host].next = flight.step + 1;
        self.hosts[host].flights.push_back(flight);
    }

    /// `gather_facts`, unless the play says no.
    fn gather(&mut self, host: usize, index: usize) {
        let scope = TaskScope::new(
            &self.run.world,
            Some(&self.play),
            &self.hosts[host].name,
            None,
        );
        let shared = scope.clone().shared();
        let play = &self.plan.play;
        let wanted = super::keywords::flag(&self.run.templar, play.gather_facts.as_ref(), &shared)
            .ok()
            .flatten()
            .unwrap_or(!self.run.world.settings.gathers_only_when_told);
        if !wanted {
            return self.push(host, Flight::silent(index));
        }
        let mut given = Mapping::new();
        if let Some(subset) = &play.gather_subset {
            given.insert("gather_subset".into(), subset.to_value());
        }
        let task = Arc::new(super::gather_task(play));
        let action = Action::new("setup", given).map_err(|faults| faults.join("; "));
        let envelope = super::keywords::envelope(&self.run.templar, &scope, &task);
        let (work, envelope) = match (action, envelope) {
            (Ok(action), Ok(envelope)) => (Work::Agent(Box::new(action)), envelope),
            (Err(fault), _) => (Work::Fault(Error::new(fault)), Envelope::default()),
            (_, Err(error)) => {
                let fault = Work::Fault(Error::new(error.to_string()));
                (fault, Envelope::default())
            }
        };
        let rendered = Rendered {
            work,
            envelope,
            perhaps: None,
            wish: None,
        };
        let item = Item::new(crate::value::Dict::new(), "", rendered);
        let prepared = Prepared {
            items: vec![item],
            brings_facts: true,
            ..Prepared::default()
        };
        self.push(host, Flight::of(index, Some(task), prepared));
        self.send_ready(host, index);
    }

    /// Sends the items of a step that are ready: all of them, or the first of a loop that goes one by one.
    pub(super) fn send_ready(&mut self, host: usize, step: usize) {
        let Some(position) = self.hosts[host]
            .flights
            .iter()
            .position(|flight| flight.step == step)
        else {
            return;
        };
        let count = self.hosts[host].flights[position].items.len();
        for index in 0..count {
            let flight = &self.hosts[host].flights[position];
            let item = &flight.items[index];
            match (&item.state, &item.work) {
                (ItemState::Ready, Work::Agent(_)) => {}
                (ItemState::Resting { until }, Work::Agent(_)) if *until <= Instant::now() => {}
                (ItemState::Judged(_) | ItemState::Dropped, _) => continue,
                // Skips and faults need no sending; what is under way blocks only a sequential loop.
                _ if flight.shape == Shape::OneByOne => return,
                _ => continue,
            }
            if !self.send(host, position, index) {
                return;
            }
            if self.hosts[host].flights[position].shape == Shape::OneByOne {
                return;
            }
        }
    }

    /// Sends one item. Returns `false` if its host cannot be reached at all.
    fn send(&mut self, host: usize, position: usize, index: usize) -> bool {
        let name = Arc::clone(&self.hosts[host].name);
        let (frontier, free) = (self.frontier(), self.is_free());
        let flight = &self.hosts[host].flights[position];
        let item = &flight.items[index];
        let Work::Agent(action) = &item.work else {
            return true;
        };
        let (action, envelope, step, no_log, perhaps) = (
            action.clone(),
            Arc::clone(&item.envelope),
            flight.step,
            flight.no_log,
            item.perhaps.clone(),
        );
        let (is_recheck, is_asked_first) = (item.is_recheck(), item.is_asked_first());
        let title = flight
            .task
            .as_ref()
            .map_or_else(String::new, |task| task.full_title());
        let to = envelope
            .delegate_to
            .clone()
            .unwrap_or_else(|| Arc::clone(&name));
        let origins = match self.run.links.origins(&action.urls()) {
            Ok(origins) => origins,
            Err(error) => {
                self.hosts[host].flights[position].items[index].state = ItemState::failed(error);
                return true;
            }
        };
        if let Err(error) = self.run.open(&to, &self.play, flight.task.as_ref(), &name) {
            self.hosts[host].flights[position].items[index].state = ItemState::failed(error);
            return true;
        }
        // A saved plan allows nothing before it is known what would be done.
        let granted = self.run.promise.is_none()
            && !is_asked_first
            && (free
                || step <= frontier
                || self.hosts.len() == 1
                || self.may_run_ahead(&to, &action, &envelope));
        let crowd = self.crowd(host, step, &action, &envelope);
        let notifies = self.notifies(host, position, index);
        let seq = self.run.links.next_seq();
        self.sent
            .insert((Arc::clone(&to), seq), (host, step, index));
        let task = proto::Task {
            seq,
            lane: u32::try_from(host).unwrap_or(u32::MAX),
            group: step as u64,
            epoch: self.hosts[host].epoch,
            name: if no_log { self.run.mask(&title) } else { title },
            action: *action,
            identity: envelope.identity.clone(),
            environment: envelope.environment.clone(),
            granted,
            check_mode: envelope.check_mode,
            only_looks: envelope.only_looks,
            changes_nothing: envelope.changes_nothing,
            perhaps,
            deadline: envelope.deadline,
            ignore_errors: envelope.on_failure.is_ignored || is_recheck,
            notifies,
            allow_destroy: self.run.world.settings.guards != Guards::Hold,
            crowd,
            origins,
            keeps: proto::Keeps {
                play: self.run.play_number,
                is_secret: no_log,
            },
        };
        self.run.links.send(&to, ToAgent::Task(Box::new(task)));
        let state = ItemState::Sent {
            seq,
            to,
            granted,
            waiting: false,
            began: false,
            since: Instant::now(),
        };
        self.hosts[host].flights[position].items[index].state = state;
        true
    }
}
