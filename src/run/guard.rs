//! Turns a plan into the guarded things that it would do: each host is asked before any of them is changed.

use super::batch::{Batch, Ending, task_name};
use super::foresee::{Foreseen, What, foresee};
use super::keywords::Envelope;
use super::world::Guards;
use super::{Context, Interrupt, Run, prepare, questions};
use crate::event::{Danger, EventKind, TaskName};
use crate::modules::{Action, GUARDED};
use crate::plan::{Plan, short_name};
use crate::proto;
use crate::value::HostName;
use crate::yaml::Node;
use indexmap::IndexMap;
use std::sync::Arc;

impl Context {
    /// A context with a world of its own: what is tried in it leaves no trace in this one.
    pub(super) fn apart(&self) -> Self {
        let (inventory, settings) = (self.world.inventory().clone(), self.world.settings.clone());
        Self {
            world: super::World::new(inventory, self.world.extra.clone(), settings),
            templar: Arc::clone(&self.templar),
            transport: Arc::clone(&self.transport),
            fetching: crate::artifacts::Fetching::default(),
            interrupt: Interrupt::channel().1,
            vault: self.vault.clone(),
            roles_path: self.roles_path.clone(),
            selection: self.selection.clone(),
            past: None,
            back: None,
            promise: None,
            id: self.id.clone(),
        }
    }
}

/// What many hosts come to, by the task and what it would do.
type Found = IndexMap<(String, String), Danger>;

impl Run {
    /// Asks each host what the guarded tasks would do there that can be told before the run. Says what they answer;
    /// the run ends here unless the user allows it.
    pub(super) async fn guard(&mut self, plan: &Plan, apart: Context) -> Ending {
        let guards = self.world.settings.guards;
        if guards == Guards::Off || self.world.settings.check_mode || !may_be_guarded(plan) {
            return Ending::No;
        }
        let mut asked = Vec::new();
        let facts = Vec::new();
        foresee(plan.clone(), apart, GUARDED, &facts, &mut |foreseen| {
            if let What::Does(action, None) = &foreseen.what
                && (action.may_destroy() || (action.may_stop() && foreseen.width > 1))
            {
                asked.push(foreseen);
            }
        });
        if let Some(past) = &self.past {
            // Where it had begun, what it removed may be there anew, and is guarded by the host itself.
            asked.retain(|foreseen| !past.has_begun(&foreseen.host));
        }
        let mut questions = Vec::new();
        let mut tasks = Vec::new();
        for foreseen in asked {
            if let Some((question, task)) = self.look_at(foreseen) {
                questions.push(question);
                tasks.push(task);
            }
        }
        let Ok(mut answers) = self.answers(questions).await else {
            return Ending::Interrupt;
        };
        answers.sort_by_key(|(question, _)| question.seq());
        let mut found = Found::new();
        for (question, answer) in answers {
            // Who cannot be asked is met again in the run, and guarded there.
            let (Ok(outcome), Some((_, task))) =
                (answer, tasks.iter().find(|(seq, _)| *seq == question.seq()))
            else {
                continue;
            };
            let lost = outcome.destroys.iter().map(|lost| format!("remove {lost}"));
            let stops = outcome.stops.iter().map(|what| format!("stop the {what}"));
            for what in lost.chain(stops) {
                let what = self.mask(&what);
                let key = (format!("{:?}", task.at), what.clone());
                let danger = found.entry(key).or_insert_with(|| Danger {
                    task: task.clone(),
                    what,
                    hosts: Vec::new(),
                });
                danger.hosts.push(Arc::clone(&question.host));
            }
        }
        // One server of a cluster may stop.
        found.retain(|_, danger| !danger.what.starts_with("stop ") || danger.hosts.len() > 1);
        if found.is_empty() {
            return Ending::No;
        }
        let is_allowed = guards == Guards::Allow;
        self.emit(EventKind::Guarded {
            dangers: found.into_values().collect(),
            is_allowed,
        });
        if is_allowed { Ending::No } else { Ending::Stop }
    }

    /// Has a host look at what a task would do there.
    fn look_at(
        &mut self,
        foreseen: Foreseen,
    ) -> Option<(questions::Question, (proto::Seq, TaskName))> {
        let What::Does(action, _) = foreseen.what else {
            return None;
        };
        let envelope: Envelope = (*foreseen.envelope).clone();
        let to = envelope.delegate_to.clone();
        let to = to.unwrap_or_else(|| Arc::clone(&foreseen.host));
        let task = Some(&foreseen.task);
        self.open(&to, &foreseen.play, task, &foreseen.host).ok()?;
        let seq = self.links.next_seq();
        let question = proto::Task {
            check_mode: true,
            ..questions::task(seq, "what it would destroy", *action, envelope)
        };
        Some((self.ask(&to, question), (seq, task_name(&foreseen.task))))
    }
}

/// Whether it is worth a look at each task: most plays neither remove nor stop anything.
fn may_be_guarded(plan: &Plan) -> bool {
    let tasks = plan
        .plays
        .iter()
        .flat_map(|play| &play.steps)
        .filter_map(|step| step.task());
    tasks.into_iter().any(|task| {
        let module = short_name(&task.module);
        let state = |node: Option<&Node>| {
            let text = node.and_then(Node::as_str).unwrap_or_default();
            matches!(text, "absent" | "stopped" | "restarted") || text.contains("{{")
        };
        let entry = task.args.entries.get("state");
        module.starts_with("include")
            || (GUARDED.contains(&module) && state(entry.map(|entry| &entry.value)))
    })
}

impl Batch<'_> {
    /// Why a server of a cluster that this action stops would not be the only one: others of the batch do the same, or
    /// it is not in the batch at all.
    pub(super) fn crowd(
        &self,
        host: usize,
        step: usize,
        action: &Action,
        envelope: &Envelope,
    ) -> Option<String> {
        if !action.may_stop() {
            return None;
        }
        if let Some(to) = &envelope.delegate_to {
            let hosts = self.play.hosts.read().expect("play hosts lock");
            let promises = !self.plan.play.serial.is_empty();
            let is_outside = hosts.all.contains(to) && !hosts.batch.contains(to);
            return (promises && is_outside)
                .then(|| format!("{to} is not in this batch, and the play promises `serial`"));
        }
        let others: Vec<&HostName> = (0..self.hosts.len())
            .filter(|other| *other != host && self.does_too(*other, step))
            .map(|other| &self.hosts[other].name)
            .collect();
        match others.as_slice() {
            [] => None,
            [other] => Some(format!(
                "{other} is in the same batch, and does the same at once"
            )),
            [first, ..] => Some(format!(
                "{first} and {} more are in the same batch, and do the same at once",
                others.len() - 1
            )),
        }
    }

    /// Whether another host takes the step, too, as far as can be told.
    fn does_too(&self, other: usize, step: usize) -> bool {
        let it = &self.hosts[other];
        let Some(task) = self.steps[step].task() else {
            return false;
        };
        if !it.is_alive() || !it.takes(&self.steps[step]) {
            return false;
        }
        let scope = self.scope_at(other, step, task).shared();
        !matches!(
            prepare::conditions(&self.run.templar, &task.when, &scope),
            Ok(Some(_))
        )
    }
}
