//! The methods of lists and dicts. They change the very value that they are called on, as in Python.

use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::{Cx, ops};
use crate::template::native;
use crate::template::values::{Dict, List, Res, Val};
use indexmap::IndexMap;
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) const LIST: &[&str] = &[
    "append", "extend", "insert", "pop", "remove", "clear", "copy", "count", "index", "reverse",
    "sort",
];
pub(super) const DICT: &[&str] = &[
    "get",
    "items",
    "keys",
    "values",
    "update",
    "pop",
    "popitem",
    "setdefault",
    "copy",
    "clear",
];

pub(super) fn list(cx: &mut Cx, items: &List, name: &str, mut args: Args) -> Res {
    match name {
        "append" => {
            let [item] = args.bind(["object"])?;
            items.borrow_mut().push(needed(item)?);
        }
        "extend" => {
            let [more] = args.bind(["iterable"])?;
            let more = cx.items(&needed(more)?)?;
            items.borrow_mut().extend(more);
        }
        "insert" => {
            let [at, item] = args.bind(["index", "object"])?;
            let at = needed(at)?.want_int("index")?;
            let len = items.borrow().len();
            let at = if at < 0 { at + len as i128 } else { at };
            let at = usize::try_from(at.max(0)).unwrap_or(len).min(len);
            items.borrow_mut().insert(at, needed(item)?);
        }
        "pop" => {
            let [at] = args.bind(["index"])?;
            let at = at.map_or(Ok(-1), |at| at.want_int("index"))?;
            let len = items.borrow().len();
            let at = if at < 0 { at + len as i128 } else { at };
            let at = usize::try_from(at).ok().filter(|at| *at < len);
            let Some(at) = at else {
                return Err(Error::wrong_type("pop index out of range"));
            };
            return Ok(items.borrow_mut().remove(at));
        }
        "remove" => {
            let [item] = args.bind(["value"])?;
            let item = needed(item)?;
            let at = items.borrow().iter().position(|known| *known == item);
            let Some(at) = at else {
                return Err(Error::wrong_type(format!(
                    "{} is not in the list",
                    native::repr(&item)
                )));
            };
            items.borrow_mut().remove(at);
        }
        "clear" => items.borrow_mut().clear(),
        "copy" => return Ok(Val::list(items.borrow().clone())),
        "reverse" => items.borrow_mut().reverse(),
        "sort" => {
            let reverse = flag(args.take("reverse").as_ref(), false);
            let mut sorted = items.borrow().clone();
            sort(&mut sorted)?;
            if reverse {
                sorted.reverse();
            }
            *items.borrow_mut() = sorted;
        }
        _ => {
            let all = items.borrow().clone();
            return sequence(&all, name, args);
        }
    }
    Ok(Val::None)
}

/// Sorts by Python's order; values without one are an error.
pub(crate) fn sort(items: &mut [Val]) -> Res<()> {
    let mut fault = None;
    items.sort_by(|a, b| {
        ops::order(a, b).unwrap_or_else(|| {
            fault.get_or_insert_with(|| {
                Error::wrong_type(format!(
                    "a {} and a {} have no order",
                    a.type_name(),
                    b.type_name()
                ))
            });
            Ordering::Equal
        })
    });
    fault.map_or(Ok(()), Err)
}

pub(super) fn sequence(items: &[Val], name: &str, args: Args) -> Res {
    let [item] = args.bind(["value"])?;
    let item = needed(item)?;
    match name {
        "count" => Ok(Val::size(items.iter().filter(|i| **i == item).count())),
        _ => match items.iter().position(|known| *known == item) {
            Some(at) => Ok(Val::size(at)),
            None => Err(Error::wrong_type(format!(
                "{} is not in the list",
                native::repr(&item)
            ))),
        },
    }
}

pub(super) fn dict(cx: &mut Cx, items: &Dict, name: &str, args: Args) -> Res {
    match name {
        "get" => {
            let [key, default] = args.bind(["key", "default"])?;
            let found = items.borrow().get(&needed(key)?).cloned();
            return Ok(found.or(default).unwrap_or(Val::None));
        }
        "items" => {
            let items = items.borrow();
            let pairs = items
                .iter()
                .map(|(k, v)| Val::tuple(vec![k.clone(), v.clone()]));
            return Ok(Val::list(pairs.collect()));
        }
        "keys" => return Ok(Val::list(items.borrow().keys().cloned().collect())),
        "values" => return Ok(Val::list(items.borrow().values().cloned().collect())),
        "update" => {
            for source in &args.pos {
                let more = as_pairs(cx, source)?;
                items.borrow_mut().extend(more);
            }
            for (key, value) in args.named {
                items.borrow_mut().insert(Val::str(key), value);
            }
        }
        "pop" => {
            let [key, default] = args.bind(["key", "default"])?;
            let key = needed(key)?;
            let found = items.borrow_mut().shift_remove(&key);
            return found
                .or(default)
                .ok_or_else(|| Error::wrong_type(format!("no key {}", native::repr(&key))));
        }
        "popitem" => {
            let last = items.borrow_mut().pop();
            let Some((key, value)) = last else {
                return Err(Error::wrong_type("the dictionary is empty"));
            };
            return Ok(Val::tuple(vec![key, value]));
        }
        "setdefault" => {
            let [key, default] = args.bind(["key", "default"])?;
            let mut items = items.borrow_mut();
            let entry = items.entry(needed(key)?);
            return Ok(entry.or_insert(default.unwrap_or(Val::None)).clone());
        }
        "copy" => return Ok(Val::dict(items.borrow().clone())),
        "clear" => items.borrow_mut().clear(),
        _ => return Err(Error::wrong_type(format!("a dict has no method `{name}`"))),
    }
    Ok(Val::None)
}

/// The entries of a mapping, or of a list of pairs.
pub(crate) fn as_pairs(cx: &mut Cx, source: &Val) -> Res<IndexMap<Val, Val>> {
    if let Val::Dict(items) = source {
        return Ok(items.borrow().clone());
    }
    let mut all = IndexMap::new();
    for pair in cx.items(source)? {
        match cx.items(&pair)?.as_slice() {
            [key, value] => {
                all.insert(key.clone(), value.clone());
            }
            other => {
                return Err(Error::wrong_type(format!(
                    "a pair has 2 items, not {}",
                    other.len()
                )));
            }
        }
    }
    Ok(all)
}

pub(super) fn hostvars(cx: &mut Cx, name: &str, args: Args) -> Res {
    let hosts = cx.host.scope.hosts();
    let subject = Val::object(crate::template::object::Object::HostVars);
    match name {
        "keys" => Ok(Val::strs(hosts)),
        "get" => {
            let [key, default] = args.bind(["key", "default"])?;
            Ok(match cx.item(&subject, &needed(key)?)? {
                Val::Undefined(_) => default.unwrap_or(Val::None),
                found => found,
            })
        }
        "items" | "values" => {
            let mut all = Vec::new();
            for host in hosts {
                let key = Val::str(host);
                let value = cx.item(&subject, &key)?;
                all.push(if name == "items" {
                    Val::Tuple(Rc::from([key, value]))
                } else {
                    value
                });
            }
            Ok(Val::list(all))
        }
        _ => Err(Error::wrong_type(format!("`hostvars` has no `{name}`"))),
    }
}

fn needed(arg: Option<Val>) -> Res {
    arg.ok_or_else(|| Error::wrong_type("an argument is missing"))
}
