//! Says whether what would lie on a host again starts a Kafka broker that does not know the protocol which it has spoken since.

use super::{Change, now_at, restore};
use crate::kafka::access::Access;
use crate::kafka::observe::facts::{FactsArgs, kafka_facts};
use crate::kafka::pending::PROTOCOL;
use crate::kafka::properties;
use crate::kafka::running;
use crate::kafka::version::{Protocol, Software};
use crate::modules::Error;
use crate::sys::Sys;
use crate::sys::fs::Kind;
use crate::value::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A broker as it would be started.
#[derive(Debug, Clone, PartialEq)]
struct Start {
    version: Software,
    /// What it is held on, or speaks by itself.
    protocol: Protocol,
}

/// Why brokers of this host cannot go back: a protocol is raised once, and there is no lowering it.
pub(super) fn no_way_back(sys: &Sys, change: &Change) -> Result<Vec<String>, Error> {
    let is_of_broker = |path: &Path| path.extension().is_some_and(|it| it == "properties");
    let of_brokers = change
        .restore
        .iter()
        .filter(|kept| kept.image.was.kind == Some(Kind::Link) || is_of_broker(&kept.image.path));
    let of_brokers: Vec<_> = of_brokers.collect();
    if of_brokers.is_empty() {
        return Ok(Vec::new());
    }
    let overlay = sys
        .overlay()
        .map_or_else(|| sys.new_overlay(), crate::sys::overlay::Overlay::fork);
    let after = sys.clone().over(overlay);
    let mut links: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for kept in of_brokers {
        let path = &kept.image.path;
        if kept.image.was.kind == Some(Kind::Link) {
            links.insert(path.clone(), path.join("config/server.properties"));
        }
        // What cannot be put back is a fault of its own.
        let now = now_at(&after, path)?;
        let _ = restore(&after, kept, now.as_ref());
    }
    let running = running::brokers(sys).unwrap_or_default();
    let homes = running.iter().filter_map(|broker| {
        let home = broker.libs.as_deref()?.parent()?.to_path_buf();
        Some((home, broker.server_properties.clone()))
    });
    links.extend(homes);
    let brokers = links.iter();
    Ok(brokers
        .filter_map(|(home, file)| {
            let then = start(&after, home, file)?;
            if start(sys, home, file).is_some_and(|now| now == then) {
                return None;
            }
            let spoken = spoken(sys, file).or_else(|| Some(start(sys, home, file)?.protocol))?;
            let held = if then.version.speaks(&spoken) {
                format!("{PROTOCOL} would be {} again", then.protocol)
            } else {
                format!(
                    "Kafka {} would be linked again, which does not know it",
                    then.version
                )
            };
            (then.protocol < spoken)
                .then(|| format!("this broker speaks protocol {spoken}, and {held}"))
        })
        .collect())
}

/// What would be started from `home`.
fn start(sys: &Sys, home: &Path, file: &Path) -> Option<Start> {
    let version = running::linked(sys, home).ok()??.version?;
    let text = sys.read(file).ok()?;
    let settings = properties::parse(&String::from_utf8_lossy(&text));
    let held = settings
        .get(PROTOCOL)
        .and_then(|text| Protocol::parse(text));
    Some(Start {
        protocol: held.unwrap_or_else(|| version.default_protocol()),
        version,
    })
}

/// What the running broker says that it speaks.
fn spoken(sys: &Sys, file: &Path) -> Option<Protocol> {
    let args = FactsArgs {
        access: Access {
            server_properties: Some(file.to_path_buf()),
            ..Access::default()
        },
        ..FactsArgs::default()
    };
    let facts = kafka_facts(sys, &args).ok()?;
    let protocol = facts.get("inter_broker_protocol_version");
    Protocol::parse(protocol.and_then(Value::as_str)?)
}
