//! Turns an inventory in Ansible's INI form into groups and hosts.

use super::model::Inventory;
use super::{literal, range, words};
use crate::diag::{Diagnostic, Diagnostics, Source, Span};
use crate::value::Value;
use std::sync::Arc;

/// Reads one file into `inventory`; every fault becomes a diagnostic, and reading goes on behind it.
pub(super) fn parse(source: &Arc<Source>, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let mut found = Diagnostics::new();
    read(source, inventory, &mut found);
    // Links between groups are judged last, but a reader goes from top to bottom.
    let mut found: Vec<Diagnostic> = found.iter().cloned().collect();
    found.sort_by_key(|fault| fault.span.as_ref().map(|span| (span.line, span.column)));
    for fault in found {
        faults.push(fault);
    }
}

fn read(source: &Arc<Source>, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let mut reader = Reader {
        source,
        inventory,
        faults,
        section: Section::Hosts("ungrouped".into()),
        waiting: Vec::new(),
        vars_of: Vec::new(),
        declared: Vec::new(),
    };
    for (n, line) in source.text.lines().enumerate() {
        let line = Line {
            source,
            number: u32::try_from(n + 1).unwrap_or(u32::MAX),
            text: line,
        };
        reader.line(&line);
    }
    reader.finish();
}

enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
    /// Behind a broken header nothing can be judged.
    Unknown,
}

/// A line of a `:children` section.
struct Link {
    parent: String,
    child: String,
    span: Span,
}

struct Line<'a> {
    source: &'a Arc<Source>,
    number: u32,
    text: &'a str,
}

impl Line<'_> {
    /// `column` counts from 0, in characters.
    fn span(&self, column: usize, length: usize) -> Span {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span::new(self.source, self.number, small(column) + 1, small(length))
    }

    /// The place of `part`, which must be a piece of this line.
    fn span_of(&self, part: &str) -> Span {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let before = self.text.get(..offset).unwrap_or("");
        self.span(before.chars().count(), part.chars().count())
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    inventory: &'a mut Inventory,
    faults: &'a mut Diagnostics,
    section: Section,
    /// Children that were named before they were declared.
    waiting: Vec<Link>,
    /// Groups with a `:vars` section, which does not declare them.
    vars_of: Vec<(String, Span)>,
    declared: Vec<String>,
}

