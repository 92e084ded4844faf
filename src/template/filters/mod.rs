//! The filters, Jinja's and Ansible's, found by name.

pub(crate) mod dict;
mod format;
mod general;
pub(crate) use general::is_yes;
pub(crate) mod hash;
pub(crate) mod json;
pub(crate) mod list;
mod number;
mod path;
pub(crate) mod regex;
pub(crate) mod select;
mod sets;
pub(crate) mod text;
mod time;
mod url;
pub(crate) mod version;
pub(crate) mod yaml;

use super::args::Args;
use super::eval::Cx;
use super::values::{Res, Val};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Takes the subject and the other arguments; nothing in them is lazy.
pub(crate) type Filter = fn(&mut Cx, &Val, Args) -> Res;

type Table = &'static [(&'static str, Filter)];

static ALL: LazyLock<HashMap<&'static str, Filter>> = LazyLock::new(|| {
    let tables: [Table; 15] = [
        dict::TABLE,
        format::TABLE,
        general::TABLE,
        hash::TABLE,
        json::TABLE,
        list::TABLE,
        number::TABLE,
        path::TABLE,
        regex::TABLE,
        select::TABLE,
        sets::TABLE,
        text::TABLE,
        time::TABLE,
        url::TABLE,
        yaml::TABLE,
    ];
    tables.into_iter().flatten().copied().collect()
});

pub(crate) fn find(name: &str) -> Option<Filter> {
    ALL.get(name).copied()
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.keys().copied()
}

/// Filters that may look at an undefined value.
pub(crate) fn takes_undefined(name: &str) -> bool {
    matches!(name, "default" | "d" | "mandatory" | "type_debug")
}

/// Takes the collection off a name whose last part is known without it.
pub(crate) fn short_name(name: &str) -> &str {
    [
        "ansible.builtin.",
        "ansible.legacy.",
        "ansible.utils.",
        "ansible.posix.",
        "community.general.",
    ]
    .iter()
    .find_map(|collection| name.strip_prefix(collection))
    .unwrap_or(name)
}
