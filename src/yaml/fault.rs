//! Turns an error of the YAML parser into a diagnostic that says what was probably meant.

use crate::diag::{Diagnostic, Source, Span};
use saphyr_parser::ScanError;
use std::sync::Arc;

/// `line` counts from 1, `column` from 0, as the parser's marks do.
pub(super) fn span(source: &Arc<Source>, line: usize, column: usize, length: usize) -> Span {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let column = small(column).saturating_add(1);
    Span::new(source, small(line.max(1)), column, small(length))
}

pub(super) fn explain(error: &ScanError, source: &Arc<Source>, lines: &[&str]) -> Diagnostic {
    // At the end of the file the mark stands past the last line.
    let at_end = error.marker().line() > lines.len();
    let n = error.marker().line().clamp(1, lines.len().max(1));
    let line = lines.get(n - 1).copied().unwrap_or("");
    let line_length = line.chars().count();
    let column = if at_end {
        line_length.saturating_sub(1)
    } else {
        error.marker().col().min(line_length)
    };
    if error.info().contains("tab")
        && let Some((n, tab)) = (n..=n + 1).find_map(|n| Some((n, leading_tab(lines.get(n - 1)?)?)))
    {
        return tab_indent(&span(source, n, tab, 1));
    }

    // The parser often notices one line late: the line above is looked at too.
    for (n, line) in [Some(n), n.checked_sub(1)]
        .into_iter()
        .flatten()
        .filter_map(|n| lines.get(n.checked_sub(1)?).map(|line| (n, *line)))
    {
        if let Some(diagnostic) = guess(line, n, source) {
            return diagnostic;
        }
    }
    let (words, help) = plain_words(error.info());
    let mut fault = span(source, n, column, 1).error(format!("invalid YAML: {words}"));
    fault.help = help.map(String::from);
    fault
}

fn leading_tab(line: &str) -> Option<usize> {
    let indent = line.chars().take_while(|c| c.is_whitespace());
    indent.into_iter().position(|c| c == '\t')
}

fn tab_indent(span: &Span) -> Diagnostic {
    span.error("a tab cannot indent YAML").help("use spaces")
}

/// Knows the usual slips of a hand-written line.
fn guess(line: &str, n: usize, source: &Arc<Source>) -> Option<Diagnostic> {
    let at = |column: usize, length: usize| span(source, n, column, length);
    if let Some(tab) = leading_tab(line) {
        return Some(tab_indent(&at(tab, 1)));
    }
    let content = line.trim();
    if content.is_empty() || content.starts_with('#') {
        return None;
    }
    let (value_column, value) = value_of(line)?;
    if value.starts_with("{{") {
        return Some(unquoted_template(&at(value_column, template_length(value))));
    }
    if let Some(first @ ('@' | '`' | '%')) = value.chars().next() {
        let message = format!("a plain value cannot start with `{first}`");
        let help = format!("quote it: `{}`", quoted(value));
        return Some(at(value_column, 1).error(message).help(help));
    }
    if let Some(quote @ ('"' | '\'')) = value.chars().next() {
        return after_quote(value, quote).map(|rest| {
            let column = value_column + value.chars().count() - rest.chars().count();
            let message = "text after the closing quote";
            let help = "quote the whole value, or use the other kind of quotes around it";
            at(column, rest.trim_end().chars().count())
                .error(message)
                .help(help)
        });
    }
    if let Some(colon) = value
        .find(": ")
        .filter(|_| !value.starts_with(['{', '[', '|', '>', '&', '*', '!']))
    {
        let column = value_column + value[..colon].chars().count();
        let message = "`: ` inside a plain value";
        let help = format!("quote the value: `{}`", quoted(value));
        return Some(at(column, 1).error(message).help(help));
    }
    missing_space(line, n, source)
}

