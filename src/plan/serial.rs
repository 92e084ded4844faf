//! Cuts the hosts of a play into batches, and says how carefully the play must be rolled.

use super::order::is_gate;
use super::{PlayPlan, Step};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::inventory::{Inventory, Limit, Unmatched};
use crate::playbook::Play;
use crate::value::HostName;
use crate::yaml::{Kind, Node};
use std::sync::Arc;

/// Finds the hosts of plays, and remembers what nobody answers to.
pub(super) struct Names<'a> {
    inventory: &'a Inventory,
    limit: Option<&'a Limit>,
    /// Whether a task so far may add hosts or groups: a name that is not known here may be by then.
    may_grow: bool,
    /// The parts of patterns that no host and no group matches, as warnings.
    unmatched: Vec<Diagnostic>,
}

impl<'a> Names<'a> {
    /// A limit that names no host is an error: it was written for this very run.
    pub(super) fn new(
        inventory: &'a Inventory,
        limit: Option<&'a Limit>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        if let Some(limit) = limit {
            let mut unmatched = Vec::new();
            match inventory.limited(Vec::new(), limit, &mut unmatched) {
                Ok(_) => unmatched.iter().for_each(|it| {
                    diagnostics.push(Diagnostic::global(format!("--limit: {it}")));
                }),
                Err(fault) => diagnostics.push(Diagnostic::global(format!("--limit: {fault}"))),
            }
        }
        Self {
            inventory,
            limit,
            may_grow: false,
            unmatched: Vec::new(),
        }
    }

    /// Returns the hosts of a play in the order of its pattern and of `order:`, or `None` if the pattern is a template.
    pub(super) fn hosts(
        &mut self,
        play: &Play,
        steps: &[Arc<Step>],
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<HostName>> {
        let pattern = pattern_text(&play.hosts);
        let mut unmatched = Vec::new();
        let found = pattern.map(|it| select(&it, self.inventory, self.limit, &mut unmatched));
        if !self.may_grow {
            self.unmatched.extend(
                unmatched
                    .iter()
                    .map(|it| play.hosts.span.warning(it.to_string())),
            );
        }
        self.may_grow |= steps
            .iter()
            .filter_map(|step| step.task())
            .any(|task| matches!(super::short_name(&task.module), "add_host" | "group_by"));
        let order = play.order.as_ref().and_then(Node::as_str);
        match found? {
            Ok(hosts) => Some(ordered(hosts, order.unwrap_or_default())),
            Err(fault) => {
                diagnostics.push(play.hosts.span.error(fault));
                Some(Vec::new())
            }
        }
    }

    /// Says which names nobody answers to; where nothing else is left to do, that is an error.
    pub(super) fn judge(self, plays: &[PlayPlan], diagnostics: &mut Diagnostics) {
        let is_vain = plays
            .iter()
            .all(|play| play.hosts.as_ref().is_some_and(Vec::is_empty));
        for mut fault in self.unmatched {
            if is_vain && !self.may_grow {
                fault.severity = Severity::Error;
            }
            diagnostics.push(fault);
        }
    }
}

/// Returns the hosts that a pattern names and `limit` leaves, noting the parts of the pattern that match nothing.
pub fn select(
    pattern: &str,
    inventory: &Inventory,
    limit: Option<&Limit>,
    unmatched: &mut Vec<Unmatched>,
) -> Result<Vec<HostName>, String> {
    let hosts = inventory
        .select_noting(&[pattern], unmatched)
        .map_err(|error| error.to_string())?;
    let Some(limit) = limit else { return Ok(hosts) };
    inventory
        .limited(hosts, limit, &mut Vec::new())
        .map_err(|error| error.to_string())
}

/// Returns the pattern of `hosts:` unless it holds a template.
pub fn pattern_text(hosts: &Node) -> Option<String> {
    let text = match &hosts.kind {
        Kind::Seq(items) => items
            .iter()
            .filter_map(Node::as_str)
            .collect::<Vec<_>>()
            .join(","),
        _ => hosts.as_str()?.to_owned(),
    };
    (!text.contains("{{")).then_some(text)
}

