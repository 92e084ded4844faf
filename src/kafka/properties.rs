//! Turns the text of a Java properties file into its entries, and the text and wishes into a new text.
//!
//! The rules are those of `java.util.Properties`: `=`, `:` or white space ends a key, a backslash at
//! the end of a line continues it, `#` and `!` begin a comment only where a logical line begins, and
//! of a key that stands twice the last one counts.

use indexmap::IndexMap;
use std::fmt::Write as _;
use std::ops::Range;

/// The keys and values of a properties file, in the order in which the keys first stand there.
pub type Properties = IndexMap<String, String>;

/// Reads a properties text as a JVM does.
pub fn parse(text: &str) -> Properties {
    entries(text)
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}

/// One logical line that holds a key.
#[derive(Debug)]
struct Entry {
    /// Its bytes in the text, from the start of its first line to the end of its last, the line ending included.
    range: Range<usize>,
    /// The bytes of its first line up to where the value begins.
    prefix: Range<usize>,
    /// Whether it stands on one natural line.
    single: bool,
    key: String,
    value: String,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut logical = Logical::default();
    for line in natural_lines(text) {
        let content = text[line.clone()].trim_end_matches(['\n', '\r']);
        let trimmed = content.trim_start_matches(is_blank);
        if logical.text.is_empty() {
            if trimmed.is_empty() && !logical.continued
                || trimmed.starts_with('#')
                || trimmed.starts_with('!')
            {
                // As in Java, a comment never continues, and one after a lone backslash is still one.
                logical = Logical::default();
                continue;
            }
            logical.start = line.start;
            logical.offset = line.start + (content.len() - trimmed.len());
        }
        logical.lines += 1;
        let slashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
        if slashes % 2 == 1 {
            logical.text.push_str(&trimmed[..trimmed.len() - 1]);
            logical.continued = true;
            logical.end = line.end;
            continue;
        }
        logical.text.push_str(trimmed);
        logical.end = line.end;
        found.extend(std::mem::take(&mut logical).entry());
    }
    found.extend(logical.entry());
    found
}

#[derive(Default)]
struct Logical {
    text: String,
    start: usize,
    /// Where the first character that is not blank stands.
    offset: usize,
    end: usize,
    lines: usize,
    continued: bool,
}

impl Logical {
    fn entry(self) -> Option<Entry> {
        if self.text.is_empty() {
            return None;
        }
        let mut escaped = false;
        let key_end = self
            .text
            .char_indices()
            .find(|&(_, c)| {
                let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
                escaped = c == '\\' && !escaped;
                ends
            })
            .map_or(self.text.len(), |(at, _)| at);
        let (key, rest) = self.text.split_at(key_end);
        let after = rest.trim_start_matches(is_blank);
        let after = after.strip_prefix(['=', ':']).unwrap_or(after);
        let value = after.trim_start_matches(is_blank);
        let value_start = self.text.len() - value.len();
        Some(Entry {
            range: self.start..self.end,
            prefix: self.start..self.offset + value_start,
            single: self.lines == 1 && !self.continued && value_start > key_end,
            key: unescape(key),
            value: unescape(value),
        })
    }
}

fn natural_lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let start = at;
        while at < bytes.len() && bytes[at] != b'\n' && bytes[at] != b'\r' {
            at += 1;
        }
        if at < bytes.len() {
            at += if bytes[at..].starts_with(b"\r\n") {
                2
            } else {
                1
            };
        }
        Some(start..at)
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some('u') => {
                    let digits: String = chars.clone().take(4).collect();
                    if let (4, Ok(unit)) = (digits.len(), u16::from_str_radix(&digits, 16)) {
                        chars.nth(3);
                        units.push(unit);
                        continue;
                    }
                    // A JVM refuses such a file; keeping the letter at least shows it.
                    flush(&mut units, &mut out);
                    out.push('u');
                }
                Some(letter) => {
                    flush(&mut units, &mut out);
                    out.push(match letter {
                        't' => '\t',
                        'n' => '\n',
                        'r' => '\r',
                        'f' => '\x0c',
                        other => other,
                    });
                }
                None => {}
            }
        } else {
            flush(&mut units, &mut out);
            out.push(c);
        }
    }
    flush(&mut units, &mut out);
    out
}

/// Two `\uXXXX` may be the halves of one character.
fn flush(units: &mut Vec<u16>, out: &mut String) {
    out.extend(
        char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
    );
}

