//! Turns the text of an INI file into the text with an option set or taken out, as Ansible does it line by line.

use super::IniFile;
use crate::modules::edit;
use crate::modules::group::Presence;
use crate::value::display;
use std::ops::Range;

/// Returns the new text, `None` if nothing is to be done, and what was done in words.
pub(super) fn changed(text: &str, wish: &IniFile) -> (Option<String>, &'static str) {
    let mut lines = edit::lines(text.trim_start_matches('\u{feff}'));
    let mut ends_open = false;
    match lines.last_mut() {
        // As Ansible has it: a new file begins with an empty line.
        None => lines.push("\n".into()),
        Some(last) if !last.ends_with('\n') => {
            last.push('\n');
            ends_open = true;
        }
        Some(_) => {}
    }
    let place = section(&lines, wish);
    let is_present = wish.state == Presence::Present;
    let msg = match place {
        Some(place) => {
            let within = lines[place.clone()].to_vec();
            let head = usize::from(wish.has_section());
            let mut part = Part {
                wish,
                is_done: vec![false; within.len()],
                lines: within,
                head,
                msg: None,
            };
            if is_present {
                part.set();
            } else {
                part.unset();
            }
            lines.splice(place, part.lines);
            part.msg
        }
        None if is_present => Some(add_section(&mut lines, wish)),
        None => None,
    };
    let text = (msg.is_some() || ends_open).then(|| lines.concat());
    (text, msg.unwrap_or("OK"))
}

impl IniFile {
    fn has_section(&self) -> bool {
        self.section.as_ref().is_some_and(|name| !name.is_empty())
    }
}

/// Returns the lines of the section that is meant, its head the first of them; without a section, all before the first.
fn section(lines: &[String], wish: &IniFile) -> Option<Range<usize>> {
    let fits = |place: &Range<usize>| {
        wish.section_has.iter().all(|has| {
            let (option, value) = (display(&has.option), display(&has.value));
            let mut found = lines[place.clone()]
                .iter()
                .filter_map(|line| Said::parse(&option, line));
            found.any(|said| said.value == value)
        })
    };
    let head = wish
        .section
        .as_ref()
        .filter(|name| !name.is_empty())
        .map(|name| format!("[{name}]"));
    let end_of = |from: usize| {
        let rest = lines[from..].iter();
        let next = rest.take_while(|line| !line.starts_with('[')).count();
        from + next
    };
    let Some(head) = head else {
        return Some(0..end_of(0)).filter(fits);
    };
    let heads = lines.iter().enumerate();
    let mut heads = heads.filter(|(_, line)| line.starts_with(&head));
    heads.find_map(|(at, _)| Some(at..end_of(at + 1)).filter(fits))
}

fn add_section(lines: &mut Vec<String>, wish: &IniFile) -> &'static str {
    if let Some(name) = &wish.section {
        lines.push(format!("[{name}]\n"));
    }
    for has in &wish.section_has {
        lines.push(wish.line(&display(&has.option), Some(&display(&has.value))));
    }
    let values = wish.values();
    match &wish.option {
        Some(option) if !values.is_empty() => {
            lines.extend(values.iter().map(|value| wish.line(option, Some(value))));
            "section and option added"
        }
        Some(option) => {
            lines.push(wish.line(option, None));
            "section and option added"
        }
        None => "only section added",
    }
}

/// A line that says an option.
struct Said<'a> {
    value: &'a str,
    is_comment: bool,
}

impl<'a> Said<'a> {
    fn parse(option: &str, line: &'a str) -> Option<Self> {
        let line = line.trim_end_matches('\n');
        let text = line.strip_prefix(['#', ';']).unwrap_or(line);
        let blank = [' ', '\t'];
        let rest = text.trim_start_matches(blank).strip_prefix(option)?;
        let rest = rest.trim_start_matches(blank);
        let value = match rest.strip_prefix('=') {
            Some(value) => value.trim_start_matches(blank),
            None if rest.is_empty() => "",
            None => return None,
        };
        Some(Self {
            value,
            is_comment: text.len() != line.len(),
        })
    }
}

