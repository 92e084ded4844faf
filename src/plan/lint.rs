//! Judges every template before any host is touched: its syntax, and that somebody could define each name it reads.

use super::{PlayPlan, Step, short_name};
use crate::diag::{Diagnostics, Span, nearest};
use crate::inventory::Inventory;
use crate::playbook::{Item, LoopKind, Play, Task, search_paths};
use crate::template::{Error, NameUse, SETTINGS, Setting, Templar, is_template};
use crate::value::{Dict, Value, display};
use crate::yaml::{Kind, Node, Vars};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names that krun defines itself; whatever begins with `ansible_` is taken to be a fact.
const MAGIC: &[&str] = &[
    "inventory_hostname",
    "inventory_hostname_short",
    "inventory_dir",
    "inventory_file",
    "groups",
    "group_names",
    "hostvars",
    "vars",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "play_hosts",
    "environment",
    "omit",
    "services",
    "packages",
    "ansible_managed",
    "template_path",
    "template_fullpath",
    "template_host",
    "template_uid",
    "template_mtime",
    "template_run_date",
    "template_destpath",
];

/// Judges all plays.
pub(super) fn check(
    plays: &[PlayPlan],
    inventory: &Inventory,
    extra: &Dict,
    templar: &Templar,
    diagnostics: &mut Diagnostics,
) {
    let global = Known::of_run(plays, inventory, extra);
    for play in plays {
        let known = global.within(&play.play);
        let of_handlers = known.with_left_out(&play.play);
        for task in tasks(play) {
            let known = if task.is_handler {
                &of_handlers
            } else {
                &known
            };
            Lint {
                templar,
                known,
                task,
                diagnostics,
            }
            .task();
        }
    }
}

fn tasks(play: &PlayPlan) -> impl Iterator<Item = &Arc<Task>> {
    play.steps
        .iter()
        .chain(play.handlers.list.iter().flat_map(|handler| &handler.steps))
        .filter_map(|step: &Arc<Step>| step.task())
}

/// Which names somebody could define, and the templates behind those that files define.
#[derive(Clone, Default)]
struct Known {
    names: HashSet<String>,
    /// What files say a variable is; read when the variable is.
    values: HashMap<String, Vec<(Value, Option<Span>)>>,
    /// Something read while running may define any name.
    anything: bool,
}

impl Known {
    /// What holds in every play: inventory, `-e`, and what tasks set anywhere.
    fn of_run(plays: &[PlayPlan], inventory: &Inventory, extra: &Dict) -> Self {
        let mut known = Self::default();
        known.names.extend(inventory.all_vars_names());
        known.names.extend(extra.keys().cloned());
        for host in inventory.hosts.keys() {
            known.add_values(&inventory.vars(host));
        }
        for task in plays.iter().flat_map(tasks) {
            known.add_results(task);
        }
        known
    }

    /// Adds what a task sets on its host.
    fn add_results(&mut self, task: &Task) {
        self.names
            .extend(task.register.iter().map(|(name, _)| name.clone()));
        match short_name(&task.module) {
            "set_fact" | "add_host" => {
                self.names.extend(task.args.entries.keys().cloned());
                self.anything |= task.args_template.is_some()
                    || task.args.entries.keys().any(|key| is_template(key));
            }
            "getent" => match task.arg("database").filter(|name| !is_template(name)) {
                Some(database) => drop(self.names.insert(format!("getent_{database}"))),
                None => self.anything = true,
            },
            "include_vars" | "include_tasks" | "include_role" | "include" => {
                self.anything = true;
            }
            _ => {}
        }
    }

