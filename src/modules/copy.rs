//! `copy`: turns a file, a directory or a text into the same on the host.

mod directories;
mod json;
pub(super) mod one;
mod remote;
mod sources;
mod tree;

pub use sources::Sources;

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions};
use super::mode::Mode;
use super::place::{self, Safeguards, sha1};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::{self, Value};
use directories::Directories;
use one::One;
use serde::{Deserialize, Serialize};
use sources::{Entry, What};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Copy {
    dest: String,
    #[serde(default)]
    src: Option<String>,
    #[serde(default)]
    content: Option<Value>,
    #[serde(default = "yes")]
    force: bool,
    #[serde(default)]
    remote_src: bool,
    #[serde(default)]
    directory_mode: Option<String>,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    local_follow: Option<bool>,
    #[serde(default)]
    checksum: Option<String>,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
    /// Not an argument: what the controller read of `src`.
    #[serde(default)]
    sources: Option<Arc<Sources>>,
}

/// What is to be done for one file, or for a tree.
#[derive(Debug)]
pub enum Change {
    One(one::Change),
    Tree(tree::Change),
}

impl Copy {
    /// Returns the path on the controller that has to be sent along with [`Copy::with_sources`], if one has to.
    pub fn needs_source(&self) -> Option<&str> {
        self.src.as_deref().filter(|_| !self.remote_src)
    }

    /// Returns `true` if links in a directory are followed: as with Ansible, those that are sent, not those on the host.
    pub fn local_follow(&self) -> bool {
        self.local_follow.unwrap_or(!self.remote_src)
    }

    /// Adds what the controller read of `src`.
    pub fn set_sources(&mut self, sources: Arc<Sources>) {
        self.sources = Some(sources);
    }

    /// Returns what is sent, where that is the text of one file.
    pub fn sent_text(&self) -> Option<String> {
        match &self.sources.as_deref()?.entries[..] {
            [
                Entry {
                    what: What::File { content, .. },
                    ..
                },
            ] => String::from_utf8(content.to_vec()).ok(),
            _ => None,
        }
    }

    fn wishes(&self, sys: &Sys) -> Result<tree::Asked<'_>, Error> {
        let (permissions, preserve) = self.permissions.without_preserve();
        let directories = self.directory_permissions().wish(sys)?;
        Ok(tree::Asked {
            files: permissions.wish(sys)?,
            above: directories.clone(),
            top: directories.clone(),
            directories,
            preserve,
            copy: self,
        })
    }

    /// What directories get that have to be made.
    fn directory_permissions(&self) -> Permissions {
        Permissions {
            mode: self.directory_mode.clone(),
            ..self.permissions.clone()
        }
    }

    fn one(
        &self,
        sys: &Sys,
        name: Option<&str>,
        content: &[u8],
        mode: Option<u32>,
        source: Option<&str>,
    ) -> Result<Found<Change>, Error> {
        if let Some(wanted) = &self.checksum {
            let is = sha1(content);
            if *wanted != is {
                return Err(Error::new(format!(
                    "the checksum is `{is}`, not `{wanted}` as expected"
                ))
                .with("checksum", is)
                .with("expected_checksum", wanted.as_str()));
            }
        }
        let mut wishes = self.wishes(sys)?;
        if let (true, Some(mode)) = (wishes.preserve, mode) {
            wishes.files.mode = Some(Mode::Octal(mode));
        }
        let one = One {
            dest: &self.dest,
            name,
            content,
            source,
            wish: &wishes.files,
            directories: &wishes.directories,
            force: self.force,
            follow: self.follow,
            safeguards: &self.safeguards,
        };
        let found = one.check(sys)?;
        Ok(Found {
            change: found.change.map(Change::One),
            outcome: found.outcome,
        })
    }

    /// Returns the bytes of a single file: the content given, sent, or of a file of the host.
    fn bytes(&self, sys: &Sys) -> Result<Cow<'_, [u8]>, Error> {
        if let Some(content) = &self.content {
            let text = match value::untagged(content) {
                structured @ (Value::Mapping(_) | Value::Sequence(_)) => json::dump(&structured)
                    .map_err(|error| Error::new("`content` cannot be JSON").because(error))?,
                plain => value::display(&plain),
            };
            return Ok(Cow::Owned(text.into_bytes()));
        }
        if let (true, Some(src)) = (self.remote_src, &self.src) {
            return Ok(Cow::Owned(sys.read(Path::new(src))?));
        }
        match self.sources.as_deref().map(|sources| &sources.entries[..]) {
            Some([entry]) if let What::File { content, .. } = &entry.what => {
                Ok(Cow::Borrowed(content))
            }
            _ => Err(Error::new("`copy` needs `src` or `content`")),
        }
    }
}

