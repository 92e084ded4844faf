//! `krun plan -o FILE` and `krun apply FILE`: a plan that was reviewed, and then that and nothing else.

use super::apply::{Errand, compile, load, paint, run_plan, say, show_diagnostics};
use super::fetching::fetching;
use super::options::RunOptions;
use super::settings::Machine;
use super::{exit, record};
use crate::diag::Diagnostics;
use crate::event::{Event, EventKind};
use crate::plan::Plan;
use crate::record::{Became, Error, SavedPlan, difference};
use crate::report::{Paint, diff};
use crate::run::Promise;
use crate::run::promise::{self, Drift};
use crate::value::{Dict, HostName};
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Options of a plan that say how it is shown and where it goes; they are not the plan's own. The second says whether a
/// value follows.
const NOT_KEPT: &[(&str, bool)] = &[
    ("-o", true),
    ("--out", true),
    ("--format", true),
    ("--output", true),
    ("--record", true),
    ("--exit-code", false),
    ("--no-record", false),
    ("--check", false),
    ("-C", false),
    ("--diff", false),
    ("-D", false),
];

#[derive(Debug, clap::Args)]
pub(super) struct ApplyOptions {
    /// Let what the plan could not know be done as it turns out.
    #[arg(long)]
    allow_unknown: bool,
    /// The file that `krun plan -o` made.
    file: PathBuf,
    /// Further options of the run: how to connect, and what the plan may not hold (`-e` with secrets).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    further: Vec<OsString>,
}

const ALLOW_UNKNOWN: &str = "--allow-unknown";

impl ApplyOptions {
    /// Behind the file's name the option is among the further ones.
    fn allows_unknown(&self) -> bool {
        self.allow_unknown || self.further.iter().any(|word| word == ALLOW_UNKNOWN)
    }
}

#[derive(Debug, Parser)]
struct Again {
    #[command(flatten)]
    run: RunOptions,
}

/// Plans, shows it, and keeps it in a file.
pub(super) fn plan(options: &RunOptions, out: &Path, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let salt =
        super::settings::run_id() + &promise::hash(out.as_os_str().as_encoded_bytes(), "")[..16];
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut inputs = Vec::new();
    let mut extra = String::new();
    let code = match loaded(options, &machine) {
        Err(code) => return code,
        Ok((plan, loaded)) => {
            inputs.extend(record::inputs(options, &machine, &plan).into_list());
            extra.push_str(&digest(&loaded.extra, &salt));
            let errand = Errand {
                salt: Some(salt.clone()),
                heard: Some(Arc::clone(&heard)),
                ..Errand::default()
            };
            ran(run_plan(plan, loaded, options, &machine, args, errand))
        }
    };
    let events = std::mem::take(&mut *heard.lock().expect("nobody panics with it"));
    let well = events.iter().any(|event| {
        matches!(&event.kind, EventKind::RunEnded { stats, .. }
        if stats.values().all(|stats| stats.failed + stats.unreachable == 0))
    });
    if !well {
        say("the plan is not saved: what would fail cannot be applied");
        return code;
    }
    let (args, left_out) = kept(&args[1..]);
    let saved = SavedPlan {
        args,
        left_out,
        directory: machine.cwd.clone(),
        who: machine.who(),
        salt,
        extra,
        inputs,
        events,
    };
    match saved.write(out) {
        Ok(()) => {
            say(&format!("saved: krun apply {}", out.display()));
            code
        }
        Err(error) => refused(&error),
    }
}

pub(super) fn ran(code: std::io::Result<ExitCode>) -> ExitCode {
    code.unwrap_or_else(|error| {
        say(&format!("error: {error}"));
        exit::internal()
    })
}

fn refused(error: &Error) -> ExitCode {
    say(&format!("error: {error}"));
    exit::usage()
}

pub(super) fn loaded(
    options: &RunOptions,
    machine: &Machine,
) -> Result<(Plan, super::apply::Loaded), ExitCode> {
    let mut diagnostics = Diagnostics::new();
    let mut loaded = load(
        &options.files,
        &options.playbooks,
        machine,
        &mut diagnostics,
    );
    loaded.fetching = fetching(options.locked, machine, &mut diagnostics);
    let plan = compile(&loaded, &options.files, &mut diagnostics);
    show_diagnostics(
        &diagnostics,
        paint(std::io::stderr().is_terminal(), machine),
    );
    if diagnostics.has_errors() {
        return Err(options.files.program.faults(&diagnostics));
    }
    Ok((plan, loaded))
}

/// The arguments that make the same run again, and those that may not be kept.
fn kept(args: &[OsString]) -> (Vec<String>, Vec<String>) {
    let masked = record::command(args, &crate::value::Masks::default());
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    let mut words = masked.into_iter().skip_while(|word| word != "plan").skip(1);
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if let Some((_, has_value)) = NOT_KEPT.iter().find(|(option, _)| *option == name) {
            if *has_value && !word.contains('=') {
                words.next();
            }
            continue;
        }
        if matches!(word.as_str(), "-e" | "--extra-vars") {
            let value = words.next().unwrap_or_default();
            let to = if value.contains("***") {
                &mut left_out
            } else {
                &mut kept
            };
            to.extend([word, value]);
        } else if word.contains("***") {
            left_out.push(word);
        } else {
            kept.push(word);
        }
    }
    (kept, left_out)
}

fn digest(extra: &Dict, salt: &str) -> String {
    let text = serde_json::to_vec(extra).unwrap_or_default();
    promise::hash(&text, salt)
}

