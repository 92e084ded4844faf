//! Keeps notified handlers that did not run, so that the next run of the same playbook runs them and says why.

use crate::playbook::Play;
use crate::value::HostName;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Handlers that are due, by play, host and name; written at each change, so that even a killed run leaves them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    path: PathBuf,
    due: IndexMap<String, Due>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Due {
    play: String,
    host: String,
    handler: String,
    /// The task that changed something.
    notified_by: String,
}

impl Kept {
    /// Reads what earlier runs of these playbooks left below `state_dir`.
    pub(super) fn new(state_dir: &Path, playbooks: &[String]) -> Self {
        let key = hex::encode(&Sha256::digest(playbooks.join("\n"))[..8]);
        let path = state_dir.join("handlers").join(format!("{key}.json"));
        let due = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { path, due }
    }

    fn key(play: &Play, host: &str, handler: &str) -> String {
        format!("{}\n{host}\n{handler}", play.name)
    }

    fn write(&self) -> std::io::Result<()> {
        if self.due.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let temporary = self.path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec_pretty(&self.due)?)?;
        std::fs::rename(temporary, &self.path)
    }
}

impl super::Run {
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
        let due = Due {
            play: play.name.clone(),
            host: host.to_string(),
            handler: handler.into(),
            notified_by: task.into(),
        };
        self.kept.due.insert(Kept::key(play, host, handler), due);
        self.write_kept();
    }

    /// A handler runs now.
    pub(super) fn handler_ran(&mut self, play: &Play, host: &HostName, handler: &str) {
        if !self.world.settings.check_mode
            && self
                .kept
                .due
                .shift_remove(&Kept::key(play, host, handler))
                .is_some()
        {
            self.write_kept();
        }
    }

    /// Handlers of this play that an earlier run owes a host, each with the reason to show.
    pub(super) fn kept_handlers(&self, play: &Play, host: &HostName) -> Vec<(String, String)> {
        let due = self
            .kept
            .due
            .values()
            .filter(|due| due.play == play.name && *due.host == **host);
        due.map(|due| {
            (
                due.handler.clone(),
                format!(
                    "an earlier run stopped after `{}` had notified it",
                    due.notified_by
                ),
            )
        })
        .collect()
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
