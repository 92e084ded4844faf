//! Turns the directory of a role into its tasks, handlers, defaults and vars, with those of the roles that it depends on.

use super::keywords::{self, Place, shown};
use super::load::Loader;
use super::scope::modernise;
use super::{Item, Role, Scope, search};
use crate::diag::Span;
use crate::value;
use crate::yaml::{Kind, Map, Node, Vars};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which role is wanted, and which of its files.
#[derive(Debug, Clone)]
pub struct RoleUse {
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// A file of `tasks/` instead of `main`; the others likewise.
    pub tasks_from: Option<String>,
    pub vars_from: Option<String>,
    pub defaults_from: Option<String>,
    pub handlers_from: Option<String>,
    /// `include_role`: defaults and vars are visible to later tasks (default no).
    pub public: bool,
    /// Roles that ran already: where the role depends on one of them by its bare name, it is not run again.
    pub ran: Vec<Arc<Role>>,
}

impl RoleUse {
    pub fn new(name: impl Into<String>, span: Span) -> Self {
        Self {
            name: name.into(),
            span,
            tasks_from: None,
            vars_from: None,
            defaults_from: None,
            handlers_from: None,
            public: false,
            ran: Vec::new(),
        }
    }
}

/// A role that was read while running.
#[derive(Debug, Clone)]
pub struct LoadedRole {
    pub role: Arc<Role>,
    /// Its tasks, after those of the roles that it depends on.
    pub tasks: Vec<Item>,
    pub handlers: Vec<Item>,
    /// All roles that were read, dependencies first, the role itself last.
    pub roles: Vec<Arc<Role>>,
}

/// A role whose files are being read.
pub(crate) struct Frame {
    name: String,
    path: PathBuf,
    span: Span,
    defaults: Vars,
    vars: Vars,
}

const EXTENSIONS: &[&str] = &["yml", "yaml", "json"];

