//! Compares what the tasks of a play notify with the handlers that it has.

use super::{Item, Play, Task, is_template};
use crate::diag::{Diagnostics, Span};
use std::sync::Arc;

/// Reports each literal `notify` that no handler of the play answers to.
pub(crate) fn judge(play: &Play, names: &[String], diagnostics: &mut Diagnostics) {
    let sections = [
        &play.pre_tasks,
        &play.roles,
        &play.tasks,
        &play.post_tasks,
        &play.handlers,
    ];
    for task in sections.into_iter().flat_map(|items| tasks(items)) {
        for (topic, span) in topics(&task) {
            if !names.iter().any(|name| answers(name, &topic)) {
                let fault = span.error(format!("no handler `{topic}` in this play"));
                let known = names.iter().map(String::as_str);
                diagnostics.push(fault.did_you_mean(&topic, known));
            }
        }
    }
}

/// The literal topics that a task notifies.
fn topics(task: &Task) -> Vec<(String, Span)> {
    task.notify
        .iter()
        .filter_map(|node| Some((node.as_str()?.to_owned(), node.span.clone())))
        .filter(|(topic, _)| !is_template(topic))
        .collect()
}

/// Whether a handler's name, which may hold templates, can be the topic.
fn answers(name: &str, topic: &str) -> bool {
    match name.find("{{") {
        None => name == topic,
        Some(at) => {
            let end = name.rfind("}}").map_or("", |end| &name[end + 2..]);
            // A role's prefix is literal: only the part before the braces is compared.
            topic.starts_with(&name[..at]) && topic.ends_with(end)
        }
    }
}

/// All tasks of a list, those of blocks included, in order.
pub(crate) fn tasks(items: &[Item]) -> Vec<Arc<Task>> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Item::Task(task) => all.push(Arc::clone(task)),
            Item::Block(block) => {
                for part in [&block.block, &block.rescue, &block.always] {
                    all.extend(tasks(part));
                }
            }
        }
    }
    all
}
