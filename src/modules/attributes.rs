//! Turns `mode`, `owner` and `group` of a task into what has to be set on a file, and a file's metadata into registered keys.

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::mode::{self, Mode};
use super::{Error, Outcome};
use crate::sys::Sys;
use crate::sys::fs::{self, Kind, Stat};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The arguments of [`Permissions`], and those that Ansible takes beside them.
pub const PERMISSIONS: [Arg; 9] = [
    Arg::new(
        "mode",
        ArgKind::Mode,
        "permissions, `0644` or `u=rw,g=r` (default: as they are; of a new file, by the umask)",
    ),
    Arg::new(
        "owner",
        ArgKind::Str,
        "user by name or number (default: as it is)",
    ),
    Arg::new(
        "group",
        ArgKind::Str,
        "group by name or number (default: as it is)",
    ),
    Arg::new("attributes", ArgKind::Str, "accepted, has no effect").aliases(&["attr"]),
    Arg::new("seuser", ArgKind::Str, "accepted, has no effect"),
    Arg::new("serole", ArgKind::Str, "accepted, has no effect"),
    Arg::new("setype", ArgKind::Str, "accepted, has no effect"),
    Arg::new("selevel", ArgKind::Str, "accepted, has no effect"),
    Arg::new(
        "unsafe_writes",
        ArgKind::Bool,
        "accepted; files are always written atomically",
    ),
];

/// What a task asks of a file besides its content, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Permissions {
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub group: Option<String>,
}

impl Permissions {
    /// Reads the mode and looks up the accounts. An account that does not exist is an error.
    pub fn wish(&self, sys: &Sys) -> Result<Wish, Error> {
        let mode = self.mode.as_deref().map(Mode::parse).transpose();
        Ok(Wish {
            mode: mode.map_err(Error::new)?,
            uid: self
                .owner
                .as_deref()
                .map(|name| uid(sys, name))
                .transpose()?,
            gid: self
                .group
                .as_deref()
                .map(|name| gid(sys, name))
                .transpose()?,
        })
    }

    /// Takes out a `mode: preserve`, the mode of the source. Returns what is left, and whether it was there.
    pub fn without_preserve(&self) -> (Self, bool) {
        let preserve = self.mode.as_deref() == Some("preserve");
        let mode = self.mode.clone().filter(|_| !preserve);
        (
            Self {
                mode,
                ..self.clone()
            },
            preserve,
        )
    }
}

/// What a task asks of a file besides its content, accounts looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    pub mode: Option<Mode>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Wish {
    /// Returns the numbers that a file or directory is to have; `now` is what is there.
    pub fn attributes(&self, now: Option<&Stat>, is_directory: bool) -> fs::Attributes {
        let base = now.map_or_else(|| default_mode(is_directory), |now| now.mode);
        fs::Attributes {
            mode: self
                .mode
                .as_ref()
                .map(|mode| mode.apply(base, is_directory, fs::umask())),
            uid: self.uid,
            gid: self.gid,
            mtime: None,
        }
    }

    /// Returns `true` if what is there has all that is wished.
    pub fn holds(&self, now: &Stat) -> bool {
        let wished = self.attributes(Some(now), now.is_dir());
        // Links have no permissions of their own.
        (now.is_link() || wished.mode.is_none_or(|mode| mode == now.mode))
            && wished.uid.is_none_or(|uid| uid == now.uid)
            && wished.gid.is_none_or(|gid| gid == now.gid)
    }

    /// Sets on what lies at `path` whatever of `now` is not as wished.
    pub fn set(&self, sys: &Sys, path: &Path, now: &Stat) -> Result<(), Error> {
        let wished = self.attributes(Some(now), now.is_dir());
        let uid = wished.uid.filter(|uid| *uid != now.uid);
        let gid = wished.gid.filter(|gid| *gid != now.gid);
        if uid.is_some() || gid.is_some() {
            sys.set_owner(path, uid, gid)?;
        }
        // Also after a change of owner, which takes setuid away.
        if let Some(mode) = wished.mode
            && !now.is_link()
            && (mode != now.mode || uid.is_some() || gid.is_some())
        {
            sys.set_mode(path, mode)?;
        }
        Ok(())
    }

    /// Adds to a diff what of mode, owner and group will change.
    pub fn diff(&self, sys: &Sys, mut diff: Diff, now: Option<&Stat>, is_directory: bool) -> Diff {
        let wished = self.attributes(now, is_directory);
        if let Some(mode) = wished.mode.filter(|_| now.is_none_or(|now| !now.is_link())) {
            let before = now.map(|now| mode::show(now.mode).into());
            diff = diff.attribute("mode", before, Some(mode::show(mode).into()));
        }
        if let Some(uid) = wished.uid {
            let before = now.map(|now| owner_name(sys, now.uid));
            diff = diff.attribute("owner", before, Some(owner_name(sys, uid)));
        }
        if let Some(gid) = wished.gid {
            let before = now.map(|now| group_name(sys, now.gid));
            diff = diff.attribute("group", before, Some(group_name(sys, gid)));
        }
        diff
    }

    /// Returns the metadata that something will have once it is as wished.
    pub fn foresee(&self, now: Option<&Stat>, kind: Kind, size: u64) -> Stat {
        let is_directory = kind == Kind::Directory;
        let same_kind = now.filter(|now| now.kind == kind);
        let wished = self.attributes(same_kind, is_directory);
        let old = same_kind.cloned().unwrap_or_else(|| Stat {
            kind,
            mode: default_mode(is_directory),
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            size,
            mtime: fs::Time::now(),
            atime: fs::Time::now(),
            ctime: fs::Time::now(),
            inode: 0,
            device: 0,
            n_links: 1,
            blocks: 0,
            block_size: 4096,
            device_type: 0,
            link_target: None,
        });
        Stat {
            mode: wished.mode.unwrap_or(old.mode),
            uid: wished.uid.unwrap_or(old.uid),
            gid: wished.gid.unwrap_or(old.gid),
            size,
            ..old
        }
    }
}

