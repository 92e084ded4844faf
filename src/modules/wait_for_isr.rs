//! `wait_for_isr`: turns a broker that was started into a wait that ends when it is back in every ISR.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, after_a_start, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::observe::Glance;
pub use crate::kafka::observe::wait_for_isr::WaitForIsrArgs;
use crate::kafka::observe::wait_for_isr::{InSync, glance, wait_for_isr};
use crate::sys::Sys;

impl Module for WaitForIsrArgs {
    const NAME: &'static str = "wait_for_isr";
    const NATURE: Nature = Nature::Action;
    const REHEARSES: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new(
                "broker",
                ArgKind::Int,
                "the broker's id (default: this host's broker)",
            ),
            Arg::new(
                "version",
                ArgKind::Str,
                "the version that its process must run, `2.6.0`",
            ),
            Arg::new(
                "protocol",
                ArgKind::Str,
                "the inter.broker.protocol.version that it must use, `2.1`",
            ),
            Arg::new(
                "scope",
                ArgKind::Str,
                "broker (default): the replicas on this broker; cluster: all",
            )
            .choices(&["broker", "cluster"]),
            Arg::new(
                "stable_for",
                ArgKind::Int,
                "seconds for which all must be well (default 10)",
            ),
            Arg::new(
                "stall",
                ArgKind::Int,
                "seconds for which nothing may move before it fails (default 300)",
            ),
        ],
        ACCESS
    );
    const DOC: &'static str = "Waits until a broker that was started is registered, answers, runs what it should, and is in sync in all its partitions. It goes on waiting as long as anything moves: replicas that come back, or a process that reads its logs. In check mode it looks once, and a broker that is not in sync is told as `would wait`.\n\n    - wait_for_isr:\n        version: 2.6.0\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        wait_for_isr(sys, self)
            .map(|found| opened(&found))
            .map_err(|error| failed(&error))
    }

    fn rehearse(&self, sys: &Sys, (): (), _: Outcome) -> Result<Outcome, Error> {
        if let Some(doubt) = after_a_start(sys) {
            return Ok(doubt);
        }
        match glance(sys, self).map_err(|error| failed(&error))? {
            Glance::Open(found) => Ok(opened(&found)),
            Glance::Shut(seen) => Ok(Outcome::would_wait(seen)),
        }
    }
}

/// What is registered of a broker that is in sync.
fn opened(found: &InSync) -> Outcome {
    Outcome::new()
        .msg(format!("broker {} is in sync", found.broker))
        .with("broker", found.broker)
        .with("waited", found.waited.as_secs())
}
