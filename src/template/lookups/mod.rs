//! The lookups: `lookup('file', …)`, `query('dict', …)`, and `with_file: …` of a task.

mod data;
mod files;
mod parse;
pub(crate) use parse::literal;

use super::args::Args;
use super::error::{Error, ErrorKind};
use super::eval::Cx;
use super::filters;
use super::native;
use super::values::{Res, Val};

/// The options of a lookup, by name.
pub(crate) type Options = Args;
/// Takes the terms and yields a list.
pub(crate) type Lookup = fn(&mut Cx, &[Val], Options) -> Res<Vec<Val>>;

pub(crate) fn find(name: &str) -> Option<Lookup> {
    files::TABLE
        .iter()
        .chain(data::TABLE)
        .find(|(known, _)| *known == filters::short_name(name))
        .map(|(_, lookup)| *lookup)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    files::TABLE
        .iter()
        .chain(data::TABLE)
        .map(|(name, _)| *name)
}

/// The functions `lookup` and, with `want_list`, `query`.
pub(crate) fn lookup(cx: &mut Cx, mut args: Args, want_list: bool) -> Res {
    if args.pos.is_empty() {
        return Err(Error::wrong_type("`lookup` needs the name of a lookup"));
    }
    let name = native::text(&args.pos.remove(0));
    let want_list = args
        .take("wantlist")
        .map_or(want_list, |wanted| wanted.is_true());
    let errors = args.take("errors").map(|e| native::text(&e));
    let terms = std::mem::take(&mut args.pos);
    let found = match run(cx, &name, &terms, args) {
        Err(error)
            if !error.is_pending()
                && matches!(errors.as_deref(), Some("ignore" | "warn"))
                && error.kind != ErrorKind::Syntax =>
        {
            return Ok(if want_list {
                Val::list(Vec::new())
            } else {
                Val::str("")
            });
        }
        result => result?,
    };
    if want_list {
        return Ok(Val::list(found));
    }
    let all_text = found.iter().all(|item| matches!(item, Val::Str(_)));
    Ok(match found.len() {
        1 => found.into_iter().next().unwrap_or(Val::None),
        _ if all_text => {
            let parts: Vec<String> = found.iter().map(native::text).collect();
            Val::str(parts.join(","))
        }
        _ => Val::list(found),
    })
}

pub(crate) fn run(cx: &mut Cx, name: &str, terms: &[Val], options: Options) -> Res<Vec<Val>> {
    let Some(lookup) = find(name) else {
        return Err(Error::syntax(format!("no lookup named `{name}`")));
    };
    if cx.run.without_lookups.get() {
        return Err(Error::syntax(format!(
            "`lookup('{name}')` in a condition that a template made: write the condition without `{{{{ }}}}`"
        )));
    }
    lookup(cx, terms, options).map_err(|error| match error.kind {
        ErrorKind::Type => Error::filter(&format!("lookup('{name}')"), &error.message),
        _ => error,
    })
}
