//! Turns a plan (a run in check mode) and what then happened into where the two differ.

use super::work::{Phase, Work};
use crate::event::{At, Status};
use crate::value::HostName;
use serde::Serialize;
use std::collections::HashMap;

/// One task on one host that went otherwise than planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub host: String,
    pub task: String,
    pub planned: String,
    pub happened: String,
}

/// What a plan was worth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Tasks on hosts that went as planned.
    pub same: usize,
    /// Of which the plan had said that it cannot know.
    pub unforeseen: usize,
    pub differences: Vec<Difference>,
}

/// Tasks of a loop of includes stand at one place: told apart by how often the host came there.
type Key = (HostName, At, usize);

fn keyed(phase: &Phase) -> Vec<(Key, &Work)> {
    let mut times: HashMap<(HostName, At), usize> = HashMap::new();
    phase
        .works
        .iter()
        .map(|work| {
            let place = (work.host.clone(), work.task.at.clone());
            let time = times.entry(place).or_default();
            *time += 1;
            ((work.host.clone(), work.task.at.clone(), *time), work)
        })
        .collect()
}

/// Compares task by task, host by host.
pub fn compare(plan: &Phase, real: &Phase) -> Comparison {
    let mut planned: HashMap<Key, &Work> = keyed(plan).into_iter().collect();
    let mut found = Comparison::default();
    for (key, work) in keyed(real) {
        let Some(plan) = planned.remove(&key) else {
            found.differs(work, "not reached".to_owned(), word(work));
            continue;
        };
        if plan.status == Status::Unforeseen {
            found.unforeseen += 1;
        } else if is_same(plan, work) {
            found.same += 1;
        } else if plan.changed() && work.changed() {
            let why = |work: &Work| format!("{} with {} diffs", word(work), work.diffs.len());
            found.differs(work, why(plan), format!("{}, others", why(work)));
        } else {
            found.differs(work, word(plan), word(work));
        }
    }
    for (_, plan) in keyed(plan) {
        let key_left = planned.values().any(|it| std::ptr::eq(*it, plan));
        if key_left && !matches!(plan.status, Status::Skipped | Status::Unforeseen) {
            found.differs(plan, word(plan), "not reached".to_owned());
        }
    }
    found
}

impl Comparison {
    fn differs(&mut self, work: &Work, planned: String, happened: String) {
        self.differences.push(Difference {
            host: work.host.to_string(),
            task: work.task.title.clone(),
            planned,
            happened,
        });
    }
}

/// What a plan shows of an action is that it would run; whether that changes anything, and how, only the run knows.
fn is_same(plan: &Work, real: &Work) -> bool {
    let status = plan.status == real.status
        || (plan.status == Status::Skipped && is_action(plan))
        || (matches!(plan.status, Status::Ok) && plan.is_wait() && real.status == Status::Ok);
    status && (!real.changed() || plan.diffs.is_empty() || plan.diffs == real.diffs)
}

fn is_action(work: &Work) -> bool {
    let module = work.task.module.rsplit('.').next().unwrap_or_default();
    let entry = crate::modules::find(module);
    entry.is_some_and(|entry| entry.nature == crate::modules::Nature::Action)
}

fn word(work: &Work) -> String {
    match work.status {
        Status::Ok => "ok",
        Status::Changed => "changed",
        Status::Skipped => "skipped",
        Status::Failed => "failed",
        Status::Ignored => "failed, ignored",
        Status::Unknown => "unknown",
        Status::Cancelled => "taken back",
        Status::Unforeseen => "cannot be known",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::diff::Diff;
    use crate::rehearse::trial::{phase, work};

    #[test]
    fn what_went_otherwise_is_named_and_what_nobody_could_know_is_counted() {
        let plan = phase(
            vec![
                work("k1", "Look", 1, 2, Status::Ok),
                work("k1", "Write it", 2, 3, Status::Changed),
                work("k1", "Perhaps this", 2, 3, Status::Unforeseen),
                work("k1", "Only in the plan", 2, 3, Status::Changed),
                work("k1", "Stop it", 2, 3, Status::Ok),
            ],
            true,
        );
        let mut written = work("k1", "Write it", 2, 3, Status::Changed);
        written.diffs = vec![Diff::new("/etc/x")];
        let mut planned = plan.clone();
        planned.works[1].diffs = vec![Diff::new("/etc/y")];
        let real = phase(
            vec![
                work("k1", "Look", 1, 2, Status::Ok),
                written,
                work("k1", "Perhaps this", 2, 3, Status::Changed),
                work("k1", "Stop it", 2, 3, Status::Changed),
                work("k1", "Nobody planned this task", 2, 3, Status::Ok),
            ],
            true,
        );
        let found = compare(&planned, &real);
        assert_eq!((found.same, found.unforeseen), (1, 1));
        let lines: Vec<String> = found
            .differences
            .iter()
            .map(|it| format!("{}: {} / {}", it.task, it.planned, it.happened))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        Write it: changed with 1 diffs / changed with 1 diffs, others
        Stop it: ok / changed
        Nobody planned this task: not reached / ok
        Only in the plan: changed / not reached
        ");
    }
}
