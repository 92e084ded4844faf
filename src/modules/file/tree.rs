//! Finds what stands between a path and the directory that it is to be, with all that is in it where asked.

use super::{File, Finding, Step};
use crate::modules::Error;
use crate::modules::diff::Diff;
use crate::modules::place::kind_name;
use crate::sys::fs::Stat;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How many files of a tree have a diff of their own; the others are counted.
const MAX_DIFFS: usize = 20;

impl File {
    pub(super) fn directory(
        &self,
        finding: &mut Finding,
        path: &mut PathBuf,
        now: Option<Stat>,
    ) -> Result<(), Error> {
        let Some(now) = self.follow(finding.sys, path, now)? else {
            return missing_directories(finding, path);
        };
        if !now.is_dir() {
            return Err(Error::new(format!(
                "`{}` already exists and is {}",
                path.display(),
                kind_name(now.kind)
            )));
        }
        finding.attributes(path, &now);
        self.set_times(finding, path, &now, "preserve")?;
        if self.recurse {
            self.contents(finding, path)?;
        }
        Ok(())
    }

    /// Sets the attributes on all that is in a directory; with `follow`, on what links in it lead to as well.
    fn contents(&self, finding: &mut Finding, path: &Path) -> Result<(), Error> {
        let sys = finding.sys;
        let n_before = finding.outcome.diffs.len();
        let mut n_more = 0;
        let (mut seen, mut done) = (HashSet::new(), HashSet::new());
        let mut ahead = vec![path.to_path_buf()];
        while let Some(directory) = ahead.pop() {
            for name in sys.list(&directory)? {
                let mut entry = directory.join(name);
                let Some(mut now) = sys.lstat(&entry)? else {
                    continue;
                };
                if now.is_link() {
                    finding.attributes(&entry, &now);
                    if !self.follow || !sys.exists(&entry)? {
                        continue;
                    }
                    entry = sys.resolve(&entry)?;
                    let Some(target) = sys.lstat(&entry)? else {
                        continue;
                    };
                    now = target;
                    // Only links can lead to the same place twice, or round in a circle.
                    if !seen.insert((now.device, now.inode)) {
                        continue;
                    }
                }
                // What a link leads to may be in the same tree.
                if !done.insert(entry.clone()) {
                    continue;
                }
                finding.attributes(&entry, &now);
                if finding.outcome.diffs.len() > n_before + MAX_DIFFS {
                    finding.outcome.diffs.pop();
                    n_more += 1;
                }
                if now.is_dir() {
                    ahead.push(entry);
                }
            }
        }
        if n_more > 0 {
            let diff = Diff::new(path.display().to_string()).attribute(
                "further entries changed",
                None,
                Some(n_more.into()),
            );
            finding.outcome.diffs.push(diff);
        }
        Ok(())
    }
}

/// Finds the directories of `path` that are not there, the outermost first. Each is made with the same attributes.
fn missing_directories(finding: &mut Finding, path: &Path) -> Result<(), Error> {
    let sys = finding.sys;
    let mut missing = vec![path.to_path_buf()];
    let mut parent = path.parent();
    while let Some(directory) = parent.filter(|directory| *directory != Path::new("")) {
        match sys.stat(directory)? {
            Some(stat) if stat.is_dir() => break,
            Some(stat) => {
                return Err(Error::new(format!(
                    "cannot make `{}`: `{}` is {}",
                    path.display(),
                    directory.display(),
                    kind_name(stat.kind)
                )));
            }
            None => missing.push(directory.to_path_buf()),
        }
        parent = directory.parent();
    }
    for directory in missing.into_iter().rev() {
        finding.made(&directory, "directory", true);
        finding.steps.push(Step::MakeDirectory(directory));
    }
    Ok(())
}
