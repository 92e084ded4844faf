//! The modules that the controller answers itself: they speak, judge, and set variables.

use super::ask::{self, Reply};
use super::prepare::{arguments, conditions};
use super::scope::TaskScope;
use super::world;
use super::{Run, included_vars};
use crate::modules::args;
use crate::modules::{self, Error, Outcome};
use crate::plan::short_name;
use crate::playbook::Task;
use crate::template::{Scope, Templar};
use crate::value::{Dict, HostName, Mapping, Value, as_bool, display};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a controller's module comes to.
pub(super) enum Answer {
    /// A condition is false: which.
    Skip(String),
    Done(Box<Result<Outcome, Error>>),
    /// Ask again at this time (`pause`).
    Rest(Instant),
    /// It reads what a task under way, perhaps on another host, will bring.
    Pending,
}

impl Answer {
    fn done(result: Result<Outcome, Error>) -> Self {
        Self::Done(Box::new(result))
    }
}

/// Answers a task of the controller's for one host and item.
/// `owner` is the host whose facts it sets, where it sets any.
pub(super) fn answer(
    run: &mut Run,
    scope: &TaskScope,
    task: &Arc<Task>,
    owner: &HostName,
) -> Answer {
    let shared: Arc<dyn Scope> = scope.clone().shared();
    let templar = Arc::clone(&run.templar);
    match conditions(&templar, &task.when, &shared) {
        Ok(Some(condition)) => return Answer::Skip(condition),
        Ok(None) => {}
        Err(error) => return unreadable(&error, "the condition cannot be judged: "),
    }
    let module = short_name(&task.module);
    if module == "assert" {
        return assert(&templar, task, &shared);
    }
    if module == "debug"
        && let Some(name) = task.arg("var")
    {
        return debug_variable(&templar, name, &shared);
    }
    let given = match arguments(&templar, task, &shared) {
        Ok(given) => given,
        Err(error) => return unreadable(&error, ""),
    };
    let result = match module {
        "debug" => debug(run, given),
        "fail" => Err(Error::new(
            given
                .get("msg")
                .map_or_else(|| "Failed as requested from task".into(), display),
        )),
        "set_fact" => set_fact(scope, given, owner),
        "include_vars" => included_vars::include(run, scope, &given),
        "add_host" => add_host(run, given),
        "group_by" => group_by(run, scope, given),
        "set_stats" => {
            typed("set_stats", given).and_then(|given| run.custom_stats.set(&scope.host, &given))
        }
        "pause" => return pause(run, scope, task, given),
        _ => Err(Error::new(format!("unknown module `{}`", task.module))
            .help("`krun doc` lists the modules that krun has")),
    };
    Answer::done(result)
}

fn debug(run: &Run, given: Mapping) -> Result<Outcome, Error> {
    let given = typed("debug", given)?;
    let verbosity = given.get("verbosity").and_then(Value::as_u64).unwrap_or(0);
    if u64::from(run.world.settings.verbosity) < verbosity {
        return Ok(Outcome {
            skipped: true,
            ..Outcome::new()
        });
    }
    let msg = given
        .get("msg")
        .cloned()
        .unwrap_or_else(|| "Hello world!".into());
    Ok(Outcome::new().with("_show", msg.clone()).with("msg", msg))
}

/// A template that cannot be rendered: not yet, or not at all.
fn unreadable(error: &crate::template::Error, what: &str) -> Answer {
    if error.is_pending() {
        Answer::Pending
    } else if error.is_unknown() {
        Answer::done(Ok(Outcome {
            unknown: Some(format!("it needs {error}")),
            ..Outcome::new()
        }))
    } else {
        Answer::done(Err(Error::new(format!("{what}{error}"))))
    }
}

fn debug_variable(templar: &Templar, name: &str, scope: &Arc<dyn Scope>) -> Answer {
    let expression = name
        .trim()
        .trim_start_matches("{{")
        .trim_end_matches("}}")
        .trim();
    let value = match templar.render_str(&format!("{{{{ {expression} }}}}"), scope) {
        Ok(value) => value,
        Err(error) if error.is_undefined() => "VARIABLE IS NOT DEFINED!".into(),
        Err(error) => return unreadable(&error, ""),
    };
    let mut show = Mapping::new();
    show.insert(expression.into(), value.clone());
    let outcome = Outcome::new().with("_show", Value::Mapping(show));
    Answer::done(Ok(outcome.with(expression, value)))
}

fn assert(templar: &Templar, task: &Task, scope: &Arc<dyn Scope>) -> Answer {
    let argument = |name: &str| {
        let entry = task.args.entries.get(name);
        entry.map(|entry| entry.value.to_value())
    };
    let said = |name: &str| {
        let rendered = argument(name).and_then(|value| templar.render_value(&value, scope).ok());
        rendered.map(|value| display(&value))
    };
    let conditions = match argument("that") {
        Some(Value::Sequence(list)) => list,
        Some(single) => vec![single],
        None => return Answer::done(Err(Error::new("missing argument `that` of `assert`"))),
    };
    for condition in &conditions {
        match templar.condition(condition, scope) {
            Ok(true) => {}
            Ok(false) => {
                let message = said("fail_msg").or_else(|| said("msg"));
                let error = Error::new(message.unwrap_or_else(|| "Assertion failed".into()))
                    .because(format!("`{}` is false", display(condition)))
                    .with("assertion", display(condition))
                    .with("evaluated_to", false);
                return Answer::done(Err(error));
            }
            Err(error) => return unreadable(&error, "the condition cannot be judged: "),
        }
    }
    let message = said("success_msg");
    let quiet = argument("quiet").and_then(|value| as_bool(&value));
    let outcome = Outcome::new().msg(message.as_deref().unwrap_or("All assertions passed"));
    Answer::done(Ok(match message {
        Some(message) if quiet != Some(true) => outcome.with("_show", message),
        _ => outcome,
    }))
}

