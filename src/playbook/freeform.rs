//! Turns free-form arguments (`src=a dest="b c" mode=0644`, `make install chdir=/src`) into a mapping whose keys know their places.

use crate::diag::Span;
use crate::yaml::{Entry, Kind, Map, Node};

/// The key under which the free text of a task is kept.
pub const RAW: &str = "_raw_params";

/// What a command's line may hold beside the command itself.
const OF_COMMANDS: &[&str] = &[
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
];

/// How the text of a module is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A command with a few known `k=v` in it; everything else is kept as it is.
    Command,
    /// `k=v` words; the others are joined into [`RAW`].
    Words,
}

/// A word of the text, quotes and all.
struct Word {
    /// In characters.
    start: usize,
    text: String,
}

/// Reads the free-form text of a node.
///
/// Fails with a message if quotes or template braces do not close.
pub(crate) fn parse(node: &Node, text: &str, style: Style) -> Result<Map, String> {
    let words = match split(text) {
        Ok(words) => words,
        // A script may hold a lone apostrophe in a comment; it is nobody's argument.
        Err(_) if style == Style::Command => {
            let mut map = Map::default();
            insert(&mut map, RAW, text.trim().to_owned(), &node.span, node);
            return Ok(map);
        }
        Err(fault) => return Err(fault.into()),
    };
    let mut map = Map::default();
    let mut rest = Rest::new(text);
    let mut finder = Finder::new(node);
    for word in &words {
        let decoded = decode(&word.text);
        let Some((key, value)) = pair(&decoded) else {
            if word.text == "\\" {
                rest.cut_continuation(word);
            }
            continue;
        };
        if style == Style::Command && !OF_COMMANDS.contains(&key) {
            continue;
        }
        rest.cut(word);
        let span = finder.find(&word.text, key);
        insert(&mut map, key, unquote(value).to_owned(), &span, node);
    }
    let raw = rest.text().replace("\\=", "=");
    if !raw.trim().is_empty() {
        insert(&mut map, RAW, raw.trim().to_owned(), &node.span, node);
    }
    Ok(map)
}

fn insert(map: &mut Map, key: &str, value: String, span: &Span, node: &Node) {
    let kind = match node.kind {
        Kind::Unsafe(_) => Kind::Unsafe(value),
        _ => Kind::Str(value),
    };
    map.entries.insert(
        key.to_owned(),
        Entry {
            key: span.clone(),
            value: Node::new(kind, span.clone()),
        },
    );
}

/// Splits at blanks outside quotes and outside template braces.
fn split(text: &str) -> Result<Vec<Word>, &'static str> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut start = 0;
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, &c) in chars.iter().enumerate() {
        let previous = at.checked_sub(1).map(|at| chars[at]);
        if c.is_whitespace() && quote.is_none() && depth == 0 {
            if !word.is_empty() {
                let text = std::mem::take(&mut word);
                words.push(Word { start, text });
            }
            continue;
        }
        if word.is_empty() {
            start = at;
        }
        word.push(c);
        match (c, quote) {
            ('"' | '\'', None) if previous != Some('\\') => quote = Some(c),
            (c, Some(open)) if c == open && previous != Some('\\') => quote = None,
            ('{' | '%', _) if previous == Some('{') => depth += 1,
            ('}', _) if matches!(previous, Some('}' | '%')) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if quote.is_some() {
        return Err("a quote is opened and never closed");
    }
    if depth > 0 {
        return Err("`{{` or `{%` is opened and never closed");
    }
    if !word.is_empty() {
        words.push(Word { start, text: word });
    }
    Ok(words)
}

/// Splits `key=value` at the first `=` that is neither the first character nor escaped nor inside a template.
fn pair(word: &str) -> Option<(&str, &str)> {
    let bytes = word.as_bytes();
    let is_inside = |at: usize| word[..at].matches("{{").count() > word[..at].matches("}}").count();
    let splits = |&at: &usize| bytes[at] == b'=' && bytes[at - 1] != b'\\' && !is_inside(at);
    let at = (1..bytes.len()).find(splits)?;
    let key = &word[..at];
    let is_name = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    // `{{ prefix }}_name=value`: the name itself may be made by a template.
    let mut outside = key.split("{{").map(|part| part.rsplit("}}").next());
    let is_key = outside.all(|part| part.is_some_and(is_name));
    is_key.then_some((key, &word[at + 1..]))
}

fn unquote(value: &str) -> &str {
    let quoted = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
            .filter(|inner| !inner.ends_with('\\'))
    };
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// Resolves the escapes that Ansible resolves in `k=v` words; others are left alone, so that `\s` of a regular expression survives.
fn decode(word: &str) -> String {
    let mut decoded = String::with_capacity(word.len());
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            decoded.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        let simple = match ahead.next() {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('v') => Some('\u{b}'),
            Some('\\') => Some('\\'),
            Some('x') => hex(&mut ahead, 2),
            Some('u') => hex(&mut ahead, 4),
            _ => None,
        };
        match simple {
            Some(simple) => {
                decoded.push(simple);
                chars = ahead;
            }
            None => decoded.push('\\'),
        }
    }
    decoded
}

fn hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text: String = chars.take(digits).collect();
    if text.len() < digits {
        return None;
    }
    u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
}

