//! Turns what a module answered into a verdict: `until`, `failed_when`, `changed_when`, and the shape that `register` stores.

use super::prepare::Judged;
use super::scope::TaskScope;
use crate::event::{Status, TaskResult};
use crate::modules::{Error, Outcome};
use crate::playbook::Task;
use crate::template::Templar;
use crate::value::{Dict, Mapping, Value};
use crate::yaml::Node;

/// What is to happen with an item's result.
pub(super) enum Verdict {
    Final(Judged),
    /// `until` does not hold yet: seconds to wait, tries left.
    Again {
        delay: f64,
        left: u32,
        judged: Judged,
    },
}

/// Seconds between tries where `delay` is not written (Ansible's default).
const DELAY: f64 = 5.0;
/// Tries after the first where `retries` is not written (Ansible's default).
const RETRIES: u32 = 3;

/// Judges the result of one item.
pub(super) fn judge(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
    result: Result<Outcome, Error>,
    attempt: u32,
) -> Verdict {
    let mut judged = match result {
        Ok(outcome) => success(outcome),
        Err(error) => failure(error),
    };
    if crate::modules::find(&task.module).is_some_and(|entry| entry.name == "setup") {
        register_by_full_names(&mut judged);
    }
    if judged.skipped || judged.unknown.is_some() {
        return Verdict::Final(judged);
    }
    if task.until.is_some() || task.retries.is_some() {
        judged
            .data
            .insert("attempts".into(), u64::from(attempt).into());
    }
    if let Err((keyword, error)) = apply_conditions(templar, scope, task, &mut judged) {
        return Verdict::Final(unjudgeable(judged, keyword, &error));
    }
    if task.until.is_none() && task.retries.is_none() {
        return Verdict::Final(judged);
    }
    let within = scope_of(scope, task, &judged);
    let number = |node: &Option<Node>| {
        super::keywords::text(templar, node.as_ref(), &within.clone().shared())
            .ok()
            .flatten()
            .and_then(|text| text.trim().parse::<f64>().ok())
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that the user wrote"
    )]
    let retries = number(&task.retries).map_or(RETRIES, |n| n.max(0.0) as u32);
    let reached = match &task.until {
        None => Ok(!judged.failed),
        Some(until) => templar.condition(&until.to_value(), &within.clone().shared()),
    };
    match reached {
        Ok(true) => Verdict::Final(judged),
        Ok(false) if task.until.is_some() && scope.world.settings.check_mode => {
            let text = "would wait: what `until` asks for does not hold yet";
            judged.failed = false;
            judged.unknown = Some(text.into());
            judged.result.status = Status::Unforeseen;
            judged.result.msg = Some(text.into());
            Verdict::Final(judged)
        }
        // One try, then `retries` more (Ansible: attempts = 1 + retries).
        Ok(false) if attempt <= retries => Verdict::Again {
            delay: number(&task.delay).unwrap_or(DELAY),
            left: retries + 1 - attempt,
            judged,
        },
        Ok(false) => {
            judged
                .data
                .insert("attempts".into(), u64::from(retries).into());
            judged.failed = true;
            judged.data.insert("failed".into(), true.into());
            judged.result.status = Status::Failed;
            if judged.result.msg.is_none() {
                judged.result.msg = Some(format!("`until` did not hold after {attempt} tries"));
            }
            Verdict::Final(judged)
        }
        Err(error) => Verdict::Final(unjudgeable(judged, "until", &error)),
    }
}

/// `loop_control.break_when`: whether the loop ends behind this item. A condition that cannot be judged does not end it.
pub(super) fn ends_loop(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
    judged: &Judged,
) -> bool {
    let condition = task.loop_.as_ref().and_then(|it| it.break_when.as_ref());
    let Some(condition) = condition else {
        return false;
    };
    let within = scope_of(scope, task, judged).shared();
    let all = match condition.to_value() {
        Value::Sequence(all) => all,
        only => vec![only],
    };
    let mut all = all.iter();
    all.all(|condition| templar.condition(condition, &within).unwrap_or(false))
}

