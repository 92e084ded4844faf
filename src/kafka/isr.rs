//! Turns successive looks at a broker that starts into the decision to wait, to go on or to give up; no sockets, no clock.
//!
//! Waiting goes on as long as anything moves: fewer replicas missing, fewer obstacles, or a process that
//! still reads its logs. A fixed number of tries, as other rollers have it, gives up on large brokers.

use std::collections::BTreeSet;
use std::time::Duration;

/// One replica that is not in sync.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub topic: String,
    pub partition: i32,
    pub broker: i32,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Since the wait began.
    pub at: Duration,
    /// Everything except replicas that keeps the gate shut: not registered, another version, …
    pub obstacles: Vec<String>,
    pub missing: Vec<Missing>,
    /// Bytes that the broker's process has read since it started, while it has not joined yet.
    pub activity: Option<u64>,
    /// `false` when there is no broker process on the host; `None` where nobody looked.
    pub alive: Option<bool>,
    /// How the service manager sees the broker's service, where it is known.
    pub standing: Option<Standing>,
}

/// Whether a broker's service stays up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It failed or was stopped, and nothing starts it again by itself.
    pub is_down: bool,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Whether its data's disks can take anything more.
    pub has_room: bool,
}

/// What to do after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Look again; what is waited for.
    Wait(String),
    Open,
    /// Nothing moved for the stall time; what was seen last.
    Stalled(String),
    /// The broker's process is gone and did not come back.
    Gone,
    /// The broker's service failed or was stopped, or is started again and again and does not stay up.
    Fallen,
}

/// What to do about brokers that are up, and whose replicas stay out of sync.
pub fn way_out(brokers: &BTreeSet<i32>) -> String {
    let names: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    let (subject, whose) = match names.as_slice() {
        [one] => (format!("broker {one} is"), "its"),
        more => (format!("brokers {} are", more.join(", ")), "their"),
    };
    format!(
        "{subject} up: see what {whose} server.log says of these partitions; where it says `marked as failed`, only a restart of that broker takes them up again, after what had failed is mended"
    )
}

/// How long to hold and to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For how long all must be well. Default 10 s.
    pub stable_for: Duration,
    /// For how long nothing may move. Default 300 s.
    pub stall: Duration,
    /// For how long there may be no process: a service manager may start it again. Default 30 s.
    pub gone: Duration,
    /// For how long the service manager may say that it is down. Default 3 s.
    pub fallen: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stable_for: Duration::from_secs(10),
            stall: Duration::from_secs(300),
            gone: Duration::from_secs(30),
            fallen: Duration::from_secs(3),
        }
    }
}

/// A wait in progress.
#[derive(Debug)]
pub struct Wait {
    patience: Patience,
    best: Option<(usize, usize)>,
    activity: u64,
    moved: Duration,
    well_since: Option<Duration>,
    gone_since: Option<Duration>,
    down_since: Option<Duration>,
    /// How often the service had been started again when the wait began.
    restarts: Option<u32>,
}

/// A process that reads less than this between looks is idle, not recovering its logs.
const READING: u64 = 1 << 20;
/// A broker that was killed is refused for as long as `ZooKeeper` keeps its old session, and is started again meanwhile.
const LOOP: u32 = 8;

