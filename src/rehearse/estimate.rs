//! Turns the measured times of a run's plays into how long production would take.
//!
//! A play's batches are measured here and counted there: mean time of a batch × batches in production. On top comes
//! what a restarted broker must fetch before it is in sync: of its data, the share that it had to fetch anew in the lab.

use super::brokers::Broker;
use super::work::{Batch, Phase};
use serde::Serialize;
use std::collections::BTreeMap;

/// Of a broker's data, a share below this that is not there after a restart is taken for none: what was being
/// written when it stopped.
const NOTHING: f64 = 0.05;

/// What production has that the lab has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Production {
    /// Bytes on a broker's disks.
    pub data_per_broker: Option<u64>,
    /// Bytes a second that a broker fetches from the others.
    pub replication_rate: Option<u64>,
}

/// How long a run took here, and would take there. Milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    pub plays: Vec<PlayEstimate>,
    pub measured: u64,
    pub expected: u64,
    /// If every restarted broker had to fetch all of its data: wiped or lost disks.
    pub at_worst: Option<u64>,
    /// Of a broker's data, how much it had to fetch anew after a restart here: 0 to 1.
    pub refetched: f64,
    /// How long a broker fetches all of its data.
    pub whole_copy: Option<u64>,
}

/// One play's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlayEstimate {
    pub name: String,
    pub batches_here: usize,
    pub batches_there: usize,
    pub hosts_here: usize,
    pub hosts_there: usize,
    pub measured: u64,
    pub expected: u64,
    /// How many of its batches restarted brokers here.
    pub restarts: usize,
}

/// Estimates a run. `hosts_there` says of each play, by its place, how many hosts production has for it.
pub fn estimate(
    run: &Phase,
    brokers: &[Broker],
    hosts_there: &BTreeMap<usize, usize>,
    production: Production,
) -> Estimate {
    let refetched = refetched(run, brokers);
    let whole_copy = whole_copy(production);
    let mut plays: Vec<PlayEstimate> = Vec::new();
    let mut of_play: BTreeMap<usize, Vec<&Batch>> = BTreeMap::new();
    for batch in &run.batches {
        of_play.entry(batch.play).or_default().push(batch);
    }
    let mut at_worst = 0;
    for (place, batches) in of_play {
        let measured: u64 = batches.iter().map(|batch| batch.to - batch.from).sum();
        let here = batches.len();
        let hosts_here = batches.first().map_or(0, |batch| batch.of);
        let hosts_there = hosts_there.get(&place).copied().unwrap_or(hosts_here);
        let width = batches.iter().map(|batch| batch.width()).max().unwrap_or(1);
        let there = if here > 1 || width < hosts_there && !batches[0].hosts.is_empty() {
            hosts_there.div_ceil(width.max(1))
        } else {
            1
        };
        let restarts = batches
            .iter()
            .filter(|batch| {
                let mut all = brokers.iter();
                all.any(|broker| broker.restarts(batch.from, batch.to).next().is_some())
            })
            .count();
        let scaled = |time: u64| time * there as u64 / (here as u64).max(1);
        let copies = scaled(whole_copy.unwrap_or(0) * restarts as u64);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let fetched = (copies as f64 * refetched) as u64;
        let expected = scaled(measured) + fetched;
        at_worst += scaled(measured) + copies;
        plays.push(PlayEstimate {
            name: batches
                .first()
                .map_or_else(String::new, |it| it.name.clone()),
            batches_here: here,
            batches_there: there,
            hosts_here,
            hosts_there,
            measured,
            expected,
            restarts,
        });
    }
    Estimate {
        measured: run.to - run.from,
        expected: plays.iter().map(|play| play.expected).sum(),
        at_worst: whole_copy.map(|_| at_worst),
        plays,
        refetched,
        whole_copy,
    }
}

fn whole_copy(production: Production) -> Option<u64> {
    let rate = production.replication_rate?.max(1);
    Some(production.data_per_broker?.saturating_mul(1000) / rate)
}

