//! `kafka_carry_over`: turns an old installation, the archive it came from and a new one into the files that the new one is to have as well.

mod archived;

use super::args::{Arg, ArgKind};
use super::attributes::Wish;
use super::diff::{Diff, MAX_DIFF_BYTES};
use super::mode::{self, Mode};
use super::place::kind_name;
use super::{Error, Found, Module, Nature, Outcome, conceal, digest};
use crate::sys::Sys;
use crate::sys::fs::{Attributes, Durability, Kind, Stat};
use crate::value::Value;
use archived::{Archived, Content};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KafkaCarryOver {
    from: PathBuf,
    to: PathBuf,
    archive: PathBuf,
    #[serde(default = "directories")]
    directories: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
}

fn directories() -> Vec<String> {
    ["config", "bin", "libs"].map(str::to_owned).into()
}

/// What is to be carried, by path below the trees.
#[derive(Debug)]
pub struct Change {
    files: Vec<PathBuf>,
    outcome: Outcome,
}

impl Module for KafkaCarryOver {
    const NAME: &'static str = "kafka_carry_over";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = &[
        Arg::new("from", ArgKind::Path, "the old tree").required(),
        Arg::new("to", ArgKind::Path, "the new tree").required(),
        Arg::new(
            "archive",
            ArgKind::Path,
            "the tarball, on the host, that the old tree was unpacked from",
        )
        .required(),
        Arg::new(
            "directories",
            ArgKind::StrList,
            "where in the trees (default config, bin, libs)",
        ),
        Arg::new(
            "except",
            ArgKind::StrList,
            "files and directories, relative to the trees, that are left out",
        ),
    ];
    const DOC: &'static str = "Carries every file that was added to an installation, or changed in it, since it was unpacked over to another one: same content, mode, owner and group; links as links. What was deleted is warned of, not deleted. Editors' backups and logs stay behind, and so do Kafka's own jars of the old version.\n\n    - kafka_carry_over:\n        from: /usr/local/kafka_2.12-2.1.0\n        to: /usr/local/kafka_2.12-2.6.0\n        archive: /opt/kafka_2.12-2.1.0.tgz\n        except: [config/server.properties]\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        for tree in [&self.from, &self.to] {
            if !sys.stat(tree)?.is_some_and(|stat| stat.is_dir()) {
                let text = format!("`{}` is not a directory of this host", tree.display());
                return Err(Error::new(text));
            }
        }
        if sys.resolve(&self.from)? == sys.resolve(&self.to)? {
            return Err(Error::new("`from` and `to` lead to the same tree"));
        }
        let archived = Archived::read(sys, &self.archive, &self.directories)?;
        let mut outcome = Outcome::new();
        let own = self.own_files(sys, &archived, &mut outcome.warnings)?;
        let removed = self.removed(sys, &archived)?;
        if !removed.is_empty() {
            outcome.warnings.push(format!(
                "deleted from the old tree since it was unpacked, and left in the new one where it is there: {}",
                listed(&removed)
            ));
        }
        let mut files = Vec::new();
        let mut diffs = Vec::new();
        let mut replaced = Vec::new();
        for (path, stat) in &own {
            if let Some(diff) = self.difference(sys, path, stat)? {
                if archived.get(path).is_some() && is_replacing(&diff) {
                    replaced.push(path.clone());
                }
                files.push(path.clone());
                diffs.push(conceal::diff(diff));
            }
        }
        if !replaced.is_empty() {
            outcome.warnings.push(format!(
                "changed in the old tree, and going to replace what the new version brings under the same name: look at the differences of {}",
                listed(&replaced)
            ));
        }
        let outcome = outcome
            .with("files", names(own.keys()))
            .with("carried", names(&files))
            .with("removed", names(&removed))
            .msg(message(own.keys()));
        if files.is_empty() {
            return Ok(Found::same(outcome));
        }
        let outcome = Outcome {
            changed: true,
            diffs,
            ..outcome
        };
        let change = Change {
            files,
            outcome: outcome.clone(),
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let mut parents = BTreeSet::new();
        for path in &change.files {
            let (from, to) = (self.from.join(path), self.to.join(path));
            let Some(stat) = sys.lstat(&from)? else {
                let text = format!("`{}` has just gone", from.display());
                return Err(Error::new(text));
            };
            self.make_parents(sys, path)?;
            if let Some(target) = &stat.link_target {
                sys.symlink(target, &to)?;
                sys.set_owner(&to, Some(stat.uid), Some(stat.gid))?;
            } else {
                let attributes = Attributes {
                    mode: Some(stat.mode),
                    uid: Some(stat.uid),
                    gid: Some(stat.gid),
                    mtime: Some(stat.mtime),
                };
                let mut content = sys.open(&from)?;
                sys.write_atomic_from(&to, &mut content, attributes, Durability::Later)?;
                sys.sync(&to)?;
            }
            parents.extend(to.parent().map(Path::to_path_buf));
        }
        for parent in &parents {
            sys.sync(parent)?;
        }
        Ok(change.outcome)
    }
}

