//! Turns what the kernel, the environment and the account files say into facts about the host and its user.

use super::{Facts, exists, line, map, text};
use crate::sys::Sys;
use crate::sys::process::{Command, own_environment};
use crate::value::{Mapping, Value};
use std::time::Duration;

pub(super) fn gather(sys: &Sys, facts: &mut Facts) {
    let kernel = |name: &str| line(sys, &format!("/proc/sys/kernel/{name}"));
    let nodename = kernel("hostname").or_else(|| line(sys, "/etc/hostname"));
    let nodename = nodename.unwrap_or_else(|| "localhost".into());
    let fqdn = fqdn(sys, &nodename);
    let hostname = nodename.split('.').next().unwrap_or_default();
    let domain = fqdn.split_once('.').map_or("", |(_, domain)| domain);
    facts.put("hostname", hostname);
    facts.put("domain", domain);
    facts.put("nodename", nodename.as_str());
    facts.put("system", "Linux");
    facts.put("kernel", kernel("osrelease").unwrap_or_default());
    facts.put("kernel_version", kernel("version").unwrap_or_default());
    let machine = nix::sys::utsname::uname();
    let machine = machine.map_or_else(
        |_| "x86_64".into(),
        |names| names.machine().to_string_lossy().into_owned(),
    );
    facts.put("machine", machine.as_str());
    facts.put("architecture", machine.as_str());
    facts.put("userspace_architecture", machine);
    facts.put("userspace_bits", "64");
    facts.put("fqdn", fqdn);
    if let Some(id) = line(sys, "/etc/machine-id").or_else(|| line(sys, "/var/lib/dbus/machine-id"))
    {
        facts.put("machine_id", id);
    }
}

/// The whole name: as the hosts file has it, else as the host's resolver says.
fn fqdn(sys: &Sys, nodename: &str) -> String {
    if let Some(name) = canonical(&text(sys, "/etc/hosts"), nodename) {
        return name;
    }
    if nodename.contains('.') || !sys.is_host() {
        return nodename.to_owned();
    }
    let ask = Command::tool(["getent", "hosts", nodename]).limit(Duration::from_secs(2));
    let answer = sys.run(&ask).map(|output| output.stdout);
    canonical(&answer.unwrap_or_default(), nodename).unwrap_or_else(|| nodename.to_owned())
}

/// The first name with a dot in the line of the hosts file that has this name, else the line's first.
fn canonical(hosts: &str, name: &str) -> Option<String> {
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let mut lines = lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let names = lines.find(|names| names.contains(&name))?;
    let whole = names.iter().find(|name| name.contains('.'));
    whole.or(names.first()).map(|name| (*name).to_owned())
}

pub(super) fn user(sys: &Sys, facts: &mut Facts) {
    use nix::unistd::{getegid, geteuid, getgid, getuid};
    let uid = geteuid().as_raw();
    if let Ok(Some(user)) = sys.user_numbered(uid) {
        facts.put("user_id", user.name);
        facts.put("user_gid", user.gid);
        facts.put("user_gecos", user.comment);
        facts.put("user_dir", user.home);
        facts.put("user_shell", user.shell);
    } else {
        facts.put("user_id", uid.to_string());
        facts.put("user_gid", getegid().as_raw());
        facts.put("user_dir", sys.variable("HOME").unwrap_or_default());
    }
    facts.put("user_uid", uid);
    facts.put("real_user_id", getuid().as_raw());
    facts.put("effective_user_id", uid);
    facts.put("real_group_id", getgid().as_raw());
    facts.put("effective_group_id", getegid().as_raw());
}

/// The environment of the agent and, over it, of the task.
pub(super) fn environment(sys: &Sys) -> Mapping {
    let all = own_environment().iter().chain(sys.environment());
    all.map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())))
        .collect()
}

pub(super) fn date_time(now: &jiff::Zoned) -> Mapping {
    let utc = now.with_time_zone(jiff::tz::TimeZone::UTC);
    let local = |format: &str| Value::from(now.strftime(format).to_string());
    let of_utc = |format: &str| Value::from(utc.strftime(format).to_string());
    let epoch = now.timestamp().as_second().to_string();
    map([
        ("date", local("%Y-%m-%d")),
        ("day", local("%d")),
        ("epoch", epoch.clone().into()),
        ("epoch_int", epoch.into()),
        ("hour", local("%H")),
        ("iso8601", of_utc("%Y-%m-%dT%H:%M:%SZ")),
        ("iso8601_basic", local("%Y%m%dT%H%M%S%6f")),
        ("iso8601_basic_short", local("%Y%m%dT%H%M%S")),
        ("iso8601_micro", of_utc("%Y-%m-%dT%H:%M:%S.%6fZ")),
        ("minute", local("%M")),
        ("month", local("%m")),
        ("second", local("%S")),
        ("time", local("%H:%M:%S")),
        ("tz", local("%Z")),
        ("tz_dst", local("%Z")),
        ("tz_offset", local("%z")),
        ("weekday", local("%A")),
        ("weekday_number", local("%w")),
        ("weeknumber", local("%W")),
        ("year", local("%Y")),
    ])
}

