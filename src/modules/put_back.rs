//! `put_back`: turns what a run changed on this host into what lay there before, from what its agent kept.

mod differs;
mod protocol;
mod standing;

use super::args::{Arg, ArgKind};
use super::attributes::{group_name, owner_name};
use super::diff::{Content, Diff, MAX_DIFF_BYTES};
use super::systemd::rehearsed::unit_directories;
use super::{Error, Found, Module, Nature, Outcome, mode, tool};
use crate::sys::Sys;
pub use crate::sys::before::KEPT_RUNS;
use crate::sys::before::{Kept, Was};
use crate::sys::fs::{Attributes, Durability, Kind, Stat};
use crate::value::Value;
use differs::{content_is_same, is_as_it_was, now_at};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// So many faults are told; of the others their number.
const TOLD: usize = 8;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutBack {
    runs: Vec<String>,
    play: usize,
    host: String,
    #[serde(default)]
    restarted: Vec<String>,
    #[serde(default)]
    differences_ok: bool,
    #[serde(default)]
    is_look: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Change {
    /// Paths at which something lay that is to lie there again, parents first.
    restore: Vec<Kept>,
    /// Paths at which nothing lay, children first.
    remove: Vec<PathBuf>,
    /// What the look said.
    seen: Outcome,
}

impl Module for PutBack {
    const NAME: &'static str = "put_back";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("runs", ArgKind::StrList, "the runs, the oldest first").required(),
        Arg::new("play", ArgKind::Int, "the play of them, counted from 1").required(),
        Arg::new("host", ArgKind::Str, "the host's name in the inventory").required(),
        Arg::new(
            "restarted",
            ArgKind::StrList,
            "units that may run meanwhile, as they are restarted afterwards (default none)",
        ),
        Arg::new(
            "differences_ok",
            ArgKind::Bool,
            "put back what was changed since, too (default no)",
        ),
        Arg::new(
            "is_look",
            ArgKind::Bool,
            "only look whether it could be done (default no)",
        ),
    ];
    const DOC: &'static str = "Puts back the files, links and directories that a play of a run changed on this host: `krun rollback` does it.\n\n    - put_back:\n        runs: 20261121T073102Z-4711\n        play: 1\n        host: kafka01\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let Some(keeper) = sys.keeper() else {
            return Ok(Found::same(Outcome::new()));
        };
        let kept = keeper.images(&self.runs, self.play, &self.host)?;
        let names = kept
            .iter()
            .map(|kept| kept.image.named.display().to_string());
        let names = names.map(Value::from).collect();
        let mut outcome = Outcome::new().with("names", Value::Sequence(names));
        let (mut change, mut faults) = (Change::default(), Faults::default());
        let mut made = BTreeSet::new();
        for kept in kept {
            let now = now_at(sys, &kept.image.path)?;
            if is_as_it_was(sys, &kept, now.as_ref())? {
                continue;
            }
            if kept.left != Some(Was::of(now.as_ref()))
                && self.is_further_back(sys, &kept, now.as_ref())?
            {
                continue;
            }
            self.judge(sys, &kept, now.as_ref(), &mut faults)?;
            if kept.image.was.kind.is_none() {
                made.insert(kept.image.path);
            } else {
                outcome.diffs.push(restoring(sys, &kept, now.as_ref())?);
                change.restore.push(kept);
            }
        }
        Self::removing(sys, made, &mut change, &mut outcome)?;
        if change.restore.is_empty() && change.remove.is_empty() {
            return Ok(Found::same(outcome));
        }
        let paths = change.restore.iter().map(|kept| &kept.image.path);
        let paths: Vec<&Path> = paths.chain(&change.remove).map(PathBuf::as_path).collect();
        let mut services = standing::services(sys, &paths);
        services.retain(|unit, _| !self.restarted.iter().any(|name| is_same_unit(name, unit)));
        faults.services.extend(services);
        faults.protocols = protocol::no_way_back(sys, &change)?;
        faults.into_result(&self.runs)?;
        let running = self.restarted.iter();
        let running = running.filter(|unit| standing::is_active(sys, unit));
        let running = running.map(|unit| unit.as_str().into()).collect();
        outcome = outcome.with("running", Value::Sequence(running));
        if self.is_look {
            let n_changes = change.restore.len() + change.remove.len();
            return Ok(Found::same(outcome.with("changes", n_changes)));
        }
        change.seen = outcome.clone();
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let mut outcome = change.seen.changed();
        let mut later = Vec::new();
        for kept in &change.restore {
            let now = now_at(sys, &kept.image.path)?;
            let parent = kept.image.path.parent().unwrap_or(Path::new("/"));
            let has_parent = now.is_some() || now_at(sys, parent)?.is_some_and(|it| it.is_dir());
            let is_in_the_way = now
                .as_ref()
                .is_some_and(|now| now.is_dir() != kept.image.was.is_dir());
            if has_parent && !is_in_the_way {
                restore(sys, kept, now.as_ref())?;
            } else {
                later.push(kept);
            }
        }
        for path in &change.remove {
            match now_at(sys, path)? {
                None => {}
                Some(now) if !now.is_dir() => sys.remove(path)?,
                Some(_) if sys.list(path)?.is_empty() => sys.remove_tree(path)?,
                Some(_) => {
                    let text = format!("`{}` stays: it is not empty", path.display());
                    outcome.warnings.push(text);
                }
            }
        }
        for kept in later {
            let path = &kept.image.path;
            let mut now = now_at(sys, path)?;
            if now.as_ref().is_some_and(|now| !now.is_dir()) && kept.image.was.is_dir() {
                sys.remove(path)?;
                now = None;
            }
            restore(sys, kept, now.as_ref())?;
        }
        let paths = change.restore.iter().map(|kept| &kept.image.path);
        let is_unit = |path: &PathBuf| unit_directories().any(|dir| path.starts_with(dir));
        if sys.overlay().is_none() && sys.is_host() && paths.chain(&change.remove).any(is_unit) {
            tool::must(sys, &["systemctl", "daemon-reload"])?;
        }
        Ok(outcome)
    }
}

