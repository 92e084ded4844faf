//! Finds what stands between a path and the link, symbolic or hard, that it is to be.

use super::{File, Finding, Step};
use crate::modules::Error;
use crate::modules::diff::Diff;
use crate::modules::place::kind_name;
use crate::sys::fs::{Kind, Stat};
use std::path::{Path, PathBuf};

impl File {
    pub(super) fn link(
        &self,
        finding: &mut Finding,
        path: &Path,
        now: Option<&Stat>,
    ) -> Result<(), Error> {
        let sys = finding.sys;
        let old_target = now.and_then(|now| now.link_target.clone());
        let target = match (&self.src, &old_target) {
            (Some(src), _) => src.clone(),
            (None, Some(old)) => old.clone(),
            (None, None) => {
                return Err(Error::new("`src` is needed to make a link"));
            }
        };
        let outcome = std::mem::take(&mut finding.outcome);
        finding.outcome = outcome
            .with("dest", path.display().to_string())
            .with("src", target.display().to_string());
        let base = match now {
            Some(now) if now.is_dir() => path,
            _ => path.parent().unwrap_or(path),
        };
        let leads_to = base.join(&target);
        let leads_somewhere = sys.exists(&leads_to)?;
        if !self.force && self.src.is_some() && !leads_somewhere {
            return Err(Error::new(format!(
                "`{}`, to which the link would lead, does not exist",
                target.display()
            ))
            .help("`force: yes` makes the link all the same"));
        }
        self.may_be_replaced(finding, path, now)?;
        if old_target.as_ref() != Some(&target) {
            let text = |target: &PathBuf| target.display().to_string().into();
            let before = now.map_or("absent", |now| kind_name(now.kind).trim_start_matches("a "));
            let diff = Diff::new(path.display().to_string())
                .attribute("state", Some(before.into()), Some("link".into()))
                .attribute("target", old_target.as_ref().map(text), Some(text(&target)));
            finding.outcome.diffs.push(diff);
            if now.is_some_and(Stat::is_dir) {
                finding.steps.push(Step::Remove(path.to_path_buf()));
            }
            finding.steps.push(Step::Link {
                target,
                path: path.to_path_buf(),
            });
        }
        self.link_attributes(finding, path, now, &leads_to, leads_somewhere)
    }

    /// With `follow`, mode and owner are those of what the link leads to.
    fn link_attributes(
        &self,
        finding: &mut Finding,
        path: &Path,
        now: Option<&Stat>,
        leads_to: &Path,
        leads_somewhere: bool,
    ) -> Result<(), Error> {
        let wish = &finding.wish;
        if wish.mode.is_none() && wish.uid.is_none() && wish.gid.is_none() {
            return Ok(());
        }
        if self.follow && !leads_somewhere {
            finding.outcome.warnings.push(
                "mode and owner are not set: what the link leads to does not exist; `follow: no` sets them on the link".into(),
            );
            return Ok(());
        }
        if self.follow {
            let target = finding.sys.resolve(leads_to)?;
            if let Some(stat) = finding.sys.lstat(&target)? {
                finding.attributes(&target, &stat);
            }
            return Ok(());
        }
        match now.filter(|now| now.is_link()) {
            Some(now) => finding.attributes(path, now),
            None if wish.uid.is_some() || wish.gid.is_some() => {
                finding.steps.push(Step::Attributes(path.to_path_buf()));
            }
            None => {}
        }
        Ok(())
    }

    /// A file gives way to a link only by force, a directory only if it is empty, too.
    fn may_be_replaced(
        &self,
        finding: &Finding,
        path: &Path,
        now: Option<&Stat>,
    ) -> Result<(), Error> {
        let Some(now) = now.filter(|now| !now.is_link()) else {
            return Ok(());
        };
        let shown = path.display();
        if !self.force {
            return Err(Error::new(format!(
                "refusing to convert `{shown}` from {} to a link",
                kind_name(now.kind)
            ))
            .help("`force: yes` replaces a file or an empty directory"));
        }
        if now.is_dir() && !finding.sys.list(path)?.is_empty() {
            return Err(Error::new(format!(
                "the directory `{shown}` is not empty, refusing to convert it to a link"
            )));
        }
        Ok(())
    }

    pub(super) fn hard_link(
        &self,
        finding: &mut Finding,
        path: &Path,
        now: Option<&Stat>,
    ) -> Result<(), Error> {
        let sys = finding.sys;
        let Some(source) = &self.src else {
            return Err(Error::new("`src` is needed to make a hard link"));
        };
        let outcome = std::mem::take(&mut finding.outcome);
        finding.outcome = outcome
            .with("dest", path.display().to_string())
            .with("src", source.display().to_string());
        let Some(original) = sys.stat(source)? else {
            return Err(Error::new(format!("`{}` does not exist", source.display())));
        };
        if original.kind == Kind::Directory {
            return Err(Error::new(format!(
                "`{}` is a directory and can have no hard link",
                source.display()
            )));
        }
        let is_same = |now: &Stat| (now.inode, now.device) == (original.inode, original.device);
        match now {
            Some(now) if is_same(now) => {
                finding.attributes(path, now);
                return Ok(());
            }
            Some(now) if !self.force => {
                return Err(Error::new(format!(
                    "cannot link: `{}` exists and is {}",
                    path.display(),
                    kind_name(now.kind)
                ))
                .help("`force: yes` replaces it"));
            }
            Some(now) if now.is_dir() => self.may_be_replaced(finding, path, Some(now))?,
            _ => {}
        }
        let before = now.map_or("absent", |now| kind_name(now.kind).trim_start_matches("a "));
        let diff = Diff::new(path.display().to_string())
            .attribute("state", Some(before.into()), Some("hard".into()))
            .attribute("target", None, Some(source.display().to_string().into()));
        finding.outcome.diffs.push(diff);
        if now.is_some_and(Stat::is_dir) {
            finding.steps.push(Step::Remove(path.to_path_buf()));
        }
        finding.steps.push(Step::HardLink {
            source: source.clone(),
            path: path.to_path_buf(),
        });
        finding.attributes(path, &original);
        Ok(())
    }
}
