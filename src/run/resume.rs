//! Lays what stopped runs did over what is prepared now: actions that ended are not run again, what describes a state is
//! looked at again, and what nobody can know needs the user's word.
//!
//! | on a host that … | an action that ended | a state | a look | a gate or wait |
//! |---|---|---|---|---|
//! | was finished with the play | its result is restored | looked at; a difference stops | restored | passed |
//! | was not | its result is restored | as in any run; unchanged, its old result is restored | restored where registered | waits anew |
//!
//! As in any run, but for a removal that was done: what later tasks of the stopped run have put there stays.

use super::batch::{Batch, task_name};
use super::past::{Heard, Key, Past, TaskPast};
use super::prepare::{Item, ItemState, Judged, Prepared, Work};
use super::verdict;
use crate::event::{Status, TaskResult};
use crate::modules::{Error, Nature, Outcome};
use crate::plan::short_name;
use crate::playbook::Task;
use crate::proto::ToAgent;
use crate::value::{HostName, Mapping, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What is known of an item that is sent all the same.
#[derive(Debug)]
pub(super) struct Before {
    /// What was registered.
    data: Mapping,
    /// The host was finished: nothing is changed there.
    pub is_recheck: bool,
    /// It may remove what later tasks of the stopped run have made, which is known when it has looked.
    pub may_undo: bool,
    pub past: TaskPast,
}

/// What becomes of an item of which an earlier run knows.
enum Way {
    /// It runs as in any run.
    Live,
    /// It runs; if it changes nothing, its old result stands.
    LiveOver(Before),
    Restored(Judged),
}

/// Modules that wait for others: they are read live wherever the host was not finished.
const WAITS: &[&str] = &["kafka_safe_to_stop", "wait_for", "wait_for_isr"];

impl Batch<'_> {
    /// Lays the past over a prepared task. Returns `false` while the host's journal is still to be heard.
    pub(super) fn lay_past_over(
        &mut self,
        host: usize,
        index: usize,
        task: &Arc<Task>,
        prepared: &mut Prepared,
    ) -> bool {
        let Some(mut past) = self.run.past.take() else {
            return true;
        };
        let is_known = self.lay_over(&mut past, host, index, task, prepared);
        self.run.past = Some(past);
        is_known
    }

    fn lay_over(
        &mut self,
        past: &mut Past,
        host: usize,
        index: usize,
        task: &Arc<Task>,
        prepared: &mut Prepared,
    ) -> bool {
        // What notifies a handler now wants it to run now.
        if task.is_handler {
            return true;
        }
        let name = Arc::clone(&self.hosts[host].name);
        let mut shown = task_name(task);
        if shown.title.contains("{{") {
            shown.title = self.run.render_title(&self.play, &name, task, &shown.title);
        }
        let key = Key::new(self.run.play_number, &shown);
        let nth = self.hosts[host].nth(self.steps[index].id, &key);
        let known = past.task(&name, &key, nth).cloned();
        let is_finished = past.is_finished(self.run.play_number, &name);
        let is_loop = prepared.shape.is_loop();
        let mut taken: Vec<String> = Vec::new();
        let brings_facts = prepared.brings_facts;
        for item in &mut prepared.items {
            if !matches!(item.state, ItemState::Ready) {
                continue;
            }
            let label = is_loop.then(|| self.run.mask(&item.label));
            let nth_item = taken
                .iter()
                .filter(|&other| Some(other) == label.as_ref())
                .count();
            taken.extend(label.clone());
            let result = known
                .as_ref()
                .and_then(|known| known.result(label.as_deref(), nth_item));
            let module = short_name(&task.module);
            let kind = kind(module, &item.work, brings_facts);
            let way = match (kind, is_finished, result) {
                (Kind::Live, ..)
                | (Kind::Wait, false, _)
                | (Kind::State | Kind::Judge, false, None)
                | (Kind::Look, _, None) => Way::Live,
                (Kind::Action | Kind::Wait | Kind::Judge, true, None) => passed(past),
                // The run went on in the `rescue`, and so does this one.
                (Kind::Action | Kind::Judge | Kind::State, false, Some(result))
                    if result.rescued && decided(past, &shown.title).is_none() =>
                {
                    Way::Restored(restored(result))
                }
                (Kind::State, ..) => Way::LiveOver(Before {
                    data: result.map(|result| result.data.clone()).unwrap_or_default(),
                    is_recheck: is_finished,
                    may_undo: result.is_some_and(is_well) && removes(&item.work),
                    past: known.clone().unwrap_or_default(),
                }),
                (_, true, Some(result)) => Way::Restored(restored(result)),
                (Kind::Look, false, Some(result)) => match task.register {
                    Some(_) if is_well(result) => {
                        restore(past, task, &shown.title, prepared.no_log, result)
                    }
                    _ => Way::Live,
                },
                (Kind::Judge, false, Some(result)) if is_well(result) => {
                    Way::Restored(restored(result))
                }
                (Kind::Judge, false, Some(_)) => Way::Live,
                (Kind::Action, false, Some(result)) => {
                    if is_well(result) && is_same(self.run.fingerprint(&item.work).as_ref(), result)
                    {
                        restore(past, task, &shown.title, prepared.no_log, result)
                    } else if matches!(result.status, Status::Unknown | Status::Cancelled) {
                        let is_own = item.envelope.delegate_to.is_none();
                        if is_own && restarts(&item.work) && !past.has_journal(&name) {
                            self.ask_for_journal(host);
                            return false;
                        }
                        let heard = cut_or_unknown(result);
                        in_doubt(past, &name, task, &shown.title, item, heard)
                    } else {
                        Way::Live
                    }
                }
                (Kind::Action, false, None) => {
                    if past.is_anew(&name) || item.envelope.delegate_to.is_some() {
                        Way::Live
                    } else if past.has_journal(&name) {
                        let heard = past.take_unrecorded(&name, &task.full_title(), &shown.title);
                        in_doubt(past, &name, task, &shown.title, item, heard)
                    } else {
                        self.ask_for_journal(host);
                        return false;
                    }
                }
            };
            match way {
                Way::Live => {}
                Way::Restored(judged) => {
                    // No agent drops what is sent behind a failure that it does not know of.
                    prepared.fence |= judged.failed;
                    item.state = ItemState::judged(judged);
                }
                Way::LiveOver(before) => {
                    // The agent goes on behind a look that finds a difference here.
                    prepared.fence |= before.is_recheck || before.may_undo;
                    item.before = Some(Box::new(before));
                }
            }
        }
        self.hosts[host].count(self.steps[index].id, key, nth);
        true
    }

    /// Asked again at each try; the answer to the first one is enough.
    fn ask_for_journal(&mut self, host: usize) {
        if !std::mem::replace(&mut self.hosts[host].asked_journal, true) {
            let name = Arc::clone(&self.hosts[host].name);
            self.run.links.send(&name, ToAgent::Journal);
        }
    }

    /// A host that was finished would be changed again: superseded by what the same run did later, or a difference that
    /// nobody knows of. Nothing is changed either way.
    pub(super) fn differs(
        &self,
        host: usize,
        task: &Task,
        before: &Before,
        outcome: &Outcome,
    ) -> Judged {
        let name = Arc::clone(&self.hosts[host].name);
        let Some(past) = &self.run.past else {
            return verdict::success(outcome.clone());
        };
        // What is done each time and changes nothing, such as having unit files read again, is no difference.
        if !outcome.changed || past.is_superseded(&name, &before.past, outcome) {
            return before.restored(None);
        }
        let run = past.run().to_owned();
        if past.decisions.differences_are_ok {
            let warning = format!("it differs from what run {run} left, and is left so");
            let mut judged = before.restored(Some(warning));
            judged.result.diffs.clone_from(&outcome.diffs);
            return judged;
        }
        let error = Error::new(format!(
            "run {run} had finished `{}` here, and the host differs from that now",
            task.title()
        ))
        .help(format!(
            "`krun resume --anew {name}` runs everything again on this host; \
             `krun resume --differences-ok` goes on and leaves it as it is"
        ));
        let mut judged = asked(error);
        judged.result.diffs.clone_from(&outcome.diffs);
        judged
    }
}

