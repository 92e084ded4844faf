//! Turns a story into Markdown for a comment on a pull request: the summary first, a fold for each set of hosts, and an honest cut.

use super::counts::{alike, as_wished, counted_as};
use super::diff::{NO_NEWLINE, hunks, opaque};
use super::story::{Outcome, Story, word};
use super::together::around;
use super::words::{count, counted_hosts, duration, moment, value};
use super::{dangers, unknowns};
use crate::event::Status;
use crate::modules::diff::{Content, Diff};
use crate::modules::keys;
use crate::value::HostName;
use indexmap::IndexMap;
use std::fmt::Write;

/// The longest comment that GitHub takes, in characters; counted here in bytes, which are never fewer.
pub const LIMIT: usize = 65_536;
/// Room for what follows a cut.
const RESERVE: usize = 700;
/// Rows of the table of hosts.
const ROWS: usize = 40;

/// Draws the whole story, within GitHub's limit.
pub(super) fn draw(story: &Story) -> String {
    draw_within(story, LIMIT)
}

fn draw_within(story: &Story, limit: usize) -> String {
    let mut page = Page {
        text: String::new(),
        limit: limit.saturating_sub(RESERVE),
        left_out: 0,
        open: false,
    };
    page.add(&head(story));
    if !story.dangers.is_empty() {
        let lines = dangers::lines(&story.dangers);
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("> - {}\n", escape(line)))
            .collect();
        let head = escape(dangers::headline(story.fate()));
        page.add(&format!("> **{head}**\n>\n{}\n", lines.concat()));
    }
    for (text, at) in &story.warnings {
        let at = at.as_ref().map(|at| format!(" ({}:{})", at.file, at.line));
        page.add(&format!(
            "> **warning:** {}{}\n\n",
            escape(text),
            at.unwrap_or_default()
        ));
    }
    page.add(&stopped(story));
    for lost in &story.unreachable {
        let mut text = format!(
            "**unreachable: {}**: {}\n",
            lost.host,
            escape(&lost.message)
        );
        for cause in &lost.causes {
            let _ = writeln!(text, "- {}", escape(cause));
        }
        page.add(&(text + "\n"));
    }
    for (hosts, outcomes) in by_hosts(story) {
        page.fold(&hosts, &outcomes, story.check_mode);
    }
    page.end(story)
}

/// What happened to the same hosts stands in one fold.
fn by_hosts(story: &Story) -> IndexMap<Vec<HostName>, Vec<Outcome<'_>>> {
    let mut found: IndexMap<Vec<HostName>, Vec<Outcome<'_>>> = IndexMap::new();
    for outcome in story
        .plays
        .iter()
        .flat_map(super::story::PlayStory::outcomes)
    {
        let is_change = matches!(outcome.result.status, Status::Ok | Status::Skipped);
        if !is_change {
            let mut hosts = outcome.hosts.clone();
            hosts.sort();
            found.entry(hosts).or_default().push(outcome);
        }
    }
    // What concerns most hosts comes first.
    found.sort_by(|one, _, other, _| other.len().cmp(&one.len()));
    found
}

/// The text so far, and what no longer found room in it.
struct Page {
    text: String,
    limit: usize,
    /// Ends of tasks that were left out.
    left_out: usize,
    /// A fold is open.
    open: bool,
}

impl Page {
    /// Adds a piece whole or not at all.
    fn add(&mut self, piece: &str) -> bool {
        let fits = self.left_out == 0 && self.text.len() + piece.len() <= self.limit;
        if fits {
            self.text.push_str(piece);
        }
        fits
    }

    fn fold(&mut self, hosts: &[HostName], outcomes: &[Outcome<'_>], check_mode: bool) {
        let title = format!(
            "<details><summary><b>{}</b>: {}</summary>\n\n",
            html(&counted_hosts(hosts)),
            html(&kinds(outcomes, check_mode))
        );
        if !self.add(&title) {
            self.left_out += outcomes.len();
            return;
        }
        self.open = true;
        for outcome in outcomes {
            let pieces = pieces(outcome, check_mode);
            if !pieces.iter().all(|piece| self.add(piece)) {
                self.left_out += 1;
            }
        }
        if self.left_out == 0 {
            self.text.push_str("</details>\n\n");
            self.open = false;
        }
    }

    fn end(mut self, story: &Story) -> String {
        if self.left_out > 0 {
            if self.open {
                self.text.push_str("\n</details>\n\n");
            }
            let rest = count(self.left_out, "result");
            let _ = write!(
                self.text,
                "**Cut here**: {rest} more would make this longer than GitHub takes (65,536 characters). "
            );
            let _ = writeln!(self.text, "Whole: `krun show {} --format html`", story.run);
        }
        self.text
    }
}

fn head(story: &Story) -> String {
    let what = if story.check_mode { "plan" } else { "run" };
    let mut out = format!("### krun {what}: {}\n\n", story.summary());
    let playbooks: Vec<String> = story
        .playbooks
        .iter()
        .map(|path| format!("`{path}`"))
        .collect();
    let took = story.elapsed_ms.map_or_else(
        || "it did not end".to_owned(),
        |ms| format!("took {}", duration(ms)),
    );
    let started = moment(story.started);
    let _ = writeln!(out, "{} · {started} · {took}\n", playbooks.join(", "));
    if story.stats.is_empty() {
        return out;
    }
    let (change, fail) = counted_as(story.check_mode);
    let _ = writeln!(
        out,
        "| hosts | {change} | as wished | skipped | unknown | {fail} | unreachable |"
    );
    let _ = writeln!(out, "|---|--:|--:|--:|--:|--:|--:|");
    let rows = alike(&story.stats);
    for (stats, hosts) in rows.iter().take(ROWS) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            escape(&counted_hosts(hosts)),
            stats.changed,
            as_wished(stats),
            stats.skipped,
            stats.unforeseen,
            stats.failed,
            stats.unreachable
        );
    }
    if rows.len() > ROWS {
        let _ = writeln!(out, "| … and {} rows more | | | | | | |", rows.len() - ROWS);
    }
    let unknown = unknowns::lines(story);
    if !unknown.is_empty() {
        out.push_str("\nUnknown, by cause:\n\n");
    }
    for (n, cause) in unknown {
        let _ = writeln!(out, "- {n}: {}", escape(&cause));
    }
    out + "\n"
}

