//! Turns the events of a plan into a promise, and what is found on a host into leave to change it: as it was shown, or not at all.

use super::fleeting::Fleeting;
use crate::event::{At, Event, Status, TaskName, TaskResult};
use crate::modules::diff::{Attribute, Content, Diff};
use crate::modules::{self, Error, Nature};
use crate::value::{HostName, Value};
use indexmap::IndexMap;
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;

/// Rounds of the hash that stands for what a mask covers: guessing a password from it must cost something.
const ROUNDS: u32 = 60_000;
const HELP: &str = "plan again and review what is shown then: krun plan -o FILE";

/// A task, or an item of its loop, on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    host: HostName,
    at: (String, u32, u32),
    is_handler: bool,
    item: Option<String>,
}

impl Key {
    fn new(host: &HostName, task: &TaskName, item: Option<&str>, fleeting: &Fleeting) -> Self {
        let At { file, line, column } = &task.at;
        Self {
            host: host.clone(),
            at: (file.clone(), *line, *column),
            is_handler: task.is_handler,
            item: item.map(|label| fleeting.text(&settled(label))),
        }
    }
}

/// An item's label without what differs each time that one looks: items may be found files, or results of other tasks.
fn settled(label: &str) -> String {
    const FLEETING: [&str; 9] = [
        "atime", "mtime", "ctime", "inode", "dev", "device", "start", "end", "delta",
    ];
    fn forget(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                map.retain(|key, _| !FLEETING.contains(&key.as_str()));
                map.values_mut().for_each(forget);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(forget),
            _ => {}
        }
    }
    match serde_json::from_str(label) {
        Ok(mut value @ serde_json::Value::Object(_)) => {
            forget(&mut value);
            value.to_string()
        }
        _ => label.to_owned(),
    }
}

/// One end of a task as the plan showed it.
#[derive(Debug, Clone)]
struct Shown {
    title: String,
    status: Status,
    /// Without what differs each time.
    diffs: Vec<Diff>,
    covered: Option<String>,
    /// Not even its arguments could be known.
    is_dark: bool,
    /// A command that ran in the plan, too (`check_mode: false`), and that its conditions call no change.
    has_run: bool,
}

impl Shown {
    fn of(task: &TaskName, result: &TaskResult, fleeting: &Fleeting) -> Self {
        Self {
            title: task.title.clone(),
            status: result.status,
            diffs: fleeting.diffs(&result.diffs),
            covered: result.covered.clone(),
            is_dark: result.is_dark,
            has_run: has_run(task, result),
        }
    }

    fn is_change(&self) -> bool {
        !matches!(self.status, Status::Ok | Status::Skipped)
    }

    /// Whether this is what a plan promised. `found` is without what differs each time.
    fn keeps(&self, found: &TaskResult) -> bool {
        let shows_it = !(self.is_dark && self.diffs.is_empty());
        self.is_change() && shows_it && self.diffs == found.diffs && self.covered == found.covered
    }
}

fn has_run(task: &TaskName, result: &TaskResult) -> bool {
    let is_action = modules::find(&task.module).is_some_and(|it| it.nature == Nature::Action);
    let said = result.data.get("stdout").and_then(Value::as_str);
    let is_left_out = said.is_some_and(|said| said.starts_with("skipped, since"));
    is_action && result.status == Status::Ok && !is_left_out
}

/// Something that is no longer as the plan saw it.
#[derive(Debug, Clone)]
pub struct Drift {
    pub host: HostName,
    pub task: String,
    /// In one line.
    pub text: String,
    /// As the plan saw it → as it is.
    pub diffs: Vec<Diff>,
}

/// What a reviewed plan allows.
#[derive(Debug, Default)]
pub struct Promise {
    shown: IndexMap<Key, Vec<Shown>>,
    /// Makes the hashes of this plan its own.
    pub salt: String,
    /// What the plan could not know may be done as it turns out.
    pub allow_unknown: bool,
    /// Something else would have been done, and was not.
    pub(super) is_broken: bool,
}

impl Promise {
    /// Reads what a plan showed.
    pub fn of(events: &[Event], salt: &str, allow_unknown: bool) -> Self {
        let mut shown: IndexMap<Key, Vec<Shown>> = IndexMap::new();
        let mut fleeting = Fleeting::default();
        for event in events {
            fleeting.hear(&event.kind);
            let Some((host, task, item, result)) = event.kind.result() else {
                continue;
            };
            let key = Key::new(host, task, item, &fleeting);
            let all = shown.entry(key).or_default();
            all.push(Shown::of(task, result, &fleeting));
        }
        Self {
            shown,
            salt: salt.to_owned(),
            allow_unknown,
            is_broken: false,
        }
    }

