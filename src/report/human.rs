//! Events as Ansible's users know them: PLAY, TASK, a line a host, diffs, the recap.

use super::counts::summary;
use super::dangers::{self, Fate};
use super::live::Live;
use super::words::duration;
use super::{Paint, Report, diff};
use crate::event::{Danger, Event, EventKind, Stats, Status, Stop, TaskName, TaskResult};
use crate::modules::diff::Diff;
use crate::value::{HostName, Mapping, Value, display};
use indexmap::IndexMap;
use std::io::Write;

/// Columns of a rule of stars.
const WIDTH: usize = 79;
/// Lines of a failed command's output that are shown.
const TAIL: usize = 20;

/// Writes what happens for a person.
pub struct Human<W: Write> {
    out: W,
    paint: Paint,
    verbosity: u8,
    live: Live,
    /// The last diffs and the hosts that had them: the same diff is drawn once.
    last_diff: Option<(TaskName, Vec<Diff>)>,
    check_mode: bool,
}

impl<W: Write> Human<W> {
    /// `is_terminal` turns the live lines on.
    pub fn new(out: W, paint: Paint, verbosity: u8, is_terminal: bool) -> Self {
        Self {
            out,
            paint,
            verbosity,
            live: Live::new(is_terminal),
            last_diff: None,
            check_mode: false,
        }
    }

    /// Draws the live lines anew; called a few times a second.
    pub fn tick(&mut self) {
        let lines = self.live.redraw(self.paint);
        self.write(&lines);
    }

    fn write(&mut self, text: &str) {
        // A reader that went away must not stop the run in the middle of something.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn line(&mut self, text: &str) {
        let clear = self.live.clear();
        self.write(&format!("{clear}{text}\n"));
    }

    fn heading(&mut self, text: &str) {
        let stars = "*".repeat(WIDTH.saturating_sub(text.chars().count() + 1).max(3));
        let line = format!("\n{} {}", self.paint.bold(text), self.paint.dim(stars));
        self.line(&line);
    }

    fn task_ended(
        &mut self,
        host: &HostName,
        task: &TaskName,
        label: Option<&str>,
        result: &TaskResult,
    ) {
        // The items of a loop have spoken; the loop itself only where it says something that they did not.
        if label.is_none() && result.is_loop && result.status != Status::Skipped {
            return;
        }
        let who = match &result.delegated_to {
            Some(target) => format!("[{host} -> {target}]"),
            None => format!("[{host}]"),
        };
        let item = label.map_or_else(String::new, |label| format!(" => (item={label})"));
        let line = match result.status {
            Status::Ok => self.paint.green(format!("ok: {who}{item}")),
            Status::Changed => self.paint.yellow(format!(
                "{}: {who}{item}",
                if self.check_mode {
                    "would change"
                } else {
                    "changed"
                }
            )),
            Status::Skipped => self.paint.cyan(format!("skipping: {who}{item}")),
            Status::Failed => self.paint.bold_red(format!("failed: {who}{item}")),
            Status::Ignored => self.paint.cyan(format!("failed: {who}{item} (ignored)")),
            Status::Unknown => self.paint.bold_red(format!("unknown: {who}{item}")),
            Status::Unforeseen if result.diffs.is_empty() => {
                self.paint.magenta(format!("unknown: {who}{item}"))
            }
            Status::Unforeseen => self.paint.magenta(format!("perhaps: {who}{item}")),
            Status::Cancelled => self.paint.yellow(format!("cancelled: {who}{item}")),
        };
        let line = if result.restored && result.status != Status::Failed {
            format!("{line}  {}", self.paint.dim("(in the run before)"))
        } else if result.elapsed_ms >= 2000 {
            format!("{line}  {}", self.paint.dim(duration(result.elapsed_ms)))
        } else {
            line
        };
        self.line(&line);
        if matches!(
            result.status,
            Status::Failed | Status::Ignored | Status::Unknown
        ) {
            self.failure(task, result);
        } else if result.status == Status::Unforeseen {
            let why = result.msg.as_deref().unwrap_or("hidden");
            self.line(&format!("  {why}"));
        } else if let Some(show) = &result.show {
            self.show(show);
        } else if self.verbosity > 0 && !result.data.is_empty() {
            self.show(&Value::Mapping(result.data.clone()));
        } else if self.verbosity == 0 && result.status == Status::Changed && result.diffs.is_empty()
        {
            // Nothing more to say of a change without a diff.
        }
        self.diffs(task, result);
        let is_plan = self.check_mode;
        for lost in result.destroys.iter().filter(|_| is_plan) {
            let what = format!("removes {lost}: a run does so only with `--allow-destroy`");
            let line = format!("  {} {what}", self.paint.bold_red("guarded:"));
            self.line(&line);
        }
        for warning in &result.warnings {
            let line = format!("  {} {warning}", self.paint.magenta("warning:"));
            self.line(&line);
        }
    }