impl PutBack {
    /// Whether a path is as a play before this one found it: an earlier rollback has put it back already.
    fn is_further_back(&self, sys: &Sys, kept: &Kept, now: Option<&Stat>) -> Result<bool, Error> {
        let Some(keeper) = sys.keeper() else {
            return Ok(false);
        };
        for play in 1..self.play {
            let images = keeper.images(&self.runs, play, &self.host)?;
            let mut same = images.iter().filter(|it| it.image.path == kept.image.path);
            if let Some(earlier) = same.next() {
                return is_as_it_was(sys, earlier, now);
            }
        }
        Ok(false)
    }

    /// Adds what speaks against putting one path back.
    fn judge(
        &self,
        sys: &Sys,
        kept: &Kept,
        now: Option<&Stat>,
        faults: &mut Faults,
    ) -> Result<(), Error> {
        let path = kept.image.path.display();
        let is_lost = kept.content.is_none() && kept.image.was.kind == Some(Kind::File);
        let is_lost = is_lost || kept.image.lacks.is_some();
        if is_lost && !content_is_same(sys, kept, now)? {
            let why = kept.image.lacks.as_deref().unwrap_or("its copy is gone");
            faults.lacking.push(format!("`{path}` was not kept: {why}"));
        }
        if self.differences_ok {
            return Ok(());
        }
        match &kept.left {
            Some(left) if *left == Was::of(now) => {}
            Some(_) => {
                let task = &kept.image.task;
                let text = format!("`{path}` is not as `{task}` or a later task left it");
                faults.changed.push(text);
            }
            None => faults.changed.push(format!(
                "`{path}`: the run was cut off there, and nobody knows what it left"
            )),
        }
        Ok(())
    }

    /// What the run made goes; a directory only if nothing else is in it.
    fn removing(
        sys: &Sys,
        made: BTreeSet<PathBuf>,
        change: &mut Change,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let mut goes: BTreeSet<PathBuf> = BTreeSet::new();
        // Children first.
        for path in made.into_iter().rev() {
            let is_dir = now_at(sys, &path)?.is_some_and(|now| now.is_dir());
            if is_dir {
                let names = sys.list(&path)?.into_iter().map(|name| path.join(name));
                let strange: Vec<PathBuf> = names.filter(|path| !goes.contains(path)).collect();
                if let Some(first) = strange.first() {
                    let more = match strange.len() {
                        1 => String::new(),
                        n => format!(" and {} more", n - 1),
                    };
                    outcome.warnings.push(format!(
                        "`{}` stays: it holds what the run did not make (`{}`{more})",
                        path.display(),
                        first.display()
                    ));
                    continue;
                }
            }
            change.remove.push(path.clone());
            goes.insert(path);
        }
        for path in &goes {
            if path.parent().is_some_and(|parent| goes.contains(parent)) {
                continue;
            }
            let Some(now) = now_at(sys, path)? else {
                continue;
            };
            let mut diff = Diff::new(path.display().to_string());
            diff = diff.attribute(
                "state",
                Some(kind(&Was::of(Some(&now)))),
                Some("absent".into()),
            );
            let below = goes.iter().filter(|other| other.starts_with(path)).count() - 1;
            if below > 0 {
                diff = diff.attribute("holds", Some(entries(below).into()), None);
            }
            outcome.diffs.push(diff);
        }
        Ok(())
    }
}

/// Why a host cannot be put back.
#[derive(Debug, Default)]
struct Faults {
    lacking: Vec<String>,
    changed: Vec<String>,
    services: Vec<(String, PathBuf)>,
    protocols: Vec<String>,
}

