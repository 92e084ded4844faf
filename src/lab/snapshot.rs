//! Turns the hosts of a lab, as they stand after a step, into images that the next lab begins from.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::up::each_at_once;
use super::{Error, Host, Lab, saved};

/// The label of a snapshot's images; its value is the snapshot's name. `lab down --all` leaves them.
const LABEL: &str = "krun.snapshot";
/// Services that every host has: they are stopped by no snapshot and started by none.
const OWN: &[&str] = &[
    "ssh.",
    "sshd.",
    "dbus",
    "systemd-",
    "krun-lab-",
    "user@",
    "user-",
    "getty@",
    "console-",
    "cron.",
    "nginx.",
];

/// What was kept of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name: small letters, digits and `-`.
    pub name: String,
    /// The lab's name.
    pub lab: String,
    /// Seconds since the epoch.
    pub at: u64,
    hosts: Vec<Kept>,
    /// What ran, in the order in which it had been started, over all hosts.
    services: Vec<Service>,
    pub(super) engine: Engine,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    host: String,
    image: String,
}

/// A unit that ran on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Service {
    host: String,
    pub(super) unit: String,
    /// Microseconds since the machine booted, when it was active.
    since: u64,
}

impl Snapshot {
    /// Reads a snapshot that was made before.
    pub fn find(root: &Path, name: &str) -> Result<Self, Error> {
        saved::check_name(name)?;
        let path = path(root, name);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let name = name.to_owned();
                return Err(Error::NoSuchSnapshot { name });
            }
            read => read.map_err(Error::file("read", &path))?,
        };
        serde_json::from_str(&text).map_err(|error| Error::File {
            verb: "read",
            path,
            source: error.into(),
        })
    }

    /// All of this machine's snapshots, by name.
    pub fn list(root: &Path) -> Result<Vec<Self>, Error> {
        let dir = root.join("snapshots");
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(Error::file("read", &dir))?,
        };
        let names = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_suffix(".json")?.to_owned())
        });
        let mut all: Vec<Self> = names
            .filter_map(|name| Self::find(root, &name).ok())
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Removes a snapshot and its images.
    pub fn remove(root: &Path, name: &str) -> Result<(), Error> {
        let snapshot = Self::find(root, name)?;
        for kept in &snapshot.hosts {
            if snapshot.engine.has_image(&kept.image)? {
                snapshot.engine.remove_image(&kept.image)?;
            }
        }
        let path = path(root, name);
        fs::remove_file(&path).map_err(Error::file("remove", &path))
    }

    /// The hosts' names, in the lab's order.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|kept| kept.host.as_str())
    }

    /// The image that a host begins from; none if the snapshot does not have that host.
    pub(super) fn image(&self, host: &str) -> Option<&str> {
        let kept = self.hosts.iter().find(|kept| kept.host == host)?;
        Some(&kept.image)
    }

    /// Starts what ran when the snapshot was made, in the same order.
    pub(super) fn start_services(
        &self,
        lab: &Lab,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Error> {
        let here = |service: &&Service| lab.host(&service.host).is_ok();
        tell_each(lab, self.services.iter().filter(here), "start", progress)
    }
}

