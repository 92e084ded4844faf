//! Turns a program and its arguments into its standard output, or into an error that shows the command.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::Error;

/// A command line whose failure is an [`Error`] naming it.
pub(super) struct Run {
    command: Command,
    package: &'static str,
}

impl Run {
    /// A run of `program`, which on Debian comes with `package`.
    pub(super) fn new(program: impl AsRef<OsStr>, package: &'static str) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, package }
    }

    /// Adds one argument.
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds several arguments.
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Gives the program an open stream as its standard input.
    pub(super) fn stdin(mut self, stream: impl Into<Stdio>) -> Self {
        self.command.stdin(stream);
        self
    }

    /// The command line as a person would type it.
    pub(super) fn line(&self) -> String {
        let mut words = vec![self.command.get_program().to_string_lossy().into_owned()];
        words.extend(
            self.command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned()),
        );
        words.join(" ")
    }

    /// Runs it and returns its standard output, without the last line break.
    pub(super) fn output(mut self) -> Result<String, Error> {
        let output = self
            .command
            .output()
            .map_err(|error| self.cannot_start(&error))?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// As [`Run::output`]; meanwhile `tell` is called, again and again, as often as `every` says.
    pub(super) fn output_telling(
        self,
        every: Duration,
        tell: &(dyn Fn() + Sync),
    ) -> Result<String, Error> {
        std::thread::scope(|scope| {
            let (running, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    tell();
                }
            });
            let output = self.output();
            drop(running);
            output
        })
    }

    /// Runs it and returns whether it ended with 0; its output is dropped.
    pub(super) fn succeeds(mut self) -> Result<bool, Error> {
        let output = self
            .command
            .output()
            .map_err(|error| self.cannot_start(&error))?;
        Ok(output.status.success())
    }

    fn cannot_start(&self, error: &io::Error) -> Error {
        let program = self.command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Error::Missing {
                program,
                package: self.package,
            },
            _ => Error::Command {
                command: self.line(),
                status: "not started".to_owned(),
                stderr: error.to_string(),
            },
        }
    }

    fn failed(&self, output: &Output) -> Error {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Error::Command {
            command: self.line(),
            status: output.status.to_string(),
            stderr: last_lines(&stderr, 12),
        }
    }
}

/// The last `n` lines that are not empty.
pub(super) fn last_lines(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(n)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let script = format!("until [ -e '{}' ]; do :; done; echo done", told.display());
        let tell = || std::fs::write(&told, "").unwrap();
        let output = Run::new("sh", "dash")
            .args(["-c", &script])
            .output_telling(Duration::from_millis(20), &tell);
        assert_eq!(output.unwrap(), "done");
    }

    #[test]
    fn missing_program_names_the_package_that_has_it() {
        let error = Run::new("no-such-program-here", "some-package")
            .output()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-program-here` is not on this machine; on Debian it comes with the package `some-package`"
        );
    }

    #[test]
    fn failure_shows_the_command_and_its_last_words() {
        let error = Run::new("sh", "dash")
            .args(["-c", "echo oops >&2; exit 3"])
            .output()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.ends_with("oops"),
            "{text}"
        );
    }
}
