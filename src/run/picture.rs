//! Turns the plan's graph into the one that events carry and reports draw.

use crate::event::{At, Graph, GraphNode};
use crate::plan::Plan;
use crate::plan::graph::NodeKind;

/// Graphs with more nodes are not carried: nobody could look at them.
const MAX_NODES: usize = 5000;

/// Returns the graph of a plan, unless it is too large to look at.
pub fn picture(plan: &Plan) -> Option<Graph> {
    let nodes: Vec<GraphNode> = plan
        .graph
        .nodes()
        .map(|(_, node)| GraphNode {
            play: node.play,
            batch: node.slot,
            host: node.host.clone(),
            title: node.title.clone(),
            kind: match node.kind {
                NodeKind::Task => "task",
                NodeKind::Gate => "gate",
                NodeKind::Handler => "handler",
                NodeKind::Deferred => "deferred",
                NodeKind::Barrier => "barrier",
            }
            .to_owned(),
            at: node.span.as_ref().map(At::from),
        })
        .collect();
    if nodes.len() > MAX_NODES {
        return None;
    }
    let edges = (0..nodes.len()).flat_map(|to| {
        let upstream = plan.graph.upstream(to).into_iter();
        upstream.map(move |(from, reason)| (from, to, reason.text().to_owned()))
    });
    Some(Graph {
        plays: plan
            .plays
            .iter()
            .map(|play| play.play.name.clone())
            .collect(),
        edges: edges.collect(),
        nodes,
    })
}
