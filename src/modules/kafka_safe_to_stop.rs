//! `kafka_safe_to_stop`: turns a broker's name into a wait that ends when stopping it harms nobody.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, failed};
use super::{Error, Found, Module, Nature, Outcome};
pub use crate::kafka::observe::safe_to_stop::SafeToStopArgs;
use crate::kafka::observe::safe_to_stop::safe_to_stop;
use crate::sys::Sys;

impl Module for SafeToStopArgs {
    const NAME: &'static str = "kafka_safe_to_stop";
    const NATURE: Nature = Nature::Action;
    const ARGS: &'static [Arg] = joined!([
        Arg::new("broker", ArgKind::Int, "the broker's id (default: this host's broker)"),
        Arg::new(
            "brokers",
            ArgKind::StrList,
            "all brokers of the inventory, as ids, host names or `host:port`; a missing or a strange one blocks",
        ),
        Arg::new(
            "mode",
            ArgKind::Str,
            "strict (default): every partition of this broker has all its replicas in sync; min_isr: it keeps min.insync.replicas of them without this broker",
        )
        .choices(&["strict", "min_isr"]),
        Arg::new(
            "allow_unavailable",
            ArgKind::StrList,
            "patterns of topics that may be unavailable meanwhile: those with one replica, or with no more than min.insync.replicas",
        ),
        Arg::new("stable_for", ArgKind::Int, "seconds for which all must be well (default 10)"),
        Arg::new(
            "stall",
            ArgKind::Int,
            "seconds for which nothing may move before it fails (default 300); 0 looks once",
        ),
    ], ACCESS);
    const DOC: &'static str = "Waits until this broker may stop: every other broker answers, all of them agree, no partition is without leader, nothing is being reassigned, and every partition of this broker stays available without it. A broker that is down already passes at once, unless another one is down too. It goes on waiting as long as the number of missing replicas falls.\n\n    - kafka_safe_to_stop:\n        brokers: \"{{ groups['kafkahosts'] }}\"\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let found = safe_to_stop(sys, self).map_err(|error| failed(&error))?;
        let msg = if found.already_down {
            format!("broker {} is down already", found.broker)
        } else {
            format!("broker {} may stop", found.broker)
        };
        let mut outcome = Outcome::new()
            .msg(msg)
            .with("broker", found.broker)
            .with("already_down", found.already_down)
            .with("is_controller", found.controller == Some(found.broker))
            .with("controller_id", found.controller.unwrap_or(-1))
            .with("waited", found.waited.as_secs());
        outcome.warnings = found.warnings;
        Ok(outcome)
    }
}
