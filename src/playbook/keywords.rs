//! The table of all keywords: where each may stand, what its value must be, what it does.

use crate::diag::{Diagnostics, nearest};
use crate::value;
use crate::yaml::{Kind, Map, Node};

/// Where a keyword may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Play,
    /// An entry of `roles:` or of a role's dependencies.
    Role,
    Block,
    Task,
    Handler,
}

impl Place {
    fn bit(self) -> u8 {
        match self {
            Self::Play => P,
            Self::Role => R,
            Self::Block => B,
            Self::Task => T,
            Self::Handler => H,
        }
    }

    /// `a play`, `a task`, …, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Play => "a play",
            Self::Role => "a role entry",
            Self::Block => "a block",
            Self::Task => "a task",
            Self::Handler => "a handler",
        }
    }
}

/// What a keyword's value must be; a template may always stand instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    Number,
    Text,
    /// One text or a list of them.
    Texts,
    List,
    Map,
    /// A text, boolean, or list of these.
    Condition,
    Any,
}

/// One keyword.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    pub name: &'static str,
    places: u8,
    pub kind: Type,
    /// One line for `krun doc`.
    pub doc: &'static str,
}

const P: u8 = 1;
const R: u8 = 2;
const B: u8 = 4;
const T: u8 = 8;
const H: u8 = 16;
const TASKS: u8 = T | H;
/// Everything below a play.
const INNER: u8 = R | B | TASKS;
const ALL: u8 = P | INNER;

const fn row(name: &'static str, places: u8, kind: Type, doc: &'static str) -> Keyword {
    Keyword {
        name,
        places,
        kind,
        doc,
    }
}