impl KafkaCarryOver {
    /// Returns the files and links of the old tree that are not as the archive has them.
    fn own_files(
        &self,
        sys: &Sys,
        archived: &Archived,
        warnings: &mut Vec<String>,
    ) -> Result<BTreeMap<PathBuf, Stat>, Error> {
        let mut own = BTreeMap::new();
        let mut pending: Vec<PathBuf> = self.directories.iter().map(PathBuf::from).collect();
        while let Some(path) = pending.pop() {
            if self.is_left_out(&path) {
                continue;
            }
            let place = self.from.join(&path);
            let Some(stat) = sys.lstat(&place)? else {
                continue;
            };
            match stat.kind {
                Kind::Directory => {
                    let names = sys.list(&place)?;
                    pending.extend(names.into_iter().map(|name| path.join(name)));
                }
                Kind::File | Kind::Link
                    if is_as_archived(sys, &place, &stat, archived.get(&path))? => {}
                Kind::File if is_old_jar(&path, archived.get(&path).is_some()) => {
                    warnings.push(format!(
                        "`{}` is one of Kafka's own jars and stays behind, although it is not as the archive had it",
                        path.display()
                    ));
                }
                Kind::File => drop(own.insert(path, stat)),
                Kind::Link => {
                    let target = stat.link_target.as_deref().unwrap_or(Path::new(""));
                    if target.starts_with(&self.from) {
                        warnings.push(format!(
                            "the link `{}` is carried over as it is, and leads into the old tree: {}",
                            path.display(),
                            target.display()
                        ));
                    }
                    own.insert(path, stat);
                }
                kind => warnings.push(format!(
                    "`{}` is {} and stays behind",
                    path.display(),
                    kind_name(kind)
                )),
            }
        }
        Ok(own)
    }

    fn is_left_out(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_swap = name.strip_prefix('.').is_some_and(|rest| {
            let ending = rest.rsplit_once('.').map_or("", |(_, ending)| ending);
            ending.len() == 3 && ending.starts_with("sw")
        });
        let is_excepted = |except: &String| path.starts_with(except.trim_end_matches('/'));
        is_swap
            || name.ends_with('~')
            || path.starts_with("logs")
            || self.except.iter().any(is_excepted)
    }

    /// Returns the archive's files that are no more in the old tree.
    fn removed(&self, sys: &Sys, archived: &Archived) -> Result<Vec<PathBuf>, Error> {
        let mut removed = Vec::new();
        for path in archived.paths().filter(|path| !self.is_left_out(path)) {
            if sys.lstat(&self.from.join(path))?.is_none() {
                removed.push(path.to_path_buf());
            }
        }
        Ok(removed)
    }

