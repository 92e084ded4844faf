//! Compares the ends of two plans: what differs on hosts, what tasks ask for, what is gone.

use super::ends::{End, Key, ends};
use super::{Entry, Part, Review, Section, Side, inputs, roll};
use crate::event::{Event, EventKind, Status};
use crate::modules::diff::{Content, Diff};
use crate::report::Story;
use crate::report::parts::parts;
use crate::value::{HostName, Mapping, Value, display};
use indexmap::{IndexMap, IndexSet};

pub(super) const FILES: &str = "Files and links";
pub(super) const NEW_HOSTS: &str = "Files of new hosts";
pub(super) const TASKS: &str = "Tasks";

pub(super) fn compare(base: &Side<'_>, head: &Side<'_>, mut warnings: Vec<String>) -> Review {
    let (old, new) = (ends(base.events), ends(head.events));
    let known = inputs::given(base.events);
    let is_new = |host: &HostName| !known.contains_key(host);
    let story = Story::of(head.events);
    let hosts: Vec<HostName> = inputs::given(head.events).into_keys().collect();
    warnings.extend(failures(base));
    warnings.extend(failures(head));
    let mut differing: IndexSet<&str> = IndexSet::new();
    let tasks = tasks(&old, &new, &is_new, &mut differing);
    let mut patch = Vec::new();
    let earlier = Story::of(base.events);
    for host in &hosts {
        let was = earlier.end_state(host);
        let found = story.end_state(host).into_values();
        let found = found.map(|diff| match was.get(&diff.subject) {
            Some(was) if diff.is_new => against(was, diff),
            _ => diff,
        });
        patch.extend(
            found
                .filter(|diff| !diff.is_empty())
                .map(|diff| (host.clone(), diff)),
        );
    }
    let of = |title: &'static str, wanted: bool| {
        let mut by_subject: IndexMap<&str, Vec<(HostName, Diff)>> = IndexMap::new();
        for (host, diff) in patch.iter().filter(|(host, _)| is_new(host) == wanted) {
            let found = by_subject.entry(&diff.subject).or_default();
            found.push((host.clone(), diff.clone()));
        }
        let entries: Vec<Entry> = by_subject
            .iter()
            .map(|(subject, diffs)| Entry {
                title: (*subject).to_owned(),
                place: diffs[0].1.source.clone(),
                parts: parts(diffs).into_iter().map(Part::from).collect(),
            })
            .collect();
        (!entries.is_empty()).then_some(Section { title, entries })
    };
    let changed = new
        .iter()
        .filter(|(_, end)| end.result.status == Status::Changed && !end.result.diffs.is_empty());
    differing.extend(changed.map(|(_, end)| end.task.title.as_str()));
    let running: Vec<(&HostName, &End<'_>)> = new
        .iter()
        .filter(|(_, end)| end.runs() && happens(end, &differing))
        .map(|(key, end)| (&key.host, end))
        .collect();
    let mut sections: Vec<Section> = [
        inputs::hosts(base, head),
        of(FILES, false),
        tasks,
        inputs::variables(base, head),
        of(NEW_HOSTS, true),
    ]
    .into_iter()
    .flatten()
    .collect();
    let roll = roll::roll(base.events, head.events, &running);
    // A roll that does what it always did is news only beside something that differs.
    let rolls_otherwise = roll.as_ref().is_some_and(|roll| {
        let notes = roll.entries.iter().flat_map(|entry| &entry.parts[0].notes);
        notes.into_iter().any(|note| note.contains("(was: "))
    });
    if let Some(roll) = roll.filter(|_| !sections.is_empty() || rolls_otherwise) {
        sections.insert(0, roll);
    }
    Review {
        base: base.name.to_owned(),
        head: head.name.to_owned(),
        playbooks: story.playbooks.clone(),
        hosts,
        warnings,
        sections,
        patch,
    }
}

