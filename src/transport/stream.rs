//! A started program as bytes: what it reads, what it writes, and what its standard error said last.

use crate::proto::frame;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader};

/// How much of a program's standard error is kept for messages, in bytes.
const TAIL: usize = 4096;

/// Something that may be an agent, wherever it runs.
pub(super) struct Stream {
    pub(super) output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) said: Said,
    /// What must live as long as the stream: a session, a process.
    pub(super) keep: Box<dyn Send>,
}

impl Stream {
    pub(super) fn new(
        output: impl AsyncRead + Send + Unpin + 'static,
        input: impl AsyncWrite + Send + Unpin + 'static,
        said: Said,
        keep: impl Send + 'static,
    ) -> Self {
        Self {
            output: BufReader::with_capacity(1 << 16, Box::new(output)),
            input: Box::new(input),
            said,
            keep: Box::new(keep),
        }
    }
}

/// What a program said beside its output: the last of its standard error, and how it or its connection ended.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    stderr: Vec<u8>,
    ends: Vec<String>,
    /// That it no longer reads: what follows from an end, and tells of one only where nothing else does.
    unread: Option<String>,
}

impl Said {
    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stderr(&self, text: &[u8]) {
        let stderr = &mut self.words().stderr;
        stderr.extend_from_slice(text);
        let excess = stderr.len().saturating_sub(TAIL);
        stderr.drain(..excess);
    }

    pub(super) fn end(&self, how: impl Into<String>) {
        self.words().ends.push(how.into());
    }

    pub(super) fn unread(&self, error: &io::Error) {
        self.words().unread = Some(error.to_string());
    }

    /// Returns it all as causes: how it ended, then what it had said.
    pub(super) fn causes(&self) -> Vec<String> {
        let said = self.words();
        let text = String::from_utf8_lossy(&said.stderr);
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        let mut causes = said.ends.clone();
        if causes.is_empty() {
            causes.extend(said.unread.clone());
        }
        causes.extend(last.iter().map(|&it| it.to_owned()));
        causes
    }
}

/// What a stream began with, its noise skipped.
#[derive(Debug)]
pub(super) enum Opening {
    Agent,
    /// A line of the bootstrap's own, without its mark.
    Answer(String),
    /// The stream ended, or went on and on; what it said instead.
    Noise(String),
}

/// What our own lines begin with, among whatever a login prints.
const MARK: &[u8] = b"\x1ekrun ";

/// Reads up to the agent's marker or a line of the bootstrap's.
pub(super) async fn opening(output: &mut (impl AsyncRead + Unpin)) -> Opening {
    let mut noise = Vec::new();
    while noise.len() < frame::NOISE_LIMIT {
        let Ok(byte) = output.read_u8().await else {
            break;
        };
        noise.push(byte);
        if byte != b'\n' {
            continue;
        }
        if noise.ends_with(frame::MARKER) {
            return Opening::Agent;
        }
        // The last one: a shell that echoes its input would show the text of a command first.
        if let Some(at) = noise.windows(MARK.len()).rposition(|it| it == MARK) {
            let line = &noise[at + MARK.len()..noise.len() - 1];
            return Opening::Answer(String::from_utf8_lossy(line).into_owned());
        }
    }
    let text = String::from_utf8_lossy(&noise);
    let tail: Vec<&str> = text.lines().rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Opening::Noise(tail.join("; "))
}

#[cfg(test)]
mod tests {
    use super::Said;
    use std::io::{Error, ErrorKind};

    #[test]
    fn that_nothing_is_read_any_more_is_a_cause_only_where_no_end_is_known() {
        let said = Said::default();
        said.unread(&Error::new(ErrorKind::BrokenPipe, "channel closed"));
        said.stderr(b"some noise\n");
        assert_eq!(said.causes(), ["channel closed", "some noise"]);
        said.end("the host no longer answers");
        assert_eq!(said.causes(), ["the host no longer answers", "some noise"]);
    }
}
