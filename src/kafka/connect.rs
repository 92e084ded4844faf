//! Turns an address into a byte stream to a broker that respects a time limit and a cancel flag.

use super::error::{Error, Result};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host:port`, `[v6]:port`, or a host alone, which gets `default_port`.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let text = text.trim();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok()?)
            }
            _ => (text, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self::new(host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Opens a TCP connection within `limit`: the host's network, or a test's.
pub trait Dial: Send + Sync {
    fn dial(&self, address: &Address, limit: Duration) -> io::Result<TcpStream>;
}

/// The network as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

impl Dial for Direct {
    fn dial(&self, address: &Address, limit: Duration) -> io::Result<TcpStream> {
        let deadline = Instant::now() + limit;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for target in (address.host.as_str(), address.port).to_socket_addrs()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&target, left) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// How often a wait looks at the cancel flag.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The text of an `io::Error` that stands for a raised cancel flag.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
struct CancelMark;

pub(super) fn is_cancel(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<CancelMark>)
}

/// A byte stream whose reads and writes end at a deadline.
pub(super) trait Stream: Read + Write + Send {
    fn set_deadline(&mut self, deadline: Instant);
}

struct Patient {
    stream: TcpStream,
    deadline: Instant,
    cancel: Arc<AtomicBool>,
}

impl Patient {
    fn wait<T>(&mut self, mut act: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(io::Error::other(CancelMark));
            }
            match act(&mut self.stream) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if Instant::now() >= self.deadline {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                other => return other,
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|stream| stream.read(buffer))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Patient {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

impl Stream for StreamOwned<ClientConnection, Patient> {
    fn set_deadline(&mut self, deadline: Instant) {
        self.sock.deadline = deadline;
    }
}

/// Connects to `address` within `limit`, with TLS where `tls` is given.
pub(super) fn open(
    dial: &Arc<dyn Dial>,
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
    limit: Duration,
    cancel: &Arc<AtomicBool>,
) -> Result<Box<dyn Stream>> {
    let deadline = Instant::now() + limit;
    let stream = dial_cancellable(dial, address, limit, cancel)?;
    let connect = |source| Error::Connect {
        address: address.to_string(),
        source,
    };
    stream.set_nodelay(true).map_err(connect)?;
    stream.set_read_timeout(Some(LOOK)).map_err(connect)?;
    stream.set_write_timeout(Some(LOOK)).map_err(connect)?;
    let mut patient = Patient {
        stream,
        deadline,
        cancel: Arc::clone(cancel),
    };
    let Some(config) = tls else {
        return Ok(Box::new(patient));
    };
    let fault = |source| {
        if is_cancel(&source) {
            return Error::Cancelled;
        }
        Error::Tls {
            address: address.to_string(),
            source,
        }
    };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| fault(io::Error::other(error)))?;
    let mut connection = ClientConnection::new(Arc::clone(config), name)
        .map_err(|error| fault(io::Error::other(error)))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut patient).map_err(fault)?;
    }
    Ok(Box::new(StreamOwned::new(connection, patient)))
}

/// A dead host swallows the first packet and a name server may be slow, so a thread of its own waits for them.
fn dial_cancellable(
    dial: &Arc<dyn Dial>,
    address: &Address,
    limit: Duration,
    cancel: &Arc<AtomicBool>,
) -> Result<TcpStream> {
    let (sender, answer) = mpsc::channel();
    let (dial, target) = (Arc::clone(dial), address.clone());
    std::thread::spawn(move || {
        // The receiver is gone when nobody waits any longer.
        let _ = sender.send(dial.dial(&target, limit));
    });
    let deadline = Instant::now() + limit;
    let connect = |source| Error::Connect {
        address: address.to_string(),
        source,
    };
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        match answer.recv_timeout(LOOK) {
            Ok(result) => return result.map_err(connect),
            Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => return Err(connect(io::ErrorKind::TimedOut.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        assert_eq!(
            Address::parse("a:9093", 9092),
            Some(Address::new("a", 9093))
        );
        assert_eq!(Address::parse("a", 9092), Some(Address::new("a", 9092)));
        assert_eq!(
            Address::parse("[::1]:1", 9092),
            Some(Address::new("::1", 1))
        );
        assert_eq!(Address::parse("::1", 9092), Some(Address::new("::1", 9092)));
        assert_eq!(Address::parse("a:b", 9092), None);
        assert_eq!(Address::parse("", 9092), None);
    }

    #[test]
    fn a_raised_flag_ends_a_wait_for_a_silent_peer_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let cancel = Arc::new(AtomicBool::new(false));
        let dial: Arc<dyn Dial> = Arc::new(Direct);
        let minute = Duration::from_secs(60);
        let mut stream = open(&dial, &address, None, minute, &cancel).unwrap();
        let begun = Instant::now();
        let flag = Arc::clone(&cancel);
        let raiser = std::thread::spawn(move || flag.store(true, Ordering::Relaxed));
        let error = stream.read(&mut [0]).unwrap_err();
        raiser.join().unwrap();
        assert!(is_cancel(&error));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
