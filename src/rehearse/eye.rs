//! Runs on a lab's host, beside what is rehearsed: turns its brokers and what they say of the cluster into glances.
//!
//! It is krun itself, lent to the host; it reaches the cluster as the broker does, whatever protects that.

use crate::kafka::access::Access;
use crate::kafka::cluster::{Cluster, Metadata};
use crate::kafka::observe::exchange::{ExchangeArgs, exchange};
use crate::kafka::running::{self, Running};
use crate::kafka::topics::{self, Wish};
use crate::kafka::{Error, configs};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The setting that says which protocol brokers speak to each other.
const PROTOCOL: &str = "inter.broker.protocol.version";

/// What one look saw on one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub brokers: Vec<BrokerSeen>,
}

/// A broker's process, and what it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerSeen {
    pub pid: u32,
    pub server_properties: PathBuf,
    pub id: Option<i32>,
    /// By the jar that the process holds open.
    pub version: Option<String>,
    /// What it speaks to its peers, by its own word; `None` until it answered.
    pub protocol: Option<String>,
    /// Bytes of records in its log directories.
    pub bytes: u64,
    /// The cluster as it sees it, while it answers.
    pub view: Option<View>,
}

/// The cluster as one broker sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Where each live broker listens, by its id.
    pub brokers: BTreeMap<i32, String>,
    pub topics: BTreeMap<String, TopicSeen>,
}

/// How a topic's partitions stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSeen {
    pub partitions: usize,
    /// Of the partition that has the most.
    pub replicas: usize,
    /// Of the partition that has the fewest.
    pub min_isr: usize,
    /// Over all partitions: replicas that are not in sync.
    pub missing: usize,
    /// Partitions without a leader.
    pub leaderless: usize,
}

/// Looks again and again, and writes each glance as a line of JSON, until nobody reads any more.
///
/// # Errors
/// Nobody reads any more.
pub fn watch(out: &mut dyn Write) -> std::io::Result<()> {
    let sys = Sys::host();
    let mut known: BTreeMap<u32, Known> = BTreeMap::new();
    loop {
        let glance = look(&sys, &mut known);
        serde_json::to_writer(&mut *out, &glance)?;
        writeln!(out)?;
        out.flush()?;
        std::thread::sleep(PAUSE);
    }
}

/// What stays from look to look, of one process.
struct Known {
    id: Option<i32>,
    protocol: Option<String>,
    log_dirs: Vec<PathBuf>,
    cluster: Option<Cluster>,
}

fn look(sys: &Sys, known: &mut BTreeMap<u32, Known>) -> Glance {
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    let running = running::brokers(sys).unwrap_or_default();
    known.retain(|pid, _| running.iter().any(|broker| broker.pid == *pid));
    let brokers = running
        .into_iter()
        .map(|broker| {
            let mine = known
                .entry(broker.pid)
                .or_insert_with(|| Known::of(sys, &broker));
            mine.seen(sys, broker)
        })
        .collect();
    Glance { at, brokers }
}

impl Known {
    fn of(sys: &Sys, broker: &Running) -> Self {
        let access = Access {
            server_properties: Some(broker.server_properties.clone()),
            ..Access::default()
        };
        let local = access.local(sys).unwrap_or_default();
        Self {
            id: local.broker_id,
            protocol: None,
            log_dirs: local.log_dirs(),
            cluster: access.cluster(sys, &local, &[]).ok(),
        }
    }

    fn seen(&mut self, sys: &Sys, broker: Running) -> BrokerSeen {
        // A broker that registers for the first time writes its id while it starts.
        if self.id.is_none() {
            *self = Self::of(sys, &broker);
        }
        let metadata = self.cluster.as_mut().and_then(|it| it.metadata().ok());
        if self.protocol.is_none() && metadata.is_some() {
            self.protocol = self.asked_protocol();
        }
        BrokerSeen {
            pid: broker.pid,
            id: self.id,
            version: broker.version.map(|version| version.to_string()),
            protocol: self.protocol.clone(),
            bytes: self.log_dirs.iter().map(|dir| records_in(dir)).sum(),
            view: metadata.map(|metadata| view(&metadata)),
            server_properties: broker.server_properties,
        }
    }

