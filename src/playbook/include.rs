//! Expands what is imported before the run: files of tasks and roles in place of the task that names them.

use super::freeform::RAW;
use super::keywords::is_template;
use super::load::Loader;
use super::module::{Arguments, Chosen};
use super::role::RoleUse;
use super::{Item, Loop, Scope, search};
use crate::yaml::{Map, Vars};
use std::sync::Arc;

impl Loader<'_> {
    /// Puts the tasks of a file in place of `import_tasks`.
    pub(crate) fn import_tasks(
        &mut self,
        map: &Map,
        chosen: &Chosen,
        arguments: Arguments,
        looped: Option<&Loop>,
        scope: &Scope,
        out: &mut Vec<Item>,
    ) {
        self.refuse_loop(chosen, looped);
        let mut given = arguments.map;
        let named = given
            .entries
            .shift_remove(RAW)
            .or_else(|| given.entries.shift_remove("file"));
        let Some(entry) = named else {
            let fault = chosen.key.error(format!("`{}` names no file", chosen.name));
            return self.push(fault.help(format!("write `{}: file.yml`", chosen.name)));
        };
        let mut inner = scope.within(map, self.diagnostics);
        if !given.entries.is_empty() {
            // The old way to hand variables over: `include: file.yml port=2181`.
            inner.params.push(Arc::new(Vars::from_map(&given)));
        }
        let Some(name) = self.name(&entry.value, "the name of a file of tasks", &inner) else {
            return;
        };
        let kind = tasks_kind(scope);
        let paths = search::in_scope(scope, kind, &name);
        let Some(path) = self.existing(&paths, &name, &entry.value.span) else {
            return;
        };
        let message = "files of tasks import each other in a circle";
        if !self.enter(&path, Some(&entry.value.span), message) {
            return;
        }
        if let Some(node) = self.read(&path, Some(&entry.value.span)) {
            inner.dir = search::dir_of(&path);
            self.items(&node, &inner, out);
        }
        self.files.pop();
    }

    /// Puts the tasks of a role in place of `import_role`.
    pub(crate) fn import_role(
        &mut self,
        map: &Map,
        chosen: &Chosen,
        arguments: &Arguments,
        looped: Option<&Loop>,
        scope: &Scope,
        out: &mut Vec<Item>,
    ) {
        self.refuse_loop(chosen, looped);
        let inner = scope.within(map, self.diagnostics);
        if let Some(role) = self.role_use(chosen, &arguments.map, &inner) {
            self.role(&role, &inner, out);
        }
    }

    /// Reads what `import_role` or `include_role` says of a role whose name is known.
    pub(crate) fn role_use(
        &mut self,
        chosen: &Chosen,
        map: &Map,
        scope: &Scope,
    ) -> Option<RoleUse> {
        let entry = super::judge::role_keys(&chosen.name, &chosen.key, map, self.diagnostics)?;
        let name = self.name(&entry.value, "the name of a role", scope)?;
        let mut role = RoleUse::new(name, entry.value.span.clone());
        let mut from = |key: &str| {
            let entry = map.entries.get(key)?;
            self.name(&entry.value, &format!("`{key}`"), scope)
        };
        role.tasks_from = from("tasks_from");
        role.vars_from = from("vars_from");
        role.defaults_from = from("defaults_from");
        role.handlers_from = from("handlers_from");
        Some(role)
    }

    fn refuse_loop(&mut self, chosen: &Chosen, looped: Option<&Loop>) {
        if let Some(looped) = looped {
            let dynamic = chosen.name.replace("import_", "include_");
            let fault = looped.span.error(format!(
                "`{}` cannot loop: it is expanded before the run",
                chosen.name
            ));
            self.push(fault.help(format!("write `{dynamic}`, which runs once for each item")));
        }
    }

    /// Whether an old `include:` can be expanded now; warns of it.
    pub(crate) fn is_static_include(
        &mut self,
        chosen: &Chosen,
        arguments: &Arguments,
        looped: Option<&Loop>,
    ) -> bool {
        let entry = arguments.map.entries.get(RAW);
        let text = entry.and_then(|entry| entry.value.as_str());
        let is_static = looped.is_none() && !text.is_some_and(is_template);
        let new = if is_static {
            "import_tasks"
        } else {
            "include_tasks"
        };
        let warning = chosen.key.warning("`include` is old");
        self.push(warning.help(format!("write `{new}`")));
        is_static
    }
}

/// The directory of a role in which files of tasks are looked for.
pub(crate) fn tasks_kind(scope: &Scope) -> &'static str {
    if scope.is_handler {
        "handlers"
    } else {
        "tasks"
    }
}
