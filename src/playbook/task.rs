//! Turns a list of tasks into items: blocks kept where they rescue, imports expanded, everything inherited folded in.

use super::keywords::{self, Place, is_template, shown};
use super::load::Loader;
use super::module::{canonical, is_import, short};
use super::scope::{is_identifier, list, modernise, texts, vars};
use super::{Block, Item, Loop, LoopKind, Scope, Task};
use crate::diag::{Span, nearest};
use crate::modules;
use crate::value;
use crate::yaml::{Kind, Map, Node};
use std::sync::Arc;

/// The look-ups that `with_…` can name.
const LOOKUPS: &[&str] = &[
    "cartesian",
    "community.general.cartesian",
    "community.general.filetree",
    "community.general.flattened",
    "config",
    "csvfile",
    "dict",
    "env",
    "file",
    "fileglob",
    "filetree",
    "first_found",
    "flattened",
    "indexed_items",
    "ini",
    "inventory_hostnames",
    "items",
    "lines",
    "list",
    "nested",
    "password",
    "pipe",
    "random_choice",
    "sequence",
    "subelements",
    "template",
    "together",
    "url",
    "varnames",
    "vars",
];

const LOOP_CONTROL: &[&str] = &[
    "loop_var",
    "index_var",
    "label",
    "pause",
    "extended",
    "extended_allitems",
    "break_when",
];

