//! Turns a list of names into hosts of this machine, each with a real systemd and a real sshd, and removes them again.
//!
//! Every host is a container of one image (`setup.sh` on a base that the user names), on a private network of its lab.
//! Tried on a Debian 12 machine with hybrid control groups, and why it is so:
//! - **podman** boots systemd in 0.3 s a host, and a user's machine has it or can have it; `systemd-nspawn` works
//!   too, but needs root always and brings neither labels, nor networks, nor images. crun refuses hybrid control
//!   groups, so there the runtime is runc; podman's default limits are above what a confined root may set, so the
//!   limits are this process's own hard ones. docker has no word for a host with a systemd, and is told each thing
//!   that it needs.
//! - **Without root** (podman, control groups of version 2) the lab's network cannot be reached from outside its
//!   namespace: sshd is reached through a port of the loopback, which the lab's ssh configuration says.
//! - **The network** is an ordinary bridge of podman's, a /24 that the machine does not use; the controller reaches
//!   the hosts by address. podman's `--internal` takes the bridge's own address away with it, and so the
//!   controller: instead each host drops its default route before sshd starts (unless [`LabSpec::outbound`]).
//! - **What is a host's own** (names, host key, trust) is copied in by a unit that runs before sshd (`seed.sh`)
//!   from a read-only mount: files stay ordinary files that a module can rename over, and nothing is executed
//!   from outside. Two files stay the engine's: `/etc/hostname` is a mount, and `/var/log/journal` is in memory.
//! - **A site** such as `https://archive.apache.org` is one more container, with nginx, that goes with the lab.
//!
//! Nothing of the machine's own (/etc/hosts, `known_hosts`, ssh configuration) is read or written. All that is made
//! bears the label `krun.lab`, and only that is ever removed.

mod authority;
mod choice;
mod command;
mod engine;
mod error;
mod fault;
mod ground;
mod image;
mod lend;
mod room;
mod saved;
mod seed;
mod snapshot;
mod stand_in;
mod up;

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

pub use authority::{Authority, Certificate};
pub use choice::{EngineSpec, Kind as EngineKind};
pub use error::Error;
pub use fault::Signal;
pub use image::DEFAULT_BASE;
pub use saved::Listed;
pub use snapshot::Snapshot;
pub use stand_in::{can_stand_in, leads_to_jdk};

/// What a lab shall be.
#[derive(Debug, Clone, Default)]
pub struct LabSpec {
    /// The lab's name: small letters, digits and `-`.
    pub name: String,
    /// The hosts' names, as the inventory has them. At most 200.
    pub hosts: Vec<String>,
    /// A snapshot whose hosts begin as they were then. With no `hosts` given, all of its hosts; a host that it does
    /// not have begins bare.
    pub snapshot: Option<String>,
    /// Set from outside, it ends the making: what was made is removed.
    pub stop: Option<Arc<AtomicBool>>,
    /// Further names that every host shall know, and their addresses.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Logins beside `root` and `krun`, which are always there; all but root have sudo without a password.
    pub users: Vec<String>,
    /// Which engine makes it.
    pub engine: EngineSpec,
    /// The image that hosts begin as, as `ubuntu:24.04`. Default: [`DEFAULT_BASE`].
    pub base: Option<String>,
    /// The digest that the base must have, as `krun.lock` keeps it; `None`: any.
    pub digest: Option<String>,
    /// What each host will need, in bytes: less free memory is an error before anything is made. Default: what an
    /// empty host takes.
    pub memory_per_host: Option<u64>,
    /// Debian packages beside the usual ones; another list is another image.
    pub packages: Vec<String>,
    /// Names of rpm packages of which every host has an empty one in reach: what dnf finds there, and nothing else.
    pub stand_ins: Vec<String>,
    /// Web sites that one more container of the lab stands in for, by HTTP and HTTPS.
    pub sites: Vec<Site>,
    /// Directories of one host that are in memory, for a small or unfriendly file system.
    pub tmpfs: Vec<Tmpfs>,
    /// Whether hosts reach beyond the lab. By default they do not.
    pub outbound: bool,
}