    /// Only the broker itself answers for its settings, which stay while its process does.
    fn asked_protocol(&mut self) -> Option<String> {
        let (id, cluster) = (self.id?, self.cluster.as_mut()?);
        cluster.address(id)?;
        let found = cluster
            .with_broker(id, |client| configs::of_broker(client, id, &[PROTOCOL]))
            .ok()?;
        found.get(PROTOCOL)?.value.clone()
    }
}

fn view(metadata: &Metadata) -> View {
    let mut topics: BTreeMap<String, TopicSeen> = BTreeMap::new();
    for (name, _, partition) in metadata.partitions() {
        let seen = topics.entry(name.to_owned()).or_insert(TopicSeen {
            min_isr: usize::MAX,
            ..TopicSeen::default()
        });
        let in_sync = partition
            .isr
            .iter()
            .filter(|id| partition.replicas.contains(id))
            .count();
        seen.partitions += 1;
        seen.replicas = seen.replicas.max(partition.replicas.len());
        seen.min_isr = seen.min_isr.min(in_sync);
        seen.missing += partition.replicas.len().saturating_sub(in_sync);
        seen.leaderless += usize::from(partition.leader.is_none());
    }
    View {
        brokers: metadata
            .brokers
            .iter()
            .map(|(id, address)| (*id, address.to_string()))
            .collect(),
        topics,
    }
}

/// The bytes of all segments below a log directory; indexes are allocated ahead and say nothing.
fn records_in(dir: &Path) -> u64 {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    entries(dir)
        .flat_map(|partition| entries(&partition.path()).collect::<Vec<_>>())
        .filter(|file| file.path().extension().is_some_and(|end| end == "log"))
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

/// Something that is done once, on a broker's host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Errand {
    /// Makes a topic, unless it is there.
    Topic {
        name: String,
        partitions: i32,
        replicas: i16,
        min_isr: i16,
    },
    /// Reads an old record, sends and reads a new one, looks up a group's offset.
    Exchange { topic: String, group: String },
}

/// What an exchange saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    pub first_offset: i64,
    pub first_record: String,
    pub committed: i64,
}

/// Does an errand as the broker that was started with `server_properties`; returns what an exchange saw.
///
/// # Errors
/// Those of the cluster.
pub fn errand(errand: &Errand, server_properties: PathBuf) -> Result<Option<Exchanged>, Error> {
    let sys = Sys::host();
    let access = Access {
        server_properties: Some(server_properties),
        ..Access::default()
    };
    match errand {
        Errand::Topic {
            name,
            partitions,
            replicas,
            min_isr,
        } => {
            let mut cluster = access.own_cluster(&sys)?;
            let wish = Wish {
                name: name.clone(),
                partitions: Some(*partitions),
                replication_factor: Some(*replicas),
                config: [("min.insync.replicas".to_owned(), Some(min_isr.to_string()))].into(),
                absent: false,
            };
            if let Some(change) = topics::check(&mut cluster, &wish)? {
                topics::apply(&mut cluster, name, &change)?;
            }
            Ok(None)
        }
        Errand::Exchange { topic, group } => {
            let args = ExchangeArgs {
                topic: topic.clone(),
                group: group.clone(),
                partition: 0,
                timeout: None,
                access,
            };
            let found = exchange(&sys, &args)?;
            let value = found.first.value.unwrap_or_default();
            Ok(Some(Exchanged {
                first_offset: found.first.offset,
                first_record: String::from_utf8_lossy(&value).into_owned(),
                committed: found.committed,
            }))
        }
    }
}
