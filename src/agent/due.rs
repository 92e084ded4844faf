//! Keeps the handlers that are due on this host, so that a run from any machine learns of those that an earlier one left.

use crate::proto::{Due, Hello};
use nix::fcntl::{Flock, FlockArg};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The handlers that are due for one login user of this host, in the agent's directory.
pub(super) struct DueHandlers {
    directory: PathBuf,
}

impl DueHandlers {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Returns what the playbooks and the host of this greeting left here.
    pub(super) fn of(&self, hello: &Hello) -> Vec<Due> {
        let mut due = self.read();
        due.retain(|due| due.playbooks == hello.playbooks && due.host == hello.host);
        due
    }

    /// Adds a handler; `false` if it is there already.
    pub(super) fn add(&self, due: Due) -> io::Result<bool> {
        if self.read().iter().any(|other| other.is_same(&due)) {
            return Ok(false);
        }
        self.change(|all| all.push(due))?;
        Ok(true)
    }

    pub(super) fn remove(&self, ran: &Due) -> io::Result<()> {
        self.change(|all| all.retain(|due| !due.is_same(ran)))
    }

    fn path(&self) -> PathBuf {
        self.directory.join("due")
    }

    fn read(&self) -> Vec<Due> {
        let bytes = std::fs::read(self.path()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// One at a time, as a run may reach this host under several names.
    fn change(&self, change: impl FnOnce(&mut Vec<Due>)) -> io::Result<()> {
        let own = |name: &str| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).mode(0o600);
            options.custom_flags(nix::libc::O_NOFOLLOW);
            options.open(self.directory.join(name))
        };
        let _one = Flock::lock(own("due.lock")?, FlockArg::LockExclusive)
            .map_err(|(_, error)| io::Error::from(error))?;
        let mut all = self.read();
        change(&mut all);
        if all.is_empty() {
            return std::fs::remove_file(self.path()).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
        }
        let file = own("due.new")?;
        file.set_len(0)?;
        serde_json::to_writer(&file, &all)?;
        file.sync_data()?;
        std::fs::rename(self.directory.join("due.new"), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_due_to_its_own_playbook_and_host_until_it_ran() {
        let directory = tempfile::tempdir().unwrap();
        let handlers = DueHandlers::new(directory.path().into());
        let due = |playbooks: &str, host: &str, notified_by: &str| Due {
            playbooks: playbooks.into(),
            play: "brokers".into(),
            host: host.into(),
            handler: "restart".into(),
            notified_by: notified_by.into(),
        };
        let hello = super::super::tests::hello("run");
        assert!(handlers.add(due("site.yml", "host", "first")).unwrap());
        assert!(!handlers.add(due("site.yml", "host", "second")).unwrap());
        assert!(handlers.add(due("site.yml", "other", "first")).unwrap());
        assert!(handlers.add(due("more.yml", "host", "first")).unwrap());
        assert_eq!(handlers.of(&hello), [due("site.yml", "host", "first")]);
        handlers.remove(&due("site.yml", "host", "")).unwrap();
        assert!(handlers.of(&hello).is_empty());
        handlers.remove(&due("site.yml", "other", "")).unwrap();
        handlers.remove(&due("more.yml", "host", "")).unwrap();
        assert!(!directory.path().join("due").exists());
    }
}
