//! Keeps the overlay of this host that tasks in check mode write to, for the login agent and its children alike.
//!
//! In a run in check mode all tasks share it. A task in check mode of another run has one of its own: nobody after it
//! sees what it would have done.

use crate::agent::{imagined, touched};
use crate::modules::diff::{Attribute, Diff};
use crate::modules::systemd;
use crate::modules::{Action, Error, Nature, Outcome, Ran};
use crate::proto::Task;
use crate::sys::Sys;
use crate::sys::overlay::{Layer, Overlay};
use crate::sys::users;
use crate::value::Value;
use serde_bytes::ByteBuf;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The overlay of a run in check mode, if this is one.
pub(super) struct Rehearsals {
    shared: Option<Arc<Overlay>>,
    /// Where it stays, of a host that is only imagined.
    kept: Option<PathBuf>,
    /// One task at a time: its children are lent the overlay and give it back.
    turn: Mutex<()>,
}

/// One task in check mode.
pub(super) struct Rehearsal<'a> {
    pub(super) overlay: Arc<Overlay>,
    /// Whether later tasks see what this one would do.
    is_shared: bool,
    _turn: MutexGuard<'a, ()>,
}

impl Rehearsals {
    pub(super) fn new(sys: &Sys, is_check_run: bool) -> Self {
        Self {
            shared: is_check_run.then(|| sys.new_overlay()),
            kept: None,
            turn: Mutex::default(),
        }
    }

    /// The overlay of an imagined host, which outlives its agent in a directory.
    pub(super) fn kept(overlay: Arc<Overlay>, directory: &Path) -> Self {
        Self {
            shared: Some(overlay),
            kept: Some(directory.to_path_buf()),
            turn: Mutex::default(),
        }
    }

    pub(super) fn begin(&self, sys: &Sys) -> Rehearsal<'_> {
        Rehearsal {
            is_shared: self.shared.is_some(),
            overlay: self.shared.clone().unwrap_or_else(|| sys.new_overlay()),
            _turn: self.turn.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Removes what the overlay had written into private files.
    pub(super) fn close(&self) {
        match (&self.shared, &self.kept) {
            // Nobody could be told of a failure now; the next agent finds nothing, and shows everything as new.
            (Some(overlay), Some(directory)) => drop(overlay.keep(directory)),
            (Some(overlay), None) => overlay.clear(),
            (None, _) => {}
        }
    }

    /// Judges an action that ran although the run is in check mode (`check_mode: false`): it saw the host as it is.
    pub(super) fn judge_live(
        &self,
        sys: &Sys,
        task: &Task,
        result: Result<Ran, Error>,
    ) -> Result<Ran, Error> {
        let shared = self.shared.as_ref().filter(|it| it.version() > 0);
        let Some(overlay) = shared.filter(|_| task.action.nature() == Nature::Action) else {
            return result;
        };
        let told = sys.clone().over(Arc::clone(overlay));
        match result {
            Err(error) => Ok(Ran::Done(Outcome {
                unknown: Some(format!(
                    "on the host as it is, without what the tasks before would change, it fails: {error}"
                )),
                data: error.data,
                ..Outcome::new()
            })),
            Ok(Ran::Done(outcome)) => {
                let named = touched::mentioned(&task.action);
                let stale = named.into_iter().find(|path| told.is_overlaid(path));
                let why = |path: PathBuf| {
                    let path = path.display();
                    format!(
                        "it ran on the host as it is, where `{path}` is not yet what the tasks before would make it"
                    )
                };
                let unknown = stale.map(why).or(outcome.unknown);
                Ok(Ran::Done(Outcome { unknown, ..outcome }))
            }
            cancelled => cancelled,
        }
    }

    /// Takes over what another agent of this host wrote.
    pub(super) fn adopt(&self, layer: &[u8]) -> Result<(), Error> {
        match &self.shared {
            Some(overlay) => adopt(overlay, layer),
            None => Ok(()),
        }
    }
}

/// Why what a task would make anew may be there by then.
fn expected<'a>(overlay: &Overlay, outcome: &'a Outcome) -> Option<(&'a Path, String)> {
    let is_new = |diff: &&Diff| {
        let was_absent = |it: &Attribute| {
            let before = it.before.as_ref().and_then(Value::as_str);
            it.name == "state" && before == Some("absent")
        };
        diff.is_new || diff.attributes.iter().any(was_absent)
    };
    let mut made = outcome.diffs.iter().filter(is_new);
    made.find_map(|diff| {
        let path = Path::new(&diff.subject);
        Some((path, overlay.why_expected(path)?))
    })
}

