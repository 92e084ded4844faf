//! Turns a review into Markdown for a comment on a pull request: the summary first, folds, and an honest cut.

use super::{Entry, Part, Review};
use crate::report::markdown::{LIMIT, code, escape, html, one_diff};
use crate::report::words::{count, counted_hosts};
use crate::value::HostName;
use std::fmt::Write;

/// Room for what follows a cut.
const RESERVE: usize = 700;
/// Room for the hosts of an entry whose parts are left out.
const CUT: usize = 500;

/// Draws the whole review, within GitHub's limit.
pub(super) fn draw(review: &Review) -> String {
    draw_within(review, LIMIT)
}

pub(super) fn draw_within(review: &Review, limit: usize) -> String {
    let room = limit.saturating_sub(RESERVE);
    let mut out = format!("### krun review: {}\n\n", escape(&review.summary()));
    let playbooks: Vec<String> = review.playbooks.iter().map(|path| code(path)).collect();
    let _ = writeln!(
        out,
        "{} · {}..{} · {} · no host was contacted\n",
        playbooks.join(", "),
        code(&review.base),
        code(&review.head),
        escape(&counted_hosts(&review.hosts))
    );
    for warning in &review.warnings {
        let _ = writeln!(out, "> **warning:** {}\n", escape(warning));
    }
    let mut ahead: usize = review.sections.iter().map(|one| one.entries.len()).sum();
    let mut left_out = 0;
    for section in &review.sections {
        let _ = writeln!(out, "#### {}\n", section.title);
        for entry in &section.entries {
            let left = room.saturating_sub(out.len());
            let (drawn, n_cut) = draw_entry(entry, left, left / ahead);
            out.push_str(&drawn);
            left_out += n_cut;
            ahead -= 1;
        }
        out.push('\n');
    }
    if left_out > 0 {
        let _ = writeln!(
            out,
            "**Cut here**: {} more would make this longer than GitHub takes (65,536 characters). Whole: `krun review … --format html`",
            count(left_out, "difference")
        );
    }
    // Of warnings alone, too, there may be more than fit.
    if out.len() > limit {
        let mut end = limit.saturating_sub(40);
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push_str("\n\n**Cut here**\n");
    }
    out
}

/// Draws an entry, and says how many of its parts are left out.
///
/// The first part may take all the room that is left, those of further hosts only the entry's share of it, so that
/// something remains for the entries behind. Each part is whole or not there.
fn draw_entry(entry: &Entry, left: usize, share: usize) -> (String, usize) {
    let (mut drawn, tail) = around(entry);
    let mut n_shown = 0;
    for part in &entry.parts {
        let part = draw_part(part);
        let room = if n_shown == 0 { left } else { share };
        if drawn.len() + part.len() + CUT > room {
            break;
        }
        drawn.push_str(&part);
        n_shown += 1;
    }
    if n_shown == 0 {
        return (String::new(), entry.parts.len());
    }
    let cut = &entry.parts[n_shown..];
    if !cut.is_empty() {
        let hosts: Vec<HostName> = cut.iter().flat_map(|part| part.hosts.clone()).collect();
        let _ = writeln!(drawn, "… and {}\n", escape(&counted_hosts(&hosts)));
    }
    (drawn + tail, cut.len())
}

fn draw_part(part: &Part) -> String {
    let mut body = String::new();
    if !part.hosts.is_empty() {
        let _ = writeln!(body, "**{}**\n", escape(&counted_hosts(&part.hosts)));
    }
    for note in &part.notes {
        let _ = writeln!(body, "- {}", escape(note));
    }
    if !part.notes.is_empty() {
        body.push('\n');
    }
    for diff in &part.diffs {
        body.push_str(&one_diff(diff));
    }
    body
}

/// What stands before and behind an entry's parts.
fn around(entry: &Entry) -> (String, &'static str) {
    let place = entry
        .place
        .as_deref()
        .map_or_else(String::new, |place| format!(" · {}", html(place)));
    // A play's course is short, and what everybody reads.
    if entry.parts.iter().all(|part| part.hosts.is_empty()) {
        return (format!("**{}**{place}\n\n", escape(&entry.title)), "");
    }
    let mut hosts: Vec<_> = entry
        .parts
        .iter()
        .flat_map(|part| part.hosts.clone())
        .collect();
    hosts.sort();
    hosts.dedup();
    let head = format!(
        "<details><summary><b>{}</b>{place} · {}</summary>\n\n",
        html(&entry.title),
        html(&counted_hosts(&hosts))
    );
    (head, "</details>\n\n")
}
