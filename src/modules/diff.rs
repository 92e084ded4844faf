//! What a change does to one thing on a host, as data: rendered by the report, on the controller.

use crate::value::{Masks, Value};
use serde::{Deserialize, Serialize};

/// Content above this many bytes a side is not carried in a diff (Ansible's `max_diff_size`).
pub const MAX_DIFF_BYTES: usize = 104_448;

/// Before and after of one thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// What changed: a path, `service kafka-server`, `user kafka`, ….
    pub subject: String,
    /// Where the content comes from, where that has a name of its own: a template.
    #[serde(default)]
    pub source: Option<String>,
    /// Content of a file, where that changed.
    pub content: Option<Content>,
    /// The file was not there before.
    #[serde(default)]
    pub is_new: bool,
    /// Everything else: mode, owner, group, link target, state, version, … in this order.
    pub attributes: Vec<Attribute>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Content {
    Text {
        before: String,
        after: String,
    },
    /// Binary, or larger than [`MAX_DIFF_BYTES`]: why it is not shown, and the sizes in bytes.
    Opaque {
        reason: String,
        before: Option<u64>,
        after: Option<u64>,
    },
}

/// One attribute that changes; `None` where there was or will be none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Diff {
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            ..Self::default()
        }
    }

    /// Names where the new content comes from.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the content before and after; `None` is a file that is not there.
    #[must_use]
    pub fn bytes(mut self, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        let sizes = |reason: &str| Content::Opaque {
            reason: reason.into(),
            before: before.map(|b| b.len() as u64),
            after: after.map(|b| b.len() as u64),
        };
        let text = |side: Option<&[u8]>| {
            String::from_utf8(side.unwrap_or_default().to_vec())
                .ok()
                .filter(|t| !t.contains('\0'))
        };
        let too_large = [before, after]
            .iter()
            .any(|side| side.is_some_and(|b| b.len() > MAX_DIFF_BYTES));
        self.content = Some(match (text(before), text(after)) {
            _ if too_large => sizes("larger than 104448 bytes"),
            (Some(before), Some(after)) => Content::Text { before, after },
            _ => sizes("binary"),
        });
        self.is_new = before.is_none();
        self
    }

    /// Adds an attribute if it differs.
    #[must_use]
    pub fn attribute(mut self, name: &str, before: Option<Value>, after: Option<Value>) -> Self {
        if before != after {
            self.attributes.push(Attribute {
                name: name.into(),
                before,
                after,
            });
        }
        self
    }

    /// Takes secrets out of everything that would be shown.
    pub fn mask(&mut self, masks: &Masks) {
        self.subject = masks.mask(&self.subject).into_owned();
        if let Some(Content::Text { before, after }) = &mut self.content {
            let differed = before != after;
            let sizes = (before.len() as u64, after.len() as u64);
            *before = masks.mask(before).into_owned();
            *after = masks.mask(after).into_owned();
            if differed && before == after {
                self.content = Some(Content::Opaque {
                    reason: "only a secret differs".into(),
                    before: (!self.is_new).then_some(sizes.0),
                    after: Some(sizes.1),
                });
            }
        }
        for attribute in &mut self.attributes {
            for side in [&mut attribute.before, &mut attribute.after]
                .into_iter()
                .flatten()
            {
                masks.mask_value(side);
            }
        }
    }

    /// Whether what lies there stays, and only whose it is, or who may read it, differs.
    pub fn is_attributes_only(&self) -> bool {
        let of_file = ["atime", "attributes", "group", "mode", "mtime", "owner"];
        let is_known = |one: &Attribute| of_file.contains(&one.name.as_str());
        self.content.is_none() && !self.is_new && self.attributes.iter().all(is_known)
    }

    /// The entries of an archive that would come to lie in a directory; `None` where not all are named, or it is none.
    pub fn unpacked(&self) -> Option<impl Iterator<Item = &str>> {
        let mut names = self.attributes.iter().map(|one| one.name.as_str());
        let is_archive = names.next() == Some("entries");
        let is_all = !names.any(|name| matches!(name, "further entries" | "state"));
        let entries = self.attributes.iter().skip(1).map(|one| one.name.as_str());
        (is_archive && is_all).then_some(entries)
    }

    /// Returns `true` if nothing differs.
    pub fn is_empty(&self) -> bool {
        self.content.is_none() && self.attributes.is_empty()
    }
}
