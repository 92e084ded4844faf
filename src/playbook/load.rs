//! Reads playbook files and all that they import into a [`Playbook`], gathering every fault on the way.

use super::keywords::{is_template, shown};
use super::role::{Frame, LoadedRole, RoleUse, run_key};
use super::search::{self, clean, dir_of};
use super::{Item, Playbook, Role, Scope, Task};
use crate::diag::{Diagnostic, Diagnostics, Source, Span};
use crate::value::{Dict, Value};
use crate::yaml::{self, Kind, Node, Vars};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Renders a template with the variables given, which extra variables beat.
pub type Render<'a> = &'a dyn Fn(&str, &Dict) -> Result<Value, String>;
/// Decrypts the text of a vault file.
pub type Decrypt<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// What loading needs from outside the playbook.
#[derive(Clone)]
pub struct LoadOptions<'a> {
    /// Directories of roles, searched after `roles/` beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// For the names of imported files; it is given what is known without a host.
    pub render: Render<'a>,
    /// `None`: there is no vault password, and encrypted files are faults.
    pub decrypt: Option<Decrypt<'a>>,
}

/// Reads a playbook. `None` if the file cannot be read as one at all; other faults leave out what is faulty.
pub fn load(
    path: &Path,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Playbook> {
    let mut loader = Loader::new(options, diagnostics);
    let mut plays = Vec::new();
    loader.playbook(path, None, &super::play::Around::default(), &mut plays)?;
    Some(Playbook {
        path: path.to_owned(),
        plays,
    })
}

/// Reads the tasks of a file that `include_tasks` names while running; they inherit from `parent`, the include.
pub fn load_tasks(
    path: &Path,
    parent: &Task,
    params: Arc<Vars>,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Item> {
    let mut scope = Scope::of_include(parent, params, diagnostics);
    scope.dir = dir_of(path);
    let mut loader = Loader::new(options, diagnostics);
    loader.is_included = true;
    let mut items = Vec::new();
    if let Some(node) = loader.read(path, Some(&parent.module_span)) {
        loader.items(&node, &scope, &mut items);
    }
    items
}

/// Reads a role that `include_role` names while running.
pub fn load_role(
    role: &RoleUse,
    parent: &Task,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedRole> {
    let scope = Scope::of_include(parent, Arc::default(), diagnostics);
    let mut loader = Loader::new(options, diagnostics);
    loader.is_included = true;
    for ran in &role.ran {
        let key = run_key(&ran.path, &Value::Mapping(crate::value::Mapping::new()));
        loader.state.seen_roles.insert(key, vec![Vec::new()]);
    }
    let mut tasks = Vec::new();
    let role = loader.role(role, &scope, &mut tasks)?;
    Some(LoadedRole {
        role,
        tasks,
        handlers: std::mem::take(&mut loader.state.role_handlers),
        roles: std::mem::take(&mut loader.state.roles),
    })
}

/// What is gathered while one play is read.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) vars: Arc<Vars>,
    pub(crate) role_handlers: Vec<Item>,
    pub(crate) roles: Vec<Arc<Role>>,
    /// Roles that ran already, with what they were given, and the conditions they ran under.
    pub(crate) seen_roles: HashMap<String, Vec<Vec<Node>>>,
    /// What the handlers answer to, those that are faulty included.
    pub(crate) topics: Vec<String>,
    /// The play's hosts are this machine, or are among others.
    pub(crate) is_of_this_machine: bool,
    /// A role or file chosen while running may define handlers.
    pub(crate) may_gain_handlers: bool,
}

pub(crate) struct Loader<'a> {
    pub(crate) options: &'a LoadOptions<'a>,
    pub(crate) diagnostics: &'a mut Diagnostics,
    pub(crate) state: State,
    /// The files being read, each with where it was named.
    pub(crate) files: Vec<(PathBuf, Option<Span>)>,
    /// The roles being read, outermost first.
    pub(crate) frames: Vec<Frame>,
    /// What is read stands in a file or role that is included while running, and perhaps never.
    pub(crate) is_included: bool,
    /// A task so far may write to this machine, where later ones take their files from.
    pub(crate) may_bring_files: bool,
    /// Files judged because a dynamic include names them.
    pub(crate) judged: HashSet<PathBuf>,
    parsed: HashMap<PathBuf, Option<Arc<Node>>>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(options: &'a LoadOptions<'a>, diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            options,
            diagnostics,
            state: State::default(),
            files: Vec::new(),
            frames: Vec::new(),
            is_included: false,
            may_bring_files: false,
            judged: HashSet::new(),
            parsed: HashMap::new(),
        }
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reads and parses a file, once.
    pub(crate) fn read(&mut self, path: &Path, named_at: Option<&Span>) -> Option<Arc<Node>> {
        if let Some(known) = self.parsed.get(path) {
            return known.clone();
        }
        let node = self.parse(path, named_at).map(Arc::new);
        self.parsed.insert(path.to_owned(), node.clone());
        node
    }

    fn parse(&mut self, path: &Path, named_at: Option<&Span>) -> Option<Node> {
        let read = std::fs::read(path).map_err(|error| reason(&error));
        let text = read
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into()));
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", path.display());
                self.push(Diagnostic {
                    span: named_at.cloned(),
                    ..Diagnostic::global(message).missing()
                });
                return None;
            }
        };
        if !text.starts_with("$ANSIBLE_VAULT") {
            return yaml::parse(&Source::new(path, text), self.diagnostics);
        }
        let fault = Span::start_of(&Source::new(path, text.clone()));
        match self.options.decrypt.map(|decrypt| decrypt(&text)) {
            Some(Ok(text)) => yaml::parse(&Source::new(path, text), self.diagnostics),
            Some(Err(why)) => {
                self.push(fault.error(format!("cannot decrypt this file: {why}")));
                None
            }
            None => {
                self.push(
                    fault
                        .error("this file is encrypted, and there is no vault password")
                        .help("give one with `--vault-password-file` or `--ask-vault-pass`"),
                );
                None
            }
        }
    }

    /// Reads the plays of a file, the imported ones in their places.
    pub(crate) fn playbook(
        &mut self,
        path: &Path,
        named_at: Option<&Span>,
        around: &super::play::Around,
        plays: &mut Vec<super::Play>,
    ) -> Option<()> {
        let path = clean(path);
        if !self.enter(&path, named_at, "playbooks import each other in a circle") {
            return None;
        }
        let node = self.read(&path, named_at);
        let node = node.and_then(|node| self.is_list_of_plays(&node).then_some(node));
        if let Some(node) = &node {
            for entry in node.as_seq().unwrap_or_default() {
                self.play_or_import(entry, &dir_of(&path), around, plays);
            }
        }
        self.files.pop();
        node.map(|_| ())
    }

    fn is_list_of_plays(&mut self, node: &Node) -> bool {
        let fault = match &node.kind {
            Kind::Seq(items) if items.is_empty() => node.span.error("this playbook holds no play"),
            Kind::Seq(_) => return true,
            Kind::Null => node.span.error("this playbook is empty"),
            Kind::Map(map) if map.entries.contains_key("hosts") => node
                .span
                .error("a playbook is a list of plays, not one mapping")
                .help("write `- ` before its first key and indent the others by two"),
            _ => node.span.error(format!(
                "a playbook is a list of plays, not {}",
                node.kind_name()
            )),
        };
        self.push(fault);
        false
    }

    /// Notes that a file is being read; `false`, with a fault that spells the circle, if it already is.
    pub(crate) fn enter(&mut self, path: &Path, named_at: Option<&Span>, message: &str) -> bool {
        let Some(start) = self.files.iter().position(|(file, _)| file == path) else {
            self.files.push((path.to_owned(), named_at.cloned()));
            return true;
        };
        let mut circle: Vec<String> = self.files[start..]
            .iter()
            .map(|(file, _)| file.display().to_string())
            .collect();
        circle.push(path.display().to_string());
        let message = format!("{message}: {}", circle.join(" → "));
        let mut fault = Diagnostic {
            span: named_at.cloned(),
            ..Diagnostic::global(message)
        };
        for (file, span) in &self.files[start + 1..] {
            if let Some(span) = span {
                fault = fault.label(span.clone(), format!("`{}` is named here", file.display()));
            }
        }
        self.push(fault);
        false
    }

    /// Returns the text of a name that is needed before the run.
    pub(crate) fn name(&mut self, node: &Node, what: &str, scope: &Scope) -> Option<String> {
        let text = match &node.kind {
            Kind::Null | Kind::Seq(_) | Kind::Map(_) | Kind::Vault(_) => {
                let fault = format!("{what} must be a string, not {}", shown(node));
                self.push(node.span.error(fault));
                return None;
            }
            _ => crate::value::display(&node.to_value()),
        };
        if !is_template(&text) {
            return Some(text);
        }
        let known = scope.static_vars(&self.state.vars);
        match (self.options.render)(&text, &known) {
            Ok(value) => Some(crate::value::display(&value)),
            Err(why) => {
                self.push(
                    node.span
                        .error(format!("{what} cannot be known before the run: {why}"))
                        .help("only extra variables and variables of the play or role are known here; include_tasks and include_role choose while running"),
                );
                None
            }
        }
    }

    /// Returns the first path that exists, or reports where it was looked for.
    pub(crate) fn existing(&mut self, paths: &[PathBuf], name: &str, at: &Span) -> Option<PathBuf> {
        let found = paths.iter().find(|path| path.exists());
        if found.is_none() {
            let fault = at.error(format!("no file `{name}`")).missing();
            self.push(fault.help(search::looked_for(paths)));
        }
        found.cloned()
    }
}

/// Returns what the system says, without its error number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
