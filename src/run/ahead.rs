//! Turns what is under way on all hosts of a batch into grants ahead of the linear order, where no other host could tell.
//!
//! Two inventory names may lead to one machine, or to two that were copied with their machine id. There a change runs
//! ahead only if every earlier task of the other names is known and has to do with other places.

use super::batch::Batch;
use super::keywords::Envelope;
use super::prepare::{Item, ItemState, Work};
use crate::modules::{Action, Nature};
use crate::value::HostName;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

impl Batch<'_> {
    /// Whether a change may be made ahead of the other hosts because none of them could tell (design.md §3).
    pub(super) fn may_run_ahead(
        &self,
        to: &HostName,
        action: &Action,
        envelope: &Envelope,
    ) -> bool {
        self.is_for_one_host(action, envelope) && self.run.links.is_alone(to) && self.knows_all()
    }

    /// Marks as granted, and returns, what may run ahead on a machine that has more than one name.
    pub(super) fn grant_ahead(&mut self) -> Vec<(HostName, crate::proto::Seq)> {
        let mut grants = Vec::new();
        if !self.plan.grants_ahead || !self.knows_all() || self.run.promise.is_some() {
            return grants;
        }
        for host in 0..self.hosts.len() {
            for (flight, item) in self.next_ahead(host) {
                let state = &mut self.hosts[host].flights[flight].items[item].state;
                if let ItemState::Sent {
                    seq, to, granted, ..
                } = state
                {
                    *granted = true;
                    grants.push((Arc::clone(to), *seq));
                }
            }
        }
        grants
    }

    /// The items that a host may run ahead now, up to the first that must wait: an agent keeps the order of its queue.
    fn next_ahead(&self, host: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        if !self.run.links.is_remote(&self.hosts[host].name) {
            return found;
        }
        for (place, flight) in self.hosts[host].flights.iter().enumerate() {
            for (index, item) in flight.items.iter().enumerate() {
                let ItemState::Sent { granted: false, .. } = item.state else {
                    continue;
                };
                let Work::Agent(action) = &item.work else {
                    continue;
                };
                if item.is_asked_first()
                    || !self.is_for_one_host(action, &item.envelope)
                    || !self.is_out_of_sight(host, flight.step, action)
                {
                    return found;
                }
                found.push((place, index));
            }
        }
        found
    }

    fn is_for_one_host(&self, action: &Action, envelope: &Envelope) -> bool {
        let entry = crate::modules::find(action.name());
        self.plan.grants_ahead
            && entry.is_some_and(|entry| entry.host_only && entry.nature == Nature::State)
            && envelope.delegate_to.is_none()
    }

    fn knows_all(&self) -> bool {
        let hosts = self.hosts.iter().map(|host| Arc::clone(&host.name));
        self.run.links.all_known(&hosts.collect())
    }

    /// Whether no earlier task of another name of this machine has to do with the places of `action`.
    fn is_out_of_sight(&self, host: usize, step: usize, action: &Action) -> bool {
        let Some(mine) = places(action) else {
            return false;
        };
        let name = &self.hosts[host].name;
        let others =
            self.hosts.iter().enumerate().filter(|(other, it)| {
                *other != host && self.run.links.are_one_machine(name, &it.name)
            });
        others
            .filter(|(_, other)| other.is_alive() || !other.flights.is_empty())
            .all(|(_, other)| {
                let earlier = other.flights.iter().filter(|flight| flight.step < step);
                (!other.is_alive() || other.next >= step)
                    && earlier
                        .flat_map(|flight| &flight.items)
                        .all(|item| is_elsewhere(item, Some(&mine)))
            })
    }
}

/// Whether an item is over, or has to do with other places; without places of one's own, none are known to be others.
pub(super) fn is_elsewhere(item: &Item, mine: Option<&[PathBuf]>) -> bool {
    let is_over = matches!(
        item.state,
        ItemState::Arrived { .. } | ItemState::Dropped | ItemState::Judged(_)
    );
    match &item.work {
        Work::Agent(action) if !is_over => {
            let theirs = places(action);
            matches!((mine, theirs), (Some(mine), Some(theirs)) if are_apart(mine, &theirs))
        }
        _ => true,
    }
}

/// The places of an action, if they can be compared as they are written.
pub(super) fn places(action: &Action) -> Option<Vec<PathBuf>> {
    let plain = |place: &PathBuf| {
        place.is_absolute() && !place.components().any(|it| it == Component::ParentDir)
    };
    action.places().filter(|all| all.iter().all(plain))
}

/// Whether no place of one side is, or lies beneath, a place of the other.
fn are_apart(mine: &[PathBuf], theirs: &[PathBuf]) -> bool {
    let overlap = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
    !mine.iter().any(|a| theirs.iter().any(|b| overlap(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Mapping;

    fn action(module: &str, yaml: &str) -> Action {
        let given: Mapping = serde_yaml::from_str(yaml).unwrap();
        Action::new(module, given).unwrap()
    }

    fn apart(one: &Action, other: &Action) -> bool {
        let places = |action| places(action);
        places(one)
            .zip(places(other))
            .is_some_and(|(mine, theirs)| are_apart(&mine, &theirs))
    }

    #[test]
    fn files_of_two_trees_are_apart_and_those_of_one_are_not() {
        let one = action("copy", "{content: x, dest: /srv/one/etc/a}");
        let other = action("file", "{path: /srv/two/etc, state: directory}");
        let whole = action("file", "{path: /srv, state: directory}");
        let similar = action("stat", "{path: /srv/one/etc/ab}");
        assert!(apart(&one, &other));
        assert!(apart(&one, &similar));
        assert!(!apart(&one, &one));
        assert!(!apart(&one, &whole));
        assert!(!apart(&whole, &one));
    }

    #[test]
    fn the_target_of_a_link_and_a_source_on_the_host_count() {
        let one = action("copy", "{content: x, dest: /srv/one/a}");
        let link = action("file", "{src: ../one/a, path: /srv/two/b, state: link}");
        let copy = action("copy", "{src: /srv/one, dest: /srv/two, remote_src: true}");
        assert!(!apart(&one, &link));
        assert!(!apart(&one, &copy));
    }

    #[test]
    fn what_runs_a_program_may_have_to_do_with_anything() {
        let one = action("copy", "{content: x, dest: /srv/one/a}");
        let checked = action(
            "copy",
            "{content: x, dest: /srv/two/a, validate: 'true %s'}",
        );
        let command = action("command", "{cmd: 'true'}");
        assert!(!apart(&one, &checked));
        assert!(!apart(&one, &command));
    }
}
