//! Turns a review into text for a terminal: the summary first, each difference once with the hosts that share it.

use super::{Entry, Part, Review};
use crate::report::words::counted_hosts;
use crate::report::{Paint, diff};
use std::fmt::Write;

/// Draws the whole review.
pub(super) fn draw(review: &Review, paint: Paint) -> String {
    let mut out = format!(
        "{} {}..{}  {}\n",
        paint.bold("review:"),
        review.base,
        review.head,
        review.summary()
    );
    let on = counted_hosts(&review.hosts);
    let line = format!(
        "{}; {on}; no host was contacted",
        review.playbooks.join(", ")
    );
    let _ = writeln!(out, "{}", paint.dim(line));
    for warning in &review.warnings {
        let _ = writeln!(out, "{} {warning}", paint.magenta("warning:"));
    }
    for section in &review.sections {
        let _ = writeln!(out, "\n{}", paint.bold(section.title.to_uppercase()));
        for entry in &section.entries {
            draw_entry(&mut out, entry, paint);
        }
    }
    out
}

fn draw_entry(out: &mut String, entry: &Entry, paint: Paint) {
    let place = entry.place.as_deref().unwrap_or_default();
    let title = format!("{}  {}", paint.bold(&entry.title), paint.dim(place));
    let _ = writeln!(out, "\n  {}", title.trim_end());
    for part in &entry.parts {
        draw_part(out, entry, part, paint);
    }
}

fn draw_part(out: &mut String, entry: &Entry, part: &Part, paint: Paint) {
    if !part.hosts.is_empty() {
        let line = format!("~ {}", counted_hosts(&part.hosts));
        let _ = writeln!(out, "  {}", paint.yellow(line));
    }
    for note in &part.notes {
        let _ = writeln!(out, "      {note}");
    }
    for one in &part.diffs {
        let drawn = diff::draw(one, paint);
        // The entry has said the name already.
        let is_said = drawn.lines().next() == Some(&*paint.bold(&entry.title));
        for line in drawn.lines().skip(usize::from(is_said)) {
            let _ = writeln!(out, "      {line}");
        }
    }
}
