//! Stops an agent exactly where its journal says that a task has begun or ended, from outside, as a debugger does.
//!
//! Nothing in krun knows of it, so that it holds any build.

use krun::proto::{JournalEntry, JournalMark};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::Path;

/// Where an agent is to be stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Point {
    /// The journal says that the task has begun; nothing of its change is done yet.
    Begun(&'static str),
    /// The journal says that the task has ended well; nobody else knows yet.
    Ended(&'static str),
}

impl Point {
    fn is(self, entry: &JournalEntry) -> bool {
        match self {
            Self::Begun(task) => entry.name == task && entry.what == JournalMark::Began,
            Self::Ended(task) => {
                entry.name == task && matches!(entry.what, JournalMark::Ended { .. })
            }
        }
    }
}

/// Lets the agent run up to the point, and calls `strike` while it stands there. `false` if it ended before.
///
/// The agent runs on when this returns, if it is still there.
pub(crate) fn hold(agent: Pid, journal: &Path, point: Point, strike: impl FnOnce()) -> bool {
    let options = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACESYSGOOD;
    let threads = std::fs::read_dir(format!("/proc/{agent}/task"))
        .into_iter()
        .flatten();
    for thread in threads.flatten() {
        let thread = Pid::from_raw(thread.file_name().to_str().unwrap().parse().unwrap());
        // One that has ended meanwhile needs no holding.
        if ptrace::seize(thread, options).is_ok() {
            let _ = ptrace::interrupt(thread);
        }
    }
    let mut seen = length(journal);
    loop {
        // Only this thread's, as the test waits for children of its own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let (thread, signal) = match waitpid(None, Some(flags)) {
            Ok(WaitStatus::PtraceSyscall(thread) | WaitStatus::PtraceEvent(thread, ..)) => {
                (thread, None)
            }
            Ok(WaitStatus::Stopped(thread, signal)) => (thread, Some(signal)),
            Ok(WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..))
                if thread == agent =>
            {
                return false;
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return false,
        };
        // Whoever wrote a mark is still inside its write: it goes on only when it is told to, below.
        let now = length(journal);
        if now != seen {
            seen = now;
            if last(journal).is_some_and(|entry| point.is(&entry)) {
                strike();
                return true;
            }
        }
        let _ = ptrace::syscall(thread, signal);
    }
}

fn length(journal: &Path) -> u64 {
    journal.metadata().map_or(0, |found| found.len())
}

fn last(journal: &Path) -> Option<JournalEntry> {
    let text = std::fs::read_to_string(journal).ok()?;
    serde_json::from_str(text.lines().last()?).ok()
}
