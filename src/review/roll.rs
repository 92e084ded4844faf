//! Says what a change means for the roll: which services stop and start, in how many batches, behind which gates.

use super::ends::End;
use super::{Entry, Part, Section};
use crate::event::{Event, EventKind};
use crate::report::words::{count, counted_hosts, in_turn};
use crate::value::HostName;
use indexmap::{IndexMap, IndexSet};

pub(super) const ROLL: &str = "The roll";

/// Modules that hold a roll until all is well.
const GATES: &[&str] = &["kafka_safe_to_stop", "wait_for_isr", "wait_for"];

/// A play as it goes over its hosts.
#[derive(Debug, Default)]
struct Course<'a> {
    n_hosts: usize,
    batches: Vec<&'a [HostName]>,
    /// Titles of gates, in their order.
    gates: IndexSet<&'a str>,
    /// What is done to a unit, in order, and where.
    services: IndexMap<&'a str, (Vec<&'a str>, IndexSet<HostName>, bool)>,
}

/// What the later revision's plays do to services, and how they roll. `ends` are those of the later revision that run.
pub(super) fn roll<'a>(
    base: &'a [Event],
    head: &'a [Event],
    ends: &[(&'a HostName, &'a End<'a>)],
) -> Option<Section> {
    let (old, mut new) = (courses(base), courses(head));
    for (host, end) in ends {
        let Some(course) = new.get_mut(end.play) else {
            continue;
        };
        let module = end.task.module.rsplit('.').next().unwrap_or_default();
        if GATES.contains(&module) {
            course.gates.insert(&end.task.title);
        }
        if let Some((unit, state)) = end.service() {
            let (states, hosts, is_sure) = course.services.entry(unit).or_default();
            if !states.contains(&state) {
                states.push(state);
            }
            hosts.insert((*host).clone());
            *is_sure |= !end.is_perhaps();
        }
    }
    let entries: Vec<Entry> = new
        .iter()
        .filter_map(|(name, course)| entry(name, course, old.get(name)))
        .collect();
    (!entries.is_empty()).then_some(Section {
        title: ROLL,
        entries,
    })
}

fn courses(events: &[Event]) -> IndexMap<&str, Course<'_>> {
    let mut all: IndexMap<&str, Course<'_>> = IndexMap::new();
    for event in events {
        match &event.kind {
            EventKind::PlayStarted { name, hosts, .. } => {
                all.entry(name).or_default().n_hosts = *hosts;
            }
            EventKind::BatchStarted { hosts, .. } => {
                if let Some((_, course)) = all.last_mut() {
                    course.batches.push(hosts);
                }
            }
            _ => {}
        }
    }
    all
}

/// A play that touches services, or that no longer rolls as it did.
fn entry(name: &str, course: &Course<'_>, old: Option<&Course<'_>>) -> Option<Entry> {
    let widths = |course: &Course<'_>| -> Vec<usize> {
        course.batches.iter().map(|batch| batch.len()).collect()
    };
    let rolls_otherwise = old.is_some_and(|old| widths(old) != widths(course));
    let moves = course
        .services
        .values()
        .any(|(states, ..)| does(states).is_some());
    if !moves && !rolls_otherwise {
        return None;
    }
    let mut notes = vec![match old.filter(|_| rolls_otherwise) {
        Some(old) => format!("{} (was: {})", width(course), width(old)),
        None => width(course),
    }];
    if course.batches.len() > 1 {
        notes.push(format!(
            "order: {}",
            in_turn(course.batches.iter().copied())
        ));
    }
    for (unit, (states, on, is_sure)) in &course.services {
        if let Some(does) = does(states) {
            let on: Vec<HostName> = on.iter().cloned().collect();
            let perhaps = if *is_sure { "" } else { "perhaps " };
            notes.push(format!("{unit} {perhaps}{does} on {}", counted_hosts(&on)));
        }
    }
    if !course.gates.is_empty() {
        let gates: Vec<&str> = course.gates.iter().copied().collect();
        notes.push(format!("gates: {}", gates.join("; ")));
    } else if moves {
        notes.push("no gate holds it".into());
    }
    Some(Entry {
        title: name.to_owned(),
        place: None,
        parts: vec![Part {
            hosts: Vec::new(),
            notes,
            diffs: Vec::new(),
        }],
    })
}

fn width(course: &Course<'_>) -> String {
    let on = count(course.n_hosts, "host");
    let sizes: IndexSet<usize> = course.batches.iter().map(|batch| batch.len()).collect();
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    match course.batches.len() {
        0 | 1 => format!("{on}, all at once"),
        n => format!("{on} in {n} batches of {}", sizes.join(", ")),
    }
}

/// What becomes of a running service: `None` where it goes on.
fn does(states: &[&str]) -> Option<&'static str> {
    let has = |state: &str| states.contains(&state);
    if has("stopped") && (has("started") || has("restarted")) {
        Some("stops and starts")
    } else if has("restarted") {
        Some("restarts")
    } else if has("stopped") {
        Some("stops")
    } else if has("reloaded") {
        Some("reloads")
    } else {
        None
    }
}