/// The largest share of its data that a broker did not have any more when it came back.
fn refetched(run: &Phase, brokers: &[Broker]) -> f64 {
    let shares = brokers
        .iter()
        .flat_map(|broker| broker.restarts(run.from, run.to))
        .filter(|(old, _)| old.bytes.1 > 0)
        .map(|(old, new)| {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let kept = new.bytes.0 as f64 / old.bytes.1 as f64;
            1.0 - kept.min(1.0)
        });
    let most = shares.fold(0.0, f64::max);
    if most < NOTHING { 0.0 } else { most }
}

/// Reads an amount such as `700GB`, `64MiB`, `100MB/s`; decimal units unless there is an `i`.
///
/// # Errors
/// What it should look like.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no amount of bytes, as `700GB` or `100MB/s`");
    let bare = text.trim().trim_end_matches("/s");
    let split = bare
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(bare.len());
    let number: f64 = bare[..split].parse().map_err(|_| wrong())?;
    let unit = bare[split..].trim().to_lowercase();
    let powers = ["", "k", "m", "g", "t", "p"];
    let (base, letter) = match unit.strip_suffix("ib") {
        Some(letter) => (1024_f64, letter),
        None => (1000_f64, unit.trim_end_matches('b')),
    };
    let power = powers
        .iter()
        .position(|it| *it == letter)
        .ok_or_else(wrong)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an amount"
    )]
    let amount = (number * base.powi(i32::try_from(power).map_err(|_| wrong())?)) as u64;
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::brokers::State;
    use crate::rehearse::trial::{batch, phase};

    fn rolled() -> Phase {
        let mut run = phase(Vec::new(), true);
        (run.from, run.to) = (0, 100_000);
        run.batches = vec![
            batch(0, &[], 0, 10_000),
            batch(1, &["k1"], 10_000, 40_000),
            batch(1, &["k2"], 40_000, 70_000),
            batch(1, &["k3"], 70_000, 100_000),
        ];
        run
    }

    /// A broker that restarted during the second batch; `kept` is what it had on its disks then.
    fn restarted(kept: u64) -> Broker {
        let state = |at, pid, bytes| State {
            at,
            pid,
            bytes: (bytes, bytes),
            ..State::default()
        };
        Broker {
            host: "k1".to_owned(),
            id: 1,
            states: vec![state(0, 7, 1000), state(20_000, 8, kept)],
        }
    }

    const BIG: Production = Production {
        data_per_broker: Some(700_000_000_000),
        replication_rate: Some(100_000_000),
    };

    #[test]
    fn batches_are_measured_here_and_counted_there() {
        let there = BTreeMap::from([(0, 30), (1, 30)]);
        let found = estimate(&rolled(), &[], &there, Production::default());
        let times: Vec<_> = found
            .plays
            .iter()
            .map(|it| (it.batches_there, it.expected))
            .collect();
        assert_eq!(times, [(1, 10_000), (30, 900_000)]);
        assert_eq!((found.measured, found.expected), (100_000, 910_000));
        assert_eq!(found.at_worst, None);
    }

    #[test]
    fn a_broker_that_kept_its_data_fetches_nothing_and_the_worst_case_is_told_beside() {
        let found = estimate(&rolled(), &[restarted(990)], &BTreeMap::new(), BIG);
        assert_eq!(found.whole_copy, Some(7_000_000));
        assert_eq!(found.expected, 100_000);
        assert_eq!(found.at_worst, Some(100_000 + 7_000_000));
    }

    #[test]
    fn a_broker_that_lost_its_data_fetches_all_of_productions() {
        let found = estimate(&rolled(), &[restarted(0)], &BTreeMap::new(), BIG);
        assert!((found.refetched - 1.0).abs() < 1e-9);
        assert_eq!(found.expected, 100_000 + 7_000_000);
        assert_eq!(found.at_worst, Some(found.expected));
    }

    #[test]
    fn amounts_have_decimal_and_binary_units() {
        assert_eq!(bytes("700GB"), Ok(700_000_000_000));
        assert_eq!(bytes("100 MB/s"), Ok(100_000_000));
        assert_eq!(bytes("1.5KiB"), Ok(1536));
        assert_eq!(bytes("42"), Ok(42));
        assert!(bytes("lots").is_err());
    }
}
