//! `kafka_safe_to_stop`: asks all brokers again and again until one may stop, or until waiting makes no sense.

use super::{Glance, POLL, names_of_host, pause, seconds};
use crate::kafka::access::{Access, Local};
use crate::kafka::cluster::{Cluster, Metadata, view};
use crate::kafka::members::{Members, Resolved};
use crate::kafka::safety::{self, Answer, Mode, Situation, Target, Verdict};
use crate::kafka::{Error, Result, configs, hidden, listeners, reassign};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a task says about a stop.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SafeToStopArgs {
    /// Default: the broker of this host.
    #[serde(default)]
    pub broker: Option<i32>,
    /// All brokers of the inventory: ids, host names or `host:port`. Empty: not checked, with a warning.
    #[serde(default)]
    pub brokers: Vec<String>,
    #[serde(default)]
    pub mode: Mode,
    /// Patterns of topics that may lose availability.
    #[serde(default)]
    pub allow_unavailable: Vec<String>,
    /// Seconds for which all must be well. Default 10.
    #[serde(default)]
    pub stable_for: Option<u64>,
    /// Seconds for which nothing may move before the gate fails. Default 300; 0 looks once.
    #[serde(default)]
    pub stall: Option<u64>,
    #[serde(flatten)]
    pub access: Access,
}

/// A gate that opened.
#[derive(Debug, Clone, PartialEq)]
pub struct MayStop {
    pub broker: i32,
    /// It is down already; there is nothing to stop.
    pub already_down: bool,
    pub controller: Option<i32>,
    pub warnings: Vec<String>,
    pub waited: Duration,
}

/// Waits until the broker may stop.
///
/// # Errors
/// [`Error::Gate`] when the gate stays shut: at once where waiting cannot help, else after nothing moved
/// for the stall time. Settings, logins and rights that are wrong, at once. [`Error::Cancelled`].
pub fn safe_to_stop(sys: &Sys, args: &SafeToStopArgs) -> Result<MayStop> {
    let begun = Instant::now();
    let mut gate = Gate::new(sys, args)?;
    let stable_for = seconds(args.stable_for, 10);
    let stall = seconds(args.stall, 300);
    let mut safe_since: Option<Instant> = None;
    let mut best = usize::MAX;
    let mut moved = begun;
    loop {
        let text = match gate.look() {
            Ok((situation, controller)) => {
                let verdict = safety::decide(&situation);
                if verdict.safe {
                    let since = *safe_since.get_or_insert_with(Instant::now);
                    let already_down = situation.target_is == Target::Down;
                    // A broker that is down passes at once: there is nothing that could still change.
                    if already_down || since.elapsed() >= stable_for {
                        return Ok(MayStop {
                            broker: situation.target,
                            already_down,
                            controller,
                            warnings: verdict.warnings,
                            waited: begun.elapsed(),
                        });
                    }
                    format!(
                        "all in sync, holding for {} of {} s",
                        since.elapsed().as_secs(),
                        stable_for.as_secs()
                    )
                } else {
                    if safe_since.take().is_some() || verdict.weight() < best {
                        best = verdict.weight();
                        moved = Instant::now();
                    }
                    if verdict.is_final() || moved.elapsed() >= stall {
                        return Err(shut(situation.target, &verdict, stall));
                    }
                    safety::summary(&verdict.reasons)
                }
            }
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => {
                // Nobody could be asked, so nothing is known to hold.
                safe_since = None;
                if moved.elapsed() >= stall {
                    return Err(error);
                }
                error.chain()
            }
        };
        sys.progress(&format!("waiting: {text}"));
        pause(sys, POLL, &text)?;
    }
}

/// Looks once whether the broker may stop, as far as one look can tell.
///
/// # Errors
/// [`Error::Gate`] where waiting cannot help; settings, logins and rights that are wrong.
pub fn glance(sys: &Sys, args: &SafeToStopArgs) -> Result<Glance<MayStop>> {
    let begun = Instant::now();
    let mut gate = Gate::new(sys, args)?;
    let (situation, controller) = match gate.look() {
        Ok(seen) => seen,
        Err(error) if error.is_permanent() => return Err(error),
        Err(error) => return Ok(Glance::Shut(error.chain())),
    };
    let verdict = safety::decide(&situation);
    if verdict.safe {
        Ok(Glance::Open(MayStop {
            broker: situation.target,
            already_down: situation.target_is == Target::Down,
            controller,
            warnings: verdict.warnings,
            waited: begun.elapsed(),
        }))
    } else if verdict.is_final() {
        Err(shut(situation.target, &verdict, Duration::ZERO))
    } else {
        Ok(Glance::Shut(safety::summary(&verdict.reasons)))
    }
}

fn shut(target: i32, verdict: &Verdict, stall: Duration) -> Error {
    let message = if verdict.is_final() || stall.is_zero() {
        format!("broker {target} cannot be stopped safely")
    } else {
        format!(
            "broker {target} cannot be stopped safely, and nothing moved for {} s",
            stall.as_secs()
        )
    };
    Error::Gate {
        message,
        seen: verdict.reasons.iter().map(ToString::to_string).collect(),
        help: safety::way_out(&verdict.reasons),
    }
}