impl Lab {
    /// Keeps the state of all hosts under `name`: stops what runs on them, last started first stopped, so that
    /// nothing is cut off from what it needs to stop well; makes the images; starts it all again.
    pub fn snapshot(
        &self,
        root: &Path,
        name: &str,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Snapshot, Error> {
        saved::check_name(name)?;
        if !matches!(
            Snapshot::find(root, name),
            Err(Error::NoSuchSnapshot { .. })
        ) {
            return Err(Error::SnapshotExists {
                name: name.to_owned(),
            });
        }
        let mut services = Vec::new();
        for host in &self.hosts {
            services.extend(self.services(host)?);
        }
        services.sort_by_key(|service| service.since);
        let begun = tell_each(self, services.iter().rev(), "stop", progress)
            .and_then(|()| self.keep(name, progress));
        // However that went: what ran runs again.
        let started = tell_each(self, services.iter(), "start", progress);
        let hosts = begun?;
        started?;
        let at = jiff::Timestamp::now().as_second();
        let snapshot = Snapshot {
            name: name.to_owned(),
            lab: self.name.clone(),
            at: u64::try_from(at).unwrap_or_default(),
            hosts,
            services,
            engine: self.engine.clone(),
        };
        snapshot.write(root)?;
        Ok(snapshot)
    }

    /// The services of a host that a playbook may have started.
    pub(super) fn services(&self, host: &Host) -> Result<Vec<Service>, Error> {
        const LOOK: &str = "systemctl show --property=Id,ActiveEnterTimestampMonotonic \
            $(systemctl list-units --type=service --state=running --plain --no-legend | cut -d' ' -f1)";
        let said = self.engine.exec(&host.container, &["sh", "-c", LOOK])?;
        Ok(read_services(&host.name, &said))
    }

    fn keep(&self, name: &str, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Kept>, Error> {
        progress(&format!("keeping {} hosts", self.hosts.len()));
        let all: Vec<&Host> = self.hosts.iter().collect();
        let image = |host: &Host| format!("localhost/krun-snapshot/{name}:{}", host.name);
        let labels = [format!("{LABEL}={name}"), "krun.image=snapshot".to_owned()];
        let kept = each_at_once(&all, |host| {
            self.engine.exec(&host.container, &["sync"])?;
            self.engine.commit(&host.container, &image(host), &labels)
        });
        if let Err(error) = kept {
            for made in self.engine.images(&format!("{LABEL}={name}"))? {
                // The first failure is the one to tell.
                let _ = self.engine.remove_image(&made);
            }
            return Err(error);
        }
        let kept = self.hosts.iter().map(|host| Kept {
            host: host.name.clone(),
            image: image(host),
        });
        Ok(kept.collect())
    }
}

impl Snapshot {
    fn write(&self, root: &Path) -> Result<(), Error> {
        let path = path(root, &self.name);
        let dir = root.join("snapshots");
        fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::File {
            verb: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        fs::write(&path, text).map_err(Error::file("write", &path))
    }
}

impl Display for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.at).unwrap_or_default();
        let at = jiff::Timestamp::from_second(at).unwrap_or_default();
        let (n, name, lab) = (self.hosts.len(), &self.name, &self.lab);
        write!(
            out,
            "{name}: {n} hosts of the lab `{lab}`, {}",
            at.strftime("%Y-%m-%d %H:%M UTC")
        )
    }
}

fn path(root: &Path, name: &str) -> PathBuf {
    root.join("snapshots").join(format!("{name}.json"))
}

fn tell_each<'a>(
    lab: &Lab,
    services: impl Iterator<Item = &'a Service>,
    verb: &str,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Error> {
    for Service { host, unit, .. } in services {
        progress(&format!("{verb} {unit} on {host}"));
        let container = &lab.host(host)?.container;
        lab.engine.exec(container, &["systemctl", verb, unit])?;
        let ended = ["systemctl", "show", "--property=Result", "--value", unit];
        if verb == "stop" && lab.engine.exec(container, &ended)? == "timeout" {
            return Err(Error::NotStopped {
                host: host.clone(),
                unit: unit.clone(),
            });
        }
    }
    Ok(())
}

/// Reads blocks of `Id=` and `ActiveEnterTimestampMonotonic=`.
fn read_services(host: &str, said: &str) -> Vec<Service> {
    let block = |block: &str| {
        let value = |key: &str| {
            let mut lines = block.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let unit = value("Id")?;
        let own = OWN.iter().any(|own| unit.starts_with(own));
        (!own).then(|| Service {
            host: host.to_owned(),
            unit: unit.to_owned(),
            since: value("ActiveEnterTimestampMonotonic")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
        })
    };
    said.split("\n\n").filter_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_the_playbooks_are_told_from_those_of_every_host() {
        let said = "Id=dbus.service\nActiveEnterTimestampMonotonic=1\n\n\
                    Id=kafka-server.service\nActiveEnterTimestampMonotonic=70\n\n\
                    Id=ssh.service\nActiveEnterTimestampMonotonic=3\n\n\
                    Id=systemd-journald.service\nActiveEnterTimestampMonotonic=2";
        let kafka = Service {
            host: "k1".to_owned(),
            unit: "kafka-server.service".to_owned(),
            since: 70,
        };
        assert_eq!(read_services("k1", said), [kafka]);
    }

    #[test]
    fn snapshot_that_was_written_is_found_listed_and_has_its_hosts() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Snapshot::list(root.path()).unwrap(), []);
        let kept = Kept {
            host: "k1.foo".to_owned(),
            image: "localhost/krun-snapshot/t:k1.foo".to_owned(),
        };
        let snapshot = Snapshot {
            name: "t".to_owned(),
            lab: "book".to_owned(),
            at: 7,
            hosts: vec![kept],
            services: Vec::new(),
            engine: Engine::default(),
        };
        snapshot.write(root.path()).unwrap();
        assert_eq!(Snapshot::find(root.path(), "t").unwrap(), snapshot);
        assert_eq!(Snapshot::list(root.path()).unwrap().len(), 1);
        assert_eq!(
            snapshot.image("k1.foo").unwrap(),
            "localhost/krun-snapshot/t:k1.foo"
        );
        assert_eq!(snapshot.image("k2.foo"), None);
        let text = Snapshot::find(root.path(), "u").unwrap_err().to_string();
        assert_eq!(
            text,
            "no snapshot is named `u`; `krun lab snapshot --list` tells which there are"
        );
    }
}
