//! Binds the arguments of a call to the parameters of a filter, test, function or method.

use super::error::Error;
use super::values::{Res, Val};

#[derive(Default)]
pub(crate) struct Args {
    pub pos: Vec<Val>,
    pub named: Vec<(Box<str>, Val)>,
}

impl Args {
    pub(crate) fn of(pos: Vec<Val>) -> Self {
        Self {
            pos,
            named: Vec::new(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Val> {
        self.pos.iter().chain(self.named.iter().map(|(_, v)| v))
    }

    /// Returns the arguments in the order of `names`; one too many or unknown is an error.
    pub(crate) fn bind<const N: usize>(self, names: [&str; N]) -> Res<[Option<Val>; N]> {
        let mut bound = [const { None }; N];
        if self.pos.len() > N {
            return Err(Error::wrong_type(format!(
                "takes at most {N} arguments, {} were given",
                self.pos.len()
            )));
        }
        for (place, value) in bound.iter_mut().zip(self.pos) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            match names.iter().position(|known| *known == &*name) {
                Some(at) if bound[at].is_none() => bound[at] = Some(value),
                Some(_) => {
                    return Err(Error::wrong_type(format!("`{name}` was given twice")));
                }
                None => {
                    return Err(Error::wrong_type(format!(
                        "has no parameter `{name}`{}",
                        match crate::diag::nearest(&name, names) {
                            Some(near) => format!(": did you mean `{near}`?"),
                            None => String::new(),
                        }
                    )));
                }
            }
        }
        Ok(bound)
    }

    /// Takes a named argument out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Val> {
        let at = self.named.iter().position(|(n, _)| &**n == name)?;
        Some(self.named.remove(at).1)
    }
}

/// What a parameter of a given type may be.
impl Val {
    pub(crate) fn want_int(&self, what: &str) -> Res<i128> {
        self.as_int().ok_or_else(|| {
            Error::wrong_type(format!("{what} needs an int, not a {}", self.type_name()))
        })
    }

    pub(crate) fn want_str(&self, what: &str) -> Res<&str> {
        self.as_str().ok_or_else(|| {
            Error::wrong_type(format!("{what} needs a text, not a {}", self.type_name()))
        })
    }
}

/// The truth of an optional argument.
pub(crate) fn flag(arg: Option<&Val>, default: bool) -> bool {
    arg.map_or(default, Val::is_true)
}

/// A number that counts something, where it was given.
pub(crate) fn count(arg: Option<&Val>, what: &str) -> Res<Option<usize>> {
    match arg {
        None | Some(Val::None) => Ok(None),
        Some(value) => {
            let n = match value {
                Val::Str(text) => text.trim().parse().map_err(|_| {
                    Error::wrong_type(format!("{what} needs a number, not `{text}`"))
                })?,
                other => other.want_int(what)?,
            };
            usize::try_from(n)
                .map(Some)
                .map_err(|_| Error::wrong_type(format!("{what} cannot be {n}")))
        }
    }
}
