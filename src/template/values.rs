//! The values that templates compute with, by Python's rules, and their way from and to [`Value`].

use super::error::{Error, ErrorKind};
use super::lazy::{Host, Lazy};
use super::object::Object;
use crate::value::{Mapping, Value};
use indexmap::IndexMap;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

pub(crate) type List = Rc<RefCell<Vec<Val>>>;
pub(crate) type Dict = Rc<RefCell<IndexMap<Val, Val>>>;
pub(crate) type Res<T = Val> = Result<T, Error>;

/// A value while a template runs. Lists and dicts are shared and can be changed, as in Python.
#[derive(Clone)]
pub(crate) enum Val {
    /// Carries the error that using it raises.
    Undefined(Rc<Error>),
    /// `omit`: takes the list item or mapping entry that holds it away.
    Omit,
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Rc<str>),
    List(List),
    Tuple(Rc<[Val]>),
    Dict(Dict),
    /// A list or mapping of the user's, whose strings are rendered when they are read.
    Lazy(Rc<Lazy>),
    /// All variables of one host: `hostvars[x]` and `vars`.
    Host(Rc<Host>),
    Object(Rc<Object>),
}

impl Val {
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Rc::from(text.as_ref()))
    }

    pub(crate) fn list(items: Vec<Val>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    pub(crate) fn strs<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::list(items.into_iter().map(Self::str).collect())
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Self {
        Self::Tuple(Rc::from(items))
    }

    pub(crate) fn dict(items: IndexMap<Val, Val>) -> Self {
        Self::Dict(Rc::new(RefCell::new(items)))
    }

    pub(crate) fn pairs<K: AsRef<str>>(items: impl IntoIterator<Item = (K, Val)>) -> Self {
        Self::dict(items.into_iter().map(|(k, v)| (Self::str(k), v)).collect())
    }

    pub(crate) fn object(object: Object) -> Self {
        Self::Object(Rc::new(object))
    }

    pub(crate) fn size(n: usize) -> Self {
        Self::Int(n as i128)
    }

    pub(crate) fn undefined(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Undefined(Rc::new(Error::new(
            ErrorKind::Undefined { name: name.into() },
            message,
        )))
    }

    /// Python's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::Omit => "Omit",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) | Self::Host(_) => "dict",
            Self::Lazy(lazy) => lazy.type_name(),
            Self::Object(object) => object.type_name(),
        }
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bool(b) => Some(i128::from(*b)),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Python converts an int to the nearest float, too"
    )]
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(n) => Some(*n),
            _ => self.as_int().map(|n| n as f64),
        }
    }

    /// The items of a list or tuple.
    pub(crate) fn as_items(&self) -> Option<Vec<Val>> {
        match self {
            Self::List(items) => Some(items.borrow().clone()),
            Self::Tuple(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    /// Python's truth of a value that is neither undefined nor lazy.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Omit | Self::Host(_) => true,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.borrow().is_empty(),
            Self::Tuple(items) => !items.is_empty(),
            Self::Dict(items) => !items.borrow().is_empty(),
            Self::Lazy(lazy) => lazy.len() != 0,
            Self::Object(object) => object.is_true(),
        }
    }

    /// Copies a plain value, whose strings are not templates.
    pub(crate) fn from_plain(value: &Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => number(n),
            Value::String(text) => Self::str(text),
            Value::Sequence(items) => Self::list(items.iter().map(Self::from_plain).collect()),
            Value::Mapping(map) => Self::dict(
                map.iter()
                    .map(|(k, v)| (Self::from_plain(k), Self::from_plain(v)))
                    .collect(),
            ),
            Value::Tagged(_) if super::is_omit(value) => Self::Omit,
            Value::Tagged(tagged) => Self::from_plain(&tagged.value),
        }
    }

    /// Turns a result into a value. Entries that are `omit` disappear; an undefined part is its error.
    pub(crate) fn into_value(self) -> Res<Value> {
        Ok(match self {
            Self::Undefined(error) => return Err((*error).clone()),
            Self::Omit => super::omit(),
            Self::Bool(b) => Value::Bool(b),
            Self::Int(n) => int_value(n),
            Self::Float(n) => Value::Number(n.into()),
            Self::Str(text) => Value::String(text.to_string()),
            Self::List(items) => {
                let items = items.borrow().clone();
                items_value(items)?
            }
            Self::Tuple(items) => items_value(items.to_vec())?,
            Self::Dict(items) => {
                let mut map = Mapping::new();
                let items = items.borrow().clone();
                for (key, item) in items {
                    if !matches!(item, Self::Omit) {
                        map.insert(key.into_value()?, item.into_value()?);
                    }
                }
                Value::Mapping(map)
            }
            Self::Object(object) => object.to_value()?,
            // The lazy ones are forced before a result leaves the evaluator.
            Self::None | Self::Lazy(_) | Self::Host(_) => Value::Null,
        })
    }
}

fn items_value(items: Vec<Val>) -> Res<Value> {
    let kept = items.into_iter().filter(|item| !matches!(item, Val::Omit));
    Ok(Value::Sequence(
        kept.map(Val::into_value).collect::<Res<_>>()?,
    ))
}

fn int_value(n: i128) -> Value {
    if let Ok(n) = i64::try_from(n) {
        Value::Number(n.into())
    } else if let Ok(n) = u64::try_from(n) {
        Value::Number(n.into())
    } else {
        Value::String(n.to_string())
    }
}

fn number(n: &serde_yaml::Number) -> Val {
    if let Some(n) = n.as_i64() {
        Val::Int(n.into())
    } else if let Some(n) = n.as_u64() {
        Val::Int(n.into())
    } else {
        Val::Float(n.as_f64().unwrap_or(f64::NAN))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) | (Self::Omit, Self::Omit) => true,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => Rc::ptr_eq(a, b) || *a.borrow() == *b.borrow(),
            (Self::Tuple(a), Self::Tuple(b)) => a == b,
            // Ansible turns tuples into lists before anyone could compare them.
            (Self::List(a), Self::Tuple(b)) | (Self::Tuple(b), Self::List(a)) => {
                a.borrow()[..] == b[..]
            }
            (Self::Dict(a), Self::Dict(b)) => Rc::ptr_eq(a, b) || *a.borrow() == *b.borrow(),
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b) || a == b,
            (Self::Lazy(a), Self::Lazy(b)) => Rc::ptr_eq(a, b),
            (Self::Host(a), Self::Host(b)) => Rc::ptr_eq(a, b),
            _ => match (self.as_int(), other.as_int()) {
                (Some(a), Some(b)) => a == b,
                _ => match (self.as_float(), other.as_float()) {
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                },
            },
        }
    }
}

impl Eq for Val {}

impl Hash for Val {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float that equals an int must hash like it; collisions do no harm"
    )]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) => text.hash(state),
            Self::Tuple(items) => items.iter().for_each(|item| item.hash(state)),
            Self::List(items) => items.borrow().iter().for_each(|item| item.hash(state)),
            Self::Bool(_) | Self::Int(_) => self.as_int().hash(state),
            Self::Float(n) => Some(*n as i128).hash(state),
            _ => self.type_name().hash(state),
        }
    }
}

/// Looks a text key up without allocating.
pub(crate) struct Key<'a>(pub &'a str);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl indexmap::Equivalent<Val> for Key<'_> {
    fn equivalent(&self, key: &Val) -> bool {
        key.as_str() == Some(self.0)
    }
}
