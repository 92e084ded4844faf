//! Turns what `systemctl show` prints into a unit, and a unit and a wish into the steps between them.

use crate::modules::Error;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a user wants a unit to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Reloaded => "reloaded",
        }
    }
}

/// What a user wants of a unit; `None` is "as it is".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    pub state: Option<State>,
    pub enabled: Option<bool>,
    pub masked: Option<bool>,
}

/// One call of systemctl. They run in the order of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Unmask,
    Mask,
    Enable,
    Disable,
    Start,
    Stop,
    Restart,
    Reload,
}

impl Step {
    pub fn verb(self) -> &'static str {
        match self {
            Self::Unmask => "unmask",
            Self::Mask => "mask",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }

    /// Whether the step may end the unit's main process.
    pub fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::Restart)
    }
}

/// A unit as systemd knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    properties: Vec<(String, String)>,
}

impl Unit {
    /// Reads `NAME=value` lines; a line that is none continues the value before it.
    pub fn parse(text: &str) -> Self {
        let mut properties: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            let pair = line.split_once('=').filter(|(name, _)| {
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
            match (pair, properties.last_mut()) {
                (Some((name, value)), _) => properties.push((name.into(), value.into())),
                (None, Some((_, value))) => {
                    value.push('\n');
                    value.push_str(line);
                }
                (None, None) => {}
            }
        }
        Self { properties }
    }

    /// A unit that systemd has not read yet: there, never started, not enabled.
    pub fn unread(name: &str) -> Self {
        let fixed = [
            ("Id", name),
            ("LoadState", "loaded"),
            ("ActiveState", "inactive"),
            ("SubState", "dead"),
            ("UnitFileState", "disabled"),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            properties: fixed.into(),
        }
    }

    /// Returns a property, or an empty text.
    pub fn property(&self, name: &str) -> &str {
        let found = self.properties.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.properties.retain(|(known, _)| known != name);
        self.properties.push((name.into(), value.into()));
    }

    pub fn is_found(&self) -> bool {
        !matches!(self.property("LoadState"), "not-found" | "")
    }

    pub fn is_masked(&self) -> bool {
        self.property("LoadState") == "masked"
            || self.property("UnitFileState").starts_with("masked")
    }

    /// Running, or on the way there: what Ansible calls running.
    pub fn is_running(&self) -> bool {
        matches!(
            self.property("ActiveState"),
            "active" | "activating" | "reloading" | "refreshing"
        )
    }

    /// How long its main process has run, at that time of the monotonic clock; `None` where none does.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let has_process = !matches!(self.property("MainPID"), "" | "0");
        let since = self.property("ExecMainStartTimestampMonotonic").parse();
        let since = Duration::from_micros(since.ok().filter(|_| has_process)?);
        now.checked_sub(since)
    }

    /// Whether it starts with the host; `None` where its file cannot say (static units, generated ones).
    /// As `systemctl is-enabled`, which Ansible asks, does: a unit that is only linked is not enabled.
    pub fn is_enabled(&self) -> Option<bool> {
        match self.property("UnitFileState") {
            "enabled" | "enabled-runtime" => Some(true),
            "disabled" | "indirect" | "alias" | "linked" | "linked-runtime" | "masked"
            | "masked-runtime" => Some(false),
            _ => None,
        }
    }

    /// How long systemd waits for its end before it sends KILL; `None` is for ever.
    pub fn stop_timeout(&self) -> Option<Duration> {
        duration(self.property("TimeoutStopUSec"))
    }

    /// Returns why its last end was no clean one, if KILL or the stop timeout made it.
    pub fn killed(&self) -> Option<String> {
        let by_kill =
            self.property("ExecMainCode") == "2" && self.property("ExecMainStatus") == "9";
        let timed_out = self.property("Result") == "timeout";
        if !by_kill && !timed_out {
            return None;
        }
        let limit = self.property("TimeoutStopUSec");
        Some(if timed_out {
            format!("it did not stop within TimeoutStopSec ({limit}) and was ended by SIGKILL")
        } else {
            "its main process was ended by SIGKILL".into()
        })
    }

    /// Returns the steps from here to the wish, in their order.
    pub fn steps(&self, wish: Wish) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut is_masked = self.is_masked();
        match wish.masked {
            Some(true) if !is_masked => steps.push(Step::Mask),
            Some(false) if is_masked => steps.push(Step::Unmask),
            _ => {}
        }
        is_masked = wish.masked.unwrap_or(is_masked);
        let wants_more = wish.enabled == Some(true)
            || matches!(wish.state, Some(state) if state != State::Stopped);
        if is_masked && wants_more {
            let error = Error::new(format!("unit `{}` is masked", self.property("Id")));
            return Err(error.help("`masked: false` unmasks it"));
        }
        match (wish.enabled, self.is_enabled()) {
            (Some(true), Some(false)) => steps.push(Step::Enable),
            (Some(false), Some(true)) if !is_masked => steps.push(Step::Disable),
            _ => {}
        }
        let is_stopping = self.property("ActiveState") == "deactivating";
        match wish.state {
            Some(State::Started) if !self.is_running() => steps.push(Step::Start),
            Some(State::Stopped) if self.is_running() || is_stopping => steps.push(Step::Stop),
            Some(State::Restarted) if self.is_running() => steps.push(Step::Restart),
            Some(State::Reloaded) if self.is_running() => steps.push(Step::Reload),
            Some(State::Restarted | State::Reloaded) => steps.push(Step::Start),
            _ => {}
        }
        Ok(steps)
    }

    /// Returns all properties, for `register`.
    pub fn status(&self) -> Mapping {
        let entries = self.properties.iter();
        entries
            .map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())))
            .collect()
    }
}

