//! `cron`: turns the wish for a job, or for a variable of its environment, into lines of a user's crontab or of a file in /etc/cron.d.

mod table;

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::group::Presence;
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use crate::sys::process::{Command, Output};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use table::Table;

#[expect(
    clippy::struct_field_names,
    reason = "the names of its arguments are Ansible's"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    name: String,
    #[serde(default)]
    job: Option<String>,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    cron_file: Option<PathBuf>,
    #[serde(default)]
    minute: Option<String>,
    #[serde(default)]
    hour: Option<String>,
    #[serde(default)]
    day: Option<String>,
    #[serde(default)]
    month: Option<String>,
    #[serde(default)]
    weekday: Option<String>,
    #[serde(default)]
    special_time: Option<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    env: bool,
    #[serde(default)]
    insertafter: Option<String>,
    #[serde(default)]
    insertbefore: Option<String>,
    #[serde(default)]
    backup: bool,
}

/// What is to be written.
#[derive(Debug)]
pub struct Change {
    before: String,
    /// `None`: the file goes.
    after: Option<String>,
    outcome: Outcome,
}

/// Where the jobs stand.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    /// A user's own; their name, and whether `crontab` has to be told it.
    Crontab {
        user: String,
        is_another: bool,
    },
}

impl Module for Cron {
    const NAME: &'static str = "cron";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "name",
            ArgKind::Str,
            "what the job is known by, in a comment above it; with `env`, the variable",
        )
        .required(),
        Arg::new(
            "job",
            ArgKind::Str,
            "the command; with `env`, the variable's value",
        )
        .aliases(&["value"]),
        Arg::new("state", ArgKind::Str, "present (default) or absent")
            .choices(&["present", "absent"]),
        Arg::new(
            "user",
            ArgKind::Str,
            "whose crontab (default: the task's user); in `cron_file`, who runs the job",
        ),
        Arg::new(
            "cron_file",
            ArgKind::Path,
            "a file of /etc/cron.d, or a path, instead of a user's crontab",
        ),
        Arg::new("minute", ArgKind::Str, "0-59, `*`, `*/2` (default `*`)"),
        Arg::new("hour", ArgKind::Str, "0-23, `*`, `*/2` (default `*`)"),
        Arg::new("day", ArgKind::Str, "of the month, 1-31 (default `*`)").aliases(&["dom"]),
        Arg::new("month", ArgKind::Str, "1-12 or a name (default `*`)"),
        Arg::new(
            "weekday",
            ArgKind::Str,
            "0-6 from Sunday, or a name (default `*`)",
        )
        .aliases(&["dow"]),
        Arg::new("special_time", ArgKind::Str, "instead of a time").choices(&[
            "reboot", "yearly", "annually", "monthly", "weekly", "daily", "hourly",
        ]),
        Arg::new(
            "disabled",
            ArgKind::Bool,
            "keep the job as a comment (default no)",
        ),
        Arg::new(
            "env",
            ArgKind::Bool,
            "set a variable instead of a job (default no)",
        ),
        Arg::new(
            "insertafter",
            ArgKind::Str,
            "with `env`: behind this variable (default: first of all)",
        ),
        Arg::new(
            "insertbefore",
            ArgKind::Str,
            "with `env`: before this variable",
        ),
        Arg::new(
            "backup",
            ArgKind::Bool,
            "keep a copy as it was, in /tmp (default no)",
        ),
    ];
    const DOC: &'static str = "Sees to a job of cron, which it knows by the comment `#Ansible: NAME` above it.\n\n    - cron:\n        name: clean old logs\n        minute: '0'\n        hour: '2'\n        job: find /var/log/kafka -mtime +30 -delete\n        user: kafka\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        self.judge()?;
        let place = self.place(sys)?;
        let before = place.read(sys)?;
        let mut table = Table::parse(&before, matches!(place, Place::Crontab { .. }));
        let is_present = self.state == Presence::Present;
        let changed = if self.env {
            let wish = is_present.then_some(self.job.as_deref()).flatten();
            let anchor = (self.insertafter.as_deref(), self.insertbefore.as_deref());
            table.set_variable(&self.name, wish, anchor)?
        } else if is_present {
            table.put(&self.name, &self.line())
        } else {
            table.drop(&self.name)
        };
        let changed = changed || !(before.is_empty() || before.ends_with(['\n', '\r']));
        let mut outcome = Outcome::new();
        if let Place::File(path) = &place {
            outcome = outcome.with("cron_file", path.display().to_string());
            outcome.warnings.extend(odd_name(path));
        }
        if self
            .job
            .as_deref()
            .is_some_and(|job| job.trim_matches(['\r', '\n']).contains(['\r', '\n']))
        {
            outcome
                .warnings
                .push("a job of cron is one line, and this one has several".into());
        }
        let names = |names: Vec<&str>| names.into_iter().map(Value::from).collect::<Value>();
        outcome = outcome
            .with("jobs", names(table.jobs()))
            .with("envs", names(table.variables()));
        if !changed {
            return Ok(Found::same(outcome));
        }
        let goes = matches!(place, Place::File(_)) && !is_present && !self.env && table.is_empty();
        let after = (!goes).then(|| table.text());
        let diff = Diff::new(place.to_string());
        let is_new = matches!(&place, Place::File(path) if !sys.exists(path)?);
        let side = (!is_new).then_some(before.as_bytes());
        let outcome = outcome.diff(diff.bytes(side, after.as_deref().map(str::as_bytes)));
        let change = Change {
            before,
            after,
            outcome: outcome.clone().changed(),
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let place = self.place(sys)?;
        let mut outcome = change.outcome;
        if self.backup {
            let name = format!(
                "crontab.{}",
                jiff::Zoned::now().strftime("%Y-%m-%d@%H:%M:%S~")
            );
            let path = sys.temporary_directory()?.join(name);
            let private = Attributes {
                mode: Some(0o600),
                ..Attributes::default()
            };
            sys.write_atomic(&path, change.before.as_bytes(), private)?;
            outcome = outcome.with("backup_file", path.display().to_string());
        }
        place.write(sys, change.after.as_deref())?;
        Ok(outcome)
    }
}

