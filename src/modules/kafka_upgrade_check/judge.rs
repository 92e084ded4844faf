//! Turns what was seen of a service, a broker and two trees into problems, each with its way out, and warnings.

use super::unit::{Unit, Use, names_tree, needed_below};
use crate::kafka::properties::Properties;
use crate::kafka::running::Running;
use crate::kafka::version::{Software, versions_in};
use crate::modules::Error;
use crate::sys::Sys;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a broker may take to stop: it closes its logs and hands its leaders over. Then systemd kills it.
const STOP_LIMIT: Duration = Duration::from_secs(300);
const MIN_FREE: u64 = 2 << 30;

/// The disk that a path lies on, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub place: PathBuf,
    pub free: u64,
    pub total: u64,
}

/// All that was seen.
#[derive(Debug)]
pub(super) struct Look {
    pub unit_name: String,
    pub unit: Unit,
    pub running: Option<Running>,
    pub home: PathBuf,
    /// Where `home` leads now, all links resolved.
    pub old: Option<PathBuf>,
    pub tree: PathBuf,
    pub version: Software,
    pub min_free: Option<u64>,
    pub disks: Vec<Disk>,
    pub server: Properties,
}

#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// One line each: what is wrong, and what to do.
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
    /// The paths that were looked for in the new tree, relative to it.
    pub checked: Vec<String>,
}

impl Look {
    pub(super) fn judge(&self, sys: &Sys) -> Result<Verdict, Error> {
        let mut verdict = Verdict::default();
        self.judge_tree(sys, &mut verdict)?;
        self.judge_unit(&mut verdict);
        self.judge_paths(sys, &mut verdict)?;
        self.judge_data(sys, &mut verdict)?;
        self.judge_java(&mut verdict);
        self.judge_disks(&mut verdict);
        Ok(verdict)
    }

    pub(super) fn log_dirs(&self) -> Vec<PathBuf> {
        let keys = ["log.dirs", "log.dir"];
        let found = keys.iter().find_map(|key| self.server.get(*key));
        let dirs = found.map_or("", String::as_str).split(',').map(str::trim);
        let mut dirs: Vec<PathBuf> = dirs.filter(|d| !d.is_empty()).map(PathBuf::from).collect();
        dirs.extend(self.server.get("metadata.log.dir").map(PathBuf::from));
        dirs
    }

    fn judge_tree(&self, sys: &Sys, verdict: &mut Verdict) -> Result<(), Error> {
        let (tree, version) = (self.tree.display(), &self.version);
        let unpack = format!("unpack kafka_*-{version}.tgz there");
        if !sys.stat(&self.tree)?.is_some_and(|stat| stat.is_dir()) {
            verdict
                .problems
                .push(format!("there is no directory `{tree}`: {unpack}"));
            return Ok(());
        }
        let libs = self.tree.join("libs");
        let names = if sys.exists(&libs)? {
            sys.list(&libs)?
        } else {
            Vec::new()
        };
        let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
        let jars: Vec<&str> = names
            .into_iter()
            .filter(|name| !versions_in([*name]).is_empty())
            .collect();
        match &jars[..] {
            [jar] if versions_in([*jar])[0] == *version => {}
            [] => verdict.problems.push(format!(
                "`{tree}/libs` holds no jar of Kafka: {unpack} again"
            )),
            [jar] => verdict.problems.push(format!(
                "`{tree}/libs` holds `{jar}`, which is not {version}: {unpack}, or correct `version`"
            )),
            jars => verdict.problems.push(format!(
                "`{tree}/libs` holds {} jars of Kafka ({}), and a broker would start with a mixture: remove all but kafka_*-{version}.jar",
                jars.len(),
                jars.join(", ")
            )),
        }
        Ok(())
    }

