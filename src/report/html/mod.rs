//! Turns a story into one HTML page that needs nothing else: summary, changes, timeline, graph; foldable and readable without JavaScript.

mod changes;
mod graph;
mod timeline;

pub use changes::diff;
pub use graph::svg;
pub use timeline::timeline;

use super::counts::{as_wished, counted_as};
use super::words::{counted_hosts, duration, moment};
use super::{Story, dangers, unknowns};
use crate::value::HostName;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// A whole page around the body.
pub fn frame(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A part of a page with a heading, reached as `#id`.
pub fn section(id: &str, title: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{body}</section>\n",
        escape(title)
    )
}

/// Something that can be folded; `summary` is HTML.
pub fn fold(class: &str, is_open: bool, summary: &str, body: &str) -> String {
    let open = if is_open { " open" } else { "" };
    format!("<details class=\"{class}\"{open}>\n<summary>{summary}</summary>\n{body}</details>\n")
}

/// So many differing ends or parts of one thing are open; those of further hosts go into [`more`].
pub const OPEN: usize = 8;

/// What further hosts have, folded under their names.
pub fn more(mut hosts: Vec<HostName>, body: &str) -> String {
    hosts.sort();
    hosts.dedup();
    let summary = format!("<b>{}</b>", escape(&counted_hosts(&hosts)));
    fold("more", false, &summary, body)
}

/// A text as HTML takes it, in attributes too. What no page may hold is written out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            // As a terminal writes them.
            '\u{0}'..='\u{1f}' => {
                out.push('^');
                out.push(char::from(c as u8 + 0x40));
            }
            '\u{7f}'..='\u{9f}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Draws the whole story as a page.
pub(super) fn draw(story: &Story) -> String {
    let what = if story.check_mode { "plan" } else { "run" };
    let mut body = head(story, what);
    body.push_str(&section("changes", "Changes", &changes::changes(story)));
    let mut links = vec![("changes", "Changes")];
    let line = timeline(story);
    if !line.is_empty() {
        body.push_str(&section("timeline", "Timeline", &line));
        links.push(("timeline", "Timeline"));
    }
    if let Some(graph) = &story.graph {
        body.push_str(&section("graph", "Graph", &graph::all(graph)));
        links.push(("graph", "Graph"));
    }
    let links: Vec<String> = links
        .iter()
        .map(|(id, title)| format!("<a href=\"#{id}\">{title}</a>"))
        .collect();
    let links = format!("<nav>{}</nav>", links.concat());
    let body = body.replacen("<!-- links -->", &links, 1);
    frame(&format!("krun {what}: {}", story.summary()), &body)
}

/// A page of nothing but the graph.
pub fn graph_page(graph: &crate::event::Graph) -> String {
    let head =
        "<header>\n<p class=\"kind\">krun graph</p>\n<h1>What waits for what</h1>\n</header>\n";
    frame("krun graph", &format!("{head}{}", graph::all(graph)))
}

fn head(story: &Story, what: &str) -> String {
    let playbooks: Vec<String> = story
        .playbooks
        .iter()
        .map(|path| format!("<code>{}</code>", escape(path)))
        .collect();
    let took = story.elapsed_ms.map_or_else(
        || "it did not end".to_owned(),
        |ms| format!("took {}", duration(ms)),
    );
    let mut out = format!(
        "<header>\n<p class=\"kind\">krun {what}</p>\n<h1>{}</h1>\n<p class=\"meta\">{} · {} · {took} · <code>{}</code></p>\n<!-- links -->\n</header>\n",
        escape(&capital(&story.summary())),
        playbooks.join(", "),
        moment(story.started),
        escape(&story.run)
    );
    if !story.dangers.is_empty() {
        let lines = dangers::lines(&story.dangers);
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("<br>{}", escape(line)))
            .collect();
        let head = escape(dangers::headline(story.fate()));
        let _ = writeln!(
            out,
            "<p class=\"note stop\"><b>{head}</b>{}</p>",
            lines.concat()
        );
    }
    for (text, at) in &story.warnings {
        let at = at.as_ref().map_or_else(String::new, |at| {
            format!(
                " <span class=\"place\">{}:{}</span>",
                escape(&at.file),
                at.line
            )
        });
        let _ = writeln!(out, "<p class=\"note warning\">{}{at}</p>", escape(text));
    }
    let mut unknown = String::new();
    for (n, cause) in unknowns::lines(story) {
        let _ = write!(unknown, "<li>{n}: {}</li>", escape(&cause));
    }
    if !unknown.is_empty() {
        let head = "<b>Unknown, by cause</b>";
        let _ = writeln!(
            out,
            "<div class=\"note warning\">{head}<ul>{unknown}</ul></div>"
        );
    }
    if let Some(stop) = &story.stop {
        let _ = write!(
            out,
            "<div class=\"note failed\"><b>Stopped in {}</b>: {}<ul>",
            escape(&stop.play),
            escape(&stop.reason)
        );
        for (name, hosts) in stop.groups() {
            if !hosts.is_empty() {
                let _ = write!(out, "<li>{name}: {}</li>", escape(&counted_hosts(hosts)));
            }
        }
        for down in &stop.down {
            let _ = write!(out, "<li><b>down</b>: {}</li>", escape(down));
        }
        let _ = writeln!(
            out,
            "</ul>go on with <code>{}</code></div>",
            escape(&stop.command)
        );
    }
    for lost in &story.unreachable {
        let causes: Vec<String> = lost
            .causes
            .iter()
            .map(|cause| format!("<li>{}</li>", escape(cause)))
            .collect();
        let causes = causes.concat();
        let _ = writeln!(
            out,
            "<div class=\"note failed\"><b>unreachable: {}</b>: {}<ul>{causes}</ul></div>",
            escape(&lost.host),
            escape(&lost.message)
        );
    }
    out + &hosts(story)
}

/// The table of hosts.
fn hosts(story: &Story) -> String {
    let (change, fail) = counted_as(story.check_mode);
    let mut rows = String::new();
    for (host, stats) in &story.stats {
        let cells = [
            (stats.changed, "changed"),
            (stats.unforeseen, "unknown"),
            (stats.failed, "failed"),
            (stats.unreachable, "failed"),
            (as_wished(stats), "ok"),
            (stats.skipped, "skipped"),
        ];
        let cells: String = cells
            .iter()
            .map(|(n, class)| match n {
                0 => "<td class=\"none\">0</td>".to_owned(),
                n => format!("<td class=\"{class}\">{n}</td>"),
            })
            .collect();
        let not_run = if stats.not_run {
            " (later plays not run)"
        } else {
            ""
        };
        let _ = writeln!(rows, "<tr><th>{}{not_run}</th>{cells}</tr>", escape(host));
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = format!(
        "<table class=\"hosts\"><thead><tr><th>host</th><th>{change}</th><th>unknown</th><th>{fail}</th><th>unreachable</th><th>as wished</th><th>skipped</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n"
    );
    if story.stats.len() <= 20 {
        return table;
    }
    let summary = format!("{} hosts", story.stats.len());
    fold("plain", false, &summary, &table)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
