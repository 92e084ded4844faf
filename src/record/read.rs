//! Finds the records of a directory and reads them back; forgets the oldest.

use super::{End, Error, FORMAT, Git, Header, How};
use crate::event::Event;
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// The records below one directory.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) dir: PathBuf,
}

/// How a recorded run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ended(How),
    Running,
    /// krun was killed, or its machine went down.
    Killed,
}

impl State {
    /// Whether there is something left that a later run could go on with.
    pub fn is_stopped(self) -> bool {
        !matches!(self, Self::Ended(How::Ok) | Self::Running)
    }
}

/// A recorded run.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub dir: PathBuf,
    pub header: Header,
    pub state: State,
    pub end: Option<End>,
    pub git: Option<Git>,
}

impl Runs {
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn dir_of(&self, run: &str) -> PathBuf {
        self.dir.join(run)
    }

    /// Returns the names of all records, the oldest first.
    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(Error::Unreadable {
                    path: self.dir.clone(),
                    error,
                });
            }
        };
        let mut names: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("run.json").exists())
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let meta = entry.metadata().ok()?;
                let made = meta.created().or_else(|_| meta.modified()).ok();
                let second = name.split('-').next().unwrap_or_default().to_owned();
                // Names begin with the second; the numbers behind it are no order: processes' numbers begin anew.
                Some((second, made, name.len(), name))
            })
            .collect();
        names.sort();
        Ok(names.into_iter().map(|(.., name)| name).collect())
    }

    /// Returns all records that can be read, the oldest first.
    pub fn all(&self) -> Result<Vec<Recorded>, Error> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|name| Recorded::read(&self.dir_of(name)).ok())
            .collect())
    }

    /// Returns the newest record of its kind. One that cannot be read may be it, and is an error.
    pub fn newest(&self, is_wanted: impl Fn(&Recorded) -> bool) -> Result<Option<Recorded>, Error> {
        for name in self.names()?.iter().rev() {
            let run = Recorded::read(&self.dir_of(name))?;
            if is_wanted(&run) {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// Finds a run by its name, by how its name begins, or the newest as `last`.
    pub fn find(&self, text: &str) -> Result<Recorded, Error> {
        let names = self.names()?;
        let exact = names.iter().find(|name| *name == text);
        let name = match (text, exact) {
            (_, Some(name)) => name,
            ("last", None) => names
                .last()
                .ok_or_else(|| Error::NoSuchRun(text.to_owned()))?,
            (_, None) => {
                let begin: Vec<_> = names.iter().filter(|name| name.starts_with(text)).collect();
                match begin[..] {
                    [] => return Err(Error::NoSuchRun(text.to_owned())),
                    [one] => one,
                    _ => {
                        let runs: Vec<_> = begin.iter().map(|name| name.as_str()).collect();
                        return Err(Error::Ambiguous {
                            text: text.to_owned(),
                            runs: runs.join(", "),
                        });
                    }
                }
            }
        };
        Recorded::read(&self.dir_of(name))
    }

    /// Removes the oldest records, so that `kept` are left; never one of a run that goes on.
    pub fn prune(&self, kept: usize) -> Result<(), Error> {
        let names = self.names()?;
        let surplus = names.len().saturating_sub(kept.max(1));
        for name in names.iter().take(surplus) {
            let dir = self.dir_of(name);
            if !is_running(&dir) {
                std::fs::remove_dir_all(&dir)
                    .map_err(|error| Error::Unwritable { path: dir, error })?;
            }
        }
        Ok(())
    }
}

impl Recorded {
    fn read(dir: &Path) -> Result<Self, Error> {
        let unreadable = |error| Error::Unreadable {
            path: dir.to_owned(),
            error,
        };
        let header: serde_json::Value = json(dir, "run.json").map_err(unreadable)?;
        let word = |name: &str| header.get(name).cloned().unwrap_or_default();
        if word("format").as_u64() != Some(u64::from(FORMAT)) {
            let krun = word("krun").as_str().unwrap_or("of another kind").into();
            return Err(Error::Newer {
                path: dir.to_owned(),
                krun,
            });
        }
        let mut header: Header =
            serde_json::from_value(header).map_err(|error| unreadable(error.into()))?;
        let included = std::fs::read_to_string(dir.join("included.jsonl")).unwrap_or_default();
        let included = included
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        header.inputs.extend(included);
        let end: Option<End> = json(dir, "end.json").ok();
        let state = match &end {
            Some(end) => State::Ended(end.how),
            None if is_running(dir) => State::Running,
            None => State::Killed,
        };
        Ok(Self {
            dir: dir.to_owned(),
            header,
            state,
            end,
            git: json(dir, "git.json").ok(),
        })
    }

    /// Reads the events in their order; a last line that was cut off by a crash is left out.
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        let path = self.dir.join("events.jsonl");
        let read = || {
            let lines = BufReader::new(File::open(&path)?).split(b'\n');
            let mut events = Vec::new();
            for line in lines {
                match serde_json::from_slice(&line?) {
                    Ok(event) => events.push(event),
                    Err(error) if error.is_eof() => break,
                    Err(error) => return Err(io::Error::from(error)),
                }
            }
            Ok(events)
        };
        read().map_err(|error| Error::Unreadable { path, error })
    }
}

fn json<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<T> {
    Ok(serde_json::from_slice(&std::fs::read(dir.join(name))?)?)
}

/// A run holds a lock on its events as long as it lives.
fn is_running(dir: &Path) -> bool {
    File::open(dir.join("events.jsonl"))
        .is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
}
