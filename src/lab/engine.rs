//! Turns the lab's wishes (an image, a network, a host) into the command lines of podman or docker.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use super::choice::Kind;
use super::command::{Run, last_lines};

/// The label that everything of krun's bears, in the engine's store; its value is the lab's name.
pub(super) const LABEL: &str = "krun.lab";

/// An engine, as it is started for one lab; kept with the lab, which no other engine knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Engine {
    pub(super) kind: Kind,
    /// The user's own, before its verb.
    pub(super) args: Vec<String>,
    /// The user's own, for each host that it runs.
    pub(super) run_args: Vec<String>,
    /// Whether it runs without root: its network cannot be reached from here, only ports that it publishes.
    #[serde(default)]
    pub(super) rootless: bool,
}

/// A private network of one lab.
#[derive(Debug)]
pub(super) struct Network {
    /// The engine's name for it.
    pub(super) name: String,
    /// The first three bytes of its /24, as `10.89.0`.
    pub(super) prefix: String,
}

/// One container that is a host.
pub(super) struct Container<'a> {
    pub(super) lab: &'a str,
    pub(super) name: &'a str,
    pub(super) hostname: &'a str,
    pub(super) network: &'a str,
    pub(super) address: &'a str,
    pub(super) image: &'a str,
    /// Directories of this machine and where the host sees them, read-only.
    pub(super) mounts: Vec<(PathBuf, String)>,
    /// Directories in memory, as `PATH:OPTIONS`.
    pub(super) tmpfs: Vec<String>,
    /// Ports of this machine's loopback, and the host's ports that they lead to.
    pub(super) ports: Vec<(u16, u16)>,
}

/// A container of krun's, as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) lab: String,
    pub(super) running: bool,
}

impl Engine {
    fn run(&self) -> Run {
        let program = self.kind.program();
        Run::new(program, self.kind.package()).args(&self.args)
    }

    /// Whether an image of that name is in the store.
    pub(super) fn has_image(&self, name: &str) -> Result<bool, Error> {
        self.run().args(["image", "inspect", name]).succeeds()
    }

    /// What the engine says of an image, as its `--format` writes it.
    pub(super) fn image(&self, name: &str, format: &str) -> Result<String, Error> {
        self.run()
            .args(["image", "inspect", "--format", format, name])
            .output()
    }

    /// Fetches an image from its registry.
    pub(super) fn pull(&self, name: &str) -> Result<(), Error> {
        self.run()
            .args(["pull", "--quiet", name])
            .output()
            .map(drop)
    }

    /// Makes an image out of a tarball of its root. Its own labels keep `down` away from it.
    pub(super) fn import(&self, tarball: &Path, tag: &str, labels: &[String]) -> Result<(), Error> {
        self.run()
            .arg("import")
            .args(changes(labels))
            .arg(tarball)
            .arg(tag)
            .output()
            .map(drop)
    }

    /// Makes an image out of a container as it stands.
    pub(super) fn commit(
        &self,
        container: &str,
        tag: &str,
        labels: &[String],
    ) -> Result<(), Error> {
        self.run()
            .arg("commit")
            .args(changes(labels))
            .args([container, tag])
            .output()
            .map(drop)
    }