/// What is new at a path where something else was before: behind a link that leads to another tree, say.
fn against(was: &Diff, mut diff: Diff) -> Diff {
    let (Some(Content::Text { after: before, .. }), Some(Content::Text { after, .. })) =
        (&was.content, &diff.content)
    else {
        return diff;
    };
    diff.content = (before != after).then(|| Content::Text {
        before: before.clone(),
        after: after.clone(),
    });
    diff.is_new = false;
    for attribute in &mut diff.attributes {
        let known = was.attributes.iter().find(|one| one.name == attribute.name);
        attribute.before = known
            .and_then(|one| one.after.clone())
            .or(attribute.before.take());
    }
    diff.attributes.retain(|one| one.before != one.after);
    diff
}

/// A handler that is only perhaps notified counts where what notifies it differs.
fn happens(end: &End<'_>, differing: &IndexSet<&str>) -> bool {
    match end.perhaps_notified_by() {
        Some(title) => differing.contains(title),
        None => true,
    }
}

/// Tasks that would fail, and plays that end there: what stands behind them was not compared.
fn failures(side: &Side<'_>) -> Vec<String> {
    let mut found: IndexMap<String, Vec<HostName>> = IndexMap::new();
    for Event { kind, .. } in side.events {
        match kind {
            EventKind::TaskEnded { host, task, result } if result.status == Status::Failed => {
                let why = result.msg.as_deref().unwrap_or("it fails");
                let text = format!("at {}, `{}` would fail: {why}", side.name, task.title);
                found.entry(text).or_default().push(host.clone());
            }
            EventKind::HostUnreachable { host, message, .. } => {
                let text = format!("at {}: {message}", side.name);
                found.entry(text).or_default().push(host.clone());
            }
            _ => {}
        }
    }
    let texts = found.into_iter().map(|(text, hosts)| {
        let hosts = crate::report::words::counted_hosts(&hosts);
        format!("{text} ({hosts}); what stands behind it there was not compared")
    });
    texts.collect()
}

/// What one task differs in on one host.
struct Difference<'a> {
    end: &'a End<'a>,
    host: &'a HostName,
    note: Option<String>,
    diffs: Vec<Diff>,
}

/// Tasks that ask for something else, are new, or are gone.
fn tasks<'a>(
    old: &'a IndexMap<Key, End<'a>>,
    new: &'a IndexMap<Key, End<'a>>,
    is_new: &impl Fn(&HostName) -> bool,
    differing: &mut IndexSet<&'a str>,
) -> Option<Section> {
    let mut found: Vec<Difference<'a>> = Vec::new();
    for (key, end) in new.iter().filter(|(key, _)| !is_new(&key.host)) {
        let difference = match old.get(key) {
            Some(was) => changed(key, was, end),
            None => added(key, end),
        };
        found.extend(difference);
    }
    differing.extend(found.iter().map(|one| one.end.task.title.as_str()));
    let reached: IndexSet<&HostName> = new.keys().map(|key| &key.host).collect();
    for (key, end) in old {
        let is_gone = !new.contains_key(key) && reached.contains(&key.host);
        if is_gone && end.runs() && !end.task.is_handler && asks(end) {
            found.push(Difference {
                end,
                host: &key.host,
                note: Some(left_behind(end)),
                diffs: Vec::new(),
            });
        }
    }
    let mut entries: IndexMap<(String, String), Vec<Part>> = IndexMap::new();
    for one in found {
        let name = (one.end.called(), one.end.place());
        let parts = entries.entry(name).or_default();
        let notes: Vec<String> = one.note.into_iter().collect();
        let same = |part: &&mut Part| part.notes == notes && part.diffs == one.diffs;
        match parts.iter_mut().find(same) {
            Some(part) => part.hosts.push(one.host.clone()),
            None => parts.push(Part {
                hosts: vec![one.host.clone()],
                notes,
                diffs: one.diffs,
            }),
        }
    }
    let entries: Vec<Entry> = entries
        .into_iter()
        .map(|((title, place), parts)| Entry {
            title,
            place: Some(place),
            parts,
        })
        .collect();
    (!entries.is_empty()).then_some(Section {
        title: TASKS,
        entries,
    })
}

