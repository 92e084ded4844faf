//! `service_facts`: turns the host's units and scripts into the fact `services`.

use super::args::Arg;
use super::systemd::rehearsed;
use super::systemd::unit::Unit;
use super::{Error, Found, Module, Nature, Outcome, tool};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFacts {}

impl Module for ServiceFacts {
    const NAME: &'static str = "service_facts";
    const NATURE: Nature = Nature::Look;
    const ARGS: &'static [Arg] = &[];
    const DOC: &'static str = "Gathers the services of the host into `ansible_facts.services`.\n\n    - service_facts:\n    - debug: msg=\"{{ ansible_facts.services['kafka-server.service'].state }}\"\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let services = if sys
            .exists(Path::new("/run/systemd/system"))
            .unwrap_or(false)
        {
            let list = |what: &str| {
                let argv = [
                    "systemctl",
                    what,
                    "--no-pager",
                    "--no-legend",
                    "--all",
                    "--plain",
                    "--type=service",
                ];
                tool::must(sys, &argv).map(|output| output.stdout)
            };
            let mut services = of_systemd(&list("list-units")?, &list("list-unit-files")?);
            foresee(sys, &mut services);
            services
        } else {
            of_scripts(sys)
        };
        sys.miss(|| "another service".into());
        let facts = [(Value::from("services"), Value::from(services))];
        let outcome = Outcome {
            facts: facts.into_iter().collect(),
            ..Outcome::new()
        };
        Ok(Found::same(outcome))
    }

    fn apply(&self, _sys: &Sys, (): ()) -> Result<Outcome, Error> {
        Ok(Outcome::new())
    }
}

fn entry(name: &str, state: &str, status: &str, source: &str) -> Value {
    let entries = [
        ("name", name),
        ("state", state),
        ("status", status),
        ("source", source),
    ];
    let entries = entries
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()));
    entries.collect::<Mapping>().into()
}

/// Reads what `systemctl list-units` and `list-unit-files` print.
fn of_systemd(units: &str, files: &str) -> Mapping {
    let mut found = Mapping::new();
    for line in units.lines() {
        let line = line.trim_start_matches(['●', '*', '○', '×', ' ']);
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, load, active, sub, ..] = words[..] else {
            continue;
        };
        let status = match (load, active) {
            ("not-found" | "masked", _) => load,
            (_, "failed") => "failed",
            _ => "unknown",
        };
        let state = if sub == "running" {
            "running"
        } else {
            "stopped"
        };
        found.insert(name.into(), entry(name, state, status, "systemd"));
    }
    for line in files.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(status)) = (words.next(), words.next()) else {
            continue;
        };
        match found.get_mut(name) {
            Some(Value::Mapping(known)) => {
                if known["status"] == "unknown" {
                    known.insert("status".into(), status.into());
                }
            }
            _ => drop(found.insert(name.into(), entry(name, "inactive", status, "systemd"))),
        }
    }
    found
}

/// Check mode: adds services whose files earlier tasks would have made, and what they would have done to them.
fn foresee(sys: &Sys, services: &mut Mapping) {
    if sys.overlay().is_none() {
        return;
    }
    for name in rehearsed::services(sys) {
        if !services.contains_key(name.as_str()) {
            let unit = rehearsed::unread(sys, &name);
            let status = unit.property("UnitFileState");
            services.insert(
                name.as_str().into(),
                entry(&name, "inactive", status, "systemd"),
            );
        }
        let mut unit = Unit::default();
        rehearsed::recall(sys, &name, &mut unit);
        let Some(Value::Mapping(service)) = services.get_mut(name.as_str()) else {
            continue;
        };
        let state = match unit.property("ActiveState") {
            "" => None,
            "active" => Some("running"),
            _ => Some("stopped"),
        };
        if let Some(state) = state {
            service.insert("state".into(), state.into());
        }
        let status = unit.property("UnitFileState");
        if !status.is_empty() {
            service.insert("status".into(), status.into());
        }
    }
}

/// Without systemd: the scripts of `/etc/init.d`, whose states are not asked for.
fn of_scripts(sys: &Sys) -> Mapping {
    let names = sys.list(Path::new("/etc/init.d")).unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str());
    let scripts = names.filter(|name| {
        let stat = sys.stat(&Path::new("/etc/init.d").join(name));
        stat.is_ok_and(|stat| stat.is_some_and(|stat| stat.is_file() && stat.mode & 0o111 != 0))
    });
    scripts
        .map(|name| (name.into(), entry(name, "unknown", "unknown", "sysv")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_files_are_read() {
        let units = "kafka-server.service loaded active running Kafka\n\
            ● bad.service loaded failed failed Bad\n\
            gone.service not-found inactive dead gone.service\n\
            once.service loaded active exited Once\n";
        let files = "kafka-server.service enabled enabled\nonce.service static -\nnew@.service disabled enabled\n";
        let services = of_systemd(units, files);
        let shown = |name: &str| {
            let service = &services[name];
            (
                service["state"].as_str().unwrap(),
                service["status"].as_str().unwrap(),
            )
        };
        assert_eq!(shown("kafka-server.service"), ("running", "enabled"));
        assert_eq!(shown("bad.service"), ("stopped", "failed"));
        assert_eq!(shown("gone.service"), ("stopped", "not-found"));
        assert_eq!(shown("once.service"), ("stopped", "static"));
        assert_eq!(shown("new@.service"), ("inactive", "disabled"));
        assert_eq!(services["bad.service"]["source"], "systemd");
    }
}
