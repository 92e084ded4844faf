//! `unarchive`: turns an archive, on the host or sent to it, into the files that are in it.

mod compare;
pub(super) mod format;
mod options;
mod unpack;

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions, describe};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Stat;
use crate::sys::http::Request;
use crate::value::Value;
use compare::{Comparison, Why};
use format::{EntryKind, Format, Source};
use indexmap::IndexMap;
use options::Options;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::fs::File;
use std::io::{Cursor, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use unpack::Unpacking;

/// How many paths a diff names.
const MAX_NAMED: usize = 20;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unarchive {
    src: String,
    dest: PathBuf,
    #[serde(default)]
    remote_src: bool,
    #[serde(default)]
    copy: Option<bool>,
    #[serde(default)]
    creates: Option<PathBuf>,
    #[serde(default)]
    list_files: bool,
    #[serde(default)]
    keep_newer: bool,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    extra_opts: Vec<String>,
    #[serde(default = "yes")]
    validate_certs: bool,
    #[serde(flatten)]
    permissions: Permissions,
    /// Not an argument: the archive, where the controller sends it.
    #[serde(default)]
    archive: Option<Arc<Archive>>,
}

/// An archive that travels with the task.
#[derive(Clone, Serialize, Deserialize)]
pub struct Archive(ByteBuf);

impl Archive {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(ByteBuf::from(bytes))
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What is to be unpacked, by path below the destination.
#[derive(Debug)]
pub struct Change {
    /// The archive, where it was downloaded.
    fetched: Option<File>,
    pending: IndexMap<PathBuf, Why>,
    outcome: Outcome,
}

impl Unarchive {
    /// Returns the path on the controller that has to be sent along with [`Unarchive::set_archive`], if one has to.
    pub fn needs_source(&self) -> Option<&str> {
        (!self.is_on_host()).then_some(self.src.as_str())
    }

    /// Adds the bytes of the controller's `src`.
    pub fn set_archive(&mut self, archive: Arc<Archive>) {
        self.archive = Some(archive);
    }

    fn is_on_host(&self) -> bool {
        self.remote_src || self.copy == Some(false)
    }

    /// The URL of the archive, if it lies on a server.
    pub fn url(&self) -> Option<String> {
        let is_web = self.src.starts_with("http://") || self.src.starts_with("https://");
        (self.is_on_host() && is_web).then(|| self.src.clone())
    }

    /// Downloads the archive, if it lies on a server.
    fn fetch(&self, sys: &Sys) -> Result<Option<File>, Error> {
        let Some(url) = self.url() else {
            return Ok(None);
        };
        let failed = |why: String| Error::new(format!("cannot download `{url}`")).because(why);
        let mut request = Request::get(&url);
        request.timeout = Duration::from_secs(60);
        request.validate = self.validate_certs;
        sys.progress(&format!("asking for {url}"));
        let mut response = sys
            .request(&request)
            .map_err(|error| failed(error.to_string()))?;
        if response.status != 200 {
            let why = format!("the server says {} {}", response.status, response.reason);
            return Err(failed(why).with("status_code", response.status));
        }
        let file = sys.spool(&mut response.body);
        file.map(Some).map_err(|error| failed(error.to_string()))
    }

    fn open(&self, sys: &Sys, fetched: Option<&File>) -> Result<Box<dyn Source + '_>, Error> {
        if let Some(file) = fetched {
            let mut file = file.try_clone()?;
            // Its clones share one position.
            file.rewind()?;
            return Ok(Box::new(file));
        }
        if let Some(archive) = &self.archive {
            return Ok(Box::new(Cursor::new(&archive.0[..])));
        }
        if !self.is_on_host() {
            let text = format!("the archive `{}` was not sent", self.src);
            return Err(Error::new(text));
        }
        let src = self.src.strip_prefix("file://").unwrap_or(&self.src);
        if src.contains("://") {
            return Err(
                Error::new(format!("`{}` is not a file of the host", self.src))
                    .help("fetch it with `get_url` first"),
            );
        }
        let path = Path::new(src);
        match sys.stat(path)? {
            Some(stat) if stat.is_file() => Ok(Box::new(sys.open(path)?)),
            Some(_) => Err(Error::new(format!("`{}` is not a file", self.src))),
            None => Err(Error::new(format!(
                "`{}` does not exist on the host",
                self.src
            ))),
        }
    }

    fn options(&self) -> Result<Options, Error> {
        Options::new(
            &self.extra_opts,
            &self.include,
            &self.exclude,
            self.keep_newer,
        )
    }

    fn diff(&self, comparison: &Comparison) -> Diff {
        let n_new = |why: &&Why| **why == Why::New;
        let n_all = comparison.pending.len();
        let n_new = comparison.pending.values().filter(n_new).count();
        let count = format!("{n_new} new, {} changed", n_all - n_new);
        let mut diff = Diff::new(self.dest.display().to_string())
            .from_source(self.src.as_str())
            .attribute("entries", None, Some(count.into()));
        for (path, why) in comparison.pending.iter().take(MAX_NAMED) {
            let after = match comparison.names.get(path) {
                Some(EntryKind::Directory) => "directory".to_owned(),
                Some(EntryKind::Link(target)) => format!("link to {}", target.display()),
                Some(EntryKind::HardLink(target)) => format!("hard link to {}", target.display()),
                _ => "file".to_owned(),
            };
            let before = match why {
                Why::New => None,
                Why::Differs(what) => Some(Value::from(format!("other {what}"))),
                Why::Attributes => Some(Value::from("other mode or owner")),
            };
            diff = diff.attribute(&path.display().to_string(), before, Some(after.into()));
        }
        if n_all > MAX_NAMED {
            let more = Some((n_all - MAX_NAMED).into());
            diff = diff.attribute("further entries", None, more);
        }
        diff
    }
}

impl Module for Unarchive {
    const NAME: &'static str = "unarchive";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!([
        Arg::new(
            "src",
            ArgKind::Path,
            "the archive: on the controller (looked for in files/), or with `remote_src` on the host or a URL",
        )
        .required(),
        Arg::new("dest", ArgKind::Path, "an existing directory to unpack into").required(),
        Arg::new("remote_src", ArgKind::Bool, "`src` lies on the host (default no)"),
        Arg::new("copy", ArgKind::Bool, "`no` is `remote_src: yes`"),
        Arg::new("creates", ArgKind::Path, "do nothing if this is there"),
        Arg::new("list_files", ArgKind::Bool, "register all paths as `files` (default no)"),
        Arg::new("keep_newer", ArgKind::Bool, "leave files that are newer than the archive's (default no)"),
        Arg::new("include", ArgKind::StrList, "unpack only these paths"),
        Arg::new("exclude", ArgKind::StrList, "do not unpack paths that match these patterns"),
        Arg::new("extra_opts", ArgKind::StrList, "options of tar: --strip-components=N, --no-same-owner, …"),
        Arg::new("io_buffer_size", ArgKind::Int, "accepted, has no effect"),
        Arg::new("decrypt", ArgKind::Bool, "decrypt a vault file first (default yes)"),
        Arg::new("validate_certs", ArgKind::Bool, "verify the certificate of a URL's server (default yes)"),
    ], PERMISSIONS);
    const DOC: &'static str = "Unpacks a tar (plain, gzip, bzip2, xz) or zip archive. What is there already and is the same stays untouched; an archive that would write outside of `dest` is refused before anything is written.\n\n    - unarchive:\n        src: /usr/local/kafka_2.12-2.6.0.tgz\n        dest: /usr/local\n        remote_src: yes\n        owner: kafka\n        creates: /usr/local/kafka_2.12-2.6.0\n";
    type Change = Change;

    fn places(&self) -> Option<Vec<PathBuf>> {
        let is_here = self.remote_src || self.copy == Some(false);
        let path = self.src.strip_prefix("file://").unwrap_or(&self.src);
        let source = Some(PathBuf::from(path)).filter(|_| is_here);
        let all = [Some(self.dest.clone()), source, self.creates.clone()];
        Some(all.into_iter().flatten().collect())
    }

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        if let Some(creates) = &self.creates
            && sys.exists(creates)?
        {
            let mut outcome =
                Outcome::new().msg(format!("skipped, since {} exists", creates.display()));
            outcome.skipped = true;
            return Ok(Found::same(outcome));
        }
        if !self.include.is_empty() && !self.exclude.is_empty() {
            return Err(Error::new("`include` and `exclude` exclude each other"));
        }
        let (options, wish) = (self.options()?, self.permissions.wish(sys)?);
        let stat = sys.stat(&self.dest)?.filter(Stat::is_dir);
        let Some(stat) = stat else {
            let text = format!(
                "`dest` must be an existing directory, and `{}` is not",
                self.dest.display()
            );
            return Err(Error::new(text));
        };
        let fetched = self.fetch(sys)?;
        let mut source = self.open(sys, fetched.as_ref())?;
        let format = Format::of(source.as_mut(), &self.src)?;
        let mut comparison = Comparison::new(sys, &self.dest, &options, &wish)?;
        format.walk(source.as_mut(), &self.src, &mut |entry, content| {
            comparison.visit(entry, content)
        })?;
        let mut outcome = describe(sys, Outcome::new(), &stat)
            .with("dest", self.dest.display().to_string())
            .with("src", self.src.as_str())
            .with("handler", format.handler());
        outcome.warnings.append(&mut comparison.warnings);
        if self.list_files {
            let names = comparison.names.iter().map(|(path, kind)| {
                let slash = if *kind == EntryKind::Directory {
                    "/"
                } else {
                    ""
                };
                Value::from(format!("{}{slash}", path.display()))
            });
            outcome = outcome.with("files", names.collect::<Vec<_>>());
        }
        if comparison.pending.is_empty() {
            return Ok(Found::same(outcome));
        }
        let outcome = outcome.changed().diff(self.diff(&comparison));
        let change = Change {
            fetched,
            pending: comparison.pending,
            outcome: outcome.clone(),
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let (options, wish) = (self.options()?, self.permissions.wish(sys)?);
        let mut source = self.open(sys, change.fetched.as_ref())?;
        let format = Format::of(source.as_mut(), &self.src)?;
        let mut unpacking = Unpacking {
            sys,
            dest: &self.dest,
            options: &options,
            comparison: Comparison::new(sys, &self.dest, &options, &wish)?,
            pending: &change.pending,
            directories: Vec::new(),
            files: Vec::new(),
        };
        format.walk(source.as_mut(), &self.src, &mut |entry, content| {
            unpacking.visit(entry, content)
        })?;
        unpacking.finish()?;
        Ok(change.outcome)
    }
}

#[cfg(test)]
mod tests;
