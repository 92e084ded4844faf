//! `blockinfile`: turns a text file into one that has a block of lines between two markers, or has it not.

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions};
use super::edit::{self, Edit, Original};
use super::pattern::{self, Flags};
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blockinfile {
    path: PathBuf,
    #[serde(default)]
    block: String,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    marker_begin: Option<String>,
    #[serde(default)]
    marker_end: Option<String>,
    #[serde(default)]
    insertafter: Option<String>,
    #[serde(default)]
    insertbefore: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    append_newline: bool,
    #[serde(default)]
    prepend_newline: bool,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
}

impl Module for Blockinfile {
    const NAME: &'static str = "blockinfile";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            edit::PATH,
            Arg::new("block", ArgKind::Str, "the lines; empty removes the block")
                .aliases(&["content"]),
            Arg::new(
                "state",
                ArgKind::Str,
                "whether the block is to be there (default `present`)",
            )
            .choices(&["absent", "present"]),
            Arg::new(
                "marker",
                ArgKind::Str,
                "the lines around it (default `# {mark} ANSIBLE MANAGED BLOCK`)",
            ),
            Arg::new(
                "marker_begin",
                ArgKind::Str,
                "what `{mark}` becomes in the first (default `BEGIN`)",
            ),
            Arg::new(
                "marker_end",
                ArgKind::Str,
                "what `{mark}` becomes in the last (default `END`)",
            ),
            Arg::new(
                "insertafter",
                ArgKind::Str,
                "where a new block goes: behind the last line that matches, or `EOF` (default `EOF`)",
            ),
            Arg::new(
                "insertbefore",
                ArgKind::Str,
                "where a new block goes: before the last line that matches, or `BOF`",
            ),
            edit::CREATE,
            edit::BACKUP,
            Arg::new(
                "append_newline",
                ArgKind::Bool,
                "an empty line behind the block (default no)",
            ),
            Arg::new(
                "prepend_newline",
                ArgKind::Bool,
                "an empty line before the block (default no)",
            ),
            place::VALIDATE,
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Sees to a block of lines in a file, between two marker lines.\n\n    - blockinfile:\n        path: /etc/hosts\n        block: |\n          10.0.0.1 broker1\n          10.0.0.2 broker2\n";
    type Change = Edit;

    fn places(&self) -> Option<Vec<PathBuf>> {
        self.safeguards
            .runs_nothing()
            .then(|| vec![self.path.clone()])
    }

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        if self.insertafter.is_some() && self.insertbefore.is_some() {
            return Err(Error::new(
                "`insertafter` and `insertbefore` exclude each other",
            ));
        }
        let present = self.state.as_deref() != Some("absent");
        let original = Original::read(sys, &self.path, self.create || !present)?;
        if !present && !original.exists() {
            let msg = format!("File {} not present", self.path.display());
            return Ok(Found::same(Outcome::new().msg(msg)));
        }
        let wish = self.permissions.wish(sys)?;
        let (new, has_block) = self.edited(&original, present)?;
        let msg = if new == original.text {
            ""
        } else if !original.exists() {
            "File created"
        } else if has_block {
            "Block inserted"
        } else {
            "Block removed"
        };
        Ok(edit::with_message(
            original.becomes(sys, &new, &wish, &self.safeguards)?,
            msg,
        ))
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        edit.make(sys)
    }
}

impl Blockinfile {
    /// Returns the text as it is to be, and whether it has the block.
    fn edited(&self, original: &Original, present: bool) -> Result<(String, bool), Error> {
        let mut lines = edit::lines(&original.text);
        let (begin, end) = self.markers(original);
        let mut block = Vec::new();
        if present && !self.block.is_empty() {
            block.push(begin.clone());
            block.extend(edit::lines(&original.letters(&self.block)));
            if let Some(last) = block.last_mut().filter(|last| !last.ends_with('\n')) {
                last.push('\n');
            }
            block.push(end.clone());
        }
        let last_of = |marker: &String| lines.iter().rposition(|line| line == marker);
        let mut place = match (last_of(&begin), last_of(&end)) {
            (Some(first), Some(last)) => {
                let (first, last) = (first.min(last), first.max(last));
                lines.drain(first..=last);
                first
            }
            _ => self.place(original, &lines)?,
        };
        if place > 0 && !lines[place - 1].ends_with('\n') {
            lines[place - 1].push('\n');
        }
        if self.prepend_newline && present && place > 0 && lines[place - 1] != "\n" {
            lines.insert(place, "\n".into());
            place += 1;
        }
        let has_block = !block.is_empty();
        let behind = place + block.len();
        lines.splice(place..place, block);
        if self.append_newline && present && lines.get(behind).is_some_and(|line| line != "\n") {
            lines.insert(behind, "\n".into());
        }
        Ok((lines.concat(), has_block))
    }

