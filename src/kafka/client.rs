//! Turns requests into answers of one broker: one connection, one request at a time, each with a time limit.

use super::connect::{self, Address, Dial, Stream};
use super::error::{Error, Result};
use super::requests::{Ask, Refusal};
use super::sasl::{self, Scram};
use super::settings::{Login, Mechanism, Security};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What every connection of one task shares.
#[derive(Clone)]
pub struct Network {
    pub dial: Arc<dyn Dial>,
    pub security: Security,
    /// Ends every wait within 200 ms when it becomes true.
    pub cancel: Arc<AtomicBool>,
    /// How long a connection may take, the login included. Default 5 s.
    pub connect_limit: Duration,
    /// How long an answer may take. Default 5 s (rule 1 of `kafka_safe_to_stop`).
    pub request_limit: Duration,
}

impl Network {
    pub fn new(security: Security, cancel: Arc<AtomicBool>) -> Self {
        Self {
            dial: Arc::new(connect::Direct),
            security,
            cancel,
            connect_limit: Duration::from_secs(5),
            request_limit: Duration::from_secs(5),
        }
    }
}

/// The versions of one API, from `.0` to `.1`.
pub type Range = (i16, i16);

/// Answers larger than this are taken for a broken stream.
const LARGEST_ANSWER: usize = 256 << 20;

const CLIENT_ID: StrBytes = StrBytes::from_static_str("krun");

/// An open, authenticated connection to one broker.
pub struct Client {
    address: Address,
    stream: Box<dyn Stream>,
    versions: BTreeMap<i16, Range>,
    correlation: i32,
    request_limit: Duration,
    user: String,
    broken: bool,
}

impl Client {
    /// Connects, learns the broker's versions and logs in.
    pub fn connect(network: &Network, address: &Address) -> Result<Self> {
        let security = &network.security;
        let stream = connect::open(
            &network.dial,
            address,
            security.tls.as_ref(),
            network.connect_limit,
            &network.cancel,
        )?;
        let mut client = Self {
            address: address.clone(),
            stream,
            versions: BTreeMap::new(),
            correlation: 0,
            request_limit: network.request_limit,
            user: security.user(),
            broken: false,
        };
        client.learn_versions()?;
        if let Some(login) = &security.login {
            client.log_in(login)?;
        }
        Ok(client)
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The broker's answer to `ApiVersions`, by API key.
    pub fn versions(&self) -> &BTreeMap<i16, Range> {
        &self.versions
    }

    /// Returns `false` once a request failed half way: a new connection is needed.
    pub fn is_usable(&self) -> bool {
        !self.broken
    }

    /// Whether the broker knows this request in a version that krun speaks.
    pub fn knows<R: Ask>(&self) -> bool {
        self.version::<R>().is_ok()
    }

    fn version<R: Ask>(&self) -> Result<i16> {
        let (lowest, highest) = R::SPOKEN;
        let known = self.versions.get(&R::KEY);
        match known {
            Some(&(min, max)) if min <= highest && max >= lowest => Ok(max.min(highest)),
            _ => Err(Error::Version {
                address: self.address.to_string(),
                request: R::NAME,
                theirs: known.map_or("not at all".into(), |(min, max)| {
                    format!("in versions {min} to {max}")
                }),
                ours: format!("versions {lowest} to {highest}"),
            }),
        }
    }

    /// Sends a request at the highest version that both sides speak and returns the answer.
    ///
    /// Error codes inside the answer are the caller's to read; [`Client::refusal`] words them.
    pub fn ask<R: Ask>(&mut self, request: &R) -> Result<R::Response> {
        self.ask_within(request, self.request_limit)
    }

    /// As [`Client::ask`], for a request that the broker itself may hold for a while.
    pub fn ask_within<R: Ask>(&mut self, request: &R, limit: Duration) -> Result<R::Response> {
        let version = self.version::<R>()?;
        self.exchange(request, version, limit)
    }

    /// Turns an error code of an answer into an error, a missing ACL into one that names it.
    pub fn refusal<R: Ask>(&self, code: i16, resource: &str, message: Option<&str>) -> Error {
        Refusal {
            address: self.address.to_string(),
            user: self.user.clone(),
            request: R::NAME,
            operation: R::OPERATION,
        }
        .error(code, resource, message)
    }

    /// Asked at version 0, which every broker knows and which says all that is needed.
    fn learn_versions(&mut self) -> Result<()> {
        let answer = self.exchange(&ApiVersionsRequest::default(), 0, self.request_limit)?;
        if answer.error_code != 0 {
            return Err(self.refusal::<ApiVersionsRequest>(answer.error_code, "the broker", None));
        }
        self.versions = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(())
    }

    fn log_in(&mut self, login: &Login) -> Result<()> {
        let handshake = SaslHandshakeRequest::default()
            .with_mechanism(StrBytes::from_static_str(login.mechanism.name()));
        let answer = self.ask(&handshake)?;
        if answer.error_code != 0 {
            let offered: Vec<&str> = answer.mechanisms.iter().map(|m| &**m).collect();
            return Err(self.login_refused(
                login,
                &format!("the listener offers {}", offered.join(", ")),
            ));
        }
        if login.mechanism == Mechanism::Plain {
            self.authenticate(login, sasl::plain(login))?;
            return Ok(());
        }
        let scram = Scram::new(login, uuid::Uuid::new_v4().simple().to_string());
        let first = self.authenticate(login, scram.first().into_bytes())?;
        let end = scram
            .answer(&String::from_utf8_lossy(&first))
            .map_err(|message| self.login_refused(login, &message))?;
        let last = self.authenticate(login, end.message.into_bytes())?;
        if last != end.expected.as_bytes() {
            return Err(self.login_refused(
                login,
                "the server could not prove that it knows the password",
            ));
        }
        Ok(())
    }

    fn authenticate(&mut self, login: &Login, bytes: Vec<u8>) -> Result<Bytes> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(bytes.into());
        let answer = self.ask(&request)?;
        if answer.error_code != 0 {
            let message = answer.error_message.unwrap_or_default();
            return Err(self.login_refused(login, &message));
        }
        Ok(answer.auth_bytes)
    }

