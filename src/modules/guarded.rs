//! Turns an action into whether it may end what nobody can bring back, or what must not end everywhere at once.

use super::Action;
use crate::kafka::observe::short;
use crate::sys::Sys;
use std::path::PathBuf;

impl Action {
    /// Whether it removes a directory, if one is there.
    pub fn may_destroy(&self) -> bool {
        match self {
            Self::File(task) => task.removes(),
            Self::User(task) => task.removes_home(),
            _ => false,
        }
    }

    /// Whether it stops a service, or starts it anew.
    pub fn may_stop(&self) -> bool {
        match self {
            Self::Systemd(task) => task.stops(),
            Self::Service(task) => task.stops(),
            _ => false,
        }
    }
}

/// The modules of such actions.
pub const GUARDED: &[&str] = &["file", "user", "systemd", "service"];

/// What a process is of a cluster, if it is of one.
pub(super) fn clustered(sys: &Sys, pid: &str) -> Option<&'static str> {
    let path = PathBuf::from(format!("/proc/{}/cmdline", pid.parse::<u32>().ok()?));
    let words = sys.read(&path).ok()?;
    words.split(|byte| *byte == 0).find_map(|word| match word {
        b"kafka.Kafka" => Some("Kafka broker"),
        b"org.apache.zookeeper.server.quorum.QuorumPeerMain" => Some("ZooKeeper server"),
        _ => None,
    })
}

/// Partitions that would have too few replicas in sync without this process, as text; of anything but a broker none.
pub(super) fn short_without(sys: &Sys, pid: &str) -> Vec<String> {
    // In check mode another broker may be down by then, or up again.
    match pid.parse() {
        Ok(pid) if sys.overlay().is_none() => short::short_without(sys, pid),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::Host;

    #[test]
    fn process_of_a_cluster_is_known_by_its_main_class() {
        let host = Host::with(
            "systemd",
            &[
                (
                    "/proc/7/cmdline",
                    "java\0-cp\0x.jar\0kafka.Kafka\0server.properties\0",
                ),
                ("/proc/8/cmdline", "grep\0kafka.Kafka x\0"),
            ],
        );
        assert_eq!(clustered(&host.sys, "7"), Some("Kafka broker"));
        assert_eq!(clustered(&host.sys, "8"), None);
        assert_eq!(clustered(&host.sys, "0"), None);
        assert_eq!(clustered(&host.sys, ""), None);
    }

    #[test]
    fn what_may_destroy_or_stop_is_told_by_its_arguments() {
        let action = |module: &str, given: &str| {
            Action::new(module, serde_yaml::from_str(given).unwrap()).unwrap()
        };
        assert!(action("file", "{path: /a, state: absent}").may_destroy());
        assert!(!action("file", "{path: /a, state: directory}").may_destroy());
        assert!(action("user", "{name: a, state: absent, remove: yes}").may_destroy());
        assert!(!action("user", "{name: a, state: absent}").may_destroy());
        assert!(action("systemd", "{name: a, state: restarted}").may_stop());
        assert!(action("service", "{name: a, state: stopped}").may_stop());
        assert!(!action("service", "{name: a, state: started}").may_stop());
    }
}
