//! Finds filters, tests, functions and lookups that do not exist, before any host is contacted.

use super::error::Error;
use super::names::{Kind, Mention};
use super::{filters, functions, lookups, predicates};
use crate::diag;

/// Returns the first mention of something that krun does not have.
pub(crate) fn mentions(found: &[Mention]) -> Result<(), Error> {
    for mention in found {
        let short = filters::short_name(&mention.name);
        let fault = match mention.kind {
            Kind::Variable { .. } => None,
            Kind::Filter => {
                let known = filters::find(short).is_some() || predicates::find(short).is_some();
                (!known).then(|| unknown("filter", &mention.name, filters::names()))
            }
            Kind::Test => {
                let known = predicates::find(short).is_some() || filters::find(short).is_some();
                (!known).then(|| unknown("test", &mention.name, predicates::names()))
            }
            Kind::Function => {
                let known = functions::exists(&mention.name);
                let names = functions::NAMES.iter().copied();
                (!known).then(|| unknown("function", &mention.name, names))
            }
            Kind::Lookup => {
                let known = lookups::find(&mention.name).is_some();
                (!known).then(|| unknown("lookup", &mention.name, lookups::names()))
            }
        };
        if let Some(message) = fault {
            return Err(Error::syntax(message).at(mention.span));
        }
    }
    Ok(())
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    match diag::nearest(name, known) {
        Some(near) => format!("no {what} named `{name}`: did you mean `{near}`?"),
        None => format!("no {what} named `{name}`"),
    }
}
