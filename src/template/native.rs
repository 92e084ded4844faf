//! Prints values as Python would: `str()` for text, `repr()` inside lists and mappings.

use super::values::Val;
use std::fmt::Write;

/// `str(value)`; the value holds nothing lazy.
pub(crate) fn text(value: &Val) -> String {
    match value {
        Val::Str(text) => text.to_string(),
        Val::None => "None".into(),
        other => {
            let mut out = String::new();
            write_repr(&mut out, other);
            out
        }
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Val) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Val) {
    match value {
        Val::None => out.push_str("None"),
        Val::Bool(true) => out.push_str("True"),
        Val::Bool(false) => out.push_str("False"),
        Val::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Val::Float(n) => out.push_str(&float(*n)),
        Val::Str(text) => write_str(out, text),
        Val::List(items) => write_items(out, &items.borrow()),
        Val::Tuple(items) => write_items(out, items),
        Val::Dict(items) => {
            out.push('{');
            let entries = items.borrow();
            let kept = entries.iter().filter(|(_, v)| !matches!(v, Val::Omit));
            for (at, (key, item)) in kept.enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_repr(out, key);
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
        Val::Object(object) => out.push_str(&object.text()),
        Val::Undefined(_) => out.push_str("Undefined"),
        Val::Omit => out.push_str("<< Omit >>"),
        Val::Lazy(_) | Val::Host(_) => out.push_str("{...}"),
    }
}

fn write_items(out: &mut String, items: &[Val]) {
    out.push('[');
    let kept = items.iter().filter(|v| !matches!(v, Val::Omit));
    for (at, item) in kept.enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_repr(out, item);
    }
    out.push(']');
}

fn write_str(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' ' => out.push(' '),
            // What Python takes for unprintable: controls, blanks other than the blank, invisible marks.
            c if c.is_control()
                || c.is_whitespace()
                || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}') =>
            {
                let _ = match c as u32 {
                    code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                    code => write!(out, "\\u{code:04x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// `repr` of a float: the shortest text that reads back, in Python's notation.
pub(crate) fn float(n: f64) -> String {
    if n.is_nan() {
        return "nan".into();
    }
    if n.is_infinite() {
        return if n > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{n:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{n}");
        if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}
