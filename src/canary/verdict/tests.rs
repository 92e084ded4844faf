use super::*;
use crate::options::Acks;
use proptest::prelude::*;

/// A run whose every record is acknowledged and in the log as it was sent.
struct World {
    run: Run,
    /// Per partition, in the order of the log.
    log: BTreeMap<i32, Vec<Record>>,
}

const PARTITIONS: u32 = 3;

fn world(keys: &[u32]) -> World {
    let mut numbers: BTreeMap<u32, u64> = BTreeMap::new();
    let mut log: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut acked = Vec::new();
    for (&key, sequence) in keys.iter().zip(1..) {
        let number = numbers.entry(key).or_default();
        *number += 1;
        let partition = i32::try_from(key % PARTITIONS).unwrap();
        let place = log.entry(partition).or_default();
        acked.push(Ack {
            key,
            number: *number,
            sequence,
            partition,
            offset: i64::try_from(place.len()).unwrap(),
            time: 1000 + sequence,
        });
        place.push(Record {
            run: "r".to_owned(),
            key,
            number: *number,
            sequence,
            time: 1000,
            acks: Acks::All,
        });
    }
    let run = Run {
        id: "r".to_owned(),
        topic: "t".to_owned(),
        acks: Acks::All,
        partitions: PARTITIONS as usize,
        started: 1000,
        stopped: 1000,
        sent: keys.len() as u64,
        failed: 0,
        acked,
    };
    World { run, log }
}

impl World {
    fn judge(self) -> Verdict {
        let mut checker = Checker::new(vec![self.run]);
        let mut ranges = Vec::new();
        for (&partition, records) in &self.log {
            for (record, offset) in records.iter().zip(0..) {
                checker.read(partition, offset, record.value(0).as_bytes());
            }
            ranges.push(Range {
                partition,
                start: 0,
                end: i64::try_from(records.len()).unwrap(),
            });
        }
        checker.verdict(&ranges, true, 1000)
    }

    /// The partition that the record with this sequence is in, and its place there.
    fn find(&self, sequence: u64) -> (i32, usize) {
        let mut places = self.log.iter().filter_map(|(&partition, records)| {
            let place = records.iter().position(|it| it.sequence == sequence)?;
            Some((partition, place))
        });
        places.next().unwrap()
    }
}

fn keys() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..7, 1..60)
}

/// Keys, and which of their records something happens to.
fn keys_and_some() -> impl Strategy<Value = (Vec<u32>, BTreeSet<u64>)> {
    keys().prop_flat_map(|keys| {
        let sequences = 1..=keys.len() as u64;
        let count = 1..=keys.len();
        (Just(keys), prop::collection::btree_set(sequences, count))
    })
}

