//! Turns the name of a consumer group into its coordinator and its committed offsets.

use super::cluster::{Cluster, text, topic_name};
use super::error::{Error, Result};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest,
};
use std::collections::BTreeMap;

/// Returns the broker that keeps the group's offsets.
///
/// The first question of its kind makes the cluster create its topic of offsets; until that is there, and while a
/// broker still loads it after a move, the answer is an error that asking again mends.
fn coordinator(cluster: &mut Cluster, group: &str) -> Result<i32> {
    let request = FindCoordinatorRequest::default()
        .with_key(text(group))
        .with_key_type(0);
    let any = cluster.metadata()?.any_broker()?;
    cluster.with_broker(any, |client| {
        let answer = client.ask(&request)?;
        if answer.error_code != 0 {
            return Err(client.refusal::<FindCoordinatorRequest>(
                answer.error_code,
                &named(group),
                answer.error_message.as_deref(),
            ));
        }
        Ok(answer.node_id.0)
    })
}

/// Returns a group's committed offsets by topic and partition; empty for a group that committed none.
pub fn committed(cluster: &mut Cluster, group: &str) -> Result<BTreeMap<(String, i32), i64>> {
    let coordinator = coordinator(cluster, group)?;
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(None);
    cluster.with_broker(coordinator, |client| {
        let answer = client.ask(&request)?;
        let refused =
            |code, resource: &str| Err(client.refusal::<OffsetFetchRequest>(code, resource, None));
        if answer.error_code != 0 {
            return refused(answer.error_code, &named(group));
        }
        let mut found = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let name = topic.name.0.to_string();
                if partition.error_code != 0 {
                    return refused(partition.error_code, &format!("topic `{name}`"));
                }
                if partition.committed_offset >= 0 {
                    let key = (name, partition.partition_index);
                    found.insert(key, partition.committed_offset);
                }
            }
        }
        Ok(found)
    })
}

/// Commits one offset for a group that has no members, as a consumer does that assigns partitions itself.
///
/// # Errors
/// The group has members: `UnknownMemberId` or the like.
pub fn commit(
    cluster: &mut Cluster,
    group: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<()> {
    let coordinator = coordinator(cluster, group)?;
    let wanted = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("")));
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![wanted]),
        ]);
    cluster.with_broker(coordinator, |client| {
        let answer = client.ask(&request)?;
        let code = answer
            .topics
            .first()
            .and_then(|topic| topic.partitions.first())
            .map(|partition| partition.error_code);
        match code {
            Some(0) => Ok(()),
            Some(code) => Err(client.refusal::<OffsetCommitRequest>(code, &named(group), None)),
            None => Err(Error::Malformed {
                address: client.address().to_string(),
                request: "OffsetCommit",
                message: "it is empty".into(),
            }),
        }
    })
}

fn named(group: &str) -> String {
    format!("group `{group}`")
}
