//! Turns an inventory and its plays into the hosts and logins that a lab must have, or into why it cannot have them.

use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{Inventory, Limit};
use crate::plan::Plan;
use crate::playbook::is_template;
use crate::value::{HostName, display};
use crate::yaml::Node;
use std::collections::BTreeSet;

/// What the lab must have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// In the inventory's order.
    pub hosts: Vec<HostName>,
    /// Who logs in, beside `root` and `krun`.
    pub users: BTreeSet<String>,
}

/// Logins that every host of a lab has.
const USUAL: [&str; 2] = ["root", "krun"];

/// Says what the lab must have. A host or task that is not behind ssh is a fault, unless it is this machine and
/// `allow_local` says that this is meant.
pub fn form(
    inventory: &Inventory,
    limit: Option<&Limit>,
    plans: &[&Plan],
    allow_local: bool,
    diagnostics: &mut Diagnostics,
) -> Form {
    let mut form = Form::default();
    let all: Vec<HostName> = inventory.hosts.keys().cloned().collect();
    let hosts = match limit {
        Some(limit) => inventory
            .limited(all, limit, &mut Vec::new())
            .unwrap_or_default(),
        None => all,
    };
    for host in hosts {
        let vars = inventory.vars(&host);
        let text = |name: &str| {
            let value = vars.values.get(name)?;
            Some(display(value)).filter(|text| !text.is_empty() && !is_template(text))
        };
        let connection = text("ansible_connection");
        match connection.as_deref().map(of_kind) {
            None | Some(Reached::Ssh) => {
                form.users.extend(
                    ["ansible_user", "ansible_ssh_user"]
                        .into_iter()
                        .filter_map(text),
                );
                form.hosts.push(host);
            }
            Some(Reached::Local) if allow_local => {}
            Some(kind) => {
                let what = format!(
                    "the host `{host}` has no lab form: its connection is `{}`",
                    connection.unwrap_or_default()
                );
                let fault = match vars.spans.get("ansible_connection") {
                    Some(span) => span.error(what),
                    None => Diagnostic::global(what),
                };
                diagnostics.push(fault.help(kind.way_out()));
            }
        }
    }
    for plan in plans {
        for play in &plan.plays {
            let tasks = play.steps.iter().filter_map(|step| step.task());
            let named =
                std::iter::once(&play.play.keywords).chain(tasks.map(|task| &task.keywords));
            let mut seen = BTreeSet::new();
            for keywords in named {
                form.users.extend(word(keywords.remote_user.as_ref()));
                let (here, kind) = match (&keywords.connection, &keywords.delegate_to) {
                    (_, Some(node)) if is_this_machine(node) => (node, Reached::Local),
                    (Some(node), _) => match node.as_str().map(of_kind) {
                        Some(kind) if kind != Reached::Ssh => (node, kind),
                        _ => continue,
                    },
                    _ => continue,
                };
                if (kind == Reached::Local && allow_local)
                    || !seen.insert((here.span.line, here.span.column))
                {
                    continue;
                }
                let what = "this would not be done on a host of the lab";
                diagnostics.push(here.span.error(what).help(kind.way_out()));
            }
            for task in play.steps.iter().filter_map(|step| step.task()) {
                // Of one with a condition only the run can tell whether it comes to that.
                let elsewhere = word(task.keywords.delegate_to.as_ref())
                    .filter(|name| task.when.is_empty() && !inventory.hosts.contains_key(&**name));
                if let (Some(name), Some(node)) = (elsewhere, &task.keywords.delegate_to)
                    && !is_this_machine(node)
                {
                    let what =
                        format!("`{name}` is no host of the lab, and nothing else is reached");
                    let help = "only hosts of the inventory are in the lab; leave the task out with `--skip-tags`";
                    diagnostics.push(node.span.error(what).help(help));
                }
            }
            let is_foreign = |host: &&HostName| !inventory.hosts.contains_key(&***host);
            let is_local = play
                .play
                .keywords
                .connection
                .as_ref()
                .and_then(Node::as_str)
                == Some("local");
            if let Some(host) = play.hosts.iter().flatten().find(is_foreign)
                && !allow_local
                && !is_local
            {
                let what = format!("`{host}` is this machine, which is no host of the lab");
                let fault = play.play.hosts.span.error(what);
                diagnostics.push(fault.help(Reached::Local.way_out()));
            }
        }
    }
    form.users.retain(|user| !USUAL.contains(&user.as_str()));
    form
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Ssh,
    Local,
    Otherwise,
}