impl Before {
    /// What is known, as it was; with a warning, where there is something to say.
    pub(super) fn restored(&self, warning: Option<String>) -> Judged {
        let mut result = TaskResult::new(Status::Ok);
        result.data = self.data.clone();
        let mut judged = restored(&result);
        judged.result.warnings.extend(warning);
        judged
    }

    /// Lets the old result stand where nothing has changed since.
    pub(super) fn stand(&self, judged: &mut Judged) {
        if !judged.changed && !judged.failed && !judged.skipped && !self.data.is_empty() {
            judged.data = self.data.clone();
            // What goes on with this run reads it there.
            judged.result.data = self.data.clone();
        }
    }

    pub(super) fn had_changed(&self) -> bool {
        self.data.get("changed").and_then(Value::as_bool) == Some(true)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Cheap, or about now: facts, what only speaks or sets variables.
    Live,
    /// Waits for others.
    Wait,
    Action,
    State,
    Look,
    /// `assert`, `fail`, `pause`: answered here.
    Judge,
}

fn kind(module: &str, work: &Work, brings_facts: bool) -> Kind {
    match work {
        Work::Controller if matches!(module, "assert" | "fail" | "pause") => Kind::Judge,
        Work::Skip(_) | Work::Fault(_) | Work::Unknown(_) | Work::Controller => Kind::Live,
        Work::Agent(_) if brings_facts => Kind::Live,
        Work::Agent(action) if WAITS.contains(&action.name()) => Kind::Wait,
        work @ Work::Agent(_) if restarts(work) => Kind::Action,
        Work::Agent(action) => match action.nature() {
            Nature::Action => Kind::Action,
            Nature::State => Kind::State,
            Nature::Look => Kind::Look,
        },
    }
}

/// Whether it may remove a directory with all that is in it.
fn removes(work: &Work) -> bool {
    matches!(work, Work::Agent(action) if action.may_destroy())
}

/// Whether it ended so that it need not run again.
fn is_well(result: &TaskResult) -> bool {
    matches!(
        result.status,
        Status::Ok | Status::Changed | Status::Ignored
    )
}

fn cut_or_unknown(result: &TaskResult) -> Heard {
    if result.status == Status::Unknown {
        Heard::Unknown
    } else {
        Heard::Cut
    }
}

/// Another command under the same title is another command.
fn is_same(now: Option<&String>, then: &TaskResult) -> bool {
    let then = then.fingerprint.as_ref();
    now.is_none() || then.is_none() || now == then
}

/// What a recorded result comes to: as it was, but no change of this run.
fn restored(past: &TaskResult) -> Judged {
    let failed = matches!(past.status, Status::Failed | Status::Ignored);
    let status = match past.status {
        Status::Changed => Status::Ok,
        Status::Ignored => Status::Failed,
        other => other,
    };
    let result = TaskResult {
        status,
        restored: true,
        diffs: Vec::new(),
        elapsed_ms: 0,
        is_loop: false,
        ..past.clone()
    };
    Judged {
        changed: false,
        failed,
        skipped: past.status == Status::Skipped,
        unknown: None,
        asks_user: false,
        data: past.data.clone(),
        facts: Mapping::new(),
        result,
    }
}

/// Restores a result, if all of it was kept.
fn restore(past: &Past, task: &Task, title: &str, no_log: bool, result: &TaskResult) -> Way {
    let is_whole = !no_log && !holds_stars(&Value::Mapping(result.data.clone()));
    let Some((name, _)) = task.register.as_ref().filter(|_| !is_whole) else {
        return Way::Restored(restored(result));
    };
    decided(past, title).unwrap_or_else(|| {
        let what = format!("`{name}` cannot be restored: it held a secret, which no record keeps");
        refused(what, title)
    })
}

fn holds_stars(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("***"),
        Value::Sequence(items) => items.iter().any(holds_stars),
        Value::Mapping(map) => map
            .iter()
            .any(|(key, value)| holds_stars(key) || holds_stars(value)),
        _ => false,
    }
}

