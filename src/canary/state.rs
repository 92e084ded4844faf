//! What the producer knows becomes lines of a file, each flushed at once, and lines become runs again.
//!
//! A run begins with its own line; the lines after it belong to it:
//!
//! ```text
//! run 5f0c2a19 topic=orders acks=all partitions=6 started=1700000000000
//! ack KEY NUMBER SEQUENCE PARTITION OFFSET TIME
//! fail KEY NUMBER SEQUENCE PARTITION TIME the error's text
//! sent COUNT TIME
//! end COUNT TIME
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::options::Acks;

/// Why a state file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is in use by another producer", .0.display())]
    InUse(PathBuf),
    #[error("`{}` line {line}: `{text}` is not a line of a canary's state", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        text: String,
    },
}

/// A record that was acknowledged. The offset is −1 where the broker did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) key: u32,
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since the epoch.
    pub(crate) time: u64,
}

/// One start of the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) acks: Acks,
    /// Partitions that get records.
    pub(crate) partitions: usize,
    /// Milliseconds since the epoch.
    pub(crate) started: u64,
    /// When sending ended; as far as is known.
    pub(crate) stopped: u64,
    /// As far as is known: a killed producer may have sent a few more.
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) acked: Vec<Ack>,
}

/// The file, open for one run.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
}

impl Writer {
    /// Adds to `path` and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .create(true)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut writer = Self { file };
        // A line that a killed run left half shall not swallow this run's first.
        let before = std::fs::read(path).map_err(io)?;
        if !before.is_empty() && !before.ends_with(b"\n") {
            writer.line("").map_err(io)?;
        }
        Ok(writer)
    }

    pub(crate) fn run(
        &mut self,
        id: &str,
        topic: &str,
        acks: Acks,
        partitions: usize,
        started: u64,
    ) -> io::Result<()> {
        let acks = acks.word();
        self.line(&format!(
            "run {id} topic={topic} acks={acks} partitions={partitions} started={started}"
        ))
    }

    pub(crate) fn ack(&mut self, ack: &Ack) -> io::Result<()> {
        let Ack {
            key,
            number,
            sequence,
            partition,
            offset,
            time,
        } = ack;
        self.line(&format!(
            "ack {key} {number} {sequence} {partition} {offset} {time}"
        ))
    }

    /// The ack's offset does not matter here.
    pub(crate) fn fail(&mut self, record: &Ack, why: &str) -> io::Result<()> {
        let Ack {
            key,
            number,
            sequence,
            partition,
            time,
            ..
        } = record;
        self.line(&format!(
            "fail {key} {number} {sequence} {partition} {time} {why}"
        ))
    }

    pub(crate) fn sent(&mut self, count: u64, time: u64) -> io::Result<()> {
        self.line(&format!("sent {count} {time}"))
    }

    pub(crate) fn end(&mut self, count: u64, time: u64) -> io::Result<()> {
        self.line(&format!("end {count} {time}"))
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        // One write a line: a kill leaves at most the last line half.
        self.file.write_all(format!("{text}\n").as_bytes())
    }
}

/// Reads all runs. A half last line, as a killed producer leaves it, is passed over.
pub(crate) fn read(path: &Path) -> Result<Vec<Run>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, text)| Error::Line {
        path: path.to_owned(),
        line,
        text,
    })
}

/// The runs in `text`, or the first line that does not belong there.
fn parse(text: &str) -> Result<Vec<Run>, (usize, String)> {
    let mut runs: Vec<Run> = Vec::new();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(whole) = line.strip_suffix('\n') else {
            break;
        };
        // Half a line is always followed by the next run's first.
        let cut_short = lines
            .get(index + 1)
            .is_none_or(|next| next.starts_with("run "));
        if !whole.is_empty() && take(&mut runs, whole).is_none() && !cut_short {
            return Err((index + 1, whole.to_owned()));
        }
    }
    for run in &mut runs {
        run.sent = run.sent.max(run.acked.len() as u64 + run.failed);
    }
    Ok(runs)
}

fn take(runs: &mut Vec<Run>, line: &str) -> Option<()> {
    let (kind, rest) = line.split_once(' ')?;
    let mut words = rest.split(' ');
    if kind == "run" {
        let id = words.next()?.to_owned();
        let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        let (topic, acks) = (field("topic")?.to_owned(), Acks::of_word(field("acks")?)?);
        let partitions = field("partitions")?.parse().ok()?;
        let started = field("started")?.parse().ok()?;
        runs.push(Run {
            id,
            topic,
            acks,
            partitions,
            started,
            stopped: started,
            sent: 0,
            failed: 0,
            acked: Vec::new(),
        });
        return Some(());
    }
    let run = runs.last_mut()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    match kind {
        "ack" => {
            let (key, number, sequence) = (number()?, number()?, number()?);
            let partition = words.next()?.parse().ok()?;
            let offset = words.next()?.parse().ok()?;
            let time = words.next()?.parse().ok()?;
            run.acked.push(Ack {
                key: u32::try_from(key).ok()?,
                number,
                sequence,
                partition,
                offset,
                time,
            });
            run.stopped = run.stopped.max(time);
        }
        "fail" => {
            number()?;
            run.failed += 1;
        }
        "sent" | "end" => {
            let (count, time) = (number()?, number()?);
            run.sent = run.sent.max(count);
            run.stopped = if kind == "end" {
                time
            } else {
                run.stopped.max(time)
            };
        }
        _ => return None,
    }
    Some(())
}

/// Writes a file so that a reader sees all of it or nothing.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".part");
    std::fs::write(&beside, format!("{text}\n"))
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(number: u64) -> Ack {
        Ack {
            key: 3,
            number,
            sequence: 10 * number,
            partition: 2,
            offset: -1,
            time: 1005,
        }
    }

    #[test]
    fn what_was_written_is_read_back_run_by_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for id in ["one", "two"] {
            let mut writer = Writer::open(&path).unwrap();
            writer.run(id, "orders", Acks::All, 6, 1000).unwrap();
            writer.ack(&ack(1)).unwrap();
            writer.ack(&ack(2)).unwrap();
            writer.fail(&ack(3), "it did not work").unwrap();
            writer.sent(4, 1010).unwrap();
        }
        let runs = read(&path).unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[1].id, "two");
        assert_eq!(runs[1].acked, [ack(1), ack(2)]);
        assert_eq!(
            (runs[1].sent, runs[1].failed, runs[1].stopped),
            (4, 1, 1010)
        );
    }

    #[test]
    fn the_half_line_of_a_killed_producer_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let half = "run one topic=t acks=1 partitions=1 started=5\nack 1 1 1 0 0 6\nack 1 2 ";
        std::fs::write(&path, half).unwrap();
        assert_eq!(read(&path).unwrap()[0].acked.len(), 1);
        let mut writer = Writer::open(&path).unwrap();
        writer.run("two", "t", Acks::Leader, 1, 7).unwrap();
        let runs = read(&path).unwrap();
        assert_eq!((runs[0].acked.len(), runs.len()), (1, 2));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let text = "run one topic=t acks=1 partitions=1 started=5\nack 1 x\nack 1 1 1 0 0 6\n";
        assert_eq!(parse(text), Err((2, "ack 1 x".to_owned())));
    }

    #[test]
    fn two_producers_do_not_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let _first = Writer::open(&path).unwrap();
        assert!(matches!(Writer::open(&path), Err(Error::InUse(_))));
    }
}