    /// Whether what a host found may be done there. `found` is as it would be shown.
    pub(super) fn judge(
        &self,
        host: &HostName,
        task: &TaskName,
        item: Option<&str>,
        found: &TaskResult,
        fleeting: &Fleeting,
    ) -> Result<(), Error> {
        let shown = self.shown.get(&Key::new(host, task, item, fleeting));
        let shown = shown.map_or(&[][..], Vec::as_slice);
        let settled = &TaskResult {
            diffs: fleeting.diffs(&found.diffs),
            ..found.clone()
        };
        let runs_again = |one: &Shown| one.has_run && found.diffs.is_empty();
        let is_kept = |one: &Shown| one.keeps(settled) || runs_again(one);
        if shown.iter().any(is_kept) {
            return Ok(());
        }
        let is_open = |one: &&Shown| one.status == Status::Unforeseen;
        let is_unknown = match shown {
            // It stands behind an include or a condition that the plan could not know.
            [] => self.has_unknown(host),
            shown => shown.iter().any(|one| is_open(&one)),
        };
        if is_unknown && self.allow_unknown {
            return Ok(());
        }
        let text = match shown.iter().find(|one| one.is_change()) {
            Some(planned) if !planned.diffs.is_empty() => "this is no longer what the plan showed",
            _ if is_unknown => {
                "this was unknown to the plan, and it would change something that was not shown"
            }
            Some(_) => "this is no longer what the plan showed",
            None => "the plan showed no change here, and now there would be one",
        };
        let mut error = Error::new(text);
        error = if is_unknown {
            error.help(format!("`--allow-unknown` lets it; or {HELP}"))
        } else {
            error.help(HELP)
        };
        if let Some(planned) = shown.iter().find(|one| one.is_change()) {
            error.diffs = drifted(&planned.diffs, &settled.diffs);
        }
        if error.diffs.is_empty() {
            error.diffs.clone_from(&found.diffs);
        }
        Err(error)
    }

    fn has_unknown(&self, host: &HostName) -> bool {
        let of_host = self.shown.iter().filter(|(key, _)| key.host == *host);
        of_host
            .flat_map(|(_, all)| all)
            .any(|one| one.status == Status::Unforeseen)
    }

    /// Hosts for which something was planned.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        let hosts: indexmap::IndexSet<&HostName> = self.shown.keys().map(|key| &key.host).collect();
        hosts.into_iter()
    }

    /// What a second plan shows that this one did not, and what it no longer shows.
    pub fn drifts(&self, now: &Self) -> Vec<Drift> {
        let keys: indexmap::IndexSet<&Key> = self.shown.keys().chain(now.shown.keys()).collect();
        let mut drifts = Vec::new();
        for key in keys {
            let side = |promise: &Self| -> Vec<Shown> {
                let all = promise.shown.get(key).into_iter().flatten();
                all.filter(|one| one.is_change()).cloned().collect()
            };
            let (planned, found) = (side(self), side(now));
            for position in 0..planned.len().max(found.len()) {
                drifts.extend(drift(key, planned.get(position), found.get(position)));
            }
        }
        drifts
    }
}

fn drift(key: &Key, planned: Option<&Shown>, found: Option<&Shown>) -> Option<Drift> {
    let same =
        |a: &Shown, b: &Shown| a.status == b.status && a.diffs == b.diffs && a.covered == b.covered;
    let (text, diffs) = match (planned, found) {
        (Some(planned), Some(found)) if same(planned, found) => return None,
        (Some(planned), Some(found)) if planned.status != found.status => {
            let text = format!("planned: {}; now: {}", word(planned), word(found));
            (text, drifted(&planned.diffs, &found.diffs))
        }
        (Some(planned), Some(found)) if planned.diffs == found.diffs => {
            ("a value that is not shown differs".to_owned(), Vec::new())
        }
        (Some(planned), Some(found)) => {
            let text = "it is no longer as the plan saw it".to_owned();
            (text, drifted(&planned.diffs, &found.diffs))
        }
        (Some(planned), None) => {
            let text = format!("planned: {}; now there is nothing to do", word(planned));
            (text, drifted(&planned.diffs, &[]))
        }
        (None, Some(found)) => {
            let text = format!("the plan showed nothing; now: {}", word(found));
            (text, found.diffs.clone())
        }
        (None, None) => return None,
    };
    let shown = found.or(planned)?;
    Some(Drift {
        host: key.host.clone(),
        task: match &key.item {
            Some(item) => format!("{} ({item})", shown.title),
            None => shown.title.clone(),
        },
        text,
        diffs,
    })
}

