//! Keeps an agent for every other user that tasks run as: a child of the login agent, handed one rendered action at a time.

use crate::agent::remains::Remains;
use crate::agent::{elevate, rehearsal};
use crate::modules::{Error, Outcome, Permission, Ran};
use crate::proto::{FromAgent, Hello, Identity, Seq, Task, ToAgent, frame};
use crate::sys::Sys;
use serde_bytes::ByteBuf;
use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How soon a cancellation is passed on.
const CANCEL_EVERY: Duration = Duration::from_millis(50);

/// All children of a login agent, started on first use and kept to the end.
pub(super) struct Children {
    executable: PathBuf,
    hello: Hello,
    started: Mutex<HashMap<Identity, Arc<Mutex<Slot>>>>,
    remains: Option<Remains>,
}

/// What a start came to, if that is not to be tried again.
#[derive(Default)]
struct Slot(Option<Result<Arc<Child>, Error>>);

/// Whether a refusal stands for the rest of the run: asking again with the same wrong password would lock an account.
/// Any other refusal may be over by then: a task makes the user, or writes a rule for `sudo`.
fn refusal_stands(identity: &Identity, sys: &Sys) -> bool {
    let is_there = sys.user_named(&identity.user);
    identity.password.is_some() && is_there.is_ok_and(|user| user.is_some())
}

impl Children {
    /// `hello` is the controller's; a child hears from its parent only, which ends its input.
    pub(super) fn new(executable: PathBuf, hello: Hello) -> Self {
        Self {
            executable,
            hello: Hello {
                silence_limit: None,
                ..hello
            },
            started: Mutex::default(),
            remains: None,
        }
    }

    /// Notes each child, for an agent that comes after this one was killed.
    pub(super) fn note_in(&mut self, remains: Remains) {
        self.remains = Some(remains);
    }

    /// Returns the agent of another user, starting it where there is none.
    pub(super) fn of(&self, identity: &Identity) -> Result<Arc<Child>, Error> {
        let slot = Arc::clone(lock(&self.started).entry(identity.clone()).or_default());
        let mut slot = lock(&slot);
        match &slot.0 {
            Some(Ok(child)) if !child.is_lost() => Ok(Arc::clone(child)),
            Some(Err(error)) => Err(error.clone()),
            _ => {
                let started = Child::start(identity, self);
                if started.is_ok() || refusal_stands(identity, &Sys::host()) {
                    slot.0 = Some(started.clone());
                }
                started
            }
        }
    }

    /// Ends them all, and waits until they have ended.
    pub(super) fn close(&self) {
        for slot in lock(&self.started).values() {
            if let Some(Ok(child)) = &lock(slot).0 {
                child.close();
            }
        }
    }
}

/// An agent that runs as another user.
pub(super) struct Child {
    who: String,
    process: Mutex<std::process::Child>,
    input: Mutex<Option<ChildStdin>>,
    calls: Arc<Mutex<Calls>>,
    next: AtomicU64,
}

#[derive(Default)]
struct Calls {
    open: HashMap<Seq, Sender<FromAgent>>,
    lost: bool,
}

impl Child {
    fn start(identity: &Identity, children: &Children) -> Result<Arc<Self>, Error> {
        let begun = elevate::start(identity, &children.executable)?;
        if let Some(remains) = &children.remains {
            remains.note(begun.process.id()).map_err(|error| {
                Error::new("the agent's directory cannot be written").because(error)
            })?;
        }
        let calls: Arc<Mutex<Calls>> = Arc::default();
        let child = Arc::new(Self {
            who: format!("{identity:?}"),
            process: Mutex::new(begun.process),
            input: Mutex::new(Some(begun.input)),
            calls: Arc::clone(&calls),
            next: AtomicU64::new(1),
        });
        child.send(&ToAgent::Hello(children.hello.clone()))?;
        std::thread::spawn(move || distribute(begun.output, &calls));
        Ok(child)
    }

    fn is_lost(&self) -> bool {
        lock(&self.calls).lost
    }

    fn send(&self, message: &ToAgent) -> Result<(), Error> {
        let broken = || Error::new(format!("the agent of `{}` has gone", self.who));
        let frame = frame::encode(message)
            .map_err(|error| Error::new("a task cannot be handed on").because(error))?;
        let mut input = lock(&self.input);
        let pipe = input.as_mut().ok_or_else(broken)?;
        pipe.write_all(&frame)
            .and_then(|()| pipe.flush())
            .map_err(|error| broken().because(error))
    }