impl Cron {
    fn judge(&self) -> Result<(), Error> {
        let times = [
            &self.minute,
            &self.hour,
            &self.day,
            &self.month,
            &self.weekday,
        ];
        let has_time = times
            .iter()
            .any(|time| time.as_deref().is_some_and(|time| time != "*"));
        let is_present = self.state == Presence::Present;
        let fault = if self.cron_file.as_deref() == Some(Path::new("/etc/crontab")) {
            "`/etc/crontab` is the system's own: write to another `cron_file`"
        } else if self.special_time.is_some() && has_time {
            "`special_time` and a time exclude each other"
        } else if self.insertafter.is_some() && self.insertbefore.is_some() {
            "`insertafter` and `insertbefore` exclude each other"
        } else if is_present && self.cron_file.is_some() && self.user.is_none() {
            "`cron_file` needs `user`: who runs the job"
        } else if is_present && self.job.is_none() {
            "`state: present` needs `job`"
        } else if (self.insertafter.is_some() || self.insertbefore.is_some()) && !self.env {
            "`insertafter` and `insertbefore` are for `env: yes`"
        } else if self.env && self.name.contains(' ') {
            "the name of a variable has no spaces"
        } else if self.name.contains(['\n', '\r']) {
            "`name` is one line"
        } else {
            return Ok(());
        };
        Err(Error::new(fault))
    }

    fn place(&self, sys: &Sys) -> Result<Place, Error> {
        if let Some(file) = &self.cron_file {
            return Ok(Place::File(Path::new("/etc/cron.d").join(file)));
        }
        let uid = nix::unistd::geteuid().as_raw();
        let own = sys.user_numbered(uid)?.map(|user| user.name);
        let own = own.unwrap_or_else(|| uid.to_string());
        let user = self.user.clone().unwrap_or_else(|| own.clone());
        let is_another = user != own;
        if is_another && sys.user_named(&user)?.is_none() {
            return Err(Error::new(format!(
                "there is no user `{user}` on this host"
            )));
        }
        Ok(Place::Crontab { user, is_another })
    }

    /// The job as a line of a crontab.
    fn line(&self) -> String {
        let or_any = |time: &Option<String>| time.clone().unwrap_or_else(|| "*".into());
        let mut words = match &self.special_time {
            Some(special) => vec![format!("@{special}")],
            None => [
                &self.minute,
                &self.hour,
                &self.day,
                &self.month,
                &self.weekday,
            ]
            .map(or_any)
            .to_vec(),
        };
        if self.cron_file.is_some() {
            words.extend(self.user.clone());
        }
        let job = self.job.as_deref().unwrap_or_default();
        words.push(job.trim_matches(['\r', '\n']).to_owned());
        let mark = if self.disabled { "#" } else { "" };
        format!("{mark}{}", words.join(" "))
    }
}

