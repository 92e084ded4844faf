//! Turns a task and a host into rendered work: conditions judged, loops expanded, arguments typed.

use super::keywords::{self, Envelope};
use super::scope::TaskScope;
use super::sources;
use super::world::Guards;
use crate::modules::{self, Action, Error, Place};
use crate::plan::short_name;
use crate::playbook::Task;
use crate::proto::Seq;
use crate::template::{Scope, Templar};
use crate::value::{Dict, HostName, Mapping, Value, display};
use crate::yaml::Node;
use std::sync::Arc;
use std::time::Instant;

/// Rendered work of one task for one host.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub items: Vec<Item>,
    pub shape: Shape,
    pub fence: bool,
    pub no_log: bool,
    pub brings_facts: bool,
    pub fault: Option<Error>,
    pub skipped: Option<Mapping>,
}

/// How the items of a task belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// No loop: the one item is the task.
    #[default]
    Single,
    /// A loop whose items are sent together.
    Loop,
    /// A loop whose next item is sent only when the one before is over.
    OneByOne,
}

impl Shape {
    pub(super) fn is_loop(self) -> bool {
        self != Self::Single
    }
}

/// One item of a loop, or the task itself.
#[derive(Debug)]
pub(super) struct Item {
    /// The loop's variables.
    pub locals: Dict,
    /// What is shown for it.
    pub label: String,
    pub work: Work,
    pub state: ItemState,
    /// Counted from 1.
    pub attempt: u32,
    pub envelope: Arc<Envelope>,
    /// Check mode: why nobody can say whether it runs at all.
    pub perhaps: Option<String>,
    /// What the run that this one goes on with knows of it.
    pub before: Option<Box<super::resume::Before>>,
    /// A review: what the task asks for, told with its result.
    pub wish: Option<Mapping>,
}

impl Item {
    pub(super) fn new(locals: Dict, label: &str, rendered: Rendered) -> Self {
        Self {
            locals,
            label: label.to_owned(),
            work: rendered.work,
            state: ItemState::Ready,
            attempt: 1,
            envelope: Arc::new(rendered.envelope),
            perhaps: rendered.perhaps,
            before: None,
            wish: rendered.wish,
        }
    }

    /// The whole of a task whose items nobody can say.
    fn unknown(error: &crate::template::Error) -> Self {
        let work = Work::Unknown(format!("it needs {error}"));
        Self::new(Dict::new(), "", Rendered::alone(work))
    }

    /// Says that nobody knows whether it runs at all.
    pub(super) fn doubt(&mut self, cause: &str) {
        if let Work::Controller = self.work {
            self.work = Work::Unknown(cause.to_owned());
        }
        self.perhaps.get_or_insert_with(|| cause.to_owned());
    }

    /// Whether it is on its way to that host's agent, or under way there.
    pub(super) fn is_sent_to(&self, host: &HostName) -> bool {
        matches!(&self.state, ItemState::Sent { to, .. } if to == host)
    }
}

/// What there is to do.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Agent(Box<Action>),
    /// Answered here; its arguments are rendered when its turn comes.
    Controller,
    /// A false condition: which.
    Skip(String),
    /// Arguments that could not be rendered or typed.
    Fault(Error),
    /// Check mode: it reads what nobody can say.
    Unknown(String),
}

/// What one item comes to, and what surrounds it.
pub(super) struct Rendered {
    pub work: Work,
    pub envelope: Envelope,
    /// Check mode: why nobody can say whether it runs at all.
    pub perhaps: Option<String>,
    pub wish: Option<Mapping>,
}

impl Rendered {
    fn alone(work: Work) -> Self {
        Self {
            work,
            envelope: Envelope::default(),
            perhaps: None,
            wish: None,
        }
    }
}

#[derive(Debug)]
pub(super) enum ItemState {
    Ready,
    Sent {
        seq: Seq,
        to: HostName,
        granted: bool,
        waiting: bool,
        began: bool,
        since: Instant,
    },
    /// To be sent again at this time (`until`).
    Resting {
        until: Instant,
    },
    Arrived {
        result: Box<Result<modules::Outcome, Error>>,
        elapsed_ms: u64,
    },
    /// Taken back before it began.
    Dropped,
    Judged(Box<Judged>),
}

impl ItemState {
    /// A failure that took no time: found before anything was sent, or heard of from elsewhere.
    pub(super) fn failed(error: Error) -> Self {
        Self::Arrived {
            result: Box::new(Err(error)),
            elapsed_ms: 0,
        }
    }

    pub(super) fn judged(judged: Judged) -> Self {
        Self::Judged(Box::new(judged))
    }
}

/// An item with its verdict.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own"
)]
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub changed: bool,
    pub failed: bool,
    pub skipped: bool,
    /// Check mode: why nobody can say what it brings about.
    pub unknown: Option<String>,
    /// It is no failure of the task's own: only the user can say how to go on.
    pub asks_user: bool,
    /// What `register` stores.
    pub data: Mapping,
    pub facts: Mapping,
    pub result: crate::event::TaskResult,
}

