//! Judges a task's arguments before any host is touched, wherever no template stands in the way: names, values, and files that must be there.

use super::freeform::RAW;
use super::include::tasks_kind;
use super::keywords::is_template;
use super::load::Loader;
use super::module::canonical;
use super::role::RoleUse;
use super::scope::is_identifier;
use super::{Scope, Task, search};
use crate::diag::{Diagnostic, Diagnostics, Severity, Span};
use crate::modules::{self, args};
use crate::value;
use crate::yaml::{Entry, Map, Node};
use std::sync::Arc;

const META: &[&str] = &[
    "flush_handlers",
    "refresh_inventory",
    "noop",
    "clear_facts",
    "clear_host_errors",
    "end_play",
    "end_batch",
    "end_host",
    "end_role",
    "reset_connection",
];
/// Modules that need one of several arguments.
const ONE_OF: &[(&str, &[&str])] = &[
    ("command", &[RAW, "cmd", "argv"]),
    ("shell", &[RAW, "cmd"]),
    ("script", &[RAW, "cmd"]),
    ("raw", &[RAW, "cmd"]),
    ("copy", &["src", "content"]),
    (
        "systemd",
        &[
            "name",
            "service",
            "unit",
            "daemon_reload",
            "daemon_reexec",
            "daemon-reload",
            "daemon-reexec",
        ],
    ),
];
/// What Ansible up to 2.9 let pass on every module that makes files.
const OF_OLD_FILES: &[&str] = &[
    "backup",
    "content",
    "delimiter",
    "directory_mode",
    "force",
    "regexp",
    "remote_src",
];
const OF_ROLES: &[&str] = &[
    "name",
    "role",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "apply",
    "public",
    "allow_duplicates",
    "rolespec_validate",
];
const OF_INCLUDE_VARS: &[&str] = &[
    RAW,
    "file",
    "dir",
    "name",
    "depth",
    "files_matching",
    "ignore_files",
    "ignore_unknown_extensions",
    "extensions",
    "hash_behaviour",
];

