//! What a failure does: a rescue takes over, or the host leaves the play, and perhaps the play ends for all.

use super::Run;
use super::batch::{Batch, Ending};
use super::host::HostState;
use super::keywords::{flag, text};
use super::prepare::Judged;
use super::scope::TaskScope;
use super::world::{self, PlayContext};
use crate::plan::{Part, Step};
use crate::playbook::Task;
use crate::value::{Dict, HostName, Mapping, Value};
use crate::yaml::{Kind, Node};
use std::sync::Arc;

/// A failure that is every host's.
#[derive(Debug)]
pub(super) struct Fatal {
    /// The step's number.
    at: usize,
    step: Arc<Step>,
    reason: String,
}

impl Batch<'_> {
    /// The host has failed at a step: a `rescue` takes over, or the host leaves the play.
    pub(super) fn fail_host(
        &mut self,
        host: usize,
        step: &Step,
        failure: Option<(&Task, &Judged)>,
    ) {
        let name = Arc::clone(&self.hosts[host].name);
        let rescued = self.hosts[host].fail_at(&step.path);
        if let Some((task, judged)) = failure {
            let mut locals = Dict::new();
            let mut about = Mapping::new();
            about.insert("name".into(), task.title().into());
            about.insert("action".into(), task.module.as_str().into());
            locals.insert("ansible_failed_task".into(), Value::Mapping(about));
            locals.insert(
                "ansible_failed_result".into(),
                Value::Mapping(judged.data.clone()),
            );
            world::write(&self.run.world.host(&name), |vars| vars.set.extend(locals));
            let stats = self.run.stats(&name);
            if rescued {
                stats.rescued += 1;
            } else {
                stats.failed += 1;
            }
        }
        self.hosts[host].epoch += 1;
        self.drop_flights(host);
        self.hosts[host].next = self.hosts[host].done;
        if !self.hosts[host].is_alive() {
            self.host_left(host);
        }
    }

    /// Where a plan cannot say how a task ends, its `rescue` perhaps runs.
    pub(super) fn doubt_rescue(&mut self, host: usize, step: &Step, task: &Task, judged: &Judged) {
        let never_fails = |node: &Node| matches!(&node.kind, Kind::Bool(false));
        let is_open = judged.unknown.is_some() && !judged.changed;
        if is_open
            && self.run.world.settings.check_mode
            && !task.failed_when.as_ref().is_some_and(never_fails)
        {
            let title = task.title();
            let cause = format!("it rescues `{title}`, and whether that fails a plan cannot say");
            self.hosts[host].doubt_at(&step.path, &cause);
        }
    }

    /// Forgets what stands behind a failure: the agent drops it, too.
    pub(super) fn drop_flights(&mut self, host: usize) {
        self.hosts[host].flights.clear();
        self.sent.retain(|_, (owner, _, _)| *owner != host);
        self.run.forget_pending(&self.hosts[host].name);
    }

    /// `any_errors_fatal`, and a failed `run_once`: everyone fails at this step, once everyone has tried it. Their rescues
    /// and always still run.
    pub(super) fn fail_everyone(
        &mut self,
        culprit: usize,
        at: usize,
        step: &Arc<Step>,
        task: &Task,
    ) {
        let reason = format!(
            "`{}` failed on {}, and `any_errors_fatal` ends the play",
            task.title(),
            self.hosts[culprit].name
        );
        self.fatal.get_or_insert_with(|| Fatal {
            at,
            step: Arc::clone(step),
            reason,
        });
        if self.ending != Ending::No {
            self.fail_the_others();
        }
    }

    /// Fails the hosts that have come past a step at which another one's failure is theirs, too.
    pub(super) fn fail_where_one_has_failed(&mut self) {
        let Some(at) = self.fatal.as_ref().map(|fatal| fatal.at) else {
            return;
        };
        if self.ending == Ending::No && (self.is_free() || self.frontier() > at) {
            self.fail_the_others();
        }
    }

    fn fail_the_others(&mut self) {
        let Some(Fatal { at, step, reason }) = self.fatal.take() else {
            return;
        };
        for other in 0..self.hosts.len() {
            if !self.hosts[other].is_alive() || self.hosts[other].has_failed_at(&step.path) {
                continue;
            }
            self.hosts[other].fail_at(&step.path);
            if self.ending == Ending::No && !self.is_free() {
                // What it found behind the step did not happen.
                self.take_back_behind(other, at);
            }
        }
        let in_block = step
            .path
            .iter()
            .any(|(_, part)| !matches!(part, Part::Always));
        if !in_block {
            self.stop(Ending::Stop, at, reason);
        }
    }

    /// Takes back what a host was sent of the steps behind this one, and what it has found of them.
    fn take_back_behind(&mut self, host: usize, at: usize) {
        self.take_back_of(host);
        self.drop_flights(host);
        let host = &mut self.hosts[host];
        host.epoch += 1;
        host.unsaid.retain(|(step, _)| *step <= at);
        (host.next, host.done) = (at + 1, at + 1);
    }

    /// A lost host is as fatal as a failure, where `any_errors_fatal` says so of the task or of the play.
    pub(super) fn loss_is_fatal(&self, host: usize) -> bool {
        let flight = self.hosts[host].flights.front();
        if let Some(item) = flight.and_then(|flight| flight.items.first()) {
            return item.envelope.on_failure.is_fatal;
        }
        let name = &self.hosts[host].name;
        let scope = TaskScope::new(&self.run.world, Some(&self.play), name, None).shared();
        let keyword = self.plan.play.keywords.any_errors_fatal.as_ref();
        matches!(flag(&self.run.templar, keyword, &scope), Ok(Some(true)))
    }

    /// A host has left the play: guarded plays end here, others where too many have left.
    pub(super) fn host_left(&mut self, host: usize) {
        let name = Arc::clone(&self.hosts[host].name);
        let unreachable = self.hosts[host].state == HostState::Unreachable;
        {
            let mut hosts = self.play.hosts.write().expect("play hosts lock");
            hosts.active.retain(|other| *other != name);
            hosts.batch.retain(|other| *other != name);
        }
        let step = self.hosts[host].done.saturating_sub(1).max(self.said);
        if self.plan.guarded {
            let what = if unreachable {
                "cannot be reached"
            } else {
                "has failed"
            };
            return self.stop(
                Ending::Stop,
                step,
                format!("{name} {what}, and this play stops at the first doubt"),
            );
        }
        let failed = self
            .hosts
            .iter()
            .filter(|host| host.state == HostState::Failed)
            .count();
        if let Some(limit) = self.run.max_fail_percentage(&self.play, &name)
            && percentage(failed, self.hosts.len()) > limit
        {
            self.stop(
                Ending::Stop,
                step,
                format!(
                    "{failed} of {} hosts have failed, more than `max_fail_percentage: {limit}`",
                    self.hosts.len()
                ),
            );
        }
    }
}

impl Run {
    /// `max_fail_percentage` of the play, if it says one.
    fn max_fail_percentage(&self, context: &Arc<PlayContext>, host: &HostName) -> Option<f64> {
        let scope = TaskScope::new(&self.world, Some(context), host, None).shared();
        let text = text(
            &self.templar,
            context.play.max_fail_percentage.as_ref(),
            &scope,
        )
        .ok()
        .flatten()?;
        text.trim().trim_end_matches('%').parse().ok()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of hosts")]
fn percentage(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
