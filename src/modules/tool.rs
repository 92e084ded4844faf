//! Turns one of the host's own programs into what it wrote, or into a module's error that says why it failed.

use super::Error;
use crate::sys::Sys;
use crate::sys::process::{Command, Output};

/// Runs a program to its end, whatever its code.
pub fn ask(sys: &Sys, argv: &[&str]) -> Result<Output, Error> {
    start(sys, &Command::tool(argv), argv)
}

/// Runs a program that must succeed.
pub fn must(sys: &Sys, argv: &[&str]) -> Result<Output, Error> {
    let output = ask(sys, argv)?;
    if output.success() {
        Ok(output)
    } else {
        Err(failure(argv, &output))
    }
}

/// Runs a prepared command to its end; `argv` is what errors call it.
pub fn start(sys: &Sys, command: &Command, argv: &[&str]) -> Result<Output, Error> {
    let output = sys
        .run(command)
        .map_err(|error| not_started(argv.first().copied().unwrap_or_default(), &error))?;
    if output.cancelled || output.timed_out {
        return Err(failure(argv, &output));
    }
    Ok(output)
}

/// Says that a program failed: its command line, its last words, and all that it wrote.
pub fn failure(argv: &[&str], output: &Output) -> Error {
    let error = Error::new(format!("`{}` {}", argv.join(" "), output.ending()))
        .with("rc", output.rc)
        .with("stdout", output.stdout.trim_end())
        .with("stderr", output.stderr.trim_end());
    let reason = output.reason();
    if reason == output.ending() {
        error
    } else {
        error.because(reason)
    }
}

/// Says that a program could not be started.
pub fn not_started(program: &str, error: &std::io::Error) -> Error {
    let said = match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(format!("no program `{program}` on this host")),
        _ => Error::new(format!("cannot start `{program}`")).because(error),
    };
    said.with("rc", error.raw_os_error().unwrap_or(2))
}