impl Loader<'_> {
    pub(crate) fn judge_task(&mut self, task: &mut Task, map: &Map) {
        let module = canonical(&task.module).to_owned();
        self.judge_background(task);
        self.drop_old(task);
        let task = &*task;
        if matches!(module.as_str(), "include_tasks" | "include_role")
            && task.args_template.is_some()
        {
            self.state.may_gain_handlers = true;
        }
        if task.args_template.is_some() {
            return;
        }
        match module.as_str() {
            "meta" => self.judge_meta(task),
            "set_fact" => self.judge_set_fact(task),
            "include_vars" => {
                self.judge_keys("include_vars", &task.args, OF_INCLUDE_VARS);
            }
            "include_tasks" => return self.judge_include_tasks(task, map),
            "include_role" => return self.judge_include_role(task, map),
            "add_host" => {
                let names = ["name", "hostname", "host"];
                if !names
                    .iter()
                    .any(|name| task.args.entries.contains_key(*name))
                {
                    let fault = task.module_span.error("`add_host` names no host");
                    self.push(fault.help("add `name: …`"));
                }
            }
            _ => self.judge_arguments(task),
        }
        self.judge_sources(task, &module, map);
        self.may_bring_files |= self.brings_files(task, &module);
    }

    /// `async` with `poll: 0` would leave a process behind that nobody watches over.
    fn judge_background(&mut self, task: &Task) {
        let is = |node: &Option<Node>, test: fn(&str) -> bool| {
            let text = node.as_ref().map(|node| value::display(&node.to_value()));
            text.is_some_and(|text| test(text.trim()))
        };
        if let Some(poll) = &task.poll
            && is(&task.poll, |text| text == "0")
            && is(&task.async_, |text| text != "0")
        {
            let fault = poll
                .span
                .error("`poll: 0` leaves a task in the background, which krun does not");
            self.push(fault.help("without `poll` the task is waited for, up to `async` seconds; what is to go on alone can be started by `systemd-run`"));
        }
    }

    /// Takes out arguments that did something, or were let pass, in old Ansible.
    fn drop_old(&mut self, task: &mut Task) {
        let Some(entry) = modules::find(&task.module) else {
            return;
        };
        let knows = |name: &str| {
            let mut args = entry.args.iter();
            args.any(|arg| arg.name == name || arg.aliases.contains(&name))
        };
        let old: &[&str] = if matches!(entry.name, "command" | "shell") {
            &["warn"]
        } else if knows("mode") && knows("owner") {
            OF_OLD_FILES
        } else {
            return;
        };
        for name in old.iter().copied().filter(|name| !knows(name)) {
            if let Some(entry) = task.args.entries.shift_remove(name) {
                let message = format!("`{name}` has no effect on `{}`", task.module);
                self.push(entry.key.warning(message).help("remove it"));
            }
        }
    }

    fn judge_arguments(&mut self, task: &Task) {
        let Some(entry) = modules::find(&task.module) else {
            return;
        };
        let knows = |name: &str| {
            let mut args = entry.args.iter();
            args.any(|arg| arg.name == name || arg.aliases.contains(&name))
        };
        let has = |names: &[&str]| {
            let mut written = task.args.entries.keys();
            written.any(|name| names.contains(&name.as_str()))
        };
        let wanted = ONE_OF.iter().find(|(module, _)| *module == entry.name);
        if let Some((_, names)) = wanted
            && !has(names)
        {
            let names: Vec<String> = names
                .iter()
                .filter(|name| **name != RAW)
                .map(|name| format!("`{name}`"))
                .collect();
            let message = format!("`{}` needs {}", entry.name, names.join(" or "));
            self.push(task.module_span.error(message));
        }
        let mut given = task.args.clone();
        // Free text is the command, whatever the module calls it.
        if !knows(RAW)
            && let Some(raw) = given.entries.shift_remove(RAW)
            && let Some(name) = ["cmd", "free_form"].into_iter().find(|name| knows(name))
        {
            given.entries.entry(name.into()).or_insert(raw);
        }
        let is_template = |text: &str| is_template(text);
        args::lint(
            entry.name,
            entry.args,
            &given,
            &task.module_span,
            &is_template,
            self.diagnostics,
        );
    }

    fn judge_keys(&mut self, module: &str, map: &Map, known: &[&str]) {
        keys(module, map, known, self.diagnostics);
    }

    fn judge_meta(&mut self, task: &Task) {
        let Some(entry) = task.args.entries.get(RAW) else {
            let fault = task.module_span.error("`meta` without a word");
            return self.push(fault.help(format!("it is one of {}", META.join(", "))));
        };
        let word = entry.value.as_str().unwrap_or_default();
        if !is_template(word) && !META.contains(&word) {
            let fault = entry.value.span.error(format!("unknown `meta: {word}`"));
            let near = crate::diag::nearest(word, META.iter().copied());
            self.push(match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("it is one of {}", META.join(", "))),
            });
        }
    }

    fn judge_set_fact(&mut self, task: &Task) {
        let entries = &task.args.entries;
        if !entries.keys().any(|name| name != "cacheable") {
            let fault = task.module_span.error("`set_fact` sets nothing");
            self.push(fault.help("add `name: value` below it"));
        }
        for (name, entry) in entries {
            if name == RAW {
                let text = entry.value.as_str().unwrap_or_default();
                let fault = format!("`{text}` is not `name: value`");
                self.push(entry.value.span.error(fault));
            } else if !is_template(name) && !is_identifier(name) {
                let fault = format!("`{name}` cannot be the name of a variable");
                let fault = entry.key.error(fault);
                self.push(fault.help("letters, digits and `_`, not beginning with a digit"));
            }
        }
    }

    /// Looks into a file that is included while running, so that its faults are shown with all others.
    fn judge_include_tasks(&mut self, task: &Task, map: &Map) {
        self.judge_keys("include_tasks", &task.args, &[RAW, "file", "apply"]);
        let args = &task.args.entries;
        let Some(entry) = args.get(RAW).or_else(|| args.get("file")) else {
            let fault = task.module_span.error("`include_tasks` names no file");
            return self.push(fault.help("write `include_tasks: file.yml`"));
        };
        let name = entry.value.as_str().unwrap_or_default();
        if is_template(name) {
            self.state.may_gain_handlers = true;
            return;
        }
        let scope = Scope::of_include(task, Arc::default(), self.diagnostics);
        let paths = search::in_scope(&scope, tasks_kind(&scope), name);
        let Some(path) = paths.iter().find(|path| path.is_file()) else {
            self.state.may_gain_handlers = true;
            return self.missing(entry, name, &paths, map);
        };
        let key = scope
            .role
            .as_ref()
            .map_or(path.clone(), |role| role.path.join(path));
        if !self.judged.insert(key) || self.files.iter().any(|(file, _)| file == path) {
            return;
        }
        self.aside(|loader| {
            let Some(node) = loader.read(path, Some(&entry.value.span)) else {
                return;
            };
            let scope = Scope {
                dir: search::dir_of(path),
                ..scope
            };
            loader.items(&node, &scope, &mut Vec::new());
        });
    }

    fn judge_include_role(&mut self, task: &Task, map: &Map) {
        self.state.may_gain_handlers = true;
        let args = &task.args;
        let found = role_keys("include_role", &task.module_span, args, self.diagnostics);
        let Some(entry) = found else { return };
        let name = entry.value.as_str().unwrap_or_default();
        if is_template(name) {
            return;
        }
        let scope = Scope::of_include(task, Arc::default(), self.diagnostics);
        let paths = search::role_paths(name, &scope, &self.options.roles_path);
        let Some(path) = paths.iter().find(|path| path.is_dir()) else {
            let fault = severity(map, entry.value.span.error(format!("no role `{name}`")));
            return self.push(fault.help(search::looked_for(&paths)));
        };
        let mut role = RoleUse::new(name, entry.value.span.clone());
        let literal = |key: &str| {
            let text = task.arg(key)?;
            (!is_template(text)).then(|| text.to_owned())
        };
        role.tasks_from = literal("tasks_from");
        role.vars_from = literal("vars_from");
        role.defaults_from = literal("defaults_from");
        role.handlers_from = literal("handlers_from");
        let key = path
            .join("tasks")
            .join(role.tasks_from.as_deref().unwrap_or("main"));
        let is_template_from = task.arg("tasks_from").is_some_and(is_template);
        if is_template_from || !self.judged.insert(key) {
            return;
        }
        self.aside(|loader| {
            loader.role(&role, &scope, &mut Vec::new());
        });
    }

    /// Reads something that is included while running, only for its faults.
    fn aside(&mut self, read: impl FnOnce(&mut Self)) {
        let n_handlers = self.state.role_handlers.len();
        let n_roles = self.state.roles.len();
        let seen_roles = self.state.seen_roles.clone();
        let frames = std::mem::take(&mut self.frames);
        let files = std::mem::take(&mut self.files);
        let is_included = std::mem::replace(&mut self.is_included, true);
        read(self);
        self.is_included = is_included;
        self.files = files;
        self.frames = frames;
        self.state.role_handlers.truncate(n_handlers);
        self.state.roles.truncate(n_roles);
        self.state.seen_roles = seen_roles;
    }
}

