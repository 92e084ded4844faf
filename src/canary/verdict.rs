//! What was acknowledged and what was read become the verdict.
//!
//! Order is that of sending: a record that is read for the first time after one of the same run and
//! partition that was sent later is out of order. A second copy of a record is a duplicate, wherever it stands.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::gaps::{Gap, Gaps};
use crate::record::Record;
use crate::state::{Ack, Run};

/// How many records of each fault are named.
const EXAMPLES: usize = 20;

/// One record of one run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Named {
    pub(crate) run: String,
    pub(crate) key: u32,
    pub(crate) number: u64,
    pub(crate) partition: i32,
    /// Where it was read, or, if it was not, where it was acknowledged; −1 if the broker did not say.
    pub(crate) offset: i64,
    /// When it was acknowledged, in milliseconds since the epoch, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acked: Option<u64>,
}

/// A partition as the consumer found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Range {
    pub(crate) partition: i32,
    /// The first offset that is still there.
    pub(crate) start: i64,
    /// The high watermark when reading began.
    pub(crate) end: i64,
}

/// The answer to "is everything there, once, and in order".
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// Everything was read, nothing is lost, order holds.
    pub(crate) ok: bool,
    /// What is wrong, in words; empty if `ok`.
    pub(crate) faults: Vec<String>,
    pub(crate) topic: String,
    pub(crate) runs: Vec<String>,
    /// Of each kind, how many runs there were.
    pub(crate) acks: BTreeMap<&'static str, usize>,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    /// Records read, of whomever.
    pub(crate) read: u64,
    /// Acknowledged, and not there.
    pub(crate) lost: u64,
    /// Of these, how many lie before the log start: retention removed them.
    pub(crate) expired: u64,
    /// Further copies of records that are there.
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    /// Keys of a run that were found in two partitions.
    pub(crate) strayed_keys: u64,
    /// Acknowledged at an offset at which they are not.
    pub(crate) moved: u64,
    /// There, but never acknowledged: what failed or was in flight when the producer was killed.
    pub(crate) unacknowledged: u64,
    /// Records of others, or of runs that the state does not name.
    pub(crate) unknown: u64,
    /// Whether every partition was read to its end.
    pub(crate) complete: bool,
    pub(crate) lost_examples: Vec<Named>,
    pub(crate) duplicated_examples: Vec<Named>,
    pub(crate) out_of_order_examples: Vec<Named>,
    pub(crate) partitions: Vec<Share>,
    pub(crate) longest_gap: Option<Gap>,
    /// Every gap between acknowledgements from `--gap` on, by time.
    pub(crate) gaps: Vec<Gap>,
}

/// One partition's part of the verdict.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) partition: i32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) acked: u64,
    pub(crate) read: u64,
    pub(crate) lost: u64,
    pub(crate) longest_gap: Option<Gap>,
}

/// What is known of one record. Runs are named by their place in the state.
#[derive(Debug, Default)]
struct Fate {
    acked: Option<Ack>,
    seen: Option<(i32, i64)>,
    /// Whether one of the copies stood where the acknowledgement said.
    in_place: bool,
}

type Id = (usize, u32, u64);

/// Takes records as they are read.
pub(crate) struct Checker {
    runs: Vec<Run>,
    fates: HashMap<Id, Fate>,
    places: HashMap<String, usize>,
    /// The highest sequence of a run that a partition has shown.
    highest: HashMap<(usize, i32), u64>,
    home: HashMap<(usize, u32), i32>,
    strayed: BTreeSet<(usize, u32)>,
    read_of: BTreeMap<i32, u64>,
    duplicated: u64,
    out_of_order: u64,
    unacknowledged: u64,
    unknown: u64,
    duplicated_examples: Vec<Named>,
    out_of_order_examples: Vec<Named>,
}

