//! Turns a host name and a port into a connection, within a time limit and until the task is cancelled.
//!
//! Names are looked up in `/etc/hosts`, then by the host's `getent`: the C library's own look-up loads modules at run
//! time, which a static program cannot.

use super::Sys;
use super::process::Command;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, socket, sockopt,
};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a wait looks for a cancel that has no descriptor to wait on.
const TICK: Duration = Duration::from_millis(50);

impl Sys {
    /// Returns the addresses of a name, in the order in which they are to be tried.
    pub fn addresses_of(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let hosts = self.read(Path::new("/etc/hosts")).unwrap_or_default();
        let mut found = in_hosts_file(&String::from_utf8_lossy(&hosts), name);
        if found.is_empty() && name.eq_ignore_ascii_case("localhost") {
            found.push(Ipv4Addr::LOCALHOST.into());
        }
        if found.is_empty() {
            let output = self.run(&Command::tool(["getent", "ahosts", name]))?;
            if output.cancelled {
                return Err(interrupted());
            }
            found = in_getent_output(&output.stdout);
        }
        if found.is_empty() {
            let message = format!("no address is known for `{name}`");
            return Err(io::Error::new(ErrorKind::NotFound, message));
        }
        Ok(found)
    }

    /// Connects to the first address of `host` that answers; Nagle's delay is off.
    ///
    /// `timeout` is for all of it but the name's look-up. A cancel ends it at once.
    pub fn connect(&self, host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
        let addresses = self.addresses_of(host)?;
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        self.connect_any(&addresses.collect::<Vec<_>>(), timeout)
    }

    /// Connects to the first of `addresses` that answers. The error is the last address's.
    pub fn connect_any(
        &self,
        addresses: &[SocketAddr],
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        let limit = Instant::now() + timeout;
        let limit = self
            .deadline()
            .map_or(limit, |deadline| deadline.min(limit));
        let mut last = io::Error::new(ErrorKind::NotFound, "no address to connect to");
        for (n, address) in addresses.iter().enumerate() {
            let left = limit.saturating_duration_since(Instant::now());
            // A silent first address leaves time for the others.
            let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
            match self.dial(*address, Instant::now() + share) {
                Ok(stream) => return Ok(stream),
                Err(error) if self.is_cancelled() => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn dial(&self, address: SocketAddr, limit: Instant) -> io::Result<TcpStream> {
        let family = if address.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let handle = socket(family, SockType::Stream, flags, None)?;
        match connect(handle.as_raw_fd(), &SockaddrStorage::from(address)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.wait_until(&handle, PollFlags::POLLOUT, Some(limit))?;
        match getsockopt(&handle, sockopt::SocketError)? {
            0 => {}
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        let stream = TcpStream::from(handle);
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Waits until a descriptor is ready. A cancel, the task's deadline and `limit` end it with an error.
    pub fn wait_until(
        &self,
        handle: &impl AsFd,
        ready: PollFlags,
        limit: Option<Instant>,
    ) -> io::Result<()> {
        loop {
            let left = self.left(limit)?.unwrap_or(TICK).min(TICK);
            // Rounded up, so that the last wait does not spin.
            let left = PollTimeout::try_from(left + Duration::from_millis(1));
            let mut watched = [PollFd::new(handle.as_fd(), ready)];
            match poll(&mut watched, left.unwrap_or(PollTimeout::ZERO)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Does nothing for some time. A cancel and the task's deadline end it with an error.
    pub fn pause(&self, duration: Duration) -> io::Result<()> {
        let end = Instant::now() + duration;
        loop {
            self.left(None)?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    /// Returns how long there is until `limit` or the task's deadline; an error if none is left or the task is cancelled.
    fn left(&self, limit: Option<Instant>) -> io::Result<Option<Duration>> {
        if self.is_cancelled() {
            return Err(interrupted());
        }
        let Some(end) = [limit, self.deadline()].into_iter().flatten().min() else {
            return Ok(None);
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "timed out"));
        }
        Ok(Some(left))
    }
}

fn interrupted() -> io::Error {
    // Not `Interrupted`: that kind means "try again" to the standard library.
    io::Error::new(ErrorKind::ConnectionAborted, "cancelled")
}

fn in_hosts_file(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    // The C library's order for a name of the file: what most servers listen on comes first.
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

fn in_getent_output(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if let Ok(address) = address.parse()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn names_come_from_the_hosts_file() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let text = "fd00::1 broker1\n# 10.0.0.9 broker1\n10.0.0.1\tbroker1.lab Broker1 # old\n";
        std::fs::write(root.path().join("etc/hosts"), text).unwrap();
        let sys = Sys::at(root.path());
        let addresses: Vec<IpAddr> = ["10.0.0.1", "fd00::1"].map(|a| a.parse().unwrap()).into();
        assert_eq!(sys.addresses_of("broker1").unwrap(), addresses);
        assert_eq!(sys.addresses_of("[::1]").unwrap().len(), 1);
    }

    #[test]
    fn an_unknown_name_is_named() {
        let error = Sys::host()
            .addresses_of("no-such-host.invalid")
            .unwrap_err();
        let said = "no address is known for `no-such-host.invalid`";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn getent_lists_each_address_once() {
        let text = "10.0.0.1      STREAM kafka\n10.0.0.1      DGRAM\nfd00::1 STREAM\n";
        assert_eq!(in_getent_output(text).len(), 2);
    }

    #[test]
    fn a_listening_port_connects_and_a_closed_one_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let timeout = Duration::from_secs(5);
        let stream = Sys::host().connect("localhost", port, timeout).unwrap();
        assert!(stream.nodelay().unwrap());
        drop(listener);
        let error = Sys::host().connect("127.0.0.1", port, timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_cancel_ends_a_pause() {
        let cancel = Arc::new(AtomicBool::new(false));
        let sys = Sys::host().with_cancel(Arc::clone(&cancel));
        let sleeper = std::thread::spawn(move || sys.pause(Duration::from_secs(600)));
        cancel.store(true, Ordering::Relaxed);
        assert!(sleeper.join().unwrap().is_err());
    }
}
