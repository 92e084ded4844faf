//! Turns the dependency graph into SVG: batches as boxes, a column for each host, gates as hexagons, the reasons in words.

use super::super::words::count;
use super::{escape, fold};
use crate::event::{Graph, GraphNode};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Hosts of a batch that have a column, and batches of a play that have a box; the others are alike and counted.
const COLUMNS: usize = 5;
const BATCHES: usize = 4;
const WIDTH: usize = 230;
const HEIGHT: usize = 30;
/// Between columns, and from a box to what stands in it.
const GAP: usize = 26;
/// From one row to the next.
const ROW: usize = 44;
/// Rows at which hosts only meet.
const MEETING: usize = 22;
/// Characters of a title that fit.
const LETTERS: usize = 33;

/// Every play in a fold of its own, and what the signs mean.
pub(super) fn all(graph: &Graph) -> String {
    let mut out = String::from(
        "<p class=\"dim\">A column is a host, a box a batch; a hexagon is a gate that must open before anything below goes on; \
         a dotted line is where all hosts of a batch wait for each other. What stands in one column runs from top to bottom.</p>\n",
    );
    for (play, name) in graph.plays.iter().enumerate() {
        let n_gates = gates(graph, play);
        let mut note = vec![count(n_batches(graph, play), "batch").replace("batchs", "batches")];
        if n_gates > 0 {
            note.push(count(n_gates, "gate"));
        }
        let summary = format!(
            "<b>{}</b> <span class=\"dim\">{}</span>",
            escape(name),
            note.join(" · ")
        );
        let body = format!("<div class=\"graph\">{}</div>\n", svg(graph, play));
        out.push_str(&fold("play", n_gates > 0, &summary, &body));
    }
    out
}

fn n_batches(graph: &Graph, play: usize) -> usize {
    let batches = graph.nodes.iter().filter(|node| node.play == play);
    batches.map(|node| node.batch + 1).max().unwrap_or(0)
}

/// Gates of a play by their titles.
fn gates(graph: &Graph, play: usize) -> usize {
    let gates = graph
        .nodes
        .iter()
        .filter(|node| node.play == play && node.kind == "gate");
    gates
        .map(|node| &node.title)
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// Where a node stands, in pixels.
#[derive(Clone, Copy)]
struct Spot {
    x: usize,
    y: usize,
}

/// One play, drawn.
struct Picture<'a> {
    graph: &'a Graph,
    out: String,
    spots: HashMap<usize, Spot>,
    width: usize,
    y: usize,
}

/// Draws one play.
pub fn svg(graph: &Graph, play: usize) -> String {
    let mut picture = Picture {
        graph,
        out: String::new(),
        spots: HashMap::new(),
        width: 0,
        y: 4,
    };
    let mut batches: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, node) in graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.play == play)
    {
        batches.entry(node.batch).or_default().push(index);
    }
    let n = batches.len();
    let shown = if n > BATCHES { BATCHES - 1 } else { n };
    for (position, (number, nodes)) in batches.iter().take(shown).enumerate() {
        if position > 0 {
            picture.between("rolling: the batch above ends first");
        }
        picture.batch(*number, nodes, n);
    }
    if shown < n {
        let rest = format!("… and {} more batches of the same tasks", n - shown);
        picture.between(&rest);
    }
    picture.edges();
    let (width, height) = (picture.width + 8, picture.y + 8);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n{}</svg>\n",
        escape(graph.plays.get(play).map_or("", String::as_str)),
        picture.out
    )
}

