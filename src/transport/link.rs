//! Turns a byte stream to an agent into two queues of messages.

use crate::proto::{FromAgent, Heartbeat, Hello, Ready, ToAgent, VERSION, frame};
use crate::transport::stream::{Said, Stream};
use crate::transport::{Error, Options};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How much is gathered into one write, in bytes.
const GATHER: usize = 1 << 17;

/// An agent at work on a host.
///
/// Both queues are without an end and served by tasks of their own, so that much output and much input never wait for each other.
pub struct Link {
    pub ready: Ready,
    pub to_agent: mpsc::UnboundedSender<ToAgent>,
    /// Ends after [`Error::Lost`], or without it after [`Link::close`].
    pub from_agent: mpsc::UnboundedReceiver<Result<FromAgent, Error>>,
    /// What the user should hear of how this connection was made, without a full stop.
    pub warnings: Vec<String>,
    closing: Arc<AtomicBool>,
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    keep: Box<dyn Send>,
}

impl Link {
    /// Ends the agent: what has not begun is dropped there. Waits a moment for its end.
    pub async fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(self.to_agent);
        // A writer that waits for a dead connection is not waited for.
        let limit = Duration::from_secs(2);
        let _ = tokio::time::timeout(limit, self.writer).await;
        let end = self.reader.abort_handle();
        let _ = tokio::time::timeout(limit, self.reader).await;
        end.abort();
        drop(self.keep);
    }
}

/// Returns the first message on every link.
pub(super) fn hello(
    host: &str,
    options: &Options,
    heartbeat: Option<Heartbeat>,
) -> Result<Vec<u8>, Error> {
    encode(&ToAgent::Hello(Hello {
        version: VERSION,
        controller: options.controller.clone(),
        run: options.run.clone(),
        host: host.to_owned(),
        check_mode: options.check_mode,
        playbooks: options.playbooks.clone(),
        silence_limit: heartbeat.map(|heartbeat| heartbeat.limit),
    }))
}

pub(super) fn encode(message: &ToAgent) -> Result<Vec<u8>, Error> {
    frame::encode(message).map_err(|error| bootstrap(error.to_string()))
}

/// Takes up the conversation with an agent that said its marker and was sent `hello`.
///
/// With a heartbeat, packets that no longer arrive are a lost connection. Without one, this machine itself notices
/// the end of the agent.
pub(super) async fn take_up(
    mut stream: Stream,
    heartbeat: Option<Heartbeat>,
) -> Result<Link, Error> {
    let ready = match read(&mut stream.output, None).await {
        Ok(Some(FromAgent::Ready(ready))) => ready,
        Ok(Some(FromAgent::Busy { controller })) => return Err(Error::Busy { controller }),
        Ok(Some(FromAgent::Refused { reason })) => return Err(Error::Refused { reason }),
        Ok(Some(_)) => return Err(bootstrap("it did not greet".into())),
        Ok(None) => {
            return Err(Error::Bootstrap {
                causes: stream.said.causes(),
            });
        }
        Err(error) => return Err(bootstrap(error.to_string())),
    };
    let (to_agent, outgoing) = mpsc::unbounded_channel();
    let (incoming, from_agent) = mpsc::unbounded_channel();
    let closing = Arc::new(AtomicBool::new(false));
    let (output, input, said) = (stream.output, stream.input, stream.said);
    let every = heartbeat.map(|heartbeat| heartbeat.every);
    let writer = tokio::spawn(write_all(outgoing, input, said.clone(), every));
    let limit = heartbeat.map(|heartbeat| heartbeat.limit);
    let reader = tokio::spawn(read_all(
        output,
        limit,
        incoming,
        said,
        Arc::clone(&closing),
    ));
    Ok(Link {
        ready,
        to_agent,
        from_agent,
        warnings: Vec::new(),
        closing,
        writer,
        reader,
        keep: stream.keep,
    })
}

