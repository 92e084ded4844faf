//! `service`: turns a wish for a service into systemctl calls, or into the host's older `service` command.

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::systemd::unit::State;
use super::systemd::{self, Systemd};
use super::{Error, Found, Module, Nature, Outcome, tool, words};
use crate::sys::Sys;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    name: String,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    sleep: Option<u64>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    runlevel: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default, rename = "use")]
    backend: Option<String>,
    /// krun's own: see [`Systemd::unless_restarted_since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<u64>,
}

impl Service {
    /// As [`Systemd::unless_restarted_since`]; without systemd nobody can tell, and it is restarted.
    pub(super) fn unless_restarted_since(&mut self, began: u64) -> bool {
        self.began = Some(began);
        self.state == Some(State::Restarted)
    }
}

/// What is to be done, by which of the two.
#[derive(Debug)]
pub enum Change {
    Systemd(Systemd, systemd::Change),
    /// Actions of the `service` command, and whether the service shall be enabled.
    Script(Vec<&'static str>, Option<bool>),
}

impl Module for Service {
    const NAME: &'static str = "service";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the service").required(),
        systemd::STATE,
        systemd::ENABLED,
        Arg::new(
            "sleep",
            ArgKind::Int,
            "seconds between stop and start of a restart, without systemd",
        ),
        Arg::new(
            "pattern",
            ArgKind::Str,
            "a text in the process list that means it runs, without systemd",
        ),
        Arg::new("runlevel", ArgKind::Str, "accepted, without effect"),
        Arg::new(
            "arguments",
            ArgKind::Str,
            "further words for the service command, without systemd",
        )
        .aliases(&["args"]),
        Arg::new("use", ArgKind::Str, "accepted: krun finds out by itself"),
    ];
    const DOC: &'static str = "Brings a service to a state, by whatever starts services on the host.\n\n    - service:\n        name: chronyd\n        state: started\n        enabled: yes\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        if self.state.is_none() && self.enabled.is_none() {
            return Err(Error::new("neither `state` nor `enabled` is given"));
        }
        if sys
            .exists(Path::new("/run/systemd/system"))
            .unwrap_or(false)
        {
            let mut module = Systemd::of_system(&self.name, self.state, self.enabled);
            if let Some(began) = self.began {
                module.unless_restarted_since(began);
            }
            let found = module.check(sys)?;
            return Ok(Found {
                change: found.change.map(|change| Change::Systemd(module, change)),
                outcome: found.outcome,
            });
        }
        self.check_script(sys)
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let (actions, enable) = match change {
            Change::Systemd(module, change) => return module.apply(sys, change),
            Change::Script(actions, enable) => (actions, enable),
        };
        if let Some(enable) = enable {
            self.set_enabled(sys, enable)?;
        }
        for action in actions {
            if action == "restart"
                && let Some(seconds) = self.sleep
            {
                self.call(sys, "stop")?;
                let paused = sys.pause(Duration::from_secs(seconds));
                paused.map_err(|error| Error::new("stopped, not started again").because(error))?;
                self.call(sys, "start")?;
            } else {
                self.call(sys, action)?;
            }
        }
        Ok(self.registered().changed())
    }

    fn rehearse(&self, sys: &Sys, change: Change, seen: Outcome) -> Result<Outcome, Error> {
        match change {
            Change::Systemd(module, change) => module.rehearse(sys, change, seen),
            // What a script does, only it knows.
            Change::Script(..) => Ok(seen),
        }
    }
}

impl Service {
    pub(super) fn stops(&self) -> bool {
        matches!(self.state, Some(State::Stopped | State::Restarted))
    }

    fn check_script(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let script = Path::new("/etc/init.d").join(&self.name);
        if !sys.exists(&script).unwrap_or(false) {
            let error = Error::new(format!("no service `{}` on this host", self.name));
            return Err(error.help("systemd does not run here, and /etc/init.d has no such script"));
        }
        let is_running = match &self.pattern {
            Some(pattern) => tool::must(sys, &["ps", "-ww", "-eo", "args"])?
                .stdout
                .lines()
                .any(|line| line.contains(pattern.as_str())),
            None => tool::ask(sys, &["service", &self.name, "status"])?.success(),
        };
        let is_enabled = words::exists(sys, &format!("/etc/rc[2345].d/S??{}", self.name));
        let actions = match self.state {
            Some(State::Started | State::Restarted | State::Reloaded) if !is_running => {
                vec!["start"]
            }
            Some(State::Stopped) if is_running => vec!["stop"],
            Some(State::Restarted) => vec!["restart"],
            Some(State::Reloaded) => vec!["reload"],
            _ => Vec::new(),
        };
        let enable = self.enabled.filter(|wish| *wish != is_enabled);
        if actions.is_empty() && enable.is_none() {
            return Ok(Found::same(self.registered()));
        }
        let word = |flag: bool| Some(Value::from(if flag { "enabled" } else { "disabled" }));
        let mut diff = Diff::new(format!("service {}", self.name));
        if let Some(enable) = enable {
            diff = diff.attribute("enabled", word(is_enabled), word(enable));
        }
        if let (Some(state), false) = (self.state, actions.is_empty()) {
            let before = if is_running { "started" } else { "stopped" };
            diff = diff.attribute("state", Some(before.into()), Some(state.word().into()));
        }
        let outcome = self.registered().diff(diff);
        Ok(Found::change(Change::Script(actions, enable), outcome))
    }

    fn call(&self, sys: &Sys, action: &str) -> Result<(), Error> {
        let mut argv = vec!["service", &self.name, action];
        argv.extend(
            self.arguments
                .iter()
                .flat_map(|words| words.split_whitespace()),
        );
        tool::must(sys, &argv).map(drop)
    }

    fn set_enabled(&self, sys: &Sys, enable: bool) -> Result<(), Error> {
        let name = self.name.as_str();
        let verb = if enable { "enable" } else { "disable" };
        if sys.program("update-rc.d").is_some() {
            if enable {
                tool::must(sys, &["update-rc.d", name, "defaults"])?;
            }
            tool::must(sys, &["update-rc.d", name, verb]).map(drop)
        } else if sys.program("chkconfig").is_some() {
            let flag = if enable { "on" } else { "off" };
            tool::must(sys, &["chkconfig", name, flag]).map(drop)
        } else {
            Err(Error::new(format!("cannot {verb} `{name}`"))
                .because("the host has neither systemd nor update-rc.d nor chkconfig"))
        }
    }

    fn registered(&self) -> Outcome {
        let mut outcome = Outcome::new().with("name", self.name.as_str());
        if let Some(enabled) = self.enabled {
            outcome = outcome.with("enabled", enabled);
        }
        match self.state {
            Some(State::Stopped) => outcome.with("state", "stopped"),
            Some(_) => outcome.with("state", "started"),
            None => outcome,
        }
    }
}
