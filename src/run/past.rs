//! Turns the events of stopped runs into what a run that goes on with them knows: which task ended how, where.

use super::back::{Deed, bare, deeds};
use crate::event::{Event, EventKind, Status, TaskName, TaskResult};
use crate::modules::Outcome;
use crate::proto::{JournalEntry, JournalMark};
use crate::value::HostName;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What the user decides about what cannot be known.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// Titles of tasks that are run again whatever became of them.
    pub again: Vec<String>,
    /// Titles of tasks that are taken as done.
    pub done: Vec<String>,
    /// Hosts on which nothing counts as done.
    pub anew: Vec<String>,
    /// Hosts that were finished are passed even where they differ now.
    pub differences_are_ok: bool,
}

/// What earlier runs of the same command line did.
#[derive(Debug, Clone, Default)]
pub struct Past {
    pub decisions: Decisions,
    /// The runs, the oldest first.
    runs: Vec<String>,
    hosts: HashMap<HostName, HostPast>,
    /// Which hosts came to the end of which play.
    finished: HashSet<(usize, HostName)>,
    /// By host: what its agent's journal says of these runs.
    journals: HashMap<HostName, Journal>,
    /// What any of the runs did counts, not what the last one said of it.
    is_way_back: bool,
}

/// What makes two tasks of two runs the same: the play's number, the file, the module, and the title as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    play: usize,
    file: String,
    module: String,
    title: String,
}

impl Key {
    pub(super) fn new(play: usize, task: &TaskName) -> Self {
        Self {
            play,
            file: task.at.file.clone(),
            module: task.module.clone(),
            title: task.title.clone(),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct HostPast {
    /// Each time that the task ended there, in order.
    tasks: HashMap<Key, Vec<TaskPast>>,
}

/// How a task ended on a host.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskPast {
    /// Its place among all that ended.
    order: usize,
    /// Of a loop: label and result of each item.
    items: Vec<(String, TaskResult)>,
    /// `None` where the task was stopped between two items.
    whole: Option<TaskResult>,
    /// What it changed, in all runs.
    subjects: Vec<String>,
}

impl TaskPast {
    /// The result of the task or, of a loop, of the item with this label that `taken` counts.
    pub(super) fn result(&self, label: Option<&str>, taken: usize) -> Option<&TaskResult> {
        let Some(label) = label else {
            return self.whole.as_ref().filter(|result| !result.is_loop);
        };
        let same = self.items.iter().filter(|(other, _)| other == label);
        same.map(|(_, result)| result).nth(taken)
    }

    /// What the task registered, of a loop with all its items.
    pub(super) fn registered(&self) -> Option<&TaskResult> {
        self.whole.as_ref()
    }

    pub(super) fn results(&self) -> impl Iterator<Item = &TaskResult> {
        let items = self.items.iter().map(|(_, result)| result);
        items.chain(self.whole.iter().filter(|result| !result.is_loop))
    }

    /// Takes the place of what an earlier run tells, and keeps of it what this one does not tell.
    fn replace(mut self, older: &mut Self) {
        self.order = older.order;
        self.subjects.append(&mut older.subjects);
        let missing =
            |(label, _): &(String, TaskResult)| !self.items.iter().any(|(other, _)| other == label);
        older.items.retain(missing);
        self.items.append(&mut older.items);
        self.whole = self.whole.or_else(|| older.whole.take());
        *older = self;
    }

    /// Takes the results of an earlier run that did more than this one did.
    fn keep_deeds_of(&mut self, older: &Self) {
        for (label, result) in &mut self.items {
            let mut same = older.items.iter().filter(|(other, _)| other == label);
            if let Some((_, older)) = same.find(|(_, older)| did(older) > did(result)) {
                result.clone_from(older);
            }
        }
        if let (Some(result), Some(older)) = (&mut self.whole, &older.whole)
            && did(older) > did(result)
        {
            result.clone_from(older);
        }
    }
}

/// How much a task did.
fn did(result: &TaskResult) -> u8 {
    match result.status {
        Status::Skipped | Status::Unforeseen => 0,
        Status::Ok | Status::Ignored => 1,
        Status::Failed | Status::Cancelled | Status::Unknown => 2,
        Status::Changed => 3,
    }
}

/// What a journal tells of the tasks of one title that no record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It did not begin, or it failed.
    Nothing,
    /// It ended well, and krun was gone before it could hear so.
    Ended,
    /// Began; nobody knows more.
    Unknown,
    /// Ended in the middle.
    Cut,
}

#[derive(Debug, Clone, Default)]
struct Journal {
    by_name: HashMap<String, Marks>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    ended: usize,
    open: usize,
    cut: usize,
    /// The last time that one began, by the host's clock: seconds since the epoch.
    began: u64,
}

impl Past {
    pub fn new(decisions: Decisions) -> Self {
        Self {
            decisions,
            ..Self::default()
        }
    }

    /// What is rolled back: a run that went on passes over what an earlier one had done.
    pub fn of_way_back() -> Self {
        Self {
            is_way_back: true,
            ..Self::default()
        }
    }

