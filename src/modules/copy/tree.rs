//! Turns a directory, sent or on the host, into the files, directories and links below its destination.

use super::sources::{Entry, Sources, What};
use super::{Copy, Directories, remote};
use crate::modules::attributes::Wish;
use crate::modules::diff::Diff;
use crate::modules::mode::Mode;
use crate::modules::place::{self, Placement, Wished};
use crate::modules::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Stat;
use serde_bytes::ByteBuf;
use std::path::{Path, PathBuf};

/// How many files have a diff of their own; the others are counted.
const MAX_DIFFS: usize = 20;

/// What is to be done, in order.
#[derive(Debug)]
pub struct Change {
    steps: Vec<Step>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Step {
    Directories(Directories),
    Attributes(PathBuf, Wish),
    Link {
        target: PathBuf,
        path: PathBuf,
        owner: Wish,
    },
    File(Box<Placement>, ByteBuf),
}

/// What a task says of what is in the tree, and above it.
pub(super) struct Asked<'a> {
    pub files: Wish,
    pub directories: Wish,
    /// Directories that are missing above the tree.
    pub above: Wish,
    /// The tree's own directory, where it is new.
    pub top: Wish,
    /// Files keep the mode of the source.
    pub preserve: bool,
    pub copy: &'a Copy,
}

impl Asked<'_> {
    /// What a new directory gets, where its source has a mode of its own.
    fn directory(&self, mode: Option<u32>) -> Wish {
        let mut wish = self.directories.clone();
        wish.mode = wish.mode.or(mode.map(Mode::Octal));
        wish
    }

    /// Links have no mode.
    fn owner(&self) -> Wish {
        Wish {
            mode: None,
            ..self.files.clone()
        }
    }

    /// Whether a file gets the mode of its source; on the host that is one that is new or has another content.
    fn keeps_mode(
        &self,
        sys: &Sys,
        path: &Path,
        now: Option<&Stat>,
        content: &[u8],
    ) -> Result<bool, Error> {
        if self.preserve || !self.copy.remote_src {
            return Ok(self.preserve);
        }
        let Some(now) = now else { return Ok(true) };
        Ok(now.is_file() && (now.size != content.len() as u64 || sys.read(path)? != content))
    }
}

/// Looks at everything below the destination.
pub(super) fn check(sys: &Sys, sources: &Sources, asked: &Asked) -> Result<Found<Change>, Error> {
    let written = Path::new(&asked.copy.dest);
    if sys.stat(written)?.is_some_and(|stat| !stat.is_dir()) {
        let text = format!(
            "cannot copy a directory to the file `{}`",
            written.display()
        );
        return Err(Error::new(text));
    }
    let dest = written.join(&sources.name);
    let mut outcome = Outcome::new()
        .with(
            "dest",
            format!("{}/", written.display().to_string().trim_end_matches('/')),
        )
        .with("src", sources.shown.as_str());
    let mut steps = Vec::new();
    let mut diffs = Vec::new();
    let above = dest.parent().unwrap_or(Path::new("/"));
    let top = Directories::missing(sys, &dest, &asked.top)?;
    let above = Directories::missing(sys, above, &asked.above)?;
    if !top.is_empty() {
        diffs.extend(above.diffs(sys));
        diffs.extend(top.diffs(sys).pop());
        steps.extend([Step::Directories(above), Step::Directories(top)]);
    }
    for entry in &sources.entries {
        let path = dest.join(&entry.path);
        if let Some((step, mut diff)) = entry_step(sys, sources, entry, &path, asked)? {
            steps.push(step);
            diffs.append(&mut diff);
        }
    }
    if asked.copy.remote_src && sys.stat(&dest)?.is_some() {
        for (path, wish) in remote::also(sys, &dest, sources, asked)? {
            if let Some((step, mut diff)) = attributes(sys, &path, &wish)? {
                steps.push(step);
                diffs.append(&mut diff);
            }
        }
    }
    let n_more = diffs.len().saturating_sub(MAX_DIFFS);
    diffs.truncate(MAX_DIFFS);
    if n_more > 0 {
        diffs.push(Diff::new(dest.display().to_string()).attribute(
            "further entries changed",
            None,
            Some(n_more.into()),
        ));
    }
    outcome.diffs = diffs;
    if steps.is_empty() {
        return Ok(Found::same(outcome));
    }
    let outcome = outcome.changed();
    let change = Change {
        steps,
        outcome: outcome.clone(),
    };
    Ok(Found::change(change, outcome))
}

