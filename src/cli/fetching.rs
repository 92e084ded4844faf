//! Turns `krun.yml` and `krun.lock` into how the bytes are fetched that playbooks name.

use super::config::{self, Config};
use super::settings::Machine;
use crate::artifacts::{Fetching, Lock, Via};
use crate::diag::{Diagnostic, Diagnostics};
use std::path::PathBuf;

/// How a run fetches; `is_locked`: only what `krun.lock` has.
pub(super) fn fetching(
    is_locked: bool,
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Fetching {
    let config = config::read(machine, diagnostics);
    let mut fetching = configured(&config, machine);
    if is_locked {
        fetching.lock = lock(machine, diagnostics);
    }
    fetching
}

/// How a rehearsal fetches: its hosts reach nothing but the lab, and a lock that is there counts.
pub(super) fn rehearsed(
    is_locked: bool,
    config: &Config,
    reached: Vec<String>,
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Fetching {
    let mut fetching = configured(config, machine);
    fetching.via = Via::Controller;
    fetching.trusts_cache = true;
    fetching.reached = reached;
    if is_locked || lock_file(machine).exists() {
        fetching.lock = lock(machine, diagnostics);
    }
    fetching
}

/// What the settings say of it.
pub(super) fn configured(config: &Config, machine: &Machine) -> Fetching {
    let mut fetching = Fetching::new(machine.cache().join("artifacts"));
    fetching.via = config.via;
    fetching.mirrors.clone_from(&config.mirrors);
    fetching
}

/// `krun.lock` of the current directory.
pub(super) fn lock_file(machine: &Machine) -> PathBuf {
    machine.cwd.join("krun.lock")
}

fn lock(machine: &Machine, diagnostics: &mut Diagnostics) -> Option<Lock> {
    let lock = Lock::read(&lock_file(machine));
    lock.map_err(|error| diagnostics.push(Diagnostic::global(error.to_string())))
        .ok()
}
