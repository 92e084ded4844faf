//! Turns what brokers hold on their disks into the topics that the metadata hides for want of a right.
//!
//! A broker leaves topics that the client may not describe out of its metadata without a word, and a gate
//! that does not see them would open wrongly.

use super::cluster::{Cluster, Metadata, view_of};
use super::error::{Error, Result};
use kafka_protocol::messages::DescribeLogDirsRequest;
use std::collections::BTreeSet;

/// Checks that `metadata` names every topic that a live broker has on its disks.
///
/// # Errors
/// [`Error::MissingAcl`] with the operation and the topic, or with the cluster where the question itself
/// is not allowed. A broker that does not answer.
pub fn check(cluster: &mut Cluster, metadata: &Metadata) -> Result<()> {
    let ids: Vec<i32> = metadata.brokers.keys().copied().collect();
    let answers = cluster.with_each(&ids, |_, client| {
        let answer = client.ask(&DescribeLogDirsRequest::default().with_topics(None))?;
        let code = Some(answer.error_code).filter(|code| *code != 0);
        // Before its third version, the answer has no room for the refusal and is simply empty.
        let denied = code.or(answer.results.is_empty().then_some(31));
        if let Some(code) = denied {
            return Err(client.refusal::<DescribeLogDirsRequest>(code, "the cluster", None));
        }
        let topics: BTreeSet<String> = answer
            .results
            .iter()
            .flat_map(|directory| directory.topics.iter().map(|t| t.name.0.to_string()))
            .collect();
        Ok(topics)
    });
    let mut unseen: BTreeSet<String> = BTreeSet::new();
    for (_, answer) in answers {
        match answer {
            Ok(topics) => unseen.extend(topics),
            // The gate itself waits for brokers that do not answer.
            Err(error @ (Error::MissingAcl { .. } | Error::Cancelled)) => return Err(error),
            Err(_) => {}
        }
    }
    unseen.retain(|topic| !metadata.topics.contains_key(topic));
    let Some(&any) = ids.first() else {
        return Ok(());
    };
    for topic in unseen {
        // What is left of a deleted topic is unknown to the metadata, and no reason to stop.
        let answer = cluster.with_broker(any, |client| view_of(client, &[&topic]));
        if let Err(error @ (Error::MissingAcl { .. } | Error::Cancelled)) = answer {
            return Err(error);
        }
    }
    Ok(())
}
