//! Turns a review into one JSON document; its version rises with every change that breaks a reader.

use super::{Entry, Part, Review, Section};
use crate::report::diff_document;
use serde_json::{Value, json};

/// The version of the document, described in `docs/review.schema.json`.
const VERSION: u32 = 1;

/// Draws the whole review as one document, ended by a line feed.
pub(super) fn draw(review: &Review) -> String {
    let document = json!({
        "format": "krun-review",
        "version": VERSION,
        "summary": review.summary(),
        "base": review.base,
        "head": review.head,
        "playbooks": review.playbooks,
        "hosts": review.hosts,
        "warnings": review.warnings,
        "sections": review.sections.iter().map(section).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn section(section: &Section) -> Value {
    let entries = section.entries.iter().map(entry);
    json!({"title": section.title, "entries": entries.collect::<Vec<_>>()})
}

fn entry(entry: &Entry) -> Value {
    let parts = entry.parts.iter().map(part);
    json!({"title": entry.title, "place": entry.place, "parts": parts.collect::<Vec<_>>()})
}

fn part(part: &Part) -> Value {
    let diffs = part.diffs.iter().map(diff_document);
    json!({"hosts": part.hosts, "notes": part.notes, "diffs": diffs.collect::<Vec<_>>()})
}
