//! Turns a host's settings into an ssh session, through jump hosts where it must, and starts programs in it.

mod auth;
mod client;
mod config;
mod known_hosts;
mod settings;

use crate::inventory::connection::Connection;
use crate::proto::Heartbeat;
use crate::transport::error::chain;
use crate::transport::stream::{Said, Stream};
use crate::transport::{Error, Options, resolve};
use client::{Client, Verdicts};
use known_hosts::Known;
use russh::client::{Config, Handle};
use russh::{ChannelMsg, ChannelReadHalf, Preferred};
use settings::Settings;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// How far a jump may lead to further jumps.
const JUMPS: usize = 8;
/// How many bytes may be on their way from the host unacknowledged, per program.
const WINDOW: u32 = 8 << 20;

/// A login on a host. Lives as long as one of its clones.
#[derive(Clone)]
pub(super) struct Session(Arc<Inner>);

struct Inner {
    handle: Handle<Client>,
    /// The connection runs through this one.
    through: Option<Session>,
    address: String,
    heartbeat: Option<Heartbeat>,
    said: Said,
    warnings: Vec<String>,
}

impl Session {
    /// Logs in to a host of the inventory.
    pub(super) async fn open(connection: &Connection, options: &Options) -> Result<Self, Error> {
        let settings = Settings::of(connection, options)?;
        let limit = settings.limit;
        let what = format!("connecting to {}", settings.address());
        let opened = tokio::time::timeout(limit, log_in(settings, options, 0)).await;
        opened.unwrap_or(Err(Error::Timeout { what, limit }))
    }

    /// Returns what the user should hear of this connection and those that it runs through.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut all = self
            .0
            .through
            .as_ref()
            .map(Self::warnings)
            .unwrap_or_default();
        all.extend(self.0.warnings.iter().cloned());
        all
    }

    /// How often both ends are to hear of each other; `None` where keepalives are switched off.
    pub(super) fn heartbeat(&self) -> Option<Heartbeat> {
        self.0.heartbeat
    }

    fn fault(&self, error: &russh::Error) -> Error {
        let mut causes = self.0.said.causes();
        causes.extend(chain(error));
        Error::Protocol {
            address: self.0.address.clone(),
            causes,
        }
    }

    /// Starts a line of the login shell's.
    pub(super) async fn exec(&self, line: &str) -> Result<Stream, Error> {
        let channel = self.0.handle.channel_open_session().await;
        let channel = channel.map_err(|error| self.fault(&error))?;
        let (messages, writer) = channel.split();
        // Nothing waits for the answer: a refusal ends the stream and is told there.
        let started = writer.exec(true, line).await;
        started.map_err(|error| self.fault(&error))?;
        let (output, pipe) = tokio::io::simplex(1 << 20);
        let said = self.0.said.clone();
        tokio::spawn(pump(messages, pipe, said.clone()));
        let input = Box::pin(writer.make_writer());
        Ok(Stream::new(output, input, said, (self.clone(), writer)))
    }

    /// Opens a way through this host to another.
    async fn tunnel(&self, settings: &Settings) -> Result<impl Bytes + use<>, Error> {
        let (host, port) = (settings.hostname.as_str(), u32::from(settings.port));
        let opened = self
            .0
            .handle
            .channel_open_direct_tcpip(host, port, "127.0.0.1", 0)
            .await;
        let channel = opened.map_err(|error| Error::Connect {
            address: settings.address(),
            causes: [vec![format!("through {}", self.0.address)], chain(&error)].concat(),
        })?;
        Ok(channel.into_stream())
    }
}

trait Bytes: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Bytes for T {}

