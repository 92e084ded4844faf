//! `replace`: turns every match of a pattern in a file into something else.

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions};
use super::edit::{self, Edit, Original};
use super::pattern::{self, Flags};
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[expect(clippy::struct_field_names, reason = "it is the module's argument")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replace {
    path: PathBuf,
    regexp: String,
    #[serde(default)]
    replace: String,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    before: Option<String>,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
}

impl Module for Replace {
    const NAME: &'static str = "replace";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            edit::PATH,
            Arg::new(
                "regexp",
                ArgKind::Str,
                "what is replaced; `^` and `$` match at every line",
            )
            .required()
            .aliases(&["regex"]),
            Arg::new(
                "replace",
                ArgKind::Str,
                "what comes in its place, with `\\1` and `\\g<name>` (default nothing)",
            ),
            Arg::new(
                "after",
                ArgKind::Str,
                "replace only behind the first match of this; `.` matches line ends",
            ),
            Arg::new(
                "before",
                ArgKind::Str,
                "replace only before the first match of this; `.` matches line ends",
            ),
            edit::BACKUP,
            place::VALIDATE,
            Arg::new("encoding", ArgKind::Str, "accepted, has no effect"),
            Arg::new("others", ArgKind::Any, "accepted, has no effect"),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Replaces all matches of a pattern in a file.\n\n    - replace:\n        path: /etc/hosts\n        regexp: '^127\\.0\\.1\\.1(\\s+)old$'\n        replace: '127.0.1.1\\1new'\n";
    type Change = Edit;

    fn places(&self) -> Option<Vec<PathBuf>> {
        self.safeguards
            .runs_nothing()
            .then(|| vec![self.path.clone()])
    }

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        let original = Original::read(sys, &self.path, false)?;
        let text = &original.text;
        let letters = |text: &String| original.letters(text);
        let section = match (
            self.after.as_ref().map(letters),
            self.before.as_ref().map(letters),
        ) {
            (None, None) => None,
            (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
            (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
            (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        };
        let range = match section {
            None => 0..text.len(),
            Some(section) => {
                let regex = pattern::compile(&section, Flags::DotAll)?;
                let captures = regex
                    .captures(text.as_str())
                    .map_err(|error| pattern::failed(&regex, &error))?;
                if let Some(found) = captures.and_then(|captures| captures.name("subsection")) {
                    found.range()
                } else {
                    let msg = format!(
                        "Pattern for before/after params did not match the given file: {section}"
                    );
                    return Ok(Found::same(Outcome::new().msg(msg)));
                }
            }
        };
        let regex = pattern::compile(&letters(&self.regexp), Flags::Multiline)?;
        let (middle, n_replaced) =
            pattern::replace_all(&regex, &letters(&self.replace), &text[range.clone()])?;
        let new = format!("{}{middle}{}", &text[..range.start], &text[range.end..]);
        let msg = if new == *text {
            String::new()
        } else {
            format!("{n_replaced} replacements made")
        };
        let wish = self.permissions.wish(sys)?;
        let found = original.becomes(sys, &new, &wish, &self.safeguards)?;
        Ok(edit::map_outcome(found, |outcome| {
            outcome.msg(msg.as_str()).with("rc", 0)
        }))
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        edit.make(sys)
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::{Host, shown};

    fn host() -> Host {
        let text = "a=1\n[x]\na=1\nb=2\n[y]\na=1\n";
        Host::with("replace", &[("/f", text), ("/done", "a=9\n")])
    }

    #[test]
    fn every_match_is_replaced_line_by_line() {
        let host = host();
        let outcome =
            host.converges("{path: /f, regexp: '^a=(\\d)$', replace: 'a=9\\1', mode: '0600'}");
        assert_eq!(host.text("/f"), "a=91\n[x]\na=91\nb=2\n[y]\na=91\n");
        assert_eq!(outcome.msg.as_deref(), Some("3 replacements made"));
        assert!(shown(&outcome).ends_with("/f: mode 0644 -> 0600"));
        host.is_content_with("{path: /done, regexp: '^a=1$', replace: a=9}");
    }

    #[test]
    fn only_what_lies_between_is_replaced() {
        let host = host();
        let args = "{path: /f, after: '\\[x\\]', before: '\\[y\\]', regexp: '^a=1$', replace: a=2}";
        host.converges(args);
        assert_eq!(host.text("/f"), "a=1\n[x]\na=2\nb=2\n[y]\na=1\n");
        host.is_content_with("{path: /f, after: none, regexp: 'a', replace: b}");
    }

    #[test]
    fn without_a_replacement_the_match_goes() {
        let host = host();
        host.converges("{path: /f, regexp: '^b=.*\\n'}");
        assert_eq!(host.text("/f"), "a=1\n[x]\na=1\n[y]\na=1\n");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let error = host().run("{path: /none, regexp: x}").unwrap_err();
        assert_eq!(error.message, "`/none` does not exist");
        assert_eq!(error.data["rc"], 257);
    }
}
