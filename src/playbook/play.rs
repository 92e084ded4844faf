//! Turns one entry of a playbook into a play, or into the plays that it imports.

use super::keywords::{self, Place, is_template};
use super::load::{Loader, State};
use super::scope::{list, modernise, vars};
use super::{Item, Play, Scope, search, sources};
use crate::diag::{Span, nearest};
use crate::modules;
use crate::yaml::{Entry, Kind, Map, Node, Vars};
use std::path::Path;
use std::sync::Arc;

/// What an `import_playbook` hands to the plays of its file.
#[derive(Default, Clone)]
pub(crate) struct Around {
    when: Vec<Node>,
    tags: Vec<String>,
    vars: Vars,
}

const ORDERS: &[&str] = &[
    "inventory",
    "reverse_inventory",
    "sorted",
    "reverse_sorted",
    "shuffle",
    "kafka",
];
const STRATEGIES: &[&str] = &["linear", "free", "host_pinned", "debug"];

impl Loader<'_> {
    pub(crate) fn play_or_import(
        &mut self,
        node: &Node,
        dir: &Path,
        around: &Around,
        plays: &mut Vec<Play>,
    ) {
        let Some(map) = node.as_map() else {
            let fault = node.span.error(format!(
                "a play must be a mapping, not {}",
                keywords::shown(node)
            ));
            return self.push(fault.help("begin it with `- hosts: …`"));
        };
        let import = map.entries.iter().find(|(name, _)| {
            matches!(
                super::module::short(name),
                "import_playbook" | "include" | "playbook"
            )
        });
        match import {
            Some((name, entry)) if !map.entries.contains_key("hosts") => {
                self.import_playbook(map, name, entry, dir, around, plays);
            }
            _ => plays.extend(self.play(map, &node.span, dir, around)),
        }
    }

    fn import_playbook(
        &mut self,
        map: &Map,
        keyword: &str,
        entry: &Entry,
        dir: &Path,
        around: &Around,
        plays: &mut Vec<Play>,
    ) {
        if super::module::short(keyword) != "import_playbook" {
            let warning = entry
                .key
                .warning(format!("`{keyword}` of a playbook is old"));
            self.push(warning.help("write `import_playbook`"));
        }
        for (name, entry) in &map.entries {
            if name != keyword && !matches!(name.as_str(), "name" | "vars" | "when" | "tags") {
                let fault = entry
                    .key
                    .error(format!("`{name}` cannot stand beside `{keyword}`"));
                self.push(fault.help("it takes name, vars, when and tags"));
            }
        }
        let mut around = around.clone();
        let mut scope = Scope {
            playbook_dir: dir.to_owned(),
            ..Scope::default()
        };
        scope.fold(map);
        around.when.extend(scope.when.iter().cloned());
        around.tags.extend(scope.tags.iter().cloned());
        if let Some(entry) = map.entries.get("vars") {
            around.vars.extend(vars(&entry.value, self.diagnostics));
        }
        self.state.vars = Arc::new(around.vars.clone());
        let Some(text) = self.name(&entry.value, "the name of a playbook", &scope) else {
            return;
        };
        // The old form: `import_playbook: site.yml tags=x`.
        let name = match text.split_once(' ') {
            Some((name, rest)) if rest.contains('=') && !dir.join(&text).exists() => name,
            _ => text.as_str(),
        };
        let mut paths = vec![search::clean(&dir.join(name))];
        if let [_, _, playbook] = name.split('.').collect::<Vec<_>>()[..] {
            paths.push(search::clean(&dir.join(format!("{playbook}.yml"))));
        }
        if let Some(path) = self.existing(&paths, name, &entry.value.span) {
            self.playbook(&path, Some(&entry.value.span), &around, plays);
        }
    }

    fn play(&mut self, map: &Map, span: &Span, dir: &Path, around: &Around) -> Option<Play> {
        let map = &modernise(map, Place::Play, self.diagnostics);
        let is_task = self.judge_play_keys(map, span);
        keywords::judge(map, Place::Play, self.diagnostics);
        if is_task {
            return None;
        }
        let of = |name: &str| {
            let node = map.entries.get(name).map(|entry| &entry.value);
            node.filter(|node| !node.is_null()).cloned()
        };
        let hosts = self.hosts(map);
        self.judge_choice(map, "strategy", STRATEGIES);
        self.judge_choice(map, "order", ORDERS);
        self.judge_serial(map);

        let mut own_vars = map
            .entries
            .get("vars")
            .map(|entry| vars(&entry.value, self.diagnostics))
            .unwrap_or_default();
        own_vars.extend(around.vars.clone());
        self.state = State {
            vars: Arc::new(own_vars),
            is_of_this_machine: hosts.as_ref().is_some_and(sources::names_this_machine),
            ..State::default()
        };
        let mut scope = Scope {
            dir: dir.to_owned(),
            playbook_dir: dir.to_owned(),
            ..Scope::default()
        };
        scope.fold(map);
        scope.tags.extend(around.tags.iter().cloned());
        let keywords = scope.keywords.clone();
        let tags = scope.tags.clone();
        let play_handlers = Scope {
            is_handler: true,
            ..scope.clone()
        };
        scope.when.clone_from(&around.when);

        let pre_tasks = self.section(map, "pre_tasks", &scope);
        let roles = self.play_roles(map, &scope);
        let tasks = self.section(map, "tasks", &scope);
        let post_tasks = self.section(map, "post_tasks", &scope);
        let own_handlers = self.section(map, "handlers", &play_handlers);
        let mut handlers = std::mem::take(&mut self.state.role_handlers);
        handlers.extend(own_handlers);
        let vars_files = map
            .entries
            .get("vars_files")
            .map(|entry| match &entry.value.kind {
                Kind::Seq(items) => items.clone(),
                _ => list(&entry.value),
            })
            .unwrap_or_default();
        for node in &vars_files {
            self.judge_vars_file(node, &scope);
        }
        let hosts = hosts?;
        let name = of("name").map_or_else(
            || hosts.as_str().unwrap_or_default().to_owned(),
            |node| crate::value::display(&node.to_value()),
        );
        let play = Play {
            name,
            span: span.clone(),
            dir: dir.to_owned(),
            hosts,
            vars: Arc::clone(&self.state.vars),
            vars_files,
            vars_prompt: of("vars_prompt")
                .map(|node| list(&node))
                .unwrap_or_default(),
            gather_facts: of("gather_facts"),
            gather_subset: of("gather_subset"),
            serial: of("serial").map(|node| list(&node)).unwrap_or_default(),
            order: of("order"),
            strategy: of("strategy"),
            max_fail_percentage: of("max_fail_percentage"),
            force_handlers: of("force_handlers"),
            keywords,
            tags,
            pre_tasks,
            roles,
            tasks,
            post_tasks,
            handlers,
            role_list: std::mem::take(&mut self.state.roles),
        };
        if !self.state.may_gain_handlers {
            super::notify::judge(&play, &self.state.topics, self.diagnostics);
        }
        Some(play)
    }

    fn section(&mut self, map: &Map, name: &str, scope: &Scope) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(entry) = map.entries.get(name)
            && matches!(entry.value.kind, Kind::Seq(_))
        {
            self.items(&entry.value, scope, &mut items);
        }
        items
    }

    /// Reports unknown keys; returns whether this is a task that stands where a play should.
    fn judge_play_keys(&mut self, map: &Map, span: &Span) -> bool {
        let unknown: Vec<_> = map
            .entries
            .iter()
            .filter(|(name, _)| keywords::find(name, Place::Play).is_none())
            .collect();
        let has_hosts = map.entries.contains_key("hosts");
        let is_of_task = |name: &str| {
            modules::find(name).is_some()
                || super::module::is_import(name)
                || name.starts_with("with_")
                || matches!(name, "block" | "register" | "loop" | "notify" | "when")
        };
        if !has_hosts && unknown.iter().any(|(name, _)| is_of_task(name)) {
            self.push(
                span.error("a task stands where a play is expected")
                    .help("put it under the `tasks:` of a play, which begins with `- hosts: …`"),
            );
            return true;
        }
        let mut meant_hosts = false;
        for (name, entry) in unknown {
            if modules::find(name).is_some() && keywords::find(name, Place::Task).is_none() {
                let fault = entry
                    .key
                    .error(format!("the module `{name}` cannot stand in a play"));
                self.push(fault.help("put it under `tasks:`"));
                continue;
            }
            meant_hosts |= nearest(name, keywords::names(Place::Play)) == Some("hosts");
            keywords::unknown(name, &entry.key, Place::Play, self.diagnostics);
        }
        if !has_hosts && !meant_hosts {
            let fault = span.error("this play has no `hosts`");
            self.push(fault.help("add `hosts:` with a host, a group or `all`"));
        }
        false
    }

    fn hosts(&mut self, map: &Map) -> Option<Node> {
        let entry = map.entries.get("hosts")?;
        let value = &entry.value;
        let parts = list(value);
        if parts.is_empty() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            let fault = entry.key.error("`hosts` is empty");
            self.push(fault.help("name a host, a group or `all`"));
            return None;
        }
        if let Some(wrong) = parts.iter().find(|part| part.as_map().is_some()) {
            if value.as_map().is_none() {
                self.push(
                    wrong
                        .span
                        .error("a host pattern must be a string, not a mapping"),
                );
            }
            return None;
        }
        let texts: Vec<String> = parts
            .iter()
            .map(|part| crate::value::display(&part.to_value()))
            .collect();
        Some(Node::new(Kind::Str(texts.join(",")), value.span.clone()))
    }

    fn judge_choice(&mut self, map: &Map, name: &str, choices: &[&str]) {
        let value = map.entries.get(name).map(|entry| &entry.value);
        if let Some(text) = value.and_then(Node::as_str)
            && let Some(value) = value
            && !is_template(text)
            && !choices.contains(&text.rsplit('.').next().unwrap_or(text))
        {
            let fault = value.span.error(format!("unknown {name} `{text}`"));
            self.push(match nearest(text, choices.iter().copied()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("it is one of {}", choices.join(", "))),
            });
        }
    }

    fn judge_serial(&mut self, map: &Map) {
        let Some(entry) = map.entries.get("serial") else {
            return;
        };
        for part in list(&entry.value) {
            let fits = match &part.kind {
                Kind::Int(_) => true,
                Kind::Str(text) => {
                    is_template(text) || text.trim().trim_end_matches('%').parse::<f64>().is_ok()
                }
                _ => false,
            };
            if !fits {
                let fault = part.span.error(format!(
                    "`serial` must be a number of hosts or a percentage, not {}",
                    keywords::shown(&part)
                ));
                self.push(fault.help("write `serial: 1` or `serial: \"30%\"`"));
            }
        }
    }

    fn judge_vars_file(&mut self, node: &Node, scope: &Scope) {
        // An inner list means: the first of these that exists.
        let names: Vec<Node> = list(node);
        let literal: Vec<&str> = names.iter().filter_map(Node::as_str).collect();
        if literal.len() < names.len() || literal.iter().any(|name| is_template(name)) {
            return;
        }
        let paths: Vec<_> = literal
            .iter()
            .flat_map(|name| search::in_scope(scope, "vars", name))
            .collect();
        if let Some(path) = self.existing(&paths, &literal.join("`, `"), &node.span)
            && let Some(file) = self.read(&path, Some(&node.span))
            && !matches!(file.kind, Kind::Map(_) | Kind::Null)
        {
            let fault = file.span.error(format!(
                "a file of variables must hold a mapping, not {}",
                file.kind_name()
            ));
            self.push(fault);
        }
    }
}
