//! Turns the ends of tasks into foldable HTML: a play, its tasks, the hosts that share an end, the diffs.

use super::super::diff::{NO_NEWLINE, Sign, hunks, opaque};
use super::super::story::{Outcome, PlayStory, Story, word};
use super::super::together::around;
use super::super::words::{count, counted_hosts, hosts, value};
use super::{OPEN, escape, fold, more};
use crate::event::Status;
use crate::modules::diff::{Content, Diff};
use crate::modules::keys;
use crate::value::{Value, display};
use std::fmt::Write;

/// Lines of a diff above which they begin folded; attributes and keys stay in sight.
const LONG: usize = 60;

/// All plays.
pub(super) fn changes(story: &Story) -> String {
    let plays = story.plays.iter();
    plays.map(|play| one_play(play, story.check_mode)).collect()
}

fn one_play(play: &PlayStory, check_mode: bool) -> String {
    let outcomes = play.outcomes();
    let n_news = outcomes.iter().filter(|outcome| outcome.is_news()).count();
    let mut note = Vec::new();
    note.extend(play.skipped.clone());
    note.extend(play.rolls());
    if play.skipped.is_none() {
        note.push(if n_news == 0 {
            "nothing to tell".to_owned()
        } else {
            count(n_news, "result")
        });
    }
    let summary = format!(
        "<b>{}</b> <span class=\"dim\">{}</span>",
        escape(&play.name),
        escape(&note.join(" · "))
    );
    let mut body = String::new();
    if play.rolls().is_some() {
        body.push_str("<ol class=\"batches\">");
        for batch in &play.batches {
            let reasons: Vec<&str> = batch
                .order
                .iter()
                .map(|(_, reason)| reason.as_str())
                .collect();
            let why = if reasons.is_empty() {
                String::new()
            } else {
                format!(
                    " <span class=\"dim\">{}</span>",
                    escape(&reasons.join("; "))
                )
            };
            let _ = write!(body, "<li>{}{why}</li>", escape(&hosts(&batch.hosts)));
        }
        body.push_str("</ol>\n");
    }
    let mut rest = outcomes
        .iter()
        .filter(|outcome| outcome.is_news())
        .peekable();
    while let Some(first) = rest.next() {
        let mut all = vec![first];
        while let Some(next) = rest.next_if(|next| next.task == first.task) {
            all.push(next);
        }
        let ends = ends(&all, check_mode);
        let task = first.task;
        let handler = if task.is_handler { "handler " } else { "" };
        let _ = writeln!(
            body,
            "<article class=\"task\">\n<h3>{handler}{} <span class=\"place\">{}:{}</span></h3>\n{ends}</article>",
            escape(&task.title),
            escape(&task.at.file),
            task.at.line
        );
    }
    fold("play", n_news > 0, &summary, &body)
}

/// The ends of one task, those of further hosts folded together, but for failures.
fn ends(all: &[&Outcome<'_>], check_mode: bool) -> String {
    let is_open = |n: usize, end: &Outcome<'_>| n < OPEN || end.result.status == Status::Failed;
    let (open, folded): (Vec<_>, Vec<_>) = all
        .iter()
        .enumerate()
        .partition(|(n, end)| is_open(*n, end));
    let draw = |ends: Vec<(usize, &&Outcome<'_>)>| -> String {
        ends.into_iter()
            .map(|(_, end)| one_end(end, check_mode))
            .collect()
    };
    if folded.is_empty() {
        return draw(open);
    }
    let hosts = folded.iter().flat_map(|(_, end)| end.hosts.clone());
    let hosts = hosts.collect();
    draw(open) + &more(hosts, &draw(folded))
}

/// The class under which the style knows a status.
pub(super) fn class(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Changed => "changed",
        Status::Skipped | Status::Cancelled => "skipped",
        Status::Failed | Status::Ignored => "failed",
        Status::Unforeseen | Status::Unknown => "unknown",
    }
}

