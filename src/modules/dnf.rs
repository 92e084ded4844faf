//! `dnf` and `yum`: turn a wish for rpm packages into the calls that bring it about, read from rpm's own database.

mod call;
pub mod installed;

use super::apt::{STATES, State};
use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::Value;
use call::failed;
use installed::{Kind, Looked};
use serde::{Deserialize, Serialize};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Dnf {
    #[serde(default)]
    name: Vec<String>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    enablerepo: Vec<String>,
    #[serde(default)]
    disablerepo: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    disable_gpg_check: bool,
    #[serde(default)]
    update_cache: bool,
    #[serde(default)]
    update_only: bool,
    #[serde(default)]
    autoremove: bool,
    #[serde(default)]
    security: bool,
    #[serde(default)]
    bugfix: bool,
    #[serde(default)]
    skip_broken: bool,
    #[serde(default)]
    allowerasing: bool,
    #[serde(default)]
    nobest: Option<bool>,
    #[serde(default)]
    install_weak_deps: Option<bool>,
    #[serde(default)]
    sslverify: Option<bool>,
    #[serde(default)]
    cacheonly: bool,
    #[serde(default)]
    conf_file: Option<String>,
    #[serde(default)]
    installroot: Option<String>,
    #[serde(default)]
    releasever: Option<String>,
    #[serde(default)]
    disable_excludes: Option<String>,
}

/// The same under its older name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Yum(Dnf);

/// The words of each call, after the options.
#[derive(Debug, Default)]
pub struct Change {
    calls: Vec<Vec<String>>,
    /// What was looked at, to be looked at again.
    before: Looked,
}

const ARGS: &[Arg] = &[
    Arg::new(
        "name",
        ArgKind::StrList,
        "packages: NAME, NAME-VERSION, @GROUP, a path or URL of an rpm; `*` with `latest` is all",
    )
    .aliases(&["pkg"]),
    Arg::new("state", ArgKind::Str, "present (default), latest or absent").choices(STATES),
    Arg::new(
        "enablerepo",
        ArgKind::StrList,
        "repositories to use besides",
    ),
    Arg::new("disablerepo", ArgKind::StrList, "repositories not to use"),
    Arg::new("exclude", ArgKind::StrList, "packages to leave alone"),
    Arg::new(
        "disable_gpg_check",
        ArgKind::Bool,
        "unsigned packages too (default no)",
    ),
    Arg::new(
        "update_cache",
        ArgKind::Bool,
        "read the repositories again first (default no)",
    )
    .aliases(&["expire-cache"]),
    Arg::new(
        "update_only",
        ArgKind::Bool,
        "only packages that are there (default no)",
    ),
    Arg::new(
        "autoremove",
        ArgKind::Bool,
        "remove what nothing needs any more (default no)",
    ),
    Arg::new(
        "security",
        ArgKind::Bool,
        "with `latest`: security updates only (default no)",
    ),
    Arg::new(
        "bugfix",
        ArgKind::Bool,
        "with `latest`: bug fixes only (default no)",
    ),
    Arg::new(
        "skip_broken",
        ArgKind::Bool,
        "leave out what cannot be installed (default no)",
    ),
    Arg::new(
        "allowerasing",
        ArgKind::Bool,
        "remove what is in the way (default no)",
    ),
    Arg::new(
        "nobest",
        ArgKind::Bool,
        "an older version will do (default: as dnf is set up)",
    ),
    Arg::new(
        "install_weak_deps",
        ArgKind::Bool,
        "recommended packages too (default: as dnf is set up)",
    ),
    Arg::new(
        "sslverify",
        ArgKind::Bool,
        "verify the servers' certificates (default: as dnf is set up)",
    ),
    Arg::new("cacheonly", ArgKind::Bool, "ask no server (default no)"),
    Arg::new("conf_file", ArgKind::Path, "another configuration"),
    Arg::new(
        "installroot",
        ArgKind::Path,
        "below which directory (default /)",
    ),
    Arg::new("releasever", ArgKind::Str, "another release's packages"),
    Arg::new(
        "disable_excludes",
        ArgKind::Str,
        "whose excludes not to heed: all, main or a repository",
    ),
    Arg::new("validate_certs", ArgKind::Bool, "accepted, has no effect"),
    Arg::new(
        "lock_timeout",
        ArgKind::Int,
        "accepted: dnf waits for another one by itself",
    ),
    Arg::new(
        "use_backend",
        ArgKind::Str,
        "accepted: krun takes what is there",
    ),
    Arg::new("use", ArgKind::Str, "accepted: krun takes what is there"),
];

