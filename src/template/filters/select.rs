//! Filters that take other filters, tests or attributes: `map`, `select`, `rejectattr`, `groupby`, `sort`.

use super::Filter;
use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::methods;
use crate::template::native;
use crate::template::values::{Res, Val};
use indexmap::IndexMap;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("map", map),
    ("select", |cx, s, a| select(cx, s, a, true)),
    ("reject", |cx, s, a| select(cx, s, a, false)),
    ("selectattr", |cx, s, a| select_attr(cx, s, a, true)),
    ("rejectattr", |cx, s, a| select_attr(cx, s, a, false)),
    ("groupby", group_by),
    ("sort", sort),
    ("unique", unique),
    ("min", |cx, s, a| {
        extreme(cx, s, a, std::cmp::Ordering::Less)
    }),
    ("max", |cx, s, a| {
        extreme(cx, s, a, std::cmp::Ordering::Greater)
    }),
    ("sum", sum),
    ("dictsort", dict_sort),
];

/// `item.a.b.0`, as `map(attribute='a.b.0')` reads it. Undefined where some part is not there.
pub(crate) fn attribute(cx: &mut Cx, item: &Val, path: &Val) -> Res {
    let Val::Str(path) = path else {
        return cx.item(item, path);
    };
    let mut value = item.clone();
    for part in path.split('.') {
        let key = match part.parse::<i128>() {
            Ok(at) if !matches!(value, Val::Dict(_)) => Val::Int(at),
            _ => Val::str(part),
        };
        value = cx.item(&value, &key)?;
    }
    Ok(value)
}

fn map(cx: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let items = cx.items(subject)?;
    let mut all = Vec::with_capacity(items.len());
    if let Some(path) = args.take("attribute") {
        let default = args.take("default");
        for item in items {
            let value = attribute(cx, &item, &path)?;
            all.push(match (value, &default) {
                (Val::Undefined(_), Some(default)) => default.clone(),
                (Val::Undefined(error), None) => return Err((*error).clone()),
                (value, _) => value,
            });
        }
        return Ok(Val::list(all));
    }
    let mut pos = args.pos.into_iter();
    let Some(name) = pos.next() else {
        return Err(Error::wrong_type(
            "needs the name of a filter or attribute=",
        ));
    };
    let name = name.want_str("the filter's name")?.to_string();
    let rest: Vec<Val> = pos.collect();
    for item in items {
        let args = Args {
            pos: rest.clone(),
            named: args.named.clone(),
        };
        match cx.filter(&name, item, args)? {
            Val::Undefined(error) => return Err((*error).clone()),
            value => all.push(value),
        }
    }
    Ok(Val::list(all))
}

fn passes(cx: &mut Cx, item: Val, test: Option<&(String, Vec<Val>)>) -> Res<bool> {
    match test {
        None => match item {
            Val::Undefined(_) => Ok(false),
            item => Ok(item.is_true()),
        },
        Some((name, args)) => cx.apply_test(name, item, Args::of(args.clone())),
    }
}

fn test_of(args: Vec<Val>) -> Res<Option<(String, Vec<Val>)>> {
    let mut args = args.into_iter();
    match args.next() {
        None => Ok(None),
        Some(name) => Ok(Some((
            name.want_str("the test's name")?.to_string(),
            args.collect(),
        ))),
    }
}

fn select(cx: &mut Cx, subject: &Val, args: Args, keep: bool) -> Res {
    let mut pos = args.pos;
    // `select('match', 'x', ignorecase=True)`: tests take their named arguments in order, too.
    pos.extend(args.named.into_iter().map(|(_, v)| v));
    let test = test_of(pos)?;
    let mut all = Vec::new();
    for item in cx.items(subject)? {
        if passes(cx, item.clone(), test.as_ref())? == keep {
            all.push(item);
        }
    }
    Ok(Val::list(all))
}

fn select_attr(cx: &mut Cx, subject: &Val, args: Args, keep: bool) -> Res {
    let mut pos = args.pos;
    if pos.is_empty() {
        return Err(Error::wrong_type("needs the name of an attribute"));
    }
    let path = pos.remove(0);
    let test = test_of(pos)?;
    let mut all = Vec::new();
    for item in cx.items(subject)? {
        let value = attribute(cx, &item, &path)?;
        if passes(cx, value, test.as_ref())? == keep {
            all.push(item);
        }
    }
    Ok(Val::list(all))
}

/// What Jinja compares: texts without their case unless it matters.
fn sort_key(value: Val, case_sensitive: bool) -> Val {
    match value {
        Val::Str(text) if !case_sensitive => Val::str(text.to_lowercase()),
        other => other,
    }
}

fn group_by(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [path, default, case_sensitive] = args.bind(["attribute", "default", "case_sensitive"])?;
    let path = path.ok_or_else(|| Error::wrong_type("needs an attribute"))?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut keyed = Vec::new();
    for item in cx.items(subject)? {
        let key = match (attribute(cx, &item, &path)?, &default) {
            (Val::Undefined(_), Some(default)) => default.clone(),
            (Val::Undefined(error), None) => return Err((*error).clone()),
            (key, _) => key,
        };
        keyed.push((key, item));
    }
    let mut order: Vec<Val> = keyed
        .iter()
        .map(|(key, _)| sort_key(key.clone(), case_sensitive))
        .collect();
    methods::sort(&mut order)?;
    order.dedup();
    let groups = order.into_iter().map(|wanted| {
        let mut name = None;
        let mut members = Vec::new();
        for (key, item) in &keyed {
            if sort_key(key.clone(), case_sensitive) == wanted {
                name.get_or_insert_with(|| key.clone());
                members.push(item.clone());
            }
        }
        Val::tuple(vec![name.unwrap_or(wanted), Val::list(members)])
    });
    Ok(Val::list(groups.collect()))
}

