//! Turns a lab whose playbooks have run into a cluster that is ready: all brokers there, topics made, load flowing.

use super::eye::{BrokerSeen, Errand, Exchanged};
use super::load::{GROUP, Load, TOPIC_ALL, TOPIC_ONE, Wish};
use super::story::Say;
use super::watch::{Watch, errand};
use crate::lab::Lab;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long brokers whose processes are there may take until they all know each other.
const JOINING: Duration = Duration::from_secs(120);
/// How long a service that was started may take to be a broker's process.
const FIRST: Duration = Duration::from_secs(5);
/// How long the first glances may take.
const GLANCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);
/// The topic and the group of the old message.
const ACCEPTANCE: &str = "krun-rehearsal-acceptance";

/// How the cluster is reached.
#[derive(Debug, Clone)]
pub(super) struct Entrance {
    pub(super) brokers: usize,
    /// `host:port` of each broker, joined by commas.
    bootstrap: String,
    /// Where errands can be done: the broker's host, and the file that it was started with.
    doors: Vec<(String, PathBuf)>,
}

/// What the user wishes of the load.
pub(super) struct LoadWish {
    pub(super) canary: Option<PathBuf>,
    pub(super) rate: u32,
    pub(super) settings: Vec<String>,
}

/// Waits until all brokers that run, `at_least` so many, know each other; `None` where none runs.
pub(super) fn entrance(watch: &Watch, at_least: usize) -> Option<Entrance> {
    let begun = Instant::now();
    let mut steady = Steady::default();
    loop {
        let brokers = watch.now();
        let waited = begun.elapsed();
        let is_whole = watch.all_looked() && is_whole(&brokers, at_least);
        let is_steady = steady.since(is_whole.then_some(brokers.len()), Instant::now()) > FIRST;
        if brokers.is_empty() {
            let is_bare = at_least == 0 && watch.all_looked() && waited > FIRST;
            if is_bare || waited > GLANCE {
                return None;
            }
        } else if is_steady || waited > JOINING {
            return Some(of(&brokers));
        }
        thread::sleep(PAUSE);
    }
}

/// How long a cluster has been whole with so many brokers: one more may still be about to start.
#[derive(Default)]
struct Steady(Option<(usize, Instant)>);

impl Steady {
    fn since(&mut self, brokers: Option<usize>, now: Instant) -> Duration {
        self.0 = brokers.map(|count| match self.0 {
            Some((same, since)) if same == count => (count, since),
            _ => (count, now),
        });
        self.0.map_or(Duration::ZERO, |(_, since)| now - since)
    }
}

/// Whether there are enough, and each knows as many.
fn is_whole(brokers: &[(String, BrokerSeen)], at_least: usize) -> bool {
    let known = |seen: &BrokerSeen| seen.view.as_ref().map_or(0, |view| view.brokers.len());
    let mut all = brokers.iter();
    brokers.len() >= at_least && all.all(|(_, seen)| known(seen) == brokers.len())
}

fn of(brokers: &[(String, BrokerSeen)]) -> Entrance {
    let mut addresses: Vec<String> = brokers
        .iter()
        .filter_map(|(_, seen)| seen.view.as_ref())
        .flat_map(|view| view.brokers.values().cloned())
        .collect();
    addresses.sort();
    addresses.dedup();
    Entrance {
        brokers: brokers.len(),
        bootstrap: addresses.join(","),
        doors: brokers
            .iter()
            .map(|(host, seen)| (host.clone(), seen.server_properties.clone()))
            .collect(),
    }
}

