//! Turns the right side of `key=value` into a value where it is a Python literal, as Ansible's INI form reads it.

use crate::value::{Mapping, Value};

/// How deep lists and dicts may be nested; deeper ones stay text.
const MAX_DEPTH: usize = 64;

/// Returns the value of a Python literal (`5`, `True`, `[1, 'a']`, `{'k': None}`), else the text itself.
pub(super) fn evaluate(text: &str) -> Value {
    Literal::new(text)
        .whole()
        .unwrap_or_else(|| Value::String(text.into()))
}

struct Literal<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Literal<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            depth: 0,
        }
    }

    fn whole(mut self) -> Option<Value> {
        let first = self.value()?;
        self.blank();
        if !self.rest.starts_with(',') {
            return self.is_done().then_some(first);
        }
        // A bare tuple: `1, 2`.
        let mut items = vec![first];
        while self.take(",") {
            self.blank();
            if self.is_done() {
                break;
            }
            items.push(self.value()?);
            self.blank();
        }
        self.is_done().then_some(Value::Sequence(items))
    }

    /// A `#` begins a comment, as in any Python text.
    fn is_done(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, token: &str) -> bool {
        self.blank();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.blank();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => self
                .items('[', ']')
                .map(|(items, _)| Value::Sequence(items)),
            '(' => self.parenthesized(),
            '{' => self.braced(),
            '"' | '\'' => self.strings(),
            '-' | '+' => self.signed(),
            c if c.is_ascii_digit() || c == '.' => self.number(false),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    /// Returns the items, and whether a comma stood behind the last.
    fn items(&mut self, open: char, close: char) -> Option<(Vec<Value>, bool)> {
        self.rest = self.rest.strip_prefix(open)?;
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.blank();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value()?);
            comma = self.take(",");
        }
    }

    fn parenthesized(&mut self) -> Option<Value> {
        let (mut items, comma) = self.items('(', ')')?;
        if items.len() == 1 && !comma {
            return items.pop();
        }
        Some(Value::Sequence(items))
    }

    /// A dict, or a set, which becomes a list.
    fn braced(&mut self) -> Option<Value> {
        self.rest = self.rest.strip_prefix('{')?;
        let mut map = Mapping::new();
        let mut set = Vec::new();
        loop {
            if self.take("}") {
                break;
            }
            let key = self.value()?;
            if self.take(":") {
                let value = self.value()?;
                map.insert(text_key(key)?, value);
            } else if !set.contains(&key) {
                set.push(key);
            }
            if !self.take(",") {
                if !self.take("}") {
                    return None;
                }
                break;
            }
        }
        match (map.is_empty(), set.is_empty()) {
            (_, true) => Some(Value::Mapping(map)),
            (true, false) => Some(Value::Sequence(set)),
            (false, false) => None,
        }
    }

    fn signed(&mut self) -> Option<Value> {
        let negative = self.rest.starts_with('-');
        self.rest = self.rest[1..].trim_start_matches([' ', '\t']);
        self.number(negative)
    }

    fn number(&mut self, negative: bool) -> Option<Value> {
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        while let Some(b) = bytes.get(end) {
            let in_exponent = matches!(b, b'+' | b'-')
                && end > 0
                && matches!(bytes[end - 1], b'e' | b'E')
                && !self.rest[..end].starts_with("0x");
            if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || in_exponent {
                end += 1;
            } else {
                break;
            }
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        number_of(text, negative)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if rest.starts_with(['"', '\'']) {
            return self.strings();
        }
        self.rest = rest;
        match word {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            "set" if self.take("(") && self.take(")") => Some(Value::Sequence(Vec::new())),
            _ => None,
        }
    }

    /// Strings one after the other are one string.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            let prefix_end = self.rest.find(['"', '\''])?;
            let prefix = self.rest[..prefix_end].to_lowercase();
            let is_raw = match prefix.as_str() {
                "" | "u" | "b" => false,
                "r" | "br" | "rb" => true,
                _ => return None,
            };
            self.rest = &self.rest[prefix_end..];
            self.quoted(is_raw, &mut text)?;
            self.blank();
            let next = self.rest.trim_start_matches(|c: char| "uUbBrR".contains(c));
            if !next.starts_with(['"', '\'']) {
                return Some(Value::String(text));
            }
        }
    }

    fn quoted(&mut self, is_raw: bool, text: &mut String) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let close = if self.rest.starts_with(&triple) {
            triple
        } else {
            quote.to_string()
        };
        self.rest = &self.rest[close.len()..];
        loop {
            if let Some(rest) = self.rest.strip_prefix(close.as_str()) {
                self.rest = rest;
                return Some(());
            }
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            if c != '\\' {
                text.push(c);
            } else if is_raw {
                text.push('\\');
                let next = self.rest.chars().next()?;
                self.rest = &self.rest[next.len_utf8()..];
                text.push(next);
            } else {
                self.escape(text)?;
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        let simple = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' => c,
            'x' => return self.code(2, 16, text),
            'u' => return self.code(4, 16, text),
            'U' => return self.code(8, 16, text),
            '0'..='7' => {
                let more = self.rest.bytes().take(2);
                let n = more.take_while(|b| (b'0'..=b'7').contains(b)).count();
                let digits = format!("{c}{}", &self.rest[..n]);
                self.rest = &self.rest[n..];
                text.push(char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?);
                return Some(());
            }
            'N' => return None,
            _ => {
                text.push('\\');
                c
            }
        };
        text.push(simple);
        Some(())
    }

    fn code(&mut self, n_digits: usize, radix: u32, text: &mut String) -> Option<()> {
        let digits = self.rest.get(..n_digits)?;
        text.push(char::from_u32(u32::from_str_radix(digits, radix).ok()?)?);
        self.rest = &self.rest[n_digits..];
        Some(())
    }
}

