//! `krun rollback`: looks what a recorded run changed, shows how that would go back, asks, and puts it back.

use super::apply::{self, Errand, GoesBack, run_plan};
use super::options::{Format, Output, RecordOptions, RunOptions};
use super::settings::Machine;
use super::{exit, record, resume, saved};
use crate::event::{Event, EventKind, Status, TaskResult};
use crate::modules;
use crate::record::{Recorded, State};
use crate::run::{Back, Past};
use crate::value::{HostName, Value};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[derive(Debug, Args)]
pub(super) struct RollbackOptions {
    #[command(flatten)]
    record: RecordOptions,
    /// Only show what would be put back.
    #[arg(short = 'C', long)]
    check: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Go back though playbooks, inventory or other files differ from those of the run.
    #[arg(long)]
    changed_files_ok: bool,
    /// Put back what was changed since the run, too: those changes are lost.
    #[arg(long)]
    differences_ok: bool,
    /// A secret of the run's command line, which its record does not keep: name=value, or @FILE.
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// More detail; up to -vvvv.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// A run as `krun runs` lists it, the beginning of its name, or `last`.
    run: String,
}

/// A recorded run, and what it takes to walk its plays once more.
struct Walked {
    recorded: Recorded,
    run: RunOptions,
    back: Back,
    events: Vec<Event>,
}

pub(super) fn rollback(options: &RollbackOptions, args: &[OsString]) -> ExitCode {
    let machine = Machine::read();
    let walked = match prepare(options, &machine) {
        Ok(walked) => walked,
        Err(message) => {
            apply::say(&format!("error: {message}"));
            return exit::usage();
        }
    };
    let (code, seen) = match look(&walked, options, &machine, args) {
        Ok(looked) => looked,
        Err(code) => return code,
    };
    if code != ExitCode::SUCCESS {
        apply::say("nothing was changed");
        return code;
    }
    let name = &walked.recorded.header.run;
    let put_back = seen.iter().any(|event| put_back_names(event).is_some());
    let stays = seen.iter().flat_map(warnings);
    for line in stays.chain(left_out(&walked.events, &seen)) {
        apply::say(&line);
    }
    if !put_back {
        apply::say(&format!(
            "nothing is to be put back: every file and link is as it was before run {name}"
        ));
        return ExitCode::SUCCESS;
    }
    if options.check {
        return ExitCode::SUCCESS;
    }
    if !options.yes {
        match agreed() {
            Some(true) => {}
            Some(false) => {
                apply::say("nothing was changed");
                return ExitCode::SUCCESS;
            }
            None => {
                apply::say("error: nobody can be asked here, and nothing was changed");
                apply::say(&format!("help: `krun rollback {name} --yes` puts it back"));
                return exit::usage();
            }
        }
    }
    go_back(walked, options, &machine, args)
}

/// Reads the run from its record.
fn prepare(options: &RollbackOptions, machine: &Machine) -> Result<Walked, String> {
    let runs = record::runs(&options.record, machine);
    let recorded = runs.find(&options.run).map_err(|error| error.to_string())?;
    let header = &recorded.header;
    let name = &header.run;
    if header.check_mode {
        return Err(format!("{name} was a plan, and changed nothing"));
    }
    if recorded.state == State::Running {
        return Err(format!("run {name} is still going on"));
    }
    if let Some(run) = &header.rolls_back {
        return Err(format!(
            "run {name} was a rollback itself, of {run}: to have its changes again, run the playbook"
        ));
    }
    resume::is_here(&recorded, &runs, machine)?;
    let args = resume::with_secrets(&header.command, &options.extra_vars)
        .map_err(|error| error.replace("krun resume", &format!("krun rollback {name}")))?;
    let (mut run, _) = resume::parsed(&args)?;
    run.record = options.record.clone();
    run.verbose = run.verbose.max(options.verbose);
    run.output = options.output;
    let (mut past, mut names, mut all) = (Past::of_way_back(), Vec::new(), Vec::new());
    for earlier in resume::chain(&runs, &recorded)? {
        let events = earlier.events().map_err(|error| error.to_string())?;
        past.add(&earlier.header.run, &events);
        names.push(earlier.header.run.clone());
        all.extend(events);
    }
    let back = Back {
        runs: names,
        past,
        differences_are_ok: options.differences_ok,
    };
    Ok(Walked {
        recorded,
        run,
        back,
        events: all,
    })
}

