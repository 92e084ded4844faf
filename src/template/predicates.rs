//! The tests that may stand after `is`, Jinja's and Ansible's, found by name.

use super::args::{Args, flag};
use super::error::Error;
use super::eval::{Cx, ops};
use super::filters::{self, regex, version};
use super::native;
use super::object::Object;
use super::syntax::CompareOp;
use super::values::{Key, Res, Val};
use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

/// Takes the subject and the arguments; nothing in them is lazy.
pub(crate) type Test = fn(&mut Cx, &Val, Args) -> Res<bool>;

static ALL: LazyLock<HashMap<&'static str, Test>> = LazyLock::new(|| {
    [KINDS, COMPARISONS, RESULTS, TEXTS, PATHS]
        .into_iter()
        .flatten()
        .copied()
        .collect()
});

pub(crate) fn find(name: &str) -> Option<Test> {
    ALL.get(name).copied()
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.keys().copied()
}

pub(crate) fn takes_undefined(name: &str) -> bool {
    matches!(name, "defined" | "undefined")
}

type Table = &'static [(&'static str, Test)];

const KINDS: Table = &[
    ("defined", |_, v, _| Ok(!v.is_undefined())),
    ("undefined", |_, v, _| Ok(v.is_undefined())),
    ("none", |_, v, _| Ok(matches!(v, Val::None))),
    ("string", |_, v, _| Ok(matches!(v, Val::Str(_)))),
    ("boolean", |_, v, _| Ok(matches!(v, Val::Bool(_)))),
    ("true", |_, v, _| Ok(matches!(v, Val::Bool(true)))),
    ("false", |_, v, _| Ok(matches!(v, Val::Bool(false)))),
    ("integer", |_, v, _| Ok(matches!(v, Val::Int(_)))),
    ("float", |_, v, _| Ok(matches!(v, Val::Float(_)))),
    ("number", |_, v, _| {
        Ok(matches!(v, Val::Int(_) | Val::Float(_) | Val::Bool(_)))
    }),
    ("mapping", |_, v, _| Ok(matches!(v, Val::Dict(_)))),
    ("sequence", |_, v, _| {
        let listed = matches!(v, Val::Str(_) | Val::List(_) | Val::Tuple(_) | Val::Dict(_));
        Ok(listed || is_range(v))
    }),
    ("iterable", |_, v, _| {
        let listed = matches!(v, Val::Str(_) | Val::List(_) | Val::Tuple(_) | Val::Dict(_));
        Ok(listed || is_range(v))
    }),
    ("callable", |_, v, _| {
        Ok(matches!(v, Val::Object(o) if matches!(
            **o,
            Object::Function(_) | Object::Method(..) | Object::Macro { .. } | Object::Joiner(..)
        )))
    }),
    ("escaped", |_, _, _| Ok(false)),
    ("filter", |_, v, _| {
        Ok(v.as_str()
            .is_some_and(|n| filters::find(filters::short_name(n)).is_some()))
    }),
    ("test", |_, v, _| {
        Ok(v.as_str()
            .is_some_and(|n| find(filters::short_name(n)).is_some()))
    }),
    ("truthy", |_, v, args| truthy(v, args)),
    ("falsy", |_, v, args| Ok(!truthy(v, args)?)),
    ("nan", |_, v, _| Ok(v.as_float().is_some_and(f64::is_nan))),
    ("isnan", |_, v, _| Ok(v.as_float().is_some_and(f64::is_nan))),
    ("vault_encrypted", |_, v, _| {
        Ok(v.as_str().is_some_and(|t| t.starts_with("$ANSIBLE_VAULT")))
    }),
];

fn is_range(value: &Val) -> bool {
    matches!(value, Val::Object(o) if matches!(**o, Object::Range { .. }))
}

fn truthy(value: &Val, args: Args) -> Res<bool> {
    let [convert] = args.bind(["convert_bool"])?;
    Ok(match (flag(convert.as_ref(), false), value) {
        (true, Val::Str(_)) => filters::is_yes(value),
        _ => value.is_true(),
    })
}

fn operand(args: Args) -> Res {
    let [other] = args.bind(["other"])?;
    other.ok_or_else(|| Error::wrong_type("needs a value to compare with"))
}

