//! Turns `loop:` and `with_…:` into the values to go through.

use crate::playbook::{Loop, LoopKind};
use crate::template::{Error, ErrorKind, Scope, Templar};
use crate::value::{Value, display};
use std::sync::Arc;

/// Renders the values of a loop, by its kind.
pub(super) fn items(
    templar: &Templar,
    loop_: &Loop,
    scope: &Arc<dyn Scope>,
) -> Result<Vec<Value>, Error> {
    let written = loop_.items.to_value();
    match &loop_.kind {
        LoopKind::With(kind) => templar.lookup(kind, &written, scope),
        LoopKind::Loop => match templar.render_value(&written, scope)? {
            Value::Sequence(values) => Ok(values),
            other => Err(Error::new(
                ErrorKind::Type,
                format!("`loop` needs a list, not `{}`", display(&other)),
            )),
        },
    }
}
