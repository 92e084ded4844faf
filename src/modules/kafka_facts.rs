//! `kafka_facts`: turns the broker of a host into facts under `kafka`.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::observe::facts;
pub use crate::kafka::observe::facts::FactsArgs;
use crate::sys::Sys;

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
        outcome.facts.insert("kafka".into(), found.into());
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}