impl Wait {
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            best: None,
            activity: 0,
            moved: Duration::ZERO,
            well_since: None,
            gone_since: None,
            down_since: None,
            restarts: None,
        }
    }

    fn has_fallen(&mut self, look: &Look) -> bool {
        let Some(standing) = look.standing else {
            return false;
        };
        let is_gone = look.alive == Some(false);
        let first = *self.restarts.get_or_insert(standing.restarts);
        let again = standing.restarts.saturating_sub(first);
        if !(standing.is_down && is_gone) {
            self.down_since = None;
            let dies = again > 0 || is_gone;
            return again >= LOOP || (dies && !standing.has_room);
        }
        let since = *self.down_since.get_or_insert(look.at);
        look.at.saturating_sub(since) >= self.patience.fallen
    }

    /// Takes in one look; `look.at` must not go back.
    pub fn decide(&mut self, look: &Look) -> Decision {
        if self.has_fallen(look) {
            return Decision::Fallen;
        }
        if look.alive == Some(false) {
            let since = *self.gone_since.get_or_insert(look.at);
            if look.at.saturating_sub(since) >= self.patience.gone {
                return Decision::Gone;
            }
        } else {
            self.gone_since = None;
        }
        let now = (look.obstacles.len(), look.missing.len());
        let activity = look.activity.unwrap_or(self.activity);
        let read = activity >= self.activity.saturating_add(READING);
        // A new process counts its reads from zero.
        if read || activity < self.activity {
            self.activity = activity;
        }
        if read || self.best.is_none_or(|best| now < best) {
            self.best = Some(self.best.map_or(now, |best| best.min(now)));
            self.moved = look.at;
        }
        if now == (0, 0) && look.alive != Some(false) {
            let since = *self.well_since.get_or_insert(look.at);
            let held = look.at.saturating_sub(since);
            if held >= self.patience.stable_for {
                return Decision::Open;
            }
            return Decision::Wait(format!(
                "all in sync, holding for {} of {} s",
                held.as_secs(),
                self.patience.stable_for.as_secs()
            ));
        }
        if self.well_since.take().is_some() {
            // What fell out of the ISR again gets the full stall time.
            self.best = Some(now);
            self.moved = look.at;
        }
        let text = describe(look);
        if look.at.saturating_sub(self.moved) >= self.patience.stall {
            Decision::Stalled(text)
        } else {
            Decision::Wait(text)
        }
    }
}

