//! Turns plays into one dependency graph: nodes are tasks on hosts, and every edge says why it is there.

use super::handlers::Handlers;
use super::order::is_gate;
use super::{PlayPlan, Step, StepKind};
use crate::diag::{Diagnostics, Span};
use crate::playbook::Task;
use crate::value::HostName;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::HashMap;
use std::sync::Arc;

/// Tasks on hosts and the reasons that order them.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub(super) graph: DiGraph<Node, Reason>,
}

/// A task on a host, or a point at which all hosts of a batch meet.
#[derive(Debug, Clone)]
pub struct Node {
    /// Counted from 0.
    pub play: usize,
    /// The batch, counted from 0.
    pub slot: usize,
    /// `None`: all hosts of the batch meet here.
    pub host: Option<HostName>,
    /// `role › task`, `gather facts`, `flush handlers`, ….
    pub title: String,
    pub kind: NodeKind,
    pub span: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Task,
    /// What must hold before the roll goes on.
    Gate,
    Handler,
    /// Expanded while running: an include, or hosts known only then.
    Deferred,
    /// Where hosts wait for each other.
    Barrier,
}

/// Why one node waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A host's tasks keep their order.
    Order,
    /// Ansible's linear strategy: a task ends on all hosts of the batch before the next begins.
    Linear,
    /// `serial`: a batch ends before the next begins.
    Rolling,
    /// A play ends before the next begins.
    Play,
    /// A change notifies a handler.
    Notify,
    /// Handlers run at their flush point.
    Flush,
    /// The author's `needs:`.
    Needs,
}

impl Reason {
    pub fn text(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Linear => "linear",
            Self::Rolling => "rolling",
            Self::Play => "play",
            Self::Notify => "notify",
            Self::Flush => "flush",
            Self::Needs => "needs",
        }
    }
}

impl Graph {
    fn add(&mut self, node: Node) -> NodeIndex {
        self.graph.add_node(node)
    }

    /// No edge without a reason.
    fn link(&mut self, from: NodeIndex, to: NodeIndex, reason: Reason) {
        self.graph.add_edge(from, to, reason);
    }

    /// Returns the nodes in the order in which they were written.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.graph
            .node_indices()
            .map(|index| (index.index(), &self.graph[index]))
    }

    /// Returns what a node waits for, and why.
    pub fn upstream(&self, node: usize) -> Vec<(usize, Reason)> {
        let mut edges: Vec<_> = self
            .graph
            .edges_directed(NodeIndex::new(node), petgraph::Direction::Incoming)
            .map(|edge| (edge.source().index(), *edge.weight()))
            .collect();
        edges.sort_unstable();
        edges
    }
}

/// Builds the graph of all plays; a circle of `needs:` is an error that spells it.
pub(super) fn build(plays: &[PlayPlan], diagnostics: &mut Diagnostics) -> Graph {
    let mut graph = Graph::default();
    let mut previous: Vec<NodeIndex> = Vec::new();
    for (number, play) in plays.iter().enumerate() {
        let (hosts, slots) = batches(play);
        let (mut first_host, mut between) = (0, Reason::Play);
        for (slot, size) in slots.into_iter().enumerate() {
            let batch = &hosts[first_host..first_host + size];
            first_host += size;
            let mut builder = Batch {
                graph: &mut graph,
                play: number,
                slot,
                handlers: &play.handlers,
                ids: HashMap::new(),
                ends: HashMap::new(),
            };
            let (starts, ends) = builder.add(&play.steps, batch, !play.grants_ahead);
            for (&from, &to) in previous
                .iter()
                .flat_map(|from| starts.iter().map(move |to| (from, to)))
            {
                graph.link(from, to, between);
            }
            (previous, between) = (ends, Reason::Rolling);
        }
    }
    report_cycles(&graph, diagnostics);
    graph
}

/// The hosts of a play and how many stand in each slot; one deferred host where that is known only while running.
fn batches(play: &PlayPlan) -> (Vec<HostName>, Vec<usize>) {
    match (&play.hosts, &play.slots) {
        (Some(hosts), Some(slots)) => (hosts.clone(), slots.clone()),
        (Some(hosts), None) => (hosts.clone(), vec![hosts.len()]),
        _ => (vec![Arc::from("(hosts known while running)")], vec![1]),
    }
}

/// Adds the nodes of one batch.
struct Batch<'a> {
    graph: &'a mut Graph,
    play: usize,
    slot: usize,
    handlers: &'a Handlers,
    /// Nodes by `id:`.
    ids: HashMap<String, Vec<NodeIndex>>,
    /// The last node of each host.
    ends: HashMap<HostName, NodeIndex>,
}

