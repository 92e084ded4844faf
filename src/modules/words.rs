//! Turns a command line as users write it into words, by the rules of Python's shlex and os.path.

use crate::sys::Sys;
use crate::value::expand;
use std::path::{Path, PathBuf};

/// Splits as `shlex.split` does: quotes and backslashes, no comments, no expansion.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => {
                let escaped = rest.next().ok_or("no escaped character after `\\`")?;
                word.get_or_insert_default().push(escaped);
            }
            (Some('"'), '\\') => {
                let escaped = rest.next().ok_or("no closing quotation")?;
                let word = word.get_or_insert_default();
                if !matches!(escaped, '"' | '\\') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("no closing quotation".into());
    }
    words.extend(word);
    Ok(words)
}

/// Expands `$NAME` and `${NAME}`, then a leading `~` or `~user`; what is unknown stays as it is.
pub fn expand(sys: &Sys, word: &str) -> String {
    let word = expand::variables(word, |name| sys.variable(name));
    expand_user(sys, &word)
}

/// Expands a leading `~` or `~user`; an unknown user stays as written.
pub fn expand_user(sys: &Sys, word: &str) -> String {
    expand::user(word, |user| match user {
        None => home(sys),
        Some(user) => sys.user_named(user).ok().flatten().map(|user| user.home),
    })
}

/// Returns the home directory of the user that the agent runs as.
pub fn home(sys: &Sys) -> Option<String> {
    sys.variable("HOME")
        .filter(|home| !home.is_empty())
        .or_else(|| {
            let uid = nix::unistd::Uid::effective().as_raw();
            sys.user_numbered(uid).ok().flatten().map(|user| user.home)
        })
}

/// Returns `true` if anything matches `pattern`, which may hold `*`, `?` and `[…]` as in Python's glob.
pub fn exists(sys: &Sys, pattern: &str) -> bool {
    let pattern = expand(sys, pattern);
    if !pattern.contains(['*', '?', '[']) {
        return sys.lstat(Path::new(&pattern)).is_ok_and(|s| s.is_some());
    }
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in &found {
            if !part.contains(['*', '?', '[']) {
                next.push(directory.join(part));
                continue;
            }
            let names = sys.list(directory).unwrap_or_default();
            let names = names.iter().filter_map(|name| name.to_str());
            let fitting = names.filter(|name| {
                (part.starts_with('.') || !name.starts_with('.')) && matches(part, name)
            });
            next.extend(fitting.map(|name| directory.join(name)));
        }
        next.retain(|path| sys.lstat(path).is_ok_and(|s| s.is_some()));
        found = next;
    }
    !found.is_empty()
}

/// Matches one name against a shell pattern, as `fnmatch` does.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches_from(&pattern, &name)
}

fn matches_from(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|n| matches_from(rest, &name[n..])),
        Some(('?', rest)) => !name.is_empty() && matches_from(rest, &name[1..]),
        Some(('[', rest)) => {
            let from = usize::from(rest.first() == Some(&'!'));
            let close = rest.iter().skip(from + 1).position(|c| *c == ']');
            let (Some(close), Some(c)) = (close.map(|n| n + from + 1), name.first()) else {
                return name.first() == Some(&'[') && matches_from(rest, &name[1..]);
            };
            in_set(&rest[from..close], *c) != (from == 1)
                && matches_from(&rest[close + 1..], &name[1..])
        }
        Some((c, rest)) => name.first() == Some(c) && matches_from(rest, &name[1..]),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let ranges = set.windows(3).filter(|range| range[1] == '-');
    set.contains(&c) || ranges.into_iter().any(|r| r[0] <= c && c <= r[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_as_shlex_splits_them() {
        let words = split("a 'b  c' \"d \\\" \\n\" e\\ f '' # g\nh").unwrap();
        assert_eq!(words, ["a", "b  c", "d \" \\n", "e f", "", "#", "g", "h"]);
        assert_eq!(split("it's"), Err("no closing quotation".into()));
    }

    #[test]
    fn variables_and_homes_expand_and_unknown_ones_stay() {
        let sys = Sys::host().with_environment(vec![
            ("HOME".into(), "/home/me".into()),
            ("A".into(), "x".into()),
        ]);
        assert_eq!(expand(&sys, "$A/${A}y/$NOPE_/$"), "x/xy/$NOPE_/$");
        assert_eq!(expand(&sys, "~/f"), "/home/me/f");
        assert_eq!(expand(&sys, "~root/f"), "/root/f");
        assert_eq!(expand(&sys, "~nobody-here/f"), "~nobody-here/f");
    }

    #[test]
    fn patterns_find_files() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("data/logs-1")).unwrap();
        std::fs::write(root.path().join("data/logs-1/meta.properties"), "").unwrap();
        let sys = Sys::at(root.path());
        assert!(exists(&sys, "/data/logs-*/meta.*"));
        assert!(exists(&sys, "/data/logs-[0-9]"));
        assert!(!exists(&sys, "/data/logs-[!0-9]/*"));
        assert!(!exists(&sys, "/data/*.jar"));
        assert!(exists(&sys, "/data"));
    }
}