    fn judge_unit(&self, verdict: &mut Verdict) {
        let name = &self.unit_name;
        if self.unit.programs.is_empty() {
            verdict.problems.push(format!(
                "systemd knows no service `{name}` that starts anything ({}): name the broker's service by `unit`",
                if self.unit.load_state.is_empty() { "it says nothing of it" } else { &self.unit.load_state }
            ));
            return;
        }
        if let Some(old) = self.old.as_deref().filter(|old| *old != self.home)
            && self.unit.texts().any(|text| names_tree(text, old))
        {
            verdict.problems.push(format!(
                "`{name}` names `{}` itself, so switching the link would not reach it: write `{}` there (systemctl edit --full {name})",
                old.display(),
                self.home.display()
            ));
        }
        match self.unit.stop_limit {
            Some(limit) if limit < STOP_LIMIT => {
                let file = name.strip_suffix(".service").unwrap_or(name);
                verdict.warnings.push(format!(
                    "systemd kills the broker {} s after it was asked to stop (`TimeoutStopSec`); a kill means a long recovery of its logs. Give it 5 minutes: write `[Service]` and `TimeoutStopSec=300` to /etc/systemd/system/{file}.service.d/stop.conf (`systemctl edit {file}`), then `systemctl daemon-reload`",
                    limit.as_secs()
                ));
            }
            _ => {}
        }
    }

