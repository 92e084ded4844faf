//! Turns a review into one JSON document; its version rises with every change that breaks a reader.

use super::Review;
use serde_json::json;

/// The version of the document, described in `docs/review.md`.
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
        "sections": review.sections,
    });
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
