//! `find`: turns directories and conditions into the files below them that meet these.

mod limits;

use super::args::{Arg, ArgKind, yes};
use super::attributes::{group_name, owner_name};
use super::mode::{self, Mode};
use super::pattern::{self, Flags};
use super::{Error, Found, Module, Nature, Outcome, digest, glob};
use crate::sys::Sys;
use crate::sys::fs::{Kind, Stat, Time};
use crate::value::{Mapping, Value};
use fancy_regex::Regex;
use limits::Limit;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::Path;

#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the module's arguments"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Find {
    paths: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    excludes: Vec<String>,
    #[serde(default)]
    use_regex: bool,
    #[serde(default)]
    contains: Option<String>,
    #[serde(default)]
    read_whole_file: bool,
    #[serde(default)]
    age: Option<String>,
    #[serde(default)]
    age_stamp: Option<String>,
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    recurse: bool,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    file_type: Option<String>,
    #[serde(default)]
    depth: Option<usize>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    get_checksum: bool,
    #[serde(default)]
    checksum_algorithm: Option<String>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default = "yes")]
    exact_mode: bool,
}

/// The conditions, compiled once.
struct Search<'a> {
    sys: &'a Sys,
    find: &'a Find,
    patterns: Vec<Regex>,
    excludes: Vec<Regex>,
    contains: Option<Regex>,
    age: Option<Limit>,
    size: Option<Limit>,
    mode: Option<Mode>,
    now: Time,
    owners: HashMap<u32, Value>,
    groups: HashMap<u32, Value>,
    files: Vec<Value>,
    n_examined: usize,
}