/// On a finished host, what did not run then does not run now.
fn passed(past: &Past) -> Way {
    let mut data = Mapping::new();
    data.insert("changed".into(), false.into());
    data.insert("skipped".into(), true.into());
    let reason = format!("it did not run in {}, which finished this host", past.run());
    data.insert("skip_reason".into(), reason.into());
    let mut judged = verdict::skip(data);
    judged.result.restored = true;
    Way::Restored(judged)
}

/// An action of which the record does not tell that it ended well. Whether a restart was done, the service's process
/// tells, which is younger then; a result that others read, or a handler that it notifies, would be missed.
fn in_doubt(
    past: &Past,
    host: &HostName,
    task: &Task,
    title: &str,
    item: &mut Item,
    heard: Heard,
) -> Way {
    let is_only_itself = task.register.is_none() && task.notify.is_empty();
    if let Work::Agent(action) = &mut item.work
        && let Some(began) = past.began(host, &task.full_title())
        && matches!(heard, Heard::Unknown | Heard::Cut)
        && is_only_itself
        && decided(past, title).is_none()
        && action.unless_restarted_since(began)
    {
        return Way::Live;
    }
    undecided(past, task, title, heard)
}

/// An action that began, of which the record does not tell that it ended well.
fn undecided(past: &Past, task: &Task, title: &str, heard: Heard) -> Way {
    let run = past.run();
    let what = match heard {
        Heard::Nothing => return Way::Live,
        Heard::Ended if task.register.is_none() => {
            return Way::Restored(restored(&TaskResult::new(Status::Ok)));
        }
        Heard::Ended => format!("`{title}` ended in run {run}, which did not hear its result"),
        Heard::Unknown => format!("`{title}` began in run {run}, and nobody knows how it ended"),
        Heard::Cut => format!("`{title}` was cut off in the middle in run {run}"),
    };
    decided(past, title).unwrap_or_else(|| refused(what, title))
}

