//! `file`: turns a wish for a file, directory or link into its making, its attributes or its removal.

mod link;
mod times;
mod tree;

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions, Wish, describe};
use super::diff::Diff;
use super::place::{ends_with_slash, kind_name};
use super::{Error, Found, Module, Nature, Outcome, loss};
use crate::sys::Sys;
use crate::sys::fs::{Kind, Stat, Time};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct File {
    path: PathBuf,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    src: Option<PathBuf>,
    #[serde(default)]
    recurse: bool,
    #[serde(default)]
    force: bool,
    #[serde(default = "yes")]
    follow: bool,
    #[serde(default)]
    access_time: Option<String>,
    #[serde(default)]
    access_time_format: Option<String>,
    #[serde(default)]
    modification_time: Option<String>,
    #[serde(default)]
    modification_time_format: Option<String>,
    #[serde(flatten)]
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Absent,
    Directory,
    File,
    Hard,
    Link,
    Touch,
}

/// What is to be done, in order.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    wish: Wish,
    /// Where the metadata is read afterwards.
    shown: PathBuf,
    outcome: Outcome,
}

#[derive(Debug)]
enum Step {
    MakeDirectory(PathBuf),
    MakeFile(PathBuf),
    Link { target: PathBuf, path: PathBuf },
    HardLink { source: PathBuf, path: PathBuf },
    Remove(PathBuf),
    Attributes(PathBuf),
    Times(PathBuf, Option<Time>, Option<Time>),
}

/// What a look collects: steps, diffs, warnings.
struct Finding<'a> {
    sys: &'a Sys,
    wish: Wish,
    steps: Vec<Step>,
    outcome: Outcome,
}

impl Module for File {
    const NAME: &'static str = "file";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!([
        Arg::new("path", ArgKind::Path, "what is managed")
            .required()
            .aliases(&["dest", "name"]),
        Arg::new(
            "state",
            ArgKind::Str,
            "what is to be there (default: what is; `file`, which never creates, where nothing is)",
        )
        .choices(&["absent", "directory", "file", "hard", "link", "touch"]),
        Arg::new("src", ArgKind::Path, "what a link leads to"),
        Arg::new(
            "recurse",
            ArgKind::Bool,
            "set the attributes on all that is in a directory (default no)",
        ),
        Arg::new(
            "force",
            ArgKind::Bool,
            "make a link to what is not there, or in place of a file (default no)",
        ),
        Arg::new(
            "follow",
            ArgKind::Bool,
            "where a link is, mean what it leads to (default yes)",
        ),
        Arg::new(
            "access_time",
            ArgKind::Str,
            "`preserve`, `now` or a time (default `now` for `touch`, else `preserve`)",
        ),
        Arg::new(
            "access_time_format",
            ArgKind::Str,
            "how it is written (default `%Y%m%d%H%M.%S`)",
        ),
        Arg::new(
            "modification_time",
            ArgKind::Str,
            "`preserve`, `now` or a time (default `now` for `touch`, else `preserve`)",
        ),
        Arg::new(
            "modification_time_format",
            ArgKind::Str,
            "how it is written (default `%Y%m%d%H%M.%S`)",
        ),
    ], PERMISSIONS);
    const DOC: &'static str = "Manages a file, directory or link: that it is there or absent, its mode, owner and group.\n\nMissing parents of a directory are made with the same mode and owner. A link is switched in one step.\n\n    - file:\n        path: /data/kafka-logs\n        state: directory\n        owner: kafka\n        mode: '0750'\n\n    - file: src=/usr/local/kafka_2.12-2.6.0 dest=/usr/local/kafka state=link\n";
    type Change = Change;

    fn places(&self) -> Option<Vec<PathBuf>> {
        // A link's target is looked at, too.
        let target = self.src.as_ref();
        let target = target
            .zip(self.path.parent())
            .map(|(src, dir)| dir.join(src));
        Some(
            [Some(self.path.clone()), target]
                .into_iter()
                .flatten()
                .collect(),
        )
    }

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let wish = self.permissions.wish(sys)?;
        let mut path = self.path.clone();
        // As Ansible has it: `path: /etc/dir` with a `src` means the file of that name in it.
        if !matches!(self.state, Some(State::Link | State::Absent))
            && let Some(name) = self.src.as_deref().and_then(Path::file_name)
            && sys.stat(&path)?.is_some_and(|stat| stat.is_dir())
        {
            path.push(name);
        }
        let now = sys.lstat(&path)?;
        let state = self.state(now.as_ref());
        if self.recurse && state != State::Directory {
            return Err(Error::new("`recurse` needs `state: directory`"));
        }
        if self.src.is_some() && !matches!(state, State::Link | State::Hard) {
            return Err(Error::new("`src` needs `state: link` or `state: hard`"));
        }
        let mut finding = Finding {
            sys,
            wish,
            steps: Vec::new(),
            outcome: Outcome::new().with("path", path.display().to_string()),
        };
        match state {
            State::Absent => return finding.absent(path, now.as_ref()),
            State::Link => self.link(&mut finding, &path, now.as_ref())?,
            State::Hard => self.hard_link(&mut finding, &path, now.as_ref())?,
            State::Directory => self.directory(&mut finding, &mut path, now)?,
            State::File => self.file(&mut finding, &mut path, now)?,
            State::Touch => self.touch(&mut finding, &mut path, now)?,
        }
        finding.found(path)
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let wish = &change.wish;
        for step in &change.steps {
            match step {
                Step::MakeDirectory(path) => {
                    let attributes = wish.attributes(None, true);
                    sys.create_dir(path, attributes.mode)?;
                    set(sys, wish, path)?;
                }
                Step::MakeFile(path) => {
                    sys.write_atomic(path, b"", wish.attributes(None, false))?;
                }
                Step::Link { target, path } => sys.symlink(target, path)?,
                Step::HardLink { source, path } => sys.hardlink(source, path)?,
                Step::Remove(path) => sys.remove_tree(path)?,
                Step::Attributes(path) => set(sys, wish, path)?,
                Step::Times(path, accessed, modified) => {
                    sys.set_times(path, *accessed, *modified)?;
                }
            }
        }
        Ok(match sys.lstat(&change.shown)? {
            Some(stat) => describe(sys, change.outcome, &stat),
            None => change.outcome,
        })
    }
}