fn stopped(story: &Story) -> String {
    let Some(stop) = &story.stop else {
        return String::new();
    };
    let mut out = format!(
        "**Stopped in {}**: {}\n\n",
        escape(&stop.play),
        escape(&stop.reason)
    );
    for (what, hosts) in stop.groups() {
        if !hosts.is_empty() {
            let _ = writeln!(out, "- {what}: {}", counted_hosts(hosts));
        }
    }
    for down in &stop.down {
        let _ = writeln!(out, "- **down**: {}", escape(down));
    }
    out + "\n"
}

/// `2 would change, 1 unknown`
fn kinds(outcomes: &[Outcome<'_>], check_mode: bool) -> String {
    let mut kinds: IndexMap<&str, usize> = IndexMap::new();
    for outcome in outcomes {
        *kinds.entry(word(outcome.result, check_mode)).or_default() += 1;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    kinds.join(", ")
}

/// What all hosts of an end share, and then what only some of them have, each by itself.
fn pieces(outcome: &Outcome<'_>, check_mode: bool) -> Vec<String> {
    let (task, result) = (outcome.task, outcome.result);
    let item = outcome.item.map(|item| format!(" ({})", escape(item)));
    let handler = if task.is_handler { "handler " } else { "" };
    let mut out = format!(
        "**{handler}{}**{} · {} · `{}:{}`\n",
        escape(&task.title),
        item.unwrap_or_default(),
        word(result, check_mode),
        task.at.file,
        task.at.line
    );
    for line in result.msg.iter().flat_map(|msg| msg.lines()) {
        let _ = writeln!(out, "> {}", escape(line));
    }
    for cause in &result.causes {
        let _ = writeln!(out, "> caused by: {}", escape(cause));
    }
    if let Some(line) = around(outcome) {
        let _ = writeln!(out, "> {}", html(&line));
    }
    out.push('\n');
    let mut pieces = vec![out];
    for (hosts, diffs) in &outcome.parts {
        let drawn: String = diffs.iter().map(one_diff).collect();
        if *hosts == outcome.hosts {
            pieces[0].push_str(&drawn);
        } else {
            let hosts = html(&counted_hosts(hosts));
            pieces.push(format!("and on {hosts}:\n\n{drawn}"));
        }
    }
    pieces
}

/// One diff: its subject, attributes, keys and hunks.
pub fn one_diff(diff: &Diff) -> String {
    let new = if diff.is_new { " (new)" } else { "" };
    let mut out = format!("{}{new}\n", code(&diff.subject));
    for attribute in &diff.attributes {
        let side = |side: &Option<_>| code(&side.as_ref().map_or("none".into(), value));
        let before = match &attribute.before {
            None => String::new(),
            before => format!("{} → ", side(before)),
        };
        let name = escape(&attribute.name);
        let _ = writeln!(out, "- {name}: {before}{}", side(&attribute.after));
    }
    for key in keys::changed(diff).unwrap_or_default() {
        let side =
            |side: &Option<String>| side.as_ref().map_or("nothing".into(), |text| code(text));
        let (before, after) = (side(&key.before), side(&key.after));
        let _ = writeln!(out, "- {}: {before} → {after}", code(&key.key));
    }
    match &diff.content {
        Some(Content::Text { before, after }) if before != after => {
            let _ = write!(out, "\n{}", fenced(diff, before, after));
        }
        Some(Content::Opaque {
            reason,
            before,
            after,
        }) => {
            let _ = writeln!(out, "- content: {}", opaque(reason, *before, *after));
        }
        _ => {}
    }
    out + "\n"
}

/// The hunks in a fence that no line of theirs can close.
fn fenced(diff: &Diff, before: &str, after: &str) -> String {
    let mut text = String::new();
    let from = if diff.is_new {
        "/dev/null"
    } else {
        &diff.subject
    };
    let to = diff.source.as_deref().unwrap_or(&diff.subject);
    let _ = writeln!(text, "--- {from}\n+++ {to}");
    for hunk in hunks(before, after) {
        let _ = writeln!(text, "{}", hunk.header);
        for line in &hunk.lines {
            let _ = writeln!(text, "{}{}", line.sign.mark(), line.text());
            if !line.ends_with_newline {
                let _ = writeln!(text, "{NO_NEWLINE}");
            }
        }
    }
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or(0)
        .max(2);
    let fence = "`".repeat(longest + 1);
    format!("{fence}diff\n{text}{fence}\n")
}

/// A text in backticks, more of them where it has some itself.
pub fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// A text that Markdown takes as it is.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Nobody is called by a comment of a program.
            '@' => out.push_str("@\u{200b}"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
#[path = "markdown/tests.rs"]
mod tests;
