//! `package`: hands a wish for packages to whichever manager the host has.

use super::apt::{self, Apt, STATES, State};
use super::args::{Arg, ArgKind};
use super::dnf::{self, Dnf};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    name: Vec<String>,
    #[serde(default)]
    state: State,
    #[serde(default, rename = "use")]
    manager: Option<String>,
}

/// The managers that krun knows.
#[derive(Debug, Clone, Copy)]
enum Manager {
    Apt,
    Dnf,
}

/// What the manager is to do.
#[derive(Debug)]
pub enum Change {
    Apt(Apt, apt::Change),
    Dnf(Dnf, dnf::Change),
}

impl Module for Package {
    const NAME: &'static str = "package";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "name",
            ArgKind::StrList,
            "packages, as the host's manager calls them",
        )
        .required()
        .aliases(&["pkg"]),
        Arg::new("state", ArgKind::Str, "present (default), latest or absent").choices(STATES),
        Arg::new(
            "use",
            ArgKind::Str,
            "apt, dnf or yum (default: what the host has)",
        ),
    ];
    const DOC: &'static str = "Installs, updates or removes packages by the manager that the host has.\n\n    - package:\n        name: chrony\n        state: present\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let (names, state) = (self.name.clone(), self.state);
        let (change, outcome) = match self.choose(sys)? {
            Manager::Apt => {
                let module = Apt::of(names, state);
                let found = module.check(sys)?;
                let change = found.change.map(|change| Change::Apt(module, change));
                (change, found.outcome)
            }
            Manager::Dnf => {
                let module = Dnf::of(names, state);
                let found = module.check(sys)?;
                let change = found.change.map(|change| Change::Dnf(module, change));
                (change, found.outcome)
            }
        };
        Ok(Found { change, outcome })
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        match change {
            Change::Apt(module, change) => module.apply(sys, change),
            Change::Dnf(module, change) => module.apply(sys, change),
        }
    }

    fn rehearse(&self, sys: &Sys, _: Change, seen: Outcome) -> Result<Outcome, Error> {
        // What a package brings, its scripts decide.
        if !seen.diffs.is_empty() {
            sys.leave_unknown();
        }
        Ok(seen)
    }
}

impl Package {
    /// The names that are to be there, where dnf is meant whatever the host is.
    pub(super) fn rpm_wanted(&self) -> Vec<String> {
        match self.manager.as_deref() {
            Some("dnf" | "dnf4" | "dnf5" | "yum") => {
                Dnf::of(self.name.clone(), self.state).wanted()
            }
            _ => Vec::new(),
        }
    }

    /// The names that are to be there, where apt is what a host of Debian has.
    pub(super) fn deb_wanted(&self) -> Vec<String> {
        match self.manager.as_deref() {
            None | Some("auto" | "apt") => Apt::of(self.name.clone(), self.state).wanted(),
            _ => Vec::new(),
        }
    }

    fn choose(&self, sys: &Sys) -> Result<Manager, Error> {
        match self.manager.as_deref() {
            None | Some("auto") => {}
            Some("apt") => return Ok(Manager::Apt),
            Some("dnf" | "dnf4" | "dnf5" | "yum") => return Ok(Manager::Dnf),
            Some(other) => {
                return Err(Error::new(format!(
                    "`use: {other}`: krun knows apt, dnf and yum"
                )));
            }
        }
        let exists = |path: &str| sys.exists(Path::new(path)).unwrap_or(false);
        let has_dnf = ["dnf", "dnf5", "microdnf", "yum"]
            .iter()
            .any(|name| sys.program(name).is_some());
        // A host of one kind may have the other's tools as well: its own database tells.
        let is_debian = exists("/var/lib/dpkg/status") && !exists("/etc/redhat-release");
        if is_debian {
            Ok(Manager::Apt)
        } else if has_dnf {
            Ok(Manager::Dnf)
        } else {
            let error = Error::new("this host has a package manager that krun does not know");
            Err(error.help("krun knows apt, dnf and yum; others can be called by `command`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::Host;

    #[test]
    fn a_debian_host_is_asked_by_dpkg() {
        let status = "Package: bash\nStatus: install ok installed\nVersion: 5\n";
        let host = Host::with("package", &[("/var/lib/dpkg/status", status)]);
        host.is_content_with("name: bash");
        host.is_content_with("{name: [nano], state: absent}");
        assert!(
            host.fails("{name: x, use: pkgng}")
                .contains("krun knows apt, dnf and yum")
        );
    }
}
