//! Turns what systemd says of a broker's service, its disks and its log into whether it stays up, and why not.

use super::Error;
use crate::sys::Sys;
use crate::sys::process::Command;
use std::path::{Path, PathBuf};

/// A broker's service, as systemd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    pub unit: String,
    /// `active`, `activating`, `failed`, …
    state: String,
    /// Why it ended: `exit-code`, `signal`, `oom-kill`, …
    result: String,
    /// How often systemd has started it again by itself since somebody started it.
    pub restarts: u32,
}

const SHOWN: &str = "Id,ActiveState,Result,NRestarts";
/// How many lines of the log are read for faults, and how many faults are told.
const READ: &str = "400";
const TOLD: usize = 2;
/// A line of the log is cut there.
const LONG: usize = 300;
/// With less than this a broker cannot write its indexes.
const FULL: u64 = 1 << 20;

impl Service {
    /// Asks systemd; `None` where there is none, or it does not know the unit.
    pub fn look(sys: &Sys, unit: &str) -> Option<Self> {
        let shown = ask(sys, &["systemctl", "show", unit, "-p", SHOWN])?;
        Self::parse(&shown)
    }

    fn parse(shown: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = shown.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        Some(Self {
            unit: value("Id")?.trim_end_matches(".service").to_owned(),
            state: value("ActiveState")?.to_owned(),
            result: value("Result").unwrap_or_default().to_owned(),
            restarts: value("NRestarts").and_then(|it| it.parse().ok())?,
        })
    }

    /// Whether systemd does not mean to start it again.
    pub fn is_down(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "inactive")
    }

    pub fn has_failed(&self) -> bool {
        self.state == "failed"
    }

    /// How it stands, in words.
    fn words(&self) -> String {
        let unit = &self.unit;
        match self.state.as_str() {
            "failed" => format!("its service `{unit}` has failed ({})", self.result),
            "inactive" => format!("its service `{unit}` is stopped"),
            _ => match self.restarts {
                0 => format!("its service `{unit}` has no broker process"),
                1 => format!("its service `{unit}` ended, and systemd started it again"),
                n => format!("its service `{unit}` ended, and systemd started it again {n} times"),
            },
        }
    }

    /// The gate's fault, as the broker will not come up by itself: `what` is said of it, `full` are its full disks.
    pub fn fault(&self, sys: &Sys, what: &str, full: Vec<String>) -> Error {
        let unit = &self.unit;
        let help = if full.is_empty() {
            format!("`journalctl -u {unit}` tells why; when that is mended, `krun resume` goes on")
        } else {
            format!(
                "`systemctl stop {unit}`: a start on a full disk spoils the broker's indexes, and Kafka may delete \
                 records for it later; make room, remove `*.index` and `*.timeindex` below its log directories (it \
                 makes them anew from its logs), start it, then `krun resume` goes on"
            )
        };
        let mut seen = full;
        seen.extend(self.last_faults(sys));
        Error::Gate {
            message: format!("{what}: {}", self.words()),
            seen,
            help: Some(help),
        }
    }

    /// The last faults that its log tells of.
    pub fn last_faults(&self, sys: &Sys) -> Vec<String> {
        let unit = &self.unit;
        let asked = [
            "journalctl",
            "-u",
            unit,
            "-o",
            "cat",
            "-n",
            READ,
            "--no-pager",
        ];
        let found = ask(sys, &asked).map_or_else(Vec::new, |log| faults(&log));
        let said = found.iter().map(|line| format!("`{unit}` says: {line}"));
        said.collect()
    }
}

/// The unit that a process belongs to.
pub fn of_process(sys: &Sys, pid: u32) -> Option<String> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = String::from_utf8_lossy(&sys.read(&path).ok()?).into_owned();
    let names = text.lines().filter_map(|line| line.rsplit('/').next());
    names
        .map(str::trim)
        .find(|name| name.ends_with(".service"))
        .map(str::to_owned)
}

/// The unit that starts a broker, where there is only one: it has no process any more to tell.
pub fn of_host(sys: &Sys) -> Option<String> {
    let asked = ["systemctl", "show", "*.service", "-p", "Id,ExecStart"];
    only_broker(&ask(sys, &asked)?)
}

