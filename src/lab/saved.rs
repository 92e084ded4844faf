//! Turns what labs left on disk and in the engine's store back into labs, and removes both.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::engine::Engine;
use super::{EngineSpec, Error, Lab};

/// One line of the list of labs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The lab's name.
    pub name: String,
    /// How many of its containers run.
    pub running: usize,
    /// How many containers it has.
    pub containers: usize,
    /// Whether its own files are here; if not, it was made with another root, or is half removed.
    pub known: bool,
}

impl Display for Listed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            running,
            containers,
            known,
        } = self;
        write!(out, "{name}: {running} of {containers} hosts running")?;
        if !known {
            write!(out, ", not usable; remove it with `krun lab down {name}`")?;
        }
        Ok(())
    }
}

/// Where one lab's files are.
pub(super) fn dir(root: &Path, name: &str) -> PathBuf {
    root.join("labs").join(name)
}

/// Keeps a finished lab; from here on it can be found.
pub(super) fn write(lab: &Lab) -> Result<(), Error> {
    let path = lab.dir.join("lab.json");
    let text = serde_json::to_string_pretty(lab).map_err(|error| Error::File {
        verb: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    fs::write(&path, text).map_err(Error::file("write", &path))
}

pub(super) fn read(root: &Path, name: &str) -> Result<Lab, Error> {
    check_name(name)?;
    let path = dir(root, name).join("lab.json");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::NoSuchLab {
                name: name.to_owned(),
            });
        }
        read => read.map_err(Error::file("read", &path))?,
    };
    serde_json::from_str(&text).map_err(|error| Error::File {
        verb: "read",
        path,
        source: error.into(),
    })
}

pub(super) fn list(root: &Path, spec: &EngineSpec) -> Result<Vec<Listed>, Error> {
    let mut containers = Vec::new();
    let mut names: BTreeSet<String> = kept(root)?.into_iter().collect();
    for engine in engines(root, spec)? {
        names.extend(engine.networks()?);
        containers.extend(engine.containers(None)?);
    }
    names.extend(containers.iter().map(|known| known.lab.clone()));
    let listed = names.into_iter().map(|name| {
        let mine = || containers.iter().filter(|known| known.lab == name);
        let (running, containers) = (mine().filter(|known| known.running).count(), mine().count());
        let known = read(root, &name).is_ok();
        Listed {
            name,
            running,
            containers,
            known,
        }
    });
    Ok(listed.collect())
}

/// The labs that are whole.
pub(super) fn usable(root: &Path, spec: &EngineSpec) -> Result<Vec<Lab>, Error> {
    let listed = list(root, spec)?.into_iter().filter(|listed| listed.known);
    listed.map(|listed| read(root, &listed.name)).collect()
}

/// The engines that may hold something of krun's: those that work here, and those that labs were made with, of which
/// one that does not answer hides no lab but its own.
fn engines(root: &Path, spec: &EngineSpec) -> Result<Vec<Engine>, Error> {
    let mut all = spec.all_that_work();
    for name in kept(root)? {
        if let Ok(lab) = read(root, &name)
            && !all.contains(&lab.engine)
            && lab.engine.networks().is_ok()
        {
            all.push(lab.engine);
        }
    }
    // Arguments of hosts make no other store.
    all.dedup_by(|one, other| one.kind == other.kind && one.args == other.args);
    if all.is_empty() {
        spec.choose()?;
    }
    Ok(all)
}

pub(super) fn down(root: &Path, spec: &EngineSpec, name: &str) -> Result<(), Error> {
    check_name(name)?;
    if let Ok(lab) = read(root, name) {
        return remove(&lab.engine, root, name);
    }
    if !list(root, spec)?.iter().any(|listed| listed.name == name) {
        return Err(Error::NoSuchLab {
            name: name.to_owned(),
        });
    }
    for engine in engines(root, spec)? {
        engine.remove(name)?;
    }
    remove_files(root, name)
}

