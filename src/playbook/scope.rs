//! What a place in a playbook hands down to the tasks that stand in it.

use super::keywords::{self, Place};
use super::{Keywords, Role, Scope, Task};
use crate::diag::Diagnostics;
use crate::value::{Dict, Value};
use crate::yaml::{Kind, Map, Node, Vars};
use std::sync::Arc;

impl Keywords {
    /// Takes over what `map` says itself: the nearest keyword wins, environments and module defaults pile up.
    pub(crate) fn fold(&mut self, map: &Map) {
        let take = |into: &mut Option<Node>, name: &str| {
            if let Some(entry) = map.entries.get(name)
                && !entry.value.is_null()
            {
                *into = Some(entry.value.clone());
            }
        };
        take(&mut self.r#become, "become");
        take(&mut self.become_user, "become_user");
        take(&mut self.become_method, "become_method");
        take(&mut self.become_flags, "become_flags");
        take(&mut self.connection, "connection");
        take(&mut self.port, "port");
        take(&mut self.remote_user, "remote_user");
        take(&mut self.no_log, "no_log");
        take(&mut self.check_mode, "check_mode");
        take(&mut self.diff, "diff");
        take(&mut self.ignore_errors, "ignore_errors");
        take(&mut self.ignore_unreachable, "ignore_unreachable");
        take(&mut self.any_errors_fatal, "any_errors_fatal");
        take(&mut self.throttle, "throttle");
        take(&mut self.timeout, "timeout");
        take(&mut self.run_once, "run_once");
        take(&mut self.delegate_to, "delegate_to");
        take(&mut self.delegate_facts, "delegate_facts");
        pile(&mut self.environment, map, "environment");
        pile(&mut self.module_defaults, map, "module_defaults");
    }
}

/// Adds a value, or each of a list of values.
fn pile(into: &mut Vec<Node>, map: &Map, name: &str) {
    match map.entries.get(name).map(|entry| &entry.value) {
        Some(Node {
            kind: Kind::Seq(items),
            ..
        }) => into.extend(items.iter().cloned()),
        Some(node) if !node.is_null() => into.push(node.clone()),
        _ => {}
    }
}

impl Scope {
    /// Returns this scope with what a block, import or role entry adds, its `vars` included.
    pub(crate) fn within(&self, map: &Map, diagnostics: &mut Diagnostics) -> Self {
        let mut scope = self.clone();
        scope.fold(map);
        if let Some(entry) = map.entries.get("vars") {
            let vars = vars(&entry.value, diagnostics);
            if !vars.is_empty() {
                scope.block_vars.push(Arc::new(vars));
            }
        }
        scope
    }

    /// Takes over keywords, conditions, tags and notifications, but no variables.
    pub(crate) fn fold(&mut self, map: &Map) {
        self.keywords.fold(map);
        if let Some(entry) = map.entries.get("when") {
            self.when.extend(conditions(&entry.value));
        }
        if let Some(entry) = map.entries.get("tags") {
            self.add_tags(&entry.value);
        }
        if let Some(entry) = map.entries.get("notify") {
            self.notify.extend(list(&entry.value));
        }
    }

