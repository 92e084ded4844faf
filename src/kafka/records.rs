//! Turns a few records into offsets and offsets into records: what a check after an upgrade sends and reads.

use super::client::Client;
use super::cluster::{Cluster, topic_name, view_of};
use super::error::{Error, Result};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest, ProduceRequest};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// Which end of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The oldest record that is still there.
    Start,
    /// The next record to be written.
    Next,
}

/// Sends records to one partition, to be acknowledged by all its replicas in sync, and returns the first one's offset.
pub fn produce(
    cluster: &mut Cluster,
    topic: &str,
    partition: i32,
    records: &[(Option<&str>, &str)],
) -> Result<i64> {
    let batch = encode(records)?;
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic_name(topic))
                .with_partition_data(vec![data]),
        ]);
    at_leader(cluster, topic, partition, |client| {
        let answer = client.ask_within(&request, Duration::from_secs(35))?;
        let found = answer
            .responses
            .first()
            .and_then(|topic| topic.partition_responses.first())
            .ok_or_else(|| empty(client, "Produce"))?;
        if found.error_code != 0 {
            let message = found.error_message.as_deref();
            return Err(client.refusal::<ProduceRequest>(
                found.error_code,
                &format!("topic `{topic}`"),
                message,
            ));
        }
        Ok(found.base_offset)
    })
}

fn encode(records: &[(Option<&str>, &str)]) -> Result<Bytes> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let timestamp = i64::try_from(now.as_millis()).unwrap_or_default();
    let records: Vec<Record> = (0..)
        .zip(records)
        .map(|(number, (key, value))| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(number),
            // The codec makes one batch of records whose offset and sequence grow together.
            sequence: number - 1,
            timestamp,
            key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: indexmap::IndexMap::default(),
        })
        .collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|error| Error::Settings(format!("cannot write the records: {error}")))?;
    Ok(batch.freeze())
}

/// Reads committed records of one partition from offset `from` on: what one fetch brings, up to 1 MiB or one batch.
pub fn read(cluster: &mut Cluster, topic: &str, partition: i32, from: i64) -> Result<Vec<Message>> {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(from)
        .with_partition_max_bytes(1 << 20);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic_name(topic))
                .with_partitions(vec![wanted]),
        ]);
    at_leader(cluster, topic, partition, |client| {
        let answer = client.ask(&request)?;
        let code = Some(answer.error_code).filter(|code| *code != 0);
        let found = answer.responses.first().and_then(|t| t.partitions.first());
        let code = code.or(found
            .map(|found| found.error_code)
            .filter(|code| *code != 0));
        if let Some(code) = code {
            return Err(client.refusal::<FetchRequest>(code, &format!("topic `{topic}`"), None));
        }
        let Some(mut bytes) = found.and_then(|found| found.records.clone()) else {
            return Ok(vec![]);
        };
        bytes.truncate(whole_batches(&bytes));
        let sets =
            RecordBatchDecoder::decode_all(&mut bytes).map_err(|error| Error::Malformed {
                address: client.address().to_string(),
                request: "Fetch",
                message: error.to_string(),
            })?;
        Ok(sets
            .into_iter()
            .flat_map(|set| set.records)
            .filter(|record| record.offset >= from && !record.control)
            .map(|record| Message {
                offset: record.offset,
                key: record.key,
                value: record.value,
            })
            .collect())
    })
}

/// A broker cuts the last batch where the limit falls.
fn whole_batches(bytes: &[u8]) -> usize {
    let mut at: usize = 0;
    // Base offset, then the length of what follows.
    while let Some(length) = bytes.get(at + 8..at + 12) {
        let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        match at.checked_add(12 + length) {
            Some(end) if end <= bytes.len() => at = end,
            _ => break,
        }
    }
    at
}

/// Returns an end of one partition's log.
pub fn offset(cluster: &mut Cluster, topic: &str, partition: i32, end: End) -> Result<i64> {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(match end {
            End::Start => -2,
            End::Next => -1,
        });
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![
            ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![wanted]),
        ]);
    at_leader(cluster, topic, partition, |client| {
        let answer = client.ask(&request)?;
        let found = answer
            .topics
            .first()
            .and_then(|topic| topic.partitions.first())
            .ok_or_else(|| empty(client, "ListOffsets"))?;
        if found.error_code != 0 {
            return Err(client.refusal::<ListOffsetsRequest>(
                found.error_code,
                &format!("topic `{topic}`"),
                None,
            ));
        }
        Ok(found.offset)
    })
}

fn at_leader<T>(
    cluster: &mut Cluster,
    topic: &str,
    partition: i32,
    ask: impl FnMut(&mut Client) -> Result<T>,
) -> Result<T> {
    let metadata = cluster.metadata()?;
    let leader = match metadata.topics.get(topic) {
        Some(partitions) => partitions.get(&partition).map(|p| p.leader),
        // The metadata of all topics leaves out what may not be described; asked by name, the broker says so.
        None => cluster
            .with_broker(metadata.any_broker()?, |client| view_of(client, &[topic]))?
            .topics
            .get(topic)
            .and_then(|partitions| partitions.get(&partition).map(|p| p.leader)),
    };
    match leader {
        Some(Some(leader)) => cluster.with_broker(leader, ask),
        Some(None) => Err(Error::Host(format!("{topic}-{partition} has no leader"))),
        None => Err(Error::Host(format!(
            "there is no partition {topic}-{partition}"
        ))),
    }
}

fn empty(client: &Client, request: &'static str) -> Error {
    Error::Malformed {
        address: client.address().to_string(),
        request,
        message: "it is empty".into(),
    }
}
