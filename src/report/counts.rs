//! Turns the numbers of hosts into what is said of them: in one line, and in rows of hosts that have the same.

use super::words::count;
use crate::event::Stats;
use crate::value::HostName;
use indexmap::IndexMap;

/// How changes and failures are called where they are counted.
pub(super) fn counted_as(check_mode: bool) -> (&'static str, &'static str) {
    if check_mode {
        ("to change", "would fail")
    } else {
        ("changed", "failed")
    }
}

/// Results that found nothing to do.
pub(super) fn as_wished(stats: &Stats) -> u32 {
    stats.ok.saturating_sub(stats.changed + stats.unforeseen)
}

/// What a run changed, or would change, in one line.
pub(super) fn summary(stats: &IndexMap<HostName, Stats>, check_mode: bool) -> String {
    let sum = |count: fn(&Stats) -> u32| stats.values().map(count).sum::<u32>();
    let changed = sum(|stats| stats.changed);
    let n_hosts = stats.values().filter(|stats| stats.changed > 0).count();
    let hosts = count(n_hosts, "host");
    let mut line = match (changed, check_mode) {
        (0, true) => "nothing to change".to_owned(),
        (0, false) => "nothing changed".to_owned(),
        (_, true) => format!("{changed} to change on {hosts}"),
        (_, false) => format!("{changed} changed on {hosts}"),
    };
    let (_, failed) = counted_as(check_mode);
    let rest = [
        (sum(|stats| stats.unforeseen), "unknown"),
        (sum(|stats| stats.failed), failed),
        (sum(|stats| stats.unreachable), "unreachable"),
    ];
    for (n, what) in rest.iter().filter(|(n, _)| *n > 0) {
        line = format!("{line}, {n} {what}");
    }
    line
}

/// Hosts with the same numbers.
pub(super) fn alike(stats: &IndexMap<HostName, Stats>) -> Vec<(Stats, Vec<HostName>)> {
    let mut rows: Vec<(Stats, Vec<HostName>)> = Vec::new();
    for (host, stats) in stats {
        match rows.iter_mut().find(|(other, _)| other == stats) {
            Some((_, hosts)) => hosts.push(host.clone()),
            None => rows.push((*stats, vec![host.clone()])),
        }
    }
    rows
}