    /// Adds what tasks would set that `--tags` leaves out: a handler runs only if one of them ran and notified it.
    fn with_left_out(&self, play: &Play) -> Self {
        let mut known = self.clone();
        let sections = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks];
        let mut items: Vec<&Item> = sections.into_iter().flatten().collect();
        while let Some(item) = items.pop() {
            match item {
                Item::Task(task) => known.add_results(task),
                Item::Block(block) => {
                    let parts = [&block.block, &block.rescue, &block.always];
                    items.extend(parts.into_iter().flatten());
                }
            }
        }
        known
    }

    /// Adds what a play and its roles define.
    fn within(&self, play: &Play) -> Self {
        let mut known = self.clone();
        known.add(&play.vars);
        for role in &play.role_list {
            known.add(&role.defaults);
            known.add(&role.vars);
        }
        for prompt in &play.vars_prompt {
            known.names.extend(
                prompt
                    .entry("name")
                    .and_then(Node::as_str)
                    .map(str::to_owned),
            );
        }
        for file in &play.vars_files {
            known.add_file(play, file);
        }
        known
    }

    fn add(&mut self, vars: &Vars) {
        self.names.extend(vars.values.keys().cloned());
        self.add_values(vars);
    }

    fn add_values(&mut self, vars: &Vars) {
        for (name, value) in &vars.values {
            let values = self.values.entry(name.clone()).or_default();
            let definition = (value.clone(), vars.spans.get(name).cloned());
            if !values.contains(&definition) {
                values.push(definition);
            }
        }
    }

    /// A file of variables whose name is known is read; any other may define anything.
    fn add_file(&mut self, play: &Play, file: &Node) {
        let read = file
            .as_str()
            .filter(|name| !is_template(name))
            .and_then(|name| {
                let path = [play.dir.join(name), play.dir.join("vars").join(name)]
                    .into_iter()
                    .find(|path| path.exists())?;
                let text = std::fs::read_to_string(&path).ok()?;
                crate::yaml::parse(
                    &crate::diag::Source::new(path, text),
                    &mut Diagnostics::new(),
                )
            });
        match read.as_ref().and_then(Node::as_map) {
            Some(map) => self.add(&Vars::from_map(map)),
            None => self.anything = true,
        }
    }
}

/// Judges one task.
struct Lint<'a> {
    templar: &'a Templar,
    known: &'a Known,
    task: &'a Task,
    diagnostics: &'a mut Diagnostics,
}

