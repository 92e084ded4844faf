//! Runs one batch of a play: sends ahead, grants in linear order, publishes in linear order, stops at the first doubt.
//!
//! How it goes:
//! 1. Each host has its own place in the list of steps. [`pump`](super::pump) prepares the next step of a host as soon
//!    as nothing that it reads is pending, and sends it; the agent looks, and waits where something would change.
//! 2. The *frontier* is the first step that some living host has not finished. A step's turn has come when the
//!    frontier has reached it: only then is it granted, and only then are its results said.
//! 3. [`settle`](super::settle) takes results in the order of the host's steps, judges them, registers, notifies.
//! 4. Steps that change what follows for all hosts (`meta`, includes, flushes) are barriers: when the frontier stands
//!    at one and nothing is under way, [`barrier`](super::barrier) takes it for all hosts at once.

use super::Run;
use super::failing::Fatal;
use super::host::{HostRun, HostState};
use super::links::Incoming;
use super::prepare::ItemState;
use super::scope::TaskScope;
use super::world::PlayContext;
use crate::event::{EventKind, TaskName};
use crate::plan::{Handlers, PlayPlan, Step};
use crate::playbook::Task;
use crate::proto::{FromAgent, Seq, ToAgent};
use crate::value::HostName;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch under way.
pub(super) struct Batch<'r> {
    pub run: &'r mut Run,
    pub plan: Arc<PlayPlan>,
    pub play: Arc<PlayContext>,
    /// The play's steps; includes and flushes add to them.
    pub steps: Vec<Arc<Step>>,
    pub handlers: Handlers,
    pub hosts: Vec<HostRun>,
    /// Which host, step and item a message of an agent means.
    pub sent: HashMap<(HostName, Seq), (usize, usize, usize)>,
    /// When a host ended something last: what it had queued behind that began no earlier.
    pub ended: HashMap<HostName, Instant>,
    /// Everything before this step is said.
    pub said: usize,
    /// The step whose title was said last.
    pub titled: Option<usize>,
    pub ending: Ending,
    /// What fails all hosts once they have come past its step.
    pub fatal: Option<Fatal>,
    /// Results of `run_once` steps, for the hosts that share them.
    pub shared: HashMap<usize, super::settle::Shared>,
    pub stop_reason: Option<String>,
}

/// Whether and how the batch ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    No,
    /// `meta: end_batch`.
    Batch,
    /// `meta: end_play`: no failure.
    Play,
    /// A guarded play met a failure, or too many hosts failed: nothing new begins anywhere.
    Stop,
    /// The user pressed Ctrl-C.
    Interrupt,
}

/// How a batch went.
#[derive(Debug)]
pub(super) struct Finished {
    pub hosts: Vec<HostRun>,
    pub ending: Ending,
    pub reason: Option<String>,
}

impl<'r> Batch<'r> {
    pub(super) fn new(
        run: &'r mut Run,
        plan: Arc<PlayPlan>,
        play: Arc<PlayContext>,
        hosts: &[HostName],
    ) -> Self {
        let steps = plan.steps.clone();
        let handlers = (*plan.handlers).clone();
        let hosts = hosts
            .iter()
            .map(|host| HostRun::new(Arc::clone(host), run.links.epoch))
            .collect();
        Self {
            run,
            plan,
            play,
            steps,
            handlers,
            hosts,
            sent: HashMap::new(),
            ended: HashMap::new(),
            said: 0,
            titled: None,
            ending: Ending::No,
            fatal: None,
            shared: HashMap::new(),
            stop_reason: None,
        }
    }

    /// Runs the batch to its end.
    pub(super) async fn finish(mut self) -> Finished {
        self.go_on().await;
        if self.ending == Ending::Interrupt {
            self.start_what_was_stopped().await;
        } else if self.forces_handlers() {
            self.run_forced_handlers().await;
        }
        let highest = self.hosts.iter().map(|host| host.epoch).max();
        self.run.links.epoch = highest.unwrap_or_default() + 1;
        Finished {
            hosts: self.hosts,
            ending: self.ending,
            reason: self.stop_reason,
        }
    }

    /// Goes on until all steps are behind all hosts, or the batch ends early.
    pub(super) async fn go_on(&mut self) {
        loop {
            self.advance();
            if self.is_over() {
                break;
            }
            self.wait().await;
        }
        self.say_rest();
    }

