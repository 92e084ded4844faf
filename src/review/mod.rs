//! Turns two plans of hosts that nobody contacted, one for each of two revisions, into what differs between them.
//!
//! The first plan makes hosts out of nothing, the second is made over what the first one left: what it would change is
//! what the change of the files means. What neither can know (commands, services, packages) is compared by what its
//! tasks ask for.

mod compare;
mod document;
mod ends;
mod html;
mod inputs;
mod markdown;
pub mod revision;
mod roll;
#[cfg(test)]
mod tests;
mod text;

use crate::event::Event;
use crate::modules::diff::Diff;
use crate::report::words::count;
use crate::report::{Format, Paint};
use crate::value::HostName;
use serde::Serialize;

/// What a change of the files means for the hosts.
#[derive(Debug, Default, Serialize)]
pub struct Review {
    /// As the user called them, or `working tree`.
    pub base: String,
    pub head: String,
    pub playbooks: Vec<String>,
    /// Hosts that the plays of the later revision reach.
    pub hosts: Vec<HostName>,
    /// What the reader must know before the rest.
    pub warnings: Vec<String>,
    /// Only those with something in them.
    pub sections: Vec<Section>,
    /// What a patch can carry, host by host.
    #[serde(skip)]
    pub patch: Vec<(HostName, Diff)>,
}

/// One kind of thing that differs.
#[derive(Debug, Serialize)]
pub struct Section {
    pub title: &'static str,
    pub entries: Vec<Entry>,
}

/// One thing that differs: a path, a task, a variable, a play.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub title: String,
    /// Where it is written.
    pub place: Option<String>,
    /// What differs on the same hosts, what most share first.
    pub parts: Vec<Part>,
}

/// What differs in one way on these hosts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Empty: it concerns no host by itself.
    pub hosts: Vec<HostName>,
    pub notes: Vec<String>,
    pub diffs: Vec<Diff>,
}

impl From<crate::report::parts::Part> for Part {
    fn from(part: crate::report::parts::Part) -> Self {
        let around = part.hosts.first().filter(|_| part.differs_around);
        let note = around.map(|host| format!("the lines around the change are those of {host}"));
        Self {
            notes: note.into_iter().collect(),
            hosts: part.hosts,
            diffs: vec![part.diff],
        }
    }
}

/// A plan of one revision, and how it is called.
pub struct Side<'a> {
    pub name: &'a str,
    pub events: &'a [Event],
}

impl Review {
    /// Compares two revisions. `warnings` come first.
    pub fn of(base: &Side<'_>, head: &Side<'_>, warnings: Vec<String>) -> Self {
        compare::compare(base, head, warnings)
    }

    /// Whether the change of the files means nothing to the hosts.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// `2 files, 1 task, 3 variables differ on 3 hosts`
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing differs on any host".into();
        }
        let n = |title: &str| {
            let section = self.sections.iter().find(|one| one.title == title);
            section.map_or(0, |section| section.entries.len())
        };
        let kinds = [
            (n(inputs::HOSTS), "change of hosts"),
            (n(compare::FILES) + n(compare::NEW_HOSTS), "file"),
            (n(compare::TASKS), "task"),
            (n(inputs::VARIABLES), "variable"),
        ];
        let mut words: Vec<String> = kinds
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| count(*n, what))
            .collect();
        if words.is_empty() {
            words.push("only the roll".into());
        }
        let parts = self.sections.iter().flat_map(|one| &one.entries);
        let mut hosts: Vec<&HostName> = parts
            .flat_map(|entry| &entry.parts)
            .flat_map(|part| &part.hosts)
            .collect();
        hosts.sort();
        hosts.dedup();
        match hosts.len() {
            0 => words.join(", "),
            n => format!("{} on {}", words.join(", "), count(n, "host")),
        }
    }

    /// Draws it.
    pub fn draw(&self, format: Format, paint: Paint) -> String {
        match format {
            Format::Text => text::draw(self, paint),
            Format::Markdown => markdown::draw(self),
            Format::Json => document::draw(self),
            Format::Html => html::draw(self),
            Format::Patch => crate::report::patch_of(
                &format!("review {}..{}: {}", self.base, self.head, self.summary()),
                &self.patch,
            ),
        }
    }
}