    pub(crate) fn add_tags(&mut self, node: &Node) {
        for tag in texts(node) {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
    }

    /// What the tasks of a dynamic include inherit: what stood around the include, its variables and its `apply`, but not its own keywords.
    pub(crate) fn of_include(
        task: &Task,
        params: Arc<Vars>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut scope = match &task.inherited {
            Some(scope) => scope.as_ref().clone(),
            None => Self {
                block_vars: task.block_vars.clone(),
                params: task.params.clone(),
                role: task.role.clone(),
                dir: task.dir.clone(),
                playbook_dir: task.playbook_dir.clone(),
                is_handler: task.is_handler,
                ..Self::default()
            },
        };
        if !task.vars.is_empty() {
            scope.block_vars.push(Arc::clone(&task.vars));
        }
        if !params.is_empty() {
            scope.params.push(params);
        }
        if let Some(map) = task.apply.as_ref().and_then(Node::as_map) {
            scope = scope.within(map, diagnostics);
        }
        scope
    }

    /// The variables that are known without a host: for the names of imported files.
    pub(crate) fn static_vars(&self, play_vars: &Vars) -> Dict {
        let mut known = Dict::new();
        let role = self.role.as_deref();
        if let Some(role) = role {
            known.extend(role.defaults.values.clone());
        }
        known.extend(play_vars.values.clone());
        if let Some(role) = role {
            known.extend(role.vars.values.clone());
            known.insert("role_name".into(), Value::String(role.name.clone()));
            let path = super::absolute(&role.path);
            known.insert("role_path".into(), Value::String(path));
        }
        for vars in self.block_vars.iter().chain(&self.params) {
            known.extend(vars.values.clone());
        }
        let dir = super::absolute(&self.playbook_dir);
        known.insert("playbook_dir".into(), Value::String(dir));
        known
    }

    /// Returns this scope inside a role.
    pub(crate) fn in_role(&self, role: &Arc<Role>, dir: &str) -> Self {
        let mut scope = self.clone();
        scope.role = Some(Arc::clone(role));
        scope.dir = role.path.join(dir);
        scope.is_handler = dir == "handlers";
        scope
    }
}

/// Returns one entry a condition.
pub(crate) fn conditions(node: &Node) -> Vec<Node> {
    list(node)
}

/// Returns the items of a list, or the one value, or nothing.
pub(crate) fn list(node: &Node) -> Vec<Node> {
    match &node.kind {
        Kind::Null => Vec::new(),
        Kind::Seq(items) => items.iter().flat_map(list).collect(),
        _ => vec![node.clone()],
    }
}

/// Returns texts, each split at commas unless a template holds them.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    let mut texts = Vec::new();
    for item in list(node) {
        let text = crate::value::display(&item.to_value());
        if keywords::is_template(&text) {
            texts.push(text);
            continue;
        }
        let parts = text.split(',').map(str::trim).filter(|t| !t.is_empty());
        texts.extend(parts.map(str::to_owned));
    }
    texts
}

/// Returns whether Ansible would take `name` for a variable.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads `vars:`: a mapping or, as books of 2021 write it, a list of mappings.
pub(crate) fn vars(node: &Node, diagnostics: &mut Diagnostics) -> Vars {
    let mut vars = Vars::default();
    match &node.kind {
        Kind::Null => {}
        Kind::Map(map) => {
            check_names(map, diagnostics);
            vars = Vars::from_map(map);
        }
        Kind::Seq(items) => {
            diagnostics.push(
                node.span
                    .warning("`vars` is a list, which today's Ansible refuses")
                    .help("write a mapping: the same lines without the `-`"),
            );
            for item in items {
                match &item.kind {
                    Kind::Map(map) => {
                        check_names(map, diagnostics);
                        vars.extend(Vars::from_map(map));
                    }
                    Kind::Null => {}
                    _ => diagnostics.push(item.span.error(format!(
                        "`vars` must hold `name: value`, not {}",
                        keywords::shown(item)
                    ))),
                }
            }
        }
        Kind::Str(text) if keywords::is_template(text) => diagnostics.push(
            node.span
                .error("`vars` as a whole cannot be a template")
                .help("write a mapping whose values are templates"),
        ),
        _ => diagnostics.push(node.span.error(format!(
            "`vars` must be a mapping, not {}",
            keywords::shown(node)
        ))),
    }
    vars
}

fn check_names(map: &Map, diagnostics: &mut Diagnostics) {
    for (name, entry) in &map.entries {
        if !is_identifier(name) {
            diagnostics.push(
                entry
                    .key
                    .error(format!("`{name}` cannot be the name of a variable"))
                    .help("letters, digits and `_`, not beginning with a digit"),
            );
        }
    }
}

/// Renames the keywords of old Ansible, with a warning at each.
pub(crate) fn modernise(map: &Map, place: Place, diagnostics: &mut Diagnostics) -> Map {
    let mut modern = Map::default();
    for (name, entry) in &map.entries {
        let (mut entry, mut new) = (entry.clone(), name.as_str());
        match name.as_str() {
            "sudo" | "su" => new = "become",
            "sudo_user" | "su_user" => new = "become_user",
            "user" if place == Place::Play => new = "remote_user",
            "always_run" => {
                new = "check_mode";
                entry.value.kind = match crate::value::as_bool(&entry.value.to_value()) {
                    Some(true) => Kind::Bool(false),
                    _ => Kind::Null,
                };
            }
            "connection" if entry.value.as_str() == Some("localhost") => {
                let warning = entry
                    .value
                    .span
                    .warning("there is no connection `localhost`");
                diagnostics.push(warning.help("krun takes it for `local`"));
                entry.value.kind = Kind::Str("local".into());
            }
            _ => {}
        }
        if new != name && name != "user" {
            diagnostics.push(entry.key.warning(format!("`{name}` is old")).help(
                match name.as_str() {
                    "always_run" => "write `check_mode: no`".to_owned(),
                    _ => format!("write `{new}`"),
                },
            ));
        }
        modern.entries.insert(new.to_owned(), entry);
    }
    modern
}
