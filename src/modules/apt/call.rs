//! Turns what is to be done into calls of apt-get, with the options that the task's arguments mean.

use super::{Apt, status};
use crate::modules::{Error, tool};
use crate::sys::Sys;
use crate::sys::process::{Command, Output};
use std::path::Path;

impl Apt {
    /// What apt-get would install: name, version now, version then.
    pub(super) fn simulate(
        &self,
        sys: &Sys,
        verb: &str,
        words: &[String],
    ) -> Result<Vec<(String, Option<String>, String)>, Error> {
        let mut argv = vec!["-s", verb];
        argv.extend(words.iter().map(String::as_str));
        let output = self.get(sys, &argv)?;
        if !output.success() {
            return Err(failed(&argv, &output));
        }
        Ok(status::simulated(&output.stdout))
    }

    pub(super) fn update(&self, sys: &Sys) -> Result<(), Error> {
        sys.progress("apt-get update");
        let output = self.get(sys, &["update"])?;
        if output.success() {
            return Ok(());
        }
        Err(failed(&["update"], &output))
    }

    /// Makes one call; where the lists do not know a package, reads them again once.
    pub(super) fn call(
        &self,
        sys: &Sys,
        words: &[String],
        is_updated: bool,
    ) -> Result<Output, Error> {
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
        Err(failed(&words, &output))
    }

    pub(super) fn get(&self, sys: &Sys, words: &[&str]) -> Result<Output, Error> {
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

    pub(super) fn lists_are_new(&self, sys: &Sys) -> bool {
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

fn failed(words: &[&str], output: &Output) -> Error {
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
