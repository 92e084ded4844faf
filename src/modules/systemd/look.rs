//! Turns a unit's name into the unit, as systemd and the tasks of a plan before this one have it.

use super::files::has_file;
use super::{Systemd, Unit, rehearsed};
use crate::diag::nearest;
use crate::modules::{Error, tool};
use crate::sys::Sys;
use crate::sys::process::{Command, Output};
use std::path::Path;

impl Systemd {
    /// Asks systemd for the unit, once.
    pub(super) fn look(&self, sys: &Sys, name: &str) -> Result<Unit, Error> {
        sys.meet(&rehearsed::noted(name));
        let is_global = self.scope.as_deref() == Some("global");
        if is_global
            || !sys
                .exists(Path::new("/run/systemd/system"))
                .unwrap_or(false)
        {
            return self.look_offline(sys, name, is_global);
        }
        let output = self.ask(sys, &["show", name])?;
        if !output.success() {
            return Err(tool::failure(&["systemctl", "show", name], &output));
        }
        let mut unit = Unit::parse(&output.stdout);
        if !unit.is_found() {
            if !has_file(sys, name) {
                return Err(self.not_found(sys, name));
            }
            unit = rehearsed::unread(sys, name);
        }
        let is_of_system = matches!(self.scope.as_deref(), None | Some("system"));
        let is_foreseen = rehearsed::recall(sys, name, &mut unit)
            | (is_of_system && rehearsed::read_anew(sys, name, &mut unit));
        if self.enabled.is_some() && !is_foreseen {
            self.look_at_links(sys, name, &mut unit)?;
        }
        Ok(unit)
    }

    /// Asks what `systemctl show` does not say or says of an older file: whether the unit starts with the host.
    fn look_at_links(&self, sys: &Sys, name: &str, unit: &mut Unit) -> Result<(), Error> {
        let is_older = unit.property("NeedDaemonReload") == "yes";
        let word = match unit.property("UnitFileState") {
            // SysV scripts: only is-enabled looks at their links.
            "" | "generated" | "bad" => {
                let answer = self.ask(sys, &["is-enabled", name])?;
                if answer.success() {
                    "enabled".into()
                } else {
                    "disabled".into()
                }
            }
            // Which units its `Also=` names are enabled, or who wants it by its other name, only this tells.
            "indirect" | "alias" => {
                let answer = self.ask(sys, &["is-enabled", "--full", name])?;
                let is_wanted = |line: &str| {
                    [".wants/", ".requires/", ".upholds/"]
                        .iter()
                        .any(|place| line.contains(place))
                };
                if answer.stdout.lines().any(is_wanted) {
                    "enabled".into()
                } else {
                    first_line(&answer)
                }
            }
            _ if is_older => {
                let answer = self.ask(sys, &["is-enabled", name])?;
                first_line(&answer)
            }
            _ => return Ok(()),
        };
        unit.set("UnitFileState", &word);
        Ok(())
    }

    /// Without a running systemd (an image being built) links can still be looked at and made.
    fn look_offline(&self, sys: &Sys, name: &str, is_global: bool) -> Result<Unit, Error> {
        if self.state.is_some() {
            let what = if is_global {
                "units of scope `global` have no state"
            } else {
                "systemd does not run on this host"
            };
            return Err(Error::new(what).help("without `state`, `enabled` and `masked` still work"));
        }
        let answer = self.ask(sys, &["is-enabled", name])?;
        let word = first_line(&answer);
        let mut unit = rehearsed::unread(sys, name);
        if word.is_empty() || word == "not-found" {
            if sys.overlay().is_none() || !has_file(sys, name) {
                return Err(self.not_found(sys, name).because(answer.reason()));
            }
        } else {
            unit.set("UnitFileState", &word);
        }
        rehearsed::recall(sys, name, &mut unit);
        if !is_global {
            rehearsed::read_anew(sys, name, &mut unit);
        }
        Ok(unit)
    }

    fn not_found(&self, sys: &Sys, name: &str) -> Error {
        sys.miss(|| format!("the unit `{name}`"));
        let listed = self.ask(sys, &["list-unit-files", "--no-legend", "--no-pager"]);
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let known = listed.lines().filter_map(|line| {
            let word = line.split_whitespace().next()?;
            Some(word.strip_suffix(".service").unwrap_or(word))
        });
        let wanted = name.strip_suffix(".service").unwrap_or(name);
        // Ansible's own words: playbooks search for them in the result.
        let error = Error::new(format!("Could not find the requested service {name}: host"))
            .because("no such unit on this host");
        let near = nearest(wanted, known.clone())
            .or_else(|| known.into_iter().find(|unit| unit.contains(wanted)));
        match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("its file must lie in /etc/systemd/system or come with a package"),
        }
    }

    pub(super) fn ask(&self, sys: &Sys, words: &[&str]) -> Result<Output, Error> {
        let mut argv = vec!["systemctl"];
        match self.scope.as_deref() {
            Some("user") => argv.push("--user"),
            Some("global") => argv.push("--global"),
            _ => {}
        }
        argv.extend(words);
        let mut command = Command::tool(&argv);
        if matches!(words, ["show" | "is-enabled" | "list-unit-files", ..]) {
            command = command.only_reads();
        }
        if self.scope.as_deref() == Some("user") && sys.variable("XDG_RUNTIME_DIR").is_none() {
            let directory = format!("/run/user/{}", nix::unistd::Uid::effective());
            command = command.env("XDG_RUNTIME_DIR", &directory);
        }
        tool::start(sys, &command, &argv)
    }
}

fn first_line(output: &Output) -> String {
    let line = output.stdout.lines().next().unwrap_or_default();
    line.trim().to_owned()
}