    /// Does everything that can be done without hearing from anyone.
    fn advance(&mut self) {
        loop {
            let before = self.position();
            for host in 0..self.hosts.len() {
                self.settle(host);
                self.pump(host);
            }
            self.take_barrier();
            self.grant();
            self.say();
            if self.position() == before {
                return;
            }
        }
    }

    /// What changes whenever something was done; compared to see that nothing was.
    fn position(&self) -> (usize, usize, usize, usize, Ending) {
        let sum = |count: fn(&HostRun) -> usize| self.hosts.iter().map(count).sum();
        (
            sum(|host| host.next),
            sum(|host| host.done),
            sum(|host| host.flights.len()),
            self.steps.len(),
            self.ending,
        )
    }

    fn is_over(&self) -> bool {
        self.hosts.iter().all(|host| {
            host.flights.is_empty()
                && (!host.is_alive() || host.done >= self.steps.len() || self.ending != Ending::No)
        })
    }

    /// What a host sees at a step; what other hosts did before it only when its turn has come.
    pub(super) fn scope_at(&self, host: usize, step: usize, task: &Arc<Task>) -> TaskScope {
        let turn = self.is_free() || self.hosts.len() == 1 || self.frontier() >= step;
        let name = &self.hosts[host].name;
        TaskScope::new(&self.run.world, Some(&self.play), name, Some(task)).at_turn(turn)
    }

