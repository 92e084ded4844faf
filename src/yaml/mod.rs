//! Turns YAML text, as Ansible's users write it (YAML 1.1), into a tree in which every node knows its place.

mod fault;
mod mend;
mod parse;
mod scalar;

pub use parse::{parse, parse_all};

use crate::diag::Span;
use crate::value::{Dict, Mapping, Value};
use indexmap::IndexMap;
use std::collections::HashMap;

/// One node of a YAML file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub span: Span,
}

/// What a node is, after resolving plain scalars by the rules of YAML 1.1.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// `!unsafe`: never templated.
    Unsafe(String),
    /// `!vault`: the encrypted text, armour included.
    Vault(String),
    Seq(Vec<Node>),
    Map(Map),
}

/// A mapping with text keys, in the order written; merge keys (`<<`) are resolved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    pub entries: IndexMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Span,
    pub value: Node,
}

impl Node {
    pub fn new(kind: Kind, span: Span) -> Self {
        Self { kind, span }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Str(text) | Kind::Unsafe(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// Returns the value at `key` if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Node> {
        self.as_map()?.entries.get(key).map(|entry| &entry.value)
    }

    /// Returns what kind of thing this is, for messages: `a string`, `a list`, ….
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Str(_) | Kind::Unsafe(_) => "a string",
            Kind::Vault(_) => "a vault secret",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// Returns the plain value. `!unsafe` and `!vault` strings keep their tag.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(n) => Value::Number((*n).into()),
            Kind::Float(n) => Value::Number((*n).into()),
            Kind::Str(text) => Value::String(text.clone()),
            Kind::Unsafe(text) => tagged("!unsafe", text),
            Kind::Vault(text) => tagged("!vault", text),
            Kind::Seq(items) => items.iter().map(Node::to_value).collect(),
            Kind::Map(map) => {
                let pairs = map.entries.iter();
                Value::Mapping(
                    pairs
                        .map(|(k, e)| (Value::String(k.clone()), e.value.to_value()))
                        .collect::<Mapping>(),
                )
            }
        }
    }
}

fn tagged(tag: &str, text: &str) -> Value {
    Value::Tagged(Box::new(serde_yaml::value::TaggedValue {
        tag: serde_yaml::value::Tag::new(tag),
        value: Value::String(text.into()),
    }))
}

/// Variables as a file or a `vars:` wrote them: values, and where each was defined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vars {
    pub values: Dict,
    /// The place of each variable's value, by its name.
    pub spans: HashMap<String, Span>,
}

impl Vars {
    /// Takes every entry of a mapping.
    pub fn from_map(map: &Map) -> Self {
        let mut vars = Self::default();
        for (name, entry) in &map.entries {
            vars.values.insert(name.clone(), entry.value.to_value());
            vars.spans.insert(name.clone(), entry.value.span.clone());
        }
        vars
    }

    /// Takes over all of `other`, which wins where both define a name.
    pub fn extend(&mut self, other: Vars) {
        self.values.extend(other.values);
        self.spans.extend(other.spans);
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