    /// Runs a task's action as the other user; the login agent keeps queue, grants and journal.
    pub(super) fn run(
        &self,
        task: &Task,
        sys: &Sys,
        permission: &mut dyn FnMut(&Outcome) -> Permission,
    ) -> Result<Ran, Error> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel();
        lock(&self.calls).open.insert(seq, sender);
        if let Some(overlay) = sys.overlay() {
            self.send(&ToAgent::Overlay(rehearsal::packed(overlay)?))?;
        }
        let result = self
            .send(&ToAgent::Task(Box::new(Task {
                seq,
                lane: task.lane,
                group: seq,
                epoch: 0,
                name: task.name.clone(),
                action: task.action.clone(),
                identity: None,
                environment: task.environment.clone(),
                granted: false,
                check_mode: task.check_mode,
                only_looks: false,
                changes_nothing: task.changes_nothing,
                // The login agent keeps apart what is only tried.
                perhaps: None,
                deadline: task.deadline,
                ignore_errors: true,
                notifies: Vec::new(),
                allow_destroy: task.allow_destroy,
                crowd: None,
                origins: task.origins.clone(),
                keeps: task.keeps,
            })))
            .and_then(|()| self.follow(seq, &answers, sys, permission));
        lock(&self.calls).open.remove(&seq);
        result
    }

    fn follow(
        &self,
        seq: Seq,
        answers: &Receiver<FromAgent>,
        sys: &Sys,
        permission: &mut dyn FnMut(&Outcome) -> Permission,
    ) -> Result<Ran, Error> {
        let mut cancelled = false;
        loop {
            if sys.is_cancelled() && !cancelled {
                cancelled = true;
                self.send(&ToAgent::Cancel(seq))?;
            }
            match answers.recv_timeout(CANCEL_EVERY) {
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(format!(
                        "the agent of `{}` ended in the middle of the task",
                        self.who
                    )));
                }
                Ok(FromAgent::Waiting { outcome, .. }) => {
                    let answer = match permission(&outcome) {
                        Permission::Apply => ToAgent::Grant(seq),
                        Permission::OnlyShow | Permission::Cancelled => {
                            cancelled = true;
                            ToAgent::Cancel(seq)
                        }
                    };
                    self.send(&answer)?;
                }
                Ok(FromAgent::Overlay { layer, .. }) => {
                    if let Some(overlay) = sys.overlay() {
                        rehearsal::adopt(overlay, &layer)?;
                    }
                }
                Ok(FromAgent::Fetch { url, from, .. }) => {
                    let piece = sys.supplied(&url, from).map(ByteBuf::from);
                    let piece = piece.map_err(|error| error.to_string());
                    self.send(&ToAgent::Supply { seq, piece })?;
                }
                Ok(FromAgent::Progress { text, .. }) => sys.progress(&text),
                Ok(FromAgent::Ended { result, .. }) => return result.map(Ran::Done),
                Ok(FromAgent::Dropped { .. }) => return Ok(Ran::Cancelled),
                Err(RecvTimeoutError::Timeout) | Ok(_) => {}
            }
        }
    }

    fn close(&self) {
        drop(lock(&self.input).take());
        let _ = lock(&self.process).wait();
    }
}

fn distribute(mut output: BufReader<ChildStdout>, calls: &Mutex<Calls>) {
    while let Ok(Some(message)) = frame::read::<FromAgent>(&mut output) {
        let Some(seq) = message.seq() else { continue };
        if let Some(call) = lock(calls).open.get(&seq) {
            let _ = call.send(message);
        }
    }
    let mut calls = lock(calls);
    calls.lost = true;
    calls.open.clear();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_password_of_somebody_who_is_there_is_not_tried_again() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let passwd = "kafka:x:1001:1001::/home/kafka:/bin/sh\n";
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        let stands = |user: &str, password: Option<&str>| {
            let identity = Identity {
                method: "sudo".into(),
                user: user.into(),
                flags: None,
                password: password.map(str::to_owned),
            };
            refusal_stands(&identity, &Sys::at(root.path()))
        };
        assert!(stands("kafka", Some("wrong")));
        assert!(!stands("kafka", None));
        assert!(!stands("not-there-yet", Some("wrong")));
    }
}
