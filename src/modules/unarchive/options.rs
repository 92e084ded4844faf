//! Turns `extra_opts`, `include` and `exclude` into what is unpacked, under which name and how.

use super::format::Entry;
use crate::modules::{Error, glob};
use fancy_regex::Regex;
use std::path::{Component, Path, PathBuf};

const KNOWN: &str = "--strip-components=N, --exclude=PATTERN, --no-same-owner, --same-owner, --numeric-owner, --no-same-permissions, --same-permissions, --keep-newer-files, --overwrite, --no-overwrite-dir, --wildcards";

/// How an archive is unpacked.
#[derive(Debug, Default)]
pub(super) struct Options {
    strip: usize,
    exclude: Vec<Regex>,
    include: Vec<(PathBuf, Regex)>,
    /// `None`: as tar has it, yes for root and no for others.
    pub same_owner: Option<bool>,
    pub same_permissions: Option<bool>,
    pub numeric_owner: bool,
    pub keep_newer: bool,
}

impl Options {
    /// Reads the options of tar that krun knows. Any other is an error.
    pub(super) fn new(
        extra: &[String],
        include: &[String],
        exclude: &[String],
        keep_newer: bool,
    ) -> Result<Self, Error> {
        let mut options = Self {
            keep_newer,
            ..Self::default()
        };
        let mut words = extra.iter().flat_map(|text| text.split_whitespace());
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let mut value = || {
                value
                    .or_else(|| words.next())
                    .ok_or_else(|| Error::new(format!("`{name}` in `extra_opts` needs a value")))
            };
            match name {
                "--strip-components" | "--strip" => {
                    let value = value()?;
                    options.strip = value.parse().map_err(|_| {
                        Error::new(format!("`--strip-components={value}` is not a number"))
                    })?;
                }
                "--exclude" => {
                    let value = value()?.trim_matches(['\'', '"']);
                    options.exclude.push(glob::compile(value)?);
                }
                "--no-same-owner" | "-o" => options.same_owner = Some(false),
                "--same-owner" => options.same_owner = Some(true),
                "--no-same-permissions" => options.same_permissions = Some(false),
                "--same-permissions" | "--preserve-permissions" | "-p" => {
                    options.same_permissions = Some(true);
                }
                "--numeric-owner" => options.numeric_owner = true,
                "--keep-newer-files" => options.keep_newer = true,
                // What krun does anyway.
                "--overwrite"
                | "--no-overwrite-dir"
                | "--wildcards"
                | "--unlink-first"
                | "--show-stored-names"
                | "-v"
                | "--verbose" => {}
                _ => {
                    return Err(
                        Error::new(format!("unknown option `{word}` in `extra_opts`"))
                            .help(format!("known are {KNOWN}")),
                    );
                }
            }
        }
        for pattern in exclude {
            options.exclude.push(glob::compile(pattern)?);
        }
        for pattern in include {
            let path = Path::new(pattern).components().collect();
            options.include.push((path, glob::compile(pattern)?));
        }
        Ok(options)
    }

    /// Returns the entry's path below the destination; `None` if it is not unpacked.
    ///
    /// A path that leads out of the destination is an error.
    pub(super) fn place(&self, entry: &Entry) -> Result<Option<PathBuf>, Error> {
        let path = inside(&entry.path)?;
        let text = path.to_string_lossy();
        if !self.include.is_empty() {
            let mut included = false;
            for (prefix, pattern) in &self.include {
                included = included
                    || path.starts_with(prefix)
                    || glob::any_matches(std::slice::from_ref(pattern), &text)?;
            }
            if !included {
                return Ok(None);
            }
        }
        // As tar: a pattern may match from any component on, and a directory takes along what is in it.
        for part in path.ancestors().filter(|part| *part != Path::new("")) {
            let text = part.to_string_lossy();
            let starts = text.match_indices('/').map(|(index, _)| index + 1);
            for start in std::iter::once(0).chain(starts) {
                if glob::any_matches(&self.exclude, &text[start..])? {
                    return Ok(None);
                }
            }
        }
        Ok(self.strip(&path))
    }

    /// Returns the path without its first components; `None` if nothing is left.
    pub(super) fn strip(&self, path: &Path) -> Option<PathBuf> {
        let rest: PathBuf = path.components().skip(self.strip).collect();
        (rest != Path::new("")).then_some(rest)
    }
}

/// Returns the path without `.`, if it stays below where it starts.
pub(super) fn inside(path: &Path) -> Result<PathBuf, Error> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(refused(path, "leads out of the destination"));
            }
        }
    }
    Ok(clean)
}

/// An entry that nothing of the archive is unpacked for.
pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::new(format!(
        "refusing the archive: its entry `{}` {why}",
        path.display()
    ))
}
