//! `apt`: turns a wish for Debian packages into the apt-get calls that bring it about, read from dpkg's own status file.

pub mod status;

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::sys::http::Request;
use crate::sys::process::{Command, Output};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use status::{Installed, Wanted};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a user wants of packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    #[serde(alias = "installed")]
    Present,
    Latest,
    #[serde(alias = "removed")]
    Absent,
}

/// The states as users write them.
pub const STATES: &[&str] = &["present", "installed", "latest", "absent", "removed"];

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Apt {
    #[serde(default)]
    name: Vec<String>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    deb: Option<String>,
    #[serde(default)]
    update_cache: Option<bool>,
    #[serde(default)]
    cache_valid_time: u64,
    #[serde(default)]
    install_recommends: Option<bool>,
    #[serde(default)]
    default_release: Option<String>,
    #[serde(default)]
    purge: bool,
    #[serde(default)]
    autoremove: bool,
    #[serde(default)]
    autoclean: bool,
    #[serde(default)]
    clean: bool,
    #[serde(default)]
    upgrade: Option<String>,
    #[serde(default)]
    only_upgrade: bool,
    #[serde(default)]
    allow_unauthenticated: bool,
    #[serde(default)]
    allow_downgrade: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    dpkg_options: Option<String>,
    #[serde(default)]
    lock_timeout: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Change {
    update: bool,
    /// apt-get's words for each call, after its options.
    calls: Vec<Vec<String>>,
    /// A downloaded file to remove at the end.
    temporary: Option<PathBuf>,
}

impl Module for Apt {
    const NAME: &'static str = "apt";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "name",
            ArgKind::StrList,
            "packages; `NAME=VERSION` pins one, `*` in it matches",
        )
        .aliases(&["pkg", "package"]),
        Arg::new("state", ArgKind::Str, "present (default), latest or absent").choices(STATES),
        Arg::new(
            "deb",
            ArgKind::Str,
            "a package file, by its path on the host or its URL",
        ),
        Arg::new(
            "update_cache",
            ArgKind::Bool,
            "read the package lists again first, if there is anything to install (default no)",
        )
        .aliases(&["update-cache"]),
        Arg::new(
            "cache_valid_time",
            ArgKind::Int,
            "seconds for which lists are new enough (default 0); a value means `update_cache`",
        ),
        Arg::new(
            "install_recommends",
            ArgKind::Bool,
            "recommended packages too (default: as apt is set up)",
        )
        .aliases(&["install-recommends"]),
        Arg::new(
            "default_release",
            ArgKind::Str,
            "the release to take packages from",
        )
        .aliases(&["default-release"]),
        Arg::new(
            "purge",
            ArgKind::Bool,
            "with `absent`: configuration too (default no)",
        ),
        Arg::new(
            "autoremove",
            ArgKind::Bool,
            "remove what nothing needs any more (default no)",
        ),
        Arg::new(
            "autoclean",
            ArgKind::Bool,
            "remove old package files (default no)",
        ),
        Arg::new(
            "clean",
            ArgKind::Bool,
            "remove all package files (default no)",
        ),
        Arg::new(
            "upgrade",
            ArgKind::Str,
            "yes or safe, full, dist, or no (default)",
        ),
        Arg::new(
            "only_upgrade",
            ArgKind::Bool,
            "only packages that are there (default no)",
        ),
        Arg::new(
            "allow_unauthenticated",
            ArgKind::Bool,
            "unsigned packages too (default no)",
        )
        .aliases(&["allow-unauthenticated"]),
        Arg::new(
            "allow_downgrade",
            ArgKind::Bool,
            "an older version too (default no)",
        )
        .aliases(&["allow-downgrade", "allow_downgrades", "allow-downgrades"]),
        Arg::new("force", ArgKind::Bool, "both of them (default no)"),
        Arg::new(
            "dpkg_options",
            ArgKind::Str,
            "options for dpkg, with commas (default force-confdef,force-confold)",
        ),
        Arg::new(
            "lock_timeout",
            ArgKind::Int,
            "seconds to wait for another apt (default 60)",
        ),
        Arg::new(
            "force_apt_get",
            ArgKind::Bool,
            "accepted: it is always apt-get",
        ),
        Arg::new("policy_rc_d", ArgKind::Int, "accepted, has no effect"),
        Arg::new(
            "update_cache_retries",
            ArgKind::Int,
            "accepted, has no effect",
        ),
        Arg::new(
            "update_cache_retry_max_delay",
            ArgKind::Int,
            "accepted, has no effect",
        ),
        Arg::new(
            "fail_on_autoremove",
            ArgKind::Bool,
            "accepted, has no effect",
        ),
        Arg::new(
            "allow_change_held_packages",
            ArgKind::Bool,
            "accepted, has no effect",
        ),
    ];
    const DOC: &'static str = "Installs, updates or removes packages of Debian and its kin.\n\n    - apt:\n        name: [openjdk-11-jre-headless, chrony]\n        update_cache: yes\n        cache_valid_time: 3600\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let installed = Installed::read(sys)?;
        let mut change = Change::default();
        let mut diff = Diff::new("packages");
        self.plan_packages(sys, &installed, &mut change, &mut diff)?;
        if let Some(deb) = &self.deb {
            self.plan_file(sys, deb, &installed, &mut change, &mut diff)?;
        }
        let updates_only = self.name.is_empty() && self.deb.is_none();
        let wants_update = self.update_cache.unwrap_or(self.cache_valid_time > 0);
        let is_old = wants_update && !self.lists_are_new(sys);
        if is_old && (updates_only || !change.calls.is_empty() || self.state == State::Latest) {
            change.update = true;
        }
        self.plan_upgrade(sys, &mut change, &mut diff)?;
        if change.calls.is_empty() && !change.update {
            return Ok(Found::same(Outcome::new().with("cache_updated", false)));
        }
        if change.update && change.calls.is_empty() {
            diff = diff.attribute("package lists", Some("old".into()), Some("new".into()));
        }
        Ok(Found::change(change, Outcome::new().diff(diff)))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let before = Installed::read(sys)?;
        if change.update {
            self.update(sys)?;
        }
        let mut calls = change.calls;
        if change.update && self.state == State::Latest && !self.name.is_empty() {
            // Only the new lists know what is the latest.
            let mut again = Change::default();
            self.plan_packages(sys, &before, &mut again, &mut Diff::new(""))?;
            calls = again.calls;
        }
        let mut last = None;
        for call in &calls {
            last = Some(self.call(sys, call, change.update)?);
        }
        if let Some(path) = &change.temporary {
            sys.remove(path)?;
        }
        let after = Installed::read(sys)?;
        let diff = before.diff(&after);
        let updates_only = self.name.is_empty() && self.deb.is_none() && self.upgrade.is_none();
        let mut outcome = Outcome::new().with("cache_updated", change.update);
        outcome.changed = !diff.is_empty() || updates_only;
        if let Some(output) = last {
            outcome = outcome
                .with(
                    "stdout_lines",
                    super::command::lines(output.stdout.trim_end()),
                )
                .with("stdout", output.stdout.trim_end())
                .with("stderr", output.stderr.trim_end());
        }
        Ok(if diff.is_empty() {
            outcome
        } else {
            outcome.diff(diff)
        })
    }
}

