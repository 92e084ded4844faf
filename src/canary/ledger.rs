//! Delivery reports become counts, gaps and lines of the state file, and in the end the producer's summary.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::gaps::{Gap, Gaps, seconds};
use crate::options::{Acks, Produce};
use crate::state::{Ack, Writer};
use crate::watch::milliseconds;

/// A record on its way: what its delivery report must be able to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) key: u32,
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) partition: i32,
    /// Milliseconds since the epoch.
    pub(crate) time: u64,
}

/// What has happened so far.
pub(crate) struct Ledger {
    writer: Writer,
    gaps: Gaps,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    acked_of: Vec<u64>,
    errors: BTreeMap<String, u64>,
    slowest: u64,
    pub(crate) last_ack: u64,
    /// The state file could not be written; found in a callback, which cannot return it.
    pub(crate) trouble: Option<io::Error>,
}

impl Ledger {
    /// Nothing sent yet, over `partitions` partitions, from `started` on.
    pub(crate) fn new(writer: Writer, partitions: usize, started: u64, gap: Duration) -> Self {
        Self {
            writer,
            gaps: Gaps::new(partitions, started, milliseconds(gap)),
            sent: 0,
            acked: 0,
            failed: 0,
            acked_of: vec![0; partitions],
            errors: BTreeMap::new(),
            slowest: 0,
            last_ack: started,
            trouble: None,
        }
    }

    /// Sent, and neither acknowledged nor failed.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sent - self.acked - self.failed
    }

    pub(crate) fn acked(&mut self, sent: &Sent, partition: i32, offset: i64, now: u64) {
        self.acked += 1;
        if let Some(count) = usize::try_from(partition)
            .ok()
            .and_then(|index| self.acked_of.get_mut(index))
        {
            *count += 1;
        }
        self.slowest = self.slowest.max(now.saturating_sub(sent.time));
        self.last_ack = now;
        self.gaps.success(partition, now);
        let line = line_of(sent, partition, offset, now);
        let written = self.writer.ack(&line);
        self.note(written);
    }

    pub(crate) fn failed(&mut self, sent: &Sent, why: &str, now: u64) {
        self.failed += 1;
        *self.errors.entry(why.to_owned()).or_default() += 1;
        let line = line_of(sent, sent.partition, -1, now);
        let written = self.writer.fail(&line, why);
        self.note(written);
    }

    /// Leaves a mark in the state file, so that the count survives a kill.
    pub(crate) fn mark(&mut self, now: u64) {
        let written = self.writer.sent(self.sent, now);
        self.note(written);
    }

    /// Ends the run: nothing more was sent after `stopped`.
    pub(crate) fn end(&mut self, stopped: u64) {
        self.gaps.finish(stopped);
        let written = self.writer.end(self.sent, stopped);
        self.note(written);
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.trouble.get_or_insert(error);
        }
    }
}

fn line_of(sent: &Sent, partition: i32, offset: i64, time: u64) -> Ack {
    Ack {
        key: sent.key,
        number: sent.number,
        sequence: sent.sequence,
        partition,
        offset,
        time,
    }
}

/// What the producer says in the end. Times in milliseconds since the epoch.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) run: String,
    pub(crate) topic: String,
    pub(crate) acks: Acks,
    pub(crate) idempotence: bool,
    pub(crate) rate: u32,
    pub(crate) keys: u32,
    pub(crate) started: u64,
    /// When sending ended.
    pub(crate) stopped: u64,
    /// When the last delivery report was in.
    pub(crate) finished: u64,
    /// What the rate and the time of sending ask for.
    pub(crate) planned: u64,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    /// Failed records by error.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The longest time from sending to acknowledgement.
    pub(crate) slowest_ack_seconds: f64,
    pub(crate) longest_gap: Option<Gap>,
    pub(crate) partitions: Vec<Share>,
    /// Every gap from `--gap` on, by time.
    pub(crate) gaps: Vec<Gap>,
    /// Why the client gave up, if it did.
    pub(crate) fatal: Option<String>,
}

/// What was acknowledged on one partition.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) partition: i32,
    pub(crate) acked: u64,
    pub(crate) longest_gap: Option<Gap>,
}

/// What the summary takes from the producer itself.
pub(crate) struct Course {
    pub(crate) run: String,
    pub(crate) started: u64,
    pub(crate) stopped: u64,
    pub(crate) finished: u64,
    pub(crate) planned: u64,
    pub(crate) fatal: Option<String>,
}

impl Summary {
    pub(crate) fn of(ledger: &Ledger, course: Course, options: &Produce) -> Self {
        Self {
            run: course.run,
            topic: options.cluster.topic.clone(),
            acks: options.acks,
            idempotence: options.is_idempotent(),
            rate: options.rate,
            keys: options.keys,
            started: course.started,
            stopped: course.stopped,
            finished: course.finished,
            planned: course.planned,
            sent: ledger.sent,
            acked: ledger.acked,
            failed: ledger.failed,
            errors: ledger.errors.clone(),
            slowest_ack_seconds: seconds(ledger.slowest),
            longest_gap: ledger.gaps.longest(),
            partitions: (0..)
                .zip(&ledger.acked_of)
                .map(|(partition, &acked)| Share {
                    partition,
                    acked,
                    longest_gap: ledger.gaps.longest_of(partition),
                })
                .collect(),
            gaps: ledger.gaps.listed().to_vec(),
            fatal: course.fatal,
        }
    }

    /// Whether everything that was planned was sent and acknowledged.
    pub(crate) fn passed(&self) -> bool {
        self.fatal.is_none() && self.sent >= self.planned && self.acked == self.sent
    }
}
