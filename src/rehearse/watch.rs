//! Turns a lab's hosts into a record of what their brokers were and said, from the beginning of a rehearsal to its end.

use super::eye::{BrokerSeen, Errand, Exchanged, Glance};
use crate::lab::{self, Lab};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A glance, and at which host.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub host: String,
    pub glance: Glance,
}

/// Eyes on every host of the inventory; they close when this is dropped.
pub struct Watch {
    lanes: Vec<Lane>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

struct Lane {
    child: Arc<Mutex<Option<Child>>>,
    thread: Option<JoinHandle<()>>,
}

/// After an eye was lost (its host was switched off, or cut off) it is tried again so often.
const AGAIN: Duration = Duration::from_secs(1);

impl Watch {
    /// Opens an eye on each of `hosts`; `program` is krun.
    ///
    /// # Errors
    /// The program cannot be lent to a host.
    pub fn start(lab: &Lab, hosts: &[String], program: &Path) -> Result<Self, lab::Error> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let mut lanes = Vec::new();
        for name in hosts {
            let path = lab.lend(lab.host(name)?, program)?;
            let child = Arc::new(Mutex::new(None));
            let lane = Looking {
                host: name.clone(),
                lab: lab.clone(),
                line: format!("exec {path} eye watch"),
                child: Arc::clone(&child),
                seen: Arc::clone(&seen),
                stopped: Arc::clone(&stopped),
            };
            let thread = Some(thread::spawn(move || lane.go_on()));
            lanes.push(Lane { child, thread });
        }
        Ok(Self {
            lanes,
            seen,
            stopped,
        })
    }

    /// All glances so far, the oldest first: one may come later than what another host saw after it.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        in_order(seen.clone())
    }

    /// Whether every host was seen at least once.
    pub fn all_looked(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts: BTreeSet<&String> = seen.iter().map(|one| &one.host).collect();
        hosts.len() == self.lanes.len()
    }

    /// Of each host that has brokers now, those.
    pub fn now(&self) -> Vec<(String, BrokerSeen)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hosts: Vec<&String> = Vec::new();
        let mut found = Vec::new();
        for one in seen.iter().rev() {
            if !hosts.contains(&&one.host) {
                hosts.push(&one.host);
                let brokers = one.glance.brokers.iter();
                found.extend(brokers.map(|broker| (one.host.clone(), broker.clone())));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }
}

fn in_order(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_by_key(|one| one.glance.at);
    seen
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for lane in &mut self.lanes {
            if let Some(child) = lane
                .child
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_mut()
            {
                let _ = child.kill();
            }
            if let Some(thread) = lane.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// One eye's work.
struct Looking {
    host: String,
    lab: Lab,
    line: String,
    child: Arc<Mutex<Option<Child>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Looking {
    fn go_on(&self) {
        while !self.stopped.load(Ordering::Relaxed) {
            self.look();
            let mut slept = Duration::ZERO;
            while slept < AGAIN && !self.stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
                slept += Duration::from_millis(50);
            }
        }
    }

    /// Reads one eye's lines until it is lost.
    fn look(&self) {
        let Ok(mut command) = as_root(&self.lab, &self.host) else {
            return;
        };
        let spawned = command
            .arg(&self.line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = spawned else { return };
        let Some(out) = child.stdout.take() else {
            return;
        };
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            if let Ok(glance) = serde_json::from_str(&line) {
                self.seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Seen {
                        host: self.host.clone(),
                        glance,
                    });
            }
        }
        if let Some(mut child) = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// ssh to a lab's host as root, in a process group of its own: a Ctrl-C is not for it.
pub(super) fn as_root(lab: &Lab, host: &str) -> Result<Command, lab::Error> {
    let mut command = lab.ssh(host)?;
    command
        .process_group(0)
        .args(["-l", "root", "-o", "ServerAliveInterval=3"])
        .args(["-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=5"]);
    Ok(command)
}

/// Does an errand on a broker's host.
///
/// # Errors
/// What the host said, in words.
pub(super) fn errand(
    lab: &Lab,
    host: &str,
    server_properties: &Path,
    program: &Path,
    errand: &Errand,
) -> Result<Option<Exchanged>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let there = lab.host(host).map_err(|error| words(&error))?;
    let path = lab.lend(there, program).map_err(|error| words(&error))?;
    let properties = server_properties.to_string_lossy();
    let errand = serde_json::to_string(errand).map_err(|error| words(&error))?;
    let line = shlex::try_join([path.as_str(), "eye", "errand", &properties, &errand])
        .map_err(|error| words(&error))?;
    let mut child = as_root(lab, host)
        .map_err(|error| words(&error))?
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| words(&error))?;
    let (mut said, mut told) = (String::new(), String::new());
    if let Some(mut out) = child.stdout.take() {
        let _ = out.read_to_string(&mut said);
    }
    if let Some(mut err) = child.stderr.take() {
        let _ = err.read_to_string(&mut told);
    }
    let status = child.wait().map_err(|error| words(&error))?;
    if !status.success() {
        return Err(format!("on {host}: {}", told.trim()));
    }
    serde_json::from_str(&said).map_err(|error| words(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_late_from_a_busy_host_is_told_in_its_place() {
        let seen = |host: &str, at| Seen {
            host: host.to_owned(),
            glance: Glance {
                at,
                brokers: Vec::new(),
            },
        };
        let told = in_order(vec![seen("k1", 5), seen("k2", 9), seen("k3", 7)]);
        let hosts: Vec<&str> = told.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(hosts, ["k1", "k3", "k2"]);
    }
}