    /// The images whose label has that value.
    pub(super) fn images(&self, label: &str) -> Result<Vec<String>, Error> {
        let filter = format!("label={label}");
        let said = self
            .run()
            .args(["images", "--quiet", "--filter", &filter])
            .output()?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// Removes an image by name or id.
    pub(super) fn remove_image(&self, name: &str) -> Result<(), Error> {
        self.run()
            .args(["image", "rm", "--force", name])
            .output()
            .map(drop)
    }

    /// Runs a script of `dir` (seen as `/mnt`) in a container of `image` and makes an image out of what it leaves.
    pub(super) fn build(
        &self,
        image: &str,
        dir: &Path,
        script: &[&str],
        tag: &str,
        labels: &[String],
    ) -> Result<(), Error> {
        let name = format!("krun-image-{}", std::process::id());
        let build = self
            .run()
            .args(["run", "--name", &name, "--label", &format!("{LABEL}=image")])
            .args(self.runtime())
            .args(self.limits())
            // As it reaches the mirrors here, it does there.
            .args(["--network", "host"])
            .args(["--user", "0", "--entrypoint", "/bin/sh", "--volume"])
            .arg(format!("{}:/mnt:ro", dir.display()))
            .arg(image)
            .args(script);
        let made = build.output().and_then(|_| self.commit(&name, tag, labels));
        let removed = self.run().args(["rm", "--force", &name]).output();
        made.and(removed.map(drop))
    }

    /// Returns what a file of an image holds.
    pub(super) fn read(&self, image: &str, path: &str) -> Result<String, Error> {
        self.run()
            .args(["run", "--rm", "--pull=never", "--network", "none"])
            .args(["--label", &format!("{LABEL}=image")])
            .args(self.runtime())
            .args(self.limits())
            .args(["--entrypoint", "/bin/cat", image, path])
            .output()
    }

    /// `--runtime …`, where the default one cannot do it.
    fn runtime(&self) -> &'static [&'static str] {
        // crun refuses the hybrid hierarchy (v1 controllers, systemd in an unnamed v2); runc does not.
        if self.kind == Kind::Podman && !unified() {
            &["--runtime", "runc"]
        } else {
            &[]
        }
    }

    /// Where the engine keeps images and containers.
    pub(super) fn store(&self) -> Result<PathBuf, Error> {
        let format = match self.kind {
            Kind::Podman => "{{.Store.GraphRoot}}",
            Kind::Docker => "{{.DockerRootDir}}",
        };
        let said = self.run().args(["info", "--format", format]).output()?;
        Ok(PathBuf::from(said))
    }

    /// Makes the lab's network; the engine chooses one that this machine does not use.
    pub(super) fn create_network(&self, lab: &str) -> Result<Network, Error> {
        let name = format!("krun-{lab}");
        let label = format!("{LABEL}={lab}");
        let create = |more: &[&str]| {
            let run = self.run().args(["network", "create"]).args(more);
            run.args(["--label", &label, &name]).output()
        };
        match self.kind {
            Kind::Podman => create(&["--disable-dns"])?,
            Kind::Docker => create(&[])?,
        };
        let subnet = self.subnet(&name)?;
        if self.kind == Kind::Docker {
            // It lets hosts have addresses of one's choice only in a network whose range was given.
            self.run().args(["network", "rm", &name]).output()?;
            create(&["--subnet", &subnet])?;
        }
        let Some(prefix) = prefix(&subnet) else {
            return Err(Error::Unreadable {
                command: format!("{} network inspect {name}", self.kind.program()),
                why: format!("`{subnet}` is not a network of 256 addresses or more"),
            });
        };
        Ok(Network { name, prefix })
    }

    fn subnet(&self, network: &str) -> Result<String, Error> {
        let inspect = self.run().args(["network", "inspect", network]);
        let command = inspect.line();
        let said: Value =
            serde_json::from_str(&inspect.output()?).map_err(|error| Error::Unreadable {
                command,
                why: error.to_string(),
            })?;
        let subnet = match self.kind {
            Kind::Podman => &said[0]["subnets"][0]["subnet"],
            Kind::Docker => &said[0]["IPAM"]["Config"][0]["Subnet"],
        };
        Ok(subnet.as_str().unwrap_or_default().to_owned())
    }