proptest! {
    #[test]
    fn a_log_as_it_was_sent_passes(keys in keys()) {
        let count = keys.len() as u64;
        let verdict = world(&keys).judge();
        prop_assert!(verdict.ok, "{:?}", verdict.faults);
        prop_assert_eq!((verdict.acked, verdict.read, verdict.moved), (count, count, 0));
    }

    #[test]
    fn every_record_that_is_gone_is_counted_and_order_still_holds((keys, gone) in keys_and_some()) {
        let mut world = world(&keys);
        for records in world.log.values_mut() {
            records.retain(|record| !gone.contains(&record.sequence));
        }
        let verdict = world.judge();
        prop_assert!(!verdict.ok);
        prop_assert_eq!(verdict.lost, gone.len() as u64);
        prop_assert_eq!((verdict.out_of_order, verdict.duplicated), (0, 0));
        prop_assert_eq!(verdict.lost_examples.len(), gone.len().min(EXAMPLES));
    }

    #[test]
    fn a_record_that_was_never_acknowledged_may_be_gone_or_there(
        (keys, failed) in keys_and_some(), there: bool,
    ) {
        let mut world = world(&keys);
        world.run.acked.retain(|ack| !failed.contains(&ack.sequence));
        if !there {
            for records in world.log.values_mut() {
                records.retain(|record| !failed.contains(&record.sequence));
            }
        }
        let left = keys.len() - failed.len();
        let verdict = world.judge();
        prop_assert_eq!(verdict.ok, left > 0);
        prop_assert_eq!(verdict.unacknowledged, if there { failed.len() as u64 } else { 0 });
    }

    #[test]
    fn copies_behind_their_record_are_duplicates_and_no_disorder((keys, twice) in keys_and_some()) {
        let mut world = world(&keys);
        for records in world.log.values_mut() {
            let copies: Vec<Record> =
                records.iter().filter(|it| twice.contains(&it.sequence)).cloned().collect();
            records.extend(copies);
        }
        let verdict = world.judge();
        prop_assert!(verdict.ok, "{:?}", verdict.faults);
        prop_assert_eq!(verdict.duplicated, twice.len() as u64);
    }

    #[test]
    fn two_records_that_changed_places_are_out_of_order(keys in keys(), which: prop::sample::Index) {
        let mut world = world(&keys);
        let (partition, place) = world.find(which.index(keys.len()) as u64 + 1);
        let records = world.log.get_mut(&partition).unwrap();
        prop_assume!(place + 1 < records.len());
        records.swap(place, place + 1);
        let verdict = world.judge();
        prop_assert!(!verdict.ok);
        prop_assert_eq!((verdict.out_of_order, verdict.lost, verdict.moved), (1, 0, 2));
    }
}

#[test]
fn records_of_others_are_counted_and_harm_nothing() {
    let world = world(&[0, 1, 2]);
    let mut checker = Checker::new(vec![world.run.clone()]);
    for (&partition, records) in &world.log {
        checker.read(partition, 0, records[0].value(0).as_bytes());
        checker.read(partition, 1, b"hello");
    }
    let other = Record {
        run: "other".to_owned(),
        ..world.log[&0][0].clone()
    };
    checker.read(0, 2, other.value(0).as_bytes());
    let verdict = checker.verdict(&[], true, 1000);
    assert!(verdict.ok);
    assert_eq!((verdict.unknown, verdict.read), (4, 7));
}

#[test]
fn a_key_in_two_partitions_is_a_fault() {
    let mut world = world(&[0, 0, 1]);
    let moved = world.log.get_mut(&0).unwrap().pop().unwrap();
    world.log.get_mut(&1).unwrap().push(moved);
    let verdict = world.judge();
    assert_eq!((verdict.strayed_keys, verdict.ok), (1, false));
}

#[test]
fn what_retention_removed_is_lost_and_named_so() {
    let world = world(&[0, 0, 0]);
    let mut checker = Checker::new(vec![world.run.clone()]);
    checker.read(0, 2, world.log[&0][2].value(0).as_bytes());
    let range = Range {
        partition: 0,
        start: 2,
        end: 3,
    };
    let verdict = checker.verdict(&[range], true, 1000);
    assert_eq!((verdict.lost, verdict.expired), (2, 2));
}

#[test]
fn nothing_acknowledged_proves_nothing() {
    let verdict = Checker::new(Vec::new()).verdict(&[], true, 1000);
    assert_eq!(verdict.faults, ["no record was ever acknowledged"]);
}

#[test]
fn a_topic_that_was_not_read_to_its_end_does_not_pass() {
    let verdict = Checker::new(vec![world(&[]).run]).verdict(&[], false, 1000);
    assert!(!verdict.ok && !verdict.complete);
}

#[test]
fn gaps_come_from_the_times_of_acknowledgement() {
    let mut world = world(&[0, 0, 0]);
    for (ack, time) in world.run.acked.iter_mut().zip([1100, 9100, 9200]) {
        ack.time = time;
    }
    world.run.partitions = 1;
    world.run.stopped = 9300;
    let verdict = world.judge();
    let gap = Gap {
        partition: 0,
        from: 1100,
        to: 9100,
    };
    assert_eq!((verdict.longest_gap, verdict.gaps), (Some(gap), vec![gap]));
}