/// Reads a time span as systemd prints it: `1min 30s`, `5min`, `infinity`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for word in text.split_whitespace() {
        let unit = word.find(|c: char| c.is_ascii_alphabetic())?;
        let n: f64 = word[..unit].parse().ok()?;
        let seconds = match &word[unit..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "month" => 2_629_800.0,
            "y" => 31_557_600.0,
            _ => return None,
        };
        total += Duration::from_secs_f64(n * seconds);
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_as_old_as_its_start_and_none_has_no_age() {
        let unit = |pid: &str| {
            Unit::parse(&format!(
                "MainPID={pid}\nExecMainStartTimestampMonotonic=7000000\n"
            ))
        };
        let now = Duration::from_secs(10);
        assert_eq!(unit("42").age(now), Some(Duration::from_secs(3)));
        assert_eq!(unit("0").age(now), None);
        assert_eq!(Unit::default().age(now), None);
    }

    const RUNNING: &str = "Id=kafka-server.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\
        MainPID=4711\nUnitFileState=enabled\nTimeoutStopUSec=1min 30s\nResult=success\nExecMainCode=0\nExecMainStatus=0\n\
        ExecStart={ path=/bin/sh ; argv[]=/bin/sh -c echo a=b\n; }\n";

    fn unit(changes: &[(&str, &str)]) -> Unit {
        let mut unit = Unit::parse(RUNNING);
        for (name, value) in changes {
            unit.set(name, value);
        }
        unit
    }

    fn state(state: State) -> Wish {
        Wish {
            state: Some(state),
            ..Wish::default()
        }
    }

    #[test]
    fn properties_are_read_and_values_may_have_several_lines() {
        let unit = unit(&[]);
        assert_eq!(unit.property("MainPID"), "4711");
        assert!(unit.property("ExecStart").ends_with("a=b\n; }"));
        assert_eq!(unit.stop_timeout(), Some(Duration::from_secs(90)));
        assert_eq!(unit.status()["SubState"], "running");
    }

    #[test]
    fn a_unit_as_wished_needs_no_step() {
        let wish = Wish {
            state: Some(State::Started),
            enabled: Some(true),
            masked: Some(false),
        };
        assert_eq!(unit(&[]).steps(wish).unwrap(), []);
        let starting = unit(&[("ActiveState", "activating")]);
        assert_eq!(starting.steps(wish).unwrap(), []);
        let failed = unit(&[("ActiveState", "failed")]);
        assert_eq!(failed.steps(state(State::Stopped)).unwrap(), []);
    }

    #[test]
    fn a_masked_disabled_unit_is_unmasked_enabled_and_started_in_this_order() {
        let down = unit(&[
            ("LoadState", "masked"),
            ("ActiveState", "inactive"),
            ("UnitFileState", "masked"),
        ]);
        let mut wish = Wish {
            state: Some(State::Started),
            enabled: Some(true),
            masked: Some(false),
        };
        assert_eq!(
            down.steps(wish).unwrap(),
            [Step::Unmask, Step::Enable, Step::Start]
        );
        wish.masked = None;
        let error = down.steps(wish).unwrap_err();
        assert_eq!(error.message, "unit `kafka-server.service` is masked");
    }

    #[test]
    fn a_restart_of_a_stopped_unit_is_a_start() {
        let down = unit(&[("ActiveState", "inactive")]);
        for wish in [State::Restarted, State::Reloaded, State::Started] {
            assert_eq!(down.steps(state(wish)).unwrap(), [Step::Start]);
        }
        let up = unit(&[]);
        let steps = up.steps(state(State::Restarted)).unwrap();
        assert_eq!(steps, [Step::Restart]);
        assert_eq!(up.steps(state(State::Stopped)).unwrap(), [Step::Stop]);
        let ending = unit(&[("ActiveState", "deactivating")]);
        assert_eq!(ending.steps(state(State::Stopped)).unwrap(), [Step::Stop]);
    }

    #[test]
    fn a_static_unit_is_neither_enabled_nor_disabled() {
        let fixed = unit(&[("UnitFileState", "static")]);
        for enabled in [true, false] {
            let wish = Wish {
                enabled: Some(enabled),
                ..Wish::default()
            };
            assert_eq!(fixed.steps(wish).unwrap(), []);
        }
    }

    #[test]
    fn an_end_by_kill_is_told_from_a_clean_one() {
        assert_eq!(unit(&[]).killed(), None);
        let clean = unit(&[("ExecMainCode", "1"), ("ExecMainStatus", "143")]);
        assert_eq!(clean.killed(), None);
        let late = unit(&[
            ("Result", "timeout"),
            ("ExecMainCode", "2"),
            ("ExecMainStatus", "9"),
        ]);
        assert!(late.killed().unwrap().contains("TimeoutStopSec (1min 30s)"));
        let killed = unit(&[("ExecMainCode", "2"), ("ExecMainStatus", "9")]);
        assert!(killed.killed().unwrap().contains("SIGKILL"));
    }

    #[test]
    fn time_spans_read_as_systemd_writes_them() {
        assert_eq!(duration("5min"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1min 30.5s"), Some(Duration::from_millis(90_500)));
        assert_eq!(duration("infinity"), None);
        assert_eq!(duration(""), None);
    }
}
