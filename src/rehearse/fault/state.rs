//! Runs on a lab's host: turns all that playbooks may have left there into lines that two runs can be compared by.

use crate::lab::Lab;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands at each path, and how each unit is.
pub type HostState = BTreeMap<String, String>;

/// All hosts' states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States(pub BTreeMap<String, HostState>);

/// Places that are no playbook's: the system's own, what lives in memory, what agents keep.
const NOT_THERE: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/krun-seed",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var/cache",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/lib/krun-lab",
    "/var/lib/rpm",
    "/var/lib/dnf",
    "/var/lib/private",
    "/var/lib/systemd",
    "/var/lib/containers",
    "/var/log",
    "/var/tmp",
    // The lab's authority: another one in every lab.
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted",
];
/// Where what a host is seeded with lies: its own in every lab.
const SEED: &str = "/krun-seed/tree";
/// Contents above this are told apart by their size: they are what was unpacked.
const LARGE: u64 = 1 << 20;

/// How often a host that cannot say is asked: a busy machine's systemd lets its clients wait in vain.
const TRIES: usize = 3;

/// Stands in the state of a host that could not say it, with why.
const UNKNOWN: &str = "unknown";

/// Asks every host of a lab; of one that cannot say, that is what it has.
pub fn of_lab(lab: &Lab, hosts: &[String]) -> States {
    let ask = |host: &String| -> Result<HostState, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let at = lab.host(host).map_err(|error| error.to_string())?;
        let path = lab.lend(at, &program).map_err(|error| error.to_string())?;
        let said = lab.sh(host, &format!("{path} eye state"));
        let said = said.map_err(|error| error.to_string())?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    };
    let state = |host: &String| {
        let mut tries = 1;
        loop {
            match ask(host) {
                Ok(state) => return state,
                Err(_) if tries < TRIES => tries += 1,
                Err(why) => return [(UNKNOWN.to_owned(), why)].into(),
            }
        }
    };
    let states = hosts.iter().map(|host| (host.clone(), state(host)));
    States(states.collect())
}

/// What stands below `root`, and how units are where that is this host.
///
/// # Errors
/// Its systemd does not answer.
pub fn of_host(root: &Path) -> io::Result<HostState> {
    let mut found = HostState::new();
    walk(root, root, &seeded(), &mut found);
    if root == Path::new("/") && geteuid().is_root() {
        units(&mut found)?;
    }
    Ok(found)
}

fn seeded() -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut open = vec![PathBuf::from(SEED)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(there) = path.strip_prefix(SEED) {
                all.insert(Path::new("/").join(there));
            }
        }
    }
    all
}

fn walk(root: &Path, dir: &Path, seeded: &BTreeSet<PathBuf>, found: &mut HostState) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        let Ok(there) = path.strip_prefix(root) else {
            continue;
        };
        let there = Path::new("/").join(there);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if NOT_THERE.iter().any(|it| there == Path::new(it))
            || seeded.contains(&there)
            || is_log(&there)
        {
            continue;
        }
        found.insert(there.display().to_string(), line(&path, &meta));
        if meta.is_dir() && !is_brokers_data(&path) {
            walk(root, &path, seeded, found);
        }
    }
}

/// Whether a broker keeps its logs there: how far it got, no playbook says.
fn is_brokers_data(dir: &Path) -> bool {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| name == "meta.properties" || name.ends_with("-offset-checkpoint"))
}

/// What programs write by themselves.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = path.extension().unwrap_or_default().to_string_lossy();
    matches!(
        &*name,
        "logs" | "log" | ".krun" | ".bash_history" | ".lock" | ".rpmdb" | "lost+found"
            // ZooKeeper's snapshots and logs.
            | "version-2"
    ) || matches!(&*end, "log" | "pid" | "lock")
        || name.contains(".log.")
}

fn line(path: &Path, meta: &Metadata) -> String {
    let mode = meta.permissions().mode() & 0o7777;
    let mut line = format!("{mode:04o} {}:{}", meta.uid(), meta.gid());
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        return format!("link to {}", target.display());
    } else if kind.is_dir() {
        line += " directory";
    } else if kind.is_file() && meta.len() > LARGE {
        let _ = write!(line, " {} bytes", meta.len());
    } else if kind.is_file() {
        let content = fs::read(path).unwrap_or_default();
        let hash = hex::encode(&Sha256::digest(content)[..8]);
        let _ = write!(line, " {} bytes, {hash}", meta.len());
    } else {
        line += " special";
    }
    line
}

