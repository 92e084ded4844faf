//! `assemble`: turns the files of a directory, in the order of their names, into one file.

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions, Wish};
use super::copy::Sources;
use super::copy::one::{self, One};
use super::pattern::{self, Flags};
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assemble {
    src: String,
    dest: String,
    #[serde(default)]
    delimiter: Option<String>,
    #[serde(default)]
    regexp: Option<String>,
    #[serde(default = "yes")]
    remote_src: bool,
    #[serde(default)]
    ignore_hidden: bool,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
    /// Not an argument: the fragments, where the controller sends them.
    #[serde(default)]
    sources: Option<Arc<Sources>>,
}

/// The file as it is to be.
#[derive(Debug)]
pub struct Change {
    placement: one::Change,
    content: Vec<u8>,
}

impl Module for Assemble {
    const NAME: &'static str = "assemble";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("src", ArgKind::Path, "the directory of the fragments").required(),
            Arg::new("dest", ArgKind::Path, "the file that is made").required(),
            Arg::new(
                "delimiter",
                ArgKind::Str,
                "what stands between fragments (default nothing)",
            ),
            Arg::new(
                "regexp",
                ArgKind::Str,
                "take only names that match (default all)",
            ),
            Arg::new(
                "remote_src",
                ArgKind::Bool,
                "`src` lies on the host (default yes)",
            ),
            Arg::new(
                "ignore_hidden",
                ArgKind::Bool,
                "leave out names that begin with a dot (default no)",
            ),
            place::BACKUP,
            place::VALIDATE,
            Arg::new(
                "decrypt",
                ArgKind::Bool,
                "decrypt vault files first (default yes)",
            ),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Joins the files of a directory into one.\n\n    - assemble:\n        src: /etc/kafka/jaas.d\n        dest: /etc/kafka/jaas.conf\n        mode: '0600'\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let content = self.content(sys)?;
        let wish = self.permissions.wish(sys)?;
        let name = Path::new(&self.src).file_name();
        let found = One {
            dest: &self.dest,
            name: name.map(|name| name.to_string_lossy()).as_deref(),
            content: &content,
            source: Some(&self.src),
            wish: &wish,
            directories: &Wish::default(),
            force: true,
            follow: false,
            safeguards: &self.safeguards,
        }
        .check(sys)?;
        Ok(Found {
            change: found.change.map(|placement| Change { placement, content }),
            outcome: found.outcome,
        })
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        change.placement.make(sys, &change.content)
    }
}

impl Assemble {
    /// Returns the directory on the controller that has to be sent along with [`Assemble::set_sources`], if one has to.
    pub fn needs_source(&self) -> Option<&str> {
        (!self.remote_src).then_some(self.src.as_str())
    }

    /// Adds what the controller read of `src`.
    pub fn set_sources(&mut self, sources: Arc<Sources>) {
        self.sources = Some(sources);
    }

    /// Returns the fragments by name.
    fn fragments(&self, sys: &Sys) -> Result<Vec<(String, Vec<u8>)>, Error> {
        if let Some(sources) = &self.sources {
            let files = sources.files().filter(|(path, _)| !path.contains('/'));
            return Ok(files
                .map(|(path, content)| (path.to_owned(), content.to_vec()))
                .collect());
        }
        let directory = Path::new(&self.src);
        if !sys.stat(directory)?.is_some_and(|stat| stat.is_dir()) {
            return Err(Error::new(format!("`{}` is not a directory", self.src)));
        }
        let mut fragments = Vec::new();
        for name in sys.list(directory)? {
            let path = directory.join(&name);
            if sys.stat(&path)?.is_some_and(|stat| stat.is_file()) {
                fragments.push((name.to_string_lossy().into_owned(), sys.read(&path)?));
            }
        }
        Ok(fragments)
    }

    fn content(&self, sys: &Sys) -> Result<Vec<u8>, Error> {
        let regexp = self.regexp.as_deref();
        let regexp = regexp
            .map(|text| pattern::compile(text, Flags::None))
            .transpose()?;
        let delimiter = self.delimiter.as_deref().map(unescaped);
        let mut content = Vec::new();
        let mut is_first = true;
        for (name, fragment) in self.fragments(sys)? {
            if self.ignore_hidden && name.starts_with('.') {
                continue;
            }
            if let Some(regexp) = &regexp
                && !regexp
                    .is_match(name.as_str())
                    .map_err(|error| pattern::failed(regexp, &error))?
            {
                continue;
            }
            if !is_first {
                if !content.ends_with(b"\n") {
                    content.push(b'\n');
                }
                if let Some(delimiter) = delimiter.as_deref().filter(|text| !text.is_empty()) {
                    content.extend(delimiter.as_bytes());
                    if !delimiter.ends_with('\n') {
                        content.push(b'\n');
                    }
                }
            }
            content.extend(fragment);
            is_first = false;
        }
        Ok(content)
    }
}

/// Reads `\n` and `\t` in a delimiter.
fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Action;
    use crate::modules::trial::{Host, shown};

    fn host() -> Host {
        let files = [
            ("/d/20-b", "b"),
            ("/d/10-a", "a\n"),
            ("/d/.hidden", "h\n"),
            ("/d/sub/c", "c\n"),
            ("/same", "h\na\nb"),
        ];
        Host::with("assemble", &files)
    }

    #[test]
    fn fragments_are_joined_in_the_order_of_their_names() {
        let host = host();
        let outcome = host.converges("{src: /d, dest: /new, mode: '0600'}");
        assert_eq!(
            shown(&outcome),
            "/new: \"\" -> \"h\\na\\nb\"\n/new: mode  -> 0600"
        );
        host.is_content_with("{src: /d, dest: /same}");
        host.converges("{src: /d, dest: /same, delimiter: '# --', ignore_hidden: yes}");
        assert_eq!(host.text("/same"), "a\n# --\nb");
        host.converges("{src: /d, dest: /same, regexp: '^2'}");
        assert_eq!(host.text("/same"), "b");
        assert_eq!(
            host.fails("{src: /none, dest: /x}"),
            "`/none` is not a directory"
        );
    }

    #[test]
    fn fragments_may_be_sent() {
        let host = host();
        let local = tempfile::tempdir().unwrap();
        std::fs::write(local.path().join("1"), "one").unwrap();
        std::fs::write(local.path().join("2"), "two").unwrap();
        let mut action = host.action("{src: parts, dest: /new, remote_src: no}");
        let Action::Assemble(assemble) = &mut action else {
            unreachable!()
        };
        assert_eq!(assemble.needs_source(), Some("parts"));
        let sources = Sources::load("parts/", local.path(), true).unwrap();
        assemble.set_sources(Arc::new(sources));
        host.converges_action(&action);
        assert_eq!(host.text("/new"), "one\ntwo");
    }
}
