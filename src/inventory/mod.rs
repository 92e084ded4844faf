//! Turns inventory files into hosts and groups, and says which variables a host has and which hosts a pattern means.

pub mod connection;
mod ini;
mod literal;
mod load;
mod model;
pub mod pattern;
mod range;
mod script;
mod vars_dir;
mod words;
mod yaml_form;

pub use connection::Connection;
pub use load::{LoadOptions, load};
pub use model::{Group, GroupCycle, Host, Inventory};
pub use pattern::{Limit, PatternError, Unmatched};

use crate::diag::Diagnostics;
use crate::value::{Dict, HostName, Value};
use crate::yaml::Vars;
use indexmap::{IndexMap, IndexSet};
use model::LOCALHOST;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use vars_dir::VarsDir;

/// What adding a host or a membership while running has done.
#[derive(Debug, Default)]
pub struct Added {
    /// Whether anything is otherwise than before: the task's `changed`.
    pub changed: bool,
    /// Faults of `group_vars` and `host_vars` files that count only from now on.
    pub faults: Diagnostics,
}

impl Inventory {
    /// Returns the variables of a host, merged by Ansible's precedence (levels 3 to 10), with the
    /// place where each was defined. `localhost` and its addresses need not be in the inventory.
    pub fn vars(&self, host: &str) -> Vars {
        let mut vars = Vars::default();
        let groups = self.groups_by_precedence(host);
        let group_files = |dirs: &[VarsDir], names: &[&str]| {
            let mut found = Vars::default();
            for dir in dirs {
                for vars in names.iter().filter_map(|name| dir.group(name)) {
                    found.extend(vars.clone());
                }
            }
            found
        };
        for name in std::iter::once("all").chain(groups.iter().copied()) {
            if let Some(group) = self.groups.get(name) {
                vars.extend(group.vars.clone());
            }
        }
        vars.extend(group_files(&self.source_dirs, &["all"]));
        vars.extend(group_files(&self.playbook_dirs, &["all"]));
        vars.extend(group_files(&self.source_dirs, &groups));
        vars.extend(group_files(&self.playbook_dirs, &groups));
        vars.extend(self.own_vars(host));
        for dir in self.source_dirs.iter().chain(&self.playbook_dirs) {
            if let Some(found) = dir.host(host) {
                vars.extend(found.clone());
            }
        }
        vars
    }

    /// What the inventory itself says of a host, with `inventory_file` and `inventory_dir`.
    fn own_vars(&self, name: &str) -> Vars {
        let mut vars = Vars::default();
        let Some(host) = self.hosts.get(name) else {
            if LOCALHOST.contains(&name) {
                let local = Value::String("local".into());
                vars.values.insert("ansible_connection".into(), local);
            }
            return vars;
        };
        let text = |path: Option<&Path>| {
            path.map_or(Value::Null, |path| {
                Value::String(path.display().to_string())
            })
        };
        let file = host.source.as_deref();
        vars.values.insert("inventory_file".into(), text(file));
        // A list of hosts on the command line has no directory.
        let dir = file.and_then(Path::parent);
        let dir = text(dir.filter(|dir| !dir.as_os_str().is_empty()));
        vars.values.insert("inventory_dir".into(), dir);
        vars.extend(host.vars.clone());
        vars
    }

    /// Returns the names of all variables that any host may have from the inventory.
    pub fn all_vars_names(&self) -> BTreeSet<String> {
        let dirs = self.source_dirs.iter().chain(&self.playbook_dirs);
        let all = dirs
            .flat_map(VarsDir::all)
            .chain(self.groups.values().map(|group| &group.vars))
            .chain(self.hosts.values().map(|host| &host.vars));
        let mut names: BTreeSet<String> = all.flat_map(|v| v.values.keys().cloned()).collect();
        names.extend(["inventory_file".into(), "inventory_dir".into()]);
        names
    }

    /// Returns the host of that name; a localhost that is not in the inventory is made up.
    pub fn host(&self, name: &str) -> Option<Host> {
        match self.hosts.get(name) {
            Some(host) => Some(host.clone()),
            None => LOCALHOST.contains(&name).then(Host::default),
        }
    }

