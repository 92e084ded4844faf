//! `user`: turns the wish for a user into the calls of useradd, usermod or userdel that bring it about.

mod known;
mod shown;

use super::accounts::{self, call};
use super::args::{Arg, ArgKind, yes};
use super::group::Presence;
use super::{Error, Found, Module, Nature, Outcome, attributes, loss};
use crate::sys::Sys;
use known::{Known, day_name, look};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    name: String,
    #[serde(default)]
    uid: Option<u32>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    append: bool,
    #[serde(default)]
    home: Option<String>,
    #[serde(default = "yes")]
    create_home: bool,
    #[serde(default)]
    move_home: bool,
    #[serde(default)]
    skeleton: Option<String>,
    #[serde(default)]
    shell: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    remove: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    update_password: Option<String>,
    #[serde(default)]
    password_lock: Option<bool>,
    #[serde(default)]
    expires: Option<f64>,
    #[serde(default)]
    non_unique: bool,
    #[serde(default)]
    generate_ssh_key: bool,
    #[serde(default)]
    ssh_key_file: Option<String>,
    #[serde(default)]
    umask: Option<String>,
}

/// The calls to be made, and the hash that chpasswd is to set.
#[derive(Debug)]
pub struct Change {
    calls: Vec<Vec<String>>,
    hash: Option<String>,
}

impl Module for User {
    const NAME: &'static str = "user";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the user")
            .required()
            .aliases(&["user"]),
        Arg::new("uid", ArgKind::Int, "number (default: the next free one)"),
        Arg::new(
            "group",
            ArgKind::Str,
            "primary group (default: one of the user's name)",
        ),
        Arg::new(
            "groups",
            ArgKind::StrList,
            "other groups; an empty list is none",
        ),
        Arg::new(
            "append",
            ArgKind::Bool,
            "keep the groups that are not listed (default no)",
        ),
        Arg::new("home", ArgKind::Path, "home directory"),
        Arg::new(
            "create_home",
            ArgKind::Bool,
            "make the home directory of a new user (default yes)",
        )
        .aliases(&["createhome"]),
        Arg::new(
            "move_home",
            ArgKind::Bool,
            "move the files when `home` changes (default no)",
        ),
        Arg::new(
            "skeleton",
            ArgKind::Path,
            "what a new home directory starts from (default /etc/skel)",
        ),
        Arg::new("shell", ArgKind::Path, "login shell"),
        Arg::new(
            "comment",
            ArgKind::Str,
            "whole name, or what the user is for",
        ),
        Arg::new(
            "system",
            ArgKind::Bool,
            "take a system number for a new user (default no)",
        ),
        Arg::new("state", ArgKind::Str, "present (default) or absent")
            .choices(&["present", "absent"]),
        Arg::new(
            "remove",
            ArgKind::Bool,
            "with `absent`: remove the home directory too (default no)",
        ),
        Arg::new(
            "force",
            ArgKind::Bool,
            "with `absent`: though the user is logged in (default no)",
        ),
        Arg::new(
            "password",
            ArgKind::Str,
            "the password's hash, as in /etc/shadow",
        ),
        Arg::new(
            "update_password",
            ArgKind::Str,
            "always (default), or on_create: leave an existing user's password alone",
        )
        .choices(&["always", "on_create"]),
        Arg::new(
            "password_lock",
            ArgKind::Bool,
            "lock or unlock the password",
        ),
        Arg::new(
            "expires",
            ArgKind::Float,
            "when the account ends, in seconds since 1970; negative is never",
        ),
        Arg::new(
            "non_unique",
            ArgKind::Bool,
            "the number may be another user's too (default no)",
        ),
        Arg::new("umask", ArgKind::Str, "umask for the new home directory"),
        Arg::new(
            "generate_ssh_key",
            ArgKind::Bool,
            "not supported, unless the key is there already",
        ),
        Arg::new(
            "ssh_key_file",
            ArgKind::Path,
            "where the key lies (default .ssh/id_rsa)",
        ),
        Arg::new("ssh_key_bits", ArgKind::Int, "accepted, has no effect"),
        Arg::new("ssh_key_type", ArgKind::Str, "accepted, has no effect"),
        Arg::new("ssh_key_comment", ArgKind::Str, "accepted, has no effect"),
        Arg::new(
            "ssh_key_passphrase",
            ArgKind::Str,
            "accepted, has no effect",
        ),
        Arg::new(
            "local",
            ArgKind::Bool,
            "accepted: only the host's own files are changed",
        ),
        Arg::new("login_class", ArgKind::Str, "accepted, has no effect"),
        Arg::new("seuser", ArgKind::Str, "accepted, has no effect"),
    ];
    const DOC: &'static str = "Makes, changes or removes a user.\n\n    - user:\n        name: kafka\n        group: kafka\n        shell: /sbin/nologin\n        home: /data\n        create_home: no\n        system: yes\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let now = look(sys, &self.name)?;
        let change = match (self.state, &now) {
            (Presence::Absent, None) => return Ok(Found::same(self.registered(None))),
            (Presence::Absent, Some(_)) => self.removal(),
            (Presence::Present, None) => self.creation(sys)?,
            (Presence::Present, Some(now)) => self.modification(sys, now)?,
        };
        if self.state == Presence::Present && self.generate_ssh_key {
            self.check_key(sys, now.as_ref())?;
        }
        let mut outcome = self.registered(now.as_ref());
        if self.removes_home()
            && let Some(home) = now.as_ref().map(|now| Path::new(&now.account.home))
            && sys.lstat(home)?.is_some_and(|stat| stat.is_dir())
        {
            outcome.destroys.extend(loss::of_directory(sys, home)?);
        }
        if change.calls.is_empty() && change.hash.is_none() {
            return Ok(Found::same(outcome));
        }
        let diff = self.diff(now.as_ref());
        Ok(Found::change(change, outcome.diff(diff)))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let before = look(sys, &self.name)?;
        for argv in &change.calls {
            call(sys, argv)?;
        }
        if let Some(hash) = &change.hash {
            accounts::set_password(sys, &self.name, hash)?;
        }
        let now = look(sys, &self.name)?;
        Ok(self
            .registered(now.as_ref())
            .changed()
            .diff(self.diff(before.as_ref())))
    }
}