impl Batch<'_> {
    fn add(
        &mut self,
        steps: &[Arc<Step>],
        hosts: &[HostName],
        linear: bool,
    ) -> (Vec<NodeIndex>, Vec<NodeIndex>) {
        let mut starts = Vec::new();
        let mut notified: Vec<(NodeIndex, usize)> = Vec::new();
        let mut pending_needs: Vec<(NodeIndex, String, Span)> = Vec::new();
        for step in steps
            .iter()
            .filter(|step| !matches!(step.kind, StepKind::BlockEnd(..)))
        {
            if matches!(step.kind, StepKind::Flush) {
                self.flush(hosts, &mut notified, &mut starts);
                continue;
            }
            let waits = hosts.len() > 1 && (linear || step.is_barrier());
            let meeting = (waits && !self.ends.is_empty()).then(|| self.meet(hosts));
            for host in hosts {
                let node = self.task_node(step, host);
                self.after(host, node, &mut starts);
                if let Some(meeting) = meeting {
                    self.graph.link(meeting, node, Reason::Linear);
                }
                let Some(task) = step.task() else { continue };
                if let Some(id) = &task.id {
                    self.ids.entry(id.clone()).or_default().push(node);
                }
                pending_needs.extend(
                    task.needs
                        .iter()
                        .map(|(id, span)| (node, id.clone(), span.clone())),
                );
                notified.extend(
                    self.notified_by(task)
                        .into_iter()
                        .map(|handler| (node, handler)),
                );
            }
        }
        for (node, id, _) in pending_needs {
            for from in self.ids.get(&id).cloned().unwrap_or_default() {
                self.graph.link(from, node, Reason::Needs);
            }
        }
        (
            starts,
            hosts
                .iter()
                .filter_map(|host| self.ends.get(host).copied())
                .collect(),
        )
    }

    fn task_node(&mut self, step: &Step, host: &HostName) -> NodeIndex {
        let (title, kind, span) = match step.task() {
            None => ("gather facts".to_owned(), NodeKind::Task, None),
            Some(task) => (address(task), kind_of(task), Some(task.span.clone())),
        };
        self.graph.add(Node {
            play: self.play,
            slot: self.slot,
            host: Some(Arc::clone(host)),
            title,
            kind,
            span,
        })
    }

    /// Joins a node to the end of its host's way.
    fn after(&mut self, host: &HostName, node: NodeIndex, starts: &mut Vec<NodeIndex>) {
        match self.ends.insert(Arc::clone(host), node) {
            Some(last) => self.graph.link(last, node, Reason::Order),
            None => starts.push(node),
        }
    }

    /// A point that all hosts of the batch must have reached.
    fn meet(&mut self, hosts: &[HostName]) -> NodeIndex {
        let title = "all hosts of the batch".to_owned();
        let meeting = self.graph.add(Node {
            play: self.play,
            slot: self.slot,
            host: None,
            title,
            kind: NodeKind::Barrier,
            span: None,
        });
        for host in hosts {
            if let Some(&last) = self.ends.get(host) {
                self.graph.link(last, meeting, Reason::Linear);
            }
        }
        meeting
    }

    fn notified_by(&self, task: &Task) -> Vec<usize> {
        let role = task.role.as_ref().map(|role| role.name.as_str());
        task.notify
            .iter()
            .filter_map(|node| node.as_str())
            .flat_map(|name| self.handlers.find(name, role))
            .collect()
    }

    /// Handlers that a task before this point can notify, in definition order.
    fn flush(
        &mut self,
        hosts: &[HostName],
        notified: &mut Vec<(NodeIndex, usize)>,
        starts: &mut Vec<NodeIndex>,
    ) {
        for (position, handler) in self.handlers.list.iter().enumerate() {
            for host in hosts {
                let causes: Vec<NodeIndex> = notified
                    .iter()
                    .filter(|(node, handler)| {
                        *handler == position && self.graph.graph[*node].host.as_ref() == Some(host)
                    })
                    .map(|(node, _)| *node)
                    .collect();
                if causes.is_empty() {
                    continue;
                }
                let title = handler.role.as_ref().map_or_else(
                    || handler.name.clone(),
                    |role| format!("{role} › {}", handler.name),
                );
                let span = handler.task().map(|task| task.span.clone());
                let node = self.graph.add(Node {
                    play: self.play,
                    slot: self.slot,
                    host: Some(Arc::clone(host)),
                    title,
                    kind: NodeKind::Handler,
                    span,
                });
                for cause in causes {
                    self.graph.link(cause, node, Reason::Notify);
                }
                match self.ends.insert(Arc::clone(host), node) {
                    Some(last) => self.graph.link(last, node, Reason::Flush),
                    None => starts.push(node),
                }
            }
        }
        notified.clear();
    }
}

/// `role › task`.
pub fn address(task: &Task) -> String {
    match &task.role {
        Some(role) => format!("{} › {}", role.name, task.title()),
        None => task.title().to_owned(),
    }
}

fn kind_of(task: &Task) -> NodeKind {
    match super::short_name(&task.module) {
        module if is_gate(module) => NodeKind::Gate,
        "include_tasks" | "include_role" | "include" => NodeKind::Deferred,
        _ => NodeKind::Task,
    }
}

fn report_cycles(graph: &Graph, diagnostics: &mut Diagnostics) {
    for circle in kosaraju_scc(&graph.graph)
        .into_iter()
        .filter(|component| component.len() > 1)
    {
        let mut members: Vec<NodeIndex> = circle;
        members.sort();
        let needs = members
            .iter()
            .flat_map(|&node| graph.graph.edges(node))
            .find(|edge| *edge.weight() == Reason::Needs && members.contains(&edge.target()));
        let Some(needs) = needs else { continue };
        let (from, to) = (&graph.graph[needs.source()], &graph.graph[needs.target()]);
        let Some(span) = &to.span else { continue };
        let mut fault = span.error(format!(
            "circle: `{}` needs `{}`, which comes after it",
            to.title, from.title
        ));
        if let Some(other) = &from.span {
            fault = fault.label(
                other.clone(),
                "this comes later, by the order of the host's tasks",
            );
        }
        diagnostics.push(fault.help("move the task that is needed before the one that needs it"));
    }
}
