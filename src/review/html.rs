//! Turns a review into one HTML page that needs nothing else, foldable and readable without JavaScript.

use super::{Entry, Part, Review};
use crate::report::html::{OPEN, diff, escape, fold, frame, more, section};
use crate::report::words::counted_hosts;
use std::fmt::Write;

/// Draws the whole review.
pub(super) fn draw(review: &Review) -> String {
    let summary = review.summary();
    let links: Vec<String> = review
        .sections
        .iter()
        .map(|one| format!("<a href=\"#{}\">{}</a>", id(one.title), escape(one.title)))
        .collect();
    let links = links.concat();
    let playbooks: Vec<String> = review
        .playbooks
        .iter()
        .map(|path| format!("<code>{}</code>", escape(path)))
        .collect();
    let mut body = format!(
        "<header>\n<p class=\"kind\">krun review</p>\n<h1>{}</h1>\n<p class=\"meta\">{} · <code>{}..{}</code> · {} · no host was contacted</p>\n<nav>{links}</nav>\n</header>\n",
        escape(&summary),
        playbooks.join(", "),
        escape(&review.base),
        escape(&review.head),
        escape(&counted_hosts(&review.hosts))
    );
    for warning in &review.warnings {
        let _ = writeln!(body, "<p class=\"note warning\">{}</p>", escape(warning));
    }
    for one in &review.sections {
        let entries: String = one.entries.iter().map(entry).collect();
        body.push_str(&section(&id(one.title), one.title, &entries));
    }
    frame(&format!("krun review: {summary}"), &body)
}

fn id(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn entry(entry: &Entry) -> String {
    let place = entry.place.as_deref().unwrap_or_default();
    let (open, folded) = entry.parts.split_at(entry.parts.len().min(OPEN));
    let mut body: String = open.iter().map(part).collect();
    if !folded.is_empty() {
        let hosts = folded.iter().flat_map(|part| part.hosts.clone()).collect();
        let rest: String = folded.iter().map(part).collect();
        body.push_str(&more(hosts, &rest));
    }
    let summary = format!(
        "<b>{}</b> <span class=\"place\">{}</span>",
        escape(&entry.title),
        escape(place)
    );
    fold("play", true, &summary, &body)
}

fn part(part: &Part) -> String {
    let mut body = String::new();
    if !part.hosts.is_empty() {
        let hosts = escape(&counted_hosts(&part.hosts));
        let _ = writeln!(body, "<p class=\"end changed\"><b>{hosts}</b></p>");
    }
    for note in &part.notes {
        let _ = writeln!(body, "<p>{}</p>", escape(note));
    }
    body.extend(part.diffs.iter().map(diff));
    body
}
