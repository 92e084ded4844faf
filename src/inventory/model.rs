//! Hosts, groups and how they hang together: what the inventory forms fill and everybody else asks.

use crate::diag::{Diagnostics, Source, Span};
use crate::value::{HostName, Value};
use crate::yaml::Vars;
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::vars_dir::VarsDir;

/// The names that mean this machine where the inventory does not define them.
pub(super) const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// One machine to manage.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// What the inventory itself says of it; `group_vars` and `host_vars` are not in here.
    pub vars: Vars,
    /// The source that named it first; `None` for hosts added while running.
    pub source: Option<PathBuf>,
    /// Where it was first named.
    pub span: Option<Span>,
}

/// A named set of hosts and of other groups.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its direct members, in the order written.
    pub hosts: IndexSet<HostName>,
    pub children: IndexSet<String>,
    pub parents: IndexSet<String>,
    /// What the inventory itself says of it.
    pub vars: Vars,
    /// `ansible_group_priority`: of groups at one depth the higher wins.
    pub priority: i64,
    /// The longest way down from `all`, which is 0.
    pub depth: usize,
    pub span: Option<Span>,
}

impl Group {
    fn new() -> Self {
        Self {
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            parents: IndexSet::new(),
            vars: Vars::default(),
            priority: 1,
            depth: 0,
            span: None,
        }
    }
}

/// All hosts and groups of a run.
#[derive(Debug, Clone)]
pub struct Inventory {
    pub hosts: IndexMap<HostName, Host>,
    /// Always has `all` and `ungrouped`.
    pub groups: IndexMap<String, Group>,
    /// The sources as the user named them.
    pub sources: Vec<String>,
    /// Directories with `group_vars` and `host_vars`: those of the sources, then those of playbooks.
    pub(super) source_dirs: Vec<VarsDir>,
    pub(super) playbook_dirs: Vec<VarsDir>,
    /// How many groups were there when the file in hand was begun.
    n_earlier_groups: usize,
    /// The source in hand, absolute: the `inventory_file` of its hosts.
    pub(super) current_source: Option<PathBuf>,
}

impl Default for Inventory {
    fn default() -> Self {
        let mut inventory = Self {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
            sources: Vec::new(),
            source_dirs: Vec::new(),
            playbook_dirs: Vec::new(),
            n_earlier_groups: 0,
            current_source: None,
        };
        inventory.add_group("all");
        inventory.add_group("ungrouped");
        // Neither can be below the other yet.
        let _ = inventory.add_child("all", "ungrouped");
        inventory
    }
}

/// A group that would contain itself, and by which way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group `{}` contains itself: {}", .way[0], .way.join(" → "))]
pub struct GroupCycle {
    pub way: Vec<String>,
}