fn one_end(outcome: &Outcome<'_>, check_mode: bool) -> String {
    let result = outcome.result;
    let item = outcome.item.map_or_else(String::new, |item| {
        format!(" <span class=\"dim\">{}</span>", escape(item))
    });
    let mut out = format!(
        "<p class=\"end\"><span class=\"badge {}\">{}</span> {}{item}</p>\n",
        class(result.status),
        word(result, check_mode),
        escape(&counted_hosts(&outcome.hosts))
    );
    let mut lines: Vec<String> = result.msg.iter().map(|msg| escape(msg)).collect();
    let causes = result.causes.iter();
    lines.extend(causes.map(|cause| format!("<b>caused by:</b> {}", escape(cause))));
    lines.extend(
        result
            .help
            .iter()
            .map(|help| format!("<b>help:</b> {}", escape(help))),
    );
    lines.extend(result.show.iter().map(|show| escape(&shown(show))));
    let warnings = result.warnings.iter();
    lines.extend(warnings.map(|warning| format!("<b>warning:</b> {}", escape(warning))));
    lines.extend(
        around(outcome).map(|line| format!("<span class=\"dim\">{}</span>", escape(&line))),
    );
    if !lines.is_empty() {
        let _ = writeln!(out, "<div class=\"said\">{}</div>", lines.join("\n"));
    }
    for (hosts, diffs) in &outcome.parts {
        if *hosts != outcome.hosts {
            let hosts = escape(&counted_hosts(hosts));
            let _ = writeln!(out, "<p class=\"end\">and on {hosts}</p>");
        }
        for one in diffs {
            out.push_str(&diff(one));
        }
    }
    out
}

fn shown(value: &Value) -> String {
    match value {
        Value::Sequence(_) | Value::Mapping(_) => serde_yaml::to_string(value).unwrap_or_default(),
        other => display(other),
    }
}

/// One diff: the subject, its attributes, the keys that differ, the hunks.
pub fn diff(diff: &Diff) -> String {
    let mut body = String::new();
    let mut rows = String::new();
    for attribute in &diff.attributes {
        let side = |side: &Option<Value>| side.as_ref().map(value);
        rows.push_str(&row(
            &attribute.name,
            side(&attribute.before).as_deref(),
            side(&attribute.after).as_deref(),
        ));
    }
    for key in keys::changed(diff).unwrap_or_default() {
        rows.push_str(&row(&key.key, key.before.as_deref(), key.after.as_deref()));
    }
    if !rows.is_empty() {
        let _ = writeln!(body, "<table class=\"sides\"><tbody>{rows}</tbody></table>");
    }
    match &diff.content {
        Some(Content::Text { before, after }) if before != after => {
            let (text, n) = lines(before, after);
            let text = format!("<pre class=\"diff\">{text}</pre>\n");
            if n > LONG {
                body.push_str(&fold("subject", false, &format!("{n} lines"), &text));
            } else {
                body.push_str(&text);
            }
        }
        Some(Content::Opaque {
            reason,
            before,
            after,
        }) => {
            let _ = writeln!(
                body,
                "<p class=\"dim\">content: {}</p>",
                escape(&opaque(reason, *before, *after))
            );
        }
        _ => {}
    }
    let is_new = if diff.is_new {
        " <span class=\"badge new\">new</span>"
    } else {
        ""
    };
    let source = diff.source.as_ref().map_or_else(String::new, |source| {
        format!(" <span class=\"dim\">from {}</span>", escape(source))
    });
    let summary = format!("<code>{}</code>{is_new}{source}", escape(&diff.subject));
    fold("subject", true, &summary, &body)
}

fn row(name: &str, before: Option<&str>, after: Option<&str>) -> String {
    let cell = |side: Option<&str>, class: &str| {
        side.map_or("<td class=\"none\">–</td>".to_owned(), |text| {
            format!("<td class=\"{class}\"><code>{}</code></td>", escape(text))
        })
    };
    format!(
        "<tr><th>{}</th>{}<td class=\"arrow\">→</td>{}</tr>\n",
        escape(name),
        cell(before, "del"),
        cell(after, "add")
    )
}

/// The hunks, and how many lines they have.
fn lines(before: &str, after: &str) -> (String, usize) {
    let mut out = String::new();
    let mut n = 0;
    for hunk in hunks(before, after) {
        let _ = write!(out, "<span class=\"at\">{}</span>", escape(&hunk.header));
        for line in &hunk.lines {
            n += 1;
            let class = match line.sign {
                Sign::Same => "same",
                Sign::Removed => "del",
                Sign::Added => "add",
            };
            let has_words = line.has_words();
            let text: String = line
                .pieces
                .iter()
                .map(|piece| {
                    let text = escape(&piece.text);
                    if piece.differs && has_words {
                        format!("<em>{text}</em>")
                    } else {
                        text
                    }
                })
                .collect();
            let _ = write!(
                out,
                "<span class=\"{class}\">{}{text}</span>",
                line.sign.mark()
            );
            if !line.ends_with_newline {
                let _ = write!(out, "<span class=\"at\">{NO_NEWLINE}</span>");
            }
        }
    }
    (out, n)
}
