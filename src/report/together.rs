//! Turns the ends of a task that differ only in their diffs into one: what hosts share stands once, the rest beneath.

use super::parts::parts;
use super::story::{Outcome, same_words};
use crate::modules::diff::{Content, Diff};
use crate::value::HostName;
use indexmap::IndexMap;

/// What a reader must know of the lines around a change that several hosts share.
pub(super) fn around(outcome: &Outcome<'_>) -> Option<String> {
    let host = outcome.example.as_ref()?;
    Some(format!("the lines around it are those of {host}"))
}

/// Puts ends of the same task together where their diffs have something in common; the others stay as they are.
pub(super) fn together(ends: Vec<Outcome<'_>>) -> Vec<Outcome<'_>> {
    let mut groups: Vec<Vec<Outcome<'_>>> = Vec::new();
    for end in ends {
        match groups.iter_mut().find(|group| belongs(&group[0], &end)) {
            Some(group) => group.push(end),
            None => groups.push(vec![end]),
        }
    }
    groups.into_iter().flat_map(joined).collect()
}

fn belongs(one: &Outcome<'_>, other: &Outcome<'_>) -> bool {
    let (ours, theirs) = (&one.result.diffs, &other.result.diffs);
    let same_subjects = ours
        .iter()
        .map(|diff| &diff.subject)
        .eq(theirs.iter().map(|diff| &diff.subject));
    one.task.at == other.task.at
        && one.task.is_handler == other.task.is_handler
        && one.item == other.item
        && !ours.is_empty()
        && same_subjects
        && same_words(one.result, other.result)
        && !one.hosts.iter().any(|host| other.hosts.contains(host))
}

/// One end of all these, or these where nothing is common to them.
fn joined(group: Vec<Outcome<'_>>) -> Vec<Outcome<'_>> {
    if group.len() < 2 {
        return group;
    }
    let everyone: Vec<HostName> = group.iter().flat_map(|end| end.hosts.clone()).collect();
    let mut found: IndexMap<Vec<HostName>, Vec<Diff>> = IndexMap::new();
    for position in 0..group[0].result.diffs.len() {
        let of_hosts: Vec<(HostName, Diff)> = group
            .iter()
            .flat_map(|end| end.hosts.iter().map(move |host| (host, end)))
            .map(|(host, end)| (host.clone(), end.result.diffs[position].clone()))
            .collect();
        for part in parts(&of_hosts) {
            found.entry(part.hosts).or_default().push(part.diff);
        }
    }
    if !found.contains_key(&everyone) {
        return group;
    }
    let before = |end: &Outcome<'_>| -> Vec<Option<String>> {
        let contents = end.result.diffs.iter().map(|diff| diff.content.as_ref());
        contents
            .map(|content| match content {
                Some(Content::Text { before, .. }) => Some(before.clone()),
                _ => None,
            })
            .collect()
    };
    let is_alike = group.iter().all(|end| before(end) == before(&group[0]));
    let example = (!is_alike).then(|| everyone[0].clone());
    // Those of all come first, whichever thing they are of.
    found.sort_by(|one, _, other, _| other.len().cmp(&one.len()));
    let first = group.into_iter().next();
    first
        .map(|first| Outcome {
            hosts: everyone,
            parts: found.into_iter().collect(),
            example,
            ..first
        })
        .into_iter()
        .collect()
}
