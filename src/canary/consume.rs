//! A consumer group reads along and commits; what it saw, saw again and committed becomes a summary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::client::{self, Error};
use crate::gaps::{Gap, Gaps};
use crate::options::Consume;
use crate::record::Record;
use crate::watch::{Stop, Ticker, milliseconds, now, say};

/// What the callbacks count.
#[derive(Default)]
struct Counts {
    assignments: AtomicU64,
    revocations: AtomicU64,
    commits: AtomicU64,
    failed_commits: AtomicU64,
}

impl ClientContext for Counts {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::complain(&error, reason);
    }
}

impl ConsumerContext for Counts {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let counter = match rebalance {
            Rebalance::Assign(_) => &self.assignments,
            Rebalance::Revoke(_) | Rebalance::Error(_) => &self.revocations,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) => self.commits.fetch_add(1, Ordering::Relaxed),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => 0,
            Err(error) => {
                say(&format!("commit: {error}"));
                self.failed_commits.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// What the group saw. Times in milliseconds since the epoch.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    /// Records, those that were read again counted once.
    pub(crate) read: u64,
    /// Records that were read again, as happens after a rebalance.
    pub(crate) reread: u64,
    /// Records that no canary sent.
    pub(crate) unknown: u64,
    pub(crate) assignments: u64,
    pub(crate) revocations: u64,
    pub(crate) commits: u64,
    pub(crate) failed_commits: u64,
    pub(crate) longest_gap: Option<Gap>,
    pub(crate) partitions: Vec<Share>,
    pub(crate) gaps: Vec<Gap>,
    /// Why the committed offsets are not what was read; empty if they are.
    pub(crate) faults: Vec<String>,
}

impl Summary {
    /// Whether the group's committed offsets are what it read last.
    pub(crate) fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What the group saw of one partition.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Share {
    pub(crate) partition: i32,
    pub(crate) read: u64,
    /// The offset after the last record that was read.
    pub(crate) position: i64,
    /// What the group coordinator holds in the end.
    pub(crate) committed: Option<i64>,
    pub(crate) longest_gap: Option<Gap>,
}

/// Reads until `stop` or the planned time, commits, and asks the brokers what is committed.
pub(crate) fn consume(options: &Consume, stop: &mut Stop) -> Result<Summary, Error> {
    client::partitions(&options.cluster, stop)?;
    let consumer = make(options)?;
    consumer
        .subscribe(&[&options.cluster.topic])
        .map_err(Error::doing("subscribing"))?;
    let mut seen = Seen {
        started: now(),
        // A partition counts from its first record: joining the group is no gap.
        gaps: Gaps::new(0, 0, milliseconds(options.gap)),
        partitions: BTreeMap::new(),
        read: 0,
        reread: 0,
        unknown: 0,
        last: now(),
    };
    seen.read_until(&consumer, options, stop);
    seen.gaps.finish(now());
    if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
        && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
    {
        say(&format!("the last commit: {error}"));
    }
    let faults = seen.compare(&consumer, options);
    let counts = consumer.context();
    Ok(Summary {
        group: options.group.clone(),
        topic: options.cluster.topic.clone(),
        started: seen.started,
        finished: now(),
        read: seen.read,
        reread: seen.reread,
        unknown: seen.unknown,
        assignments: counts.assignments.load(Ordering::Relaxed),
        revocations: counts.revocations.load(Ordering::Relaxed),
        commits: counts.commits.load(Ordering::Relaxed),
        failed_commits: counts.failed_commits.load(Ordering::Relaxed),
        longest_gap: seen.gaps.longest(),
        gaps: seen.gaps.listed().to_vec(),
        partitions: seen.partitions.into_values().collect(),
        faults,
    })
}

fn make(options: &Consume) -> Result<BaseConsumer<Counts>, Error> {
    let mut config = client::common(&options.cluster);
    config
        .set("group.id", &options.group)
        .set("auto.offset.reset", "earliest")
        // Left to the client: the results of commits that it was told to do do not come to the callback.
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("session.timeout.ms", "10000");
    client::with_settings(config, &options.cluster)
        .create_with_context(Counts::default())
        .map_err(Error::doing("making a consumer"))
}

struct Seen {
    started: u64,
    gaps: Gaps,
    partitions: BTreeMap<i32, Share>,
    read: u64,
    reread: u64,
    unknown: u64,
    last: u64,
}

impl Seen {
    fn read_until(&mut self, consumer: &BaseConsumer<Counts>, options: &Consume, stop: &mut Stop) {
        let end = options
            .seconds
            .map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds)));
        let mut ticker = Ticker::new(options.cluster.status);
        while stop.asked() == 0 && end.is_none_or(|end| Instant::now() < end) {
            // Of an error the client has told already, and it tries again.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                self.take(
                    message.partition(),
                    message.offset(),
                    message.payload().unwrap_or_default(),
                );
            }
            if let Some(rate) = ticker.rate_if_due(self.read) {
                say(&format!(
                    "{rate} read a second, {} in all, {} again, {} commits, last record {} s ago",
                    self.read,
                    self.reread,
                    consumer.context().commits.load(Ordering::Relaxed),
                    now().saturating_sub(self.last) / 1000,
                ));
            }
        }
    }

    fn take(&mut self, partition: i32, offset: i64, value: &[u8]) {
        self.last = now();
        self.gaps.success(partition, self.last);
        let seen = self.partitions.entry(partition).or_insert(Share {
            partition,
            ..Share::default()
        });
        if offset < seen.position {
            self.reread += 1;
            return;
        }
        seen.position = offset + 1;
        seen.read += 1;
        self.read += 1;
        if Record::parse(value).is_none() {
            self.unknown += 1;
        }
    }

    /// Asks for the committed offsets, and names those that are not what was read.
    fn compare(&mut self, consumer: &BaseConsumer<Counts>, options: &Consume) -> Vec<String> {
        let mut asked = TopicPartitionList::new();
        for partition in self.partitions.keys() {
            asked.add_partition(&options.cluster.topic, *partition);
        }
        let held = match consumer.committed_offsets(asked, Duration::from_secs(30)) {
            Ok(held) => held,
            Err(error) => return vec![format!("the committed offsets could not be read: {error}")],
        };
        let mut faults = Vec::new();
        for element in held.elements() {
            let Some(seen) = self.partitions.get_mut(&element.partition()) else {
                continue;
            };
            seen.longest_gap = self.gaps.longest_of(element.partition());
            seen.committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            if seen.committed != Some(seen.position) {
                faults.push(format!(
                    "partition {}: read to {}, committed {}",
                    seen.partition,
                    seen.position,
                    seen.committed
                        .map_or_else(|| "nothing".to_owned(), |offset| offset.to_string())
                ));
            }
        }
        faults
    }
}
