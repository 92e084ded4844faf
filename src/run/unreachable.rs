//! A host that cannot be reached, or whose link is lost: what ended there is told as the journal has it, what began is
//! unknown, never ok and never failed, and the host leaves the play.

use super::aftermath::{Aftermath, Fate};
use super::batch::{Batch, Ending, task_name};
use super::host::{Flight, Share};
use super::prepare::{Item, ItemState, Judged, Work};
use super::scope::TaskScope;
use super::verdict::{self, Verdict};
use crate::event::{EventKind, Status, TaskName, TaskResult};
use crate::modules::{Action, Error, Outcome};
use crate::playbook::Task;
use crate::transport;
use crate::value::{HostName, Mapping, Value};
use std::sync::Arc;

/// How a task stands that a lost host leaves behind.
struct Left {
    step: usize,
    task: TaskName,
    /// What is known of it, if it began: a sentence.
    began: Option<String>,
}

impl Batch<'_> {
    /// The link to `lost` is gone: its own host leaves the play, tasks delegated to it fail.
    pub(super) fn lost(&mut self, lost: &HostName, error: &transport::Error, known: &Aftermath) {
        self.fail_delegated(lost, error, known);
        let Some(host) = self
            .hosts
            .iter()
            .position(|host| host.name == *lost && host.is_alive())
        else {
            return;
        };
        self.take_what_ended(host, known);
        if !self.hosts[host].is_alive() {
            // What the journal told was a failure: the host has left for that.
            return;
        }
        let left = self.left_behind(host, known);
        self.hosts[host].is_touched |= left.iter().any(|left| left.began.is_some());
        let mut causes = error.causes();
        if let Aftermath::Silence(why) = known {
            causes.push(format!("its journal cannot be read: {why}"));
            causes.extend(why.causes());
        }
        // A host that was never reached has begun nothing: no need to say so.
        if !matches!(known, Aftermath::Nothing) {
            causes.extend(not_begun(&left));
        }
        let at = self.hosts[host].done.max(self.said);
        let ignored = self.ignores_loss(host);
        let is_fatal = self.loss_is_fatal(host);
        let unreachable = EventKind::HostUnreachable {
            host: Arc::clone(lost),
            task: left.first().map(|left| left.task.clone()),
            message: self.run.mask(&error.to_string()),
            causes,
            help: error.help(),
            ignored,
        };
        if ignored {
            self.pass_over(host);
        } else {
            self.run.stats(lost).unreachable += 1;
            self.mark_unreachable(host);
            self.host_left(host);
            if is_fatal {
                let reason =
                    format!("{lost} cannot be reached, and `any_errors_fatal` ends the play");
                self.stop(Ending::Stop, at, reason);
            }
        }
        // After the host has left: what it began is told even where the play's end takes back what was found ahead.
        let unknown = left.into_iter().filter_map(|left| {
            let result = TaskResult {
                msg: Some(left.began?),
                ..TaskResult::new(Status::Unknown)
            };
            let event = EventKind::TaskEnded {
                host: Arc::clone(lost),
                task: left.task,
                result,
            };
            Some((left.step, event))
        });
        let unsaid = &mut self.hosts[host].unsaid;
        unsaid.extend(unknown);
        unsaid.push_back((at, unreachable));
    }

    /// Judges what ended there by the journal's word, in the order of the host's steps, up to the first that did not.
    fn take_what_ended(&mut self, host: usize, known: &Aftermath) {
        let name = Arc::clone(&self.hosts[host].name);
        let mut flights = std::mem::take(&mut self.hosts[host].flights);
        for flight in &mut flights {
            let Some(task) = flight.task.clone() else {
                continue;
            };
            for item in &mut flight.items {
                if let Some(fate) = known.of(&item.state)
                    && item.is_sent_to(&name)
                    && let Some(judged) = self.judge_fate(&name, &task, item, fate)
                {
                    item.state = ItemState::judged(judged);
                }
            }
        }
        self.hosts[host].flights = flights;
        while self.hosts[host].is_alive()
            && self.hosts[host].flights.front().is_some_and(is_complete)
            && self.settle_front(host)
        {}
    }

    /// The verdict on what ended without being heard; `None` where its output would be needed to judge it.
    fn judge_fate(
        &self,
        host: &HostName,
        task: &Arc<Task>,
        item: &Item,
        fate: Fate,
    ) -> Option<Judged> {
        if task.failed_when.is_some() || task.until.is_some() {
            return None;
        }
        match fate {
            Fate::NotBegun | Fate::Cut | Fate::Unknown => None,
            Fate::Failed => Some(verdict::failure(Error::new(
                "it failed there; what it said was lost with the connection",
            ))),
            Fate::Ended { changed } => {
                let outcome = || {
                    Outcome {
                    changed,
                    data: about_unit(&item.work),
                    warnings: vec![
                        "its end is known from the host's journal: what it said was lost with the connection"
                            .into(),
                    ],
                    ..Outcome::new()
                }
                };
                let scope = TaskScope::new(&self.run.world, Some(&self.play), host, Some(task))
                    .with(item.locals.clone());
                let result = Ok(outcome());
                match verdict::judge(&self.run.templar, &scope, task, result, item.attempt) {
                    Verdict::Final(judged) if !judged.failed => Some(judged),
                    // `changed_when` reads what was lost.
                    _ => Some(verdict::success(outcome())),
                }
            }
        }
    }

    /// What is left of the host's queue, in order.
    fn left_behind(&self, host: usize, known: &Aftermath) -> Vec<Left> {
        let name = &self.hosts[host].name;
        let left = self.hosts[host].flights.iter().filter_map(|flight| {
            let task = flight.task.as_ref()?;
            let began = began(flight, known);
            let sent = flight.items.iter().any(|item| item.is_sent_to(name));
            (sent || began.is_some()).then(|| Left {
                step: flight.step,
                task: task_name(task),
                began,
            })
        });
        left.collect()
    }

    /// Whether the task in hand says `ignore_unreachable`.
    fn ignores_loss(&self, host: usize) -> bool {
        let items = self.hosts[host].flights.front().map(|flight| &flight.items);
        items.is_some_and(|items| {
            items
                .iter()
                .any(|item| item.envelope.on_failure.is_loss_ignored)
        })
    }

    /// The host goes on behind the task in hand; the next one connects anew.
    fn pass_over(&mut self, host: usize) {
        let step = self.hosts[host].done;
        self.run.stats(&Arc::clone(&self.hosts[host].name)).ignored += 1;
        self.drop_flights(host);
        (self.hosts[host].done, self.hosts[host].next) = (step + 1, step + 1);
    }

    /// Tasks that other hosts had delegated there.
    fn fail_delegated(&mut self, lost: &HostName, error: &transport::Error, known: &Aftermath) {
        for host in self.hosts.iter_mut().filter(|host| host.name != *lost) {
            for item in host.flights.iter_mut().flat_map(|flight| &mut flight.items) {
                if !item.is_sent_to(lost) {
                    continue;
                }
                let failure = Error::new(format!(
                    "`{lost}`, to which it is delegated, cannot be reached"
                ))
                .because(error);
                let fate = known.of(&item.state).unwrap_or(Fate::NotBegun);
                item.state = ItemState::failed(failure.because(sentence(fate)));
            }
        }
    }
}

