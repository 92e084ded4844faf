//! `kafka_preferred_leaders`: turns a cluster into one whose partitions are led by their preferred replicas.

use super::args::{Arg, ArgKind, joined};
use super::diff::{Attribute, Diff};
use super::kafka_access::{ACCESS, failed};
use super::systemd::rehearsed::started_or_stopped;
use super::{Error, Found, Module, Nature, Outcome};
pub use crate::kafka::observe::leaders::PreferredLeadersArgs;
use crate::kafka::observe::leaders::{elect_preferred, not_preferred};
use crate::sys::Sys;

impl Module for PreferredLeadersArgs {
    const NAME: &'static str = "kafka_preferred_leaders";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = joined!(
        [Arg::new(
            "stall",
            ArgKind::Int,
            "seconds for which nothing may move before it fails (default 60)",
        ),],
        ACCESS
    );
    const DOC: &'static str = "Gives every partition back to its preferred leader, where that one is in sync, and waits until they have it: what a roll leaves to be done.\n\n    - kafka_preferred_leaders:\n      run_once: true\n";
    /// How many partitions are to move.
    type Change = usize;

    fn check(&self, sys: &Sys) -> Result<Found<usize>, Error> {
        let left = not_preferred(sys, self).map_err(|error| failed(&error))?;
        let mut outcome = Outcome::new().with("partitions", left.len());
        outcome.unknown = started_or_stopped(sys)
            .first()
            .map(|unit| format!("who leads after `{unit}` starts or stops"));
        if left.is_empty() && outcome.unknown.is_none() {
            return Ok(Found::same(outcome));
        }
        Ok(Found::change(left.len(), outcome.diff(diff())))
    }

    fn apply(&self, sys: &Sys, count: usize) -> Result<Outcome, Error> {
        elect_preferred(sys, self).map_err(|error| failed(&error))?;
        Ok(Outcome::new()
            .changed()
            .msg(format!("{count} partitions were led by another replica"))
            .with("partitions", count)
            .diff(diff()))
    }

    fn rehearse(&self, _: &Sys, _: usize, seen: Outcome) -> Result<Outcome, Error> {
        // The brokers are no part of the host.
        Ok(seen)
    }
}

/// Without their number, which nobody knows before a roll: what a plan shows of it is what is done then.
fn diff() -> Diff {
    let mut diff = Diff::new("leaders of the cluster");
    diff.attributes.push(Attribute {
        name: "preferred replicas".into(),
        before: Some("some do not lead".into()),
        after: Some("all lead".into()),
    });
    diff
}
