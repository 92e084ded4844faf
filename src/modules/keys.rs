//! Turns the two texts of a `.properties`, JSON, YAML or INI file into the list of keys that differ.

use super::diff::{Content, Diff};
use crate::kafka::properties;
use crate::value::{Value, display};
use indexmap::IndexMap;
use serde::Serialize;
use std::path::Path;

/// Keys above this many are not listed: the diff itself is then easier to read.
const MAX_KEYS: usize = 60;

/// A key whose value differs, comes or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// `log.dirs`; `a.b[0]` in JSON and YAML; `[Service] User` in INI.
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

type Keys = IndexMap<String, String>;

/// Returns the keys that differ, in the order of the new text; `None` for a new file, another format, or a text that
/// cannot be read as what its name says.
pub fn changed(diff: &Diff) -> Option<Vec<KeyChange>> {
    let Some(Content::Text { before, after }) = &diff.content else {
        return None;
    };
    if diff.is_new || before.is_empty() || before == after {
        return None;
    }
    let path = Path::new(&diff.subject);
    let read = reader(path.extension()?.to_str()?)?;
    let (old, new) = (read(before)?, read(after)?);
    let keys = new
        .keys()
        .chain(old.keys().filter(|key| !new.contains_key(*key)));
    let changes: Vec<KeyChange> = keys
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| KeyChange {
            key: key.clone(),
            before: old.get(key).cloned(),
            after: new.get(key).cloned(),
        })
        .collect();
    (changes.len() <= MAX_KEYS).then_some(changes)
}

fn reader(extension: &str) -> Option<fn(&str) -> Option<Keys>> {
    Some(match extension {
        "properties" => |text| Some(properties::parse(text)),
        "json" => |text| {
            let value = serde_json::from_str::<Value>(&quoted(text)).ok()?;
            Some(flat(&value))
        },
        "yml" | "yaml" => |text| {
            let value = serde_yaml::from_str::<Value>(&quoted(text)).ok()?;
            Some(flat(&value))
        },
        "ini" | "service" | "timer" | "socket" | "mount" | "target" => |text| Some(ini(text)),
        // `zoo.cfg` and its like are properties unless sections say otherwise.
        "cfg" | "conf" | "cnf" => |text| {
            let has_sections = text.lines().any(|line| line.trim_start().starts_with('['));
            Some(if has_sections {
                ini(text)
            } else {
                properties::parse(text)
            })
        },
        _ => return None,
    })
}

/// A covered secret is `***`, which neither JSON nor YAML can read bare.
fn quoted(text: &str) -> String {
    text.replace("\"***\"", "***").replace("***", "\"***\"")
}

/// Every leaf by its path.
fn flat(value: &Value) -> Keys {
    fn walk(path: String, value: &Value, keys: &mut Keys) {
        match value {
            Value::Mapping(map) if !map.is_empty() => {
                for (key, value) in map {
                    let key = display(key);
                    let path = if path.is_empty() {
                        key
                    } else {
                        format!("{path}.{key}")
                    };
                    walk(path, value, keys);
                }
            }
            Value::Sequence(items) if !items.is_empty() => {
                for (index, value) in items.iter().enumerate() {
                    walk(format!("{path}[{index}]"), value, keys);
                }
            }
            leaf => {
                // The values as they are written: `true`, not `True`; `null`, not nothing.
                let text = match leaf {
                    Value::String(text) => text.clone(),
                    other => serde_json::to_string(other).unwrap_or_default(),
                };
                keys.insert(path, text);
            }
        }
    }
    let mut keys = Keys::new();
    walk(String::new(), value, &mut keys);
    keys
}

/// Sections of `key = value`; a key that stands twice, as systemd allows, has both values.
fn ini(text: &str) -> Keys {
    let mut keys = Keys::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("[{name}] ");
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let value = value.trim();
        keys.entry(format!("{section}{}", key.trim()))
            .and_modify(|all| {
                all.push_str(" | ");
                all.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str, before: &str, after: &str) -> String {
        let diff = Diff::new(path).bytes(Some(before.as_bytes()), Some(after.as_bytes()));
        let Some(changes) = changed(&diff) else {
            return "none".into();
        };
        let lines = changes.into_iter().map(|change| {
            let side = |side: Option<String>| side.unwrap_or_else(|| "-".into());
            format!(
                "{}: {} → {}\n",
                change.key,
                side(change.before),
                side(change.after)
            )
        });
        lines.collect()
    }

    #[test]
    fn each_format_lists_its_keys() {
        insta::assert_snapshot!(shown("/a.properties", "# x\na=1\nb=2\n", "b=3\nc : 4\n"), @r"
        b: 2 → 3
        c: - → 4
        a: 1 → -
        ");
        insta::assert_snapshot!(shown("/a.json", r#"{"a": {"b": [1, 2]}, "c": true}"#, r#"{"a": {"b": [1, 3]}}"#), @r"
        a.b[1]: 2 → 3
        c: true → -
        ");
        insta::assert_snapshot!(shown("/a.yml", "a:\n  b: x\npassword: ***\n", "a:\n  b: y\npassword: ***\n"), @"a.b: x → y");
        insta::assert_snapshot!(shown("/a.service", "[Service]\nUser=a\nEnvironment=X=1\nEnvironment=Y=2\n", "[Service]\nUser=b\nEnvironment=X=1\n"), @r"
        [Service] User: a → b
        [Service] Environment: X=1 | Y=2 → X=1
        ");
    }

    #[test]
    fn what_cannot_be_read_has_no_keys() {
        assert_eq!(shown("/a.json", "{", "{}"), "none");
        assert_eq!(shown("/a.txt", "a=1", "a=2"), "none");
        assert_eq!(shown("/zoo.cfg", "a=1", "a=2"), "a: 1 → 2\n");
    }
}