pub(super) fn down_all(root: &Path, spec: &EngineSpec) -> Result<Vec<String>, Error> {
    let names: Vec<String> = list(root, spec)?
        .into_iter()
        .map(|listed| listed.name)
        .collect();
    for name in &names {
        down(root, spec, name)?;
    }
    Ok(names)
}

/// Removes all that bears the lab's name; what is not there is well, too.
pub(super) fn remove(engine: &Engine, root: &Path, name: &str) -> Result<(), Error> {
    engine.remove(name)?;
    remove_files(root, name)
}

/// Removes what was made of a lab that did not come up. Its engine may still be busy with that.
pub(super) fn clear(engine: &Engine, root: &Path, name: &str) {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        if remove(engine, root, name).is_ok() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn remove_files(root: &Path, name: &str) -> Result<(), Error> {
    let dir = dir(root, name);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove", &dir)(error))
        }
        _ => Ok(()),
    }
}

/// The labs whose files are here.
fn kept(root: &Path) -> Result<Vec<String>, Error> {
    let labs = root.join("labs");
    let entries = match fs::read_dir(&labs) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::file("read", &labs))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| check_name(name).is_ok()).collect())
}

/// A lab's name is a directory, a label and part of container names.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 30 || name.starts_with('-') || !name.chars().all(fits) {
        let why = "1 to 30 small letters, digits and `-`, not beginning with `-`";
        return Err(Error::BadName {
            name: name.to_owned(),
            what: "lab",
            why,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Host;

    #[test]
    fn lab_that_was_written_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let host = Host {
            name: "a.b".to_owned(),
            address: "10.0.0.10".to_owned(),
            container: "krun-t.a.b".to_owned(),
            port: None,
        };
        let dir = dir(root.path(), "t");
        fs::create_dir_all(&dir).unwrap();
        write(&Lab {
            name: "t".to_owned(),
            hosts: vec![host.clone()],
            server: None,
            sites: Vec::new(),
            engine: Engine::default(),
            dir,
        })
        .unwrap();
        let lab = read(root.path(), "t").unwrap();
        assert_eq!(lab.host("a.b").unwrap(), &host);
        assert_eq!(
            lab.host("c").unwrap_err().to_string(),
            "the lab `t` has no host named `c`"
        );
    }

    #[test]
    fn another_labs_engine_that_does_not_answer_is_not_asked() {
        let root = tempfile::tempdir().unwrap();
        let dead = Engine {
            kind: crate::lab::EngineKind::Docker,
            args: ["--host", "unix:///nowhere/docker.sock"]
                .map(str::to_owned)
                .into(),
            ..Engine::default()
        };
        let dir = dir(root.path(), "t");
        fs::create_dir_all(&dir).unwrap();
        write(&Lab {
            name: "t".to_owned(),
            hosts: Vec::new(),
            server: None,
            sites: Vec::new(),
            engine: dead.clone(),
            dir,
        })
        .unwrap();
        // Where no engine is at all, none is found.
        let found = engines(root.path(), &EngineSpec::default()).unwrap_or_default();
        assert!(!found.contains(&dead), "{found:?}");
        let error = down(root.path(), &EngineSpec::default(), "t").unwrap_err();
        assert!(error.to_string().contains("docker"), "{error}");
    }

    #[test]
    fn name_cannot_lead_out_of_the_directory() {
        for name in ["..", "a/b", "", "-f", "A", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(
            read(Path::new("/nowhere"), "gone").unwrap_err().to_string(),
            "no lab is named `gone`"
        );
    }

    #[test]
    fn lab_without_its_files_says_how_to_remove_it() {
        let listed = Listed {
            name: "t".to_owned(),
            running: 0,
            containers: 3,
            known: false,
        };
        assert_eq!(
            listed.to_string(),
            "t: 0 of 3 hosts running, not usable; remove it with `krun lab down t`"
        );
    }
}
