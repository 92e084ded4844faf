//! `kafka_upgrade_check`: turns a host's service, running broker and new tree into all that would go wrong after the link is switched.

mod judge;
mod unit;

use super::args::{Arg, ArgKind};
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::kafka::properties::{self, Properties};
use crate::kafka::running::{self, Running};
use crate::kafka::version::Software;
use crate::sys::Sys;
use crate::value::{Value, display};
use judge::{Disk, Look};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use unit::{PROPERTIES, Unit};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KafkaUpgradeCheck {
    #[serde(default = "unit_name")]
    unit: String,
    #[serde(default = "home")]
    home: PathBuf,
    tree: PathBuf,
    version: String,
    #[serde(default)]
    min_free: Option<Value>,
}

fn unit_name() -> String {
    "kafka-server".into()
}

fn home() -> PathBuf {
    "/usr/local/kafka".into()
}

impl Module for KafkaUpgradeCheck {
    const NAME: &'static str = "kafka_upgrade_check";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[
        Arg::new(
            "unit",
            ArgKind::Str,
            "the broker's service (default kafka-server)",
        ),
        Arg::new(
            "home",
            ArgKind::Path,
            "the link that is going to be switched (default /usr/local/kafka)",
        ),
        Arg::new("tree", ArgKind::Path, "what it is going to lead to").required(),
        Arg::new("version", ArgKind::Str, "the version of Kafka in `tree`").required(),
        Arg::new(
            "min_free",
            ArgKind::Any,
            "what must be free on the disks of `tree` and of the log directories, in bytes or as `2GB` (default 2GB, or 5 % where that is less)",
        ),
    ];
    const DOC: &'static str = "Looks at everything that could keep a broker from starting, or from stopping well, once the link leads to a new tree, and changes nothing: every path that the service, the running command line and server.properties name is in the new tree, the tree holds exactly this version, the data is not inside of a tree, the JVM fits, disks have room. Fails with all problems at once. A short `TimeoutStopSec` is a warning.\n\n    - kafka_upgrade_check:\n        tree: /usr/local/kafka_2.12-2.6.0\n        version: 2.6.0\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let look = self.look(sys, self.ask_systemd(sys)?, self.broker(sys)?)?;
        let verdict = look.judge(sys)?;
        let limit = look.unit.stop_limit.map(|limit| limit.as_secs());
        let java = look.running.as_ref().and_then(|r| r.java.clone());
        let outcome = Outcome {
            warnings: verdict.warnings.clone(),
            ..Outcome::new()
        };
        let outcome = outcome
            .with("checked", verdict.checked.clone())
            .with("timeout_stop", limit.map_or(Value::Null, Value::from))
            .with("java", java.map_or(Value::Null, Value::from))
            .msg(format!(
                "nothing stands in the way of Kafka {}",
                self.version
            ));
        if verdict.problems.is_empty() {
            return Ok(Found::same(outcome));
        }
        let n_problems = match verdict.problems.len() {
            1 => "one thing stands".to_owned(),
            n => format!("{n} things stand"),
        };
        let message = format!(
            "{n_problems} in the way of Kafka {}:\n- {}",
            self.version,
            verdict.problems.join("\n- ")
        );
        Err(Error::new(message)
            .with("problems", verdict.problems)
            .with("warnings", verdict.warnings))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

impl KafkaUpgradeCheck {
    fn ask_systemd(&self, sys: &Sys) -> Result<Unit, Error> {
        let shown = ["systemctl", "show", &self.unit, "-p", PROPERTIES];
        let output = tool::ask(sys, &shown)?;
        let unit = Unit::shown(&output.stdout);
        if output.success() && !unit.programs.is_empty() {
            return Ok(unit);
        }
        let written = tool::ask(sys, &["systemctl", "cat", &self.unit])?;
        Ok(if written.success() {
            Unit::written(&written.stdout)
        } else {
            unit
        })
    }