impl Module for Find {
    const NAME: &'static str = "find";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new("paths", ArgKind::PathList, "directories to search")
            .required()
            .aliases(&["name", "path"]),
        Arg::new(
            "patterns",
            ArgKind::StrList,
            "names must match one of these, `*.log` or with `use_regex` a regular expression (default all)",
        )
        .aliases(&["pattern"]),
        Arg::new("excludes", ArgKind::StrList, "names must match none of these").aliases(&["exclude"]),
        Arg::new("use_regex", ArgKind::Bool, "patterns are regular expressions (default no)"),
        Arg::new("contains", ArgKind::Str, "a line of the file must begin with a match of this"),
        Arg::new("read_whole_file", ArgKind::Bool, "`contains` may match anywhere (default no)"),
        Arg::new("age", ArgKind::Str, "at least this old, `2d`; at most with a minus; s m h d w"),
        Arg::new("age_stamp", ArgKind::Str, "which time counts (default `mtime`)").choices(&["atime", "ctime", "mtime"]),
        Arg::new("size", ArgKind::Str, "at least this large, `10m`; at most with a minus; b k m g t"),
        Arg::new("recurse", ArgKind::Bool, "search below the directories, too (default no)"),
        Arg::new("hidden", ArgKind::Bool, "find names that begin with a dot (default no)"),
        Arg::new("follow", ArgKind::Bool, "go into directories that links lead to (default no)"),
        Arg::new("file_type", ArgKind::Str, "default `file`").choices(&["any", "directory", "file", "link"]),
        Arg::new("depth", ArgKind::Int, "how deep to go with `recurse`; 1 is the directory itself (default no limit)"),
        Arg::new("limit", ArgKind::Int, "stop after this many (default no limit)"),
        Arg::new("get_checksum", ArgKind::Bool, "read files for their checksum (default no)"),
        Arg::new("checksum_algorithm", ArgKind::Str, "default `sha1`")
            .aliases(&["checksum", "checksum_algo"])
            .choices(digest::ALGORITHMS),
        Arg::new("mode", ArgKind::Mode, "permissions that files must have"),
        Arg::new("exact_mode", ArgKind::Bool, "exactly `mode`, not just some of it (default yes)"),
        Arg::new("encoding", ArgKind::Str, "accepted, has no effect"),
    ];
    const DOC: &'static str = "Registers files that meet conditions: `files`, each with `path`, `size`, `mtime`, …, and `matched`.\n\n    - find:\n        paths: /usr/local/kafka/libs\n        patterns: 'kafka_*.jar'\n        excludes: '*-sources.jar,*-test.jar'\n      register: jars\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let compile = |texts: &[String]| -> Result<Vec<Regex>, Error> {
            let one = |text: &String| {
                if self.use_regex {
                    pattern::compile(&format!("^(?:{text})"), Flags::None)
                } else {
                    glob::compile(text)
                }
            };
            texts.iter().map(one).collect()
        };
        let contains = self.contains.as_deref().map(|text| {
            if self.read_whole_file {
                pattern::compile(text, Flags::None)
            } else {
                pattern::compile(&format!("^(?:{text})"), Flags::None)
            }
        });
        let mode = self.mode.as_deref().map(Mode::parse).transpose();
        let mut search = Search {
            sys,
            find: self,
            patterns: compile(&self.patterns)?,
            excludes: compile(&self.excludes)?,
            contains: contains.transpose()?,
            age: self.age.as_deref().map(Limit::age).transpose()?,
            size: self.size.as_deref().map(Limit::size).transpose()?,
            mode: mode.map_err(Error::new)?,
            now: Time::now(),
            owners: HashMap::new(),
            groups: HashMap::new(),
            files: Vec::new(),
            n_examined: 0,
        };
        let mut skipped = Mapping::new();
        let mut warnings = Vec::new();
        for path in &self.paths {
            if sys.stat(Path::new(path))?.is_some_and(|stat| stat.is_dir()) {
                search.directory(Path::new(path))?;
            } else {
                let why = format!("'{path}' is not a directory");
                warnings.push(format!("skipped `{path}`, which is not a directory"));
                skipped.insert(path.as_str().into(), why.into());
            }
        }
        let msg = if skipped.is_empty() {
            "All paths examined"
        } else {
            "Not all paths examined, check warnings for details"
        };
        sys.miss(|| "another file".into());
        let mut outcome = Outcome::new()
            .msg(msg)
            .with("matched", search.files.len())
            .with("examined", search.n_examined)
            .with("skipped_paths", skipped)
            .with("files", search.files);
        outcome.warnings = warnings;
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl Search<'_> {
    fn directory(&mut self, top: &Path) -> Result<(), Error> {
        let mut ahead = vec![(top.to_path_buf(), 1)];
        let mut seen = HashSet::new();
        while let Some((directory, depth)) = ahead.pop() {
            let names = match self.sys.list(&directory) {
                Ok(names) => names,
                // As a walk does: what may not be listed is passed over.
                Err(_) if directory != top => continue,
                Err(error) => return Err(error.into()),
            };
            let mut below = Vec::new();
            for name in names {
                if self
                    .find
                    .limit
                    .is_some_and(|limit| self.files.len() >= limit)
                {
                    return Ok(());
                }
                let path = directory.join(&name);
                let Some(stat) = self.sys.lstat(&path)? else {
                    continue;
                };
                self.n_examined += 1;
                let name = name.to_string_lossy();
                if (self.find.hidden || !name.starts_with('.'))
                    && self.meets(&path, &name, &stat)?
                {
                    let found = self.describe(&path, &stat)?;
                    self.files.push(Value::Mapping(found));
                }
                if self.find.recurse && self.find.depth.is_none_or(|limit| depth < limit) {
                    let target = match stat.kind {
                        Kind::Link if self.find.follow => self.sys.stat(&path)?,
                        _ => Some(stat),
                    };
                    if let Some(target) = target
                        && target.is_dir()
                        && (!self.find.follow || seen.insert((target.device, target.inode)))
                    {
                        below.push((path, depth + 1));
                    }
                }
            }
            ahead.extend(below.into_iter().rev());
        }
        Ok(())
    }

    fn meets(&self, path: &Path, name: &str, stat: &Stat) -> Result<bool, Error> {
        let is_wanted = match self.find.file_type.as_deref().unwrap_or("file") {
            "any" => true,
            "directory" => stat.is_dir(),
            "link" => stat.is_link(),
            _ => stat.is_file(),
        };
        if !is_wanted
            || !(self.patterns.is_empty() || glob::any_matches(&self.patterns, name)?)
            || glob::any_matches(&self.excludes, name)?
        {
            return Ok(false);
        }
        let stamp = match self.find.age_stamp.as_deref() {
            Some("atime") => stat.atime,
            Some("ctime") => stat.ctime,
            _ => stat.mtime,
        };
        let old_enough = |limit: &Limit| limit.holds(self.now.seconds - stamp.seconds);
        let large_enough =
            |limit: &Limit| limit.holds(i64::try_from(stat.size).unwrap_or(i64::MAX));
        let has_mode = |mode: &Mode| {
            let wanted = mode.apply(0, stat.is_dir(), 0);
            if self.find.exact_mode {
                stat.mode == wanted
            } else {
                stat.mode & wanted != 0
            }
        };
        if !self.age.as_ref().is_none_or(old_enough)
            || !self.mode.as_ref().is_none_or(has_mode)
            || (stat.is_file() && !self.size.as_ref().is_none_or(large_enough))
        {
            return Ok(false);
        }
        match &self.contains {
            Some(regex) if stat.is_file() => self.holds(regex, path),
            _ => Ok(true),
        }
    }

    fn holds(&self, regex: &Regex, path: &Path) -> Result<bool, Error> {
        let Ok(content) = self.sys.read(path) else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&content);
        let matches = |text: &str| {
            let found = regex.is_match(text);
            found.map_err(|error| pattern::failed(regex, &error))
        };
        if self.find.read_whole_file {
            return matches(&text);
        }
        for line in text.split_inclusive('\n') {
            if matches(line)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn describe(&mut self, path: &Path, stat: &Stat) -> Result<Mapping, Error> {
        let sys = self.sys;
        let owner = self.owners.entry(stat.uid);
        let owner = owner.or_insert_with(|| owner_name(sys, stat.uid)).clone();
        let group = self.groups.entry(stat.gid);
        let group = group.or_insert_with(|| group_name(sys, stat.gid)).clone();
        let mut keys = Mapping::new();
        let mut put = |key: &str, value: Value| drop(keys.insert(key.into(), value));
        put("path", path.display().to_string().into());
        put("mode", mode::show(stat.mode).into());
        for (key, kind) in [
            ("isdir", Kind::Directory),
            ("ischr", Kind::CharDevice),
            ("isblk", Kind::BlockDevice),
            ("isreg", Kind::File),
            ("isfifo", Kind::Fifo),
            ("islnk", Kind::Link),
            ("issock", Kind::Socket),
        ] {
            put(key, (stat.kind == kind).into());
        }
        put("uid", stat.uid.into());
        put("gid", stat.gid.into());
        put("pw_name", owner);
        put("gr_name", group);
        put("size", stat.size.into());
        put("inode", stat.inode.into());
        put("dev", stat.device.into());
        put("nlink", stat.n_links.into());
        put("atime", stat.atime.as_f64().into());
        put("mtime", stat.mtime.as_f64().into());
        put("ctime", stat.ctime.as_f64().into());
        let keys_of_bits = [
            "xoth", "woth", "roth", "xgrp", "wgrp", "rgrp", "xusr", "wusr", "rusr",
        ];
        for (index, key) in keys_of_bits.into_iter().enumerate() {
            put(key, (stat.mode & (1 << index) != 0).into());
        }
        put("isuid", (stat.mode & 0o4000 != 0).into());
        put("isgid", (stat.mode & 0o2000 != 0).into());
        if self.find.get_checksum && stat.is_file() {
            let algorithm = self.find.checksum_algorithm.as_deref().unwrap_or("sha1");
            let checksum = digest::of_file(algorithm, &mut sys.open(path)?)?;
            put("checksum", checksum.into());
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
