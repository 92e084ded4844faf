//! Turns a cluster into what is being moved in it: active reassignments, and leaders that are not the preferred ones.

use super::cluster::{Cluster, Metadata, topic_name};
use super::error::{Error, Result};
use super::zookeeper::{Ensemble, Session};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{ElectLeadersRequest, ListPartitionReassignmentsRequest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Returns all partitions with an active reassignment.
///
/// From 2.4 on the controller is asked. Before, only the znode `/admin/reassign_partitions` below the
/// chroot tells; in the middle of a roll it is the controller's version that decides.
///
/// # Errors
/// No controller, or one that has just lost its office: ask again. An old controller without a known ensemble.
pub fn active(
    cluster: &mut Cluster,
    metadata: &Metadata,
    ensemble: Option<&Ensemble>,
) -> Result<Vec<(String, i32)>> {
    let controller = controller(metadata)?;
    let by_api = cluster.with_broker(controller, |client| {
        Ok(client.knows::<ListPartitionReassignmentsRequest>())
    })?;
    if !by_api {
        return from_znode(cluster, ensemble);
    }
    let request = ListPartitionReassignmentsRequest::default()
        .with_topics(None)
        .with_timeout_ms(5000);
    cluster.with_broker(controller, |client| {
        let answer = client.ask(&request)?;
        if answer.error_code != 0 {
            return Err(client.refusal::<ListPartitionReassignmentsRequest>(
                answer.error_code,
                "the cluster",
                answer.error_message.as_deref(),
            ));
        }
        Ok(answer
            .topics
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|p| (topic.name.0.to_string(), p.partition_index))
            })
            .collect())
    })
}

/// The JSON of `/admin/reassign_partitions` and `/admin/preferred_replica_election`.
#[derive(Serialize, Deserialize)]
struct Node {
    version: i32,
    partitions: Vec<NodePartition>,
}

#[derive(Serialize, Deserialize)]
struct NodePartition {
    topic: String,
    partition: i32,
}

fn from_znode(cluster: &Cluster, ensemble: Option<&Ensemble>) -> Result<Vec<(String, i32)>> {
    let mut session = session(cluster, ensemble)?;
    match session.data("/admin/reassign_partitions")? {
        Some(data) => parse_node(&data),
        None => Ok(vec![]),
    }
}

fn parse_node(data: &[u8]) -> Result<Vec<(String, i32)>> {
    let node: Node = serde_json::from_slice(data).map_err(|error| {
        Error::Host(format!(
            "cannot read the znode `/admin/reassign_partitions`: {error}"
        ))
    })?;
    Ok(node
        .partitions
        .into_iter()
        .map(|p| (p.topic, p.partition))
        .collect())
}

fn session(cluster: &Cluster, ensemble: Option<&Ensemble>) -> Result<Session> {
    let ensemble = ensemble.ok_or_else(|| {
        Error::Settings(
            "the controller is older than 2.4 and `zookeeper.connect` is not known here".into(),
        )
    })?;
    Session::open(&cluster.network, ensemble)
}

fn controller(metadata: &Metadata) -> Result<i32> {
    metadata
        .controller
        .filter(|id| metadata.brokers.contains_key(id))
        .ok_or_else(|| Error::Host("the cluster has no active controller".into()))
}

/// Returns the partitions whose leader is not their first replica although that one is in sync.
pub fn not_preferred(metadata: &Metadata) -> Vec<(String, i32)> {
    metadata
        .partitions()
        .filter(|(_, _, partition)| {
            partition.replicas.first().is_some_and(|first| {
                partition.leader != Some(*first) && partition.isr.contains(first)
            })
        })
        .map(|(topic, number, _)| (topic.to_owned(), number))
        .collect()
}

/// Asks the controller to give `partitions` back to their preferred leaders; what comes of it shows in the metadata.
///
/// Before 2.2 through the znode `/admin/preferred_replica_election`. Returns `false` where another
/// election is still under way: ask again.
pub fn elect_preferred(
    cluster: &mut Cluster,
    metadata: &Metadata,
    ensemble: Option<&Ensemble>,
    partitions: &[(String, i32)],
) -> Result<bool> {
    let controller = controller(metadata)?;
    let by_api = cluster.with_broker(controller, |client| {
        Ok(client.knows::<ElectLeadersRequest>())
    })?;
    if !by_api {
        let node = Node {
            version: 1,
            partitions: partitions
                .iter()
                .map(|(topic, partition)| NodePartition {
                    topic: topic.clone(),
                    partition: *partition,
                })
                .collect(),
        };
        let data = serde_json::to_vec(&node).map_err(|error| Error::Host(error.to_string()))?;
        return session(cluster, ensemble)?.create("/admin/preferred_replica_election", &data);
    }
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let topics = by_topic
        .into_iter()
        .map(|(topic, partitions)| {
            TopicPartitions::default()
                .with_topic(topic_name(topic))
                .with_partitions(partitions)
        })
        .collect();
    let request = ElectLeadersRequest::default()
        .with_election_type(0)
        .with_topic_partitions(Some(topics))
        .with_timeout_ms(30_000);
    cluster.with_broker(controller, |client| {
        let answer = client.ask_within(&request, Duration::from_secs(35))?;
        if answer.error_code != 0 {
            return Err(client.refusal::<ElectLeadersRequest>(
                answer.error_code,
                "the cluster",
                None,
            ));
        }
        for topic in &answer.replica_election_results {
            for result in &topic.partition_result {
                // 84: not needed, 80: the preferred leader is not available just now.
                if !matches!(result.error_code, 0 | 80 | 84) {
                    let resource = format!("{}-{}", topic.topic.0.as_str(), result.partition_id);
                    let message = result.error_message.as_deref();
                    return Err(client.refusal::<ElectLeadersRequest>(
                        result.error_code,
                        &resource,
                        message,
                    ));
                }
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_znode_of_the_tools_is_read() {
        let data = br#"{"version":1,"partitions":[{"topic":"a","partition":3,"replicas":[1,2],"log_dirs":["any","any"]}]}"#;
        assert_eq!(parse_node(data).unwrap(), [("a".to_owned(), 3)]);
        assert!(parse_node(b"{").is_err());
    }
}
