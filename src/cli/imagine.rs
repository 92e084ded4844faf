//! `krun imagine`: plans hosts that nobody contacts, and says it in events; what `krun review` starts for each revision.

use super::apply::{Errand, Imagined, compile, load, paint, run_plan, say, show_diagnostics};
use super::options::{Output, RunOptions};
use super::settings::Machine;
use super::{exit, facts};
use crate::diag::Diagnostics;
use crate::run::World;
use crate::run::world;
use crate::value::Secret;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct ImagineOptions {
    /// Where the hosts are kept.
    #[arg(long)]
    directory: PathBuf,
    /// What is known of them: a file that `krun facts` wrote.
    #[arg(long)]
    facts: Option<PathBuf>,
    /// Makes hashes of secrets the review's own.
    #[arg(long, default_value = "")]
    salt: String,
    #[command(flatten)]
    run: RunOptions,
}

/// Secrets of the revision that was planned before, in the directory that nobody else may read.
const SECRETS: &str = "secrets";

/// Tells what is known of the hosts, and hides what was a secret in the plan before.
pub(super) fn prepare(imagined: &Imagined, world: &World) -> std::io::Result<()> {
    for (host, facts) in &imagined.facts {
        world::write(&world.host(host), |known| known.facts.clone_from(facts));
    }
    let bytes = match std::fs::read(imagined.directory.join(SECRETS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes?,
    };
    let secrets: Vec<String> = serde_json::from_slice(&bytes)?;
    let mut masks = world.masks.write().expect("masks lock");
    for secret in secrets {
        masks.add(&Secret::new(secret));
    }
    Ok(())
}

/// Keeps this plan's secrets for the next one.
pub(super) fn keep_secrets(directory: &Path, world: &World) -> std::io::Result<()> {
    let masks = world.masks.read().expect("masks lock");
    let secrets: Vec<&str> = masks.secrets().map(Secret::reveal).collect();
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(SECRETS), serde_json::to_vec(&secrets)?)
}

pub(super) fn imagine(options: ImagineOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let mut run = options.run;
    run.check = true;
    run.no_record = true;
    run.output = Output::Json;
    let known = match options.facts.as_deref().map(facts::read).transpose() {
        Ok(known) => known.unwrap_or_default(),
        Err(error) => {
            say(&format!("error: {error}"));
            return exit::usage();
        }
    };
    let mut diagnostics = Diagnostics::new();
    let loaded = load(&run.files, &run.playbooks, &machine, &mut diagnostics);
    let plan = compile(&loaded, &run.files, &mut diagnostics);
    if diagnostics.has_errors() {
        show_diagnostics(
            &diagnostics,
            paint(std::io::stderr().is_terminal(), &machine),
        );
        return exit::usage();
    }
    let errand = Errand {
        imagined: Some(Imagined {
            directory: options.directory,
            salt: options.salt,
            facts: known,
        }),
        ..Errand::default()
    };
    match run_plan(plan, loaded, &run, &machine, args, errand) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error}"));
            exit::internal()
        }
    }
}