/// Applies `order:`; `kafka` begins as the inventory has it and is decided anew before each batch.
pub fn ordered(mut hosts: Vec<HostName>, order: &str) -> Vec<HostName> {
    match order {
        "reverse_inventory" => hosts.reverse(),
        "sorted" => hosts.sort(),
        "reverse_sorted" => {
            hosts.sort();
            hosts.reverse();
        }
        "shuffle" => {
            use rand::seq::SliceRandom;
            hosts.shuffle(&mut rand::rng());
        }
        _ => {}
    }
    hosts
}

/// Returns the batch sizes, or `None` if `serial` holds a template.
pub(super) fn slots(
    play: &Play,
    n_hosts: usize,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<usize>> {
    let mut widths = Vec::new();
    for node in &play.serial {
        let text = match &node.kind {
            Kind::Int(n) => n.to_string(),
            _ => node.as_str().unwrap_or_default().to_owned(),
        };
        if text.contains("{{") {
            return None;
        }
        match width(&text, n_hosts) {
            Some(width) => widths.push(width),
            None => diagnostics.push(
                node.span
                    .error(format!(
                        "`serial` must be a number or a percentage, not `{text}`"
                    ))
                    .help("for example `serial: 1`, `serial: 30%` or `serial: [1, 5, 50%]`"),
            ),
        }
    }
    Some(cut(&widths, n_hosts))
}

/// Reads one entry of `serial`: hosts a batch; a percentage is rounded down but is at least 1; 0 and less is all the rest.
pub fn width(text: &str, n_hosts: usize) -> Option<usize> {
    let text = text.trim();
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim().parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count of hosts, floored as Ansible does"
        )]
        return Some(((percent / 100.0 * n_hosts as f64).max(0.0) as usize).max(1));
    }
    let count: i64 = text.parse().ok()?;
    Some(usize::try_from(count).unwrap_or(0))
}

/// Cuts `n_hosts` into batches; the last width repeats; 0 is all the rest.
pub fn cut(widths: &[usize], n_hosts: usize) -> Vec<usize> {
    let (mut left, mut sizes, mut next) = (n_hosts, Vec::new(), 0);
    while left > 0 {
        let width = widths
            .get(next.min(widths.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0);
        let size = if width == 0 { left } else { width.min(left) };
        sizes.push(size);
        left -= size;
        next += 1;
    }
    sizes
}

/// Whether any failed or unreachable host ends the play (design.md §4).
pub(super) fn is_guarded(play: &Play, steps: &[Arc<Step>], only_gates_guard: bool) -> bool {
    let says_so = |node: &Option<Node>| {
        node.as_ref()
            .is_some_and(|node| node.kind == Kind::Bool(true))
    };
    let zero = play
        .max_fail_percentage
        .as_ref()
        .is_some_and(|node| matches!(node.kind, Kind::Int(0)));
    (!only_gates_guard && (zero || says_so(&play.keywords.any_errors_fatal)))
        || steps
            .iter()
            .filter_map(|step| step.task())
            .any(|task| is_gate(&task.module))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentage_is_floored_but_at_least_one() {
        assert_eq!(width("30%", 10), Some(3));
        assert_eq!(width("5%", 10), Some(1));
        assert_eq!(width("x", 10), None);
    }

    #[test]
    fn the_last_width_repeats() {
        assert_eq!(cut(&[1, 2], 6), [1, 2, 2, 1]);
        assert_eq!(cut(&[], 3), [3]);
        assert_eq!(cut(&[1, 0], 6), [1, 5]);
    }

    proptest! {
        #[test]
        fn every_host_is_in_exactly_one_batch(widths in prop::collection::vec(0usize..5, 0..4), n in 0usize..50) {
            prop_assert_eq!(cut(&widths, n).iter().sum::<usize>(), n);
        }
    }
}
