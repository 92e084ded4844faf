//! Turns a directory, sent or on the host, into the files, directories and links below its destination.

use super::sources::{Entry, Sources, What};
use super::{Copy, Directories};
use crate::modules::attributes::Wish;
use crate::modules::diff::Diff;
use crate::modules::mode::Mode;
use crate::modules::place::{self, Placement, Wished};
use crate::modules::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::{Kind, Stat};
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
    Link { target: PathBuf, path: PathBuf },
    File(Box<Placement>, ByteBuf),
}

/// What a task says of every file in the tree.
pub(super) struct Asked<'a> {
    pub files: Wish,
    pub directories: Wish,
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
    let top = Directories::missing(sys, &dest, &asked.directory(sources.mode))?;
    let above = Directories::missing(sys, above, &asked.directories)?;
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
            let Some(now) = now.filter(|now| now.is_dir() && !asked.directories.holds(now)) else {
                return Ok(None);
            };
            let diff = asked
                .directories
                .diff(sys, Diff::new(shown), Some(&now), true);
            let step = Step::Attributes(path.to_path_buf(), asked.directories.clone());
            Ok(Some((step, vec![diff])))
        }
        What::Link { target } => {
            let before = now.as_ref().and_then(|now| now.link_target.as_ref());
            if before.is_some_and(|before| before == Path::new(target)) {
                return Ok(None);
            }
            if now.as_ref().is_some_and(Stat::is_dir) {
                let text = format!("`{shown}` is a directory and cannot become a link");
                return Err(Error::new(text));
            }
            let before = before.map(|before| before.display().to_string().into());
            let diff = Diff::new(shown).attribute("target", before, Some(target.as_str().into()));
            let step = Step::Link {
                target: target.into(),
                path: path.to_path_buf(),
            };
            Ok(Some((step, vec![diff])))
        }
        What::File { content, mode } => {
            if now.is_some() && !asked.copy.force {
                return Ok(None);
            }
            let mut wish = asked.files.clone();
            if asked.preserve || (asked.copy.remote_src && wish.mode.is_none() && now.is_none()) {
                wish.mode = Some(Mode::Octal(*mode));
            }
            let source = format!("{}/{}", sources.shown.trim_end_matches('/'), entry.path);
            let resolved;
            let (path, now) = match now {
                Some(now) if asked.copy.follow && now.is_link() => {
                    resolved = sys.resolve(path)?;
                    let now = sys.lstat(&resolved)?;
                    (resolved.as_path(), now)
                }
                now => (path, now),
            };
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

impl Change {
    pub(super) fn make(self, sys: &Sys) -> Result<Outcome, Error> {
        for step in self.steps {
            match step {
                Step::Directories(directories) => directories.make(sys)?,
                Step::Attributes(path, wish) => {
                    if let Some(now) = sys.lstat(&path)? {
                        wish.set(sys, &path, &now)?;
                    }
                }
                Step::Link { target, path } => sys.symlink(&target, &path)?,
                Step::File(placement, content) => drop(placement.make(sys, &content)?),
            }
        }
        Ok(self.outcome)
    }
}

/// Reads a directory of the host as [`Sources::load`] reads one of the controller.
pub(super) fn load(sys: &Sys, written: &str, local_follow: bool) -> Result<Sources, Error> {
    let top = PathBuf::from(written);
    let mut sources = Sources {
        name: match top.file_name() {
            Some(name) if !written.ends_with('/') => name.to_string_lossy().into_owned(),
            _ => String::new(),
        },
        shown: written.into(),
        entries: Vec::new(),
        is_directory: true,
        mode: sys.stat(&top)?.map(|stat| stat.mode),
    };
    let mut ahead = vec![PathBuf::new()];
    while let Some(directory) = ahead.pop() {
        for name in sys.list(&top.join(&directory))? {
            let path = directory.join(name);
            let found = top.join(&path);
            let Some(mut stat) = sys.lstat(&found)? else {
                continue;
            };
            if stat.is_link() && local_follow {
                stat = sys.stat(&found)?.unwrap_or(stat);
            }
            let what = match stat.kind {
                Kind::Directory => {
                    ahead.push(path.clone());
                    What::Directory {
                        mode: Some(stat.mode),
                    }
                }
                Kind::Link => What::Link {
                    target: sys.read_link(&found)?.display().to_string(),
                },
                Kind::File => What::File {
                    content: ByteBuf::from(sys.read(&found)?),
                    mode: stat.mode,
                },
                _ => continue,
            };
            sources.entries.push(Entry {
                path: path.display().to_string(),
                what,
            });
        }
    }
    Ok(sources)
}