/// What a task would make anew although it may be there by then.
fn perhaps_there(
    sys: &Sys,
    overlay: &Overlay,
    task: &Task,
    result: &Result<Ran, Error>,
) -> Option<Outcome> {
    let (Ok(Ran::Done(outcome)), None) = (result, sys.rests_on_absence()) else {
        return None;
    };
    let (path, cause) = expected(overlay, outcome)?;
    if !WHOLE.contains(&task.action.name()) {
        overlay.assume(path, &cause);
    }
    Some(Outcome {
        unknown: Some(cause),
        ..outcome.clone()
    })
}

/// A failure that only the plan meets: it may not look where the run may by then.
fn closed(sys: &Sys, result: &Result<Ran, Error>) -> Option<Outcome> {
    let (Err(error), Some(path)) = (result, sys.met_opened()) else {
        return None;
    };
    let path = path.display();
    let cause = format!(
        "an earlier task would let this user see `{path}`, and a plan leaves it as it is: {error}"
    );
    Some(Outcome {
        unknown: Some(cause),
        ..Outcome::new()
    })
}

/// Modules after which a file is as they wish, whatever it was.
const WHOLE: [&str; 4] = ["assemble", "copy", "get_url", "template"];

/// Looks that say of something that it is not there, or that what they list is all.
const LISTS: [&str; 5] = ["stat", "find", "getent", "package_facts", "service_facts"];

/// Whether all is well because something is not there.
fn finds_nothing(outcome: &Outcome) -> bool {
    let state = outcome.data.get("state").and_then(|state| state.as_str());
    !outcome.changed && state == Some("absent")
}

/// The account that a task stands on, as it is missed where there is none.
fn account(action: &Action, result: &Result<Ran, Error>) -> Option<String> {
    let Ok(Ran::Done(outcome)) = result else {
        return None;
    };
    let (database, key) = match action.name() {
        "user" => ("passwd", "name"),
        "authorized_key" => ("passwd", "user"),
        "group" => ("group", "name"),
        _ => return None,
    };
    let name = outcome.data.get(key)?.as_str()?;
    let goes = outcome.data.get("state").and_then(|it| it.as_str()) == Some("absent");
    (outcome.changed && !goes).then(|| users::missed(name, database))
}

/// Under which name an overlay knows what may be an account or a package.
fn named(name: &str) -> String {
    format!("name {name}")
}

/// Notes that a task may change what is there, and what is beneath.
fn doubt(sys: &Sys, overlay: &Overlay, path: &Path, task: &str) {
    let places = [sys.resolve_parent(path), sys.resolve(path)];
    let mut places: Vec<PathBuf> = places.into_iter().filter_map(Result::ok).collect();
    places.dedup();
    for place in places {
        let path = path.display();
        if matches!(sys.lstat(&place), Ok(Some(_))) {
            let cause = format!("`{task}` names `{path}`, and may change it");
            overlay.assume(&place, &cause);
        } else {
            let cause = format!("`{path}` is not there now; `{task}` names it, and may make it");
            overlay.expect(&place, &cause);
        }
    }
}

pub(super) fn adopt(overlay: &Overlay, layer: &[u8]) -> Result<(), Error> {
    let layer: Layer = rmp_serde::from_slice(layer)
        .map_err(|error| Error::new("the overlay of this host cannot be read").because(error))?;
    overlay.adopt(layer);
    Ok(())
}

pub(super) fn packed(overlay: &Overlay) -> Result<ByteBuf, Error> {
    rmp_serde::to_vec(&overlay.layer())
        .map(ByteBuf::from)
        .map_err(|error| Error::new("the overlay of this host cannot be handed on").because(error))
}

