//! Turns a host pattern (`kafka:&dc1:!broker3`, `~web\d+`, `zk[0]`) into the hosts that it means.

use super::model::{Inventory, LOCALHOST};
use crate::diag::nearest;
use crate::value::HostName;
use indexmap::IndexSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Invalid { pattern: String, reason: String },
    #[error("`{pattern}` counts past the end: {n_hosts} hosts match")]
    OutOfRange { pattern: String, n_hosts: usize },
    #[error("cannot read limit file `{path}`: {reason}")]
    LimitFile { path: String, reason: String },
}

/// A part of a pattern that no host and no group matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    pub pattern: String,
    /// The group or host that was probably meant.
    pub near: Option<String>,
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no host or group matches `{}`", self.pattern)?;
        match &self.near {
            Some(near) => write!(f, ": did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

/// What `--limit` allows, `@file` read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    text: String,
    patterns: Vec<String>,
}

impl Limit {
    /// Splits the text of `--limit`; a part `@file` stands for the lines of that file below `cwd`.
    pub fn load(text: &str, cwd: &Path) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        for part in split(text) {
            let Some(path) = part.strip_prefix('@') else {
                patterns.push(part);
                continue;
            };
            let lines = fs::read_to_string(cwd.join(path)).map_err(|error| {
                let (path, reason) = (path.to_string(), error.to_string());
                PatternError::LimitFile { path, reason }
            })?;
            let lines = lines.lines().map(str::trim).filter(|l| !l.is_empty());
            patterns.extend(lines.map(String::from));
        }
        Ok(Self {
            text: text.to_owned(),
            patterns,
        })
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Inventory {
    /// Returns the hosts of a pattern, in the order in which its parts name them.
    pub fn select(&self, pattern: &str) -> Result<Vec<HostName>, PatternError> {
        self.select_noting(&[pattern], &mut Vec::new())
    }

    /// As [`Inventory::select`], for the entries of a list, noting the parts that match nothing.
    pub fn select_noting<S: AsRef<str>>(
        &self,
        patterns: &[S],
        unmatched: &mut Vec<Unmatched>,
    ) -> Result<Vec<HostName>, PatternError> {
        let parts: Vec<String> = patterns.iter().flat_map(|p| split(p.as_ref())).collect();
        self.evaluate(&parts, unmatched)
    }

    /// Returns those of `hosts` that `limit` allows, in their order.
    pub fn limited(
        &self,
        hosts: Vec<HostName>,
        limit: &Limit,
        unmatched: &mut Vec<Unmatched>,
    ) -> Result<Vec<HostName>, PatternError> {
        let allowed: IndexSet<HostName> = self
            .evaluate(&limit.patterns, unmatched)?
            .into_iter()
            .collect();
        Ok(hosts.into_iter().filter(|h| allowed.contains(h)).collect())
    }

    /// Plain parts add hosts, then `&` parts keep, then `!` parts take away, wherever they stand.
    fn evaluate(
        &self,
        parts: &[String],
        unmatched: &mut Vec<Unmatched>,
    ) -> Result<Vec<HostName>, PatternError> {
        let starts = |mark: char| parts.iter().filter(move |p| p.starts_with(mark));
        let plain = parts.iter().filter(|p| !p.starts_with(['&', '!']));
        let mut plain: Vec<&str> = plain.map(String::as_str).collect();
        if plain.is_empty() && !parts.is_empty() {
            plain.push("all");
        }
        let mut hosts: IndexSet<HostName> = IndexSet::new();
        for part in plain {
            match self.hosts.get_key_value(part) {
                Some((name, _)) => {
                    hosts.insert(Arc::clone(name));
                }
                None => hosts.extend(self.matches(part, unmatched)?),
            }
        }
        for part in starts('&') {
            let kept: IndexSet<HostName> =
                self.matches(&part[1..], unmatched)?.into_iter().collect();
            hosts.retain(|host| kept.contains(host));
        }
        for part in starts('!') {
            let gone: IndexSet<HostName> =
                self.matches(&part[1..], unmatched)?.into_iter().collect();
            hosts.retain(|host| !gone.contains(host));
        }
        Ok(hosts.into_iter().collect())
    }

    fn matches(
        &self,
        part: &str,
        unmatched: &mut Vec<Unmatched>,
    ) -> Result<Vec<HostName>, PatternError> {
        let (expression, subscript) = subscript_of(part);
        let test = Test::new(part, expression)?;
        let mut hosts: IndexSet<HostName> = IndexSet::new();
        let mut group_matched = false;
        for name in self.groups.keys().filter(|name| test.fits(name)) {
            group_matched = true;
            hosts.extend(self.group_hosts(name));
        }
        let looks_at_hosts =
            expression.starts_with('~') || expression.contains(['.', '?', '*', '[']);
        if !group_matched || looks_at_hosts {
            let names = self.hosts.keys().filter(|name| test.fits(name));
            hosts.extend(names.map(Arc::clone));
        }
        if hosts.is_empty() && LOCALHOST.contains(&expression) {
            // An entry under another of its names stands for it.
            let known = LOCALHOST
                .iter()
                .find_map(|name| self.hosts.get_key_value(*name));
            hosts.insert(known.map_or_else(|| expression.into(), |(name, _)| Arc::clone(name)));
        }
        if hosts.is_empty() && !group_matched && expression != "all" {
            let hosts = self.hosts.keys().map(|name| &**name);
            let known = self.groups.keys().map(String::as_str).chain(hosts);
            let miss = Unmatched {
                pattern: part.into(),
                near: nearest(expression, known).map(String::from),
            };
            if !unmatched.contains(&miss) {
                unmatched.push(miss);
            }
        }
        let hosts: Vec<HostName> = hosts.into_iter().collect();
        match subscript {
            Some(subscript) if !hosts.is_empty() => subscript.of(part, hosts),
            _ => Ok(hosts),
        }
    }
}

/// Splits at commas; without any, at colons, unless the text is one address or one range.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<&str> = if pattern.contains(',') {
        pattern.split(',').collect()
    } else if is_address(pattern) {
        vec![pattern]
    } else {
        split_at_colons(pattern)
    };
    let parts = parts.into_iter().map(str::trim).filter(|p| !p.is_empty());
    parts.map(String::from).collect()
}

