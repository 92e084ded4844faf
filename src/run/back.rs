//! Walks the plays of a recorded run once more, the last one first, so that their hosts go back: gates, stops and starts
//! are live as the record says that they were, what the run changed is put back in their midst, and nothing else is done.
//!
//! | the record tells of | on the way back |
//! |---|---|
//! | a gate, a wait | waits anew, whatever its condition would say now |
//! | a stop of a service | stopped |
//! | its start after that | started, once everything is put back |
//! | a restart, a reload | again, where the service runs |
//! | a change that notified handlers | notifies them |
//! | facts, `set_fact`, includes | live |
//! | anything else | not done; what it registered is as it was |

use super::Run;
use super::batch::{Batch, task_name};
use super::host::{Flight, HostState};
use super::keywords;
use super::past::{Key, Past, TaskPast};
use super::prepare::{Item, ItemState, Judged, Prepared, Rendered, Work};
use super::unreachable::about_unit;
use super::verdict;
use super::world;
use crate::event::{Status, TaskName, TaskResult};
use crate::modules::put_back::KEPT_RUNS;
use crate::modules::{Action, Error};
use crate::plan::{Plan, Step, StepKind, short_name};
use crate::playbook::{Keywords, Task};
use crate::value::{Dict, HostName, Mapping, Value};
use std::sync::Arc;

/// A recorded run that is rolled back.
#[derive(Debug, Clone)]
pub struct Back {
    /// The run, and before it those that it went on with, the oldest first.
    pub runs: Vec<String>,
    /// What they did.
    pub past: Past,
    /// What was changed since is put back, too.
    pub differences_are_ok: bool,
}

/// How far a host has come on its way back through a play.
#[derive(Debug, Default)]
pub(super) struct WayBack {
    /// As how many of the users of the play's tasks it was looked at, and put back.
    looked: usize,
    put_back: usize,
    /// What is under way is a look.
    is_look: bool,
    n_changes: u64,
    /// Something was kept of what the run found there.
    has_images: bool,
    /// Units that are stopped by now.
    stopped: Vec<String>,
    /// Units that ran when everything was put back, of those that the play restarts.
    running: Vec<String>,
}

/// Modules that are run as in any run.
const LIVE: &[&str] = &[
    "setup",
    "gather_facts",
    "service_facts",
    "package_facts",
    "kafka_facts",
    "set_fact",
    "include_vars",
    "add_host",
    "group_by",
];
const GATES: &[&str] = &["kafka_safe_to_stop", "wait_for", "wait_for_isr"];
const SERVICES: &[&str] = &["systemd", "systemd_service", "service", "sysvinit"];
pub(super) const PUT_BACK: &str = "put_back";

/// What a task did to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Stopped,
    Started,
    /// Or reloaded.
    Restarted,
}

/// The units that a recorded result tells of.
pub(super) fn deeds(result: &TaskResult) -> impl Iterator<Item = (&str, Deed)> {
    result.diffs.iter().filter_map(|diff| {
        let unit = diff.subject.strip_prefix("unit ")?;
        let state = diff.attributes.iter().find(|it| it.name == "state")?;
        let deed = match state.after.as_ref().and_then(Value::as_str)? {
            "inactive" => Deed::Stopped,
            "active" => Deed::Started,
            _ => Deed::Restarted,
        };
        Some((unit, deed))
    })
}

impl Run {
    /// The hosts of a play on which the run that is rolled back did anything; all, where none is.
    pub(super) fn that_go_back(&self, mut hosts: Vec<HostName>) -> Vec<HostName> {
        if let Some(back) = &self.back {
            hosts.retain(|host| back.past.hosts_of(self.play_number).any(|it| it == host));
        }
        hosts
    }

    /// Brings back what plays before this one registered.
    pub(super) fn recall_registered(&self, plan: &Plan, play: usize) {
        let Some(back) = &self.back else { return };
        for (number, earlier) in (1..play).zip(&plan.plays) {
            for task in earlier.steps.iter().filter_map(|step| step.task()) {
                let Some((register, _)) = &task.register else {
                    continue;
                };
                let key = Key::new(number, &task_name(task));
                for host in back.past.hosts_of(number) {
                    let known = back.past.task(host, &key, 0);
                    if let Some(result) = known.and_then(TaskPast::registered) {
                        let value = Value::Mapping(result.data.clone());
                        world::write(&self.world.host(host), |vars| {
                            drop(vars.set.insert(register.clone(), value));
                        });
                    }
                }
            }
        }
    }
}