/// All keywords, by name.
#[rustfmt::skip]
pub const KEYWORDS: &[Keyword] = &[
    row("action", TASKS, Type::Any, "the module and its arguments, the old way"),
    row("always", B, Type::List, "tasks that run however the block ended"),
    row("any_errors_fatal", ALL, Type::Bool, "a failure on one host ends the play for all"),
    row("args", TASKS, Type::Map, "further arguments of the module"),
    row("async", TASKS, Type::Int, "longest time to run in the background, in seconds"),
    row("barrier", TASKS, Type::Bool, "krun's: every host waits for this task's turn"),
    row("become", ALL, Type::Bool, "act as another user"),
    row("become_exe", ALL, Type::Text, "program that changes the user"),
    row("become_flags", ALL, Type::Text, "flags of that program"),
    row("become_method", ALL, Type::Text, "how to become: sudo (the default), su, …"),
    row("become_user", ALL, Type::Text, "the user to become (default root)"),
    row("block", B, Type::List, "tasks that share keywords"),
    row("changed_when", TASKS, Type::Condition, "what counts as a change"),
    row("check_mode", ALL, Type::Bool, "look without changing, or never only look"),
    row("collections", ALL, Type::Texts, "where short names are looked for"),
    row("connection", ALL, Type::Text, "how hosts are reached: ssh, local, docker, podman"),
    row("debugger", ALL, Type::Text, "when Ansible would start its debugger"),
    row("delay", TASKS, Type::Number, "seconds between attempts (default 5)"),
    row("delegate_facts", INNER, Type::Bool, "facts belong to the host that the task was delegated to"),
    row("delegate_to", INNER, Type::Text, "the host that does it instead"),
    row("diff", ALL, Type::Bool, "show what changes in files"),
    row("environment", ALL, Type::Any, "environment variables of the task's processes"),
    row("fact_path", P, Type::Text, "where local facts lie"),
    row("failed_when", TASKS, Type::Condition, "what counts as a failure"),
    row("force_handlers", P, Type::Bool, "notified handlers run on failed hosts too"),
    row("gather_facts", P, Type::Bool, "gather facts first (default yes)"),
    row("gather_subset", P, Type::Texts, "which facts"),
    row("gather_timeout", P, Type::Int, "longest time to gather, in seconds"),
    row("handlers", P, Type::List, "tasks that run once when notified"),
    row("hosts", P, Type::Texts, "pattern of the hosts"),
    row("id", TASKS, Type::Text, "krun's: a name for `needs`"),
    row("ignore_errors", ALL, Type::Bool, "a failure does not stop the host"),
    row("ignore_unreachable", ALL, Type::Bool, "an unreachable host goes on with the next task"),
    row("listen", H, Type::Texts, "topics that notify the handler"),
    row("local_action", TASKS, Type::Any, "a module that runs on the controller"),
    row("loop", TASKS, Type::Any, "run once for each item of a list"),
    row("loop_control", TASKS, Type::Map, "how the loop names, labels and paces its items"),
    row("max_fail_percentage", P, Type::Number, "share of failed hosts of a batch that ends the play"),
    row("module_defaults", ALL, Type::Any, "default arguments, by module"),
    row("name", ALL, Type::Text, "what is shown"),
    row("needs", TASKS, Type::Texts, "krun's: ids of tasks that must be done first"),
    row("no_log", ALL, Type::Bool, "show neither arguments nor results"),
    row("notify", B | TASKS, Type::Texts, "handlers to run after a change"),
    row("order", P, Type::Text, "in which order hosts are taken"),
    row("poll", TASKS, Type::Int, "seconds between looks at a background task; 0 does not wait"),
    row("port", ALL, Type::Int, "port of the connection"),
    row("post_tasks", P, Type::List, "tasks after `tasks`"),
    row("pre_tasks", P, Type::List, "tasks before the roles"),
    row("register", TASKS, Type::Text, "variable that takes the result"),
    row("remote_user", ALL, Type::Text, "the user to log in as"),
    row("rescue", B, Type::List, "tasks that run when the block failed"),
    row("retries", TASKS, Type::Int, "attempts after the first (default 3)"),
    row("role", R, Type::Text, "the role's name"),
    row("roles", P, Type::List, "roles to run"),
    row("run_once", ALL, Type::Bool, "run on the first host of the batch, for all"),
    row("serial", P, Type::Any, "how many hosts at a time: a number, a percentage, a list of these"),
    row("strategy", P, Type::Text, "linear (the default), free, host_pinned"),
    row("tags", ALL, Type::Texts, "names to select by"),
    row("tasks", P, Type::List, "tasks after the roles"),
    row("throttle", ALL, Type::Int, "most hosts that do it at the same time"),
    row("timeout", ALL, Type::Int, "longest time a task may run, in seconds"),
    row("until", TASKS, Type::Condition, "repeat until this holds"),
    row("validate_argspec", P, Type::Any, "judge variables by an argument specification"),
    row("vars", ALL, Type::Any, "variables"),
    row("vars_files", P, Type::Texts, "files of variables"),
    row("vars_prompt", P, Type::List, "variables to ask for"),
    row("when", INNER, Type::Condition, "run only if this holds"),
];

/// Keywords that krun knows and does nothing about.
const WITHOUT_EFFECT: &[&str] = &[
    "debugger",
    "become_exe",
    "fact_path",
    "gather_timeout",
    "validate_argspec",
];

/// Returns the keyword if it may stand at `place`.
pub fn find(name: &str, place: Place) -> Option<&'static Keyword> {
    KEYWORDS
        .iter()
        .find(|keyword| keyword.name == name && keyword.places & place.bit() != 0)
}

/// Returns the names of what may stand at `place`.
pub fn names(place: Place) -> impl Iterator<Item = &'static str> {
    KEYWORDS
        .iter()
        .filter(move |keyword| keyword.places & place.bit() != 0)
        .map(|keyword| keyword.name)
}