/// Makes the rehearsal's own topics, spread over all brokers.
pub(super) fn topics(lab: &Lab, program: &Path, entrance: &Entrance) -> Result<(), String> {
    let brokers = i32::try_from(entrance.brokers).unwrap_or(i32::MAX);
    let replicas = i16::try_from(brokers.min(3)).unwrap_or(1);
    let spread = brokers.saturating_mul(2);
    for (name, partitions) in [(TOPIC_ALL, spread), (TOPIC_ONE, spread), (ACCEPTANCE, 1)] {
        let wish = Errand::Topic {
            name: name.to_owned(),
            partitions,
            replicas,
            min_isr: (replicas - 1).max(1),
        };
        through(lab, program, entrance, &wish)?;
    }
    Ok(())
}

/// Reads the old message, sends and reads a new one, looks up where the group stands.
pub(super) fn exchange(
    lab: &Lab,
    program: &Path,
    entrance: &Entrance,
) -> Result<Exchanged, String> {
    let wish = Errand::Exchange {
        topic: ACCEPTANCE.to_owned(),
        group: format!("{GROUP}-acceptance"),
    };
    through(lab, program, entrance, &wish)?.ok_or_else(|| "the exchange gave no account".to_owned())
}

/// Any broker's host will do; the first may be the one that does not work any more.
fn through(
    lab: &Lab,
    program: &Path,
    entrance: &Entrance,
    wish: &Errand,
) -> Result<Option<Exchanged>, String> {
    let mut faults = Vec::new();
    for (host, server_properties) in &entrance.doors {
        match errand(lab, host, server_properties, program, wish) {
            Ok(done) => return Ok(done),
            Err(fault) => faults.push(fault),
        }
    }
    Err(faults.join("; "))
}

/// Starts the load; `None` where none is wished.
pub(super) fn load(
    lab: &Lab,
    wish: LoadWish,
    entrance: &Entrance,
    say: &Say,
) -> Option<Result<Load, String>> {
    let canary = wish.canary?;
    say(&format!(
        "  {} records a second with acks=all and as many with acks=1, and a group that reads",
        wish.rate
    ));
    Some(Load::start(
        lab,
        &canary,
        Wish {
            bootstrap: entrance.bootstrap.clone(),
            rate: wish.rate,
            settings: wish.settings,
        },
    ))
}

/// Waits until no replica is missing, for so long at most; what then stands, the checks tell.
pub(super) fn in_sync(watch: &Watch, limit: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        let brokers = watch.now();
        let is_whole = |seen: &BrokerSeen| {
            seen.view.as_ref().is_some_and(|view| {
                view.brokers.len() == brokers.len()
                    && view.topics.values().all(|topic| topic.missing == 0)
            })
        };
        if !brokers.is_empty() && brokers.iter().all(|(_, seen)| is_whole(seen)) {
            return;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::eye::View;

    #[test]
    fn a_cluster_is_whole_when_all_that_were_there_before_know_each_other() {
        let broker = |known: i32| {
            let brokers = (0..known).map(|id| (id, format!("k{id}:9092"))).collect();
            let view = Some(View {
                brokers,
                ..View::default()
            });
            let seen = BrokerSeen {
                view,
                ..BrokerSeen::default()
            };
            ("k".to_owned(), seen)
        };
        let (two, three) = ([broker(2), broker(2)], [broker(3), broker(3), broker(3)]);
        assert!(is_whole(&two, 0) && is_whole(&three, 3));
        assert!(!is_whole(&two, 3));
        assert!(!is_whole(&[broker(3), broker(3), broker(2)], 3));
    }

    #[test]
    fn a_cluster_that_another_broker_joins_is_not_steady_yet() {
        let (start, mut steady) = (Instant::now(), Steady::default());
        let mut after = |seconds, brokers| {
            let now = start + Duration::from_secs(seconds);
            steady.since(brokers, now).as_secs()
        };
        assert_eq!(after(0, Some(2)), 0);
        assert_eq!(after(4, Some(2)), 4);
        assert_eq!(after(5, None), 0);
        assert_eq!(after(6, Some(3)), 0);
        assert_eq!(after(9, Some(3)), 3);
        assert_eq!(after(10, Some(2)), 0);
    }
}
