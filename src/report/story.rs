//! Turns events into one story: plays, their batches, the tasks of each, and hosts with the same end told together.

use super::counts::summary;
use super::dangers::{self, Fate};
use super::together::together;
use crate::event::{
    At, Danger, Event, EventKind, Graph, Stats, Status, Stop, TaskName, TaskResult,
};
use crate::modules::diff::{Content, Diff};
use crate::value::HostName;
use indexmap::IndexMap;

/// A run or a plan, whole: what every format that is not live is drawn from.
#[derive(Debug, Default)]
pub struct Story {
    pub run: String,
    pub playbooks: Vec<String>,
    /// A plan: nothing was changed.
    pub check_mode: bool,
    /// Milliseconds since the epoch.
    pub started: u64,
    /// `None`: the events end before the run did.
    pub elapsed_ms: Option<u64>,
    pub warnings: Vec<(String, Option<At>)>,
    /// What it would do that needs `--allow-destroy`, or did with it.
    pub dangers: Vec<Danger>,
    /// Nothing was done because of them.
    pub is_held: bool,
    pub plays: Vec<PlayStory>,
    pub unreachable: Vec<Lost>,
    pub stop: Option<Stop>,
    pub stats: IndexMap<HostName, Stats>,
    pub graph: Option<Graph>,
}

#[derive(Debug)]
pub struct PlayStory {
    pub name: String,
    pub at: Option<At>,
    /// Why it did not run.
    pub skipped: Option<String>,
    /// One, unless `serial` cuts the play.
    pub batches: Vec<BatchStory>,
}

#[derive(Debug, Default)]
pub struct BatchStory {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
    /// Empty where the play has one batch only.
    pub hosts: Vec<HostName>,
    /// Why these hosts are next.
    pub order: Vec<(HostName, String)>,
    pub tasks: Vec<TaskStory>,
}

#[derive(Debug)]
pub struct TaskStory {
    pub task: TaskName,
    /// Milliseconds since the epoch.
    pub started: u64,
    pub told: Vec<Told>,
}

/// How a task or an item of its loop ended on one host.
#[derive(Debug)]
pub struct Told {
    pub host: HostName,
    pub item: Option<String>,
    /// When it was said; milliseconds since the epoch.
    pub at: u64,
    pub result: TaskResult,
}

/// A host that was not reached or was lost.
#[derive(Debug)]
pub struct Lost {
    pub host: HostName,
    pub task: Option<TaskName>,
    pub message: String,
    pub causes: Vec<String>,
    pub help: Option<String>,
}

/// One end of a task, or of an item of its loop, and all hosts of the play that came to it.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub task: &'a TaskName,
    pub item: Option<&'a str>,
    pub hosts: Vec<HostName>,
    pub result: &'a TaskResult,
    /// Its diffs: those of all its hosts, and beneath what only some of them have.
    pub parts: Vec<(Vec<HostName>, Vec<Diff>)>,
    /// Whose unchanged lines stand around what all share, where those of the others are not the same.
    pub example: Option<HostName>,
}

impl Story {
    pub fn of(events: &[Event]) -> Self {
        let mut story = Self::default();
        for event in events {
            story.hear(event);
        }
        let place = |host: &HostName| story.stats.get_index_of(host);
        let batches = story.plays.iter_mut().flat_map(|play| &mut play.batches);
        for task in batches.flat_map(|batch| &mut batch.tasks) {
            task.told.sort_by_key(|told| place(&told.host));
        }
        if story.dangers.is_empty() {
            story.dangers = dangers::of(&story);
        }
        story
    }

    fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted {
                run,
                playbooks,
                check_mode,
            } => {
                self.run.clone_from(run);
                self.playbooks.clone_from(playbooks);
                self.check_mode = *check_mode;
                self.started = event.at;
            }
            EventKind::Planned { graph } => self.graph = Some(graph.clone()),
            EventKind::Warning { text, at } => self.warnings.push((text.clone(), at.clone())),
            EventKind::PlayStarted { name, at, .. } => self.play(name, Some(at), None),
            EventKind::PlaySkipped { name, reason } => self.play(name, None, Some(reason)),
            EventKind::BatchStarted { number, of, hosts } => {
                let order = self.open_order();
                self.last_play().batches.push(BatchStory {
                    number: *number,
                    of: *of,
                    hosts: hosts.clone(),
                    order,
                    tasks: Vec::new(),
                });
            }
            EventKind::OrderDecided { host, reason } => {
                // Said before its batch begins.
                let batches = &mut self.last_play().batches;
                if batches.last().is_none_or(|batch| batch.number > 0) {
                    batches.push(BatchStory::default());
                }
                if let Some(batch) = batches.last_mut() {
                    batch.order.push((host.clone(), reason.clone()));
                }
            }
            EventKind::TaskStarted { task } => {
                let started = event.at;
                let task = task.clone();
                self.last_batch().tasks.push(TaskStory {
                    task,
                    started,
                    told: Vec::new(),
                });
            }
            EventKind::ItemEnded {
                host,
                task,
                label,
                result,
            } => self.tell(event.at, host, task, Some(label), result),
            // The items of a loop have spoken.
            EventKind::TaskEnded { host, task, result }
                if !result.is_loop || result.status == Status::Skipped =>
            {
                self.tell(event.at, host, task, None, result);
            }
            EventKind::HostUnreachable {
                host,
                task,
                message,
                causes,
                help,
                ..
            } => self.unreachable.push(Lost {
                host: host.clone(),
                task: task.clone(),
                message: message.clone(),
                causes: causes.clone(),
                help: help.clone(),
            }),
            EventKind::HandlerKept {
                host,
                handler,
                reason,
            } => {
                let text = format!("kept handler: [{host}] `{handler}` will run: {reason}");
                self.warnings.push((text, None));
            }
            EventKind::Guarded {
                dangers,
                is_allowed,
            } => {
                self.is_held = !is_allowed;
                self.dangers.extend(dangers.iter().cloned());
            }
            EventKind::RollStopped(stop) => self.stop = Some(stop.clone()),
            EventKind::RunEnded { stats, elapsed_ms } => {
                self.stats.clone_from(stats);
                self.elapsed_ms = Some(*elapsed_ms);
            }
            _ => {}
        }
    }

    fn play(&mut self, name: &str, at: Option<&At>, skipped: Option<&String>) {
        self.plays.push(PlayStory {
            name: name.to_owned(),
            at: at.cloned(),
            skipped: skipped.cloned(),
            batches: Vec::new(),
        });
    }

    fn last_play(&mut self) -> &mut PlayStory {
        if self.plays.is_empty() {
            self.play("", None, None);
        }
        self.plays.last_mut().expect("one was made")
    }

    fn last_batch(&mut self) -> &mut BatchStory {
        let batches = &mut self.last_play().batches;
        if batches.is_empty() {
            batches.push(BatchStory {
                number: 1,
                of: 1,
                ..BatchStory::default()
            });
        }
        batches.last_mut().expect("one was made")
    }

    /// Takes the reasons that were said for a batch which begins only now.
    fn open_order(&mut self) -> Vec<(HostName, String)> {
        let batches = &mut self.last_play().batches;
        batches
            .pop_if(|batch| batch.number == 0)
            .map_or_else(Vec::new, |batch| batch.order)
    }

    fn tell(
        &mut self,
        at: u64,
        host: &HostName,
        task: &TaskName,
        item: Option<&String>,
        result: &TaskResult,
    ) {
        let told = Told {
            host: host.clone(),
            item: item.cloned(),
            at,
            result: result.clone(),
        };
        let tasks = &mut self.last_batch().tasks;
        // A title may be rendered for each host anew; the place is always the same.
        let same = |story: &&mut TaskStory| {
            story.task.at == task.at && story.task.is_handler == task.is_handler
        };
        match tasks.iter_mut().rev().find(same) {
            Some(story) => story.told.push(told),
            None => tasks.push(TaskStory {
                task: task.clone(),
                started: at,
                told: vec![told],
            }),
        }
    }

    /// All tasks in their order, each with its play and batch.
    pub fn tasks(&self) -> impl Iterator<Item = (&PlayStory, &BatchStory, &TaskStory)> {
        self.plays.iter().flat_map(|play| {
            let batches = play.batches.iter();
            batches.flat_map(move |batch| batch.tasks.iter().map(move |task| (play, batch, task)))
        })
    }

    /// What became of the dangers.
    pub(super) fn fate(&self) -> Fate {
        match (self.check_mode, self.is_held) {
            (true, _) => Fate::Planned,
            (false, true) => Fate::Held,
            (false, false) => Fate::Allowed,
        }
    }

    /// What changed, or would, in one line: `4 to change on 2 hosts, 1 unknown`.
    pub fn summary(&self) -> String {
        summary(&self.stats, self.check_mode)
    }

    /// Everything that changes on a host, each subject once: its first before, its last after.
    pub fn end_state(&self, host: &str) -> IndexMap<String, Diff> {
        let mut found: IndexMap<String, Diff> = IndexMap::new();
        let told = self
            .tasks()
            .flat_map(|(_, _, task)| &task.told)
            .filter(|told| &*told.host == host && told.result.status == Status::Changed);
        for diff in told.flat_map(|told| &told.result.diffs) {
            let known = found.get(&diff.subject);
            let known = known.or_else(|| found.values().find(|one| goes_on(one, diff)));
            let subject = known.map(|one| one.subject.clone());
            match subject.and_then(|subject| found.get_mut(&subject)) {
                Some(earlier) => join(earlier, diff),
                None => drop(found.insert(diff.subject.clone(), diff.clone())),
            }
        }
        found
    }
}

