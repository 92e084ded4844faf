//! Turns a module whose paths hold `~` or `$NAME` into one with plain paths: only the host knows its users and its environment.

use super::args::{Arg, ArgKind};
use super::{Error, Module, words};
use crate::sys::Sys;
use crate::value::{Mapping, Value, expand};

/// Whether a path among the arguments, as a task gives them, has to be expanded on the host.
pub(super) fn concerns(specification: &[Arg], given: &Mapping) -> bool {
    let concerned = |value: &Value| value.as_str().is_some_and(expand::concerns);
    given.iter().any(|(name, value)| {
        let name = name.as_str().unwrap_or_default();
        let arg = specification.iter().find(|arg| arg.answers_to(name));
        match (arg.map(|arg| arg.kind), value) {
            (Some(ArgKind::PathList), Value::Sequence(paths)) => paths.iter().any(concerned),
            (Some(ArgKind::PathList), Value::String(paths)) => {
                paths.split(',').any(|path| expand::concerns(path.trim()))
            }
            (Some(ArgKind::Path), path) => concerned(path),
            _ => false,
        }
    })
}

/// Returns the module with its paths expanded for the user and the environment that it runs with.
pub(super) fn expanded<M: Module>(module: &M, sys: &Sys) -> Result<M, Error> {
    let broken = |error: &dyn std::fmt::Display| Error::new(format!("`{}`: {error}", M::NAME));
    let mut fields = Vec::new();
    module
        .serialize(&mut rmp_serde::Serializer::new(&mut fields).with_struct_map())
        .map_err(|error| broken(&error))?;
    let mut fields =
        rmpv::decode::read_value(&mut fields.as_slice()).map_err(|error| broken(&error))?;
    let expand = |value: &mut rmpv::Value| {
        if let Some(path) = value.as_str() {
            *value = words::expand(sys, path).into();
        }
    };
    let rmpv::Value::Map(named) = &mut fields else {
        return Err(broken(&"it has no fields"));
    };
    for (name, value) in named {
        let named = |arg: &&Arg| name.as_str() == Some(arg.name);
        match (M::ARGS.iter().find(named).map(|arg| arg.kind), value) {
            (Some(ArgKind::Path), value) => expand(value),
            (Some(ArgKind::PathList), rmpv::Value::Array(paths)) => {
                paths.iter_mut().for_each(expand);
            }
            _ => {}
        }
    }
    let mut plain = Vec::new();
    rmpv::encode::write_value(&mut plain, &fields).map_err(|error| broken(&error))?;
    rmp_serde::from_slice(&plain).map_err(|error| broken(&error))
}
