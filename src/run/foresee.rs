//! Turns a plan into the actions that a run may hand to its hosts, as far as they can be told without asking any of them.

use super::barrier::Loaded;
use super::control::{Answer, answer};
use super::keywords::Envelope;
use super::prepare::{self, ItemState, Prepared, Work};
use super::world::{self, PlayContext};
use super::{Context, Run, TaskScope};
use crate::modules::{self, Action};
use crate::plan::{Only, Plan, PlayPlan, Step, short_name};
use crate::playbook::Task;
use crate::value::{Dict, HostName};
use std::sync::Arc;

/// What one task, or one item of its loop, comes to on one host.
pub struct Foreseen {
    pub host: HostName,
    pub task: Arc<Task>,
    pub what: What,
    /// How many hosts do it at once: the play's batch.
    pub width: usize,
    pub(super) play: Arc<PlayContext>,
    pub(super) envelope: Arc<Envelope>,
}

/// What can be said before any host is asked.
pub enum What {
    /// It does this; with a reason why nobody can say whether it runs at all, where there is one.
    Does(Box<Action>, Option<String>),
    /// It cannot be told before the run, and why.
    Unknown(String),
    /// It cannot be done, and why.
    Fault(String),
}

/// Goes through a plan as a run does, host by host, and tells what the tasks of the `wanted` modules come to.
///
/// What `facts` names and what tasks register is unknown. What is set or included from the controller's own files is
/// followed.
pub fn foresee(
    plan: Plan,
    context: Context,
    wanted: &[&str],
    facts: &[String],
    tell: &mut dyn FnMut(Foreseen),
) {
    let run = Run::new(&plan, context, &[], Box::new(|_| {}));
    let mut foresight = Foresight {
        run,
        wanted,
        facts,
        tell,
        width: 1,
    };
    for play in plan.plays {
        foresight.play(&play);
    }
}

struct Foresight<'a> {
    run: Run,
    wanted: &'a [&'a str],
    facts: &'a [String],
    tell: &'a mut dyn FnMut(Foreseen),
    /// Of the play in hand.
    width: usize,
}

