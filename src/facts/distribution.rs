//! Turns `/etc/os-release` and its relatives into the distribution's names, and into how it manages packages and services.

use super::{Facts, exists, line, map, text};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use std::path::Path;

/// `ID` of os-release, Ansible's name, its family.
const KNOWN: &[(&str, &str, &str)] = &[
    ("debian", "Debian", "Debian"),
    ("ubuntu", "Ubuntu", "Debian"),
    ("raspbian", "Debian", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("kali", "Kali", "Debian"),
    ("pop", "Pop!_OS", "Debian"),
    ("devuan", "Devuan", "Debian"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("fedora", "Fedora", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("amzn", "Amazon", "RedHat"),
    ("scientific", "Scientific", "RedHat"),
    ("virtuozzo", "Virtuozzo", "RedHat"),
    ("openeuler", "openEuler", "RedHat"),
    ("sles", "SLES", "Suse"),
    ("sled", "SLED", "Suse"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("alpine", "Alpine", "Alpine"),
    ("arch", "Archlinux", "Archlinux"),
    ("manjaro", "Manjaro", "Archlinux"),
    ("gentoo", "Gentoo", "Gentoo"),
    ("flatcar", "Flatcar", "Flatcar"),
];

/// What the files say of the distribution.
#[derive(Debug, PartialEq, Eq)]
struct Distribution {
    name: String,
    family: String,
    version: String,
    release: String,
}

/// Reads `NAME="value"` lines.
fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| {
            let value = value.trim();
            let bare = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .or_else(|| {
                    value
                        .strip_prefix('\'')
                        .and_then(|value| value.strip_suffix('\''))
                });
            (
                name.trim().to_owned(),
                bare.unwrap_or(value).replace("\\\"", "\""),
            )
        })
        .collect()
}

fn of<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let found = pairs.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value)
}

fn parse(os_release: &str, debian_version: &str, redhat_release: &str) -> Distribution {
    let pairs = assignments(os_release);
    let id = of(&pairs, "ID").to_lowercase();
    let known = KNOWN.iter().find(|(known, _, _)| *known == id);
    let like = of(&pairs, "ID_LIKE").to_lowercase();
    let (name, family) = if let Some((_, name, family)) = known {
        ((*name).to_owned(), (*family).to_owned())
    } else {
        let kin = like.split_whitespace();
        let kin = kin.filter_map(|id| KNOWN.iter().find(|(known, _, _)| *known == id));
        let name = match of(&pairs, "NAME") {
            "" => "Linux",
            name => name,
        };
        let family = kin.map(|(_, _, family)| *family).next().unwrap_or(name);
        (name.to_owned(), family.to_owned())
    };
    let mut version = of(&pairs, "VERSION_ID").to_owned();
    let mut release = of(&pairs, "VERSION_CODENAME").to_owned();
    let debian_version = debian_version.trim();
    if id == "debian" && debian_version.starts_with(|c: char| c.is_ascii_digit()) {
        debian_version.clone_into(&mut version);
    } else if family == "RedHat" && !redhat_release.is_empty() {
        let word = redhat_release
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(word) = word.filter(|word| word.contains('.')) {
            version = match id.as_str() {
                "centos" => word.splitn(3, '.').take(2).collect::<Vec<_>>().join("."),
                _ => word.to_owned(),
            };
        }
        let open = redhat_release.find('(').map(|at| at + 1);
        let close = redhat_release.rfind(')');
        release = match (open, close) {
            (Some(open), Some(close)) if open < close => redhat_release[open..close].to_owned(),
            _ if redhat_release.contains("Stream") => "Stream".into(),
            _ => release,
        };
    }
    if release.is_empty() {
        let version = of(&pairs, "VERSION");
        let name = version
            .split_once('(')
            .and_then(|(_, rest)| rest.split(')').next());
        name.unwrap_or("NA").clone_into(&mut release);
    }
    Distribution {
        name,
        family,
        version: if version.is_empty() {
            "NA".into()
        } else {
            version
        },
        release,
    }
}

pub(super) fn gather(sys: &Sys, facts: &mut Facts) {
    let found = parse(
        &text(sys, "/etc/os-release"),
        &text(sys, "/etc/debian_version"),
        &text(sys, "/etc/redhat-release"),
    );
    let mut numbers = found.version.split('.');
    let major = numbers.next().unwrap_or_default().to_owned();
    if let Some(minor) = numbers.next() {
        facts.put("distribution_minor_version", minor);
    }
    facts.put("distribution", found.name.as_str());
    facts.put("distribution_release", found.release);
    facts.put("distribution_version", found.version);
    facts.put("distribution_major_version", major);
    let is_redhat = found.family == "RedHat" && exists(sys, "/etc/redhat-release");
    let path = if is_redhat {
        "/etc/redhat-release"
    } else {
        "/etc/os-release"
    };
    let variety = match found.name.as_str() {
        "Ubuntu" => "Debian",
        "Rocky" | "AlmaLinux" => "RedHat",
        name => name,
    };
    facts.put("distribution_file_path", path);
    facts.put("distribution_file_variety", variety);
    facts.put("distribution_file_parsed", true);
    facts.put("os_family", found.family);
}