/// Whether a later change is one of the same file, called by another path: through a link, and behind it.
fn goes_on(earlier: &Diff, later: &Diff) -> bool {
    let name = |diff: &Diff| {
        diff.subject
            .rsplit_once('/')
            .map(|(_, name)| name.to_owned())
    };
    match (&earlier.content, &later.content) {
        (Some(Content::Text { after, .. }), Some(Content::Text { before, .. })) => {
            !later.is_new && !after.is_empty() && after == before && name(earlier) == name(later)
        }
        _ => false,
    }
}

/// Carries a later change of the same thing on to an earlier one.
fn join(earlier: &mut Diff, later: &Diff) {
    let content = match (earlier.content.take(), later.content.clone()) {
        (Some(Content::Text { before, .. }), Some(Content::Text { after, .. })) => {
            (before != after || earlier.is_new).then_some(Content::Text { before, after })
        }
        (Some(Content::Opaque { before, .. }), Some(Content::Opaque { reason, after, .. })) => {
            Some(Content::Opaque {
                reason,
                before,
                after,
            })
        }
        (earlier, later) => later.or(earlier),
    };
    earlier.content = content;
    for attribute in &later.attributes {
        let same = |one: &&mut crate::modules::diff::Attribute| one.name == attribute.name;
        match earlier.attributes.iter_mut().find(same) {
            Some(one) => one.after.clone_from(&attribute.after),
            None => earlier.attributes.push(attribute.clone()),
        }
    }
    earlier.attributes.retain(|one| one.before != one.after);
    earlier.source = later.source.clone().or(earlier.source.take());
}

impl PlayStory {
    /// Each end once, across batches; in the order of the first of each. What hosts share of their diffs stands once.
    pub fn outcomes(&self) -> Vec<Outcome<'_>> {
        together(self.ends())
    }

    /// Each end once, across batches, with the hosts whose end is the same in everything.
    pub fn ends(&self) -> Vec<Outcome<'_>> {
        let mut outcomes: Vec<Outcome<'_>> = Vec::new();
        let tasks = self.batches.iter().flat_map(|batch| &batch.tasks);
        for (task, told) in
            tasks.flat_map(|story| story.told.iter().map(|told| (&story.task, told)))
        {
            let same = |outcome: &&mut Outcome<'_>| {
                outcome.task.at == task.at
                    && outcome.task.is_handler == task.is_handler
                    && outcome.item == told.item.as_deref()
                    && !outcome.hosts.contains(&told.host)
                    && same_words(outcome.result, &told.result)
                    && outcome.result.diffs == told.result.diffs
            };
            match outcomes.iter_mut().find(same) {
                Some(outcome) => outcome.hosts.push(told.host.clone()),
                None => outcomes.push(Outcome {
                    task,
                    item: told.item.as_deref(),
                    hosts: vec![told.host.clone()],
                    result: &told.result,
                    parts: Vec::new(),
                    example: None,
                }),
            }
        }
        for outcome in &mut outcomes {
            outcome.parts = vec![(outcome.hosts.clone(), outcome.result.diffs.clone())];
        }
        // The tasks of later batches stand beside those of the first.
        let first = |outcome: &Outcome<'_>| {
            let position = |task: &TaskStory| task.task.at == outcome.task.at;
            let longest = self.batches.iter().max_by_key(|batch| batch.tasks.len());
            longest.and_then(|batch| batch.tasks.iter().position(position))
        };
        outcomes.sort_by_cached_key(|outcome| first(outcome).unwrap_or(usize::MAX));
        outcomes
    }

    /// How the play rolls, where it has batches: `3 batches of 1`.
    pub fn rolls(&self) -> Option<String> {
        let of = self.batches.first().map_or(0, |batch| batch.of);
        if of < 2 {
            return None;
        }
        let mut sizes: Vec<usize> = self.batches.iter().map(|batch| batch.hosts.len()).collect();
        sizes.dedup();
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        Some(format!("{of} batches of {}", sizes.join(", ")))
    }
}

/// Whether two ends differ in their diffs at most.
pub(super) fn same_words(one: &TaskResult, other: &TaskResult) -> bool {
    one.status == other.status
        && one.msg == other.msg
        && one.causes == other.causes
        && one.warnings == other.warnings
        && one.show == other.show
        && one.delegated_to == other.delegated_to
}

impl Outcome<'_> {
    /// Whether there is more to say than that all was well.
    pub fn is_news(&self) -> bool {
        !matches!(self.result.status, Status::Ok | Status::Skipped)
            || !self.result.warnings.is_empty()
            || self.result.show.is_some()
    }
}

/// How an end is called.
pub(super) fn word(result: &TaskResult, check_mode: bool) -> &'static str {
    match result.status {
        Status::Ok => "ok",
        Status::Changed if check_mode => "would change",
        Status::Changed => "changed",
        Status::Skipped => "skipped",
        Status::Failed if check_mode => "would fail",
        Status::Failed => "failed",
        Status::Ignored => "failed (ignored)",
        Status::Unforeseen if result.diffs.is_empty() => "unknown",
        Status::Unforeseen => "perhaps",
        Status::Unknown => "unknown",
        Status::Cancelled => "cancelled",
    }
}
