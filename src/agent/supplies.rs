//! Turns a task's wish for bytes that the controller has into pieces, asked for one by one.

use crate::agent::outbox::Outbox;
use crate::proto::{FromAgent, Seq};
use crate::sys::Sys;
use crate::sys::http::Supply;
use serde_bytes::ByteBuf;
use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon a cancellation is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Piece = Result<ByteBuf, String>;

/// Who waits for a piece. A task asks for one at a time, so that nothing piles up on its way.
#[derive(Default)]
pub(super) struct Supplies(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: HashMap<Seq, Sender<Piece>>,
    is_closed: bool,
}

impl Supplies {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a piece to the task that asked for it; without effect where that has ended.
    pub(super) fn take(&self, seq: Seq, piece: Piece) {
        if let Some(waiting) = self.state().waiting.remove(&seq) {
            let _ = waiting.send(piece);
        }
    }

    /// Nothing will come any more: whoever waits hears it.
    pub(super) fn close(&self) {
        *self.state() = State {
            is_closed: true,
            ..State::default()
        };
    }

    /// Returns how a task asks for pieces, until it is taken back or its deadline is over.
    pub(super) fn supply(self: &Arc<Self>, seq: Seq, outbox: &Outbox, sys: Sys) -> Supply {
        let (supplies, outbox) = (Arc::clone(self), outbox.clone());
        Arc::new(move |url, from| supplies.ask(seq, &outbox, &sys, url, from))
    }

    fn ask(
        &self,
        seq: Seq,
        outbox: &Outbox,
        sys: &Sys,
        url: &str,
        from: u64,
    ) -> io::Result<Vec<u8>> {
        let (sender, piece) = mpsc::channel();
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(gone());
            }
            state.waiting.insert(seq, sender);
        }
        let url = url.to_owned();
        outbox.send(FromAgent::Fetch { seq, url, from });
        loop {
            match piece.recv_timeout(LOOK_EVERY) {
                Ok(piece) => return piece.map(ByteBuf::into_vec).map_err(io::Error::other),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if sys.is_cancelled() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "taken back"));
            }
            if sys.deadline().is_some_and(|end| end <= Instant::now()) {
                let text = "the task's time was over before the controller had it";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the controller, which was to hand it out, has gone")
}