/// Shows what would be put back, and changes nothing.
fn look(
    walked: &Walked,
    options: &RollbackOptions,
    machine: &Machine,
    args: &[OsString],
) -> Result<(ExitCode, Vec<Event>), ExitCode> {
    let mut run = walked.run.clone();
    run.check = true;
    run.no_record = true;
    if run.output == Output::Human {
        run.format = Some(Format::Text);
    }
    let (plan, loaded) = saved::loaded(&run, machine)?;
    if !options.changed_files_ok {
        let header = &walked.recorded.header;
        let now = record::inputs(&run, machine, &plan);
        let command = format!("rollback {}", header.run);
        let differs = resume::differs(&command, &header.run, &header.inputs, now);
        let hosts = resume::hosts_of(&walked.events);
        let gone = || resume::gone(&command, &header.run, &hosts, &loaded.inventory);
        if let Some(words) = differs.or_else(gone) {
            apply::say(&words);
            return Err(exit::usage());
        }
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let errand = Errand {
        heard: Some(Arc::clone(&heard)),
        goes_back: Some(goes_back(walked)),
        ..Errand::default()
    };
    let code = saved::ran(run_plan(plan, loaded, &run, machine, args, errand));
    let seen = std::mem::take(&mut *heard.lock().expect("nobody panics with it"));
    Ok((code, seen))
}

fn goes_back(walked: &Walked) -> GoesBack {
    let run = walked.recorded.header.run.clone();
    let mut words = vec!["krun".to_owned(), "rollback".to_owned(), run.clone()];
    if let Some(dir) = &walked.run.record.record {
        words.extend(["--record".to_owned(), dir.display().to_string()]);
    }
    GoesBack {
        again: record::quoted(&words),
        back: walked.back.clone(),
        run,
    }
}

fn go_back(
    mut walked: Walked,
    options: &RollbackOptions,
    machine: &Machine,
    args: &[OsString],
) -> ExitCode {
    walked.run.check = false;
    walked.run.format = None;
    walked.run.verbose = walked.run.verbose.max(options.verbose);
    let (plan, loaded) = match saved::loaded(&walked.run, machine) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let errand = Errand {
        goes_back: Some(goes_back(&walked)),
        ..Errand::default()
    };
    saved::ran(run_plan(plan, loaded, &walked.run, machine, args, errand))
}

/// Asks on the terminal; `None` where there is none.
fn agreed() -> Option<bool> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    apply::say("Put this back? Only `yes` does it.");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim() == "yes")
}

/// The names of what a host has to put back, as tasks had named it.
fn put_back_names(event: &Event) -> Option<(&HostName, BTreeSet<&str>)> {
    match &event.kind {
        EventKind::TaskEnded { host, task, result } if task.module == "put_back" => {
            let names = result.data.get("names").and_then(Value::as_sequence);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            Some((host, names.collect()))
        }
        _ => None,
    }
}

/// What a plan does not show.
fn warnings(event: &Event) -> Vec<String> {
    let EventKind::TaskEnded { host, result, .. } = &event.kind else {
        return Vec::new();
    };
    let warnings = result.warnings.iter();
    warnings
        .map(|text| format!("warning: [{host}] {text}"))
        .collect()
}

