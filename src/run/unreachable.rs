//! A host that cannot be reached, or whose link is lost: what was under way there is unknown, never ok and never failed.

use super::batch::{Batch, task_name};
use super::prepare::ItemState;
use crate::event::EventKind;
use crate::modules::Error;
use crate::transport;
use crate::value::HostName;
use std::sync::Arc;

impl Batch<'_> {
    /// The link to `lost` is gone: its own host leaves the play, tasks delegated to it fail.
    pub(super) fn lost(&mut self, lost: &HostName, error: &transport::Error) {
        self.fail_delegated(lost, error);
        let Some(host) = self
            .hosts
            .iter()
            .position(|host| host.name == *lost && host.is_alive())
        else {
            return;
        };
        let under_way = self.hosts[host].flights.iter().find_map(|flight| {
            let sent = flight
                .items
                .iter()
                .any(|item| matches!(item.state, ItemState::Sent { .. }));
            let began = flight.items.iter().any(super::settle::is_under_way);
            flight
                .task
                .as_ref()
                .filter(|_| sent)
                .map(|task| (task_name(task), began, flight.step))
        });
        let at = self.hosts[host].done.max(self.said);
        let (task, began) = under_way.map_or((None, false), |(task, began, _)| (Some(task), began));
        let mut causes = error.causes();
        if began && let Some(task) = &task {
            causes.push(format!(
                "`{}` had begun there; how it ended is unknown",
                task.title
            ));
        }
        let ignored = self.ignores_loss(host);
        let event = EventKind::HostUnreachable {
            host: Arc::clone(lost),
            task,
            message: self.run.mask(&error.to_string()),
            causes,
            help: error.help(),
            ignored,
        };
        self.hosts[host].unsaid.push_back((at, event));
        if ignored {
            return self.pass_over(host);
        }
        self.run.stats(lost).unreachable += 1;
        self.mark_unreachable(host);
        self.host_left(host);
    }

    /// Whether the task in hand says `ignore_unreachable`.
    fn ignores_loss(&self, host: usize) -> bool {
        let items = self.hosts[host].flights.front().map(|flight| &flight.items);
        items.is_some_and(|items| items.iter().any(|item| item.envelope.ignore_unreachable))
    }

    /// The host goes on behind the task in hand; the next one connects anew.
    fn pass_over(&mut self, host: usize) {
        let step = self.hosts[host].done;
        self.run.stats(&Arc::clone(&self.hosts[host].name)).ignored += 1;
        self.drop_flights(host);
        (self.hosts[host].done, self.hosts[host].next) = (step + 1, step + 1);
    }

    /// Tasks that other hosts had delegated there.
    fn fail_delegated(&mut self, lost: &HostName, error: &transport::Error) {
        for host in self.hosts.iter_mut().filter(|host| host.name != *lost) {
            for item in host.flights.iter_mut().flat_map(|flight| &mut flight.items) {
                if matches!(&item.state, ItemState::Sent { to, .. } if to == lost) {
                    let failure = Error::new(format!(
                        "`{lost}`, to which it is delegated, cannot be reached"
                    ))
                    .because(error);
                    item.state = ItemState::Arrived {
                        result: Err(failure),
                        elapsed_ms: 0,
                    };
                }
            }
        }
    }
}
