//! Turns shell patterns (`*.jar`, `log[0-9]?`) into regular expressions.

use super::Error;
use fancy_regex::Regex;

/// Compiles a pattern as Python's `fnmatch` reads it: it must match the whole text, and `*` also matches `/`.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    let mut out = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match class(rest) {
                Some((class, behind)) => {
                    out.push_str(&class);
                    rest = behind;
                }
                None => out.push_str("\\["),
            },
            other => out.push_str(&fancy_regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    Regex::new(&out)
        .map_err(|error| Error::new(format!("`{pattern}` is not a pattern")).because(error))
}

/// Reads `!abc]` behind a bracket.
fn class(rest: &str) -> Option<(String, &str)> {
    let negated = rest.starts_with('!');
    let inside = &rest[usize::from(negated)..];
    // A bracket in the first place stands for itself.
    let first = inside.chars().next()?.len_utf8();
    let end = first + inside[first..].find(']')?;
    let mut class = String::from(if negated { "[^" } else { "[" });
    for letter in inside[..end].chars() {
        if "[]\\^&~".contains(letter) {
            class.push('\\');
        }
        class.push(letter);
    }
    class.push(']');
    Some((class, &inside[end + 1..]))
}

/// Returns `true` if one of the patterns matches.
pub fn any_matches(patterns: &[Regex], text: &str) -> Result<bool, Error> {
    for pattern in patterns {
        if pattern
            .is_match(text)
            .map_err(|error| super::pattern::failed(pattern, &error))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_would() {
        for (pattern, text, matches) in [
            ("*.jar", "kafka_2.12-2.1.0.jar", true),
            ("*.jar", "a.jar.asc", false),
            ("?.x", "a.x", true),
            ("log[0-9]", "log7", true),
            ("log[!0-9]", "log7", false),
            ("[]a]", "]", true),
            ("a[", "a[", true),
            ("a+(b)", "a+(b)", true),
            ("*", "a/b", true),
        ] {
            let found = any_matches(&[compile(pattern).unwrap()], text).unwrap();
            assert_eq!(found, matches, "{pattern} {text}");
        }
    }
}
