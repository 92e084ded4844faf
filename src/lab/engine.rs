//! Turns the lab's wishes (an image, a network, a host) into podman's command lines.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde_json::Value;

use super::Error;
use super::command::{Run, last_lines};

/// The label that everything of krun's bears, in the engine's store; its value is the lab's name.
pub(super) const LABEL: &str = "krun.lab";

/// podman, as it works on this machine.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    program: &'static str,
    /// `--runtime …`, where the default one cannot do it.
    runtime: Vec<String>,
    /// `--ulimit …`: podman's defaults are above what a confined root may set.
    limits: Vec<String>,
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
}

/// A container of krun's, as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) lab: String,
    pub(super) running: bool,
}

impl Engine {
    /// Looks at this machine: which runtime, which limits.
    pub(super) fn detect() -> Self {
        // crun refuses the hybrid hierarchy (v1 controllers, systemd in an unnamed v2); runc does not.
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let runtime = if unified {
            Vec::new()
        } else {
            vec!["--runtime".to_owned(), "runc".to_owned()]
        };
        // podman lowers its own nproc limit to pid_max before it starts anything.
        let pid_max = fs::read_to_string("/proc/sys/kernel/pid_max")
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let limits = [
            ("nofile", Resource::RLIMIT_NOFILE, None),
            ("nproc", Resource::RLIMIT_NPROC, pid_max),
        ]
        .into_iter()
        .filter_map(|(name, resource, top)| Some((name, getrlimit(resource).ok()?.1, top)))
        .filter(|&(_, hard, _)| hard != RLIM_INFINITY)
        .map(|(name, hard, top)| (name, hard.min(top.unwrap_or(hard))))
        .flat_map(|(name, hard)| ["--ulimit".to_owned(), format!("{name}={hard}:{hard}")])
        .collect();
        Self {
            program: "podman",
            runtime,
            limits,
        }
    }

    fn podman(&self) -> Run {
        Run::new(self.program, "podman")
    }

    /// Whether an image of that tag is in the store.
    pub(super) fn has_image(&self, tag: &str) -> Result<bool, Error> {
        self.podman().args(["image", "exists", tag]).succeeds()
    }

    /// Makes an image out of a tarball of its root. Its own label keeps `down` away from it.
    pub(super) fn import(&self, tarball: &Path, tag: &str) -> Result<(), Error> {
        self.podman()
            .args(["import", "--quiet", "--change", "CMD [\"/sbin/init\"]"])
            .args([
                "--change",
                "STOPSIGNAL SIGRTMIN+3",
                "--change",
                "LABEL krun.image=base",
            ])
            .arg(tarball)
            .arg(tag)
            .output()?;
        Ok(())
    }

    /// Makes the lab's network; podman chooses a /24 that this machine does not use.
    pub(super) fn create_network(&self, lab: &str) -> Result<Network, Error> {
        let name = format!("krun-{lab}");
        self.podman()
            .args([
                "network",
                "create",
                "--disable-dns",
                "--label",
                &format!("{LABEL}={lab}"),
                &name,
            ])
            .output()?;
        let inspect = self.podman().args(["network", "inspect", &name]);
        let command = inspect.line();
        let said: Value =
            serde_json::from_str(&inspect.output()?).map_err(|error| Error::Unreadable {
                command: command.clone(),
                why: error.to_string(),
            })?;
        let subnet = said[0]["subnets"][0]["subnet"].as_str().unwrap_or_default();
        let Some((prefix, _)) = subnet
            .strip_suffix("/24")
            .and_then(|address| address.rsplit_once('.'))
        else {
            return Err(Error::Unreadable {
                command,
                why: format!("`{subnet}` is not a /24"),
            });
        };
        Ok(Network {
            name,
            prefix: prefix.to_owned(),
        })
    }

    /// Makes and starts one host; returns as soon as its `init` runs.
    pub(super) fn start(&self, container: &Container<'_>) -> Result<(), Error> {
        let mut run = self
            .podman()
            .args([
                "run",
                "--detach",
                "--quiet",
                "--systemd=always",
                "--pull=never",
            ])
            .args(&self.runtime)
            .args(&self.limits)
            // NET_ADMIN concerns the container's own network only: its seed drops the default route.
            .args([
                "--pids-limit",
                "-1",
                "--cap-add",
                "NET_ADMIN",
                "--no-hosts",
                "--dns",
                "none",
            ])
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
        run.args([container.image, "/sbin/init"]).output()?;
        Ok(())
    }

    /// Every container of krun's, or those of one lab.
    pub(super) fn containers(&self, lab: Option<&str>) -> Result<Vec<Known>, Error> {
        let filter = lab.map_or_else(
            || format!("label={LABEL}"),
            |lab| format!("label={LABEL}={lab}"),
        );
        let ps = self
            .podman()
            .args(["ps", "--all", "--filter", &filter, "--format", "json"]);
        let command = ps.line();
        read_containers(&ps.output()?).map_err(|why| Error::Unreadable { command, why })
    }

    /// The names of the labs whose networks are there.
    pub(super) fn networks(&self) -> Result<Vec<String>, Error> {
        let filter = format!("label={LABEL}");
        let ls = self.podman().args(["network", "ls", "--filter", &filter]);
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
            self.podman()
                .args(["rm", "--force", "--volumes", "--time", "0"])
                .args(&ids)
                .output()?;
        }
        if self.networks()?.iter().any(|name| name == lab) {
            self.podman()
                .args(["network", "rm", "--force", &format!("krun-{lab}")])
                .output()?;
        }
        Ok(())
    }

    /// One of podman's verbs on one container, with further arguments.
    pub(super) fn tell(&self, verb: &[&str], container: &str, more: &[&str]) -> Result<(), Error> {
        self.podman()
            .args(verb)
            .arg(container)
            .args(more)
            .output()
            .map(drop)
    }

    /// The end of what a host's console said.
    pub(super) fn log(&self, container: &str) -> String {
        let said = self
            .podman()
            .args(["logs", "--tail", "20", container])
            .output();
        said.map_or_else(|error| error.to_string(), |text| last_lines(&text, 12))
    }
}

fn read_containers(said: &str) -> Result<Vec<Known>, String> {
    let rows: Vec<Value> = serde_json::from_str(said).map_err(|error| error.to_string())?;
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let known = |row: &Value| {
        let (id, lab) = (text(row, "Id")?, text(&row["Labels"], LABEL)?);
        Some(Known {
            id,
            lab,
            running: row["State"] == "running",
        })
    };
    rows.iter()
        .map(|row| known(row).ok_or_else(|| format!("a container without id or label: {row}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_the_engine_becomes_containers() {
        let said = r#"[{"Id": "0af1", "Labels": {"krun.lab": "book"}, "State": "exited"}]"#;
        let known = Known {
            id: "0af1".to_owned(),
            lab: "book".to_owned(),
            running: false,
        };
        assert_eq!(read_containers(said).unwrap(), [known]);
        assert_eq!(read_containers("[]").unwrap(), []);
        assert!(read_containers("{}").is_err());
    }
}