    /// Every path below `home` that somebody names is to be in the new tree too.
    fn judge_paths(&self, sys: &Sys, verdict: &mut Verdict) -> Result<(), Error> {
        let mut seen = Vec::new();
        for (path, r#use) in self.unit.paths_below(&self.home) {
            let by = format!("`{}`", self.unit_name);
            self.judge_path(sys, &path, &by, Some(r#use), verdict)?;
            seen.push(path);
        }
        let mut texts = Vec::new();
        for file in self
            .unit
            .environment_files
            .iter()
            .chain(&self.unit.optional_environment_files)
        {
            let path = Path::new(file);
            if sys.stat(path)?.is_some_and(|stat| stat.is_file()) {
                let text = String::from_utf8_lossy(&sys.read(path)?).into_owned();
                let lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with(['#', ';']));
                texts.push((format!("`{file}`"), lines.collect::<Vec<_>>().join("\n")));
            }
        }
        let mut is_class_path = false;
        for word in self.running.iter().flat_map(|running| &running.arguments) {
            if is_class_path {
                // The jars in `libs` change with the version; what is beside them was put there by somebody.
                let beside = word.split(':').filter(|entry| !entry.contains("/libs/"));
                let beside = beside.collect::<Vec<_>>().join(":");
                texts.push(("the running broker's class path".into(), beside));
            } else {
                texts.push(("the running broker's command line".into(), word.clone()));
            }
            is_class_path = matches!(word.as_str(), "-cp" | "-classpath" | "--class-path");
        }
        for (key, value) in &self.server {
            if !key.ends_with("log.dirs") && !key.ends_with("log.dir") {
                texts.push((format!("`{key}` in server.properties"), value.clone()));
            }
        }
        for (by, text) in texts {
            for path in needed_below(&text, &self.home) {
                if !seen.contains(&path) {
                    self.judge_path(sys, &path, &by, None, verdict)?;
                    seen.push(path);
                }
            }
        }
        Ok(())
    }

    fn judge_path(
        &self,
        sys: &Sys,
        path: &Path,
        by: &str,
        r#use: Option<Use>,
        verdict: &mut Verdict,
    ) -> Result<(), Error> {
        // `libs/*` is as good as the directory.
        let path = path.to_string_lossy();
        let path = Path::new(path.trim_end_matches('*'));
        // Kafka's scripts make it.
        if path.starts_with("logs") || path.components().next().is_none() {
            return Ok(());
        }
        verdict.checked.push(path.display().to_string());
        let is_settings = path
            .extension()
            .is_some_and(|ending| ending == "properties");
        let is_vital = match r#use {
            Some(Use::Program | Use::EnvironmentFile) => true,
            Some(Use::Word) => is_settings,
            None => false,
        };
        let new = self.tree.join(path);
        let new = new.display();
        match sys.stat(&self.tree.join(path))? {
            Some(stat) if r#use == Some(Use::Program) && (!stat.is_file() || stat.mode & 0o111 == 0) => {
                verdict.problems.push(format!(
                    "`{new}`, which {by} starts, cannot be executed: chmod +x {new}"
                ));
            }
            None if sys.stat(&self.home.join(path))?.is_some() => {
                let whole = self.missing_part(sys, path)?;
                verdict.problems.push(format!(
                    "`{new}` is missing, and {by} names it: cp -a {} {}",
                    self.home.join(whole).display(),
                    self.tree.join(whole).display()
                ));
            }
            // Without these nothing starts; anything else may be made by the broker.
            None if is_vital => verdict.problems.push(format!(
                "`{new}` is missing, in the old tree too, and {by} names it: put it there, or take it out of the service"
            )),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Returns the path, or the first directory on its way that the new tree lacks.
    fn missing_part<'a>(&self, sys: &Sys, path: &'a Path) -> Result<&'a Path, Error> {
        let mut part = path;
        for above in path.ancestors().skip(1) {
            if sys.exists(&self.tree.join(above))? {
                break;
            }
            part = above;
        }
        Ok(part)
    }

    /// Data that lies inside of a tree would be left behind by the switch.
    fn judge_data(&self, sys: &Sys, verdict: &mut Verdict) -> Result<(), Error> {
        for dir in self.log_dirs() {
            if let Ok(path) = dir.strip_prefix(&self.home) {
                let new = self.tree.join(path);
                let is_same = sys.exists(&new)? && sys.resolve(&dir)? == sys.resolve(&new)?;
                if !is_same {
                    verdict.problems.push(format!(
                        "the broker's data lies in `{}`, behind the link that is switched, so the new version would start empty: stop the broker, move it out of the tree and set `log.dirs`",
                        dir.display()
                    ));
                }
            } else if let Some(old) = self.old.as_deref().filter(|old| dir.starts_with(old)) {
                verdict.warnings.push(format!(
                    "the broker's data lies in `{}`, inside of the tree `{}`: never remove that",
                    dir.display(),
                    old.display()
                ));
            }
        }
        Ok(())
    }

    fn judge_java(&self, verdict: &mut Verdict) {
        let Some(java) = self
            .running
            .as_ref()
            .and_then(|running| running.java.as_deref())
        else {
            return;
        };
        let Some(major) = java_major(java) else {
            return;
        };
        let version = &self.version;
        let is_before = |text: &str| Software::parse(text).is_some_and(|other| *version < other);
        let (lowest, highest) = match version {
            _ if is_before("2.0") => (7, 8),
            _ if is_before("2.1") => (8, 10),
            _ if is_before("2.8") => (8, 15),
            _ if is_before("3.0") => (8, 16),
            _ if is_before("3.1") => (8, 17),
            _ if is_before("4.0") => (8, 21),
            _ => (17, u32::MAX),
        };
        if major < lowest {
            verdict.problems.push(format!(
                "the broker runs on Java {java}, and Kafka {version} needs {lowest} or newer: install one and set JAVA_HOME in the service's environment"
            ));
        } else if major >= 14 && is_before("2.6") {
            verdict.warnings.push(format!(
                "the broker runs on Java {java}: with the ZooKeeper client of Kafka {version}, Java 14 and newer cannot connect (ZOOKEEPER-3779); Java 11 is known to work"
            ));
        } else if major > highest {
            verdict.warnings.push(format!(
                "the broker runs on Java {java}, and Kafka {version} was made for {lowest} to {highest}"
            ));
        }
    }

    fn judge_disks(&self, verdict: &mut Verdict) {
        for disk in &self.disks {
            let wanted = self
                .min_free
                .unwrap_or_else(|| MIN_FREE.min(disk.total / 20));
            if disk.free < wanted {
                verdict.problems.push(format!(
                    "the disk of `{}` has {} free of {}, and {} are wanted: make room, or lower `min_free`",
                    disk.place.display(),
                    size(disk.free),
                    size(disk.total),
                    size(wanted)
                ));
            }
        }
    }
}

/// `1.8.0_292` is 8, `11.0.13` is 11.
pub(super) fn java_major(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut shift = 0;
    while shift < 4 && bytes >> (10 * (shift + 1)) > 0 {
        shift += 1;
    }
    if shift == 0 {
        return format!("{bytes} bytes");
    }
    let tenths = (bytes >> (10 * (shift - 1))) * 10 / 1024;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[shift - 1])
}
