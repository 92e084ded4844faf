//! Turns the lab's client into load: two producers and a consumer group, and in the end what became of their records.

use super::watch::as_root;
use crate::lab::{self, Lab, Signal};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The lab's further host, from which the load comes.
pub const CLIENT: &str = "lab-client";
/// The topic of the records that every replica in sync acknowledges.
pub const TOPIC_ALL: &str = "krun-rehearsal-all";
/// The topic of the records that only the leader acknowledges.
pub const TOPIC_ONE: &str = "krun-rehearsal-one";
/// The consumer group that reads along.
pub const GROUP: &str = "krun-rehearsal";
/// Seconds within which a record is acknowledged or has failed.
const DELIVERY: u64 = 120;

/// What the load shall be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// `host:port`, joined by commas.
    pub bootstrap: String,
    /// Records a second, of each producer.
    pub rate: u32,
    /// Further settings of librdkafka, `name=value`.
    pub settings: Vec<String>,
}

/// A stretch without an acknowledgement on one partition. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub partition: i32,
    pub from: u64,
    pub to: u64,
}

impl Gap {
    pub fn milliseconds(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// What a producer says of itself in the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sent {
    pub started: u64,
    pub stopped: u64,
    pub planned: u64,
    pub sent: u64,
    pub acked: u64,
    pub failed: u64,
    pub slowest_ack_seconds: f64,
    pub partitions: Vec<Share>,
    /// Gaps of a second and more, by time.
    pub gaps: Vec<Gap>,
    pub fatal: Option<String>,
}

/// One partition's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Share {
    pub partition: i32,
    pub longest_gap: Option<Gap>,
}

/// What was found when everything was read back from the log's start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReadBack {
    pub read: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub out_of_order: u64,
    pub complete: bool,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

/// What the group saw, and whether its committed offsets are what it read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Grouped {
    pub read: u64,
    pub reread: u64,
    pub commits: u64,
    pub failed_commits: u64,
    pub longest_gap: Option<Gap>,
    pub faults: Vec<String>,
}

/// One producer's records, from sending to reading back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    /// `all` or `1`.
    pub acks: String,
    pub sent: Sent,
    /// What was read back, or why that could not be done.
    pub read: Result<ReadBack, String>,
}

/// The whole load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Loaded {
    pub flows: Vec<Flow>,
    pub group: Result<Grouped, String>,
}

/// Load that flows. Dropped, it stops without an account.
pub struct Load {
    lab: Lab,
    program: String,
    wish: Wish,
    producers: Vec<Producer>,
    group: Talker,
}

struct Producer {
    acks: &'static str,
    topic: &'static str,
    talker: Talker,
}

impl Load {
    /// Starts both producers and the group, and returns once every one of them works.
    ///
    /// # Errors
    /// One of them does not, with its last words.
    pub fn start(lab: &Lab, program: &Path, wish: Wish) -> Result<Self, String> {
        let words = |error: lab::Error| error.to_string();
        let client = lab.host(CLIENT).map_err(words)?;
        let program = lab.lend(client, program).map_err(words)?;
        let canary = Canary {
            lab,
            program: &program,
            wish: &wish,
        };
        let mut producers = Vec::new();
        for (acks, topic) in [("all", TOPIC_ALL), ("1", TOPIC_ONE)] {
            let more = [
                ("--rate", wish.rate.to_string()),
                ("--acks", acks.to_owned()),
                ("--delivery-timeout", DELIVERY.to_string()),
                ("--state", format!("/root/{topic}")),
            ];
            let talker = canary.start("produce", topic, &more)?;
            producers.push(Producer {
                acks,
                topic,
                talker,
            });
        }
        let group = canary.start("consume", TOPIC_ALL, &[("--group", GROUP.to_owned())])?;
        let mut load = Self {
            lab: lab.clone(),
            program: program.clone(),
            wish,
            producers,
            group,
        };
        for producer in &mut load.producers {
            producer.talker.until("acknowledged a second, sent ", 90)?;
        }
        load.group.until(" read a second, ", 90)?;
        Ok(load)
    }

    /// Ends sending, reads everything back, ends the group, and tells what became of the records.
    pub fn stop(mut self) -> Result<Loaded, String> {
        let limit = Duration::from_secs(DELIVERY + 30);
        self.end("produce")?;
        let mut sent = Vec::new();
        for producer in &mut self.producers {
            let account: Sent = producer.talker.account(limit)?;
            sent.push((producer.acks, producer.topic, account));
        }
        let canary = Canary {
            lab: &self.lab,
            program: &self.program,
            wish: &self.wish,
        };
        let flows = sent
            .into_iter()
            .map(|(acks, topic, sent)| Flow {
                acks: acks.to_owned(),
                sent,
                read: canary
                    .start("verify", topic, &[("--state", format!("/root/{topic}"))])
                    .and_then(|mut talker| talker.account(limit)),
            })
            .collect();
        self.end("consume")?;
        let group = self.group.account(limit);
        Ok(Loaded { flows, group })
    }

