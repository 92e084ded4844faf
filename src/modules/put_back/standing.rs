//! Finds the running services that stand on paths: by their unit's files, and by what their processes name or have open.

use crate::modules::systemd::rehearsed::{recall, started_or_stopped, unread};
use crate::modules::tool;
use crate::sys::Sys;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What of a unit systemd is asked for.
const ASKED: [&str; 4] = ["Id", "FragmentPath", "DropInPaths", "EnvironmentFiles"];

/// Returns each running service with the first of `paths` that it stands on.
pub(super) fn services(sys: &Sys, paths: &[&Path]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    if !sys.is_host() {
        return found;
    }
    let mut note = |unit: &str, named: &Path| {
        if let Some(path) = stands_on(sys, named, paths)
            && is_running(sys, unit)
        {
            found.entry(unit.to_owned()).or_insert(path.to_path_buf());
        }
    };
    for (unit, files) in unit_files(sys) {
        for file in &files {
            note(&unit, file);
        }
    }
    // In check mode, what an earlier task has started anew has other files open by then: those that its words lead to.
    let anew = started_or_stopped(sys);
    for (unit, process) in processes() {
        let open = process.open.iter().filter(|_| !anew.contains(&unit));
        for path in process.named.iter().chain(open) {
            note(&unit, path);
        }
    }
    found
}

/// The first of `paths` that a name leads to, or leads below of.
fn stands_on<'a>(sys: &Sys, named: &Path, paths: &[&'a Path]) -> Option<&'a Path> {
    let real = sys.resolve(named).ok();
    let stands = |path: &&&Path| {
        named.starts_with(path) || real.as_ref().is_some_and(|real| real.starts_with(path))
    };
    paths.iter().find(stands).copied()
}

/// Whether a unit runs.
pub(super) fn is_active(sys: &Sys, unit: &str) -> bool {
    let argv = ["systemctl", "is-active", "--quiet", unit];
    is_running(sys, unit) && tool::ask(sys, &argv).is_ok_and(|output| output.success())
}

/// In check mode, an earlier task may have stopped it.
fn is_running(sys: &Sys, unit: &str) -> bool {
    let mut seen = unread(sys, unit);
    !recall(sys, unit, &mut seen) || matches!(seen.property("ActiveState"), "active" | "")
}

/// The files of each running service: its own, what is dropped in, and its environment's.
fn unit_files(sys: &Sys) -> BTreeMap<String, BTreeSet<PathBuf>> {
    let properties = format!("--property={}", ASKED.join(","));
    let argv = [
        "systemctl",
        "show",
        "*.service",
        "--state=active",
        &properties,
    ];
    let Ok(output) = tool::ask(sys, &argv) else {
        return BTreeMap::new();
    };
    let blocks = output.stdout.split("\n\n");
    blocks
        .filter_map(|block| {
            let unit = block.lines().find_map(|line| line.strip_prefix("Id="))?;
            let words = block.lines().filter_map(|line| line.split_once('='));
            let words = words.flat_map(|(_, value)| value.split_whitespace());
            let files = words.filter(|word| word.starts_with('/'));
            Some((unit.to_owned(), files.map(PathBuf::from).collect()))
        })
        .collect()
}

/// The paths of a service's processes.
#[derive(Default)]
struct Paths {
    /// On their command lines.
    named: BTreeSet<PathBuf>,
    /// What they run, work in or have open.
    open: BTreeSet<PathBuf>,
}

/// By service.
fn processes() -> BTreeMap<String, Paths> {
    let mut found: BTreeMap<String, Paths> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for dir in entries.map(|entry| entry.path()) {
        let Some(unit) = std::fs::read_to_string(dir.join("cgroup"))
            .ok()
            .and_then(|text| service(&text))
        else {
            continue;
        };
        let paths = found.entry(unit).or_default();
        let line = std::fs::read(dir.join("cmdline")).unwrap_or_default();
        let words = line.split(|byte| matches!(byte, 0 | b':' | b'=' | b',' | b' '));
        let words = words.filter(|word| word.starts_with(b"/"));
        let words = words.map(|word| PathBuf::from(std::ffi::OsStr::from_bytes(word)));
        paths.named.extend(words);
        let open = std::fs::read_dir(dir.join("fd")).into_iter().flatten();
        let open = open.flatten().map(|entry| entry.path());
        let links = open.chain(["exe", "cwd"].map(|name| dir.join(name)));
        let links = links.filter_map(|link| std::fs::read_link(link).ok());
        paths.open.extend(links);
    }
    found
}

/// The service of the system that a process belongs to; those of logged-in users are not of a play's making.
fn service(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().last()?.rsplit(':').next()?;
    if path.contains("/user.slice/") {
        return None;
    }
    let unit = path.split('/').find(|part| part.ends_with(".service"))?;
    Some(unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_where_its_link_was_switched_to_in_the_plan() {
        let root = tempfile::tempdir().unwrap();
        for version in ["v1", "v2"] {
            std::fs::create_dir_all(root.path().join(version).join("libs")).unwrap();
        }
        std::os::unix::fs::symlink("v2", root.path().join("app")).unwrap();
        let sys = Sys::at(root.path());
        let (named, paths) = (Path::new("/app/bin/../libs"), [Path::new("/v2")]);
        std::fs::create_dir(root.path().join("v1/bin")).unwrap();
        std::fs::create_dir(root.path().join("v2/bin")).unwrap();
        assert_eq!(stands_on(&sys, named, &paths), Some(Path::new("/v2")));
        let over = sys.clone().over(sys.new_overlay());
        over.symlink(Path::new("v1"), Path::new("/app")).unwrap();
        assert_eq!(stands_on(&over, named, &paths), None);
        assert_eq!(
            stands_on(&over, named, &[Path::new("/app")]),
            Some(Path::new("/app"))
        );
    }

    #[test]
    fn a_process_belongs_to_the_service_of_its_control_group() {
        let of = |path: &str| service(&format!("0::{path}\n"));
        assert_eq!(
            of("/system.slice/kafka-server.service").as_deref(),
            Some("kafka-server.service")
        );
        assert_eq!(
            of("/system.slice/docker.service/inner").as_deref(),
            Some("docker.service")
        );
        assert_eq!(
            of("/user.slice/user-0.slice/user@0.service/app.service"),
            None
        );
        assert_eq!(of("/init.scope"), None);
    }
}
