//! `kafka_safe_to_stop`: turns a broker's name into a wait that ends when stopping it harms nobody.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, after_a_start, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::observe::Glance;
pub use crate::kafka::observe::safe_to_stop::SafeToStopArgs;
use crate::kafka::observe::safe_to_stop::{MayStop, glance, safe_to_stop};
use crate::sys::Sys;

impl Module for SafeToStopArgs {
    const NAME: &'static str = "kafka_safe_to_stop";
    const NATURE: Nature = Nature::Action;
    const REHEARSES: bool = true;
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
    const DOC: &'static str = "Waits until this broker may stop: every other broker answers, all of them agree, no partition is without leader, nothing is being reassigned, and every partition of this broker stays available without it. A broker that is down already passes at once, unless another one is down too. It goes on waiting as long as the number of missing replicas falls. In check mode it looks once: a gate that is shut is told as `would wait`, and fails only where no wait would help.\n\n    - kafka_safe_to_stop:\n        brokers: \"{{ groups['kafkahosts'] }}\"\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        safe_to_stop(sys, self)
            .map(opened)
            .map_err(|error| failed(&error))
    }

    fn rehearse(&self, sys: &Sys, (): (), _: Outcome) -> Result<Outcome, Error> {
        if let Some(doubt) = after_a_start(sys) {
            return Ok(doubt);
        }
        match glance(sys, self).map_err(|error| failed(&error))? {
            Glance::Open(found) => Ok(opened(found)),
            Glance::Shut(seen) => Ok(Outcome::would_wait(seen)),
        }
    }
}

/// What is registered of a gate that is open.
fn opened(found: MayStop) -> Outcome {
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
    outcome
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;
    use crate::modules::{Outcome, Permission, Ran};

    fn rehearse(host: &Host, args: &str) -> Outcome {
        let over = host.sys.clone().over(host.sys.new_overlay());
        match host.action(args).run(&over, &mut |_| Permission::OnlyShow) {
            Ok(Ran::Done(outcome)) => outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn in_check_mode_it_looks_once_and_a_gate_that_is_shut_is_no_failure() {
        for module in ["kafka_safe_to_stop", "wait_for_isr"] {
            let host = Host::with(module, &[("/proc/stat", "")]);
            let outcome = rehearse(&host, "{broker: 1, bootstrap: '127.0.0.1:1'}");
            let why = outcome.unknown.unwrap();
            assert!(why.starts_with("would wait: "), "{module}: {why}");
            assert!(why.contains("127.0.0.1:1"), "{module}: {why}");
        }
    }

    #[test]
    fn what_runs_after_a_rehearsed_start_is_not_looked_at() {
        let host = Host::with("wait_for_isr", &[("/proc/stat", "")]);
        let overlay = host.sys.new_overlay();
        overlay.note("unit kafka.service ActiveState", "active");
        let over = host.sys.clone().over(overlay);
        let action = host.action("{broker: 1, bootstrap: '127.0.0.1:1', version: 2.6.0}");
        let ran = action.run(&over, &mut |_| Permission::OnlyShow).unwrap();
        let Ran::Done(outcome) = ran else {
            unreachable!()
        };
        assert_eq!(
            outcome.unknown.unwrap(),
            "would wait: for what runs after `kafka.service` starts or stops"
        );
    }
}
