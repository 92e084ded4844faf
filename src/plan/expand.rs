//! Turns the items of a play, or of a file included while running, into steps in linear order.

use super::{Only, Part, Step, StepKind};
use crate::playbook::{Item, Play};
use crate::yaml::Kind;
use std::sync::Arc;

/// Numbers steps and blocks, uniquely within a run.
#[derive(Debug, Default)]
pub struct Ids {
    next: usize,
}

impl Ids {
    /// Continues after everything that a plan has numbered.
    pub fn after(plan: &super::Plan) -> Self {
        let steps = plan.plays.iter().flat_map(|play| {
            play.steps
                .iter()
                .chain(play.handlers.list.iter().flat_map(|handler| &handler.steps))
        });
        let blocks =
            |step: &Arc<Step>| step.path.iter().map(|(block, _)| *block).max().unwrap_or(0);
        Self {
            next: steps
                .map(|step| step.id.max(blocks(step)))
                .max()
                .unwrap_or(0),
        }
    }

    /// Returns a number that nothing else of the run has.
    pub fn fresh(&mut self) -> usize {
        self.next += 1;
        self.next
    }
}

/// A play: facts, then each section with its flush of handlers.
pub(super) fn play(play: &Play, ids: &mut Ids) -> Vec<Arc<Step>> {
    let mut steps = Vec::new();
    let bare = |kind, ids: &mut Ids| {
        Arc::new(Step {
            id: ids.fresh(),
            kind,
            path: Vec::new(),
            only: None,
            is_open: false,
        })
    };
    // `gather_facts: no`, written out, needs no step; a template is judged for each host.
    let never = play
        .gather_facts
        .as_ref()
        .is_some_and(|node| node.kind == Kind::Bool(false));
    if !never {
        steps.push(bare(StepKind::Gather, ids));
    }
    steps.extend(items(&play.pre_tasks, &[], None, ids));
    steps.push(bare(StepKind::Flush, ids));
    steps.extend(items(&play.roles, &[], None, ids));
    steps.extend(items(&play.tasks, &[], None, ids));
    steps.push(bare(StepKind::Flush, ids));
    steps.extend(items(&play.post_tasks, &[], None, ids));
    steps.push(bare(StepKind::Flush, ids));
    steps
}

/// A list of tasks and blocks that stands inside `path`, for all hosts of the batch or `only` some.
pub fn items(
    list: &[Item],
    path: &[(usize, Part)],
    only: Option<&Only>,
    ids: &mut Ids,
) -> Vec<Arc<Step>> {
    let mut steps = Vec::new();
    for item in list {
        match item {
            Item::Task(task) => steps.push(Arc::new(Step {
                id: ids.fresh(),
                kind: StepKind::Task(Arc::clone(task)),
                path: path.to_vec(),
                only: only.cloned(),
                is_open: false,
            })),
            Item::Block(block) if block.rescue.is_empty() && block.always.is_empty() => {
                steps.extend(items(&block.block, path, only, ids));
            }
            Item::Block(block) => {
                let id = ids.fresh();
                let has_rescue = !block.rescue.is_empty();
                for (part, list) in [
                    (Part::Body { has_rescue }, &block.block),
                    (Part::Rescue, &block.rescue),
                    (Part::Always, &block.always),
                ] {
                    let inside: Vec<_> = path.iter().copied().chain([(id, part)]).collect();
                    steps.extend(items(list, &inside, only, ids));
                }
                let kind = StepKind::BlockEnd(id, block.span.clone());
                steps.push(Arc::new(Step {
                    id: ids.fresh(),
                    kind,
                    path: path.to_vec(),
                    only: only.cloned(),
                    is_open: false,
                }));
            }
        }
    }
    steps
}
