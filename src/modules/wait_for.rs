//! `wait_for`: turns a port or a path and the state it is to reach into a wait that ends with it.

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use fancy_regex::{Regex, RegexBuilder};
use nix::poll::PollFlags;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much of a file or an answer is searched, in bytes.
const SEARCHED: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[serde(alias = "present")]
    Started,
    #[serde(alias = "absent")]
    Stopped,
    Drained,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    #[serde(default = "localhost")]
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default = "started")]
    state: State,
    #[serde(default)]
    search_regex: Option<String>,
    #[serde(default = "timeout")]
    timeout: f64,
    #[serde(default)]
    delay: f64,
    #[serde(default = "one")]
    sleep: f64,
    #[serde(default = "five")]
    connect_timeout: f64,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    exclude_hosts: Vec<String>,
    #[serde(default = "active")]
    active_connection_states: Vec<String>,
}

fn localhost() -> String {
    "127.0.0.1".into()
}
fn started() -> State {
    State::Started
}
fn timeout() -> f64 {
    300.0
}
fn one() -> f64 {
    1.0
}
fn five() -> f64 {
    5.0
}
fn active() -> Vec<String> {
    let states = STATES.iter().map(|(name, _)| *name);
    let waiting = ["CLOSE_WAIT", "CLOSE", "LAST_ACK", "LISTEN", "CLOSING"];
    let states = states.filter(|name| !waiting.contains(name));
    states.map(str::to_owned).collect()
}

/// The states of a connection, as the kernel numbers them in `/proc/net/tcp`.
const STATES: &[(&str, u8)] = &[
    ("ESTABLISHED", 1),
    ("SYN_SENT", 2),
    ("SYN_RECV", 3),
    ("FIN_WAIT1", 4),
    ("FIN_WAIT2", 5),
    ("TIME_WAIT", 6),
    ("CLOSE", 7),
    ("CLOSE_WAIT", 8),
    ("LAST_ACK", 9),
    ("LISTEN", 10),
    ("CLOSING", 11),
];

impl Module for WaitFor {
    const NAME: &'static str = "wait_for";
    const NATURE: Nature = Nature::Action;
    const REHEARSES: bool = true;
    const ARGS: &'static [Arg] = &[
        Arg::new("host", ArgKind::Str, "whose port (default 127.0.0.1)"),
        Arg::new("port", ArgKind::Int, "a TCP port"),
        Arg::new(
            "path",
            ArgKind::Path,
            "a path on the host, instead of a port",
        ),
        Arg::new(
            "state",
            ArgKind::Str,
            "started or present (default), stopped or absent, drained: no connection is left",
        )
        .choices(&["started", "present", "stopped", "absent", "drained"]),
        Arg::new(
            "search_regex",
            ArgKind::Str,
            "what the file must hold or the port must say",
        ),
        Arg::new(
            "timeout",
            ArgKind::Float,
            "seconds to wait at most (default 300)",
        ),
        Arg::new(
            "delay",
            ArgKind::Float,
            "seconds before the first look (default 0)",
        ),
        Arg::new("sleep", ArgKind::Float, "seconds between looks (default 1)"),
        Arg::new(
            "connect_timeout",
            ArgKind::Float,
            "seconds that one connection may take (default 5)",
        ),
        Arg::new("msg", ArgKind::Str, "what to say when the time is over"),
        Arg::new(
            "exclude_hosts",
            ArgKind::StrList,
            "whose connections do not count for `drained`",
        ),
        Arg::new(
            "active_connection_states",
            ArgKind::StrList,
            "which connections count for `drained`",
        ),
    ];
    const DOC: &'static str = "Waits for a port or a file. In check mode it looks once: what is not there yet is told as `would wait`, and is no failure.\n\n    - wait_for:\n        port: 9092\n        host: \"{{ inventory_hostname }}\"\n        timeout: 120\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        if self.port.is_some() && self.path.is_some() {
            return Err(Error::new("only one of `port` and `path` can be given"));
        }
        if self.state == State::Drained && self.port.is_none() {
            return Err(Error::new("`state: drained` needs a `port`"));
        }
        if self.state == State::Stopped && self.search_regex.is_some() && self.path.is_none() {
            return Err(Error::new(
                "`search_regex` cannot be waited for with `state: stopped`",
            ));
        }
        self.regex()?;
        let (change, outcome) = (Some(()), Outcome::new());
        Ok(Found { change, outcome })
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let begin = Instant::now();
        let limit = begin + seconds(self.timeout);
        let regex = self.regex()?;
        let stopped = |error: io::Error| {
            let error = Error::new("the wait was ended").because(error);
            error.with("elapsed", begin.elapsed().as_secs())
        };
        if self.delay > 0.0 {
            sys.pause(seconds(self.delay)).map_err(stopped)?;
        }
        if self.port.is_none() && self.path.is_none() {
            sys.pause(limit.saturating_duration_since(Instant::now()))
                .map_err(stopped)?;
            return Ok(self.registered(begin, Mapping::new()));
        }
        loop {
            let seen = match self.look(sys, regex.as_ref(), limit) {
                Look::Reached(found) => return Ok(self.registered(begin, found)),
                Look::NotYet(seen) => seen,
            };
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.too_late(begin, &seen));
            }
            sys.progress(&format!(
                "{}: {seen} ({} s of {} s)",
                self.goal(),
                begin.elapsed().as_secs(),
                self.timeout
            ));
            let sleep = seconds(self.sleep).max(Duration::from_millis(10));
            sys.pause(sleep.min(left)).map_err(stopped)?;
        }
    }

    fn rehearse(&self, sys: &Sys, (): (), _: Outcome) -> Result<Outcome, Error> {
        let begin = Instant::now();
        if self.port.is_none() && self.path.is_none() {
            return Ok(self.registered(begin, Mapping::new()));
        }
        let limit = begin + seconds(self.connect_timeout);
        Ok(match self.look(sys, self.regex()?.as_ref(), limit) {
            Look::Reached(found) => self.registered(begin, found),
            Look::NotYet(seen) => Outcome::would_wait(format!("{}: {seen}", self.goal())),
        })
    }
}