/// Keys are text throughout, as in the YAML form.
fn text_key(key: Value) -> Option<Value> {
    Some(Value::String(match key {
        Value::String(text) => text,
        Value::Null => "null".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(n) => n.to_string(),
        _ => return None,
    }))
}

/// Python's numbers; complex ones and integers beyond 64 bits are none of ours.
fn number_of(text: &str, negative: bool) -> Option<Value> {
    let well_underscored = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    if !well_underscored {
        return None;
    }
    let lower = text.to_lowercase();
    let digits = lower.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        digits
            .strip_prefix(prefix)
            .and_then(|digits| i128::from_str_radix(digits, radix).ok())
    };
    let is_decimal = digits.bytes().all(|b| b.is_ascii_digit());
    let has_leading_zero = digits.starts_with('0') && digits.bytes().any(|b| b != b'0');
    let int = if is_decimal && !has_leading_zero {
        digits.parse::<i128>().ok()
    } else {
        radix("0x", 16)
            .or_else(|| radix("0o", 8))
            .or_else(|| radix("0b", 2))
    };
    if let Some(n) = int {
        let n = if negative { -n } else { n };
        return i64::try_from(n).ok().map(Value::from);
    }
    let is_float = digits.contains(['.', 'e'])
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    if !is_float {
        return None;
    }
    let n: f64 = digits.parse().ok()?;
    Some(Value::from(if negative { -n } else { n }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        serde_json::to_string(&evaluate(text)).unwrap()
    }

    #[test]
    fn literals_become_values_and_the_rest_stays_text() {
        for (text, value) in [
            ("5", "5"),
            ("-5", "-5"),
            ("1_000", "1000"),
            ("0x1f", "31"),
            ("0o17", "15"),
            ("007", "\"007\""),
            ("00", "0"),
            ("1.10", "1.1"),
            ("1e3", "1000.0"),
            ("2.6.0", "\"2.6.0\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("True", "true"),
            ("true", "\"true\""),
            ("yes", "\"yes\""),
            ("None", "null"),
            ("", "\"\""),
            ("[1, 'a', [True]]", "[1,\"a\",[true]]"),
            ("{'a': 1, \"b\": None}", "{\"a\":1,\"b\":null}"),
            ("{1, 2}", "[1,2]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("1, 2", "[1,2]"),
            ("5 # five", "5"),
            ("a # b", "\"a # b\""),
            ("'a' \"b\"", "\"ab\""),
            ("'it\\'s\\n'", "\"it's\\n\""),
            ("r'\\d'", "\"\\\\d\""),
            ("-Xmx1g -Xms1g", "\"-Xmx1g -Xms1g\""),
            ("1 + 2", "\"1 + 2\""),
            ("[1, 2", "\"[1, 2\""),
            ("['a' 1]", "\"['a' 1]\""),
            ("{{ x }}", "\"{{ x }}\""),
            ("{'a': {{ x }}}", "\"{'a': {{ x }}}\""),
            ("1__0", "\"1__0\""),
            ("--5", "\"--5\""),
            ("-", "\"-\""),
            ("3j", "\"3j\""),
            ("99999999999999999999", "\"99999999999999999999\""),
        ] {
            assert_eq!(json(text), value, "{text}");
        }
    }

    #[test]
    fn a_deep_list_stays_text() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(evaluate(&deep), Value::String(deep.clone()));
    }
}