impl Lint<'_> {
    fn task(&mut self) {
        let task = self.task;
        let own = self.own_names();
        let mut guarded: HashSet<String> = HashSet::new();
        for when in &task.when {
            self.condition(when, &own, &mut guarded);
        }
        let own: HashSet<String> = own.into_iter().chain(guarded).collect();
        if let Some(loop_) = &task.loop_ {
            // `with_…` takes a bare name for a variable only in old dialects; a text is a text.
            let _ = matches!(loop_.kind, LoopKind::Loop);
            self.node(&loop_.items, &own);
        }
        let module = short_name(&task.module);
        let bare = |name: &str| module == "assert" && name == "that";
        for (name, entry) in &task.args.entries {
            if bare(name) {
                self.condition(&entry.value, &own, &mut HashSet::new());
            } else if !(module == "debug" && name == "var") {
                self.node(&entry.value, &own);
            }
        }
        for condition in [&task.until, &task.changed_when, &task.failed_when]
            .into_iter()
            .flatten()
        {
            self.condition(condition, &own, &mut HashSet::new());
        }
        if module == "template" {
            self.template_file(&own);
        }
    }

    /// Names that only this task sees.
    fn own_names(&self) -> HashSet<String> {
        let task = self.task;
        let mut names: HashSet<String> = HashSet::new();
        for vars in task
            .block_vars
            .iter()
            .chain(std::iter::once(&task.vars))
            .chain(&task.params)
        {
            names.extend(vars.values.keys().cloned());
        }
        if let Some(role) = &task.role {
            names.extend(
                role.defaults
                    .values
                    .keys()
                    .chain(role.vars.values.keys())
                    .cloned(),
            );
        }
        if let Some(loop_) = &task.loop_ {
            names.insert(loop_.loop_var.clone());
            names.extend(loop_.index_var.clone());
        }
        names
    }

    fn node(&mut self, node: &Node, own: &HashSet<String>) {
        match &node.kind {
            Kind::Str(text) if is_template(text) => match self.templar.check_syntax(text) {
                Err(error) => self.syntax(&error, &node.span),
                Ok(()) => self.uses(
                    self.templar.names(text),
                    own,
                    &node.span,
                    &mut HashSet::new(),
                ),
            },
            Kind::Seq(items) => items.iter().for_each(|item| self.node(item, own)),
            Kind::Map(map) => map
                .entries
                .values()
                .for_each(|entry| self.node(&entry.value, own)),
            _ => {}
        }
    }

    fn condition(&mut self, node: &Node, own: &HashSet<String>, guarded: &mut HashSet<String>) {
        match &node.kind {
            Kind::Str(text) => {
                if let Err(error) = self.templar.check_condition(text) {
                    self.syntax(&error, &node.span);
                } else {
                    let uses = self.templar.names_in_condition(text);
                    guarded.extend(
                        uses.iter()
                            .filter(|used| used.guarded)
                            .map(|used| used.name.clone()),
                    );
                    let own: HashSet<String> = own.iter().chain(guarded.iter()).cloned().collect();
                    self.uses(uses, &own, &node.span, &mut HashSet::new());
                }
            }
            Kind::Seq(items) => items
                .iter()
                .for_each(|item| self.condition(item, own, guarded)),
            _ => {}
        }
    }

    /// The text of a template whose name is known.
    fn template_file(&mut self, own: &HashSet<String>) {
        let Some(entry) = self.task.args.entries.get("src") else {
            return;
        };
        let Some(name) = entry.value.as_str().filter(|name| !is_template(name)) else {
            return;
        };
        let found = search_paths(self.task, "templates", name)
            .into_iter()
            .find_map(|path| Some((std::fs::read_to_string(&path).ok()?, path)));
        let Some((text, path)) = found else { return };
        let mut settings: Vec<Setting> = Vec::new();
        for key in SETTINGS {
            let Some(entry) = self.task.args.entries.get(*key) else {
                continue;
            };
            let value = display(&entry.value.to_value());
            if is_template(&value) {
                // Nobody knows yet how the file is to be read.
                return;
            }
            settings.push((*key, value));
        }
        let source = crate::diag::Source::new(path, text);
        if let Err(error) = self.templar.check_file(&source.text, &settings) {
            let span = Span::new(
                &source,
                error.line.unwrap_or(1),
                error.column.unwrap_or(1),
                error.length.unwrap_or(1),
            );
            return self.diagnostics.push(span.error(error.message.clone()));
        }
        for used in self.templar.names_in_file(&source.text, &settings) {
            let length = u32::try_from(used.name.chars().count()).unwrap_or(1);
            let span = Span::new(&source, used.line, used.column, length);
            self.uses(vec![used], own, &span, &mut HashSet::new());
        }
    }

    fn syntax(&mut self, error: &Error, at: &Span) {
        self.diagnostics.push(at.error(error.message.clone()));
    }

    /// Reports names that nobody could define, those behind the variables that are read included.
    fn uses(
        &mut self,
        uses: Vec<NameUse>,
        own: &HashSet<String>,
        at: &Span,
        seen: &mut HashSet<String>,
    ) {
        for used in uses.into_iter().filter(|used| !used.guarded) {
            let name = used.name.as_str();
            if own.contains(name)
                || name.starts_with("ansible_")
                || MAGIC.contains(&name)
                || !seen.insert(name.to_owned())
            {
                continue;
            }
            if let Some(values) = self.known.values.get(name) {
                for (value, span) in values.clone() {
                    let inner = templates(&value)
                        .into_iter()
                        .flat_map(|text| self.templar.names(&text))
                        .collect();
                    self.uses(inner, own, span.as_ref().unwrap_or(at), seen);
                }
            }
            if !self.known.names.contains(name)
                && !self.known.anything
                && self.task.keywords.ignore_errors.is_none()
            {
                let fault = place_of(name, at).error(format!("nothing defines `{name}`"));
                let help =
                    match nearest(name, self.known.names.iter().chain(own).map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!(
                            "define it, or write `{name} | default(…)` where it may be missing"
                        ),
                    };
                self.diagnostics.push(fault.help(help));
            }
        }
    }
}

/// All templates in a value.
fn templates(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if is_template(text) => vec![text.clone()],
        Value::Sequence(items) => items.iter().flat_map(templates).collect(),
        Value::Mapping(map) => map.iter().flat_map(|(_, value)| templates(value)).collect(),
        _ => Vec::new(),
    }
}

/// Where a name stands within the text at `span`, if it is on that line.
fn place_of(name: &str, span: &Span) -> Span {
    let line = span.source.line(span.line);
    let start = line
        .char_indices()
        .nth(span.column.saturating_sub(1) as usize)
        .map_or(0, |(offset, _)| offset);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |offset: &usize| {
        let (before, after) = (&line[..*offset], &line[offset + name.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    };
    let found = line[start..]
        .match_indices(name)
        .map(|(offset, _)| offset + start)
        .find(whole);
    match found {
        Some(offset) => {
            let column = u32::try_from(line[..offset].chars().count()).unwrap_or(0) + 1;
            Span::new(
                &span.source,
                span.line,
                column,
                u32::try_from(name.chars().count()).unwrap_or(1),
            )
        }
        None => span.clone(),
    }
}
