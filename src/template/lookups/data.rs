//! Lookups on values and variables: `dict`, `items`, `nested`, `sequence`, `vars`, `varnames` and their like.

use super::{Lookup, Options};
use crate::template::args::flag;
use crate::template::error::{Error, ErrorKind};
use crate::template::eval::Cx;
use crate::template::filters::{self, list, regex};
use crate::template::native;
use crate::template::printf;
use crate::template::values::{Res, Val};
use rand::seq::IndexedRandom;

pub(super) const TABLE: &[(&str, Lookup)] = &[
    ("items", |_, terms, _| Ok(one_level(terms))),
    ("list", |_, terms, _| Ok(terms.to_vec())),
    ("flattened", |_, terms, _| {
        let mut all = Vec::new();
        list::flatten_into(&mut all, terms.to_vec(), usize::MAX, true);
        Ok(all)
    }),
    ("dict", dict),
    ("nested", nested),
    ("cartesian", nested),
    ("together", together),
    ("subelements", subelements),
    ("indexed_items", |_, terms, _| {
        let items = one_level(terms).into_iter().enumerate();
        Ok(items
            .map(|(at, item)| Val::tuple(vec![Val::size(at), item]))
            .collect())
    }),
    ("random_choice", |_, terms, _| {
        let items = one_level(terms);
        Ok(items
            .choose(&mut rand::rng())
            .cloned()
            .into_iter()
            .collect())
    }),
    ("sequence", sequence),
    ("vars", vars),
    ("varnames", varnames),
    ("inventory_hostnames", inventory_hostnames),
    ("config", config),
];

/// Puts lists among the terms in line, one level deep.
pub(super) fn one_level(terms: &[Val]) -> Vec<Val> {
    let mut all = Vec::new();
    for term in terms {
        match term.as_items() {
            Some(items) => all.extend(items),
            None => all.push(term.clone()),
        }
    }
    all
}

fn dict(_: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let mut all = Vec::new();
    for term in one_level(terms) {
        let Val::Dict(items) = &term else {
            return Err(Error::wrong_type(format!(
                "needs a mapping, not a {}",
                term.type_name()
            )));
        };
        for (key, value) in items.borrow().iter() {
            all.push(Val::pairs([("key", key.clone()), ("value", value.clone())]));
        }
    }
    Ok(all)
}

fn columns(cx: &mut Cx, terms: &[Val]) -> Res<Vec<Vec<Val>>> {
    terms
        .iter()
        .map(|term| match term {
            Val::Str(_) => Ok(vec![term.clone()]),
            other => cx.items(other),
        })
        .collect()
}

fn nested(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let columns = columns(cx, terms)?;
    if columns.is_empty() {
        return Err(Error::wrong_type("needs at least one list"));
    }
    let rows = list::product_of(&columns)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut flat = Vec::new();
            list::flatten_into(&mut flat, row, usize::MAX, false);
            Val::list(flat)
        })
        .collect())
}

fn together(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let columns = columns(cx, terms)?;
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
    Ok((0..longest)
        .map(|row| {
            let cells = columns
                .iter()
                .map(|c| c.get(row).cloned().unwrap_or(Val::None));
            Val::list(one_level(&cells.collect::<Vec<_>>()))
        })
        .collect())
}

fn subelements(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let mut terms = terms.iter().cloned();
    let (Some(elements), Some(path)) = (terms.next(), terms.next()) else {
        return Err(Error::wrong_type(
            "needs a list and the name of its inner list",
        ));
    };
    let mut args = Options::of(vec![path]);
    if let Some(Val::Dict(flags)) = terms.next() {
        let skip = flags
            .borrow()
            .get(&crate::template::values::Key("skip_missing"))
            .is_some_and(filters::is_yes);
        args.named.push(("skip_missing".into(), Val::Bool(skip)));
    }
    // Elements that say of themselves that they were skipped are left out.
    let elements = cx.items(&match &elements {
        Val::Dict(items) => Val::list(items.borrow().values().cloned().collect()),
        other => other.clone(),
    })?;
    let found = cx.filter("subelements", Val::list(elements), args)?;
    cx.items(&found)
}

