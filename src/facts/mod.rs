//! Turns what lies on a host into facts: for each, what to read and a pure parser.
//!
//! Names and shapes are Ansible's, without the prefix `ansible_`. Nothing is started but executable local facts
//! and, where the hosts file does not know the host's own name, one look-up of it.

mod distribution;
mod hardware;
mod local;
mod mounts;
mod network;
mod platform;
mod virtualization;

use crate::sys::Sys;
use crate::value::{Mapping, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to gather.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `all`, `min`, `network`, `!hardware`, …; as in a play's `gather_subset`. Empty is all.
    pub subset: Vec<String>,
    /// Where the host's own `*.fact` files lie (default `/etc/ansible/facts.d`).
    pub fact_path: PathBuf,
    /// How long a file system that does not answer is waited for (default 10 s).
    pub timeout: Duration,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            subset: Vec::new(),
            fact_path: "/etc/ansible/facts.d".into(),
            timeout: Duration::from_secs(10),
        }
    }
}

/// A set of facts that can be asked for by any of its names.
struct Set {
    names: &'static [&'static str],
    /// Whether `min` holds it.
    is_minimal: bool,
    gather: fn(&Sys, &Wanted, &mut Facts),
}

/// The sets in the order in which they are gathered.
const SETS: &[Set] = &[
    minimal(
        &["platform", "architecture", "kernel", "machine_id", "system"],
        |sys, _, facts| {
            platform::gather(sys, facts);
        },
    ),
    minimal(&["distribution", "os_family"], |sys, _, facts| {
        distribution::gather(sys, facts);
    }),
    minimal(&["service_mgr"], |sys, _, facts| {
        facts.put("service_mgr", distribution::service_manager(sys));
    }),
    minimal(&["pkg_mgr"], |sys, _, facts| {
        facts.put("pkg_mgr", distribution::package_manager(sys));
    }),
    minimal(&["lsb"], |sys, _, facts| {
        facts.put("lsb", distribution::lsb(sys));
    }),
    minimal(&["user"], |sys, _, facts| platform::user(sys, facts)),
    minimal(&["env"], |sys, _, facts| {
        facts.put("env", platform::environment(sys));
    }),
    minimal(&["date_time"], |_, _, facts| {
        facts.put("date_time", platform::date_time(&jiff::Zoned::now()));
    }),
    minimal(&["cmdline", "proc_cmdline"], |sys, _, facts| {
        platform::command_line(sys, facts);
    }),
    minimal(&["dns"], |sys, _, facts| {
        facts.put("dns", network::dns(&text(sys, "/etc/resolv.conf")));
    }),
    minimal(&["selinux"], |sys, _, facts| {
        facts.put("selinux", platform::selinux(sys));
    }),
    minimal(&["apparmor", "fips"], |sys, _, facts| {
        platform::security(sys, facts);
    }),
    minimal(&["ssh_pub_keys"], |sys, _, facts| {
        platform::host_keys(sys, facts);
    }),
    minimal(&["local"], |sys, wanted, facts| {
        facts.put("local", local::gather(sys, &wanted.fact_path));
    }),
    further(
        &["hardware", "memory", "processor", "devices"],
        |sys, _, facts| {
            hardware::gather(sys, facts);
        },
    ),
    further(&["hardware", "mounts"], |sys, wanted, facts| {
        facts.put("mounts", mounts::gather(sys, wanted.timeout));
    }),
    further(
        &[
            "network",
            "interfaces",
            "default_ipv4",
            "default_ipv6",
            "all_ipv4_addresses",
            "all_ipv6_addresses",
        ],
        |sys, _, facts| network::gather(sys, facts),
    ),
    further(
        &["virtual", "virtualization_type", "virtualization_role"],
        |sys, _, facts| {
            virtualization::gather(sys, facts);
        },
    ),
];

const fn minimal(names: &'static [&'static str], gather: fn(&Sys, &Wanted, &mut Facts)) -> Set {
    Set {
        names,
        is_minimal: true,
        gather,
    }
}

const fn further(names: &'static [&'static str], gather: fn(&Sys, &Wanted, &mut Facts)) -> Set {
    Set {
        names,
        is_minimal: false,
        gather,
    }
}

/// Names that are accepted and mean nothing here.
const FOREIGN: &[&str] = &[
    "facter",
    "ohai",
    "python",
    "caps",
    "chroot",
    "loadavg",
    "fibre_channel_wwn",
    "iscsi",
    "nvme",
    "systemd",
];

/// Facts so far, by their names without prefix.
#[derive(Debug, Default)]
pub struct Facts {
    map: Mapping,
}

impl Facts {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.map.insert(name.into(), value.into());
    }
}

/// Gathers facts. An unknown name in the subset is an error that lists the known ones.
pub fn gather(sys: &Sys, wanted: &Wanted) -> Result<Mapping, String> {
    let mut facts = Facts::default();
    let chosen = choose(&wanted.subset)?;
    for (set, is_chosen) in SETS.iter().zip(chosen) {
        if is_chosen {
            (set.gather)(sys, wanted, &mut facts);
        }
    }
    let subset = match wanted.subset.as_slice() {
        [] => vec![Value::from("all")],
        names => names
            .iter()
            .map(|name| Value::from(name.as_str()))
            .collect(),
    };
    facts.put("gather_subset", subset);
    facts.put("module_setup", true);
    Ok(facts.map)
}

/// Says for each set whether it is wanted, by Ansible's rules: `min` is in unless taken out by name.
fn choose(subset: &[String]) -> Result<Vec<bool>, String> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for name in subset.iter().flat_map(|names| names.split(',')) {
        match name.trim().strip_prefix('!') {
            Some(name) => removed.push(name.trim()),
            None => added.push(name.trim()),
        }
    }
    let is_known = |name: &str| {
        matches!(name, "all" | "min")
            || FOREIGN.contains(&name)
            || SETS.iter().any(|set| set.names.contains(&name))
    };
    if let Some(name) = added.iter().chain(&removed).find(|name| !is_known(name)) {
        let mut known: Vec<&str> = SETS.iter().flat_map(|set| set.names).copied().collect();
        known.dedup();
        return Err(format!(
            "unknown fact subset `{name}`; there are all, min, {}",
            known.join(", ")
        ));
    }
    let named = |list: &[&str], set: &Set| set.names.iter().any(|name| list.contains(name));
    let chosen = |set: &Set| {
        if named(&added, set) {
            return true;
        }
        if named(&removed, set) || (set.is_minimal && removed.contains(&"min")) {
            return false;
        }
        let by_default = added.is_empty() && !removed.contains(&"all");
        let is_all = added.contains(&"all") || by_default;
        set.is_minimal || (is_all && !removed.contains(&"all"))
    };
    Ok(SETS.iter().map(chosen).collect())
}

/// Returns a file's text; a file that cannot be read is empty.
fn text(sys: &Sys, path: &str) -> String {
    let bytes = sys.read(Path::new(path)).unwrap_or_default();
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns the first line of a file, trimmed; `None` if it is empty or cannot be read.
fn line(sys: &Sys, path: &str) -> Option<String> {
    let text = text(sys, path);
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn exists(sys: &Sys, path: &str) -> bool {
    sys.exists(Path::new(path)).unwrap_or(false)
}

/// Makes a mapping of what is there.
fn map<const N: usize>(entries: [(&str, Value); N]) -> Mapping {
    let entries = entries.into_iter();
    entries.map(|(name, value)| (name.into(), value)).collect()
}

#[cfg(test)]
mod tests;