    fn guarded(&mut self, dangers: &[Danger], is_allowed: bool) {
        let fate = if is_allowed {
            Fate::Allowed
        } else {
            Fate::Held
        };
        let line = self.paint.bold_red(dangers::headline(fate));
        self.line(&line);
        for line in dangers::lines(dangers) {
            self.line(&format!("  {line}"));
        }
    }

    fn failure(&mut self, task: &TaskName, result: &TaskResult) {
        if let Some(msg) = &result.msg {
            for line in msg.lines() {
                self.line(&format!("  {line}"));
            }
        }
        for cause in &result.causes {
            let mut lines = cause.lines();
            let first = format!(
                "  {} {}",
                self.paint.red("Caused by:"),
                lines.next().unwrap_or_default()
            );
            self.line(&first);
            for line in lines {
                self.line(&format!("             {line}"));
            }
        }
        self.output(&result.data);
        let place = format!(
            "  {} {}:{}:{}",
            self.paint.cyan("-->"),
            task.at.file,
            task.at.line,
            task.at.column
        );
        self.line(&place);
        if let Some(help) = &result.help {
            let line = format!("  {} {help}", self.paint.cyan("help:"));
            self.line(&line);
        }
    }

    /// The end of what a command said.
    fn output(&mut self, data: &Mapping) {
        for stream in ["stdout", "stderr"] {
            let Some(text) = data
                .get(stream)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
            else {
                continue;
            };
            let lines: Vec<&str> = text.trim_end().lines().collect();
            let cut = lines.len().saturating_sub(TAIL);
            let note = if cut > 0 {
                format!(" (the last {TAIL} of {} lines)", lines.len())
            } else {
                String::new()
            };
            self.line(&format!("  {stream}{note}:"));
            for line in &lines[cut..] {
                self.line(&format!("    {line}"));
            }
        }
    }

