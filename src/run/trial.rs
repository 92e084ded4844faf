//! Runs a playbook against agents that are not there: every message and every step of a host comes when a schedule says so.

mod linear;

use super::links::Incoming;
use super::{Ending, Run, kept, links};
use crate::diag::Diagnostics;
use crate::event::Event;
use crate::inventory;
use crate::modules::{Error, Outcome};
use crate::plan::{self, Ids, Plan, Selection};
use crate::playbook;
use crate::proto::{FromAgent, Ready, Seq, Task, ToAgent, VERSION};
use crate::run::{Interrupt, Settings, World};
use crate::template::Templar;
use crate::transport;
use crate::value::{Dict, HostName};
use crate::vault::Vault;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::sync::mpsc;

/// What a task comes to on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Same,
    Change,
    /// The look fails, before anything changes.
    LookFails,
    /// It begins, and then fails.
    Fails,
}

/// Something that a host began to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Began {
    pub task: usize,
    /// Of a loop; 0 where there is none.
    pub item: usize,
    pub host: usize,
}

/// By task, item and host.
pub(super) type Fates = Vec<Vec<Vec<Fate>>>;

/// What happened in a run.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub began: Vec<Began>,
    /// Tasks that were granted after the controller had heard of a failure, in a play that stops at one.
    pub granted_after_failure: Vec<usize>,
    pub ended: Option<Ending>,
}

/// A host whose agent answers as `fates` say; tasks are known by their names, `t0`, `t1`, ….
struct Host {
    number: usize,
    from_controller: mpsc::UnboundedReceiver<ToAgent>,
    /// Sent, and not yet arrived.
    wire: VecDeque<ToAgent>,
    queue: VecDeque<Box<Task>>,
    granted: HashSet<Seq>,
    said_waiting: bool,
    /// Epoch and group of the last failure.
    failed: Option<(u32, u64)>,
    answers: VecDeque<FromAgent>,
    /// How many items of each group have ended.
    items: HashMap<u64, usize>,
    /// The task whose failure nothing forgives.
    fatal: Option<Seq>,
    /// The numbers of all tasks that were sent here.
    tasks: HashMap<Seq, usize>,
}

#[derive(Clone, Copy)]
enum Move {
    Arrive,
    Work,
    Answer,
}

impl Host {
    fn moves(&self) -> Vec<Move> {
        let is_held =
            self.said_waiting && self.queue.front().is_some_and(|task| !self.may_begin(task));
        let moves = [
            (!self.wire.is_empty(), Move::Arrive),
            (!self.queue.is_empty() && !is_held, Move::Work),
            (!self.answers.is_empty(), Move::Answer),
        ];
        let moves = moves.into_iter().filter(|(can, _)| *can);
        moves.map(|(_, it)| it).collect()
    }

    fn may_begin(&self, task: &Task) -> bool {
        task.granted || self.granted.contains(&task.seq)
    }

    fn drops(&self, task: &Task) -> bool {
        self.failed
            .is_some_and(|(epoch, group)| task.epoch <= epoch && task.group != group)
    }

    fn arrive(&mut self) {
        match self.wire.pop_front() {
            Some(ToAgent::Task(task)) if self.drops(&task) => {
                self.answers.push_back(FromAgent::Dropped { seq: task.seq });
            }
            Some(ToAgent::Task(task)) => self.queue.push_back(task),
            Some(ToAgent::Grant(seq)) => drop(self.granted.insert(seq)),
            Some(ToAgent::Cancel(seq) | ToAgent::TakeBack(seq)) => {
                if let Some(at) = self.queue.iter().position(|task| task.seq == seq) {
                    self.queue.remove(at);
                    self.said_waiting &= at > 0;
                    self.answers.push_back(FromAgent::Dropped { seq });
                }
            }
            _ => {}
        }
    }

