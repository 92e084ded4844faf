//! `package_facts`: turns the package database of the host into the fact `packages`.

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::sys::process::Command;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;

const STATUS: &str = "/var/lib/dpkg/status";
const ARCHITECTURE: &str = "/var/lib/dpkg/arch";
const FORMAT: &str =
    "%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%|EPOCH?{%{EPOCH}}:{}|\\t%|ARCH?{%{ARCH}}:{}|\\n";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFacts {
    #[serde(default)]
    manager: Option<Vec<String>>,
    #[serde(default)]
    strategy: Strategy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    #[default]
    First,
    All,
}

/// Which database is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Rpm,
    Apt,
}

impl Module for PackageFacts {
    const NAME: &'static str = "package_facts";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "manager",
            ArgKind::StrList,
            "which databases to read: auto (default), apt, rpm (also dnf, yum, zypper)",
        ),
        Arg::new(
            "strategy",
            ArgKind::Str,
            "read the first that is there (default `first`), or `all`",
        )
        .choices(&["first", "all"]),
    ];
    const DOC: &'static str = "Gathers the installed packages into `ansible_facts.packages`: for each name a list, with `version`.\n\n    - package_facts:\n    - debug: msg=\"{{ ansible_facts.packages['openssl'][0].version }}\"\n      when: \"'openssl' in ansible_facts.packages\"\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let (mut packages, mut n_found) = (Mapping::new(), 0);
        for manager in self.managers()? {
            if self.strategy == Strategy::First && n_found > 0 {
                break;
            }
            let found = match manager {
                Manager::Apt => of_dpkg(sys)?,
                Manager::Rpm => of_rpm(sys)?,
            };
            if let Some(found) = found {
                n_found += 1;
                packages.extend(found);
            }
        }
        if n_found == 0 {
            let error = Error::new("this host has no package database that krun reads");
            return Err(error.help("it reads those of dpkg and rpm"));
        }
        sys.miss(|| "another package".into());
        let mut outcome = Outcome::new();
        let fact = (Value::from("packages"), Value::Mapping(packages));
        outcome.facts = [fact].into_iter().collect();
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl PackageFacts {
    fn managers(&self) -> Result<Vec<Manager>, Error> {
        let auto = ["auto".to_owned()];
        let mut managers = Vec::new();
        for name in self.manager.as_deref().unwrap_or(&auto) {
            match name.to_lowercase().as_str() {
                "auto" => managers.extend([Manager::Rpm, Manager::Apt]),
                "apt" => managers.push(Manager::Apt),
                "rpm" | "dnf" | "dnf5" | "yum" | "zypper" => managers.push(Manager::Rpm),
                _ => {
                    let error = Error::new(format!("krun cannot read the packages of `{name}`"));
                    return Err(error.help("`manager` is auto, apt or rpm"));
                }
            }
        }
        Ok(managers)
    }
}

fn of_dpkg(sys: &Sys) -> Result<Option<Mapping>, Error> {
    if !sys.exists(Path::new(STATUS))? {
        return Ok(None);
    }
    let read = |path: &str| -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&sys.read(Path::new(path))?).into_owned())
    };
    let status = read(STATUS)?;
    // Only a host with packages of a foreign architecture has this file, its own in the first line.
    let own = if sys.exists(Path::new(ARCHITECTURE))? {
        read(ARCHITECTURE)?.lines().next().map(str::to_owned)
    } else {
        None
    };
    Ok(Some(in_status(&status, own.as_deref())))
}

/// Reads dpkg's status file. A package of a foreign architecture is called `NAME:ARCHITECTURE`.
fn in_status(text: &str, own: Option<&str>) -> Mapping {
    let mut packages = Mapping::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = paragraph.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let (Some(name), Some(status)) = (field("Package"), field("Status")) else {
            continue;
        };
        if !status.ends_with(" installed") {
            continue;
        }
        let architecture = field("Architecture").unwrap_or_default();
        let is_foreign = own.is_some_and(|own| own != architecture) && architecture != "all";
        let name = if is_foreign {
            format!("{name}:{architecture}")
        } else {
            name.to_owned()
        };
        let entry = [
            ("name", Value::from(name.as_str())),
            ("version", field("Version").unwrap_or_default().into()),
            ("arch", architecture.into()),
            ("category", field("Section").unwrap_or_default().into()),
            ("source", "apt".into()),
        ];
        add(&mut packages, &name, entry);
    }
    packages
}

