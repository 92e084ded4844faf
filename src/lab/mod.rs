//! Turns a list of names into hosts of this machine, each with a real systemd and a real sshd, and removes them again.
//!
//! Every host is a podman container of one Debian image (`image.sh`), on a private network of its lab.
//! Tried on a Debian 12 machine with hybrid control groups, and why it is so:
//! - **podman** boots systemd in 0.3 s a host, and a user's machine has it or can have it; `systemd-nspawn` works
//!   too, but needs root always and brings neither labels, nor networks, nor images. crun refuses hybrid control
//!   groups, so there the runtime is runc; podman's default limits are above what a confined root may set, so the
//!   limits are this process's own hard ones.
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
mod command;
mod engine;
mod error;
mod fault;
mod image;
mod lend;
mod saved;
mod seed;
mod up;

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

pub use authority::{Authority, Certificate};
pub use error::Error;
pub use saved::Listed;

/// What a lab shall be.
#[derive(Debug, Clone, Default)]
pub struct LabSpec {
    /// The lab's name: small letters, digits and `-`.
    pub name: String,
    /// The hosts' names, as the inventory has them. At most 200.
    pub hosts: Vec<String>,
    /// Further names that every host shall know, and their addresses.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Logins beside `root` and `krun`, which are always there; all but root have sudo without a password.
    pub users: Vec<String>,
    /// Debian packages beside the usual ones; another list is another image.
    pub packages: Vec<String>,
    /// Web sites that one more container of the lab stands in for, by HTTP and HTTPS.
    pub sites: Vec<Site>,
    /// Directories of one host that are in memory, for a small or unfriendly file system.
    pub tmpfs: Vec<Tmpfs>,
    /// Whether hosts reach beyond the lab. By default they do not.
    pub outbound: bool,
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

    /// Reads a lab that was made before.
    pub fn find(root: &Path, name: &str) -> Result<Self, Error> {
        saved::read(root, name)
    }

    /// Every lab that this machine has, also what a killed run left of one.
    pub fn list(root: &Path) -> Result<Vec<Listed>, Error> {
        saved::list(root)
    }

    /// Removes a lab's hosts, network and files, whole or half made.
    pub fn down(root: &Path, name: &str) -> Result<(), Error> {
        saved::down(root, name)
    }

    /// Removes every lab of krun's and returns their names.
    pub fn down_all(root: &Path) -> Result<Vec<String>, Error> {
        saved::down_all(root)
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
