//! `kafka_produce`, `kafka_read` and `kafka_group_offsets`: turn a cluster's word that it is well into a record sent, records read, offsets found.

use super::args::{Arg, ArgKind};
use super::kafka_access::{BOOTSTRAP, CLIENT_PROPERTIES, SERVER_PROPERTIES, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka;
use crate::kafka::access::{Access, ClientProperties};
use crate::kafka::cluster::Cluster;
use crate::kafka::records::{self, End, Message};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaProduce {
    topic: String,
    value: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    partition: i32,
    #[serde(default)]
    acks: Option<String>,
    #[serde(default)]
    server_properties: Option<PathBuf>,
    #[serde(default)]
    bootstrap: Vec<String>,
    #[serde(default)]
    client_properties: Option<ClientProperties>,
}

impl Module for KafkaProduce {
    const NAME: &'static str = "kafka_produce";
    const NATURE: Nature = Nature::Action;
    const ARGS: &'static [Arg] = &[
        Arg::new("topic", ArgKind::Str, "the topic").required(),
        Arg::new("value", ArgKind::Str, "the record's value").required(),
        Arg::new("key", ArgKind::Str, "the record's key (default none)"),
        Arg::new("partition", ArgKind::Int, "the partition (default 0)"),
        Arg::new("acks", ArgKind::Str, "all (default) or 1").choices(&["all", "1"]),
        SERVER_PROPERTIES,
        BOOTSTRAP,
        CLIENT_PROPERTIES,
    ];
    const DOC: &'static str = "Sends one record and registers its `offset`.\n\n    - kafka_produce:\n        topic: orders\n        value: sent after the upgrade\n      register: sent\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let acks = if self.acks.as_deref() == Some("1") {
            1
        } else {
            -1
        };
        let record = [(self.key.as_deref(), self.value.as_str())];
        let offset = cluster(sys, &self.access())
            .and_then(|mut c| records::produce(&mut c, &self.topic, self.partition, &record, acks))
            .map_err(|error| failed(&error))?;
        Ok(Outcome::new()
            .changed()
            .with("offset", offset)
            .with("partition", self.partition))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaRead {
    topic: String,
    #[serde(default)]
    partition: i32,
    #[serde(default)]
    offset: Option<i64>,
    #[serde(default)]
    server_properties: Option<PathBuf>,
    #[serde(default)]
    bootstrap: Vec<String>,
    #[serde(default)]
    client_properties: Option<ClientProperties>,
}

impl Module for KafkaRead {
    const NAME: &'static str = "kafka_read";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new("topic", ArgKind::Str, "the topic").required(),
        Arg::new("partition", ArgKind::Int, "the partition (default 0)"),
        Arg::new(
            "offset",
            ArgKind::Int,
            "where to begin (default: the oldest record)",
        ),
        SERVER_PROPERTIES,
        BOOTSTRAP,
        CLIENT_PROPERTIES,
    ];
    const DOC: &'static str = "Reads records of one partition, up to 1 MiB, as no member of any group. Registers `records` (offset, key, value), `start` and `end`, the offsets of the oldest and the next record.\n\n    - kafka_read:\n        topic: orders\n        offset: \"{{ sent.offset }}\"\n      register: seen\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        self.read(sys)
            .map(Found::same)
            .map_err(|error| failed(&error))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl KafkaRead {
    fn read(&self, sys: &Sys) -> kafka::Result<Outcome> {
        let mut cluster = cluster(sys, &self.access())?;
        let (topic, partition) = (self.topic.as_str(), self.partition);
        let start = records::offset(&mut cluster, topic, partition, End::Start)?;
        let end = records::offset(&mut cluster, topic, partition, End::Next)?;
        let from = self.offset.unwrap_or(start);
        let found = if from < end {
            records::read(&mut cluster, topic, partition, from)?
        } else {
            vec![]
        };
        let found: Vec<Value> = found.iter().map(record).collect();
        Ok(Outcome::new()
            .with("records", found)
            .with("start", start)
            .with("end", end))
    }
}

fn record(message: &Message) -> Value {
    let text = |bytes: &Option<bytes::Bytes>| match bytes {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        None => Value::Null,
    };
    let mut record = Mapping::new();
    record.insert("offset".into(), message.offset.into());
    record.insert("key".into(), text(&message.key));
    record.insert("value".into(), text(&message.value));
    record.into()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaGroupOffsets {
    group: String,
    #[serde(default)]
    server_properties: Option<PathBuf>,
    #[serde(default)]
    bootstrap: Vec<String>,
    #[serde(default)]
    client_properties: Option<ClientProperties>,
}

impl Module for KafkaGroupOffsets {
    const NAME: &'static str = "kafka_group_offsets";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new("group", ArgKind::Str, "the consumer group").required(),
        SERVER_PROPERTIES,
        BOOTSTRAP,
        CLIENT_PROPERTIES,
    ];
    const DOC: &'static str = "Registers what a consumer group has committed: `offsets`, a list of topic, partition and offset.\n\n    - kafka_group_offsets:\n        group: billing\n      register: before\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let committed = cluster(sys, &self.access())
            .and_then(|mut cluster| records::committed(&mut cluster, &self.group))
            .map_err(|error| failed(&error))?;
        let offsets: Vec<Value> = committed
            .iter()
            .map(|((topic, partition), offset)| {
                let mut row = Mapping::new();
                row.insert("topic".into(), topic.as_str().into());
                row.insert("partition".into(), (*partition).into());
                row.insert("offset".into(), (*offset).into());
                row.into()
            })
            .collect();
        Ok(Found::same(Outcome::new().with("offsets", offsets)))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

macro_rules! access {
    ($($module:ty),*) => {$(impl $module {
        fn access(&self) -> Access<'_> {
            Access {
                server_properties: self.server_properties.as_deref(),
                bootstrap: &self.bootstrap,
                client_properties: self.client_properties.as_ref(),
            }
        }
    })*};
}

access!(KafkaProduce, KafkaRead, KafkaGroupOffsets);

fn cluster(sys: &Sys, access: &Access) -> kafka::Result<Cluster> {
    let local = access.local(sys)?;
    access.cluster(sys, &local, &[])
}