    fn show(&mut self, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Sequence(_) | Value::Mapping(_) => {
                serde_yaml::to_string(value).unwrap_or_default()
            }
            other => display(other),
        };
        for line in text.trim_end().lines() {
            self.line(&format!("  {line}"));
        }
    }

    fn diffs(&mut self, task: &TaskName, result: &TaskResult) {
        if result.diffs.is_empty() {
            return;
        }
        if self
            .last_diff
            .as_ref()
            .is_some_and(|(last, diffs)| last == task && *diffs == result.diffs)
        {
            let line = self.paint.dim("  (the same diff)");
            return self.line(&line);
        }
        for one in &result.diffs {
            for line in diff::draw(one, self.paint).lines() {
                self.line(line);
            }
        }
        self.last_diff = Some((task.clone(), result.diffs.clone()));
    }

    /// What `set_stats` said: of each host, then of the run.
    fn custom_stats(&mut self, of_run: &Mapping, of_hosts: &IndexMap<HostName, Mapping>) {
        self.heading("CUSTOM STATS");
        let of_hosts = of_hosts.iter().map(|(host, stats)| (&**host, stats));
        let of_run = (!of_run.is_empty()).then_some(("RUN", of_run));
        for (whose, stats) in of_hosts.chain(of_run) {
            let stats = serde_json::to_string(stats).unwrap_or_default();
            self.line(&format!("{whose}: {stats}"));
        }
    }

    fn unreachable(
        &mut self,
        host: &HostName,
        task: Option<&TaskName>,
        message: &str,
        causes: &[String],
        help: Option<&String>,
    ) {
        let line = self.paint.bold_red(format!("unreachable: [{host}]"));
        self.line(&line);
        self.line(&format!("  {message}"));
        for cause in causes {
            let line = format!("  {} {cause}", self.paint.red("Caused by:"));
            self.line(&line);
        }
        if let Some(task) = task {
            self.line(&format!(
                "  in `{}` --> {}:{}:{}",
                task.title, task.at.file, task.at.line, task.at.column
            ));
        }
        if let Some(help) = help {
            let line = format!("  {} {help}", self.paint.cyan("help:"));
            self.line(&line);
        }
    }

    fn stopped(&mut self, stop: &Stop) {
        self.heading(&format!("STOPPED in [{}]", stop.play));
        let reason = self.paint.bold_red(&stop.reason);
        self.line(&reason);
        let hosts = |hosts: &[HostName]| {
            if hosts.is_empty() {
                "none".to_owned()
            } else {
                hosts.join(", ")
            }
        };
        self.line(&format!("  done:       {}", hosts(&stop.done)));
        self.line(&format!("  in between: {}", hosts(&stop.between)));
        self.line(&format!("  untouched:  {}", hosts(&stop.untouched)));
        for down in &stop.down {
            let line = self.paint.bold_red(format!("  DOWN: {down}"));
            self.line(&line);
        }
        let line = format!("  go on with: {}", self.paint.bold(&stop.command));
        self.line(&line);
    }

    fn recap(&mut self, stats: &IndexMap<HostName, Stats>, elapsed_ms: u64) {
        self.heading(&format!("PLAY RECAP ({})", duration(elapsed_ms)));
        let width = stats.keys().map(|host| host.len()).max().unwrap_or(0);
        for (host, stats) in stats {
            let line = self.recap_line(host, *stats, width);
            self.line(&line);
        }
        if self.check_mode {
            let line = summary(stats, true);
            let line = format!("\n{} {}", self.paint.bold("plan:"), line);
            self.line(&line);
        }
    }

    fn recap_line(&self, host: &HostName, stats: Stats, width: usize) -> String {
        let name = format!("{host:width$}");
        if stats.not_run && stats.ok + stats.failed + stats.unreachable == 0 {
            return format!("{} : {}", self.paint.cyan(name), self.paint.cyan("not run"));
        }
        let count = |label: &str, n: u32, paint: &dyn Fn(String) -> String| {
            let text = format!("{label}={n:<3}");
            if n > 0 { paint(text) } else { text }
        };
        let paint = self.paint;
        let name = if stats.failed + stats.unreachable > 0 {
            paint.red(name)
        } else if stats.changed > 0 {
            paint.yellow(name)
        } else {
            paint.green(name)
        };
        let changed = if self.check_mode {
            "would change"
        } else {
            "changed"
        };
        let cells = [
            count("ok", stats.ok, &|text| paint.green(text)),
            count(changed, stats.changed, &|text| paint.yellow(text)),
            count("unreachable", stats.unreachable, &|text| paint.red(text)),
            count("failed", stats.failed, &|text| paint.red(text)),
            count("skipped", stats.skipped, &|text| paint.cyan(text)),
            count("rescued", stats.rescued, &|text| paint.yellow(text)),
            count("ignored", stats.ignored, &|text| paint.magenta(text)),
            if self.check_mode {
                count("unknown", stats.unforeseen, &|text| paint.magenta(text))
            } else {
                String::new()
            },
        ];
        let not_run = if stats.not_run {
            paint.cyan("  later plays not run")
        } else {
            String::new()
        };
        format!("{name} : {}{not_run}", cells.join(" "))
            .trim_end()
            .to_owned()
    }

    fn retrying(&mut self, host: &HostName, left: u32, result: &TaskResult) {
        let tries = if left == 1 { "try" } else { "tries" };
        let msg = result.msg.as_ref().filter(|msg| !msg.is_empty());
        let why = msg.map_or_else(String::new, |msg| format!(": {msg}"));
        let line = format!("retrying: [{host}] ({left} {tries} left){why}");
        let line = self.paint.cyan(line);
        self.line(&line);
    }
}

