//! Turns a story into text for a terminal: only what changes, each change once with the hosts that share it, and the count last.

use super::counts::{alike, counted_as};
use super::story::{Outcome, PlayStory, Story, word};
use super::together::around;
use super::words::{NAMED, count, counted_hosts, duration, in_turn};
use super::{Paint, dangers, diff, unknowns};
use crate::event::{Stats, Status};
use crate::value::{Value, display};
use std::fmt::Write;

/// Draws the whole story.
pub(super) fn draw(story: &Story, paint: Paint) -> String {
    let mut out = String::new();
    if !story.dangers.is_empty() {
        let line = paint.bold_red(dangers::headline(story.fate()));
        let _ = writeln!(out, "{line}");
        for line in dangers::lines(&story.dangers) {
            let _ = writeln!(out, "  {line}");
        }
        out.push('\n');
    }
    for (text, at) in &story.warnings {
        let at = at.as_ref().map(|at| format!(" ({}:{})", at.file, at.line));
        let at = at.unwrap_or_default();
        let _ = writeln!(out, "{} {text}{at}", paint.magenta("warning:"));
    }
    for play in &story.plays {
        draw_play(&mut out, play, story.check_mode, paint);
    }
    unreachable(&mut out, story, paint);
    stopped(&mut out, story, paint);
    recap(&mut out, story, paint);
    out
}

fn draw_play(out: &mut String, play: &PlayStory, check_mode: bool, paint: Paint) {
    let _ = writeln!(out, "\n{}", paint.bold(&play.name));
    if let Some(reason) = &play.skipped {
        let _ = writeln!(out, "  {}", paint.cyan(format!("skipped: {reason}")));
        return;
    }
    if let Some(rolls) = play.rolls() {
        let order = in_turn(play.batches.iter().map(|batch| &batch.hosts[..]));
        let line = format!("{rolls}: {order}");
        let _ = writeln!(out, "  {}", paint.cyan(line));
    }
    for (host, reason) in play.batches.iter().flat_map(|batch| &batch.order) {
        let _ = writeln!(out, "  {}", paint.dim(format!("{host}: {reason}")));
    }
    let outcomes = play.outcomes();
    let mut said = None;
    for outcome in outcomes.iter().filter(|outcome| outcome.is_news()) {
        draw_outcome(out, outcome, said == Some(outcome.task), check_mode, paint);
        said = Some(outcome.task);
    }
    let tasks = |status: Status| {
        let mut places: Vec<_> = outcomes
            .iter()
            .filter(|outcome| outcome.result.status == status && !outcome.is_news())
            .map(|outcome| (&outcome.task.at.file, outcome.task.at.line))
            .collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    };
    let rest: Vec<String> = [(Status::Ok, "as wished"), (Status::Skipped, "skipped")]
        .into_iter()
        .map(|(status, what)| (tasks(status), what))
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", count(n, "task")))
        .collect();
    if !rest.is_empty() {
        let _ = writeln!(out, "  {}", paint.dim(rest.join(", ")));
    }
}

