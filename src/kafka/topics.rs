//! Turns what is wished of a topic into the difference to what is there, and the difference into requests.

use super::client::Client;
use super::cluster::{Cluster, Metadata, text, topic_name};
use super::configs::{self, Settings};
use super::error::{Error, Result};
use super::requests::Ask;
use indexmap::IndexMap;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, alter_configs_request, incremental_alter_configs_request,
};
use std::fmt;
use std::time::Duration;

/// What is wished of a topic.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub name: String,
    /// `None`: as the cluster's default, and as it is.
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// `None` as a value takes the setting back to the default.
    pub config: IndexMap<String, Option<String>>,
    pub absent: bool,
}

/// What stands between the topic and the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create {
        partitions: i32,
        replication_factor: i16,
        config: IndexMap<String, String>,
    },
    Delete,
    Alter {
        /// The new number, where it grows.
        partitions: Option<(usize, i32)>,
        config: Vec<Difference>,
        /// What the topic has of its own now: a plain `AlterConfigs` must say it all again.
        own: IndexMap<String, String>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create {
                partitions,
                replication_factor,
                ..
            } => write!(
                f,
                "create with {partitions} partitions and {replication_factor} replicas"
            ),
            Self::Delete => f.write_str("delete"),
            Self::Alter {
                partitions, config, ..
            } => {
                let mut parts: Vec<String> = partitions
                    .iter()
                    .map(|(from, to)| format!("partitions {from} -> {to}"))
                    .collect();
                parts.extend(config.iter().map(|(key, from, to)| {
                    let shown = |v: &Option<String>| v.clone().unwrap_or_else(|| "default".into());
                    format!("{key} {} -> {}", shown(from), shown(to))
                }));
                f.write_str(&parts.join(", "))
            }
        }
    }
}

/// Compares a topic with the wish; `None` when it is as wished.
///
/// # Errors
/// A wish that cannot be: fewer partitions, another replication factor (that is a reassignment).
pub fn check(cluster: &mut Cluster, wish: &Wish) -> Result<Option<Change>> {
    let metadata = cluster.metadata()?;
    let Some(found) = metadata.topics.get(&wish.name) else {
        return Ok((!wish.absent).then(|| Change::Create {
            // -1 is the brokers' default, from 2.4 on.
            partitions: wish.partitions.unwrap_or(-1),
            replication_factor: wish.replication_factor.unwrap_or(-1),
            config: wish
                .config
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
                .collect(),
        }));
    };
    if wish.absent {
        return Ok(Some(Change::Delete));
    }
    let factor = found.values().map(|p| p.replicas.len()).max().unwrap_or(0);
    if let Some(wanted) = wish.replication_factor
        && usize::try_from(wanted) != Ok(factor)
    {
        return Err(Error::Settings(format!(
            "topic `{}` has {factor} replicas, not {wanted}: changing that is a reassignment",
            wish.name
        )));
    }
    let partitions = match wish.partitions {
        Some(wanted) if usize::try_from(wanted).is_ok_and(|wanted| wanted < found.len()) => {
            return Err(Error::Settings(format!(
                "topic `{}` has {} partitions, and they can only grow, not shrink to {wanted}",
                wish.name,
                found.len()
            )));
        }
        Some(wanted) => {
            (usize::try_from(wanted) != Ok(found.len())).then_some((found.len(), wanted))
        }
        None => None,
    };
    let settings = settings(cluster, &metadata, &wish.name)?;
    let own: IndexMap<String, String> = settings
        .iter()
        .filter(|(_, setting)| setting.own)
        .filter_map(|(key, setting)| Some((key.clone(), setting.value.clone()?)))
        .collect();
    let config: Vec<_> = wish
        .config
        .iter()
        .filter(|(key, wanted)| own.get(*key) != wanted.as_ref())
        .map(|(key, wanted)| (key.clone(), own.get(key).cloned(), wanted.clone()))
        .collect();
    let is_same = partitions.is_none() && config.is_empty();
    Ok((!is_same).then_some(Change::Alter {
        partitions,
        config,
        own,
    }))
}

fn settings(cluster: &mut Cluster, metadata: &Metadata, topic: &str) -> Result<Settings> {
    let any = metadata.any_broker()?;
    let mut found =
        cluster.with_broker(any, |client| configs::of_topics(client, &[topic], None))?;
    Ok(found.remove(topic).unwrap_or_default())
}

/// How long a controller may take over a change.
const LIMIT: Duration = Duration::from_secs(30);
const LIMIT_MS: i32 = 30_000;

/// Brings about what [`check`] found.
pub fn apply(cluster: &mut Cluster, name: &str, change: &Change) -> Result<()> {
    let metadata = cluster.metadata()?;
    let controller = metadata
        .controller
        .ok_or_else(|| Error::Host("the cluster has no active controller".into()))?;
    match change {
        Change::Create {
            partitions,
            replication_factor,
            config,
        } => {
            let (partitions, factor) =
                defaults(cluster, controller, *partitions, *replication_factor)?;
            cluster.with_broker(controller, |client| {
                create(client, name, partitions, factor, config)
            })
        }
        Change::Delete => cluster.with_broker(controller, |client| delete(client, name)),
        Change::Alter {
            partitions,
            config,
            own,
        } => {
            if let Some((_, count)) = partitions {
                cluster.with_broker(controller, |client| grow(client, name, *count))?;
            }
            if config.is_empty() {
                return Ok(());
            }
            cluster.with_broker(controller, |client| alter(client, name, config, own))
        }
    }
}

