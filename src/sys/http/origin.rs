//! Turns a URL that a task fetches into the place its bytes come from, and checks that they are the right ones.

use super::{Request, Response};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::sync::Arc;

/// Where the bytes of a URL come from, and which they must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// As the playbook has it.
    pub url: String,
    pub place: Place,
    /// What `krun.lock` says of it.
    pub locked: Option<Locked>,
}

/// Who hands out the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The server of this URL, which may be a mirror's.
    Url(String),
    /// The controller, over the connection that is there.
    Controller,
}

/// The only bytes that are right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// Asks the controller for a piece of what it has under a URL, from that byte on; an empty one is the end.
pub type Supply = Arc<dyn Fn(&str, u64) -> io::Result<Vec<u8>> + Send + Sync>;

/// The origins that a task knows.
#[derive(Clone, Default)]
pub(in crate::sys) struct Origins {
    all: Arc<[Origin]>,
    supply: Option<Supply>,
}

impl Sys {
    /// Returns this host with other places for the bytes of some URLs.
    #[must_use]
    pub fn with_origins(mut self, all: &[Origin], supply: Supply) -> Self {
        self.origins = Origins {
            all: all.into(),
            supply: Some(supply),
        };
        self
    }

    /// What `krun.lock` says of a URL's bytes, where it is to be kept to.
    pub fn locked(&self, url: &str) -> Option<&Locked> {
        self.origin(url)?.locked.as_ref()
    }

    /// Asks the controller for a piece of a URL's bytes, from that one on; an empty one is the end.
    pub fn supplied(&self, url: &str, from: u64) -> io::Result<Vec<u8>> {
        match &self.origins.supply {
            Some(supply) => supply(url, from),
            None => Err(io::Error::other("there is no controller to ask")),
        }
    }

    pub(super) fn origin(&self, url: &str) -> Option<&Origin> {
        self.origins.all.iter().find(|origin| origin.url == url)
    }

    /// Answers a request for a URL whose bytes have a place of their own.
    pub(super) fn ask_origin(&self, origin: &Origin, request: &Request) -> io::Result<Response> {
        let mut response = match &origin.place {
            Place::Controller => Response {
                status: 200,
                reason: "OK".into(),
                url: origin.url.clone(),
                headers: Vec::new(),
                body: Box::new(Supplied::begin(self, &origin.url)?),
            },
            Place::Url(url) => {
                let is_mirror = *url != origin.url;
                let mut request = request.clone();
                request.url.clone_from(url);
                if is_mirror {
                    // What the source may know is no business of its mirror.
                    let secret = |name: &str| name.eq_ignore_ascii_case("authorization");
                    request.headers.retain(|(name, _)| !secret(name));
                }
                let mut response = self.send(&request)?;
                if is_mirror {
                    response.url.clone_from(&origin.url);
                }
                response
            }
        };
        if let Some(locked) = &origin.locked
            && response.status == 200
        {
            response.body = Box::new(Checked {
                body: response.body,
                url: origin.url.clone(),
                locked: locked.clone(),
                hash: Sha256::new(),
                n_bytes: 0,
            });
        }
        Ok(response)
    }
}

/// A body that comes from the controller, piece by piece.
struct Supplied {
    sys: Sys,
    url: String,
    piece: io::Cursor<Vec<u8>>,
    n_bytes: u64,
}

impl Supplied {
    /// Asks for the first piece at once: what cannot be had is no body that breaks off.
    fn begin(sys: &Sys, url: &str) -> io::Result<Self> {
        let piece = sys.supplied(url, 0)?;
        Ok(Self {
            sys: sys.clone(),
            url: url.to_owned(),
            n_bytes: piece.len() as u64,
            piece: io::Cursor::new(piece),
        })
    }
}

impl Read for Supplied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.piece.read(buffer)?;
        if n > 0 || buffer.is_empty() || self.n_bytes == 0 {
            return Ok(n);
        }
        let piece = self.sys.supplied(&self.url, self.n_bytes)?;
        self.n_bytes += piece.len() as u64;
        self.piece = io::Cursor::new(piece);
        self.piece.read(buffer)
    }
}

/// A body that ends in an error unless it was the right one.
struct Checked {
    body: Box<dyn Read>,
    url: String,
    locked: Locked,
    hash: Sha256,
    n_bytes: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.n_bytes += n as u64;
        let is_over = n == 0 && !buffer.is_empty();
        if !is_over && self.n_bytes <= self.locked.size {
            return Ok(n);
        }
        if self.n_bytes > self.locked.size {
            return Err(io::Error::other(format!(
                "these are not the bytes of krun.lock: `{}` must have {} bytes, and more come",
                super::bare(&self.url),
                self.locked.size
            )));
        }
        let came = hex::encode(self.hash.clone().finalize());
        if came == self.locked.sha256 {
            return Ok(0);
        }
        Err(io::Error::other(format!(
            "these are not the bytes of krun.lock: `{}` must have {} bytes with sha256 {}, and {} bytes with {came} came",
            super::bare(&self.url),
            self.locked.size,
            self.locked.sha256,
            self.n_bytes
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::serve::{Server, answer};

    fn locked(text: &str) -> Locked {
        Locked {
            sha256: hex::encode(Sha256::digest(text)),
            size: text.len() as u64,
        }
    }

    fn fetch(origin: Origin, supplied: &'static str) -> io::Result<String> {
        let url = origin.url.clone();
        let supply: Supply = Arc::new(move |_, from| {
            let from = usize::try_from(from).unwrap();
            Ok(supplied.bytes().skip(from).take(2).collect())
        });
        let sys = Sys::host().with_origins(&[origin], supply);
        let mut text = String::new();
        let mut response = sys.request(&Request::get(&url))?;
        response.body.read_to_string(&mut text)?;
        Ok(format!("{} {text}", response.url))
    }

    #[test]
    fn mirror_answers_under_the_name_of_what_it_mirrors() {
        let server = Server::with(|_| answer("200 OK", "", b"mirrored"));
        let origin = Origin {
            url: "http://gone.example/a.tgz".into(),
            place: Place::Url(format!("{}/a.tgz", server.url)),
            locked: Some(locked("mirrored")),
        };
        assert_eq!(
            fetch(origin, "").unwrap(),
            "http://gone.example/a.tgz mirrored"
        );
    }

    #[test]
    fn controller_supplies_what_it_has() {
        let origin = Origin {
            url: "http://gone.example/a.tgz".into(),
            place: Place::Controller,
            locked: None,
        };
        assert_eq!(
            fetch(origin, "sent").unwrap(),
            "http://gone.example/a.tgz sent"
        );
    }

    #[test]
    fn other_bytes_than_the_locked_ones_are_an_error() {
        let origin = || Origin {
            url: "http://gone.example/a.tgz".into(),
            place: Place::Controller,
            locked: Some(locked("right")),
        };
        let texts = ["wrong", "longer", "less"].map(|came| fetch(origin(), came).unwrap_err());
        insta::assert_snapshot!(texts.map(|error| error.to_string()).join("\n"));
    }
}
