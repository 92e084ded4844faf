//! `krun prove PLAYBOOK`: runs it twice, and names what the second run changed again, with its diffs.

use super::apply::{Errand, paint, run_plan, show_diagnostics};
use super::exit;
use super::options::{Format, Output, RunOptions};
use super::saved::{loaded, ran};
use super::settings::{Machine, run_id};
use crate::diag::{Diagnostic, Diagnostics};
use crate::event::Event;
use crate::rehearse::idempotence::{Idempotence, judge};
use crate::rehearse::work::{Recorder, Work};
use crate::report::Paint;
use crate::report::words::{count, counted_hosts};
use crate::value::HostName;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Runs the playbooks, and once more. Ends with 0 if the second run changed nothing, with 2 if it did.
pub(super) fn prove(options: &RunOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    if options.check || options.syntax_check || options.list_hosts || options.list_tasks {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(Diagnostic::global(
            "`--check`, `--syntax-check` and listings are for a run, not for a proof",
        ));
        show_diagnostics(
            &diagnostics,
            paint(std::io::stderr().is_terminal(), &machine),
        );
        return exit::usage();
    }
    let paint = paint(std::io::stdout().is_terminal(), &machine);
    let mut again = options.clone();
    // Who reads events gets nothing but events.
    let speaks = options.output != Output::Json;
    if speaks {
        again.format.get_or_insert(Format::Text);
    }
    let first = once(options, &machine, args);
    if first.code != ExitCode::SUCCESS {
        if speaks {
            let line = "nothing is proven: the first run did not end well";
            print(&paint.bold_red(line));
        }
        return first.code;
    }
    if speaks {
        print(&paint.bold("\nonce more: what changes now is not idempotent"));
    }
    // Runs are told apart by the second in which they begin.
    let now = run_id();
    while run_id() == now {
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = once(&again, &machine, args);
    let mut recorder = Recorder::new("the second run");
    second.events.iter().for_each(|event| recorder.hear(event));
    let verdict = judge(&recorder.end(second.code == ExitCode::SUCCESS));
    if speaks {
        print(&drawn(&verdict, paint));
    }
    match verdict {
        Idempotence::Proven => ExitCode::SUCCESS,
        Idempotence::Failed(_) => second.code,
        Idempotence::Not(_) | Idempotence::Refused { .. } | Idempotence::NotTried(_) => {
            exit::not_proven()
        }
    }
}

/// One run, as it ended.
struct Once {
    events: Vec<Event>,
    code: ExitCode,
}

fn once(options: &RunOptions, machine: &Machine, args: &[OsString]) -> Once {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let code = match loaded(options, machine) {
        Err(code) => code,
        Ok((plan, loaded)) => {
            let errand = Errand {
                heard: Some(Arc::clone(&heard)),
                ..Errand::default()
            };
            ran(run_plan(plan, loaded, options, machine, args, errand))
        }
    };
    let events = std::mem::take(&mut *heard.lock().expect("nobody panics with it"));
    Once { events, code }
}

/// What the second run says of the playbooks.
fn drawn(verdict: &Idempotence, paint: Paint) -> String {
    match verdict {
        Idempotence::Proven => paint.green("proven: the second run changed nothing"),
        Idempotence::Not(works) => not(works, paint),
        Idempotence::Refused {
            host,
            task,
            message,
        } => paint.yellow(format!(
            "not proven: `{task}` refused the second run on {host}: {message}"
        )),
        Idempotence::Failed(faults) => paint.bold_red(format!(
            "not proven: the second run did not end well: {}",
            faults.join("; ")
        )),
        Idempotence::NotTried(why) => paint.yellow(format!("not proven: {why}")),
    }
}

/// The tasks that changed something again, each once with its hosts.
fn not(works: &[Work], paint: Paint) -> String {
    let mut tasks: IndexMap<String, BTreeSet<HostName>> = IndexMap::new();
    for work in works {
        let at = &work.task.at;
        let task = format!("{} ({}:{})", work.task.title, at.file, at.line);
        tasks.entry(task).or_default().insert(work.host.clone());
    }
    let n = count(tasks.len(), "task");
    let head = paint.bold_red(format!("not idempotent: {n} changed something again"));
    let lines = tasks.into_iter().map(|(task, on)| {
        let on: Vec<HostName> = on.into_iter().collect();
        format!("\n  {task} on {}", counted_hosts(&on))
    });
    head + &lines.collect::<String>()
}

#[expect(clippy::print_stdout, reason = "cli speaks to the user")]
fn print(text: &str) {
    println!("{text}");
}
