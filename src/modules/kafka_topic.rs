//! `kafka_topic`: turns a topic into one with these partitions and settings.

use super::args::{Arg, ArgKind, joined};
use super::diff::{Attribute, Diff};
use super::kafka_access::{ACCESS, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka;
use crate::kafka::access::Access;
use crate::kafka::cluster::Cluster;
use crate::kafka::topics::{self, Change, Wish};
use crate::sys::Sys;
use crate::value::{Mapping, Value, display};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KafkaTopic {
    name: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    partitions: Option<i32>,
    #[serde(default)]
    replication_factor: Option<i16>,
    #[serde(default)]
    config: Mapping,
    #[serde(flatten)]
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Present,
    Absent,
}

impl Module for KafkaTopic {
    const NAME: &'static str = "kafka_topic";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = joined!([
        Arg::new("name", ArgKind::Str, "the topic").required().aliases(&["topic"]),
        Arg::new("state", ArgKind::Str, "present (default) or absent").choices(&["present", "absent"]),
        Arg::new(
            "partitions",
            ArgKind::Int,
            "how many; they can only grow (default: the cluster's)",
        ),
        Arg::new(
            "replication_factor",
            ArgKind::Int,
            "how many replicas a new topic gets (default: the cluster's); of a topic that is there it is only checked",
        )
        .aliases(&["replicas"]),
        Arg::new(
            "config",
            ArgKind::Dict,
            "settings of the topic; null takes one back to the default, others stay as they are",
        )
        .aliases(&["options"]),
    ], ACCESS);
    const DOC: &'static str = "Sees to a topic: its partitions and its settings. Works with Kafka 2.1 and later, without ZooKeeper.\n\n    - kafka_topic:\n        name: orders\n        partitions: 6\n        replication_factor: 3\n        config:\n          min.insync.replicas: 2\n      run_once: true\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let mut cluster = self
            .access
            .own_cluster(sys)
            .map_err(|error| failed(&error))?;
        let change = topics::check(&mut cluster, &self.wish()).map_err(|error| failed(&error))?;
        let outcome = Outcome::new().with("name", self.name.as_str());
        Ok(match change {
            None => Found::same(outcome),
            Some(change) => {
                let diff = self.diff(&change);
                Found::change(change, outcome.diff(diff))
            }
        })
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let mut cluster = self
            .access
            .own_cluster(sys)
            .map_err(|error| failed(&error))?;
        topics::apply(&mut cluster, &self.name, &change).map_err(|error| failed(&error))?;
        self.wait_until_seen(sys, &mut cluster)
            .map_err(|error| failed(&error))?;
        Ok(Outcome::new()
            .changed()
            .with("name", self.name.as_str())
            .diff(self.diff(&change)))
    }

    fn rehearse(&self, _: &Sys, _: Change, seen: Outcome) -> Result<Outcome, Error> {
        // The brokers are no part of the host.
        Ok(seen)
    }
}

/// How long the brokers' views may take to show a change that the controller has made.
const SEEN: Duration = Duration::from_secs(30);

impl KafkaTopic {
    fn wish(&self) -> Wish {
        Wish {
            name: self.name.clone(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            config: self
                .config
                .iter()
                .map(|(key, value)| (display(key), as_java(value)))
                .collect(),
            absent: self.state == State::Absent,
        }
    }

    fn wait_until_seen(&self, sys: &Sys, cluster: &mut Cluster) -> kafka::Result<()> {
        let begun = Instant::now();
        // A new topic's leaders are not known at once, which is no fault here.
        while !matches!(topics::check(cluster, &self.wish()), Ok(None)) {
            if sys.is_cancelled() {
                return Err(kafka::Error::Cancelled);
            }
            if begun.elapsed() >= SEEN {
                return Err(kafka::Error::Gate {
                    message: format!(
                        "the change of topic `{}` was accepted, and does not show",
                        self.name
                    ),
                    seen: vec![],
                    help: None,
                });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn diff(&self, change: &Change) -> Diff {
        let mut diff = Diff::new(format!("topic {}", self.name));
        let mut add = |name: &str, before: Option<Value>, after: Option<Value>| {
            diff.attributes.push(Attribute {
                name: name.to_owned(),
                before,
                after,
            });
        };
        match change {
            Change::Create {
                partitions,
                replication_factor,
                config,
            } => {
                add("state", Some("absent".into()), Some("present".into()));
                let number = |n: i32| {
                    if n < 0 {
                        "default".into()
                    } else {
                        Value::from(n)
                    }
                };
                add("partitions", None, Some(number(*partitions)));
                add(
                    "replication_factor",
                    None,
                    Some(number((*replication_factor).into())),
                );
                for (key, value) in config {
                    add(key, None, Some(value.as_str().into()));
                }
            }
            Change::Delete => add("state", Some("present".into()), Some("absent".into())),
            Change::Alter {
                partitions, config, ..
            } => {
                if let Some((before, after)) = partitions {
                    add(
                        "partitions",
                        Some((*before as u64).into()),
                        Some((*after).into()),
                    );
                }
                for (key, before, after) in config {
                    let value = |v: &Option<String>| v.as_deref().map(Value::from);
                    add(key, value(before), value(after));
                }
            }
        }
        diff
    }
}

/// `true`, not `True`, and lists joined by commas; null is the default.
fn as_java(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(display).collect();
            Some(items.join(","))
        }
        other => Some(display(other)),
    }
}