    /// Returns a group's hosts and those of the groups below it, nearer groups first.
    pub fn group_hosts(&self, name: &str) -> Vec<HostName> {
        let mut hosts: IndexSet<HostName> = IndexSet::new();
        let mut seen: IndexSet<&str> = IndexSet::from([name]);
        let mut next = 0;
        while let Some(name) = seen.get_index(next).copied() {
            next += 1;
            if let Some(group) = self.groups.get(name) {
                hosts.extend(group.hosts.iter().cloned());
                seen.extend(group.children.iter().map(String::as_str));
            }
        }
        hosts.into_iter().collect()
    }

    /// Returns the magic variable `groups`: every group's name with its hosts.
    pub fn groups_map(&self) -> IndexMap<String, Vec<HostName>> {
        let names = self.groups.keys();
        names
            .map(|name| (name.clone(), self.group_hosts(name)))
            .collect()
    }

    /// Returns the magic variable `group_names`: every group that the host is in, `all` excepted, sorted.
    pub fn group_names(&self, host: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .groups_by_precedence(host)
            .into_iter()
            .map(ToString::to_string)
            .collect();
        names.sort();
        names
    }

    /// The groups of a host without `all`: the later wins.
    fn groups_by_precedence(&self, host: &str) -> Vec<&str> {
        let direct = self.groups.iter().filter(|(_, g)| g.hosts.contains(host));
        let mut found: IndexSet<&str> = direct.map(|(name, _)| name.as_str()).collect();
        let mut next = 0;
        while let Some(name) = found.get_index(next).copied() {
            next += 1;
            if let Some(group) = self.groups.get(name) {
                found.extend(group.parents.iter().map(String::as_str));
            }
        }
        found.shift_remove("all");
        let mut found: Vec<&str> = found.into_iter().collect();
        found.sort_by_key(|name| {
            let group = self.groups.get(*name);
            (group.map(|g| (g.depth, g.priority)), *name)
        });
        found
    }

    /// Adds a host while running (`add_host`), makes it a member of `groups`, and sets its variables.
    pub fn add_host(&mut self, name: &str, groups: &[String], vars: Dict) -> Added {
        let mut added = Added::default();
        let host_name: HostName = if let Some((known, _)) = self.hosts.get_key_value(name) {
            Arc::clone(known)
        } else {
            added.changed = true;
            let host_name: HostName = name.into();
            self.hosts.insert(Arc::clone(&host_name), Host::default());
            self.report_host(name, &mut added.faults);
            host_name
        };
        if let Some(host) = self.hosts.get_mut(name) {
            for (key, value) in vars {
                added.changed |= host.vars.values.get(&key) != Some(&value);
                host.vars.spans.remove(&key);
                host.vars.values.insert(key, value);
            }
        }
        for group in groups {
            self.join(&host_name, group, &mut added);
        }
        if added.changed {
            self.reconcile();
        }
        added
    }

    /// Puts a host into a group while running (`group_by`); the group is made where it is missing.
    pub fn add_to_group(&mut self, host: &str, group: &str) -> Added {
        let mut added = Added::default();
        let name = self.hosts.get_key_value(host);
        let name = name.map_or_else(|| host.into(), |(name, _)| Arc::clone(name));
        self.join(&name, group, &mut added);
        if added.changed {
            self.reconcile();
        }
        added
    }

    /// Makes one group the child of another while running; both are made where they are missing.
    pub fn add_child_group(&mut self, parent: &str, child: &str) -> Result<Added, GroupCycle> {
        let mut added = Added::default();
        for name in [parent, child] {
            if self.add_group(name) {
                added.changed = true;
                self.report_group(name, &mut added.faults);
            }
        }
        let is_new = !self.groups[parent].children.contains(child);
        self.add_child(parent, child)?;
        added.changed |= is_new;
        self.reconcile();
        Ok(added)
    }

    fn join(&mut self, host: &HostName, group: &str, added: &mut Added) {
        if self.add_group(group) {
            added.changed = true;
            self.report_group(group, &mut added.faults);
        }
        if let Some(group) = self.groups.get_mut(group) {
            added.changed |= group.hosts.insert(Arc::clone(host));
        }
    }

    fn report_group(&self, name: &str, faults: &mut Diagnostics) {
        for dir in self.source_dirs.iter().chain(&self.playbook_dirs) {
            dir.report_group(name, faults);
        }
    }

    fn report_host(&self, name: &str, faults: &mut Diagnostics) {
        for dir in self.source_dirs.iter().chain(&self.playbook_dirs) {
            dir.report_host(name, faults);
        }
    }
}

#[cfg(test)]
mod tests;