/// Says what is waited for: `broker 2 is not registered; 3 replicas missing (orders-0 on 2, …)`.
fn describe(look: &Look) -> String {
    let mut parts = look.obstacles.clone();
    if look.alive == Some(false) {
        parts.push("there is no broker process".into());
    }
    if !look.missing.is_empty() {
        let missing: Vec<String> = look.missing.iter().map(ToString::to_string).collect();
        parts.push(super::safety::missing_text(&missing));
    }
    parts.join("; ")
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{} on {}", self.topic, self.partition, self.broker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(at: u64, missing: i32) -> Look {
        Look {
            at: Duration::from_secs(at),
            missing: (0..missing)
                .map(|partition| Missing {
                    topic: "orders".into(),
                    partition,
                    broker: 2,
                })
                .collect(),
            alive: Some(true),
            ..Look::default()
        }
    }

    fn patience(stable_for: u64, stall: u64) -> Patience {
        Patience {
            stable_for: Duration::from_secs(stable_for),
            stall: Duration::from_secs(stall),
            ..Patience::default()
        }
    }

    #[test]
    fn a_service_that_is_down_fails_within_seconds_and_one_that_is_started_again_does_not() {
        let standing = |is_down, restarts, has_room| Standing {
            is_down,
            restarts,
            has_room,
        };
        let at = |seconds, alive, standing| Look {
            alive: Some(alive),
            standing: Some(standing),
            ..look(seconds, 1)
        };
        let waits = |decision| matches!(decision, Decision::Wait(_));
        let mut wait = Wait::new(patience(10, 300));
        assert!(waits(wait.decide(&at(0, false, standing(true, 0, true)))));
        // Somebody started it.
        assert!(waits(wait.decide(&at(2, true, standing(false, 0, true)))));
        assert!(waits(wait.decide(&at(4, false, standing(true, 0, true)))));
        assert!(waits(wait.decide(&at(6, false, standing(true, 0, true)))));
        assert_eq!(
            wait.decide(&at(7, false, standing(true, 0, true))),
            Decision::Fallen
        );
        let mut wait = Wait::new(patience(10, 300));
        assert!(waits(wait.decide(&at(0, true, standing(false, 2, true)))));
        assert!(waits(wait.decide(&at(9, true, standing(false, 9, true)))));
        assert_eq!(
            wait.decide(&at(10, true, standing(false, 10, true))),
            Decision::Fallen
        );
    }

    #[test]
    fn a_broker_that_died_on_a_full_disk_fails_at_once_and_one_that_runs_there_waits() {
        let at = |seconds, alive, restarts| Look {
            alive: Some(alive),
            standing: Some(Standing {
                is_down: false,
                restarts,
                has_room: false,
            }),
            ..look(seconds, 1)
        };
        let mut wait = Wait::new(patience(10, 300));
        assert!(matches!(wait.decide(&at(0, true, 1)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&at(1, true, 1)), Decision::Wait(_)));
        assert_eq!(wait.decide(&at(2, true, 2)), Decision::Fallen);
        let mut wait = Wait::new(patience(10, 300));
        assert_eq!(wait.decide(&at(0, false, 0)), Decision::Fallen);
    }

    #[test]
    fn it_opens_only_after_all_was_well_for_the_whole_time() {
        let mut wait = Wait::new(patience(10, 300));
        assert!(matches!(wait.decide(&look(0, 0)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(9, 0)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(9, 1)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(11, 0)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(20, 0)), Decision::Wait(_)));
        assert_eq!(wait.decide(&look(21, 0)), Decision::Open);
    }

    #[test]
    fn it_waits_for_hours_while_replicas_come_back() {
        let mut wait = Wait::new(patience(10, 300));
        for step in 0..100 {
            let at = u64::try_from(step).unwrap() * 299;
            assert!(matches!(
                wait.decide(&look(at, 200 - step)),
                Decision::Wait(_)
            ));
        }
    }

    #[test]
    fn it_fails_by_name_when_nothing_moved_for_the_stall_time() {
        let mut wait = Wait::new(patience(10, 300));
        assert!(matches!(wait.decide(&look(0, 6)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(100, 5)), Decision::Wait(_)));
        // Going up and down again is no progress.
        assert!(matches!(wait.decide(&look(200, 6)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(300, 5)), Decision::Wait(_)));
        assert_eq!(
            wait.decide(&look(400, 5)),
            Decision::Stalled(
                "5 replicas missing (orders-0 on 2, orders-1 on 2, orders-2 on 2, orders-3 on 2, …)".into()
            )
        );
    }

    #[test]
    fn a_process_that_reads_its_logs_is_not_stalled() {
        let mut wait = Wait::new(patience(10, 300));
        for step in 0..50 {
            let recovering = Look {
                obstacles: vec!["broker 2 is not registered".into()],
                activity: Some(step * (2 << 20)),
                ..look(step * 200, 0)
            };
            assert!(matches!(wait.decide(&recovering), Decision::Wait(_)));
        }
        let idle = Look {
            obstacles: vec!["broker 2 is not registered".into()],
            activity: Some(49 * (2 << 20) + 1000),
            ..look(49 * 200 + 300, 0)
        };
        assert!(matches!(wait.decide(&idle), Decision::Stalled(_)));
    }

    #[test]
    fn a_process_that_died_fails_soon_but_one_that_is_started_again_does_not() {
        let mut wait = Wait::new(patience(10, 300));
        let dead = |at| Look {
            alive: Some(false),
            obstacles: vec!["broker 2 is not registered".into()],
            ..look(at, 0)
        };
        assert!(matches!(wait.decide(&dead(0)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&look(20, 1)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&dead(25)), Decision::Wait(_)));
        assert!(matches!(wait.decide(&dead(50)), Decision::Wait(_)));
        assert_eq!(wait.decide(&dead(55)), Decision::Gone);
    }

    proptest! {
        #[test]
        fn an_open_gate_has_seen_nothing_missing_for_the_whole_time(
            looks in proptest::collection::vec((1..8u64, 0..3i32), 1..40),
        ) {
            let mut wait = Wait::new(patience(10, 60));
            let mut at = 0;
            let mut seen = Vec::new();
            for (step, missing) in looks {
                at += step;
                seen.push((at, missing));
                if wait.decide(&look(at, missing) ) == Decision::Open {
                    let held = seen.iter().rev().take_while(|(_, missing)| *missing == 0).last().unwrap().0;
                    prop_assert!(at - held >= 10);
                }
            }
        }
    }

    #[test]
    fn what_to_do_about_brokers_that_do_not_catch_up_names_them() {
        insta::assert_snapshot!(way_out(&[1].into()), @"broker 1 is up: see what its server.log says of these partitions; where it says `marked as failed`, only a restart of that broker takes them up again, after what had failed is mended");
        insta::assert_snapshot!(way_out(&[1, 3].into()), @"brokers 1, 3 are up: see what their server.log says of these partitions; where it says `marked as failed`, only a restart of that broker takes them up again, after what had failed is mended");
    }
}