    fn markers(&self, original: &Original) -> (String, String) {
        let marker = self.marker.as_deref();
        let marker = marker.unwrap_or("# {mark} ANSIBLE MANAGED BLOCK");
        let line = |mark: Option<&str>, default| {
            let line = marker.replace("{mark}", mark.unwrap_or(default));
            original.letters(&line) + "\n"
        };
        (
            line(self.marker_begin.as_deref(), "BEGIN"),
            line(self.marker_end.as_deref(), "END"),
        )
    }

    /// Returns where a new block goes.
    fn place(&self, original: &Original, lines: &[String]) -> Result<usize, Error> {
        let after = self.insertafter.as_deref();
        let anchor = match (after, self.insertbefore.as_deref()) {
            (None, None) | (Some("EOF"), _) => return Ok(lines.len()),
            (None, Some("BOF")) => return Ok(0),
            (Some(text), _) | (None, Some(text)) => original.letters(text),
        };
        let regex = pattern::compile(&anchor, Flags::None)?;
        let failed = |error| pattern::failed(&regex, &error);
        // A pattern over several lines is matched against the whole text.
        if anchor.starts_with("(?m)") {
            let found = regex.find(&original.text).map_err(failed)?;
            let count = |end: usize| original.text[..end].matches('\n').count();
            return Ok(match found {
                Some(found) if after.is_some() => (count(found.end()) + 1).min(lines.len()),
                Some(found) => count(found.start()),
                None => lines.len(),
            });
        }
        let mut place = None;
        for (index, line) in lines.iter().enumerate() {
            if regex.is_match(line).map_err(failed)? {
                place = Some(if after.is_some() { index + 1 } else { index });
            }
        }
        Ok(place.unwrap_or(lines.len()))
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;

    const BLOCK: &str = "# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n";

    fn host() -> Host {
        let done = format!("a\n{BLOCK}b\n");
        Host::with("blockinfile", &[("/f", "a\nb"), ("/done", &done)])
    }

    #[test]
    fn a_block_comes_to_a_file_without_it_and_stays_in_one_that_has_it() {
        let host = host();
        host.converges("{path: /f, block: \"x\\ny\\n\"}");
        assert_eq!(host.text("/f"), format!("a\nb\n{BLOCK}"));
        host.is_content_with("{path: /done, block: \"x\\ny\"}");
        let outcome = host.converges("{path: /new, block: \"x\\ny\", create: yes, mode: '0600'}");
        assert_eq!(outcome.msg.as_deref(), Some("File created"));
        assert_eq!(host.text("/new"), BLOCK);
        assert_eq!(
            host.fails("{path: /none, block: x}"),
            "`/none` does not exist"
        );
    }

    #[test]
    fn another_block_between_the_markers_is_replaced_where_it_is() {
        let host = host();
        host.converges("{path: /done, block: z}");
        assert_eq!(
            host.text("/done"),
            "a\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\nb\n"
        );
    }

    #[test]
    fn an_absent_or_empty_block_goes() {
        for args in ["{path: /done, state: absent}", "{path: /done, block: ''}"] {
            let host = host();
            host.converges(args);
            assert_eq!(host.text("/done"), "a\nb\n");
        }
        host().is_content_with("{path: /none, state: absent}");
    }

    #[test]
    fn a_new_block_goes_where_it_is_told() {
        for (place, text) in [
            ("insertbefore: BOF", format!("{BLOCK}a\nb")),
            ("insertafter: '^a'", format!("a\n{BLOCK}b")),
            ("insertbefore: '^b'", format!("a\n{BLOCK}b")),
            ("insertafter: none", format!("a\nb\n{BLOCK}")),
            (
                "insertafter: '^a', prepend_newline: yes, append_newline: yes",
                format!("a\n\n{BLOCK}\nb"),
            ),
        ] {
            let host = host();
            host.converges(&format!("{{path: /f, block: \"x\\ny\", {place}}}"));
            assert_eq!(host.text("/f"), text, "{place}");
        }
    }
}