    /// Returns the broker of this home; of several on the host, the one that was started from there.
    fn broker(&self, sys: &Sys) -> Result<Option<Running>, Error> {
        let mut brokers = running::brokers(sys).map_err(|error| Error::new(error.chain()))?;
        let is_ours = |broker: &Running| {
            let libs = broker.libs.as_deref();
            broker.server_properties.starts_with(&self.home)
                || libs.is_some_and(|libs| libs.starts_with(&self.home))
        };
        Ok(match brokers.iter().position(is_ours) {
            Some(at) => Some(brokers.swap_remove(at)),
            None if brokers.len() == 1 => brokers.pop(),
            None => None,
        })
    }

    /// Gathers what is judged, beside the files themselves.
    fn look(&self, sys: &Sys, unit: Unit, running: Option<Running>) -> Result<Look, Error> {
        let Some(version) = Software::parse(&self.version) else {
            let text = format!("`version` is no version: `{}`", self.version);
            return Err(Error::new(text));
        };
        let min_free = self.min_free.as_ref().map(|given| {
            let text = display(given);
            bytes(&text).ok_or_else(|| {
                Error::new(format!(
                    "`min_free` is neither bytes nor like `2GB`: `{text}`"
                ))
            })
        });
        let old = if sys.exists(&self.home)? {
            Some(sys.resolve(&self.home)?)
        } else {
            None
        };
        let server = self.server(sys, running.as_ref())?;
        let mut look = Look {
            unit_name: self.unit.clone(),
            home: self.home.clone(),
            old,
            tree: self.tree.clone(),
            version,
            min_free: min_free.transpose()?,
            disks: Vec::new(),
            unit,
            running,
            server,
        };
        let places = std::iter::once(self.tree.clone()).chain(look.log_dirs());
        look.disks = places.filter_map(|place| disk(sys, place)).collect();
        Ok(look)
    }

    /// Returns the settings that the new tree is going to be started with; the old ones where it has none yet.
    fn server(&self, sys: &Sys, running: Option<&Running>) -> Result<Properties, Error> {
        let conventional = self.home.join("config/server.properties");
        let named = running.map_or(conventional, |r| r.server_properties.clone());
        let moved = named
            .strip_prefix(&self.home)
            .map(|path| self.tree.join(path));
        for path in moved.into_iter().chain([named]) {
            if sys.stat(&path)?.is_some_and(|stat| stat.is_file()) {
                let text = sys.read(&path)?;
                let mut server = properties::parse(&String::from_utf8_lossy(&text));
                server.extend(running.iter().flat_map(|r| r.overrides.clone()));
                return Ok(server);
            }
        }
        Ok(Properties::new())
    }
}

/// Reads `2GB`, `2 GiB`, `500M`, `1073741824`: powers of 1024, as memory and disks are counted here.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let shift = match text[end..]
        .trim()
        .trim_end_matches('b')
        .trim_end_matches('i')
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let (whole, part) = text[..end].split_once('.').unwrap_or((&text[..end], ""));
    let tenth: u64 = part.get(..1).map_or(Some(0), |digit| digit.parse().ok())?;
    let whole: u64 = whole.parse().ok()?;
    whole
        .checked_mul(1 << shift)?
        .checked_add((1 << shift) / 10 * tenth)
}

/// Looks at the disk of a path, or of the nearest directory above it that is there.
fn disk(sys: &Sys, place: PathBuf) -> Option<Disk> {
    let there = place
        .ancestors()
        .find(|path| sys.exists(path).unwrap_or(false))
        .unwrap_or(Path::new("/"))
        .to_path_buf();
    let seen = nix::sys::statvfs::statvfs(&sys.real(&there)).ok()?;
    Some(Disk {
        free: seen.blocks_available().saturating_mul(seen.fragment_size()),
        total: seen.blocks().saturating_mul(seen.fragment_size()),
        place,
    })
}

#[cfg(test)]
mod tests;
