//! Runs on the host: turns frames from the controller into modules' looks and changes, and their results into frames.
//!
//! One thread always reads, so that a cancellation or the end of input is noticed at any moment. Every
//! lane that has something to do has a worker. One thread writes, from a queue without an end.

mod children;
mod directory;
mod due;
mod elevate;
mod faults;
mod imagined;
mod input;
mod journal;
mod outbox;
mod queue;
mod rehearsal;
mod remains;
mod start;
mod supplies;
#[cfg(test)]
mod tests;
mod touched;
mod worker;

pub use directory::candidates;
pub use start::main;

use crate::proto::{FromAgent, Hello, Ready, Seq, ToAgent, VERSION, frame};
use crate::sys::before::Keeper;
use crate::sys::{Sys, overlay};
use children::Children;
use directory::{Lock, Locked};
use due::DueHandlers;
use input::Input;
use journal::Journal;
use outbox::Outbox;
use queue::{Pushed, Queue};
use rehearsal::Rehearsals;
use remains::Remains;
use std::io::{self, BufReader, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use supplies::Supplies;

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
    /// Ends as the controller's going away does; for a SIGTERM.
    pub told_to_end: Option<PipeReader>,
    /// Stands for a host that is not contacted; what tasks make of it is kept in this directory.
    pub imagined: Option<PathBuf>,
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
    /// A child has none: the login agent keeps it.
    memory: Option<Memory>,
    children: Children,
    supplies: Arc<Supplies>,
    rehearsals: Rehearsals,
    /// Counts what was changed on this host since the agent began.
    changes: AtomicU64,
}

/// What outlives an agent, in its directory.
struct Memory {
    journal: Journal,
    due: DueHandlers,
}

/// Serves one controller until its input ends; then finishes what cannot be left half done.
///
/// A controller that hangs up wants nothing more: a command in hand is ended. One that only falls silent may have
/// meant the command to end well, and nobody has said otherwise: it goes on to its end or its deadline, while what
/// has not begun is dropped either way. A file change in hand is finished in both cases.
pub fn serve(
    input: impl Read + AsFd + Send + 'static,
    mut output: impl Write + Send + 'static,
    options: Options,
) -> Result<(), Error> {
    output
        .write_all(frame::MARKER)
        .and_then(|()| output.flush())
        .map_err(frame::Error::from)?;
    let (outbox, writer) = Outbox::start(output);
    let result = converse(input, outbox.clone(), options);
    outbox.close();
    writer.finish();
    result
}

fn converse<F: Read + AsFd + Send + 'static>(
    input: F,
    outbox: Outbox,
    mut options: Options,
) -> Result<(), Error> {
    let input = Input::new(input, options.told_to_end.take());
    let mut input = BufReader::with_capacity(1 << 16, input);
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
    input.get_mut().limit_silence(hello.silence_limit);
    let mut ready = greeting();
    let keeper = keeper(options.directories.clone(), &hello);
    let mut children = Children::new(options.executable, hello.clone());
    let (mut lock, mut memory) = (None, None);
    if !options.child {
        let directory = directory::open(&options.directories).inspect_err(|error| {
            let reason = error.to_string();
            outbox.send(FromAgent::Refused { reason });
        })?;
        if options.exclusive {
            match Lock::take(&directory, &hello)? {
                Locked::Held(held) => lock = Some(held),
                Locked::Shared => {}
                Locked::Busy { controller } => {
                    outbox.send(FromAgent::Busy { controller });
                    return Ok(());
                }
            }
            children.note_in(Remains::new(&directory));
        }
        let remembered = Memory::open(directory, &hello)?;
        ready.due = remembered.due.of(&hello);
        memory = Some(remembered);
    }
    let rehearsals = match &options.imagined {
        Some(directory) => imagined::rehearsals(&options.sys, directory)?,
        None => Rehearsals::new(&options.sys, hello.check_mode),
    };
    let agent = Arc::new(Agent {
        rehearsals,
        sys: options.sys.with_keeper(keeper),
        user: ready.user.clone(),
        queue: Queue::default(),
        outbox,
        memory,
        children,
        supplies: Arc::default(),
        changes: AtomicU64::new(0),
    });
    agent.outbox.send(FromAgent::Ready(ready));
    std::thread::spawn(overlay::sweep);
    let read = agent.read(&mut input);
    agent.supplies.close();
    if let Some(lock) = &mut lock {
        lock.ending(&hello);
    }
    if input.get_ref().fell_silent() {
        agent.queue.close_gently();
        agent.wait_for_more_than_silence(input);
    } else {
        agent.queue.close();
    }
    agent.queue.wait_for_workers();
    agent.children.close();
    agent.rehearsals.close();
    read
}

impl Memory {
    fn open(directory: PathBuf, hello: &Hello) -> Result<Self, Error> {
        let path = directory.join("journal");
        let journal = Journal::open(&path, &hello.run, &hello.host)
            .map_err(|source| Error::File { path, source })?;
        let due = DueHandlers::new(directory);
        Ok(Self { journal, due })
    }
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
                ToAgent::TakeBack(seq) => {
                    if self.queue.cancel_unless_begun(seq) {
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
                ToAgent::Supply { seq, piece } => self.supplies.take(seq, piece),
                ToAgent::Alive => self.outbox.send(FromAgent::Alive),
                // Where the disk takes nothing, the controller still keeps it.
                ToAgent::HandlerDue(due) => {
                    let _ = self.memory.as_ref().map(|memory| memory.due.add(due));
                }
                ToAgent::HandlerRan(due) => {
                    let _ = self.memory.as_ref().map(|memory| memory.due.remove(&due));
                }
                ToAgent::Journal => {
                    let memory = self.memory.as_ref();
                    let entries = memory.and_then(|memory| memory.journal.entries().ok());
                    self.outbox
                        .send(FromAgent::Journal(entries.unwrap_or_default()));
                }
            }
        }
    }

    /// Lets what has begun go on until the connection proves to be gone, or another agent takes over.
    fn wait_for_more_than_silence<F: Read + AsFd + Send + 'static>(
        self: &Arc<Self>,
        mut input: BufReader<Input<F>>,
    ) {
        let agent = Arc::clone(self);
        input.get_mut().limit_silence(None);
        std::thread::spawn(move || {
            let _ = io::copy(&mut input, &mut io::sink());
            agent.queue.cancel_all();
        });
    }

    fn drop_all(&self, tasks: impl IntoIterator<Item = Seq>) {
        for seq in tasks {
            self.outbox.send(FromAgent::Dropped { seq });
        }
    }
}

/// Where this user's changes are kept: in the agent's directory, once there is something to keep.
fn keeper(directories: Vec<PathBuf>, hello: &Hello) -> Arc<Keeper> {
    let open = move || directory::open(&directories).map_err(io::Error::other);
    Arc::new(Keeper::new(open, &hello.run, &hello.host))
}

fn greeting() -> Ready {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Ready {
        version: VERSION,
        machine: read("/etc/machine-id").trim().to_owned(),
        hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
        user: user(&read("/etc/passwd")),
        warm: true,
        due: Vec::new(),
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
