//! A started program as bytes: what it reads, what it writes, and what its standard error said last.

use crate::proto::frame;
use std::sync::{Arc, Mutex, PoisonError};
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
pub(super) struct Said(Arc<Mutex<(Vec<u8>, Vec<String>)>>);

impl Said {
    pub(super) fn stderr(&self, text: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.0.extend_from_slice(text);
        let excess = said.0.len().saturating_sub(TAIL);
        said.0.drain(..excess);
    }

    pub(super) fn end(&self, how: impl Into<String>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.1.push(how.into());
    }

    /// Returns it all as causes: how it ended, then what it had said.
    pub(super) fn causes(&self) -> Vec<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said.0);
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        said.1
            .iter()
            .cloned()
            .chain(last.iter().map(|&it| it.to_owned()))
            .collect()
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