/// One look: what was found with the state reached, or what was seen instead.
enum Look {
    Reached(Mapping),
    NotYet(String),
}

impl WaitFor {
    fn regex(&self) -> Result<Option<Regex>, Error> {
        let Some(pattern) = &self.search_regex else {
            return Ok(None);
        };
        let regex = RegexBuilder::new(pattern).multi_line(true).build();
        regex.map(Some).map_err(|error| {
            Error::new(format!("`{pattern}` is no regular expression")).because(error)
        })
    }

    fn look(&self, sys: &Sys, regex: Option<&Regex>, limit: Instant) -> Look {
        match (&self.path, self.port, self.state) {
            (Some(path), _, state) => look_at_path(sys, Path::new(path), state, regex),
            (None, Some(port), State::Drained) => self.look_at_connections(sys, port),
            (None, Some(port), state) => self.look_at_port(sys, port, state, regex, limit),
            (None, None, _) => Look::Reached(Mapping::new()),
        }
    }

    fn look_at_port(
        &self,
        sys: &Sys,
        port: u16,
        state: State,
        regex: Option<&Regex>,
        limit: Instant,
    ) -> Look {
        let left = limit.saturating_duration_since(Instant::now());
        // The last look gets a little time of its own.
        let patience = seconds(self.connect_timeout).min(left.max(Duration::from_millis(100)));
        match (sys.connect(&self.host, port, patience), state, regex) {
            (Ok(_), State::Stopped, _) => Look::NotYet("the port is open".into()),
            (Ok(_), _, None) | (Err(_), State::Stopped, _) => Look::Reached(Mapping::new()),
            (Ok(stream), _, Some(regex)) => read_until(sys, &stream, regex, limit),
            (Err(error), _, _) => Look::NotYet(error.to_string()),
        }
    }

    fn look_at_connections(&self, sys: &Sys, port: u16) -> Look {
        let addresses = |name: &str| sys.addresses_of(name).unwrap_or_default();
        let own: HashSet<IpAddr> = addresses(&self.host).into_iter().collect();
        let any = own.iter().any(IpAddr::is_unspecified);
        let excluded: HashSet<IpAddr> = self
            .exclude_hosts
            .iter()
            .flat_map(|n| addresses(n))
            .collect();
        let wanted = |name: &&(&str, u8)| self.active_connection_states.iter().any(|w| w == name.0);
        let states: Vec<u8> = STATES.iter().filter(wanted).map(|(_, n)| *n).collect();
        let n = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| sys.read(Path::new(path)).ok())
            .flat_map(|bytes| connections(&String::from_utf8_lossy(&bytes)))
            .filter(|c| c.port == port && states.contains(&c.state))
            .filter(|c| any || own.contains(&c.local))
            .filter(|c| !excluded.contains(&c.remote))
            .count();
        match n {
            0 => Look::Reached(Mapping::new()),
            n => Look::NotYet(format!("{n} connections are left")),
        }
    }

    fn goal(&self) -> String {
        let word = match self.state {
            State::Started => "present",
            State::Stopped => "absent",
            State::Drained => "drained",
        };
        match (&self.path, self.port) {
            (Some(path), _) => match &self.search_regex {
                Some(regex) => format!("`{regex}` in {path}"),
                None => format!("{path} to be {word}"),
            },
            (None, Some(port)) => {
                let place = format!("{}:{port}", self.host);
                match (&self.search_regex, self.state) {
                    (Some(regex), _) => format!("`{regex}` from {place}"),
                    (None, State::Started) => place,
                    (None, State::Stopped) => format!("{place} to stop"),
                    (None, State::Drained) => format!("{place} to drain"),
                }
            }
            (None, None) => "the time to pass".into(),
        }
    }

    fn registered(&self, begin: Instant, found: Mapping) -> Outcome {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let state = match self.state {
            State::Started => "started",
            State::Stopped => "stopped",
            State::Drained => "drained",
        };
        let mut outcome = Outcome::new()
            .with("elapsed", begin.elapsed().as_secs())
            .with("state", state)
            .with("port", self.port.map_or(Value::Null, Value::from))
            .with("path", text(&self.path))
            .with("search_regex", text(&self.search_regex))
            .with("match_groups", Vec::<Value>::new())
            .with("match_groupdict", Mapping::new());
        outcome.data.extend(found);
        outcome
    }

    fn too_late(&self, begin: Instant, seen: &str) -> Error {
        let message = match &self.msg {
            Some(msg) => msg.clone(),
            None => format!("timeout when waiting for {}", self.goal()),
        };
        Error::new(message)
            .because(format!("seen last: {seen}"))
            .with("elapsed", begin.elapsed().as_secs())
    }
}

