//! Turns a started command into its end: reads its pipes, writes its input, sends TERM and KILL when the time is over.

use super::{Command, OUTPUT_CAP};
use crate::sys::Sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How often a running command looks for a cancel that has no descriptor to wait on.
const TICK: Duration = Duration::from_millis(50);
/// After the main process ended, a pipe that somebody else holds is read until it was quiet for this long …
const QUIET: Duration = Duration::from_millis(200);
/// … and no longer than this.
const DRAIN: Duration = Duration::from_secs(2);
/// A process that KILL does not end (it hangs in the kernel) is left behind after this long.
const LOST: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    TimedOut,
    Cancelled,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) why: Why,
    at: Instant,
    killed: Option<Instant>,
}

/// One command under way.
pub(super) struct Running {
    child: Child,
    group: Pid,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    /// Reads end of file once the main process ended.
    exit: io::PipeReader,
    pub(super) ending: Option<Ending>,
}

/// One pipe of a command and what came out of it.
pub(super) struct Stream {
    pipe: Option<Box<dyn Pipe>>,
    bytes: Vec<u8>,
    chunk: Vec<u8>,
    left_out: usize,
}

trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl Running {
    pub(super) fn start(command: &Command, sys: &Sys) -> io::Result<Self> {
        let (exit, exit_held) = io::pipe()?;
        set_nonblocking(&exit)?;
        let mut child = command.spawn(sys)?;
        let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        // The main process is waited for without reaping it, so that its number stays taken until the loop knows.
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .spawn(move || {
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                while waitid(Id::Pid(group), flags) == Err(Errno::EINTR) {}
                drop(exit_held);
            });
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut running = Self {
            stdout: Stream::new(stdout.map(|pipe| Box::new(pipe) as _)),
            stderr: Stream::new(stderr.map(|pipe| Box::new(pipe) as _)),
            child,
            group,
            exit,
            ending: None,
        };
        let ready = waiter
            .and_then(|_| running.stdout.set_nonblocking())
            .and_then(|()| running.stderr.set_nonblocking())
            .and_then(|()| running.child.stdin.as_ref().map_or(Ok(()), set_nonblocking));
        if ready.is_err() {
            running.signal(Signal::SIGKILL);
            running.child.wait()?;
        }
        ready.map(|()| running)
    }

    /// Waits for the end. `None` is a process that outlived KILL.
    pub(super) fn wait(&mut self, command: &Command, sys: &Sys) -> io::Result<Option<ExitStatus>> {
        let own_limit = command.limit.map(|limit| Instant::now() + limit);
        let deadline = [sys.deadline(), own_limit].into_iter().flatten().min();
        let mut stdin = self.child.stdin.take();
        let mut to_write = command.stdin.as_slice();
        let mut exited: Option<(ExitStatus, Instant)> = None;
        let mut last_read = Instant::now();
        loop {
            self.sleep_until_something_happens(stdin.as_ref(), exited.is_some(), deadline)?;
            if self.stdout.read()? | self.stderr.read()? {
                last_read = Instant::now();
            }
            if let Some(pipe) = &mut stdin
                && write_some(pipe, &mut to_write)
            {
                stdin = None;
            }
            if exited.is_none() && self.has_exited()? {
                exited = Some((self.child.wait()?, Instant::now()));
            }
            let now = Instant::now();
            if exited.is_none() && self.ending.is_none() {
                let why = if sys.is_cancelled() {
                    Some(Why::Cancelled)
                } else {
                    let late = deadline.is_some_and(|deadline| now >= deadline);
                    late.then_some(Why::TimedOut)
                };
                if let Some(why) = why {
                    self.signal(Signal::SIGTERM);
                    let killed = None;
                    self.ending = Some(Ending {
                        why,
                        at: now,
                        killed,
                    });
                }
            }
            self.kill_after_grace(command.grace, now);
            let killed = self.ending.and_then(|ending| ending.killed);
            match exited {
                Some((status, at)) => {
                    let closed = self.stdout.pipe.is_none() && self.stderr.pipe.is_none();
                    let drained = now - at.max(last_read) >= QUIET || now - at >= DRAIN;
                    let is_over = match self.ending {
                        Some(_) => killpg(self.group, None).is_err() || killed.is_some(),
                        None => true,
                    };
                    if is_over && (closed || drained) {
                        return Ok(Some(status));
                    }
                }
                None if killed.is_some_and(|at| now - at > LOST) => return Ok(None),
                None => {}
            }
        }
    }

    fn kill_after_grace(&mut self, grace: Duration, now: Instant) {
        let group = self.group;
        if let Some(ending) = &mut self.ending
            && ending.killed.is_none()
            && now - ending.at >= grace
        {
            ending.killed = Some(now);
            // A group that is gone is what was wanted.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    fn sleep_until_something_happens(
        &self,
        stdin: Option<&std::process::ChildStdin>,
        exited: bool,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let mut watched = Vec::with_capacity(4);
        for stream in [&self.stdout, &self.stderr] {
            if let Some(pipe) = &stream.pipe {
                watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
            }
        }
        if !exited {
            watched.push(PollFd::new(self.exit.as_fd(), PollFlags::POLLIN));
        }
        if let Some(pipe) = stdin {
            watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
        }
        let left = deadline.map_or(TICK, |at| at.saturating_duration_since(Instant::now()));
        let left = if self.ending.is_some() || exited {
            TICK
        } else {
            left.min(TICK)
        };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn has_exited(&mut self) -> io::Result<bool> {
        match self.exit.read(&mut [0]) {
            Ok(_) => Ok(true),
            Err(error) if is_transient(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        // The group may have ended by itself in this moment.
        let _ = killpg(self.group, signal);
    }
}

impl Stream {
    fn new(pipe: Option<Box<dyn Pipe>>) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
            chunk: vec![0; 65_536],
            left_out: 0,
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        self.pipe.as_ref().map_or(Ok(()), set_nonblocking)
    }

    /// Reads what is there. Returns `true` if that was anything.
    fn read(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(false);
        };
        match pipe.read(&mut self.chunk) {
            Ok(0) => self.pipe = None,
            Ok(n) => {
                let kept = n.min(OUTPUT_CAP - self.bytes.len());
                self.bytes.extend_from_slice(&self.chunk[..kept]);
                self.left_out += n - kept;
                return Ok(true);
            }
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(false)
    }

    pub(super) fn text(&mut self) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        let mut text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if self.left_out > 0 {
            let note = format!("\n[{} more bytes of output are left out]\n", self.left_out);
            text.push_str(&note);
        }
        text
    }
}

/// Writes what the pipe takes. Returns `true` when all is written or nobody reads.
fn write_some(pipe: &mut impl Write, left: &mut &[u8]) -> bool {
    while !left.is_empty() {
        match pipe.write(left) {
            Ok(n) => *left = &left[n..],
            Err(error) if is_transient(&error) => return false,
            Err(_) => return true,
        }
    }
    true
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}