impl Faults {
    fn into_result(self, runs: &[String]) -> Result<(), Error> {
        let run = runs.last().map_or("", String::as_str);
        let help = if !self.protocols.is_empty() {
            "a protocol that was raised is not lowered again: go forward, or bring back the brokers' data from a backup, too".to_owned()
        } else if !self.lacking.is_empty() {
            "what was not kept has to come from a backup".to_owned()
        } else if let Some((unit, _)) = self.services.first() {
            format!(
                "the play neither stops nor restarts `{unit}`: stop it yourself, roll back, and start it again"
            )
        } else if !self.changed.is_empty() {
            format!(
                "`krun rollback {run} --differences-ok` puts it back all the same: what was changed since is lost"
            )
        } else {
            return Ok(());
        };
        let services = self
            .services
            .iter()
            .map(|(unit, path)| format!("`{unit}` runs and stands on `{}`", path.display()));
        let all: Vec<String> = self
            .protocols
            .into_iter()
            .chain(self.lacking)
            .chain(services)
            .chain(self.changed)
            .collect();
        let mut error = Error::new(format!("what run {run} changed cannot be put back here"));
        error.causes.extend(all.iter().take(TOLD).cloned());
        if all.len() > TOLD {
            error.causes.push(format!("and {} more", all.len() - TOLD));
        }
        Err(error.help(help))
    }
}

fn entries(n: usize) -> String {
    match n {
        1 => "1 entry".into(),
        n => format!("{n} entries"),
    }
}

/// With or without `.service`.
fn is_same_unit(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix(".service").unwrap_or(name).to_owned();
    bare(one) == bare(other)
}

fn kind(was: &Was) -> Value {
    match was.kind {
        None => "absent",
        Some(Kind::Directory) => "directory",
        Some(Kind::Link) => "link",
        Some(_) => "file",
    }
    .into()
}

/// What will be seen to change where something is put back.
fn restoring(sys: &Sys, kept: &Kept, now: Option<&Stat>) -> Result<Diff, Error> {
    let (was, path) = (&kept.image.was, &kept.image.path);
    let is = Was::of(now);
    let mut diff = Diff::new(path.display().to_string());
    if !content_is_same(sys, kept, now)? && was.kind == Some(Kind::File) {
        let before = (is.kind == Some(Kind::File)).then_some(is.size);
        let too_large = was.size.max(is.size) > MAX_DIFF_BYTES as u64;
        diff.content = Some(Content::Opaque {
            reason: if kept.image.is_secret {
                "hidden by `no_log`".into()
            } else {
                "larger than 104448 bytes".into()
            },
            before,
            after: Some(was.size),
        });
        diff.is_new = before.is_none();
        if let Some(content) = kept
            .content
            .as_ref()
            .filter(|_| !too_large && !kept.image.is_secret)
        {
            let after = std::fs::read(content)?;
            let before = before.map(|_| sys.read(path)).transpose()?;
            diff = diff.bytes(before.as_deref(), Some(&after));
        }
    }
    if is.kind != was.kind && !(is.kind.is_none() && was.kind == Some(Kind::File)) {
        diff = diff.attribute("state", Some(kind(&is)), Some(kind(was)));
    }
    let target = |was: &Was| {
        was.target
            .as_ref()
            .map(|to| to.display().to_string().into())
    };
    diff = diff.attribute("target", target(&is), target(was));
    if is.kind.is_some() {
        let modes = (was.kind != Some(Kind::Link) && is.kind != Some(Kind::Link))
            .then(|| (mode::show(is.mode), mode::show(was.mode)));
        if let Some((before, after)) = modes {
            diff = diff.attribute("mode", Some(before.into()), Some(after.into()));
        }
        if is.uid != was.uid {
            let name = |uid| Some(owner_name(sys, uid));
            diff = diff.attribute("owner", name(is.uid), name(was.uid));
        }
        if is.gid != was.gid {
            let name = |gid| Some(group_name(sys, gid));
            diff = diff.attribute("group", name(is.gid), name(was.gid));
        }
    }
    Ok(diff)
}

/// Puts one path back.
fn restore(sys: &Sys, kept: &Kept, now: Option<&Stat>) -> Result<(), Error> {
    let (was, path) = (&kept.image.was, &kept.image.path);
    match was.kind {
        Some(Kind::Link) => {
            let target = was.target.clone().unwrap_or_default();
            if now.is_none_or(|now| now.link_target.as_ref() != Some(&target)) {
                sys.symlink(&target, path)?;
            }
        }
        Some(Kind::Directory) if now.is_none() => sys.create_dir(path, Some(was.mode))?,
        Some(Kind::File) if !content_is_same(sys, kept, now)? => {
            let content = kept
                .content
                .as_ref()
                .ok_or_else(|| Error::new(format!("`{}` was not kept", path.display())))?;
            let attributes = Attributes {
                mode: Some(was.mode),
                uid: Some(was.uid),
                gid: Some(was.gid),
                mtime: Some(was.mtime),
            };
            let mut content = File::open(content)?;
            sys.write_atomic_from(path, &mut content, attributes, Durability::Synced)?;
            return Ok(());
        }
        _ => {}
    }
    let Some(now) = sys.lstat(path)? else {
        return Ok(());
    };
    if (now.uid, now.gid) != (was.uid, was.gid) {
        sys.set_owner(path, Some(was.uid), Some(was.gid))?;
    }
    if was.kind != Some(Kind::Link) && now.mode != was.mode {
        sys.set_mode(path, was.mode)?;
    }
    if was.kind == Some(Kind::File) && now.mtime != was.mtime {
        sys.set_times(path, None, Some(was.mtime))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
