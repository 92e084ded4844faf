//! `kafka_facts`: what runs on this host, what is linked, what the cluster says of it, and where these differ.

use crate::kafka::access::{Access, Local};
use crate::kafka::client::Client;
use crate::kafka::cluster::{Cluster, Metadata};
use crate::kafka::configs::Settings;
use crate::kafka::pending::{self, FORMAT, PROTOCOL};
use crate::kafka::properties::Properties;
use crate::kafka::running::{self, Linked};
use crate::kafka::version::Protocol;
use crate::kafka::{Error, Result, configs};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a task says about facts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FactsArgs {
    /// The path that the service starts from, a link. Default: what the running class path says, else `/usr/local/kafka`.
    #[serde(default)]
    pub home: Option<PathBuf>,
    /// Without a `server_properties` also looks for `config/server.properties` under `home`.
    #[serde(flatten)]
    pub access: Access,
}

/// Returns the facts of this host's broker. A broker that does not run or answer leaves its keys null, and says why.
///
/// # Errors
/// Several brokers run here and none is chosen. Settings, logins and rights that are wrong.
pub fn kafka_facts(sys: &Sys, args: &FactsArgs) -> Result<Mapping> {
    let (local, home) = on_host(sys, args)?;
    let linked = running::linked(sys, &home)?;
    let mut facts = Mapping::new();
    let mut put = |key: &str, value: Value| {
        facts.insert(key.into(), value);
    };
    put("home", path(&home));
    put("linked", linked_fact(linked.as_ref()));
    put("running", process_fact(&local));
    put(
        "server_properties",
        optional(local.server_properties.as_deref().map(path)),
    );
    put("settings", shown(&local.server).into());
    put("broker_id", optional(local.broker_id));
    put(
        "log_dirs",
        local
            .log_dirs()
            .iter()
            .map(|dir| disk(sys, dir))
            .collect::<Vec<_>>()
            .into(),
    );
    put("home_disk", disk(sys, &home));
    let access = Access {
        server_properties: local.server_properties.clone(),
        ..args.access.clone()
    };
    let wire = if local.server_properties.is_some() || !access.bootstrap.is_empty() {
        on_wire(sys, &access, &local)
    } else {
        Err(Error::Host("there is no broker on this host".into()))
    };
    let (cluster, broker) = match wire {
        Ok((cluster, broker)) => (cluster, broker),
        Err(error) if error.is_permanent() => return Err(error),
        Err(error) => (Err(error), Effective::default()),
    };
    put("answers", broker.answers.into());
    put(
        "inter_broker_protocol_version",
        optional(broker.protocol.clone()),
    );
    put(
        "log_message_format_version",
        optional(broker.format.clone()),
    );
    put(
        "inter_broker_protocol_pin",
        optional(
            broker
                .protocol
                .as_deref()
                .and_then(Protocol::parse)
                .map(|p| p.pin()),
        ),
    );
    put(
        "log_message_format_pin",
        optional(
            broker
                .format
                .as_deref()
                .and_then(Protocol::parse)
                .map(|p| p.pin()),
        ),
    );
    put("api_versions", broker.api_versions.clone().into());
    match cluster {
        Ok(metadata) => cluster_facts(&metadata, local.broker_id, &mut put),
        Err(error) => {
            cluster_facts(&Metadata::default(), local.broker_id, &mut put);
            put("unreachable", error.chain().into());
        }
    }
    let differs = pending::differences(&local, linked.as_ref(), &broker.settings);
    put("restart_needed", (!differs.is_empty()).into());
    put("differs", differs.into());
    Ok(facts)
}

fn on_host(sys: &Sys, args: &FactsArgs) -> Result<(Local, PathBuf)> {
    let found = running::find(sys, args.access.server_properties.as_deref())?;
    let home = args
        .home
        .clone()
        .or_else(|| {
            found
                .as_ref()?
                .libs
                .as_deref()?
                .parent()
                .map(Path::to_path_buf)
        })
        .unwrap_or_else(|| PathBuf::from("/usr/local/kafka"));
    let conventional = home.join("config/server.properties");
    let file = args
        .access
        .server_properties
        .clone()
        .or_else(|| found.map(|r| r.server_properties))
        .or_else(|| {
            sys.exists(&conventional)
                .unwrap_or(false)
                .then_some(conventional)
        });
    let access = Access {
        server_properties: file.clone(),
        ..Access::default()
    };
    let local = match &file {
        Some(path) if sys.exists(path).unwrap_or(false) => access.local(sys)?,
        _ => Local::default(),
    };
    Ok((local, home))
}

