//! `kafka_exchange`: sees that an old record is read, that a new one is sent and read, and where a group stands.

use super::{POLL, pause, seconds};
use crate::kafka::access::Access;
use crate::kafka::cluster::Cluster;
use crate::kafka::records::{self, End, Message};
use crate::kafka::{Error, Result, groups};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What a task says about an exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExchangeArgs {
    pub topic: String,
    /// Default `krun-acceptance`.
    #[serde(default = "group")]
    pub group: String,
    /// Default 0.
    #[serde(default)]
    pub partition: i32,
    /// Seconds that all of it may take, leaders that move included. Default 60.
    #[serde(default)]
    pub timeout: Option<u64>,
    #[serde(flatten)]
    pub access: Access,
}

fn group() -> String {
    "krun-acceptance".into()
}

/// What went to and fro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// The oldest record that is still there.
    pub first: Message,
    /// Where the new record stands.
    pub sent_offset: i64,
    /// The group's committed offset.
    pub committed: i64,
}

/// Reads the oldest record (sends one first where there is none), sends a new one with `acks=all`, reads it back, and
/// returns the group's committed offset (committed first where it has none; never moved).
///
/// # Errors
/// [`Error::Gate`] with the last fault when the time is over; settings, logins and rights that are wrong, at once;
/// [`Error::Cancelled`].
pub fn exchange(sys: &Sys, args: &ExchangeArgs) -> Result<Exchanged> {
    let mut exchange = Exchange {
        sys,
        cluster: args.access.own_cluster(sys)?,
        args,
        limit: seconds(args.timeout, 60),
        begun: Instant::now(),
    };
    exchange.run()
}

struct Exchange<'a> {
    sys: &'a Sys,
    cluster: Cluster,
    args: &'a ExchangeArgs,
    limit: Duration,
    begun: Instant,
}

impl Exchange<'_> {
    fn run(&mut self) -> Result<Exchanged> {
        let (topic, partition) = (self.args.topic.as_str(), self.args.partition);
        let group = self.args.group.as_str();
        let is_empty = self.until("look at the ends of the log", |cluster| {
            let start = records::offset(cluster, topic, partition, End::Start)?;
            Ok(start == records::offset(cluster, topic, partition, End::Next)?)
        })?;
        if is_empty {
            self.send("the first record")?;
        }
        let first = self.until("read the oldest record", |cluster| {
            let start = records::offset(cluster, topic, partition, End::Start)?;
            first_of(records::read(cluster, topic, partition, start)?, start)
        })?;
        let (sent_offset, value) = self.send("a new record")?;
        self.until("read the new record", |cluster| {
            let found = first_of(
                records::read(cluster, topic, partition, sent_offset)?,
                sent_offset,
            )?;
            if found.offset == sent_offset && found.value.as_deref() == Some(value.as_bytes()) {
                return Ok(());
            }
            Err(Error::Host(format!(
                "at offset {sent_offset} another record stands than the one that was sent"
            )))
        })?;
        let key = (topic.to_owned(), partition);
        let known = self.until("ask for the group's offset", |cluster| {
            Ok(groups::committed(cluster, group)?.get(&key).copied())
        })?;
        let committed = match known {
            Some(offset) => offset,
            None => self.until("commit the group's first offset", |cluster| {
                let offset = first.offset + 1;
                groups::commit(cluster, group, topic, partition, offset)?;
                match groups::committed(cluster, group)?.get(&key) {
                    Some(offset) => Ok(*offset),
                    None => Err(Error::Host("the committed offset is not there".into())),
                }
            })?,
        };
        Ok(Exchanged {
            first,
            sent_offset,
            committed,
        })
    }

    /// Returns where the record stands, and its value.
    fn send(&mut self, what: &str) -> Result<(i64, String)> {
        let (topic, partition) = (self.args.topic.as_str(), self.args.partition);
        let value = format!("{what}, {}", uuid::Uuid::new_v4());
        let offset = self.until(&format!("send {what}"), |cluster| {
            records::produce(cluster, topic, partition, &[(Some("krun"), &value)])
        })?;
        Ok((offset, value))
    }

    /// Tries until it succeeds, the fault is one that stays, or the time is over.
    fn until<T>(
        &mut self,
        what: &str,
        mut ask: impl FnMut(&mut Cluster) -> Result<T>,
    ) -> Result<T> {
        loop {
            let error = match ask(&mut self.cluster) {
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => error,
                found => return found,
            };
            let (topic, partition) = (&self.args.topic, self.args.partition);
            if self.begun.elapsed() >= self.limit {
                return Err(Error::Gate {
                    message: format!(
                        "cannot {what} of {topic}-{partition} within {} s",
                        self.limit.as_secs()
                    ),
                    seen: vec![error.chain()],
                    help: None,
                });
            }
            let text = format!("to {what} of {topic}-{partition}: {}", error.chain());
            self.sys.progress(&format!("waiting {text}"));
            pause(self.sys, POLL, &text)?;
        }
    }
}

fn first_of(messages: Vec<Message>, from: i64) -> Result<Message> {
    messages
        .into_iter()
        .next()
        .ok_or_else(|| Error::Host(format!("no record is read from offset {from} on")))
}
