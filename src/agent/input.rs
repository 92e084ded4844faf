//! Turns what a controller sends into bytes that end when it hangs up, when it falls silent, or when this agent is told to end.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::time::Duration;

/// The controller's bytes.
pub(super) struct Input<F> {
    source: F,
    told_to_end: Option<PipeReader>,
    silence_limit: Option<Duration>,
    fell_silent: bool,
}

impl<F: Read + AsFd> Input<F> {
    pub(super) fn new(source: F, told_to_end: Option<PipeReader>) -> Self {
        Self {
            source,
            told_to_end,
            silence_limit: None,
            fell_silent: false,
        }
    }

    /// From now on, so long without a byte is the end; `None`: it waits for ever.
    pub(super) fn limit_silence(&mut self, limit: Option<Duration>) {
        self.silence_limit = limit;
    }

    /// Whether it ended because nothing came for too long: the controller may still be there, behind a dead network.
    pub(super) fn fell_silent(&self) -> bool {
        self.fell_silent
    }
}

impl<F: Read + AsFd> Read for Input<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let limit = match self.silence_limit {
            None => PollTimeout::NONE,
            Some(limit) => PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX),
        };
        let mut sources = vec![PollFd::new(self.source.as_fd(), PollFlags::POLLIN)];
        let teller = self.told_to_end.as_ref();
        sources.extend(teller.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        if poll(&mut sources, limit)? == 0 {
            self.fell_silent = true;
            return Ok(0);
        }
        if sources.get(1).and_then(PollFd::any).unwrap_or(false) {
            return Ok(0);
        }
        self.source.read(bytes)
    }
}

/// Returns a pipe that ends when this process gets a SIGTERM.
///
/// To be called before any other thread is there: all of them must leave the signal alone. Commands start with a clean mask.
pub(super) fn sigterm() -> io::Result<PipeReader> {
    let (told_to_end, teller) = io::pipe()?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    std::thread::spawn(move || {
        let _ = signals.wait();
        drop(teller);
    });
    Ok(told_to_end)
}
