//! `command` and `shell`: turn a command line into what it wrote and how it ended.

use super::args::{Arg, ArgKind, joined, yes};
use super::{Error, Found, Module, Nature, Outcome, tool, words};
use crate::sys::Sys;
use crate::sys::process::{self, Output};
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What `command`, `shell` and `script` share: what to run, when, and where.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Frame {
    #[serde(default, rename = "_raw_params")]
    pub(super) free_form: Option<String>,
    #[serde(default)]
    cmd: Option<String>,
    #[serde(default)]
    chdir: Option<String>,
    #[serde(default)]
    creates: Option<String>,
    #[serde(default)]
    removes: Option<String>,
}

/// What a command reads, and how its output is registered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Streams {
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default = "yes")]
    stdin_add_newline: bool,
    #[serde(default = "yes")]
    strip_empty_ends: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    #[serde(flatten)]
    frame: Frame,
    #[serde(default)]
    argv: Vec<String>,
    #[serde(flatten)]
    streams: Streams,
    #[serde(default = "yes")]
    expand_argument_vars: bool,
    #[serde(default)]
    warn: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shell {
    #[serde(flatten)]
    frame: Frame,
    #[serde(flatten)]
    streams: Streams,
    #[serde(default)]
    executable: Option<String>,
    #[serde(default)]
    warn: Option<bool>,
}

const CMD: Arg = Arg::new(
    "cmd",
    ArgKind::Str,
    "the command line, instead of free text",
);
/// The other arguments of [`Frame`], and those of [`Streams`].
const FRAME: [Arg; 6] = [
    Arg::new("chdir", ArgKind::Path, "directory in which to run it"),
    Arg::new(
        "creates",
        ArgKind::Path,
        "a path or pattern; if it exists, the command does not run",
    ),
    Arg::new(
        "removes",
        ArgKind::Path,
        "a path or pattern; if it does not exist, the command does not run",
    ),
    Arg::new("stdin", ArgKind::Str, "what the command reads"),
    Arg::new(
        "stdin_add_newline",
        ArgKind::Bool,
        "end `stdin` with a newline (default yes)",
    ),
    Arg::new(
        "strip_empty_ends",
        ArgKind::Bool,
        "take newlines off the end of stdout and stderr (default yes)",
    ),
];
const WARN: Arg = Arg::new("warn", ArgKind::Bool, "accepted, without effect");

impl Module for Command {
    const NAME: &'static str = "command";
    const NATURE: Nature = Nature::Action;
    const LEAVES_UNKNOWN: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            CMD,
            Arg::new("argv", ArgKind::StrList, "the command as a list of words"),
        ],
        FRAME,
        [
            Arg::new(
                "expand_argument_vars",
                ArgKind::Bool,
                "expand `$NAME` from the environment (default yes)",
            ),
            WARN,
        ]
    );
    const DOC: &'static str = "Runs a program with arguments, without a shell.\n\n    - command: bin/kafka-topics.sh --list --bootstrap-server localhost:9092\n      args:\n        chdir: /usr/local/kafka\n      register: topics\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        self.argv(sys)?;
        self.frame.check(sys)
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let argv = self.argv(sys)?;
        let shown = argv.iter().map(|word| Value::from(word.as_str())).collect();
        let name = argv.first().cloned().unwrap_or_default();
        let command = process::Command::new(argv);
        self.frame.run(sys, command, &self.streams, &name, shown)
    }
}

impl Command {
    fn argv(&self, sys: &Sys) -> Result<Vec<String>, Error> {
        let argv = match self.frame.text() {
            Some(_) if !self.argv.is_empty() => {
                return Err(Error::new("only one of `cmd` and `argv` can be given"));
            }
            Some(text) => words::split(text)
                .map_err(|fault| Error::new(format!("cannot split `{text}`")).because(fault))?,
            None => self.argv.clone(),
        };
        if argv.is_empty() {
            return Err(Error::new("no command given").with("rc", 256));
        }
        if !self.expand_argument_vars {
            return Ok(argv);
        }
        Ok(argv.iter().map(|word| words::expand(sys, word)).collect())
    }
}

impl Module for Shell {
    const NAME: &'static str = "shell";
    const NATURE: Nature = Nature::Action;
    const LEAVES_UNKNOWN: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [CMD],
        FRAME,
        [
            Arg::new(
                "executable",
                ArgKind::Path,
                "the shell (default /bin/sh), by its whole path",
            ),
            WARN,
        ]
    );
    const DOC: &'static str = "Runs a command line in a shell.\n\n    - shell: grep -c ERROR /data/kafka-logs/server.log || true\n      register: errors\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        self.text()?;
        self.frame.check(sys)
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let text = self.text()?;
        let shell = self.executable.as_deref();
        let command = process::Command::shell(text, shell);
        let program = shell.unwrap_or("/bin/sh");
        self.frame
            .run(sys, command, &self.streams, program, text.into())
    }
}

