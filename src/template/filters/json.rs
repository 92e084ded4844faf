//! JSON as Python's `json` writes it, byte for byte: separators, escapes, sorted keys.

use super::Filter;
use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};
use std::fmt::Write;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("to_json", to_json),
    ("to_nice_json", to_nice_json),
    ("tojson", tojson),
    ("from_json", from_json),
    ("pprint", |_, s, _| Ok(Val::str(native::repr(s)))),
];

/// How to write.
struct Style {
    indent: Option<usize>,
    sort: bool,
    ascii: bool,
    item: String,
    colon: String,
}

fn style(args: &mut Args, indent: Option<usize>, sort: bool) -> Res<Style> {
    let indent = match args.take("indent") {
        None => indent,
        Some(Val::None) => None,
        Some(n) => Some(usize::try_from(n.want_int("indent")?.clamp(0, 100)).unwrap_or(0)),
    };
    let sort = flag(args.take("sort_keys").as_ref(), sort);
    let ascii = flag(args.take("ensure_ascii").as_ref(), true);
    let separators = args.take("separators").and_then(|s| s.as_items());
    let (item, colon) = match separators.as_deref() {
        Some([item, colon]) => (native::text(item), native::text(colon)),
        _ if indent.is_some() => (",".into(), ": ".into()),
        _ => (", ".into(), ": ".into()),
    };
    for ignored in [
        "preprocess_unsafe",
        "vault_to_text",
        "skipkeys",
        "check_circular",
        "allow_nan",
        "profile",
        "cls",
        "default",
    ] {
        args.take(ignored);
    }
    if let Some((name, _)) = args.named.first() {
        return Err(Error::wrong_type(format!("has no parameter `{name}`")));
    }
    Ok(Style {
        indent,
        sort,
        ascii,
        item,
        colon,
    })
}

fn to_json(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let style = style(&mut args, None, false)?;
    Ok(Val::str(style.write(subject)?))
}

fn to_nice_json(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    if let Some(indent) = args.pos.pop() {
        args.named.push(("indent".into(), indent));
    }
    let style = style(&mut args, Some(4), true)?;
    Ok(Val::str(style.write(subject)?))
}

fn tojson(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    if let Some(indent) = args.pos.pop() {
        args.named.push(("indent".into(), indent));
    }
    let text = style(&mut args, None, true)?.write(subject)?;
    Ok(Val::str(
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\'', "\\u0027"),
    ))
}

impl Style {
    fn write(&self, value: &Val) -> Res<String> {
        let mut out = String::new();
        self.value(&mut out, value, 0)?;
        Ok(out)
    }

    fn value(&self, out: &mut String, value: &Val, level: usize) -> Res<()> {
        match value {
            Val::None => out.push_str("null"),
            Val::Bool(true) => out.push_str("true"),
            Val::Bool(false) => out.push_str("false"),
            Val::Float(n) if n.is_nan() => out.push_str("NaN"),
            Val::Float(n) if n.is_infinite() => {
                out.push_str(if *n > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Val::Int(_) | Val::Float(_) => out.push_str(&native::text(value)),
            Val::Str(text) => self.string(out, text),
            Val::List(items) => {
                let items = items.borrow().clone();
                self.items(out, &items, level)?;
            }
            Val::Tuple(items) => self.items(out, items, level)?,
            Val::Dict(items) => {
                let mut entries: Vec<(Val, Val)> = items
                    .borrow()
                    .iter()
                    .filter(|(_, v)| !matches!(v, Val::Omit))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                if self.sort {
                    entries.sort_by(|a, b| {
                        crate::template::eval::ops::order(&a.0, &b.0)
                            .unwrap_or_else(|| native::text(&a.0).cmp(&native::text(&b.0)))
                    });
                }
                out.push('{');
                for (at, (key, item)) in entries.iter().enumerate() {
                    self.between(out, at, level + 1);
                    match key {
                        Val::Str(key) => self.string(out, key),
                        Val::None | Val::Bool(_) | Val::Int(_) | Val::Float(_) => {
                            out.push('"');
                            self.value(out, key, 0)?;
                            out.push('"');
                        }
                        other => self.string(out, &native::text(other)),
                    }
                    out.push_str(&self.colon);
                    self.value(out, item, level + 1)?;
                }
                self.close(out, entries.is_empty(), level);
                out.push('}');
            }
            Val::Object(object) => match object.to_value()? {
                crate::value::Value::String(text) => self.string(out, &text),
                other => self.value(out, &Val::from_plain(&other), level)?,
            },
            Val::Undefined(error) => return Err((**error).clone()),
            other => {
                return Err(Error::wrong_type(format!(
                    "a {} is not JSON",
                    other.type_name()
                )));
            }
        }
        Ok(())
    }

    fn items(&self, out: &mut String, items: &[Val], level: usize) -> Res<()> {
        out.push('[');
        let kept: Vec<&Val> = items.iter().filter(|v| !matches!(v, Val::Omit)).collect();
        for (at, item) in kept.iter().enumerate() {
            self.between(out, at, level + 1);
            self.value(out, item, level + 1)?;
        }
        self.close(out, kept.is_empty(), level);
        out.push(']');
        Ok(())
    }

    fn between(&self, out: &mut String, at: usize, level: usize) {
        if at > 0 {
            out.push_str(&self.item);
        }
        self.newline(out, level);
    }

    fn close(&self, out: &mut String, empty: bool, level: usize) {
        if !empty {
            self.newline(out, level);
        }
    }

    fn newline(&self, out: &mut String, level: usize) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * level));
        }
    }

    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ascii && (c as u32) > 0x7e) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn from_json(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let text = match subject {
        Val::Str(text) => text,
        // What is data already (a templated text that became a list) stays what it is.
        Val::List(_) | Val::Dict(_) => return Ok(subject.clone()),
        other => {
            return Err(Error::wrong_type(format!(
                "needs a text, not a {}",
                other.type_name()
            )));
        }
    };
    parse(text)
}

pub(crate) fn parse(text: &str) -> Res {
    let parsed: crate::value::Value = serde_json::from_str(text)
        .map_err(|error| Error::wrong_type(format!("not JSON: {error}")))?;
    Ok(Val::from_plain(&parsed))
}
