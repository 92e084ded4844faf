//! Turns a unit's name into its file, and says whether systemd has read it.

use super::Unit;
use crate::sys::Sys;
use std::path::{Path, PathBuf};

/// Where unit files lie, the strongest first.
pub(super) const UNIT_DIRECTORIES: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Returns a unit's name with its type.
pub(super) fn full_name(name: &str) -> String {
    let has_type = name.rsplit_once('.').is_some_and(|(_, kind)| {
        matches!(
            kind,
            "service"
                | "socket"
                | "timer"
                | "target"
                | "mount"
                | "path"
                | "slice"
                | "swap"
                | "automount"
                | "device"
                | "scope"
        )
    });
    if has_type {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

fn file_name(name: &str) -> String {
    let name = full_name(name);
    // An instance's file is its template's.
    match (name.find('@'), name.rfind('.')) {
        (Some(at), Some(dot)) if at < dot => format!("{}{}", &name[..=at], &name[dot..]),
        _ => name,
    }
}

pub(super) fn has_file(sys: &Sys, name: &str) -> bool {
    find(sys, name).is_some()
}

/// Returns where the unit's file lies.
pub(super) fn find(sys: &Sys, name: &str) -> Option<PathBuf> {
    let name = file_name(name);
    UNIT_DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(&name))
        .find(|path| sys.exists(path).unwrap_or(false))
}

/// Whether systemd's knowledge is older than the files: the unit's own, or any that it reads.
///
/// Every reading makes the generators' directory anew, so that its age is the age of what systemd knows.
pub(super) fn is_stale(sys: &Sys, unit: &Unit) -> bool {
    let need = unit.property("NeedDaemonReload");
    if need != "no" {
        return true;
    }
    let stat = |path: &Path| sys.stat(path).ok().flatten();
    let Some(read) = stat(Path::new("/run/systemd/generator")).map(|stat| stat.mtime) else {
        return true;
    };
    let sources = [
        "/etc/fstab",
        "/etc/crypttab",
        "/etc/init.d",
        "/etc/rc.d/init.d",
    ];
    let mut ahead: Vec<_> = sources
        .iter()
        .chain(UNIT_DIRECTORIES)
        .map(Path::new)
        .map(Path::to_path_buf)
        .collect();
    while let Some(path) = ahead.pop() {
        let Some(stat) = stat(&path) else { continue };
        if stat.ctime >= read {
            return true;
        }
        if stat.is_dir() {
            let names = sys.list(&path).unwrap_or_default();
            ahead.extend(names.iter().map(|name| path.join(name)));
        }
    }
    false
}
