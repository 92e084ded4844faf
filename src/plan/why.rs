//! Turns the graph and a node into the chain of edges, with their reasons, that makes it wait.

use super::Plan;
use super::graph::{Node, NodeKind, Reason};
use super::show::{address, marker};
use std::fmt::Write;

/// A node that nobody can find: what was asked for, and the nearest names.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no node is called `{0}`")]
    Nobody(String),
}

/// Prints, for each node whose address holds `text` (`kafka02 › Switch the link`, `Switch the link`, `play.yml:12`), what it
/// waits for, and what that waits for, back to the beginning. Of the same task on several hosts, the last waits longest.
pub fn why(plan: &Plan, text: &str) -> Result<String, Error> {
    let nodes: Vec<&Node> = plan.graph.nodes().map(|(_, node)| node).collect();
    let wanted = text.to_lowercase();
    let found = |exact: bool| {
        let matches = |node: &&Node| {
            let names = [address(node), node.title.clone(), place(node)];
            names.iter().any(|name| {
                let name = name.to_lowercase();
                if exact {
                    name == wanted
                } else {
                    name.contains(&wanted)
                }
            })
        };
        let all = nodes.iter().enumerate().filter(|(_, node)| matches(node));
        let is_node = |node: &Node| node.kind != NodeKind::Barrier;
        all.filter(|(_, node)| is_node(node))
            .map(|(index, _)| index)
            .collect::<Vec<_>>()
    };
    let mut hits = found(true);
    if hits.is_empty() {
        hits = found(false);
    }
    let Some(&last) = hits.last() else {
        return Err(Error::Nobody(text.to_owned()));
    };
    let mut out = String::new();
    chain(plan, &nodes, last, &mut out);
    if hits.len() > 1 {
        let others: Vec<String> = hits[..hits.len() - 1]
            .iter()
            .map(|hit| address(nodes[*hit]))
            .collect();
        let _ = writeln!(out, "\nalso called so: {}", others.join("; "));
    }
    Ok(out)
}

/// `upgrade.yml:12`
fn place(node: &Node) -> String {
    node.span.as_ref().map_or_else(String::new, |span| {
        format!("{}:{}", span.path().display(), span.line)
    })
}

/// What the reason means, in words.
fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Order => "a host's tasks keep their order",
        Reason::Linear => "all hosts of the batch finish a task before the next begins",
        Reason::Rolling => "`serial`: a batch ends before the next begins",
        Reason::Play => "a play ends before the next begins",
        Reason::Notify => "it notifies this handler",
        Reason::Flush => "handlers run where they are flushed",
        Reason::Needs => "`needs:` says so",
    }
}

fn chain(plan: &Plan, nodes: &[&Node], start: usize, out: &mut String) {
    let title = |index: usize| {
        let node = nodes[index];
        let batch = format!("play {}, batch {}", node.play + 1, node.slot + 1);
        let at = place(node);
        let at = if at.is_empty() {
            String::new()
        } else {
            format!(", {at}")
        };
        format!("{}{}  ({batch}{at})", address(node), marker(node.kind))
    };
    let _ = writeln!(out, "{}", title(start));
    let mut at = start;
    // Plain neighbours on one host say little: they are counted.
    let mut passed = 0;
    loop {
        let edges = plan.graph.upstream(at);
        // What is said besides the chain: every other edge of this node.
        let Some((from, reason)) = edges
            .iter()
            .copied()
            .max_by_key(|(from, reason)| (*from, *reason))
        else {
            break;
        };
        let plain = reason == Reason::Order
            && edges.len() == 1
            && nodes[from].kind == NodeKind::Task
            && at != start
            && !plan.graph.upstream(from).is_empty();
        if plain {
            passed += 1;
            at = from;
            continue;
        }
        if passed > 0 {
            count(out, &mut passed);
            let _ = writeln!(out, "{}", title(at));
        }
        let mut reasons: Vec<Reason> = edges
            .iter()
            .filter(|(other, _)| *other == from)
            .map(|(_, reason)| *reason)
            .collect();
        reasons.dedup();
        for reason in reasons {
            let _ = writeln!(out, "  ⇐ {}: {}", reason.text(), meaning(reason));
        }
        for (other, reason) in edges.iter().filter(|(other, _)| *other != from) {
            let _ = writeln!(
                out,
                "    also {} ⇐ {}",
                reason.text(),
                address(nodes[*other])
            );
        }
        let _ = writeln!(out, "{}", title(from));
        at = from;
    }
    if passed > 0 {
        count(out, &mut passed);
        let _ = writeln!(out, "{}", title(at));
    }
    let _ = writeln!(out, "  nothing is before it");
}

/// The way to a task over those of its host that stand before it.
fn count(out: &mut String, passed: &mut usize) {
    let _ = match *passed {
        1 => writeln!(out, "  ⇐ order: {}", meaning(Reason::Order)),
        n => writeln!(out, "  ⇐ order: over {} more tasks of the same host", n - 1),
    };
    *passed = 0;
}
