//! `lineinfile`: turns a text file into one that has a certain line, or has it not.

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions};
use super::edit::{self, Edit, Original};
use super::pattern::{self, Flags};
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use fancy_regex::Regex;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lineinfile {
    path: PathBuf,
    #[serde(default)]
    line: Option<String>,
    #[serde(default)]
    regexp: Option<String>,
    #[serde(default)]
    search_string: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    backrefs: bool,
    #[serde(default)]
    insertafter: Option<String>,
    #[serde(default)]
    insertbefore: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    firstmatch: bool,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
}

impl Module for Lineinfile {
    const NAME: &'static str = "lineinfile";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] =
        joined!([
        edit::PATH,
        Arg::new("line", ArgKind::Str, "the line, without its end").aliases(&["value"]),
        Arg::new(
            "regexp",
            ArgKind::Str,
            "the last line that matches is replaced; with `state: absent`, all that match go",
        )
        .aliases(&["regex"]),
        Arg::new(
            "search_string",
            ArgKind::Str,
            "like `regexp`, but a text that the line holds",
        ),
        Arg::new(
            "state",
            ArgKind::Str,
            "whether the line is to be there (default `present`)",
        )
        .choices(&["absent", "present"]),
        Arg::new(
            "backrefs",
            ArgKind::Bool,
            "fill groups of `regexp` into `line`; do nothing if it does not match (default no)",
        )
        .aliases(&["backreferences"]),
        Arg::new(
            "insertafter",
            ArgKind::Str,
            "where a new line goes: behind the last line that matches, or `EOF` (default `EOF`)",
        ),
        Arg::new(
            "insertbefore",
            ArgKind::Str,
            "where a new line goes: before the last line that matches, or `BOF`",
        ),
        edit::CREATE,
        edit::BACKUP,
        Arg::new(
            "firstmatch",
            ArgKind::Bool,
            "use the first line that matches, not the last (default no)",
        ),
        place::VALIDATE,
        Arg::new("others", ArgKind::Any, "accepted, has no effect"),
    ], PERMISSIONS);
    const DOC: &'static str = "Sees to one line of a file: that it is there, replaced where another matches, or absent.\n\n    - lineinfile:\n        path: /etc/security/limits.conf\n        regexp: '^kafka\\s+-\\s+nofile'\n        line: kafka - nofile 100000\n";
    type Change = Edit;

    fn places(&self) -> Option<Vec<PathBuf>> {
        self.safeguards
            .runs_nothing()
            .then(|| vec![self.path.clone()])
    }

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        let absent = self.state.as_deref() == Some("absent");
        self.judge(absent)?;
        let original = Original::read(sys, &self.path, self.create || absent)?;
        if absent && !original.exists() {
            return Ok(Found::same(
                Outcome::new().msg("file not present").with("found", 0),
            ));
        }
        let wish = self.permissions.wish(sys)?;
        let mut lines = edit::lines(&original.text);
        let (msg, n_found) = if absent {
            let n_before = lines.len();
            self.remove(&original, &mut lines)?;
            let n_removed = n_before - lines.len();
            let msg = match n_removed {
                0 => String::new(),
                n => format!("{n} line(s) removed"),
            };
            (msg, Some(n_removed))
        } else {
            (self.insert(&original, &mut lines)?.to_owned(), None)
        };
        let found = original.becomes(sys, &lines.concat(), &wish, &self.safeguards)?;
        let found = edit::with_message(found, &msg);
        let found = edit::map_outcome(found, |outcome| outcome.with("backup", ""));
        Ok(match n_found {
            Some(n_found) => edit::map_outcome(found, |outcome| outcome.with("found", n_found)),
            None => found,
        })
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        let outcome = edit.make(sys)?;
        // Ansible registers the copy under this name here.
        let backup = outcome.data.get("backup_file").cloned();
        Ok(outcome.with("backup", backup.unwrap_or_else(|| "".into())))
    }
}

impl Lineinfile {
    fn judge(&self, absent: bool) -> Result<(), Error> {
        let fault = if self.regexp.is_some() && self.search_string.is_some() {
            "`regexp` and `search_string` exclude each other"
        } else if self.insertafter.is_some() && self.insertbefore.is_some() {
            "`insertafter` and `insertbefore` exclude each other"
        } else if absent
            && self.regexp.is_none()
            && self.search_string.is_none()
            && self.line.is_none()
        {
            "`state: absent` needs `line`, `regexp` or `search_string`"
        } else if !absent && self.line.is_none() {
            "`line` is needed"
        } else if !absent && self.backrefs && self.regexp.is_none() {
            "`backrefs` needs `regexp`"
        } else {
            return Ok(());
        };
        Err(Error::new(fault))
    }

