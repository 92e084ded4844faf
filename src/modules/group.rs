//! `group`: turns the wish for a group into the calls of groupadd, groupmod or groupdel that bring it about.

use super::accounts::call;
use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::sys::users::Group as Account;
use serde::{Deserialize, Serialize};

/// Whether an account is to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    #[default]
    Present,
    Absent,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    name: String,
    #[serde(default)]
    gid: Option<u32>,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    non_unique: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    local: bool,
}

impl Module for Group {
    const NAME: &'static str = "group";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the group").required(),
        Arg::new(
            "gid",
            ArgKind::Int,
            "its number (default: the next free one)",
        ),
        Arg::new("state", ArgKind::Str, "present (default) or absent")
            .choices(&["present", "absent"]),
        Arg::new(
            "system",
            ArgKind::Bool,
            "take a system number for a new group (default no)",
        ),
        Arg::new(
            "non_unique",
            ArgKind::Bool,
            "the number may be another group's too (default no)",
        ),
        Arg::new(
            "force",
            ArgKind::Bool,
            "remove it though it is a user's primary group (default no)",
        ),
        Arg::new(
            "local",
            ArgKind::Bool,
            "accepted: only the host's own files are changed",
        ),
    ];
    const DOC: &'static str =
        "Makes or removes a group.\n\n    - group:\n        name: kafka\n        system: yes\n";
    type Change = Vec<String>;

    fn check(&self, sys: &Sys) -> Result<Found<Vec<String>>, Error> {
        if self.non_unique && self.gid.is_none() {
            return Err(Error::new("`non_unique` needs a `gid`"));
        }
        let now = sys.group_named(&self.name)?;
        let gid = self.gid.map(|gid| gid.to_string());
        let mut argv: Vec<&str> = Vec::new();
        match (self.state, &now) {
            (Presence::Absent, Some(_)) => {
                argv.push("groupdel");
                argv.extend(self.force.then_some("-f"));
            }
            (Presence::Present, None) => {
                argv.push("groupadd");
                argv.extend(self.system.then_some("-r"));
            }
            (Presence::Present, Some(now)) if self.gid.is_some_and(|gid| gid != now.gid) => {
                argv.push("groupmod");
            }
            _ => return Ok(Found::same(self.registered(now.as_ref()))),
        }
        if let (Some(gid), Presence::Present) = (&gid, self.state) {
            argv.extend(["-g", gid]);
            argv.extend(self.non_unique.then_some("-o"));
        }
        argv.push(&self.name);
        let outcome = self.registered(now.as_ref()).diff(self.diff(now.as_ref()));
        let argv = argv.into_iter().map(str::to_owned).collect();
        Ok(Found::change(argv, outcome))
    }

    fn apply(&self, sys: &Sys, argv: Vec<String>) -> Result<Outcome, Error> {
        let before = sys.group_named(&self.name)?;
        call(sys, &argv)?;
        let now = sys.group_named(&self.name)?;
        Ok(self
            .registered(now.as_ref())
            .changed()
            .diff(self.diff(before.as_ref())))
    }
}

impl Group {
    fn diff(&self, now: Option<&Account>) -> Diff {
        let word = |is_there: bool| Some(if is_there { "present" } else { "absent" }.into());
        let is_wished = self.state == Presence::Present;
        let diff = Diff::new(format!("group {}", self.name));
        let diff = diff.attribute("state", word(now.is_some()), word(is_wished));
        match self.gid.filter(|_| is_wished) {
            Some(gid) => diff.attribute("gid", now.map(|now| now.gid.into()), Some(gid.into())),
            None => diff,
        }
    }

    fn registered(&self, now: Option<&Account>) -> Outcome {
        let state = match self.state {
            Presence::Present => "present",
            Presence::Absent => "absent",
        };
        let outcome = Outcome::new()
            .with("name", self.name.as_str())
            .with("state", state)
            .with("system", self.system);
        match now {
            Some(now) => outcome.with("gid", now.gid),
            None => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Host, shown};
    use crate::modules::Permission;
    use std::path::Path;

    fn host() -> Host {
        Host::with(
            "group",
            &[
                ("/etc/group", "root:x:0:\nkafka:x:971:\n"),
                ("/etc/gshadow", "root:*::\nkafka:!::\n"),
                ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
                ("/etc/login.defs", "GID_MIN 1000\nGID_MAX 60000\n"),
            ],
        )
    }

    #[test]
    fn a_group_is_made_changed_and_removed() {
        let host = host();
        let outcome = host.converges("{name: zookeeper, gid: 980}");
        assert_eq!(outcome.data["gid"], 980);
        let outcome = host.converges("{name: kafka, gid: 1971}");
        assert_eq!(shown(&outcome), "group kafka: gid 971 -> 1971");
        host.is_content_with("name: kafka");
        let outcome = host.converges("{name: kafka, state: absent}");
        assert_eq!(shown(&outcome), "group kafka: state present -> absent");
        assert!(host.text("/etc/group").contains("zookeeper:x:980:"));
    }

    #[test]
    fn a_number_that_this_machine_has_and_the_plan_has_not_is_free() {
        let host = host();
        let over = host.sys.clone().over(host.sys.new_overlay());
        let run = |args: &str| {
            let action = host.action(args);
            action.run(&over, &mut |_| Permission::OnlyShow)
        };
        // Every machine has a group 1.
        run("{name: kafka, gid: 1}").unwrap();
        let text = String::from_utf8(over.read(Path::new("/etc/group")).unwrap()).unwrap();
        assert!(text.contains("kafka:x:1:"), "{text}");
        let error = run("{name: kafka, gid: 0}").unwrap_err();
        assert_eq!(error.causes, ["groupmod: GID '0' already exists"]);
    }

    #[test]
    fn a_number_that_is_taken_is_an_error_of_the_host() {
        let error = host().run("{name: other, gid: 971}").unwrap_err();
        assert!(error.causes[0].contains("already exists"), "{error}");
    }
}