impl Reached {
    fn way_out(self) -> &'static str {
        match self {
            Self::Local => {
                "`--allow-local` lets the rehearsal do it on this machine, as production would"
            }
            _ => "only hosts behind ssh can be rehearsed; leave it out with `--limit`",
        }
    }
}

fn of_kind(connection: &str) -> Reached {
    match connection.rsplit('.').next().unwrap_or(connection) {
        "ssh" | "smart" | "paramiko" | "paramiko_ssh" => Reached::Ssh,
        "local" | "localhost" => Reached::Local,
        _ => Reached::Otherwise,
    }
}

fn is_this_machine(node: &Node) -> bool {
    matches!(node.as_str(), Some("localhost" | "127.0.0.1" | "::1"))
}

fn word(node: Option<&Node>) -> Option<String> {
    let text = node?.as_str()?;
    (!is_template(text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory;
    use crate::plan;
    use crate::playbook::{self, LoadOptions};
    use crate::report::Paint;
    use crate::report::diagnostics::draw;
    use crate::template::Templar;
    use crate::value::{Dict, Value};
    use crate::vault::Vault;
    use std::fs;
    use std::path::Path;

    /// Reads both files in a directory of their own, and tells the form and the faults.
    fn formed(hosts: &str, playbook: &str, allow_local: bool) -> (Form, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("play.yml");
        fs::write(dir.path().join("hosts"), hosts).unwrap();
        fs::write(&path, playbook).unwrap();
        let mut diagnostics = Diagnostics::new();
        let options = inventory::LoadOptions {
            cwd: dir.path(),
            vault: &Vault::default(),
        };
        let inventory = inventory::load(&["hosts".to_owned()], &options, &mut diagnostics);
        let options = LoadOptions {
            roles_path: Vec::new(),
            render: &|text, _: &Dict| Ok(Value::from(text)),
            decrypt: None,
        };
        let playbook = playbook::load(Path::new(&path), &options, &mut diagnostics).unwrap();
        let (extra, templar) = (Dict::new(), Templar::new());
        let input = plan::Input {
            limit: None,
            selection: plan::Selection::default(),
            only_gates_guard: false,
            extra: &extra,
            templar: &templar,
        };
        let plan = plan::compile(&[playbook], &inventory, &input, &mut diagnostics);
        let form = form(&inventory, None, &[&plan], allow_local, &mut diagnostics);
        let faults = draw(&diagnostics, Paint { colour: false });
        (
            form,
            faults.replace(&format!("{}/", dir.path().display()), ""),
        )
    }

    #[test]
    fn what_would_be_done_on_a_host_that_no_lab_has_is_named_with_its_place() {
        let play = "- hosts: k1\n  tasks:\n    - command: id\n      delegate_to: db.prod\n    - command: id\n      delegate_to: k1\n    - command: id\n      delegate_to: \"{{ where }}\"\n    - command: id\n      delegate_to: db.prod\n      when: \"some_day | default(false)\"\n";
        let (_, faults) = formed("k1\n", play, true);
        insta::assert_snapshot!(faults);
    }

    #[test]
    fn hosts_and_logins_of_a_production_inventory_are_the_labs() {
        let hosts =
            "k1 ansible_host=10.1.1.1 ansible_user=ec2-user\nk2 ansible_user=\"{{ who }}\"\n";
        let play = "- hosts: all\n  remote_user: deploy\n  tasks:\n    - command: id\n      remote_user: root\n";
        let (form, faults) = formed(hosts, play, false);
        assert_eq!(faults, "");
        assert_eq!(form.hosts, [HostName::from("k1"), HostName::from("k2")]);
        let users: Vec<&str> = form.users.iter().map(String::as_str).collect();
        assert_eq!(users, ["deploy", "ec2-user"]);
    }

    #[test]
    fn what_is_not_behind_ssh_is_named_with_its_place_unless_it_is_meant() {
        let hosts = "k1\nhere ansible_connection=local\nbox ansible_connection=docker\n";
        let play = "- hosts: k1\n  tasks:\n    - command: id\n      delegate_to: localhost\n    - command: id\n      connection: local\n- hosts: localhost\n  tasks:\n    - command: id\n";
        let (form, faults) = formed(hosts, play, false);
        insta::assert_snapshot!(faults);
        assert_eq!(form.hosts, [HostName::from("k1")]);
        let (form, faults) = formed("k1\nhere ansible_connection=local\n", play, true);
        assert_eq!((form.hosts.len(), faults.as_str()), (1, ""));
    }
}