/// Whether nothing of it would need the host any more.
fn is_complete(flight: &Flight) -> bool {
    !matches!(flight.share, Share::Follows(_))
        && flight.items.iter().all(|item| match &item.state {
            ItemState::Judged(_) | ItemState::Arrived { .. } => true,
            ItemState::Ready => !matches!(item.work, Work::Agent(_)),
            _ => false,
        })
}

fn sentence(fate: Fate) -> &'static str {
    match fate {
        Fate::NotBegun => "it had not begun there",
        Fate::Ended { changed: true } => "it had ended there, and changed something",
        Fate::Ended { changed: false } => "it had ended there, and changed nothing",
        Fate::Failed => "it had failed there",
        Fate::Cut => "it had begun there and was ended in the middle",
        Fate::Unknown => "it had begun there; how it ended is unknown",
    }
}

/// What is known of a task that began; `None` if nothing of it did.
fn began(flight: &Flight, known: &Aftermath) -> Option<String> {
    let fates: Vec<(&Item, Fate)> = flight
        .items
        .iter()
        .filter_map(|item| {
            let fate = match item.state {
                ItemState::Sent { .. } => known.of(&item.state)?,
                ItemState::Judged(_) | ItemState::Arrived { .. } => Fate::Ended { changed: true },
                ItemState::Ready | ItemState::Resting { .. } => Fate::NotBegun,
                ItemState::Dropped => return None,
            };
            Some((item, fate))
        })
        .collect();
    if fates.iter().all(|(_, fate)| *fate == Fate::NotBegun) {
        return None;
    }
    if !flight.shape.is_loop() {
        let (item, fate) = fates.first()?;
        let needs_output = matches!(fate, Fate::Ended { .. } | Fate::Failed)
            && matches!(item.state, ItemState::Sent { .. });
        let what = sentence(*fate);
        return Some(if needs_output {
            format!("{what}; what decides over its result was lost")
        } else {
            what.to_owned()
        });
    }
    let of = |which: fn(Fate) -> bool| {
        let labels = fates.iter().filter(|(_, fate)| which(*fate));
        let labels: Vec<_> = labels.map(|(item, _)| item.label.as_str()).collect();
        match (labels.len(), flight.no_log) {
            (0, _) => None,
            (1, true) => Some("1 item".to_owned()),
            (n, true) => Some(format!("{n} items")),
            (_, false) => Some(format!("`{}`", labels.join("`, `"))),
        }
    };
    let groups = [
        (
            of(|fate| matches!(fate, Fate::Ended { .. } | Fate::Failed)),
            "had ended there",
        ),
        (
            of(|fate| fate == Fate::Cut),
            "had begun there and was ended in the middle",
        ),
        (
            of(|fate| fate == Fate::Unknown),
            "had begun there; how it ended is unknown",
        ),
        (of(|fate| fate == Fate::NotBegun), "had not begun"),
    ];
    let lines = groups
        .into_iter()
        .filter_map(|(items, what)| Some(format!("{} {what}", items?)));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// Says what never began: the first by name, the others by number.
fn not_begun(left: &[Left]) -> Option<String> {
    let mut waiting = left.iter().filter(|left| left.began.is_none());
    let first = &waiting.next()?.task.title;
    Some(match waiting.count() {
        0 => format!("`{first}` had not begun"),
        1 => format!("`{first}` and the task behind it had not begun"),
        n => format!("`{first}` and {n} tasks behind it had not begun"),
    })
}

/// Which unit the task was about, and how it was to be: `register` would have it from the result.
pub(super) fn about_unit(work: &Work) -> Mapping {
    let Work::Agent(action) = work else {
        return Mapping::new();
    };
    let arguments = match action.as_ref() {
        Action::Systemd(unit) => serde_yaml::to_value(unit),
        Action::Service(unit) => serde_yaml::to_value(unit),
        _ => return Mapping::new(),
    };
    let Ok(Value::Mapping(mut arguments)) = arguments else {
        return Mapping::new();
    };
    arguments.retain(|key, _| matches!(key.as_str(), Some("name" | "state")));
    arguments
}

#[cfg(test)]
mod tests {
    use super::super::prepare::{Prepared, Shape};
    use super::*;
    use crate::event::At;
    use crate::proto::JournalMark;
    use std::time::Instant;

    fn item(seq: u64) -> Item {
        Item {
            locals: crate::value::Dict::new(),
            label: format!("item{seq}"),
            work: Work::Controller,
            state: ItemState::Sent {
                seq,
                to: "host".into(),
                granted: true,
                waiting: false,
                began: false,
                since: Instant::now(),
            },
            attempt: 1,
            envelope: Arc::default(),
            perhaps: None,
            wish: None,
            before: None,
        }
    }

    #[test]
    fn a_loop_says_of_each_item_how_it_stands() {
        let marks = [
            (1, JournalMark::Ended { changed: true }),
            (2, JournalMark::Ended { changed: false }),
            (3, JournalMark::Cancelled),
        ];
        let known = Aftermath::Journal {
            marks: marks.into_iter().collect(),
            due: Vec::new(),
        };
        let prepared = Prepared {
            items: (1..=5).map(item).collect(),
            shape: Shape::Loop,
            ..Prepared::default()
        };
        let mut flight = Flight::of(0, None, prepared);
        insta::assert_snapshot!(began(&flight, &known).unwrap(), @r"
        `item1`, `item2` had ended there
        `item3` had begun there and was ended in the middle
        `item4`, `item5` had not begun
        ");
        flight.no_log = true;
        insta::assert_snapshot!(began(&flight, &known).unwrap(), @r"
        2 items had ended there
        1 item had begun there and was ended in the middle
        2 items had not begun
        ");
        let nothing = Aftermath::Journal {
            marks: std::collections::HashMap::new(),
            due: Vec::new(),
        };
        assert_eq!(began(&flight, &nothing), None);
    }

    #[test]
    fn each_fate_has_its_words() {
        let fates = [
            Fate::NotBegun,
            Fate::Ended { changed: true },
            Fate::Ended { changed: false },
            Fate::Failed,
            Fate::Cut,
            Fate::Unknown,
        ];
        insta::assert_snapshot!(fates.map(sentence).join("\n"), @r"
        it had not begun there
        it had ended there, and changed something
        it had ended there, and changed nothing
        it had failed there
        it had begun there and was ended in the middle
        it had begun there; how it ended is unknown
        ");
    }

    #[test]
    fn what_had_not_begun_is_named_by_its_first() {
        let left = |title: &str, began: Option<&str>| Left {
            step: 0,
            task: TaskName {
                title: title.into(),
                at: At {
                    file: String::new(),
                    line: 0,
                    column: 0,
                },
                module: String::new(),
                is_handler: false,
            },
            began: began.map(str::to_owned),
        };
        let all = [
            left("a", Some("…")),
            left("b", None),
            left("c", None),
            left("d", None),
        ];
        assert_eq!(not_begun(&all[..1]), None);
        insta::assert_snapshot!(not_begun(&all[..2]).unwrap(), @"`b` had not begun");
        insta::assert_snapshot!(not_begun(&all[..3]).unwrap(), @"`b` and the task behind it had not begun");
        insta::assert_snapshot!(not_begun(&all).unwrap(), @"`b` and 2 tasks behind it had not begun");
    }
}
