//! Turns words into a call of dnf or yum, with the options that the task's arguments mean.

use super::Dnf;
use crate::modules::{Error, tool};
use crate::sys::Sys;
use crate::sys::process::{Command, Output};

impl Dnf {
    pub(super) fn get(&self, sys: &Sys, program: &str, words: &[&str]) -> Result<Output, Error> {
        let mut argv: Vec<String> = vec![program.into()];
        argv.extend(
            self.disablerepo
                .iter()
                .map(|name| format!("--disablerepo={name}")),
        );
        argv.extend(
            self.enablerepo
                .iter()
                .map(|name| format!("--enablerepo={name}")),
        );
        argv.extend(self.exclude.iter().map(|name| format!("--exclude={name}")));
        let flags = [
            (self.disable_gpg_check, "--nogpgcheck"),
            (self.skip_broken, "--skip-broken"),
            (self.allowerasing, "--allowerasing"),
            (self.nobest == Some(true), "--nobest"),
            (self.cacheonly, "--cacheonly"),
            (
                self.update_cache && program != "yum" && program != "microdnf",
                "--refresh",
            ),
            (
                self.install_weak_deps == Some(false),
                "--setopt=install_weak_deps=0",
            ),
            (self.sslverify == Some(false), "--setopt=sslverify=0"),
        ];
        argv.extend(
            flags
                .iter()
                .filter(|(is_on, _)| *is_on)
                .map(|(_, flag)| (*flag).to_owned()),
        );
        let values = [
            ("--config", &self.conf_file),
            ("--installroot", &self.installroot),
            ("--releasever", &self.releasever),
            ("--disableexcludes", &self.disable_excludes),
        ];
        argv.extend(
            values
                .iter()
                .filter_map(|(flag, value)| Some(format!("{flag}={}", value.as_ref()?))),
        );
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        tool::start(sys, &Command::tool(&argv), &[program])
    }
}

/// Says what dnf said.
pub(super) fn failed(program: &str, words: &[&str], output: &Output) -> Error {
    let argv: Vec<&str> = std::iter::once(program)
        .chain(words.iter().copied())
        .collect();
    let mut error = tool::failure(&argv, output);
    error.causes.clear();
    let all = output.stdout.lines().chain(output.stderr.lines());
    let faults = all.filter(|line| {
        [
            "Error",
            "No match",
            "No package",
            "Unable to find",
            " Problem",
            "  - ",
        ]
        .iter()
        .any(|start| line.starts_with(start) && line.trim() != "Error:")
    });
    for fault in faults.take(10) {
        error = error.because(fault.trim());
    }
    if error.causes.is_empty() {
        error = error.because(output.reason());
    }
    error
}
