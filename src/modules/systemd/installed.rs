//! Turns a unit's file and the links to it into what `systemctl is-enabled` says of them.

use super::files::{UNIT_DIRECTORIES, find, full_name};
use crate::sys::Sys;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where `systemctl enable` makes its links.
const ETC: &str = UNIT_DIRECTORIES[0];

/// Says what `systemctl is-enabled` would: `enabled`, `linked`, `static` and so on; `None` where the unit has no file.
pub(super) fn state(sys: &Sys, name: &str) -> Option<&'static str> {
    let file = find(sys, name)?;
    let leads_to = target(sys, &file);
    if leads_to.as_deref() == Some(Path::new("/dev/null")) {
        return Some("masked");
    }
    if !links_to(sys, name).is_empty() {
        return Some("enabled");
    }
    // By its other name a unit is enabled when it is by its own.
    if let Some(unit) = other_name_of(sys, name)
        && let Some(unit) = unit.file_name().and_then(OsStr::to_str)
        && !links_to(sys, unit).is_empty()
    {
        return Some("enabled");
    }
    let Some(links) = links(sys, name) else {
        return Some("static");
    };
    let is_missing = |(link, _): &(PathBuf, PathBuf)| !is_link(sys, link);
    Some(match leads_to {
        _ if !links.is_empty() && !links.iter().any(is_missing) => "enabled",
        Some(target) if is_unit_file(&target) && target.file_name() == file.file_name() => "bad",
        Some(target) if target.file_name() == file.file_name() => "linked",
        Some(_) => "alias",
        None => "disabled",
    })
}

/// Returns the unit file that a unit is only another name for: systemd enables no unit by such a name.
pub(super) fn other_name_of(sys: &Sys, name: &str) -> Option<PathBuf> {
    let target = target(sys, &find(sys, name)?)?;
    is_unit_file(&target).then_some(target)
}

/// Returns the links that `systemctl disable` removes, besides those of the `[Install]` section.
pub(super) fn links_that_go(sys: &Sys, name: &str) -> Vec<PathBuf> {
    let full = full_name(name);
    let own = Path::new(ETC).join(&full);
    let mut gone = links_to(sys, name);
    let names = sys.list(Path::new(ETC)).unwrap_or_default();
    let links = names.iter().map(|name| Path::new(ETC).join(name));
    gone.extend(links.filter(|link| match target(sys, link) {
        Some(to) if *link == own => to != Path::new("/dev/null"),
        Some(to) => to.file_name() == Some(OsStr::new(&full)) && is_unit_file(&to),
        None => false,
    }));
    gone
}

/// The links by which other units want this one.
fn links_to(sys: &Sys, name: &str) -> Vec<PathBuf> {
    let full = full_name(name);
    let names = sys.list(Path::new(ETC)).unwrap_or_default();
    let wanting = names.iter().filter(|name| {
        let kind = Path::new(name).extension().and_then(OsStr::to_str);
        matches!(kind, Some("wants" | "requires" | "upholds"))
    });
    wanting
        .map(|directory| Path::new(ETC).join(directory).join(&full))
        .filter(|link| is_link(sys, link))
        .collect()
}

fn is_unit_file(path: &Path) -> bool {
    let place = path.parent();
    place.is_some_and(|place| UNIT_DIRECTORIES.iter().any(|unit| Path::new(unit) == place))
}

fn is_link(sys: &Sys, path: &Path) -> bool {
    sys.lstat(path)
        .is_ok_and(|found| found.is_some_and(|found| found.is_link()))
}

/// Where a link leads in one step.
fn target(sys: &Sys, path: &Path) -> Option<PathBuf> {
    let target = sys.lstat(path).ok()??.link_target?;
    Some(path.parent()?.join(target))
}

/// What the `[Install]` section of a unit's file asks for; `None` where there is no such section (a static unit).
pub(super) fn links(sys: &Sys, name: &str) -> Option<Vec<(PathBuf, PathBuf)>> {
    let file = find(sys, name)?;
    let text = String::from_utf8_lossy(&sys.read(&file).ok()?).into_owned();
    let full = full_name(name);
    let etc = Path::new(ETC);
    // A link to the unit's file leads where that one leads, as systemd makes it.
    let target_of_links = target(sys, &file).unwrap_or_else(|| file.clone());
    let mut in_section = false;
    let mut links = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_section = line == "[Install]";
            continue;
        }
        let Some((key, words)) = line.split_once('=').filter(|_| in_section) else {
            continue;
        };
        let links: &mut Vec<_> = links.get_or_insert_default();
        for word in words.split_whitespace() {
            let link = match key.trim() {
                "WantedBy" => etc.join(format!("{word}.wants")).join(&full),
                "RequiredBy" => etc.join(format!("{word}.requires")).join(&full),
                "Alias" => etc.join(word),
                _ => continue,
            };
            links.push((link, target_of_links.clone()));
        }
    }
    links
}
