//! Turns an inventory in Ansible's YAML form into groups and hosts.

use super::model::Inventory;
use super::range;
use crate::diag::{Diagnostics, Source, Span};
use crate::yaml::{Entry, Kind, Map, Node};
use std::sync::Arc;

/// What a group may have.
const GROUP_KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// Reads one parsed file into `inventory`; every fault becomes a diagnostic.
pub(super) fn read(
    source: &Arc<Source>,
    root: &Map,
    inventory: &mut Inventory,
    faults: &mut Diagnostics,
) {
    if let Some(plugin) = root.entries.get("plugin") {
        let name = plugin.value.as_str().unwrap_or("?").to_string();
        let message = format!("this configures the inventory plugin `{name}`, which krun has not");
        let help = "write the hosts as INI or YAML, or as a script that prints JSON";
        faults.push(plugin.key.error(message).help(help));
        return;
    }
    let mut form = Form {
        source,
        inventory,
        faults,
    };
    for (name, entry) in &root.entries {
        if GROUP_KEYS.contains(&name.as_str()) {
            let message = format!("`{name}` at the top level is read as a group of that name");
            let warning = entry.key.warning(message);
            form.faults.push(warning.help("put it under `all:`"));
        }
        form.group(name, entry);
    }
}

struct Form<'a> {
    source: &'a Arc<Source>,
    inventory: &'a mut Inventory,
    faults: &'a mut Diagnostics,
}

impl Form<'_> {
    fn group(&mut self, name: &str, entry: &Entry) {
        let map = match &entry.value.kind {
            Kind::Null => None,
            Kind::Map(map) => Some(map),
            other => {
                let message = format!(
                    "group `{name}` must be a mapping, found {}",
                    entry.value.kind_name()
                );
                // Ansible warns and goes on; a list, though, holds hosts that would be missing.
                let fault = match other {
                    Kind::Seq(_) => entry.value.span.error(message),
                    _ => entry.value.span.warning(format!("{message}: skipped")),
                };
                let help = "a group has `hosts:`, `vars:` and `children:`";
                self.faults.push(fault.help(help));
                return;
            }
        };
        self.inventory.add_group(name);
        self.inventory.note_group(name, entry.key.clone());
        for (key, part) in map.into_iter().flat_map(|map| &map.entries) {
            match key.as_str() {
                "vars" => self.vars(name, part),
                "children" => self.children(name, part),
                "hosts" => self.hosts(name, part),
                _ => self.unknown_key(name, key, &part.key),
            }
        }
    }

    fn unknown_key(&mut self, group: &str, key: &str, span: &Span) {
        let message = format!("unknown key `{key}` in group `{group}`");
        let near = span.error(&message).did_you_mean(key, GROUP_KEYS);
        // Ansible only warns; what is near a key was meant to be one, and its hosts would be missing.
        self.faults.push(if near.help.is_some() {
            near
        } else {
            span.warning(message)
                .help("a group has `hosts:`, `vars:` and `children:`; this is skipped")
        });
    }

    fn vars(&mut self, group: &str, part: &Entry) {
        for (name, entry) in self.entries("vars", group, part) {
            let span = entry.value.span.clone();
            let value = entry.value.to_value();
            self.inventory
                .set_group_var(group, &name, value, span, self.faults);
        }
    }

    fn children(&mut self, group: &str, part: &Entry) {
        for (name, entry) in self.entries("children", group, part) {
            self.group(&name, &entry);
            if !self.inventory.groups.contains_key(&name) {
                continue;
            }
            if let Err(cycle) = self.inventory.add_child(group, &name) {
                self.faults.push(entry.key.error(cycle.to_string()));
            }
        }
    }

    fn hosts(&mut self, group: &str, section: &Entry) {
        for (pattern, entry) in self.entries("hosts", group, section) {
            let vars = match &entry.value.kind {
                Kind::Null => None,
                Kind::Map(map) => Some(map),
                _ => {
                    let message = format!(
                        "the variables of host `{pattern}` must be a mapping, found {}",
                        entry.value.kind_name()
                    );
                    let mut fault = entry.value.span.error(message);
                    if let Some(address) = entry.value.as_str() {
                        let help = format!("write `{pattern}: {{ansible_host: {address}}}`");
                        fault = fault.help(help);
                    }
                    self.faults.push(fault);
                    None
                }
            };
            let (names, port) = match range::expand(&pattern) {
                Ok(expanded) => expanded,
                Err(error) => {
                    let mut span = entry.key.clone();
                    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                    // A quoted key has its quote in front.
                    let quote = span.length.saturating_sub(small(pattern.chars().count())) / 2;
                    span.column += small(error.offset) + quote;
                    span.length = small(error.length);
                    let mut fault = span.error(error.message);
                    fault.help = error.help;
                    self.faults.push(fault);
                    continue;
                }
            };
            for name in &names {
                self.inventory
                    .declare_host(name, group, port, self.source, &entry.key);
                for (key, var) in vars.into_iter().flat_map(|map| &map.entries) {
                    let value = var.value.to_value();
                    let span = var.value.span.clone();
                    self.inventory.set_host_var(name, key, value, span);
                }
            }
        }
    }

    /// The entries of one part of a group. A lone string is a name with nothing to say of it.
    fn entries(&mut self, part_name: &str, group: &str, part: &Entry) -> Vec<(String, Entry)> {
        match &part.value.kind {
            Kind::Null => Vec::new(),
            Kind::Map(map) => {
                let entries = map.entries.iter();
                entries.map(|(k, e)| (k.clone(), e.clone())).collect()
            }
            Kind::Str(name) => {
                let span = part.value.span.clone();
                let value = Node::new(Kind::Null, span.clone());
                vec![(name.clone(), Entry { key: span, value })]
            }
            _ => {
                let message = format!(
                    "`{part_name}` of group `{group}` must be a mapping, found {}",
                    part.value.kind_name()
                );
                let mut fault = part.value.span.error(message);
                if let Some(first) = part.value.as_seq().and_then(|items| items.first()) {
                    fault = fault.help(match first.as_str() {
                        Some(name) if part_name != "vars" => format!(
                            "write `{name}:` instead of `- {name}`, each on a line of its own"
                        ),
                        _ => "take away the `-` in front of each line".to_string(),
                    });
                }
                self.faults.push(fault);
                Vec::new()
            }
        }
    }
}
