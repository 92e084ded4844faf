//! Turns `DescribeConfigs` answers into the values that a running broker really uses.

use super::client::Client;
use super::cluster::{Cluster, Metadata, text};
use super::error::{Error, Result};
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use std::collections::BTreeMap;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `None` for a secret, or where nothing is set.
    pub value: Option<String>,
    /// Whether it is set on this very resource (for a broker: in its file), and not by a default above it.
    pub own: bool,
    /// Whether nobody set it, so that Kafka's own default holds.
    pub is_default: bool,
    pub read_only: bool,
}

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// Returns settings of broker `id` as its process has them; only that broker answers.
///
/// # Errors
/// Another broker answering at that address is an error, so an answer proves who it is.
pub fn of_broker(client: &mut Client, id: i32, keys: &[&str]) -> Result<Settings> {
    broker(client, id, Some(keys))
}

/// As [`of_broker`], for all its settings.
pub fn of_broker_all(client: &mut Client, id: i32) -> Result<Settings> {
    broker(client, id, None)
}

fn broker(client: &mut Client, id: i32, keys: Option<&[&str]>) -> Result<Settings> {
    let mut answer = describe(client, BROKER, &[&id.to_string()], keys)?;
    answer
        .remove(&id.to_string())
        .ok_or_else(|| unanswered(client, &format!("broker {id}")))
}

/// Returns settings of topics as the answering broker fills them up with its own defaults.
pub fn of_topics(
    client: &mut Client,
    topics: &[&str],
    keys: Option<&[&str]>,
) -> Result<BTreeMap<String, Settings>> {
    describe(client, TOPIC, topics, keys)
}

fn describe(
    client: &mut Client,
    kind: i8,
    names: &[&str],
    keys: Option<&[&str]>,
) -> Result<BTreeMap<String, Settings>> {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect::<Vec<_>>());
    let resources = names
        .iter()
        .map(|name| {
            DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(keys.clone())
        })
        .collect();
    let request = DescribeConfigsRequest::default().with_resources(resources);
    let answer = client.ask(&request)?;
    let mut found = BTreeMap::new();
    for result in answer.results {
        if result.error_code != 0 {
            let resource = if kind == TOPIC {
                format!("topic `{}`", &*result.resource_name)
            } else {
                format!("broker {}", &*result.resource_name)
            };
            let message = result.error_message.as_deref();
            return Err(client.refusal::<DescribeConfigsRequest>(
                result.error_code,
                &resource,
                message,
            ));
        }
        let settings = result
            .configs
            .into_iter()
            .map(|config| {
                let setting = Setting {
                    value: config.value.map(|v| v.to_string()),
                    // 1: set on the topic; 2, 3, 4: dynamic or static of the broker; 5: Kafka's default.
                    own: config.config_source == if kind == TOPIC { 1 } else { 4 },
                    is_default: config.config_source == 5,
                    read_only: config.read_only,
                };
                (config.name.to_string(), setting)
            })
            .collect();
        found.insert(result.resource_name.to_string(), settings);
    }
    Ok(found)
}

fn unanswered(client: &Client, resource: &str) -> Error {
    Error::Malformed {
        address: client.address().to_string(),
        request: "DescribeConfigs",
        message: format!("it says nothing about {resource}"),
    }
}

/// Returns the effective `min.insync.replicas` of every topic in `metadata`.
///
/// A broker fills up what is not set with *its own* default, so the leaders of a topic's partitions are
/// asked, each for all its topics at once, and the highest answer counts.
///
/// # Errors
/// A leader that does not answer: without its answer nothing can be said about its topics.
pub fn min_isr(cluster: &mut Cluster, metadata: &Metadata) -> Result<BTreeMap<String, i32>> {
    const KEY: &str = "min.insync.replicas";
    let mut asked: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for (topic, _, partition) in metadata.partitions() {
        let Some(leader) = partition.leader else {
            continue;
        };
        let topics = asked.entry(leader).or_default();
        if topics.last() != Some(&topic) {
            topics.push(topic);
        }
    }
    let leaders: Vec<i32> = asked.keys().copied().collect();
    let answers = cluster.with_each(&leaders, |id, client| {
        let mut found = BTreeMap::new();
        for batch in asked[&id].chunks(500) {
            found.extend(of_topics(client, batch, Some(&[KEY]))?);
        }
        Ok(found)
    });
    let mut highest = BTreeMap::new();
    for (_, answer) in answers {
        for (topic, settings) in answer? {
            let value = settings
                .get(KEY)
                .and_then(|setting| setting.value.as_deref())
                .and_then(|value| value.parse().ok())
                .unwrap_or(1);
            let known = highest.entry(topic).or_insert(value);
            *known = value.max(*known);
        }
    }
    Ok(highest)
}