impl Shell {
    fn text(&self) -> Result<&str, Error> {
        let text = self.frame.text();
        text.filter(|text| !text.trim().is_empty())
            .ok_or_else(|| Error::new("no command given").with("rc", 256))
    }
}

impl Frame {
    /// What to run, as the task has it.
    pub fn text(&self) -> Option<&str> {
        self.cmd.as_deref().or(self.free_form.as_deref())
    }

    /// Decides by `creates` and `removes` whether there is anything to run.
    pub fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        // Relative paths count from `chdir`, as the command itself would see them.
        let absolute = |path: &str| match &self.chdir {
            Some(directory) => {
                let path = words::expand(sys, path);
                let path = Path::new(&words::expand(sys, directory)).join(path);
                path.to_string_lossy().into_owned()
            }
            None => path.to_owned(),
        };
        let reason = if let Some(path) = &self.creates
            && words::exists(sys, &absolute(path))
        {
            Some(format!("since {path} exists"))
        } else if let Some(path) = &self.removes
            && !words::exists(sys, &absolute(path))
        {
            Some(format!("since {path} does not exist"))
        } else {
            None
        };
        Ok(match reason {
            None => Found::change((), Outcome::new()),
            Some(reason) => {
                let text = format!("skipped, {reason}");
                let outcome = Outcome::new()
                    .msg(format!("did not run, {reason}"))
                    .with("rc", 0)
                    .with("stdout_lines", lines(&text))
                    .with("stdout", text)
                    .with("stderr", "")
                    .with("stderr_lines", Vec::<Value>::new());
                Found::same(outcome)
            }
        })
    }

    /// Runs a command in this frame; `shown` is what is registered as `cmd`.
    pub fn run(
        &self,
        sys: &Sys,
        mut command: process::Command,
        streams: &Streams,
        program: &str,
        shown: Value,
    ) -> Result<Outcome, Error> {
        if let Some(directory) = &self.chdir {
            let directory = words::expand(sys, directory);
            let path = Path::new(&directory);
            match sys.stat(path) {
                Ok(Some(stat)) if stat.is_dir() => command = command.directory(path),
                Ok(_) => {
                    let message = format!("no directory `{directory}` to run the command in");
                    return Err(Error::new(message).with("rc", 1).with("cmd", shown));
                }
                Err(error) => {
                    let message = format!("cannot run the command in `{directory}`");
                    return Err(Error::new(message).because(error).with("cmd", shown));
                }
            }
        }
        if let Some(text) = &streams.stdin {
            let end = if streams.stdin_add_newline { "\n" } else { "" };
            command = command.stdin(format!("{text}{end}").as_bytes());
        }
        let output = sys.run(&command).map_err(|error| {
            let nothing = [("stdout", "".into()), ("stderr", "".into())];
            let no_lines = ["stdout_lines", "stderr_lines"].map(|name| (name, lines("")));
            let said = nothing.into_iter().chain(no_lines);
            let error = tool::not_started(program, &error).with("cmd", shown.clone());
            said.fold(error, |error, (name, value): (_, Value)| {
                error.with(name, value)
            })
        })?;
        let data = streams.registered(&output, shown);
        if output.success() && !output.timed_out && !output.cancelled {
            let mut outcome = Outcome::new().changed().msg("");
            outcome.data = data;
            return Ok(outcome);
        }
        let mut error = Error::new(if output.cancelled || output.timed_out {
            format!("the command {}", output.ending())
        } else {
            "non-zero return code".into()
        });
        if !output.cancelled && !output.timed_out {
            error = error.because(format!("the command {}", output.ending()));
        }
        error.data = data;
        Err(error.with("changed", true))
    }
}

impl Streams {
    fn registered(&self, output: &Output, shown: Value) -> Mapping {
        let text = |text: &str| -> String {
            let text = if self.strip_empty_ends {
                text.trim_end_matches(['\r', '\n'])
            } else {
                text
            };
            text.to_owned()
        };
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let entries: [(&str, Value); 9] = [
            ("cmd", shown),
            ("rc", output.rc.into()),
            ("stdout_lines", lines(&stdout)),
            ("stdout", stdout.into()),
            ("stderr_lines", lines(&stderr)),
            ("stderr", stderr.into()),
            ("start", moment(&output.started).into()),
            ("end", moment(&output.ended()).into()),
            ("delta", delta(output.delta).into()),
        ];
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
        entries.collect()
    }
}

/// Returns the lines of an output as a list, as Python's `splitlines` cuts them.
pub fn lines(text: &str) -> Value {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.lines().map(Value::from).collect()
}

fn moment(at: &jiff::Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// Writes a duration as Python does: `1 day, 0:00:01.000345`.
fn delta(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    let days = match seconds / 86_400 {
        0 => String::new(),
        1 => "1 day, ".into(),
        n => format!("{n} days, "),
    };
    format!(
        "{days}{}:{:02}:{:02}.{:06}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        duration.subsec_micros()
    )
}

#[cfg(test)]
mod tests;