/// What `setup` registers has the names that facts have as variables.
fn register_by_full_names(judged: &mut Judged) {
    if judged.facts.is_empty() {
        return;
    }
    let facts = judged.facts.iter().map(|(name, value)| {
        let name = crate::value::display(name);
        let is_whole = name.starts_with("ansible_")
            || matches!(name.as_str(), "gather_subset" | "module_setup");
        let name = if is_whole {
            name
        } else {
            format!("ansible_{name}")
        };
        (Value::String(name), value.clone())
    });
    let facts = Value::Mapping(facts.collect());
    judged.data.insert("ansible_facts".into(), facts);
}

/// A result that cannot be judged has failed; what the module said is kept.
fn unjudgeable(judged: Judged, keyword: &str, error: &crate::template::Error) -> Judged {
    let msg = format!("`{keyword}` cannot be judged: {error}");
    let mut said = Error::new(&msg);
    said.data = judged.data;
    said.data.insert("failed".into(), true.into());
    said.data.insert("msg".into(), msg.as_str().into());
    said.data
        .insert(format!("{keyword}_result").into(), msg.into());
    failure(said)
}

/// The scope in which a result judges itself: its registered name is there already.
fn scope_of(scope: &TaskScope, task: &Task, judged: &Judged) -> TaskScope {
    match &task.register {
        Some((name, _)) => scope.with([(name.clone(), Value::Mapping(judged.data.clone()))]),
        None => scope.clone(),
    }
}

fn apply_conditions(
    templar: &Templar,
    scope: &TaskScope,
    task: &Task,
    judged: &mut Judged,
) -> Result<(), (&'static str, crate::template::Error)> {
    let condition = |node: &Node, judged: &Judged, keyword: &'static str| {
        templar
            .condition(&node.to_value(), &scope_of(scope, task, judged).shared())
            .map_err(|error| (keyword, error))
    };
    if let Some(changed_when) = &task.changed_when {
        judged.changed = condition(changed_when, judged, "changed_when")?;
        judged.data.insert("changed".into(), judged.changed.into());
    }
    if let Some(failed_when) = &task.failed_when {
        judged.failed = condition(failed_when, judged, "failed_when")?;
        judged.data.insert("failed".into(), judged.failed.into());
        judged
            .data
            .insert("failed_when_result".into(), judged.failed.into());
    }
    judged.result.status = match (judged.failed, judged.changed) {
        (true, _) => Status::Failed,
        (false, true) => Status::Changed,
        (false, false) => Status::Ok,
    };
    if judged.failed && judged.result.msg.is_none() {
        judged.result.msg = Some("`failed_when` holds".into());
    }
    Ok(())
}

/// The verdict on a module that ended well.
pub(super) fn success(outcome: Outcome) -> Judged {
    let mut data = Mapping::new();
    data.insert("changed".into(), outcome.changed.into());
    data.insert("failed".into(), false.into());
    if outcome.skipped {
        data.insert("skipped".into(), true.into());
    }
    if let Some(msg) = &outcome.msg {
        data.insert("msg".into(), msg.as_str().into());
    }
    data.extend(outcome.data);
    if !outcome.facts.is_empty() {
        data.insert(
            "ansible_facts".into(),
            Value::Mapping(outcome.facts.clone()),
        );
    }
    if !outcome.warnings.is_empty() {
        data.insert(
            "warnings".into(),
            Value::Sequence(
                outcome
                    .warnings
                    .iter()
                    .map(|warning| warning.as_str().into())
                    .collect(),
            ),
        );
    }
    let status = if outcome.unknown.is_some() {
        Status::Unforeseen
    } else if outcome.skipped {
        Status::Skipped
    } else if outcome.changed {
        Status::Changed
    } else {
        Status::Ok
    };
    let show = data.get("_show").cloned();
    data.remove("_show");
    let result = TaskResult {
        msg: outcome.unknown.clone().or(outcome.msg),
        diffs: outcome.diffs,
        warnings: outcome.warnings,
        destroys: outcome.destroys,
        stops: outcome.stops,
        show,
        data: data.clone(),
        ..TaskResult::new(status)
    };
    Judged {
        changed: outcome.changed,
        failed: false,
        skipped: outcome.skipped,
        unknown: outcome.unknown,
        asks_user: false,
        data,
        facts: outcome.facts,
        result,
    }
}

