//! Turns the diffs of one thing on many hosts into parts: what hosts share stands once, what only some have beneath.

use super::diff::{Line, LinesChanged, changes, hunks, with_changes};
use super::middle::middle;
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
    /// What stands in the place of each change when what everyone shares is done.
    middles: Vec<Vec<String>>,
}

impl Pieces<'_> {
    /// Whether there is more to change than what everyone shares.
    fn has_more(&self) -> bool {
        self.own().next().is_some()
    }

    /// The changes that are left when what everyone shares is done.
    fn own(&self) -> impl Iterator<Item = (&Vec<String>, &Vec<String>)> {
        let changes = self.middles.iter().zip(&self.changes);
        changes
            .map(|(middle, (_, after))| (middle, after))
            .filter(|(middle, after)| middle != after)
    }

    /// A text diff of what everyone shares, or of the rest.
    fn part(&self, is_shared: bool, with_attributes: bool) -> Diff {
        let mut diff = self.diff.clone();
        diff.is_new &= is_shared;
        if !with_attributes {
            diff.attributes.clear();
        }
        if let Some(Content::Text { before, after }) = &mut diff.content {
            let middle = with_changes(before, after, |position| &self.middles[position]);
            *if is_shared { after } else { before } = middle;
        }
        diff
    }
}

/// Puts together what hosts share.
pub fn parts(diffs: &[(HostName, Diff)]) -> Vec<Part> {
    let mut all: Vec<Pieces<'_>> = diffs
        .iter()
        .map(|(host, diff)| {
            let changes = changed_lines(diff);
            Pieces {
                host,
                diff,
                middles: changes.iter().map(|(before, _)| before.clone()).collect(),
                changes,
            }
        })
        .collect();
    let is_new = |one: &Pieces<'_>| one.diff.is_new;
    let alike = all.iter().all(|one| is_new(one) == is_new(&all[0]));
    let may_share = alike && all.iter().all(|one| !one.changes.is_empty());
    let whole = grouped(all.iter(), |one| (frame(one.diff), one.changes.clone()));
    let n_kinds = whole.len();
    let as_they_are = whole
        .iter()
        .map(|group| part(group, |one| one.diff.clone()))
        .collect();
    if n_kinds < 2 || !may_share || !share(&mut all) {
        return as_they_are;
    }
    let first = frame(all[0].diff);
    let same_frame = all.iter().all(|one| frame(one.diff) == first);
    let everyone: Vec<&Pieces<'_>> = all.iter().collect();
    let mut out = vec![part(&everyone, |one| one.part(true, same_frame))];
    let rest = all.iter().filter(|one| {
        let is_framed = !same_frame && !one.diff.attributes.is_empty();
        is_framed || one.has_more()
    });
    let own = |one: &Pieces<'_>| -> Vec<LinesChanged> {
        let own = one.own();
        own.map(|(middle, after)| (middle.clone(), after.clone()))
            .collect()
    };
    let groups = grouped(rest, |one| (frame(one.diff), own(one)));
    out.extend(
        groups
            .iter()
            .map(|group| part(group, |one| one.part(false, !same_frame))),
    );
    out
}

/// Finds what everyone changes in the same way; returns whether there is anything.
fn share(all: &mut [Pieces<'_>]) -> bool {
    let mut found = Shared::default();
    let wanted = all[0].changes.clone();
    for change in &wanted {
        if let Some(positions) = found.free(all, |other| other == change) {
            found.add(positions, change.1.clone());
        }
    }
    for (before, _) in &wanted {
        let Some(positions) = found.free(all, |other| other.0 == *before) else {
            continue;
        };
        let afters = all.iter().zip(&positions);
        let afters: Vec<&[String]> = afters.map(|(one, at)| &*one.changes[*at].1).collect();
        if let Some(middle) = middle(before, &afters) {
            found.add(positions, middle);
        }
    }
    for (positions, middle) in &found.changes {
        for (one, position) in all.iter_mut().zip(positions) {
            one.middles[*position].clone_from(middle);
        }
    }
    !found.changes.is_empty()
}

/// Changes that everyone has: the position of each on each host, and what stands there when the shared part is done.
#[derive(Default)]
struct Shared {
    changes: Vec<(Vec<usize>, Vec<String>)>,
}

impl Shared {
    /// The first such change on each host that is not shared yet; `None` where a host has none.
    fn free(
        &self,
        all: &[Pieces<'_>],
        wanted: impl Fn(&LinesChanged) -> bool,
    ) -> Option<Vec<usize>> {
        let of_host = |(host, one): (usize, &Pieces<'_>)| {
            let is_taken = |at: usize| self.changes.iter().any(|(taken, _)| taken[host] == at);
            let mut changes = one.changes.iter().enumerate();
            let found = changes.find(|(at, change)| wanted(change) && !is_taken(*at));
            found.map(|(at, _)| at)
        };
        all.iter().enumerate().map(of_host).collect()
    }

    fn add(&mut self, positions: Vec<usize>, middle: Vec<String>) {
        self.changes.push((positions, middle));
    }
}

/// What of a diff is no text.
fn frame(diff: &Diff) -> (bool, Vec<Attribute>, Option<Content>) {
    let opaque = diff
        .content
        .clone()
        .filter(|content| matches!(content, Content::Opaque { .. }));
    (diff.is_new, diff.attributes.clone(), opaque)
}

fn grouped<'a: 'b, 'b, K: PartialEq>(
    all: impl Iterator<Item = &'b Pieces<'a>>,
    key: impl Fn(&Pieces<'a>) -> K,
) -> Vec<Vec<&'b Pieces<'a>>> {
    let mut groups: Vec<(K, Vec<&'b Pieces<'a>>)> = Vec::new();
    for one in all {
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

fn changed_lines(diff: &Diff) -> Vec<LinesChanged> {
    match &diff.content {
        Some(Content::Text { before, after }) => changes(before, after),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "parts/tests.rs"]
mod tests;