fn look_at_path(sys: &Sys, path: &Path, state: State, regex: Option<&Regex>) -> Look {
    let exists = sys.exists(path);
    match (state, exists, regex) {
        (State::Stopped, Ok(false), _) | (State::Started, Ok(true), None) => {
            Look::Reached(Mapping::new())
        }
        (_, Err(error), _) => Look::NotYet(error.to_string()),
        (_, Ok(false), _) => Look::NotYet("it does not exist".into()),
        (State::Stopped | State::Drained, Ok(true), None) => Look::NotYet("it exists".into()),
        (state, Ok(true), Some(regex)) => {
            let mut text = Vec::new();
            let read = sys.open(path);
            let read = read.and_then(|f| f.take(SEARCHED as u64).read_to_end(&mut text));
            if let Err(error) = read {
                return Look::NotYet(error.to_string());
            }
            let found = search(regex, &String::from_utf8_lossy(&text));
            match (found, state) {
                (Some(_), State::Stopped) => Look::NotYet("the text is there".into()),
                (None, State::Stopped) => Look::Reached(Mapping::new()),
                (Some(groups), _) => Look::Reached(groups),
                (None, _) => Look::NotYet("the text is not there".into()),
            }
        }
    }
}

/// Reads what a port says until it matches, ends, or the time is over.
fn read_until(sys: &Sys, stream: &std::net::TcpStream, regex: &Regex, limit: Instant) -> Look {
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    let mut stream_reader = stream;
    while text.len() < SEARCHED {
        if sys
            .wait_until(stream, PollFlags::POLLIN, Some(limit))
            .is_err()
        {
            break;
        }
        match stream_reader.read(&mut chunk) {
            Ok(n) if n > 0 => text.extend_from_slice(&chunk[..n]),
            _ => break,
        }
        if let Some(groups) = search(regex, &String::from_utf8_lossy(&text)) {
            return Look::Reached(groups);
        }
    }
    Look::NotYet(format!("{} bytes that do not match", text.len()))
}

fn search(regex: &Regex, text: &str) -> Option<Mapping> {
    let captures = regex.captures(text).ok().flatten()?;
    let group = |n: usize| captures.get(n).map_or(Value::Null, |m| m.as_str().into());
    let groups: Vec<Value> = (1..captures.len()).map(group).collect();
    let named = regex.capture_names().enumerate();
    let named: Mapping = named
        .filter_map(|(n, name)| Some((Value::from(name?), group(n))))
        .collect();
    let entries = [
        ("match_groups", Value::from(groups)),
        ("match_groupdict", Value::from(named)),
    ];
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
    Some(entries.collect())
}

struct Connection {
    local: IpAddr,
    port: u16,
    remote: IpAddr,
    state: u8,
}

/// Reads the kernel's table of TCP connections.
fn connections(table: &str) -> Vec<Connection> {
    let side = |text: &str| -> Option<(IpAddr, u16)> {
        let (address, port) = text.split_once(':')?;
        let bytes = hex::decode(address).ok()?;
        // Each word of four bytes is printed in the machine's own order.
        let bytes: Vec<u8> = bytes
            .chunks(4)
            .flat_map(|w| w.iter().rev().copied())
            .collect();
        let address = if let Ok(bytes) = <[u8; 4]>::try_from(bytes.as_slice()) {
            IpAddr::from(Ipv4Addr::from(bytes))
        } else {
            Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical()
        };
        Some((address, u16::from_str_radix(port, 16).ok()?))
    };
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, port) = side(words.next()?)?;
            let (remote, _) = side(words.next()?)?;
            let state = u8::from_str_radix(words.next()?, 16).ok()?;
            Some(Connection {
                local,
                port,
                remote,
                state,
            })
        })
        .collect()
}

fn seconds(n: f64) -> Duration {
    Duration::try_from_secs_f64(n.max(0.0)).unwrap_or(Duration::from_secs(u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests;