impl Batch<'_> {
    /// Looks what is to be put back, or puts it back, before a host takes a step. Returns `false` if there is nothing
    /// to do but the step.
    pub(super) fn puts_back_before(&mut self, host: usize, index: usize, step: &Step) -> bool {
        let users = self.users();
        let way = &self.hosts[host].way_back;
        let (user, is_look) = if way.looked < users.len() && way.put_back == 0 {
            (way.looked, true)
        } else if way.put_back < users.len() && self.is_time(host, index, step) {
            (way.put_back, false)
        } else {
            return false;
        };
        if self.hosts[host].flights.is_empty() {
            self.hosts[host].way_back.is_look = is_look;
            self.push_put_back(host, index, users[user].clone(), is_look);
        }
        true
    }

    /// As whom tasks of this play run: each may have changed what others may not even read.
    fn users(&self) -> Vec<Keywords> {
        let mut users: Vec<(String, Keywords)> = Vec::new();
        let handlers = self.handlers.list.iter().flat_map(|handler| &handler.steps);
        let tasks = self.steps.iter().chain(handlers);
        for task in tasks.filter_map(|step| step.task()) {
            let all = &task.keywords;
            let keywords = Keywords {
                r#become: all.r#become.clone(),
                become_user: all.become_user.clone(),
                become_method: all.become_method.clone(),
                become_flags: all.become_flags.clone(),
                connection: all.connection.clone(),
                port: all.port.clone(),
                remote_user: all.remote_user.clone(),
                ..Keywords::default()
            };
            let nodes = [
                &keywords.r#become,
                &keywords.become_user,
                &keywords.become_method,
                &keywords.become_flags,
                &keywords.remote_user,
            ];
            let words = nodes.map(|node| node.as_ref().map(crate::yaml::Node::to_value));
            let key = format!("{words:?}");
            if !users.iter().any(|(other, _)| *other == key) {
                users.push((key, keywords));
            }
        }
        users.into_iter().map(|(_, keywords)| keywords).collect()
    }

    /// Whether everything that is to be stopped is, and the next thing would be a start, or the end.
    fn is_time(&self, host: usize, index: usize, step: &Step) -> bool {
        let is_last = || {
            let mut later = self.steps[index + 1..].iter();
            !later.any(|step| matches!(step.kind, StepKind::Flush))
        };
        match &step.kind {
            StepKind::Flush => is_last(),
            StepKind::Task(task) => {
                SERVICES.contains(&short_name(&task.module))
                    && self.hosts[host].takes(step)
                    && self.recorded(host, index, task).is_some_and(|results| {
                        let mut deeds = results.iter().flat_map(deeds);
                        !deeds.any(|(_, deed)| deed == Deed::Stopped)
                    })
                    && self
                        .units(host, Deed::Stopped)
                        .iter()
                        .all(|unit| self.hosts[host].way_back.stopped.contains(unit))
            }
            _ => false,
        }
    }

    /// The units to which the play did this on the host.
    fn units(&self, host: usize, deed: Deed) -> Vec<String> {
        let name = &self.hosts[host].name;
        let back = self.run.back.as_ref();
        back.map(|back| back.past.units(self.run.play_number, name, deed))
            .unwrap_or_default()
    }

    fn push_put_back(&mut self, host: usize, index: usize, user: Keywords, is_look: bool) {
        let Some(back) = &self.run.back else { return };
        let mut given = Mapping::new();
        let list =
            |names: Vec<String>| Value::Sequence(names.into_iter().map(Value::from).collect());
        let run = back.runs.last().cloned().unwrap_or_default();
        given.insert("runs".into(), list(back.runs.clone()));
        given.insert("play".into(), self.run.play_number.into());
        given.insert("host".into(), self.hosts[host].name.to_string().into());
        given.insert("differences_ok".into(), back.differences_are_ok.into());
        given.insert("is_look".into(), is_look.into());
        let mut passed = self.units(host, Deed::Restarted);
        if is_look {
            passed.extend(self.units(host, Deed::Stopped));
        }
        given.insert("restarted".into(), list(passed));
        let play = &self.plan.play;
        let title = format!("Put back what {run} changed");
        let task = Arc::new(Task::bare(&title, PUT_BACK, user, &play.dir, &play.span));
        let scope = self.scope(host, &task);
        let action = Action::new(PUT_BACK, given).map_err(|faults| Error::new(faults.join("; ")));
        let envelope = keywords::envelope(&self.run.templar, &scope, &task);
        let (work, envelope) = match (action, envelope) {
            (Ok(action), Ok(envelope)) => (Work::Agent(Box::new(action)), envelope),
            (Err(error), _) => (Work::Fault(error), keywords::Envelope::default()),
            (_, Err(error)) => {
                let fault = Work::Fault(Error::new(error.to_string()));
                (fault, keywords::Envelope::default())
            }
        };
        let rendered = Rendered {
            work,
            envelope,
            perhaps: None,
            wish: None,
        };
        let prepared = Prepared {
            items: vec![Item::new(Dict::new(), "", rendered)],
            fence: true,
            ..Prepared::default()
        };
        self.push(host, Flight::of(index, Some(task), prepared));
        self.send_ready(host, index);
    }

    /// Takes the end of what [`Batch::puts_back_before`] sent: the host stands before the same step again.
    /// Returns `false` of any other flight.
    pub(super) fn has_put_back(&mut self, host: usize, flight: &Flight, judged: &Judged) -> bool {
        let Some(task) = flight.task.as_ref().filter(|task| task.module == PUT_BACK) else {
            return false;
        };
        (self.hosts[host].done, self.hosts[host].next) = (flight.step, flight.step);
        let n_users = self.users().len();
        let way = &mut self.hosts[host].way_back;
        let is_look = way.is_look;
        if judged.failed {
            self.say_results(host, flight, task, Some(judged));
            let step = Arc::clone(&self.steps[flight.step]);
            self.fail_host(host, &step, Some((task, judged)));
            return true;
        }
        if is_look {
            way.looked += 1;
            let changes = judged.data.get("changes").and_then(Value::as_u64);
            way.n_changes += changes.unwrap_or(0);
            let names = judged.data.get("names").and_then(Value::as_sequence);
            way.has_images |= names.is_some_and(|names| !names.is_empty());
            if way.looked < n_users || way.n_changes > 0 {
                return true;
            }
            if way.has_images {
                self.hosts[host].state = HostState::Ended;
            } else {
                self.judge_without_images(host, flight, task);
            }
            return true;
        }
        way.put_back += 1;
        let units = judged.data.get("running").and_then(Value::as_sequence);
        let units = units.into_iter().flatten().filter_map(Value::as_str);
        way.running.extend(units.map(bare));
        if judged.changed {
            self.say_results(host, flight, task, Some(judged));
        }
        true
    }

    /// Nothing was kept on a host: well, if the run changed no file there.
    fn judge_without_images(&mut self, host: usize, flight: &Flight, task: &Arc<Task>) {
        let name = Arc::clone(&self.hosts[host].name);
        let Some(back) = &self.run.back else { return };
        let Some(path) = back.past.changed_path(self.run.play_number, &name) else {
            self.hosts[host].state = HostState::Ended;
            return;
        };
        let run = back.runs.last().map_or("", String::as_str);
        let error = Error::new(format!(
            "run {run} changed `{path}`, and nothing is kept here of what was before"
        ))
        .because(format!(
            "hosts keep that of the newest {KEPT_RUNS} runs, each in the agent's directory of the user who did it"
        ))
        .help("it has to come from a backup");
        let judged = verdict::failure(error);
        self.say_results(host, flight, task, Some(&judged));
        let step = Arc::clone(&self.steps[flight.step]);
        self.fail_host(host, &step, Some((task, &judged)));
    }

    /// Says what becomes of a task on the way back.
    pub(super) fn walk_back(&mut self, host: usize, index: usize, task: &Arc<Task>) -> Walk {
        let module = short_name(&task.module);
        if LIVE.contains(&module) {
            return Walk::Live(Arc::clone(task));
        }
        let recorded = self.recorded(host, index, task);
        let (key, nth) = self.key(host, index, task);
        self.hosts[host].count(self.steps[index].id, key, nth);
        let is_done_again = GATES.contains(&module) || SERVICES.contains(&module);
        if is_done_again && recorded.is_some() {
            // The record tells that it ran; what it hung on may be otherwise now.
            let mut bare = (**task).clone();
            bare.when.clear();
            if module == "wait_for_isr" {
                // It waited for what the run had brought.
                bare.args.entries.shift_remove("version");
            }
            return Walk::Live(Arc::new(bare));
        }
        if let (Some((register, _)), Some(result)) = (&task.register, self.whole(host, index, task))
        {
            let value = Value::Mapping(result.data);
            let vars = self.run.world.host(&self.hosts[host].name);
            world::write(&vars, |vars| drop(vars.set.insert(register.clone(), value)));
        }
        let has_changed = recorded.is_some_and(|results| {
            let mut results = results.iter();
            results.any(|result| result.status == Status::Changed)
        });
        if has_changed && !is_done_again && !task.notify.is_empty() {
            self.notify(host, task, &Flight::silent(index), None);
        }
        Walk::Passed
    }

    /// Holds back what the way back does not do to services.
    pub(super) fn hold_back(&mut self, host: usize, task: &Task, prepared: &mut Prepared) {
        if !SERVICES.contains(&short_name(&task.module)) {
            return;
        }
        let stops = self.units(host, Deed::Stopped);
        for item in &mut prepared.items {
            if !matches!(item.state, ItemState::Ready) {
                continue;
            }
            let about = about_unit(&item.work);
            let text = |key: &str| about.get(key).and_then(Value::as_str);
            let unit = text("name").map(bare);
            let way = &mut self.hosts[host].way_back;
            let is_wanted = match (unit, text("state")) {
                (None, _) => true,
                (Some(unit), Some("stopped")) => {
                    way.stopped.push(unit);
                    true
                }
                (Some(unit), Some("started")) => stops.contains(&unit),
                (Some(unit), Some(_)) => way.running.contains(&unit),
                (Some(_), None) => false,
            };
            if !is_wanted {
                item.work = Work::Skip("it was not running".into());
            }
        }
    }

    /// The results that the record tells of a task on this host, if it ran there.
    fn recorded(&self, host: usize, index: usize, task: &Arc<Task>) -> Option<Vec<TaskResult>> {
        let name = &self.hosts[host].name;
        let back = self.run.back.as_ref()?;
        let (key, nth) = self.key(host, index, task);
        let results = back.past.task(name, &key, nth)?.results();
        let ran =
            |result: &&TaskResult| !matches!(result.status, Status::Skipped | Status::Unforeseen);
        let ran: Vec<TaskResult> = results.filter(ran).cloned().collect();
        (!ran.is_empty()).then_some(ran)
    }

    fn key(&self, host: usize, index: usize, task: &Arc<Task>) -> (Key, usize) {
        let name = &self.hosts[host].name;
        let mut shown: TaskName = task_name(task);
        if shown.title.contains("{{") {
            shown.title = self.run.render_title(&self.play, name, task, &shown.title);
        }
        let key = Key::new(self.run.play_number, &shown);
        let nth = self.hosts[host].nth(self.steps[index].id, &key);
        (key, nth)
    }

    fn whole(&self, host: usize, index: usize, task: &Arc<Task>) -> Option<TaskResult> {
        let name = &self.hosts[host].name;
        let back = self.run.back.as_ref()?;
        let (key, nth) = self.key(host, index, task);
        back.past.task(name, &key, nth)?.registered().cloned()
    }
}

/// What becomes of a task on the way back.
pub(super) enum Walk {
    /// It runs, perhaps without its condition.
    Live(Arc<Task>),
    Passed,
}

/// A unit's name as the record and the module both have it: without its type.
pub(super) fn bare(unit: &str) -> String {
    unit.strip_suffix(".service").unwrap_or(unit).to_owned()
}
