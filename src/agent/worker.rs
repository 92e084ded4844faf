//! Runs the tasks of one lane in their order: looks, asks where something would change, applies, reports.

use crate::agent::outbox::Outbox;
use crate::agent::queue::Verdict;
use crate::agent::{Agent, faults, imagined, rehearsal};
use crate::modules::{Error, Nature, Outcome, Permission, Ran};
use crate::proto::{Due, FromAgent, JournalMark, Task};
use crate::sys::Sys;
use crate::sys::before::Keeping;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After a longer wait for its turn, a task looks at the host once more before it changes anything.
const STALE: Duration = Duration::from_secs(1);

/// How many partitions that a stop would leave short are named.
const SHOWN: usize = 4;

/// Works until the lane has nothing left to do.
pub(super) fn work(agent: &Arc<Agent>, lane: u32) {
    while let Some((task, cancel)) = agent.queue.next(lane) {
        let seq = task.seq;
        let mut turn = Turn {
            agent,
            task: &task,
            began: false,
            newly_due: Vec::new(),
            waited: None,
            broken: None,
            keeping: keeping(agent, &task),
        };
        let result = turn.run(&cancel);
        turn.end_keeping();
        turn.remember(match &result {
            Ok(Ran::Done(outcome)) => JournalMark::Ended {
                changed: outcome.changed,
            },
            Err(_) if cancel.load(Ordering::Relaxed) => JournalMark::Cancelled,
            Err(_) => JournalMark::Failed,
            Ok(Ran::Cancelled) => JournalMark::Cancelled,
        });
        match result {
            Ok(Ran::Done(outcome)) => {
                agent.queue.done(seq);
                let result = Ok(outcome);
                agent.outbox.send(FromAgent::Ended { seq, result });
            }
            Ok(Ran::Cancelled) => {
                agent.queue.done(seq);
                agent.outbox.send(FromAgent::Dropped { seq });
            }
            Err(error) => {
                // Closed before the controller can hear of it, or its answer could come too early.
                let dropped = if task.ignore_errors {
                    agent.queue.done(seq);
                    Vec::new()
                } else {
                    agent.queue.fail(&task)
                };
                let result = Err(error);
                agent.outbox.send(FromAgent::Ended { seq, result });
                agent.drop_all(dropped);
            }
        }
    }
}

/// One task, from its first look to its end.
struct Turn<'a> {
    agent: &'a Agent,
    task: &'a Task,
    began: bool,
    /// Handlers that were not due before it began.
    newly_due: Vec<Due>,
    /// Since when, and after how many changes on this host, it waits for its turn.
    waited: Option<(Instant, u64)>,
    broken: Option<Error>,
    /// Where what lies at a path is kept before the task changes it.
    keeping: Option<Arc<Keeping>>,
}

/// Check mode changes nothing.
fn keeping(agent: &Agent, task: &Task) -> Option<Arc<Keeping>> {
    let keeper = agent.sys.keeper().filter(|_| !task.check_mode)?;
    let keeping = keeper.task(task.keeps.play, &task.name, task.keeps.is_secret);
    Some(Arc::new(keeping))
}

