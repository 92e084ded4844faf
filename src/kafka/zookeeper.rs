//! Turns a path into a znode's data, through `ZooKeeper`'s own protocol: the only way to learn of reassignments before 2.4.

use super::client::Network;
use super::connect::{self, Address, Stream};
use super::error::{Error, Result};
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

/// Where a `zookeeper.connect` points: servers and the chroot below which this cluster lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    pub servers: Vec<Address>,
    /// Empty, or `/kafka1` without a slash at its end.
    pub chroot: String,
}

impl Ensemble {
    /// Reads `host1:2181,host2:2181/chroot`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (servers, chroot) = text.split_once('/').unwrap_or((text, ""));
        let servers: Option<Vec<Address>> = servers
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .map(|server| Address::parse(server, 2181))
            .collect();
        let chroot = chroot.trim_end_matches('/');
        Some(Self {
            servers: servers.filter(|servers| !servers.is_empty())?,
            chroot: if chroot.is_empty() {
                String::new()
            } else {
                format!("/{chroot}")
            },
        })
    }
}

const EXISTS_ALREADY: i32 = -110;
const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
/// Larger answers are taken for a broken stream; `ZooKeeper`'s own limit is 1 MiB.
const LARGEST_ANSWER: usize = 16 << 20;

/// A session with one server of an ensemble.
pub struct Session {
    stream: Box<dyn Stream>,
    address: String,
    chroot: String,
    limit: Duration,
    request: i32,
}

impl Session {
    /// Connects to the first server that answers.
    ///
    /// # Errors
    /// No server answers, or the ensemble wants TLS.
    pub fn open(network: &Network, ensemble: &Ensemble) -> Result<Self> {
        let mut fault = None;
        for address in &ensemble.servers {
            match Self::open_at(network, address, &ensemble.chroot) {
                Ok(session) => return Ok(session),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => fault = Some(error),
            }
        }
        Err(fault.unwrap_or_else(|| Error::Settings("no ZooKeeper server is known".into())))
    }

    fn open_at(network: &Network, address: &Address, chroot: &str) -> Result<Self> {
        let stream = connect::open(
            &network.dial,
            address,
            None,
            network.connect_limit,
            &network.cancel,
        )?;
        let mut session = Self {
            stream,
            address: address.to_string(),
            chroot: chroot.to_owned(),
            limit: network.request_limit,
            request: 0,
        };
        let mut hello = Output::default();
        // Protocol version, last transaction seen, session timeout in ms, session id, password, read only.
        hello
            .number(0)
            .wide(0)
            .number(10_000)
            .wide(0)
            .bytes(&[0; 16])
            .flag(false);
        let answer = session.exchange(&hello.0)?;
        let mut answer = Input(&answer);
        let timeout = answer.number().and_then(|_| answer.number());
        if timeout.is_none_or(|timeout| timeout <= 0) {
            return Err(session.fault("it refused the session"));
        }
        Ok(session)
    }

    /// Returns a znode's data; `None` where there is no such znode.
    pub fn data(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut body = Output::default();
        body.text(&format!("{}{path}", self.chroot)).flag(false);
        match self.ask(4, &body.0)? {
            (0, answer) => {
                let data = Input(&answer).bytes().unwrap_or_default();
                Ok(Some(data.to_vec()))
            }
            (NO_NODE, _) => Ok(None),
            (code, _) => Err(self.refusal(path, code)),
        }
    }

    /// Creates a znode that anybody may change, as Kafka's tools do. Returns `false` where there is one already.
    pub fn create(&mut self, path: &str, data: &[u8]) -> Result<bool> {
        let mut body = Output::default();
        body.text(&format!("{}{path}", self.chroot)).bytes(data);
        // One entry: all rights for `world:anyone`; no flags: persistent.
        body.number(1)
            .number(31)
            .text("world")
            .text("anyone")
            .number(0);
        match self.ask(1, &body.0)? {
            (0, _) => Ok(true),
            (EXISTS_ALREADY, _) => Ok(false),
            (code, _) => Err(self.refusal(path, code)),
        }
    }

    fn ask(&mut self, kind: i32, body: &[u8]) -> Result<(i32, Vec<u8>)> {
        self.request += 1;
        let mut message = Output::default();
        message.number(self.request).number(kind);
        message.0.extend_from_slice(body);
        let mut answer = self.exchange(&message.0)?;
        loop {
            let mut input = Input(&answer);
            let head = (input.number(), input.take(8), input.number());
            let (Some(request), Some(_), Some(code)) = head else {
                return Err(self.fault("its answer is cut short"));
            };
            if request == self.request {
                let rest = input.0.to_vec();
                return Ok((code, rest));
            }
            // A ping's answer or an event.
            answer = self.read().map_err(|error| self.lost(&error))?;
        }
    }

    fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let mut frame = Output::default();
        frame.bytes(message);
        self.stream.set_deadline(Instant::now() + self.limit);
        self.stream
            .write_all(&frame.0)
            .and_then(|()| self.read())
            .map_err(|error| self.lost(&error))
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LARGEST_ANSWER {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not speak ZooKeeper's protocol without TLS",
            ));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn lost(&self, error: &io::Error) -> Error {
        if connect::is_cancel(error) {
            return Error::Cancelled;
        }
        if error.kind() == io::ErrorKind::TimedOut {
            return self.fault(&format!("no answer within {:?}", self.limit));
        }
        self.fault(&error.to_string())
    }

    fn refusal(&self, path: &str, code: i32) -> Error {
        match code {
            NO_AUTH => self.fault(&format!("no right to use `{}{path}`", self.chroot)),
            code => self.fault(&format!("`{}{path}` failed with {code}", self.chroot)),
        }
    }

    fn fault(&self, message: &str) -> Error {
        Error::Zookeeper {
            address: self.address.clone(),
            message: message.to_owned(),
        }
    }
}

/// Ends the session; a server would keep it for its timeout.
impl Drop for Session {
    fn drop(&mut self) {
        let mut message = Output::default();
        message.number(8).number(self.request + 1).number(-11);
        self.stream
            .set_deadline(Instant::now() + Duration::from_secs(1));
        // Nobody is left to tell.
        let _ = self.stream.write_all(&message.0);
    }
}

/// `ZooKeeper`'s record format: big-endian numbers, texts and byte strings behind their length.
#[derive(Default)]
struct Output(Vec<u8>);

impl Output {
    fn number(&mut self, number: i32) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn wide(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.0.push(u8::from(flag));
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<i32> {
        self.take(4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_string_has_servers_and_a_chroot() {
        let ensemble = Ensemble::parse("zk01:2181, zk02,zk03:2182/kafka/one/").unwrap();
        assert_eq!(ensemble.chroot, "/kafka/one");
        assert_eq!(
            ensemble.servers,
            [
                Address::new("zk01", 2181),
                Address::new("zk02", 2181),
                Address::new("zk03", 2182)
            ]
        );
        assert_eq!(Ensemble::parse("zk01:2181/").unwrap().chroot, "");
        assert_eq!(Ensemble::parse("/kafka"), None);
    }
}