/// Cron passes over files of which the names have other letters.
fn odd_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let is_odd = |letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | '-');
    name.contains(is_odd).then(|| {
        format!(
            "cron passes over `{name}`: names of its files have letters, digits, `_` and `-` only"
        )
    })
}

impl Place {
    fn read(&self, sys: &Sys) -> Result<String, Error> {
        let text = |path: &Path| -> Result<String, Error> {
            if !sys.exists(path)? {
                sys.rest_on_absence(path);
                return Ok(String::new());
            }
            Ok(String::from_utf8_lossy(&sys.read(path)?).into_owned())
        };
        match self {
            Self::File(path) => text(path),
            Self::Crontab { user, .. } if !sys.is_host() => text(&spool(user)),
            Self::Crontab { user, .. } => {
                let noted = sys.overlay().map(|overlay| overlay.notes(&note(user)));
                let mut noted = noted.into_iter().flatten();
                if let Some((_, text)) = noted.find(|(rest, _)| rest.is_empty()) {
                    return Ok(text);
                }
                let argv = self.call("-l");
                let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
                if sys.program("crontab").is_none() {
                    sys.miss(|| "the program `crontab`".into());
                    let error = Error::new("no program `crontab` on this host");
                    return Err(error.help("install cron first: the package `cron`, or `cronie`"));
                }
                let output = tool::start(sys, &Command::tool(&argv).only_reads(), &argv)?;
                match output.rc {
                    0 => Ok(output.stdout),
                    // There is none.
                    1 if output.stderr.contains("no crontab for") => Ok(String::new()),
                    // Check mode: an earlier task would make the user, whom the program does not know yet.
                    _ if sys.overlay().is_some()
                        && sys.user_named(user)?.is_some()
                        && is_no_user(&output) =>
                    {
                        text(&spool(user))
                    }
                    _ => Err(tool::failure(&argv, &output)),
                }
            }
        }
    }

    fn write(&self, sys: &Sys, text: Option<&str>) -> Result<(), Error> {
        let bytes = text.unwrap_or_default().as_bytes();
        match (self, text) {
            (Self::File(path), None) => Ok(sys.remove(path)?),
            (Self::File(path), Some(_)) => {
                let attributes = Attributes {
                    mode: (!sys.exists(path)?).then_some(0o644),
                    ..Attributes::default()
                };
                Ok(sys.write_atomic(path, bytes, attributes)?)
            }
            (Self::Crontab { user, .. }, _) if !sys.is_host() => {
                let private = Attributes {
                    mode: Some(0o600),
                    ..Attributes::default()
                };
                Ok(sys.write_atomic(&spool(user), bytes, private)?)
            }
            (Self::Crontab { user, .. }, _) => {
                if let Some(overlay) = sys.overlay() {
                    overlay.note(&note(user), text.unwrap_or_default());
                    return Ok(());
                }
                let argv = self.call("-");
                let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
                let output = tool::start(sys, &Command::tool(&argv).stdin(bytes), &argv)?;
                if output.success() {
                    Ok(())
                } else {
                    Err(tool::failure(&argv, &output))
                }
            }
        }
    }

    fn call(&self, what: &str) -> Vec<String> {
        let mut argv = vec!["crontab".to_owned()];
        if let Self::Crontab {
            user,
            is_another: true,
        } = self
        {
            argv.extend(["-u".to_owned(), user.clone()]);
        }
        argv.push(what.to_owned());
        argv
    }
}

/// Whether `crontab` refused as the host has no such user.
fn is_no_user(output: &Output) -> bool {
    output.stderr.contains("unknown")
}

/// What check mode keeps in mind of a user's crontab.
fn note(user: &str) -> String {
    format!("crontab {user}")
}

/// Where a test's root has a user's crontab: elsewhere only the program `crontab` knows.
fn spool(user: &str) -> PathBuf {
    Path::new("/var/spool/cron/crontabs").join(user)
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Crontab { user, .. } => write!(f, "crontab of {user}"),
        }
    }
}

#[cfg(test)]
mod tests;
