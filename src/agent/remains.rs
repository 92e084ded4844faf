//! Notes an agent's children, so that the next agent waits for those that a killed one left at work.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The children of this host's agents: one line each, the process and when it started.
pub(super) struct Remains(PathBuf);

impl Remains {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.join("children"))
    }

    /// Notes a child of this agent.
    pub(super) fn note(&self, process: u32) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        options.custom_flags(nix::libc::O_NOFOLLOW);
        let start = started(process).unwrap_or_default();
        options
            .open(&self.0)?
            .write_all(format!("{process} {start}\n").as_bytes())
    }

    /// Waits until every child that was noted has ended, at most until `end`; returns one that has not.
    pub(super) fn wait(&self, end: Instant) -> Result<(), u32> {
        while let Some(process) = self.alive() {
            if Instant::now() > end {
                return Err(process);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::fs::remove_file(&self.0);
        Ok(())
    }

    fn alive(&self) -> Option<u32> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().find_map(|line| {
            let (process, start) = line.split_once(' ')?;
            let process = process.parse().ok()?;
            (started(process)? == start).then_some(process)
        })
    }
}

/// When a process started, in the kernel's ticks: tells it from a later one of the same number. `None` once it has ended.
fn started(process: u32) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the bracket may hold anything.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let is_over = fields.next()? == "Z";
    let start = fields.nth(18)?;
    (!is_over).then(|| start.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_newcomer_waits_for_the_children_of_an_agent_that_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        let remains = Remains::new(directory.path());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        remains.note(child.id()).unwrap();
        assert_eq!(remains.wait(Instant::now()), Err(child.id()));
        child.kill().unwrap();
        // Not even waited for: a zombie does nothing any more.
        remains
            .wait(Instant::now() + Duration::from_secs(30))
            .unwrap();
        child.wait().unwrap();
        assert!(!directory.path().join("children").exists());
    }
}
