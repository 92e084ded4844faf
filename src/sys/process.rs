//! Turns a command line into what it wrote and how it ended: a process group of its own, ended by deadline or cancel.

use super::Sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What sudo gives to commands; used where the agent was started without a `PATH`.
pub const SECURE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of each output stream is kept, in bytes.
pub const OUTPUT_CAP: usize = 64 << 20;

/// How often a running command looks for a cancel that has no descriptor to wait on.
const TICK: Duration = Duration::from_millis(50);
/// After the main process ended, a pipe that somebody else holds is read until it was quiet for this long …
const QUIET: Duration = Duration::from_millis(200);
/// … and no longer than this.
const DRAIN: Duration = Duration::from_secs(2);
/// A process that KILL does not end (it hangs in the kernel) is left behind after this long.
const LOST: Duration = Duration::from_secs(10);

/// A command to run on the host.
#[derive(Debug, Clone)]
pub struct Command {
    argv: Vec<OsString>,
    environment: Vec<(String, String)>,
    directory: Option<PathBuf>,
    stdin: Vec<u8>,
    umask: Option<u32>,
    limit: Option<Duration>,
    grace: Duration,
    is_tool: bool,
}

/// How a command ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; minus the signal's number if a signal ended it, as Python says it.
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
    pub started: jiff::Zoned,
    pub delta: Duration,
    /// The deadline ended it.
    pub timed_out: bool,
    /// The controller took it back.
    pub cancelled: bool,
}

impl Command {
    /// A program and its arguments, no shell between.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            directory: None,
            stdin: Vec::new(),
            umask: None,
            limit: None,
            grace: Duration::from_secs(5),
            is_tool: false,
        }
    }

    /// A text for `shell -c`; the shell is `/bin/sh` where none is given.
    pub fn shell(text: &str, shell: Option<&str>) -> Self {
        Self::new([shell.unwrap_or("/bin/sh"), "-c", text])
    }

    /// A program of the host whose output krun reads: in the C locale, found in the `sbin` directories too.
    pub fn tool<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        let mut command = Self::new(argv).env("LC_ALL", "C").env("LANGUAGE", "C");
        command.is_tool = true;
        command
    }

    /// Sets a variable, over the task's and the agent's.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    #[must_use]
    pub fn umask(mut self, umask: u32) -> Self {
        self.umask = Some(umask);
        self
    }

    /// Ends the command after this long, if the task's deadline does not come first.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long after TERM the group gets KILL (default 5 s).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn spawn(&self, sys: &Sys) -> io::Result<Child> {
        let mut argv = self.argv.clone();
        if let Some(umask) = self.umask {
            let wrap = format!("umask {umask:04o}; exec \"$@\"");
            argv.splice(0..0, ["/bin/sh", "-c", &wrap, "sh"].map(OsString::from));
        }
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no command given"))?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).process_group(0);
        command.envs(sys.environment().iter().map(|(name, value)| (name, value)));
        let path = sys.search_path();
        if self.is_tool {
            command.env("PATH", with_sbin(&path));
        } else if sys.variable("PATH").is_none_or(|path| path.is_empty()) {
            command.env("PATH", path);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(sys.real(directory));
        } else if !sys.is_host() {
            command.current_dir(sys.real(Path::new("/")));
        }
        let stdin = if self.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    }
}

impl Output {
    pub fn success(&self) -> bool {
        self.rc == 0
    }

    pub fn ended(&self) -> jiff::Zoned {
        let delta = jiff::SignedDuration::try_from(self.delta).unwrap_or_default();
        self.started
            .checked_add(delta)
            .unwrap_or_else(|_| self.started.clone())
    }

    /// Returns what the command itself says about its failure: the last line of its errors, else of its output, else its code.
    pub fn reason(&self) -> String {
        let last = |text: &str| {
            let line = text.lines().rev().find(|line| !line.trim().is_empty());
            line.map(|line| line.trim().to_owned())
        };
        last(&self.stderr)
            .or_else(|| last(&self.stdout))
            .unwrap_or_else(|| self.ending())
    }

    /// Returns how the command ended, as words: `ended with code 3`, `was killed by SIGKILL`.
    pub fn ending(&self) -> String {
        if self.cancelled {
            return "was cancelled".into();
        }
        if self.timed_out {
            return format!("was ended after {:.0?}, at its time limit", self.delta);
        }
        match Signal::try_from(-self.rc) {
            Ok(signal) if self.rc < 0 => format!("was killed by {signal}"),
            _ => format!("ended with code {}", self.rc),
        }
    }
}

