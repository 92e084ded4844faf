//! Turns what a plan does not know into its causes, each with how much stands on it.

use super::story::Story;
use crate::event::{Status, cause};
use indexmap::IndexMap;

/// So many causes are told one by one.
const SHOWN: usize = 10;

/// What nobody knew first, and how many results it makes unknown: the most first.
pub(super) fn causes(story: &Story) -> Vec<(String, usize)> {
    let mut found: IndexMap<String, usize> = IndexMap::new();
    let tasks = story.plays.iter().flat_map(|play| &play.batches);
    let told = tasks.flat_map(|batch| &batch.tasks).flat_map(|it| &it.told);
    // Of a loop, only its items.
    for told in told.filter(|told| !told.result.is_loop) {
        if let (Status::Unforeseen, Some(reason)) = (told.result.status, &told.result.msg) {
            *found.entry(cause::root(reason)).or_default() += 1;
        }
    }
    let mut found: Vec<(String, usize)> = found.into_iter().collect();
    found.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    found
}

/// The same as lines to read, where it says more than the results themselves: several share a cause.
pub(super) fn lines(story: &Story) -> Vec<(usize, String)> {
    let all = causes(story);
    let shared = all.iter().filter(|(_, n)| *n > 1).take(SHOWN);
    let mut lines: Vec<(usize, String)> = shared.map(|(cause, n)| (*n, cause.clone())).collect();
    let rest = &all[lines.len()..];
    if !lines.is_empty() && !rest.is_empty() {
        let n_rest = rest.iter().map(|(_, n)| n).sum();
        lines.push((n_rest, format!("with {} other causes", rest.len())));
    }
    lines
}
