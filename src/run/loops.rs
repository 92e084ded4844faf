//! Turns `loop:` and `with_…:` into the values to go through, and the names that each of them defines.

use crate::playbook::{Loop, LoopKind};
use crate::template::{Error, ErrorKind, Scope, Templar};
use crate::value::{Dict, Mapping, Value, display};
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

/// The names that a loop defines for each of its values.
pub(super) fn locals(loop_: &Loop, values: &[Value]) -> impl Iterator<Item = Dict> {
    let all = values.iter().enumerate();
    all.map(|(index, value)| of_item(loop_, values, index, value))
}

fn of_item(loop_: &Loop, values: &[Value], index: usize, value: &Value) -> Dict {
    let mut locals = Dict::new();
    locals.insert(loop_.loop_var.clone(), value.clone());
    locals.insert("ansible_loop_var".into(), loop_.loop_var.as_str().into());
    if let Some(name) = &loop_.index_var {
        locals.insert(name.clone(), (index as u64).into());
        locals.insert("ansible_index_var".into(), name.as_str().into());
    }
    if loop_.extended {
        let count = values.len();
        let number = |n: usize| Value::from(n as u64);
        let mut extended = Mapping::new();
        if loop_.lists_all {
            extended.insert("allitems".into(), Value::Sequence(values.to_vec()));
        }
        extended.insert("index".into(), number(index + 1));
        extended.insert("index0".into(), number(index));
        extended.insert("first".into(), (index == 0).into());
        extended.insert("last".into(), (index + 1 == count).into());
        extended.insert("length".into(), number(count));
        extended.insert("revindex".into(), number(count - index));
        extended.insert("revindex0".into(), number(count - index - 1));
        if let Some(previous) = index
            .checked_sub(1)
            .and_then(|previous| values.get(previous))
        {
            extended.insert("previtem".into(), previous.clone());
        }
        if let Some(next) = values.get(index + 1) {
            extended.insert("nextitem".into(), next.clone());
        }
        locals.insert("ansible_loop".into(), Value::Mapping(extended));
    }
    locals
}
