//! Turns what the agent's threads say into one ordered stream of frames, without ever making them wait.

use crate::proto::{FromAgent, Seq, frame};
use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// A task's progress is sent at most this often; the last text always arrives.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Where any thread of the agent leaves its messages. The queue has no end: a controller that is slow to read never stops a task.
#[derive(Clone)]
pub(super) struct Outbox(Sender<Option<FromAgent>>);

/// How long the last messages may take to leave: a connection that stands still takes none.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The writing thread; waited for at the end.
pub(super) struct Writer(Receiver<()>);

impl Writer {
    /// Waits until everything is written, or nobody takes it.
    pub(super) fn finish(&self) {
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

impl Outbox {
    /// Starts the writing thread.
    pub(super) fn start(output: impl Write + Send + 'static) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel();
        let (written, ended) = mpsc::channel();
        std::thread::spawn(move || {
            write_all(&receiver, output);
            drop(written);
        });
        (Self(sender), Writer(ended))
    }

    /// Sends a message; without effect once nobody reads them.
    pub(super) fn send(&self, message: FromAgent) {
        let _ = self.0.send(Some(message));
    }

    /// Ends the writing thread once it has written what was sent before.
    pub(super) fn close(&self) {
        let _ = self.0.send(None);
    }
}

/// Progress that was said too soon after the last.
struct Pending {
    sent: Instant,
    text: Option<String>,
}

fn write_all(messages: &Receiver<Option<FromAgent>>, output: impl Write) {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let mut progress: HashMap<Seq, Pending> = HashMap::new();
    loop {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(mpsc::TryRecvError::Disconnected) => return,
            Err(mpsc::TryRecvError::Empty) => {
                if output.flush().is_err() {
                    return;
                }
                match wait(messages, &progress) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        if say_due(&mut progress, &mut output).is_err() {
                            return;
                        }
                        continue;
                    }
                }
            }
        };
        let Some(message) = message else {
            let _ = output.flush();
            return;
        };
        if pass(message, &mut progress, &mut output).is_err() {
            return;
        }
    }
}

fn wait(
    messages: &Receiver<Option<FromAgent>>,
    progress: &HashMap<Seq, Pending>,
) -> Result<Option<FromAgent>, RecvTimeoutError> {
    let due = progress
        .values()
        .filter(|pending| pending.text.is_some())
        .map(|pending| pending.sent + PROGRESS_EVERY)
        .min();
    match due {
        Some(due) => messages.recv_timeout(due.saturating_duration_since(Instant::now())),
        None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

fn pass(
    message: FromAgent,
    progress: &mut HashMap<Seq, Pending>,
    output: &mut impl Write,
) -> Result<(), frame::Error> {
    match message {
        FromAgent::Progress { seq, text } => {
            if let Some(pending) = progress.get_mut(&seq)
                && pending.sent.elapsed() < PROGRESS_EVERY
            {
                pending.text = Some(text);
                return Ok(());
            }
            let sent = Instant::now();
            progress.insert(seq, Pending { sent, text: None });
            frame::write(output, &FromAgent::Progress { seq, text })
        }
        FromAgent::Ended { seq, result } => {
            if let Some(text) = progress.remove(&seq).and_then(|pending| pending.text) {
                frame::write(output, &FromAgent::Progress { seq, text })?;
            }
            let ended = FromAgent::Ended { seq, result };
            match frame::write(output, &ended) {
                // Nothing of a frame that is refused was written, so the stream is still whole.
                Err(error @ (frame::Error::TooLarge { .. } | frame::Error::Encode(_))) => {
                    let error = crate::modules::Error::new("the task's result cannot be sent")
                        .because(error);
                    frame::write(
                        output,
                        &FromAgent::Ended {
                            seq,
                            result: Err(error),
                        },
                    )
                }
                other => other,
            }
        }
        other => frame::write(output, &other),
    }
}

fn say_due(
    progress: &mut HashMap<Seq, Pending>,
    output: &mut impl Write,
) -> Result<(), frame::Error> {
    for (&seq, pending) in progress.iter_mut() {
        if pending.sent.elapsed() >= PROGRESS_EVERY
            && let Some(text) = pending.text.take()
        {
            pending.sent = Instant::now();
            frame::write(output, &FromAgent::Progress { seq, text })?;
        }
    }
    Ok(())
}