fn entry_step(
    sys: &Sys,
    sources: &Sources,
    entry: &Entry,
    path: &Path,
    asked: &Asked,
) -> Result<Option<(Step, Vec<Diff>)>, Error> {
    let now = sys.lstat(path)?;
    let shown = path.display().to_string();
    match &entry.what {
        What::Directory { mode } => {
            let missing = Directories::missing(sys, path, &asked.directory(*mode))?;
            if !missing.is_empty() {
                // Its parents, missing too, came before it.
                let diffs = missing.diffs(sys).pop().into_iter().collect();
                return Ok(Some((Step::Directories(missing), diffs)));
            }
            if !now.is_some_and(|now| now.is_dir()) {
                return Ok(None);
            }
            attributes(sys, path, &asked.directories)
        }
        What::Link { target } => {
            let before = now.as_ref().and_then(|now| now.link_target.as_ref());
            if before.is_some_and(|before| before == Path::new(target)) {
                return attributes(sys, path, &asked.owner());
            }
            if now.as_ref().is_some_and(Stat::is_dir) {
                let text = format!("`{shown}` is a directory and cannot become a link");
                return Err(Error::new(text));
            }
            let before = before.map(|before| before.display().to_string().into());
            let diff = Diff::new(shown).attribute("target", before, Some(target.as_str().into()));
            let diff = asked.owner().diff(sys, diff, None, false);
            let step = Step::Link {
                target: target.into(),
                path: path.to_path_buf(),
                owner: asked.owner(),
            };
            Ok(Some((step, vec![diff])))
        }
        What::File { content, mode } => {
            if now.is_some() && !asked.copy.force {
                return Ok(None);
            }
            let source = format!("{}/{}", sources.shown.trim_end_matches('/'), entry.path);
            let resolved;
            let (path, now) = match now {
                // On the host a file is written through the link that is there, as Ansible does.
                Some(now) if (asked.copy.follow || asked.copy.remote_src) && now.is_link() => {
                    resolved = sys.resolve(path)?;
                    let now = sys.lstat(&resolved)?;
                    (resolved.as_path(), now)
                }
                now => (path, now),
            };
            let mut wish = asked.files.clone();
            if asked.keeps_mode(sys, path, now.as_ref(), content)? {
                wish.mode = Some(Mode::Octal(*mode));
            }
            let wished = Wished {
                path,
                content,
                wish: &wish,
                source: Some(&source),
                safeguards: &asked.copy.safeguards,
            };
            let found = place::check_against(sys, &wished, now.as_ref(), None)?;
            let step = |placement| {
                (
                    Step::File(Box::new(placement), content.clone()),
                    found.outcome.diffs,
                )
            };
            Ok(found.change.map(step))
        }
    }
}

/// What is there already gets what is asked of it.
fn attributes(sys: &Sys, path: &Path, wish: &Wish) -> Result<Option<(Step, Vec<Diff>)>, Error> {
    let now = sys.lstat(path)?.filter(|now| !wish.holds(now));
    Ok(now.map(|now| {
        let diff = Diff::new(path.display().to_string());
        let diff = wish.diff(sys, diff, Some(&now), now.is_dir());
        let step = Step::Attributes(path.to_path_buf(), wish.clone());
        (step, vec![diff])
    }))
}

impl Change {
    pub(super) fn make(self, sys: &Sys) -> Result<Outcome, Error> {
        for step in self.steps {
            match step {
                Step::Directories(directories) => directories.make(sys)?,
                Step::Attributes(path, wish) => set(sys, &path, &wish)?,
                Step::Link {
                    target,
                    path,
                    owner,
                } => {
                    sys.symlink(&target, &path)?;
                    set(sys, &path, &owner)?;
                }
                Step::File(placement, content) => drop(placement.make(sys, &content)?),
            }
        }
        Ok(self.outcome)
    }
}

fn set(sys: &Sys, path: &Path, wish: &Wish) -> Result<(), Error> {
    match sys.lstat(path)? {
        Some(now) => wish.set(sys, path, &now),
        None => Ok(()),
    }
}
