//! Turns a story into a timeline: a row for each host, a bar for each task, in seconds from the beginning.

use super::super::Story;
use super::super::story::{Told, word};
use super::super::words::duration;
use super::changes::class;
use super::{escape, fold};
use crate::event::TaskName;
use crate::value::HostName;
use indexmap::IndexMap;
use std::fmt::Write;

/// Hosts that have rows of their own.
const ROWS: usize = 60;
/// Bars narrower than this, in percent, would not be seen.
const NARROWEST: f64 = 0.15;

/// A bar of a row.
struct Bar<'a> {
    play: &'a str,
    task: &'a TaskName,
    told: &'a Told,
}

impl Bar<'_> {
    fn begin(&self) -> u64 {
        self.told.at.saturating_sub(self.told.result.elapsed_ms)
    }
}

/// Draws it; nothing where no task ended.
pub fn timeline(story: &Story) -> String {
    let mut rows: IndexMap<&HostName, Vec<Bar<'_>>> = IndexMap::new();
    for (play, _, task) in story.tasks() {
        for told in &task.told {
            rows.entry(&told.host).or_default().push(Bar {
                play: &play.name,
                task: &task.task,
                told,
            });
        }
    }
    let ends = rows.values().flatten().map(|bar| bar.told.at);
    let Some(end) = ends.max() else {
        return String::new();
    };
    let begins = rows.values().flatten().map(Bar::begin);
    let start = begins.min().unwrap_or(end).min(story.started.max(1));
    let span = end.saturating_sub(start).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
    let percent = |ms: u64| ms as f64 * 100.0 / span as f64;
    let mut out = String::from("<div class=\"timeline\">\n");
    for (host, bars) in rows.iter().take(ROWS) {
        let _ = write!(
            out,
            "<div class=\"row\"><span class=\"name\">{}</span><span class=\"bars\">",
            escape(host)
        );
        for bar in bars {
            let left = percent(bar.begin().saturating_sub(start));
            let width = percent(bar.told.result.elapsed_ms).max(NARROWEST);
            let _ = write!(
                out,
                "<i class=\"{}\" style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{}\"></i>",
                class(bar.told.result.status),
                escape(&title(bar, story.check_mode)),
            );
        }
        out.push_str("</span></div>\n");
    }
    out.push_str("<div class=\"row scale\"><span class=\"name\"></span><span class=\"bars\">");
    for quarter in 0..=4u64 {
        let at = duration(span * quarter / 4);
        let _ = write!(out, "<b style=\"left:{}%\">{at}</b>", quarter * 25);
    }
    out.push_str("</span></div>\n</div>\n");
    if rows.len() > ROWS {
        let _ = writeln!(
            out,
            "<p class=\"dim\">and {} more hosts, which are in the table</p>",
            rows.len() - ROWS
        );
    }
    out + &table(&rows, start, story.check_mode)
}

fn title(bar: &Bar<'_>, check_mode: bool) -> String {
    let result = &bar.told.result;
    format!(
        "{}: {}, {}, {}",
        bar.play,
        bar.task.title,
        word(result, check_mode),
        duration(result.elapsed_ms)
    )
}

/// The same in words, for those who cannot hover.
fn table(rows: &IndexMap<&HostName, Vec<Bar<'_>>>, start: u64, check_mode: bool) -> String {
    let mut bars: Vec<&Bar<'_>> = rows.values().flatten().collect();
    bars.sort_by_key(|bar| bar.begin());
    let mut text = String::new();
    for bar in &bars {
        let result = &bar.told.result;
        let item = bar.told.item.as_ref().map(|item| format!(" ({item})"));
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{}{}</td><td class=\"{}\">{}</td><td>{}</td></tr>",
            duration(bar.begin().saturating_sub(start)),
            escape(&bar.told.host),
            escape(&bar.task.title),
            escape(&item.unwrap_or_default()),
            class(result.status),
            word(result, check_mode),
            duration(result.elapsed_ms)
        );
    }
    let table = format!(
        "<table class=\"log\"><thead><tr><th>at</th><th>host</th><th>task</th><th>end</th><th>took</th></tr></thead>\n<tbody>\n{text}</tbody></table>\n"
    );
    let summary = format!("all {} results in their order", bars.len());
    fold("plain", false, &summary, &table)
}
