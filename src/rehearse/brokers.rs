//! Turns glances at hosts into what each broker was when, how each topic's replicas stood, and how many were down at once.

use super::eye::TopicSeen;
use super::watch::Seen;
use super::work::{Batch, Phase};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A glance that is older than this says nothing of now, in milliseconds.
const FRESH: u64 = 2_500;

/// One broker, from the first glance to the last.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Broker {
    pub host: String,
    pub id: i32,
    /// In the order of time; one follows when anything differs.
    pub states: Vec<State>,
}

/// What a broker was from `at` on. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct State {
    pub at: u64,
    /// No process at all.
    pub down: bool,
    pub pid: u32,
    pub version: Option<String>,
    pub protocol: Option<String>,
    /// Bytes of records on its disks when this began, and when it ended.
    pub bytes: (u64, u64),
}

impl State {
    /// `2.6.0, protocol 2.1-IV2`.
    pub fn text(&self) -> String {
        if self.down {
            return "down".to_owned();
        }
        let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "unknown".to_owned());
        format!("{}, protocol {}", word(&self.version), word(&self.protocol))
    }
}

/// How a topic stood from a time on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    pub at: u64,
    pub seen: TopicSeen,
}

/// Brokers by host and id, with their states over time.
pub fn brokers(seen: &[Seen]) -> Vec<Broker> {
    let mut found: BTreeMap<(String, i32), Broker> = BTreeMap::new();
    for one in seen {
        let at = one.glance.at;
        let mut here = BTreeSet::new();
        for broker in &one.glance.brokers {
            let Some(id) = broker.id else { continue };
            here.insert(id);
            let key = (one.host.clone(), id);
            let kept = found.entry(key).or_insert_with(|| Broker {
                host: one.host.clone(),
                id,
                states: Vec::new(),
            });
            let state = State {
                at,
                down: false,
                pid: broker.pid,
                version: broker.version.clone(),
                protocol: broker.protocol.clone(),
                bytes: (broker.bytes, broker.bytes),
            };
            kept.take(state);
        }
        let gone = found
            .iter_mut()
            .filter(|((host, id), _)| *host == one.host && !here.contains(id));
        for (_, broker) in gone {
            broker.take(State {
                at,
                down: true,
                ..State::default()
            });
        }
    }
    found.into_values().collect()
}

impl Broker {
    fn take(&mut self, state: State) {
        match self.states.last_mut() {
            Some(last) if last.down && state.down => {}
            Some(last) if !last.down && !state.down && last.pid == state.pid => {
                // A process learns its version and protocol while it starts, and keeps them.
                last.version = state.version.or(last.version.take());
                last.protocol = state.protocol.or(last.protocol.take());
                last.bytes.1 = state.bytes.1;
            }
            _ => self.states.push(state),
        }
    }

    /// What it was at a time, if anything was known by then.
    pub fn at(&self, time: u64) -> Option<&State> {
        self.states.iter().rev().find(|state| state.at <= time)
    }

    pub fn last(&self) -> Option<&State> {
        self.states.last()
    }

    /// How often it started anew between two times.
    pub fn restarts(&self, from: u64, to: u64) -> impl Iterator<Item = (&State, &State)> {
        let up: Vec<&State> = self.states.iter().filter(|state| !state.down).collect();
        let pairs: Vec<_> = up.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs
            .into_iter()
            .filter(move |(_, new)| (from..=to).contains(&new.at))
    }
}

/// What a broker said last, and when.
type Heard<'a> = (u64, &'a BTreeMap<String, TopicSeen>);

