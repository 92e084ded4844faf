//! A playbook as it was written: plays, blocks, tasks, handlers, each with its place and with what it inherits already folded in.

mod freeform;
mod include;
mod judge;
pub mod keywords;
mod load;
mod module;
mod notify;
mod play;
mod role;
mod scope;
mod search;
mod sources;
mod task;

pub use freeform::RAW;
pub use keywords::is_template;
pub use load::{Decrypt, LoadOptions, Render, load, load_role, load_tasks};
pub use role::{LoadedRole, RoleUse};
pub use search::{absolute, search_paths};

use crate::diag::Span;
use crate::value::Value;
use crate::yaml::{Map, Node, Vars};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Playbook {
    pub path: PathBuf,
    /// In order, `import_playbook` expanded.
    pub plays: Vec<Play>,
}

#[derive(Debug, Clone)]
pub struct Play {
    /// `name:`, or the host pattern. May hold a template.
    pub name: String,
    pub span: Span,
    /// Directory of the file that holds the play: `playbook_dir`, files are searched from here.
    pub dir: PathBuf,
    /// The host pattern; a list is joined by commas. May hold a template.
    pub hosts: Node,
    pub vars: Arc<Vars>,
    /// A list in it means: the first of these that exists.
    pub vars_files: Vec<Node>,
    pub vars_prompt: Vec<Node>,
    pub gather_facts: Option<Node>,
    pub gather_subset: Option<Node>,
    /// As written: numbers, percentages, templates; one entry where it was not a list.
    pub serial: Vec<Node>,
    pub order: Option<Node>,
    pub strategy: Option<Node>,
    pub max_fail_percentage: Option<Node>,
    pub force_handlers: Option<Node>,
    /// What tasks inherit (already folded into them) and the play's own connection.
    pub keywords: Keywords,
    pub tags: Vec<String>,
    pub pre_tasks: Vec<Item>,
    /// Roles in order, dependencies before those who need them, each as its tasks.
    pub roles: Vec<Item>,
    pub tasks: Vec<Item>,
    pub post_tasks: Vec<Item>,
    /// Role handlers before the play's own, in definition order.
    pub handlers: Vec<Item>,
    /// All roles used statically, in order: their defaults and vars are visible to later tasks.
    pub role_list: Vec<Arc<Role>>,
}

/// Where a file-based thing belongs: its defaults, vars and search path.
#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    pub path: PathBuf,
    pub defaults: Vars,
    pub vars: Vars,
    /// Names of the roles that pulled this one in, outermost first.
    pub parents: Vec<String>,
    /// Their directories, in the same order.
    pub parent_paths: Vec<PathBuf>,
}

/// A line of a task list.
#[derive(Debug, Clone)]
pub enum Item {
    Task(Arc<Task>),
    Block(Arc<Block>),
}

/// `block:` with its `rescue` and `always`; imports without rescue or always are flattened away.
#[derive(Debug, Clone)]
pub struct Block {
    pub name: Option<String>,
    pub span: Span,
    pub block: Vec<Item>,
    pub rescue: Vec<Item>,
    pub always: Vec<Item>,
}

#[derive(Debug, Clone)]
pub struct Task {
    /// `name:`; may hold a template. `None`: shown as its module.
    pub name: Option<String>,
    pub span: Span,
    /// krun's: a name for `needs`.
    pub id: Option<String>,
    /// krun's: ids of tasks that must be done first.
    pub needs: Vec<(String, Span)>,
    /// krun's `barrier: true`: keeps its wait for the other hosts.
    pub barrier: bool,
    /// As written: `copy`, `ansible.builtin.copy`, ….
    pub module: String,
    pub module_span: Span,
    /// The arguments: `args:` and free-form `k=v` merged in; free text of command, shell, raw, script, meta, include_* under `_raw_params`.
    pub args: Map,
    /// A template for the whole of the arguments (`copy: "{{ arguments }}"`), instead of `args`.
    pub args_template: Option<Node>,
    /// Conditions of the task, its blocks, imports and roles; all must hold, outermost first.
    pub when: Vec<Node>,
    pub loop_: Option<Loop>,
    pub register: Option<(String, Span)>,
    pub until: Option<Node>,
    pub retries: Option<Node>,
    pub delay: Option<Node>,
    pub changed_when: Option<Node>,
    pub failed_when: Option<Node>,
    pub notify: Vec<Node>,
    /// Topics a handler answers to.
    pub listen: Vec<String>,
    pub async_: Option<Node>,
    pub poll: Option<Node>,
    pub keywords: Keywords,
    /// Own and inherited.
    pub tags: Vec<String>,
    /// For a dynamic include: `apply:`.
    pub apply: Option<Node>,
    /// `vars:` of the enclosing blocks, outermost first.
    pub block_vars: Vec<Arc<Vars>>,
    pub vars: Arc<Vars>,
    /// Role and include parameters, outermost first: they beat everything but extra vars.
    pub params: Vec<Arc<Vars>>,
    /// The role whose file holds the task.
    pub role: Option<Arc<Role>>,
    /// Directory of the file that holds the task.
    pub dir: PathBuf,
    pub playbook_dir: PathBuf,
    /// Handlers only: `true`.
    pub is_handler: bool,
    /// For a dynamic include: what stands around it, for the tasks that it brings.
    pub inherited: Option<Arc<Scope>>,
}