fn set(sys: &Sys, wish: &Wish, path: &Path) -> Result<(), Error> {
    match sys.lstat(path)? {
        Some(now) => wish.set(sys, path, &now),
        None => Ok(()),
    }
}

impl File {
    pub(super) fn removes(&self) -> bool {
        self.state == Some(State::Absent)
    }

    fn state(&self, now: Option<&Stat>) -> State {
        self.state.unwrap_or(match now.map(|now| now.kind) {
            Some(Kind::Directory) => State::Directory,
            Some(Kind::Link) => State::Link,
            None if self.recurse => State::Directory,
            _ => State::File,
        })
    }

    fn accessed(&self, default: &str) -> Result<Option<Time>, Error> {
        let format = self.access_time_format.as_deref();
        times::read(self.access_time.as_deref(), format, default)
    }

    fn modified(&self, default: &str) -> Result<Option<Time>, Error> {
        let format = self.modification_time_format.as_deref();
        times::read(self.modification_time.as_deref(), format, default)
    }

    /// Moves on to what a link leads to, where the task follows links.
    fn follow(
        &self,
        sys: &Sys,
        path: &mut PathBuf,
        now: Option<Stat>,
    ) -> Result<Option<Stat>, Error> {
        match now {
            Some(now) if (self.follow || ends_with_slash(&self.path)) && now.is_link() => {
                *path = sys.resolve(path)?;
                Ok(sys.lstat(path)?)
            }
            now => Ok(now),
        }
    }

    fn file(
        &self,
        finding: &mut Finding,
        path: &mut PathBuf,
        now: Option<Stat>,
    ) -> Result<(), Error> {
        let now = self.follow(finding.sys, path, now)?;
        let shown = path.display();
        match &now {
            Some(now) if now.is_file() => {
                finding.attributes(path, now);
                self.set_times(finding, path, now, "preserve")
            }
            Some(now) => Err(Error::new(format!(
                "file (`{shown}`) is {}, cannot continue",
                kind_name(now.kind)
            ))),
            None => Err(
                Error::new(format!("file (`{shown}`) is absent, cannot continue"))
                    .help("`state: touch` makes an empty file"),
            ),
        }
    }

