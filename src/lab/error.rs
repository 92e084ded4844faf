//! What can go wrong while a lab is made or removed, as one type whose text is for the person at the terminal.

use std::path::{Path, PathBuf};

/// A fault of the lab, or of what this machine lacks for one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the lab is made with cannot be started.
    #[error("`{program}` is not on this machine; on Debian it comes with the package `{package}`")]
    Missing {
        /// The program's name.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// ssh cannot be started.
    #[error("cannot start `ssh`")]
    Start {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line, its arguments joined by spaces.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote to standard error.
        stderr: String,
    },
    /// A lab of that name is there already.
    #[error("a lab named `{name}` is already up; remove it with `krun lab down {name}`")]
    AlreadyUp {
        /// The lab's name.
        name: String,
    },
    /// No lab has that name.
    #[error("no lab is named `{name}`")]
    NoSuchLab {
        /// The name that was asked for.
        name: String,
    },
    /// No host of the lab has that name.
    #[error("the lab `{lab}` has no host named `{host}`")]
    NoSuchHost {
        /// The lab's name.
        lab: String,
        /// The name that was asked for.
        host: String,
    },
    /// A lab's or host's name that cannot be one.
    #[error("`{name}` cannot be the name of a {what}: {why}")]
    BadName {
        /// The name as given.
        name: String,
        /// "lab", "host" or "user".
        what: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A host was made but does not answer.
    #[error(
        "lab host `{host}` did not answer on port {port} within {seconds} s; its last lines: {log}"
    )]
    NoAnswer {
        /// The host's name.
        host: String,
        /// The port that was tried.
        port: u16,
        /// How long it was tried.
        seconds: u64,
        /// The end of the container's log.
        log: String,
    },
    /// The engine said something that this code does not understand.
    #[error("cannot read what `{command}` said: {why}")]
    Unreadable {
        /// The command line.
        command: String,
        /// What was missing from the answer.
        why: String,
    },
    /// A file of the lab's own could not be read or written.
    #[error("cannot {verb} `{path}`")]
    File {
        /// "read", "write", "make" or "remove".
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Returns a function for `map_err` that says which file could not be `verb`ed.
    pub(super) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }
}
