//! Turns the events of a run into what was done: which task on which host, from when to when, and what it waited for.

use crate::event::{At, Danger, Event, EventKind, Status, TaskName, TaskResult};
use crate::modules::diff::Diff;
use crate::value::HostName;
use serde::Serialize;
use std::collections::HashMap;

/// One run, from its first event to its last. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Phase {
    pub title: String,
    pub from: u64,
    pub to: u64,
    pub ended_well: bool,
    pub works: Vec<Work>,
    pub batches: Vec<Batch>,
    /// Why it did not end well, the first reason first.
    pub faults: Vec<String>,
    /// What it was held for before anything was changed.
    pub held: Vec<Danger>,
}

/// One task on one host.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    pub host: HostName,
    pub task: TaskName,
    /// The play's place among those of the run.
    pub play: usize,
    pub from: u64,
    pub to: u64,
    pub status: Status,
    /// What a gate or a wait said while it was shut, each with its time.
    pub waits: Vec<(u64, String)>,
    pub diffs: Vec<Diff>,
    pub msg: Option<String>,
}

impl Work {
    pub fn milliseconds(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    pub fn changed(&self) -> bool {
        self.status == Status::Changed
    }

    /// Whether it is there only to wait.
    pub fn is_wait(&self) -> bool {
        let module = self.task.module.rsplit('.').next().unwrap_or_default();
        matches!(
            module,
            "kafka_safe_to_stop" | "wait_for_isr" | "wait_for" | "pause" | "wait_for_connection"
        )
    }
}

/// Hosts that went through a play together.
#[derive(Debug, Clone, Serialize)]
pub struct Batch {
    /// The play's place among those of the run, and its name.
    pub play: usize,
    pub name: String,
    pub hosts: Vec<HostName>,
    /// How many hosts the whole play has.
    pub of: usize,
    pub from: u64,
    pub to: u64,
}

/// Follows one run.
#[derive(Debug, Default)]
pub struct Recorder {
    phase: Phase,
    plays: usize,
    name: String,
    play_hosts: usize,
    /// Of tasks under way: what they said while waiting, and what their items changed.
    waits: HashMap<(HostName, At), Vec<(u64, String)>>,
    items: HashMap<(HostName, At), Vec<Diff>>,
}

impl Recorder {
    pub fn new(title: &str) -> Self {
        Self {
            phase: Phase {
                title: title.to_owned(),
                ..Phase::default()
            },
            ..Self::default()
        }
    }

    pub fn hear(&mut self, event: &Event) {
        if self.phase.from == 0 {
            self.phase.from = event.at;
        }
        self.phase.to = event.at;
        match &event.kind {
            EventKind::PlayStarted { name, hosts, .. } => {
                self.end_batch(event.at);
                self.plays += 1;
                self.name.clone_from(name);
                self.play_hosts = *hosts;
                self.begin_batch(event.at, Vec::new());
            }
            EventKind::PlaySkipped { .. } => self.plays += 1,
            EventKind::BatchStarted { hosts, .. } => {
                // The first batch of a play takes the place of the play as a whole.
                let play = self.plays.saturating_sub(1);
                let is_first = |batch: &Batch| batch.play == play && batch.hosts.is_empty();
                if self.phase.batches.last().is_some_and(is_first) {
                    self.phase.batches.pop();
                } else {
                    self.end_batch(event.at);
                }
                self.begin_batch(event.at, hosts.clone());
            }
            EventKind::TaskProgress { host, task, text } => {
                let key = (host.clone(), task.at.clone());
                self.waits
                    .entry(key)
                    .or_default()
                    .push((event.at, text.clone()));
            }
            EventKind::ItemEnded {
                host, task, result, ..
            } => {
                let key = (host.clone(), task.at.clone());
                self.items
                    .entry(key)
                    .or_default()
                    .extend(result.diffs.iter().cloned());
            }
            EventKind::TaskEnded { host, task, result } => {
                let key = (host.clone(), task.at.clone());
                let mut diffs = self.items.remove(&key).unwrap_or_default();
                if !result.is_loop {
                    diffs.clone_from(&result.diffs);
                }
                if result.status == Status::Failed {
                    let why = why(result);
                    self.phase
                        .faults
                        .push(format!("{host}: {}: {why}", task.title));
                }
                self.phase.works.push(Work {
                    host: host.clone(),
                    task: task.clone(),
                    play: self.plays.saturating_sub(1),
                    from: event.at.saturating_sub(result.elapsed_ms),
                    to: event.at,
                    status: result.status,
                    waits: self.waits.remove(&key).unwrap_or_default(),
                    diffs,
                    msg: result.msg.clone(),
                });
            }
            EventKind::HostUnreachable {
                host,
                message,
                ignored: false,
                ..
            } => {
                let fault = format!("{host} cannot be reached: {message}");
                self.phase.faults.push(fault);
            }
            EventKind::Guarded {
                dangers,
                is_allowed: false,
            } => self.phase.held.clone_from(dangers),
            EventKind::RollStopped(stop) => {
                self.phase
                    .faults
                    .push(format!("stopped in `{}`: {}", stop.play, stop.reason));
            }
            EventKind::RunEnded { .. } => self.end_batch(event.at),
            _ => {}
        }
    }

    fn begin_batch(&mut self, at: u64, hosts: Vec<HostName>) {
        self.phase.batches.push(Batch {
            play: self.plays.saturating_sub(1),
            name: self.name.clone(),
            hosts,
            of: self.play_hosts,
            from: at,
            to: at,
        });
    }

    fn end_batch(&mut self, at: u64) {
        if let Some(batch) = self.phase.batches.last_mut() {
            batch.to = at;
        }
    }

    /// The run is over.
    pub fn end(mut self, ended_well: bool) -> Phase {
        self.phase.ended_well = ended_well;
        self.phase
    }
}

impl Batch {
    /// How many hosts went through together: all of the play where it has no batches.
    pub fn width(&self) -> usize {
        if self.hosts.is_empty() {
            self.of
        } else {
            self.hosts.len()
        }
    }
}

/// What a failed task says, with the first of its causes.
fn why(result: &TaskResult) -> String {
    const TOLD: usize = 2;
    let mut why = result.msg.clone().unwrap_or_default();
    for cause in result.causes.iter().take(TOLD) {
        why += "; ";
        why += cause;
    }
    if result.causes.len() > TOLD {
        why += "; …";
    }
    why
}
