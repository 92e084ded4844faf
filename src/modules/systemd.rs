//! `systemd`: turns a unit and the wish for it into the systemctl calls that bring it about.

mod files;
mod installed;
mod look;
pub(in crate::modules) mod rehearsed;
pub mod unit;

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome, guarded, tool};
use crate::sys::Sys;
use crate::sys::process::Output;
use files::is_stale;
use nix::time::{ClockId, clock_gettime};
pub use rehearsed::noted;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use unit::{State, Step, Unit, Wish};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    masked: Option<bool>,
    #[serde(default)]
    daemon_reload: bool,
    #[serde(default)]
    daemon_reexec: bool,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    no_block: bool,
    #[serde(default)]
    force: bool,
    /// krun's own: see [`Systemd::unless_restarted_since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<u64>,
}

pub(super) const STATE: Arg = Arg::new(
    "state",
    ArgKind::Str,
    "started, stopped, or now: restarted, reloaded",
)
.choices(&["started", "stopped", "restarted", "reloaded"]);
pub(super) const ENABLED: Arg =
    Arg::new("enabled", ArgKind::Bool, "whether it starts with the host");

/// The calls that are to be made.
#[derive(Debug)]
pub struct Change {
    reload: bool,
    reexec: bool,
    steps: Vec<Step>,
}

impl Module for Systemd {
    const NAME: &'static str = "systemd";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the unit; `.service` may be left out")
            .aliases(&["service", "unit"]),
        STATE,
        ENABLED,
        Arg::new("masked", ArgKind::Bool, "whether it cannot be started at all"),
        Arg::new(
            "daemon_reload",
            ArgKind::Bool,
            "have systemd read the unit files again first, if any is newer than its last reading (default no)",
        )
        .aliases(&["daemon-reload"]),
        Arg::new(
            "daemon_reexec",
            ArgKind::Bool,
            "have systemd start itself again first (default no)",
        )
        .aliases(&["daemon-reexec"]),
        Arg::new("scope", ArgKind::Str, "whose manager (default system)")
            .choices(&["system", "user", "global"]),
        Arg::new(
            "no_block",
            ArgKind::Bool,
            "do not wait for the unit to get there (default no)",
        ),
        Arg::new(
            "force",
            ArgKind::Bool,
            "replace links that are in the way of `enabled` (default no)",
        ),
    ];
    const DOC: &'static str = "Brings a systemd unit to a state. A stop that ended by SIGKILL is a warning, and `killed` is registered.\n\n    - systemd:\n        name: kafka-server\n        state: started\n        enabled: yes\n        daemon_reload: yes\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let Some(name) = &self.name else {
            return self.check_manager();
        };
        let unit = self.look(sys, name)?;
        let steps = self.steps(&unit)?;
        let reload = self.daemon_reload && (!steps.is_empty() || is_stale(sys, &unit));
        let mut outcome = self.registered(name, &unit);
        if steps
            .iter()
            .any(|step| matches!(step, Step::Stop | Step::Restart))
        {
            let pid = unit.property("MainPID");
            outcome.stops = guarded::clustered(sys, pid).map(str::to_owned);
            outcome.shortens = guarded::short_without(sys, pid);
        }
        if steps.is_empty() && !reload && !self.daemon_reexec {
            return Ok(Found::same(outcome));
        }
        outcome.changed = !steps.is_empty();
        if outcome.changed {
            outcome = outcome.diff(diff(name, &unit, &steps));
        }
        let change = Some(Change {
            reload,
            reexec: self.daemon_reexec,
            steps,
        });
        // Reading unit files again is never a change by itself.
        Ok(Found { change, outcome })
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        if change.reload {
            self.must(sys, &["daemon-reload"])?;
        }
        if change.reexec {
            self.must(sys, &["daemon-reexec"])?;
        }
        let Some(name) = &self.name else {
            return Ok(Outcome::new());
        };
        let (mut steps, mut before) = (change.steps, None);
        if change.reload {
            // Only now does systemd know what the unit says.
            let unit = self.look(sys, name)?;
            steps = self.steps(&unit)?;
            before = Some(unit);
        }
        let before = match before {
            Some(unit) => unit,
            None => self.look(sys, name)?,
        };
        let mut warnings = Vec::new();
        for step in &steps {
            warnings.extend(self.take(sys, name, *step, &before)?);
        }
        if steps.is_empty() {
            return Ok(self.registered(name, &before));
        }
        let after = self.look(sys, name)?;
        let mut outcome = self.registered(name, &after).changed();
        outcome = outcome.diff(diff(name, &before, &steps));
        if !warnings.is_empty() {
            outcome = outcome.with("killed", true);
        }
        outcome.warnings = warnings;
        Ok(outcome)
    }

    fn rehearse(&self, sys: &Sys, change: Change, _: Outcome) -> Result<Outcome, Error> {
        let Some(name) = &self.name else {
            return Ok(Outcome::new());
        };
        let before = self.look(sys, name)?;
        for step in &change.steps {
            self.foresee(sys, name, *step)?;
        }
        let outcome = self.registered(name, &self.look(sys, name)?);
        if change.steps.is_empty() {
            return Ok(outcome);
        }
        Ok(outcome.changed().diff(diff(name, &before, &change.steps)))
    }
}

