//! Reads the small formats that lookups meet: Python literals, ini files, csv lines, sets of characters.

use crate::template::native;
use crate::template::parse;
use crate::template::syntax::{Const, Expr, ExprKind};
use crate::template::values::Val;

/// A list or mapping written as Python (or JSON) would; nothing else is converted.
pub(crate) fn literal(text: &str) -> Option<Val> {
    let text = text.trim();
    let looks = (text.starts_with('[') && text.ends_with(']'))
        || (text.starts_with('{') && text.ends_with('}'));
    if !looks || text.len() > 1_000_000 {
        return None;
    }
    constant(&parse::expression(text).ok()?)
}

fn constant(expr: &Expr) -> Option<Val> {
    Some(match &*expr.kind {
        ExprKind::Const(Const::None) => Val::None,
        ExprKind::Const(Const::Bool(b)) => Val::Bool(*b),
        ExprKind::Const(Const::Int(n)) => Val::Int(*n),
        ExprKind::Const(Const::Float(n)) => Val::Float(*n),
        ExprKind::Const(Const::Str(text)) => Val::str(text),
        ExprKind::Var(name) if &**name == "null" => Val::None,
        ExprKind::Neg(inner) => match constant(inner)? {
            Val::Int(n) => Val::Int(-n),
            Val::Float(n) => Val::Float(-n),
            _ => return None,
        },
        ExprKind::List(items) => Val::list(items.iter().map(constant).collect::<Option<_>>()?),
        ExprKind::Tuple(items) => Val::tuple(items.iter().map(constant).collect::<Option<_>>()?),
        ExprKind::Dict(pairs) => Val::dict(
            pairs
                .iter()
                .map(|(k, v)| Some((constant(k)?, constant(v)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// The value of `key` in a section, or anywhere where there is none.
pub(super) fn ini(text: &str, section: Option<&str>, key: &str) -> Option<String> {
    let mut here = section.is_none();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            here = section.is_none_or(|wanted| wanted == name);
        } else if here
            && let Some((name, value)) = line.split_once(['=', ':'])
            && name.trim().eq_ignore_ascii_case(key)
        {
            return Some(value.trim().to_string());
        }
    }
    None
}

pub(super) fn csv_line(line: &str, delimiter: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => {
                if let Some(cell) = cells.last_mut() {
                    cell.push('"');
                }
            }
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => cells.push(String::new()),
            c => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(c);
                }
            }
        }
    }
    cells
}

/// `ascii_letters,digits`: names of Python's `string` module, or the characters themselves.
pub(super) fn alphabet(chars: Option<&Val>) -> String {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const DIGITS: &str = "0123456789";
    let words: Vec<String> = match chars {
        None | Some(Val::None) => return format!("{LETTERS}{DIGITS}.,:-_"),
        Some(value) => match value.as_items() {
            Some(items) => items.iter().map(native::text).collect(),
            None => native::text(value)
                .split(',')
                .map(ToString::to_string)
                .collect(),
        },
    };
    let set: String = words
        .iter()
        .map(|word| match word.as_str() {
            "ascii_letters" => LETTERS,
            "ascii_lowercase" => &LETTERS[..26],
            "ascii_uppercase" => &LETTERS[26..],
            "digits" => DIGITS,
            "hexdigits" => "0123456789abcdefABCDEF",
            "octdigits" => "01234567",
            "punctuation" => "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
            "" => ",",
            other => other,
        })
        .collect();
    if set.is_empty() { LETTERS.into() } else { set }
}
