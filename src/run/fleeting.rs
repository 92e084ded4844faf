//! Turns diffs and labels into what can be compared from one look to the next: without times, and without names that are made up as they are needed.

use crate::event::EventKind;
use crate::modules::diff::{Content, Diff};
use crate::value::{HostName, Value};
use indexmap::IndexMap;
use std::collections::HashMap;

/// The names that tasks made up, each with words that are the same in every run.
#[derive(Debug, Default)]
pub(super) struct Fleeting {
    names: IndexMap<String, String>,
    /// How many names a place of the playbook has made up on a host.
    counts: HashMap<(HostName, String), usize>,
}

impl Fleeting {
    /// Learns the names that a result tells: of temporary files, and of backups.
    pub(super) fn hear(&mut self, kind: &EventKind) {
        let Some((host, task, _, result)) = kind.result() else {
            return;
        };
        let keys = match task.module.as_str() {
            "tempfile" => &["path"][..],
            _ => &["backup", "backup_file"],
        };
        let mut made = keys.iter().filter_map(|key| result.data.get(key)?.as_str());
        let Some(path) = made.find(|path| !path.is_empty()) else {
            return;
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let place = format!("{}:{}", task.at.file, task.at.line);
        let count = self.counts.entry((host.clone(), place.clone()));
        let count = count.and_modify(|count| *count += 1).or_insert(1);
        let words = format!("(name {count} that {place} makes up)");
        self.names.entry(name.to_owned()).or_insert(words);
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, words) in &self.names {
            if text.contains(name) {
                text = text.replace(name, words);
            }
        }
        text
    }

    pub(super) fn diffs(&self, diffs: &[Diff]) -> Vec<Diff> {
        diffs.iter().map(|diff| self.diff(diff)).collect()
    }

    fn diff(&self, diff: &Diff) -> Diff {
        let mut diff = diff.clone();
        diff.subject = self.text(&diff.subject);
        diff.source = diff.source.map(|source| self.text(&source));
        if let Some(Content::Text { before, after }) = &mut diff.content {
            *before = self.text(before);
            *after = self.text(after);
        }
        for one in &mut diff.attributes {
            let is_time = matches!(one.name.as_str(), "atime" | "mtime");
            for side in [&mut one.before, &mut one.after] {
                *side = side.take().filter(|_| !is_time).map(|it| self.value(it));
            }
        }
        diff
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Sequence(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Mapping(map) => {
                let all = map.into_iter();
                Value::Mapping(all.map(|(key, value)| (key, self.value(value))).collect())
            }
            other => other,
        }
    }
}