    /// Makes and starts one host; returns as soon as its `init` runs.
    pub(super) fn start(&self, container: &Container<'_>) -> Result<(), Error> {
        let mut run = self
            .run()
            .args(["run", "--detach", "--pull=never"])
            .args(self.runtime())
            .args(self.limits())
            .args(self.for_systemd())
            .args(["--pids-limit", "-1", "--stop-signal", "SIGRTMIN+3"])
            .args(["--name", container.name, "--hostname", container.hostname])
            .args(["--network", container.network, "--ip", container.address])
            .args(["--label", &format!("{LABEL}={}", container.lab)]);
        for (here, there) in &container.mounts {
            run = run
                .arg("--volume")
                .arg(format!("{}:{there}:ro", here.display()));
        }
        for tmpfs in &container.tmpfs {
            run = run.arg("--tmpfs").arg(tmpfs);
        }
        for (here, there) in &container.ports {
            run = run
                .arg("--publish")
                .arg(format!("127.0.0.1:{here}:{there}"));
        }
        run.args(&self.run_args)
            .args(["--entrypoint", "/sbin/init", container.image])
            .output()?;
        Ok(())
    }

    /// What a systemd as the first process needs.
    fn for_systemd(&self) -> Vec<&'static str> {
        match self.kind {
            // NET_ADMIN concerns the container's own network only: its seed drops the default route.
            Kind::Podman => vec![
                "--systemd=always",
                "--cap-add",
                "NET_ADMIN",
                "--no-hosts",
                "--dns",
                "none",
            ],
            // It has no word for it: control groups to write to.
            Kind::Docker if unified() => [DOCKER, DOCKER_UNIFIED].concat(),
            Kind::Docker => [DOCKER, DOCKER_V1].concat(),
        }
    }

    /// `--ulimit …`: the engines' defaults are above what a confined root may set.
    fn limits(&self) -> Vec<String> {
        if self.rootless {
            return Vec::new();
        }
        // podman lowers its own nproc limit to pid_max before it starts anything.
        let pid_max = fs::read_to_string("/proc/sys/kernel/pid_max")
            .ok()
            .and_then(|text| text.trim().parse().ok());
        [
            ("nofile", Resource::RLIMIT_NOFILE, None),
            ("nproc", Resource::RLIMIT_NPROC, pid_max),
        ]
        .into_iter()
        .filter_map(|(name, resource, top)| Some((name, getrlimit(resource).ok()?.1, top)))
        .filter(|&(_, hard, _)| hard != RLIM_INFINITY)
        .map(|(name, hard, top)| (name, hard.min(top.unwrap_or(hard))))
        .flat_map(|(name, hard)| ["--ulimit".to_owned(), format!("{name}={hard}:{hard}")])
        .collect()
    }

    /// Every container of krun's, or those of one lab.
    pub(super) fn containers(&self, lab: Option<&str>) -> Result<Vec<Known>, Error> {
        let filter = lab.map_or_else(
            || format!("label={LABEL}"),
            |lab| format!("label={LABEL}={lab}"),
        );
        let label = match self.kind {
            Kind::Podman => "index .Labels",
            Kind::Docker => ".Label",
        };
        let format = format!("{{{{.ID}}}} {{{{{label} \"{LABEL}\"}}}} {{{{.State}}}}");
        let ps = self
            .run()
            .args(["ps", "--all", "--filter", &filter, "--format", &format]);
        let command = ps.line();
        read_containers(&ps.output()?).map_err(|why| Error::Unreadable { command, why })
    }

    /// The names of the labs whose networks are there.
    pub(super) fn networks(&self) -> Result<Vec<String>, Error> {
        let filter = format!("label={LABEL}");
        let ls = self.run().args(["network", "ls", "--filter", &filter]);
        let said = ls.args(["--format", "{{.Name}}"]).output()?;
        Ok(said
            .lines()
            .filter_map(|line| line.strip_prefix("krun-"))
            .map(str::to_owned)
            .collect())
    }

    /// Removes every container and network of one lab, running or not; nothing there is well, too.
    pub(super) fn remove(&self, lab: &str) -> Result<(), Error> {
        let ids: Vec<String> = self
            .containers(Some(lab))?
            .into_iter()
            .map(|known| known.id)
            .collect();
        if !ids.is_empty() {
            let mut rm = self.run().args(["rm", "--force", "--volumes"]);
            if self.kind == Kind::Podman {
                rm = rm.args(["--time", "0"]);
            }
            rm.args(&ids).output()?;
        }
        if self.networks()?.iter().any(|name| name == lab) {
            self.run()
                .args(["network", "rm", &format!("krun-{lab}")])
                .output()?;
        }
        Ok(())
    }

    /// Runs a command in a container and returns what it printed.
    pub(super) fn exec(&self, container: &str, command: &[&str]) -> Result<String, Error> {
        self.run().args(["exec", container]).args(command).output()
    }

    /// One of the engine's verbs on one container, with further arguments.
    pub(super) fn tell(&self, verb: &[&str], container: &str, more: &[&str]) -> Result<(), Error> {
        self.run()
            .args(verb)
            .arg(container)
            .args(more)
            .output()
            .map(drop)
    }

    /// The end of what a host's console said.
    pub(super) fn log(&self, container: &str) -> String {
        let said = self
            .run()
            .args(["logs", "--tail", "20", container])
            .output();
        said.map_or_else(|error| error.to_string(), |text| last_lines(&text, 12))
    }
}