impl LabSpec {
    /// The engine, and the image that hosts begin as; it is made where it is not there.
    fn image(
        &self,
        root: &Path,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<(engine::Engine, String), Error> {
        let engine = self.engine.choose()?;
        let tag = image::ensure(&engine, root, self.recipe(), progress)?;
        Ok((engine, tag))
    }

    fn recipe(&self) -> image::Recipe<'_> {
        image::Recipe {
            base: self.base(),
            packages: &self.packages,
            has_stand_ins: !self.stand_ins.is_empty(),
        }
    }

    /// What the hosts begin as.
    pub fn base(&self) -> &str {
        self.base.as_deref().unwrap_or(DEFAULT_BASE)
    }

    /// Whether its hosts are known to have apt, and no other manager of packages.
    pub fn is_debian(&self) -> bool {
        let name = self.base().rsplit('/').next().unwrap_or_default();
        ["debian", "ubuntu"].contains(&name.split(':').next().unwrap_or_default())
    }
}

/// A web site and the directory that has its files.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its host name, as `archive.apache.org`.
    pub name: String,
    /// Where its files are: `https://NAME/a/b` is `root/a/b`.
    pub root: PathBuf,
}

/// A directory in memory.
#[derive(Debug, Clone)]
pub struct Tmpfs {
    /// Which host has it.
    pub host: String,
    /// Where.
    pub path: String,
    /// Mount options, as `size=64k,mode=1777,noexec`.
    pub options: String,
}

/// One host of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name in the inventory, its `hostname`, and what the other hosts call it.
    pub name: String,
    /// Its address on the lab's network.
    pub address: String,
    /// The engine's name for its container.
    pub container: String,
    /// The port of this machine's loopback that leads to its sshd, where its address cannot be reached from here.
    #[serde(default)]
    pub port: Option<u16>,
}

/// A lab that is up, or was until the machine was started anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lab {
    /// The lab's name.
    pub name: String,
    /// Its hosts, in the order asked for.
    pub hosts: Vec<Host>,
    /// The container that serves the sites, where there are any.
    pub server: Option<Host>,
    /// The names of its sites.
    #[serde(default)]
    pub sites: Vec<String>,
    #[serde(default)]
    engine: engine::Engine,
    /// Where the lab's own files are.
    dir: PathBuf,
}