pub(super) fn command_line(sys: &Sys, facts: &mut Facts) {
    let words = text(sys, "/proc/cmdline");
    facts.put("cmdline", boot_options(&words, false));
    facts.put("proc_cmdline", boot_options(&words, true));
}

/// Reads the kernel's options; one that is given several times keeps its last value, or all of them as a list.
fn boot_options(words: &str, keep_all: bool) -> Mapping {
    let mut found = Mapping::new();
    for word in words.split_whitespace() {
        let Some((name, value)) = word.split_once('=') else {
            found.insert(word.into(), true.into());
            continue;
        };
        let before = found.get(name).cloned().filter(|_| keep_all);
        let value = match before {
            Some(Value::Sequence(mut all)) => {
                all.push(value.into());
                all.into()
            }
            Some(first @ Value::String(_)) => vec![first, value.into()].into(),
            _ => Value::from(value),
        };
        found.insert(name.into(), value);
    }
    found
}

pub(super) fn selinux(sys: &Sys) -> Mapping {
    if !exists(sys, "/sys/fs/selinux/enforce") {
        return map([("status", "disabled".into())]);
    }
    let config = text(sys, "/etc/selinux/config");
    let setting = |name: &str| -> Value {
        let mut lines = config
            .lines()
            .filter_map(|line| line.trim().split_once('='));
        let found = lines.find(|(key, _)| *key == name);
        found.map_or("unknown", |(_, value)| value.trim()).into()
    };
    let enforces = line(sys, "/sys/fs/selinux/enforce").as_deref() == Some("1");
    let version = line(sys, "/sys/fs/selinux/policyvers").and_then(|n| n.parse::<u64>().ok());
    map([
        ("status", "enabled".into()),
        (
            "mode",
            if enforces { "enforcing" } else { "permissive" }.into(),
        ),
        ("config_mode", setting("SELINUX")),
        ("type", setting("SELINUXTYPE")),
        ("policyvers", version.map_or("unknown".into(), Value::from)),
    ])
}

pub(super) fn security(sys: &Sys, facts: &mut Facts) {
    let apparmor = exists(sys, "/sys/kernel/security/apparmor");
    let status = if apparmor { "enabled" } else { "disabled" };
    facts.put("apparmor", map([("status", status.into())]));
    facts.put(
        "fips",
        line(sys, "/proc/sys/crypto/fips_enabled").as_deref() == Some("1"),
    );
    facts.put("is_chroot", false);
}

pub(super) fn host_keys(sys: &Sys, facts: &mut Facts) {
    for kind in ["dsa", "rsa", "ecdsa", "ed25519"] {
        let Some(key) = line(sys, &format!("/etc/ssh/ssh_host_{kind}_key.pub")) else {
            continue;
        };
        let mut words = key.split_whitespace();
        if let (Some(name), Some(key)) = (words.next(), words.next()) {
            facts.put(&format!("ssh_host_key_{kind}_public"), key);
            facts.put(&format!("ssh_host_key_{kind}_public_keytype"), name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_comes_from_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n10.0.0.1 broker1 broker1.lab.test # b\n";
        assert_eq!(canonical(hosts, "broker1").unwrap(), "broker1.lab.test");
        assert_eq!(canonical(hosts, "localhost").unwrap(), "localhost");
        assert_eq!(canonical(hosts, "b"), None);
    }

    #[test]
    fn boot_options_keep_the_last_value_or_all() {
        let words = "quiet console=tty0 console=ttyS0 a=b=c\n";
        let last = boot_options(words, false);
        assert_eq!(last["console"], "ttyS0");
        assert_eq!(last["quiet"], true);
        assert_eq!(last["a"], "b=c");
        assert_eq!(boot_options(words, true)["console"][0], "tty0");
    }

    #[test]
    fn dates_read_as_in_ansible() {
        let at: jiff::Zoned = "2026-11-20T23:37:55.356216+01:00[+01:00]".parse().unwrap();
        let facts = date_time(&at);
        assert_eq!(facts["iso8601"], "2026-11-20T22:37:55Z");
        assert_eq!(facts["iso8601_basic"], "20261120T233755356216");
        assert_eq!(facts["weekday"], "Friday");
        assert_eq!(facts["weekday_number"], "5");
        assert_eq!(facts["weeknumber"], "46");
        assert_eq!(facts["tz_offset"], "+0100");
    }
}
