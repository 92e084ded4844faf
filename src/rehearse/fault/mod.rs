//! Turns wishes for trouble into runs in which something breaks at a task, goes on, and has to end as if nothing had been.
//!
//! `choose` says where, `strike` breaks and mends, `drive` starts krun as a program of its own and watches it, `trial`
//! tells one such run from lab to verdict, `matrix` all of them, and keeps what is done.

pub mod choose;
pub mod drive;
mod ending;
pub mod judge;
pub mod matrix;
pub mod state;
pub mod strike;
pub mod trial;

use super::work::Phase;
use crate::event::At;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    KillHost,
    FreezeHost,
    KillController,
    FreezeController,
    KillSsh,
    FreezeSsh,
    KillBroker,
    FreezeBroker,
    FillDisk,
    DelayNetwork,
    CutNetwork,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::KillHost,
        Self::FreezeHost,
        Self::KillController,
        Self::FreezeController,
        Self::KillSsh,
        Self::FreezeSsh,
        Self::KillBroker,
        Self::FreezeBroker,
        Self::FillDisk,
        Self::DelayNetwork,
        Self::CutNetwork,
    ];

    /// The user's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillHost => "kill-host",
            Self::FreezeHost => "freeze-host",
            Self::KillController => "kill-controller",
            Self::FreezeController => "freeze-controller",
            Self::KillSsh => "kill-ssh",
            Self::FreezeSsh => "freeze-ssh",
            Self::KillBroker => "kill-broker",
            Self::FreezeBroker => "freeze-broker",
            Self::FillDisk => "fill-disk",
            Self::DelayNetwork => "delay-network",
            Self::CutNetwork => "cut-network",
        }
    }

    /// Whether it may end the host's broker.
    pub fn takes_broker(self) -> bool {
        !matches!(
            self,
            Self::KillController | Self::FreezeController | Self::KillSsh | Self::FreezeSsh
        )
    }

    /// Whether it goes on until it is taken away.
    pub fn lasts(self) -> bool {
        !matches!(
            self,
            Self::KillController | Self::KillSsh | Self::KillBroker
        )
    }

    /// Whether the host's broker is as good as down while it lasts, whatever is seen of its process.
    pub fn hides_broker(self) -> bool {
        matches!(
            self,
            Self::KillHost | Self::FreezeHost | Self::FreezeBroker | Self::CutNetwork
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no fault `{text}`; there are: all, random, {names}")
        })
    }
}

/// What the user asked for with `--fault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Every task of the rolling plays × every kind.
    All,
    /// So many, anywhere.
    Random(usize),
    /// `KIND[:HOST][@TASK[+SECONDS]]`; what is left out is chosen at random.
    One {
        kind: Kind,
        host: Option<String>,
        /// Its name, a part of it, or `FILE:LINE`.
        task: Option<String>,
        /// From the beginning of the task, in milliseconds.
        after: u64,
    },
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(count) = text.strip_prefix("random") {
            let count = count.strip_prefix(':').unwrap_or("1");
            return match count.parse() {
                Ok(count) if count > 0 => Ok(Self::Random(count)),
                _ => Err(format!("`{text}` is not `random` or `random:N`")),
            };
        }
        let (place, task) = match text.split_once('@') {
            Some((place, task)) => (place, Some(task)),
            None => (text, None),
        };
        let (kind, host) = match place.split_once(':') {
            Some((kind, host)) => (kind, Some(host)),
            None => (place, None),
        };
        if task.is_some_and(str::is_empty) || host.is_some_and(str::is_empty) {
            return Err(format!("`{text}` is not `KIND[:HOST][@TASK[+SECONDS]]`"));
        }
        let (task, after) = task.map_or((None, 0), |task| {
            let (task, after) = later(task).unwrap_or((task, 0));
            (Some(task), after)
        });
        Ok(Self::One {
            kind: kind.parse()?,
            host: host.map(str::to_owned),
            task: task.map(str::to_owned),
            after,
        })
    }
}

/// `TASK+2.5`: some time after it began.
fn later(task: &str) -> Option<(&str, u64)> {
    let (task, seconds) = task.rsplit_once('+')?;
    let after = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    let after = u64::try_from(after.as_millis()).ok()?;
    (!task.is_empty()).then_some((task, after))
}

/// What breaks, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: Kind,
    /// Which host it is about; the controller's and the connection's, too.
    pub host: String,
    pub task: String,
    pub at: At,
    /// Whether the host does that task; if not, the first host to begin it gives the sign.
    pub is_its_own: bool,
    /// From the beginning of the task, in milliseconds.
    pub after: u64,
}