/// `start=1 end=5 stride=2 format=web%02d`, or `1-5/2:web%02d`.
fn sequence(_: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let mut all = Vec::new();
    let no_term = [Val::str("")];
    let terms = if terms.is_empty() { &no_term } else { terms };
    for term in terms {
        let term = native::text(term);
        let (mut start, mut end, mut stride, mut count) = (1i128, None, 1i128, None);
        let mut format = "%d".to_string();
        let int = |text: &str| -> Res<i128> {
            let (radix, digits) = match text.strip_prefix("0x") {
                Some(hex) => (16, hex),
                None if text.len() > 1 && text.starts_with('0') => {
                    (8, text.trim_start_matches("0o"))
                }
                None => (10, text),
            };
            i128::from_str_radix(digits, radix)
                .map_err(|_| Error::wrong_type(format!("`{text}` is not a number")))
        };
        let mut set = |key: &str, value: &str| -> Res<()> {
            match key {
                "start" => start = int(value)?,
                "end" => end = Some(int(value)?),
                "stride" => stride = int(value)?,
                "count" => count = Some(int(value)?),
                "format" => format = value.to_string(),
                _ => return Err(Error::wrong_type(format!("has no option `{key}`"))),
            }
            Ok(())
        };
        for (key, value) in std::mem::take(&mut options.named) {
            set(&key, &native::text(&value))?;
        }
        if term.contains('=') {
            for word in term.split_whitespace() {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                set(key, value)?;
            }
        } else if !term.is_empty() {
            let (range, given) = term
                .split_once(':')
                .map_or((&*term, None), |(r, f)| (r, Some(f)));
            let (range, step) = range
                .split_once('/')
                .map_or((range, None), |(r, s)| (r, Some(s)));
            if let Some((from, to)) = range.split_once('-') {
                set("start", from)?;
                set("end", to)?;
            } else {
                set("end", range)?;
            }
            if let Some(step) = step {
                set("stride", step)?;
            }
            if let Some(given) = given {
                set("format", given)?;
            }
        }
        let end = match (end, count) {
            (None, None) => return Err(Error::wrong_type("needs `end` or `count`")),
            (Some(_), Some(_)) => {
                return Err(Error::wrong_type("takes `end` or `count`, not both"));
            }
            (Some(end), None) => end,
            (None, Some(0)) => continue,
            (None, Some(count)) => start + count * stride - stride.signum(),
        };
        if stride == 0 {
            return Err(Error::wrong_type("the stride cannot be 0"));
        }
        if stride > 0 && end < start {
            return Err(Error::wrong_type(
                "to count backwards, make the stride negative",
            ));
        }
        if (end - start) / stride > 1_000_000 {
            return Err(Error::wrong_type("more than a million numbers"));
        }
        let mut at = start;
        while if stride > 0 { at <= end } else { at >= end } {
            all.push(Val::str(printf::percent(&format, &Val::Int(at))?));
            at += stride;
        }
    }
    Ok(all)
}

fn vars(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let default = options.take("default");
    let mut all = Vec::new();
    for term in terms {
        let name = term.want_str("the variable's name")?;
        let value = match cx.name(name)? {
            Val::Undefined(error) => match &default {
                Some(default) => default.clone(),
                None => {
                    return Err(Error::new(
                        ErrorKind::Undefined { name: name.into() },
                        if error.via.is_empty() {
                            format!("no variable found with this name: `{name}`")
                        } else {
                            error.to_string()
                        },
                    ));
                }
            },
            value => cx.force(value)?,
        };
        all.push(value);
    }
    Ok(all)
}

fn varnames(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let names = cx.host.scope.names();
    let mut all = Vec::new();
    for term in terms {
        let pattern = term.want_str("the pattern")?;
        for name in &names {
            if regex::is_match(pattern, name, false, false, false)? {
                all.push(Val::str(name));
            }
        }
    }
    Ok(all)
}

fn inventory_hostnames(cx: &mut Cx, terms: &[Val], _: Options) -> Res<Vec<Val>> {
    let patterns: Vec<String> = terms.iter().map(native::text).collect();
    let hosts = cx.host.scope.files().hosts_matching(&patterns.join(","));
    hosts
        .map(|hosts| hosts.iter().map(Val::str).collect())
        .map_err(Error::wrong_type)
}

fn config(cx: &mut Cx, terms: &[Val], mut options: Options) -> Res<Vec<Val>> {
    let skip = options.take("on_missing").map(|m| native::text(&m));
    let show_origin = flag(options.take("show_origin").as_ref(), false);
    let files = cx.host.scope.files();
    let mut all = Vec::new();
    for term in terms {
        let name = native::text(term);
        match files.config(&name) {
            Some(value) if show_origin => all.push(Val::tuple(vec![
                Val::from_plain(&value),
                Val::str("default"),
            ])),
            Some(value) => all.push(Val::from_plain(&value)),
            None if matches!(skip.as_deref(), Some("skip" | "warn")) => {}
            None => return Err(Error::wrong_type(format!("no setting `{name}`"))),
        }
    }
    Ok(all)
}