/// Of each topic how it stood over time: the worst of what the brokers say that have just been heard.
pub fn standings(seen: &[Seen]) -> BTreeMap<String, Vec<Standing>> {
    let mut found: BTreeMap<String, Vec<Standing>> = BTreeMap::new();
    let mut last: BTreeMap<(&str, u32), Heard<'_>> = BTreeMap::new();
    for one in seen {
        let at = one.glance.at;
        for broker in &one.glance.brokers {
            if let Some(view) = &broker.view {
                last.insert((&one.host, broker.pid), (at, &view.topics));
            }
        }
        last.retain(|_, (when, _)| at.saturating_sub(*when) <= FRESH);
        let mut worst: BTreeMap<&str, TopicSeen> = BTreeMap::new();
        for (name, seen) in last.values().flat_map(|(_, topics)| topics.iter()) {
            let kept = worst.entry(name).or_insert_with(|| seen.clone());
            kept.missing = kept.missing.max(seen.missing);
            kept.min_isr = kept.min_isr.min(seen.min_isr);
            kept.leaderless = kept.leaderless.max(seen.leaderless);
        }
        for (name, seen) in worst {
            let kept = found.entry(name.to_owned()).or_default();
            if kept.last().is_none_or(|last| last.seen != seen) {
                kept.push(Standing { at, seen });
            }
        }
    }
    found
}

/// How many brokers had no process at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MostDown {
    pub count: usize,
    pub hosts: Vec<String>,
    /// How many the play of that moment takes at a time, where that is fewer.
    pub too_many_for: Option<(String, usize)>,
}

/// A host that was taken away on purpose. Times in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub host: String,
    pub from: u64,
    pub to: u64,
    /// Whether its broker counts as down for all of that time; else it does while no process is seen.
    pub counts: bool,
}

/// How long a host may need after it was given back until all can see it, in milliseconds.
const COMING_BACK: u64 = 30_000;

