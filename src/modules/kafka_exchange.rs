//! `kafka_exchange`: turns a topic and a group into proof that records go through: an old one read, a new one sent and read.

use super::args::{Arg, ArgKind, joined};
use super::kafka_access::{ACCESS, failed};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::observe::exchange::{ExchangeArgs, Exchanged, exchange};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KafkaExchange(ExchangeArgs);

impl Module for KafkaExchange {
    const NAME: &'static str = "kafka_exchange";
    const NATURE: Nature = Nature::Action;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("topic", ArgKind::Str, "an existing topic").required(),
            Arg::new(
                "group",
                ArgKind::Str,
                "a consumer group without members (default krun-acceptance)",
            ),
            Arg::new("partition", ArgKind::Int, "default 0"),
            Arg::new(
                "timeout",
                ArgKind::Int,
                "seconds that all of it may take, moves of leaders included (default 60)",
            ),
        ],
        ACCESS
    );
    const DOC: &'static str = "Reads the oldest record of a partition (where there is none, sends one first), sends a new one with acks=all and reads it back, and looks up the group's committed offset (a group that has none commits the one after the oldest record; one that has is never moved). Registers `first_offset`, `first_record`, `sent_offset` and `committed`: the same task before and after an upgrade shows that nothing was lost. Never changed.\n\n    - kafka_exchange:\n        topic: krun-acceptance\n        group: krun-acceptance\n      register: before\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        if self.0.partition < 0 {
            return Err(Error::new("`partition` cannot be negative"));
        }
        let (change, outcome) = (Some(()), Outcome::new());
        Ok(Found { change, outcome })
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let found = exchange(sys, &self.0).map_err(|error| failed(&error))?;
        Ok(self.registered(&found))
    }
}

impl KafkaExchange {
    fn registered(&self, found: &Exchanged) -> Outcome {
        let text = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
            None => Value::Null,
        };
        let first = [
            ("key", text(found.first.key.as_deref())),
            ("value", text(found.first.value.as_deref())),
        ];
        let first: Mapping = first
            .map(|(key, value)| (key.into(), value))
            .into_iter()
            .collect();
        Outcome::new()
            .with("first_offset", found.first.offset)
            .with("first_record", first)
            .with("sent_offset", found.sent_offset)
            .with("committed", found.committed)
            .msg(format!(
                "read the record at offset {} of {}-{}, sent one to offset {} and read it; group {} is at {}",
                found.first.offset,
                self.0.topic,
                self.0.partition,
                found.sent_offset,
                self.0.group,
                found.committed
            ))
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;
    use crate::modules::{Permission, Ran};
    use crate::sys::Sys;
    use crate::value::Value;

    #[test]
    fn it_does_not_run_in_check_mode() {
        let host = Host::with("kafka_exchange", &[]);
        let action = host.action("{topic: t, bootstrap: 'none.invalid:1'}");
        let ran = action
            .run(&host.sys, &mut |_| Permission::OnlyShow)
            .unwrap();
        let Ran::Done(outcome) = ran else {
            unreachable!()
        };
        assert!(outcome.skipped && !outcome.changed);
    }

    #[test]
    fn a_broker_that_is_not_there_is_named_when_the_time_is_over() {
        let host = Host::with("kafka_exchange", &[("/proc/stat", "")]);
        let args = "{topic: t, bootstrap: '127.0.0.1:1', timeout: 0}";
        let error = host.run(args).unwrap_err();
        assert_eq!(
            error.message,
            "cannot look at the ends of the log of t-0 within 0 s"
        );
        assert!(error.causes[0].contains("127.0.0.1:1"), "{error}");
    }

    /// Needs a cluster: `KRUN_TEST_PROPERTIES` is a server.properties of one of its brokers.
    #[test]
    #[ignore = "needs brokers"]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told from outside where its cluster is"
    )]
    fn records_go_through_real_brokers_and_the_group_stays() {
        let properties = std::env::var("KRUN_TEST_PROPERTIES").unwrap();
        let access = format!("server_properties: {properties}");
        let topic = format!("krun-test-{}", uuid::Uuid::new_v4());
        let mut host = Host::with("kafka_topic", &[]);
        host.sys = Sys::host();
        host.run(&format!(
            "{{name: {topic}, partitions: 1, replication_factor: 3, {access}}}"
        ))
        .unwrap();
        let mut host = Host::with("kafka_exchange", &[]);
        host.sys = Sys::host();
        let args = format!("{{topic: {topic}, group: {topic}, {access}}}");
        let before = host.run(&args).unwrap();
        let after = host.run(&args).unwrap();
        for key in ["first_offset", "first_record", "committed"] {
            assert_eq!(before.data[key], after.data[key], "{before:?} {after:?}");
        }
        assert_eq!(before.data["first_offset"], Value::from(0));
        assert_eq!(before.data["sent_offset"], Value::from(1));
        assert_eq!(after.data["sent_offset"], Value::from(2));
        assert_eq!(after.data["committed"], Value::from(1));
        assert!(!after.changed);
    }
}