fn of_rpm(sys: &Sys) -> Result<Option<Mapping>, Error> {
    if !sys.is_host() || sys.program("rpm").is_none() {
        return Ok(None);
    }
    let argv = ["rpm", "-qa", "--qf", FORMAT];
    let output = tool::start(sys, &Command::tool(argv).only_reads(), &argv)?;
    if !output.success() {
        return Err(tool::failure(&argv, &output));
    }
    let packages = in_rpm(&output.stdout);
    // A Debian may have the program, and no database.
    Ok((!packages.is_empty()).then_some(packages))
}

/// Reads what `rpm -qa` prints in [`FORMAT`].
fn in_rpm(text: &str) -> Mapping {
    let mut packages = Mapping::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, version, release, epoch, architecture] = fields[..] else {
            continue;
        };
        let known = |text: &str| match text {
            "" => Value::Null,
            text => text.into(),
        };
        let entry = [
            ("name", Value::from(name)),
            ("version", version.into()),
            ("release", release.into()),
            (
                "epoch",
                epoch.parse::<u64>().map_or(Value::Null, Value::from),
            ),
            ("arch", known(architecture)),
            ("source", "rpm".into()),
        ];
        add(&mut packages, name, entry);
    }
    packages
}

fn add<const N: usize>(packages: &mut Mapping, name: &str, entry: [(&str, Value); N]) {
    let entry = entry.into_iter().map(|(key, value)| (key.into(), value));
    let entry = Value::Mapping(entry.collect());
    match packages.get_mut(name) {
        Some(Value::Sequence(versions)) => versions.push(entry),
        _ => drop(packages.insert(name.into(), Value::Sequence(vec![entry]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::Host;

    const DEBIAN: &str = "Package: bash\nStatus: install ok installed\nSection: shells\nArchitecture: amd64\nVersion: 5.2-1\n\n\
        Package: libc6\nStatus: install ok installed\nSection: libs\nArchitecture: amd64\nVersion: 2.36\n\n\
        Package: libc6\nStatus: install ok installed\nSection: libs\nArchitecture: i386\nVersion: 2.36\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";

    #[test]
    fn packages_of_dpkg_are_facts() {
        let files = [
            ("/var/lib/dpkg/status", DEBIAN),
            ("/var/lib/dpkg/arch", "amd64\ni386\n"),
        ];
        let host = Host::with("package_facts", &files);
        let outcome = host.run("{}").unwrap();
        let Value::Mapping(packages) = &outcome.facts["packages"] else {
            panic!("{outcome:?}");
        };
        let names: Vec<_> = packages.keys().filter_map(Value::as_str).collect();
        assert_eq!(names, ["bash", "libc6", "libc6:i386"]);
        assert_eq!(
            serde_json::to_string(&packages["bash"]).unwrap(),
            r#"[{"name":"bash","version":"5.2-1","arch":"amd64","category":"shells","source":"apt"}]"#
        );
    }

    #[test]
    fn several_versions_of_one_rpm_are_a_list() {
        let text = "kernel\t5.14.0\t427.el9\t\tx86_64\nkernel\t5.14.0\t503.el9\t\tx86_64\nbind\t9.16\t1.el9\t32\tx86_64\ngpg-pubkey\tfd431d51\t4ae0493b\t\t\n";
        let packages = in_rpm(text);
        assert_eq!(packages["kernel"][1]["release"], "503.el9");
        assert_eq!(packages["kernel"][0]["epoch"], Value::Null);
        assert_eq!(packages["bind"][0]["epoch"], 32);
        assert_eq!(packages["gpg-pubkey"][0]["arch"], Value::Null);
    }
}
