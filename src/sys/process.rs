//! Turns a command line into what it wrote and how it ended: a process group of its own, ended by deadline or cancel.

mod running;

use super::Sys;
use nix::sys::signal::Signal;
use running::{Running, Why};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What sudo gives to commands; used where the agent was started without a `PATH`.
pub const SECURE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of each output stream is kept, in bytes.
pub const OUTPUT_CAP: usize = 64 << 20;

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
    only_reads: bool,
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
            only_reads: false,
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

    /// Marks a program that changes nothing on the host: a rehearsal starts no other.
    #[must_use]
    pub fn only_reads(mut self) -> Self {
        self.only_reads = true;
        self
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
        if !self.starts_programs && (self.is_imagined() || !command.only_reads) {
            let program = command.argv.first().map(OsString::as_os_str);
            let program = program.unwrap_or_default().to_string_lossy();
            let text = format!("`{program}` is not run in check mode");
            return Err(io::Error::new(ErrorKind::Unsupported, text));
        }
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

#[cfg(test)]
mod tests;
