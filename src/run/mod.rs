//! Turns a plan into events: connects, schedules, renders, judges; knows nothing of output.

mod aftermath;
mod ahead;
mod ask;
mod back;
mod barrier;
mod batch;
mod brought;
mod connect;
mod control;
mod custom_stats;
mod delegated;
mod emit;
mod facts;
mod failing;
mod files;
mod fleeting;
pub mod foresee;
mod foreseen;
mod guard;
mod handlers;
mod held;
mod host;
mod included_vars;
mod includes;
mod interrupt;
mod kept;
mod keywords;
mod links;
mod loops;
mod past;
mod picture;
mod prepare;
pub mod promise;
mod prompted;
mod pump;
mod questions;
mod resume;
mod rolling;
mod saying;
mod scope;
mod settle;
mod sources;
mod supply;
#[cfg(test)]
mod trial;
mod unreachable;
mod verdict;
pub mod world;

pub use ask::Ask;
pub use back::Back;
pub use interrupt::Interrupt;
pub use past::{Decisions, Past};
pub use picture::picture;
pub use promise::Promise;
pub use scope::TaskScope;
pub use world::{Guards, Settings, World};

use crate::artifacts::Fetching;
use crate::diag::Span;
use crate::event::{At, Event, EventKind, Stats, Stop, TaskName};
use crate::plan::{Ids, Plan, PlayPlan, Selection};
use crate::playbook::{Keywords, Play, Task};
use crate::template::Templar;
use crate::transport;
use crate::value::HostName;
use crate::vault::Vault;
use batch::{Batch, Ending};
use host::HostState;
use indexmap::IndexMap;
use links::Links;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use world::PlayContext;

/// What a run needs beyond its plan.
pub struct Context {
    pub world: Arc<World>,
    pub templar: Arc<Templar>,
    pub transport: Arc<transport::Options>,
    /// Where the bytes come from that tasks fetch.
    pub fetching: Fetching,
    pub interrupt: Interrupt,
    pub vault: Vault,
    pub roles_path: Vec<PathBuf>,
    pub selection: Selection,
    /// What stopped runs of the same command line did: this one goes on with them.
    pub past: Option<Past>,
    /// A recorded run of the same command line: this one rolls it back.
    pub back: Option<Back>,
    /// Identifies the run, in records and on hosts.
    pub id: String,
    /// A saved plan: only what it showed is done.
    pub promise: Option<Promise>,
}

/// How a run ended; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    Ended {
        /// A task failed, or a gate did not open.
        failed: bool,
        /// A host could not be reached, or was lost.
        unreachable: bool,
    },
    Interrupted,
}

impl Conclusion {
    /// Every host went to its end.
    pub fn is_ok(self) -> bool {
        self == Self::Ended {
            failed: false,
            unreachable: false,
        }
    }
}

/// A run under way.
pub struct Run {
    pub(self) world: Arc<World>,
    pub(self) templar: Arc<Templar>,
    pub(self) links: Links,
    pub(self) interrupt: Interrupt,
    pub(self) vault: Vault,
    pub(self) roles_path: Vec<PathBuf>,
    pub(self) selection: Selection,
    pub(self) ids: Ids,
    sink: Box<dyn FnMut(&Event)>,
    stats: IndexMap<HostName, Stats>,
    custom_stats: custom_stats::CustomStats,
    /// Hosts that failed or were lost: out of this play and of later ones.
    gone: HashSet<HostName>,
    kept: kept::Kept,
    promise: Option<Promise>,
    fleeting: fleeting::Fleeting,
    past: Option<Past>,
    pub(self) questions: ask::Questions,
    back: Option<Back>,
    /// It ends before its end, though perhaps no task failed.
    is_stopped: bool,
    /// Counted from 1.
    play_number: usize,
}

