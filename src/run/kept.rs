//! Keeps notified handlers that did not run, here and on their hosts, so that the next run of the same playbook runs
//! them and says why, wherever it is started.

use super::aftermath::Aftermath;
use crate::playbook::Play;
use crate::proto::{Due, ToAgent};
use crate::value::HostName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Handlers that are due; written at each change, so that even a killed run leaves them.
///
/// A host's own record is the truth. This machine's says what a host may not have heard of, as its link was lost.
#[derive(Debug, Default)]
pub(super) struct Kept {
    path: PathBuf,
    /// What hosts know the playbooks by: a path may be another on another machine.
    playbooks: String,
    here: Vec<Here>,
    /// By host, once it has answered.
    on_hosts: HashMap<HostName, Vec<Due>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Here {
    due: Due,
    /// The host was told, and nothing has spoken against its having heard it.
    on_host: bool,
}

impl Kept {
    /// Reads what earlier runs of these playbooks left below `state_dir`.
    pub(super) fn new(state_dir: &Path, paths: &[String], playbooks: String) -> Self {
        let key = hex::encode(&Sha256::digest(paths.join("\n"))[..8]);
        let path = state_dir.join("handlers").join(format!("{key}.json"));
        let here = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path,
            playbooks,
            here,
            on_hosts: HashMap::new(),
        }
    }

    /// A host says what is due there. What it knew of and no longer names has run, started elsewhere.
    pub(super) fn heard(&mut self, host: &HostName, due: Vec<Due>) {
        self.here.retain(|here| {
            let named = || due.iter().any(|due| due.is_same(&here.due));
            *here.due.host != **host || !here.on_host || named()
        });
        self.on_hosts.insert(HostName::clone(host), due);
    }

    /// The link to a host was lost, perhaps with what it was to hear: what it has heard of is what it says itself.
    fn lost(&mut self, host: &HostName, due: &[Due]) {
        let here = self.here.iter_mut();
        here.filter(|here| *here.due.host == **host)
            .for_each(|here| here.on_host = due.iter().any(|due| due.is_same(&here.due)));
    }

    /// Returns what is due on a host that has answered: what it says, and what it may not have heard of.
    fn due(&self, host: &HostName) -> Vec<(Due, Option<&'static str>)> {
        let Some(there) = self.on_hosts.get(host) else {
            return Vec::new();
        };
        let here = self.here.iter().filter(|here| *here.due.host == **host);
        let unheard = here.clone().filter(|here| !here.on_host);
        let unheard = unheard.filter(|here| !there.iter().any(|due| due.is_same(&here.due)));
        let from_here = |due: &Due| here.clone().any(|here| here.due.is_same(due));
        there
            .iter()
            .map(|due| {
                (
                    due.clone(),
                    (!from_here(due)).then_some(", started elsewhere,"),
                )
            })
            .chain(unheard.map(|here| (here.due.clone(), None)))
            .collect()
    }

    fn add(&mut self, due: Due, on_host: bool) {
        self.here.retain(|here| !here.due.is_same(&due));
        self.here.push(Here { due, on_host });
    }

    fn remove(&mut self, ran: &Due) {
        self.here.retain(|here| !here.due.is_same(ran));
        for due in self.on_hosts.values_mut() {
            due.retain(|due| !due.is_same(ran));
        }
    }

    fn write(&self) -> std::io::Result<()> {
        if self.here.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let temporary = self.path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec_pretty(&self.here)?)?;
        std::fs::rename(temporary, &self.path)
    }
}

impl super::Run {
    /// Whether a host is still to say which handlers are due there.
    pub(super) fn is_connecting(&self, host: &HostName) -> bool {
        self.links.has(host) && !self.kept.on_hosts.contains_key(host)
    }

    /// A handler is due: kept until it ran.
    pub(super) fn handler_notified(
        &mut self,
        play: &Play,
        host: &HostName,
        handler: &str,
        task: &str,
    ) {
        if self.world.settings.check_mode {
            return;
        }
        let due = self.due(play, host, handler, task);
        self.kept.add(due.clone(), self.links.has(host));
        self.links.send(host, ToAgent::HandlerDue(due));
        self.write_kept();
    }

    /// A handler has run.
    pub(super) fn handler_ran(&mut self, play: &Play, host: &HostName, handler: &str) {
        if self.world.settings.check_mode {
            return;
        }
        let ran = self.due(play, host, handler, "");
        self.kept.remove(&ran);
        self.links.send(host, ToAgent::HandlerRan(ran));
        self.write_kept();
    }

    /// The link to a host is lost; what it has heard of was asked, or is nothing for certain.
    pub(super) fn kept_at_loss(&mut self, host: &HostName, known: &Aftermath) {
        match known {
            Aftermath::Journal { due, .. } => self.kept.lost(host, due),
            // A host that never answered was told nothing either.
            Aftermath::Nothing if !self.kept.on_hosts.contains_key(host) => {}
            Aftermath::Nothing | Aftermath::Silence(_) => self.kept.lost(host, &[]),
        }
        self.write_kept();
    }

    /// Names a handler of these playbooks.
    pub(super) fn due(&self, play: &Play, host: &HostName, handler: &str, task: &str) -> Due {
        Due {
            playbooks: self.kept.playbooks.clone(),
            play: play.name.clone(),
            host: host.to_string(),
            handler: handler.into(),
            notified_by: task.into(),
        }
    }

    /// Handlers of this play that an earlier run owes a host; of one started elsewhere, words for that.
    pub(super) fn kept_handlers(
        &self,
        play: &Play,
        host: &HostName,
    ) -> Vec<(Due, Option<&'static str>)> {
        let mut due = self.kept.due(host);
        due.retain(|(due, _)| due.play == play.name);
        due
    }

    fn write_kept(&mut self) {
        if let Err(error) = self.kept.write() {
            let text = format!(
                "notified handlers cannot be kept for a later run in {}: {error}",
                self.kept.path.display()
            );
            self.emit(crate::event::EventKind::Warning { text, at: None });
        }
    }
}
