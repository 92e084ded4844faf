//! Decides whether changes of a play may run ahead of the other hosts without anyone being able to tell.

use super::{Step, short_name};
use crate::playbook::{Play, Task};
use crate::value::{Value, display};
use std::sync::Arc;

/// Words in a template that read something outside the host.
const OUTSIDE: &[&str] = &[
    "hostvars",
    "lookup(",
    "query(",
    "q(",
    "vars[",
    "ansible_play_hosts",
    "ansible_play_batch",
    "play_hosts",
];

/// Whether the play's `Host` changes may be granted ahead of linear order.
pub(super) fn grants_ahead(play: &Play, steps: &[Arc<Step>]) -> bool {
    play.strategy.is_none()
        && play.max_fail_percentage.is_none()
        && play.keywords.any_errors_fatal.is_none()
        && play.order.as_ref().and_then(|order| order.as_str()) != Some("kafka")
        && steps
            .iter()
            .filter_map(|step| step.task())
            .all(|task| stays_on_its_host(task))
}

/// Whether nothing of the task is shared with, or read from, another host.
fn stays_on_its_host(task: &Task) -> bool {
    let keywords = &task.keywords;
    let shared = [
        &keywords.run_once,
        &keywords.delegate_to,
        &keywords.throttle,
        &keywords.any_errors_fatal,
    ];
    shared.iter().all(|keyword| keyword.is_none())
        && !is_gate(&task.module)
        && !reads_outside(&task.args_value())
        && !task.when.iter().any(|when| reads_outside(&when.to_value()))
        && !task
            .loop_
            .as_ref()
            .is_some_and(|loop_| reads_outside(&loop_.items.to_value()))
}

fn reads_outside(value: &Value) -> bool {
    let text = display(value);
    OUTSIDE.iter().any(|word| text.contains(word))
}

/// Whether the module is one of krun's gates: what must hold before a roll goes on.
pub(super) fn is_gate(module: &str) -> bool {
    matches!(short_name(module), "kafka_safe_to_stop" | "wait_for_isr")
}