/// Says what the run changed that is no file or link, or that lies on another host: none of it goes back.
fn left_out(then: &[Event], seen: &[Event]) -> Vec<String> {
    let mut known: BTreeMap<&HostName, BTreeSet<&str>> = BTreeMap::new();
    for (host, names) in seen.iter().filter_map(put_back_names) {
        known.entry(host).or_default().extend(names);
    }
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in then {
        let (EventKind::TaskEnded { host, task, result }
        | EventKind::ItemEnded {
            host, task, result, ..
        }) = &event.kind
        else {
            continue;
        };
        if result.status != Status::Changed || result.is_loop {
            continue;
        }
        for what in not_put_back(&task.module, result, known.get(host)) {
            let place = format!("{}:{}", task.at.file, task.at.line);
            let line = format!("`{}` ({place}){what}", task.title);
            left.entry(line).or_default().insert(host.to_string());
        }
    }
    if left.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["not put back, as it is neither file nor link of these hosts:".to_owned()];
    lines.extend(left.into_iter().map(|(what, hosts)| {
        let hosts: Vec<String> = hosts.into_iter().collect();
        format!("  {what} on {}", hosts.join(", "))
    }));
    lines
}

/// What of a result no before-image brings back. Services are stopped and started by the plays.
fn not_put_back(module: &str, result: &TaskResult, known: Option<&BTreeSet<&str>>) -> Vec<String> {
    if result.diffs.is_empty() {
        // With `no_log` nothing is known but that it wrote.
        let writes_files = modules::find(module).is_some_and(|module| module.host_only);
        return (!writes_files).then(String::new).into_iter().collect();
    }
    let subjects = result.diffs.iter().map(|diff| diff.subject.as_str());
    let is_known = |subject: &&str| {
        // A host with nothing to put back has it back already.
        let is_back = subject.starts_with('/') && result.delegated_to.is_none();
        // Of a tree that was unpacked or copied, each path is known by itself.
        let is_kept = |names: &BTreeSet<&str>| {
            let mut names = names.iter();
            subject.starts_with('/') && names.any(|name| Path::new(name).starts_with(subject))
        };
        subject.starts_with("unit ") || known.map_or(is_back, is_kept)
    };
    let left = subjects.filter(|subject| !is_known(subject));
    left.map(|subject| format!(": {subject}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{At, TaskName};
    use crate::modules::diff::Diff;

    fn ended(module: &str, subjects: &[&str]) -> Event {
        let mut result = TaskResult::new(Status::Changed);
        result.diffs = subjects.iter().map(|subject| Diff::new(*subject)).collect();
        let at = At {
            file: "play.yml".into(),
            line: 1,
            column: 1,
        };
        let task = TaskName {
            title: module.into(),
            module: module.into(),
            at,
            is_handler: false,
        };
        let kind = EventKind::TaskEnded {
            host: "a".into(),
            task,
            result,
        };
        Event { at: 0, kind }
    }

    #[test]
    fn what_is_no_file_is_told_to_stay() {
        let then = [
            ended("copy", &["/etc/a"]),
            ended(
                "sysctl",
                &["/etc/sysctl.conf", "kernel parameter vm.swappiness"],
            ),
            ended("cron", &["crontab of kafka"]),
            ended("user", &["user kafka"]),
            ended("apt", &["packages"]),
            ended("hostname", &["hostname"]),
            ended("systemd", &["unit kafka-server"]),
            ended("kafka_topic", &["topic orders"]),
            // With `no_log`, nothing is known of them.
            ended("cron", &[]),
            ended("copy", &[]),
        ];
        insta::assert_snapshot!(left_out(&then, &[]).join("\n"), @r"
        not put back, as it is neither file nor link of these hosts:
          `apt` (play.yml:1): packages on a
          `cron` (play.yml:1) on a
          `cron` (play.yml:1): crontab of kafka on a
          `hostname` (play.yml:1): hostname on a
          `kafka_topic` (play.yml:1): topic orders on a
          `sysctl` (play.yml:1): kernel parameter vm.swappiness on a
          `user` (play.yml:1): user kafka on a
        ");
    }
}