fn is_address(pattern: &str) -> bool {
    if pattern.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let host_port = pattern.split_once(':').is_some_and(|(host, port)| {
        let is_label = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        !host.is_empty() && host.chars().all(is_label) && is_port
    });
    let bracketed = pattern.starts_with('[')
        && pattern
            .rsplit_once("]:")
            .is_some_and(|(address, _)| address[1..].parse::<std::net::IpAddr>().is_ok());
    host_port || bracketed
}

/// Colons inside `[…]` and blanks: the former belong to the part, the latter separate too.
fn split_at_colons(pattern: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut in_brackets = false;
    for (at, c) in pattern.char_indices() {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ if !in_brackets && (c == ':' || c.is_whitespace()) => {
                parts.push(&pattern[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}

/// How one part tells which names fit.
struct Test(fancy_regex::Regex);

impl Test {
    fn new(part: &str, expression: &str) -> Result<Self, PatternError> {
        // Python's `match` begins at the start of a name, and need not reach its end.
        let regex = match expression.strip_prefix('~') {
            Some(regex) => format!("^(?:{regex})"),
            None => format!("(?s)^(?:{})$", glob_to_regex(expression)),
        };
        fancy_regex::Regex::new(&regex)
            .map(Self)
            .map_err(|error| PatternError::Invalid {
                pattern: part.into(),
                reason: error.to_string(),
            })
    }

    fn fits(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }
}

/// Returns whether a name fits a pattern of the shell: `*`, `?`, `[abc]` and `[!abc]`, as Python's fnmatch.
pub fn fits_glob(glob: &str, name: &str) -> bool {
    fancy_regex::Regex::new(&format!("(?s)^(?:{})$", glob_to_regex(glob)))
        .is_ok_and(|regex| regex.is_match(name).unwrap_or(false))
}

/// `*`, `?`, `[abc]` and `[!abc]`, as Python's fnmatch.
fn glob_to_regex(glob: &str) -> String {
    let mut regex = String::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match class(rest) {
                Some((class, behind)) => {
                    regex.push_str(&class);
                    rest = behind;
                }
                None => regex.push_str("\\["),
            },
            _ => regex.push_str(&fancy_regex::escape(&c.to_string())),
        }
    }
    regex
}

/// A `]` right behind the bracket is a member.
fn class(rest: &str) -> Option<(String, &str)> {
    let (negation, members) = match rest.strip_prefix('!') {
        Some(members) => ("^", members),
        None => ("", rest),
    };
    let skip = usize::from(members.starts_with(']'));
    let end = members[skip..].find(']')? + skip;
    let mut class = format!("[{negation}");
    for c in members[..end].chars() {
        if !c.is_alphanumeric() && c != '-' {
            class.push('\\');
        }
        class.push(c);
    }
    class.push(']');
    Some((class, &members[end + 1..]))
}

/// `[1]`, `[-1]`, `[0:2]` (both ends included), `[1:]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscript {
    One(i64),
    From(usize),
    Range(usize, usize),
}

impl Subscript {
    fn of(self, part: &str, hosts: Vec<HostName>) -> Result<Vec<HostName>, PatternError> {
        let n_hosts = hosts.len();
        match self {
            Self::One(at) => {
                let index = if at < 0 {
                    n_hosts.checked_sub(usize::try_from(-at).unwrap_or(usize::MAX))
                } else {
                    usize::try_from(at).ok()
                };
                let host = index.and_then(|index| hosts.into_iter().nth(index));
                host.map(|host| vec![host])
                    .ok_or_else(|| PatternError::OutOfRange {
                        pattern: part.into(),
                        n_hosts,
                    })
            }
            Self::From(from) => Ok(hosts.into_iter().skip(from).collect()),
            Self::Range(from, to) => Ok(hosts
                .into_iter()
                .take(to.saturating_add(1))
                .skip(from)
                .collect()),
        }
    }
}

/// Takes a subscript off the end; a regex has none.
fn subscript_of(part: &str) -> (&str, Option<Subscript>) {
    let parsed = || {
        let (expression, inside) = part.strip_suffix(']')?.rsplit_once('[')?;
        if part.starts_with('~') || expression.is_empty() {
            return None;
        }
        if let Some((from, to)) = inside
            .split_once([':', '-'])
            .filter(|(from, _)| !from.is_empty())
        {
            let from = number(from)?;
            let subscript = match to {
                "" => Subscript::From(from),
                to => Subscript::Range(from, number(to)?),
            };
            return Some((expression, subscript));
        }
        let digits = inside.strip_prefix('-').unwrap_or(inside);
        let one = number(digits).and_then(|_| inside.parse().ok())?;
        Some((expression, Subscript::One(one)))
    };
    match parsed() {
        Some((expression, subscript)) => (expression, Some(subscript)),
        None => (part, None),
    }
}

fn number(text: &str) -> Option<usize> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
