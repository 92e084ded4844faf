//! Turns a [`LabSpec`] and this machine into what a lab can stand on, or into all that stands in its way; makes nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::command::Run;
use super::engine::Engine;
use super::{Error, LabSpec, Snapshot, room, saved, stand_in};

/// Programs that every lab is made with, and the Debian packages that have them.
const TOOLS: &[(&str, &str)] = &[
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("openssl", "openssl"),
];

/// What a lab stands on.
pub(super) struct Ground {
    /// As the user wished it, with what its snapshot says.
    pub(super) spec: LabSpec,
    pub(super) engine: Engine,
    pub(super) snapshot: Option<Snapshot>,
}

/// Finds the ground of a lab, or says what stands in its way: all of it, as far as one thing does not hide another.
pub(super) fn find(root: &Path, spec: &LabSpec) -> Result<Ground, Vec<Error>> {
    let snapshot = spec.snapshot.as_deref();
    let snapshot = snapshot.map(|name| Snapshot::find(root, name)).transpose();
    let snapshot = snapshot.map_err(|error| vec![error])?;
    let mut spec = spec.clone();
    if let Some(snapshot) = &snapshot {
        spec.engine.kind = Some(snapshot.engine.kind);
        if spec.hosts.is_empty() {
            spec.hosts = snapshot.hosts().map(str::to_owned).collect();
        }
    }
    let mut faults: Vec<Error> = [names(&spec), tools(), writable(root)]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    match spec.engine.choose() {
        Ok(engine) => {
            faults.extend(taken(root, &engine, &spec).err());
            match engine.has_image(&spec.recipe().tag()) {
                Ok(has_image) => faults.extend(room::missing(&engine, root, &spec, has_image)),
                Err(error) => faults.push(error),
            }
            if faults.is_empty() {
                return Ok(Ground {
                    spec,
                    engine,
                    snapshot,
                });
            }
        }
        Err(error) => faults.push(error),
    }
    Err(faults)
}

/// That the name is another lab's.
pub(super) fn already_up(spec: &LabSpec) -> Error {
    Error::AlreadyUp {
        name: spec.name.clone(),
    }
}

fn taken(root: &Path, engine: &Engine, spec: &LabSpec) -> Result<(), Error> {
    let is_taken = saved::check_name(&spec.name).is_ok()
        && (saved::dir(root, &spec.name).exists()
            || !engine.containers(Some(&spec.name))?.is_empty());
    if is_taken {
        return Err(already_up(spec));
    }
    Ok(())
}

fn tools() -> Result<(), Error> {
    for (program, package) in TOOLS {
        // Whatever it says to that: it is there.
        Run::new(program, package).arg("-V").succeeds()?;
    }
    Ok(())
}

fn writable(root: &Path) -> Result<(), Error> {
    let there = room::there(root);
    access(there, AccessFlags::W_OK).map_err(|error| Error::file("write", root)(error.into()))
}

/// Finds faults in names.
fn names(spec: &LabSpec) -> Result<(), Error> {
    saved::check_name(&spec.name)?;
    let mut seen = BTreeSet::from(["lab-sites"]);
    for name in &spec.hosts {
        let bad = |why| {
            Err(Error::BadName {
                name: name.clone(),
                what: "host",
                why,
            })
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || name.len() > 63 {
            return bad("a name has 1 to 63 characters");
        }
        if !name.chars().all(fits) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return bad(
                "a name has letters, digits, `-`, `.` and `_`, and begins with a letter or digit",
            );
        }
        if name.parse::<IpAddr>().is_ok() || name == "localhost" {
            return bad("a host of a lab has a name of its own");
        }
        if !seen.insert(name) {
            return bad("another host has it");
        }
    }
    if spec.hosts.is_empty() || spec.hosts.len() > 200 {
        let why = "it needs 1 to 200 hosts";
        return Err(Error::BadName {
            name: spec.name.clone(),
            what: "lab",
            why,
        });
    }
    if let Some(stray) = spec.tmpfs.iter().find(|it| !spec.hosts.contains(&it.host)) {
        return Err(Error::NoSuchHost {
            lab: spec.name.clone(),
            host: stray.host.clone(),
        });
    }
    stand_in::lines(&spec.stand_ins)?;
    for name in &spec.users {
        let fits =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
            let why = "a login has small letters, digits, `-`, `_` and `.`";
            return Err(Error::BadName {
                name: name.clone(),
                what: "user",
                why,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{EngineKind, EngineSpec};

    fn spec(hosts: &[&str]) -> LabSpec {
        let hosts = hosts.iter().map(|&name| name.to_owned()).collect();
        LabSpec {
            name: "t".to_owned(),
            hosts,
            ..LabSpec::default()
        }
    }

    #[test]
    fn bad_names_are_found_before_anything_is_made() {
        for hosts in [
            &["a", "a"][..],
            &["a b"],
            &["10.0.0.1"],
            &["-x"],
            &["localhost"],
            &[],
        ] {
            assert!(names(&spec(hosts)).is_err(), "{hosts:?}");
        }
        names(&spec(&["peter-zk01.foo.bar", "broker_1"])).unwrap();
    }

    #[test]
    fn an_engine_that_does_not_work_hides_no_other_fault() {
        let spec = LabSpec {
            engine: EngineSpec {
                kind: Some(EngineKind::Docker),
                args: ["--host", "unix:///nowhere"].map(str::to_owned).into(),
                ..EngineSpec::default()
            },
            ..spec(&["10.0.0.1"])
        };
        let faults = find(Path::new("/proc/nowhere"), &spec).err().unwrap();
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(
            texts[0].contains("`10.0.0.1` cannot be the name of a host"),
            "{texts:?}"
        );
        assert!(texts.last().unwrap().contains("docker"), "{texts:?}");
    }
}
