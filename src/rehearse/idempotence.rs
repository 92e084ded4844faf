//! Turns the second run of a playbook into a verdict: was there nothing left to do?

use super::work::{Phase, Work};
use crate::event::Status;
use serde::Serialize;

/// What a second run says of a playbook.
#[derive(Debug, Clone, Serialize)]
pub enum Idempotence {
    /// It found nothing to do.
    Proven,
    /// It changed something again; each with its diffs.
    Not(Vec<Work>),
    /// It changed nothing, because a check of its own said that it must not run now.
    Refused {
        host: String,
        task: String,
        message: String,
    },
    /// It failed.
    Failed(Vec<String>),
    /// It was not tried: why.
    NotTried(String),
}

impl Idempotence {
    /// The same in a few words, by which two second runs can be compared.
    pub fn words(&self) -> String {
        match self {
            Self::Proven => "it changed nothing".to_owned(),
            Self::Not(works) => {
                let mut tasks: Vec<&str> = works.iter().map(|it| it.task.title.as_str()).collect();
                tasks.sort_unstable();
                tasks.dedup();
                format!("it changed again: {}", tasks.join(", "))
            }
            Self::Refused { task, .. } => format!("refused by a guard: {task}"),
            Self::Failed(faults) => format!("it failed: {}", faults.join("; ")),
            Self::NotTried(why) => format!("it was not tried: {why}"),
        }
    }
}

/// Modules whose failure is a refusal: they look, and change nothing.
const GUARDS: &[&str] = &[
    "assert",
    "fail",
    "kafka_safe_to_stop",
    "kafka_upgrade_check",
    "kafka_facts",
];

/// Judges a second run.
pub fn judge(again: &Phase) -> Idempotence {
    let changed: Vec<Work> = again
        .works
        .iter()
        .filter(|work| work.changed())
        .cloned()
        .collect();
    if again.ended_well {
        return if changed.is_empty() {
            Idempotence::Proven
        } else {
            Idempotence::Not(changed)
        };
    }
    if let [danger, ..] = again.held.as_slice() {
        let hosts = danger.hosts.iter().map(ToString::to_string);
        return Idempotence::Refused {
            host: hosts.collect::<Vec<_>>().join(", "),
            task: danger.task.title.clone(),
            message: format!("it would {}, which needs `--allow-destroy`", danger.what),
        };
    }
    let failed = again
        .works
        .iter()
        .find(|work| matches!(work.status, Status::Failed | Status::Unknown));
    let is_guard = |work: &&Work| {
        let module = work.task.module.rsplit('.').next().unwrap_or_default();
        GUARDS.contains(&module)
    };
    match failed.filter(is_guard) {
        Some(guard) if changed.is_empty() => Idempotence::Refused {
            host: guard.host.to_string(),
            task: guard.task.title.clone(),
            message: guard.msg.clone().unwrap_or_default(),
        },
        _ => Idempotence::Failed(again.faults.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::trial::{phase, work};

    #[test]
    fn a_second_run_without_a_change_is_the_proof() {
        let again = phase(vec![work("k1", "Look", 1, 2, Status::Ok)], true);
        assert!(matches!(judge(&again), Idempotence::Proven));
    }

    #[test]
    fn whatever_changes_again_is_named() {
        let again = phase(
            vec![
                work("k1", "Look", 1, 2, Status::Ok),
                work("k1", "Stop", 2, 3, Status::Changed),
            ],
            true,
        );
        let Idempotence::Not(works) = judge(&again) else {
            panic!("{:?}", judge(&again));
        };
        assert_eq!(works[0].task.title, "Stop");
    }

    #[test]
    fn a_guard_that_refuses_before_any_change_is_no_failure_and_after_one_it_is() {
        let refused = work("k1", "Assert", 3, 4, Status::Failed);
        let again = phase(vec![refused.clone()], false);
        assert!(matches!(judge(&again), Idempotence::Refused { task, .. } if task == "Assert"));
        let again = phase(
            vec![work("k1", "Stop", 1, 2, Status::Changed), refused],
            false,
        );
        assert!(matches!(judge(&again), Idempotence::Failed(_)));
    }

    #[test]
    fn any_other_failure_is_one() {
        let again = phase(vec![work("k1", "Start", 1, 2, Status::Failed)], false);
        assert!(matches!(judge(&again), Idempotence::Failed(_)));
    }
}
