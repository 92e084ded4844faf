//! Turns the events of a plan into the ends of its tasks, each found again in another plan by host, name and turn.

use crate::event::{Event, EventKind, Status, TaskName, TaskResult};
use crate::value::{HostName, Value};
use indexmap::IndexMap;

/// What makes the same end in two plans: the host, the task as it is called, the item, and how many were alike before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) host: HostName,
    title: String,
    module: String,
    item: Option<String>,
    nth: usize,
}

/// How a task or item of a loop ended on one host.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) task: &'a TaskName,
    pub(super) item: Option<&'a str>,
    pub(super) result: &'a TaskResult,
    /// The name of its play.
    pub(super) play: &'a str,
}

/// All ends, in their order.
pub(super) fn ends(events: &[Event]) -> IndexMap<Key, End<'_>> {
    let mut all = IndexMap::new();
    let mut in_play = "";
    for event in events {
        if let EventKind::PlayStarted { name, .. } = &event.kind {
            in_play = name;
        }
        let Some((host, task, item, result)) = event.kind.result() else {
            continue;
        };
        let mut key = Key {
            host: host.clone(),
            title: task.title.clone(),
            module: task.module.clone(),
            item: item.map(str::to_owned),
            nth: 0,
        };
        while all.contains_key(&key) {
            key.nth += 1;
        }
        let play = in_play;
        let end = End {
            task,
            item,
            result,
            play,
        };
        all.insert(key, end);
    }
    all
}

impl End<'_> {
    /// Its turn came, or may come.
    pub(super) fn runs(&self) -> bool {
        self.result.status != Status::Skipped
    }

    /// Nobody can say whether it runs.
    pub(super) fn is_perhaps(&self) -> bool {
        self.result.status == Status::Unforeseen
            && self.result.msg.as_deref().is_some_and(|msg| {
                msg.starts_with("whether it runs") || msg.contains("notifies it, perhaps")
            })
    }

    /// The task that perhaps notifies this handler.
    pub(super) fn perhaps_notified_by(&self) -> Option<&str> {
        let (before, _) = self
            .result
            .msg
            .as_deref()?
            .split_once("` notifies it, perhaps")?;
        before.rsplit_once('`').map(|(_, title)| title)
    }

    /// An argument of the task, as text.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.result.wish.as_ref()?.get(name)?.as_str()
    }

    /// `title (item)`
    pub(super) fn called(&self) -> String {
        let handler = if self.task.is_handler { "handler " } else { "" };
        match self.item {
            Some(item) => format!("{handler}{} ({item})", self.task.title),
            None => format!("{handler}{}", self.task.title),
        }
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.task.at.file, self.task.at.line)
    }

    /// The unit that it stops, starts or restarts, and which of them.
    pub(super) fn service(&self) -> Option<(&str, &str)> {
        let short = self.task.module.rsplit('.').next()?;
        if !matches!(short, "systemd" | "systemd_service" | "service") {
            return None;
        }
        let state = self.asked("state")?;
        let name = self.asked("name").or_else(|| self.asked("unit"))?;
        Some((name, state))
    }
}

/// A value of a wish, for an attribute: long ones as YAML.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Sequence(_) | Value::Mapping(_) => serde_yaml::to_string(value).unwrap_or_default(),
        other => crate::value::display(other),
    }
}