const COMPARISONS: Table = &[
    ("eq", |_, a, args| Ok(*a == operand(args)?)),
    ("equalto", |_, a, args| Ok(*a == operand(args)?)),
    ("==", |_, a, args| Ok(*a == operand(args)?)),
    ("ne", |_, a, args| Ok(*a != operand(args)?)),
    ("!=", |_, a, args| Ok(*a != operand(args)?)),
    ("lt", |_, a, args| {
        ops::compare(CompareOp::Lt, a, &operand(args)?)
    }),
    ("lessthan", |_, a, args| {
        ops::compare(CompareOp::Lt, a, &operand(args)?)
    }),
    ("<", |_, a, args| {
        ops::compare(CompareOp::Lt, a, &operand(args)?)
    }),
    ("le", |_, a, args| {
        ops::compare(CompareOp::Lte, a, &operand(args)?)
    }),
    ("<=", |_, a, args| {
        ops::compare(CompareOp::Lte, a, &operand(args)?)
    }),
    ("gt", |_, a, args| {
        ops::compare(CompareOp::Gt, a, &operand(args)?)
    }),
    ("greaterthan", |_, a, args| {
        ops::compare(CompareOp::Gt, a, &operand(args)?)
    }),
    (">", |_, a, args| {
        ops::compare(CompareOp::Gt, a, &operand(args)?)
    }),
    ("ge", |_, a, args| {
        ops::compare(CompareOp::Gte, a, &operand(args)?)
    }),
    (">=", |_, a, args| {
        ops::compare(CompareOp::Gte, a, &operand(args)?)
    }),
    ("sameas", |_, a, args| {
        let b = operand(args)?;
        Ok(a.type_name() == b.type_name() && *a == b)
    }),
    ("in", |cx, a, args| {
        let container = operand(args)?;
        cx.contains(&container, a)
    }),
    ("contains", |cx, a, args| {
        let item = operand(args)?;
        cx.contains(a, &item)
    }),
    ("even", |_, v, _| {
        Ok(v.want_int("the test")?.rem_euclid(2) == 0)
    }),
    ("odd", |_, v, _| {
        Ok(v.want_int("the test")?.rem_euclid(2) == 1)
    }),
    ("divisibleby", |_, v, args| {
        match operand(args)?.want_int("the test")? {
            0 => Err(Error::wrong_type("division by zero")),
            n => Ok(v.want_int("the test")? % n == 0),
        }
    }),
    ("all", |cx, v, _| Ok(cx.items(v)?.iter().all(Val::is_true))),
    ("any", |cx, v, _| Ok(cx.items(v)?.iter().any(Val::is_true))),
    ("subset", subset),
    ("issubset", subset),
    ("superset", superset),
    ("issuperset", superset),
    ("version", version_test),
    ("version_compare", version_test),
];

fn subset(cx: &mut Cx, a: &Val, args: Args) -> Res<bool> {
    let b = cx.items(&operand(args)?)?;
    Ok(cx.items(a)?.iter().all(|item| b.contains(item)))
}

fn superset(cx: &mut Cx, a: &Val, args: Args) -> Res<bool> {
    let b = cx.items(&operand(args)?)?;
    let a = cx.items(a)?;
    Ok(b.iter().all(|item| a.contains(item)))
}

fn version_test(_: &mut Cx, subject: &Val, args: Args) -> Res<bool> {
    let [other, operator, strict, kind] =
        args.bind(["version", "operator", "strict", "version_type"])?;
    let other = other.ok_or_else(|| Error::wrong_type("needs a version to compare with"))?;
    let operator = operator.map_or_else(|| "eq".to_string(), |o| native::text(&o));
    let kind = match kind {
        None | Some(Val::None) if flag(strict.as_ref(), false) => "strict".to_string(),
        None | Some(Val::None) => "loose".to_string(),
        Some(kind) => native::text(&kind),
    };
    let (a, b) = (native::text(subject), native::text(&other));
    if a.is_empty() || matches!(subject, Val::None) {
        return Err(Error::wrong_type("the version to test is empty"));
    }
    if b.is_empty() {
        return Err(Error::wrong_type("the version to compare with is empty"));
    }
    let order = version::compare(&a, &b, &kind)?;
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => order.is_eq(),
        "<" | "lt" => order.is_lt(),
        "<=" | "le" => order.is_le(),
        ">" | "gt" => order.is_gt(),
        ">=" | "ge" => order.is_ge(),
        "!=" | "<>" | "ne" => order.is_ne(),
        other => {
            return Err(Error::wrong_type(format!(
                "unknown operator `{other}`: it is one of ==, <, <=, >, >=, !="
            )));
        }
    })
}

const RESULTS: Table = &[
    ("changed", |_, v, _| changed(v)),
    ("change", |_, v, _| changed(v)),
    ("failed", |_, v, _| mark(v, "failed")),
    ("failure", |_, v, _| mark(v, "failed")),
    ("succeeded", |_, v, _| Ok(!mark(v, "failed")?)),
    ("success", |_, v, _| Ok(!mark(v, "failed")?)),
    ("successful", |_, v, _| Ok(!mark(v, "failed")?)),
    ("skipped", |_, v, _| mark(v, "skipped")),
    ("skip", |_, v, _| mark(v, "skipped")),
    ("unreachable", |_, v, _| mark(v, "unreachable")),
    ("reachable", |_, v, _| Ok(!mark(v, "unreachable")?)),
    ("timedout", |_, v, _| mark(v, "timedout")),
    // A task that was not started in the background is finished.
    ("started", |_, v, _| mark_or(v, "started", true)),
    ("finished", |_, v, _| mark_or(v, "finished", true)),
];