/// A saved plan, and the command line of its run.
fn opened(
    options: &ApplyOptions,
    program: &OsString,
) -> Result<(SavedPlan, Vec<OsString>, RunOptions), String> {
    let saved = SavedPlan::read(&options.file).map_err(|error| error.to_string())?;
    let mut args = vec![program.clone()];
    args.extend(saved.args.iter().map(OsString::from));
    let of_run = options.further.iter().filter(|word| *word != ALLOW_UNKNOWN);
    args.extend(of_run.cloned());
    let again = Again::try_parse_from(&args).map_err(|error| error.to_string())?;
    Ok((saved, args, again.run))
}

/// What a stopped run of a saved plan goes on with: its options, and what the plan showed.
pub(super) fn resumed(
    options: &ApplyOptions,
    program: &OsString,
) -> Result<(RunOptions, Promise), String> {
    let (saved, _, run) = opened(options, program)?;
    let promise = Promise::of(&saved.events, &saved.salt, options.allows_unknown());
    Ok((run, promise))
}

/// Does what a saved plan showed, and nothing else.
pub(super) fn apply(options: &ApplyOptions, program: &OsString) -> ExitCode {
    let machine = Machine::read();
    let (saved, args, mut run) = match opened(options, program) {
        Ok(opened) => opened,
        Err(message) => {
            say(&format!("error: {message}"));
            return exit::usage();
        }
    };
    let (plan, inventory) = match loaded(&run, &machine) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let promise = Promise::of(&saved.events, &saved.salt, options.allows_unknown());
    let faults = faults(&saved, &promise, &run, &machine, &plan, &inventory);
    if !faults.is_empty() {
        say(&format!(
            "error: `{}` cannot be applied; no host was contacted",
            options.file.display()
        ));
        for fault in &faults {
            say(&format!("  {fault}"));
        }
        return exit::usage();
    }
    say("looking whether everything is as the plan saw it");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let errand = Errand {
        salt: Some(saved.salt.clone()),
        heard: Some(Arc::clone(&heard)),
        is_silent: true,
        ..Errand::default()
    };
    run.check = true;
    let code = ran(run_plan(plan, inventory, &run, &machine, &args, errand));
    let now = std::mem::take(&mut *heard.lock().expect("nobody panics with it"));
    let drifts = promise.drifts(&Promise::of(&now, &saved.salt, false));
    let paint = paint(std::io::stdout().is_terminal(), &machine);
    if let Some(text) = lost(&now) {
        say(&text);
        return code;
    }
    if !drifts.is_empty() {
        print(&drawn(&drifts, paint));
        say("nothing was changed: plan again, review, and apply that");
        return ExitCode::from(2);
    }
    let (plan, inventory) = match loaded(&run, &machine) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    run.check = false;
    let errand = Errand {
        promise: Some(promise),
        ..Errand::default()
    };
    let mut words = args.clone();
    words.splice(1..1, [OsString::from("apply"), options.file.clone().into()]);
    words.truncate(3);
    if options.allow_unknown {
        words.insert(2, ALLOW_UNKNOWN.into());
    }
    words.extend(options.further.iter().cloned());
    ran(run_plan(plan, inventory, &run, &machine, &words, errand))
}

/// Why the plan cannot be applied as it is, found without any host.
fn faults(
    saved: &SavedPlan,
    promise: &Promise,
    run: &RunOptions,
    machine: &Machine,
    plan: &Plan,
    loaded: &super::apply::Loaded,
) -> Vec<String> {
    let mut faults = Vec::new();
    let inputs = record::inputs(run, machine, plan).into_list();
    for (path, became) in difference(&saved.inputs, &inputs) {
        let became = match became {
            Became::Changed => "is no longer as it was planned with",
            Became::Gone => "is gone",
            Became::New => "is new",
        };
        faults.push(format!("`{}` {became}", path.display()));
    }
    if !faults.is_empty() && machine.cwd != saved.directory {
        faults.push(format!("it was planned in `{}`", saved.directory.display()));
    }
    let is_gone = |host: &&HostName| loaded.inventory.host(host).is_none();
    for host in promise.hosts().filter(is_gone) {
        faults.push(format!("`{host}` is no longer in the inventory"));
    }
    if digest(&loaded.extra, &saved.salt) != saved.extra {
        let left_out = record::quoted(&saved.left_out);
        faults.push(if saved.left_out.is_empty() {
            "the extra variables are not those that it was planned with".to_owned()
        } else {
            format!("the plan holds no secrets: give what it was planned with again: {left_out}")
        });
    }
    faults
}

/// Hosts that are not there.
fn lost(events: &[Event]) -> Option<String> {
    let lost: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::HostUnreachable { host, message, .. } => {
                Some(format!("unreachable: [{host}] {message}"))
            }
            _ => None,
        })
        .collect();
    (!lost.is_empty()).then(|| lost.join("\n") + "\nnothing was changed")
}

fn drawn(drifts: &[Drift], paint: Paint) -> String {
    let mut out = String::new();
    for drift in drifts {
        let host = paint.bold_red(format!("drifted: [{}]", drift.host));
        let _ = writeln!(out, "{host}: {}\n  {}", paint.bold(&drift.task), drift.text);
        for one in &drift.diffs {
            for line in diff::draw(one, paint).lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
    out
}

#[expect(clippy::print_stdout, reason = "cli speaks to the user")]
fn print(text: &str) {
    print!("{text}");
}