/// What the user has decided about a task.
fn decided(past: &Past, title: &str) -> Option<Way> {
    let names = |titles: &[String]| {
        let short = title.rsplit(" : ").next();
        titles
            .iter()
            .any(|name| name == title || Some(name.as_str()) == short)
    };
    if names(&past.decisions.again) {
        return Some(Way::Live);
    }
    names(&past.decisions.done).then(|| Way::Restored(restored(&TaskResult::new(Status::Ok))))
}

fn refused(what: String, title: &str) -> Way {
    let title = shlex::try_quote(title).unwrap_or_default();
    let error = Error::new(what).help(format!(
        "look at the host, then `krun resume --again {title}` runs it again, or `krun resume --done {title}` takes it as done"
    ));
    Way::Restored(asked(error))
}

/// What only the user can decide. Nothing rescues or ignores it, as if the task itself had failed.
fn asked(error: Error) -> Judged {
    let mut judged = verdict::failure(error);
    judged.result.restored = true;
    judged.asks_user = true;
    judged
}

/// Whether it restarts or reloads a service: an action, though its module describes a state.
fn restarts(work: &Work) -> bool {
    let Work::Agent(action) = work else {
        return false;
    };
    matches!(action.name(), "systemd" | "service")
        && serde_json::to_string(action).is_ok_and(|text| {
            let text = text.to_lowercase();
            text.contains("\"state\":\"restarted\"") || text.contains("\"state\":\"reloaded\"")
        })
}

impl super::Run {
    /// Tells two actions apart, without giving away their secrets; `None` of what is no action.
    pub(super) fn fingerprint(&self, work: &Work) -> Option<String> {
        let Work::Agent(action) = work else {
            return None;
        };
        if action.nature() != Nature::Action {
            return None;
        }
        let text = self.mask(&serde_json::to_string(action).ok()?);
        Some(hex::encode(&Sha256::digest(text)[..8]))
    }
}

impl Item {
    /// Whether it only looks at a host that was finished.
    pub(super) fn is_recheck(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.is_recheck)
    }

    /// Whether it looks, and what it finds decides whether it is granted.
    pub(super) fn is_asked_first(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| before.is_recheck || before.may_undo)
    }
}
