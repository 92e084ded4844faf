//! `template`: turns a text that the controller rendered into a file on the host.

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions, Wish};
use super::copy::one::{self, One};
use super::mode::Mode;
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Template {
    src: String,
    dest: String,
    #[serde(default = "yes")]
    force: bool,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    newline_sequence: Option<String>,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
    /// Not an argument: what the controller made of `src`.
    #[serde(default)]
    rendered: Option<Rendered>,
}

/// A template's text and where it comes from.
#[derive(Clone, Serialize, Deserialize)]
struct Rendered {
    text: String,
    source: String,
    mode: u32,
}

/// A rendered text may hold secrets.
impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.text.len(), self.source)
    }
}

impl Template {
    /// Returns the template's name as the task writes it.
    pub fn source(&self) -> &str {
        &self.src
    }

    /// Returns the path on the host as the task writes it.
    pub fn destination(&self) -> &str {
        &self.dest
    }

    /// Adds the rendered text; `source` is the template's path and `mode` its permissions, both on the controller.
    pub fn set_text(&mut self, text: String, source: &Path, mode: u32) {
        let text = match self.newline_sequence.as_deref() {
            Some("\\r\\n" | "\r\n") => text.replace('\n', "\r\n"),
            Some("\\r" | "\r") => text.replace('\n', "\r"),
            _ => text,
        };
        self.rendered = Some(Rendered {
            text,
            source: source.display().to_string(),
            mode: mode & 0o7777,
        });
    }

    /// Returns the rendered text, once it is there.
    pub fn text(&self) -> Option<&str> {
        self.rendered
            .as_ref()
            .map(|rendered| rendered.text.as_str())
    }

    fn rendered(&self) -> Result<&Rendered, Error> {
        self.rendered
            .as_ref()
            .ok_or_else(|| Error::new(format!("the template `{}` was not rendered", self.src)))
    }
}

impl Module for Template {
    const NAME: &'static str = "template";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new(
                "src",
                ArgKind::Path,
                "the template, looked for in templates/",
            )
            .required(),
            one::DEST,
            place::BACKUP,
            one::FORCE,
            one::FOLLOW,
            place::VALIDATE,
            Arg::new(
                "newline_sequence",
                ArgKind::Str,
                "how lines end: `\\n`, `\\r\\n` or `\\r` (default `\\n`)",
            ),
            Arg::new(
                "trim_blocks",
                ArgKind::Bool,
                "drop the line end behind a block (default yes)",
            ),
            Arg::new(
                "lstrip_blocks",
                ArgKind::Bool,
                "drop the blanks before a block (default no)",
            ),
            Arg::new("block_start_string", ArgKind::Str, "default `{%`"),
            Arg::new("block_end_string", ArgKind::Str, "default `%}`"),
            Arg::new("variable_start_string", ArgKind::Str, "default `{{`"),
            Arg::new("variable_end_string", ArgKind::Str, "default `}}`"),
            Arg::new("comment_start_string", ArgKind::Str, "default `{#`"),
            Arg::new("comment_end_string", ArgKind::Str, "default `#}`"),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Renders a template on the controller and puts the text into a file on the host, showing its diff.\n\n    - template:\n        src: server.properties.j2\n        dest: /usr/local/kafka/config/server.properties\n        owner: kafka\n        mode: '0640'\n      notify: restart kafka\n";
    type Change = one::Change;

    fn places(&self) -> Option<Vec<PathBuf>> {
        self.safeguards
            .runs_nothing()
            .then(|| vec![PathBuf::from(&self.dest)])
    }

    fn check(&self, sys: &Sys) -> Result<Found<one::Change>, Error> {
        let rendered = self.rendered()?;
        let (permissions, preserve) = self.permissions.without_preserve();
        let mut wish = permissions.wish(sys)?;
        if preserve {
            wish.mode = Some(Mode::Octal(rendered.mode));
        }
        let name = Path::new(&self.src).file_name();
        One {
            dest: &self.dest,
            name: name.map(|name| name.to_string_lossy()).as_deref(),
            content: rendered.text.as_bytes(),
            source: Some(&rendered.source),
            wish: &wish,
            directories: &Wish {
                mode: None,
                ..wish.clone()
            },
            force: self.force,
            follow: self.follow,
            safeguards: &self.safeguards,
        }
        .check(sys)
    }

    fn apply(&self, sys: &Sys, change: one::Change) -> Result<Outcome, Error> {
        change.make(sys, self.rendered()?.text.as_bytes())
    }
}
