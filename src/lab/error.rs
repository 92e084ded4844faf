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
    /// No engine works here.
    #[error(
        "neither podman nor docker works on this machine:\n{why}\ninstall one (on Debian: `apt install podman`)"
    )]
    NoEngine {
        /// What each of them said.
        why: String,
    },
    /// The engine that was asked for does not work.
    #[error("`{program}` does not work on this machine: {why}")]
    NotWorking {
        /// The engine's program.
        program: &'static str,
        /// What it said.
        why: String,
    },
    /// The hosts would begin as something else than `krun.lock` says.
    #[error(
        "the hosts would begin as `{base}` with the digest {has}, and krun.lock says {locked}\n\
         help: `krun lock --update` takes over what is here; where what is here is old, remove the image `{image}`, \
         and the next lab makes it anew"
    )]
    OtherBase {
        /// The base, as the user named it.
        base: String,
        /// The digest of what is here.
        has: String,
        /// The digest in krun.lock.
        locked: String,
        /// The engine's name for what is here.
        image: String,
    },
    /// This machine has no way to run hosts without root.
    #[error(
        "a lab without root cannot be made here: {why}; run krun as root, or use `--engine docker`"
    )]
    NoRootless {
        /// What is missing.
        why: String,
    },
    /// The base of the hosts cannot be had.
    #[error("the base `{base}` cannot be had: {cause}")]
    NoBase {
        /// As the user named it.
        base: String,
        /// What the engine said.
        cause: Box<Error>,
    },
    /// Too little memory or disk.
    #[error("the lab needs {needs} MiB of {what}, and {has} MiB are free; {help}")]
    NoRoom {
        /// "memory" or a place.
        what: String,
        /// MiB.
        needs: u64,
        /// MiB.
        has: u64,
        /// What the user may do.
        help: &'static str,
    },
    /// The disk filled up while the lab was made.
    #[error("`{}` is full, so the lab could not be made; what was made is removed", place.display())]
    Full {
        /// Where.
        place: PathBuf,
        /// What failed.
        #[source]
        source: Box<Error>,
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
    /// There is no lab at all.
    #[error("no lab is up; make one with `krun lab up NAME -i HOSTS`")]
    NoLab,
    /// More than one lab is up, and none was named.
    #[error("several labs are up (`krun lab list`); say which with `--lab NAME`")]
    WhichLab,
    /// More than one lab has a host of that name.
    #[error("the labs {labs} have a host named `{host}`; say which: `krun lab ssh LAB {host}`")]
    SeveralLabs {
        /// The name that was asked for.
        host: String,
        /// The labs' names.
        labs: String,
    },
    /// No snapshot has that name.
    #[error("no snapshot is named `{name}`; `krun lab snapshot --list` tells which there are")]
    NoSuchSnapshot {
        /// The name that was asked for.
        name: String,
    },
    /// A snapshot of that name is there already.
    #[error(
        "a snapshot named `{name}` is there already; remove it with `krun lab snapshot --remove {name}`"
    )]
    SnapshotExists {
        /// The snapshot's name.
        name: String,
    },
    /// A service had to be killed.
    #[error(
        "`{unit}` on `{host}` did not stop in its time and was killed: its state is not worth keeping"
    )]
    NotStopped {
        /// The host's name.
        host: String,
        /// The unit's name.
        unit: String,
    },
    /// The user has had enough of it.
    #[error("interrupted; what had been made is removed")]
    Interrupted,
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
        /// "lab", "host", "user" or "snapshot".
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
    /// Whether it is the user's to mend: words that mean nothing here, or what this machine lacks. Nothing was made.
    pub fn is_users(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NoEngine { .. }
            | Self::NotWorking { .. }
            | Self::OtherBase { .. }
            | Self::NoRootless { .. }
            | Self::NoBase { .. }
            | Self::NoRoom { .. }
            | Self::Full { .. }
            | Self::AlreadyUp { .. }
            | Self::NoSuchLab { .. }
            | Self::NoLab
            | Self::WhichLab
            | Self::SeveralLabs { .. }
            | Self::NoSuchSnapshot { .. }
            | Self::SnapshotExists { .. }
            | Self::NoSuchHost { .. }
            | Self::BadName { .. } => true,
            Self::Start { .. }
            | Self::Command { .. }
            | Self::NotStopped { .. }
            | Self::Interrupted
            | Self::NoAnswer { .. }
            | Self::Unreadable { .. }
            | Self::File { .. } => false,
        }
    }

    /// Returns a function for `map_err` that says which file could not be `verb`ed.
    pub(super) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }
}
