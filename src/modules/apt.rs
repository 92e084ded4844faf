//! `apt`: turns a wish for Debian packages into the apt-get calls that bring it about, read from dpkg's own status file.

mod call;
mod file;
pub mod status;

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use status::{Installed, Wanted};
use std::path::Path;

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

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
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
    /// Whether the file of `deb` is to be installed.
    file: bool,
}

impl Apt {
    /// The URL of the package that it installs, if it is one.
    pub fn url(&self) -> Option<String> {
        self.deb.clone()
    }

    /// Whether it installs a package file.
    pub fn installs_file(&self) -> bool {
        self.deb.is_some()
    }

    /// The names that are to be there and are no patterns, as the user wrote them.
    pub(super) fn wanted(&self) -> Vec<String> {
        let is_meant = self.state != State::Absent && !self.only_upgrade;
        let is_pattern = |name: &str| name.split('=').next().unwrap_or(name).contains('*');
        let names = self.name.iter().map(|name| name.trim());
        let names = names.filter(|name| is_meant && !name.is_empty() && !is_pattern(name));
        names.map(str::to_owned).collect()
    }
}

/// Which of these names a host would have to fetch that has dpkg's `status`.
pub fn absent(status: &str, names: &[String]) -> Vec<String> {
    let installed = Installed::parse(status);
    let is_absent = |name: &&String| Wanted::parse(name).is_ok_and(|it| !installed.holds(&it));
    names.iter().filter(is_absent).cloned().collect()
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
        if let Some(deb) = &self.deb
            && let Some(update) = file::look(sys, deb, &installed)?
        {
            diff = diff.attribute(&update.name, update.before, update.after);
            change.file = true;
        }
        let updates_only = self.name.is_empty() && self.deb.is_none();
        let wants_update = self.update_cache.unwrap_or(self.cache_valid_time > 0);
        let is_old = wants_update && !self.lists_are_new(sys);
        if is_old
            && (updates_only
                || change.file
                || !change.calls.is_empty()
                || self.state == State::Latest)
        {
            change.update = true;
        }
        self.plan_upgrade(sys, &mut change, &mut diff)?;
        if change.calls.is_empty() && !change.update && !change.file {
            return Ok(Found::same(Outcome::new().with("cache_updated", false)));
        }
        if change.update && change.calls.is_empty() && !change.file {
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
        if let (Some(deb), true) = (&self.deb, change.file) {
            let package = file::Local::of(sys, deb)?;
            let words = ["install".to_owned(), package.real(sys)];
            last = Some(self.call(sys, &words, change.update)?);
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

    fn rehearse(&self, sys: &Sys, _: Change, seen: Outcome) -> Result<Outcome, Error> {
        // What a package brings, its scripts decide.
        if !seen.diffs.is_empty() {
            sys.leave_unknown();
        }
        Ok(seen)
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
}

#[cfg(test)]
mod tests;