fn escape(text: &str, is_key: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            ' ' if is_key || at == 0 => out.push_str("\\ "),
            // At the start of a value, too: after a blank separator it would be taken for the separator.
            '=' | ':' if is_key || at == 0 => {
                out.push('\\');
                out.push(c);
            }
            '#' | '!' if is_key && at == 0 => {
                out.push('\\');
                out.push(c);
            }
            // A JVM reads the file as Latin-1.
            c if !(' '..='~').contains(&c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// What is wished of a key: a value, or that it is not there.
pub type Wishes = IndexMap<String, Option<String>>;

/// Returns `text` changed so that every wish holds; all other lines stay as they are, byte for byte.
///
/// A key that is there with another value keeps its place (the last one, if it stands twice, for that
/// is the one that counts) and its separator. A new key goes to the end, the first of them under
/// `marker` as a comment line. A marker line under which no key is left goes away with its last key.
pub fn edit(text: &str, wishes: &Wishes, marker: Option<&str>) -> String {
    let entries = entries(text);
    let newline = newline_of(text);
    let marker = marker.map(|words| format!("# {words}"));
    let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
    let mut added = String::new();
    for (key, wish) in wishes {
        let mut same = entries.iter().filter(|entry| entry.key == *key);
        match wish {
            None => cuts.extend(same.map(|entry| (entry.range.clone(), String::new()))),
            Some(value) => match same.next_back() {
                Some(entry) if entry.value == *value => {}
                Some(entry) => cuts.push((entry.range.clone(), rewritten(text, entry, value))),
                None => {
                    let _ = write!(
                        added,
                        "{}={}{newline}",
                        escape(key, true),
                        escape(value, false)
                    );
                }
            },
        }
    }
    cuts.sort_by_key(|(range, _)| range.start);
    let removed = cuts.iter().any(|(_, new)| new.is_empty());
    let mut out = String::with_capacity(text.len() + added.len());
    let mut at = 0;
    for (range, new) in cuts {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    if removed && let Some(marker) = &marker {
        out = without_lone_marker(&out, marker);
    }
    if !added.is_empty() {
        let n_opened = open_end(&mut out, newline);
        let already = marker.as_ref().is_some_and(|m| ends_in_block_of(&out, m));
        if let (Some(marker), false) = (&marker, already) {
            out.push_str(marker);
            // Tells `without_marked` how the text ended before.
            out.push_str(&" ".repeat(n_opened));
            out.push_str(newline);
        }
        out.push_str(&added);
    }
    out
}

/// Returns `text` without the comment lines `marker` and without all keys that stand directly under them, up to the
/// next empty line or comment.
///
/// What [`edit`] added under a marker goes byte for byte: the text is again what it was.
pub fn without_marked(text: &str, marker: &str) -> String {
    let marker = format!("# {marker}");
    let entries = entries(text);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for line in natural_lines(text) {
        let is_inside = entries
            .iter()
            .any(|entry| entry.range.contains(&line.start));
        let Some(n_opened) = marker_line(&text[line.clone()], &marker) else {
            continue;
        };
        if is_inside || line.start < at {
            continue;
        }
        let end = entries.iter().fold(line.end, |end, entry| {
            if entry.range.start == end {
                entry.range.end
            } else {
                end
            }
        });
        out.push_str(&text[at..line.start]);
        at = end;
        if at == text.len() && n_opened > 0 {
            out = with_former_end(&out, n_opened);
        }
    }
    out.push_str(&text[at..]);
    out
}

/// Ends the last line, so that what comes after it stands on lines of its own. Returns how many line endings that took.
fn open_end(out: &mut String, newline: &str) -> usize {
    let mut n_added = 0;
    if !out.is_empty() && !out.ends_with(['\n', '\r']) {
        out.push_str(newline);
        n_added += 1;
    }
    while is_continued(out) {
        out.push_str(newline);
        n_added += 1;
    }
    n_added
}

/// Takes back what [`open_end`] did.
fn with_former_end(text: &str, n_added: usize) -> String {
    let mut shorter = ["\r\n", "\n"].into_iter().filter_map(|newline| {
        let shorter = text.strip_suffix(&newline.repeat(n_added))?;
        let is_it = newline_of(shorter) == newline && {
            let mut opened = shorter.to_owned();
            open_end(&mut opened, newline) == n_added && opened == text
        };
        is_it.then(|| shorter.to_owned())
    });
    shorter.next().unwrap_or_else(|| text.to_owned())
}

fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn rewritten(text: &str, entry: &Entry, value: &str) -> String {
    let raw = &text[entry.range.clone()];
    let ending = &raw[raw.trim_end_matches(['\n', '\r']).len()..];
    let prefix = if entry.single {
        text[entry.prefix.clone()].to_owned()
    } else {
        format!("{}=", escape(&entry.key, true))
    };
    format!("{prefix}{}{ending}", escape(value, false))
}

/// Whether the last line ends in a backslash that would draw in whatever comes after it.
fn is_continued(text: &str) -> bool {
    let probe = format!("{text}{PROBE}=1");
    !entries(&probe).iter().any(|entry| entry.key == PROBE)
}

const PROBE: &str = "krun.probe";

fn is_line(line: &str, words: &str) -> bool {
    marker_line(line, words).is_some()
}

/// Returns how many spaces follow the marker on its line.
fn marker_line(line: &str, marker: &str) -> Option<usize> {
    let rest = line.trim_end_matches(['\n', '\r']).strip_prefix(marker)?;
    rest.bytes().all(|byte| byte == b' ').then_some(rest.len())
}

/// Whether the last lines of `text` are keys under the marker.
fn ends_in_block_of(text: &str, marker: &str) -> bool {
    let lines: Vec<&str> = natural_lines(text).map(|range| &text[range]).collect();
    lines
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty())
        .find(|line| line.trim_start().starts_with(['#', '!']))
        .is_some_and(|line| is_line(line, marker))
}

fn without_lone_marker(text: &str, marker: &str) -> String {
    let lines: Vec<&str> = natural_lines(text).map(|range| &text[range]).collect();
    let mut out = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate() {
        let next_is_key = lines.get(at + 1).is_some_and(|next| {
            let next = next.trim();
            !next.is_empty() && !next.starts_with(['#', '!'])
        });
        if !is_line(line, marker) || next_is_key {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests;
