//! Turns what came of a fault into checks: no record lost, no broker too many down, the same end as without it.

use super::drive::Driven;
use super::state::States;
use super::{Fault, Reference};
use crate::rehearse::account::Account;
use crate::rehearse::proof::{self, Check, Outcome};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One fault's story.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    pub fault: Fault,
    /// How each run ended, the one that was struck first.
    pub legs: Vec<String>,
    pub struck: Strike,
    pub checks: Vec<Check>,
    pub seconds: u64,
    /// How long the trouble lasted, and the longest time without an acknowledgement of all replicas in sync, in
    /// milliseconds.
    #[serde(default)]
    pub lasted: Option<u64>,
    #[serde(default)]
    pub silence: Option<u64>,
    /// What a person had to do when the trouble was over, in words.
    #[serde(default)]
    pub by_hand: Vec<String>,
    /// Where a gate's evidence lies.
    pub evidence: Option<PathBuf>,
}

/// Whether the fault came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strike {
    Hit,
    /// There was nothing to break: the broker was stopped anyway.
    Nothing,
    /// The run was over before.
    TooLate,
}

impl Trial {
    pub fn passed(&self) -> bool {
        proof::passed(&self.checks)
    }

    /// What the runs did.
    pub fn story(&self) -> String {
        let mut parts = vec![format!("the run {}", self.legs.join(", then "))];
        parts.extend(self.by_hand.iter().cloned());
        parts.join("; ")
    }

    /// What failed, in one line.
    pub fn faults(&self) -> String {
        let failed = self
            .checks
            .iter()
            .filter(|it| it.outcome == Outcome::Failed);
        let texts: Vec<String> = failed
            .map(|it| format!("{}: {}", it.name, it.text))
            .collect();
        texts.join("; ")
    }
}

/// What a run may not do differently because something broke meanwhile. That every record was acknowledged in time, and
/// each once, is not among it.
const KEPT: &[&str] = &[
    "the playbook ended well on every host",
    "acks=all: every acknowledged record is there",
    "no more brokers down than the roll takes",
    "every broker runs one version and protocol",
    "every replica is in sync at the end",
    "acceptance: the old message is read",
    "acceptance: a new message is exchanged",
    "acceptance: the group's offset is kept",
];

/// How many differences of the end are told.
const TOLD: usize = 4;

/// All checks of one fault.
pub fn judge(
    account: &Account,
    driven: &Driven,
    reference: &Reference,
    end: &States,
    second_run: &str,
    deadlocks: &[String],
) -> Vec<Check> {
    let mut all: Vec<Check> = proof::checks(account, true)
        .into_iter()
        .filter(|check| KEPT.contains(&check.name.as_str()))
        .collect();
    if let Some(leg) = driven.legs.last()
        && !driven.ended_well()
        && leg.phase.faults.is_empty()
        && let Some(check) = all.first_mut()
    {
        check.text = format!("the last run {}", leg.words());
    }
    let differences = reference.state.differences(end, &reference.unsteady);
    let text = match differences.len() {
        0 => format!("{} hosts are as they were", reference.state.0.len()),
        n => {
            let more = if n > TOLD {
                format!("; and {} more", n - TOLD)
            } else {
                String::new()
            };
            format!("{}{more}", differences[..n.min(TOLD)].join("; "))
        }
    };
    all.push(Check::of(
        "the end is the same as without the fault",
        differences.is_empty(),
        text,
    ));
    all.push(Check::of(
        "a second run finds what it found without the fault",
        second_run == reference.second_run,
        format!("{second_run}; without the fault: {}", reference.second_run),
    ));
    if !deadlocks.is_empty() {
        all.push(Check::of(
            "no deadlock in a JVM",
            false,
            deadlocks.join("; "),
        ));
    }
    all
}

/// That a fault could not be tried as it should be.
pub(super) fn harness(why: String) -> Check {
    Check::of("the fault could be tried", false, why)
}
