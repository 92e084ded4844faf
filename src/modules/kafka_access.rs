//! What all modules share that talk to Kafka: the arguments that say where it is, and its faults as a task's failure.

use super::args::{Arg, ArgKind};
use super::systemd::rehearsed::started_or_stopped;
use super::{Error, Outcome};
use crate::kafka;
use crate::sys::Sys;
use crate::value::Value;

/// The arguments of [`kafka::access::Access`].
pub(super) const ACCESS: [Arg; 3] = [
    Arg::new(
        "server_properties",
        ArgKind::Path,
        "the broker's file; chooses between brokers on one host (default: what the running broker was started with)",
    ),
    Arg::new(
        "bootstrap",
        ArgKind::StrList,
        "`host:port` of brokers, used after the inter-broker listener of this host's own broker",
    ),
    Arg::new(
        "client_properties",
        ArgKind::Any,
        "a Java client.properties on the host, or its keys as a mapping: security.protocol, sasl.*, ssl.* (default: what the broker itself uses towards its peers)",
    ),
];

/// Check mode: what runs is not what a rehearsed start or stop would leave, so that a look at it tells nothing.
pub(super) fn after_a_start(sys: &Sys) -> Option<Outcome> {
    let unit = started_or_stopped(sys).into_iter().next()?;
    let seen = format!("for what runs after `{unit}` starts or stops");
    Some(Outcome::would_wait(seen))
}

/// How many lines of what was seen a failure shows; the registered result has them all.
const SHOWN: usize = 20;

pub(super) fn failed(error: &kafka::Error) -> Error {
    let mut failure = Error::new(error.to_string());
    if let kafka::Error::Gate { seen, help, .. } = error {
        failure.causes = seen.iter().take(SHOWN).cloned().collect();
        if seen.len() > SHOWN {
            failure
                .causes
                .push(format!("and {} more", seen.len() - SHOWN));
        }
        failure.help.clone_from(help);
        let seen: Vec<Value> = seen.iter().map(|line| line.as_str().into()).collect();
        return failure.with("seen", seen);
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        failure = failure.because(error);
        cause = error.source();
    }
    failure
}
