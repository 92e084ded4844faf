//! Keeps facts, and tells a fact's name from the names of Ansible's other variables: only a host could say a fact.

use super::foreseen::Foreseen;
use super::prepare::{Judged, Work};
use super::{Run, world};
use crate::modules::Action;
use crate::modules::diff::Content;
use crate::playbook::Task;
use crate::value::{HostName, Mapping, display};
use std::path::Path;

/// Begin with `ansible_` and come from inventories, playbooks or the controller.
const NOT_FACTS: &[&str] = &[
    "ansible_become",
    "ansible_check_mode",
    "ansible_connection",
    "ansible_diff_mode",
    "ansible_docker_",
    "ansible_failed_",
    "ansible_host",
    "ansible_index_var",
    "ansible_limit",
    "ansible_loop",
    "ansible_managed",
    "ansible_parent_role",
    "ansible_pass",
    "ansible_play",
    "ansible_podman_",
    "ansible_port",
    "ansible_private_key_file",
    "ansible_python_interpreter",
    "ansible_role",
    "ansible_run_tags",
    "ansible_scp_",
    "ansible_search_path",
    "ansible_sftp_",
    "ansible_shell_",
    "ansible_skip_tags",
    "ansible_ssh_",
    "ansible_sudo",
    "ansible_su_",
    "ansible_timeout",
    "ansible_user",
    "ansible_verbosity",
    "ansible_version",
];

/// Facts that begin as the names above.
const FACTS: &[&str] = &["ansible_hostname", "ansible_hostnqn", "ansible_user_"];

/// Brought by modules other than `setup`.
const OTHERS: &[&str] = &["ansible_facts", "kafka", "packages", "services"];

/// Whether only a host could say this.
pub(super) fn is_fact(name: &str) -> bool {
    let begins = |all: &[&str]| all.iter().any(|start| name.starts_with(start));
    OTHERS.contains(&name)
        || name.starts_with("getent_")
        || name.starts_with("ansible_") && (!begins(NOT_FACTS) || begins(FACTS))
}

/// The facts that a task brings, also where it could not.
fn names_of(work: &Work, facts: &Mapping) -> Vec<String> {
    let mut names: Vec<String> = facts.keys().map(display).collect();
    if let Work::Agent(action) = work
        && let Action::Getent(getent) = &**action
    {
        names.push(getent.fact());
    }
    names
}

/// How templates may call a fact: of `ansible_facts`, the part only.
fn called(name: &str) -> [String; 3] {
    let bare = name.strip_prefix("ansible_").unwrap_or(name);
    [
        bare.to_owned(),
        format!("ansible_{bare}"),
        format!("ansible_facts.{bare}"),
    ]
}

impl Run {
    /// Notes which of a host's facts nobody can say after a task, and which are known again.
    pub(super) fn note_unknown_facts(
        &self,
        host: &HostName,
        task: &Task,
        work: &Work,
        judged: &Judged,
    ) {
        let names = names_of(work, &judged.facts);
        if names.is_empty() {
            return;
        }
        let title = task.title();
        world::write(&self.world.host(host), |vars| {
            for name in names.iter().flat_map(|name| called(name)) {
                match &judged.unknown {
                    Some(cause) => {
                        let cause = format!("`{name}`, which `{title}` would bring ({cause})");
                        vars.unknown.insert(name, cause)
                    }
                    None => vars.unknown.remove(&name),
                };
            }
        });
    }

    /// Notes the files of this machine that a plan's task would change here.
    pub(super) fn foresee_files(&self, host: &HostName, task: &Task, judged: &Judged) {
        if !self.links.is_local(host) {
            return;
        }
        let is_known = judged.unknown.is_none();
        for diff in &judged.result.diffs {
            let path = Path::new(&diff.subject);
            if !path.is_absolute() || diff.is_attributes_only() {
                continue;
            }
            let foreseen = match &diff.content {
                Some(Content::Text { after, .. }) if is_known => {
                    Foreseen::Content(after.clone().into_bytes())
                }
                _ => Foreseen::Unknown,
            };
            let entries = diff.unpacked().filter(|_| is_known);
            match entries {
                Some(entries) => entries.for_each(|entry| {
                    let files = &self.world.foreseen;
                    files.note(&path.join(entry), Foreseen::Unknown, task.title());
                }),
                None => self.world.foreseen.note(path, foreseen, task.title()),
            }
        }
    }

    /// Adds what a task found to a host's facts, under their names without `ansible_`.
    pub(super) fn add_facts(&self, host: &HostName, facts: &Mapping) {
        if facts.is_empty() {
            return;
        }
        world::write(&self.world.host(host), |vars| {
            for (name, value) in facts {
                let name = display(name);
                vars.facts.insert(
                    name.strip_prefix("ansible_").unwrap_or(&name).to_owned(),
                    value.clone(),
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_host_is_reached_is_no_fact_and_what_it_is_called_is() {
        for name in [
            "ansible_host",
            "ansible_user",
            "ansible_ssh_common_args",
            "ansible_play_hosts",
            "kafka_home",
        ] {
            assert!(!is_fact(name), "{name}");
        }
        for name in [
            "ansible_hostname",
            "ansible_user_id",
            "ansible_default_ipv4",
            "ansible_os_family",
            "kafka",
        ] {
            assert!(is_fact(name), "{name}");
        }
    }
}