impl Apt {
    /// Packages in a state, for `package`.
    pub fn of(name: Vec<String>, state: State) -> Self {
        Self {
            name,
            state,
            ..Self::default()
        }
    }

    fn plan_packages(
        &self,
        sys: &Sys,
        installed: &Installed,
        change: &mut Change,
        diff: &mut Diff,
    ) -> Result<(), Error> {
        if self.name.is_empty() {
            return Ok(());
        }
        if self.name == ["*"] {
            if self.state != State::Latest {
                return Err(Error::new("`name: \"*\"` needs `state: latest`"));
            }
            return self.plan_dist_upgrade(sys, "upgrade", change, diff);
        }
        let wanted: Result<Vec<Wanted>, Error> =
            self.name.iter().map(|text| Wanted::parse(text)).collect();
        let mut words = Vec::new();
        let mut show = |name: &str, before: Option<&str>, after: Option<&str>| {
            let value = |version: Option<&str>| Some(Value::from(version.unwrap_or("absent")));
            *diff =
                std::mem::replace(diff, Diff::new("")).attribute(name, value(before), value(after));
        };
        for package in wanted? {
            let now = installed.version(&package);
            match self.state {
                State::Absent => {
                    for (name, version) in installed.all(&package, self.purge) {
                        show(&name, Some(&version), None);
                        words.push(name);
                    }
                }
                _ if self.only_upgrade && now.is_none() => {}
                _ if installed.holds(&package) && self.state == State::Present => {}
                _ => {
                    if now.is_none() || self.state == State::Present {
                        let after = package.version.as_deref().unwrap_or("present");
                        show(&package.name, now.as_deref(), Some(after));
                    }
                    words.push(package.for_apt());
                }
            }
        }
        if words.is_empty() {
            return Ok(());
        }
        let verb = match self.state {
            State::Absent if self.purge => "purge",
            State::Absent => "remove",
            _ => "install",
        };
        if self.state == State::Latest && !change.update {
            let updates = self.simulate(sys, "install", &words)?;
            if updates.is_empty() {
                return Ok(());
            }
            for (name, before, after) in updates {
                show(&name, before.as_deref(), Some(&after));
            }
        }
        let mut call = vec![verb.to_owned()];
        call.extend(words);
        change.calls.push(call);
        Ok(())
    }

