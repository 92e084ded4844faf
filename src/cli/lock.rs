//! `krun lock`: what playbooks fetch → `krun.lock`, without asking any host.

use super::apply::{compile, context, load, paint, show_diagnostics};
use super::fetching::{configured, lock_file};
use super::options::RunOptions;
use super::settings::{self, Machine};
use super::{config, exit};
use crate::artifacts::{Fetching, Lock, LockError};
use crate::diag::{Diagnostic, Diagnostics};
use crate::facts;
use crate::modules;
use crate::report::Paint;
use crate::run::Interrupt;
use crate::run::foresee::{Foreseen, What, foresee};
use crate::sys::Sys;
use crate::sys::http::bare;
use clap::Args;
use indexmap::{IndexMap, IndexSet};
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct LockOptions {
    #[command(flatten)]
    run: RunOptions,
    /// Fetch again what `krun.lock` has already, and take over what has changed.
    #[arg(long)]
    update: bool,
}

/// What playbooks fetch, in their order.
#[derive(Default)]
struct Fetched {
    /// By URL, the first task that fetches it; the reason why nobody can say whether that runs, where there is one.
    urls: IndexMap<String, (String, Option<String>)>,
    /// Tasks whose URL cannot be told, a line each.
    unknown: IndexSet<String>,
}

impl Fetched {
    fn add(&mut self, foreseen: Foreseen) {
        let task = format!("{} ({})", foreseen.task.full_title(), foreseen.task.span);
        let action = match foreseen.what {
            What::Does(action, perhaps) => (action, perhaps),
            What::Unknown(cause) | What::Fault(cause) => {
                self.unknown.insert(format!("{task}: {cause}"));
                return;
            }
        };
        let (action, perhaps) = action;
        for url in action.urls() {
            let known = self
                .urls
                .entry(url)
                .or_insert((task.clone(), perhaps.clone()));
            if perhaps.is_none() {
                known.1 = None;
            }
        }
    }
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
    show_diagnostics(&diagnostics, paint);
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let (_, interrupt) = Interrupt::channel();
    let context = settings::settings(run, &machine, String::new())
        .and_then(|settings| context(loaded, settings, run, &machine, interrupt, None));
    let context = match context {
        Ok(context) => context,
        Err(error) => return failed(&error.to_string()),
    };
    let mut fetched = Fetched::default();
    foresee(plan, context, modules::FETCHING, &facts(), &mut |it| {
        fetched.add(it);
    });
    let fetching = configured(&config, &machine);
    let Some(lock) = locked(&fetched, &before, options.update, &fetching, paint) else {
        return failed("krun.lock is as it was");
    };
    for line in &fetched.unknown {
        say(&paint.yellow(format!("not locked: {line}")));
    }
    if let Err(error) = lock.write(&lock_file(&machine)) {
        return failed(&error.to_string());
    }
    say(&summary(&lock, fetched.unknown.len()));
    ExitCode::SUCCESS
}

/// The names that facts have: those of this machine are as good as any.
fn facts() -> Vec<String> {
    let facts = facts::gather(&Sys::host(), &facts::Wanted::default()).unwrap_or_default();
    let names = facts.keys().filter_map(|name| name.as_str());
    let names = names.map(|name| format!("ansible_{}", name.trim_start_matches("ansible_")));
    names.chain(["ansible_facts".to_owned()]).collect()
}

/// Fetches what is not locked yet, and says what is new, other or gone; none if something cannot be had.
fn locked(
    fetched: &Fetched,
    before: &Lock,
    update: bool,
    fetching: &Fetching,
    paint: Paint,
) -> Option<Lock> {
    let mut lock = Lock::new(before.base.clone());
    let mut is_whole = true;
    for (url, (task, perhaps)) in &fetched.urls {
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
                if let Some(cause) = perhaps {
                    say(&paint.yellow(format!("not locked: {task}: {error}; {cause}")));
                } else {
                    is_whole = false;
                    say(&paint.red(format!("error: {error}")));
                    say(&format!("  of the task {task}"));
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