/// What a place in a playbook hands down to the tasks in it.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub keywords: Keywords,
    pub when: Vec<Node>,
    pub tags: Vec<String>,
    pub notify: Vec<Node>,
    pub block_vars: Vec<Arc<Vars>>,
    pub params: Vec<Arc<Vars>>,
    pub role: Option<Arc<Role>>,
    pub dir: PathBuf,
    pub playbook_dir: PathBuf,
    pub is_handler: bool,
}

#[derive(Debug, Clone)]
pub struct Loop {
    pub kind: LoopKind,
    pub items: Node,
    pub span: Span,
    /// Default `item`.
    pub loop_var: String,
    pub index_var: Option<String>,
    pub label: Option<Node>,
    pub pause: Option<Node>,
    pub extended: bool,
    /// `extended_allitems` (default yes).
    pub lists_all: bool,
    pub break_when: Option<Node>,
}

/// `loop:` or which `with_…:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoopKind {
    Loop,
    /// The look-up's name: `items`, `dict`, `fileglob`, ….
    With(String),
}

/// Keywords that plays, roles, blocks and tasks share; the nearest one that is written wins.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    pub r#become: Option<Node>,
    pub become_user: Option<Node>,
    pub become_method: Option<Node>,
    pub become_flags: Option<Node>,
    pub connection: Option<Node>,
    pub port: Option<Node>,
    pub remote_user: Option<Node>,
    /// Outermost first; later ones win key by key.
    pub environment: Vec<Node>,
    pub no_log: Option<Node>,
    pub check_mode: Option<Node>,
    pub diff: Option<Node>,
    pub ignore_errors: Option<Node>,
    pub ignore_unreachable: Option<Node>,
    pub any_errors_fatal: Option<Node>,
    pub throttle: Option<Node>,
    pub timeout: Option<Node>,
    pub run_once: Option<Node>,
    pub delegate_to: Option<Node>,
    pub delegate_facts: Option<Node>,
    /// Module name → default arguments, merged outermost first.
    pub module_defaults: Vec<Node>,
}

impl Task {
    /// A task that no file holds: krun's own, standing where the play does.
    pub fn bare(name: &str, module: &str, keywords: Keywords, dir: &Path, span: &Span) -> Self {
        Self {
            name: Some(name.into()),
            span: span.clone(),
            id: None,
            needs: Vec::new(),
            barrier: false,
            module: module.into(),
            module_span: span.clone(),
            args: Map::default(),
            args_template: None,
            when: Vec::new(),
            loop_: None,
            register: None,
            until: None,
            retries: None,
            delay: None,
            changed_when: None,
            failed_when: None,
            notify: Vec::new(),
            listen: Vec::new(),
            async_: None,
            poll: None,
            keywords,
            tags: Vec::new(),
            apply: None,
            block_vars: Vec::new(),
            vars: Arc::default(),
            params: Vec::new(),
            role: None,
            dir: dir.to_owned(),
            playbook_dir: dir.to_owned(),
            is_handler: false,
            inherited: None,
        }
    }

    /// Returns the name to show: as written, or the module's.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.module)
    }

    /// Returns `role : title`, as Ansible shows a role's task.
    pub fn full_title(&self) -> String {
        match &self.role {
            Some(role) => format!("{} : {}", role.name, self.title()),
            None => self.title().to_owned(),
        }
    }

    /// Returns a literal argument, if it is there and is text.
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args
            .entries
            .get(name)
            .and_then(|entry| entry.value.as_str())
    }

    /// Returns the arguments as a value, templates and all.
    pub fn args_value(&self) -> Value {
        match &self.args_template {
            Some(node) => node.to_value(),
            None => {
                Node::new(crate::yaml::Kind::Map(self.args.clone()), self.span.clone()).to_value()
            }
        }
    }
}

#[cfg(test)]
mod tests;