    /// Looks at the task in hand, and changes or fails as far as it may.
    fn work(&mut self, fates: &Fates, story: &mut Story) {
        let Some(task) = self.queue.front() else {
            return;
        };
        let number = number_of(task);
        let seq = task.seq;
        let item = self.items.get(&task.group).copied().unwrap_or_default();
        let fate = fates[number][item][self.number];
        let begins = matches!(fate, Fate::Change | Fate::Fails);
        if begins && !self.may_begin(task) {
            let outcome = Outcome::new().changed();
            self.said_waiting = true;
            return self.answers.push_back(FromAgent::Waiting { seq, outcome });
        }
        if begins {
            let host = self.number;
            story.began.push(Began {
                task: number,
                item,
                host,
            });
            self.answers.push_back(FromAgent::Began { seq });
        }
        let result = match fate {
            Fate::Same => Ok(Outcome::new()),
            Fate::Change => Ok(Outcome::new().changed()),
            Fate::LookFails | Fate::Fails => Err(Error::new("it fails")),
        };
        let has_failed = result.is_err() && !task.ignore_errors;
        self.answers.push_back(FromAgent::Ended { seq, result });
        self.said_waiting = false;
        let Some(task) = self.queue.pop_front() else {
            return;
        };
        *self.items.entry(task.group).or_default() += 1;
        if has_failed {
            self.failed = Some((task.epoch, task.group));
            self.fatal = Some(task.seq);
            let (dropped, kept) = std::mem::take(&mut self.queue)
                .into_iter()
                .partition(|task| self.drops(task));
            let dropped: VecDeque<Box<Task>> = dropped;
            self.queue = kept;
            let dropped = dropped.into_iter().map(|task| task.seq);
            self.answers
                .extend(dropped.map(|seq| FromAgent::Dropped { seq }));
        }
    }
}

/// The number in its name.
fn number_of(task: &Task) -> usize {
    task.name[1..].parse().unwrap()
}

/// Reads and compiles a playbook for hosts `h0`, `h1`, ….
pub(super) fn compile(dir: &Path, text: &str, n_hosts: usize) -> (Plan, inventory::Inventory) {
    let path = dir.join("play.yml");
    std::fs::write(&path, text).unwrap();
    let mut faults = Diagnostics::new();
    let vault = Vault::new(Vec::new());
    let options = inventory::LoadOptions {
        cwd: dir,
        vault: &vault,
    };
    let names: Vec<String> = (0..n_hosts).map(|n| format!("h{n},")).collect();
    let inventory = inventory::load(&[names.concat()], &options, &mut faults);
    let render = |text: &str, _: &Dict| Ok(text.into());
    let options = playbook::LoadOptions {
        roles_path: Vec::new(),
        render: &render,
        decrypt: None,
    };
    let playbook = playbook::load(&path, &options, &mut faults).unwrap();
    let input = plan::Input {
        limit: None,
        selection: Selection::default(),
        only_gates_guard: false,
        extra: &Dict::new(),
        templar: &Templar::new(),
    };
    let plan = plan::compile(&[playbook], &inventory, &input, &mut faults);
    let faults: Vec<_> = faults.iter().map(|fault| &fault.message).collect();
    assert!(faults.is_empty(), "{faults:?}\n{text}");
    (plan, inventory)
}

/// A run that has not begun, without links.
fn beginning(dir: &Path, inventory: inventory::Inventory, ids: Ids, interrupt: Interrupt) -> Run {
    let settings = Settings {
        state_dir: dir.join("state"),
        ..Settings::default()
    };
    let options = transport::Options::new("krun".into(), dir.into());
    Run {
        world: World::new(inventory, Dict::new(), settings),
        templar: Arc::new(Templar::new()),
        links: links::Links::new(Arc::new(options), super::Fetching::default()),
        interrupt,
        vault: Vault::new(Vec::new()),
        roles_path: Vec::new(),
        selection: Selection::default(),
        ids,
        sink: Box::new(|_: &Event| {}),
        stats: indexmap::IndexMap::new(),
        custom_stats: super::custom_stats::CustomStats::default(),
        gone: HashSet::new(),
        kept: kept::Kept::new(dir, &[], String::new()),
        promise: None,
        fleeting: super::fleeting::Fleeting::default(),
        past: None,
        questions: super::ask::Questions::default(),
        back: None,
        is_stopped: false,
        play_number: 0,
    }
}

