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
        children: Vec::new(),
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
    reader.link();
}

enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
    /// Behind a broken header nothing can be judged.
    Unknown,
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
    /// Parent, child, and where the child is named: children may be declared later.
    children: Vec<(String, String, Span)>,
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
                let name = text.split([' ', '\t', '#']).next().unwrap_or(text);
                let named = (group.clone(), name.to_string(), line.span_of(name));
                self.children.push(named);
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
                let fault = if fault.help.is_none() {
                    fault.help(help)
                } else {
                    fault
                };
                self.faults.push(fault);
                self.inventory.add_group(&group);
                return Section::Unknown;
            }
        };
        self.inventory.add_group(&group);
        self.declared.push(group);
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

    /// Ties children to parents now that every group of the file is known.
    fn link(self) {
        let Self {
            inventory,
            faults,
            children,
            vars_of,
            declared,
            ..
        } = self;
        let mut declared: Vec<String> = declared;
        declared.extend(inventory.earlier_groups());
        for (parent, child, span) in children {
            if !declared.contains(&child) {
                let fault = span
                    .error(format!(
                        "`[{parent}:children]` names an unknown group `{child}`"
                    ))
                    .did_you_mean(&child, declared.iter().map(String::as_str));
                let fault = match fault.help {
                    None if inventory.hosts.contains_key(child.as_str()) => {
                        fault.help(format!("`{child}` is a host: put it under `[{parent}]`"))
                    }
                    None => fault.help(format!("add a section `[{child}]`")),
                    Some(_) => fault,
                };
                faults.push(fault);
            } else if let Err(cycle) = inventory.add_child(&parent, &child) {
                faults.push(span.error(cycle.to_string()));
            }
        }
        for (group, span) in vars_of {
            if !declared.contains(&group) {
                let fault = span
                    .error(format!("`[{group}:vars]` names an unknown group"))
                    .did_you_mean(&group, declared.iter().map(String::as_str));
                let help = format!("add a section `[{group}]` or `[{group}:children]`");
                let fault = if fault.help.is_none() {
                    fault.help(help)
                } else {
                    fault
                };
                faults.push(fault);
            }
        }
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
