//! Turns the difference between a user and the wish into what is shown of it.

use super::known::{Known, day_name};
use super::{Presence, User};
use crate::modules::diff::Diff;
use crate::value::Value;
use std::collections::BTreeSet;

impl User {
    /// Shows what is to change; of a password, that it does.
    pub(super) fn diff(&self, now: Option<&Known>) -> Diff {
        let mut diff = Diff::new(format!("user {}", self.name));
        let word = |is_there: bool| Some(Value::from(if is_there { "present" } else { "absent" }));
        let is_wished = self.state == Presence::Present;
        diff = diff.attribute("state", word(now.is_some()), word(is_wished));
        if !is_wished {
            return diff;
        }
        let of = |pick: fn(&Known) -> Value| now.map(pick);
        if let Some(uid) = self.uid {
            diff = diff.attribute("uid", of(|now| now.account.uid.into()), Some(uid.into()));
        }
        if let Some(group) = &self.group {
            let is_number = now.is_some_and(|now| now.account.gid.to_string() == *group);
            let before = of(|now| now.group.as_str().into());
            if !is_number {
                diff = diff.attribute("group", before, Some(group.as_str().into()));
            }
        }
        let list = |groups: &BTreeSet<String>| -> Value {
            groups
                .iter()
                .map(|g| g.as_str().into())
                .collect::<Vec<Value>>()
                .into()
        };
        match now {
            Some(known) => {
                if let Some(groups) = self.new_groups(known) {
                    diff = diff.attribute("groups", Some(list(&known.groups)), Some(list(&groups)));
                }
            }
            None => {
                if let Some(groups) = &self.groups {
                    diff = diff.attribute(
                        "groups",
                        None,
                        Some(list(&groups.iter().cloned().collect())),
                    );
                }
            }
        }
        let texts: [(&str, &Option<String>, Option<Value>); 3] = [
            (
                "comment",
                &self.comment,
                of(|now| now.account.comment.as_str().into()),
            ),
            (
                "home",
                &self.home,
                of(|now| now.account.home.as_str().into()),
            ),
            (
                "shell",
                &self.shell,
                of(|now| now.account.shell.as_str().into()),
            ),
        ];
        for (name, wish, before) in texts {
            if let Some(wish) = wish {
                diff = diff.attribute(name, before, Some(wish.as_str().into()));
            }
        }
        if self.expires.is_some() {
            let day = |day: Option<i64>| Some(Value::from(day.map_or("never".into(), day_name)));
            diff = diff.attribute(
                "expires",
                day(now.and_then(|now| now.last_day)),
                day(self.last_day()),
            );
        }
        if diff.is_empty() {
            diff = diff.attribute("password", Some("***".into()), Some("*** (new)".into()));
        }
        diff
    }
}
