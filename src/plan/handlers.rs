//! Turns a play's handlers into what `notify` looks up: by name, by `role : name` and by topic.

use super::expand::Ids;
use super::{Step, StepKind, expand};
use crate::playbook::{Item, Task};
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