/// `key:value` and `-item`, alone on their line.
fn missing_space(line: &str, n: usize, source: &Arc<Source>) -> Option<Diagnostic> {
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    let content = line.trim();
    if let Some(rest) = content.strip_prefix('-')
        && rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    {
        let diagnostic = span(source, n, indent, 1).error("no space after `-`");
        return Some(diagnostic.help(format!("write `- {rest}`")));
    }
    let entry = content.strip_prefix("- ").unwrap_or(content).trim_start();
    let offset = indent + content.chars().count() - entry.chars().count();
    let (key, value) = entry.split_once(':')?;
    let is_key = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c));
    if !is_key || value.is_empty() || value.starts_with([' ', '/', '\\']) {
        return None;
    }
    let diagnostic = span(source, n, offset + key.chars().count(), 1).error("no space after `:`");
    Some(diagnostic.help(format!("write `{key}: {value}`")))
}

/// Returns the value that a line gives, after its `- ` and its `key: `, and where it begins.
fn value_of(line: &str) -> Option<(usize, &str)> {
    let mut rest = line.trim_start();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    let is_quoted_or_flow = rest.starts_with(['"', '\'', '{', '[', '@', '`']);
    if !is_quoted_or_flow && let Some(colon) = rest.find(": ") {
        rest = rest[colon + 2..].trim_start();
    }
    let column = line.chars().count() - rest.chars().count();
    (!rest.is_empty()).then_some((column, rest.trim_end()))
}

/// Returns what follows the closing quote of a value, if it is neither a comment nor a `:`.
fn after_quote(value: &str, quote: char) -> Option<&str> {
    let mut escaped = false;
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            let doubled = quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote);
            if doubled {
                chars.next();
                continue;
            }
            let rest = value[at + 1..].trim_start();
            let is_fine = rest.is_empty() || rest.starts_with(['#', ':', ',', ']', '}']);
            return (!is_fine).then_some(rest);
        }
    }
    None
}

fn quoted(value: &str) -> String {
    if value.contains('"') {
        format!("'{}'", value.replace('\'', "''"))
    } else {
        format!("\"{value}\"")
    }
}

/// The characters from `{{` to the last `}}` of the line.
pub(super) fn template_length(text: &str) -> usize {
    let end = text.rfind("}}").map_or(text.len(), |at| at + 2);
    text[..end].chars().count()
}

pub(super) fn unquoted_template(span: &Span) -> Diagnostic {
    let line = span.source.line(span.line);
    let start = span.column as usize - 1;
    let value: String = line.chars().skip(start).collect();
    let help = format!("quote the whole value: `{}`", quoted(value.trim_end()));
    span.error("a value that starts with `{{` must be quoted")
        .help(help)
}

/// The parser's own words where they are plain, better ones where they are not, and a way out.
fn plain_words(info: &str) -> (&str, Option<&'static str>) {
    const INDENTATION: Option<&str> = Some("compare this line's indentation with the lines above");
    match info {
        "simple key expect ':'" | "simple key expected" => (
            "this line is neither a `key: value` nor the continuation of a value",
            None,
        ),
        "mapping values are not allowed in this context" => {
            ("a `key: value` cannot stand here", INDENTATION)
        }
        "while parsing a block mapping, did not find expected key" => {
            ("expected a key here", INDENTATION)
        }
        "while parsing a block collection, did not find expected '-' indicator" => {
            ("expected a `- ` here", INDENTATION)
        }
        "block sequence entries are not allowed in this context" => (
            "a list cannot begin here",
            Some("put each `- ` on a line of its own"),
        ),
        "while scanning a quoted scalar, found unexpected end of stream"
        | "invalid indentation in quoted scalar" => ("this quote is never closed", None),
        "while parsing a quoted scalar, found unknown escape character" => (
            "unknown escape inside double quotes",
            Some("write the backslash twice, or use single quotes"),
        ),
        "illegal placement of ':' indicator" | "invalid indentation in flow construct" => {
            ("a bracket above is not closed", None)
        }
        "while parsing a flow sequence, expected ',' or ']'" => ("expected `,` or `]`", None),
        "while parsing a flow mapping, did not find expected ',' or '}'" => {
            ("expected `,` or `}`", None)
        }
        "misplaced bracket" => ("this bracket was never opened", None),
        "while parsing node, found unknown anchor" => ("no anchor of this name above", None),
        "recursion limit exceeded" => ("nested too deeply", None),
        "found unprintable character" => ("a character that is not text", None),
        other => (other, None),
    }
}