/// The text without the words that were taken as arguments.
struct Rest {
    chars: Vec<Option<char>>,
}

impl Rest {
    fn new(text: &str) -> Self {
        Self {
            chars: text.chars().map(Some).collect(),
        }
    }

    /// Takes out a word and the blanks before it.
    fn cut(&mut self, word: &Word) {
        let end = word.start + word.text.chars().count();
        let mut start = word.start;
        while start > 0 && matches!(self.chars[start - 1], Some(' ') | None) {
            start -= 1;
        }
        self.chars[start..end].fill(None);
        if start == 0 {
            // Nothing stands before it: the blanks after it go too.
            let blanks = self.chars[end..].iter();
            let n = blanks.take_while(|c| matches!(c, Some(' '))).count();
            self.chars[end..end + n].fill(None);
        }
    }

    /// Takes out a lone backslash, and the line ending that it escapes.
    fn cut_continuation(&mut self, word: &Word) {
        self.chars[word.start] = None;
        if let Some(next @ Some('\n')) = self.chars.get_mut(word.start + 1) {
            *next = None;
        }
    }

    fn text(&self) -> String {
        self.chars.iter().flatten().collect()
    }
}

/// Finds the words of a node's text again in its file: folding and quoting move them.
struct Finder<'a> {
    node: &'a Node,
    line: u32,
    /// In characters, counted from 0.
    column: usize,
}

impl<'a> Finder<'a> {
    fn new(node: &'a Node) -> Self {
        Self {
            node,
            line: node.span.line,
            column: node.span.column as usize - 1,
        }
    }

    fn find(&mut self, word: &str, key: &str) -> Span {
        let source = &self.node.span.source;
        let needles = [word.to_owned(), format!("{key}=")];
        for needle in &needles {
            for line in self.line..self.line.saturating_add(40) {
                let text = source.line(line);
                let from = if line == self.line { self.column } else { 0 };
                let offset = text.char_indices().nth(from).map_or(text.len(), |c| c.0);
                if let Some(at) = text[offset..].find(needle.as_str()) {
                    let column = from + text[offset..offset + at].chars().count();
                    let length = needle.chars().count();
                    (self.line, self.column) = (line, column + length);
                    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                    return Span::new(source, line, small(column + 1), small(key.chars().count()));
                }
            }
        }
        self.node.span.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    fn read(text: &str, style: Style) -> String {
        let source = Source::new("a.yml", text);
        let node = Node::new(Kind::Str(text.into()), Span::start_of(&source));
        match parse(&node, text, style) {
            Ok(map) => map
                .entries
                .iter()
                .map(|(k, e)| format!("{k}=<{}>@{}", e.value.as_str().unwrap(), e.key.column))
                .collect::<Vec<_>>()
                .join(" "),
            Err(fault) => fault,
        }
    }

    #[test]
    fn words_are_split_outside_quotes_and_braces() {
        insta::assert_snapshot!(
            read("src={{ a }}/b dest=\"/c d\" mode=0644 line='x=y z'", Style::Words),
            @"src=<{{ a }}/b>@1 dest=</c d>@15 mode=<0644>@27 line=<x=y z>@37"
        );
        insta::assert_snapshot!(
            read("msg={{ x | default(\"a b\") }} y.yml", Style::Words),
            @r#"msg=<{{ x | default("a b") }}>@1 _raw_params=<y.yml>@1"#
        );
    }

    #[test]
    fn a_command_gives_up_only_its_known_words() {
        insta::assert_snapshot!(
            read("make  PREFIX=/usr install creates=/usr/bin/x chdir=\"/a b\"", Style::Command),
            @"creates=</usr/bin/x>@27 chdir=</a b>@46 _raw_params=<make  PREFIX=/usr install>@1"
        );
        insta::assert_snapshot!(
            read("chdir=/x  ls -l", Style::Command),
            @"chdir=</x>@1 _raw_params=<ls -l>@1"
        );
        insta::assert_snapshot!(
            read("echo it's", Style::Command),
            @"_raw_params=<echo it's>@1"
        );
        insta::assert_snapshot!(
            read("a \\\n  b", Style::Command),
            @"_raw_params=<a   b>@1"
        );
    }

    #[test]
    fn known_escapes_are_resolved_and_others_kept() {
        insta::assert_snapshot!(
            read(r"line=a\tb regexp=^\s+x", Style::Words),
            @r"line=<a	b>@1 regexp=<^\s+x>@11"
        );
    }

    #[test]
    fn a_name_may_be_a_template() {
        insta::assert_snapshot!(
            read("user_{{ item.name }}={{ a == b }}", Style::Words),
            @"user_{{ item.name }}=<{{ a == b }}>@1"
        );
        insta::assert_snapshot!(
            read("{{ a == b }}", Style::Words),
            @"_raw_params=<{{ a == b }}>@1"
        );
    }

    #[test]
    fn an_open_quote_is_a_fault() {
        insta::assert_snapshot!(
            read("msg=\"a b", Style::Words),
            @"a quote is opened and never closed"
        );
        insta::assert_snapshot!(
            read("msg={{ a b", Style::Words),
            @"`{{` or `{%` is opened and never closed"
        );
    }
}