/// The most brokers that were down at once during a run, and whether that was ever more than its batches take. That a
/// host which is `away` goes down is not the run's doing; that another one goes down meanwhile is.
pub fn most_down(brokers: &[Broker], phases: &[&Phase], away: &[Away]) -> MostDown {
    let is_its_own = |host: &str, time: u64| {
        let mut all = away.iter().filter(|it| it.host == host);
        all.any(|it| (it.from..=it.to + COMING_BACK).contains(&time))
    };
    let is_away = |host: &str, time: u64| {
        let mut all = away.iter().filter(|it| it.counts && it.host == host);
        all.any(|it| (it.from..=it.to).contains(&time))
    };
    let mut times: Vec<u64> = brokers
        .iter()
        .flat_map(|broker| broker.states.iter().map(move |state| (broker, state)))
        .filter(|(broker, state)| state.down && !is_its_own(&broker.host, state.at))
        .map(|(_, state)| state.at)
        .collect();
    times.sort_unstable();
    let mut most = MostDown::default();
    for time in times {
        let Some(phase) = phases.iter().find(|it| (it.from..=it.to).contains(&time)) else {
            continue;
        };
        let down: Vec<String> = brokers
            .iter()
            .filter(|broker| {
                broker.at(time).is_some_and(|state| state.down) || is_away(&broker.host, time)
            })
            .map(|broker| broker.host.clone())
            .collect();
        let batch = phase
            .batches
            .iter()
            .find(|batch| (batch.from..=batch.to).contains(&time));
        let too_many_for = batch
            .filter(|batch| down.len() > batch.width())
            .map(|batch: &Batch| (batch.name.clone(), batch.width()));
        let is_worse = down.len() > most.count && most.too_many_for.is_none();
        if is_worse || (too_many_for.is_some() && most.too_many_for.is_none()) {
            most = MostDown {
                count: down.len(),
                hosts: down,
                too_many_for,
            };
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::eye::{BrokerSeen, Glance, View};
    use crate::rehearse::trial::{batch, phase};

    fn seen(host: &str, at: u64, brokers: &[(u32, i32, &str, u64)]) -> Seen {
        let brokers = brokers
            .iter()
            .map(|(pid, id, version, bytes)| BrokerSeen {
                pid: *pid,
                id: Some(*id),
                version: (!version.is_empty()).then(|| (*version).to_owned()),
                bytes: *bytes,
                ..BrokerSeen::default()
            })
            .collect();
        Seen {
            host: host.to_owned(),
            glance: Glance { at, brokers },
        }
    }

    #[test]
    fn a_restart_is_a_stretch_without_a_process_and_a_new_one() {
        let found = brokers(&[
            seen("k1", 10, &[(7, 1, "", 100)]),
            seen("k1", 20, &[(7, 1, "2.1.0", 150)]),
            seen("k1", 30, &[]),
            seen("k1", 40, &[]),
            seen("k1", 50, &[(9, 1, "2.6.0", 150)]),
        ]);
        let texts: Vec<String> = found[0].states.iter().map(State::text).collect();
        assert_eq!(
            texts,
            ["2.1.0, protocol unknown", "down", "2.6.0, protocol unknown"]
        );
        let restarts: Vec<_> = found[0].restarts(20, 60).collect();
        assert_eq!((restarts[0].0.bytes.1, restarts[0].1.bytes.0), (150, 150));
        assert_eq!(found[0].restarts(55, 60).count(), 0);
    }

    /// k1 goes down and then k2, in a roll that has taken k1 alone.
    fn both_down() -> (Vec<Broker>, Phase) {
        let found = brokers(&[
            seen("k1", 10, &[(7, 1, "2.1.0", 0)]),
            seen("k2", 10, &[(7, 2, "2.1.0", 0)]),
            seen("k1", 30, &[]),
            seen("k2", 35, &[]),
        ]);
        let mut run = phase(Vec::new(), true);
        (run.from, run.to) = (20, 100);
        run.batches = vec![batch(0, &["k1"], 20, 100)];
        (found, run)
    }

    #[test]
    fn more_down_than_the_batch_takes_is_seen() {
        let (found, mut run) = both_down();
        let most = most_down(&found, &[&run], &[]);
        assert_eq!(most.count, 2);
        assert_eq!(most.too_many_for, Some(("Roll".to_owned(), 1)));
        run.batches = vec![batch(0, &["k1", "k2"], 20, 100)];
        let most = most_down(&found, &[&run], &[]);
        assert_eq!((most.count, most.too_many_for), (2, None));
    }

    #[test]
    fn a_host_that_is_taken_away_may_be_down_but_no_other_one_may_go_down_meanwhile() {
        let (found, run) = both_down();
        let away = |host: &str, from| Away {
            host: host.to_owned(),
            from,
            to: 100,
            counts: true,
        };
        // The roll had taken k1 when k2 was struck.
        let most = most_down(&found, &[&run], &[away("k2", 34)]);
        assert_eq!(most.too_many_for, None);
        // The roll took k1 although k2 was away.
        let most = most_down(&found, &[&run], &[away("k2", 25)]);
        assert_eq!(most.too_many_for, Some(("Roll".to_owned(), 1)));
        // A killed process that systemd has started again is not down any more.
        let killed = Away {
            counts: false,
            ..away("k2", 25)
        };
        let most = most_down(&found, &[&run], &[killed]);
        assert_eq!((most.count, most.too_many_for), (1, None));
    }

    #[test]
    fn a_topic_stands_as_the_worst_fresh_view_says() {
        let view = |missing| {
            let topic = TopicSeen {
                partitions: 1,
                replicas: 3,
                min_isr: 3 - missing,
                missing,
                leaderless: 0,
            };
            Some(View {
                topics: [("orders".to_owned(), topic)].into(),
                ..View::default()
            })
        };
        let mut all = vec![
            seen("k1", 1_000, &[(7, 1, "", 0)]),
            seen("k2", 1_100, &[(7, 2, "", 0)]),
            seen("k1", 1_500, &[(7, 1, "", 0)]),
            seen("k1", 5_000, &[(7, 1, "", 0)]),
        ];
        for (one, missing) in all.iter_mut().zip([0, 1, 0, 0]) {
            one.glance.brokers[0].view = view(missing);
        }
        let found = standings(&all);
        let missing: Vec<(u64, usize)> = found["orders"]
            .iter()
            .map(|it| (it.at, it.seen.missing))
            .collect();
        assert_eq!(missing, [(1_000, 0), (1_100, 1), (5_000, 0)]);
    }
}
