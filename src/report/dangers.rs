//! Turns what is guarded into the lines that stand at the top of every format.

use super::story::{Story, TaskStory};
use super::words::counted_hosts;
use crate::event::{Danger, Status};
use crate::value::HostName;

/// What became of it, or will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// A plan: a run would be held.
    Planned,
    /// The run did not begin.
    Held,
    /// `--allow-destroy`.
    Allowed,
}

/// The line above them.
pub(super) fn headline(fate: Fate) -> &'static str {
    match fate {
        Fate::Planned => "guarded: a run does this only with `--allow-destroy`",
        Fate::Held => "held before anything was changed: this needs `--allow-destroy`",
        Fate::Allowed => "guarded, and allowed by `--allow-destroy`",
    }
}

/// A line for each: what, where, by which task.
pub(super) fn lines(dangers: &[Danger]) -> Vec<String> {
    let line = |danger: &Danger| {
        let Danger { task, what, hosts } = danger;
        format!(
            "{what} on {}  ({}, {}:{})",
            counted_hosts(hosts),
            task.title,
            task.at.file,
            task.at.line
        )
    };
    dangers.iter().map(line).collect()
}

/// What the tasks of a plan would do, or of a run did, that is guarded; each with the hosts that share it.
pub(super) fn of(story: &Story) -> Vec<Danger> {
    let mut dangers: Vec<Danger> = Vec::new();
    for (_, _, task) in story.tasks() {
        for (host, what) in lost(task).chain(stopped(task)) {
            let same = |one: &&mut Danger| one.task == task.task && one.what == what;
            match dangers.iter_mut().find(same) {
                Some(danger) => danger.hosts.push(host),
                None => dangers.push(Danger {
                    task: task.task.clone(),
                    what,
                    hosts: vec![host],
                }),
            }
        }
    }
    dangers
}

fn lost(task: &TaskStory) -> impl Iterator<Item = (HostName, String)> {
    let told = task
        .told
        .iter()
        .filter(|told| told.result.status != Status::Failed);
    told.flat_map(|told| {
        let lost = told.result.destroys.iter();
        lost.map(|lost| (told.host.clone(), format!("remove {lost}")))
    })
}

/// Servers of a cluster that one batch stops together; a single one is no danger.
fn stopped(task: &TaskStory) -> impl Iterator<Item = (HostName, String)> {
    let told = task.told.iter();
    let stops = told.filter_map(|told| Some((told.host.clone(), told.result.stops.as_ref()?)));
    let stops: Vec<_> = stops
        .map(|(host, what)| (host, format!("stop the {what}")))
        .collect();
    let is_crowd = stops.iter().any(|(host, _)| *host != stops[0].0);
    stops.into_iter().filter(move |_| is_crowd)
}