/// Runs a whole plan, telling `sink` what happens.
pub async fn run(
    plan: Plan,
    context: Context,
    playbooks: Vec<String>,
    sink: Box<dyn FnMut(&Event)>,
) -> Conclusion {
    let since = Instant::now();
    let id = context.id.clone();
    let apart = context.back.is_none().then(|| context.apart());
    let mut run = Run::new(&plan, context, &playbooks, sink);
    let check_mode = run.world.settings.check_mode;
    run.emit(EventKind::RunStarted {
        run: id,
        playbooks,
        check_mode,
    });
    if let Some(graph) = picture(&plan) {
        run.emit(EventKind::Planned { graph });
    }
    let before = match apart {
        Some(apart) => run.guard(&plan, apart).await,
        // What goes back was kept, and nothing else is removed; what is stopped, each host guards itself.
        None => Ending::No,
    };
    let (is_held, mut interrupted) = (before == Ending::Stop, before == Ending::Interrupt);
    let mut plays: Vec<(usize, PlayPlan)> = (1..).zip(plan.plays.clone()).collect();
    if before != Ending::No {
        plays.clear();
    }
    if run.back.is_some() {
        plays.reverse();
    }
    for (number, mut play) in plays {
        run.play_number = number;
        if run.back.is_some() {
            // Doubt stops it at once; a look goes on, to show all of it.
            (play.guarded, play.grants_ahead) = (!check_mode, false);
            run.recall_registered(&plan, number);
        }
        match run.play(Arc::new(play)).await {
            Ending::No | Ending::Play | Ending::Batch => {}
            Ending::Stop => break,
            Ending::Interrupt => {
                interrupted = true;
                break;
            }
        }
    }
    run.links.close().await;
    let stats = std::mem::take(&mut run.stats);
    let conclusion = if interrupted {
        Conclusion::Interrupted
    } else {
        let has_failed = stats.values().any(|stats| stats.failed > 0);
        let unreachable = stats.values().any(|stats| stats.unreachable > 0);
        Conclusion::Ended {
            failed: is_held || run.is_broken() || has_failed || (run.is_stopped && !unreachable),
            unreachable,
        }
    };
    run.say_custom_stats();
    run.emit(EventKind::RunEnded {
        stats,
        elapsed_ms: millis(since.elapsed()),
    });
    conclusion
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Run {
    fn new(
        plan: &Plan,
        context: Context,
        playbooks: &[String],
        sink: Box<dyn FnMut(&Event)>,
    ) -> Self {
        let hosts_key = context.transport.playbooks.clone();
        Self {
            kept: kept::Kept::new(&context.world.settings.state_dir, playbooks, hosts_key),
            links: Links::new(context.transport, context.fetching),
            world: context.world,
            templar: context.templar,
            interrupt: context.interrupt,
            vault: context.vault,
            roles_path: context.roles_path,
            selection: context.selection,
            ids: Ids::after(plan),
            sink,
            stats: IndexMap::new(),
            custom_stats: custom_stats::CustomStats::default(),
            gone: HashSet::new(),
            promise: context.promise,
            fleeting: fleeting::Fleeting::default(),
            past: context.past,
            questions: ask::Questions::default(),
            back: context.back,
            is_stopped: false,
            play_number: 0,
        }
    }

    /// Runs one play, batch after batch.
    async fn play(&mut self, plan: Arc<PlayPlan>) -> Ending {
        let play = Arc::clone(&plan.play);
        self.world.hide_play(&play);
        let name = self.render_play_name(&play);
        let all = match self.play_hosts(&plan) {
            Ok(hosts) => hosts,
            Err(reason) => {
                self.emit(EventKind::PlaySkipped { name, reason });
                return Ending::No;
            }
        };
        let here: Vec<HostName> = all
            .iter()
            .filter(|host| !self.gone.contains(*host))
            .cloned()
            .collect();
        let here = self.that_go_back(here);
        if here.is_empty() && self.back.is_some() {
            return Ending::No;
        }
        if here.is_empty() {
            let reason = if all.is_empty() {
                "no hosts matched"
            } else {
                "no hosts remaining"
            };
            self.emit(EventKind::PlaySkipped {
                name,
                reason: reason.into(),
            });
            return Ending::No;
        }
        self.emit(EventKind::PlayStarted {
            name: name.clone(),
            at: (&play.span).into(),
            hosts: here.len(),
        });
        let prompted = match self.prompted(&plan) {
            Ok(prompted) => prompted,
            Err(reason) => {
                self.stop_before_anything(&name, &here, reason);
                return Ending::Stop;
            }
        };
        let context = Arc::new(PlayContext::new(&play, prompted, &all, &here));
        self.read_vars_files(&context, &here);
        let widths = match self.widths(&context, &here) {
            Ok(widths) => widths,
            Err(reason) => {
                self.stop_before_anything(&name, &here, reason);
                return Ending::Stop;
            }
        };
        let slots = crate::plan::serial::cut(&widths, here.len());
        // The recap lists hosts in the order of the play.
        for host in &here {
            self.stats(host);
        }
        let (mut waiting, mut done, mut ending) = (here, Vec::new(), Ending::No);
        for (number, size) in slots.iter().enumerate() {
            if let Err(reason) = self.decide_order(&context, &mut waiting).await {
                let is_users = reason == interrupt::BY_CTRL_C;
                self.stopped(&name, reason, &done, &[], &waiting, Vec::new());
                return if is_users {
                    Ending::Interrupt
                } else {
                    Ending::Stop
                };
            }
            self.questions = ask::Questions::default();
            let batch: Vec<HostName> = waiting.drain(..(*size).min(waiting.len())).collect();
            context
                .hosts
                .write()
                .expect("play hosts lock")
                .batch
                .clone_from(&batch);
            if slots.len() > 1 {
                self.emit(EventKind::BatchStarted {
                    number: number + 1,
                    of: slots.len(),
                    hosts: batch.clone(),
                });
            }
            self.connect_batch(&context, &batch);
            let mut batch_run = Batch::new(self, Arc::clone(&plan), Arc::clone(&context), &batch);
            for host in 0..batch.len() {
                batch_run.take_over_kept_handlers(host);
            }
            let finished = batch_run.finish().await;
            let last = number + 1 == slots.len();
            ending = self.conclude_batch(&name, finished, &mut done, &waiting, last);
            if ending != Ending::No {
                break;
            }
        }
        match ending {
            Ending::Play | Ending::Batch => Ending::No,
            other => other,
        }
    }

    /// Counts the hosts that left, and decides whether the roll goes on.
    fn conclude_batch(
        &mut self,
        name: &str,
        finished: batch::Finished,
        done: &mut Vec<HostName>,
        waiting: &[HostName],
        last: bool,
    ) -> Ending {
        let (mut between, mut down, before) = (Vec::new(), Vec::new(), done.len());
        let mut untouched = Vec::new();
        let n_hosts = finished.hosts.len();
        let n_gone = finished
            .hosts
            .iter()
            .filter(|host| matches!(host.state, HostState::Failed | HostState::Unreachable))
            .count();
        for host in finished.hosts {
            let is_gone = matches!(host.state, HostState::Failed | HostState::Unreachable);
            if is_gone {
                self.gone.insert(Arc::clone(&host.name));
            } else {
                self.stats(&host.name);
            }
            let unfinished = matches!(finished.ending, Ending::Stop | Ending::Interrupt);
            if is_gone || unfinished {
                down.extend(host.stopped_units.keys().map(|unit| {
                    format!(
                        "{unit} on {} is down; start it with: ssh {} sudo systemctl start {unit}",
                        host.name, host.name
                    )
                }));
                // A task that failed may have been found on the controller; what was done before it matters.
                if host.is_touched || host.state == HostState::Failed {
                    between.push(host.name);
                } else {
                    untouched.push(host.name);
                }
            } else {
                done.push(host.name);
            }
        }
        self.emit(EventKind::BatchEnded {
            done: done[before..].to_vec(),
        });
        let looks_back = self.back.is_some() && self.world.settings.check_mode;
        let ending = match finished.ending {
            // A whole batch gone ends the run, as in Ansible.
            Ending::No | Ending::Batch if n_gone == n_hosts && n_hosts > 0 && !looks_back => {
                Ending::Stop
            }
            Ending::Batch => Ending::No,
            other => other,
        };
        if matches!(ending, Ending::Stop | Ending::Interrupt)
            && (!waiting.is_empty() || finished.reason.is_some() || !last || !down.is_empty())
        {
            let reason = finished
                .reason
                .unwrap_or_else(|| "every host of the batch has failed".into());
            untouched.extend_from_slice(waiting);
            self.stopped(name, reason, done, &between, &untouched, down);
        }
        ending
    }

    fn stopped(
        &mut self,
        play: &str,
        reason: String,
        done: &[HostName],
        between: &[HostName],
        untouched: &[HostName],
        down: Vec<String>,
    ) {
        for host in untouched {
            let stats = self.stats(host);
            stats.not_run = *stats == Stats::default();
        }
        let stop = Stop {
            play: play.to_owned(),
            reason,
            done: done.to_vec(),
            between: between.to_vec(),
            untouched: untouched.to_vec(),
            command: self.world.settings.command.clone(),
            down,
        };
        self.is_stopped = true;
        self.emit(EventKind::RollStopped(stop));
    }

    fn stop_before_anything(&mut self, play: &str, hosts: &[HostName], reason: String) {
        for host in hosts {
            self.stats(host).failed += 1;
        }
        self.stopped(play, reason, &[], &[], hosts, Vec::new());
    }

    pub(self) fn forget_pending(&self, host: &HostName) {
        world::write(&self.world.host(host), world::HostVars::nothing_pending);
    }

    pub(self) fn clear_host_errors(&mut self) {
        self.gone.clear();
    }
}

/// Facts are gathered under Ansible's name for it.
fn gather_name(play: &Play) -> TaskName {
    TaskName {
        title: "Gathering Facts".into(),
        at: At::from(&play.span),
        module: "setup".into(),
        is_handler: false,
    }
}

/// The task that gathers facts, with the play's own keywords.
fn gather_task(play: &Play) -> Task {
    let keywords = Keywords {
        check_mode: None,
        ..play.keywords.clone()
    };
    Task::bare(
        "Gathering Facts",
        "setup",
        keywords,
        &play.dir,
        &Span::clone(&play.span),
    )
}
