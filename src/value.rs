//! The values that playbooks compute with, and the secrets that must never be shown.

pub mod expand;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Any value of a playbook, inventory, fact or result. Mappings keep their order.
///
/// A string tagged `!unsafe` is never templated.
pub type Value = serde_yaml::Value;
pub type Mapping = serde_yaml::Mapping;

/// Named values in the order in which they were written.
pub type Dict = IndexMap<String, Value>;

/// A host as the inventory names it.
pub type HostName = Arc<str>;

/// Returns `true` for what Ansible's users write for true: `yes`, `on`, `1`, `true`, in any case, or a number that is not 0.
pub fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) => n.as_f64().map(|n| n != 0.0),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "y" | "t" => Some(true),
            "no" | "off" | "0" | "false" | "n" | "f" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the value as a user would write it on a line: strings bare, `true` as `True`, the rest as JSON.
pub fn display(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => text.clone(),
        Value::Tagged(tagged) => display(&tagged.value),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// Returns `value` without `!unsafe` and other tags, at every depth.
pub fn untagged(value: &Value) -> Value {
    match value {
        Value::Tagged(tagged) => untagged(&tagged.value),
        Value::Sequence(items) => items.iter().map(untagged).collect(),
        Value::Mapping(map) => {
            Value::Mapping(map.iter().map(|(k, v)| (k.clone(), untagged(v))).collect())
        }
        other => other.clone(),
    }
}

/// A password or key: prints as `***` wherever it is shown or serialized.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself: for the one place that needs it (a login, a frame to the agent).
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// The secrets of a run, to be taken out of everything that leaves it.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    secrets: Vec<Secret>,
}

impl Masks {
    /// Adds a secret. Texts under four characters are left alone: masking them would eat ordinary words.
    pub fn add(&mut self, secret: &Secret) {
        if secret.0.len() >= 4 && !self.secrets.contains(secret) {
            self.secrets.push(secret.clone());
            // The longest first, so that a secret inside a longer one leaves no rest of it behind.
            self.secrets.sort_by_key(|s| std::cmp::Reverse(s.0.len()));
        }
    }

    /// Adds all secrets of another list.
    pub fn merge(&mut self, other: &Masks) {
        other.secrets.iter().for_each(|secret| self.add(secret));
    }

    /// The secrets themselves, for a private place.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// Returns `text` with every secret in it replaced by `***`.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.secrets {
            if masked.contains(&secret.0) {
                masked = Cow::Owned(masked.replace(&secret.0, "***"));
            }
        }
        masked
    }

    /// Masks every string in `value`, keys included.
    pub fn mask_value(&self, value: &mut Value) {
        if self.secrets.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.mask_value(item)),
            Value::Mapping(map) => {
                let masked = std::mem::take(map).into_iter().map(|(mut key, mut item)| {
                    self.mask_value(&mut key);
                    self.mask_value(&mut item);
                    (key, item)
                });
                *map = masked.collect();
            }
            Value::Tagged(tagged) => self.mask_value(&mut tagged.value),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    }

    #[test]
    fn a_longer_secret_is_masked_before_one_inside_it() {
        let mut masks = Masks::default();
        masks.add(&Secret::new("pass"));
        masks.add(&Secret::new("password1"));
        assert_eq!(masks.mask("x password1 y"), "x *** y");
    }
}