impl User {
    pub(super) fn removes_home(&self) -> bool {
        self.state == Presence::Absent && self.remove
    }

    fn removal(&self) -> Change {
        let mut argv = vec!["userdel"];
        argv.extend(self.force.then_some("-f"));
        argv.extend(self.remove.then_some("-r"));
        argv.push(&self.name);
        let calls = vec![argv.into_iter().map(str::to_owned).collect()];
        Change { calls, hash: None }
    }

    fn creation(&self, sys: &Sys) -> Result<Change, Error> {
        self.check_groups(sys)?;
        let mut argv: Vec<String> = vec!["useradd".into()];
        let mut put = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                argv.extend([flag.to_owned(), value]);
            }
        };
        put("-u", self.uid.map(|uid| uid.to_string()));
        put("-g", self.group.clone());
        put(
            "-G",
            self.groups
                .as_ref()
                .filter(|g| !g.is_empty())
                .map(|g| g.join(",")),
        );
        put("-c", self.comment.clone());
        put("-d", self.home.clone());
        put("-s", self.shell.clone());
        put("-e", self.last_day().map(day_name));
        put("-k", self.skeleton.clone().filter(|_| self.create_home));
        put(
            "-K",
            self.umask.as_ref().map(|umask| format!("UMASK={umask}")),
        );
        argv.extend((self.uid.is_some() && self.non_unique).then(|| "-o".to_owned()));
        argv.extend(self.system.then(|| "-r".to_owned()));
        // useradd would make a group of this name, and fail.
        let has_group = self.group.is_none() && sys.group_named(&self.name)?.is_some();
        argv.extend(has_group.then(|| "-N".to_owned()));
        argv.push(if self.create_home { "-m" } else { "-M" }.to_owned());
        argv.push(self.name.clone());
        let mut calls = vec![argv];
        if self.password_lock == Some(true) && self.password.is_none() {
            calls.push(vec!["usermod".into(), "-L".into(), self.name.clone()]);
        }
        let hash = self.password.as_ref().map(|hash| match self.password_lock {
            Some(true) => format!("!{hash}"),
            _ => hash.clone(),
        });
        Ok(Change { calls, hash })
    }

    fn modification(&self, sys: &Sys, now: &Known) -> Result<Change, Error> {
        self.check_groups(sys)?;
        let mut argv: Vec<String> = vec!["usermod".into()];
        if let Some(uid) = self.uid.filter(|uid| *uid != now.account.uid) {
            argv.extend(["-u".into(), uid.to_string()]);
            argv.extend(self.non_unique.then(|| "-o".to_owned()));
        }
        if let Some(group) = &self.group
            && attributes::gid(sys, group)? != now.account.gid
        {
            argv.extend(["-g".into(), group.clone()]);
        }
        if let Some(groups) = self.new_groups(now) {
            argv.extend([
                "-G".into(),
                groups.into_iter().collect::<Vec<_>>().join(","),
            ]);
        }
        let texts = [
            ("-c", &self.comment, &now.account.comment),
            ("-s", &self.shell, &now.account.shell),
            ("-d", &self.home, &now.account.home),
        ];
        for (flag, wish, now) in texts {
            if let Some(wish) = wish.as_ref().filter(|wish| *wish != now) {
                argv.extend([flag.to_owned(), wish.clone()]);
                argv.extend((flag == "-d" && self.move_home).then(|| "-m".to_owned()));
            }
        }
        if self.expires.is_some() && self.last_day() != now.last_day {
            argv.extend([
                "-e".into(),
                self.last_day().map(day_name).unwrap_or_default(),
            ]);
        }
        let is_locked = now
            .hash
            .as_deref()
            .is_some_and(|hash| hash.starts_with('!'));
        match self.password_lock {
            Some(true) if !is_locked => argv.push("-L".into()),
            Some(false) if is_locked => argv.push("-U".into()),
            _ => {}
        }
        let calls = if argv.len() > 1 {
            argv.push(self.name.clone());
            vec![argv]
        } else {
            Vec::new()
        };
        let always = self.update_password.as_deref() != Some("on_create");
        let bare = |hash: &str| hash.trim_start_matches('!').to_owned();
        let differs = |hash: &&String| Some(bare(hash)) != now.hash.as_deref().map(bare);
        let hash = self.password.as_ref().filter(|_| always).filter(differs);
        let stays_locked = self.password_lock.unwrap_or(false);
        let hash = hash.map(|hash| {
            if stays_locked {
                format!("!{hash}")
            } else {
                hash.clone()
            }
        });
        Ok(Change { calls, hash })
    }

    /// The whole list of other groups, if it is to change.
    fn new_groups(&self, now: &Known) -> Option<BTreeSet<String>> {
        let primary = self.group.as_ref().unwrap_or(&now.group);
        let wished = self
            .groups
            .as_ref()?
            .iter()
            .filter(|group| *group != primary);
        let mut wished: BTreeSet<String> = wished.cloned().collect();
        if self.append {
            wished.extend(now.groups.iter().cloned());
        }
        (wished != now.groups).then_some(wished)
    }

    /// Ansible's `expires` as a day; negative is none.
    fn last_day(&self) -> Option<i64> {
        let seconds = self.expires.filter(|seconds| *seconds >= 0.0)?;
        let stamp = jiff::Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(seconds));
        stamp.ok().map(|stamp| stamp.as_second() / 86_400)
    }

    fn check_groups(&self, sys: &Sys) -> Result<(), Error> {
        for group in self.group.iter().chain(self.groups.iter().flatten()) {
            let number = group.parse().ok();
            let by_number = number
                .map(|gid| sys.group_numbered(gid))
                .transpose()?
                .flatten();
            if by_number.is_none() && sys.group_named(group)?.is_none() {
                return Err(Error::new(format!(
                    "there is no group `{group}` on this host"
                )));
            }
        }
        Ok(())
    }

    fn check_key(&self, sys: &Sys, now: Option<&Known>) -> Result<(), Error> {
        let home = now.map_or("/", |now| now.account.home.as_str());
        let key = self.ssh_key_file.as_deref().unwrap_or(".ssh/id_rsa");
        let key = Path::new(home).join(key);
        if now.is_some() && sys.exists(&key)? {
            return Ok(());
        }
        let error = Error::new("krun makes no SSH keys (`generate_ssh_key`)");
        Err(error.help("make it with `command: ssh-keygen …` and `creates`"))
    }

    fn registered(&self, now: Option<&Known>) -> Outcome {
        let state = match self.state {
            Presence::Present => "present",
            Presence::Absent => "absent",
        };
        let mut outcome = Outcome::new()
            .with("name", self.name.as_str())
            .with("state", state)
            .with("append", self.append)
            .with("move_home", self.move_home);
        if self.password.is_some() {
            outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
        }
        let Some(now) = now else {
            return outcome;
        };
        let groups: Vec<&str> = now.groups.iter().map(String::as_str).collect();
        outcome
            .with("uid", now.account.uid)
            .with("group", now.account.gid)
            .with("groups", groups.join(","))
            .with("home", now.account.home.as_str())
            .with("shell", now.account.shell.as_str())
            .with("comment", now.account.comment.as_str())
    }
}

#[cfg(test)]
mod tests;