fn draw_outcome(
    out: &mut String,
    outcome: &Outcome<'_>,
    is_said: bool,
    check_mode: bool,
    paint: Paint,
) {
    let (task, result) = (outcome.task, outcome.result);
    if !is_said {
        let handler = if task.is_handler { "handler " } else { "" };
        let place = paint.dim(format!("{}:{}", task.at.file, task.at.line));
        let _ = writeln!(
            out,
            "\n  {}  {place}",
            paint.bold(format!("{handler}{}", task.title))
        );
    }
    let item = outcome
        .item
        .map_or_else(String::new, |item| format!(" ({item})"));
    let line = format!(
        "{} {}: {}{item}",
        sign(result.status),
        word(result, check_mode),
        counted_hosts(&outcome.hosts)
    );
    let line = match result.status {
        Status::Ok => paint.green(line),
        Status::Changed | Status::Cancelled => paint.yellow(line),
        Status::Skipped | Status::Ignored => paint.cyan(line),
        Status::Failed | Status::Unknown => paint.bold_red(line),
        Status::Unforeseen => paint.magenta(line),
    };
    let _ = writeln!(out, "  {line}");
    for line in result.msg.iter().flat_map(|msg| msg.lines()) {
        let _ = writeln!(out, "      {line}");
    }
    for cause in &result.causes {
        let _ = writeln!(out, "      {} {cause}", paint.red("Caused by:"));
    }
    if let Some(help) = &result.help {
        let _ = writeln!(out, "      {} {help}", paint.cyan("help:"));
    }
    for line in result.show.iter().flat_map(shown) {
        let _ = writeln!(out, "      {line}");
    }
    if let Some(line) = around(outcome) {
        let _ = writeln!(out, "      {}", paint.dim(line));
    }
    for (hosts, diffs) in &outcome.parts {
        if *hosts != outcome.hosts {
            let line = format!("~ and on {}", counted_hosts(hosts));
            let _ = writeln!(out, "    {}", paint.yellow(line));
        }
        for line in diffs.iter().flat_map(|one| lines(&diff::draw(one, paint))) {
            let _ = writeln!(out, "      {line}");
        }
    }
    for warning in &result.warnings {
        let _ = writeln!(out, "      {} {warning}", paint.magenta("warning:"));
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// What `debug` shows, in lines.
fn shown(value: &Value) -> Vec<String> {
    let text = match value {
        Value::Sequence(_) | Value::Mapping(_) => serde_yaml::to_string(value).unwrap_or_default(),
        other => display(other),
    };
    text.trim_end().lines().map(str::to_owned).collect()
}

fn sign(status: Status) -> char {
    match status {
        Status::Ok | Status::Skipped => '·',
        Status::Changed | Status::Cancelled => '~',
        Status::Failed | Status::Ignored => '!',
        Status::Unforeseen | Status::Unknown => '?',
    }
}

fn unreachable(out: &mut String, story: &Story, paint: Paint) {
    for lost in &story.unreachable {
        let line = paint.bold_red(format!("unreachable: {}", lost.host));
        let _ = writeln!(out, "\n{line}\n  {}", lost.message);
        for cause in &lost.causes {
            let _ = writeln!(out, "  {} {cause}", paint.red("Caused by:"));
        }
        if let Some(help) = &lost.help {
            let _ = writeln!(out, "  {} {help}", paint.cyan("help:"));
        }
    }
}

fn stopped(out: &mut String, story: &Story, paint: Paint) {
    let Some(stop) = &story.stop else { return };
    let line = paint.bold_red(format!("stopped in {}: {}", stop.play, stop.reason));
    let _ = writeln!(out, "\n{line}");
    for (what, names) in stop.groups() {
        if !names.is_empty() {
            let _ = writeln!(out, "  {what}: {}", counted_hosts(names));
        }
    }
    for down in &stop.down {
        let _ = writeln!(out, "  {}", paint.bold_red(format!("DOWN: {down}")));
    }
    let _ = writeln!(out, "  go on with: {}", paint.bold(&stop.command));
}

fn recap(out: &mut String, story: &Story, paint: Paint) {
    let rows: Vec<(String, Stats)> = if story.stats.len() > NAMED {
        let rows = alike(&story.stats).into_iter();
        rows.map(|(stats, hosts)| (counted_hosts(&hosts), stats))
            .collect()
    } else {
        let rows = story.stats.iter();
        rows.map(|(host, stats)| (host.to_string(), *stats))
            .collect()
    };
    let width = rows.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let (change, fail) = counted_as(story.check_mode);
    let _ = writeln!(out);
    for (host, stats) in &rows {
        let cells = [
            (stats.changed, change),
            (stats.unforeseen, "unknown"),
            (stats.failed, fail),
            (stats.unreachable, "unreachable"),
        ];
        let cells: Vec<String> = cells
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        let line = match (cells.is_empty(), stats.not_run) {
            (true, true) => "not reached".to_owned(),
            (true, false) => format!(
                "nothing to do ({} looked at)",
                count(stats.ok as usize, "task")
            ),
            (false, _) => cells.join(", "),
        };
        let name = format!("{host:width$}");
        let name = if stats.failed + stats.unreachable > 0 {
            paint.red(name)
        } else if stats.changed + stats.unforeseen > 0 {
            paint.yellow(name)
        } else {
            paint.green(name)
        };
        let _ = writeln!(out, "{name}  {line}");
    }
    let unknown = unknowns::lines(story);
    if !unknown.is_empty() {
        let _ = writeln!(out, "\n{}", paint.magenta("unknown, by cause"));
    }
    for (n, cause) in unknown {
        let _ = writeln!(out, "  {n:>3}  {cause}");
    }
    let what = if story.check_mode { "plan:" } else { "run:" };
    let took = story
        .elapsed_ms
        .map(|ms| paint.dim(format!(" ({})", duration(ms))))
        .unwrap_or_default();
    let _ = writeln!(out, "\n{} {}{took}", paint.bold(what), story.summary());
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