fn units(found: &mut HostState) -> io::Result<()> {
    let ask = |words: &[&str]| {
        let said = Command::new("systemctl").args(words).output()?;
        if said.status.success() {
            Ok(String::from_utf8_lossy(&said.stdout).into_owned())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&said.stderr)))
        }
    };
    let running = ask(&[
        "list-units",
        "--type=service",
        "--state=active",
        "--plain",
        "--no-legend",
    ])?;
    let enabled = ask(&[
        "list-unit-files",
        "--type=service",
        "--state=enabled",
        "--no-legend",
    ])?;
    for (said, word) in [(running, "active"), (enabled, "enabled")] {
        let names = said
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        for name in names.filter(|name| !name.starts_with("user") && !name.starts_with("systemd-"))
        {
            let line = found.entry(format!("unit {name}")).or_default();
            if !line.is_empty() {
                line.push_str(", ");
            }
            line.push_str(word);
        }
    }
    Ok(())
}

impl States {
    /// What is otherwise than here, in words; `unsteady` paths are not looked at.
    pub fn differences(&self, other: &Self, unsteady: &Unsteady) -> Vec<String> {
        let mut all = Vec::new();
        for (host, state) in &self.0 {
            let there = other.0.get(host).cloned().unwrap_or_default();
            if let Some(why) = state.get(UNKNOWN).or(there.get(UNKNOWN)) {
                all.push(format!("{host} cannot be compared: {why}"));
                continue;
            }
            let paths: BTreeSet<&String> = state.keys().chain(there.keys()).collect();
            for path in paths {
                let is = |state: &HostState| {
                    state
                        .get(path)
                        .cloned()
                        .unwrap_or_else(|| "absent".to_owned())
                };
                let (here, there) = (is(state), is(&there));
                if here != there && !unsteady.contains(&(host.clone(), path.clone())) {
                    all.push(format!("{path} on {host}: {there} instead of {here}"));
                }
            }
        }
        all
    }

    /// What differs between two looks with nothing done in between.
    pub fn unsteady(&self, later: &Self) -> Unsteady {
        let mut all = Unsteady::new();
        for (host, state) in &self.0 {
            let there = later.0.get(host).cloned().unwrap_or_default();
            let paths = state.keys().chain(there.keys());
            all.extend(
                paths
                    .filter(|path| state.get(*path) != there.get(*path))
                    .map(|path| (host.clone(), path.clone())),
            );
        }
        all
    }
}

/// Hosts and paths that change by themselves.
pub type Unsteady = BTreeSet<(String, String)>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_playbook_left_is_told_and_what_services_write_is_not() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("etc/app.conf", "x=1\n");
        put("opt/kafka/logs/server.log", "much");
        put("data/kafka-logs/meta.properties", "broker.id=1");
        put("data/kafka-logs/a-0/0.log", "records");
        put("data/new-logs/cleaner-offset-checkpoint", "0");
        put("data/zk/myid", "1");
        put("data/zk/version-2/snapshot.0", "much");
        put("proc/1/stat", "1");
        symlink("kafka_2.6", root.path().join("opt/link")).unwrap();
        let found = of_host(root.path()).unwrap();
        let paths: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "/data",
                "/data/kafka-logs",
                "/data/new-logs",
                "/data/zk",
                "/data/zk/myid",
                "/etc",
                "/etc/app.conf",
                "/opt",
                "/opt/kafka",
                "/opt/link"
            ]
        );
        assert_eq!(found["/opt/link"], "link to kafka_2.6");
        let hash = hex::encode(&Sha256::digest("x=1\n")[..8]);
        assert!(found["/etc/app.conf"].ends_with(&format!("4 bytes, {hash}")));
    }

    #[test]
    fn what_differs_is_named_unless_it_changes_by_itself() {
        let states = |conf: &str, noise: &str, more: bool| {
            let mut host: HostState = [("/etc/app.conf", conf), ("/var/lib/seed", noise)]
                .map(|(path, line)| (path.to_owned(), line.to_owned()))
                .into();
            if more {
                host.insert("/opt/half".to_owned(), "0644".to_owned());
            }
            States([("k1".to_owned(), host)].into())
        };
        let (first, later) = (states("a", "1", false), states("a", "2", false));
        let unsteady = first.unsteady(&later);
        assert_eq!(
            first.differences(&states("a", "3", false), &unsteady),
            [""; 0]
        );
        assert_eq!(
            first.differences(&states("b", "4", true), &unsteady),
            [
                "/etc/app.conf on k1: b instead of a",
                "/opt/half on k1: 0644 instead of absent"
            ]
        );
    }

    #[test]
    fn a_host_that_could_not_be_looked_at_is_named_and_not_taken_for_empty() {
        let states = |path: &str, line: &str| {
            let host: HostState = [(path.to_owned(), line.to_owned())].into();
            States([("k1".to_owned(), host)].into())
        };
        let (known, unknown) = (states("/etc/a", "x"), states(UNKNOWN, "timed out"));
        for (one, other) in [(&known, &unknown), (&unknown, &known)] {
            let found = one.differences(other, &Unsteady::new());
            assert_eq!(found, ["k1 cannot be compared: timed out"]);
        }
    }
}
