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
        let event = EventKind::HostUnreachable {
            host: Arc::clone(lost),
            task,
            message: self.run.mask(&error.to_string()),
            causes,
            help: error.help(),
            ignored: false,
        };
        self.hosts[host].unsaid.push_back((at, event));
        self.run.stats(lost).unreachable += 1;
        self.mark_unreachable(host);
        self.host_left(host);
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
