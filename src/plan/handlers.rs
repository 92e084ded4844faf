//! Turns a play's handlers into what `notify` looks up: by name, by `role : name` and by topic.

use super::expand::Ids;
use super::{Step, StepKind, expand};
use crate::diag::{Diagnostics, nearest};
use crate::playbook::{Item, Play, Task};
use std::sync::Arc;

/// The handlers of a play, in definition order: the order in which they run.
#[derive(Debug, Clone, Default)]
pub struct Handlers {
    pub list: Vec<Handler>,
}

#[derive(Debug, Clone)]
pub struct Handler {
    /// `name`, as written.
    pub name: String,
    pub role: Option<String>,
    pub listen: Vec<String>,
    /// A handler may be a block or an include: its steps.
    pub steps: Vec<Arc<Step>>,
}

impl Handlers {
    pub fn new(items: &[Item], ids: &mut Ids) -> Self {
        let list = items.iter().map(|item| Handler::new(item, ids)).collect();
        Self { list }
    }

    /// Adds the handlers of a role that was included while running.
    pub fn extend(&mut self, items: &[Item], ids: &mut Ids) {
        self.list
            .extend(items.iter().map(|item| Handler::new(item, ids)));
    }

    /// Returns the positions of the handlers that `notified` runs: those listening to it, and the last one of that name.
    pub fn find(&self, notified: &str, from_role: Option<&str>) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, handler)| handler.listen.iter().any(|topic| topic == notified))
            .map(|(i, _)| i)
            .collect();
        let own_role = self.list.iter().rposition(|handler| {
            from_role.is_some() && handler.role.as_deref() == from_role && handler.name == notified
        });
        if let Some(named) = own_role.or_else(|| {
            self.list
                .iter()
                .rposition(|handler| handler.answers_to(notified))
        }) {
            found.push(named);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Reports each literal `notify` that no handler answers to, unless a role included while running may bring it.
    pub(super) fn lint(&self, steps: &[Arc<Step>], play: &Play, diagnostics: &mut Diagnostics) {
        let includes = |task: &Task| {
            matches!(
                super::short_name(&task.module),
                "include_role" | "include_tasks"
            )
        };
        let tasks = || steps.iter().filter_map(|step| step.task());
        if tasks().any(|task| includes(task))
            || self.list.iter().any(|handler| handler.name.contains("{{"))
        {
            return;
        }
        let names: Vec<&str> = self
            .list
            .iter()
            .flat_map(|h| {
                std::iter::once(h.name.as_str()).chain(h.listen.iter().map(String::as_str))
            })
            .collect();
        for task in tasks() {
            for node in &task.notify {
                let Some(name) = node.as_str().filter(|name| !name.contains("{{")) else {
                    continue;
                };
                if self
                    .find(name, task.role.as_ref().map(|role| role.name.as_str()))
                    .is_empty()
                {
                    let fault = node
                        .span
                        .error(format!("no handler `{name}` in the play `{}`", play.name));
                    diagnostics.push(match nearest(name, names.iter().copied()) {
                        Some(near) => fault.help(format!("did you mean `{near}`?")),
                        None => {
                            fault.help("add it under `handlers:`, or a `listen:` with this topic")
                        }
                    });
                }
            }
        }
    }
}

impl Handler {
    fn new(item: &Item, ids: &mut Ids) -> Self {
        let (name, role, listen) = match item {
            Item::Task(task) => (
                task.title().to_owned(),
                task.role.as_ref().map(|role| role.name.clone()),
                task.listen.clone(),
            ),
            Item::Block(block) => (block.name.clone().unwrap_or_default(), None, Vec::new()),
        };
        Self {
            name,
            role,
            listen,
            steps: expand::items(std::slice::from_ref(item), &[], None, ids),
        }
    }

    fn answers_to(&self, notified: &str) -> bool {
        self.name == notified
            || self
                .role
                .as_ref()
                .is_some_and(|role| format!("{role} : {}", self.name) == notified)
    }

    /// Returns the first task, for its place.
    pub fn task(&self) -> Option<&Arc<Task>> {
        self.steps.iter().find_map(|step| match &step.kind {
            StepKind::Task(task) => Some(task),
            _ => None,
        })
    }
}