impl Sys {
    /// Runs a command to its end and returns what it wrote.
    ///
    /// The task's deadline and a cancel end it: TERM to its process group, KILL after the grace. A daemon that it leaves
    /// behind may hold its pipes: they are read a little longer, then let go. Errors are of the start only.
    pub fn run(&self, command: &Command) -> io::Result<Output> {
        let (started, begin) = (jiff::Zoned::now(), Instant::now());
        let mut running = Running::start(command, self)?;
        let ended = running.wait(command, self);
        if ended.is_err() {
            running.signal(Signal::SIGKILL);
        }
        let status = ended?;
        let rc = status
            .and_then(|s| s.code())
            .or_else(|| status.and_then(|s| s.signal()).map(|signal| -signal));
        Ok(Output {
            rc: rc.unwrap_or(-(Signal::SIGKILL as i32)),
            stdout: running.stdout.text(),
            stderr: running.stderr.text(),
            started,
            delta: begin.elapsed(),
            timed_out: running.ending.is_some_and(|e| e.why == Why::TimedOut),
            cancelled: running.ending.is_some_and(|e| e.why == Why::Cancelled),
        })
    }

    /// Returns an environment variable as a command of this task sees it.
    pub fn variable(&self, name: &str) -> Option<String> {
        let of_task = self.environment().iter().rev();
        of_task
            .chain(own_environment())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    /// Returns where a program of the host lies: in `PATH` or one of the `sbin` directories.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        with_sbin(&self.search_path())
            .split(':')
            .map(|directory| Path::new(directory).join(name))
            .find(|path| {
                path.metadata()
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
    }

    fn search_path(&self) -> String {
        self.variable("PATH")
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| SECURE_PATH.into())
    }
}

/// The environment with which this process was started, in its order.
pub fn own_environment() -> &'static [(String, String)] {
    static OWN: OnceLock<Vec<(String, String)>> = OnceLock::new();
    OWN.get_or_init(|| {
        let bytes = std::fs::read("/proc/self/environ").unwrap_or_default();
        bytes
            .split(|byte| *byte == 0)
            .filter_map(|entry| {
                let text = OsString::from_vec(entry.to_vec());
                let text = text.to_string_lossy();
                let (name, value) = text.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect()
    })
}

fn with_sbin(path: &str) -> String {
    let mut path = path.to_owned();
    for directory in ["/usr/local/sbin", "/usr/sbin", "/sbin"] {
        if !path.split(':').any(|known| known == directory) {
            path.push(':');
            path.push_str(directory);
        }
    }
    path
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    TimedOut,
    Cancelled,
}

#[derive(Debug, Clone, Copy)]
struct Ending {
    why: Why,
    at: Instant,
    killed: Option<Instant>,
}

/// One command under way.
struct Running {
    child: Child,
    group: Pid,
    stdout: Stream,
    stderr: Stream,
    /// Reads end of file once the main process ended.
    exit: io::PipeReader,
    ending: Option<Ending>,
}

/// One pipe of a command and what came out of it.
struct Stream {
    pipe: Option<Box<dyn Pipe>>,
    bytes: Vec<u8>,
    left_out: usize,
}

trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl Running {
    fn start(command: &Command, sys: &Sys) -> io::Result<Self> {
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
    fn wait(&mut self, command: &Command, sys: &Sys) -> io::Result<Option<ExitStatus>> {
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

    fn signal(&self, signal: Signal) {
        // The group may have ended by itself in this moment.
        let _ = killpg(self.group, signal);
    }
}

impl Stream {
    fn new(pipe: Option<Box<dyn Pipe>>) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
            left_out: 0,
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        self.pipe.as_ref().map_or(Ok(()), set_nonblocking)
    }

    /// Reads what is there. Returns `true` if that was anything.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 65_536];
        let mut any = false;
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    any = true;
                    let kept = n.min(OUTPUT_CAP - self.bytes.len());
                    self.bytes.extend_from_slice(&chunk[..kept]);
                    self.left_out += n - kept;
                    // The other pipe, the deadline and the cancel get their turn between two full chunks.
                    if n == chunk.len() {
                        break;
                    }
                }
                Err(error) if is_transient(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    fn text(&mut self) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        let mut text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if self.left_out > 0 {
            text.push_str(&format!(
                "\n[{} more bytes of output are left out]\n",
                self.left_out
            ));
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

#[cfg(test)]
mod tests;