    /// Asks programs on the client to end. That none was left to be asked is told by its account.
    fn end(&self, verb: &str) -> Result<(), String> {
        let pattern = pattern(&self.program, verb);
        let asked = self.lab.signal(CLIENT, Signal::Terminate, &pattern);
        asked.map(drop).map_err(|error| error.to_string())
    }
}

/// What the command lines of the load's programs begin with, whatever the user's file is named.
fn pattern(program: &str, verb: &str) -> String {
    format!(
        "^{} {verb} ",
        program.replace(
            |sign: char| !(sign.is_alphanumeric() || "/_-".contains(sign)),
            "."
        )
    )
}

/// How the load's program is started.
struct Canary<'a> {
    lab: &'a Lab,
    program: &'a str,
    wish: &'a Wish,
}

impl Canary<'_> {
    fn start(&self, verb: &str, topic: &str, more: &[(&str, String)]) -> Result<Talker, String> {
        let mut words = vec![self.program, verb, "--bootstrap", &self.wish.bootstrap];
        words.extend(["--topic", topic, "--status", "1"]);
        for (option, value) in more {
            words.extend([*option, value.as_str()]);
        }
        for setting in &self.wish.settings {
            words.extend(["-X", setting]);
        }
        let line = shlex::try_join(words).map_err(|error| error.to_string())?;
        let child = as_root(self.lab, CLIENT)
            .map_err(|error| error.to_string())?
            .arg(format!("exec {line}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("ssh: {error}"))?;
        Ok(Talker::of(child, format!("{verb} {topic}")))
    }
}

/// How many of a program's last lines are kept.
const LAST: usize = 8;

/// A program on the client that talks on its standard error, and gives its account on standard output.
struct Talker {
    what: String,
    child: Child,
    said: Arc<Mutex<VecDeque<String>>>,
    account: Option<JoinHandle<String>>,
}

impl Talker {
    fn of(mut child: Child, what: String) -> Self {
        let said = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(err) = child.stderr.take() {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_back(line);
                    if said.len() > LAST {
                        said.pop_front();
                    }
                }
            });
        }
        let account = child.stdout.take().map(|mut out| {
            thread::spawn(move || {
                let mut text = String::new();
                let _ = out.read_to_string(&mut text);
                text
            })
        });
        Self {
            what,
            child,
            said,
            account,
        }
    }

    /// Waits until a line with `sign` behind a number that is not 0 was said.
    fn until(&mut self, sign: &str, seconds: u64) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let flows = |line: &String| {
                let Some((before, _)) = line.split_once(sign.trim_end()) else {
                    return false;
                };
                let number = before.trim_end().rsplit([' ', ':']).next();
                number.is_some_and(|number| number.parse().is_ok_and(|n: u64| n > 0))
            };
            if self.lines().iter().any(flows) {
                return Ok(());
            }
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || Instant::now() > end {
                return Err(self.last_words("does not work"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for the program's end, and reads its account.
    fn account<T: for<'a> Deserialize<'a>>(&mut self, limit: Duration) -> Result<T, String> {
        let end = Instant::now() + limit;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                return Err(self.last_words("did not end"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        let text = self.account.take().and_then(|it| it.join().ok());
        let line = text.unwrap_or_default();
        let line = line.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|_| self.last_words("gave no account"))
    }

    fn lines(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().cloned().collect()
    }

    fn last_words(&self, what: &str) -> String {
        let is_progress = |line: &String| line.contains(" a second, ");
        let (progress, mut lines): (Vec<_>, Vec<_>) =
            self.lines().into_iter().partition(is_progress);
        lines.extend(progress.last().cloned());
        format!("`krun-canary {}` {what}: {}", self.what, lines.join("; "))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_any_name_is_found_by_its_command_line() {
        let found = |program| pattern(program, "produce");
        assert_eq!(
            found("/krun-seed/krun-canary"),
            "^/krun-seed/krun-canary produce "
        );
        assert_eq!(
            found("/krun-seed/can'ary (1).stripped"),
            "^/krun-seed/can.ary..1..stripped produce "
        );
    }
}
