//! `ini_file`: turns the wish for an option of an INI file's section into the lines that say it.

mod lines;

use super::args::{Arg, ArgKind, joined, yes};
use super::attributes::{PERMISSIONS, Permissions};
use super::edit::{self, Edit, Original};
use super::group::Presence;
use super::place::Safeguards;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IniFile {
    path: PathBuf,
    #[serde(default)]
    section: Option<String>,
    #[serde(default)]
    section_has: Vec<Has>,
    #[serde(default)]
    option: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    values: Option<Vec<String>>,
    #[serde(default)]
    state: Presence,
    #[serde(default = "yes")]
    exclusive: bool,
    #[serde(default)]
    no_extra_spaces: bool,
    #[serde(default)]
    ignore_spaces: bool,
    #[serde(default)]
    allow_no_value: bool,
    #[serde(default = "yes")]
    create: bool,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
}

/// By what a section is told from others of its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Has {
    option: Value,
    #[serde(default)]
    value: Value,
}

impl Module for IniFile {
    const NAME: &'static str = "ini_file";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            edit::PATH,
            Arg::new(
                "section",
                ArgKind::Str,
                "the section (default: before the first)"
            ),
            Arg::new(
                "section_has",
                ArgKind::List,
                "of several sections of this name, the one with each of these: `option`, `value`"
            ),
            Arg::new(
                "option",
                ArgKind::Str,
                "the option (default: the section as a whole)"
            ),
            Arg::new("value", ArgKind::Str, "its value"),
            Arg::new(
                "values",
                ArgKind::StrList,
                "its values, one line each, instead of `value`"
            ),
            Arg::new("state", ArgKind::Str, "present (default) or absent")
                .choices(&["present", "absent"]),
            Arg::new(
                "exclusive",
                ArgKind::Bool,
                "no other lines of this option stay (default yes)"
            ),
            Arg::new(
                "no_extra_spaces",
                ArgKind::Bool,
                "write `a=b`, not `a = b` (default no)"
            ),
            Arg::new(
                "ignore_spaces",
                ArgKind::Bool,
                "a line is right whatever its spaces (default no)"
            ),
            Arg::new(
                "allow_no_value",
                ArgKind::Bool,
                "an option may be a word alone (default no)"
            ),
            Arg::new(
                "create",
                ArgKind::Bool,
                "make the file if it is not there (default yes)"
            ),
            Arg::new(
                "follow",
                ArgKind::Bool,
                "accepted; links are always followed"
            ),
            edit::BACKUP,
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Sets an option of a section of an INI file, or takes it out.\n\n    - ini_file:\n        path: /etc/systemd/journald.conf\n        section: Journal\n        option: SystemMaxUse\n        value: 1G\n        no_extra_spaces: yes\n";
    type Change = Edit;

    fn places(&self) -> Option<Vec<PathBuf>> {
        Some(vec![self.path.clone()])
    }

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        self.judge()?;
        let original = Original::read(sys, &self.path, self.create)?;
        let (text, msg) = lines::changed(&original.text, self);
        if text.is_none() && !original.exists() {
            return Ok(Found::same(Outcome::new().msg(msg)));
        }
        let wish = self.permissions.wish(sys)?;
        let text = text.as_deref().unwrap_or(&original.text);
        let found = original.becomes(sys, text, &wish, &self.safeguards)?;
        Ok(edit::with_message(found, msg))
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        edit.make(sys)
    }
}

impl IniFile {
    fn judge(&self) -> Result<(), Error> {
        let has_value =
            self.value.is_some() || self.values.as_ref().is_some_and(|all| !all.is_empty());
        let fault = if self.value.is_some() && self.values.is_some() {
            "`value` and `values` exclude each other"
        } else if self.state == Presence::Present && !self.allow_no_value && !has_value {
            "`state: present` needs `value` or `values`, or `allow_no_value: yes`"
        } else if self.option.is_none() && has_value {
            "`value` needs `option`"
        } else {
            return Ok(());
        };
        Err(Error::new(fault))
    }

    /// The values that are wished for, each once.
    fn values(&self) -> Vec<String> {
        let given = self.value.iter().chain(self.values.iter().flatten());
        let mut values = Vec::new();
        for value in given {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values
    }

    /// The line of the option with a value; without, where it has none.
    fn line(&self, option: &str, value: Option<&str>) -> String {
        match value {
            None => format!("{option}\n"),
            Some(value) if self.no_extra_spaces => format!("{option}={value}\n"),
            Some(value) => format!("{option} = {value}\n"),
        }
    }
}

#[cfg(test)]
mod tests;
