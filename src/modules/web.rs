//! Turns what a task says of login, proxy, headers and certificates into a request: for all modules that speak HTTP.

use super::Error;
use super::args::{Arg, ArgKind, yes};
use crate::sys::http::Request;
use crate::value::{Value, display};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a server is to be spoken to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Web {
    #[serde(default)]
    headers: Option<Value>,
    #[serde(default)]
    url_username: Option<String>,
    #[serde(default)]
    url_password: Option<String>,
    #[serde(default = "yes")]
    validate_certs: bool,
    #[serde(default = "yes")]
    use_proxy: bool,
    #[serde(default)]
    http_agent: Option<String>,
    #[serde(default)]
    ca_path: Option<PathBuf>,
    #[serde(default)]
    client_cert: Option<PathBuf>,
    #[serde(default)]
    client_key: Option<PathBuf>,
}

pub(super) const HEADERS: Arg = Arg::new(
    "headers",
    ArgKind::Any,
    "headers of the request, as a mapping",
);
/// Each module has its own short name for it.
pub(super) const USERNAME: Arg = Arg::new(
    "url_username",
    ArgKind::Str,
    "user for basic authentication",
);
/// The other arguments of [`Web`].
pub(super) const WEB: [Arg; 7] = [
    Arg::new("url_password", ArgKind::Str, "its password").aliases(&["password"]),
    Arg::new(
        "validate_certs",
        ArgKind::Bool,
        "verify the server's certificate (default yes)",
    ),
    Arg::new(
        "use_proxy",
        ArgKind::Bool,
        "use the proxy that the environment names (default yes)",
    ),
    Arg::new("http_agent", ArgKind::Str, "the request's User-Agent"),
    Arg::new(
        "ca_path",
        ArgKind::Path,
        "a file of further authorities to trust",
    ),
    Arg::new("client_cert", ArgKind::Path, "a client certificate, PEM"),
    Arg::new(
        "client_key",
        ArgKind::Path,
        "its key (default in the same file)",
    ),
];

impl Web {
    /// Returns a GET with all that the task says; what differs is set on it.
    pub(super) fn request(&self, url: &str) -> Result<Request, Error> {
        let mut request = Request::get(url);
        request.validate = self.validate_certs;
        request.use_proxy = self.use_proxy;
        request.authorities.clone_from(&self.ca_path);
        if let Some(certificate) = &self.client_cert {
            let key = self.client_key.as_ref().unwrap_or(certificate);
            request.certificate = Some((certificate.clone(), key.clone()));
        }
        if let Some(user) = &self.url_username {
            request.login(user, self.url_password.as_deref().unwrap_or_default());
        }
        if let Some(agent) = &self.http_agent {
            request.header("User-Agent", agent.as_str());
        }
        for (name, value) in self.headers()? {
            request.header(&name, value);
        }
        Ok(request)
    }

    /// Reads headers given as a mapping, or as a text `name: value, name: value`.
    fn headers(&self) -> Result<Vec<(String, String)>, Error> {
        match &self.headers {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Mapping(map)) => {
                Ok(map.iter().map(|(k, v)| (display(k), display(v))).collect())
            }
            Some(Value::String(text)) => {
                let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
                pairs
                    .map(|pair| {
                        let (name, value) = pair.split_once(':').ok_or_else(|| {
                            Error::new(format!("`{pair}` is no header: write `name: value`"))
                        })?;
                        Ok((name.trim().to_owned(), value.trim().to_owned()))
                    })
                    .collect()
            }
            Some(other) => Err(Error::new(format!(
                "`headers` must be a mapping, not `{}`",
                display(other)
            ))),
        }
    }
}