/// Whether there is anything to compare it by, beyond what it only looks at.
fn asks(end: &End<'_>) -> bool {
    let module = end.task.module.rsplit('.').next().unwrap_or_default();
    let looks = crate::modules::find(module)
        .is_some_and(|entry| entry.nature == crate::modules::Nature::Look);
    !looks && (end.result.wish.is_some() || end.result.status == Status::Unforeseen)
}

/// A task that both have. Files that are known show their own diffs; all else is compared by what it asks for.
fn changed<'a>(key: &'a Key, was: &End<'a>, end: &'a End<'a>) -> Option<Difference<'a>> {
    let difference = |note: Option<String>, diffs: Vec<Diff>| {
        Some(Difference {
            end,
            host: &key.host,
            note,
            diffs,
        })
    };
    match (was.runs(), end.runs()) {
        (true, false) if asks(was) => return difference(Some("no longer runs".into()), Vec::new()),
        (_, false) => return None,
        (false, true) if asks(end) && !is_shown(end) => {
            return difference(Some("runs now".into()), asked(None, end));
        }
        _ => {}
    }
    if is_shown(end) || end.task.is_handler && was.result.wish == end.result.wish {
        return None;
    }
    match (&was.result.wish, &end.result.wish) {
        (Some(before), Some(after)) if before != after => {
            let diffs = asked(Some(before), end);
            // What it was made from and is called is no difference on a host.
            (!diffs.is_empty())
                .then(|| difference(perhaps(end), diffs))
                .flatten()
        }
        (None, Some(_)) | (Some(_), None) => difference(
            Some("what it asks for was known on one side only".into()),
            asked(None, end),
        ),
        _ => None,
    }
}

fn added<'a>(key: &'a Key, end: &'a End<'a>) -> Option<Difference<'a>> {
    if !end.runs() || !asks(end) || is_shown(end) || end.result.status == Status::Ok {
        return None;
    }
    let note = match perhaps(end) {
        Some(perhaps) => format!("new: {perhaps}"),
        None => "new".into(),
    };
    Some(Difference {
        end,
        host: &key.host,
        note: Some(note),
        diffs: asked(None, end),
    })
}

/// Its effect stands among the files.
fn is_shown(end: &End<'_>) -> bool {
    end.result.status == Status::Changed || end.result.status == Status::Ok
}

/// Why nobody can say whether it runs, or what it does.
fn perhaps(end: &End<'_>) -> Option<String> {
    let why = end.result.msg.clone().filter(|_| end.is_perhaps())?;
    Some(format!("perhaps: {why}"))
}

/// What a task asks for, against what it asked for.
fn asked(before: Option<&Mapping>, end: &End<'_>) -> Vec<Diff> {
    let nothing = Mapping::new();
    let (before, after) = (
        before.unwrap_or(&nothing),
        end.result.wish.as_ref().unwrap_or(&nothing),
    );
    let names: IndexSet<&Value> = before.keys().chain(after.keys()).collect();
    let mut diff = Diff::new(end.task.module.clone());
    let mut texts = Vec::new();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        if was == is {
            continue;
        }
        let name = display(name);
        let one = inputs::difference(argument(&name, after), was, is);
        if one.content.is_some() {
            texts.push(one);
        } else {
            diff.attributes.extend(one.attributes);
        }
    }
    let mut all: Vec<Diff> = (!diff.is_empty()).then_some(diff).into_iter().collect();
    all.extend(texts);
    all
}

/// How an argument is called: a text by where it goes.
fn argument<'a>(name: &'a str, wish: &'a Mapping) -> &'a str {
    let place = || {
        let known = ["dest", "path"].iter().find_map(|name| wish.get(*name));
        known.and_then(Value::as_str)
    };
    match name {
        "_raw_params" => "command",
        "content" => place().unwrap_or(name),
        name => name,
    }
}

/// What a task that is gone leaves on its host.
fn left_behind(end: &End<'_>) -> String {
    let subjects: Vec<&str> = end
        .result
        .diffs
        .iter()
        .map(|diff| diff.subject.as_str())
        .collect();
    if subjects.is_empty() {
        "gone: what it did stays as it is".into()
    } else {
        format!("gone: {} stays as it is", subjects.join(", "))
    }
}
