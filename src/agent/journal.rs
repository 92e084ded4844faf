//! Keeps what began and what ended on this host, one JSON line a mark, so that a lost controller can ask.

use crate::proto::{JournalEntry, JournalMark, Seq};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Above this size, in bytes, the older half of the journal is forgotten when an agent starts.
const LIMIT: u64 = 256 << 10;

/// The journal of one login user on this host.
pub(super) struct Journal {
    file: Mutex<File>,
    run: String,
    host: String,
}

impl Journal {
    /// Opens the journal at `path`, making it where there is none.
    pub(super) fn open(path: &Path, run: &str, host: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)?;
        if file.metadata()?.len() > LIMIT {
            shorten(&mut file)?;
        }
        close_last_line(&mut file)?;
        Ok(Self {
            file: Mutex::new(file),
            run: run.to_owned(),
            host: host.to_owned(),
        })
    }

    /// Adds a mark. `Began` is on the disk when this returns; the others follow with the next.
    pub(super) fn mark(&self, seq: Seq, name: &str, what: JournalMark) -> io::Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        let entry = JournalEntry {
            run: self.run.clone(),
            host: self.host.clone(),
            seq,
            name: name.to_owned(),
            at: at.map_or(0, |at| at.as_secs()),
            what,
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        if what == JournalMark::Began {
            file.sync_data()?;
        }
        Ok(())
    }

    /// Returns all entries, newest last. A line cut off by a crash is left out.
    pub(super) fn entries(&self) -> io::Result<Vec<JournalEntry>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        Ok(text
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }
}

/// A crash may have cut the last line off: what comes next begins on one of its own.
fn close_last_line(file: &mut File) -> io::Result<()> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn shorten(file: &mut File) -> io::Result<()> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    let half = text.len() / 2;
    let cut = text[half..]
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(text.len(), |at| half + at + 1);
    file.set_len(0)?;
    file.write_all(&text[cut..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entries_survive_when_it_grows_too_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = Journal::open(&path, "r1", "h").unwrap();
        for seq in 0..5000 {
            journal
                .mark(seq, "play › task", JournalMark::Cancelled)
                .unwrap();
        }
        let journal = Journal::open(&path, "r2", "h").unwrap();
        journal.mark(1, "next", JournalMark::Began).unwrap();
        let entries = journal.entries().unwrap();
        assert!(path.metadata().unwrap().len() < LIMIT);
        assert_eq!(entries[entries.len() - 2].seq, 4999);
        assert_eq!(entries[entries.len() - 1].run, "r2");
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "{\"run\":\"r").unwrap();
        let journal = Journal::open(&path, "r", "h").unwrap();
        journal.mark(1, "next", JournalMark::Began).unwrap();
        assert_eq!(journal.entries().unwrap().len(), 1);
    }
}
