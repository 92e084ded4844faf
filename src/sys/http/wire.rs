//! Turns a URL into a byte stream for the HTTP library: dialled through [`Sys`], perhaps by way of a proxy.

use super::proxy::{Proxies, Proxy};
use crate::sys::Sys;
use nix::poll::PollFlags;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// How long an answer of a proxy may be, in bytes.
const MAX_PROXY_ANSWER: usize = 16_384;

/// Resolves and connects for one request.
#[derive(Clone)]
pub(super) struct Dialer {
    sys: Sys,
    patience: Duration,
    proxies: Proxies,
}

impl Dialer {
    pub(super) fn new(sys: Sys, patience: Duration, proxies: Proxies) -> Self {
        Self {
            sys,
            patience,
            proxies,
        }
    }
}

/// Asks the proxy for a tunnel to the server.
fn tunnel(proxy: &Proxy, uri: &Uri, line: &mut Line) -> io::Result<()> {
    let host = uri.host().unwrap_or_default();
    let port = port(uri);
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(login) = &proxy.login {
        request.extend(["Proxy-Authorization: ", login, "\r\n"]);
    }
    request.push_str("\r\n");
    line.write_all(request.as_bytes())?;
    // Byte by byte: what follows the answer belongs to the server.
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        if line.read(&mut byte)? == 0 || answer.len() > MAX_PROXY_ANSWER {
            return Err(io::Error::other("the proxy gave no answer"));
        }
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status
        .split_whitespace()
        .nth(1)
        .is_some_and(|code| code.starts_with('2'))
    {
        return Ok(());
    }
    let message = format!("the proxy {}:{} refused: {status}", proxy.host, proxy.port);
    Err(io::Error::other(message))
}

fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(usual)
}

impl Resolver for Dialer {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        if self.proxies.to(uri).is_some() {
            // The proxy looks the name up; this host may not be able to.
            found.push(SocketAddr::from(([0, 0, 0, 0], 0)));
            return Ok(found);
        }
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let addresses = self.sys.addresses_of(host).map_err(ureq::Error::Io)?;
        for ip in addresses.into_iter().take(16) {
            found.push(SocketAddr::new(ip, port(uri)));
        }
        Ok(found)
    }
}

impl Connector<()> for Dialer {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Line>, ureq::Error> {
        let proxy = self.proxies.to(details.uri);
        let stream = match proxy {
            Some(proxy) => self.sys.connect(&proxy.host, proxy.port, self.patience),
            None => self.sys.connect_any(&details.addrs, self.patience),
        };
        let stream = stream.and_then(|stream| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        let whom = |error: io::Error| match proxy {
            Some(proxy) => format!(
                "cannot reach the proxy {}:{}: {error}",
                proxy.host, proxy.port
            ),
            None => error.to_string(),
        };
        let stream = stream.map_err(|error| io::Error::new(error.kind(), whom(error)))?;
        let mut line = Line {
            stream,
            sys: self.sys.clone(),
            patience: self.patience,
            buffers: LazyBuffers::new(128 * 1024, 128 * 1024),
            to_proxy: None,
        };
        if let Some(proxy) = proxy {
            if details.needs_tls() {
                tunnel(proxy, details.uri, &mut line)?;
            } else {
                let authority = details.uri.authority().map_or("", |name| name.as_str());
                line.to_proxy = Some((format!("http://{authority}"), proxy.login.clone()));
            }
        }
        Ok(Some(line))
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer")
    }
}

/// A connection whose every wait ends by cancel, deadline, or the other side's silence.
pub(super) struct Line {
    stream: TcpStream,
    sys: Sys,
    patience: Duration,
    buffers: LazyBuffers,
    /// A request to a proxy names the whole URL, and may carry a login: put in on its way out, once.
    to_proxy: Option<(String, Option<String>)>,
}

impl Line {
    fn wait(&self, ready: PollFlags) -> io::Result<()> {
        let limit = Instant::now() + self.patience;
        self.sys
            .wait_until(&self.stream, ready, Some(limit))
            .map_err(|error| {
                if error.kind() == io::ErrorKind::TimedOut && Instant::now() >= limit {
                    let message = format!("nothing came for {} s", self.patience.as_secs_f64());
                    return io::Error::new(io::ErrorKind::TimedOut, message);
                }
                error
            })
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read(self, buffer)
    }
}

fn read(line: &Line, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match (&line.stream).read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                line.wait(PollFlags::POLLIN)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match (&self.stream).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::POLLOUT)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let mut output = self.buffers.output()[..amount].to_vec();
        if let Some((prefix, login)) = self.to_proxy.take() {
            output = for_proxy(&output, &prefix, login.as_deref());
        }
        self.write_all(&output)?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let mut buffer = std::mem::replace(&mut self.buffers, LazyBuffers::new(1, 1));
        let result = read(self, buffer.input_append_buf());
        self.buffers = buffer;
        let n = result?;
        self.buffers.input_appended(n);
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        // Each request has a connection of its own.
        false
    }
}

/// Makes `GET /path` into `GET http://server/path`, with the login for the proxy after its line.
fn for_proxy(output: &[u8], prefix: &str, login: Option<&str>) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let end = output.windows(2).position(|pair| pair == b"\r\n");
    let Some(end) = end.map(|end| end + 2) else {
        return output.to_vec();
    };
    let first = text(&output[..end]);
    let Some((method, rest)) = first.split_once(' ') else {
        return output.to_vec();
    };
    let mut made = format!("{method} {prefix}{rest}");
    if let Some(login) = login {
        made.extend(["Proxy-Authorization: ", login, "\r\n"]);
    }
    let mut made = made.into_bytes();
    made.extend_from_slice(&output[end..]);
    made
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({:?})", self.stream.peer_addr())
    }
}