/// The verdict on a module that failed.
pub(super) fn failure(error: Error) -> Judged {
    let mut data = Mapping::new();
    data.insert("changed".into(), false.into());
    data.insert("failed".into(), true.into());
    data.insert("msg".into(), error.message.as_str().into());
    data.extend(error.data);
    let changed = data
        .get("changed")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let result = TaskResult {
        msg: Some(error.message),
        causes: error.causes,
        help: error.help,
        diffs: error.diffs,
        data: data.clone(),
        ..TaskResult::new(Status::Failed)
    };
    Judged {
        changed,
        failed: true,
        skipped: false,
        unknown: None,
        asks_user: false,
        data,
        facts: Mapping::new(),
        result,
    }
}

/// The verdict on a task of which check mode cannot say what it would do.
pub(super) fn unforeseen(cause: String) -> Judged {
    let mut judged = success(Outcome {
        unknown: Some(cause),
        ..Outcome::default()
    });
    judged.result.is_dark = true;
    judged
}

/// The verdict on a task that did not run.
pub(super) fn skip(data: Mapping) -> Judged {
    let result = TaskResult {
        data: data.clone(),
        ..TaskResult::new(Status::Skipped)
    };
    Judged {
        changed: false,
        failed: false,
        skipped: true,
        unknown: None,
        asks_user: false,
        data,
        facts: Mapping::new(),
        result,
    }
}

/// The verdict on a loop: changed if any item is, failed if any is, skipped if all are (semantics: register of a loop).
pub(super) fn fold<'a>(items: impl Iterator<Item = (&'a Dict, &'a Judged)>, task: &Task) -> Judged {
    let loop_var = task
        .loop_
        .as_ref()
        .map_or("item", |loop_| loop_.loop_var.as_str());
    let (mut results, mut first_failure) = (Vec::new(), None);
    let (mut changed, mut failed, mut skipped, mut asks_user) = (false, false, true, false);
    let (mut unforeseen, mut unknown) = (false, None);
    for (locals, judged) in items {
        changed |= judged.changed;
        failed |= judged.failed;
        asks_user |= judged.asks_user;
        skipped &= judged.skipped;
        unforeseen |= judged.result.status == Status::Unforeseen;
        unknown = unknown.or_else(|| judged.unknown.clone());
        let mut data = judged.data.clone();
        for (name, value) in locals {
            data.insert(name.as_str().into(), value.clone());
        }
        data.insert("ansible_loop_var".into(), loop_var.into());
        results.push(Value::Mapping(data));
        if judged.failed && first_failure.is_none() {
            first_failure = Some(judged);
        }
    }
    let mut data = Mapping::new();
    data.insert("results".into(), Value::Sequence(results));
    data.insert("changed".into(), changed.into());
    data.insert("failed".into(), failed.into());
    if skipped {
        data.insert("skipped".into(), true.into());
    }
    let msg = if failed {
        "One or more items failed"
    } else {
        "All items completed"
    };
    data.insert("msg".into(), msg.into());
    let status = match (failed, skipped, changed) {
        (true, _, _) => Status::Failed,
        _ if unforeseen => Status::Unforeseen,
        (_, true, _) => Status::Skipped,
        (_, _, true) => Status::Changed,
        _ => Status::Ok,
    };
    let mut result = TaskResult {
        data: data.clone(),
        is_loop: true,
        ..TaskResult::new(status)
    };
    if let Some(failure) = first_failure {
        result.msg.clone_from(&failure.result.msg);
        result.causes.clone_from(&failure.result.causes);
    }
    Judged {
        changed,
        failed,
        skipped,
        unknown,
        asks_user,
        data,
        facts: Mapping::new(),
        result,
    }
}