impl Lab {
    /// Makes a lab and waits until every sshd answers. `root` holds what outlives a lab (`root/image.lock`) and what
    /// belongs to one (`root/labs/NAME`). `progress` is told each long step before it begins. On failure
    /// everything made so far is removed.
    pub fn up(
        root: &Path,
        spec: &LabSpec,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, Error> {
        up::up(root, spec, progress)
    }

    /// All that is known to stand in a lab's way before anything is made: names, the engine, room.
    pub fn obstacles(root: &Path, spec: &LabSpec) -> Vec<Error> {
        ground::find(root, spec).err().unwrap_or_default()
    }

    /// Whether the image that hosts begin as was made already.
    pub fn has_image(spec: &LabSpec) -> bool {
        let engine = spec.engine.choose();
        engine.is_ok_and(|engine| engine.has_image(&spec.recipe().tag()).unwrap_or(false))
    }

    /// The packages of the hosts' image, as dpkg's status file tells them; the image is made first where it is not
    /// there.
    pub fn debian_packages(
        root: &Path,
        spec: &LabSpec,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<String, Error> {
        let (engine, tag) = spec.image(root, progress)?;
        engine.read(&tag, "/var/lib/dpkg/status")
    }

    /// What the hosts of `spec` begin as, as `krun.lock` keeps it; the image is made first where it is not there.
    pub fn base_digest(
        root: &Path,
        spec: &LabSpec,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<String, Error> {
        let (engine, tag) = spec.image(root, progress)?;
        image::digest(&engine, &tag)
    }

    /// Reads a lab that was made before.
    pub fn find(root: &Path, name: &str) -> Result<Self, Error> {
        saved::read(root, name)
    }

    /// The lab and host that words mean, `HOST …` or `LAB HOST …`, and the words that follow. The lab may be left out
    /// where only one has that host.
    pub fn with_host<'a>(
        root: &Path,
        engine: &EngineSpec,
        words: &'a [String],
    ) -> Result<(Self, &'a str, &'a [String]), Error> {
        let Some((first, rest)) = words.split_first() else {
            return Err(Error::NoLab);
        };
        let labs = saved::usable(root, engine)?;
        let (mut with, without): (Vec<Self>, Vec<Self>) =
            labs.into_iter().partition(|lab| lab.host(first).is_ok());
        if let Some((host, command)) = rest.split_first() {
            let all = with.iter().chain(&without);
            if let Some(lab) = all.into_iter().find(|lab| lab.name == *first) {
                return Ok((lab.clone(), host, command));
            }
        }
        match (with.pop(), with.len()) {
            (Some(lab), 0) => Ok((lab, first, rest)),
            (Some(lab), _) => Err(Error::SeveralLabs {
                host: first.clone(),
                labs: with
                    .iter()
                    .chain([&lab])
                    .map(|lab| lab.name.clone())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            (None, _) if without.is_empty() => Err(Error::NoLab),
            (None, _) => Err(Error::NoSuchHost {
                lab: without
                    .iter()
                    .map(|lab| lab.name.clone())
                    .collect::<Vec<_>>()
                    .join("`, `"),
                host: first.clone(),
            }),
        }
    }

    /// The one lab that there is.
    pub fn only(root: &Path, engine: &EngineSpec) -> Result<Self, Error> {
        let mut labs = saved::usable(root, engine)?;
        match (labs.pop(), labs.len()) {
            (Some(lab), 0) => Ok(lab),
            (Some(_), _) => Err(Error::WhichLab),
            (None, _) => Err(Error::NoLab),
        }
    }

    /// Every lab that this machine has, also what a killed run left of one.
    pub fn list(root: &Path, engine: &EngineSpec) -> Result<Vec<Listed>, Error> {
        saved::list(root, engine)
    }

    /// Removes a lab's hosts, network and files, whole or half made.
    pub fn down(root: &Path, engine: &EngineSpec, name: &str) -> Result<(), Error> {
        saved::down(root, engine, name)
    }

    /// Removes every lab of krun's and returns their names.
    pub fn down_all(root: &Path, engine: &EngineSpec) -> Result<Vec<String>, Error> {
        saved::down_all(root, engine)
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Result<&Host, Error> {
        self.hosts
            .iter()
            .find(|host| host.name == name)
            .ok_or_else(|| Error::NoSuchHost {
                lab: self.name.clone(),
                host: name.to_owned(),
            })
    }

    /// A file for `ssh -F` under which the hosts answer to their names, and nothing else does.
    pub fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    /// The hosts' keys, under name and address.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// Where runs on this lab keep what later ones must know; goes with the lab.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The private key that every login of the lab accepts.
    pub fn identity(&self) -> PathBuf {
        self.dir.join("id_ed25519")
    }

    /// The certificate authority that the hosts trust.
    pub fn authority(&self) -> Authority {
        Authority::at(&self.dir)
    }

    /// OpenSSH, set up to reach one host; arguments may follow.
    pub fn ssh(&self, host: &str) -> Result<Command, Error> {
        let host = self.host(host)?;
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.ssh_config()).arg(&host.name);
        Ok(command)
    }
}

impl Display for Lab {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .hosts
            .iter()
            .map(|host| host.name.len())
            .max()
            .unwrap_or(0);
        for host in &self.hosts {
            writeln!(out, "{:width$}  {}", host.name, host.address)?;
        }
        write!(out, "ssh -F {} HOST", self.ssh_config().display())
    }
}
