//! Turns `krun agent`'s arguments and standard streams into an agent at work, or installs an uploaded agent.

use crate::agent::{self, Options, candidates, faults, imagined, input};
use crate::sys::Sys;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `krun agent` with the arguments behind that word. `home` is the user's home directory.
///
/// Nothing but frames may pass through the standard streams, so they are taken away from everybody else first.
pub fn main(arguments: &[String], home: Option<&Path>, executable: PathBuf) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--install", size, hash, target] => install(&executable, size, hash, Path::new(target)),
        _ => serve(&arguments, home, executable),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "krun agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &[&str], home: Option<&Path>, executable: PathBuf) -> Result<(), String> {
    let (input, output) = private_streams().map_err(|error| error.to_string())?;
    let told_to_end = input::sigterm().map_err(|error| error.to_string())?;
    faults::listen();
    let at = arguments.iter().position(|word| *word == "--imagined");
    let directory = at.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let (sys, directories) = match &directory {
        Some(directory) => imagined::host(directory).map_err(|error| error.to_string())?,
        None => (Sys::host(), candidates(home)),
    };
    let options = Options {
        sys,
        directories,
        imagined: directory,
        executable,
        child: arguments.contains(&"--child"),
        exclusive: !arguments.contains(&"--shared"),
        told_to_end: Some(told_to_end),
    };
    agent::serve(input, output, options).map_err(|error| error.to_string())
}

fn private_streams() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&nothing)?;
    Ok((input.into(), output.into()))
}

/// How many agents a host keeps: this one and the one before.
const KEPT: usize = 2;

/// Moves this binary, just uploaded, to `target` if it is whole; sweeps what older ones left.
fn install(executable: &Path, size: &str, hash: &str, target: &Path) -> Result<(), String> {
    let at = |error: io::Error| format!("{}: {error}", executable.display());
    let found = executable.metadata().map_err(at)?.len();
    if found.to_string() != size {
        return Err(format!("{found} bytes arrived of {size}"));
    }
    let arrived = fingerprint(executable).map_err(at)?;
    if arrived != hash {
        return Err(format!("what arrived has the hash {arrived}, not {hash}"));
    }
    // Synced, or a crash could leave an empty file under the agent's name.
    let file = File::open(executable).map_err(at)?;
    file.sync_all().map_err(at)?;
    std::fs::rename(executable, target).map_err(at)?;
    if let Some(directory) = target.parent() {
        sweep(directory, target);
    }
    Ok(())
}

/// Returns the SHA-256 of a file, in hexadecimal.
pub(crate) fn fingerprint(path: &Path) -> io::Result<String> {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

fn sweep(directory: &Path, target: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut agents = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(modified) = entry.metadata().and_then(|found| found.modified()) else {
            continue;
        };
        let age = modified.elapsed().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b"upload.") && age.as_secs() > 3600 {
            let _ = std::fs::remove_file(entry.path());
        }
        if name.as_encoded_bytes().starts_with(b"agent-") && entry.path() != target {
            agents.push((modified, entry.path()));
        }
    }
    agents.sort();
    let n_old = agents.len().saturating_sub(KEPT - 1);
    for (_, path) in &agents[..n_old] {
        let _ = std::fs::remove_file(path);
    }
}
