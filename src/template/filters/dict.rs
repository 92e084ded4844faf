//! Filters on mappings: `combine`, `dict2items`, `items2dict`, `subelements`, `rekey_on_member`.

use super::Filter;
use super::select::attribute;
use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Key, Res, Val};
use indexmap::IndexMap;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("combine", combine),
    ("dict2items", dict_to_items),
    ("items2dict", items_to_dict),
    ("subelements", subelements),
    ("rekey_on_member", rekey_on_member),
    ("dict", |cx, s, _| {
        Ok(Val::dict(crate::template::methods::as_pairs(cx, s)?))
    }),
];

fn combine(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let recursive = flag(args.take("recursive").as_ref(), false);
    let lists = args
        .take("list_merge")
        .map_or_else(|| "replace".to_string(), |m| native::text(&m));
    let known = [
        "replace",
        "keep",
        "append",
        "prepend",
        "append_rp",
        "prepend_rp",
    ];
    if !known.contains(&lists.as_str()) {
        return Err(Error::wrong_type(format!("unknown list_merge `{lists}`")));
    }
    let mut all = vec![subject.clone()];
    all.extend(args.pos);
    let mut flat = Vec::new();
    super::list::flatten_into(&mut flat, all, usize::MAX, false);
    let mut merged: IndexMap<Val, Val> = IndexMap::new();
    for next in flat {
        let Val::Dict(next) = &next else {
            return Err(Error::wrong_type(format!(
                "combines mappings, not a {}",
                next.type_name()
            )));
        };
        merged = merge(merged, &next.borrow(), recursive, &lists);
    }
    Ok(Val::dict(merged))
}

/// Puts `over` on top of `under`.
fn merge(
    mut under: IndexMap<Val, Val>,
    over: &IndexMap<Val, Val>,
    recursive: bool,
    lists: &str,
) -> IndexMap<Val, Val> {
    for (key, value) in over {
        let merged = match (under.get(key), value) {
            (Some(Val::Dict(old)), Val::Dict(new)) if recursive => {
                Val::dict(merge(old.borrow().clone(), &new.borrow(), recursive, lists))
            }
            (Some(Val::List(old)), Val::List(new)) => {
                Val::list(merge_lists(&old.borrow(), &new.borrow(), lists))
            }
            _ => value.clone(),
        };
        under.insert(key.clone(), merged);
    }
    under
}

fn merge_lists(old: &[Val], new: &[Val], how: &str) -> Vec<Val> {
    let without = |from: &[Val], these: &[Val]| -> Vec<Val> {
        from.iter()
            .filter(|v| !these.contains(v))
            .cloned()
            .collect()
    };
    match how {
        "keep" => old.to_vec(),
        "append" => [old, new].concat(),
        "prepend" => [new, old].concat(),
        "append_rp" => [without(old, new), new.to_vec()].concat(),
        "prepend_rp" => [new.to_vec(), without(old, new)].concat(),
        _ => new.to_vec(),
    }
}

fn entry_names(args: Args) -> Res<(String, String)> {
    let [key, value] = args.bind(["key_name", "value_name"])?;
    let name = |given: Option<Val>, default: &str| {
        given.map_or_else(|| default.to_string(), |v| native::text(&v))
    };
    Ok((name(key, "key"), name(value, "value")))
}

fn dict_to_items(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let (key_name, value_name) = entry_names(args)?;
    let Val::Dict(items) = subject else {
        return Err(Error::wrong_type(format!(
            "needs a mapping, not a {}",
            subject.type_name()
        )));
    };
    let items = items.borrow();
    let entries = items
        .iter()
        .map(|(k, v)| Val::pairs([(&key_name, k.clone()), (&value_name, v.clone())]));
    Ok(Val::list(entries.collect()))
}

fn items_to_dict(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let (key_name, value_name) = entry_names(args)?;
    let mut all = IndexMap::new();
    for entry in cx.items(subject)? {
        let Val::Dict(entry) = &entry else {
            return Err(Error::wrong_type("needs a list of mappings"));
        };
        let entry = entry.borrow();
        let part = |name: &str| {
            entry
                .get(&Key(name))
                .cloned()
                .ok_or_else(|| Error::wrong_type(format!("an item has no `{name}`")))
        };
        all.insert(part(&key_name)?, part(&value_name)?);
    }
    Ok(Val::dict(all))
}

fn subelements(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [path, skip_missing] = args.bind(["subelements", "skip_missing"])?;
    let path = path.ok_or_else(|| Error::wrong_type("needs the name of the inner list"))?;
    let path = match path.as_items() {
        Some(parts) => {
            let parts: Vec<String> = parts.iter().map(native::text).collect();
            Val::str(parts.join("."))
        }
        None => path,
    };
    let skip_missing = flag(skip_missing.as_ref(), false);
    let elements = match subject {
        Val::Dict(items) => items.borrow().values().cloned().collect(),
        other => cx.items(other)?,
    };
    let mut all = Vec::new();
    for element in elements {
        let inner = match attribute(cx, &element, &path)? {
            Val::Undefined(_) if skip_missing => continue,
            Val::Undefined(error) => return Err((*error).clone()),
            inner => inner,
        };
        let Some(inner) = inner.as_items() else {
            return Err(Error::wrong_type(format!(
                "`{}` is a {}, not a list",
                native::text(&path),
                inner.type_name()
            )));
        };
        for item in inner {
            all.push(Val::tuple(vec![element.clone(), item]));
        }
    }
    Ok(Val::list(all))
}

fn rekey_on_member(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [key, duplicates] = args.bind(["key", "duplicates"])?;
    let key = key.ok_or_else(|| Error::wrong_type("needs a key"))?;
    let overwrite = duplicates.is_some_and(|d| native::text(&d) == "overwrite");
    let entries = match subject {
        Val::Dict(items) => items.borrow().values().cloned().collect(),
        other => cx.items(other)?,
    };
    let mut all = IndexMap::new();
    for entry in entries {
        let name = match attribute(cx, &entry, &key)? {
            Val::Undefined(error) => return Err((*error).clone()),
            name => name,
        };
        if all.insert(name.clone(), entry).is_some() && !overwrite {
            return Err(Error::wrong_type(format!(
                "the key {} is not unique",
                native::repr(&name)
            )));
        }
    }
    Ok(Val::dict(all))
}