/// Why a task cannot be prepared now.
#[derive(Debug)]
pub(super) enum NotNow {
    /// It reads what a task under way will define.
    Pending,
    /// It must be alone on its host.
    NotQuiet,
}

/// Prepares `task` for a host. `quiet` says that nothing is under way there.
pub(super) fn prepare(
    templar: &Templar,
    scope: &TaskScope,
    task: &Arc<Task>,
    quiet: bool,
) -> Result<Prepared, NotNow> {
    let module = short_name(&task.module);
    let entry = modules::find(module);
    let on_controller = entry.is_none_or(|entry| entry.place == Place::Controller);
    // What changes variables waits for everything before it; what only speaks or judges may be answered early.
    let waits = !quiet || !scope.turn;
    if on_controller && waits && !matches!(module, "debug" | "assert" | "fail") {
        return Err(NotNow::NotQuiet);
    }
    if task.keywords.delegate_to.is_some() && !quiet {
        return Err(NotNow::NotQuiet);
    }
    let mut prepared = Prepared {
        fence: on_controller
            || task.until.is_some()
            || task.failed_when.is_some()
            || task.keywords.delegate_to.is_some()
            || task.retries.is_some(),
        brings_facts: matches!(
            module,
            "setup" | "service_facts" | "package_facts" | "kafka_facts"
        ) || entry.is_some_and(|entry| entry.name == "getent"),
        ..Prepared::default()
    };
    let shared: Arc<dyn Scope> = scope.clone().shared();
    prepared.no_log = match keywords::flag(templar, task.keywords.no_log.as_ref(), &shared) {
        Ok(flag) => flag.unwrap_or(false),
        Err(error) if error.is_pending() => return Err(NotNow::Pending),
        Err(error) => return Ok(fault(prepared, &error, "no_log")),
    };
    let Some(loop_) = &task.loop_ else {
        let rendered = rendered(templar, scope, task, on_controller)?;
        prepared.items.push(Item::new(Dict::new(), "", rendered));
        return Ok(prepared);
    };
    let waits_for_each = task.until.is_some()
        || task.retries.is_some()
        || loop_.pause.is_some()
        || loop_.break_when.is_some()
        || on_controller;
    prepared.shape = if waits_for_each {
        Shape::OneByOne
    } else {
        Shape::Loop
    };
    let values = match super::loops::items(templar, loop_, &shared) {
        Ok(values) => values,
        Err(error) if error.is_pending() => return Err(NotNow::Pending),
        Err(error) if error.is_unknown() => {
            prepared.shape = Shape::Single;
            prepared.items.push(Item::unknown(&error));
            return Ok(prepared);
        }
        // A loop over something undefined is no fault where the condition says that the task does not run.
        Err(error) => {
            return match conditions(templar, &task.when, &shared) {
                Ok(Some(false_condition)) => Ok(Prepared {
                    skipped: Some(skipped(&false_condition)),
                    ..prepared
                }),
                Err(error) if error.is_pending() => Err(NotNow::Pending),
                _ => Ok(fault(prepared, &error, "loop")),
            };
        }
    };
    if values.is_empty() {
        let mut skipped = Mapping::new();
        skipped.insert("changed".into(), false.into());
        skipped.insert("results".into(), Value::Sequence(Vec::new()));
        skipped.insert("skipped".into(), true.into());
        skipped.insert("skipped_reason".into(), "No items in the list".into());
        return Ok(Prepared {
            skipped: Some(skipped),
            ..prepared
        });
    }
    for (value, locals) in values.iter().zip(super::loops::locals(loop_, &values)) {
        let with_locals = scope.with(locals.clone());
        let label = match &loop_.label {
            Some(label) => {
                match templar.render_value(&label.to_value(), &with_locals.clone().shared()) {
                    Ok(label) => display(&label),
                    Err(error) if error.is_pending() => return Err(NotNow::Pending),
                    Err(_) => display(value),
                }
            }
            None => display(value),
        };
        let rendered = rendered(templar, &with_locals, task, on_controller)?;
        prepared.items.push(Item::new(locals, &label, rendered));
    }
    Ok(prepared)
}

fn fault(prepared: Prepared, error: &crate::template::Error, what: &str) -> Prepared {
    Prepared {
        fault: Some(Error::new(format!("`{what}` cannot be read: {error}"))),
        fence: true,
        ..prepared
    }
}

/// Returns the first condition that is false, as it was written.
pub(super) fn conditions(
    templar: &Templar,
    when: &[Node],
    scope: &Arc<dyn Scope>,
) -> Result<Option<String>, crate::template::Error> {
    let mut unknown = None;
    for condition in when {
        match templar.condition(&condition.to_value(), scope) {
            Ok(true) => {}
            Ok(false) => return Ok(Some(display(&condition.to_value()))),
            // A later one may be false all the same.
            Err(error) if error.is_unknown() => unknown = Some(error),
            Err(error) => return Err(error),
        }
    }
    unknown.map_or(Ok(None), Err)
}

