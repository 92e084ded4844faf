//! `hostname`: turns a name into the one that the host has, now and after its next start.

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hostname {
    name: String,
    #[serde(default, rename = "use")]
    strategy: Option<String>,
}

/// Whether the file and the running name are to change.
#[derive(Debug)]
pub struct Change {
    file: bool,
    running: bool,
}

impl Module for Hostname {
    const NAME: &'static str = "hostname";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the host's name").required(),
        Arg::new("use", ArgKind::Str, "accepted, has no effect"),
    ];
    const DOC: &'static str =
        "Sets the name of the host.\n\n    - hostname:\n        name: kafka01\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_part) {
            let error = Error::new(format!("`{}` is no host name", self.name));
            return Err(error.help("letters, digits, `-` and `.`, 64 at most"));
        }
        let (file, mut running) = names(sys);
        // Of a rehearsed change only the overlay knows.
        let notes = sys.overlay().map(|overlay| overlay.notes("hostname"));
        if let Some((_, name)) = notes.and_then(|mut notes| notes.pop()) {
            running = Some(name);
        }
        let change = Change {
            file: file.as_ref() != Some(&self.name),
            running: running.as_ref().is_some_and(|name| *name != self.name),
        };
        let outcome = self.registered();
        if !change.file && !change.running {
            return Ok(Found::same(outcome));
        }
        let before = if change.running { running } else { file };
        let diff = Diff::new("hostname");
        let diff = diff.attribute(
            "name",
            before.map(Value::from),
            Some(self.name.as_str().into()),
        );
        Ok(Found::change(change, outcome.diff(diff)))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let before = self.check(sys)?.outcome;
        if change.file {
            let text = format!("{}\n", self.name);
            sys.write_atomic(
                Path::new("/etc/hostname"),
                text.as_bytes(),
                Attributes::default(),
            )?;
        }
        if let Some(overlay) = sys.overlay() {
            overlay.note("hostname", &self.name);
        } else if change.running && sys.is_host() {
            nix::unistd::sethostname(&self.name)
                .map_err(|error| Error::new("cannot set the running host's name").because(error))?;
        }
        Ok(before.changed())
    }
}

impl Hostname {
    fn registered(&self) -> Outcome {
        let short = self.name.split('.').next().unwrap_or_default();
        let domain = self.name.split_once('.').map_or("", |(_, domain)| domain);
        let facts = [
            ("hostname", short),
            ("nodename", self.name.as_str()),
            ("fqdn", self.name.as_str()),
            ("domain", domain),
        ];
        let facts = facts
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        let mut outcome = Outcome::new().with("name", self.name.as_str());
        outcome.facts = facts.collect::<Mapping>();
        outcome
    }
}

/// The name in the file, and the one that the kernel has.
fn names(sys: &Sys) -> (Option<String>, Option<String>) {
    let line = |path: &str| {
        let text = sys.read(Path::new(path)).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.lines().map(str::trim);
        lines
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
    };
    (line("/etc/hostname"), line("/proc/sys/kernel/hostname"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Host, shown};

    #[test]
    fn the_name_is_written_once() {
        let host = Host::with("hostname", &[("/etc/hostname", "old\n")]);
        let outcome = host.converges("name: kafka01.lab.test");
        assert_eq!(shown(&outcome), "hostname: name old -> kafka01.lab.test");
        assert_eq!(outcome.facts["hostname"], "kafka01");
        assert_eq!(host.text("/etc/hostname"), "kafka01.lab.test\n");
        assert_eq!(host.fails("name: 'a b'"), "`a b` is no host name");
    }
}
