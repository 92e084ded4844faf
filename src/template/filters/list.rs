//! Filters on lists: `first`, `flatten`, `zip`, `product`, `batch`, `random`.

use super::Filter;
use crate::template::args::{Args, count, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::values::{Res, Val};
use crate::template::{methods, native};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng, rngs::StdRng};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("list", list),
    ("first", first),
    ("last", last),
    ("reverse", reverse),
    ("flatten", flatten),
    ("batch", batch),
    ("slice", slice),
    ("zip", zip),
    ("zip_longest", zip_longest),
    ("product", product),
    ("permutations", permutations),
    ("combinations", combinations),
    ("random", random),
    ("shuffle", shuffle),
    ("items", items),
    ("extract", extract),
];

/// Products and permutations with more items than this are a slip.
const MAX_ITEMS: usize = 1_000_000;

fn list(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    Ok(Val::list(cx.items(subject)?))
}

fn first(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let items = cx.items(subject)?;
    Ok(items
        .into_iter()
        .next()
        .unwrap_or_else(|| none_there("first")))
}

fn last(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let items = cx.items(subject)?;
    Ok(items
        .into_iter()
        .next_back()
        .unwrap_or_else(|| none_there("last")))
}

fn none_there(which: &str) -> Val {
    Val::undefined("", format!("no {which} item: the sequence is empty"))
}

fn reverse(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    if let Val::Str(text) = subject {
        return Ok(Val::str(text.chars().rev().collect::<String>()));
    }
    let mut items = cx.items(subject)?;
    items.reverse();
    Ok(Val::list(items))
}

fn flatten(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [levels, skip_nulls] = args.bind(["levels", "skip_nulls"])?;
    let levels = count(levels.as_ref(), "levels")?.unwrap_or(usize::MAX);
    let skip_nulls = flag(skip_nulls.as_ref(), true);
    let mut all = Vec::new();
    flatten_into(&mut all, cx.items(subject)?, levels, skip_nulls);
    Ok(Val::list(all))
}

/// Puts nested lists into one; `null` and the texts `null` and `None` are left out on request.
pub(crate) fn flatten_into(all: &mut Vec<Val>, items: Vec<Val>, levels: usize, skip_nulls: bool) {
    for item in items {
        let null = match &item {
            Val::None => true,
            Val::Str(text) => matches!(&**text, "None" | "null"),
            _ => false,
        };
        if skip_nulls && null {
            continue;
        }
        match item.as_items() {
            Some(inner) if levels > 0 => {
                flatten_into(all, inner, levels.saturating_sub(1), skip_nulls);
            }
            _ => all.push(item),
        }
    }
}

fn batch(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [size, fill] = args.bind(["linecount", "fill_with"])?;
    let size = count(size.as_ref(), "linecount")?.unwrap_or(1).max(1);
    let items = cx.items(subject)?;
    let batches = items.chunks(size).map(|chunk| {
        let mut chunk = chunk.to_vec();
        if let Some(fill) = &fill
            && !matches!(fill, Val::None)
        {
            chunk.resize(size, fill.clone());
        }
        Val::list(chunk)
    });
    Ok(Val::list(batches.collect()))
}

fn slice(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [slices, fill] = args.bind(["slices", "fill_with"])?;
    let slices = count(slices.as_ref(), "slices")?.unwrap_or(1).max(1);
    let items = cx.items(subject)?;
    let (each, extra) = (items.len() / slices, items.len() % slices);
    let mut rest = items.as_slice();
    let mut all = Vec::new();
    for at in 0..slices {
        let (part, left) = rest.split_at(each + usize::from(at < extra));
        rest = left;
        let mut part = part.to_vec();
        if let Some(fill) = &fill
            && at >= extra
            && extra > 0
        {
            part.push(fill.clone());
        }
        all.push(Val::list(part));
    }
    Ok(Val::list(all))
}

fn columns(cx: &mut Cx, subject: &Val, others: &[Val]) -> Res<Vec<Vec<Val>>> {
    let mut all = vec![cx.items(subject)?];
    for other in others {
        all.push(cx.items(other)?);
    }
    Ok(all)
}

fn zip(cx: &mut Cx, subject: &Val, mut args: Args) -> Res {
    args.take("strict");
    let columns = columns(cx, subject, &args.pos)?;
    let shortest = columns.iter().map(Vec::len).min().unwrap_or(0);
    let rows =
        (0..shortest).map(|row| Val::tuple(columns.iter().map(|c| c[row].clone()).collect()));
    Ok(Val::list(rows.collect()))
}

