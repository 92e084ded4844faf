//! `krun rehearse`: turns the command line into a script of runs, and what they proved into reports and an exit code.

mod eye;
mod faults;
mod options;
mod packages;
mod report;
mod script;
mod stock;

pub(super) use eye::{EyeOptions, eye};
pub(super) use options::RehearseOptions;

use super::apply::{paint, show_diagnostics};
use super::exit;
use super::lab::tell;
use super::options::Output;
use super::settings::Machine;
use crate::diag::Diagnostics;
use crate::rehearse::account::Account;
use crate::rehearse::{self, Say, Script};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub(super) fn rehearse(options: &RehearseOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    let say = narrator(options, &machine);
    let ready = script::script(options, &machine, args, &say, &mut diagnostics);
    let paint = paint(std::io::stderr().is_terminal(), &machine);
    show_diagnostics(&diagnostics, paint);
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let ready = match ready {
        Ok(ready) => ready,
        Err(error) => return failed(&error),
    };
    let missing = ready.fetch(options, &say);
    show_diagnostics(&missing, paint);
    if missing.has_errors() {
        return exit::usage();
    }
    match play(ready.script, &say) {
        Ok(Ok(account)) => report::report(&account, options, &machine, &say),
        Ok(Err(error)) => {
            tell(&error);
            match &error {
                rehearse::Error::Lab(error) => exit::of_lab(error),
                _ => exit::internal(),
            }
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    tell(error);
    exit::internal()
}

/// Runs the story to its end; Ctrl-C, TERM and HUP stop it in order.
fn play(script: Script, say: &Say) -> std::io::Result<Result<Account, rehearse::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (wishes, stops) = watch::channel(0);
    let told = runtime.block_on(async {
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            let (mut signals, wishes) = (signal(kind)?, wishes.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    wishes.send_modify(|n| *n += 1);
                }
            });
        }
        Ok(rehearse::rehearse(script, Arc::clone(say), stops).await)
    });
    // What still waits for a program of a lab that is gone is not waited for.
    runtime.shutdown_background();
    told
}

/// Says each step with the time since the beginning; beside JSON on standard error.
fn narrator(options: &RehearseOptions, machine: &Machine) -> Say {
    let begun = Instant::now();
    let is_json = options.run.output == Output::Json;
    let paint = paint(std::io::stdout().is_terminal(), machine);
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "cli speaks to the user"
    )]
    Arc::new(move |text| {
        let seconds = begun.elapsed().as_secs();
        let line = format!(
            "{:3}:{:02}  {}",
            seconds / 60,
            seconds % 60,
            text.trim_start()
        );
        let line = if text.starts_with(' ') {
            paint.dim(line)
        } else {
            format!("\n{}", paint.bold(line))
        };
        if is_json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    })
}