    fn plan_file(
        &self,
        sys: &Sys,
        deb: &str,
        installed: &Installed,
        change: &mut Change,
        diff: &mut Diff,
    ) -> Result<(), Error> {
        let path = if deb.starts_with("http://") || deb.starts_with("https://") {
            let path = download(sys, deb)?;
            change.temporary = Some(path.clone());
            path
        } else {
            PathBuf::from(super::words::expand(sys, deb))
        };
        let real = sys.real(&path).display().to_string();
        let fields = tool::must(sys, &["dpkg-deb", "-f", &real, "Package", "Version"]);
        let fields =
            fields.map_err(|error| Error::new(format!("`{deb}` is no package")).because(error))?;
        let field = |name: &str| {
            let mut lines = fields
                .stdout
                .lines()
                .filter_map(|line| line.split_once(": "));
            lines
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        let name = field("Package").unwrap_or_default();
        let version = field("Version");
        let now = installed.version(&Wanted::parse(&name)?);
        if now == version {
            if let Some(path) = change.temporary.take() {
                sys.remove(&path)?;
            }
            return Ok(());
        }
        let absent = || Some(Value::from("absent"));
        let before = now.map(Value::from).or_else(absent);
        *diff = std::mem::replace(diff, Diff::new("")).attribute(
            &name,
            before,
            version.map(Value::from),
        );
        change.calls.push(vec!["install".into(), real]);
        Ok(())
    }

    fn plan_upgrade(&self, sys: &Sys, change: &mut Change, diff: &mut Diff) -> Result<(), Error> {
        let verb = match self.upgrade.as_deref().map(str::to_lowercase).as_deref() {
            None | Some("no" | "false") => None,
            Some("yes" | "true" | "safe") => Some("upgrade"),
            Some("full" | "dist") => Some("dist-upgrade"),
            Some(other) => {
                let message =
                    format!("`upgrade` must be one of yes, safe, full, dist, no, not `{other}`");
                return Err(Error::new(message));
            }
        };
        if let Some(verb) = verb {
            self.plan_dist_upgrade(sys, verb, change, diff)?;
        }
        if self.autoremove {
            let call = ["autoremove"]
                .into_iter()
                .chain(self.purge.then_some("--purge"));
            let call: Vec<String> = call.map(str::to_owned).collect();
            let has_work = !change.calls.is_empty()
                || self
                    .get(sys, &["-s", "autoremove"])?
                    .stdout
                    .lines()
                    .any(|line| line.starts_with("Remv "));
            if has_work {
                change.calls.push(call);
            }
        }
        let cleans = [(self.autoclean, "autoclean"), (self.clean, "clean")];
        for (_, verb) in cleans.into_iter().filter(|(wished, _)| *wished) {
            let archives = sys
                .list(Path::new("/var/cache/apt/archives"))
                .unwrap_or_default();
            if archives
                .iter()
                .any(|name| name.to_string_lossy().ends_with(".deb"))
            {
                change.calls.push(vec![verb.to_owned()]);
            }
        }
        Ok(())
    }

    fn plan_dist_upgrade(
        &self,
        sys: &Sys,
        verb: &str,
        change: &mut Change,
        diff: &mut Diff,
    ) -> Result<(), Error> {
        let updates = self.simulate(sys, verb, &[])?;
        for (name, before, after) in &updates {
            let before = Some(Value::from(before.as_deref().unwrap_or("absent")));
            *diff = std::mem::replace(diff, Diff::new("")).attribute(
                name,
                before,
                Some(after.as_str().into()),
            );
        }
        if !updates.is_empty() || change.update {
            change.calls.push(vec![verb.to_owned()]);
        }
        Ok(())
    }

    /// What apt-get would install: name, version now, version then.
    fn simulate(
        &self,
        sys: &Sys,
        verb: &str,
        words: &[String],
    ) -> Result<Vec<(String, Option<String>, String)>, Error> {
        let mut argv = vec!["-s", verb];
        argv.extend(words.iter().map(String::as_str));
        let output = self.get(sys, &argv)?;
        if !output.success() {
            return Err(self.failed(&argv, &output));
        }
        Ok(status::simulated(&output.stdout))
    }

    fn update(&self, sys: &Sys) -> Result<(), Error> {
        sys.progress("apt-get update");
        let output = self.get(sys, &["update"])?;
        if output.success() {
            return Ok(());
        }
        Err(self.failed(&["update"], &output))
    }

    /// Makes one call; where the lists do not know a package, reads them again once.
    fn call(&self, sys: &Sys, words: &[String], is_updated: bool) -> Result<Output, Error> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        sys.progress(&format!("apt-get {}", words.join(" ")));
        let mut output = self.get(sys, &words)?;
        let is_unknown = output.stderr.contains("Unable to locate package")
            || output.stderr.contains("has no installation candidate")
            || output.stderr.contains("404  Not Found");
        if !output.success() && is_unknown && !is_updated && self.update_cache != Some(false) {
            self.update(sys)?;
            output = self.get(sys, &words)?;
        }
        if output.success() {
            return Ok(output);
        }
        Err(self.failed(&words, &output))
    }