/// Names what starts services: by the first process, else by what is installed.
pub(super) fn service_manager(sys: &Sys) -> String {
    let first = line(sys, "/proc/1/comm").unwrap_or_default();
    let is_offline = || {
        let init = sys.resolve(Path::new("/sbin/init")).unwrap_or_default();
        init.file_name().is_some_and(|name| name == "systemd")
    };
    if first == "systemd" || exists(sys, "/run/systemd/system") {
        return "systemd".into();
    }
    match first.as_str() {
        "runit-init" => "runit".into(),
        "svscan" => "svc".into(),
        "openrc-init" => "openrc".into(),
        "" | "init" | "sh" | "bash" | "sleep" | "COMMAND" => {
            if exists(sys, "/run/openrc") || exists(sys, "/sbin/openrc") {
                "openrc".into()
            } else if is_offline() {
                "systemd".into()
            } else if exists(sys, "/etc/init.d") {
                "sysvinit".into()
            } else {
                "service".into()
            }
        }
        other => other.to_owned(),
    }
}

/// Names the program that installs packages; `unknown` if none is there.
pub(super) fn package_manager(sys: &Sys) -> &'static str {
    const PROGRAMS: &[(&str, &str)] = &[
        ("/usr/bin/apt-get", "apt"),
        ("/usr/bin/dnf", "dnf"),
        ("/usr/bin/dnf-3", "dnf"),
        ("/usr/bin/microdnf", "dnf"),
        ("/usr/bin/dnf5", "dnf5"),
        ("/usr/bin/yum", "yum"),
        ("/usr/bin/zypper", "zypper"),
        ("/sbin/apk", "apk"),
        ("/usr/bin/pacman", "pacman"),
        ("/usr/bin/emerge", "portage"),
    ];
    // apt may be installed on a host of rpm packages; the other way round rpm is common on Debian.
    let is_rpm_host = exists(sys, "/etc/redhat-release") || exists(sys, "/etc/SuSE-release");
    let mut found = PROGRAMS.iter().filter(|(path, _)| exists(sys, path));
    let first = if is_rpm_host {
        found
            .clone()
            .find(|(_, name)| *name != "apt")
            .or_else(|| found.next())
    } else {
        found.next()
    };
    first.map_or("unknown", |(_, name)| name)
}

/// What `lsb_release` would say; empty where the host has neither it nor its file.
pub(super) fn lsb(sys: &Sys) -> Mapping {
    let own = assignments(&text(sys, "/etc/lsb-release"));
    let os = assignments(&text(sys, "/etc/os-release"));
    let has_program = exists(sys, "/usr/bin/lsb_release");
    let pick = |own_name: &str, fallback: String| match of(&own, own_name) {
        "" => fallback,
        value => value.to_owned(),
    };
    if own.is_empty() && !has_program {
        return Mapping::new();
    }
    let id = of(&os, "ID");
    let known = KNOWN.iter().find(|(known, _, _)| *known == id);
    let release = pick("DISTRIB_RELEASE", of(&os, "VERSION_ID").to_owned());
    let major = release.split('.').next().unwrap_or_default().to_owned();
    map([
        (
            "codename",
            Value::from(pick("DISTRIB_CODENAME", of(&os, "VERSION_CODENAME").into())),
        ),
        (
            "description",
            pick("DISTRIB_DESCRIPTION", of(&os, "PRETTY_NAME").into()).into(),
        ),
        (
            "id",
            pick(
                "DISTRIB_ID",
                known.map_or(id, |(_, name, _)| *name).to_owned(),
            )
            .into(),
        ),
        ("major_release", major.into()),
        ("release", release.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(os_release: &str, debian: &str, redhat: &str) -> (String, String, String, String) {
        let found = parse(os_release, debian, redhat);
        (found.name, found.family, found.version, found.release)
    }

    fn expected(
        name: &str,
        family: &str,
        version: &str,
        release: &str,
    ) -> (String, String, String, String) {
        (name.into(), family.into(), version.into(), release.into())
    }

    #[test]
    fn distributions_are_named_as_ansible_names_them() {
        let debian =
            "ID=debian\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\n";
        assert_eq!(
            seen(debian, "12.11\n", ""),
            expected("Debian", "Debian", "12.11", "bookworm")
        );
        assert_eq!(seen(debian, "trixie/sid\n", "").2, "12");
        let ubuntu = "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n";
        assert_eq!(
            seen(ubuntu, "bookworm/sid", ""),
            expected("Ubuntu", "Debian", "22.04", "jammy")
        );
        let rocky = "ID=\"rocky\"\nVERSION_ID=\"9.3\"\nID_LIKE=\"rhel centos fedora\"\n";
        let said = "Rocky Linux release 9.3 (Blue Onyx)";
        assert_eq!(
            seen(rocky, "", said),
            expected("Rocky", "RedHat", "9.3", "Blue Onyx")
        );
        let centos = "ID=\"centos\"\nVERSION_ID=\"7\"\n";
        let said = "CentOS Linux release 7.9.2009 (Core)";
        assert_eq!(
            seen(centos, "", said),
            expected("CentOS", "RedHat", "7.9", "Core")
        );
        let stream = "ID=\"centos\"\nVERSION_ID=\"9\"\n";
        let said = "CentOS Stream release 9";
        assert_eq!(
            seen(stream, "", said),
            expected("CentOS", "RedHat", "9", "Stream")
        );
        let amazon = "ID=\"amzn\"\nVERSION_ID=\"2\"\nVERSION=\"2\"\n";
        assert_eq!(
            seen(amazon, "", ""),
            expected("Amazon", "RedHat", "2", "NA")
        );
    }

    #[test]
    fn an_unknown_distribution_has_the_family_of_its_kin() {
        let text = "NAME='Our Linux'\nID=ours\nID_LIKE=\"rhel fedora\"\nVERSION_ID=1\n";
        assert_eq!(
            seen(text, "", ""),
            expected("Our Linux", "RedHat", "1", "NA")
        );
        assert_eq!(seen("", "", ""), expected("Linux", "Linux", "NA", "NA"));
    }
}
