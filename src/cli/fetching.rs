//! Turns `krun.yml` and `krun.lock` into how the bytes are fetched that playbooks name.

use super::config::{self, Config};
use super::settings::Machine;
use crate::artifacts::{Fetching, Lock};
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
        let lock = Lock::read(&lock_file(machine));
        let lock = lock.map_err(|error| diagnostics.push(Diagnostic::global(error.to_string())));
        fetching.lock = lock.ok();
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