/// The lines of the section under work.
struct Part<'a> {
    wish: &'a IniFile,
    lines: Vec<String>,
    /// Which of the lines say what is wished.
    is_done: Vec<bool>,
    /// How many lines are the section's head.
    head: usize,
    msg: Option<&'static str>,
}

impl Part<'_> {
    fn set(&mut self) {
        let Some(option) = &self.wish.option else {
            return;
        };
        let mut values = self.wish.values();
        let may_be_bare = self.wish.allow_no_value;
        let mut is_bare_there = false;
        for at in 0..self.lines.len() {
            let Some(value) = self.value(option, at) else {
                continue;
            };
            if let Some(position) = values.iter().position(|wished| *wished == value) {
                values.remove(position);
                let bare = value.is_empty() && may_be_bare;
                is_bare_there |= bare;
                self.put(at, self.wish.line(option, (!bare).then_some(&value)));
            } else if values.is_empty() && may_be_bare {
                is_bare_there = true;
                self.put(at, self.wish.line(option, None));
                break;
            }
        }
        if self.wish.exclusive && !may_be_bare {
            for at in 0..self.lines.len() {
                if !values.is_empty() && !self.is_done[at] && self.value(option, at).is_some() {
                    let value = values.remove(0);
                    self.put(at, self.wish.line(option, Some(&value)));
                }
            }
            for at in (self.head..self.lines.len()).rev() {
                if !self.is_done[at] && self.value(option, at).is_some() {
                    self.lines.remove(at);
                    self.is_done.remove(at);
                    self.msg = Some("option changed");
                }
            }
        }
        let added: Vec<String> = if !values.is_empty() {
            let line = |value: &String| self.wish.line(option, Some(value));
            values.iter().map(line).collect()
        } else if may_be_bare && self.wish.values().is_empty() && !is_bare_there {
            vec![self.wish.line(option, None)]
        } else {
            return;
        };
        let says = |line: &String| {
            let line = line.trim_start_matches([' ', '\t']).trim_end_matches('\n');
            !line.is_empty() && !line.starts_with(['#', ';'])
        };
        let last = self.lines.iter().rposition(says);
        let at = last.map_or(self.head, |last| last + 1);
        self.lines.splice(at..at, added);
        self.msg = Some("option added");
    }

    fn unset(&mut self) {
        let Some(option) = &self.wish.option else {
            self.lines.clear();
            self.msg = Some("section removed");
            return;
        };
        let (values, n_before) = (self.wish.values(), self.lines.len());
        let exclusive = self.wish.exclusive;
        let head = self.head;
        let mut at = 0;
        self.lines.retain(|line| {
            at += 1;
            let found = Said::parse(option, line).filter(|found| !found.is_comment);
            let goes = found
                .is_some_and(|found| exclusive || values.iter().any(|value| value == found.value));
            at <= head || !goes
        });
        if self.lines.len() != n_before {
            self.msg = Some("option changed");
        }
    }

    fn value(&self, option: &str, at: usize) -> Option<String> {
        if at < self.head {
            return None;
        }
        let found = Said::parse(option, &self.lines[at])?;
        Some(found.value.to_owned())
    }

    /// Puts the line into its place, unless it says the same already.
    fn put(&mut self, at: usize, line: String) {
        self.is_done[at] = true;
        let option = self.wish.option.as_deref().unwrap_or_default();
        let old = Said::parse(option, &self.lines[at]);
        let new = Said::parse(option, &line);
        let is_same = match (old, new) {
            (Some(old), Some(new)) if self.wish.ignore_spaces && !old.is_comment => {
                old.value == new.value
            }
            _ => self.lines[at] == line,
        };
        if !is_same {
            self.lines[at] = line;
            self.msg = Some("option changed");
        }
    }
}