fn bootstrap(cause: String) -> Error {
    Error::Bootstrap {
        causes: vec![cause],
    }
}

async fn write_all(
    mut messages: mpsc::UnboundedReceiver<ToAgent>,
    mut input: impl AsyncWrite + Unpin,
    said: Said,
    every: Option<Duration>,
) {
    let mut bytes = Vec::new();
    while let Some(message) = next_or_alive(&mut messages, every).await {
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match frame::encode(&message) {
                Ok(frame) => bytes.extend_from_slice(&frame),
                Err(error) => {
                    // Nobody could wait for an answer to what was never sent.
                    said.end(format!("a message could not be sent: {error}"));
                    let _ = input.shutdown().await;
                    return;
                }
            }
            if bytes.len() < GATHER {
                next = messages.try_recv().ok();
            }
        }
        let written = async {
            input.write_all(&bytes).await?;
            input.flush().await
        };
        if let Err(error) = written.await {
            said.unread(&error);
            return;
        }
        bytes.clear();
    }
    let _ = input.shutdown().await;
}

/// Returns the next message; a sign of life where none comes for so long.
async fn next_or_alive(
    messages: &mut mpsc::UnboundedReceiver<ToAgent>,
    every: Option<Duration>,
) -> Option<ToAgent> {
    let Some(every) = every else {
        return messages.recv().await;
    };
    let next = tokio::time::timeout(every, messages.recv()).await;
    next.unwrap_or(Some(ToAgent::Alive))
}

async fn read_all(
    mut output: impl AsyncRead + Unpin,
    limit: Option<Duration>,
    messages: mpsc::UnboundedSender<Result<FromAgent, Error>>,
    said: Said,
    closing: Arc<AtomicBool>,
) {
    let end = loop {
        match read(&mut output, limit).await {
            Ok(Some(FromAgent::Alive)) => {}
            Ok(Some(message)) => {
                if messages.send(Ok(message)).is_err() {
                    return;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if closing.load(Ordering::SeqCst) {
        return;
    }
    let mut causes: Vec<String> = end.map(|error| error.to_string()).into_iter().collect();
    causes.extend(said.causes());
    let _ = messages.send(Err(Error::Lost { causes }));
}

/// Reads one message; `None` at the end between two. With a limit, so long without a byte is an error.
async fn read(
    output: &mut (impl AsyncRead + Unpin),
    limit: Option<Duration>,
) -> Result<Option<FromAgent>, frame::Error> {
    let mut bytes = Vec::with_capacity(4);
    fill(output, &mut bytes, 4, limit).await?;
    let Ok(prefix) = <[u8; 4]>::try_from(bytes.as_slice()) else {
        return match bytes.len() {
            0 => Ok(None),
            _ => Err(frame::Error::Truncated),
        };
    };
    let size = frame::size(prefix)?;
    // Grown as bytes arrive: an announced size alone costs no memory.
    let mut bytes = Vec::with_capacity(size.min(1 << 16));
    fill(output, &mut bytes, size, limit).await?;
    if bytes.len() < size {
        return Err(frame::Error::Truncated);
    }
    frame::decode(&bytes).map(Some)
}

/// Reads up to `size` bytes, fewer where the stream ends.
async fn fill(
    output: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    size: usize,
    limit: Option<Duration>,
) -> io::Result<()> {
    while bytes.len() < size {
        let mut rest = (&mut *output).take((size - bytes.len()) as u64);
        let read = rest.read_buf(bytes);
        let n = match limit {
            None => read.await?,
            Some(limit) => tokio::time::timeout(limit, read)
                .await
                .map_err(|_| silent(limit))??,
        };
        if n == 0 {
            break;
        }
    }
    Ok(())
}

fn silent(limit: Duration) -> io::Error {
    let text = format!("nothing came from the host for {} s", limit.as_secs_f32());
    io::Error::new(io::ErrorKind::TimedOut, text)
}