    /// Whether anything ended on the host.
    pub(super) fn has_begun(&self, host: &HostName) -> bool {
        self.hosts.contains_key(host)
    }

    /// Adds the events of one run; those of the runs that it went on with come first.
    pub fn add(&mut self, run: &str, events: &[Event]) {
        self.runs.push(run.to_owned());
        let mut hosts: HashMap<HostName, HostPast> = HashMap::new();
        // Events count plays from 1.
        let (mut play, mut begun, mut finished) = (0, HashSet::new(), HashSet::new());
        let mut order = self.runs.len() << 32;
        let mut items: HashMap<HostName, Vec<(String, TaskResult)>> = HashMap::new();
        let mut looping: HashMap<HostName, Key> = HashMap::new();
        for event in events {
            match &event.kind {
                EventKind::PlayStarted { .. } | EventKind::PlaySkipped { .. } => play += 1,
                EventKind::BatchEnded { done } => {
                    finished.extend(done.iter().map(|host| (play, HostName::clone(host))));
                }
                EventKind::ItemEnded {
                    host,
                    task,
                    label,
                    result,
                } => {
                    let key = Key::new(play, task);
                    if looping.insert(host.clone(), key.clone()) != Some(key) {
                        items.remove(host);
                    }
                    let items = items.entry(host.clone()).or_default();
                    if !is_own(result) {
                        items.push((label.clone(), result.clone()));
                    }
                }
                EventKind::TaskEnded { host, task, result } => {
                    let is_new = !result.restored
                        && !matches!(
                            result.status,
                            Status::Ok | Status::Skipped | Status::Ignored
                        );
                    if is_new {
                        begun.insert((play, host.clone()));
                    }
                    order += 1;
                    looping.remove(host);
                    let past = TaskPast {
                        order,
                        items: items.remove(host).unwrap_or_default(),
                        whole: Some(result.clone()).filter(|result| !is_own(result)),
                        ..TaskPast::default()
                    };
                    let host = hosts.entry(host.clone()).or_default();
                    let key = Key::new(play, task);
                    host.tasks.entry(key).or_default().push(past);
                }
                _ => {}
            }
        }
        // A loop that was stopped between two items.
        for (host, key) in looping {
            order += 1;
            let items = items.remove(&host).unwrap_or_default();
            let past = TaskPast {
                order,
                items,
                ..TaskPast::default()
            };
            let host = hosts.entry(host).or_default();
            host.tasks.entry(key).or_default().push(past);
        }
        // Where something was done again and not finished again, it is not finished.
        self.finished.retain(|finished| !begun.contains(finished));
        self.finished.extend(finished);
        for (host, newer) in hosts {
            let known = self.hosts.entry(host).or_default();
            for (key, newer) in newer.tasks {
                let known = known.tasks.entry(key).or_default();
                for (nth, mut newer) in newer.into_iter().enumerate() {
                    let diffs = newer.results().flat_map(|result| &result.diffs);
                    newer.subjects = diffs.map(|diff| diff.subject.clone()).collect();
                    if let Some(older) = known.get_mut(nth) {
                        if self.is_way_back {
                            newer.keep_deeds_of(older);
                        }
                        newer.replace(older);
                    } else {
                        known.push(newer);
                    }
                }
            }
        }
    }

    /// The run that is gone on with.
    pub(super) fn run(&self) -> &str {
        self.runs.last().map_or("", String::as_str)
    }

    /// The hosts on which something of a play ended.
    pub(super) fn hosts_of(&self, play: usize) -> impl Iterator<Item = &HostName> {
        let hosts = self.hosts.iter();
        let took_part = move |past: &HostPast| past.tasks.keys().any(|key| key.play == play);
        hosts
            .filter(move |(_, past)| took_part(past))
            .map(|(host, _)| host)
    }

    /// A path that a play changed on a host itself, if there is one.
    pub(super) fn changed_path(&self, play: usize, host: &HostName) -> Option<&str> {
        let tasks = self.hosts.get(host)?.tasks.iter();
        let of_play = tasks.filter(|(key, _)| key.play == play);
        let results = of_play
            .flat_map(|(_, tasks)| tasks.iter().flat_map(TaskPast::results))
            .filter(|result| result.status == Status::Changed && result.delegated_to.is_none());
        let subjects = results
            .flat_map(|result| &result.diffs)
            .map(|diff| &*diff.subject);
        subjects.filter(|subject| subject.starts_with('/')).min()
    }

    /// The units, without their type, to which a play did this on a host.
    pub(super) fn units(&self, play: usize, host: &HostName, deed: Deed) -> Vec<String> {
        let tasks = self
            .hosts
            .get(host)
            .into_iter()
            .flat_map(|host| &host.tasks);
        let of_play = tasks.filter(|(key, _)| key.play == play);
        let results = of_play.flat_map(|(_, tasks)| tasks.iter().flat_map(TaskPast::results));
        let deeds = results.flat_map(deeds);
        let mut units: Vec<String> = deeds
            .filter(|(_, what)| *what == deed)
            .map(|(unit, _)| bare(unit))
            .collect();
        units.sort();
        units.dedup();
        units
    }

