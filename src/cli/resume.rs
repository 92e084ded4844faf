//! `krun resume`: a stopped run's own command line once more, with what its record tells of what was done.

use super::apply::{self, GoesOn};
use super::options::{Output, RecordOptions, RunOptions};
use super::settings::Machine;
use super::{AnsiblePlaybook, Cli, Command, exit, record};
use crate::event::Event;
use crate::inventory::Inventory;
use crate::plan::short_name;
use crate::record::{Became, Input, Inputs, Recorded, Runs, State, difference};
use crate::run::{Decisions, Past, Promise};
use crate::value::HostName;
use clap::{Args, Parser};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(super) struct ResumeOptions {
    #[command(flatten)]
    record: RecordOptions,
    /// Go on though playbooks, inventory or other files differ from those of the stopped run.
    #[arg(long)]
    changed_files_ok: bool,
    /// Run the task of this name again, though it began or its result is lost; may be given several times.
    #[arg(long, value_name = "TASK")]
    again: Vec<String>,
    /// Take the task of this name as done; may be given several times.
    #[arg(long, value_name = "TASK")]
    done: Vec<String>,
    /// Run everything again on this host; may be given several times.
    #[arg(long, value_name = "HOST")]
    anew: Vec<String>,
    /// Go on where finished hosts differ from what the stopped run left, and leave them so.
    #[arg(long)]
    differences_ok: bool,
    /// Do what is guarded, though the stopped run was not allowed to: remove directories with what is in them.
    #[arg(long)]
    allow_destroy: bool,
    /// Of a saved plan: let what it could not know be done as it turns out.
    #[arg(long)]
    allow_unknown: bool,
    /// A secret of the stopped run's command line, which its record does not keep: name=value, or @FILE.
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// More detail; up to -vvvv.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// A run as `krun runs` lists it, or the beginning of its name (default: the last one).
    run: Option<String>,
}

pub(super) fn resume(options: &ResumeOptions) -> ExitCode {
    match prepare(options) {
        Ok((run, args, goes_on)) => apply::apply_after(&run, &args, Some(goes_on)),
        Err(message) => {
            apply::say(&format!("error: {message}"));
            exit::usage()
        }
    }
}

/// What the stopped run was started with, and what it did.
fn prepare(options: &ResumeOptions) -> Result<(RunOptions, Vec<OsString>, GoesOn), String> {
    let machine = Machine::read();
    let runs = record::runs(&options.record, &machine);
    let stopped = stopped(&runs, options.run.as_deref())?;
    let header = &stopped.header;
    is_here(&stopped, &runs, &machine)?;
    let args = with_secrets(&header.command, &options.extra_vars)?;
    let (mut run, mut promise) = parsed(&args)?;
    if let Some(promise) = &mut promise {
        promise.allow_unknown |= options.allow_unknown;
    }
    run.allow_destroy |= options.allow_destroy;
    run.record = options.record.clone();
    run.verbose = run.verbose.max(options.verbose);
    run.output = options.output;
    let mut past = Past::new(Decisions {
        again: options.again.clone(),
        done: options.done.clone(),
        anew: options.anew.clone(),
        differences_are_ok: options.differences_ok,
    });
    let mut hosts = BTreeSet::new();
    for earlier in chain(&runs, &stopped)? {
        let events = earlier.events().map_err(|error| error.to_string())?;
        past.add(&earlier.header.run, &events);
        hosts.extend(hosts_of(&events));
    }
    let inputs = header.inputs.clone();
    let goes_on = GoesOn {
        run: header.run.clone(),
        past,
        promise,
        inputs: (!options.changed_files_ok).then_some(inputs),
        hosts,
    };
    Ok((run, args, goes_on))
}

/// The run that was named, or the last one that was no plan; it must have stopped.
fn stopped(runs: &Runs, named: Option<&str>) -> Result<Recorded, String> {
    let found = if let Some(name) = named {
        runs.find(name).map_err(|error| error.to_string())?
    } else {
        let newest = runs.newest(|run| !run.header.check_mode);
        let newest = newest.map_err(|error| error.to_string())?;
        newest.ok_or_else(|| format!("no run is recorded in `{}`", runs.dir().display()))?
    };
    let name = &found.header.run;
    if let Some(run) = &found.header.rolls_back {
        return Err(format!(
            "run {name} was a rollback\nhelp: `krun rollback {run}` goes on with it"
        ));
    }
    match found.state {
        _ if found.header.check_mode => Err(format!("{name} was a plan, and changed nothing")),
        State::Running => Err(format!("run {name} is still going on")),
        state if !state.is_stopped() => Err(format!(
            "run {name} ended well: there is nothing to go on with"
        )),
        _ => Ok(found),
    }
}

/// A run's files are named as seen from where it was started.
pub(super) fn is_here(run: &Recorded, runs: &Runs, machine: &Machine) -> Result<(), String> {
    let header = &run.header;
    if header.directory == machine.cwd {
        return Ok(());
    }
    let place = header.directory.display();
    Err(format!(
        "run {} was started in `{place}`\nhelp: cd {place} first, and name its records with --record {}",
        header.run,
        runs.dir().display()
    ))
}

