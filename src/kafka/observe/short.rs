//! One look right before a broker stops: which partitions would have too few replicas in sync without it.

use crate::kafka::access::Access;
use crate::kafka::cluster::{Metadata, view};
use crate::kafka::safety::short::left_short;
use crate::kafka::{Result, configs, running};
use crate::sys::Sys;
use std::collections::{BTreeMap, BTreeSet};

const MIN_ISR: &str = "min.insync.replicas";

/// Names the partitions that would be left short by a stop of the broker with this process id, as text.
///
/// Empty also where that cannot be found out: the broker does not answer, or does not let itself be asked.
pub fn short_without(sys: &Sys, pid: u32) -> Vec<String> {
    look(sys, pid).unwrap_or_default()
}

fn look(sys: &Sys, pid: u32) -> Result<Vec<String>> {
    let broker = running::brokers(sys)?.into_iter().find(|it| it.pid == pid);
    let Some(broker) = broker else {
        return Ok(Vec::new());
    };
    let access = Access {
        server_properties: Some(broker.server_properties),
        ..Access::default()
    };
    let local = access.local(sys)?;
    let mut cluster = access.cluster(sys, &local, &[])?;
    let metadata = cluster.metadata()?;
    let Some(target) = local.broker_id else {
        return Ok(Vec::new());
    };
    let ids: Vec<i32> = metadata.brokers.keys().copied().collect();
    let (mut views, mut silent): (Vec<Metadata>, BTreeSet<i32>) = (vec![], BTreeSet::new());
    for (id, answer) in cluster.with_each(&ids, |_, client| view(client)) {
        match answer {
            Ok(view) => views.push(view),
            Err(_) => drop(silent.insert(id)),
        }
    }
    let topics: Vec<&str> = metadata.topics.keys().map(String::as_str).collect();
    let settings = cluster.with_broker(target, |client| {
        configs::of_topics(client, &topics, Some(&[MIN_ISR]))
    })?;
    let min_isr: BTreeMap<String, i32> = settings
        .into_iter()
        .filter_map(|(topic, settings)| {
            let value = settings.get(MIN_ISR)?.value.as_deref()?.parse().ok()?;
            Some((topic, value))
        })
        .collect();
    let short = left_short(target, &views, &silent, &min_isr);
    Ok(short.iter().map(ToString::to_string).collect())
}