impl Loader<'_> {
    /// Reads the `roles:` of a play.
    pub(crate) fn play_roles(&mut self, map: &Map, scope: &Scope) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(entry) = map.entries.get("roles") {
            for node in entry.value.as_seq().unwrap_or_default() {
                self.role_entry(node, scope, &mut items);
            }
        }
        items
    }

    /// Reads one entry of `roles:` or of a role's dependencies.
    fn role_entry(&mut self, node: &Node, scope: &Scope, out: &mut Vec<Item>) {
        let (map, named) = match &node.kind {
            Kind::Str(_) | Kind::Int(_) => (Map::default(), node.clone()),
            Kind::Map(map) => {
                let map = modernise(map, Place::Role, self.diagnostics);
                let named = ["role", "name", "src"]
                    .iter()
                    .find_map(|key| map.entries.get(*key));
                let Some(named) = named.map(|entry| entry.value.clone()) else {
                    let fault = node.span.error("this role has no name");
                    return self.push(fault.help("write `role: name`"));
                };
                (map, named)
            }
            _ => {
                let fault = node.span.error(format!(
                    "a role must be a name or a mapping, not {}",
                    shown(node)
                ));
                return self.push(fault);
            }
        };
        keywords::judge(&map, Place::Role, self.diagnostics);
        let mut inner = scope.within(&map, self.diagnostics);
        let mut params = Map::default();
        for (name, entry) in &map.entries {
            let is_of_galaxy = matches!(name.as_str(), "src" | "version" | "scm");
            if keywords::find(name, Place::Role).is_none() && !is_of_galaxy {
                params.entries.insert(name.clone(), entry.clone());
            }
        }
        if !params.entries.is_empty() {
            inner.params.push(Arc::new(Vars::from_map(&params)));
        }
        let Some(name) = self.name(&named, "the name of a role", &inner) else {
            return;
        };
        let role = RoleUse::new(name, named.span.clone());
        let Some(path) = self.role_dir(&role, scope) else {
            return;
        };
        let given = Node::new(Kind::Map(map), node.span.clone()).to_value();
        let key = run_key(&path, &given);
        let allows_duplicates = self.meta(&path).is_some_and(|meta| {
            let flag = meta.entry("allow_duplicates");
            flag.is_some_and(|flag| value::as_bool(&flag.to_value()) == Some(true))
        });
        let seen = self.state.seen_roles.entry(key).or_default();
        // It ran already if it ran under no condition that this one does not have as well.
        let has_run = seen.iter().any(|before| {
            let mut conditions = before.iter();
            conditions.all(|condition| inner.when.contains(condition))
        });
        if has_run && !allows_duplicates {
            // It may be one of those that are being read right now.
            self.is_circle(&path, role_name(&role.name).as_str(), &role.span, false);
            return;
        }
        seen.push(inner.when.clone());
        self.role(&role, &inner, out);
    }

    fn role_dir(&mut self, role: &RoleUse, scope: &Scope) -> Option<PathBuf> {
        let paths = search::role_paths(&role.name, scope, &self.options.roles_path);
        let found = paths.iter().find(|path| path.is_dir());
        if found.is_none() {
            let known = siblings(&paths);
            let fault = role
                .span
                .error(format!("no role `{}`", role.name))
                .missing();
            let near = crate::diag::nearest(&role.name, known.iter().map(String::as_str));
            let looked_for = search::looked_for(&paths);
            self.push(match near {
                Some(near) => fault.help(format!("did you mean `{near}`? {looked_for}")),
                None => fault.help(looked_for),
            });
        }
        found.cloned()
    }

    /// Reads a role: the ones it depends on first, then its own tasks into `out`, its handlers into the play's.
    pub(crate) fn role(
        &mut self,
        wanted: &RoleUse,
        scope: &Scope,
        out: &mut Vec<Item>,
    ) -> Option<Arc<Role>> {
        let path = self.role_dir(wanted, scope)?;
        let name = role_name(&wanted.name);
        if self.is_circle(&path, &name, &wanted.span, wanted.tasks_from.is_some()) {
            return None;
        }
        let own_defaults = self.role_vars(&path, "defaults", wanted.defaults_from.as_ref(), wanted);
        let own_vars = self.role_vars(&path, "vars", wanted.vars_from.as_ref(), wanted);
        let (mut defaults, mut vars) = (Vars::default(), Vars::default());
        let parents: Vec<String> = self.frames.iter().map(|f| f.name.clone()).collect();
        let parent_paths = self.frames.iter().map(|f| f.path.clone()).collect();
        for frame in &self.frames {
            vars.extend(frame.vars.clone());
        }
        self.frames.push(Frame {
            name: name.clone(),
            path: path.clone(),
            span: wanted.span.clone(),
            defaults: own_defaults.clone(),
            vars: own_vars.clone(),
        });
        let first = self.state.roles.len();
        self.dependencies(&path, scope, out);
        for role in &self.state.roles[first..] {
            defaults.extend(role.defaults.clone());
            vars.extend(role.vars.clone());
        }
        for frame in &self.frames[..self.frames.len() - 1] {
            defaults.extend(frame.defaults.clone());
        }
        defaults.extend(own_defaults);
        vars.extend(own_vars);
        let role = Arc::new(Role {
            name,
            path: path.clone(),
            defaults,
            vars,
            parents,
            parent_paths,
        });
        self.state.roles.push(Arc::clone(&role));
        let mut handlers = Vec::new();
        let from = wanted.handlers_from.as_ref();
        let inner = scope.in_role(&role, "handlers");
        self.role_tasks(&path, "handlers", from, wanted, &inner, &mut handlers);
        self.state.role_handlers.extend(handlers);
        let from = wanted.tasks_from.as_ref();
        let inner = Scope {
            is_handler: scope.is_handler,
            ..scope.in_role(&role, "tasks")
        };
        self.role_tasks(&path, "tasks", from, wanted, &inner, out);
        self.frames.pop();
        Some(role)
    }

    /// Reports a role that is being read already. Another file of the same role is no circle by itself.
    fn is_circle(&mut self, path: &Path, name: &str, span: &Span, has_from: bool) -> bool {
        let again = self
            .frames
            .iter()
            .filter(|frame| frame.path == path)
            .count();
        if again == 0 || (has_from && again < 16) {
            return false;
        }
        let start = self
            .frames
            .iter()
            .position(|frame| frame.path == path)
            .unwrap_or_default();
        let mut circle: Vec<&str> = self.frames[start..]
            .iter()
            .map(|f| f.name.as_str())
            .collect();
        circle.push(name);
        let message = format!("roles need each other in a circle: {}", circle.join(" → "));
        let mut fault = span.error(message);
        for frame in &self.frames[start..] {
            let text = format!("`{}` is needed here", frame.name);
            fault = fault.label(frame.span.clone(), text);
        }
        self.push(fault);
        true
    }

    fn meta(&mut self, path: &Path) -> Option<Arc<Node>> {
        let file = main_file(&path.join("meta"), "main")?;
        self.read(&file, None)
    }

    fn dependencies(&mut self, path: &Path, scope: &Scope, out: &mut Vec<Item>) {
        let Some(meta) = self.meta(path) else { return };
        if !matches!(meta.kind, Kind::Map(_) | Kind::Null) {
            let fault = format!("a role's meta must be a mapping, not {}", meta.kind_name());
            return self.push(meta.span.error(fault));
        }
        let Some(dependencies) = meta.entry("dependencies") else {
            return;
        };
        // The place of the role: its dependencies are looked for beside it.
        let place = Arc::new(Role {
            name: String::new(),
            path: path.to_owned(),
            defaults: Vars::default(),
            vars: Vars::default(),
            parents: Vec::new(),
            parent_paths: Vec::new(),
        });
        let inner = Scope {
            role: Some(place),
            ..scope.clone()
        };
        match &dependencies.kind {
            Kind::Seq(items) => items
                .iter()
                .for_each(|node| self.role_entry(node, &inner, out)),
            Kind::Null => {}
            _ => {
                let fault = format!("`dependencies` must be a list, not {}", shown(dependencies));
                self.push(dependencies.span.error(fault));
            }
        }
    }

    fn role_tasks(
        &mut self,
        path: &Path,
        dir: &str,
        from: Option<&String>,
        wanted: &RoleUse,
        scope: &Scope,
        out: &mut Vec<Item>,
    ) {
        let name = from.map_or("main", String::as_str);
        let base = path.join(dir);
        let Some(file) = main_file(&base, name) else {
            if from.is_some() {
                self.no_such_part(wanted, dir, name, &base);
            }
            return;
        };
        let message = "files of tasks import each other in a circle";
        if !self.enter(&file, Some(&wanted.span), message) {
            return;
        }
        if let Some(node) = self.read(&file, Some(&wanted.span)) {
            let scope = Scope {
                dir: search::dir_of(&file),
                ..scope.clone()
            };
            self.items(&node, &scope, out);
        }
        self.files.pop();
    }

    fn no_such_part(&mut self, wanted: &RoleUse, dir: &str, name: &str, base: &Path) {
        let fault = wanted
            .span
            .error(format!("the role `{}` has no {dir}/{name}", wanted.name));
        let paths = candidates(base, name);
        self.push(fault.help(search::looked_for(&paths)));
    }

    /// Reads `defaults` or `vars`: `main.yml`, or every file under `main/`.
    fn role_vars(
        &mut self,
        path: &Path,
        dir: &str,
        from: Option<&String>,
        wanted: &RoleUse,
    ) -> Vars {
        let base = path.join(dir);
        let name = from.map_or("main", String::as_str);
        let mut files = Vec::new();
        let whole = base.join(name);
        if whole.is_dir() {
            files_below(&whole, &mut files);
        } else if let Some(file) = main_file(&base, name) {
            files.push(file);
        } else if from.is_some() {
            self.no_such_part(wanted, dir, name, &base);
        }
        let mut vars = Vars::default();
        for file in files {
            let Some(node) = self.read(&file, Some(&wanted.span)) else {
                continue;
            };
            match &node.kind {
                Kind::Map(map) => vars.extend(Vars::from_map(map)),
                Kind::Null => {}
                _ => {
                    let fault = node.span.error(format!(
                        "a file of variables must hold a mapping, not {}",
                        node.kind_name()
                    ));
                    self.push(fault);
                }
            }
        }
        vars
    }
}

