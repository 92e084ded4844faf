//! Turns the views of all brokers into the partitions that a stop of one of them would leave with too few replicas.

use super::Reason;
use crate::kafka::cluster::Metadata;
use std::collections::{BTreeMap, BTreeSet};

/// What a stop of `target` changes for the worse: partitions that it serves, that have replicas to spare, and that would
/// keep fewer of them in sync than `min.insync.replicas`.
///
/// The worst of all `views` counts, and brokers that are `silent` are in sync nowhere. A partition that no order of
/// stops could keep available says nothing about this stop.
pub fn left_short(
    target: i32,
    views: &[Metadata],
    silent: &BTreeSet<i32>,
    min_isr: &BTreeMap<String, i32>,
) -> Vec<Reason> {
    let mut worst: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    let mut needed_by: BTreeMap<&str, usize> = BTreeMap::new();
    for (topic, number, partition) in views.iter().flat_map(Metadata::partitions) {
        let min_isr = min_isr.get(topic).copied().unwrap_or(1);
        let needed = usize::try_from(min_isr).unwrap_or(0).max(1);
        if !partition.isr.contains(&target) || partition.replicas.len() <= needed {
            continue;
        }
        let stays = |id: &&i32| **id != target && !silent.contains(id);
        let left = partition.isr.iter().filter(stays).count();
        needed_by.insert(topic, needed);
        let known = worst.entry((topic, number)).or_insert(left);
        *known = left.min(*known);
    }
    let short = worst.into_iter().filter_map(|((topic, partition), left)| {
        let needed = needed_by[topic];
        (left < needed).then(|| Reason::TooFewLeft {
            topic: topic.to_owned(),
            partition,
            left,
            needed,
        })
    });
    short.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::cluster::Partition;

    fn view(partitions: &[(i32, &[i32], &[i32])]) -> Metadata {
        let partition = |(number, replicas, isr): &(i32, &[i32], &[i32])| {
            let partition = Partition {
                leader: isr.first().copied(),
                replicas: replicas.to_vec(),
                isr: isr.to_vec(),
                offline: Vec::new(),
            };
            (*number, partition)
        };
        let partitions = partitions.iter().map(partition).collect();
        Metadata {
            topics: [("orders".to_owned(), partitions)].into(),
            ..Metadata::default()
        }
    }

    fn short(target: i32, views: &[Metadata], silent: &[i32], min_isr: i32) -> Vec<String> {
        let min_isr = [("orders".to_owned(), min_isr)].into();
        let reasons = left_short(target, views, &silent.iter().copied().collect(), &min_isr);
        reasons.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_stop_is_harmless_while_enough_others_are_in_sync() {
        let all = view(&[(0, &[1, 2, 3], &[1, 2, 3])]);
        assert!(short(1, std::slice::from_ref(&all), &[], 2).is_empty());
        assert_eq!(
            short(1, &[all], &[3], 2),
            ["orders-0 would keep 1 of the 2 replicas in sync that it needs"]
        );
    }

    #[test]
    fn the_worst_view_counts() {
        let views = [
            view(&[(0, &[1, 2, 3], &[1, 2, 3])]),
            view(&[(0, &[1, 2, 3], &[1, 2])]),
        ];
        assert_eq!(short(1, &views, &[], 2).len(), 1);
        assert!(short(1, &views, &[], 1).is_empty());
    }

    #[test]
    fn what_this_stop_does_not_change_does_not_count() {
        // Out of sync anyway; never enough replicas; elsewhere.
        let partitions: [(i32, &[i32], &[i32]); 3] = [
            (0, &[1, 2, 3], &[2]),
            (1, &[1, 2], &[1, 2]),
            (2, &[2, 3, 4], &[2]),
        ];
        assert!(short(1, &[view(&partitions)], &[], 2).is_empty());
        assert!(short(1, &[view(&[(0, &[1], &[1])])], &[], 1).is_empty());
    }
}