/// A task that may not run, or may fail, only gets a warning.
pub(super) fn severity(map: &Map, mut fault: Diagnostic) -> Diagnostic {
    let has = |name: &str| {
        let node: Option<&Node> = map.entries.get(name).map(|entry| &entry.value);
        node.is_some_and(|node| value::as_bool(&node.to_value()) != Some(false))
    };
    if has("when") || has("ignore_errors") {
        fault.severity = Severity::Warning;
    }
    fault
}

/// Judges the keys of `import_role` and `include_role`.
///
/// Returns the entry of the role's name, or reports that there is none.
pub(crate) fn role_keys<'a>(
    module: &str,
    at: &Span,
    map: &'a Map,
    diagnostics: &mut Diagnostics,
) -> Option<&'a Entry> {
    let name = map.entries.get("name").or_else(|| map.entries.get("role"));
    let raw = map.entries.get(RAW).filter(|_| name.is_none());
    if let Some(raw) = raw {
        let text = raw.value.as_str().unwrap_or_default();
        let fault = format!("`{module}` names no role: `{text}` is no `name: …`");
        let fault = raw.value.span.error(fault);
        diagnostics.push(fault.help(format!("write `{module}: {{name: {text}}}`")));
        return None;
    }
    keys(module, map, OF_ROLES, diagnostics);
    if name.is_none() {
        let fault = at.error(format!("`{module}` names no role"));
        diagnostics.push(fault.help(format!("write `{module}: {{name: kafka}}`")));
    }
    name
}

fn keys(module: &str, map: &Map, known: &[&str], diagnostics: &mut Diagnostics) {
    for (name, entry) in &map.entries {
        if known.contains(&name.as_str()) {
            continue;
        }
        let fault = match name.as_str() {
            RAW => {
                let text = entry.value.as_str().unwrap_or_default();
                let message = format!("`{text}` is not an argument of `{module}`");
                entry.value.span.error(message)
            }
            _ => entry
                .key
                .error(format!("unknown argument `{name}` of `{module}`")),
        };
        let words = known.iter().copied().filter(|word| *word != RAW);
        diagnostics.push(match crate::diag::nearest(name, words.clone()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!(
                "`{module}` takes {}",
                words.collect::<Vec<_>>().join(", ")
            )),
        });
    }
}
