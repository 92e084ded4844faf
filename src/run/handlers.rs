//! Handlers: who notified which, which an earlier run left, and their steps at a flush.

use super::batch::{Batch, Ending};
use super::host::{Flight, HostRun, HostState};
use super::scope::TaskScope;
use crate::event::EventKind;
use crate::plan::{Only, Step, StepKind};
use crate::playbook::Task;
use crate::proto::Due;
use crate::template::Scope;
use crate::value::{Dict, Value, display};
use indexmap::IndexMap;
use std::sync::Arc;

impl Batch<'_> {
    /// Runs the notified handlers of these hosts, in definition order; handlers notified by handlers follow.
    pub(super) fn flush(&mut self, at: usize, takers: &[usize]) {
        let mut due: IndexMap<usize, Vec<usize>> = IndexMap::new();
        for &host in takers {
            let name = Arc::clone(&self.hosts[host].name);
            for (title, _) in std::mem::take(&mut self.hosts[host].flushed) {
                self.run.handler_ran(&self.plan.play, &name, &title);
            }
            let notified = std::mem::take(&mut self.hosts[host].notified);
            let kept = self.kept_until_here(host, at);
            for handler in notified.into_keys().chain(kept) {
                due.entry(handler).or_default().push(host);
            }
        }
        if due.is_empty() {
            return;
        }
        due.sort_unstable_keys();
        let mut position = at + 1;
        for (handler, hosts) in due {
            let only: Only = Arc::new(
                hosts
                    .iter()
                    .map(|&host| Arc::clone(&self.hosts[host].name))
                    .collect(),
            );
            let mut last = 0;
            for step in self.handlers.list[handler].steps.clone() {
                let id = self.run.ids.fresh();
                last = id;
                for host in &hosts {
                    let run = &mut self.hosts[*host];
                    if let Some(cause) = run.doubtful.get(&handler) {
                        run.perhaps.insert(id, cause.clone());
                    }
                }
                self.steps.insert(
                    position,
                    Arc::new(Step {
                        id,
                        only: Some(Arc::clone(&only)),
                        ..(*step).clone()
                    }),
                );
                position += 1;
            }
            for host in &hosts {
                let title = self.handlers.list[handler].name.clone();
                self.hosts[*host].flushed.push((title, last));
            }
        }
        // Once more, for what the handlers themselves notified.
        let id = self.run.ids.fresh();
        self.steps.insert(
            position,
            Arc::new(Step {
                id,
                kind: StepKind::Flush,
                path: Vec::new(),
                only: None,
                is_open: false,
            }),
        );
    }

    /// A step is over on a host: if it is a handler's last one, the handler has run.
    pub(super) fn handler_ended(&mut self, host: usize, step: &Step) {
        let flushed = &mut self.hosts[host].flushed;
        if let Some(at) = flushed.iter().position(|(_, last)| *last == step.id) {
            let (title, _) = flushed.remove(at);
            let name = Arc::clone(&self.hosts[host].name);
            self.run.handler_ran(&self.plan.play, &name, &title);
        }
    }

    /// `force_handlers`, or `--force-handlers` where the play does not say.
    pub(super) fn forces_handlers(&self) -> bool {
        let Some(host) = self.hosts.first() else {
            return false;
        };
        let scope = TaskScope::new(&self.run.world, Some(&self.play), &host.name, None).shared();
        let said = self.plan.play.force_handlers.as_ref();
        let said = super::keywords::flag(&self.run.templar, said, &scope);
        said.ok()
            .flatten()
            .unwrap_or(self.run.world.settings.force_handlers)
    }

    /// The batch is over: what was notified on hosts that failed, or that a stop kept from their flush, runs now.
    pub(super) async fn run_forced_handlers(&mut self) {
        let is_due = |host: &HostRun| {
            !host.notified.is_empty() && matches!(host.state, HostState::Alive | HostState::Failed)
        };
        if !self.hosts.iter().any(is_due) {
            return;
        }
        let (ending, reason) = (self.ending, self.stop_reason.take());
        let states: Vec<HostState> = self.hosts.iter().map(|host| host.state).collect();
        let end = self.steps.len();
        for host in &mut self.hosts {
            host.state = if is_due(host) {
                HostState::Alive
            } else {
                HostState::Ended
            };
            (host.next, host.done) = (end, end);
        }
        self.steps.push(Arc::new(Step {
            id: self.run.ids.fresh(),
            kind: StepKind::Flush,
            path: Vec::new(),
            only: None,
            is_open: false,
        }));
        self.ending = Ending::No;
        // A handler may wait for facts of a host that is gone; nothing else is left that could stop it.
        Box::pin(self.go_on()).await;
        for (host, state) in self.hosts.iter_mut().zip(states) {
            if state != HostState::Alive || host.state == HostState::Ended {
                host.state = state;
            }
        }
        self.ending = ending;
        self.stop_reason = reason;
    }

    /// Takes the kept handlers whose flush point this is: the first one behind the task that had notified them, or the
    /// last one where that task is not there any more.
    fn kept_until_here(&mut self, host: usize, at: usize) -> Vec<usize> {
        let (before, behind) = self.steps.split_at(at);
        let holds = |steps: &[Arc<Step>], title: &str| {
            let mut tasks = steps.iter().filter_map(|step| step.task());
            tasks.any(|task| task.title() == title)
        };
        let is_last = !behind[1..]
            .iter()
            .any(|step| matches!(step.kind, StepKind::Flush));
        let (mut ripe, mut kept) = (Vec::new(), IndexMap::new());
        for (handler, by) in std::mem::take(&mut self.hosts[host].kept) {
            if is_last || (holds(before, &by) && !holds(behind, &by)) {
                ripe.push(handler);
            } else {
                kept.insert(handler, by);
            }
        }
        self.hosts[host].kept = kept;
        ripe
    }

    /// A change: its handlers are due at the next flush. `doubt` says why nobody knows whether it is one.
    pub(super) fn notify(
        &mut self,
        host: usize,
        task: &Arc<Task>,
        flight: &Flight,
        doubt: Option<&str>,
    ) {
        let locals = flight.items.first().map(|item| item.locals.clone());
        for (notified, found) in self.handlers_of(host, task, locals.unwrap_or_default()) {
            if found.is_empty() {
                let text = format!("no handler `{notified}`, which `{}` notifies", task.title());
                self.run.emit(EventKind::Warning {
                    text,
                    at: Some((&task.span).into()),
                });
            }
            for handler in found {
                self.notify_one(host, handler, task, doubt);
            }
        }
    }

    /// What a task notifies, each name with the handlers that it means. A name that cannot be rendered is left out.
    fn handlers_of(
        &self,
        host: usize,
        task: &Arc<Task>,
        locals: Dict,
    ) -> Vec<(String, Vec<usize>)> {
        let role = task.role.as_ref().map(|role| role.name.clone());
        let scope: Arc<dyn Scope> = self.scope(host, task).with(locals).shared();
        let rendered = task.notify.iter().filter_map(|node| {
            let names = self.run.templar.render_value(&node.to_value(), &scope);
            names.ok()
        });
        let names = rendered.flat_map(|names| match names {
            Value::Sequence(names) => names.iter().map(display).collect(),
            name => vec![display(&name)],
        });
        names
            .map(|name| {
                let found = self.handlers.find(&name, role.as_deref());
                (name, found)
            })
            .collect()
    }

    /// The handlers that an item's host itself shall remember; where `changed_when` decides, only the controller can know.
    pub(super) fn notifies(&self, host: usize, position: usize, index: usize) -> Vec<Due> {
        let flight = &self.hosts[host].flights[position];
        let item = &flight.items[index];
        let Some(task) = flight.task.as_ref().filter(|task| !task.notify.is_empty()) else {
            return Vec::new();
        };
        if task.changed_when.is_some()
            || item.envelope.check_mode
            || item.envelope.delegate_to.is_some()
        {
            return Vec::new();
        }
        let handlers = self.handlers_of(host, task, item.locals.clone());
        let handlers = handlers.into_iter().flat_map(|(_, found)| found);
        let name = &self.hosts[host].name;
        handlers
            .map(|handler| {
                let handler = &self.handlers.list[handler].name;
                self.run.due(&self.plan.play, name, handler, task.title())
            })
            .collect()
    }

    fn notify_one(&mut self, host: usize, handler: usize, task: &Arc<Task>, doubt: Option<&str>) {
        let name = Arc::clone(&self.hosts[host].name);
        let title = self.handlers.list[handler].name.clone();
        let run = &mut self.hosts[host];
        run.kept.shift_remove(&handler);
        match doubt {
            None => drop(run.doubtful.remove(&handler)),
            Some(cause) if !run.notified.contains_key(&handler) => {
                let cause = format!("`{}` notifies it, perhaps: {cause}", task.title());
                run.doubtful.insert(handler, cause);
            }
            Some(_) => {}
        }
        let by = task.title().to_owned();
        if run.notified.insert(handler, by).is_none() {
            self.run
                .handler_notified(&self.plan.play, &name, &title, task.title());
            self.run.emit(EventKind::HandlerNotified {
                host: name,
                handler: title,
            });
        }
    }

    /// Handlers that an earlier run notified and did not run are due in this one, too. Known once the host has answered,
    /// those of an included role once it is included.
    pub(super) fn take_over_kept_handlers(&mut self, host: usize) {
        let name = Arc::clone(&self.hosts[host].name);
        for (due, from) in self.run.kept_handlers(&self.plan.play, &name) {
            let found = self.handlers.find(&due.handler, None);
            let run = &mut self.hosts[host];
            // A link that was made anew only repeats what this run knows.
            let is_known = |handler: &usize| {
                let title = &self.handlers.list[*handler].name;
                run.notified.contains_key(handler)
                    || run.kept.contains_key(handler)
                    || run.flushed.iter().any(|(flushed, _)| flushed == title)
            };
            if found.iter().all(is_known) {
                continue;
            }
            let kept = &mut run.kept;
            kept.extend(
                found
                    .into_iter()
                    .map(|handler| (handler, due.notified_by.clone())),
            );
            let (by, from) = (&due.notified_by, from.unwrap_or_default());
            let reason = format!("an earlier run{from} stopped after `{by}` had notified it");
            self.run.emit(EventKind::HandlerKept {
                host: Arc::clone(&name),
                handler: due.handler,
                reason,
            });
        }
    }
}