    /// Returns what stands between the new tree's file and the old one's.
    fn difference(&self, sys: &Sys, path: &Path, wished: &Stat) -> Result<Option<Diff>, Error> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        let now = sys.lstat(&to)?;
        if now.as_ref().is_some_and(Stat::is_dir) {
            let text = format!(
                "`{}` is a directory, and a file in the old tree",
                to.display()
            );
            return Err(Error::new(text));
        }
        let mut diff = Diff::new(to.display().to_string()).from_source(from.display().to_string());
        let text = |path: &PathBuf| Value::from(path.display().to_string());
        let before = now.as_ref().and_then(|now| now.link_target.as_ref());
        diff = diff.attribute(
            "target",
            before.map(text),
            wished.link_target.as_ref().map(text),
        );
        let wish = Wish {
            mode: Some(Mode::parse(&mode::show(wished.mode)).map_err(Error::new)?)
                .filter(|_| wished.is_file()),
            uid: Some(wished.uid),
            gid: Some(wished.gid),
        };
        let same_kind = now.as_ref().filter(|now| now.kind == wished.kind);
        diff = wish.diff(sys, diff, same_kind, false);
        if wished.is_file() && !same_content(sys, &from, wished, &to, same_kind)? {
            let large = |stat: &Stat| stat.size > MAX_DIFF_BYTES as u64;
            let side = |path: &Path, stat: Option<&Stat>| match stat {
                // One byte too many is enough to be told apart; the sizes are set below.
                Some(stat) if large(stat) => Ok(Some(vec![0; MAX_DIFF_BYTES + 1])),
                Some(_) => sys.read(path).map(Some),
                None => Ok(None),
            };
            let (before, after) = (side(&to, same_kind)?, side(&from, Some(wished))?);
            diff = diff.bytes(before.as_deref(), after.as_deref());
            if let Some(super::diff::Content::Opaque { before, after, .. }) = &mut diff.content {
                (*before, *after) = (same_kind.map(|now| now.size), Some(wished.size));
            }
        }
        Ok((!diff.is_empty()).then_some(diff))
    }

    /// Makes the directories above a file that the new tree lacks, as the old one has them.
    fn make_parents(&self, sys: &Sys, path: &Path) -> Result<(), Error> {
        let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents {
            let to = self.to.join(parent);
            if sys.exists(&to)? {
                continue;
            }
            let stat = sys.stat(&self.from.join(parent))?;
            sys.create_dir(&to, stat.as_ref().map(|stat| stat.mode))?;
            if let Some(stat) = stat {
                sys.set_owner(&to, Some(stat.uid), Some(stat.gid))?;
            }
        }
        Ok(())
    }
}

/// Whether there is a file in the new tree already whose content goes.
fn is_replacing(diff: &Diff) -> bool {
    match &diff.content {
        Some(super::diff::Content::Text { before, .. }) => !before.is_empty(),
        Some(super::diff::Content::Opaque { before, .. }) => before.is_some(),
        None => false,
    }
}

fn is_as_archived(
    sys: &Sys,
    place: &Path,
    stat: &Stat,
    archived: Option<&Content>,
) -> Result<bool, Error> {
    Ok(match (archived, &stat.link_target) {
        (Some(Content::Link(was)), Some(is)) => was == is,
        (Some(Content::File { size, sha256 }), None) => {
            *size == stat.size && *sha256 == digest::of_file("sha256", &mut sys.open(place)?)?
        }
        _ => false,
    })
}

fn same_content(
    sys: &Sys,
    from: &Path,
    wished: &Stat,
    to: &Path,
    now: Option<&Stat>,
) -> Result<bool, Error> {
    if now.is_none_or(|now| now.size != wished.size) {
        return Ok(false);
    }
    let sum = |path: &Path| digest::of_file("sha256", &mut sys.open(path)?);
    Ok(sum(from)? == sum(to)?)
}

/// Whether a jar in `libs` belongs to the old version of Kafka itself: two versions on one class path end badly.
fn is_old_jar(path: &Path, was_archived: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_jar = name.contains(".jar") && path.starts_with("libs");
    let is_core = name
        .strip_prefix("kafka_2.")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_shipped = was_archived
        && ["kafka", "connect-"]
            .iter()
            .any(|start| name.starts_with(start));
    is_jar && (is_core || is_shipped)
}

fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<Value> {
    let name = |path: &PathBuf| Value::from(path.display().to_string());
    paths.into_iter().map(name).collect()
}

fn message<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> String {
    match listed(files) {
        list if list.is_empty() => {
            "nothing was added or changed since the archive was unpacked".into()
        }
        list => format!("added or changed since the archive was unpacked: {list}"),
    }
}

fn listed<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let names = files.into_iter().map(|path| path.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