    fn touch(
        &self,
        finding: &mut Finding,
        path: &mut PathBuf,
        now: Option<Stat>,
    ) -> Result<(), Error> {
        let now = self.follow(finding.sys, path, now)?;
        finding.outcome =
            std::mem::take(&mut finding.outcome).with("dest", path.display().to_string());
        if let Some(now) = now {
            finding.attributes(path, &now);
            return self.set_times(finding, path, &now, "now");
        }
        finding.made(path, "file", false);
        finding.steps.push(Step::MakeFile(path.clone()));
        // `preserve` has nothing to keep: the file is as new as it is.
        let accessed = self.accessed("preserve")?;
        let modified = self.modified("preserve")?;
        if accessed.is_some() || modified.is_some() {
            let step = Step::Times(path.clone(), accessed, modified);
            finding.steps.push(step);
        }
        Ok(())
    }

    fn set_times(
        &self,
        finding: &mut Finding,
        path: &Path,
        now: &Stat,
        default: &str,
    ) -> Result<(), Error> {
        let accessed = self.accessed(default)?;
        let modified = self.modified(default)?;
        let accessed = accessed.filter(|time| *time != now.atime);
        let modified = modified.filter(|time| *time != now.mtime);
        if accessed.is_none() && modified.is_none() {
            return Ok(());
        }
        let show = |time: Option<Time>| time.map(|time| Value::from(times::show(time)));
        let mut diff = Diff::new(path.display().to_string());
        if accessed.is_some() {
            diff = diff.attribute("atime", show(Some(now.atime)), show(accessed));
        }
        if modified.is_some() {
            diff = diff.attribute("mtime", show(Some(now.mtime)), show(modified));
        }
        finding.outcome.diffs.push(diff);
        finding
            .steps
            .push(Step::Times(path.to_path_buf(), accessed, modified));
        Ok(())
    }
}

impl Finding<'_> {
    /// Notes that something is to be made that is not there.
    fn made(&mut self, path: &Path, state: &str, is_directory: bool) {
        let diff = Diff::new(path.display().to_string()).attribute(
            "state",
            Some("absent".into()),
            Some(state.into()),
        );
        let diff = self.wish.diff(self.sys, diff, None, is_directory);
        self.outcome.diffs.push(diff);
    }

    /// Notes what of mode, owner and group is to be set on what is there.
    fn attributes(&mut self, path: &Path, now: &Stat) {
        if self.wish.holds(now) {
            return;
        }
        let diff = Diff::new(path.display().to_string());
        let diff = self.wish.diff(self.sys, diff, Some(now), now.is_dir());
        self.outcome.diffs.push(diff);
        self.steps.push(Step::Attributes(path.to_path_buf()));
    }

    fn absent(mut self, path: PathBuf, now: Option<&Stat>) -> Result<Found<Change>, Error> {
        self.outcome = self.outcome.with("state", "absent");
        let Some(now) = now else {
            return Ok(Found::same(self.outcome));
        };
        let state = kind_name(now.kind).trim_start_matches("a ");
        let mut diff = Diff::new(path.display().to_string()).attribute(
            "state",
            Some(state.into()),
            Some("absent".into()),
        );
        if let Some(target) = &now.link_target {
            diff = diff.attribute("target", Some(target.display().to_string().into()), None);
        }
        if now.is_dir() {
            let n_entries = self.sys.list(&path)?.len();
            diff = diff.attribute("entries", Some(n_entries.into()), None);
            self.outcome
                .destroys
                .extend(loss::of_directory(self.sys, &path)?);
        }
        self.outcome.diffs.push(diff);
        self.steps.push(Step::Remove(path.clone()));
        self.found(path)
    }

    fn found(self, path: PathBuf) -> Result<Found<Change>, Error> {
        let Self {
            sys,
            wish,
            steps,
            outcome,
        } = self;
        let outcome = match sys.lstat(&path)? {
            Some(stat) if !outcome.data.contains_key("state") => describe(sys, outcome, &stat),
            _ => outcome,
        };
        if steps.is_empty() {
            return Ok(Found::same(outcome));
        }
        let outcome = outcome.changed();
        let change = Change {
            steps,
            wish,
            shown: path,
            outcome: outcome.clone(),
        };
        Ok(Found::change(change, outcome))
    }
}

#[cfg(test)]
mod tests;
