//! The clock, the signals that end the work, and the lines that say how it goes.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Milliseconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    milliseconds(since)
}

/// A time as whole milliseconds.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts the requests to end: TERM, INT or HUP.
pub(crate) struct Stop {
    signals: SignalFd,
    asked: u32,
}

impl Stop {
    /// From now on these signals no longer end the process.
    pub(crate) fn on_signals() -> Result<Self, nix::Error> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self {
            signals: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            asked: 0,
        })
    }

    /// How often the end was asked for: at the first time finish properly, at the second at once.
    pub(crate) fn asked(&mut self) -> u32 {
        while let Ok(Some(_)) = self.signals.read_signal() {
            self.asked += 1;
        }
        self.asked
    }
}

/// Says when the next line of progress is due, and the rate since the last one.
pub(crate) struct Ticker {
    every: Duration,
    last: Instant,
    count: u64,
}

impl Ticker {
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            last: Instant::now(),
            count: 0,
        }
    }

    /// If a line is due: how many a second `count` grew by since the last one.
    pub(crate) fn rate_if_due(&mut self, count: u64) -> Option<u64> {
        let passed = self.last.elapsed();
        if passed < self.every {
            return None;
        }
        let grown = count.saturating_sub(self.count);
        self.last = Instant::now();
        self.count = count;
        Some(grown * 1000 / milliseconds(passed).max(1))
    }
}

/// A line to the person who watches; nobody watching is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "krun-canary: {text}");
}
