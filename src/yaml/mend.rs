//! Indents what YAML 1.2 wants indented and `PyYAML` does not: later lines of a quoted value, a closing bracket.

use saphyr_parser::{Parser, ScanError};
use std::borrow::Cow;

/// How many places of one file are mended.
const MAX_PLACES: usize = 200;
/// How long a file may be that is mended, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Returns `text` as the parser takes it. Lines keep their numbers; what is added stands where white space has no
/// meaning, at the beginning of a line inside quotes or brackets. A text with any other fault stays as it is.
pub(super) fn mend(original: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(original);
    if original.len() > MAX_BYTES {
        return text;
    }
    for _ in 0..MAX_PLACES {
        let Some(error) = fault(&text) else {
            return text;
        };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let n = error.marker().line();
        let range = match error.info() {
            "invalid indentation in quoted scalar" => {
                let Some(last) = closing_line(&lines, n, error.marker().col()) else {
                    break;
                };
                n + 1..=last
            }
            "invalid indentation" | "invalid indentation in flow construct" => n..=n,
            _ => break,
        };
        if range.is_empty() {
            break;
        }
        let indent = lines
            .get(range.start().saturating_sub(2))
            .map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
        let more = " ".repeat(indent + 2);
        let mended = lines.iter().enumerate().map(|(at, line)| {
            let pad = if range.contains(&(at + 1)) {
                more.as_str()
            } else {
                ""
            };
            format!("{pad}{line}")
        });
        text = Cow::Owned(mended.collect());
    }
    Cow::Borrowed(original)
}

fn fault(text: &str) -> Option<ScanError> {
    Parser::new_from_str(text).find_map(Result::err)
}

/// The line, counted from 1, on which the quote that opens at `line` and `column` closes.
fn closing_line(lines: &[&str], line: usize, column: usize) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, text) in lines.iter().enumerate().skip(line.checked_sub(1)?) {
        let skip = if at + 1 == line { column } else { 0 };
        let mut chars = text.chars().skip(skip).peekable();
        while let Some(c) = chars.next() {
            let Some(quote) = quote else {
                quote = Some(c);
                continue;
            };
            if escaped {
                escaped = false;
            } else if c == '\\' && quote == '"' {
                escaped = true;
            } else if c == quote {
                if quote == '\'' && chars.peek() == Some(&quote) {
                    chars.next();
                    continue;
                }
                return Some(at + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_may_go_on_at_any_column() {
        let text = "a:\n  b: \"{{ c | combine(\n  {\n    'd': 1\n  }\n) }}\"\ne: 1\n";
        assert!(fault(text).is_some());
        let mended = mend(text);
        assert!(fault(&mended).is_none(), "{mended}");
        assert_eq!(mended.lines().count(), text.lines().count());
        assert!(mended.ends_with("\ne: 1\n"));
    }

    #[test]
    fn brackets_may_close_at_any_column() {
        for text in [
            "a:\n  b: [\n    1,\n  ]\nc: {\n}\n",
            "- a: {\n  b: [\n1\n]\n}\n",
            "- a:\n    - b: {c: 1\n    }\n",
        ] {
            assert!(fault(&mend(text)).is_none(), "{}", mend(text));
        }
    }

    #[test]
    fn a_faulty_text_stays_faulty() {
        for text in ["a: \"b\n", "a: [1\nb: 2\n", "a: ]\n"] {
            assert!(fault(&mend(text)).is_some(), "{}", mend(text));
        }
    }
}
