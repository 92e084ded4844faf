//! Turns names and numbers of users and groups into accounts, from the host's own files first.
//!
//! The C library is never asked: linked statically, its look-ups can crash (nsswitch modules are not there).

use super::Sys;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    pub comment: String,
    pub home: String,
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// How an account that is not there is called.
pub fn missed(key: &str, database: &str) -> String {
    format!("`{key}` in /etc/{database}")
}

/// What check mode keeps in mind of an account that an earlier task may bring, with other values than are known here.
pub fn perhaps(missed: &str) -> String {
    format!("perhaps {missed}")
}

impl Sys {
    pub fn user_named(&self, name: &str) -> io::Result<Option<User>> {
        self.account("passwd", name, parse_user, |user| user.name == name)
    }

    pub fn user_numbered(&self, uid: u32) -> io::Result<Option<User>> {
        self.account("passwd", &uid.to_string(), parse_user, |user| {
            user.uid == uid
        })
    }

    pub fn group_named(&self, name: &str) -> io::Result<Option<Group>> {
        self.account("group", name, parse_group, |group| group.name == name)
    }

    pub fn group_numbered(&self, gid: u32) -> io::Result<Option<Group>> {
        self.account("group", &gid.to_string(), parse_group, |group| {
            group.gid == gid
        })
    }

    /// Returns all groups of the host's own files.
    pub fn groups(&self) -> io::Result<Vec<Group>> {
        Ok(self
            .lines("group")?
            .lines()
            .filter_map(parse_group)
            .collect())
    }

    /// Returns all users of the host's own files.
    pub fn users(&self) -> io::Result<Vec<User>> {
        Ok(self
            .lines("passwd")?
            .lines()
            .filter_map(parse_user)
            .collect())
    }

    fn account<T>(
        &self,
        database: &str,
        key: &str,
        parse: fn(&str) -> Option<T>,
        is_it: impl Fn(&T) -> bool,
    ) -> io::Result<Option<T>> {
        let text = self.lines(database)?;
        if let Some(found) = text.lines().filter_map(parse).find(&is_it) {
            let missing = missed(key, database);
            if self
                .overlay()
                .is_some_and(|it| it.has_note(&perhaps(&missing)))
            {
                self.miss(|| missing);
            }
            return Ok(Some(found));
        }
        let numbered = key.bytes().all(|byte| byte.is_ascii_digit());
        if !self.is_host() || !self.has_other_sources(database, numbered)? {
            self.miss(|| missed(key, database));
            return Ok(None);
        }
        let output = Command::new("getent")
            .args([database, key])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        // A host without getent has no such source either.
        let found = output.ok().and_then(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().filter_map(parse).find(is_it)
        });
        if found.is_none() {
            self.miss(|| missed(key, database));
        }
        Ok(found)
    }

    fn lines(&self, database: &str) -> io::Result<String> {
        let path = Path::new("/etc").join(database);
        match self.read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Returns `true` if `nsswitch.conf` names more than the files: only then is a process worth its cost.
    ///
    /// For a number, systemd's accounts of the moment are not worth it: a file may well belong to nobody.
    fn has_other_sources(&self, database: &str, numbered: bool) -> io::Result<bool> {
        let text = match self.read(Path::new("/etc/nsswitch.conf")) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(text
            .lines()
            .filter_map(|line| line.split('#').next()?.split_once(':'))
            .filter(|(name, _)| name.trim() == database)
            .flat_map(|(_, sources)| sources.split_whitespace())
            .filter(|source| !source.starts_with('[') && *source != "files")
            .any(|source| !(numbered && source == "systemd")))
    }
}

fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, comment, home, shell] = fields[..] else {
        return None;
    };
    Some(User {
        name: name.into(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        comment: comment.into(),
        home: home.into(),
        shell: shell.into(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else {
        return None;
    };
    let members = members.split(',').filter(|member| !member.is_empty());
    Some(Group {
        name: name.into(),
        gid: gid.parse().ok()?,
        members: members.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_come_from_the_files_below_the_root() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        std::fs::write(
            directory.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/bash\nbroken\nkafka:x:970:971:Kafka, Inc.:/data:/bin/false\n",
        )
        .unwrap();
        std::fs::write(
            directory.path().join("etc/group"),
            "root:x:0:\nkafka:x:971:alice,bob\n",
        )
        .unwrap();
        let sys = Sys::at(directory.path());
        let user = sys.user_named("kafka").unwrap().unwrap();
        assert_eq!(
            (user.uid, user.gid, user.home.as_str()),
            (970, 971, "/data")
        );
        assert_eq!(sys.user_numbered(970).unwrap(), Some(user));
        assert_eq!(sys.user_named("nobody-here").unwrap(), None);
        let group = sys.group_numbered(971).unwrap().unwrap();
        assert_eq!(group.members, ["alice", "bob"]);
        assert_eq!(sys.groups().unwrap().len(), 2);
    }

    #[test]
    fn an_unknown_name_on_the_real_host_is_none() {
        let sys = Sys::host();
        assert_eq!(sys.user_named("krun-has-no-such-user").unwrap(), None);
        assert_eq!(sys.user_named("root").unwrap().unwrap().uid, 0);
    }

    #[test]
    fn a_host_without_account_files_has_no_accounts() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Sys::at(directory.path()).user_named("root").unwrap(), None);
    }
}
