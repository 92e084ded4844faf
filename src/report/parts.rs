//! Turns the diffs of one thing on many hosts into parts: what hosts share stands once, what only some have beneath.

use super::diff::{Line, LinesChanged, changes, hunks, with_changes};
use crate::modules::diff::{Attribute, Content, Diff};
use crate::value::HostName;

/// What differs in one way on these hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub hosts: Vec<HostName>,
    /// As it is on the first of them.
    pub diff: Diff,
    /// What stands around the change is not the same on all of them.
    pub differs_around: bool,
}

/// A diff of one host. Two changes are the same on two hosts whose files differ elsewhere.
struct Pieces<'a> {
    host: &'a HostName,
    diff: &'a Diff,
    changes: Vec<LinesChanged>,
}

/// Puts together what hosts share.
pub fn parts(diffs: &[(HostName, Diff)]) -> Vec<Part> {
    let all: Vec<Pieces<'_>> = diffs
        .iter()
        .map(|(host, diff)| Pieces {
            host,
            diff,
            changes: changed_lines(diff),
        })
        .collect();
    let everyone: Vec<&Pieces<'_>> = all.iter().collect();
    let whole = grouped(&everyone, |one| (frame(one.diff), one.changes.clone()));
    let as_they_are = || {
        let groups = whole.iter();
        groups
            .map(|group| part(group, |one| one.diff.clone()))
            .collect()
    };
    if whole.len() < 2 || all.iter().any(|one| one.changes.is_empty()) {
        return as_they_are();
    }
    let is_shared = |lines: &LinesChanged| all.iter().all(|one| one.changes.contains(lines));
    if !all[0].changes.iter().any(is_shared) {
        return as_they_are();
    }
    let first = frame(all[0].diff);
    let same_frame = all.iter().all(|one| frame(one.diff) == first);
    let mut out = vec![part(&everyone, |one| {
        let takes: Vec<bool> = one.changes.iter().map(is_shared).collect();
        limited(one, &takes, true, same_frame)
    })];
    let rest: Vec<&Pieces<'_>> = all
        .iter()
        .filter(|one| {
            let is_framed = !same_frame && !one.diff.attributes.is_empty();
            is_framed || !one.changes.iter().all(is_shared)
        })
        .collect();
    let groups = grouped(&rest, |one| {
        let own: Vec<LinesChanged> = one
            .changes
            .iter()
            .filter(|lines| !is_shared(lines))
            .cloned()
            .collect();
        (frame(one.diff), own)
    });
    out.extend(groups.iter().map(|group| {
        part(group, |one| {
            let takes: Vec<bool> = one.changes.iter().map(|lines| !is_shared(lines)).collect();
            limited(one, &takes, false, !same_frame)
        })
    }));
    out
}

/// What of a diff is no text.
fn frame(diff: &Diff) -> (bool, Vec<Attribute>, Option<Content>) {
    let opaque = diff
        .content
        .clone()
        .filter(|content| matches!(content, Content::Opaque { .. }));
    (diff.is_new, diff.attributes.clone(), opaque)
}

fn grouped<'a, 'b, K: PartialEq>(
    all: &[&'b Pieces<'a>],
    key: impl Fn(&Pieces<'a>) -> K,
) -> Vec<Vec<&'b Pieces<'a>>> {
    let mut groups: Vec<(K, Vec<&'b Pieces<'a>>)> = Vec::new();
    for &one in all {
        let key = key(one);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(one),
            None => groups.push((key, vec![one])),
        }
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// What a group shares, as each of them would show it.
fn part<'a>(group: &[&Pieces<'a>], shown: impl Fn(&Pieces<'a>) -> Diff) -> Part {
    let diff = shown(group[0]);
    let differs = |other: &Diff| *other != diff && drawn_lines(other) != drawn_lines(&diff);
    Part {
        hosts: group.iter().map(|one| one.host.clone()).collect(),
        differs_around: group[1..].iter().any(|one| differs(&shown(one))),
        diff,
    }
}

/// The lines that a reader would see, wherever in the file they stand.
fn drawn_lines(diff: &Diff) -> Vec<Line> {
    match &diff.content {
        Some(Content::Text { before, after }) => {
            let hunks = hunks(before, after).into_iter();
            hunks.flat_map(|hunk| hunk.lines).collect()
        }
        _ => Vec::new(),
    }
}

/// A diff of some of its changes: the shared ones are made first, the host's own behind them.
fn limited(one: &Pieces<'_>, takes: &[bool], first: bool, framed: bool) -> Diff {
    let mut diff = one.diff.clone();
    if !framed {
        diff.attributes.clear();
    }
    let Some(Content::Text { before, after }) = &one.diff.content else {
        return diff;
    };
    let takes = |position: usize| takes.get(position).copied().unwrap_or(true);
    let content = if first {
        Content::Text {
            before: before.clone(),
            after: with_changes(before, after, takes),
        }
    } else {
        Content::Text {
            before: with_changes(before, after, |position| !takes(position)),
            after: after.clone(),
        }
    };
    diff.content = Some(content);
    diff
}

fn changed_lines(diff: &Diff) -> Vec<LinesChanged> {
    match &diff.content {
        Some(Content::Text { before, after }) => changes(before, after),
        _ => Vec::new(),
    }
}
