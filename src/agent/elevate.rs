//! Starts an agent as another user through `sudo` or `su`, answering a password prompt where one comes.

use crate::agent::directory;
use crate::modules::Error;
use crate::proto::{Identity, frame};
use nix::unistd::{AccessFlags, Uid};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

/// How long `sudo` or `su` may take to start the agent (directory services can be slow).
const LIMIT: Duration = Duration::from_secs(60);
/// What `sudo` is told to ask with, so that no other text is taken for its prompt.
const PROMPT: &str = "krun-asks-for-a-password:";
const SUDO_FLAGS: &str = "-H -S -n";

/// An agent that has said its marker.
pub(super) struct Begun {
    pub(super) process: Child,
    pub(super) input: ChildStdin,
    pub(super) output: BufReader<ChildStdout>,
}

enum Heard {
    Marker(BufReader<ChildStdout>),
    /// The output ended without a marker; what it was.
    End(Vec<u8>),
    Stderr(Vec<u8>),
}

/// Starts `executable` as `identity`.
pub(super) fn start(identity: &Identity, executable: &Path) -> Result<Begun, Error> {
    if identity
        .password
        .as_ref()
        .is_some_and(|it| it.contains('\n'))
    {
        return Err(Error::new("a become password cannot hold a line break"));
    }
    let executable = reachable(executable, &identity.user)?;
    let mut command = command(identity, &executable)?;
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::new(format!("cannot start `{}`", identity.method)).because(error)
        })?;
    let (Some(input), Some(output), Some(stderr)) = (
        process.stdin.take(),
        process.stdout.take(),
        process.stderr.take(),
    ) else {
        return Err(Error::new("a fault of krun's own").because("a child without pipes"));
    };
    let (sender, heard) = mpsc::channel();
    let other = sender.clone();
    std::thread::spawn(move || listen_to_output(output, &sender));
    std::thread::spawn(move || listen_to_stderr(stderr, &other));
    match converse(identity, input, &heard) {
        Ok((input, output)) => Ok(Begun {
            process,
            input,
            output,
        }),
        Err(error) => {
            let _ = process.kill();
            let _ = process.wait();
            Err(error)
        }
    }
}

fn command(identity: &Identity, executable: &Path) -> Result<Command, Error> {
    let given = identity.flags.as_deref();
    let usual = match identity.method.as_str() {
        "sudo" => SUDO_FLAGS,
        _ => "",
    };
    let flags = shlex::split(given.unwrap_or(usual))
        .ok_or_else(|| Error::new("the become flags have an unfinished quote"))?;
    let mut command = Command::new(&identity.method);
    command.env("LC_ALL", "C");
    match identity.method.as_str() {
        "sudo" => {
            // With a password, `-n` would refuse to read it.
            let without = |flag: &String| identity.password.is_none() || flag != "-n";
            command.args(flags.into_iter().filter(without));
            command.args(["-S", "-p", PROMPT, "-u", &identity.user, "--"]);
            command.arg(executable).args(["agent", "--child"]);
        }
        "su" => {
            let path = executable.to_string_lossy();
            let quoted = shlex::try_quote(&path)
                .map_err(|error| Error::new("the agent's path cannot be quoted").because(error))?;
            command.args(flags).arg(&identity.user);
            command.args(["-c", &format!("exec {quoted} agent --child")]);
        }
        other => {
            return Err(Error::new(format!("unknown become method `{other}`"))
                .help("krun knows `sudo` and `su`"));
        }
    }
    Ok(command)
}

fn listen_to_output(output: ChildStdout, heard: &Sender<Heard>) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    let _ = heard.send(match frame::skip_noise(&mut output) {
        Ok((_, true)) => Heard::Marker(output),
        Ok((noise, false)) => Heard::End(noise),
        Err(error) => Heard::End(error.to_string().into_bytes()),
    });
}

fn listen_to_stderr(mut stderr: impl Read, heard: &Sender<Heard>) {
    let mut piece = [0; 4096];
    // Read to its end even when nobody listens any more: a full pipe would stop the child.
    while let Ok(n @ 1..) = stderr.read(&mut piece) {
        let _ = heard.send(Heard::Stderr(piece[..n].to_vec()));
    }
}

