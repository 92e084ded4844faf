//! `properties`: turns a Java properties file into one that has certain keys, comments and order kept.

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions, Wish};
use super::edit::{self, Edit, Original};
use super::mode::{self, Mode};
use super::place::{self, Safeguards};
use super::{Error, Found, Module, Nature, Outcome, conceal};
use crate::kafka::properties;
use crate::sys::Sys;
use crate::value::{Mapping, Value, display};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Properties {
    path: PathBuf,
    #[serde(default)]
    from: Option<PathBuf>,
    #[serde(default)]
    set: Mapping,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    absent_marked: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(flatten)]
    safeguards: Safeguards,
    #[serde(flatten)]
    permissions: Permissions,
}

impl Module for Properties {
    const NAME: &'static str = "properties";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("path", ArgKind::Path, "the file")
                .required()
                .aliases(&["dest", "name"]),
            Arg::new(
                "from",
                ArgKind::Path,
                "another file of the host, whose text is what is edited; a new file gets its mode and owner too (default: `path` itself)",
            ),
            Arg::new(
                "set",
                ArgKind::Dict,
                "keys and their values; a key that is there with another value keeps its place",
            )
            .aliases(&["present"]),
            Arg::new("absent", ArgKind::StrList, "keys that are not to be there"),
            Arg::new(
                "marker",
                ArgKind::Str,
                "a comment above keys that are added; it goes with the last of them",
            )
            .aliases(&["comment"]),
            Arg::new(
                "absent_marked",
                ArgKind::Str,
                "the comment of an earlier `marker`: it and all keys directly under it are not to be there",
            ),
            edit::CREATE,
            edit::BACKUP,
            place::VALIDATE,
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Sees to keys of a Java properties file, read as a JVM reads it. Comments, order and all other lines stay.\n\n    - properties:\n        path: /usr/local/kafka/config/server.properties\n        set:\n          inter.broker.protocol.version: '2.1'\n          auto.create.topics.enable: false\n        absent: [log.message.format.version]\n        marker: added for the upgrade\n    - properties:\n        path: /usr/local/kafka/config/server.properties\n        absent_marked: added for the upgrade\n";
    type Change = Edit;

    fn places(&self) -> Option<Vec<PathBuf>> {
        let all = [Some(&self.path), self.from.as_ref()].into_iter().flatten();
        self.safeguards
            .runs_nothing()
            .then(|| all.cloned().collect())
    }

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        let original = self.original(sys)?;
        let mut wishes = properties::Wishes::new();
        for (key, value) in &self.set {
            let value = original.letters(&as_java(value));
            wishes.insert(original.letters(&display(key)), Some(value));
        }
        for key in &self.absent {
            if wishes.insert(original.letters(key), None).is_some() {
                let text = format!("`{key}` is both in `set` and in `absent`");
                return Err(Error::new(text));
            }
        }
        let marker = self.marker.as_ref().map(|text| original.letters(text));
        let base = match &self.absent_marked {
            Some(text) => properties::without_marked(&original.text, &original.letters(text)),
            None => original.text.clone(),
        };
        let new = properties::edit(&base, &wishes, marker.as_deref());
        let (before, after) = (properties::parse(&original.text), properties::parse(&new));
        let keys = wishes.keys().chain(before.keys());
        let keys: IndexSet<&String> = keys
            .filter(|key| before.get(*key) != after.get(*key))
            .collect();
        let keys: Vec<Value> = keys.into_iter().map(|key| key.as_str().into()).collect();
        let wish = self.wish(sys, &original)?;
        let found = original.becomes(sys, &new, &wish, &self.safeguards)?;
        let msg = self
            .from
            .as_ref()
            .map(|from| carried(from, &before, &after));
        Ok(edit::map_outcome(found, |mut outcome| {
            outcome.msg = msg.clone().or(outcome.msg);
            conceal::outcome(outcome).with("keys", keys.clone())
        }))
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        edit.make(sys)
    }
}

impl Properties {
    /// Reads the file, with the text that is edited.
    fn original(&self, sys: &Sys) -> Result<Original, Error> {
        let Some(from) = &self.from else {
            return Original::read(sys, &self.path, self.create);
        };
        let source = Original::read(sys, from, false)?;
        Ok(Original::read_replaced(sys, &self.path, true)?.with_text_of(&source))
    }

    fn wish(&self, sys: &Sys, original: &Original) -> Result<Wish, Error> {
        let mut wish = self.permissions.wish(sys)?;
        if let (Some(from), false) = (&self.from, original.exists())
            && let Some(stat) = sys.stat(from)?
        {
            let mode = Mode::parse(&mode::show(stat.mode)).map_err(Error::new)?;
            wish.mode.get_or_insert(mode);
            wish.uid.get_or_insert(stat.uid);
            wish.gid.get_or_insert(stat.gid);
        }
        Ok(wish)
    }
}