impl Fault {
    /// What `--fault` wants for exactly this one.
    pub fn wish(&self) -> String {
        let file = self.at.file.rsplit('/').next().unwrap_or_default();
        let mut wish = format!("{}:{}@{file}:{}", self.kind, self.host, self.at.line);
        if self.after > 0 {
            let _ = write!(
                wish,
                "+{:.3}",
                Duration::from_millis(self.after).as_secs_f64()
            );
        }
        wish
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at `{}` on {}", self.kind, self.task, self.host)
    }
}

/// What the run without a fault left, which every other must come to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reference {
    /// Every task on every host, in order.
    pub places: Vec<Place>,
    pub state: state::States,
    /// What changes by itself.
    pub unsteady: state::Unsteady,
    /// Whether a second run had nothing to do, in words.
    pub second_run: String,
    /// How many brokers ran before the playbook.
    #[serde(default)]
    pub brokers: usize,
}

/// A task on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub host: String,
    pub task: String,
    pub at: At,
    /// How long it took, in milliseconds.
    pub took: u64,
    pub changed: bool,
    /// Whether it belongs to a play that takes its hosts in batches.
    pub rolling: bool,
}

/// The places of a run: where something can break.
pub fn places(run: &Phase) -> Vec<Place> {
    use crate::event::Status;
    let rolling = |play| {
        let mut batches = run.batches.iter().filter(|batch| batch.play == play);
        batches.any(|batch| !batch.hosts.is_empty() && batch.hosts.len() < batch.of)
    };
    run.works
        .iter()
        .filter(|work| !matches!(work.status, Status::Skipped | Status::Cancelled))
        .map(|work| Place {
            host: work.host.to_string(),
            task: work.task.title.clone(),
            at: work.task.at.clone(),
            took: work.milliseconds(),
            changed: work.changed(),
            rolling: rolling(work.play),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_names_a_kind_a_host_and_a_task_or_leaves_them_to_chance() {
        let one = |kind, host: Option<&str>, task: Option<&str>| Wish::One {
            kind,
            host: host.map(str::to_owned),
            task: task.map(str::to_owned),
            after: 0,
        };
        assert_eq!("all".parse(), Ok(Wish::All));
        assert_eq!("random".parse(), Ok(Wish::Random(1)));
        assert_eq!("random:7".parse(), Ok(Wish::Random(7)));
        assert_eq!("fill-disk".parse(), Ok(one(Kind::FillDisk, None, None)));
        assert_eq!(
            "kill-host:k1.foo@Stop the broker".parse(),
            Ok(one(Kind::KillHost, Some("k1.foo"), Some("Stop the broker")))
        );
        let faults = ["random:0", "kill-broker@", "burn", "kill-host:@Stop"]
            .map(|text| text.parse::<Wish>().unwrap_err());
        insta::assert_snapshot!(faults.join("\n"), @r"
        `random:0` is not `random` or `random:N`
        `kill-broker@` is not `KIND[:HOST][@TASK[+SECONDS]]`
        there is no fault `burn`; there are: all, random, kill-host, freeze-host, kill-controller, freeze-controller, kill-ssh, freeze-ssh, kill-broker, freeze-broker, fill-disk, delay-network, cut-network
        `kill-host:@Stop` is not `KIND[:HOST][@TASK[+SECONDS]]`
        ");
    }

    #[test]
    fn a_fault_that_was_chosen_says_how_to_wish_for_it() {
        let mut fault = Fault {
            kind: Kind::KillHost,
            host: "k1".to_owned(),
            task: "Stop the broker".to_owned(),
            at: At {
                file: "playbooks/roll.yml".to_owned(),
                line: 9,
                column: 7,
            },
            is_its_own: true,
            after: 0,
        };
        assert_eq!(fault.wish(), "kill-host:k1@roll.yml:9");
        fault.after = 2_540;
        assert_eq!(fault.wish(), "kill-host:k1@roll.yml:9+2.540");
        let Wish::One { task, after, .. } = fault.wish().parse().unwrap() else {
            unreachable!("it names a kind");
        };
        assert_eq!((task.as_deref(), after), (Some("roll.yml:9"), 2_540));
        let Wish::One { task, .. } = "kill-ssh@Copy a+b".parse().unwrap() else {
            unreachable!("it names a kind");
        };
        assert_eq!(task.as_deref(), Some("Copy a+b"));
    }
}
