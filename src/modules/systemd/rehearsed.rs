//! Turns what check mode would do to a unit into what later tasks see of it.

use super::files::{UNIT_DIRECTORIES, find, full_name};
use super::installed::{links, links_that_go, other_name_of, state};
use super::{Step, Systemd, Unit};
use crate::modules::Error;
use crate::sys::Sys;
use std::collections::BTreeSet;
use std::path::Path;

/// A unit whose file systemd has not read yet.
pub(in crate::modules) fn unread(sys: &Sys, name: &str) -> Unit {
    let mut unit = Unit::unread(name);
    unit.set("UnitFileState", state(sys, name).unwrap_or("static"));
    unit
}

/// Adds to a unit what earlier tasks would have done to it. Returns `true` if there was anything.
pub(in crate::modules) fn recall(sys: &Sys, name: &str, unit: &mut Unit) -> bool {
    let notes = sys.overlay().map(|overlay| overlay.notes(&note(name, "")));
    let notes = notes.unwrap_or_default();
    for (property, value) in &notes {
        unit.set(property, value);
    }
    !notes.is_empty()
}

/// Adds to a unit of the system what its file says that earlier tasks would have written. Returns `true` if there is one.
pub(super) fn read_anew(sys: &Sys, name: &str, unit: &mut Unit) -> bool {
    let file = find(sys, name).filter(|file| sys.is_overlaid(file));
    let Some(state) = file.and_then(|_| state(sys, name)) else {
        return false;
    };
    unit.set("UnitFileState", state);
    unit.set(
        "LoadState",
        if state == "masked" { state } else { "loaded" },
    );
    true
}

fn note(name: &str, property: &str) -> String {
    format!("{} {property}", noted(name))
}

/// Under which name an overlay knows a unit.
pub fn noted(name: &str) -> String {
    format!("unit {}", full_name(name))
}

/// Where unit files lie.
pub(in crate::modules) fn unit_directories() -> impl Iterator<Item = &'static Path> {
    UNIT_DIRECTORIES.iter().map(Path::new)
}

/// Returns the units that earlier tasks would have started or stopped, with their types.
pub(in crate::modules) fn started_or_stopped(sys: &Sys) -> Vec<String> {
    let notes = sys.overlay().map(|overlay| overlay.notes("unit "));
    let units = notes.into_iter().flatten();
    units
        .filter_map(|(what, _)| what.strip_suffix(" ActiveState").map(str::to_owned))
        .collect()
}

/// Returns the services that earlier tasks touched or that have a file, with their types.
pub(in crate::modules) fn services(sys: &Sys) -> BTreeSet<String> {
    let notes = sys.overlay().map(|overlay| overlay.notes("unit "));
    let noted = notes.into_iter().flatten().filter_map(|(what, _)| {
        let (unit, _) = what.split_once(' ')?;
        Some(unit.to_owned())
    });
    let files = UNIT_DIRECTORIES
        .iter()
        .flat_map(|directory| sys.list(Path::new(directory)).unwrap_or_default())
        .filter_map(|name| name.into_string().ok());
    noted
        .chain(files)
        .filter(|name| name.ends_with(".service"))
        .collect()
}

impl Systemd {
    /// Leaves what a call of systemctl would: the links in the overlay, the rest as a note.
    pub(super) fn foresee(&self, sys: &Sys, name: &str, step: Step) -> Result<(), Error> {
        let Some(overlay) = sys.overlay() else {
            return Ok(());
        };
        let say = |property: &str, value: &str| overlay.note(&note(name, property), value);
        let is_system = self.scope.as_deref().unwrap_or("system") == "system";
        let etc = Path::new(UNIT_DIRECTORIES[0]);
        let own = etc.join(full_name(name));
        match step {
            Step::Start | Step::Restart => {
                say("ActiveState", "active");
                say("SubState", "running");
            }
            Step::Stop => {
                say("ActiveState", "inactive");
                say("SubState", "dead");
            }
            Step::Reload => {}
            Step::Mask => {
                if is_system && sys.lstat(&own)?.is_some_and(|there| !there.is_link()) {
                    let text = format!("`systemctl mask {name}` would fail");
                    let why = format!("the file `{}` already exists", own.display());
                    return Err(Error::new(text).because(why));
                }
                if is_system {
                    sys.symlink(Path::new("/dev/null"), &own)?;
                }
                say("LoadState", "masked");
                say("UnitFileState", "masked");
            }
            Step::Unmask => {
                let target = sys.lstat(&own)?.and_then(|there| there.link_target);
                if is_system && target.as_deref() == Some(Path::new("/dev/null")) {
                    sys.remove(&own)?;
                }
                say("LoadState", "loaded");
                say("UnitFileState", "disabled");
            }
            Step::Enable => {
                if is_system && let Some(unit) = other_name_of(sys, name) {
                    let text = format!("`systemctl enable {name}` would fail");
                    let why = format!(
                        "`{}` is a link to the unit `{}`",
                        own.display(),
                        unit.display()
                    );
                    return Err(Error::new(text).because(why));
                }
                for (link, file) in links(sys, name).filter(|_| is_system).into_iter().flatten() {
                    if let Some(parent) = link.parent()
                        && !sys.exists(parent)?
                    {
                        sys.create_dir(parent, Some(0o755))?;
                    }
                    if sys.lstat(&link)?.is_none() || self.force {
                        sys.symlink(&file, &link)?;
                    }
                }
                say("UnitFileState", "enabled");
            }
            Step::Disable => {
                let links = links(sys, name).filter(|_| is_system).into_iter().flatten();
                let mut gone: Vec<_> = links.map(|(link, _)| link).collect();
                gone.extend(
                    is_system
                        .then(|| links_that_go(sys, name))
                        .into_iter()
                        .flatten(),
                );
                for link in gone {
                    if sys.lstat(&link)?.is_some_and(|there| there.is_link()) {
                        sys.remove(&link)?;
                    }
                }
                say("UnitFileState", "disabled");
            }
        }
        Ok(())
    }
}
