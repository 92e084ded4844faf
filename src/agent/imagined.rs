//! Stands for a host that nobody contacts: what tasks make of it is known, everything else is not.

use super::Error as AgentError;
use super::rehearsal::Rehearsals;
use crate::modules::{self, Error, Nature, Outcome, Permission, Ran};
use crate::proto::Task;
use crate::sys::Sys;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why nobody can say what a module would do that asks more than files.
const NOT_CONTACTED: &str = "no host is contacted";

/// The overlay's note of a service that a task has started or stopped.
const MOVED: &str = "moved";

/// Returns the host that lies in a directory, and where its agent may keep its own files.
pub(super) fn host(directory: &Path) -> io::Result<(Sys, Vec<PathBuf>)> {
    let root = directory.join("root");
    fs::create_dir_all(&root)?;
    Ok((Sys::at(root).imagined(), vec![directory.join("agent")]))
}

/// Takes up what an earlier agent of this host kept.
pub(super) fn rehearsals(sys: &Sys, directory: &Path) -> Result<Rehearsals, AgentError> {
    let overlay = sys.kept_overlay(directory);
    let overlay = overlay.map_err(|source| AgentError::File {
        path: directory.to_path_buf(),
        source,
    })?;
    // Facts are what they were before either plan.
    overlay.forget(MOVED);
    Ok(Rehearsals::kept(overlay, directory))
}

/// Makes the directories that a task takes for granted: where its files go, and where its links lead.
pub(super) fn assume(sys: &Sys, task: &Task) {
    let places = task.action.places().unwrap_or_default();
    let is_directory = |path: &Path| path.as_os_str().as_encoded_bytes().ends_with(b"/");
    for (index, place) in places.iter().enumerate() {
        let taken = match task.action.name() {
            "unarchive" if index == 0 => Some(place.as_path()),
            // Where a link leads.
            "file" if index == 1 => Some(place.as_path()),
            _ if is_directory(place) => Some(place.as_path()),
            _ => place.parent(),
        };
        if let Some(taken) = taken {
            // What stands in the way, the task itself will name.
            let _ = sys.assume_directory(taken);
        }
    }
}

/// Runs what has to do with files only. Facts are the controller's, who has them from a file or not at all.
pub(super) fn run(
    task: &Task,
    sys: &Sys,
    permission: &mut dyn FnMut(&Outcome) -> Permission,
) -> Result<Ran, Error> {
    let name = task.action.name();
    let only_files = modules::find(name).is_some_and(|entry| entry.host_only);
    match name {
        "setup" => Ok(Ran::Done(Outcome::new())),
        "kafka_facts" | "service_facts" => Ok(Ran::Done(Outcome {
            unknown: moved(sys).map(|task| format!("what runs once `{task}` is done")),
            ..Outcome::new()
        })),
        "stat" | "find" | "slurp" | "tempfile" => task.action.run(sys, permission),
        _ if only_files => task.action.run(sys, permission),
        "systemd" | "service" => {
            if let Some(overlay) = sys.overlay() {
                overlay.note(MOVED, &task.name);
            }
            Ok(not_contacted())
        }
        _ => Ok(not_contacted()),
    }
}

fn not_contacted() -> Ran {
    Ran::Done(Outcome {
        unknown: Some(NOT_CONTACTED.into()),
        ..Outcome::new()
    })
}

/// The last task that had to do with a service.
fn moved(sys: &Sys) -> Option<String> {
    let notes = sys.overlay()?.notes(MOVED);
    notes.into_iter().next().map(|(_, task)| task)
}

/// Turns into something unknown whatever rests on what nobody has looked at.
pub(super) fn judge(sys: &Sys, task: &Task, result: Result<Ran, Error>) -> Ran {
    let missed = sys.missed();
    match result {
        Ok(Ran::Done(outcome)) if outcome.unknown.is_none() && !outcome.changed => {
            let rests_on_it = task.action.nature() != Nature::Action && missed.is_some();
            let unknown = missed.filter(|_| rests_on_it);
            Ran::Done(Outcome {
                unknown: unknown.map(|what| format!("{NOT_CONTACTED}: {what} may be there")),
                ..outcome
            })
        }
        Ok(ran) => ran,
        Err(error) => {
            let cause = match (sys.met_unknown(), missed) {
                (Some(cause), _) => cause,
                (None, Some(what)) => format!("{NOT_CONTACTED}: {what} may be there"),
                (None, None) => error.to_string(),
            };
            Ran::Done(Outcome {
                unknown: Some(cause),
                ..Outcome::new()
            })
        }
    }
}
