//! Takes the steps at which all hosts of a batch meet: `meta`, includes, inventory changes, flushes of handlers.

use super::batch::{Batch, Ending, task_name};
use super::host::HostState;
use super::keywords::envelope;
use super::prepare::{arguments, conditions};
use super::scope::TaskScope;
use super::verdict;
use crate::event::{EventKind, Status};
use crate::modules::Error;
use crate::plan::{Only, Part, Step, StepKind, expand, short_name};
use crate::playbook::{Item, Role, Task};
use crate::template::Scope;
use crate::value::{Dict, HostName, Mapping, Value};
use crate::yaml::{Kind, Node};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::sync::Arc;

impl Batch<'_> {
    /// If all living hosts have come to a barrier and nothing is under way: takes it.
    pub(super) fn take_barrier(&mut self) {
        if self.ending != Ending::No {
            return;
        }
        let at = self.frontier();
        let Some(step) = self.steps.get(at).cloned() else {
            return;
        };
        let alive = || self.hosts.iter().filter(|host| host.is_alive());
        let all_here =
            alive().all(|host| host.done == at && host.next == at && host.flights.is_empty());
        if !step.is_barrier() || !all_here || alive().next().is_none() {
            return;
        }
        // Only a host's own agent can tell which handlers are due there.
        let asks_hosts = matches!(step.kind, StepKind::Flush);
        if asks_hosts && alive().any(|host| self.run.is_connecting(&host.name)) {
            return;
        }
        // What stands before it is said first.
        let takers: Vec<usize> = (0..self.hosts.len())
            .filter(|&host| self.hosts[host].is_alive() && self.hosts[host].takes(&step))
            .collect();
        for host in self.hosts.iter_mut().filter(|host| host.is_alive()) {
            (host.next, host.done) = (at + 1, at + 1);
        }
        match &step.kind {
            StepKind::Flush => self.flush(at, &takers),
            StepKind::Task(task) => match short_name(&task.module) {
                "meta" => self.meta(at, &step, task, &takers),
                "include_tasks" | "include_role" | "include" => {
                    self.include(at, &step, task, &takers);
                }
                // What changes the inventory, and a task with `barrier: true` or `needs:`, runs as any other, once
                // everyone is here.
                _ => self.run_at_barrier(at, &step),
            },
            StepKind::Gather | StepKind::BlockEnd(..) => {}
        }
    }

    /// Puts the task, as an ordinary step, behind its barrier.
    fn run_at_barrier(&mut self, at: usize, step: &Arc<Step>) {
        let Some(task) = step.task() else { return };
        let mut task = (**task).clone();
        if short_name(&task.module) == "add_host" {
            let once = Node::new(Kind::Bool(true), task.span.clone());
            task.keywords.run_once = Some(once);
        }
        let step = Step {
            kind: StepKind::Task(Arc::new(task)),
            is_open: true,
            ..(**step).clone()
        };
        self.steps.insert(at + 1, Arc::new(step));
    }

    pub(super) fn scope(&self, host: usize, task: &Arc<Task>) -> TaskScope {
        TaskScope::new(
            &self.run.world,
            Some(&self.play),
            &self.hosts[host].name,
            Some(task),
        )
    }

    fn meta(&mut self, at: usize, step: &Arc<Step>, task: &Arc<Task>, takers: &[usize]) {
        let word = task
            .arg("_raw_params")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let mut held = Vec::new();
        for &host in takers {
            if let Some(cause) = self.hosts[host].doubt_of(&step.path) {
                let judged = verdict::unforeseen(cause.to_owned());
                self.report(host, at, task, judged);
                continue;
            }
            let scope: Arc<dyn Scope> = self.scope(host, task).shared();
            match conditions(&self.run.templar, &task.when, &scope) {
                Ok(None) => held.push(host),
                Ok(Some(_)) => {}
                Err(error) if error.is_unknown() => {
                    let cause = format!("whether it runs depends on {error}");
                    self.report(host, at, task, verdict::unforeseen(cause));
                }
                Err(error) => self.fail_at_barrier(
                    host,
                    at,
                    step,
                    task,
                    Error::new(format!("the condition cannot be judged: {error}")),
                ),
            }
        }
        // The run that is rolled back went on here, or did not: what it changed is put back either way.
        let ends_something = word.starts_with("end_") || word == "clear_host_errors";
        if held.is_empty() || (ends_something && self.run.back.is_some()) {
            return;
        }
        match word.as_str() {
            "flush_handlers" => self.flush(at, &held),
            "end_play" => self.ending = Ending::Play,
            "end_batch" => self.ending = Ending::Batch,
            "end_host" => held
                .into_iter()
                .for_each(|host| self.hosts[host].state = HostState::Ended),
            "end_role" => self.end_role(at, task, &held),
            "clear_facts" => {
                for host in held {
                    super::world::write(&self.run.world.host(&self.hosts[host].name), |vars| {
                        vars.facts.clear();
                    });
                }
            }
            "clear_host_errors" => self.run.clear_host_errors(),
            _ => {}
        }
    }

    /// The rest of the role is passed by these hosts.
    fn end_role(&mut self, at: usize, task: &Arc<Task>, held: &[usize]) {
        let Some(role) = &task.role else { return };
        let stay: HashSet<HostName> = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(index, _)| !held.contains(index))
            .map(|(_, host)| Arc::clone(&host.name))
            .collect();
        for step in &mut self.steps[at + 1..] {
            let same = step
                .task()
                .and_then(|task| task.role.as_ref())
                .is_some_and(|other| Arc::ptr_eq(other, role));
            if !same {
                break;
            }
            let only = match &step.only {
                Some(only) => only.intersection(&stay).cloned().collect(),
                None => stay.clone(),
            };
            *step = Arc::new(Step {
                only: Some(Arc::new(only)),
                ..(**step).clone()
            });
        }
    }

    /// Says and counts a result that no flight brought.
    fn report(&mut self, host: usize, at: usize, task: &Arc<Task>, judged: super::prepare::Judged) {
        let name = Arc::clone(&self.hosts[host].name);
        if let Some((register, _)) = &task.register {
            let value = Value::Mapping(judged.data.clone());
            super::world::write(&self.run.world.host(&name), |vars| {
                drop(vars.set.insert(register.clone(), value));
            });
        }
        let result = self.run.show(judged.result, false);
        self.hosts[host].unsaid.push_back((
            at,
            EventKind::TaskEnded {
                host: name,
                task: task_name(task),
                result,
            },
        ));
    }

    fn fail_at_barrier(
        &mut self,
        host: usize,
        at: usize,
        step: &Arc<Step>,
        task: &Arc<Task>,
        error: Error,
    ) {
        let judged = verdict::failure(error);
        let name = Arc::clone(&self.hosts[host].name);
        let envelope = envelope(&self.run.templar, &self.scope(host, task), task);
        let on_failure = envelope.unwrap_or_default().on_failure;
        let mut result = self.run.show(judged.result.clone(), false);
        if on_failure.is_ignored {
            result.status = Status::Ignored;
        }
        self.hosts[host].unsaid.push_back((
            at,
            EventKind::TaskEnded {
                host: name,
                task: task_name(task),
                result,
            },
        ));
        if on_failure.is_ignored {
            return;
        }
        self.fail_host(host, step, Some((task, &judged)));
        if on_failure.is_fatal {
            self.fail_everyone(host, at, step, task);
        }
    }

    /// `include_tasks` and `include_role`: hosts that ask for the same file with the same variables share its tasks.
    fn include(&mut self, at: usize, step: &Arc<Step>, task: &Arc<Task>, takers: &[usize]) {
        let mut wanted: IndexMap<String, Wanted> = IndexMap::new();
        for &host in takers {
            match self.wanted_includes(host, at, task) {
                Ok(includes) => {
                    for include in includes {
                        let key = format!("{:?}|{:?}", include.arguments, include.locals);
                        wanted.entry(key).or_insert(include).hosts.push(host);
                    }
                }
                Err(error) => self.fail_at_barrier(host, at, step, task, error),
            }
        }
        let mut position = at + 1;
        for include in wanted.into_values() {
            let names: Vec<HostName> = include
                .hosts
                .iter()
                .map(|&host| Arc::clone(&self.hosts[host].name))
                .collect();
            let ran = self.roles_behind(at);
            match self.run.load_include(
                &self.play,
                task,
                &include.arguments,
                &include.locals,
                &names,
                ran,
            ) {
                Ok(loaded) => {
                    let only = Arc::new(names.iter().cloned().collect::<HashSet<_>>());
                    self.handlers.extend(&loaded.handlers, &mut self.run.ids);
                    for &host in &include.hosts {
                        self.take_over_kept_handlers(host);
                    }
                    let steps = self.run.expand(&loaded.items, &step.path, &only);
                    let event = EventKind::Included {
                        file: loaded.title,
                        hosts: names,
                    };
                    if let Some(&host) = include.hosts.first() {
                        self.hosts[host].unsaid.push_back((at, event));
                    }
                    for (offset, step) in steps.iter().enumerate() {
                        self.steps.insert(position + offset, Arc::clone(step));
                    }
                    position += steps.len();
                    for &host in &include.hosts {
                        self.run.stats(&self.hosts[host].name).ok += 1;
                    }
                }
                Err(error) => {
                    for &host in &include.hosts {
                        self.fail_at_barrier(host, at, step, task, error.clone());
                    }
                }
            }
        }
    }

    /// The roles that ran to their end before a step.
    fn roles_behind(&self, at: usize) -> Vec<Arc<Role>> {
        let roles = |steps: &[Arc<Step>]| -> Vec<Arc<Role>> {
            let tasks = steps.iter().filter_map(|step| step.task());
            tasks.filter_map(|task| task.role.clone()).collect()
        };
        let ahead = roles(&self.steps[at..]);
        let mut behind = roles(&self.steps[..at]);
        behind.dedup_by(|a, b| Arc::ptr_eq(a, b));
        behind.retain(|role| !ahead.iter().any(|other| Arc::ptr_eq(role, other)));
        behind
    }

    /// What one host includes here: nothing, one file, or one for each item of a loop.
    fn wanted_includes(
        &mut self,
        host: usize,
        at: usize,
        task: &Arc<Task>,
    ) -> Result<Vec<Wanted>, Error> {
        let scope = self.scope(host, task);
        let templar = Arc::clone(&self.run.templar);
        let items: Vec<Dict> = match &task.loop_ {
            None => vec![Dict::new()],
            Some(loop_) => match super::loops::items(&templar, loop_, &scope.clone().shared()) {
                Ok(values) => super::loops::locals(loop_, &values).collect(),
                Err(error) if error.is_unknown() => {
                    let cause = format!("what it loops over depends on {error}");
                    self.report(host, at, task, verdict::unforeseen(cause));
                    return Ok(Vec::new());
                }
                Err(error) => {
                    return Err(Error::new(format!("`loop` cannot be read: {error}")));
                }
            },
        };
        let mut wanted = Vec::new();
        for locals in items {
            let scope: Arc<dyn Scope> = scope.with(locals.clone()).shared();
            let skip = match conditions(&templar, &task.when, &scope) {
                Err(error) if error.is_unknown() => {
                    let cause = format!("whether it is included depends on {error}");
                    self.report(host, at, task, verdict::unforeseen(cause));
                    continue;
                }
                judged => judged.map_err(|error| {
                    Error::new(format!("the condition cannot be judged: {error}"))
                })?,
            };
            if skip.is_some() {
                self.run.stats(&self.hosts[host].name).skipped += 1;
                continue;
            }
            // `apply:` and the like hold templates for the included tasks, not for here.
            let arguments = match arguments(&templar, task, &scope) {
                Ok(arguments) => arguments,
                Err(error) if error.is_unknown() => {
                    let cause = format!("what it includes depends on {error}");
                    self.report(host, at, task, verdict::unforeseen(cause));
                    continue;
                }
                Err(error) => return Err(Error::new(error.to_string())),
            };
            wanted.push(Wanted {
                arguments,
                locals,
                hosts: Vec::new(),
            });
        }
        Ok(wanted)
    }
}

/// An include as one or more hosts want it.
struct Wanted {
    arguments: Mapping,
    locals: Dict,
    hosts: Vec<usize>,
}

/// Tasks and handlers that an include brought.
pub(super) struct Loaded {
    pub title: String,
    pub items: Vec<Item>,
    pub handlers: Vec<Item>,
}

impl super::Run {
    /// Expands included items by the compiler's own step.
    pub(super) fn expand(
        &mut self,
        items: &[Item],
        path: &[(usize, Part)],
        only: &Only,
    ) -> Vec<Arc<Step>> {
        let steps = expand::items(items, path, Some(only), &mut self.ids);
        let selection = &self.selection;
        steps
            .into_iter()
            .filter(|step| step.task().is_none_or(|task| selection.wants(&task.tags)))
            .collect()
    }
}
