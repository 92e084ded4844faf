//! Turns traces of hypervisors and containers into the kind of machine that a host is.

use super::{Facts, exists, line, text};
use crate::sys::Sys;
use crate::value::Value;

/// What the board says, and the machine that says so.
const BOARDS: &[(&str, &str)] = &[
    ("KVM", "kvm"),
    ("KVM Server", "kvm"),
    ("Bochs", "kvm"),
    ("AHV", "kvm"),
    ("oVirt Node", "oVirt"),
    ("RHEV Hypervisor", "RHEV"),
    ("VMware", "VMware"),
    ("VirtualBox", "virtualbox"),
    ("OpenStack", "openstack"),
    ("HVM domU", "xen"),
    ("QEMU", "kvm"),
    ("Amazon EC2", "kvm"),
    ("Google", "kvm"),
    ("DigitalOcean", "kvm"),
    ("Hetzner", "kvm"),
    ("Microsoft Corporation", "VirtualPC"),
    ("Parallels", "parallels"),
    ("Xen", "xen"),
];

pub(super) fn gather(sys: &Sys, facts: &mut Facts) {
    let guest = guest(sys);
    let is_host = exists(sys, "/dev/kvm") || exists(sys, "/sys/module/kvm");
    let (kind, role) = match guest.first() {
        Some(kind) => (*kind, "guest"),
        None if is_host => ("kvm", "host"),
        None => ("NA", "NA"),
    };
    let list = |kinds: &[&str]| -> Vec<Value> { kinds.iter().map(|kind| (*kind).into()).collect() };
    facts.put("virtualization_type", kind);
    facts.put("virtualization_role", role);
    facts.put("virtualization_tech_guest", list(&guest));
    facts.put(
        "virtualization_tech_host",
        list(if is_host { &["kvm"] } else { &[] }),
    );
}

/// What the host runs in, the innermost first.
fn guest(sys: &Sys) -> Vec<&'static str> {
    let mut found = Vec::new();
    let groups = text(sys, "/proc/1/cgroup");
    let environment = text(sys, "/proc/1/environ");
    let container = environment
        .split('\0')
        .find_map(|entry| entry.strip_prefix("container="));
    let said = line(sys, "/run/systemd/container");
    match container.or(said.as_deref()) {
        Some("lxc") => found.push("lxc"),
        Some("podman") => found.push("podman"),
        Some("systemd-nspawn") => found.push("systemd-nspawn"),
        Some("docker") => found.push("docker"),
        Some(kind) if !kind.is_empty() => found.push("container"),
        _ => {}
    }
    let is_docker = exists(sys, "/.dockerenv")
        || groups
            .lines()
            .any(|l| l.contains("/docker/") || l.contains("/docker-"));
    if is_docker && !found.contains(&"docker") {
        found.push("docker");
    }
    if exists(sys, "/run/.containerenv") && !found.contains(&"podman") {
        found.push("podman");
    }
    if !found.is_empty() {
        found.push("container");
        found.dedup();
        return found;
    }
    let boards = [
        "product_name",
        "product_family",
        "sys_vendor",
        "bios_vendor",
    ];
    let boards = boards.map(|file| line(sys, &format!("/sys/class/dmi/id/{file}")));
    let known = boards.iter().flatten().find_map(|said| {
        let mut fitting = BOARDS.iter().filter(|(name, _)| said.starts_with(name));
        fitting.next().map(|(_, kind)| *kind)
    });
    found.extend(known);
    if found.is_empty() && exists(sys, "/proc/xen") {
        found.push("xen");
    }
    if found.is_empty() && text(sys, "/proc/cpuinfo").contains("QEMU Virtual CPU") {
        found.push("kvm");
    }
    let is_guest = || {
        let cpuinfo = text(sys, "/proc/cpuinfo");
        let mut flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
        flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
    };
    if found.is_empty() && is_guest() {
        found.push("kvm");
    }
    found
}