impl Foresight<'_> {
    fn play(&mut self, plan: &PlayPlan) {
        // Who comes by `add_host` and `group_by` is not here yet.
        let hosts = self.run.play_hosts(plan).unwrap_or_default();
        if hosts.is_empty() {
            return;
        }
        let prompted = self.run.prompted(plan);
        let unanswered = prompted.as_ref().err().cloned();
        let prompted = prompted.unwrap_or_default();
        let play = Arc::new(PlayContext::new(&plan.play, prompted, &hosts, &hosts));
        self.run.read_vars_files(&play, &hosts);
        let slots = self.run.widths(&play, &hosts);
        let slots = slots.map(|widths| crate::plan::serial::cut(&widths, hosts.len()));
        self.width = slots
            .ok()
            .and_then(|slots| slots.into_iter().max())
            .unwrap_or(hosts.len());
        for host in &hosts {
            for fact in self.facts {
                let cause = format!("`{fact}`, a fact of the host");
                self.learn(host, fact, &cause);
            }
            if let Some(why) = &unanswered {
                let task = Arc::new(super::gather_task(&plan.play));
                self.say(&play, host, &task, What::Unknown(why.clone()));
                continue;
            }
            for step in &plan.steps {
                self.step(&play, host, step);
            }
            for step in plan.handlers.list.iter().flat_map(|handler| &handler.steps) {
                self.step(&play, host, step);
            }
        }
    }

    fn step(&mut self, play: &Arc<PlayContext>, host: &HostName, step: &Arc<Step>) {
        let Some(task) = step.task() else {
            return;
        };
        let module = modules::find(&task.module)
            .map_or_else(|| short_name(&task.module), |entry| entry.name);
        match module {
            "include_tasks" | "include_role" | "include" => self.include(play, host, step, task),
            "set_fact" | "include_vars" => self.set(play, host, task),
            module if self.wanted.contains(&module) => self.look(play, host, task),
            _ => {}
        }
        if let Some((name, _)) = &task.register {
            let cause = format!("the result of `{}`", task.full_title());
            self.learn(host, name, &cause);
        }
    }

    fn look(&mut self, play: &Arc<PlayContext>, host: &HostName, task: &Arc<Task>) {
        let scope = TaskScope::new(&self.run.world, Some(play), host, Some(task));
        let Some(prepared) = self.prepared(play, &scope, task) else {
            return;
        };
        for item in prepared.items {
            // A handler runs if it is notified.
            let notified = || "whether anything notifies it".to_owned();
            let perhaps = item.perhaps.or_else(|| task.is_handler.then(notified));
            let what = match item.work {
                Work::Agent(action) => What::Does(action, perhaps),
                Work::Unknown(cause) => What::Unknown(cause),
                Work::Fault(error) => What::Fault(error.to_string()),
                Work::Controller | Work::Skip(_) => continue,
            };
            self.tell(play, host, task, what, item.envelope);
        }
    }

    /// Prepares a task as a run does; what stands in the way is told.
    fn prepared(
        &mut self,
        play: &Arc<PlayContext>,
        scope: &TaskScope,
        task: &Arc<Task>,
    ) -> Option<Prepared> {
        let host = &scope.host;
        match prepare::prepare(&self.run.templar, scope, task, true) {
            Ok(Prepared {
                fault: Some(fault), ..
            }) => self.say(play, host, task, What::Fault(fault.to_string())),
            Ok(prepared) => return Some(prepared),
            Err(_) => {
                let cause = "it waits for what other tasks bring".to_owned();
                self.say(play, host, task, What::Unknown(cause));
            }
        }
        None
    }

    /// `set_fact` and `include_vars`: done where everything is known, and unknown from here on where it is not.
    fn set(&mut self, play: &Arc<PlayContext>, host: &HostName, task: &Arc<Task>) {
        let scope = TaskScope::new(&self.run.world, Some(play), host, Some(task));
        let prepared = prepare::prepare(&self.run.templar, &scope, task, true);
        for item in prepared.map(|it| it.items).unwrap_or_default() {
            let scope = scope.with(item.locals);
            let is_done = match (item.work, item.state) {
                (Work::Skip(_), _) => continue,
                (Work::Controller, ItemState::Ready) => {
                    match answer(&mut self.run, &scope, task, host) {
                        Answer::Skip(_) => continue,
                        Answer::Done(result) => result.is_ok_and(|it| it.unknown.is_none()),
                        Answer::Rest(_) | Answer::Pending => false,
                    }
                }
                _ => false,
            };
            if short_name(&task.module) != "set_fact" {
                continue;
            }
            let cause = format!("what `{}` sets", task.full_title());
            for name in task.args.entries.keys() {
                if is_done {
                    world::write(&self.run.world.host(host), |vars| {
                        vars.unknown.remove(name);
                    });
                } else {
                    self.learn(host, name, &cause);
                }
            }
        }
    }

    fn include(
        &mut self,
        play: &Arc<PlayContext>,
        host: &HostName,
        step: &Arc<Step>,
        task: &Arc<Task>,
    ) {
        let scope = TaskScope::new(&self.run.world, Some(play), host, Some(task));
        let templar = Arc::clone(&self.run.templar);
        let items = match &task.loop_ {
            None => Ok(vec![Dict::new()]),
            Some(loop_) => super::loops::items(&templar, loop_, &scope.clone().shared())
                .map(|values| super::loops::locals(loop_, &values).collect()),
        };
        let items = match items {
            Ok(items) => items,
            Err(error) => {
                return self.say(play, host, task, What::Unknown(format!("it needs {error}")));
            }
        };
        for locals in items {
            let shared = scope.with(locals.clone()).shared();
            // What is included perhaps is looked through, too.
            if let Ok(Some(_)) = prepare::conditions(&templar, &task.when, &shared) {
                continue;
            }
            let loaded = prepare::arguments(&templar, task, &shared)
                .map_err(|error| format!("it needs {error}"))
                .and_then(|given| {
                    let hosts = std::slice::from_ref(host);
                    let loaded =
                        self.run
                            .load_include(play, task, &given, &locals, hosts, Vec::new());
                    loaded.map_err(|error| error.to_string())
                });
            match loaded {
                Ok(loaded) => self.included(play, host, step, &loaded),
                Err(cause) => self.say(play, host, task, What::Unknown(cause)),
            }
        }
    }

    fn included(
        &mut self,
        play: &Arc<PlayContext>,
        host: &HostName,
        step: &Arc<Step>,
        loaded: &Loaded,
    ) {
        let only: Only = Arc::new(std::iter::once(Arc::clone(host)).collect());
        for items in [&loaded.items, &loaded.handlers] {
            for step in self.run.expand(items, &step.path, &only) {
                self.step(play, host, &step);
            }
        }
    }

    /// From here on, nobody can say what the name stands for.
    fn learn(&self, host: &HostName, name: &str, cause: &str) {
        world::write(&self.run.world.host(host), |vars| {
            vars.set.shift_remove(name);
            vars.unknown.insert(name.to_owned(), cause.to_owned());
        });
    }

    fn say(&mut self, play: &Arc<PlayContext>, host: &HostName, task: &Arc<Task>, what: What) {
        self.tell(play, host, task, what, Arc::default());
    }

    fn tell(
        &mut self,
        play: &Arc<PlayContext>,
        host: &HostName,
        task: &Arc<Task>,
        what: What,
        envelope: Arc<Envelope>,
    ) {
        (self.tell)(Foreseen {
            host: Arc::clone(host),
            task: Arc::clone(task),
            what,
            width: self.width,
            play: Arc::clone(play),
            envelope,
        });
    }
}
