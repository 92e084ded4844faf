//! What this machine sees of a lab's brokers from outside, all the time: which are down, and how often each started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use krun::lab::Lab;

use crate::stage::BROKERS;

/// How long two looks are apart: a broker is down for seconds when it restarts.
const PAUSE: Duration = Duration::from_millis(100);

/// The processes of one host. A container's processes are this machine's too, told apart by their name space.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    space: PathBuf,
    /// The host's files, seen from here.
    pub(crate) root: PathBuf,
}

/// One process, told from a later one with its number by the time it began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks since the machine's start.
    pub(crate) started: u64,
    pub(crate) program: PathBuf,
    /// The command line, with spaces between the words.
    pub(crate) line: String,
}

impl Inside {
    pub(crate) fn of(lab: &Lab, host: &str) -> Self {
        let output = Command::new("podman")
            .args(["inspect", "--format", "{{.State.Pid}}"])
            .arg(&lab.host(host).unwrap().container)
            .output()
            .unwrap();
        let init = String::from_utf8(output.stdout).unwrap();
        let process = PathBuf::from(format!("/proc/{}", init.trim()));
        Self {
            space: fs::read_link(process.join("ns/pid")).unwrap(),
            root: process.join("root"),
        }
    }

    /// The processes whose command line holds `mark`. One that ends meanwhile is not there.
    pub(crate) fn processes(&self, mark: &str) -> Vec<Process> {
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| {
            // Before its words: a shell's child that is about to become another program has those of the shell.
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if !line.contains(mark) {
                return None;
            }
            let space = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // Behind the name, which may hold anything: the 22nd field is the time.
            let started = stat
                .rsplit_once(')')?
                .1
                .split_whitespace()
                .nth(19)?
                .parse()
                .ok()?;
            (space == self.space).then_some(Process {
                pid,
                started,
                program,
                line,
            })
        })
        .collect()
    }

    /// The brokers that run on the host: none or one.
    pub(crate) fn brokers(&self) -> Vec<Process> {
        let mut found = self.processes(" kafka.Kafka ");
        // Not the shells of its start script.
        found.retain(|process| process.program.ends_with("java"));
        found
    }
}

/// What was seen while watching.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) looks: usize,
    /// The most brokers whose port was closed in one look.
    pub(crate) most_down: usize,
    /// Which brokers were ever down.
    pub(crate) down: BTreeSet<&'static str>,
    /// Every process that each broker was.
    pub(crate) lives: BTreeMap<&'static str, BTreeSet<(i32, u64)>>,
}

/// Looks at all brokers all the time until it is told to end.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    eye: Option<JoinHandle<Seen>>,
}

impl Watch {
    pub(crate) fn start(lab: &Lab) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let brokers = BROKERS.map(|name| {
            let address = format!("{}:9092", lab.host(name).unwrap().address);
            (name, address.parse().unwrap(), Inside::of(lab, name))
        });
        let told = Arc::clone(&over);
        let eye = thread::spawn(move || {
            let mut seen = Seen::default();
            while !told.load(Ordering::Relaxed) {
                look(&brokers, &mut seen);
                thread::sleep(PAUSE);
            }
            seen
        });
        Self {
            over,
            eye: Some(eye),
        }
    }

    pub(crate) fn end(mut self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.eye.take().unwrap().join().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn look(brokers: &[(&'static str, SocketAddr, Inside)], seen: &mut Seen) {
    let mut down = 0;
    for (name, address, inside) in brokers {
        if is_closed(*address) {
            down += 1;
            seen.down.insert(name);
        }
        let lives = seen.lives.entry(name).or_default();
        lives.extend(inside.brokers().iter().map(|it| (it.pid, it.started)));
    }
    seen.looks += 1;
    seen.most_down = seen.most_down.max(down);
}

/// Whether nobody listens. A busy machine's late answer is not that.
fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(5))
        .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