fn zip_longest(cx: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let fill = args.take("fillvalue").unwrap_or(Val::None);
    let columns = columns(cx, subject, &args.pos)?;
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
    let rows = (0..longest).map(|row| {
        let cells = columns.iter().map(|c| c.get(row).unwrap_or(&fill).clone());
        Val::tuple(cells.collect())
    });
    Ok(Val::list(rows.collect()))
}

fn product(cx: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let repeat = count(args.take("repeat").as_ref(), "repeat")?.unwrap_or(1);
    let once = columns(cx, subject, &args.pos)?;
    let columns: Vec<Vec<Val>> = std::iter::repeat_n(once, repeat).flatten().collect();
    Ok(Val::list(
        product_of(&columns)?.into_iter().map(Val::tuple).collect(),
    ))
}

/// Every choice of one item from each list, the last list running fastest.
pub(crate) fn product_of(columns: &[Vec<Val>]) -> Res<Vec<Vec<Val>>> {
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for column in columns {
        if rows.len().saturating_mul(column.len()) > MAX_ITEMS {
            return Err(Error::wrong_type(format!("more than {MAX_ITEMS} items")));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                column.iter().map(|item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    Ok(rows)
}

fn permutations(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [size] = args.bind(["set_size"])?;
    let items = cx.items(subject)?;
    let size = count(size.as_ref(), "set_size")?.unwrap_or(items.len());
    let mut all = Vec::new();
    choose(&items, size, &mut Vec::new(), &mut all, true)?;
    Ok(Val::list(all))
}

fn combinations(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [size] = args.bind(["set_size"])?;
    let items = cx.items(subject)?;
    let size = count(size.as_ref(), "set_size")?.unwrap_or(0);
    let mut all = Vec::new();
    choose(&items, size, &mut Vec::new(), &mut all, false)?;
    Ok(Val::list(all))
}

fn choose(
    items: &[Val],
    size: usize,
    chosen: &mut Vec<usize>,
    all: &mut Vec<Val>,
    any_order: bool,
) -> Res<()> {
    if chosen.len() == size {
        if all.len() >= MAX_ITEMS {
            return Err(Error::wrong_type(format!("more than {MAX_ITEMS} items")));
        }
        all.push(Val::tuple(
            chosen.iter().map(|at| items[*at].clone()).collect(),
        ));
        return Ok(());
    }
    let start = match chosen.last() {
        Some(last) if !any_order => last + 1,
        _ => 0,
    };
    for at in start..items.len() {
        if !chosen.contains(&at) {
            chosen.push(at);
            choose(items, size, chosen, all, any_order)?;
            chosen.pop();
        }
    }
    Ok(())
}

/// A generator that a seed makes the same on every run.
fn generator(seed: Option<&Val>) -> StdRng {
    match seed {
        None | Some(Val::None) => StdRng::from_os_rng(),
        Some(seed) => {
            use sha2::Digest;
            let hash = sha2::Sha256::digest(native::repr(seed));
            StdRng::from_seed(hash.into())
        }
    }
}

fn random(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [start, step, seed] = args.bind(["start", "step", "seed"])?;
    let mut generator = generator(seed.as_ref());
    if let Some(end) = subject.as_int() {
        let start = start.map_or(Ok(0), |n| n.want_int("start"))?;
        let step = step.map_or(Ok(1), |n| n.want_int("step"))?;
        let steps = if step > 0 && end > start {
            (end - start + step - 1) / step
        } else {
            return Err(Error::wrong_type("the range is empty"));
        };
        return Ok(Val::Int(start + step * generator.random_range(0..steps)));
    }
    let items = cx.items(subject)?;
    items
        .choose(&mut generator)
        .cloned()
        .ok_or_else(|| Error::wrong_type("the sequence is empty"))
}

fn shuffle(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [seed] = args.bind(["seed"])?;
    let mut items = cx.items(subject)?;
    items.shuffle(&mut generator(seed.as_ref()));
    Ok(Val::list(items))
}

fn items(cx: &mut Cx, subject: &Val, _: Args) -> Res {
    let pairs = methods::as_pairs(cx, subject)?;
    Ok(Val::list(
        pairs
            .into_iter()
            .map(|(k, v)| Val::tuple(vec![k, v]))
            .collect(),
    ))
}

/// `key | extract(container, morekeys)`.
fn extract(cx: &mut Cx, subject: &Val, args: Args) -> Res {
    let [container, more] = args.bind(["container", "morekeys"])?;
    let mut value = container.ok_or_else(|| Error::wrong_type("needs a container"))?;
    let mut keys = vec![subject.clone()];
    match more {
        None | Some(Val::None) => {}
        Some(more) => match more.as_items() {
            Some(more) => keys.extend(more),
            None => keys.push(more),
        },
    }
    for key in keys {
        value = cx.item(&value, &key)?;
    }
    cx.force(value)
}
