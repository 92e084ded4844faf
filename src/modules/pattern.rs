//! Turns regular expressions and replacements in Python's syntax into fancy-regex's, so that they match what Python's would.

use super::Error;
use fancy_regex::{Captures, Regex};

/// How a pattern is compiled: Python's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flags {
    None,
    /// `^` and `$` match at every line.
    Multiline,
    /// `.` matches a line end, too.
    DotAll,
}

/// Compiles a pattern in Python's syntax. A faulty one is an error that names it.
pub fn compile(pattern: &str, flags: Flags) -> Result<Regex, Error> {
    let prefix = match flags {
        Flags::None => "",
        Flags::Multiline => "(?m)",
        Flags::DotAll => "(?s)",
    };
    let multiline = flags == Flags::Multiline || has_inline_flag(pattern, 'm');
    Regex::new(&format!("{prefix}{}", translate(pattern, multiline))).map_err(|error| {
        Error::new(format!("`{pattern}` is not a regular expression")).because(error)
    })
}

/// Says which pattern failed, and why: too much backtracking, mostly.
pub fn failed(pattern: &Regex, error: &fancy_regex::Error) -> Error {
    Error::new(format!("cannot match `{}`", pattern.as_str())).because(error)
}

/// Returns the replacement with `\1`, `\g<name>` and escapes filled in, as Python's `Match.expand` does.
pub fn expand(template: &str, captures: &Captures<str>) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let Some(letter) = rest.chars().next() else {
            return Err(Error::new(format!(
                "`{template}` ends with a lone backslash"
            )));
        };
        if letter == 'g' && rest[1..].starts_with('<') {
            let (name, behind) = rest[2..]
                .split_once('>')
                .ok_or_else(|| Error::new(format!("`{template}` lacks `>` behind `\\g<`")))?;
            let group = match name.parse() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = behind;
        } else if letter.is_ascii_digit() && letter != '0' {
            let mut length = 1;
            // Two digits are a group if there are that many.
            if rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                let number: usize = rest[..2].parse().unwrap_or(0);
                length = if number < captures.len() { 2 } else { 1 };
            }
            let number: usize = rest[..length].parse().unwrap_or(0);
            if number >= captures.len() {
                return Err(Error::new(format!(
                    "`{template}` refers to group {number}, which the pattern does not have"
                )));
            }
            out.push_str(captures.get(number).map_or("", |group| group.as_str()));
            rest = &rest[length..];
        } else {
            match letter {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'f' => out.push('\x0c'),
                'v' => out.push('\x0b'),
                'a' => out.push('\x07'),
                'b' => out.push('\x08'),
                '0' => out.push('\0'),
                '\\' => out.push('\\'),
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
            rest = &rest[letter.len_utf8()..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Replaces every match, as Python's `re.subn` does. Returns the text and how many there were.
pub fn replace_all(pattern: &Regex, template: &str, text: &str) -> Result<(String, usize), Error> {
    let (mut out, mut copied, mut n_matches) = (String::new(), 0, 0);
    for captures in pattern.captures_iter(text) {
        let captures = captures.map_err(|error| failed(pattern, &error))?;
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(&text[copied..whole.start()]);
        out.push_str(&expand(template, &captures)?);
        copied = whole.end();
        n_matches += 1;
    }
    out.push_str(&text[copied..]);
    Ok((out, n_matches))
}

fn has_inline_flag(pattern: &str, flag: char) -> bool {
    pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .is_some_and(|(flags, _)| {
            flags.chars().all(|c| c.is_ascii_lowercase()) && flags.contains(flag)
        })
}

/// Rewrites what the two syntaxes read differently: `$`, `\Z`, `\<`, braces that count nothing, and brackets in classes.
fn translate(pattern: &str, multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => {
                let escaped = rest.chars().next();
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                match escaped {
                    Some('Z') => out.push_str("\\z"),
                    Some(c @ ('<' | '>')) => out.push(c),
                    Some(c) => out.extend(['\\', c]),
                    None => out.push('\\'),
                }
            }
            // Python's `$` also stands before the last line end.
            '$' if !multiline => out.push_str("(?=\\n?\\z)"),
            '{' if !counts(rest) => out.push_str("\\{"),
            '{' if rest.starts_with(',') => out.push_str("{0"),
            '[' => rest = translate_class(rest, &mut out),
            other => out.push(other),
        }
    }
    out
}

/// Returns `true` if what stands behind `{` makes it a repetition.
fn counts(behind: &str) -> bool {
    behind.split_once('}').is_some_and(|(inside, _)| {
        inside.chars().all(|c| c.is_ascii_digit() || c == ',')
            && inside.contains(|c: char| c.is_ascii_digit())
            && inside.matches(',').count() <= 1
    })
}

/// Copies a class up to its `]`, escaping what Rust's syntax reads as nested classes and set operations. Returns what is behind.
fn translate_class<'a>(inside: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = inside;
    if let Some(behind) = rest.strip_prefix('^') {
        out.push('^');
        rest = behind;
    }
    let mut is_first = true;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            ']' if !is_first => {
                out.push(']');
                return rest;
            }
            '\\' => {
                let escaped = rest.chars().next();
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                out.push('\\');
                out.extend(escaped);
            }
            '[' | ']' | '&' | '~' => out.extend(['\\', letter]),
            '-' if rest.starts_with('-') => out.push_str("\\-"),
            other => out.push(other),
        }
        is_first = false;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        compile(pattern, Flags::None)
            .unwrap()
            .is_match(text)
            .unwrap()
    }

    #[test]
    fn a_dollar_stands_before_the_last_line_end() {
        assert!(finds("^a$", "a\n"));
        assert!(finds("^a$", "a"));
        assert!(!finds("^a$", "a\nb"));
        assert!(!finds(r"a\Z", "a\n"));
        assert!(finds("(?m)^a$", "a\nb"));
        assert!(finds("^[$]x", "$x"));
    }

    #[test]
    fn braces_and_brackets_that_mean_themselves_are_left_alone() {
        assert!(finds(r"^\$\{HOME}", "${HOME}"));
        assert!(finds("a{b}", "a{b}"));
        assert!(finds("^a{2}$", "aa"));
        assert!(finds("^a{,2}$", "aa"));
        assert!(finds("[[]x[]]", "[x]"));
        assert!(finds("[a&&b]", "&"));
        assert!(finds(r"\<a\>", "<a>"));
        assert!(finds(r"^\s*\#?\s*a\ b", "  # a b"));
        assert!(finds("(?i)^ABC", "abc"));
        assert!(finds("^(?!#)a", "a") && !finds("^(?!#)a", "#a"));
    }

    #[test]
    fn replacements_are_pythons() {
        let replace = |pattern, template, text| {
            let regex = compile(pattern, Flags::Multiline).unwrap();
            replace_all(&regex, template, text).unwrap()
        };
        assert_eq!(
            replace(r"^(\w+)=(?P<v>.*)$", r"\g<v>=\1\n", "a=1\nb=2\n"),
            ("1=a\n\n2=b\n\n".into(), 2)
        );
        assert_eq!(replace("x", r"\\d\.", "x").0, r"\d\.");
        assert_eq!(replace("^#", "", "#a\n#b"), ("a\nb".into(), 2));
        let regex = compile("x", Flags::None).unwrap();
        assert!(replace_all(&regex, r"\1", "x").is_err());
    }

    #[test]
    fn a_faulty_pattern_is_named() {
        let error = compile("(a", Flags::None).unwrap_err();
        assert_eq!(error.message, "`(a` is not a regular expression");
    }
}