/// All that stays the same between looks.
struct Gate<'a> {
    sys: &'a Sys,
    args: &'a SafeToStopArgs,
    access: &'a Access,
    cluster: Cluster,
    members: Members,
    target: i32,
    /// Whether the target is the broker of this host, so that its process can be seen.
    is_local: bool,
    /// Whether hidden topics were looked for.
    is_seen_whole: bool,
    min_isr: BTreeMap<String, i32>,
    min_isr_read: Option<Instant>,
}

/// How long an answer about `min.insync.replicas` holds.
const MIN_ISR_AGE: Duration = Duration::from_secs(10);

impl<'a> Gate<'a> {
    fn new(sys: &'a Sys, args: &'a SafeToStopArgs) -> Result<Self> {
        let access = &args.access;
        let local = access.local(sys)?;
        let cluster = access.cluster(sys, &local, &args.brokers)?;
        let target = args.broker.or(local.broker_id).ok_or_else(|| {
            Error::Host("which broker is meant is not known here: set `broker`".into())
        })?;
        let is_local = local.broker_id == Some(target);
        let mut members = Members::new(&args.brokers, cluster.listener_port());
        if is_local {
            let entrance = listeners::entrance(&local.server, None)?;
            members = members.with_local(names_of_host(), entrance.addresses);
        }
        Ok(Self {
            sys,
            args,
            access,
            members,
            cluster,
            target,
            is_local,
            is_seen_whole: false,
            min_isr: BTreeMap::new(),
            min_isr_read: None,
        })
    }

    fn look(&mut self) -> Result<(Situation, Option<i32>)> {
        let local = self.access.local(self.sys)?;
        let metadata = match self.cluster.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.is_permanent() => return Err(error),
            // Nobody answers at all. Where the target runs, that is a fault to wait out; where it is down,
            // the others are too, which the rule says by name.
            Err(error)
                if self.is_local && local.running.is_none() && !self.args.brokers.is_empty() =>
            {
                let _ = error;
                Metadata::default()
            }
            Err(error) => return Err(error),
        };
        let answers = self.answers(&metadata)?;
        let target_is = self.target_state(&local, &metadata, &answers);
        let Resolved {
            expected,
            elsewhere,
        } = self
            .members
            .resolve(&self.cluster, &metadata, self.target)?;
        let mut situation = Situation {
            target: self.target,
            target_is,
            expected,
            answers,
            elsewhere,
            min_isr: BTreeMap::new(),
            reassigning: vec![],
            mode: self.args.mode,
            allow_unavailable: self.args.allow_unavailable.clone(),
        };
        let everyone_answers = situation
            .answers
            .values()
            .all(|answer| matches!(answer, Answer::View(_)));
        // The controller or a leader may be the one that is silent, and then the verdict is clear already.
        if target_is == Target::Running && everyone_answers {
            if !self.is_seen_whole {
                hidden::check(&mut self.cluster, &metadata)?;
                self.is_seen_whole = true;
            }
            situation.reassigning =
                reassign::active(&mut self.cluster, &metadata, local.ensemble().as_ref())?;
            situation.min_isr = self.min_isr(&metadata)?;
        }
        Ok((situation, metadata.controller))
    }

    /// Asks every registered broker, each at its own address.
    fn answers(&mut self, metadata: &Metadata) -> Result<BTreeMap<i32, Answer>> {
        let ids: Vec<i32> = metadata.brokers.keys().copied().collect();
        let mut answers = BTreeMap::new();
        for (id, answer) in self.cluster.with_each(&ids, |_, client| view(client)) {
            let answer = match answer {
                Ok(view) => Answer::View(view),
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => Answer::Silent(error.chain()),
            };
            answers.insert(id, answer);
        }
        Ok(answers)
    }

    fn target_state(
        &self,
        local: &Local,
        metadata: &Metadata,
        answers: &BTreeMap<i32, Answer>,
    ) -> Target {
        let registered = metadata.brokers.contains_key(&self.target);
        let silent = matches!(answers.get(&self.target), None | Some(Answer::Silent(_)));
        match (self.is_local, local.running.is_some()) {
            (true, true) if registered => Target::Running,
            (true, true) => Target::Starting,
            (false, _) if registered && !silent => Target::Running,
            (false, _) if registered => Target::Starting,
            (true, false) | (false, _) => Target::Down,
        }
    }

    fn min_isr(&mut self, metadata: &Metadata) -> Result<BTreeMap<String, i32>> {
        let is_fresh = self
            .min_isr_read
            .is_some_and(|at| at.elapsed() < MIN_ISR_AGE);
        let is_whole = metadata
            .topics
            .keys()
            .all(|topic| self.min_isr.contains_key(topic));
        if !is_fresh || !is_whole {
            self.min_isr = configs::min_isr(&mut self.cluster, metadata)?;
            self.min_isr_read = Some(Instant::now());
        }
        Ok(self.min_isr.clone())
    }
}