    pub(super) fn is_anew(&self, host: &str) -> bool {
        self.decisions.anew.iter().any(|name| name == host)
    }

    /// Whether the host came to the end of the play.
    pub(super) fn is_finished(&self, play: usize, host: &HostName) -> bool {
        !self.is_anew(host) && self.finished.contains(&(play, HostName::clone(host)))
    }

    /// How a task ended there the time that `nth` counts.
    pub(super) fn task(&self, host: &HostName, key: &Key, nth: usize) -> Option<&TaskPast> {
        if self.is_anew(host) {
            return None;
        }
        self.hosts.get(host)?.tasks.get(key)?.get(nth)
    }

    /// Whether a task that ended later has changed on the host what this one would change there now.
    pub(super) fn is_superseded(&self, host: &HostName, past: &TaskPast, would: &Outcome) -> bool {
        let tasks = self
            .hosts
            .get(host)
            .into_iter()
            .flat_map(|host| host.tasks.values());
        let mut later = tasks.flatten().filter(|task| task.order > past.order);
        later.any(|task| {
            let mut changed = task.subjects.iter();
            let meets = |changed| would.diffs.iter().any(|diff| meet(changed, &diff.subject));
            changed.any(|changed| meets(changed))
        })
    }

    pub(super) fn has_journal(&self, host: &HostName) -> bool {
        self.journals.contains_key(host)
    }

    /// Takes what an agent's journal says of these runs.
    pub(super) fn heard(&mut self, host: &HostName, entries: &[JournalEntry]) {
        let mut last: HashMap<(&str, u64), (&str, JournalMark)> = HashMap::new();
        let ours = |entry: &&JournalEntry| *entry.host == **host && self.runs.contains(&entry.run);
        for entry in entries.iter().filter(ours) {
            last.insert((&entry.run, entry.seq), (&entry.name, entry.what));
        }
        let mut journal = Journal::default();
        for entry in entries.iter().filter(ours) {
            if entry.what == JournalMark::Began {
                let marks = journal.by_name.entry(entry.name.clone()).or_default();
                marks.began = marks.began.max(entry.at);
            }
        }
        for (name, mark) in last.into_values() {
            let marks = journal.by_name.entry(name.to_owned()).or_default();
            match mark {
                JournalMark::Began => marks.open += 1,
                JournalMark::Ended { .. } => marks.ended += 1,
                JournalMark::Cancelled => marks.cut += 1,
                JournalMark::Failed => {}
            }
        }
        self.journals.insert(HostName::clone(host), journal);
    }

    /// When, by the host's clock, an action of this name began the last time, in seconds since the epoch.
    pub(super) fn began(&self, host: &HostName, name: &str) -> Option<u64> {
        let marks = self.journals.get(host)?.by_name.get(name)?;
        (marks.began > 0).then_some(marks.began)
    }

    /// Takes what the journal has of one more action of this name than the record tells; `shown` is its title there.
    pub(super) fn take_unrecorded(&mut self, host: &HostName, name: &str, shown: &str) -> Heard {
        let said = self.said(host, shown);
        let Some(marks) = self
            .journals
            .get_mut(host)
            .and_then(|journal| journal.by_name.get_mut(name))
        else {
            return Heard::Nothing;
        };
        if marks.open > said.unknown {
            marks.open -= 1;
            Heard::Unknown
        } else if marks.cut > said.cut {
            marks.cut -= 1;
            Heard::Cut
        } else if marks.ended > said.ended {
            marks.ended -= 1;
            Heard::Ended
        } else {
            Heard::Nothing
        }
    }

    /// Counts what the record tells of tasks with this title.
    fn said(&self, host: &HostName, shown: &str) -> Said {
        let tasks = self
            .hosts
            .get(host)
            .into_iter()
            .flat_map(|host| &host.tasks);
        let same = tasks.filter(|(key, _)| key.title == shown);
        let results = same.flat_map(|(_, tasks)| tasks.iter().flat_map(TaskPast::results));
        let mut said = Said::default();
        for result in results {
            match result.status {
                Status::Ok | Status::Changed | Status::Ignored | Status::Failed => said.ended += 1,
                Status::Unknown => said.unknown += 1,
                Status::Cancelled => said.cut += 1,
                Status::Skipped | Status::Unforeseen => {}
            }
        }
        said
    }
}

#[derive(Debug, Default)]
struct Said {
    ended: usize,
    unknown: usize,
    cut: usize,
}

/// Whether a result is only what krun itself said of an earlier one.
fn is_own(result: &TaskResult) -> bool {
    result.restored && result.status == Status::Failed && !result.rescued
}

/// Whether two subjects of diffs are one thing, or one lies within the other.
fn meet(one: &str, other: &str) -> bool {
    let (a, b) = (Path::new(one), Path::new(other));
    one == other || (a.is_absolute() && (a.starts_with(b) || (b.is_absolute() && b.starts_with(a))))
}