impl Reader<'_> {
    fn line(&mut self, line: &Line<'_>) {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return;
        }
        if let Some(header) = header(text) {
            self.section = self.header(line, &header);
            return;
        }
        if text.starts_with('[') && (text.ends_with(']') || !text.contains(']')) {
            self.faults.push(broken_header(line, text));
            self.section = Section::Unknown;
            return;
        }
        match &self.section {
            Section::Hosts(group) => {
                let group = group.clone();
                self.host(line, &group);
            }
            Section::Children(group) => {
                let parent = group.clone();
                self.child(line, text, parent);
            }
            Section::Vars(group) => {
                let group = group.clone();
                self.variable(line, text, &group);
            }
            Section::Unknown => {}
        }
    }

    fn header(&mut self, line: &Line<'_>, header: &Header<'_>) -> Section {
        let group = header.group.to_string();
        let section = match header.kind {
            None | Some("hosts") => Section::Hosts(group.clone()),
            Some("children") => Section::Children(group.clone()),
            Some("vars") => {
                self.vars_of
                    .push((group.clone(), line.span_of(header.group)));
                self.inventory.add_group(&group);
                return Section::Vars(group);
            }
            Some(kind) => {
                let fault = line
                    .span_of(kind)
                    .error(format!("unknown kind of section `{kind}`"))
                    .did_you_mean(kind, ["hosts", "children", "vars"]);
                let help = "a section is `[group]`, `[group:children]` or `[group:vars]`";
                self.faults.push(or_help(fault, help));
                self.declare(group);
                return Section::Unknown;
            }
        };
        self.declare(group);
        self.inventory
            .note_group(header.group, line.span_of(header.group));
        section
    }

    fn host(&mut self, line: &Line<'_>, group: &str) {
        let words = match words::split(line.text) {
            Ok(words) => words,
            Err(unclosed) => {
                let span = line.span(unclosed.column, 1);
                self.faults.push(span.error(unclosed.message));
                return;
            }
        };
        let Some((entry, variables)) = words.split_first() else {
            return;
        };
        if entry.text == "---" {
            let span = line.span(entry.column, entry.length);
            let fault = span.error("`---` begins a YAML file, but this is read as INI");
            self.faults.push(fault.help("name the file `.yml`"));
            return;
        }
        let span = line.span(entry.column, entry.length);
        let (names, port) = match range::expand(&entry.text) {
            Ok(expanded) => expanded,
            Err(error) => {
                let span = line.span(entry.column + error.offset, error.length);
                let mut fault = span.error(error.message);
                fault.help = error.help;
                self.faults.push(fault);
                return;
            }
        };
        let variables = self.assignments(line, variables);
        for name in &names {
            self.inventory
                .declare_host(name, group, port, self.source, &span);
            for (key, value, span) in &variables {
                self.inventory
                    .set_host_var(name, key, value.clone(), span.clone());
            }
        }
    }

    fn assignments(
        &mut self,
        line: &Line<'_>,
        words: &[words::Word],
    ) -> Vec<(String, Value, Span)> {
        let mut variables = Vec::new();
        for (n, word) in words.iter().enumerate() {
            let span = line.span(word.column, word.length);
            match word.text.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    let before = key.chars().count() + 1;
                    let length = word.length.saturating_sub(before);
                    let value_span = line.span(word.column + before, length);
                    variables.push((key.to_string(), literal::evaluate(value), value_span));
                }
                _ => {
                    let mut fault = span.error(format!(
                        "expected `key=value` behind the host, found `{}`",
                        word.text
                    ));
                    let is_spaced = word.text.starts_with('=')
                        || words
                            .get(n + 1)
                            .is_some_and(|next| next.text.starts_with('='));
                    if is_spaced {
                        fault = fault.help("no blanks around the `=`");
                    } else if n > 0 {
                        fault = fault.help("quote a value that has blanks: `key=\"a b\"`");
                    } else if word.text.contains(':') {
                        fault = fault.help("write `key=value`, not `key: value`");
                    }
                    self.faults.push(fault);
                    return variables;
                }
            }
        }
        variables
    }

    fn variable(&mut self, line: &Line<'_>, text: &str, group: &str) {
        let Some((key, value)) = text.split_once('=') else {
            let fault = line
                .span_of(text)
                .error(format!("expected `key=value`, found `{text}`"));
            let fault = match text.split_once(':') {
                Some((key, value)) => {
                    fault.help(format!("write `{}={}`", key.trim(), value.trim()))
                }
                None => fault.help(format!("this is in the section `[{group}:vars]`")),
            };
            self.faults.push(fault);
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            self.faults
                .push(line.span_of(text).error("no name in front of the `=`"));
            return;
        }
        let span = line.span_of(value);
        let value = literal::evaluate(value);
        self.inventory
            .set_group_var(group, key, value, span, self.faults);
    }

    fn child(&mut self, line: &Line<'_>, text: &str, parent: String) {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (name, behind) = text.split_at(end);
        let behind = behind.trim_start();
        if !(behind.is_empty() || behind.starts_with('#')) || name.contains([':', ']']) {
            let message = format!("expected the name of a group, found `{text}`");
            self.faults.push(line.span_of(text).error(message));
            return;
        }
        let named = Link {
            parent,
            child: name.into(),
            span: line.span_of(name),
        };
        if self.inventory.groups.contains_key(name) {
            self.tie(&named);
        } else {
            self.waiting.push(named);
        }
    }

    fn tie(&mut self, link: &Link) {
        if let Err(cycle) = self.inventory.add_child(&link.parent, &link.child) {
            self.faults.push(link.span.error(cycle.to_string()));
        }
    }

    /// Adds a group, and ties it to the parents that named it before.
    fn declare(&mut self, group: String) {
        self.inventory.add_group(&group);
        let (ready, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|link| link.child == group);
        self.waiting = waiting;
        let ready: Vec<Link> = ready;
        for link in &ready {
            self.tie(link);
        }
        self.declared.push(group);
    }

    /// Judges the groups that were named and never declared.
    fn finish(mut self) {
        self.declared.extend(self.inventory.earlier_groups());
        let known = || self.declared.iter().map(String::as_str);
        for Link {
            parent,
            child,
            span,
        } in &self.waiting
        {
            let message = format!("`[{parent}:children]` names an unknown group `{child}`");
            let fault = span.error(message).did_you_mean(child, known());
            let help = if self.inventory.hosts.contains_key(child.as_str()) {
                format!("`{child}` is a host: put it under `[{parent}]`")
            } else {
                format!("add a section `[{child}]`")
            };
            self.faults.push(or_help(fault, help));
        }
        for (group, span) in &self.vars_of {
            if !self.declared.contains(group) {
                let message = format!("`[{group}:vars]` names an unknown group");
                let fault = span.error(message).did_you_mean(group, known());
                let help = format!("add a section `[{group}]` or `[{group}:children]`");
                self.faults.push(or_help(fault, help));
            }
        }
    }
}

/// Gives help to a fault that has none.
fn or_help(fault: Diagnostic, help: impl Into<String>) -> Diagnostic {
    if fault.help.is_some() {
        fault
    } else {
        fault.help(help)
    }
}

struct Header<'a> {
    group: &'a str,
    kind: Option<&'a str>,
}

/// `[group]`, `[group:kind]`, with a comment behind it at most.
fn header(text: &str) -> Option<Header<'_>> {
    let (inside, behind) = text.strip_prefix('[')?.split_once(']')?;
    let behind = behind.trim_start();
    if !(behind.is_empty() || behind.starts_with('#')) {
        return None;
    }
    let (group, kind) = match inside.split_once(':') {
        Some((group, kind)) => (group, Some(kind)),
        None => (inside, None),
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let group_ok = !group.is_empty() && !group.contains(char::is_whitespace);
    let kind_ok = kind.is_none_or(|kind| !kind.is_empty() && kind.chars().all(is_word));
    (group_ok && kind_ok).then_some(Header { group, kind })
}

fn broken_header(line: &Line<'_>, text: &str) -> Diagnostic {
    let fault = line
        .span_of(text)
        .error(format!("broken section header `{text}`"));
    let Some(inside) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
        return fault.help("close it with `]`");
    };
    if inside.trim().is_empty() {
        return fault.help("write the group's name between the brackets");
    }
    let compact: String = inside.split_whitespace().collect();
    let has_colon_blanks = inside.split(':').any(|part| part.trim() != part);
    if has_colon_blanks {
        return fault.help(format!(
            "write `[{compact}]`: no blanks in a section header"
        ));
    }
    let joined = inside.split_whitespace().collect::<Vec<_>>().join("_");
    fault.help(format!("a group's name has no blanks: `[{joined}]`"))
}
