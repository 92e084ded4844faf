//! Turns a text file and what is to become of its text into one atomic change: for all modules that edit files.

use super::args::{Arg, ArgKind};
use super::attributes::Wish;
use super::place::{self, Placement, Safeguards, Wished, kind_name};
use super::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Stat;
use std::path::{Path, PathBuf};

/// A file as it was found.
pub struct Original {
    /// Where it really lies, links followed.
    path: PathBuf,
    stat: Option<Stat>,
    bytes: Vec<u8>,
    /// The text; a file that is not UTF-8 is read byte by byte, a letter each.
    pub text: String,
    is_utf8: bool,
}

/// What is to be written.
#[derive(Debug)]
pub struct Edit {
    placement: Placement,
    content: Vec<u8>,
}

pub(super) const PATH: Arg = Arg::new("path", ArgKind::Path, "the file")
    .required()
    .aliases(&["dest", "destfile", "name"]);
pub(super) const CREATE: Arg = Arg::new(
    "create",
    ArgKind::Bool,
    "make the file if it is not there (default no)",
);
pub(super) const BACKUP: Arg = Arg::new(
    "backup",
    ArgKind::Bool,
    "keep a copy of the file as it was (default no)",
);

impl Original {
    /// Reads the file, of which something stays. One that is not there is empty, if the task may create it.
    pub fn read(sys: &Sys, path: &Path, create: bool) -> Result<Self, Error> {
        let original = Self::read_replaced(sys, path, create)?;
        if !original.exists() {
            sys.rest_on_absence(path);
        }
        Ok(original)
    }

    /// Reads a file whose text will be another one, like [`Original::read`].
    pub fn read_replaced(sys: &Sys, path: &Path, create: bool) -> Result<Self, Error> {
        let real = sys.resolve(path)?;
        let stat = sys.lstat(&real)?;
        let bytes = match &stat {
            Some(stat) if stat.is_file() => sys.read(&real)?,
            Some(stat) => {
                let kind = kind_name(stat.kind);
                return Err(Error::new(format!("`{}` is {kind}", path.display())));
            }
            None if create => Vec::new(),
            None => {
                return Err(
                    Error::new(format!("`{}` does not exist", path.display())).with("rc", 257)
                );
            }
        };
        let (text, is_utf8) = match String::from_utf8(bytes.clone()) {
            Ok(text) => (text, true),
            Err(_) => (bytes.iter().copied().map(char::from).collect(), false),
        };
        Ok(Self {
            path: real,
            stat,
            bytes,
            text,
            is_utf8,
        })
    }

    /// Returns this file with the text of another: what it becomes starts from there.
    #[must_use]
    pub fn with_text_of(self, other: &Self) -> Self {
        Self {
            text: other.text.clone(),
            is_utf8: other.is_utf8,
            ..self
        }
    }

    /// What was found; `None` where there is no file.
    pub fn stat(&self) -> Option<&Stat> {
        self.stat.as_ref()
    }

    pub fn exists(&self) -> bool {
        self.stat.is_some()
    }

    /// Returns the user's text as letters of this file's kind.
    pub fn letters(&self, text: &str) -> String {
        if self.is_utf8 {
            text.to_owned()
        } else {
            text.bytes().map(char::from).collect()
        }
    }

    /// Says what stands between the file and this text.
    pub fn becomes(
        &self,
        sys: &Sys,
        text: &str,
        wish: &Wish,
        safeguards: &Safeguards,
    ) -> Result<Found<Edit>, Error> {
        let content: Vec<u8> = if self.is_utf8 {
            text.as_bytes().to_vec()
        } else {
            text.chars()
                .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
                .collect()
        };
        let wished = Wished {
            path: &self.path,
            content: &content,
            wish,
            source: None,
            safeguards,
        };
        let before = self.exists().then_some(&self.bytes[..]);
        let found = place::check_against(sys, &wished, self.stat.as_ref(), before)?;
        let outcome = found.outcome.with("path", self.path.display().to_string());
        Ok(match found.change {
            None => Found::same(outcome),
            Some(mut placement) => {
                placement.outcome = outcome.clone();
                Found::change(Edit { placement, content }, outcome)
            }
        })
    }
}

impl Edit {
    pub fn make(self, sys: &Sys) -> Result<Outcome, Error> {
        if let Some(parent) = self.placement.path().parent() {
            make_directories(sys, parent)?;
        }
        self.placement.make(sys, &self.content)
    }
}

/// Makes the directory of a new file and what is missing above it, as Ansible does.
fn make_directories(sys: &Sys, path: &Path) -> Result<(), Error> {
    let missing = |path: &&Path| !sys.exists(path).unwrap_or(true);
    let missing: Vec<&Path> = path.ancestors().take_while(missing).collect();
    for directory in missing.into_iter().rev() {
        sys.create_dir(directory, None)?;
    }
    Ok(())
}

/// Says in the result what was done, or would be.
pub fn with_message(found: Found<Edit>, msg: &str) -> Found<Edit> {
    map_outcome(found, |outcome| outcome.msg(msg))
}

/// Changes the result, whether something is to be done or not.
pub fn map_outcome(found: Found<Edit>, change: impl Fn(Outcome) -> Outcome) -> Found<Edit> {
    Found {
        change: found.change.map(|mut edit| {
            edit.placement.outcome = change(edit.placement.outcome);
            edit
        }),
        outcome: change(found.outcome),
    }
}

/// Splits into lines, each with its end.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}