/// Before 2.4 a request must say the numbers that a later broker would take from its defaults.
fn defaults(
    cluster: &mut Cluster,
    broker: i32,
    partitions: i32,
    factor: i16,
) -> Result<(i32, i16)> {
    const KEYS: [&str; 2] = ["num.partitions", "default.replication.factor"];
    if partitions > 0 && factor > 0 {
        return Ok((partitions, factor));
    }
    let found = cluster.with_broker(broker, |client| configs::of_broker(client, broker, &KEYS))?;
    let number = |key: &str| {
        let value = found.get(key).and_then(|s| s.value.as_deref());
        value.and_then(|v| v.parse::<i16>().ok()).unwrap_or(1)
    };
    Ok((
        if partitions > 0 {
            partitions
        } else {
            number(KEYS[0]).into()
        },
        if factor > 0 { factor } else { number(KEYS[1]) },
    ))
}

fn create(
    client: &mut Client,
    name: &str,
    partitions: i32,
    factor: i16,
    config: &IndexMap<String, String>,
) -> Result<()> {
    let configs = config
        .iter()
        .map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        })
        .collect();
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
        .with_configs(configs);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(LIMIT_MS);
    let answer = client.ask_within(&request, LIMIT)?;
    let verdicts = answer.topics.iter();
    let verdicts = verdicts.map(|topic| (topic.error_code, topic.error_message.as_deref()));
    accepted::<CreateTopicsRequest>(client, name, verdicts)
}

fn delete(client: &mut Client, name: &str) -> Result<()> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name(name)])
        .with_timeout_ms(LIMIT_MS);
    let answer = client.ask_within(&request, LIMIT)?;
    let verdicts = answer.responses.iter();
    accepted::<DeleteTopicsRequest>(client, name, verdicts.map(|topic| (topic.error_code, None)))
}

fn grow(client: &mut Client, name: &str, count: i32) -> Result<()> {
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(LIMIT_MS);
    let answer = client.ask_within(&request, LIMIT)?;
    let verdicts = answer.results.iter();
    let verdicts = verdicts.map(|topic| (topic.error_code, topic.error_message.as_deref()));
    accepted::<CreatePartitionsRequest>(client, name, verdicts)
}

/// Key, value on the topic itself now, value wished.
pub type Difference = (String, Option<String>, Option<String>);

const TOPIC: i8 = 2;

fn alter(
    client: &mut Client,
    name: &str,
    config: &[Difference],
    own: &IndexMap<String, String>,
) -> Result<()> {
    if client.knows::<IncrementalAlterConfigsRequest>() {
        alter_some(client, name, config)
    } else {
        alter_all(client, name, config, own)
    }
}

fn alter_some(client: &mut Client, name: &str, config: &[Difference]) -> Result<()> {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let configs = config
        .iter()
        .map(|(key, _, value)| {
            AlterableConfig::default()
                .with_name(text(key))
                // 0 sets, 1 takes back to the default.
                .with_config_operation(i8::from(value.is_none()))
                .with_value(value.as_deref().map(text))
        })
        .collect();
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(name))
        .with_configs(configs);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.ask_within(&request, LIMIT)?;
    let verdicts = answer.responses.iter();
    let verdicts = verdicts.map(|topic| (topic.error_code, topic.error_message.as_deref()));
    accepted::<IncrementalAlterConfigsRequest>(client, name, verdicts)
}

/// Before 2.3 the whole set is replaced, so what is to stay is said again.
fn alter_all(
    client: &mut Client,
    name: &str,
    config: &[Difference],
    own: &IndexMap<String, String>,
) -> Result<()> {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let mut all = own.clone();
    for (key, _, value) in config {
        match value {
            Some(value) => all.insert(key.clone(), value.clone()),
            None => all.shift_remove(key),
        };
    }
    let configs = all
        .iter()
        .map(|(key, value)| {
            AlterableConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        })
        .collect();
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(name))
        .with_configs(configs);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.ask_within(&request, LIMIT)?;
    let verdicts = answer.responses.iter();
    let verdicts = verdicts.map(|topic| (topic.error_code, topic.error_message.as_deref()));
    accepted::<AlterConfigsRequest>(client, name, verdicts)
}

/// Of each answer its code, 0 for yes, and its message.
fn accepted<'a, R: Ask>(
    client: &Client,
    topic: &str,
    verdicts: impl Iterator<Item = (i16, Option<&'a str>)>,
) -> Result<()> {
    let mut refused = verdicts.filter(|(code, _)| *code != 0);
    match refused.next() {
        None => Ok(()),
        Some((code, message)) => {
            Err(client.refusal::<R>(code, &format!("topic `{topic}`"), message))
        }
    }
}