/// Returns whether the text holds a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Judges the values of the keywords of `map`; other keys are left to the caller.
pub(crate) fn judge(map: &Map, place: Place, diagnostics: &mut Diagnostics) {
    for (name, entry) in &map.entries {
        let Some(keyword) = find(name, place) else {
            continue;
        };
        if WITHOUT_EFFECT.contains(&name.as_str()) {
            diagnostics.push(entry.key.warning(format!("`{name}` has no effect in krun")));
        }
        if let Some(wanted) = mismatch(keyword.kind, &entry.value) {
            let fault = entry.value.span.error(format!(
                "`{name}` must be {wanted}, not {}",
                shown(&entry.value)
            ));
            diagnostics.push(fault);
        }
    }
}

/// Reports a key that may not stand at `place`.
pub(crate) fn unknown(
    name: &str,
    key: &crate::diag::Span,
    place: Place,
    diagnostics: &mut Diagnostics,
) {
    let elsewhere = KEYWORDS.iter().find(|keyword| keyword.name == name);
    let fault = match elsewhere {
        Some(_) => key.error(format!("`{name}` cannot stand in {}", place.noun())),
        None => key.error(format!("unknown keyword `{name}` of {}", place.noun())),
    };
    diagnostics.push(match (elsewhere, nearest(name, names(place))) {
        (None, Some(near)) => fault.help(format!("did you mean `{near}`?")),
        (Some(keyword), _) => fault.help(format!("it belongs to {}", places_of(keyword))),
        (None, None) => match nearest(name, KEYWORDS.iter().map(|keyword| keyword.name)) {
            Some(near) => {
                let keyword = KEYWORDS.iter().find(|keyword| keyword.name == near);
                let places = keyword.map(places_of).unwrap_or_default();
                fault.help(format!("`{near}` belongs to {places}"))
            }
            None => fault,
        },
    });
}

fn places_of(keyword: &Keyword) -> String {
    let places = [
        Place::Play,
        Place::Role,
        Place::Block,
        Place::Task,
        Place::Handler,
    ];
    places
        .into_iter()
        .filter(|place| keyword.places & place.bit() != 0)
        .map(Place::noun)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the value as a message quotes it.
pub(crate) fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Seq(_) | Kind::Map(_) | Kind::Vault(_) | Kind::Null => node.kind_name().into(),
        _ => format!("`{}`", value::display(&node.to_value())),
    }
}

/// Returns what the value should have been, if it is something else.
fn mismatch(kind: Type, node: &Node) -> Option<&'static str> {
    match &node.kind {
        Kind::Null | Kind::Vault(_) => return None,
        Kind::Str(text) if is_template(text) => return None,
        _ => {}
    }
    let text = node.as_str();
    let is_scalar = !matches!(node.kind, Kind::Seq(_) | Kind::Map(_));
    let number = || text.and_then(|text| text.trim().trim_end_matches('%').parse::<f64>().ok());
    let (fits, wanted) = match kind {
        Type::Bool => (
            is_scalar && value::as_bool(&value::untagged(&node.to_value())).is_some(),
            "a boolean",
        ),
        Type::Int => (
            matches!(node.kind, Kind::Int(_))
                || text.is_some_and(|text| text.trim().parse::<i64>().is_ok()),
            "an integer",
        ),
        Type::Number => (
            matches!(node.kind, Kind::Int(_) | Kind::Float(_)) || number().is_some(),
            "a number",
        ),
        Type::Text => (is_scalar, "a string"),
        Type::Texts => (
            !matches!(node.kind, Kind::Map(_)),
            "a string or a list of strings",
        ),
        Type::List => (matches!(node.kind, Kind::Seq(_)), "a list"),
        Type::Map => (matches!(node.kind, Kind::Map(_)), "a mapping"),
        Type::Condition => (
            !matches!(node.kind, Kind::Map(_)),
            "a condition or a list of conditions",
        ),
        Type::Any => (true, ""),
    };
    (!fits).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_keyword_once() {
        let names: Vec<_> = KEYWORDS.iter().map(|keyword| keyword.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn listen_belongs_to_handlers_only() {
        assert!(find("listen", Place::Task).is_none());
        assert!(find("listen", Place::Handler).is_some());
    }
}
