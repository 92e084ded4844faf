//! Filters that treat lists as sets, keeping their order: `union`, `difference`, `intersect`.

use super::Filter;
use crate::template::args::Args;
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::values::{Res, Val};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("union", |cx, a, args| {
        let (mut a, b) = both(cx, a, args)?;
        a.extend(b);
        Ok(distinct(a))
    }),
    ("intersect", |cx, a, args| {
        let (mut a, b) = both(cx, a, args)?;
        a.retain(|item| b.contains(item));
        Ok(distinct(a))
    }),
    ("difference", |cx, a, args| {
        let (mut a, b) = both(cx, a, args)?;
        a.retain(|item| !b.contains(item));
        Ok(distinct(a))
    }),
    ("symmetric_difference", |cx, a, args| {
        let (a, b) = both(cx, a, args)?;
        let mut all: Vec<Val> = a.iter().filter(|i| !b.contains(i)).cloned().collect();
        all.extend(b.into_iter().filter(|item| !a.contains(item)));
        Ok(distinct(all))
    }),
];

fn both(cx: &mut Cx, a: &Val, args: Args) -> Res<(Vec<Val>, Vec<Val>)> {
    let [b] = args.bind(["b"])?;
    let b = b.ok_or_else(|| Error::wrong_type("needs a second list"))?;
    Ok((cx.items(a)?, cx.items(&b)?))
}

fn distinct(items: Vec<Val>) -> Val {
    let all: indexmap::IndexSet<Val> = items.into_iter().collect();
    Val::list(all.into_iter().collect())
}