/// The runs that this one went on with, the oldest first, and itself. What one did that was forgotten, nobody knows.
pub(super) fn chain(runs: &Runs, last: &Recorded) -> Result<Vec<Recorded>, String> {
    let mut chain = vec![last.clone()];
    while let Some(run) = chain.last()
        && let Some(earlier) = &run.header.resumes
    {
        let found = runs.find(earlier).map_err(|error| {
            let run = &run.header.run;
            format!("{error}, and run {run} went on with that: what it did is not known any more")
        });
        chain.push(found?);
    }
    chain.reverse();
    Ok(chain)
}

/// The recorded command line with what is given anew. Secrets are not in a record: they must be given again.
pub(super) fn with_secrets(command: &[String], given: &[String]) -> Result<Vec<OsString>, String> {
    let names = |name: &str| {
        let begin = format!("{name}=");
        given.iter().any(|text| {
            text.starts_with('@') || text.split_whitespace().any(|word| word.starts_with(&begin))
        })
    };
    let missing: Vec<&str> = command
        .iter()
        .flat_map(|word| word.split_whitespace())
        .filter_map(|word| word.trim_matches('\'').strip_suffix("***"))
        .map(|word| {
            word.trim_end_matches('=')
                .trim_start_matches("--extra-vars=")
                .trim_start_matches("-e")
        })
        .filter(|name| !names(name))
        .collect();
    if !missing.is_empty() {
        let again: Vec<String> = missing.iter().map(|name| format!("-e {name}=…")).collect();
        return Err(format!(
            "the record does not keep the secrets of its command line\nhelp: give them again: krun resume {}",
            again.join(" ")
        ));
    }
    // The last value of a name counts; whole values that were hidden say nothing.
    let mut args: Vec<OsString> = Vec::new();
    for word in command {
        if word == "***"
            && args
                .last()
                .is_some_and(|last| last == "-e" || last == "--extra-vars")
        {
            args.pop();
            continue;
        }
        args.push(word.into());
    }
    for text in given {
        args.extend(["-e".into(), text.into()]);
    }
    Ok(args)
}

/// The recorded run's options and, of one of a saved plan, what the plan showed.
pub(super) fn parsed(args: &[OsString]) -> Result<(RunOptions, Option<Promise>), String> {
    let unknown = |_| "the recorded command line is not one of this krun".to_owned();
    if super::program(args) == exit::Program::AnsiblePlaybook {
        let mut run = AnsiblePlaybook::try_parse_from(args).map_err(unknown)?.run;
        run.files.program = exit::Program::AnsiblePlaybook;
        return Ok((run, None));
    }
    let cli = Cli::try_parse_from(args).map_err(unknown)?;
    match cli.command {
        None => Ok((cli.run, None)),
        Some(Command::Apply(options)) => {
            let (run, promise) = super::saved::resumed(&options, &args[0])?;
            Ok((run, Some(promise)))
        }
        Some(_) => Err("the recorded command line is that of no run".to_owned()),
    }
}

/// Returns in words what differs from the files of the earlier run; `None` if nothing does. `command` would go on.
pub(super) fn differs(
    command: &str,
    run: &str,
    before: &[Input],
    mut now: Inputs,
) -> Option<String> {
    // Also those that it came to know only while it went on.
    for input in before {
        now.add(&input.path);
    }
    let now = now.into_list();
    let differs = difference(before, &now);
    if differs.is_empty() {
        return None;
    }
    let mut text = format!("error: these files differ from those of run {run}\n");
    for (path, became) in differs {
        let what = match became {
            Became::Changed => "changed",
            Became::Gone => "gone",
            Became::New => "new",
        };
        let _ = writeln!(text, "  {what:8} {}", path.display());
    }
    let _ = write!(
        text,
        "help: `krun {command} --changed-files-ok` goes on with the files as they are now"
    );
    Some(text)
}

/// The hosts on which a run did anything. Those of a run that made up hosts cannot be told from the inventory's.
pub(super) fn hosts_of(events: &[Event]) -> BTreeSet<HostName> {
    let results = || events.iter().filter_map(|event| event.kind.result());
    if results().any(|(_, task, ..)| short_name(&task.module) == "add_host") {
        return BTreeSet::new();
    }
    let hosts = results().map(|(host, ..)| HostName::clone(host));
    hosts.collect()
}

/// Returns in words which hosts of the earlier run the inventory does not name any more; `None` if it names all.
pub(super) fn gone(
    command: &str,
    run: &str,
    hosts: &BTreeSet<HostName>,
    inventory: &Inventory,
) -> Option<String> {
    let is_gone = |host: &&HostName| inventory.host(host).is_none();
    let gone: Vec<&str> = hosts.iter().filter(is_gone).map(|host| &**host).collect();
    (!gone.is_empty()).then(|| {
        format!(
            "error: run {run} did something on hosts that are not in the inventory any more: {}\n\
             help: `krun {command} --changed-files-ok` leaves them as they are",
            gone.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_the_command_line_must_be_given_again() {
        let command = ["krun", "-e", "db_password=*** 'port=1'", "a.yml"].map(str::to_owned);
        insta::assert_snapshot!(with_secrets(&command, &[]).unwrap_err(), @r"
        the record does not keep the secrets of its command line
        help: give them again: krun resume -e db_password=…
        ");
        let given = ["db_password=x".to_owned()];
        let args = with_secrets(&command, &given).unwrap();
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        assert_eq!(
            words.join(" "),
            "krun -e db_password=*** 'port=1' a.yml -e db_password=x"
        );
    }
}