    fn login_refused(&self, login: &Login, message: &str) -> Error {
        Error::Login {
            address: self.address.to_string(),
            user: login.user.clone(),
            mechanism: login.mechanism.name(),
            message: message.to_owned(),
        }
    }

    fn exchange<R: Ask>(
        &mut self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response> {
        self.correlation += 1;
        let frame = self.frame(request, version)?;
        self.stream.set_deadline(Instant::now() + limit);
        // Set until the whole answer was read: what is left on the stream would be taken for the next answer.
        self.broken = true;
        let answer = self
            .stream
            .write_all(&frame)
            .and_then(|()| self.stream.flush())
            .and_then(|()| self.read_frame())
            .map_err(|source| self.transport_fault(R::NAME, limit, source))?;
        let response = self.decode::<R>(answer, version)?;
        self.broken = false;
        Ok(response)
    }

    fn transport_fault(
        &self,
        request: &'static str,
        limit: Duration,
        source: std::io::Error,
    ) -> Error {
        let address = self.address.to_string();
        if connect::is_cancel(&source) {
            Error::Cancelled
        } else if source.kind() == std::io::ErrorKind::TimedOut {
            Error::Timeout {
                address,
                request,
                limit,
            }
        } else {
            Error::Lost {
                address,
                request,
                source,
            }
        }
    }

    fn frame<R: Ask>(&self, request: &R, version: i16) -> Result<BytesMut> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(CLIENT_ID));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .and_then(|()| request.encode(&mut body, version))
            .map_err(|error| Error::Settings(format!("cannot write {}: {error}", R::NAME)))?;
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut frame = BytesMut::with_capacity(body.len() + 4);
        frame.extend_from_slice(&length);
        frame.extend_from_slice(&body);
        Ok(frame)
    }

    fn read_frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LARGEST_ANSWER {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!(
                    "an answer of {length} bytes is announced: this is no Kafka listener, or it wants TLS"
                ),
            ));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    fn decode<R: Ask>(&self, mut answer: Bytes, version: i16) -> Result<R::Response> {
        let malformed = |message: String| Error::Malformed {
            address: self.address.to_string(),
            request: R::NAME,
            message,
        };
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
            .map_err(|error| malformed(error.to_string()))?;
        if header.correlation_id != self.correlation {
            return Err(malformed(format!(
                "it answers request {} and not {}",
                header.correlation_id, self.correlation
            )));
        }
        let response =
            R::Response::decode(&mut answer, version).map_err(|e| malformed(e.to_string()))?;
        if answer.has_remaining() {
            return Err(malformed(format!(
                "{} bytes are left over",
                answer.remaining()
            )));
        }
        Ok(response)
    }
}
