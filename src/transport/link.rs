//! Turns a byte stream to an agent into two queues of messages.

use crate::proto::{FromAgent, Hello, Ready, ToAgent, VERSION, frame};
use crate::transport::stream::{Said, Stream};
use crate::transport::{Error, Options};
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
    wait_for_end: bool,
}

impl Link {
    /// Ends the agent: what has not begun is dropped there. Waits only for an agent on this machine.
    pub async fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(self.to_agent);
        // A writer that waits for a dead connection is not waited for.
        let limit = Duration::from_secs(2);
        let _ = tokio::time::timeout(limit, self.writer).await;
        if self.wait_for_end {
            let limit = Duration::from_secs(5);
            let _ = tokio::time::timeout(limit, self.reader).await;
        } else {
            self.reader.abort();
        }
        drop(self.keep);
    }
}

/// Returns the first message on every link.
pub(super) fn hello(host: &str, options: &Options) -> Result<Vec<u8>, Error> {
    encode(&ToAgent::Hello(Hello {
        version: VERSION,
        controller: options.controller.clone(),
        run: options.run.clone(),
        host: host.to_owned(),
        check_mode: options.check_mode,
    }))
}

pub(super) fn encode(message: &ToAgent) -> Result<Vec<u8>, Error> {
    frame::encode(message).map_err(|error| bootstrap(error.to_string()))
}

/// Takes up the conversation with an agent that said its marker and was sent `hello`.
pub(super) async fn take_up(mut stream: Stream, wait_for_end: bool) -> Result<Link, Error> {
    let ready = match read(&mut stream.output).await {
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
    let writer = tokio::spawn(write_all(outgoing, input, said.clone()));
    let reader = tokio::spawn(read_all(output, incoming, said, Arc::clone(&closing)));
    Ok(Link {
        ready,
        to_agent,
        from_agent,
        warnings: Vec::new(),
        closing,
        writer,
        reader,
        keep: stream.keep,
        wait_for_end,
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
) {
    let mut bytes = Vec::new();
    while let Some(message) = messages.recv().await {
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
            said.end(error.to_string());
            return;
        }
        bytes.clear();
    }
    let _ = input.shutdown().await;
}

async fn read_all(
    mut output: impl AsyncRead + Unpin,
    messages: mpsc::UnboundedSender<Result<FromAgent, Error>>,
    said: Said,
    closing: Arc<AtomicBool>,
) {
    let end = loop {
        match read(&mut output).await {
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

/// Reads one message; `None` at the end between two.
async fn read(output: &mut (impl AsyncRead + Unpin)) -> Result<Option<FromAgent>, frame::Error> {
    let mut prefix = [0; 4];
    let mut have = 0;
    while have < prefix.len() {
        match output.read(&mut prefix[have..]).await? {
            0 if have == 0 => return Ok(None),
            0 => return Err(frame::Error::Truncated),
            n => have += n,
        }
    }
    let size = frame::size(prefix)?;
    let mut bytes = Vec::with_capacity(size.min(1 << 16));
    output.take(size as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < size {
        return Err(frame::Error::Truncated);
    }
    frame::decode(&bytes).map(Some)
}
