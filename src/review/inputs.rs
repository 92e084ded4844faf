//! Turns what both plans were given (groups, variables as they are written) into what differs there.

use super::{Entry, Part, Section, Side, ends};
use crate::event::{Event, EventKind};
use crate::modules::diff::{Attribute, Content, Diff};
use crate::report::words::counted_hosts;
use crate::value::{HostName, Mapping, Value, display};
use indexmap::{IndexMap, IndexSet};

pub(super) const HOSTS: &str = "Hosts";
pub(super) const VARIABLES: &str = "Variables";

/// What a host is given.
#[derive(Debug, Default)]
pub(super) struct Given {
    groups: Vec<String>,
    vars: Mapping,
}

/// What each host is given, over all plays that reach it.
pub(super) fn given(events: &[Event]) -> IndexMap<HostName, Given> {
    let mut all: IndexMap<HostName, Given> = IndexMap::new();
    for event in events {
        if let EventKind::Inputs { host, groups, vars } = &event.kind {
            let known = all.entry(host.clone()).or_default();
            known.groups.clone_from(groups);
            known.vars.extend(vars.clone());
        }
    }
    all
}

/// Hosts of one revision only, and groups that are others.
pub(super) fn hosts(base: &Side<'_>, head: &Side<'_>) -> Option<Section> {
    let (old, new) = (given(base.events), given(head.events));
    let mut entries = Vec::new();
    let only = |one: &IndexMap<HostName, Given>, other: &IndexMap<HostName, Given>| {
        let hosts = one.keys().filter(|host| !other.contains_key(*host));
        hosts.cloned().collect::<Vec<_>>()
    };
    let mut add = |title: String, hosts: Vec<HostName>, note: &str| {
        if !hosts.is_empty() {
            let part = Part {
                hosts,
                notes: vec![note.to_owned()],
                diffs: Vec::new(),
            };
            entries.push(Entry {
                title,
                place: None,
                parts: vec![part],
            });
        }
    };
    let come = only(&new, &old);
    add(
        format!("new: {}", counted_hosts(&come)),
        come.clone(),
        "no play reached them before; everything there is made anew",
    );
    let go = only(&old, &new);
    add(
        format!("gone: {}", counted_hosts(&go)),
        go.clone(),
        "no play reaches them any more; what was made there stays as it is",
    );
    for (host, given) in &new {
        let Some(was) = old.get(host).filter(|was| was.groups != given.groups) else {
            continue;
        };
        let groups = |one: &Given| Some(Value::String(one.groups.join(", ")));
        let diff = Diff::new(host.to_string()).attribute("groups", groups(was), groups(given));
        entries.push(Entry {
            title: format!("groups of {host}"),
            place: None,
            parts: vec![Part {
                hosts: vec![host.clone()],
                notes: Vec::new(),
                diffs: vec![diff],
            }],
        });
    }
    (!entries.is_empty()).then_some(Section {
        title: HOSTS,
        entries,
    })
}

/// Variables whose value is written otherwise, each once for all hosts that share the change.
pub(super) fn variables(base: &Side<'_>, head: &Side<'_>) -> Option<Section> {
    let (old, new) = (given(base.events), given(head.events));
    let mut found: IndexMap<String, Vec<Part>> = IndexMap::new();
    for (host, now) in &new {
        let Some(was) = old.get(host) else { continue };
        let names: IndexSet<&Value> = was.vars.keys().chain(now.vars.keys()).collect();
        for name in names {
            let (before, after) = (was.vars.get(name), now.vars.get(name));
            if before == after {
                continue;
            }
            let name = display(name);
            let diff = difference(&name, before, after);
            let parts = found.entry(name).or_default();
            match parts.iter_mut().find(|part| part.diffs[0] == diff) {
                Some(part) => part.hosts.push(host.clone()),
                None => parts.push(Part {
                    hosts: vec![host.clone()],
                    notes: Vec::new(),
                    diffs: vec![diff],
                }),
            }
        }
    }
    found.sort_unstable_keys();
    let entries: Vec<Entry> = found
        .into_iter()
        .map(|(title, parts)| Entry {
            title,
            place: None,
            parts,
        })
        .collect();
    (!entries.is_empty()).then_some(Section {
        title: VARIABLES,
        entries,
    })
}

/// The same name with another value: a line where both are short, else their YAML.
pub(super) fn difference(name: &str, before: Option<&Value>, after: Option<&Value>) -> Diff {
    let is_long = |side: Option<&Value>| {
        side.is_some_and(|value| {
            matches!(value, Value::Sequence(_) | Value::Mapping(_))
                || value.as_str().is_some_and(|text| text.contains('\n'))
        })
    };
    let mut diff = Diff::new(name);
    if is_long(before) || is_long(after) {
        let text = |side: Option<&Value>| side.map(ends::shown).unwrap_or_default();
        diff.content = Some(Content::Text {
            before: text(before),
            after: text(after),
        });
        diff.is_new = before.is_none();
        return diff;
    }
    diff.attributes.push(Attribute {
        name: name.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    });
    diff
}