impl Inventory {
    /// Adds a group; returns `false` if it was there.
    pub(super) fn add_group(&mut self, name: &str) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.into(), Group::new());
        true
    }

    pub(super) fn note_group(&mut self, name: &str, span: Span) {
        if let Some(group) = self.groups.get_mut(name) {
            group.span.get_or_insert(span);
        }
    }

    pub(super) fn begin_source(&mut self, path: Option<PathBuf>) {
        self.n_earlier_groups = self.groups.len();
        self.current_source = path;
    }

    /// The groups that other sources brought.
    pub(super) fn earlier_groups(&self) -> Vec<String> {
        let earlier = self.groups.keys().take(self.n_earlier_groups);
        earlier.cloned().collect()
    }

    /// Makes `child` a child of `parent`; both must be there.
    pub(super) fn add_child(&mut self, parent: &str, child: &str) -> Result<(), GroupCycle> {
        if child == "all" {
            let way = [child, parent, child].map(String::from).to_vec();
            return Err(GroupCycle { way });
        }
        if let Some(mut way) = self.way_down(child, parent) {
            way.insert(0, parent.into());
            return Err(GroupCycle { way });
        }
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.insert(child.into());
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent.into());
        }
        Ok(())
    }

    /// The chain of children that leads from one group to another, both included.
    fn way_down(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from: HashMap<&str, &str> = HashMap::new();
        let mut queue = vec![from];
        while let Some(name) = queue.pop() {
            if name == to {
                let mut way = vec![name.to_string()];
                let mut at = name;
                while at != from {
                    at = came_from[at];
                    way.push(at.into());
                }
                way.reverse();
                return Some(way);
            }
            let children = self.groups.get(name).into_iter().flat_map(|g| &g.children);
            for child in children {
                if child != from && !came_from.contains_key(child.as_str()) {
                    came_from.insert(child, name);
                    queue.push(child);
                }
            }
        }
        None
    }

    /// Adds a host, or only its membership if it is known already. The first port named counts.
    pub(super) fn declare_host(
        &mut self,
        name: &str,
        group: &str,
        port: Option<u16>,
        source: &Arc<Source>,
        span: &Span,
    ) {
        let path = self.current_source.clone();
        let path = path.unwrap_or_else(|| source.path.clone());
        let name: HostName = if let Some((known, _)) = self.hosts.get_key_value(name) {
            Arc::clone(known)
        } else {
            let mut host = Host {
                source: Some(path),
                span: Some(span.clone()),
                ..Host::default()
            };
            if let Some(port) = port {
                host.vars.values.insert("ansible_port".into(), port.into());
                host.vars.spans.insert("ansible_port".into(), span.clone());
            }
            let name: HostName = name.into();
            self.hosts.insert(Arc::clone(&name), host);
            name
        };
        if let Some(group) = self.groups.get_mut(group) {
            group.hosts.insert(name);
        }
    }

    pub(super) fn set_host_var(&mut self, host: &str, key: &str, value: Value, span: Span) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.vars.values.insert(key.into(), value);
            host.vars.spans.insert(key.into(), span);
        }
    }

    pub(super) fn set_group_var(
        &mut self,
        group: &str,
        key: &str,
        value: Value,
        span: Span,
        faults: &mut Diagnostics,
    ) {
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        if key == "ansible_group_priority" {
            let number = value.as_i64();
            match number.or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())) {
                Some(priority) => group.priority = priority,
                None => faults.push(span.error("`ansible_group_priority` must be an integer")),
            }
            return;
        }
        group.vars.values.insert(key.into(), value);
        group.vars.spans.insert(key.into(), span);
    }

    /// Restores the rules that hold after every change: all groups are under `all`, a host without
    /// a group is in `ungrouped` and no other is, and depths are right.
    pub(super) fn reconcile(&mut self) {
        let orphans: Vec<String> = self
            .groups
            .iter()
            .filter(|(name, group)| *name != "all" && group.parents.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for name in orphans {
            // A root cannot close a circle.
            let _ = self.add_child("all", &name);
        }
        let grouped: IndexSet<HostName> = self
            .groups
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "all" | "ungrouped"))
            .flat_map(|(_, group)| group.hosts.iter().cloned())
            .collect();
        let names: Vec<HostName> = self.hosts.keys().cloned().collect();
        if let Some(ungrouped) = self.groups.get_mut("ungrouped") {
            ungrouped.hosts.retain(|host| !grouped.contains(host));
            ungrouped
                .hosts
                .extend(names.into_iter().filter(|host| !grouped.contains(host)));
        }
        self.update_depths();
    }

    /// The longest way from `all`: groups are visited when all their parents have been.
    fn update_depths(&mut self) {
        let mut waiting: HashMap<String, usize> = self
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), group.parents.len()))
            .collect();
        let mut ready = vec!["all".to_string()];
        while let Some(name) = ready.pop() {
            let Some(group) = self.groups.get(&name) else {
                continue;
            };
            let below = group.depth + 1;
            for child in group.children.clone() {
                if let Some(group) = self.groups.get_mut(&child) {
                    group.depth = group.depth.max(below);
                }
                if let Some(n) = waiting.get_mut(&child) {
                    *n -= 1;
                    if *n == 0 {
                        ready.push(child);
                    }
                }
            }
        }
    }
}
