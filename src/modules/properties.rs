//! `properties`: turns a Java properties file into one that has certain keys, comments and order kept.

use super::args::{Arg, ArgKind};
use super::attributes::{Wish, with_common};
use super::edit::{self, Asked, Edit, Original};
use super::{Error, Found, Module, Nature, Outcome};
use crate::kafka::properties;
use crate::sys::Sys;
use crate::value::{Mapping, Value, display};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Properties {
    path: PathBuf,
    #[serde(default)]
    set: Mapping,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    backup: bool,
    #[serde(default)]
    validate: Option<String>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    group: Option<String>,
}

impl Module for Properties {
    const NAME: &'static str = "properties";
    const NATURE: Nature = Nature::State;
    const HOST_ONLY: bool = true;
    const ARGS: &'static [Arg] = &with_common::<_, 16>([
        Arg::new("path", ArgKind::Path, "the file")
            .required()
            .aliases(&["dest", "name"]),
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
            "create",
            ArgKind::Bool,
            "make the file if it is not there (default no)",
        ),
        Arg::new(
            "backup",
            ArgKind::Bool,
            "keep a copy of the file as it was (default no)",
        ),
        Arg::new(
            "validate",
            ArgKind::Str,
            "a command that must succeed first; `%s` is the new file",
        ),
    ]);
    const DOC: &'static str = "Sees to keys of a Java properties file, read as a JVM reads it. Comments, order and all other lines stay.\n\n    - properties:\n        path: /usr/local/kafka/config/server.properties\n        set:\n          inter.broker.protocol.version: '2.1'\n          auto.create.topics.enable: false\n        absent: [log.message.format.version]\n        marker: added for the upgrade\n";
    type Change = Edit;

    fn check(&self, sys: &Sys) -> Result<Found<Edit>, Error> {
        let original = Original::read(sys, &self.path, self.create)?;
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
        let new = properties::edit(&original.text, &wishes, marker.as_deref());
        let before = properties::parse(&original.text);
        let keys: Vec<Value> = wishes
            .iter()
            .filter(|(key, value)| before.get(*key) != value.as_ref())
            .map(|(key, _)| key.as_str().into())
            .collect();
        let asked = Asked {
            wish: Wish::new(
                sys,
                self.mode.as_deref(),
                self.owner.as_deref(),
                self.group.as_deref(),
            )?,
            backup: self.backup,
            validate: self.validate.as_deref(),
        };
        let found = original.becomes(sys, &new, &asked)?;
        Ok(edit::map_outcome(found, |outcome| {
            outcome.with("keys", keys.clone())
        }))
    }

    fn apply(&self, sys: &Sys, edit: Edit) -> Result<Outcome, Error> {
        edit.make(sys)
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