/// What an image says of itself.
fn changes(labels: &[String]) -> impl Iterator<Item = String> {
    let labels = labels.iter().map(|label| format!("LABEL {label}"));
    labels.flat_map(|line| ["--change".to_owned(), line])
}

const DOCKER: &[&str] = &[
    "--cap-add",
    "NET_ADMIN",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--cgroupns=host",
    "--env",
    "container=docker",
    "--tmpfs",
    "/run:mode=755,exec",
    "--tmpfs",
    "/run/lock",
    "--tmpfs",
    "/tmp:mode=1777,exec",
];
/// Version 2 has one tree, in which the engine gives the container a place of its own.
const DOCKER_UNIFIED: &[&str] = &[
    "--cap-add",
    "SYS_ADMIN",
    "--volume",
    "/sys/fs/cgroup:/sys/fs/cgroup:rw",
];
/// Of version 1 the trees below this directory can be written to, and the directory itself must not.
const DOCKER_V1: &[&str] = &["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:ro"];

/// Whether this machine has one hierarchy of control groups (version 2).
pub(super) fn unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The first three bytes of a network's addresses.
fn prefix(subnet: &str) -> Option<String> {
    let (address, bits) = subnet.split_once('/')?;
    let bits: u8 = bits.parse().ok()?;
    let (prefix, _) = address.rsplit_once('.')?;
    (bits <= 24).then(|| prefix.to_owned())
}

/// Reads lines of id, lab and state; podman's state may be `Up 3 minutes`.
fn read_containers(said: &str) -> Result<Vec<Known>, String> {
    let known = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, lab, state) = (words.next()?, words.next()?, words.next()?);
        Some(Known {
            id: id.to_owned(),
            lab: lab.to_owned(),
            running: matches!(state, "running" | "Up"),
        })
    };
    said.lines()
        .map(|line| known(line).ok_or_else(|| format!("a container without id or label: {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_the_engine_becomes_containers() {
        let known = Known {
            id: "0af1".to_owned(),
            lab: "book".to_owned(),
            running: false,
        };
        assert_eq!(read_containers("0af1 book exited\n").unwrap(), [known]);
        assert_eq!(read_containers("").unwrap(), []);
        assert!(read_containers("0af1 exited").is_err());
    }

    #[test]
    fn network_of_either_engine_gives_the_first_three_bytes() {
        assert_eq!(prefix("10.89.3.0/24").unwrap(), "10.89.3");
        assert_eq!(prefix("172.18.0.0/16").unwrap(), "172.18.0");
        assert_eq!(prefix("10.0.0.0/28"), None);
        assert_eq!(prefix("fd00::/64"), None);
    }
}
