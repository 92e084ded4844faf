//! Turns tasks that hosts of a batch delegate to other hosts into an order: step by step, and in each that of the hosts.
//!
//! Each would else stand on what it read before the others wrote, and what one of them wrote would be lost. Hosts that
//! delegate nothing to each other wait for nobody.

use super::ahead::{is_elsewhere, places};
use super::batch::Batch;
use super::host::HostRun;
use super::prepare::{Item, Prepared, Work};
use crate::modules::{Action, Nature};
use crate::playbook::Task;
use crate::value::HostName;

impl Batch<'_> {
    /// Whether a host has to wait at a step until hosts before it have come so far that it is known what they delegate.
    pub(super) fn waits_for_earlier_hosts(&self, host: usize, index: usize, task: &Task) -> bool {
        let earlier = &self.hosts[..host];
        let is_behind = |other: &HostRun| other.is_alive() && other.next <= index;
        task.keywords.delegate_to.is_some() && !self.is_free() && earlier.iter().any(is_behind)
    }

    /// Whether what a host would do at a step stands on what another one has delegated, and has not seen the end of.
    pub(super) fn waits_for_delegates(
        &self,
        host: usize,
        index: usize,
        prepared: &Prepared,
    ) -> bool {
        let mine: Vec<(&HostName, &Action)> = prepared
            .items
            .iter()
            .filter_map(|item| self.work_of(host, item))
            .collect();
        if mine.is_empty() {
            return false;
        }
        let steps = if self.is_free() {
            Vec::new()
        } else {
            self.delegating(self.frontier(), index)
        };
        let is_here = mine.iter().all(|(to, _)| **to == self.hosts[host].name);
        if is_here && steps.is_empty() {
            return false;
        }
        let others = self.hosts.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != host);
        others.any(|(_, other)| {
            self.is_before(other, index, &steps, &mine) || is_at_it(other, index, prepared)
        })
    }

    /// The steps of a range whose tasks are delegated.
    fn delegating(&self, from: usize, to: usize) -> Vec<usize> {
        let delegates = |at: &usize| {
            let task = self.steps.get(*at).and_then(|step| step.task());
            task.is_some_and(|task| task.keywords.delegate_to.is_some())
        };
        (from..to).filter(delegates).collect()
    }

    /// Whether a host is not yet over what it does, by an earlier step, to a host on which `mine` is to be done.
    fn is_before(
        &self,
        other: &HostRun,
        index: usize,
        delegating: &[usize],
        mine: &[(&HostName, &Action)],
    ) -> bool {
        if !other.is_alive() || other.done >= index || self.is_free() {
            return false;
        }
        let is_mine = |target: &HostName| mine.iter().any(|(to, _)| *to == target);
        if is_mine(&other.name) {
            return true;
        }
        let ahead = delegating.iter().filter(|at| **at >= other.done);
        ahead.filter(|at| other.takes(&self.steps[**at])).any(|at| {
            let flight = other.flights.iter().find(|flight| flight.step == *at);
            flight.map_or(other.next <= *at, |flight| {
                let items = flight.items.iter();
                let mut targets = items.filter_map(|item| item.envelope.delegate_to.as_ref());
                targets.any(is_mine)
            })
        })
    }

    /// Where an item is to be done, if a host does it.
    fn work_of<'a>(&'a self, host: usize, item: &'a Item) -> Option<(&'a HostName, &'a Action)> {
        let Work::Agent(action) = &item.work else {
            return None;
        };
        let to = item.envelope.delegate_to.as_ref();
        Some((to.unwrap_or(&self.hosts[host].name), action.as_ref()))
    }
}

/// Whether a host is at work, by this same step, on what another one would change elsewhere.
fn is_at_it(other: &HostRun, index: usize, prepared: &Prepared) -> bool {
    let flights = other.flights.iter().filter(|flight| flight.step == index);
    let theirs: Vec<&Item> = flights.flat_map(|flight| &flight.items).collect();
    let mut mine = prepared.items.iter().filter_map(delegated);
    mine.any(|(to, action)| {
        let mine = places(action);
        theirs.iter().any(|item| {
            delegated(item).is_some_and(|(other, _)| other == to)
                && !is_elsewhere(item, mine.as_deref())
        })
    })
}

/// Where an item changes something on another host.
fn delegated(item: &Item) -> Option<(&HostName, &Action)> {
    let Work::Agent(action) = &item.work else {
        return None;
    };
    let to = item.envelope.delegate_to.as_ref()?;
    (action.nature() == Nature::State).then_some((to, action.as_ref()))
}
