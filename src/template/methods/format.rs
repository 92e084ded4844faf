//! Python's `str.format`: `'{0:>5} {name!r} {x.y[0]}'.format(…)`.

use crate::template::args::Args;
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::printf::{MAX_WIDTH, float_digits};
use crate::template::values::{Res, Val};

pub(crate) fn format(cx: &mut Cx, text: &str, args: &Args) -> Res<String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => out.push('{'),
            '}' => {
                chars.next_if_eq(&'}');
                out.push('}');
            }
            '{' => {
                let mut field = String::new();
                let mut depth = 1;
                for c in chars.by_ref() {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    if depth == 0 {
                        break;
                    }
                    field.push(c);
                }
                out.push_str(&one(cx, &field, args, &mut next)?);
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn one(cx: &mut Cx, field: &str, args: &Args, next: &mut usize) -> Res<String> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
    let spec = if spec.contains('{') {
        format(cx, spec, args)?
    } else {
        spec.to_string()
    };
    let head_end = name.find(['.', '[']).unwrap_or(name.len());
    let (head, mut path) = name.split_at(head_end);
    let mut value = if head.is_empty() {
        *next += 1;
        args.pos.get(*next - 1).cloned()
    } else if let Ok(at) = head.parse::<usize>() {
        args.pos.get(at).cloned()
    } else {
        let named = args.named.iter().find(|(n, _)| &**n == head);
        named.map(|(_, v)| v.clone())
    }
    .ok_or_else(|| Error::wrong_type(format!("no value for `{{{field}}}`")))?;
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('[') {
            let (key, rest) = rest.split_once(']').unwrap_or((rest, ""));
            value = cx.item(&value, &Val::str(key))?;
            path = rest;
        } else {
            let rest = path.trim_start_matches('.');
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            value = cx.attr(&value, &rest[..end])?;
            path = &rest[end..];
        }
        if let Val::Undefined(error) = &value {
            return Err((**error).clone());
        }
    }
    if conversion == "r" {
        value = Val::str(native::repr(&value));
    }
    apply(&spec, &value)
}

/// `format(value, spec)`.
fn apply(spec: &str, value: &Val) -> Res<String> {
    if spec.is_empty() {
        return Ok(native::text(value));
    }
    let chars: Vec<char> = spec.chars().collect();
    let is_align = |c: &char| "<>^=".contains(*c);
    let (mut fill, mut align, mut at) = (' ', None, 0);
    if chars.get(1).is_some_and(is_align) {
        (fill, align, at) = (chars[0], Some(chars[1]), 2);
    } else if chars.first().is_some_and(is_align) {
        (align, at) = (Some(chars[0]), 1);
    }
    let mut take = |wanted: &str| {
        let hit = chars.get(at).copied().filter(|c| wanted.contains(*c));
        at += usize::from(hit.is_some());
        hit
    };
    let sign = take("+- ");
    let alternate = take("#").is_some();
    if take("0").is_some() && align.is_none() {
        (fill, align) = ('0', Some('='));
    }
    let number = |take: &mut dyn FnMut(&str) -> Option<char>| {
        let mut digits = String::new();
        while let Some(digit) = take("0123456789") {
            digits.push(digit);
        }
        digits.parse::<usize>().ok().map(|n| n.min(MAX_WIDTH))
    };
    let width = number(&mut take).unwrap_or(0);
    let comma = take(",_");
    let precision = if take(".").is_some() {
        number(&mut take)
    } else {
        None
    };
    let kind = take("bcdeEfFgGnosxX%");

    let is_number =
        matches!(value, Val::Int(_) | Val::Float(_) | Val::Bool(_)) && kind != Some('s');
    let (negative, mut body) = if is_number {
        digits(value, kind, precision, alternate)?
    } else {
        let text = native::text(value);
        let cut = precision.map(|n| text.chars().take(n).collect());
        (false, cut.unwrap_or(text))
    };
    if let Some(comma) = comma {
        body = grouped(&body, comma);
    }
    let sign = match (negative, sign) {
        (true, _) => "-",
        (_, Some('+')) => "+",
        (_, Some(' ')) => " ",
        _ => "",
    };
    let missing = width.saturating_sub(body.chars().count() + sign.len());
    let fill = |n: usize| fill.to_string().repeat(n);
    Ok(match align.unwrap_or(if is_number { '>' } else { '<' }) {
        '<' => format!("{sign}{body}{}", fill(missing)),
        '^' => format!(
            "{}{sign}{body}{}",
            fill(missing / 2),
            fill(missing - missing / 2)
        ),
        '=' => format!("{sign}{}{body}", fill(missing)),
        _ => format!("{}{sign}{body}", fill(missing)),
    })
}

fn digits(
    value: &Val,
    kind: Option<char>,
    precision: Option<usize>,
    alternate: bool,
) -> Res<(bool, String)> {
    let prefix = |text: &'static str| if alternate { text } else { "" };
    if let (Some(n), None | Some('d' | 'n' | 'b' | 'o' | 'x' | 'X' | 'c')) = (value.as_int(), kind)
    {
        let size = n.unsigned_abs();
        let body = match kind {
            Some('b') => format!("{}{size:b}", prefix("0b")),
            Some('o') => format!("{}{size:o}", prefix("0o")),
            Some('x') => format!("{}{size:x}", prefix("0x")),
            Some('X') => format!("{}{size:X}", prefix("0X")),
            _ => size.to_string(),
        };
        return Ok((n < 0, body));
    }
    let n = value.as_float().unwrap_or(f64::NAN);
    let size = n.abs();
    let body = match kind {
        Some('%') => format!("{:.*}%", precision.unwrap_or(6), size * 100.0),
        Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G')) => {
            float_digits(kind, size, precision.unwrap_or(6))
        }
        None => match precision {
            Some(precision) => float_digits('g', size, precision),
            None => native::float(size),
        },
        Some(kind) => {
            return Err(Error::wrong_type(format!(
                "`{kind}` does not format a {}",
                value.type_name()
            )));
        }
    };
    Ok((n < 0.0, body))
}

fn grouped(body: &str, comma: char) -> String {
    let (whole, rest) = match body.find('.') {
        Some(at) => body.split_at(at),
        None => (body, ""),
    };
    let mut out = String::new();
    for (at, c) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(comma);
        }
        out.push(c);
    }
    out + rest
}