impl Loader<'_> {
    /// Reads a list of tasks; `out` takes what they become.
    pub(crate) fn items(&mut self, node: &Node, scope: &Scope, out: &mut Vec<Item>) {
        match &node.kind {
            Kind::Null => {}
            Kind::Seq(items) => {
                for item in items {
                    self.item(item, scope, out);
                }
            }
            Kind::Map(map) if map.entries.contains_key("tasks") => {
                let fault = node
                    .span
                    .error("a file of tasks holds only the list of tasks");
                self.push(fault.help("remove the `tasks:` above it"));
            }
            _ => {
                let fault = node
                    .span
                    .error(format!("tasks must be a list, not {}", shown(node)));
                self.push(fault.help("begin each task with `- `"));
            }
        }
    }

    fn item(&mut self, node: &Node, scope: &Scope, out: &mut Vec<Item>) {
        let Some(map) = node.as_map() else {
            let fault = node
                .span
                .error(format!("a task must be a mapping, not {}", shown(node)));
            let first = node
                .as_str()
                .and_then(|text| text.split_whitespace().next());
            let fault = match first.filter(|word| modules::find(word).is_some()) {
                Some(word) => fault.help(format!("write a colon after the module: `{word}: …`")),
                None => fault,
            };
            return self.push(fault);
        };
        let is_block = ["block", "rescue", "always"]
            .iter()
            .any(|name| map.entries.contains_key(*name));
        if is_block {
            self.block(map, &node.span, scope, out);
        } else {
            self.task(map, &node.span, scope, out);
        }
    }

    fn block(&mut self, map: &Map, span: &Span, scope: &Scope, out: &mut Vec<Item>) {
        let map = &modernise(map, Place::Block, self.diagnostics);
        keywords::judge(map, Place::Block, self.diagnostics);
        for (name, entry) in &map.entries {
            if keywords::find(name, Place::Block).is_some() {
                continue;
            }
            if modules::find(name).is_some() || is_import(name) {
                let fault = entry
                    .key
                    .error(format!("the module `{name}` cannot stand beside `block`"));
                self.push(fault.help("put it into the block as a task of its own"));
            } else {
                keywords::unknown(name, &entry.key, Place::Block, self.diagnostics);
            }
        }
        self.warn_of_braces(map, &["when"]);
        let Some(body) = map.entries.get("block") else {
            let name = ["rescue", "always"]
                .into_iter()
                .find(|name| map.entries.contains_key(*name));
            let fault = span.error(format!("`{}` without a `block`", name.unwrap_or("rescue")));
            return self.push(fault.help("put the tasks that it belongs to under `block:`"));
        };
        let inner = scope.within(map, self.diagnostics);
        let mut part = |name: &str| {
            let mut items = Vec::new();
            if let Some(entry) = map.entries.get(name)
                && matches!(entry.value.kind, Kind::Seq(_))
            {
                self.items(&entry.value, &inner, &mut items);
            }
            items
        };
        let (block, rescue, always) = (part("block"), part("rescue"), part("always"));
        if rescue.is_empty() && always.is_empty() && !map.entries.contains_key("rescue") {
            out.extend(block);
            return;
        }
        out.push(Item::Block(Arc::new(Block {
            name: text_of(map, "name"),
            span: body.key.clone(),
            block,
            rescue,
            always,
        })));
    }

    fn task(&mut self, map: &Map, span: &Span, scope: &Scope, out: &mut Vec<Item>) {
        let place = if scope.is_handler {
            Place::Handler
        } else {
            Place::Task
        };
        let map = &modernise(map, place, self.diagnostics);
        keywords::judge(map, place, self.diagnostics);
        self.warn_of_braces(map, &["when", "changed_when", "failed_when", "until"]);
        if scope.is_handler {
            self.note_handler(map, scope);
        }
        let chosen = self.module(map, place, span);
        let looped = self.loop_of(map);
        let register = self.register(map);
        let Some(chosen) = chosen else { return };
        if short(&chosen.name) == "import_playbook" {
            let fault = chosen
                .key
                .error("`import_playbook` cannot stand in a list of tasks");
            return self.push(fault.help("put it at the top level of the playbook"));
        }
        let Some(arguments) = self.read_arguments(&chosen, map) else {
            return;
        };
        match short(&chosen.name) {
            "import_tasks" => {
                return self.import_tasks(map, &chosen, arguments, looped.as_ref(), scope, out);
            }
            "import_role" => {
                return self.import_role(map, &chosen, &arguments, looped.as_ref(), scope, out);
            }
            "include" if self.is_static_include(&chosen, &arguments, looped.as_ref()) => {
                return self.import_tasks(map, &chosen, arguments, None, scope, out);
            }
            _ => {}
        }
        let mut own = scope.clone();
        own.fold(map);
        if chosen.is_local {
            let host = Kind::Str("localhost".into());
            own.keywords.delegate_to = Some(Node::new(host, chosen.key.clone()));
        }
        let own_vars = map
            .entries
            .get("vars")
            .map(|entry| vars(&entry.value, self.diagnostics))
            .unwrap_or_default();
        let of = |name: &str| {
            let node = map.entries.get(name).map(|entry| &entry.value);
            node.filter(|node| !node.is_null()).cloned()
        };
        let is_include = matches!(canonical(&chosen.name), "include_tasks" | "include_role");
        let mut task = Task {
            name: text_of(map, "name"),
            span: span.clone(),
            id: text_of(map, "id"),
            needs: of("needs").map(|node| needs(&node)).unwrap_or_default(),
            barrier: of("barrier").is_some_and(|n| value::as_bool(&n.to_value()) == Some(true)),
            module: chosen.name.clone(),
            module_span: chosen.key.clone(),
            args: arguments.map,
            args_template: arguments.template,
            when: own.when,
            loop_: looped,
            register,
            until: of("until"),
            retries: of("retries"),
            delay: of("delay"),
            changed_when: of("changed_when"),
            failed_when: of("failed_when"),
            notify: own.notify,
            listen: of("listen").map(|node| texts(&node)).unwrap_or_default(),
            async_: of("async"),
            poll: of("poll"),
            keywords: own.keywords,
            tags: own.tags,
            apply: None,
            block_vars: own.block_vars,
            vars: Arc::new(own_vars),
            params: own.params,
            role: own.role,
            dir: own.dir,
            playbook_dir: own.playbook_dir,
            is_handler: scope.is_handler,
            inherited: is_include.then(|| Arc::new(scope.clone())),
        };
        if is_include && let Some(entry) = task.args.entries.shift_remove("apply") {
            task.apply = Some(entry.value);
        }
        self.judge_task(&mut task, map);
        out.push(Item::Task(Arc::new(task)));
    }

    /// Notes what a handler answers to, whether or not the rest of it is sound.
    fn note_handler(&mut self, map: &Map, scope: &Scope) {
        if let Some(name) = text_of(map, "name") {
            if let Some(role) = &scope.role {
                self.state.topics.push(format!("{} : {name}", role.name));
            }
            self.state.topics.push(name);
        }
        if let Some(listen) = map.entries.get("listen") {
            self.state.topics.extend(texts(&listen.value));
        }
    }

    fn register(&mut self, map: &Map) -> Option<(String, Span)> {
        let node = map.entries.get("register").map(|entry| &entry.value)?;
        let name = node.as_str()?;
        if !is_identifier(name) {
            let fault = node
                .span
                .error(format!("`{name}` cannot be the name of a variable"));
            self.push(fault.help("letters, digits and `_`, not beginning with a digit"));
            return None;
        }
        Some((name.to_owned(), node.span.clone()))
    }

    fn loop_of(&mut self, map: &Map) -> Option<Loop> {
        let mut loops = map
            .entries
            .iter()
            .filter(|(name, _)| *name == "loop" || name.starts_with("with_"));
        let control = map.entries.get("loop_control");
        let Some((name, entry)) = loops.next() else {
            if let Some(control) = control {
                let fault = control.key.warning("`loop_control` without a loop");
                self.push(fault.help("add `loop:`"));
            }
            return None;
        };
        if let Some((second, at)) = loops.next() {
            let fault = at.key.error(format!(
                "a task has one loop, this one has `{name}` and `{second}`"
            ));
            self.push(fault.label(entry.key.clone(), "the first loop"));
            return None;
        }
        let kind = match name.strip_prefix("with_") {
            None => LoopKind::Loop,
            Some(lookup) => {
                let lookup = short(lookup);
                if !LOOKUPS.contains(&lookup) {
                    let fault = entry.key.error(format!("unknown loop `{name}`"));
                    self.push(match nearest(lookup, LOOKUPS.iter().copied()) {
                        Some(near) => fault.help(format!("did you mean `with_{near}`?")),
                        None => fault.help("write `loop:` with a list"),
                    });
                    return None;
                }
                LoopKind::With(lookup.to_owned())
            }
        };
        if kind == LoopKind::Loop && matches!(entry.value.kind, Kind::Map(_) | Kind::Null) {
            let fault = entry.value.span.error(format!(
                "`loop` must be a list, not {}",
                shown(&entry.value)
            ));
            self.push(fault.help("for a mapping write `loop: \"{{ … | dict2items }}\"`"));
            return None;
        }
        let empty = Map::default();
        let control = control
            .and_then(|entry| entry.value.as_map())
            .unwrap_or(&empty);
        for (name, entry) in &control.entries {
            if !LOOP_CONTROL.contains(&name.as_str()) {
                let fault = entry
                    .key
                    .error(format!("unknown key `{name}` of `loop_control`"));
                self.push(fault.did_you_mean(name, LOOP_CONTROL.iter().copied()));
            }
        }
        let of = |name: &str| {
            let node = control.entries.get(name).map(|entry| &entry.value);
            node.filter(|node| !node.is_null()).cloned()
        };
        Some(Loop {
            kind,
            items: entry.value.clone(),
            span: entry.key.clone(),
            loop_var: self
                .loop_name(of("loop_var"))
                .unwrap_or_else(|| "item".into()),
            index_var: self.loop_name(of("index_var")),
            label: of("label"),
            pause: of("pause"),
            extended: of("extended").is_some_and(|n| value::as_bool(&n.to_value()) == Some(true)),
            lists_all: of("extended_allitems")
                .is_none_or(|n| value::as_bool(&n.to_value()) != Some(false)),
            break_when: of("break_when"),
        })
    }

    fn loop_name(&mut self, node: Option<Node>) -> Option<String> {
        let node = node?;
        let name = value::display(&node.to_value());
        if is_template(&name) || is_identifier(&name) {
            return Some(name);
        }
        let fault = format!("`{name}` cannot be the name of a variable");
        self.push(node.span.error(fault));
        None
    }

    /// `when: "{{ x }}"` works in krun, as it did in old Ansible.
    fn warn_of_braces(&mut self, map: &Map, names: &[&str]) {
        for name in names {
            let Some(entry) = map.entries.get(*name) else {
                continue;
            };
            for condition in list(&entry.value) {
                let text = condition.as_str().unwrap_or_default().trim();
                if text.starts_with("{{") && text.ends_with("}}") {
                    let warning = condition.span.warning(format!(
                        "`{name}` is an expression already, without `{{{{ }}}}`"
                    ));
                    let inner = text[2..text.len() - 2].trim();
                    let is_one = !inner.contains("}}");
                    self.push(if is_one {
                        warning.help(format!("write `{inner}`"))
                    } else {
                        warning
                    });
                }
            }
        }
    }
}

fn text_of(map: &Map, name: &str) -> Option<String> {
    let node = &map.entries.get(name)?.value;
    (!node.is_null()).then(|| value::display(&node.to_value()))
}

fn needs(node: &Node) -> Vec<(String, Span)> {
    list(node)
        .iter()
        .flat_map(|item| {
            texts(item)
                .into_iter()
                .map(|id| (id, item.span.clone()))
                .collect::<Vec<_>>()
        })
        .collect()
}
