//! The filter `format`, Python's `%` with the template first.

use super::Filter;
use crate::template::args::Args;
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::printf;
use crate::template::values::{Res, Val};

pub(super) const TABLE: &[(&str, Filter)] = &[("format", format)];

fn format(_: &mut Cx, subject: &Val, args: Args) -> Res {
    if !args.pos.is_empty() && !args.named.is_empty() {
        return Err(Error::wrong_type(
            "takes either positional or named values, not both",
        ));
    }
    let values = if args.named.is_empty() {
        Val::tuple(args.pos)
    } else {
        Val::pairs(args.named)
    };
    printf::percent(&native::text(subject), &values).map(Val::str)
}
