//! A topic is read from its start to where it ended when reading began, and handed to the checker.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{self, Error, Loud};
use crate::options::Verify;
use crate::state;
use crate::verdict::{Checker, Range, Verdict};
use crate::watch::{Stop, Ticker, milliseconds, say};

/// Reads everything once with a fresh consumer and judges.
pub(crate) fn verify(options: &Verify, stop: &mut Stop) -> Result<Verdict, Error> {
    let deadline = Instant::now() + options.timeout;
    let mut runs = state::read(&options.state)?;
    runs.retain(|run| run.topic == options.cluster.topic);
    let mut checker = Checker::new(runs);
    let partitions = client::partitions(&options.cluster, stop)?;
    let consumer = make(options)?;
    let ranges = (0..partitions)
        .map(|partition| range(&consumer, options, partition, deadline))
        .collect::<Result<Vec<_>, _>>()?;

    let mut open = assign(&consumer, options, &ranges)?;
    let total: i64 = ranges.iter().map(|range| range.end - range.start).sum();
    let mut read: u64 = 0;
    let mut ticker = Ticker::new(options.cluster.status);
    while !open.is_empty() && Instant::now() < deadline && stop.asked() == 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                // Records that came after the beginning were not asked for.
                if let Some(place) = open.iter().position(|it| it.partition == partition) {
                    if offset < open[place].end {
                        checker.read(partition, offset, message.payload().unwrap_or_default());
                        read += 1;
                    }
                    if offset + 1 >= open[place].end {
                        open.swap_remove(place);
                    }
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.retain(|range| range.partition != partition);
            }
            // The client has said what it is, and tries again.
            Some(Err(_)) | None => {}
        }
        if let Some(rate) = ticker.rate_if_due(read) {
            say(&format!("{rate} read a second, {read} of {total}"));
        }
    }
    let verdict = checker.verdict(&ranges, open.is_empty(), milliseconds(options.gap));
    say(&format!(
        "acknowledged {}, read {}, lost {}, duplicated {}, out of order {}",
        verdict.acked, verdict.read, verdict.lost, verdict.duplicated, verdict.out_of_order
    ));
    for fault in &verdict.faults {
        say(fault);
    }
    Ok(verdict)
}

fn make(options: &Verify) -> Result<BaseConsumer<Loud>, Error> {
    let mut config = client::common(&options.cluster);
    config
        // Assigned by hand: no group is joined and nothing is committed.
        .set("group.id", "krun-canary-verify")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true");
    client::with_settings(config, &options.cluster)
        .create_with_context(Loud)
        .map_err(Error::doing("making a consumer"))
}

/// Where a partition begins and ends now. A leader may just be changing: asked until `deadline`.
fn range(
    consumer: &BaseConsumer<Loud>,
    options: &Verify,
    partition: i32,
    deadline: Instant,
) -> Result<Range, Error> {
    loop {
        let topic = &options.cluster.topic;
        match consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)) {
            Ok((start, end)) => {
                return Ok(Range {
                    partition,
                    start,
                    end,
                });
            }
            Err(error) if Instant::now() >= deadline => {
                return Err(Error::doing("asking where the partitions end")(error));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Begins to read every partition that holds anything; says which.
fn assign(
    consumer: &BaseConsumer<Loud>,
    options: &Verify,
    ranges: &[Range],
) -> Result<Vec<Range>, Error> {
    let open: Vec<Range> = ranges
        .iter()
        .filter(|range| range.start < range.end)
        .copied()
        .collect();
    let mut list = TopicPartitionList::new();
    for range in &open {
        list.add_partition_offset(
            &options.cluster.topic,
            range.partition,
            Offset::Offset(range.start),
        )
        .map_err(Error::doing("choosing the log start"))?;
    }
    consumer
        .assign(&list)
        .map_err(Error::doing("assigning the partitions"))?;
    Ok(open)
}