impl Module for Dnf {
    const NAME: &'static str = "dnf";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = ARGS;
    const DOC: &'static str = "Installs, updates or removes packages of Red Hat and its kin.\n\n    - dnf:\n        name: [java-11-openjdk-headless, chrony]\n        state: present\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        self.check_with(sys, program(sys, &["dnf", "dnf5", "microdnf", "yum"])?)
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        self.apply_with(
            sys,
            program(sys, &["dnf", "dnf5", "microdnf", "yum"])?,
            &change,
        )
    }

    fn rehearse(&self, sys: &Sys, _: Change, seen: Outcome) -> Result<Outcome, Error> {
        // What a package brings, its scripts decide.
        if !seen.diffs.is_empty() {
            sys.leave_unknown();
        }
        Ok(seen)
    }
}

impl Module for Yum {
    const NAME: &'static str = "yum";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = ARGS;
    const DOC: &'static str = "Installs, updates or removes packages, by yum or dnf, whichever the host has.\n\n    - yum:\n        name: java-11-openjdk\n        state: present\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        self.0
            .check_with(sys, program(sys, &["yum", "dnf", "dnf5", "microdnf"])?)
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        self.0.apply_with(
            sys,
            program(sys, &["yum", "dnf", "dnf5", "microdnf"])?,
            &change,
        )
    }

    fn rehearse(&self, sys: &Sys, _: Change, seen: Outcome) -> Result<Outcome, Error> {
        // What a package brings, its scripts decide.
        if !seen.diffs.is_empty() {
            sys.leave_unknown();
        }
        Ok(seen)
    }
}