    fn failed(&self, words: &[&str], output: &Output) -> Error {
        let argv: Vec<&str> = std::iter::once("apt-get")
            .chain(words.iter().copied())
            .collect();
        let mut error = tool::failure(&argv, output);
        error.causes.clear();
        let faults = output.stderr.lines().filter(|line| line.starts_with("E: "));
        for fault in faults {
            error = error.because(fault.trim_start_matches("E: "));
        }
        if error.causes.is_empty() {
            error = error.because(output.reason());
        }
        error
    }

    fn get(&self, sys: &Sys, words: &[&str]) -> Result<Output, Error> {
        let mut argv: Vec<String> = vec!["apt-get".into(), "-y".into()];
        let mut option = |text: String| argv.extend(["-o".to_owned(), text]);
        let dpkg = self
            .dpkg_options
            .as_deref()
            .unwrap_or("force-confdef,force-confold");
        for name in dpkg
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            option(format!("Dpkg::Options::=--{name}"));
        }
        option(format!(
            "DPkg::Lock::Timeout={}",
            self.lock_timeout.unwrap_or(60)
        ));
        if let Some(recommends) = self.install_recommends {
            option(format!(
                "APT::Install-Recommends={}",
                if recommends { "yes" } else { "no" }
            ));
        }
        let flags = [
            (
                self.autoremove && words.first() == Some(&"remove"),
                "--auto-remove",
            ),
            (self.only_upgrade, "--only-upgrade"),
            (
                self.allow_unauthenticated || self.force,
                "--allow-unauthenticated",
            ),
            (self.allow_downgrade || self.force, "--allow-downgrades"),
        ];
        argv.extend(
            flags
                .iter()
                .filter(|(is_on, _)| *is_on)
                .map(|(_, flag)| (*flag).to_owned()),
        );
        if let Some(release) = &self.default_release {
            argv.extend(["-t".to_owned(), release.clone()]);
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let command = Command::tool(&argv)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DEBIAN_PRIORITY", "critical")
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("NEEDRESTART_MODE", "l");
        tool::start(sys, &command, &["apt-get"])
    }

    fn lists_are_new(&self, sys: &Sys) -> bool {
        let paths = [
            "/var/lib/apt/periodic/update-success-stamp",
            "/var/lib/apt/lists",
        ];
        let stamps = paths
            .iter()
            .filter_map(|path| sys.stat(Path::new(path)).ok().flatten());
        let newest = stamps.map(|stat| stat.mtime.seconds).max();
        let now = crate::sys::fs::Time::now().seconds;
        let valid = i64::try_from(self.cache_valid_time).unwrap_or(i64::MAX);
        self.cache_valid_time > 0 && newest.is_some_and(|stamp| now - stamp < valid)
    }
}

/// Fetches a package file into a private place.
fn download(sys: &Sys, url: &str) -> Result<PathBuf, Error> {
    let failed =
        |why: &dyn std::fmt::Display| Error::new(format!("cannot download `{url}`")).because(why);
    let mut request = Request::get(url);
    request.timeout = Duration::from_secs(60);
    let mut response = sys.request(&request).map_err(|error| failed(&error))?;
    if response.status != 200 {
        return Err(failed(&format!(
            "the server says {} {}",
            response.status, response.reason
        )));
    }
    let path = sys
        .temporary_directory()?
        .join(format!("krun-{}.deb", std::process::id()));
    let durability = crate::sys::fs::Durability::Later;
    let attributes = crate::sys::fs::Attributes {
        mode: Some(0o644),
        ..Default::default()
    };
    sys.write_atomic_from(&path, &mut response.body, attributes, durability)?;
    Ok(path)
}

#[cfg(test)]
mod tests;