fn word(shown: &Shown) -> &'static str {
    match shown.status {
        Status::Changed => "it would change",
        Status::Unforeseen => "unknown",
        Status::Failed | Status::Ignored => "it would fail",
        _ => "nothing to do",
    }
}

/// The same things as the plan saw them and as they are.
fn drifted(planned: &[Diff], found: &[Diff]) -> Vec<Diff> {
    let subjects: indexmap::IndexSet<&str> = planned
        .iter()
        .chain(found)
        .map(|diff| diff.subject.as_str())
        .collect();
    let of = |diffs: &[Diff], subject: &str| {
        let mut diffs = diffs.iter();
        diffs.find(|diff| diff.subject == subject).cloned()
    };
    let compare = |subject: &str| match (of(planned, subject), of(found, subject)) {
        (Some(was), Some(is)) if was == is => None,
        (Some(was), Some(is)) => Some(one_drifted(&was, &is)),
        (Some(was), None) => {
            let reached =
                |one: &Attribute| (one.name.clone(), one.before.clone(), one.after.clone());
            let mut diff = Diff::new(format!("{subject}: as planned → as found"));
            for (name, before, after) in was.attributes.iter().map(reached) {
                diff = diff.attribute(&name, before, after);
            }
            diff.content = was.content;
            Some(diff)
        }
        (None, is) => is,
    };
    subjects.into_iter().filter_map(compare).collect()
}

/// Where what was before differs, that is the drift; else what is wished has become another.
fn one_drifted(was: &Diff, is: &Diff) -> Diff {
    let mut before = between(
        was,
        is,
        |one| &one.before,
        |content| match content {
            Content::Text { before, .. } => Content::Text {
                before: before.clone(),
                after: String::new(),
            },
            opaque @ Content::Opaque { .. } => opaque.clone(),
        },
    );
    before.subject = format!("{}: as planned → as found", was.subject);
    if !before.is_empty() {
        return before;
    }
    let mut after = between(
        was,
        is,
        |one| &one.after,
        |content| match content {
            Content::Text { after, .. } => Content::Text {
                before: after.clone(),
                after: String::new(),
            },
            opaque @ Content::Opaque { .. } => opaque.clone(),
        },
    );
    after.subject = format!("{}: wished as planned → wished now", was.subject);
    after
}

/// One side of two diffs, against each other. `text` puts that side first.
fn between(
    was: &Diff,
    is: &Diff,
    side: fn(&Attribute) -> &Option<Value>,
    text: fn(&Content) -> Content,
) -> Diff {
    let mut diff = Diff::default();
    let names: indexmap::IndexSet<&str> = was
        .attributes
        .iter()
        .chain(&is.attributes)
        .map(|one| one.name.as_str())
        .collect();
    for name in names {
        let of = |one: &Diff| one.attributes.iter().find(|one| one.name == name).cloned();
        let (was, is) = (of(was), of(is));
        // What does not differ from the wish is as wished.
        let wish = was
            .as_ref()
            .or(is.as_ref())
            .and_then(|one| one.after.clone());
        let of = |one: Option<&Attribute>| one.map_or(wish.clone(), |one| side(one).clone());
        diff = diff.attribute(name, of(was.as_ref()), of(is.as_ref()));
    }
    diff.content = match (
        was.content.as_ref().map(text),
        is.content.as_ref().map(text),
    ) {
        (Some(Content::Text { before: was, .. }), Some(Content::Text { before: is, .. }))
            if was != is =>
        {
            Some(Content::Text {
                before: was,
                after: is,
            })
        }
        (Some(Content::Text { before, .. }), None) => Some(Content::Opaque {
            reason: "the content is as wished already".into(),
            before: Some(before.len() as u64),
            after: None,
        }),
        (None, Some(Content::Text { before, .. })) => Some(Content::Opaque {
            reason: "the content was as wished".into(),
            before: None,
            after: Some(before.len() as u64),
        }),
        (
            Some(Content::Opaque {
                reason,
                before: was,
                ..
            }),
            Some(Content::Opaque { before: is, .. }),
        ) if was != is => Some(Content::Opaque {
            reason,
            before: was,
            after: is,
        }),
        _ => None,
    };
    diff
}

/// A hash that stands for diffs whose text may not be kept.
pub(super) fn cover(diffs: &[Diff], salt: &str) -> String {
    let text = serde_json::to_vec(diffs).unwrap_or_default();
    hash(&text, salt)
}

/// A slow hash of something that may not be kept.
pub fn hash(text: &[u8], salt: &str) -> String {
    let mut out = [0; 32];
    pbkdf2_hmac::<Sha256>(text, salt.as_bytes(), ROUNDS, &mut out);
    hex::encode(out)
}
