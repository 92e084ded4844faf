//! Filters that read and write YAML; the writing is byte for byte `PyYAML`'s.

mod emit;
mod scalar;

use super::Filter;
use crate::diag::{Diagnostics, Severity, Source};
use crate::template::args::{Args, flag};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};
use crate::yaml;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("to_yaml", |_, s, args| write(s, args, false)),
    ("to_nice_yaml", |_, s, args| write(s, args, true)),
    ("from_yaml", from_yaml),
    ("from_yaml_all", from_yaml_all),
];

fn write(subject: &Val, mut args: Args, nice: bool) -> Res {
    if let Some(indent) = args.pos.pop() {
        args.named.push(("indent".into(), indent));
    }
    let number = |value: Option<Val>, default: usize| match value {
        None | Some(Val::None) => Ok(default),
        Some(value) => Ok(usize::try_from(value.want_int("a width")?)
            .unwrap_or(default)
            .min(1_000_000)),
    };
    let indent = number(args.take("indent"), if nice { 4 } else { 2 })?;
    let width = number(args.take("width"), 80)?;
    let flow = match args.take("default_flow_style") {
        Some(Val::None) => None,
        Some(value) => Some(value.is_true()),
        None if nice => Some(false),
        None => None,
    };
    let options = emit::Options {
        // PyYAML takes other indents for a slip.
        indent: if (2..10).contains(&indent) { indent } else { 2 },
        width: if width > indent * 2 { width } else { 80 },
        flow,
        sort: flag(args.take("sort_keys").as_ref(), true),
        unicode: flag(args.take("allow_unicode").as_ref(), true),
        start: flag(args.take("explicit_start").as_ref(), false),
        end: flag(args.take("explicit_end").as_ref(), false),
    };
    for ignored in ["dump_vault_tags", "line_break", "encoding", "default_style"] {
        args.take(ignored);
    }
    if let Some((name, _)) = args.named.first() {
        return Err(Error::wrong_type(format!("has no parameter `{name}`")));
    }
    emit::document(subject, options).map(Val::str)
}

fn from_yaml(_: &mut Cx, subject: &Val, _: Args) -> Res {
    match subject {
        Val::Str(text) => parse(text),
        Val::None | Val::List(_) | Val::Dict(_) => Ok(subject.clone()),
        other => Err(Error::wrong_type(format!(
            "needs a text, not a {}",
            other.type_name()
        ))),
    }
}

/// Reads one document by the rules of YAML 1.1, as playbooks are read.
fn parse(text: &str) -> Res {
    let mut faults = Diagnostics::new();
    let node = yaml::parse(&Source::new("from_yaml", text), &mut faults);
    node.map(|node| Val::from_plain(&node.to_value()))
        .ok_or_else(|| fault(&faults))
}

fn from_yaml_all(_: &mut Cx, subject: &Val, _: Args) -> Res {
    let mut faults = Diagnostics::new();
    let text = native::text(subject);
    let nodes = yaml::parse_all(&Source::new("from_yaml_all", text), &mut faults);
    let nodes = nodes.ok_or_else(|| fault(&faults))?;
    let all = nodes.iter().map(|node| Val::from_plain(&node.to_value()));
    Ok(Val::list(all.collect()))
}

fn fault(faults: &Diagnostics) -> Error {
    let first = faults.iter().find(|f| f.severity == Severity::Error);
    Error::wrong_type(match first {
        Some(fault) => match &fault.span {
            Some(span) => format!("not YAML: line {}: {}", span.line, fault.message),
            None => format!("not YAML: {}", fault.message),
        },
        None => "not YAML".into(),
    })
}