impl Checker {
    /// Expects what `runs` say was acknowledged.
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        let mut fates: HashMap<Id, Fate> = HashMap::new();
        let mut places = HashMap::new();
        for (place, run) in runs.iter().enumerate() {
            places.insert(run.id.clone(), place);
            for &ack in &run.acked {
                fates.entry((place, ack.key, ack.number)).or_default().acked = Some(ack);
            }
        }
        Self {
            runs,
            fates,
            places,
            highest: HashMap::new(),
            home: HashMap::new(),
            strayed: BTreeSet::new(),
            read_of: BTreeMap::new(),
            duplicated: 0,
            out_of_order: 0,
            unacknowledged: 0,
            unknown: 0,
            duplicated_examples: Vec::new(),
            out_of_order_examples: Vec::new(),
        }
    }

    /// Takes one record; those of one partition in the order of their offsets.
    pub(crate) fn read(&mut self, partition: i32, offset: i64, value: &[u8]) {
        *self.read_of.entry(partition).or_default() += 1;
        let parsed = Record::parse(value);
        let known = parsed
            .as_ref()
            .and_then(|record| Some((record, *self.places.get(&record.run)?)));
        let Some((record, run)) = known else {
            self.unknown += 1;
            return;
        };
        let fate = self
            .fates
            .entry((run, record.key, record.number))
            .or_default();
        let named = || Named {
            run: record.run.clone(),
            key: record.key,
            number: record.number,
            partition,
            offset,
            acked: fate.acked.map(|ack| ack.time),
        };
        let is_place = fate.acked.is_some_and(|ack| {
            ack.offset < 0 || (ack.partition, ack.offset) == (partition, offset)
        });
        if fate.seen.is_some() {
            self.duplicated += 1;
            example(&mut self.duplicated_examples, named);
            fate.in_place |= is_place;
            return;
        }
        let highest = self.highest.entry((run, partition)).or_default();
        if record.sequence < *highest {
            self.out_of_order += 1;
            example(&mut self.out_of_order_examples, named);
        }
        *highest = record.sequence.max(*highest);
        match self.home.entry((run, record.key)) {
            Entry::Vacant(home) => {
                home.insert(partition);
            }
            Entry::Occupied(home) if *home.get() != partition => {
                self.strayed.insert((run, record.key));
            }
            Entry::Occupied(_) => {}
        }
        if fate.acked.is_none() {
            self.unacknowledged += 1;
        }
        fate.seen = Some((partition, offset));
        fate.in_place |= is_place;
    }

    /// Judges. `complete` says whether all of `ranges` was read; `gap` from how many milliseconds on gaps are
    /// listed.
    pub(crate) fn verdict(self, ranges: &[Range], complete: bool, gap: u64) -> Verdict {
        let lost = self.lost();
        let moved = self
            .fates
            .values()
            .filter(|fate| fate.acked.is_some() && fate.seen.is_some() && !fate.in_place)
            .count() as u64;
        let expired = lost
            .iter()
            .filter(|named| {
                ranges.iter().any(|range| {
                    range.partition == named.partition && (0..range.start).contains(&named.offset)
                })
            })
            .count() as u64;
        let runs: Vec<&Run> = self.runs.iter().collect();
        let acked: u64 = runs.iter().map(|run| run.acked.len() as u64).sum();
        let mut faults = Vec::new();
        let mut fault = |count: u64, text: &str| {
            if count > 0 {
                faults.push(format!("{count} {text}"));
            }
        };
        fault(lost.len() as u64, "acknowledged records are lost");
        fault(expired, "of the lost ones lie before the log start");
        fault(self.out_of_order, "records are out of order");
        fault(
            self.strayed.len() as u64,
            "keys have records in two partitions",
        );
        if acked == 0 {
            faults.push("no record was ever acknowledged".to_owned());
        }
        if !complete {
            faults.push("the topic could not be read to its end in time".to_owned());
        }
        let (per_partition, longest_gap, gaps) = self.gaps(gap);
        let count_of = |partition: i32| {
            let here = |ack: &&Ack| ack.partition == partition;
            let counts = runs.iter().map(|run| run.acked.iter().filter(here).count());
            counts.sum::<usize>() as u64
        };
        let mut acks = BTreeMap::new();
        for run in &runs {
            *acks.entry(run.acks.word()).or_default() += 1;
        }
        Verdict {
            ok: faults.is_empty(),
            faults,
            topic: runs
                .first()
                .map(|run| run.topic.clone())
                .unwrap_or_default(),
            runs: runs.iter().map(|run| run.id.clone()).collect(),
            acks,
            sent: runs.iter().map(|run| run.sent).sum(),
            acked,
            failed: runs.iter().map(|run| run.failed).sum(),
            read: self.read_of.values().sum(),
            lost: lost.len() as u64,
            expired,
            duplicated: self.duplicated,
            out_of_order: self.out_of_order,
            strayed_keys: self.strayed.len() as u64,
            moved,
            unacknowledged: self.unacknowledged,
            unknown: self.unknown,
            complete,
            partitions: ranges
                .iter()
                .map(|range| Share {
                    partition: range.partition,
                    start: range.start,
                    end: range.end,
                    acked: count_of(range.partition),
                    read: self.read_of.get(&range.partition).copied().unwrap_or(0),
                    lost: lost
                        .iter()
                        .filter(|it| it.partition == range.partition)
                        .count() as u64,
                    longest_gap: per_partition.get(&range.partition).copied(),
                })
                .collect(),
            lost_examples: lost.into_iter().take(EXAMPLES).collect(),
            duplicated_examples: self.duplicated_examples,
            out_of_order_examples: self.out_of_order_examples,
            longest_gap,
            gaps,
        }
    }

    /// What was acknowledged and never read, in the order of sending.
    fn lost(&self) -> Vec<Named> {
        let mut lost: Vec<(usize, &Ack)> = self
            .fates
            .iter()
            .filter(|(_, fate)| fate.seen.is_none())
            .filter_map(|((run, ..), fate)| Some((*run, fate.acked.as_ref()?)))
            .collect();
        lost.sort_by_key(|(run, ack)| (*run, ack.sequence));
        lost.into_iter()
            .map(|(run, ack)| Named {
                run: self.runs[run].id.clone(),
                key: ack.key,
                number: ack.number,
                partition: ack.partition,
                offset: ack.offset,
                acked: Some(ack.time),
            })
            .collect()
    }

    /// The longest gap of each partition, of all, and every one that is long enough; runs do not add up.
    fn gaps(&self, threshold: u64) -> (BTreeMap<i32, Gap>, Option<Gap>, Vec<Gap>) {
        let length = |gap: &Gap| gap.to - gap.from;
        let mut longest_of: BTreeMap<i32, Gap> = BTreeMap::new();
        let mut listed = Vec::new();
        for run in &self.runs {
            let mut gaps = Gaps::new(run.partitions, run.started, threshold);
            for ack in &run.acked {
                gaps.success(ack.partition, ack.time);
            }
            gaps.finish(run.stopped);
            listed.extend_from_slice(gaps.listed());
            for gap in (0..)
                .take(run.partitions)
                .filter_map(|partition| gaps.longest_of(partition))
            {
                let longest = longest_of.entry(gap.partition).or_insert(gap);
                if length(longest) < length(&gap) {
                    *longest = gap;
                }
            }
        }
        let longest = longest_of.values().copied().max_by_key(length);
        (longest_of, longest, listed)
    }
}

fn example(examples: &mut Vec<Named>, named: impl FnOnce() -> Named) {
    if examples.len() < EXAMPLES {
        examples.push(named());
    }
}

#[cfg(test)]
mod tests;