/// Runs the one play of `text`. `schedule` says again and again which of all possible moves comes next.
pub(super) fn run(text: &str, fates: &Fates, n_hosts: usize, schedule: &[u8]) -> Story {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let _entered = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let (mut plan, inventory) = compile(dir.path(), text, n_hosts);
    let ids = Ids::after(&plan);
    let play = Arc::new(plan.plays.remove(0));
    let is_guarded = play.guarded;
    let (presses, interrupt) = Interrupt::channel();
    let mut run = beginning(dir.path(), inventory, ids, interrupt);
    let mut hosts: Vec<Host> = (0..n_hosts)
        .map(|number| Host {
            number,
            from_controller: run.links.pretend(&HostName::from(format!("h{number}"))),
            wire: VecDeque::new(),
            queue: VecDeque::new(),
            granted: HashSet::new(),
            said_waiting: false,
            failed: None,
            answers: VecDeque::from([FromAgent::Ready(ready(number))]),
            items: HashMap::new(),
            fatal: None,
            tasks: HashMap::new(),
        })
        .collect();
    let to_controller = run.links.sender();
    let mut story = Story::default();
    let mut chances = schedule.iter().copied().cycle();
    // The first task whose failure the controller has heard of.
    let mut failed: Option<usize> = None;
    let mut playing = Box::pin(run.play(play));
    let mut context = std::task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ending) = playing.as_mut().poll(&mut context) {
            story.ended = Some(ending);
            drop(presses);
            return story;
        }
        for host in &mut hosts {
            while let Ok(message) = host.from_controller.try_recv() {
                if let ToAgent::Task(task) = &message {
                    host.tasks.insert(task.seq, number_of(task));
                }
                let granted = match &message {
                    ToAgent::Task(task) if task.granted => Some(task.seq),
                    ToAgent::Grant(seq) => Some(*seq),
                    _ => None,
                };
                let granted = granted.map(|seq| host.tasks[&seq]);
                // The items of a loop all run, whichever fails.
                let beyond = |task: &usize| is_guarded && failed.is_some_and(|at| *task > at);
                story.granted_after_failure.extend(granted.filter(beyond));
                host.wire.push_back(message);
            }
        }
        let moves = hosts.iter().enumerate();
        let moves = moves.flat_map(|(at, host)| host.moves().into_iter().map(move |it| (at, it)));
        let moves: Vec<(usize, Move)> = moves.collect();
        assert!(
            !moves.is_empty(),
            "nobody can move, and the play has not ended: {story:?}"
        );
        let chance = usize::from(chances.next().unwrap_or(0));
        let (at, next) = moves[chance % moves.len()];
        let host = &mut hosts[at];
        match next {
            Move::Arrive => host.arrive(),
            Move::Work => host.work(fates, &mut story),
            Move::Answer => {
                let Some(answer) = host.answers.pop_front() else {
                    continue;
                };
                if let Some(seq) = host.fatal
                    && answer.ends() == Some(seq)
                {
                    let task = host.tasks[&seq];
                    failed = Some(failed.map_or(task, |before| before.min(task)));
                }
                to_controller.send(incoming(at, answer)).unwrap();
            }
        }
    }
}

fn incoming(host: usize, answer: FromAgent) -> Incoming {
    let host = HostName::from(format!("h{host}"));
    match answer {
        FromAgent::Ready(ready) => Incoming::Connected {
            host,
            ready,
            warnings: Vec::new(),
            elapsed_ms: 0,
        },
        message => Incoming::Message { host, message },
    }
}

fn ready(number: usize) -> Ready {
    Ready {
        version: VERSION,
        machine: format!("machine-{number}"),
        hostname: format!("h{number}"),
        user: "root".into(),
        warm: true,
        due: Vec::new(),
    }
}