    fn regexp(&self, original: &Original) -> Result<Option<Regex>, Error> {
        let regexp = self.regexp.as_ref().map(|text| original.letters(text));
        regexp
            .map(|text| pattern::compile(&text, Flags::None))
            .transpose()
    }

    fn remove(&self, original: &Original, lines: &mut Vec<String>) -> Result<(), Error> {
        let regexp = self.regexp(original)?;
        let letters = |text: &Option<String>| text.as_ref().map(|text| original.letters(text));
        let (search, line) = (letters(&self.search_string), letters(&self.line));
        let mut kept = Vec::new();
        for current in lines.drain(..) {
            let goes = match (&regexp, &search, &line) {
                (Some(regexp), ..) => is_match(regexp, &current)?,
                (_, Some(search), _) => current.contains(search.as_str()),
                (.., Some(line)) => current.trim_end_matches(['\r', '\n']) == line,
                _ => false,
            };
            if !goes {
                kept.push(current);
            }
        }
        *lines = kept;
        Ok(())
    }

    /// Puts the line into its place. Returns what was done.
    fn insert(&self, original: &Original, lines: &mut Vec<String>) -> Result<&'static str, Error> {
        let line = original.letters(self.line.as_deref().unwrap_or_default());
        let regexp = self.regexp(original)?;
        let search = self
            .search_string
            .as_ref()
            .map(|text| original.letters(text));
        let mut matching = None;
        for (index, current) in lines.iter().enumerate() {
            let matches = match (&regexp, &search) {
                (Some(regexp), _) => is_match(regexp, current)?,
                (None, Some(search)) => current.contains(search.as_str()),
                (None, None) => false,
            };
            if matches {
                matching = Some(index);
                if self.firstmatch {
                    break;
                }
            }
        }
        if let Some(index) = matching {
            let mut new = match &regexp {
                Some(regexp) if self.backrefs => {
                    let captures = regexp
                        .captures(lines[index].as_str())
                        .map_err(|error| pattern::failed(regexp, &error))?;
                    captures.map_or(Ok(line.clone()), |found| pattern::expand(&line, &found))?
                }
                _ => line,
            };
            if !new.ends_with('\n') {
                new.push('\n');
            }
            if lines[index] == new {
                return Ok("");
            }
            lines[index] = new;
            return Ok("line replaced");
        }
        let place = self.place(original, lines, &line)?;
        if self.backrefs {
            return Ok("");
        }
        let Some(place) = place else {
            return Ok("");
        };
        if place > 0
            && let Some(before) = lines.get_mut(place - 1)
            && !before.ends_with(['\n', '\r'])
        {
            before.push('\n');
        }
        lines.insert(place, format!("{line}\n"));
        Ok("line added")
    }

    /// Returns where a new line goes; `None` if it is there already.
    fn place(
        &self,
        original: &Original,
        lines: &mut [String],
        line: &str,
    ) -> Result<Option<usize>, Error> {
        let after = self.insertafter.as_deref();
        let before = self.insertbefore.as_deref();
        let anchor = match (after, before) {
            (Some(text), _) if text != "EOF" && text != "BOF" => Some(text),
            (None, Some(text)) if text != "BOF" => Some(text),
            _ => None,
        };
        let anchor = anchor
            .map(|text| pattern::compile(&original.letters(text), Flags::None))
            .transpose()?;
        let mut anchored = None;
        let last = lines.len().saturating_sub(1);
        for (index, current) in lines.iter_mut().enumerate() {
            if current.trim_end_matches(['\r', '\n']) == line {
                // As Ansible has it: the last line gets its end.
                if index == last && !current.ends_with('\n') {
                    current.push('\n');
                }
                return Ok(None);
            }
            if let Some(anchor) = &anchor
                && is_match(anchor, current)?
            {
                anchored = Some(if after.is_some() { index + 1 } else { index });
                if self.firstmatch {
                    break;
                }
            }
        }
        let begin = after == Some("BOF") || before == Some("BOF");
        Ok(match anchored {
            Some(index) if after.is_some() => {
                let follows = lines.get(index).or(lines.last());
                let same = |text: &String| text.trim_end_matches(['\r', '\n']) == line;
                (!follows.is_some_and(same)).then_some(index)
            }
            Some(index) => Some(index),
            None if begin => Some(0),
            None => Some(lines.len()),
        })
    }
}

fn is_match(regexp: &Regex, line: &str) -> Result<bool, Error> {
    regexp
        .is_match(line)
        .map_err(|error| pattern::failed(regexp, &error))
}

#[cfg(test)]
mod tests;