/// Turns what a task would do that perhaps does not run into something unknown, unless it would do nothing.
pub(super) fn perhaps(cause: &str, ran: Result<Ran, Error>) -> Ran {
    let (outcome, why) = match ran {
        Ok(Ran::Cancelled) => return Ran::Cancelled,
        Ok(Ran::Done(outcome)) if !outcome.changed && outcome.unknown.is_none() => {
            return Ran::Done(outcome);
        }
        Ok(Ran::Done(outcome)) => (outcome, cause.to_owned()),
        Err(error) => (Outcome::new(), format!("{cause}; if it runs: {error}")),
    };
    Ran::Done(Outcome {
        unknown: Some(why),
        ..outcome
    })
}

impl Rehearsal<'_> {
    /// Turns a failure into something unknown where an earlier task may have brought what this one found missing.
    ///
    /// Outside of a run in check mode there is no such earlier task, and an action is skipped as in Ansible.
    pub(super) fn judge(
        &self,
        sys: &Sys,
        task: &Task,
        result: Result<Ran, Error>,
    ) -> Result<Ran, Error> {
        if !self.is_shared {
            let is_action = task.action.nature() == Nature::Action;
            return result.map(|ran| match ran {
                // What it made in the overlay, no later task would find.
                Ran::Done(outcome) if is_action && outcome.changed => Ran::Done(Outcome {
                    skipped: true,
                    ..Outcome::default()
                }),
                Ran::Done(outcome) => Ran::Done(Outcome {
                    unknown: None,
                    ..outcome
                }),
                Ran::Cancelled => Ran::Cancelled,
            });
        }
        if sys.is_imagined() {
            return Ok(imagined::judge(sys, task, result));
        }
        let overlay = sys.overlay().unwrap_or(&self.overlay);
        let earlier = overlay.unknowns();
        for name in touched::subjects(&task.action) {
            sys.meet(&named(&name));
        }
        if sys.leaves_unknown() {
            overlay.unknown_after(&task.name);
            for path in touched::paths(task) {
                doubt(sys, overlay, &path, &task.name);
            }
            for unit in touched::units(task) {
                let cause = format!("`{}` names the unit `{unit}`, and may change it", task.name);
                overlay.doubt(&systemd::noted(&unit), &cause);
            }
            for name in touched::names(task) {
                let cause = format!("`{}` names `{name}`, and may change it", task.name);
                overlay.doubt(&named(&name), &cause);
            }
        }
        if let Some(closed) = closed(sys, &result) {
            return Ok(Ran::Done(closed));
        }
        if let (Err(error), Some(cause)) = (&result, sys.met_unknown()) {
            return Ok(Ran::Done(Outcome {
                unknown: Some(cause),
                ..Outcome::new().msg(error.to_string())
            }));
        }
        if let (Ok(Ran::Done(outcome)), Some(cause)) = (&result, sys.met_assumed()) {
            return Ok(Ran::Done(Outcome {
                unknown: outcome.unknown.clone().or(Some(cause)),
                ..outcome.clone()
            }));
        }
        if let Some(perhaps) = perhaps_there(sys, overlay, task, &result) {
            return Ok(Ran::Done(perhaps));
        }
        let account = account(&task.action, &result).filter(|name| sys.has_missed(name));
        let (Some(missing), Some(last)) =
            (account.clone().or_else(|| sys.missed()), earlier.last())
        else {
            return result;
        };
        let or_before = match earlier.len() {
            1 => String::new(),
            n => format!(", or {} before it,", n - 1),
        };
        if account.is_some() {
            overlay.note(&users::perhaps(&missing), "");
        }
        let unknown = |missing: &str| {
            format!("{missing} is not there now; after `{last}`{or_before} it may be")
        };
        if let (Ok(Ran::Done(outcome)), Some(path)) = (&result, sys.rests_on_absence()) {
            let cause = unknown(&format!("`{}`", path.display()));
            if outcome.changed {
                overlay.assume(&path, &cause);
            }
            return Ok(Ran::Done(Outcome {
                unknown: Some(cause),
                ..outcome.clone()
            }));
        }
        let unknown = unknown(&missing);
        match result {
            Err(error) => Ok(Ran::Done(Outcome {
                unknown: Some(format!("{unknown}; as it is now: {error}")),
                ..Outcome::default()
            })),
            Ok(Ran::Done(outcome))
                if account.is_some()
                    || LISTS.contains(&task.action.name())
                    || finds_nothing(&outcome) =>
            {
                Ok(Ran::Done(Outcome {
                    unknown: Some(unknown),
                    ..outcome
                }))
            }
            other => other,
        }
    }
}