fn program(sys: &Sys, names: &[&'static str]) -> Result<&'static str, Error> {
    let found = names.iter().find(|name| sys.program(name).is_some());
    found.copied().ok_or_else(|| {
        let error = Error::new("this host has neither dnf nor yum");
        error.help("`package` takes whatever manager a host has")
    })
}

impl Yum {
    /// The names that are to be there.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.0.wanted()
    }
}

impl Dnf {
    /// Packages in a state, for `package`.
    pub fn of(name: Vec<String>, state: State) -> Self {
        Self {
            name,
            state,
            ..Self::default()
        }
    }

    /// The names that are to be there; not `*`, which is what is there already.
    pub(super) fn wanted(&self) -> Vec<String> {
        let names = match self.state {
            State::Present | State::Latest => self.names(),
            State::Absent => Vec::new(),
        };
        let named = names.into_iter().filter(|name| *name != "*");
        named.map(str::to_owned).collect()
    }

    fn names(&self) -> Vec<&str> {
        let names = self.name.iter().map(|name| name.trim());
        names.filter(|name| !name.is_empty()).collect()
    }

    fn check_with(&self, sys: &Sys, program: &str) -> Result<Found<Change>, Error> {
        let names = self.names();
        let mut change = Change::default();
        let mut diff = Diff::new("packages");
        if names == ["*"] {
            if self.state != State::Latest {
                return Err(Error::new("`name: \"*\"` needs `state: latest`"));
            }
            self.plan_updates(sys, program, &[], &mut change, &mut diff)?;
        } else if !names.is_empty() {
            change.before = installed::look(sys, program, &names)?;
            self.plan_names(sys, program, &mut change, &mut diff)?;
        }
        if names.is_empty() && self.autoremove {
            let unneeded = self.get(sys, program, &["-q", "repoquery", "--unneeded"])?;
            if !unneeded.stdout.trim().is_empty() {
                for package in unneeded.stdout.lines() {
                    diff = diff.attribute(
                        package.trim(),
                        Some("present".into()),
                        Some("absent".into()),
                    );
                }
                change.calls.push(vec!["autoremove".into()]);
            }
        } else if names.is_empty() && self.update_cache {
            // Reading the repositories again is never a change by itself.
            change.calls.push(vec!["makecache".into()]);
            let outcome = Outcome::new().msg("Cache updated");
            return Ok(Found {
                change: Some(change),
                outcome,
            });
        }
        if change.calls.is_empty() {
            return Ok(Found::same(
                Outcome::new().msg("Nothing to do").with("rc", 0),
            ));
        }
        Ok(Found::change(change, Outcome::new().diff(diff)))
    }

    fn plan_names(
        &self,
        sys: &Sys,
        program: &str,
        change: &mut Change,
        diff: &mut Diff,
    ) -> Result<(), Error> {
        let mut show = |name: &str, before: &str, after: &str| {
            let made = std::mem::replace(diff, Diff::new(""));
            *diff = made.attribute(name, Some(before.into()), Some(after.into()));
        };
        let (mut install, mut update, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for package in &change.before.packages {
            let now = package.versions.first();
            match (self.state, now) {
                (State::Absent, Some(version)) => {
                    show(&package.name, version, "absent");
                    remove.push(package.name.clone());
                }
                (State::Absent, None) => {}
                (_, None) if self.update_only => {}
                (State::Present | State::Latest, None) => {
                    show(&package.name, "absent", "present");
                    install.push(package.name.clone());
                }
                (State::Latest, Some(_)) if package.kind != Kind::File => {
                    update.push(package.name.clone());
                }
                (State::Present | State::Latest, Some(_)) => {}
            }
        }
        if !install.is_empty() {
            change
                .calls
                .push([vec!["install".to_owned()], install].concat());
        }
        if !remove.is_empty() {
            let verb = if self.autoremove {
                "autoremove"
            } else {
                "remove"
            };
            change.calls.push([vec![verb.to_owned()], remove].concat());
        }
        if !update.is_empty() {
            let names: Vec<&str> = update.iter().map(String::as_str).collect();
            self.plan_updates(sys, program, &names, change, diff)?;
        }
        Ok(())
    }

    /// Asks once which of the names have updates; no name is all.
    fn plan_updates(
        &self,
        sys: &Sys,
        program: &str,
        names: &[&str],
        change: &mut Change,
        diff: &mut Diff,
    ) -> Result<(), Error> {
        let mut words = vec!["-q", "check-update"];
        words.extend(self.kinds());
        words.extend(names);
        let output = self.get(sys, program, &words)?;
        // 100 means that there are some.
        if output.rc != 0 && output.rc != 100 {
            return Err(failed(program, &words, &output));
        }
        let updates = installed::updates(&output.stdout);
        if output.rc == 0 || updates.is_empty() {
            return Ok(());
        }
        for (name, version) in updates {
            let made = std::mem::replace(diff, Diff::new(""));
            *diff = made.attribute(&name, Some("older".into()), Some(version.into()));
        }
        let verb = if program == "yum" {
            "update"
        } else {
            "upgrade"
        };
        let call = std::iter::once(verb)
            .chain(self.kinds())
            .chain(names.iter().copied());
        change.calls.push(call.map(str::to_owned).collect());
        Ok(())
    }

    fn kinds(&self) -> Vec<&'static str> {
        let kinds = [(self.security, "--security"), (self.bugfix, "--bugfix")];
        kinds
            .into_iter()
            .filter(|(is_on, _)| *is_on)
            .map(|(_, flag)| flag)
            .collect()
    }

    fn apply_with(&self, sys: &Sys, program: &str, change: &Change) -> Result<Outcome, Error> {
        let mut last = None;
        for call in &change.calls {
            let words: Vec<&str> = std::iter::once("-y")
                .chain(call.iter().map(String::as_str))
                .collect();
            sys.progress(&format!("{program} {}", call.join(" ")));
            let output = self.get(sys, program, &words)?;
            if !output.success() {
                return Err(failed(program, &words, &output));
            }
            last = Some(output);
        }
        let is_refresh = change
            .calls
            .iter()
            .all(|call| call.first().is_some_and(|verb| verb == "makecache"));
        let mut outcome = Outcome::new().with("rc", 0);
        outcome.changed = !is_refresh;
        if let Some(output) = last {
            let lines = super::command::lines(output.stdout.trim_end());
            outcome = outcome.with("results", lines);
        }
        let names: Vec<&str> = change
            .before
            .packages
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        if names.is_empty() {
            return Ok(outcome);
        }
        let after = installed::look(sys, program, &names)?;
        let mut diff = Diff::new("packages");
        let side = |versions: &[String]| {
            let text = if versions.is_empty() {
                "absent".into()
            } else {
                versions.join(", ")
            };
            Some(Value::from(text))
        };
        for (before, after) in change.before.packages.iter().zip(&after.packages) {
            diff = diff.attribute(&before.name, side(&before.versions), side(&after.versions));
        }
        Ok(if diff.is_empty() {
            outcome
        } else {
            outcome.diff(diff)
        })
    }
}

#[cfg(test)]
mod tests;