/// The registered result of a skipped task.
pub(super) fn skipped(condition: &str) -> Mapping {
    let mut data = Mapping::new();
    data.insert("changed".into(), false.into());
    data.insert("skipped".into(), true.into());
    data.insert("skip_reason".into(), "Conditional result was False".into());
    data.insert("false_condition".into(), condition.into());
    data
}

/// Whether a condition may be false only because this is a plan: a run would do what it leaves out here.
fn is_for_runs_only(scope: &TaskScope, condition: &str) -> bool {
    let settings = &scope.world.settings;
    settings.check_mode
        && settings.guards != Guards::Off
        && condition.contains("ansible_check_mode")
}

fn rendered(
    templar: &Templar,
    scope: &TaskScope,
    task: &Arc<Task>,
    on_controller: bool,
) -> Result<Rendered, NotNow> {
    let shared: Arc<dyn Scope> = scope.clone().shared();
    let mut perhaps = None;
    let alone = |work| Ok(Rendered::alone(work));
    // What surrounds the task counts for its failure, too: `ignore_errors`.
    let envelope = keywords::envelope(templar, scope, task);
    let failed = |work, envelope: &Result<Envelope, crate::template::Error>| {
        Ok(Rendered {
            envelope: envelope.as_ref().ok().cloned().unwrap_or_default(),
            ..Rendered::alone(work)
        })
    };
    // A controller's task with a loop is judged item by item when its turn comes: one item may set what the next one reads.
    let later = on_controller && task.loop_.is_some();
    if !later {
        match conditions(templar, &task.when, &shared) {
            Ok(Some(condition)) if is_for_runs_only(scope, &condition) && !on_controller => {
                perhaps = Some(format!("a plan does not decide `when: {condition}`"));
            }
            Ok(Some(condition)) => return alone(Work::Skip(condition)),
            Ok(None) => {}
            Err(error) if error.is_pending() => return Err(NotNow::Pending),
            Err(error) if error.is_unknown() => {
                let cause = format!("whether it runs depends on {error}");
                if on_controller {
                    return alone(Work::Unknown(cause));
                }
                perhaps = Some(cause);
            }
            Err(error) => {
                let text = format!("the condition cannot be judged: {error}");
                return failed(Work::Fault(Error::new(text)), &envelope);
            }
        }
    }
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(error) => return alone(unreadable(&error)?),
    };
    if on_controller {
        return Ok(Rendered {
            work: Work::Controller,
            envelope,
            perhaps,
            wish: None,
        });
    }
    let scope = &scope.clone().for_host();
    let shared: Arc<dyn Scope> = scope.clone().shared();
    let mut wish = None;
    let work = match arguments(templar, task, &shared) {
        Err(error) => unreadable(&error)?,
        Ok(given) => match sources::action(templar, scope, task, given.clone()) {
            Ok(action) => {
                let is_told = scope.world.settings.is_imagined;
                wish = is_told.then(|| action.wish(given));
                Work::Agent(Box::new(action))
            }
            Err(sources::Fault::Pending) => return Err(NotNow::Pending),
            Err(sources::Fault::Unknown(cause)) => Work::Unknown(format!("it needs {cause}")),
            Err(sources::Fault::Error(error)) => Work::Fault(error),
        },
    };
    Ok(Rendered {
        work,
        envelope,
        perhaps,
        wish,
    })
}

/// What a task comes to whose templates cannot be rendered.
fn unreadable(error: &crate::template::Error) -> Result<Work, NotNow> {
    if error.is_pending() {
        Err(NotNow::Pending)
    } else if error.is_unknown() {
        Ok(Work::Unknown(format!("it needs {error}")))
    } else {
        Ok(Work::Fault(Error::new(error.to_string())))
    }
}

/// Renders a task's arguments over the play's `module_defaults`.
pub(super) fn arguments(
    templar: &Templar,
    task: &Task,
    scope: &Arc<dyn Scope>,
) -> Result<Mapping, crate::template::Error> {
    let mut given = Mapping::new();
    for defaults in &task.keywords.module_defaults {
        if let Value::Mapping(defaults) = templar.render_value(&defaults.to_value(), scope)? {
            let own = defaults.iter().filter(|(name, _)| {
                name.as_str()
                    .is_some_and(|name| short_name(name) == short_name(&task.module))
            });
            for (_, arguments) in own {
                if let Value::Mapping(arguments) = arguments {
                    given.extend(arguments.clone());
                }
            }
        }
    }
    let written = match task.args_value() {
        // The text of a template is rendered where the file is read, not here.
        Value::Mapping(written) => written,
        other => match templar.render_value(&other, scope)? {
            Value::Mapping(written) => written,
            _ => Mapping::new(),
        },
    };
    if let Value::Mapping(rendered) = templar.render_value(&Value::Mapping(written), scope)? {
        given.extend(rendered);
    }
    Ok(given)
}
