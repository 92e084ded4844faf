//! `kafka_facts`: turns the broker of a host into facts under `kafka`.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, failed};
use super::systemd::rehearsed::started_or_stopped;
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::observe::facts;
pub use crate::kafka::observe::facts::FactsArgs;
use crate::kafka::running;
use crate::sys::Sys;
use std::path::Path;

impl Module for FactsArgs {
    const NAME: &'static str = "kafka_facts";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = joined!(
        [Arg::new(
            "home",
            ArgKind::Path,
            "the link that the service starts from (default: what the running broker's class path says, else /usr/local/kafka)",
        ),],
        ACCESS
    );
    const DOC: &'static str = "Finds out which Kafka runs on this host, which one is linked, and what the running process really uses. Sets the fact `kafka`:\n\n    home, linked.{target,version}, running.{pid,version,java,started,libs} (null: no process),\n    server_properties, settings, broker_id, cluster_id, controller_id, is_controller, registered, answers,\n    inter_broker_protocol_version and log_message_format_version as they are in effect,\n    inter_broker_protocol_pin and log_message_format_pin as one writes them, api_versions,\n    log_dirs and home_disk with free and total bytes, brokers, restart_needed, differs (why)\n\n    - kafka_facts:\n    - debug:\n        msg: \"{{ kafka.running.version }} runs, {{ kafka.linked.version }} is linked\"\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let found = facts::kafka_facts(sys, self).map_err(|error| failed(&error))?;
        let mut outcome = Outcome::new();
        outcome.unknown = self.unknown(sys);
        outcome.facts.insert("kafka".into(), found.into());
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl FactsArgs {
    /// Check mode: the broker that is seen is not the one that a rehearsed start or stop would leave.
    fn unknown(&self, sys: &Sys) -> Option<String> {
        let units = started_or_stopped(sys);
        let broker = running::find(sys, self.access.server_properties.as_deref());
        let unit = match broker.ok().flatten() {
            None => units.into_iter().next(),
            Some(broker) => {
                let groups = sys.read(Path::new(&format!("/proc/{}/cgroup", broker.pid)));
                let groups = String::from_utf8_lossy(&groups.unwrap_or_default()).into_owned();
                let is_of = |unit: &String| groups.lines().any(|line| line.ends_with(unit));
                units.into_iter().find(is_of)
            }
        };
        unit.map(|unit| format!("what runs after `{unit}` starts or stops"))
    }
}
