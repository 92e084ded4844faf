//! Turns an action that restarts a service into one that leaves it where an earlier try has done it.

use super::Action;

impl Action {
    /// Has a restart look whether one that began at this second of the host's clock was done: then the service's process
    /// is younger. Says whether it is a restart; other actions are as they were.
    pub fn unless_restarted_since(&mut self, began: u64) -> bool {
        match self {
            Self::Systemd(task) => task.unless_restarted_since(began),
            Self::Service(task) => task.unless_restarted_since(began),
            _ => false,
        }
    }
}