/// The clock by which systemd tells when something began.
fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

impl Systemd {
    /// A unit of the system, for `service`.
    pub fn of_system(name: &str, state: Option<State>, enabled: Option<bool>) -> Self {
        Self {
            name: Some(name.into()),
            state,
            enabled,
            ..Self::default()
        }
    }

    fn wish(&self) -> Wish {
        Wish {
            state: self.state,
            enabled: self.enabled,
            masked: self.masked,
        }
    }

    /// Leaves a restart out where the unit's process is younger than an earlier try, which began at this second of the
    /// host's clock: then that one has done it. Says whether this is a restart.
    pub(super) fn unless_restarted_since(&mut self, began: u64) -> bool {
        self.began = Some(began);
        self.state == Some(State::Restarted)
    }

    fn steps(&self, unit: &Unit) -> Result<Vec<Step>, Error> {
        let mut steps = unit.steps(self.wish())?;
        if let (Some(began), Some(age)) = (self.began, unit.age(monotonic())) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let started = now.unwrap_or_default().saturating_sub(age).as_secs();
            // Both are rounded: what is as old as the try may be what it was to replace.
            if started > began + 1 {
                steps.retain(|step| *step != Step::Restart);
            }
        }
        Ok(steps)
    }

    pub(super) fn stops(&self) -> bool {
        matches!(self.state, Some(State::Stopped | State::Restarted))
    }

    fn check_manager(&self) -> Result<Found<Change>, Error> {
        if self.wish() != Wish::default() {
            return Err(Error::new("`name` is missing: which unit is meant"));
        }
        if !self.daemon_reload && !self.daemon_reexec {
            return Err(Error::new(
                "nothing to do: neither `name` nor `daemon_reload` is given",
            ));
        }
        let change = Some(Change {
            reload: self.daemon_reload,
            reexec: self.daemon_reexec,
            steps: Vec::new(),
        });
        let outcome = Outcome::new();
        Ok(Found { change, outcome })
    }

    /// Makes one call and returns a warning if it ended a process by KILL.
    fn take(&self, sys: &Sys, name: &str, step: Step, before: &Unit) -> Result<Vec<String>, Error> {
        let (begin, since) = (Instant::now(), jiff::Timestamp::now());
        sys.progress(&format!("systemctl {} {name}", step.verb()));
        let mut words = vec![step.verb()];
        if self.no_block {
            words.push("--no-block");
        }
        if self.force && step == Step::Enable {
            words.push("--force");
        }
        words.push(name);
        let output = self.ask(sys, &words)?;
        if !output.success() {
            return Err(self.failed(sys, name, step, &output));
        }
        if !step.stops() || self.no_block {
            return Ok(Vec::new());
        }
        let why = if step == Step::Stop {
            Unit::parse(&self.ask(sys, &["show", name])?.stdout).killed()
        } else {
            // A new start wipes what the unit says of its last end; the journal keeps it.
            let late = before.stop_timeout().is_some_and(|t| begin.elapsed() >= t);
            (late && journal_tells_of_kill(sys, name, since)).then(|| {
                let limit = before.property("TimeoutStopUSec");
                format!("it did not stop within TimeoutStopSec ({limit}) and was ended by SIGKILL")
            })
        };
        let warning = |why| format!("the stop of `{name}` was not clean: {why}");
        Ok(why.map(warning).into_iter().collect())
    }

    fn failed(&self, sys: &Sys, name: &str, step: Step, output: &Output) -> Error {
        let mut error = tool::failure(&["systemctl", step.verb(), name], output);
        if !matches!(step, Step::Start | Step::Restart | Step::Reload) {
            return error;
        }
        let mut argv = vec!["journalctl", "--no-pager", "-o", "cat", "-n", "10"];
        if self.scope.as_deref() == Some("user") {
            argv.push("--user");
        }
        argv.extend(["-u", name]);
        let journal = tool::ask(sys, &argv).map(|output| output.stdout);
        let journal = journal.unwrap_or_default();
        if journal.trim().is_empty() {
            return error.help(format!("`journalctl -u {name}` may say more"));
        }
        for line in journal.trim_end().lines() {
            error = error.because(format!("journal: {line}"));
        }
        error
    }

    fn must(&self, sys: &Sys, words: &[&str]) -> Result<(), Error> {
        let output = self.ask(sys, words)?;
        if output.success() {
            return Ok(());
        }
        let argv: Vec<&str> = std::iter::once("systemctl")
            .chain(words.iter().copied())
            .collect();
        Err(tool::failure(&argv, &output))
    }

    fn registered(&self, name: &str, unit: &Unit) -> Outcome {
        let mut outcome = Outcome::new()
            .with("name", name)
            .with("status", unit.status());
        if let Some(enabled) = self.enabled.or_else(|| unit.is_enabled()) {
            outcome = outcome.with("enabled", enabled);
        }
        let state = match self.state {
            Some(State::Stopped) => Some("stopped"),
            Some(_) => Some("started"),
            None => None,
        };
        match state {
            Some(state) => outcome.with("state", state),
            None => outcome,
        }
    }
}

