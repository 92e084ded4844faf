//! Writes the record of a run while it goes on: each event a line, at once.

use super::{End, Error, FORMAT, Git, Header, How, Input, Inputs, Runs};
use crate::event::{Event, EventKind};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The record of a run under way.
#[derive(Debug)]
pub struct Recorder {
    dir: PathBuf,
    events: Flock<File>,
    /// What stopped the writing; the run goes on without.
    fault: Option<io::Error>,
    included: HashSet<PathBuf>,
    hosts: usize,
    changed: u32,
    failed: u32,
}

impl Recorder {
    /// Makes the record's directory below `runs` and writes what is known before the run. `beside` is asked for its
    /// git revision while the run goes on.
    pub fn begin(runs: &Runs, header: &Header, beside: &Path) -> Result<Self, Error> {
        debug_assert_eq!(header.format, FORMAT);
        let dir = runs.dir_of(&header.run);
        let start = || {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).recursive(true).create(&runs.dir)?;
            builder.recursive(false).create(&dir)?;
            let events = private(&dir.join("events.jsonl"))?;
            let events =
                Flock::lock(events, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
            write_json(&dir, "run.json", header)?;
            Ok(events)
        };
        let events = start().map_err(|error| Error::Unwritable {
            path: dir.clone(),
            error,
        })?;
        note_git(&dir, beside);
        Ok(Self {
            dir,
            events,
            fault: None,
            included: HashSet::new(),
            hosts: 0,
            changed: 0,
            failed: 0,
        })
    }

    /// Writes an event. A disk that is full stops the record, not the run.
    pub fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::TaskProgress { .. } => return,
            EventKind::RunEnded { stats, .. } => {
                self.hosts = stats.len();
                self.changed = stats.values().map(|stats| stats.changed).sum();
                self.failed = stats.values().map(|stats| stats.failed).sum();
            }
            EventKind::Included { file, .. } => self.note_included(Path::new(file)),
            _ => {}
        }
        if self.fault.is_none() {
            self.fault = self.write(event).err();
        }
    }

    /// A file whose name was computed while running is an input, too.
    fn note_included(&mut self, file: &Path) {
        if self.included.contains(file) || self.fault.is_some() {
            return;
        }
        self.included.insert(file.to_owned());
        let mut inputs = Inputs::default();
        inputs.add(file);
        let append = |input: &Input| {
            let mut options = OpenOptions::new();
            let path = self.dir.join("included.jsonl");
            let mut file = options.append(true).create(true).mode(0o600).open(path)?;
            file.write_all(format!("{}\n", serde_json::to_string(input)?).as_bytes())
        };
        let list = inputs.into_list();
        self.fault = list.iter().find_map(|input| append(input).err());
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.events.write_all(&line)
    }

    /// Writes how the run ended. Returns what could not be written.
    pub fn end(mut self, how: How, code: u8) -> Result<(), Error> {
        let end = End {
            at: super::now(),
            how,
            code,
            hosts: self.hosts,
            changed: self.changed,
            failed: self.failed,
        };
        let written = self
            .fault
            .take()
            .map_or(Ok(()), Err)
            .and_then(|()| self.events.sync_data())
            .and_then(|()| write_json(&self.dir, "end.json", &end));
        written.map_err(|error| Error::Unwritable {
            path: self.dir,
            error,
        })
    }
}

/// git may take its time in a large repository; nobody waits for it.
fn note_git(dir: &Path, beside: &Path) {
    let (dir, beside) = (dir.to_owned(), beside.to_owned());
    std::thread::spawn(move || {
        if let Some(git) = Git::of(&beside) {
            let _ = write_json(&dir, "git.json", &git);
        }
    });
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Writes a file that is there whole or not at all.
fn write_json(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let temporary = dir.join(format!(".{name}"));
    let mut text = serde_json::to_vec_pretty(content)?;
    text.push(b'\n');
    private(&temporary)?.write_all(&text)?;
    std::fs::rename(temporary, dir.join(name))
}
