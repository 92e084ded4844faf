//! Leaves out the steps that `--tags`, `--skip-tags` and `--start-at-task` do not want.

use super::{PlayPlan, Step, StepKind};
use crate::diag::{Diagnostic, Diagnostics};
use std::sync::Arc;

/// What the command line selects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Empty: `all`.
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub start_at_task: Option<String>,
}

impl Selection {
    /// Whether a task with these tags runs. Ansible's rules: `always` and `never`, and `tagged`, `untagged`, `all` as words of the command line.
    pub fn wants(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|own| own == tag);
        let untagged = !tags.iter().any(|tag| tag != "always" && tag != "never");
        let named = |wanted: &String| match wanted.as_str() {
            "all" => !has("never"),
            "tagged" => !untagged && !has("never"),
            "untagged" => untagged && !has("never"),
            tag => has(tag),
        };
        let chosen = if self.tags.is_empty() {
            !has("never")
        } else {
            self.tags.iter().any(named) || has("always")
        };
        let skipped = self.skip_tags.iter().any(|skip| match skip.as_str() {
            "all" => !has("always"),
            "tagged" => !untagged,
            "untagged" => untagged,
            tag => has(tag),
        });
        chosen && !skipped
    }
}

pub(super) fn by_selection(steps: Vec<Arc<Step>>, selection: &Selection) -> Vec<Arc<Step>> {
    let always = vec!["always".to_owned()];
    steps
        .into_iter()
        .filter(|step| match &step.kind {
            StepKind::Task(task) => selection.wants(&task.tags),
            StepKind::Gather => selection.wants(&always),
            StepKind::Flush | StepKind::BlockEnd(..) => true,
        })
        .collect()
}

/// Cuts everything before the first task whose name matches.
pub(super) fn start_at(
    plays: &mut [PlayPlan],
    selection: &Selection,
    diagnostics: &mut Diagnostics,
) {
    let Some(wanted) = &selection.start_at_task else {
        return;
    };
    for play in plays.iter_mut() {
        let found = play.steps.iter().position(|step| {
            step.task()
                .is_some_and(|task| task.title() == wanted || task.full_title() == *wanted)
        });
        let facts = play
            .steps
            .first()
            .filter(|step| matches!(step.kind, StepKind::Gather))
            .cloned();
        match found {
            Some(position) => {
                play.steps.drain(..position);
                if let Some(facts) = facts {
                    play.steps.insert(0, facts);
                }
                return;
            }
            None => play.steps.clear(),
        }
    }
    diagnostics.push(
        Diagnostic::global(format!("no task `{wanted}` to start at"))
            .help("`krun graph` lists the tasks by their names"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(tags: &[&str], skip: &[&str], own: &[&str]) -> bool {
        let owned = |list: &[&str]| list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        Selection {
            tags: owned(tags),
            skip_tags: owned(skip),
            start_at_task: None,
        }
        .wants(&owned(own))
    }

    #[test]
    fn never_runs_only_when_named() {
        assert!(!wants(&[], &[], &["never", "danger"]));
        assert!(wants(&["danger"], &[], &["never", "danger"]));
        assert!(!wants(&["all"], &[], &["never", "danger"]));
    }

    #[test]
    fn always_runs_unless_skipped_by_name() {
        assert!(wants(&["other"], &[], &["always"]));
        assert!(!wants(&["other"], &["always"], &["always"]));
    }

    #[test]
    fn skip_wins_over_tags() {
        assert!(!wants(&["a"], &["b"], &["a", "b"]));
        assert!(wants(&["untagged"], &[], &[]));
        assert!(!wants(&["tagged"], &[], &[]));
    }
}