impl Turn<'_> {
    fn run(&mut self, cancel: &Arc<AtomicBool>) -> Result<Ran, Error> {
        loop {
            if cancel.load(Ordering::Relaxed) {
                return Ok(Ran::Cancelled);
            }
            let ran = self.look_and_apply(cancel);
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            let stale = !self.began && self.must_look_again();
            self.waited = None;
            if !(stale && matches!(ran, Ok(Ran::Cancelled))) {
                return ran;
            }
        }
    }

    fn look_and_apply(&mut self, cancel: &Arc<AtomicBool>) -> Result<Ran, Error> {
        let sys = self.sys(cancel);
        if !self.task.check_mode {
            let ran = self.run_once(&sys);
            return self.agent.rehearsals.judge_live(&sys, self.task, ran);
        }
        let rehearsal = self.agent.rehearsals.begin(&sys);
        let overlay = &rehearsal.overlay;
        if sys.is_imagined() {
            imagined::assume(&sys.clone().over(Arc::clone(overlay)), self.task);
        }
        let version = overlay.version();
        let ran = match &self.task.perhaps {
            None if self.task.only_looks => {
                let sys = sys.over(overlay.fork());
                let ran = self.run_once(&sys);
                rehearsal.judge(&sys, self.task, ran)
            }
            None => {
                let sys = sys.over(Arc::clone(overlay));
                let ran = self.run_once(&sys);
                rehearsal.judge(&sys, self.task, ran)
            }
            Some(cause) => {
                let fork = overlay.fork();
                let sys = sys.over(Arc::clone(&fork));
                let ran = self.run_once(&sys);
                let ran = rehearsal.judge(&sys, self.task, ran);
                overlay.blur(&fork, cause);
                Ok(rehearsal::perhaps(cause, ran))
            }
        };
        if self.agent.memory.is_none() && overlay.version() != version {
            let (seq, layer) = (self.task.seq, rehearsal::packed(overlay)?);
            self.agent.outbox.send(FromAgent::Overlay { seq, layer });
        }
        ran
    }

    /// Notes what the task left, without which a rollback would not know what it takes away.
    fn end_keeping(&self) {
        if let Some(keeping) = &self.keeping {
            // What cannot be noted counts as unknown there.
            let _ = keeping.end(&self.agent.sys);
        }
    }

    /// Notes how a task ended that had begun, and forgets handlers that nothing was changed for.
    fn remember(&self, mark: JournalMark) {
        let Some(memory) = self.agent.memory.as_ref().filter(|_| self.began) else {
            return;
        };
        // What matters was synced at its begin.
        let _ = memory.journal.mark(self.task.seq, &self.task.name, mark);
        if matches!(
            mark,
            JournalMark::Ended { changed: false } | JournalMark::Failed
        ) {
            for due in &self.newly_due {
                let _ = memory.due.remove(due);
            }
        }
    }

    fn run_once(&mut self, sys: &Sys) -> Result<Ran, Error> {
        let task = self.task;
        if sys.is_imagined() {
            return faults::caught(|| {
                imagined::run(task, sys, &mut |outcome| self.permission(sys, outcome))
            });
        }
        let other = task.identity.as_ref();
        match other.filter(|identity| identity.user != self.agent.user) {
            None => faults::caught(|| {
                task.action
                    .run(sys, &mut |outcome| self.permission(sys, outcome))
            }),
            Some(identity) if self.is_only_planned(sys, &identity.user) => {
                if task.action.nature() != Nature::Look {
                    sys.leave_unknown();
                }
                Ok(Ran::Done(Outcome {
                    unknown: Some(format!(
                        "user `{}` is not there yet: what is done as that user cannot be tried",
                        identity.user
                    )),
                    ..Outcome::new()
                }))
            }
            Some(identity) => {
                let child = self.agent.children.of(identity)?;
                child.run(task, sys, &mut |outcome| self.permission(sys, outcome))
            }
        }
    }

    /// Whether a user is one that a task before would make.
    fn is_only_planned(&self, sys: &Sys, user: &str) -> bool {
        let has = |sys: &Sys| sys.user_named(user).is_ok_and(|found| found.is_some());
        sys.overlay().is_some() && has(sys) && !has(&self.agent.sys)
    }

    fn sys(&self, cancel: &Arc<AtomicBool>) -> Sys {
        let seq = self.task.seq;
        let outbox: Outbox = self.agent.outbox.clone();
        let progress = move |text: &str| {
            let text = text.to_owned();
            outbox.send(FromAgent::Progress { seq, text });
        };
        let sys = self
            .agent
            .sys
            .clone()
            .with_cancel(Arc::clone(cancel))
            .with_progress(Arc::new(progress))
            .with_deadline(self.task.deadline.map(Duration::from_secs))
            .with_environment(self.task.environment.clone())
            .keeping(self.keeping.clone());
        if self.task.origins.is_empty() {
            return sys;
        }
        let supply = self
            .agent
            .supplies
            .supply(seq, &self.agent.outbox, sys.clone());
        sys.with_origins(&self.task.origins, supply)
    }

    /// Answers a module that found something to do.
    fn permission(&mut self, sys: &Sys, outcome: &Outcome) -> Permission {
        if self.task.check_mode {
            return Permission::OnlyShow;
        }
        let seq = self.task.seq;
        let verdict = self.agent.queue.verdict(seq).unwrap_or_else(|| {
            self.waited = Some((Instant::now(), self.agent.changes.load(Ordering::SeqCst)));
            let outcome = outcome.clone();
            self.agent.outbox.send(FromAgent::Waiting { seq, outcome });
            self.agent.queue.wait(seq)
        });
        if verdict == Verdict::Cancelled || sys.is_cancelled() {
            self.waited = None;
            return Permission::Cancelled;
        }
        if self.must_look_again() {
            return Permission::Cancelled;
        }
        if let Some(error) = self.guard(outcome) {
            self.broken = Some(error);
            return Permission::Cancelled;
        }
        if !self.agent.queue.begin(seq) {
            return Permission::Cancelled;
        }
        if let Some(memory) = &self.agent.memory {
            let notifies = self.task.notifies.iter();
            let added = notifies.filter(|&due| matches!(memory.due.add(due.clone()), Ok(true)));
            self.newly_due = added.cloned().collect();
        }
        if let Some(memory) = &self.agent.memory
            && let Err(error) = memory
                .journal
                .mark(seq, &self.task.name, JournalMark::Began)
        {
            let error = Error::new("the agent's journal cannot be written").because(error);
            self.broken = Some(error);
            return Permission::Cancelled;
        }
        self.began = true;
        self.agent.changes.fetch_add(1, Ordering::SeqCst);
        self.agent.outbox.send(FromAgent::Began { seq });
        Permission::Apply
    }

    /// Why the task is not begun, if it would do what is guarded.
    fn guard(&self, outcome: &Outcome) -> Option<Error> {
        if self.task.allow_destroy {
            return None;
        }
        if !outcome.destroys.is_empty() {
            let error =
                Error::new("it would remove what is there, and `--allow-destroy` was not given");
            let lost = outcome.destroys.iter();
            let error = lost.fold(error, Error::because);
            return Some(error.help("nothing was touched; say `--allow-destroy` if it may go"));
        }
        let stops = outcome.stops.as_ref()?;
        if let Some(crowd) = &self.task.crowd {
            let text = format!("it would stop this {stops}, and not this one alone");
            let error = Error::new(text).because(crowd);
            return Some(error.help("`serial: 1` and a gate stop one after the other; `--allow-destroy` stops them together"));
        }
        let n = outcome.shortens.len();
        let partitions = if n == 1 {
            "1 partition"
        } else {
            &format!("{n} partitions")
        };
        let text =
            format!("stopping this {stops} now would leave {partitions} below min.insync.replicas");
        let shortens = outcome.shortens.iter().take(SHOWN).cloned();
        let more = (n > SHOWN).then(|| format!("and {} more", n - SHOWN));
        let error = shortens.chain(more).fold(Error::new(text), Error::because);
        let help = "nothing was touched; `kafka_safe_to_stop` before it waits until the other brokers are in sync, `--allow-destroy` stops it all the same";
        (n > 0).then(|| error.help(help))
    }

    /// Whether what the check found may be out of date: it waited long, or another lane changed something meanwhile.
    fn must_look_again(&self) -> bool {
        self.waited.is_some_and(|(since, changes)| {
            since.elapsed() > STALE || self.agent.changes.load(Ordering::SeqCst) != changes
        })
    }
}