fn default_mode(is_directory: bool) -> u32 {
    (if is_directory { 0o777 } else { 0o666 }) & !fs::umask()
}

/// Returns the number of a user given by name or number.
pub fn uid(sys: &Sys, name: &str) -> Result<u32, Error> {
    if let Some(uid) = sys.imagined_account("user", name) {
        return Ok(uid);
    }
    if let Some(user) = sys.user_named(name)? {
        return Ok(user.uid);
    }
    name.parse()
        .map_err(|_| Error::new(format!("there is no user `{name}` on this host")))
}

/// Returns the number of a group given by name or number.
pub fn gid(sys: &Sys, name: &str) -> Result<u32, Error> {
    if let Some(gid) = sys.imagined_account("group", name) {
        return Ok(gid);
    }
    if let Some(group) = sys.group_named(name)? {
        return Ok(group.gid);
    }
    name.parse()
        .map_err(|_| Error::new(format!("there is no group `{name}` on this host")))
}

/// Returns a user's name; the number, where it has none.
pub fn owner_name(sys: &Sys, uid: u32) -> Value {
    if let Some(name) = sys.imagined_name("user", uid) {
        return name.into();
    }
    match sys.user_numbered(uid) {
        Ok(Some(user)) => user.name.into(),
        _ => uid.to_string().into(),
    }
}

/// Returns a group's name; the number, where it has none.
pub fn group_name(sys: &Sys, gid: u32) -> Value {
    if let Some(name) = sys.imagined_name("group", gid) {
        return name.into();
    }
    match sys.group_numbered(gid) {
        Ok(Some(group)) => group.name.into(),
        _ => gid.to_string().into(),
    }
}

/// Adds what Ansible registers of a file: uid, gid, owner, group, mode, size, state.
pub fn describe(sys: &Sys, outcome: Outcome, stat: &Stat) -> Outcome {
    let state = match stat.kind {
        Kind::Directory => "directory",
        Kind::Link => "link",
        Kind::File if stat.n_links > 1 => "hard",
        _ => "file",
    };
    outcome
        .with("uid", stat.uid)
        .with("gid", stat.gid)
        .with("owner", owner_name(sys, stat.uid))
        .with("group", group_name(sys, stat.gid))
        .with("mode", mode::show(stat.mode))
        .with("size", stat.size)
        .with("state", state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_account_is_named_and_a_number_needs_none() {
        let directory = tempfile::tempdir().unwrap();
        let sys = Sys::at(directory.path());
        let of = |owner: &str, group: Option<&str>| Permissions {
            mode: None,
            owner: Some(owner.into()),
            group: group.map(str::to_owned),
        };
        let error = of("kafka", None).wish(&sys).unwrap_err();
        assert_eq!(error.message, "there is no user `kafka` on this host");
        let wish = of("970", Some("971")).wish(&sys).unwrap();
        assert_eq!((wish.uid, wish.gid), (Some(970), Some(971)));
    }
}
