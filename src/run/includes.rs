//! Reads what a run names while it works: included tasks and roles, files of variables.

use super::Run;
use super::barrier::Loaded;
use super::scope::TaskScope;
use super::world::PlayContext;
use crate::diag::{Diagnostics, Source};
use crate::event::EventKind;
use crate::modules::Error;
use crate::plan::short_name;
use crate::playbook::{LoadOptions, Role, RoleUse, Task, load_role, load_tasks};
use crate::template::Scope;
use crate::value::{Dict, HostName, Mapping, Value, as_bool, display};
use crate::yaml::Vars;
use std::path::Path;
use std::sync::Arc;

impl Run {
    /// Reads the tasks of an include, once for all hosts that want it.
    pub(super) fn load_include(
        &mut self,
        play: &Arc<PlayContext>,
        task: &Arc<Task>,
        given: &Mapping,
        locals: &Dict,
        hosts: &[HostName],
        ran: Vec<Arc<Role>>,
    ) -> Result<Loaded, Error> {
        let text = |name: &str| given.get(name).map(display);
        let host = hosts
            .first()
            .ok_or_else(|| Error::new("an include for no host"))?;
        let scope = TaskScope::new(&self.world, Some(play), host, Some(task)).with(locals.clone());
        let params = Arc::new(Vars {
            values: locals.clone(),
            ..Vars::default()
        });
        let parent = self.with_locals(task, &params);
        let mut diagnostics = Diagnostics::new();
        let shared: Arc<dyn Scope> = scope.shared();
        let templar = Arc::clone(&self.templar);
        let render = |text: &str, known: &Dict| {
            let _ = known;
            templar
                .render_str(text, &shared)
                .map_err(|error| error.to_string())
        };
        let decrypt = |text: &str| {
            self.vault
                .decrypt(text)
                .map(|secret| secret.reveal().to_owned())
                .map_err(|error| error.to_string())
        };
        let options = LoadOptions {
            roles_path: self.roles_path.clone(),
            render: &render,
            decrypt: Some(&decrypt),
        };
        let loaded = if short_name(&task.module) == "include_role" {
            let name = text("name")
                .or_else(|| text("role"))
                .ok_or_else(|| Error::new("missing argument `name` of `include_role`"))?;
            let mut role = RoleUse::new(name.clone(), task.module_span.clone());
            role.ran = ran;
            role.tasks_from = text("tasks_from");
            role.vars_from = text("vars_from");
            role.defaults_from = text("defaults_from");
            role.handlers_from = text("handlers_from");
            let is_public = given.get("public").and_then(as_bool).unwrap_or(false);
            load_role(&role, &parent, &options, &mut diagnostics).map(|loaded| {
                if is_public {
                    let mut roles = play.public_roles.write().expect("public roles lock");
                    roles.extend(loaded.roles);
                }
                Loaded {
                    title: name,
                    items: loaded.tasks,
                    handlers: loaded.handlers,
                }
            })
        } else {
            let name = text("_raw_params")
                .or_else(|| text("file"))
                .ok_or_else(|| Error::new("missing argument `file` of `include_tasks`"))?;
            let path = shared.files().find("tasks", &name).map_err(|searched| {
                Error::new(format!("no file `{name}`")).because(format!("searched:\n{searched}"))
            })?;
            let items = load_tasks(&path, &parent, params, &options, &mut diagnostics);
            Some(Loaded {
                title: path.display().to_string(),
                items,
                handlers: Vec::new(),
            })
        };
        let faults = report(&diagnostics);
        match loaded {
            Some(loaded) if !diagnostics.has_errors() => Ok(loaded),
            _ => Err(Error::new("what it includes has faults").because(faults)),
        }
    }

    /// The include, with its loop's variables handed down to what it brings.
    #[expect(
        clippy::unused_self,
        reason = "reads as the other steps of an include do"
    )]
    fn with_locals(&self, task: &Task, params: &Arc<Vars>) -> Task {
        let mut parent = task.clone();
        if !params.is_empty() {
            parent.params.push(Arc::clone(params));
        }
        parent
    }

    /// Reads `vars_files` for each host; names may hold templates, of a list the first file that is there is taken.
    pub(super) fn read_vars_files(&mut self, play: &Arc<PlayContext>, hosts: &[HostName]) {
        if play.play.vars_files.is_empty() {
            return;
        }
        for host in hosts {
            let mut vars = Dict::new();
            let scope = TaskScope::new(&self.world, Some(play), host, None);
            for node in &play.play.vars_files {
                let shared: Arc<dyn Scope> = scope.clone().shared();
                let names = match self.templar.render_value(&node.to_value(), &shared) {
                    Ok(Value::Sequence(names)) => names.iter().map(display).collect(),
                    Ok(name) => vec![display(&name)],
                    Err(error) => {
                        self.emit(EventKind::Warning {
                            text: format!("a name in `vars_files` cannot be read: {error}"),
                            at: Some((&node.span).into()),
                        });
                        continue;
                    }
                };
                let found = names
                    .iter()
                    .find_map(|name| shared.files().find("vars", name).ok());
                match found.map(|path| self.read_vars(&path)) {
                    Some(Ok(read)) => {
                        self.world.hide(&read);
                        vars.extend(read);
                    }
                    Some(Err(fault)) => self.emit(EventKind::Warning {
                        text: fault,
                        at: Some((&node.span).into()),
                    }),
                    None => self.emit(EventKind::Warning {
                        text: format!("no file of `vars_files`: {}", names.join(", ")),
                        at: Some((&node.span).into()),
                    }),
                }
            }
            play.file_vars
                .write()
                .expect("play variables lock")
                .insert(Arc::clone(host), vars);
        }
    }

    /// Reads a file of variables, decrypting what is encrypted.
    pub(super) fn read_vars(&self, path: &Path) -> Result<Dict, String> {
        let text = match self.world.foreseen.content(path) {
            Some(content) => String::from_utf8(content).map_err(|error| error.to_string()),
            None => std::fs::read_to_string(path).map_err(|error| error.to_string()),
        };
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut diagnostics = Diagnostics::new();
        let node = self.vault.parse(&Source::new(path, text), &mut diagnostics);
        let masks = self.vault.masks();
        self.world.masks.write().expect("masks lock").merge(&masks);
        if diagnostics.has_errors() {
            return Err(report(&diagnostics));
        }
        let Some(node) = node else {
            return Ok(Dict::new());
        };
        match node.as_map() {
            Some(map) => Ok(Vars::from_map(map).values),
            None if node.is_null() => Ok(Dict::new()),
            None => Err(format!(
                "{}: a file of variables must be a mapping, not {}",
                path.display(),
                node.kind_name()
            )),
        }
    }
}

/// Faults found while running, a line each.
fn report(diagnostics: &Diagnostics) -> String {
    let line = |diagnostic: &crate::diag::Diagnostic| match &diagnostic.span {
        Some(span) => format!("{span}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}
