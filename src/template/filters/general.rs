//! Filters for any value: `default`, `bool`, `ternary`, `mandatory`, `string`, `type_debug` and their like.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of a table share one signature"
)]

use super::Filter;
use crate::template::args::{Args, flag};
use crate::template::error::{Error, ErrorKind};
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};
use crate::value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("default", default),
    ("d", default),
    ("mandatory", mandatory),
    ("type_debug", type_debug),
    ("bool", bool),
    ("ternary", ternary),
    ("string", string),
    ("safe", string),
    ("length", length),
    ("count", length),
    ("attr", attr),
    ("log_value", same),
    ("unsafe", same),
];

fn default(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [default, falsy_too] = args.bind(["default_value", "boolean"])?;
    let replace = subject.is_undefined() || (flag(falsy_too.as_ref(), false) && !subject.is_true());
    Ok(if replace {
        default.unwrap_or_else(|| Val::str(""))
    } else {
        subject.clone()
    })
}

fn mandatory(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [message] = args.bind(["msg"])?;
    match subject {
        Val::Undefined(error) => Err(match message {
            Some(message) if !matches!(message, Val::None) => {
                Error::new(error.kind.clone(), native::text(&message))
            }
            _ => Error::new(
                error.kind.clone(),
                match &error.kind {
                    ErrorKind::Undefined { name } if !name.is_empty() => {
                        format!("mandatory variable `{name}` not defined")
                    }
                    _ => "mandatory variable not defined".into(),
                },
            ),
        }),
        defined => Ok(defined.clone()),
    }
}

fn type_debug(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::str(match subject {
        Val::Undefined(_) => "AnsibleUndefined",
        other => other.type_name(),
    }))
}

/// Ansible's `bool`: what is not one of its words for true is false.
pub(crate) fn is_yes(value: &Val) -> bool {
    match value {
        Val::Bool(b) => *b,
        Val::Int(n) => *n == 1,
        Val::Float(n) => (*n - 1.0).abs() < f64::EPSILON,
        Val::Str(text) => value::as_bool(&value::Value::String(text.to_string())).unwrap_or(false),
        _ => false,
    }
}

fn bool(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(match subject {
        Val::None => Val::None,
        other => Val::Bool(is_yes(other)),
    })
}

fn ternary(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [yes, no, none] = args.bind(["true_val", "false_val", "none_val"])?;
    let missing = || Error::wrong_type("needs a value for true and one for false");
    match (subject, none) {
        (Val::None, Some(none)) if !matches!(none, Val::None) => Ok(none),
        (subject, _) if subject.is_true() => yes.ok_or_else(missing),
        _ => no.ok_or_else(missing),
    }
}

fn string(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::str(native::text(subject)))
}

fn length(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    match subject {
        Val::Str(text) => Ok(Val::size(text.chars().count())),
        Val::List(items) => Ok(Val::size(items.borrow().len())),
        Val::Dict(items) => Ok(Val::size(items.borrow().len())),
        Val::Tuple(_) | Val::Object(_) => Ok(Val::size(cx.items(subject)?.len())),
        other => Err(Error::wrong_type(format!(
            "a {} has no length",
            other.type_name()
        ))),
    }
}

fn attr(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [name] = args.bind(["name"])?;
    let name = name.unwrap_or(Val::None);
    cx.attr(subject, &native::text(&name))
}

fn same(_: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(subject.clone())
}