impl Module for Copy {
    const NAME: &'static str = "copy";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            one::DEST,
            Arg::new(
                "src",
                ArgKind::Path,
                "a file or directory of the controller (looked for in files/); with a trailing slash, what is in it",
            ),
            Arg::new(
                "content",
                ArgKind::Any,
                "the text itself; a mapping or list is written as JSON",
            ),
            place::BACKUP,
            one::FORCE,
            Arg::new(
                "remote_src",
                ArgKind::Bool,
                "`src` lies on the host (default no)",
            ),
            place::VALIDATE,
            Arg::new(
                "directory_mode",
                ArgKind::Mode,
                "permissions of directories that are made (default by the umask)",
            ),
            one::FOLLOW,
            Arg::new(
                "local_follow",
                ArgKind::Bool,
                "copy what links in the directory `src` lead to (default yes; with `remote_src` no)",
            ),
            Arg::new("checksum", ArgKind::Str, "SHA-1 that the content must have"),
            Arg::new(
                "decrypt",
                ArgKind::Bool,
                "decrypt a vault file first (default yes)",
            ),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Copies a file, a directory or a text to the host, and shows its diff.\n\n    - copy:\n        src: kafka-server.service\n        dest: /etc/systemd/system/\n        mode: '0644'\n\n    - copy: content=\"{{ myid }}\\n\" dest=/data/zk/myid owner=kafka\n";
    type Change = Change;

    fn places(&self) -> Option<Vec<PathBuf>> {
        let source = self.src.as_ref().filter(|_| self.remote_src);
        let all = [Some(&self.dest), source].into_iter().flatten();
        self.safeguards
            .runs_nothing()
            .then(|| all.map(PathBuf::from).collect())
    }

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        if self.src.is_some() && self.content.is_some() {
            return Err(Error::new("`src` and `content` exclude each other"));
        }
        let tree = |found: Found<tree::Change>| Found {
            change: found.change.map(Change::Tree),
            outcome: found.outcome,
        };
        if let Some(src) = self.src.as_deref().filter(|_| self.remote_src) {
            let path = Path::new(src);
            let stat = sys
                .stat(path)?
                .ok_or_else(|| Error::new(format!("`{src}` does not exist on the host")))?;
            if stat.is_dir() {
                return remote::check(sys, src, self).map(tree);
            }
            let name = path.file_name().map(|name| name.to_string_lossy());
            let (mode, content) = (Some(stat.mode), self.bytes(sys)?);
            return self.one(sys, name.as_deref(), &content, mode, Some(src));
        }
        match self.sources.as_deref() {
            Some(sources) if sources.is_directory => {
                tree::check(sys, sources, &self.wishes(sys)?).map(tree)
            }
            Some(sources) => {
                let mode = match sources.entries.first().map(|entry| &entry.what) {
                    Some(What::File { mode, .. }) => Some(*mode),
                    _ => None,
                };
                let (name, shown) = (sources.name.as_str(), sources.shown.as_str());
                self.one(sys, Some(name), &self.bytes(sys)?, mode, Some(shown))
            }
            None => self.one(sys, None, &self.bytes(sys)?, None, None),
        }
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        match change {
            Change::One(change) => change.make(sys, &self.bytes(sys)?),
            Change::Tree(change) => change.make(sys),
        }
    }
}

#[cfg(test)]
mod tests;