fn diff(name: &str, unit: &Unit, steps: &[Step]) -> Diff {
    let mut diff = Diff::new(format!("unit {name}"));
    for step in steps {
        let (attribute, after) = match step {
            Step::Unmask => ("masked", "no"),
            Step::Mask => ("masked", "yes"),
            Step::Enable => ("enabled", "enabled"),
            Step::Disable => ("enabled", "disabled"),
            Step::Start => ("state", "active"),
            Step::Stop => ("state", "inactive"),
            Step::Restart => ("state", "restarted"),
            Step::Reload => ("state", "reloaded"),
        };
        let before = match attribute {
            "masked" if unit.is_masked() => "yes",
            "masked" => "no",
            "enabled" => unit.property("UnitFileState"),
            _ => unit.property("ActiveState"),
        };
        diff = diff.attribute(attribute, Some(before.into()), Some(after.into()));
    }
    diff
}

fn journal_tells_of_kill(sys: &Sys, name: &str, since: jiff::Timestamp) -> bool {
    let since = format!("--since=@{}", since.as_second());
    let argv = ["journalctl", "--no-pager", "-o", "cat", "-u", name, &since];
    tool::ask(sys, &argv).is_ok_and(|output| {
        output.stdout.contains("status=9/KILL") || output.stdout.contains("with signal SIGKILL")
    })
}

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod tests;
