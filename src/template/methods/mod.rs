//! The methods of Python's types that templates call: `text.split(',')`, `list.append(x)`, `dict.items()`.

mod collections;
mod format;
mod text;

use super::args::Args;
use super::error::Error;
use super::eval::Cx;
use super::object::Object;
use super::values::{Res, Val};

pub(crate) use collections::{as_pairs, sort};
pub(crate) use text::{capitalize, split, split_lines};

/// Tells whether values of this type have the method.
pub(crate) fn exists(subject: &Val, name: &str) -> bool {
    match subject {
        Val::Str(_) => text::NAMES.contains(&name),
        Val::List(_) => collections::LIST.contains(&name),
        Val::Tuple(_) => matches!(name, "count" | "index"),
        Val::Dict(_) | Val::Host(_) => collections::DICT.contains(&name),
        Val::Lazy(lazy) => match lazy.type_name() {
            "list" => collections::LIST.contains(&name),
            _ => collections::DICT.contains(&name),
        },
        Val::Int(_) => matches!(name, "bit_length"),
        Val::Float(_) => matches!(name, "is_integer"),
        Val::Object(object) => match &**object {
            Object::HostVars => collections::DICT.contains(&name),
            Object::Loop(_) => matches!(name, "cycle" | "changed"),
            Object::Cycler(..) => matches!(name, "next" | "reset"),
            Object::Time(_) => super::functions::TIME_METHODS.contains(&name),
            Object::Delta(_) => name == "total_seconds",
            _ => false,
        },
        _ => false,
    }
}

pub(crate) fn call(cx: &mut Cx, subject: &Val, name: &str, args: Args) -> Res {
    if let Val::Undefined(error) = subject {
        return Err((**error).clone());
    }
    if let Some(Val::Undefined(error)) = args.iter().find(|arg| arg.is_undefined()) {
        return Err((**error).clone());
    }
    match subject {
        Val::Str(body) => text::call(cx, body, name, args),
        Val::List(items) => collections::list(cx, items, name, args),
        Val::Tuple(items) => collections::sequence(items, name, args),
        Val::Dict(items) => collections::dict(cx, items, name, args),
        Val::Int(n) => Ok(Val::Int(i128::from(
            i128::BITS - n.unsigned_abs().leading_zeros(),
        ))),
        Val::Float(n) => Ok(Val::Bool(n.fract() == 0.0)),
        Val::Object(object) => match &**object {
            Object::HostVars => collections::hostvars(cx, name, args),
            Object::Loop(state) if name == "cycle" => Ok(turn(&args.pos, state.at.get())),
            Object::Loop(state) => {
                let before = state.last_changed.replace(Some(args.pos.clone()));
                Ok(Val::Bool(before != Some(args.pos)))
            }
            Object::Cycler(items, at) => {
                if name == "reset" {
                    at.set(0);
                    return Ok(Val::None);
                }
                let now = at.get();
                at.set(now + 1);
                Ok(turn(items, now))
            }
            Object::Time(time) => super::functions::time_method(time, name, args),
            Object::Delta(micros) => Ok(super::functions::total_seconds(*micros)),
            _ => Err(no_method(subject, name)),
        },
        _ => Err(no_method(subject, name)),
    }
    .map_err(|error| match error.kind {
        super::error::ErrorKind::Type => Error::filter(&format!(".{name}()"), &error.message),
        _ => error,
    })
}

/// Whose turn it is.
fn turn(items: &[Val], at: usize) -> Val {
    let at = at.checked_rem(items.len());
    at.map_or(Val::None, |at| items[at].clone())
}

fn no_method(subject: &Val, name: &str) -> Error {
    Error::wrong_type(format!("a {} has no method `{name}`", subject.type_name()))
}