fn sort(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [reverse, case_sensitive, path] = args.bind(["reverse", "case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut keyed = Vec::new();
    for item in cx.items(subject)? {
        let mut keys = Vec::new();
        match &path {
            Some(Val::Str(paths)) => {
                for path in paths.split(',') {
                    match attribute(cx, &item, &Val::str(path.trim()))? {
                        Val::Undefined(error) => return Err((*error).clone()),
                        key => keys.push(sort_key(key, case_sensitive)),
                    }
                }
            }
            Some(Val::None) | None => keys.push(sort_key(item.clone(), case_sensitive)),
            Some(path) => keys.push(sort_key(attribute(cx, &item, path)?, case_sensitive)),
        }
        keyed.push(Val::tuple(vec![Val::tuple(keys), item]));
    }
    sort_pairs(&mut keyed, flag(reverse.as_ref(), false))?;
    Ok(Val::list(keyed.iter().filter_map(second).collect()))
}

fn second(pair: &Val) -> Option<Val> {
    match pair {
        Val::Tuple(pair) => pair.get(1).cloned(),
        _ => None,
    }
}

/// Sorts pairs by their first item only; equal ones stay in their order, also in reverse.
fn sort_pairs(pairs: &mut [Val], reverse: bool) -> Res<()> {
    let first = |pair: &Val| match pair {
        Val::Tuple(pair) => pair.first().cloned().unwrap_or(Val::None),
        _ => Val::None,
    };
    // Unordered keys are found before the stable sort, which cannot fail.
    let mut keys: Vec<Val> = pairs.iter().map(first).collect();
    methods::sort(&mut keys)?;
    pairs.sort_by(|a, b| {
        let order = crate::template::eval::ops::order(&first(a), &first(b));
        let order = order.unwrap_or(std::cmp::Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    Ok(())
}

fn unique(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [case_sensitive, path] = args.bind(["case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut seen: Vec<Val> = Vec::new();
    let mut all = Vec::new();
    for item in cx.items(subject)? {
        let key = match &path {
            Some(Val::None) | None => item.clone(),
            Some(path) => attribute(cx, &item, path)?,
        };
        let key = sort_key(key, case_sensitive);
        if !seen.contains(&key) {
            seen.push(key);
            all.push(item);
        }
    }
    Ok(Val::list(all))
}

fn extreme(cx: &mut Cx, subject: &Val, args: Args, wanted: std::cmp::Ordering) -> Res {
    let [case_sensitive, path] = args.bind(["case_sensitive", "attribute"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let mut best: Option<(Val, Val)> = None;
    for item in cx.items(subject)? {
        let key = match &path {
            Some(Val::None) | None => item.clone(),
            Some(path) => attribute(cx, &item, path)?,
        };
        let key = sort_key(key, case_sensitive);
        let better = match &best {
            None => true,
            Some((known, _)) => {
                let order = crate::template::eval::ops::order(&key, known);
                order.ok_or_else(|| {
                    Error::wrong_type(format!(
                        "a {} and a {} have no order",
                        key.type_name(),
                        known.type_name()
                    ))
                })? == wanted
            }
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(match best {
        Some((_, item)) => item,
        None => Val::undefined("", "no least or greatest item of an empty list"),
    })
}

fn sum(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [path, start] = args.bind(["attribute", "start"])?;
    let mut total = start.unwrap_or(Val::Int(0));
    for item in cx.items(subject)? {
        let item = match &path {
            Some(Val::None) | None => item,
            Some(path) => attribute(cx, &item, path)?,
        };
        if let Val::Undefined(error) = item {
            return Err((*error).clone());
        }
        total = crate::template::eval::ops::math(
            cx,
            crate::template::syntax::MathOp::Add,
            &total,
            &item,
        )?;
    }
    Ok(total)
}

fn dict_sort(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [case_sensitive, by, reverse] = args.bind(["case_sensitive", "by", "reverse"])?;
    let case_sensitive = flag(case_sensitive.as_ref(), false);
    let by_value = match by.as_ref().map(native::text).as_deref() {
        None | Some("key") => false,
        Some("value") => true,
        Some(other) => {
            return Err(Error::wrong_type(format!(
                "`by` is `key` or `value`, not `{other}`"
            )));
        }
    };
    let entries: IndexMap<Val, Val> = methods::as_pairs(cx, subject)?;
    let mut pairs: Vec<Val> = entries
        .into_iter()
        .map(|(key, value)| {
            let by = if by_value { value.clone() } else { key.clone() };
            Val::tuple(vec![
                sort_key(by, case_sensitive),
                Val::tuple(vec![key, value]),
            ])
        })
        .collect();
    sort_pairs(&mut pairs, flag(reverse.as_ref(), false))?;
    Ok(Val::list(pairs.iter().filter_map(second).collect()))
}