/// Says how a file differs from the one whose text it begins with: what a reader knows already is not news.
fn carried(from: &Path, before: &properties::Properties, after: &properties::Properties) -> String {
    let set = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| conceal::text(&format!("{key}={value}")));
    let gone = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| format!("without {key}"));
    let differs: Vec<String> = set.chain(gone).collect();
    let from = from.display();
    match differs.as_slice() {
        [] => format!("as {from}"),
        differs => format!("as {from}, but for:\n  {}", differs.join("\n  ")),
    }
}

/// Writes a value as Java reads it: `true`, not `True`; lists joined by commas.
fn as_java(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Sequence(items) => items.iter().map(as_java).collect::<Vec<_>>().join(","),
        other => display(other),
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::{Host, shown};

    fn host() -> Host {
        let text = "# mine\nbroker.id=1\n\nlisteners = PLAINTEXT://:9092\n";
        Host::with("properties", &[("/p", text)])
    }

    #[test]
    fn keys_change_in_place_and_new_ones_go_to_the_end() {
        let host = host();
        let outcome = host.converges(
            "{path: /p, marker: upgrade, set: {broker.id: 2, a.b: true, log.dirs: [/a, /b]}, mode: '0600'}",
        );
        assert_eq!(
            host.text("/p"),
            "# mine\nbroker.id=2\n\nlisteners = PLAINTEXT://:9092\n# upgrade\na.b=true\nlog.dirs=/a,/b\n"
        );
        let keys = serde_json::to_string(&outcome.data["keys"]).unwrap();
        assert_eq!(keys, r#"["broker.id","a.b","log.dirs"]"#);
        assert!(shown(&outcome).ends_with("/p: mode 0644 -> 0600"));
        host.is_content_with("{path: /p, set: {broker.id: '2'}, absent: [x]}");
    }

    #[test]
    fn absent_keys_go_and_their_marker_with_the_last() {
        let host = host();
        let before = host.text("/p");
        host.converges("{path: /p, marker: upgrade, set: {a: 1, b: 2}}");
        host.converges("{path: /p, marker: upgrade, absent: [a, b]}");
        assert_eq!(host.text("/p"), before);
    }

    #[test]
    fn what_was_added_under_a_marker_goes_without_its_keys_being_named() {
        let host = host();
        let before = host.text("/p");
        host.is_content_with("{path: /p, absent_marked: held}");
        host.converges("{path: /p, marker: held, set: {a: 1, b: 2}}");
        let outcome = host.converges("{path: /p, absent_marked: held}");
        assert_eq!(host.text("/p"), before);
        let keys = serde_json::to_string(&outcome.data["keys"]).unwrap();
        assert_eq!(keys, r#"["a","b"]"#);
    }

    #[test]
    fn a_file_starts_from_the_text_of_another_and_keeps_its_own_mode() {
        let host = host();
        host.write("/new/p", b"broker.id=0\nfresh=1\n");
        host.run("{path: /new/p, mode: '0640'}").unwrap();
        let args = "{path: /new/p, from: /p, marker: held, set: {a: 1}}";
        let outcome = host.converges(args);
        let text = "# mine\nbroker.id=1\n\nlisteners = PLAINTEXT://:9092\n# held\na=1\n";
        assert_eq!(host.text("/new/p"), text);
        assert!(shown(&outcome).contains("fresh=1"), "{}", shown(&outcome));
        assert_eq!(outcome.msg.as_deref(), Some("as /p, but for:\n  a=1"));
        assert_eq!(host.lstat("/new/p").mode, 0o640);
        host.run("{path: /p, mode: '0600'}").unwrap();
        host.converges("{path: /new/q, from: /p}");
        assert_eq!(host.text("/new/q"), host.text("/p"));
        assert_eq!(host.lstat("/new/q").mode, 0o600);
        assert_eq!(
            host.fails("{path: /new/q, from: /r}"),
            "`/r` does not exist"
        );
    }

    #[test]
    fn passwords_are_not_in_the_diff() {
        let host = host();
        let outcome = host.converges("{path: /p, set: {ssl.key.password: hidden, a: 1}}");
        let diff = shown(&outcome);
        assert!(!diff.contains("hidden") && diff.contains("a=1"), "{diff}");
        assert!(host.text("/p").contains("hidden"));
        let outcome = host.converges("{path: /p, set: {ssl.key.password: other}}");
        assert_eq!(shown(&outcome), "/p: only a secret differs");
    }

    #[test]
    fn a_missing_file_and_a_contradiction_are_errors() {
        let host = host();
        assert_eq!(host.fails("{path: /q, set: {a: 1}}"), "`/q` does not exist");
        host.converges("{path: /q, set: {a: 1}, create: yes}");
        assert_eq!(host.text("/q"), "a=1\n");
        assert_eq!(
            host.fails("{path: /p, set: {a: 1}, absent: [a]}"),
            "`a` is both in `set` and in `absent`"
        );
    }
}
