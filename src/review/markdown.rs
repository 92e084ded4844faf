//! Turns a review into Markdown for a comment on a pull request: the summary first, folds, and an honest cut.

use super::{Entry, Review, Section};
use crate::report::markdown::{LIMIT, code, escape, html, one_diff};
use crate::report::words::{count, counted_hosts};
use std::fmt::Write;

/// Room for what follows a cut.
const RESERVE: usize = 700;

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
    let mut left_out = 0;
    for section in &review.sections {
        draw_section(&mut out, section, room, &mut left_out);
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

fn draw_section(out: &mut String, section: &Section, room: usize, left_out: &mut usize) {
    let title = format!("#### {}\n\n", section.title);
    if *left_out > 0 || out.len() + title.len() > room {
        *left_out += section.entries.len();
        return;
    }
    out.push_str(&title);
    for entry in &section.entries {
        let drawn = draw_entry(entry);
        // What is whole or not there cannot mislead.
        if *left_out > 0 || out.len() + drawn.len() > room {
            *left_out += 1;
        } else {
            out.push_str(&drawn);
        }
    }
    out.push('\n');
}

fn draw_entry(entry: &Entry) -> String {
    let mut body = String::new();
    for part in &entry.parts {
        let hosts = counted_hosts(&part.hosts);
        if !part.hosts.is_empty() {
            let _ = writeln!(body, "**{}**\n", escape(&hosts));
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
    }
    let place = entry
        .place
        .as_deref()
        .map_or_else(String::new, |place| format!(" · {}", html(place)));
    // A play's course is short, and what everybody reads.
    if entry.parts.iter().all(|part| part.hosts.is_empty()) {
        return format!("**{}**{place}\n\n{body}", escape(&entry.title));
    }
    let mut hosts: Vec<_> = entry
        .parts
        .iter()
        .flat_map(|part| part.hosts.clone())
        .collect();
    hosts.sort();
    hosts.dedup();
    format!(
        "<details><summary><b>{}</b>{place} · {}</summary>\n\n{body}</details>\n\n",
        html(&entry.title),
        html(&counted_hosts(&hosts))
    )
}