fn mark(result: &Val, name: &str) -> Res<bool> {
    mark_or(result, name, false)
}

fn mark_or(result: &Val, name: &str, default: bool) -> Res<bool> {
    match result {
        Val::Dict(items) => {
            let found = items.borrow().get(&Key(name)).map(Val::is_true);
            Ok(found.unwrap_or(default))
        }
        other => Err(Error::wrong_type(format!(
            "needs the registered result of a task, not a {}",
            other.type_name()
        ))),
    }
}

fn changed(result: &Val) -> Res<bool> {
    if let Val::Dict(items) = result
        && items.borrow().get(&Key("changed")).is_none()
        && let Some(results) = items.borrow().get(&Key("results")).and_then(Val::as_items)
    {
        return Ok(results.iter().any(|r| mark(r, "changed").unwrap_or(false)));
    }
    mark(result, "changed")
}

const TEXTS: Table = &[
    ("lower", |_, v, _| {
        let text = native::text(v);
        Ok(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))
    }),
    ("upper", |_, v, _| {
        let text = native::text(v);
        Ok(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))
    }),
    ("match", |_, v, args| matches(v, args, true)),
    ("search", |_, v, args| matches(v, args, false)),
    ("regex", regex_test),
    ("url", |_, v, args| {
        Ok(of_scheme(v, args)?.is_some_and(|(scheme, rest)| {
            let host = rest.strip_prefix("//");
            let host = host.and_then(|host| host.split(['/', '?', '#']).next());
            scheme == "file" || host.is_some_and(|host| !host.is_empty())
        }))
    }),
    // Anything can be one, as its scheme may be left out.
    ("uri", |_, v, args| Ok(of_scheme(v, args)?.is_some())),
    ("urn", |_, v, args| {
        Ok(of_scheme(v, args)?.is_some_and(|(scheme, _)| scheme == "urn"))
    }),
];

fn matches(value: &Val, args: Args, at_start: bool) -> Res<bool> {
    let [pattern, ignore_case, multiline] = args.bind(["pattern", "ignorecase", "multiline"])?;
    let pattern = pattern.unwrap_or_else(|| Val::str(""));
    regex::is_match(
        &native::text(&pattern),
        &native::text(value),
        at_start,
        flag(ignore_case.as_ref(), false),
        flag(multiline.as_ref(), false),
    )
}

fn regex_test(_: &mut Cx, value: &Val, mut args: Args) -> Res<bool> {
    let kind = args.take("match_type").map(|kind| native::text(&kind));
    match kind.as_deref() {
        None | Some("search") => matches(value, args, false),
        Some("match") => matches(value, args, true),
        Some("fullmatch") => {
            if let Some(pattern) = args.pos.first_mut() {
                *pattern = Val::str(format!(r"(?:{})\Z", native::text(pattern)));
            }
            matches(value, args, true)
        }
        Some(other) => Err(Error::wrong_type(format!("unknown match_type `{other}`"))),
    }
}

/// The scheme of a URI, if it has one of these or there are none to choose from, and what follows it.
fn of_scheme(value: &Val, args: Args) -> Res<Option<(String, String)>> {
    let [schemes] = args.bind(["schemes"])?;
    let text = native::text(value);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_lowercase(), rest),
        _ => (String::new(), &*text),
    };
    let wanted = schemes.and_then(|schemes| schemes.as_items());
    let fits = wanted.is_none_or(|wanted| wanted.iter().any(|it| native::text(it) == scheme));
    Ok(fits.then(|| (scheme, rest.to_owned())))
}

const PATHS: Table = &[
    ("abs", |_, v, _| Ok(native::text(v).starts_with('/'))),
    ("is_abs", |_, v, _| Ok(native::text(v).starts_with('/'))),
    ("exists", |cx, v, _| path_is(cx, v, "exists")),
    ("file", |cx, v, _| path_is(cx, v, "file")),
    ("is_file", |cx, v, _| path_is(cx, v, "file")),
    ("directory", |cx, v, _| path_is(cx, v, "directory")),
    ("is_dir", |cx, v, _| path_is(cx, v, "directory")),
    ("link", |cx, v, _| path_is(cx, v, "link")),
    ("is_link", |cx, v, _| path_is(cx, v, "link")),
    ("link_exists", |cx, v, _| path_is(cx, v, "lexists")),
    ("mount", |cx, v, _| path_is(cx, v, "mount")),
    ("is_mount", |cx, v, _| path_is(cx, v, "mount")),
];

fn path_is(cx: &Cx, value: &Val, what: &str) -> Res<bool> {
    let path = native::text(value);
    let (files, path) = (cx.host.scope.files(), Path::new(&path));
    match files.why_unknown(path) {
        // Of a directory that is there, only what is in it is open.
        Some(cause) if files.is_open(path) || !files.path_is(path, "directory") => {
            Err(cx.run.unknown_error(&cause))
        }
        _ => Ok(files.path_is(path, what)),
    }
}