fn only_broker(shown: &str) -> Option<String> {
    let mut found = shown.split("\n\n").filter(|unit| {
        let mut lines = unit.lines();
        let started = lines.find_map(|line| line.strip_prefix("ExecStart="));
        started.is_some_and(|it| it.contains("kafka-server-start") || it.contains("kafka.Kafka "))
    });
    let only = found.next().filter(|_| found.next().is_none())?;
    let id = only.lines().find_map(|line| line.strip_prefix("Id="))?;
    Some(id.to_owned())
}

/// Those of the directories on whose disks nothing can be written, in words.
pub fn full(sys: &Sys, directories: &[PathBuf]) -> Vec<String> {
    let is_full = |path: &&PathBuf| {
        nix::sys::statvfs::statvfs(&sys.real(path))
            .is_ok_and(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()) < FULL)
    };
    let found = directories.iter().filter(is_full);
    found.map(|path| words(path)).collect()
}

fn words(path: &Path) -> String {
    format!("no room is left on the disk of `{}`", path.display())
}

fn faults(log: &str) -> Vec<String> {
    let is_fault = |line: &&str| {
        let is_trace = line.trim_start().starts_with("at ");
        let words = ["ERROR", "FATAL", "Exception", "Error:"];
        !is_trace && words.iter().any(|word| line.contains(word))
    };
    let mut found: Vec<String> = Vec::new();
    for line in log.lines().rev().filter(is_fault) {
        let text: String = line.trim().chars().take(LONG).collect();
        if found.len() < TOLD && !found.contains(&text) {
            found.push(text);
        }
    }
    found.reverse();
    found
}

fn ask(sys: &Sys, argv: &[&str]) -> Option<String> {
    let command = Command::tool(argv.iter().copied()).only_reads();
    let output = sys.run(&command).ok()?;
    output.success().then_some(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(state: &str, restarts: u32) -> Service {
        let text = format!(
            "Id=kafka-server.service\nActiveState={state}\nResult=exit-code\nNRestarts={restarts}\n"
        );
        Service::parse(&text).unwrap()
    }

    #[test]
    fn how_a_service_stands_is_told_in_words() {
        let all = [
            shown("failed", 5),
            shown("inactive", 0),
            shown("active", 0),
            shown("activating", 1),
            shown("activating", 3),
        ];
        let words = all.map(|it| format!("{}: {}", it.is_down(), it.words()));
        insta::assert_snapshot!(words.join("\n"), @r"
        true: its service `kafka-server` has failed (exit-code)
        true: its service `kafka-server` is stopped
        false: its service `kafka-server` has no broker process
        false: its service `kafka-server` ended, and systemd started it again
        false: its service `kafka-server` ended, and systemd started it again 3 times
        ");
        assert_eq!(Service::parse("Id=a.service\nActiveState=active\n"), None);
    }

    #[test]
    fn the_unit_that_starts_a_broker_is_found_where_there_is_only_one() {
        let unit = |name: &str, program: &str| {
            format!("Id={name}.service\nExecStart={{ path={program} ; argv[]={program} x ; }}\n")
        };
        let zookeeper = unit("zookeeper", "/usr/local/zookeeper/bin/zkServer.sh");
        let broker = unit("kafka-server", "/usr/local/kafka/bin/kafka-server-start.sh");
        let other = unit("kafka2", "/opt/kafka2/bin/kafka-server-start.sh");
        assert_eq!(
            only_broker(&format!("{zookeeper}\n{broker}")).as_deref(),
            Some("kafka-server.service")
        );
        assert_eq!(only_broker(&format!("{broker}\n{other}")), None);
        assert_eq!(only_broker(&zookeeper), None);
    }

    #[test]
    fn the_last_faults_of_a_log_are_told_without_their_traces() {
        let log = "INFO started\n\
            [1] ERROR Error while loading log dir /data (kafka.log.LogManager)\n\
            java.io.IOException: No space left on device\n\
            \tat java.io.RandomAccessFile.setLength(Native Method)\n\
            \tat kafka.Error.foo(Log.scala)\n\
            INFO shutting down\n\
            java.io.IOException: No space left on device\n";
        assert_eq!(
            faults(log),
            [
                "[1] ERROR Error while loading log dir /data (kafka.log.LogManager)",
                "java.io.IOException: No space left on device"
            ]
        );
    }

    #[test]
    fn a_directory_with_room_is_not_full() {
        let there = tempfile::tempdir().unwrap();
        assert_eq!(full(&Sys::host(), &[there.path().to_owned()]), [""; 0]);
    }
}
