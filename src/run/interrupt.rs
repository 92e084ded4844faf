//! Ctrl-C: the task in hand ends cleanly, a wait ends at once, and a service that the roll had stopped is started again.

use super::batch::{Batch, Ending};
use super::host::{Flight, StoppedUnit};
use super::keywords::Envelope;
use super::links::Incoming;
use super::prepare::{ItemState, Work};
use super::questions;
use crate::event::EventKind;
use crate::modules::Action;
use crate::proto::{self, FromAgent, ToAgent};
use crate::value::{HostName, Mapping, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Why a run ends that the user stops.
pub(super) const BY_CTRL_C: &str = "stopped by Ctrl-C";

/// How long a service may take to start again after a Ctrl-C, in seconds.
const START_LIMIT: u64 = 300;

/// Hears the user's wish to stop; cli feeds it.
pub struct Interrupt {
    presses: mpsc::UnboundedReceiver<()>,
}

impl Interrupt {
    /// Returns the two ends: the sender is told of each Ctrl-C.
    pub fn channel() -> (mpsc::UnboundedSender<()>, Self) {
        let (sender, presses) = mpsc::unbounded_channel();
        (sender, Self { presses })
    }

    /// Waits for the next Ctrl-C; for ever, if nobody can press it.
    pub(super) async fn pressed(&mut self) {
        if self.presses.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Modules that only wait: a Ctrl-C ends them at once.
const WAITS: &[&str] = &["wait_for", "wait_for_isr", "kafka_safe_to_stop", "pause"];

impl Batch<'_> {
    /// Keeps in mind which units the run stopped, so that a stop of the run can start them again or say so.
    pub(super) fn follow_units(&mut self, host: usize, flight: &Flight) {
        for item in &flight.items {
            let (Work::Agent(action), ItemState::Judged(judged)) = (&item.work, &item.state) else {
                continue;
            };
            if !matches!(action.name(), "systemd" | "service")
                || judged.failed
                || item.envelope.delegate_to.is_some()
            {
                continue;
            }
            let text = |key: &str| {
                judged
                    .data
                    .get(key)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            let (Some(unit), Some(state)) = (text("name"), text("state")) else {
                continue;
            };
            // Also where an earlier run stopped it, which this one goes on with.
            let before = item.before.as_ref();
            let changed = judged.changed || before.is_some_and(|before| before.had_changed());
            if state == "stopped" && changed {
                let unit_state = StoppedUnit {
                    identity: item.envelope.identity.clone(),
                };
                self.hosts[host].stopped_units.insert(unit, unit_state);
            } else if state == "started" {
                self.hosts[host].stopped_units.shift_remove(&unit);
            }
        }
    }

    /// The first Ctrl-C stops the batch; the second one takes back even what is under way.
    pub(super) fn interrupted(&mut self) {
        let again = self.ending == Ending::Interrupt;
        if !again {
            let text =
                "stopping: the task in hand ends first (Ctrl-C again stops it at once)".to_owned();
            self.run.emit(EventKind::Warning { text, at: None });
            self.ending = Ending::Interrupt;
            self.stop_reason = Some(BY_CTRL_C.into());
            self.take_back_what_waits();
        }
        let mut cancels = Vec::new();
        for item in self
            .hosts
            .iter_mut()
            .flat_map(|host| &mut host.flights)
            .flat_map(|flight| &mut flight.items)
        {
            let waits = matches!(&item.work, Work::Agent(action) if WAITS.contains(&action.name()));
            match &item.state {
                ItemState::Sent { seq, to, .. } if waits || again => {
                    cancels.push((Arc::clone(to), *seq));
                }
                ItemState::Resting { .. } | ItemState::Ready => item.state = ItemState::Dropped,
                _ => {}
            }
        }
        for (to, seq) in cancels {
            self.run.links.send(&to, ToAgent::Cancel(seq));
        }
    }

    /// Between stop and start: the services that the roll stopped are started again, before the run ends.
    pub(super) async fn start_what_was_stopped(&mut self) {
        let stopped: Vec<_> = self
            .hosts
            .iter()
            .enumerate()
            .flat_map(|(index, host)| {
                host.stopped_units.iter().map(move |(unit, how)| {
                    (index, Arc::clone(&host.name), unit.clone(), how.clone())
                })
            })
            .collect();
        for (index, host, unit, how) in stopped {
            self.run.emit(EventKind::Warning {
                text: format!("{host}: {unit} was stopped by this run; starting it again"),
                at: None,
            });
            let mut given = Mapping::new();
            given.insert("name".into(), unit.as_str().into());
            given.insert("state".into(), "started".into());
            let Ok(action) = Action::new("systemd", given) else {
                continue;
            };
            let seq = self.run.links.next_seq();
            let envelope = Envelope {
                identity: how.identity,
                ..Envelope::default()
            };
            let name = format!("start {unit} again");
            let task = proto::Task {
                deadline: Some(START_LIMIT),
                ..questions::task(seq, &name, action, envelope)
            };
            self.run.links.send(&host, ToAgent::Task(Box::new(task)));
            match self.end_of(&host, seq).await {
                Ok(()) => {
                    self.hosts[index].stopped_units.shift_remove(&unit);
                    self.run.emit(EventKind::Warning {
                        text: format!("{host}: {unit} runs again"),
                        at: None,
                    });
                }
                Err(reason) => {
                    self.run.emit(EventKind::Warning {
                        text: format!("{host}: {unit} IS DOWN and could not be started: {reason}"),
                        at: None,
                    });
                }
            }
        }
    }

    /// Waits for the end of one task that no flight carries.
    async fn end_of(&mut self, host: &HostName, seq: proto::Seq) -> Result<(), String> {
        let limit = tokio::time::sleep(Duration::from_secs(START_LIMIT + 10));
        tokio::pin!(limit);
        loop {
            tokio::select! {
                () = &mut limit => return Err("no answer in time".into()),
                incoming = self.run.links.next() => match incoming {
                    Incoming::Lost { host: lost, error, .. } if lost == *host => return Err(error.to_string()),
                    Incoming::Message { host: from, message: FromAgent::Ended { seq: ended, result } } if from == *host && ended == seq => {
                        return result.map(|_| ()).map_err(|error| error.to_string());
                    }
                    Incoming::Message { host: from, message: FromAgent::Dropped { seq: dropped } } if from == *host && dropped == seq => {
                        return Err("the agent dropped it".into());
                    }
                    Incoming::Connected { .. } | Incoming::Losing { .. } | Incoming::Lost { .. } | Incoming::Message { .. } => {}
                },
            }
        }
    }
}
