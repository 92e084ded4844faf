//! Turns the graph into text, DOT or Mermaid, reasons included.

use super::Plan;
use super::graph::{Node, NodeKind};
use std::fmt::Write;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Dot,
    Mermaid,
}

/// Draws the whole plan.
pub fn show(plan: &Plan, format: Format) -> String {
    let mut out = String::new();
    match format {
        Format::Text => text(plan, &mut out),
        Format::Dot => dot(plan, &mut out),
        Format::Mermaid => mermaid(plan, &mut out),
    }
    .expect("writing to a String does not fail");
    out
}

/// `broker1 › kafka › Write server.properties`.
pub(super) fn address(node: &Node) -> String {
    let suffix = if node.kind == NodeKind::Handler {
        " (handler)"
    } else {
        ""
    };
    match &node.host {
        Some(host) => format!("{host} › {}{suffix}", node.title),
        None => node.title.clone(),
    }
}

pub(super) fn marker(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Gate => "  [gate]",
        NodeKind::Deferred => "  [expanded while running]",
        NodeKind::Task | NodeKind::Handler | NodeKind::Barrier => "",
    }
}

fn text(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let mut place = None;
    for (index, node) in plan.graph.nodes() {
        if place.map(|(play, _)| play) != Some(node.play) {
            writeln!(
                out,
                "play {}: {}{}",
                node.play + 1,
                plan.plays[node.play].play.name,
                play_notes(plan, node.play)
            )?;
        }
        if place != Some((node.play, node.slot)) {
            writeln!(out, "  batch {}", node.slot + 1)?;
            place = Some((node.play, node.slot));
        }
        if node.kind == NodeKind::Barrier {
            writeln!(out, "    ── {} ──", node.title)?;
            continue;
        }
        write!(out, "    {}{}", address(node), marker(node.kind))?;
        let others: Vec<String> = plan
            .graph
            .upstream(index)
            .into_iter()
            .filter(|(from, reason)| !(*from + 1 == index && reason.text() == "order"))
            .map(|(from, reason)| {
                let from = plan
                    .graph
                    .nodes()
                    .nth(from)
                    .map(|(_, node)| address(node))
                    .unwrap_or_default();
                format!("{} {from}", reason.text())
            })
            .collect();
        if others.is_empty() {
            writeln!(out)?;
        } else {
            writeln!(out, "  ⇐ {}", others.join("; "))?;
        }
    }
    Ok(())
}

fn play_notes(plan: &Plan, play: usize) -> String {
    let play = &plan.plays[play];
    let mut notes = Vec::new();
    match (&play.hosts, &play.slots) {
        (Some(hosts), Some(slots)) if slots.len() > 1 => {
            notes.push(format!("{} hosts in {} batches", hosts.len(), slots.len()));
        }
        (Some(hosts), _) => notes.push(format!("{} hosts", hosts.len())),
        (None, _) => notes.push("hosts known while running".to_owned()),
    }
    if play.play.order.as_ref().and_then(|order| order.as_str()) == Some("kafka") {
        notes.push("order decided before each batch".to_owned());
    }
    if play.guarded {
        notes.push("stops at the first failed or unreachable host".to_owned());
    }
    format!("  ({})", notes.join(", "))
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn dot(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "digraph krun {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];"
    )?;
    let mut place = None;
    for (index, node) in plan.graph.nodes() {
        if place != Some((node.play, node.slot)) {
            if place.is_some() {
                writeln!(out, "  }}")?;
            }
            let play = quoted(&plan.plays[node.play].play.name);
            writeln!(
                out,
                "  subgraph cluster_p{}s{} {{\n    label=\"{play}, batch {}\";",
                node.play,
                node.slot,
                node.slot + 1
            )?;
            place = Some((node.play, node.slot));
        }
        let shape = match node.kind {
            NodeKind::Gate => ", shape=diamond",
            NodeKind::Barrier => ", shape=point",
            NodeKind::Handler => ", style=rounded",
            NodeKind::Deferred => ", style=dashed",
            NodeKind::Task => "",
        };
        writeln!(
            out,
            "    n{index} [label=\"{}\"{shape}];",
            quoted(&address(node))
        )?;
    }
    if place.is_some() {
        writeln!(out, "  }}")?;
    }
    for (index, _) in plan.graph.nodes() {
        for (from, reason) in plan.graph.upstream(index) {
            writeln!(out, "  n{from} -> n{index} [label=\"{}\"];", reason.text())?;
        }
    }
    writeln!(out, "}}")
}

fn mermaid(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "flowchart TD")?;
    let mut place = None;
    for (index, node) in plan.graph.nodes() {
        if place != Some((node.play, node.slot)) {
            if place.is_some() {
                writeln!(out, "  end")?;
            }
            let play = quoted(&plan.plays[node.play].play.name);
            writeln!(
                out,
                "  subgraph p{}s{}[\"{play}, batch {}\"]",
                node.play,
                node.slot,
                node.slot + 1
            )?;
            place = Some((node.play, node.slot));
        }
        let label = address(node).replace('"', "#quot;");
        match node.kind {
            NodeKind::Gate => writeln!(out, "    n{index}{{\"{label}\"}}")?,
            NodeKind::Barrier => writeln!(out, "    n{index}((\" \"))")?,
            NodeKind::Handler => writeln!(out, "    n{index}(\"{label}\")")?,
            NodeKind::Task | NodeKind::Deferred => writeln!(out, "    n{index}[\"{label}\"]")?,
        }
    }
    if place.is_some() {
        writeln!(out, "  end")?;
    }
    for (index, _) in plan.graph.nodes() {
        for (from, reason) in plan.graph.upstream(index) {
            writeln!(out, "  n{from} -->|{}| n{index}", reason.text())?;
        }
    }
    Ok(())
}
