//! `krun rehearse`: turns the command line into a script of runs, and the end of the rehearsal into an exit code.

use super::apply::{Loaded, compile, context, load, paint, show_diagnostics};
use super::exit;
use super::lab::site;
use super::options::{Output, RunOptions};
use super::settings::{self, Machine};
use super::sink::sink;
use crate::diag::{Diagnostic, Diagnostics};
use crate::lab::{LabSpec, Site};
use crate::plan::Plan;
use crate::rehearse::{self, Act, Ending, Place, Say, Script, form};
use crate::run::{self, Interrupt, Settings};
use clap::Args;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Args)]
pub(super) struct RehearseOptions {
    #[command(flatten)]
    run: RunOptions,
    /// A playbook that brings the lab to today's state; may be given several times.
    #[arg(long, value_name = "PLAYBOOK")]
    from: Vec<PathBuf>,
    /// The lab's name: small letters, digits and `-`.
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    lab: String,
    /// Leave the lab up in the end.
    #[arg(long)]
    keep: bool,
    /// A web site that the lab stands in for, and the directory with its files.
    #[arg(long, value_name = "NAME=DIR", value_parser = site)]
    site: Vec<(String, PathBuf)>,
    /// A further Debian package of the hosts.
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// Let `connection: local` and `delegate_to: localhost` change this machine.
    #[arg(long)]
    allow_local: bool,
    /// Where labs and their image are kept (default: /var/cache/krun for root, else krun in the user's cache).
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub(super) fn rehearse(options: &RehearseOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let mut diagnostics = Diagnostics::new();
    let script = script(options, &machine, args, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), &machine),
    );
    if diagnostics.has_errors() {
        return exit::usage();
    }
    let say = narrator(options, &machine);
    match script.and_then(|script| play(script, Arc::clone(&say))) {
        Ok(Ok(ending)) => ended(&ending, &say),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn ended(ending: &Ending, say: &Say) -> ExitCode {
    match ending {
        Ending::Proven => {
            say("The rehearsal ended well");
            ExitCode::SUCCESS
        }
        Ending::Failed(why) => {
            say(&format!("The rehearsal did not end well: {why}"));
            exit::not_proven()
        }
        Ending::Interrupted => {
            say("The rehearsal was stopped");
            exit::not_proven()
        }
    }
}

#[expect(clippy::print_stderr, reason = "cli speaks to the user")]
fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(it) = cause {
        eprintln!("Caused by: {it}");
        cause = it.source();
    }
    exit::internal()
}

/// Runs the story to its end; Ctrl-C, TERM and HUP stop it in order.
fn play(script: Script, say: Say) -> std::io::Result<Result<Ending, rehearse::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (wishes, stops) = watch::channel(0);
    runtime.block_on(async {
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
        Ok(rehearse::rehearse(script, say, stops).await)
    })
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
        let line = if text.starts_with(' ') {
            format!("        {}", paint.dim(text.trim_start()))
        } else {
            let seconds = begun.elapsed().as_secs();
            let line = format!("{:3}:{:02}  {text}", seconds / 60, seconds % 60);
            format!("\n{}", paint.bold(line))
        };
        if is_json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    })
}

/// Playbooks that were read and compiled, before there is a lab.
#[derive(Clone)]
struct Prepared {
    options: RunOptions,
    settings: Settings,
    loaded: Loaded,
    plan: Plan,
}

fn script(
    options: &RehearseOptions,
    machine: &Machine,
    args: &[OsString],
    diagnostics: &mut Diagnostics,
) -> std::io::Result<Script> {
    let command = super::record::command(args, &crate::value::Masks::default());
    let command = super::record::quoted(&command);
    let settings = settings::settings(&options.run, machine, command)?;
    let main = prepare(options.run.clone(), &settings, machine, diagnostics);
    let from: Vec<Prepared> = options
        .from
        .iter()
        .map(|playbook| {
            // What picks tasks means those of the rehearsed playbook; today's state needs all of its own.
            let mut run = options.run.clone();
            run.playbooks = vec![playbook.clone()];
            (run.files.tags, run.files.skip_tags) = (Vec::new(), Vec::new());
            run.files.start_at_task = None;
            prepare(run, &settings, machine, diagnostics)
        })
        .collect();
    let run = &options.run;
    if run.check || run.syntax_check || run.list_hosts || run.list_tasks {
        diagnostics.push(Diagnostic::global(
            "`--check`, `--syntax-check` and listings are for a run, not for a rehearsal",
        ));
    }
    let plans: Vec<&Plan> = from.iter().chain([&main]).map(|it| &it.plan).collect();
    let form = form::form(
        &main.loaded.inventory,
        main.loaded.limit.as_ref(),
        &plans,
        options.allow_local,
        diagnostics,
    );
    let sites = options.site.iter().cloned();
    let act = |title: String, prepared: Prepared| Act {
        title,
        start: start(prepared, machine.clone()),
    };
    let named = names(&options.run.playbooks);
    Ok(Script {
        root: options.root.clone().unwrap_or_else(|| machine.lab_root()),
        spec: LabSpec {
            name: options.lab.clone(),
            hosts: form.hosts.iter().map(ToString::to_string).collect(),
            users: form.users.into_iter().collect(),
            packages: options.package.clone(),
            sites: sites.map(|(name, root)| Site { name, root }).collect(),
            ..LabSpec::default()
        },
        allow_local: options.allow_local,
        keep: options.keep,
        from: from
            .into_iter()
            .map(|it| {
                let what = names(&it.options.playbooks);
                act(format!("Bringing the lab to today's state: {what}"), it)
            })
            .collect(),
        again: act(format!("The same once more: {named}"), main.clone()),
        main: act(format!("Rehearsing {named}"), main),
    })
}

fn names(playbooks: &[PathBuf]) -> String {
    let names: Vec<String> = playbooks
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(" ")
}

fn prepare(
    options: RunOptions,
    settings: &Settings,
    machine: &Machine,
    diagnostics: &mut Diagnostics,
) -> Prepared {
    let loaded = load(&options.files, &options.playbooks, machine, diagnostics);
    let plan = compile(&loaded, &options.files, diagnostics);
    Prepared {
        options,
        settings: settings.clone(),
        loaded,
        plan,
    }
}

/// A run as `krun PLAYBOOK` would be it, but for the hosts that it may reach and where it keeps its state.
fn start(prepared: Prepared, machine: Machine) -> rehearse::Start {
    Box::new(move |place: Place, mut hear: rehearse::Sink| {
        Box::pin(async move {
            let (presses, interrupt) = Interrupt::channel();
            let mut stops = place.stops.clone();
            tokio::spawn(async move {
                while stops.changed().await.is_ok() && presses.send(()).is_ok() {}
            });
            let mut run_settings = prepared.settings;
            run_settings.state_dir = place.state_dir;
            let options = &prepared.options;
            let context = context(
                prepared.loaded,
                run_settings,
                options,
                &machine,
                interrupt,
                Some(place.confined),
            )
            .expect("the program's own path is known by now");
            let names = options
                .playbooks
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let (mut show, ticker, _) = sink(options, &machine);
            let listen = Box::new(move |event: &crate::event::Event| {
                show(event);
                hear(event);
            });
            let conclusion = run::run(prepared.plan, context, names, listen).await;
            if let Some(ticker) = ticker {
                ticker.abort();
            }
            conclusion
        })
    })
}
