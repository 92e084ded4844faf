//! The loops that ask real brokers and feed the rules, with progress, a stall time and a prompt reaction to a cancel.

pub mod exchange;
pub mod facts;
pub mod leaders;
pub mod safe_to_stop;
pub mod short;
pub mod wait_for_isr;

use super::error::{Error, Result};
use crate::sys::Sys;
use std::time::{Duration, Instant};

/// Between two looks at the cluster.
const POLL: Duration = Duration::from_secs(1);

/// What one look at a gate saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Glance<T> {
    Open(T),
    /// Not yet, for this reason.
    Shut(String),
}

/// Waits, and ends at once when the task is cancelled or its deadline passed.
fn pause(sys: &Sys, length: Duration, waiting_for: &str) -> Result<()> {
    let end = Instant::now() + length;
    loop {
        if sys.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let now = Instant::now();
        if sys.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Error::Gate {
                message: "the task's time is up".into(),
                seen: vec![waiting_for.to_owned()],
                help: None,
            });
        }
        if now >= end {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100).min(end - now));
    }
}

/// Names under which the inventory may know this host.
fn names_of_host() -> Vec<String> {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .into_iter()
        .collect()
}

/// Seconds as a playbook writes them.
fn seconds(given: Option<u64>, default: u64) -> Duration {
    Duration::from_secs(given.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_cancelled_wait_ends_at_once() {
        let sys = Sys::host().with_cancel(Arc::new(AtomicBool::new(true)));
        let begun = Instant::now();
        assert!(matches!(
            pause(&sys, Duration::from_secs(60), ""),
            Err(Error::Cancelled)
        ));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_deadline_ends_a_wait_and_says_what_was_waited_for() {
        let sys = Sys::host().with_deadline(Some(Duration::from_millis(10)));
        let error = pause(&sys, Duration::from_secs(60), "3 replicas missing").unwrap_err();
        assert!(matches!(error, Error::Gate { seen, .. } if seen == ["3 replicas missing"]));
    }
}