/// Sets facts of `owner`: this host, or with `delegate_facts` the one to which the task is delegated.
fn set_fact(scope: &TaskScope, mut given: Mapping, owner: &HostName) -> Result<Outcome, Error> {
    let cacheable = given
        .remove("cacheable")
        .and_then(|value| as_bool(&value))
        .unwrap_or(false);
    if given.is_empty() {
        return Err(Error::new("`set_fact` sets nothing")
            .help("write `set_fact:` with `name: value` under it"));
    }
    let mut facts = Mapping::new();
    for (name, value) in given {
        facts.insert(name, crate::value::untagged(&value));
    }
    scope.world.hide_value("", &Value::Mapping(facts.clone()));
    world::write(&scope.world.host(owner), |vars| {
        for (name, value) in &facts {
            vars.set.insert(display(name), value.clone());
            if cacheable {
                vars.facts.insert(display(name), value.clone());
            }
        }
    });
    Ok(Outcome::new().with("ansible_facts", Value::Mapping(facts)))
}

fn add_host(run: &Run, mut given: Mapping) -> Result<Outcome, Error> {
    let name = ["name", "hostname", "host"]
        .iter()
        .find_map(|key| given.remove(*key))
        .map(|value| display(&value));
    let name = name.ok_or_else(|| Error::new("missing argument `name` of `add_host`"))?;
    let groups = ["groups", "group", "groupname"]
        .iter()
        .find_map(|key| given.remove(*key));
    let groups: Vec<String> = match groups {
        Some(Value::Sequence(list)) => list.iter().map(display).collect(),
        Some(text) => display(&text)
            .split(',')
            .map(|group| group.trim().to_owned())
            .filter(|group| !group.is_empty())
            .collect(),
        None => Vec::new(),
    };
    let vars: Dict = given
        .into_iter()
        .map(|(key, value)| (display(&key), value))
        .collect();
    let changed = run
        .world
        .inventory_mut()
        .add_host(&name, &groups, vars)
        .changed;
    run.world.refresh(&name);
    Ok(Outcome {
        changed,
        ..Outcome::new()
    })
}

fn group_by(run: &Run, scope: &TaskScope, given: Mapping) -> Result<Outcome, Error> {
    let given = typed("group_by", given)?;
    let key = given
        .get("key")
        .map(display)
        .unwrap_or_default()
        .replace(' ', "-");
    let parents: Vec<String> = given
        .get("parents")
        .and_then(Value::as_sequence)
        .map(|list| list.iter().map(display).collect())
        .unwrap_or_default();
    let mut changed = run
        .world
        .inventory_mut()
        .add_to_group(&scope.host, &key)
        .changed;
    for parent in &parents {
        let added = run.world.inventory_mut().add_child_group(parent, &key);
        changed |= added
            .map_err(|circle| Error::new(circle.to_string()))?
            .changed;
    }
    run.world.refresh(&scope.host);
    Ok(Outcome {
        changed,
        ..Outcome::new()
    })
}

/// `pause` waits without holding up other hosts; without a time it waits for a person.
fn pause(run: &mut Run, scope: &TaskScope, task: &Arc<Task>, given: Mapping) -> Answer {
    let given = match typed("pause", given) {
        Ok(given) => given,
        Err(error) => return Answer::done(Err(error)),
    };
    let number = |name: &str| given.get(name).and_then(Value::as_f64);
    let seconds = number("seconds").unwrap_or(0.0) + number("minutes").unwrap_or(0.0) * 60.0;
    let key = "_pause_until";
    let begun = world::read(&scope.world.host(&scope.host), |vars| {
        vars.set.contains_key(key)
    });
    if begun || scope.world.settings.check_mode {
        world::write(&scope.world.host(&scope.host), |vars| {
            drop(vars.set.shift_remove(key));
        });
        return Answer::done(Ok(Outcome::new()
            .with("delta", seconds)
            .with("stdout", format!("Paused for {seconds} seconds"))));
    }
    if number("seconds").or(number("minutes")).is_none() {
        return match ask::ask(run, task, &given) {
            Reply::Open(until) => Answer::Rest(until),
            Reply::Done(result) => Answer::Done(result),
        };
    }
    world::write(&scope.world.host(&scope.host), |vars| {
        drop(vars.set.insert(key.into(), seconds.into()));
    });
    Answer::Rest(Instant::now() + Duration::from_secs_f64(seconds.max(0.0)))
}

fn typed(module: &str, given: Mapping) -> Result<Mapping, Error> {
    let entry = modules::find(module).map_or(&[][..], |entry| entry.args);
    args::coerce(entry, given).map_err(|faults| Error::new(faults.join("; ")))
}