fn log_in<'a>(
    settings: Settings,
    options: &'a Options,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Result<Session, Error>> + Send + 'a>> {
    Box::pin(async move {
        if depth > JUMPS {
            return Err(Error::Settings("the jump hosts lead in a circle".into()));
        }
        if let Some((jump, before)) = settings.jumps.split_last() {
            let mut hop = Settings::of_jump(jump, &settings, options)?;
            if !before.is_empty() {
                hop.jumps = before.to_vec();
            }
            let session = log_in(hop, options, depth + 1).await?;
            let stream = session.tunnel(&settings).await?;
            return shake_hands(stream, settings, Some(session)).await;
        }
        if let Some(line) = &settings.proxy_command {
            let stream = proxy(line)?;
            return shake_hands(stream, settings, None).await;
        }
        let stream = dial(&settings).await?;
        shake_hands(stream, settings, None).await
    })
}

/// Connects to the first address that answers.
async fn dial(settings: &Settings) -> Result<TcpStream, Error> {
    let mut causes = Vec::new();
    for address in resolve::addresses(&settings.hostname, settings.port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Neither is worth a failure: they only make things quicker, and an end noticed sooner.
                let _ = stream.set_nodelay(true);
                if let Some(heartbeat) = settings.heartbeat() {
                    let patience = u32::try_from(heartbeat.limit.as_millis()).unwrap_or(u32::MAX);
                    let option = nix::sys::socket::sockopt::TcpUserTimeout;
                    let _ = nix::sys::socket::setsockopt(&stream, option, &patience);
                }
                return Ok(stream);
            }
            Err(error) => causes.push(format!("{address}: {error}")),
        }
    }
    Err(Error::Connect {
        address: settings.address(),
        causes,
    })
}

fn proxy(line: &str) -> Result<impl Bytes + use<>, Error> {
    let fault = |cause: String| Error::Spawn {
        program: line.to_owned(),
        causes: vec![cause],
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("exec {line}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| fault(error.to_string()))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(fault("it has no pipes".into()));
    };
    tokio::spawn(async move { child.wait().await });
    Ok(tokio::io::join(output, input))
}

async fn shake_hands(
    stream: impl Bytes,
    mut settings: Settings,
    through: Option<Session>,
) -> Result<Session, Error> {
    let known = Known::read(&settings);
    let mut warnings = std::mem::take(&mut settings.warnings);
    let settings = Arc::new(settings);
    let config = Arc::new(Config {
        window_size: WINDOW,
        channel_buffer_size: 1024,
        keepalive_interval: settings.alive_interval,
        keepalive_max: settings.alive_count,
        nodelay: true,
        preferred: Preferred {
            key: known.preferred(&Preferred::DEFAULT.key).into(),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    });
    let verdicts: Arc<Mutex<Verdicts>> = Arc::default();
    let said = Said::default();
    let client = Client::new(
        known,
        Arc::clone(&settings),
        Arc::clone(&verdicts),
        said.clone(),
    );
    let connected = russh::client::connect_stream(config, stream, client).await;
    let judged = std::mem::take(&mut *verdicts.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(error) = judged.refused {
        return Err(error);
    }
    let mut handle = connected.map_err(|error| Error::Protocol {
        address: settings.address(),
        causes: chain(&error),
    })?;
    let with_password = judged.accepted.is_none() || settings.strict == settings::Strict::AcceptNew;
    warnings.extend(judged.accepted);
    auth::log_in(&mut handle, &settings, with_password).await?;
    Ok(Session(Arc::new(Inner {
        handle,
        through,
        address: settings.address(),
        heartbeat: settings.heartbeat(),
        said,
        warnings,
    })))
}

/// Hands a program's output on, and keeps what else is said of it.
async fn pump(mut messages: ChannelReadHalf, mut output: impl AsyncWrite + Unpin, said: Said) {
    while let Some(message) = messages.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let written = output.write_all(&data).await;
                if written.is_err() {
                    return;
                }
            }
            ChannelMsg::ExtendedData { data, .. } => said.stderr(&data),
            ChannelMsg::ExitStatus { exit_status } if exit_status != 0 => {
                said.end(format!("it ended with exit code {exit_status}"));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                said.end(format!("it was ended by signal {signal_name:?}"));
            }
            ChannelMsg::Failure => {
                said.end("the host does not allow programs to be started");
                break;
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    // What ended the session itself is told a moment later.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _ = output.shutdown().await;
}
