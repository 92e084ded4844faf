//! `krun runs` and `krun show`: recorded runs, listed and rendered again.

use super::apply::paint;
use super::options::{Format, RecordOptions};
use super::settings::Machine;
use super::{exit, record};
use crate::event::{EventKind, Status};
use crate::record::{Error, How, Recorded, SavedPlan, State};
use crate::report::{self, Human, Paint, Report};
use clap::Args;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct RunsOptions {
    #[command(flatten)]
    record: RecordOptions,
    /// Only the newest.
    #[arg(long)]
    last: bool,
    /// Only those that did not end well. With --last: what failed in the newest of them, and where.
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    #[command(flatten)]
    record: RecordOptions,
    /// How it is drawn; without it, as the run itself showed it.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// More detail; up to -vvvv.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// A run as `krun runs` lists it, the beginning of its name, or `last`; or the file of a saved plan.
    run: String,
}

pub(super) fn runs(options: &RunsOptions) -> ExitCode {
    let machine = Machine::read();
    let paint = paint(std::io::stdout().is_terminal(), &machine);
    let listed = record::runs(&options.record, &machine)
        .all()
        .map(|mut all| {
            if options.failed {
                all.retain(|run| run.state.is_stopped());
            }
            if options.last {
                all.drain(..all.len().saturating_sub(1));
            }
            all
        });
    let text = listed.and_then(|runs| match &runs[..] {
        [] => Ok("no run is recorded here\n".to_owned()),
        [run] if options.last && options.failed => failure(run, paint),
        runs => Ok(table(runs, paint)),
    });
    print(text)
}

pub(super) fn show(options: &ShowOptions) -> ExitCode {
    let machine = Machine::read();
    let paint = paint(std::io::stdout().is_terminal(), &machine);
    let path = std::path::Path::new(&options.run);
    if SavedPlan::is_one(path) {
        let format = options.format.map_or(report::Format::Text, Into::into);
        return print(
            SavedPlan::read(path).map(|plan| report::render(&plan.events, format, paint)),
        );
    }
    let found = record::runs(&options.record, &machine).find(&options.run);
    print(found.and_then(|run| {
        let events = run.events()?;
        if let Some(format) = options.format {
            return Ok(report::render(&events, format.into(), paint));
        }
        if run.header.check_mode && options.verbose == 0 {
            let drawn = report::render(&events, report::Format::Text, paint);
            return Ok(heading(&run, paint) + &drawn);
        }
        let mut out = heading(&run, paint).into_bytes();
        let mut human = Human::new(&mut out, paint, options.verbose, false);
        for event in &events {
            human.hear(event);
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }))
}

#[expect(clippy::print_stderr, reason = "cli speaks to the user")]
fn print(text: Result<String, Error>) -> ExitCode {
    match text {
        Ok(text) => {
            // A pager that was left early is no fault.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            exit::usage()
        }
    }
}

/// What was run, by whom, from which revision, and how it ended.
fn heading(run: &Recorded, paint: Paint) -> String {
    let header = &run.header;
    let mut lines = vec![
        format!("{}  {}", paint.bold(&header.run), word(run, paint)),
        format!("  command:  {}", record::quoted(&header.command)),
        format!("  in:       {}", header.directory.display()),
        format!("  by:       {}, krun {}", header.who, header.krun),
        format!("  began:    {}", time(header.began)),
    ];
    if let Some(git) = &run.git {
        let revision = git.revision.as_deref().unwrap_or("no commit");
        let branch = git
            .branch
            .as_deref()
            .map_or_else(String::new, |branch| format!(" ({branch})"));
        let dirty = if git.dirty {
            ", with changes that are not committed"
        } else {
            ""
        };
        lines.push(format!("  git:      {revision}{branch}{dirty}"));
    }
    if let Some(resumed) = &header.resumes {
        lines.push(format!("  resumes:  {resumed}"));
    }
    if let Some(run) = &header.rolls_back {
        lines.push(format!("  rolls back: {run}"));
    }
    lines.join("\n") + "\n\n"
}

/// The tasks that failed, each with its play and place.
fn failure(run: &Recorded, paint: Paint) -> Result<String, Error> {
    let mut out = heading(run, paint).into_bytes();
    let mut human = Human::new(&mut out, paint, 0, false);
    let (mut play, mut task) = (None, None);
    for event in &run.events()? {
        match &event.kind {
            EventKind::PlayStarted { .. } => play = Some(event.clone()),
            EventKind::TaskStarted { .. } => task = Some(event.clone()),
            kind if is_failure(kind) => {
                let before = play.take().into_iter().chain(task.take());
                before.for_each(|event| human.hear(&event));
                human.hear(event);
            }
            EventKind::RollStopped(_) => human.hear(event),
            _ => {}
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn is_failure(kind: &EventKind) -> bool {
    match kind {
        EventKind::TaskEnded { result, .. } | EventKind::ItemEnded { result, .. } => {
            matches!(
                result.status,
                Status::Failed | Status::Unknown | Status::Cancelled
            )
        }
        EventKind::HostUnreachable { ignored, .. } => !ignored,
        _ => false,
    }
}

/// One line a run, the newest last.
fn table(runs: &[Recorded], paint: Paint) -> String {
    let width = |cell: fn(&Recorded) -> usize, head: &str| {
        runs.iter().map(cell).max().unwrap_or(0).max(head.len())
    };
    let name = width(|run| run.header.run.len(), "RUN");
    let head = format!(
        "{:name$}  {:19}  {:11}  {:>5}  {:>7}  PLAYBOOKS\n",
        "RUN", "BEGAN", "HOW", "HOSTS", "CHANGED"
    );
    let line = |run: &Recorded| {
        let count = |n: Option<usize>| n.map_or_else(|| "-".into(), |n| n.to_string());
        let end = run.end.as_ref();
        let plan = if run.header.check_mode { " (plan)" } else { "" };
        format!(
            "{:name$}  {}  {}{}  {:>5}  {:>7}  {}{plan}\n",
            run.header.run,
            time(run.header.began),
            word(run, paint),
            " ".repeat(11_usize.saturating_sub(how(run).len())),
            count(end.map(|end| end.hosts)),
            count(end.map(|end| end.changed as usize)),
            run.header.playbooks.join(" "),
        )
    };
    runs.iter().map(line).fold(head, |text, line| text + &line)
}

fn how(run: &Recorded) -> &'static str {
    match run.state {
        State::Ended(How::Ok) => "ok",
        State::Ended(How::Failed) => "failed",
        State::Ended(How::Unreachable) => "unreachable",
        State::Ended(How::Interrupted) => "interrupted",
        State::Running => "running",
        State::Killed => "killed",
    }
}

fn word(run: &Recorded, paint: Paint) -> String {
    match run.state {
        State::Ended(How::Ok) => paint.green(how(run)),
        State::Running => paint.cyan(how(run)),
        State::Ended(How::Interrupted) => paint.yellow(how(run)),
        _ => paint.bold_red(how(run)),
    }
}

/// The local time, to the second.
fn time(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    let zone = jiff::tz::TimeZone::system();
    jiff::Timestamp::from_millisecond(millis)
        .map(|at| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}
