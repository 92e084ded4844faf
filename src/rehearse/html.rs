//! Turns the sections of a report into one HTML page that needs nothing but itself.

use super::page::{Block, Mood, Section, offset};
use super::timeline::{Kind, Timeline};
use crate::report::html::{diff, escape, fold, frame, section};
use std::fmt::Write;

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn page(title: &str, intro: &str, sections: &[Section]) -> String {
    let links = sections
        .iter()
        .map(|it| format!("<a href=\"#{}\">{}</a>", id(it), escape(it.title)));
    let links = joined(links);
    let mut body = format!(
        "<style>\n{STYLE}</style>\n<header>\n<p class=\"kind\">krun rehearse</p>\n<h1>{}</h1>\n<p class=\"meta\">{}</p>\n<nav>{links}</nav>\n</header>\n",
        escape(title),
        escape(intro)
    );
    for one in sections {
        let blocks: String = one.blocks.iter().map(block).collect();
        body.push_str(&section(&id(one), one.title, &blocks));
    }
    frame(title, &body)
}

fn id(section: &Section) -> String {
    section.title.to_lowercase().replace(' ', "-")
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Table(table) => {
            let heads = table.columns.iter();
            let heads = joined(heads.map(|head| format!("<th>{}</th>", escape(head))));
            let mut out = format!("<table class=\"log\">\n<tr>{heads}</tr>\n");
            for row in &table.rows {
                let cells = row
                    .iter()
                    .map(|cell| format!("<td{}>{}</td>", class(cell.mood), escape(&cell.text)));
                let cells = joined(cells);
                let _ = writeln!(out, "<tr>{cells}</tr>");
            }
            out + "</table>\n"
        }
        Block::Diffs(place, diffs) => {
            let diffs: String = diffs.iter().map(diff).collect();
            fold("plain", true, &escape(place), &diffs)
        }
        Block::Timeline(timeline) => svg(timeline),
    }
}

fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Plain => "",
        Mood::Good => " class=\"ok\"",
        Mood::Bad => " class=\"failed\"",
        Mood::Dim => " class=\"dim\"",
    }
}

/// Pixels of the picture: the labels' column, the time's, a row, a heading.
const LABELS: u64 = 230;
const TIME: u64 = 900;
const ROW: u64 = 18;
const HEADING: u64 = 26;

/// The timeline as a picture; each bar tells what it is under the mouse.
fn svg(timeline: &Timeline) -> String {
    let span = (timeline.to - timeline.from).max(1);
    let x = |time: u64| {
        let part = time.clamp(timeline.from, timeline.to) - timeline.from;
        LABELS + part * TIME / span
    };
    let mut body = String::new();
    let mut y = HEADING;
    for group in &timeline.groups {
        let _ = writeln!(
            body,
            "<text class=\"heading\" x=\"0\" y=\"{}\">{}</text>",
            y + 14,
            escape(group.title)
        );
        y += HEADING;
        for row in &group.rows {
            let _ = writeln!(
                body,
                "<text x=\"0\" y=\"{}\">{}</text>",
                y + 12,
                escape(&row.label)
            );
            let mut bars: Vec<_> = row.bars.iter().collect();
            bars.sort_by_key(|bar| bar.kind);
            for bar in bars.into_iter().filter(|bar| bar.to >= timeline.from) {
                let (left, right) = (x(bar.from), x(bar.to));
                let _ = writeln!(
                    body,
                    "<rect class=\"{}\" x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{} – {} {}</title></rect>",
                    of_kind(bar.kind),
                    y + 2,
                    right.saturating_sub(left).max(2),
                    ROW - 4,
                    offset(bar.from, timeline.from),
                    offset(bar.to, timeline.from),
                    escape(&bar.title)
                );
                if matches!(bar.kind, Kind::Run(_) | Kind::State(_)) {
                    body.push_str(&name(&bar.title, left, right, y));
                }
            }
            y += ROW;
        }
    }
    let mut axis = String::new();
    let step = step(span);
    for time in (timeline.from..=timeline.to).step_by(step) {
        let _ = writeln!(
            axis,
            "<line x1=\"{0}\" y1=\"18\" x2=\"{0}\" y2=\"{y}\"/><text class=\"tick\" x=\"{0}\" y=\"12\">{1}</text>",
            x(time),
            offset(time, timeline.from)
        );
    }
    let legend = LEGEND
        .iter()
        .map(|(class, text)| format!("<span><i class=\"{class}\"></i>{text}</span>"));
    let legend = joined(legend);
    format!(
        "<div class=\"happened\"><svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"what happened when\">\n{axis}{body}</svg></div>\n<p class=\"happened legend\">{legend}</p>\n",
        LABELS + TIME + 30,
        y + 6
    )
}

/// What a long bar is, written into it as far as there is room.
fn name(title: &str, left: u64, right: u64, y: u64) -> String {
    const LETTER: u64 = 7;
    let room = usize::try_from(right.saturating_sub(left + 10) / LETTER).unwrap_or(0);
    if title.chars().count() > room {
        return String::new();
    }
    format!(
        "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>\n",
        left + 5,
        y + 13,
        escape(title)
    )
}

/// A step of the axis that people count in, in milliseconds: at most a dozen of them.
fn step(span: u64) -> usize {
    const STEPS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];
    let fits = |seconds: &&u64| span <= **seconds * 12_000;
    let seconds = STEPS.iter().find(fits).copied().unwrap_or(7200);
    usize::try_from(seconds * 1000).unwrap_or(usize::MAX)
}

const LEGEND: &[(&str, &str)] = &[
    ("change", "changed something"),
    ("look", "looked, nothing to do"),
    ("wait", "a gate or a wait"),
    ("bad", "failed, or no leader"),
    ("down", "no broker process"),
    ("insync", "all replicas in sync"),
    ("missing", "replicas missing"),
    ("gap", "no acknowledgement"),
];

fn of_kind(kind: Kind) -> String {
    match kind {
        Kind::Run(n) | Kind::State(n) => format!("state{}", n % 6),
        Kind::InSync => "insync".to_owned(),
        Kind::Look => "look".to_owned(),
        Kind::Wait => "wait".to_owned(),
        Kind::Change => "change".to_owned(),
        Kind::Missing => "missing".to_owned(),
        Kind::Down => "down".to_owned(),
        Kind::Gap => "gap".to_owned(),
        Kind::Leaderless | Kind::Failed => "bad".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::proof::checks;
    use crate::rehearse::sections::sections;
    use crate::rehearse::trial::account;

    #[test]
    fn a_page_needs_nothing_else_and_shows_what_happened() {
        let mut account = account();
        account.hosts[0] = "k1".to_owned();
        let sections = sections(&account, &checks(&account, false));
        let page = page("Rehearsal: <b>.yml", "All is well.", &sections);
        for outside in ["src=", "@import", "url(", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("Rehearsal: &lt;b&gt;.yml"));
        assert!(page.contains("2 partitions, at least 0 of 2 replicas in sync"));
        assert!(page.contains("partition 0: 2.5 s, Restart the broker on k1"));
        assert_eq!(
            page.matches("<table").count(),
            page.matches("</table>").count()
        );
        assert_eq!(
            page.matches("<rect").count(),
            page.matches("</rect>").count()
        );
    }

    #[test]
    fn an_axis_has_steps_that_people_count_in() {
        assert_eq!(step(9_000), 1_000);
        assert_eq!(step(366_000), 60_000);
        assert_eq!(step(3_600_000), 300_000);
    }
}
