//! Turns what an executable inventory prints (`--list`, as JSON) into groups and hosts.

use super::model::Inventory;
use crate::diag::{Diagnostic, Diagnostics, Source};
use crate::yaml::{self, Kind, Map, Node};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Runs `program --list` and reads its answer into `inventory`.
pub(super) fn read(
    shown: &Path,
    program: &Path,
    inventory: &mut Inventory,
    faults: &mut Diagnostics,
) {
    let Some((source, root)) = ask(shown, program, &["--list"], faults) else {
        return;
    };
    let mut script = Script {
        source: &source,
        inventory,
        faults,
    };
    for (name, entry) in &root.entries {
        if name != "_meta" {
            script.group(name, &entry.value);
        }
    }
    script.children(&root);
    if let Some(meta) = root.entries.get("_meta") {
        let hosts = meta.value.entry("hostvars").and_then(Node::as_map);
        for (host, vars) in hosts.into_iter().flat_map(|map| &map.entries) {
            script.host_vars(host, &vars.value);
        }
    } else {
        let names: Vec<_> = script.inventory.hosts.keys().cloned().collect();
        for host in names {
            if let Some((_, vars)) = ask(shown, program, &["--host", &host], script.faults) {
                let span = crate::diag::Span::start_of(&source);
                script.host_vars(&host, &Node::new(Kind::Map(vars), span));
            }
        }
    }
}

/// Runs the script; `None` behind a fault.
fn ask(
    shown: &Path,
    program: &Path,
    arguments: &[&str],
    faults: &mut Diagnostics,
) -> Option<(Arc<Source>, Map)> {
    let call = format!("{} {}", shown.display(), arguments.join(" "));
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            faults.push(Diagnostic::global(format!("cannot run `{call}`: {error}")));
            return None;
        }
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.trim().lines().last().unwrap_or("").to_string();
        let message = format!("`{call}` failed ({}): {last}", output.status);
        faults.push(Diagnostic::global(message));
        return None;
    }
    let source = Source::new(
        format!("<output of {call}>"),
        String::from_utf8_lossy(&output.stdout),
    );
    let node = yaml::parse(&source, faults)?;
    if let Kind::Map(map) = node.kind {
        Some((source, map))
    } else {
        let message = format!("expected a JSON object, found {}", node.kind_name());
        faults.push(node.span.error(message));
        None
    }
}

struct Script<'a> {
    source: &'a Arc<Source>,
    inventory: &'a mut Inventory,
    faults: &'a mut Diagnostics,
}

impl Script<'_> {
    fn group(&mut self, name: &str, node: &Node) {
        self.inventory.add_group(name);
        match &node.kind {
            Kind::Seq(hosts) => self.hosts(name, hosts),
            Kind::Map(map) => {
                if let Some(hosts) = node.entry("hosts") {
                    match hosts.as_seq() {
                        Some(hosts) => self.hosts(name, hosts),
                        None => self.wrong(hosts, "a list"),
                    }
                }
                if let Some(vars) = map.entries.get("vars") {
                    match vars.value.as_map() {
                        Some(vars) => self.group_vars(name, vars),
                        None => self.wrong(&vars.value, "a mapping"),
                    }
                }
            }
            _ => self.wrong(node, "a list of hosts or a mapping"),
        }
    }

    fn wrong(&mut self, node: &Node, expected: &str) {
        let message = format!("expected {expected}, found {}", node.kind_name());
        self.faults.push(node.span.error(message));
    }

    fn hosts(&mut self, group: &str, hosts: &[Node]) {
        for host in hosts {
            match host.as_str() {
                Some(name) => {
                    self.inventory
                        .declare_host(name, group, None, self.source, &host.span);
                }
                None => self.wrong(host, "a host's name"),
            }
        }
    }

    fn group_vars(&mut self, group: &str, vars: &Map) {
        for (name, entry) in &vars.entries {
            let (value, span) = (entry.value.to_value(), entry.value.span.clone());
            self.inventory
                .set_group_var(group, name, value, span, self.faults);
        }
    }

    fn children(&mut self, root: &Map) {
        for (parent, entry) in &root.entries {
            let children = entry.value.entry("children").and_then(Node::as_seq);
            for child in children.into_iter().flatten() {
                let Some(name) = child.as_str() else {
                    self.wrong(child, "a group's name");
                    continue;
                };
                self.inventory.add_group(name);
                if let Err(cycle) = self.inventory.add_child(parent, name) {
                    self.faults.push(child.span.error(cycle.to_string()));
                }
            }
        }
    }

    fn host_vars(&mut self, host: &str, vars: &Node) {
        let Some(map) = vars.as_map() else {
            self.wrong(vars, "a mapping");
            return;
        };
        for (name, entry) in &map.entries {
            let (value, span) = (entry.value.to_value(), entry.value.span.clone());
            self.inventory.set_host_var(host, name, value, span);
        }
    }
}