fn converse(
    identity: &Identity,
    mut input: ChildStdin,
    heard: &Receiver<Heard>,
) -> Result<(ChildStdin, BufReader<ChildStdout>), Error> {
    let end = Instant::now() + LIMIT;
    let mut said = String::new();
    let mut answered = false;
    loop {
        match heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Heard::Marker(output)) => return Ok((input, output)),
            Ok(Heard::Stderr(text)) => {
                said.push_str(&String::from_utf8_lossy(&text));
                if !take_prompt(&mut said, &identity.method) {
                    continue;
                }
                let Some(password) = identity.password.as_ref().filter(|_| !answered) else {
                    return Err(refused(identity, &said, answered));
                };
                answered = true;
                input
                    .write_all(format!("{password}\n").as_bytes())
                    .map_err(|error| refused(identity, &said, false).because(error))?;
            }
            Ok(Heard::End(noise)) => {
                // What it said last may still be on its way.
                while let Ok(Heard::Stderr(text)) = heard.recv_timeout(Duration::from_millis(200)) {
                    said.push_str(&String::from_utf8_lossy(&text));
                }
                said.push_str(&String::from_utf8_lossy(&noise));
                take_prompt(&mut said, &identity.method);
                return Err(refused(identity, &said, answered));
            }
            Err(_) => {
                return Err(Error::new(format!(
                    "`{identity:?}` did not start an agent within {} s",
                    LIMIT.as_secs()
                ))
                .because(said.trim()));
            }
        }
    }
}

/// Takes a prompt out of what was said; `true` if there was one.
fn take_prompt(said: &mut String, method: &str) -> bool {
    let at = match method {
        "sudo" => said.find(PROMPT).map(|at| (at, PROMPT.len())),
        _ => said.find("assword:").map(|at| (at, "assword:".len())),
    };
    let Some((at, length)) = at else {
        return false;
    };
    said.replace_range(at..at + length, "");
    true
}

fn refused(identity: &Identity, said: &str, answered: bool) -> Error {
    let said = said.trim();
    let (method, user) = (&identity.method, &identity.user);
    if answered && !said.contains("not in the sudoers") && !said.contains("not allowed to") {
        return Error::new(format!("`{method}` did not accept the become password"))
            .because(said)
            .help("check `ansible_become_password` or what `--ask-become-pass` was given");
    }
    let error = Error::new(format!("cannot become `{user}` with `{method}`"));
    if identity.password.is_none() && (said.is_empty() || said.contains("password")) {
        return error
            .because(format!("`{method}` asks for a password"))
            .help("give it with `--ask-become-pass` or `ansible_become_password`");
    }
    if said.contains("must have a tty") {
        return error
            .because(said)
            .help("take `requiretty` out of this host's sudoers");
    }
    if said.is_empty() {
        return error.because("it ended without a word");
    }
    error.because(said)
}

/// Returns a path of the agent that `user` can execute: root can reach this one, anybody else needs a copy.
fn reachable(executable: &Path, user: &str) -> Result<PathBuf, Error> {
    if user == "root" {
        return Ok(executable.to_path_buf());
    }
    let uid = Uid::effective();
    let mut faults = Vec::new();
    for base in ["/var/tmp", "/tmp", "/dev/shm"] {
        let place = PathBuf::from(format!("{base}/krun-{uid}-shared"));
        match share(executable, &place) {
            Ok(path) => return Ok(path),
            Err(fault) => faults.push(format!("{}: {fault}", place.display())),
        }
    }
    Err(faults.into_iter().fold(
        Error::new(format!("no place where `{user}` could start the agent")),
        Error::because,
    ))
}

fn share(executable: &Path, place: &Path) -> Result<PathBuf, String> {
    directory::own(place, 0o755)?;
    let text = |error: std::io::Error| error.to_string();
    let found = executable.metadata().map_err(text)?;
    let name = executable.file_name().unwrap_or_default();
    let copy = place.join(name);
    let is_whole = copy.symlink_metadata().is_ok_and(|copy| {
        let same_age = match (copy.modified(), found.modified()) {
            (Ok(copied), Ok(original)) => copied >= original,
            _ => false,
        };
        copy.is_file() && copy.len() == found.len() && same_age
    });
    if !is_whole {
        for old in std::fs::read_dir(place).map_err(text)?.flatten() {
            let _ = std::fs::remove_file(old.path());
        }
        let mut temporary = copy.clone().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        std::fs::copy(executable, &temporary).map_err(text)?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&temporary, mode).map_err(text)?;
        std::fs::rename(&temporary, &copy).map_err(text)?;
    }
    nix::unistd::access(&copy, AccessFlags::X_OK).map_err(|error| error.to_string())?;
    Ok(copy)
}
