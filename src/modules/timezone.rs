//! `timezone`: turns a zone's name into the link and the file by which a host knows it.

use super::args::{Arg, ArgKind};
use super::diff::Diff;
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::diag::nearest;
use crate::sys::Sys;
use crate::sys::fs::Attributes;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const ZONES: &str = "/usr/share/zoneinfo";
const LINK: &str = "/etc/localtime";
const FILE: &str = "/etc/timezone";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timezone {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    hwclock: Option<String>,
}

/// What is not as wished.
#[derive(Debug, Default)]
pub struct Change {
    link: bool,
    file: bool,
    clock: bool,
}

impl Module for Timezone {
    const NAME: &'static str = "timezone";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("name", ArgKind::Str, "the zone, as in /usr/share/zoneinfo"),
        Arg::new(
            "hwclock",
            ArgKind::Str,
            "what the hardware's clock runs in: UTC or local",
        )
        .aliases(&["rtc"])
        .choices(&["UTC", "local"]),
    ];
    const DOC: &'static str =
        "Sets the time zone of the host.\n\n    - timezone:\n        name: Asia/Seoul\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let mut change = Change::default();
        let mut diff = Diff::new("time zone");
        if let Some(name) = &self.name {
            check_zone(sys, name)?;
            let (link, file) = (linked(sys)?, written(sys)?);
            change.link = link.as_deref() != Some(name);
            change.file = match &file {
                Some(file) => file != name,
                None => sys.exists(Path::new("/etc/debian_version"))?,
            };
            let before = if change.link { link } else { file };
            if change.link || change.file {
                diff = diff.attribute("name", before.map(Value::from), Some(name.as_str().into()));
            }
        }
        if let Some(clock) = &self.hwclock {
            let now = clock_of(sys);
            change.clock = now != *clock;
            diff = diff.attribute("hwclock", Some(now.into()), Some(clock.as_str().into()));
        }
        let outcome = Outcome::new();
        if diff.is_empty() {
            return Ok(Found::same(outcome));
        }
        Ok(Found::change(change, outcome.diff(diff)))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let before = self.check(sys)?;
        let name = self.name.as_deref().unwrap_or_default();
        if change.link {
            // Relative, as timedatectl makes it: right for images that are mounted elsewhere, too.
            let target = PathBuf::from(format!("..{ZONES}/{name}"));
            sys.symlink(&target, Path::new(LINK))?;
        }
        if change.file {
            sys.write_atomic(
                Path::new(FILE),
                format!("{name}\n").as_bytes(),
                Attributes::default(),
            )?;
        }
        if change.clock {
            let flag = if self.hwclock.as_deref() == Some("local") {
                "1"
            } else {
                "0"
            };
            if sys.overlay().is_none() {
                tool::must(sys, &["timedatectl", "set-local-rtc", flag])?;
            }
        }
        Ok(before.outcome)
    }
}

fn check_zone(sys: &Sys, name: &str) -> Result<(), Error> {
    if name.contains("..") || name.starts_with('/') {
        return Err(Error::new(format!("`{name}` is no time zone")));
    }
    let file = Path::new(ZONES).join(name);
    if sys.stat(&file)?.is_some_and(|stat| stat.is_file()) {
        return Ok(());
    }
    if !sys.exists(Path::new(ZONES))? {
        let error = Error::new("this host has no time zones");
        return Err(error.help("install the package `tzdata` first"));
    }
    let table = sys
        .read(&Path::new(ZONES).join("tzdata.zi"))
        .unwrap_or_default();
    let table = String::from_utf8_lossy(&table).into_owned();
    let zones = table
        .lines()
        .filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            ["Z", name, ..] | ["L", _, name] => Some(name),
            _ => None,
        });
    let error = Error::new(format!("no time zone `{name}` on this host"));
    Err(match nearest(name, zones) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    })
}

/// The zone that the link names; a copied file is held against none.
fn linked(sys: &Sys) -> Result<Option<String>, Error> {
    let stat = sys.lstat(Path::new(LINK))?;
    let target = stat.and_then(|stat| stat.link_target);
    Ok(target.and_then(|target| {
        let target = target.to_string_lossy().into_owned();
        target
            .split_once("zoneinfo/")
            .map(|(_, name)| name.to_owned())
    }))
}

fn written(sys: &Sys) -> Result<Option<String>, Error> {
    if !sys.exists(Path::new(FILE))? {
        return Ok(None);
    }
    let text = sys.read(Path::new(FILE))?;
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()))
}

fn clock_of(sys: &Sys) -> &'static str {
    let text = sys.read(Path::new("/etc/adjtime")).unwrap_or_default();
    match String::from_utf8_lossy(&text).lines().nth(2) {
        Some("LOCAL") => "local",
        _ => "UTC",
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Host, shown};

    fn host(files: &[(&str, &str)]) -> Host {
        let zones = [
            ("/usr/share/zoneinfo/Asia/Seoul", "TZif"),
            ("/usr/share/zoneinfo/UTC", "TZif"),
            (
                "/usr/share/zoneinfo/tzdata.zi",
                "Z Asia/Seoul 8:27 - LMT\nL Etc/UTC UTC\n",
            ),
            ("/etc/hosts", ""),
        ];
        Host::with("timezone", &[&zones, files].concat())
    }

    #[test]
    fn the_link_is_set_and_the_file_where_there_is_one() {
        let host = host(&[("/etc/timezone", "UTC\n")]);
        let outcome = host.converges("name: Asia/Seoul");
        assert_eq!(shown(&outcome), "time zone: name  -> Asia/Seoul");
        let target = host.lstat("/etc/localtime").link_target.unwrap();
        assert_eq!(target.to_str(), Some("../usr/share/zoneinfo/Asia/Seoul"));
        assert_eq!(host.text("/etc/timezone"), "Asia/Seoul\n");
        let outcome = host.converges("name: UTC");
        assert_eq!(shown(&outcome), "time zone: name Asia/Seoul -> UTC");
    }

    #[test]
    fn a_host_that_is_no_debian_gets_no_file() {
        let host = host(&[("/etc/redhat-release", "")]);
        host.converges("name: Asia/Seoul");
        assert_eq!(host.names("/etc"), ["hosts", "localtime", "redhat-release"]);
    }

    #[test]
    fn an_unknown_zone_is_an_error_with_the_nearest() {
        let host = host(&[]);
        let error = host.run("name: Asia/Soeul").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `Asia/Seoul`?"));
        assert!(
            host.fails("name: ../../etc/passwd")
                .contains("no time zone")
        );
    }
}
