//! Turns a stretch without an acknowledgement into the step that caused it.

use super::load::Gap;
use super::work::{Phase, Work};
use serde::Serialize;

/// How long a step may be over before what it caused begins: a leader's move is noticed late.
const AFTERMATH: u64 = 3_000;

/// Which step made producers wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub phase: String,
    pub host: String,
    pub task: String,
}

/// Names the cause of a gap: the last change that had begun when it opened and was not long over; else the first
/// change inside it; else whatever was under way. `None` where nothing was.
pub fn cause(gap: &Gap, phases: &[Phase]) -> Option<Cause> {
    let works = || {
        phases
            .iter()
            .flat_map(|phase| phase.works.iter().map(move |work| (phase, work)))
    };
    let changes = || works().filter(|(_, work)| work.changed());
    let before = changes()
        .filter(|(_, work)| work.from <= gap.from && work.to + AFTERMATH >= gap.from)
        .max_by_key(|(_, work)| (work.from, work.to));
    let inside = || {
        changes()
            .filter(|(_, work)| work.from > gap.from && work.from < gap.to)
            .min_by_key(|(_, work)| work.from)
    };
    let beside = || {
        works()
            .filter(|(_, work)| work.from <= gap.to && work.to >= gap.from)
            .max_by_key(|(_, work)| work.from)
    };
    before
        .or_else(inside)
        .or_else(beside)
        .map(|(phase, work)| named(phase, work))
}

fn named(phase: &Phase, work: &Work) -> Cause {
    Cause {
        phase: phase.title.clone(),
        host: work.host.to_string(),
        task: work.task.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Status;
    use crate::rehearse::trial::work;

    fn phase() -> Phase {
        Phase {
            title: "the upgrade".to_owned(),
            works: vec![
                work("k1", "Safe to stop?", 1_000, 2_000, Status::Ok),
                work("k1", "Stop the broker", 2_000, 5_000, Status::Changed),
                work("k1", "Switch the link", 5_000, 5_100, Status::Changed),
                work("k1", "Start the broker", 5_100, 6_000, Status::Changed),
                work("k1", "Wait for the ISR", 6_000, 20_000, Status::Ok),
            ],
            ..Phase::default()
        }
    }

    fn of(from: u64, to: u64) -> Option<String> {
        let gap = Gap {
            partition: 0,
            from,
            to,
        };
        cause(&gap, &[phase()]).map(|cause| format!("{}: {}", cause.host, cause.task))
    }

    #[test]
    fn a_gap_that_opens_while_a_broker_stops_is_the_stops() {
        assert_eq!(of(3_900, 5_600).as_deref(), Some("k1: Stop the broker"));
    }

    #[test]
    fn a_gap_that_opens_shortly_after_a_change_is_still_its_doing() {
        assert_eq!(of(8_000, 9_500).as_deref(), Some("k1: Start the broker"));
    }

    #[test]
    fn a_gap_that_was_open_already_belongs_to_the_first_change_inside_it() {
        assert_eq!(of(1_900, 4_000).as_deref(), Some("k1: Stop the broker"));
    }

    #[test]
    fn without_any_change_nearby_what_was_under_way_is_named_and_else_nothing() {
        assert_eq!(of(15_000, 16_500).as_deref(), Some("k1: Wait for the ISR"));
        assert_eq!(of(40_000, 42_000), None);
    }
}