    /// Whether something is under way on another host than this one.
    pub(super) fn is_anything_under_way(&self, host: usize) -> bool {
        let others = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != host);
        others.map(|(_, other)| other).any(|other| {
            !other.flights.is_empty() || (other.is_alive() && other.done < self.hosts[host].done)
        })
    }

    /// The first step that some living host has not finished.
    pub(super) fn frontier(&self) -> usize {
        self.hosts
            .iter()
            .filter(|host| host.is_alive())
            .map(|host| host.done)
            .min()
            .unwrap_or(self.steps.len())
    }

    pub(super) fn is_free(&self) -> bool {
        self.plan
            .play
            .strategy
            .as_ref()
            .and_then(|node| node.as_str())
            .is_some_and(|strategy| {
                matches!(crate::plan::short_name(strategy), "free" | "host_pinned")
            })
    }

    async fn wait(&mut self) {
        let rest = self.next_timer();
        tokio::select! {
            incoming = self.run.links.next() => self.hear(incoming),
            () = async { tokio::time::sleep(rest.unwrap_or(Duration::from_secs(3600))).await }, if rest.is_some() => {}
            () = self.run.interrupt.pressed() => self.interrupted(),
        }
    }

    /// How long until an item is to be sent again.
    fn next_timer(&self) -> Option<Duration> {
        let items = self
            .hosts
            .iter()
            .flat_map(|host| &host.flights)
            .flat_map(|flight| &flight.items);
        let times = items.filter_map(|item| match item.state {
            ItemState::Resting { until } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        });
        times.min()
    }

    /// Takes what a link says.
    fn hear(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Connected {
                host,
                ready,
                warnings,
                elapsed_ms,
            } => {
                let name = Arc::clone(&host);
                self.run.connected(host, ready, warnings, elapsed_ms);
                if let Some(host) = self.hosts.iter().position(|host| host.name == name) {
                    self.take_over_kept_handlers(host);
                }
            }
            Incoming::Losing { host, error } => self.run.losing(&host, &error),
            Incoming::Lost { host, error, known } => {
                self.run.forget_link(&host, &known);
                self.lost(&host, &error, &known);
            }
            Incoming::Message { host, message } => self.hear_message(&host, message),
        }
    }

    fn hear_message(&mut self, from: &HostName, message: FromAgent) {
        if let (FromAgent::Journal(entries), Some(past)) = (&message, &mut self.run.past) {
            past.heard(from, entries);
        }
        let Some(seq) = message.seq() else { return };
        let Some(&(host, step, index)) = self.sent.get(&(Arc::clone(from), seq)) else {
            return;
        };
        let name = Arc::clone(&self.hosts[host].name);
        let Some(flight) = self.hosts[host]
            .flights
            .iter_mut()
            .find(|flight| flight.step == step)
        else {
            return;
        };
        let task = flight.task.clone();
        let item = &mut flight.items[index];
        match message {
            FromAgent::Waiting { outcome, .. } => self.waits(host, step, index, outcome),
            FromAgent::Began { .. } => {
                if let ItemState::Sent { began, since, .. } = &mut item.state {
                    (*began, *since) = (true, Instant::now());
                }
                self.progress(name, task, "");
            }
            FromAgent::Progress { text, .. } => self.progress(name, task, &text),
            FromAgent::Ended { result, .. } => {
                let since = match &item.state {
                    ItemState::Sent { since, .. } => *since,
                    _ => Instant::now(),
                };
                let before = self.ended.insert(Arc::clone(from), Instant::now());
                let since = before.map_or(since, |before| before.max(since));
                let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                item.state = ItemState::Arrived {
                    result: Box::new(result),
                    elapsed_ms,
                };
                self.sent.remove(&(Arc::clone(from), seq));
            }
            FromAgent::Dropped { .. } => {
                item.state = ItemState::Dropped;
                self.sent.remove(&(Arc::clone(from), seq));
            }
            FromAgent::Ready(_)
            | FromAgent::Busy { .. }
            | FromAgent::Refused { .. }
            | FromAgent::Overlay { .. }
            | FromAgent::Fetch { .. }
            | FromAgent::Journal(_)
            | FromAgent::Alive => {}
        }
    }

    fn progress(&mut self, host: HostName, task: Option<Arc<Task>>, text: &str) {
        if let Some(task) = task {
            let text = self.run.mask(text);
            self.run.emit(EventKind::TaskProgress {
                host,
                task: task_name(&task),
                text,
            });
        }
    }

    /// Grants whatever stands at the frontier, and what was sent to a host whose turn it is.
    fn grant(&mut self) {
        if self.ending != Ending::No && self.ending != Ending::Play {
            return;
        }
        let (frontier, free) = (self.frontier(), self.is_free());
        let is_promised = self.run.promise.is_some();
        let mut grants = Vec::new();
        for host in &mut self.hosts {
            for flight in host
                .flights
                .iter_mut()
                .filter(|flight| free || flight.step <= frontier)
            {
                for item in &mut flight.items {
                    let is_asked_first = item.is_asked_first();
                    if let ItemState::Sent {
                        seq,
                        to,
                        granted,
                        waiting,
                        ..
                    } = &mut item.state
                        && !*granted
                        // What a saved plan does not allow waits no more.
                        && (*waiting || !is_promised)
                        && !is_asked_first
                    {
                        *granted = true;
                        grants.push((Arc::clone(to), *seq));
                    }
                }
            }
        }
        grants.extend(self.grant_ahead());
        for (to, seq) in grants {
            self.run.links.send(&to, ToAgent::Grant(seq));
        }
    }

    /// Ends the batch as a guarded play does: what is in hand finishes, what has not begun is taken back.
    pub(super) fn stop(&mut self, ending: Ending, step: usize, reason: String) {
        if self.ending != Ending::No {
            return;
        }
        self.ending = ending;
        self.stop_reason = Some(reason);
        // What was found ahead of the stop did not happen, in linear order.
        for host in &mut self.hosts {
            host.unsaid.retain(|(at, _)| *at <= step);
            let later = host.flights.iter_mut().filter(|flight| flight.step > step);
            for item in later.flat_map(|flight| &mut flight.items) {
                if matches!(item.state, ItemState::Ready | ItemState::Resting { .. }) {
                    item.state = ItemState::Dropped;
                }
            }
        }
        self.take_back_what_waits();
    }

    /// Takes back everything that has not begun, as only the hosts' agents know.
    pub(super) fn take_back_what_waits(&mut self) {
        for host in 0..self.hosts.len() {
            self.take_back_of(host);
        }
    }

    /// Takes back what one host was sent and has not begun.
    pub(super) fn take_back_of(&self, host: usize) {
        let flights = self.hosts[host].flights.iter();
        for item in flights.flat_map(|flight| &flight.items) {
            if let ItemState::Sent { seq, to, .. } = &item.state {
                self.run.links.send(to, ToAgent::TakeBack(*seq));
            }
        }
    }

    /// A host is gone: what was under way there is unknown.
    pub(super) fn mark_unreachable(&mut self, host: usize) {
        self.hosts[host].state = HostState::Unreachable;
        self.hosts[host].flights.clear();
        self.run.forget_pending(&self.hosts[host].name);
    }
}

/// The name of a task as events carry it.
pub(super) fn task_name(task: &Task) -> TaskName {
    TaskName {
        title: task.full_title(),
        at: (&task.span).into(),
        module: task.module.clone(),
        is_handler: task.is_handler,
    }
}
