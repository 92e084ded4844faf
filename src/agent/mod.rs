//! Runs on the host: turns frames from the controller into modules' looks and changes, and their results into frames.
//!
//! One thread always reads, so that a cancellation or the end of input is noticed at any moment. Every
//! lane that has something to do has a worker. One thread writes, from a queue without an end.

mod children;
mod directory;
mod elevate;
mod faults;
mod journal;
mod outbox;
mod queue;
mod rehearsal;
mod start;
#[cfg(test)]
mod tests;
mod worker;

pub use directory::candidates;
pub use start::main;

use crate::proto::{FromAgent, Ready, Seq, ToAgent, VERSION, frame};
use crate::sys::{Sys, overlay};
use children::Children;
use directory::{Lock, Locked};
use journal::Journal;
use outbox::Outbox;
use queue::{Pushed, Queue};
use rehearsal::Rehearsals;
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How an agent is to work.
pub struct Options {
    /// The host; tests give one below a directory.
    pub sys: Sys,
    /// Where the agent's own directory may be, the best first.
    pub directories: Vec<PathBuf>,
    /// The agent's own binary, for children.
    pub executable: PathBuf,
    /// An agent of another user, started by the login agent: no lock, no journal.
    pub child: bool,
    /// One controller at a time; not for the controller's own machine.
    pub exclusive: bool,
}

/// Why an agent could not work. What concerns a task is that task's result instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no directory for the agent: {}", .0.join("; "))]
    NoDirectory(Vec<String>),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("no greeting came")]
    NoHello,
    #[error(transparent)]
    Frame(#[from] frame::Error),
}

/// What all threads of an agent share.
struct Agent {
    sys: Sys,
    user: String,
    queue: Queue,
    outbox: Outbox,
    journal: Option<Journal>,
    children: Children,
    rehearsals: Rehearsals,
    /// Counts what was changed on this host since the agent began.
    changes: AtomicU64,
}

/// Serves one controller until its input ends; then finishes what cannot be left half done.
pub fn serve(
    input: impl Read,
    mut output: impl Write + Send + 'static,
    options: Options,
) -> Result<(), Error> {
    output
        .write_all(frame::MARKER)
        .and_then(|()| output.flush())
        .map_err(frame::Error::from)?;
    let (outbox, writer) = Outbox::start(output);
    let input = BufReader::with_capacity(1 << 16, input);
    let result = converse(input, outbox.clone(), options);
    outbox.close();
    let _ = writer.join();
    result
}

fn converse(mut input: impl Read, outbox: Outbox, options: Options) -> Result<(), Error> {
    let hello = match frame::read(&mut input)? {
        Some(ToAgent::Hello(hello)) => hello,
        Some(_) => return Err(Error::NoHello),
        None => return Ok(()),
    };
    if hello.version != VERSION {
        let reason = format!(
            "this agent speaks version {VERSION}, the controller {}",
            hello.version
        );
        outbox.send(FromAgent::Refused { reason });
        return Ok(());
    }
    let mut lock = None;
    let mut journal = None;
    if !options.child {
        let directory = match directory::open(&options.directories) {
            Ok(directory) => directory,
            Err(error) => {
                let reason = error.to_string();
                outbox.send(FromAgent::Refused { reason });
                return Err(error);
            }
        };
        if options.exclusive {
            match Lock::take(&directory, &hello)? {
                Locked::Held(held) => lock = Some(held),
                Locked::Shared => {}
                Locked::Busy { controller } => {
                    outbox.send(FromAgent::Busy { controller });
                    return Ok(());
                }
            }
        }
        let path = directory.join("journal");
        let opened = Journal::open(&path, &hello.run);
        journal = Some(opened.map_err(|source| Error::File { path, source })?);
    }
    if hello.check_mode {
        overlay::sweep();
    }
    let ready = greeting();
    let agent = Arc::new(Agent {
        rehearsals: Rehearsals::new(&options.sys, hello.check_mode),
        sys: options.sys,
        user: ready.user.clone(),
        queue: Queue::default(),
        outbox,
        journal,
        children: Children::new(options.executable, hello.clone()),
        changes: AtomicU64::new(0),
    });
    agent.outbox.send(FromAgent::Ready(ready));
    let read = agent.read(&mut input);
    if let Some(lock) = &mut lock {
        lock.ending(&hello);
    }
    agent.queue.close();
    agent.queue.wait_for_workers();
    agent.children.close();
    read
}

impl Agent {
    /// Takes messages until the input ends.
    fn read(self: &Arc<Self>, input: &mut impl Read) -> Result<(), Error> {
        loop {
            let message = match frame::read(input) {
                Ok(Some(message)) => message,
                Ok(None) | Err(frame::Error::Truncated | frame::Error::Io(_)) => return Ok(()),
                Err(error) => {
                    let reason = error.to_string();
                    self.outbox.send(FromAgent::Refused { reason });
                    return Err(error.into());
                }
            };
            match message {
                ToAgent::Hello(_) => {}
                ToAgent::Task(task) => {
                    let seq = task.seq;
                    match self.queue.push(task) {
                        Pushed::Queued => {}
                        Pushed::Dropped => self.drop_all([seq]),
                        Pushed::Start(lane) => {
                            let agent = Arc::clone(self);
                            std::thread::spawn(move || worker::work(&agent, lane));
                        }
                    }
                }
                ToAgent::Grant(seq) => self.queue.grant(seq),
                ToAgent::Cancel(seq) => {
                    if self.queue.cancel(seq) {
                        self.drop_all([seq]);
                    }
                }
                ToAgent::Overlay(layer) => {
                    if let Err(error) = self.rehearsals.adopt(&layer) {
                        let reason = error.to_string();
                        self.outbox.send(FromAgent::Refused { reason });
                    }
                }
                ToAgent::CancelAll => self.drop_all(self.queue.cancel_all()),
                ToAgent::Journal => {
                    let entries = self.journal.as_ref().and_then(|it| it.entries().ok());
                    self.outbox
                        .send(FromAgent::Journal(entries.unwrap_or_default()));
                }
            }
        }
    }

    fn drop_all(&self, tasks: impl IntoIterator<Item = Seq>) {
        for seq in tasks {
            self.outbox.send(FromAgent::Dropped { seq });
        }
    }
}

fn greeting() -> Ready {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Ready {
        version: VERSION,
        machine: read("/etc/machine-id").trim().to_owned(),
        hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
        user: user(&read("/etc/passwd")),
        warm: true,
    }
}

/// Returns this process's user by name; by number where the name is not in the host's own file.
fn user(passwd: &str) -> String {
    let uid = nix::unistd::Uid::effective().to_string();
    passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid))
        .and_then(|line| line.split(':').next())
        .map_or(uid, str::to_owned)
}
