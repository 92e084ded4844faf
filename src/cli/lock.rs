//! `krun lock`: what playbooks fetch → `krun.lock`, without asking any host.

use super::apply::{compile, load, paint, show_diagnostics};
use super::config::Config;
use super::fetching::{configured, lock_file};
use super::options::RunOptions;
use super::settings::{self, Machine};
use super::wants::{Wants, way_out};
use super::{config, exit, lab};
use crate::artifacts::{Base, Fetching, Lock, LockError};
use crate::diag::{Diagnostic, Diagnostics};
use crate::lab::Lab;
use crate::report::Paint;
use crate::sys::http::bare;
use clap::Args;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct LockOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Fetch again what `krun.lock` has already, and take over what has changed.
    #[arg(long)]
    update: bool,
    /// A web site that rehearsals stand in for, and the directory with its files: they are what is locked.
    #[arg(long, value_name = "NAME=DIR", value_parser = lab::site)]
    site: Vec<(String, PathBuf)>,
    /// What rehearsals' hosts begin as (default debian:12).
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Leave the base as it is in the file: make no image.
    #[arg(long, conflicts_with = "base")]
    no_base: bool,
}

pub(super) fn lock(options: &LockOptions) -> ExitCode {
    let machine = Machine::read();
    let paint = paint(std::io::stderr().is_terminal(), &machine);
    let mut diagnostics = Diagnostics::new();
    let run = &options.run;
    let loaded = load(&run.files, &run.playbooks, &machine, &mut diagnostics);
    let plan = compile(&loaded, &run.files, &mut diagnostics);
    let config = config::read(&machine, &mut diagnostics);
    let before = match Lock::read(&lock_file(&machine)) {
        Ok(lock) => lock,
        Err(LockError::Missing { .. }) => Lock::default(),
        Err(error) => {
            diagnostics.push(Diagnostic::global(error.to_string()));
            Lock::default()
        }
    };
    lab::check_sites(&options.site, &mut diagnostics);
    show_diagnostics(&diagnostics, paint);
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let mut wants = Wants::default();
    let wanted = settings::settings(run, &machine, String::new())
        .and_then(|settings| wants.add(plan, loaded, settings, run, &machine));
    if let Err(error) = wanted {
        return failed(&error.to_string());
    }
    let mut fetching = configured(&config, &machine);
    for (name, dir) in &options.site {
        let dir = machine.cwd.join(dir);
        let mirror = |scheme| (format!("{scheme}://{name}/"), format!("{}/", dir.display()));
        fetching.mirrors.extend(["https", "http"].map(mirror));
    }
    let Some(mut lock) = locked(&wants, options.update, &before, &fetching, &machine, paint) else {
        say("error: krun.lock is as it was");
        return exit::usage();
    };
    if !options.no_base {
        lock.base = base(options, &config, before.base, &machine, paint);
    }
    for line in &wants.unknown {
        say(&paint.yellow(format!("not locked: {line}")));
    }
    if let Err(error) = lock.write(&lock_file(&machine)) {
        return failed(&error.to_string());
    }
    say(&summary(&lock, wants.unknown.len()));
    ExitCode::SUCCESS
}

/// Fetches what is not locked yet, and says what is new, other or gone; none if something cannot be had.
fn locked(
    wants: &Wants,
    update: bool,
    before: &Lock,
    fetching: &Fetching,
    machine: &Machine,
    paint: Paint,
) -> Option<Lock> {
    let mut lock = Lock::new(before.base.clone());
    let mut is_whole = true;
    for (url, wanted) in &wants.urls {
        let shown = bare(url);
        let known = before.find(url);
        if let Some(known) = known.filter(|_| !update) {
            lock.add(url, known.clone());
            continue;
        }
        match fetching.get(url, &|text| say(&paint.dim(format!("  {text}")))) {
            Ok(held) => {
                match known {
                    None => say(&paint.green(format!("new      {shown}"))),
                    Some(known) if *known != held.bytes => {
                        say(&paint.yellow(format!("changed  {shown}")));
                    }
                    Some(_) => {}
                }
                lock.add(url, held.bytes);
            }
            Err(error) => {
                let task = wanted.title();
                if let Some(cause) = &wanted.perhaps {
                    say(&paint.yellow(format!("not locked: {task}: {error}; {cause}")));
                } else {
                    is_whole = false;
                    say(&paint.red(format!("error: {error}")));
                    say(&format!("  of the task {task}"));
                    say(&format!("  help: {}", way_out(url, &machine.lab_root())));
                }
            }
        }
    }
    if !is_whole {
        return None;
    }
    for (url, _) in before.iter().filter(|(url, _)| lock.find(url).is_none()) {
        say(&paint.red(format!("gone     {url}")));
    }
    Some(lock)
}

/// What the hosts of rehearsals begin as; as it was before where nobody can say it here.
fn base(
    options: &LockOptions,
    config: &Config,
    before: Option<Base>,
    machine: &Machine,
    paint: Paint,
) -> Option<Base> {
    let spec = lab::settled(options.base.clone(), config);
    let name = spec.base().to_owned();
    let known = before.as_ref().filter(|it| it.name == name);
    if known.is_some() && !options.update {
        return before;
    }
    let progress = |text: &str| say(&paint.dim(format!("  {text}")));
    match Lab::base_digest(&machine.lab_root(), &spec, &progress) {
        Ok(digest) => {
            match known {
                None => say(&paint.green(format!("new      base {name}"))),
                Some(known) if known.digest != digest => {
                    say(&paint.yellow(format!("changed  base {name}")));
                }
                Some(_) => {}
            }
            Some(Base { name, digest })
        }
        Err(error) => {
            say(&paint.yellow(format!("not locked: the base `{name}`: {error}")));
            before
        }
    }
}

fn summary(lock: &Lock, n_unknown: usize) -> String {
    let (n, size) = lock
        .iter()
        .fold((0, 0), |(n, size), (_, locked)| (n + 1, size + locked.size));
    let artifacts = if n == 1 { "artifact" } else { "artifacts" };
    #[expect(clippy::cast_precision_loss, reason = "megabytes with one digit")]
    let mut text = format!("krun.lock: {n} {artifacts}, {:.1} MB", size as f64 / 1e6);
    if n_unknown > 0 {
        let tasks = if n_unknown == 1 { "task" } else { "tasks" };
        let _ = write!(text, "; {n_unknown} {tasks} whose URL only a run can tell");
    }
    text
}

fn failed(text: &str) -> ExitCode {
    say(&format!("error: {text}"));
    exit::internal()
}

#[expect(clippy::print_stderr, reason = "cli speaks to the user")]
fn say(text: &str) {
    eprintln!("{text}");
}