/// What the running process really uses.
#[derive(Debug, Clone, Default)]
struct Effective {
    answers: bool,
    protocol: Option<String>,
    format: Option<String>,
    settings: Settings,
    api_versions: Mapping,
}

type Wire = (Result<Metadata>, Effective);

fn on_wire(sys: &Sys, access: &Access, local: &Local) -> Result<Wire> {
    let mut cluster = access.cluster(sys, local, &[])?;
    let metadata = match cluster.metadata() {
        Err(error) if error.is_permanent() => return Err(error),
        other => other,
    };
    let id = local.broker_id.unwrap_or(-1);
    let effective = match cluster.address(id) {
        Some(_) => match effective(&mut cluster, id) {
            Err(error) if error.is_permanent() => return Err(error),
            other => other.unwrap_or_default(),
        },
        None => Effective::default(),
    };
    Ok((metadata, effective))
}

fn effective(cluster: &mut Cluster, id: i32) -> Result<Effective> {
    cluster.with_broker(id, |client| {
        let all = configs::of_broker_all(client, id)?;
        let value = |key: &str| all.get(key).and_then(|s| s.value.clone());
        Ok(Effective {
            answers: true,
            protocol: value(PROTOCOL),
            format: value(FORMAT),
            api_versions: api_versions(client),
            settings: all,
        })
    })
}

/// The APIs that tell Kafka's versions apart, with the highest version of each.
fn api_versions(client: &Client) -> Mapping {
    let named = [
        (0, "produce"),
        (1, "fetch"),
        (2, "list_offsets"),
        (3, "metadata"),
        (18, "api_versions"),
        (43, "elect_leaders"),
        (46, "list_partition_reassignments"),
    ];
    named
        .iter()
        .filter_map(|(key, name)| {
            let (_, max) = client.versions().get(key)?;
            Some((Value::from(*name), Value::from(*max)))
        })
        .collect()
}

fn cluster_facts(metadata: &Metadata, id: Option<i32>, put: &mut impl FnMut(&str, Value)) {
    put("cluster_id", optional(metadata.cluster_id.clone()));
    put("controller_id", optional(metadata.controller));
    // Nobody is the controller where none is known.
    put(
        "is_controller",
        (id.is_some() && metadata.controller == id).into(),
    );
    put(
        "registered",
        id.is_some_and(|id| metadata.brokers.contains_key(&id))
            .into(),
    );
    let brokers: Vec<Value> = metadata
        .brokers
        .iter()
        .map(|(id, address)| {
            mapping([
                ("id", (*id).into()),
                ("host", address.host.clone().into()),
                ("port", address.port.into()),
            ])
        })
        .collect();
    put("brokers", brokers.into());
}

/// The file's keys without its secrets.
fn shown(server: &Properties) -> Mapping {
    server
        .iter()
        .map(|(key, value)| {
            let value = if pending::is_secret(key) {
                "***"
            } else {
                value
            };
            (Value::from(key.as_str()), Value::from(value))
        })
        .collect()
}

fn linked_fact(linked: Option<&Linked>) -> Value {
    optional(linked.map(|linked| {
        mapping([
            ("target", path(&linked.target)),
            (
                "version",
                optional(linked.version.as_ref().map(ToString::to_string)),
            ),
        ])
    }))
}

fn process_fact(local: &Local) -> Value {
    optional(local.running.as_ref().map(|running| {
        mapping([
            ("pid", running.pid.into()),
            (
                "version",
                optional(running.version.as_ref().map(ToString::to_string)),
            ),
            ("java", optional(running.java.clone())),
            ("started", running.started.into()),
            ("libs", optional(running.libs.as_deref().map(path))),
            ("server_properties", path(&running.server_properties)),
        ])
    }))
}

fn disk(sys: &Sys, dir: &Path) -> Value {
    let free = nix::sys::statvfs::statvfs(&sys.real(dir)).ok();
    let bytes = |blocks: u64, size: u64| Value::from(blocks.saturating_mul(size));
    mapping([
        ("path", path(dir)),
        (
            "free",
            optional(
                free.as_ref()
                    .map(|s| bytes(s.blocks_available(), s.fragment_size())),
            ),
        ),
        (
            "total",
            optional(free.as_ref().map(|s| bytes(s.blocks(), s.fragment_size()))),
        ),
    ])
}

fn path(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

fn mapping<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let mapping: Mapping = pairs
        .into_iter()
        .map(|(k, v)| (Value::from(k), v))
        .collect();
    mapping.into()
}