/// What must be the same for a role to be the same once more.
pub(crate) fn run_key(path: &Path, given: &value::Value) -> String {
    let given = match value::untagged(given) {
        value::Value::Mapping(mut map) => {
            map.remove("role");
            map.remove("name");
            value::Value::Mapping(map)
        }
        other => other,
    };
    let given = serde_json::to_string(&given).unwrap_or_default();
    format!("{} {given}", path.display())
}

/// Returns what a role is called: the last part of its path.
fn role_name(name: &str) -> String {
    let last = Path::new(name).file_name();
    last.map_or_else(
        || name.to_owned(),
        |last| last.to_string_lossy().into_owned(),
    )
}

fn candidates(base: &Path, name: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = EXTENSIONS
        .iter()
        .map(|extension| base.join(format!("{name}.{extension}")))
        .collect();
    paths.push(base.join(name));
    paths
}

fn main_file(base: &Path, name: &str) -> Option<PathBuf> {
    candidates(base, name)
        .into_iter()
        .find(|path| path.is_file())
}

/// All files of variables below a directory, sorted.
fn files_below(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let extension = path.extension().map(|e| e.to_string_lossy().into_owned());
        if path.is_dir() {
            files_below(&path, files);
        } else if extension.is_none_or(|e| EXTENSIONS.contains(&e.as_str())) {
            files.push(path);
        }
    }
}

/// The names of the roles that lie where one was looked for.
fn siblings(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .filter_map(|path| std::fs::read_dir(path.parent()?).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("tasks").is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