impl Picture<'_> {
    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let _ = writeln!(
            self.out,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(text)
        );
    }

    /// An arrow down from one batch to the next.
    fn between(&mut self, text: &str) {
        let (x, y) = (40, self.y);
        let _ = writeln!(self.out, "<path class=\"why\" d=\"M{x} {y} V{}\"/>", y + 20);
        let _ = writeln!(
            self.out,
            "<path class=\"why\" d=\"M{} {} L{x} {} L{} {}\"/>",
            x - 4,
            y + 15,
            y + 20,
            x + 4,
            y + 15
        );
        self.text(x + 12, y + 15, "why-text", text);
        self.y += 26;
    }

    fn batch(&mut self, number: usize, nodes: &[usize], of: usize) {
        let mut hosts: Vec<&str> = Vec::new();
        for node in nodes
            .iter()
            .filter_map(|index| self.graph.nodes[*index].host.as_deref())
        {
            if !hosts.contains(&node) {
                hosts.push(node);
            }
        }
        let columns = hosts.len().min(COLUMNS);
        let shown = &hosts[..columns];
        let rows = rows(self.graph, nodes, shown);
        let top = self.y;
        let inner = (columns.max(1) * (WIDTH + GAP) + GAP).max(360);
        let more = hosts.len() - columns;
        let mut title = match of {
            1 => String::new(),
            _ => format!("batch {} of {of}", number + 1),
        };
        if more > 0 {
            let _ = write!(title, " (and {} with the same tasks)", count(more, "host"));
        }
        let mut y = top + 44;
        let mut placed = Vec::new();
        for row in &rows {
            let meets = row
                .iter()
                .all(|index| self.graph.nodes[*index].host.is_none());
            for index in row {
                let host = self.graph.nodes[*index].host.as_deref();
                let column = host.and_then(|host| shown.iter().position(|other| *other == host));
                let x = GAP + column.unwrap_or(0) * (WIDTH + GAP);
                placed.push((*index, Spot { x, y }));
            }
            y += if meets { MEETING } else { ROW };
        }
        let height = y - top;
        let _ = writeln!(
            self.out,
            "<rect class=\"batch\" x=\"4\" y=\"{top}\" width=\"{inner}\" height=\"{height}\" rx=\"8\"/>"
        );
        self.text(GAP, top + 16, "dim", title.trim());
        for (column, host) in shown.iter().enumerate() {
            self.text(GAP + column * (WIDTH + GAP), top + 34, "", host);
        }
        for (index, spot) in placed {
            self.spots.insert(index, spot);
            self.node(&self.graph.nodes[index], spot, columns);
        }
        self.width = self.width.max(inner + 4);
        self.y = top + height;
    }

    fn node(&mut self, node: &GraphNode, spot: Spot, columns: usize) {
        let Spot { x, y } = spot;
        if node.host.is_none() {
            let (y, end) = (
                y + MEETING / 2 - 6,
                x + columns.max(1) * (WIDTH + GAP) - GAP,
            );
            let _ = writeln!(self.out, "<path class=\"meet\" d=\"M{x} {y} H{end}\"/>");
            return;
        }
        let place = node
            .at
            .as_ref()
            .map_or_else(String::new, |at| format!(" ({}:{})", at.file, at.line));
        let _ = write!(
            self.out,
            "<g><title>{}{}</title>",
            escape(&node.title),
            escape(&place)
        );
        let _ = match node.kind.as_str() {
            "gate" => write!(
                self.out,
                "<path class=\"gate\" d=\"M{x} {m} l10 -{h} h{w} l10 {h} l-10 {h} h-{w} z\"/>",
                m = y + HEIGHT / 2,
                h = HEIGHT / 2,
                w = WIDTH - 20
            ),
            kind => write!(
                self.out,
                "<rect class=\"{}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"{}\"/>",
                match kind {
                    "handler" => "handler",
                    "deferred" => "deferred",
                    _ => "node",
                },
                if kind == "handler" { 15 } else { 4 }
            ),
        };
        let mut title: String = node.title.chars().take(LETTERS).collect();
        if title.chars().count() < node.title.chars().count() {
            title.pop();
            title.push('…');
        }
        let _ = writeln!(
            self.out,
            "<text x=\"{}\" y=\"{}\">{}</text></g>",
            x + 14,
            y + HEIGHT / 2 + 4,
            escape(&title)
        );
    }

    /// The lines between neighbours in a column, and a curve with its reason for every other edge of a host.
    fn edges(&mut self) {
        let mut lines = String::new();
        for (from, to, reason) in &self.graph.edges {
            let (Some(a), Some(b)) = (self.spots.get(from), self.spots.get(to)) else {
                continue;
            };
            let same_host = self.graph.nodes[*from].host == self.graph.nodes[*to].host;
            let is_plain = matches!(reason.as_str(), "order" | "flush");
            if is_plain && same_host {
                let x = a.x + 24;
                let _ = writeln!(
                    lines,
                    "<path class=\"edge\" d=\"M{x} {} V{}\"/>",
                    a.y + HEIGHT,
                    b.y
                );
            } else if matches!(reason.as_str(), "notify" | "needs") {
                let (x, from, to) = (a.x + WIDTH, a.y + HEIGHT / 2, b.y + HEIGHT / 2);
                let end = b.x + if b.x > a.x { 0 } else { WIDTH };
                let _ = writeln!(
                    lines,
                    "<path class=\"why\" d=\"M{x} {from} C{c} {from} {c} {to} {end} {to}\"/>",
                    c = x + GAP - 4
                );
                let _ = writeln!(
                    lines,
                    "<text class=\"why-text\" x=\"{}\" y=\"{}\">{}</text>",
                    end.min(x) - 44,
                    to - 18,
                    escape(reason)
                );
            }
        }
        // Under the nodes: what is drawn first lies below.
        let at = self
            .out
            .rfind("<rect class=\"batch\"")
            .map_or(0, |_| self.out.len());
        self.out.insert_str(at, &lines);
    }
}

/// The nodes of a batch in rows: each below everything that it waits for.
fn rows(graph: &Graph, nodes: &[usize], shown: &[&str]) -> Vec<Vec<usize>> {
    let is_shown = |index: &usize| {
        let host = graph.nodes[*index].host.as_deref();
        host.is_none_or(|host| shown.contains(&host))
    };
    let mut depth: HashMap<usize, usize> = nodes.iter().map(|index| (*index, 0)).collect();
    let mut upstream: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to, _) in &graph.edges {
        if depth.contains_key(from) && depth.contains_key(to) {
            upstream.entry(*to).or_default().push(*from);
        }
    }
    // Nodes stand in the order in which they were written, and an edge points forward.
    for index in nodes {
        let above = upstream.get(index).into_iter().flatten();
        let deepest = above
            .filter(|from| *from < index)
            .map(|from| depth[from] + 1)
            .max();
        depth.insert(*index, deepest.unwrap_or(0));
    }
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in nodes.iter().filter(|index| is_shown(index)) {
        rows.entry(depth[index]).or_default().push(*index);
    }
    rows.into_values().collect()
}