impl<W: Write> Report for Human<W> {
    fn hear(&mut self, event: &Event) {
        self.live.hear(event);
        match &event.kind {
            EventKind::RunStarted { check_mode, .. } => {
                self.check_mode = *check_mode;
                if *check_mode {
                    self.line(&self.paint.cyan("check mode: nothing is changed"));
                }
            }
            EventKind::Warning { text, at } => {
                let place = at
                    .as_ref()
                    .map_or_else(String::new, |at| format!(" ({}:{})", at.file, at.line));
                let line = format!("{} {text}{place}", self.paint.magenta("warning:"));
                self.line(&line);
            }
            EventKind::Asked { question } => {
                self.line(&self.paint.bold(format!("\n{question}:")));
            }
            EventKind::PlayStarted { name, .. } => self.heading(&format!("PLAY [{name}]")),
            EventKind::PlaySkipped { name, reason } => {
                self.heading(&format!("PLAY [{name}]"));
                self.line(&self.paint.cyan(format!("skipping: {reason}")));
            }
            EventKind::BatchStarted { number, of, hosts } => {
                let line = self
                    .paint
                    .bold(format!("\nbatch {number} of {of}: {}", hosts.join(", ")));
                self.line(&line);
            }
            EventKind::OrderDecided { host, reason } => {
                self.line(&self.paint.dim(format!("next: {host}: {reason}")));
            }
            EventKind::TaskStarted { task } => {
                let word = if task.is_handler {
                    "RUNNING HANDLER"
                } else {
                    "TASK"
                };
                self.heading(&format!("{word} [{}]", task.title));
            }
            EventKind::ItemEnded {
                host,
                task,
                label,
                result,
            } => self.task_ended(host, task, Some(label), result),
            EventKind::TaskEnded { host, task, result } => {
                self.task_ended(host, task, None, result);
            }
            EventKind::TaskRetrying {
                host, left, result, ..
            } => {
                self.retrying(host, *left, result);
            }
            EventKind::HostUnreachable {
                host,
                task,
                message,
                causes,
                help,
                ..
            } => self.unreachable(host, task.as_ref(), message, causes, help.as_ref()),
            EventKind::Included { file, hosts } => {
                let line = self
                    .paint
                    .cyan(format!("included: {file} for {}", hosts.join(", ")));
                self.line(&line);
            }
            EventKind::HandlerKept {
                host,
                handler,
                reason,
            } => {
                let line = self.paint.yellow(format!(
                    "kept handler: [{host}] `{handler}` will run: {reason}"
                ));
                self.line(&line);
            }
            EventKind::Guarded {
                dangers,
                is_allowed,
            } => self.guarded(dangers, *is_allowed),
            EventKind::CustomStats { of_run, of_hosts } => self.custom_stats(of_run, of_hosts),
            EventKind::RollStopped(stop) => self.stopped(stop),
            EventKind::RunEnded { stats, elapsed_ms } => self.recap(stats, *elapsed_ms),
            EventKind::TaskProgress { .. } => {
                if let Some(line) = self.live.plain_line(event) {
                    self.line(&self.paint.dim(line));
                }
            }
            EventKind::Answered {}
            | EventKind::Planned { .. }
            | EventKind::BatchEnded { .. }
            | EventKind::Inputs { .. }
            | EventKind::HandlerNotified { .. }
            | EventKind::HostConnecting { .. }
            | EventKind::HostConnected { .. } => {}
        }
        let live = self.live.redraw(self.paint);
        self.write(&live);
    }
}
