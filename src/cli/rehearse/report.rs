//! Turns what a rehearsal found into what is printed, files, and an exit code.

use super::options::RehearseOptions;
use crate::cli::apply::paint;
use crate::cli::exit;
use crate::cli::options::Output;
use crate::cli::settings::Machine;
use crate::rehearse::Say;
use crate::rehearse::account::Account;
use crate::rehearse::page::duration;
use crate::rehearse::proof::{self, Outcome};
use crate::rehearse::sections::sections;
use crate::rehearse::{html, text};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// The forms that a report can have in a file, by the end of its name.
const FORMS: [&str; 2] = ["md", "html"];

/// Whether a report can be written there, as far as can be known before there is one.
///
/// # Errors
/// Why not.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let end = path.extension().and_then(|end| end.to_str());
    if !end.is_some_and(|end| FORMS.contains(&end)) {
        return Err(format!(
            "`--report {}` ends neither in `.md` nor in `.html`",
            path.display()
        ));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    match dir {
        Some(dir) if !dir.is_dir() => Err(format!(
            "`--report {}`: there is no directory `{}`",
            path.display(),
            dir.display()
        )),
        _ => Ok(()),
    }
}

pub(super) fn report(
    account: &Account,
    options: &RehearseOptions,
    machine: &Machine,
    say: &Say,
) -> ExitCode {
    let checks = proof::checks(account, options.allow_non_idempotent);
    let sections = sections(account, &checks);
    let is_json = options.run.output == Output::Json;
    let paint = paint(std::io::stdout().is_terminal() && !is_json, machine);
    say("What the rehearsal found");
    print(&text::terminal(&sections, paint), is_json);
    let count = |outcome| checks.iter().filter(|it| it.outcome == outcome).count();
    let verdict = format!(
        "{} checks passed, {} failed, {} not applicable",
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::NotApplicable)
    );
    let title = format!("Rehearsal: {}", account.title());
    let intro = format!(
        "{verdict}, in {}. {}",
        duration(account.ended - account.from),
        account.command
    );
    // In a file the verdict comes first; on a terminal the last lines are those that are read.
    let mut pages = sections;
    pages.rotate_right(1);
    let mut is_written = true;
    for path in &options.report {
        let page = match path.extension().and_then(|end| end.to_str()) {
            Some("html") => html::page(&title, &intro, &pages),
            _ => text::markdown(&title, &intro, &pages),
        };
        match std::fs::write(path, page) {
            Ok(()) => say(&format!("  written: {}", path.display())),
            Err(error) => {
                is_written = false;
                say(&format!(
                    "The report {} was not written: {error}",
                    path.display()
                ));
            }
        }
    }
    let end = match (account.stopped, proof::passed(&checks)) {
        (true, _) => "The rehearsal was stopped",
        (_, true) => "The rehearsal ended well",
        (_, false) => "The rehearsal did not end well",
    };
    say(&format!("{end}: {verdict}"));
    match proof::passed(&checks) {
        true if is_written => ExitCode::SUCCESS,
        true => exit::internal(),
        false => exit::not_proven(),
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "cli speaks to the user"
)]
fn print(text: &str, is_json: bool) {
    if is_json {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
}
