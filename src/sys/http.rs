//! Turns a request into a response, through the host's trust store, proxies and name look-up.

mod origin;
mod proxy;
#[cfg(test)]
pub(crate) mod serve;
mod wire;

pub(super) use origin::Origins;
pub use origin::{Locked, Origin, Place, Supply};

use super::Sys;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::RedirectAuthHeaders;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector, RustlsConnector};

/// Where a host keeps the authorities that it trusts: Debian's, Red Hat's, Alpine's and SUSE's places.
const TRUST_STORES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    All,
    /// Only those of GET and HEAD.
    Safe,
    None,
}

/// What to ask of whom.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// A user and password in it become an `Authorization` header.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// How long the other side may be silent.
    pub timeout: Duration,
    pub redirects: Redirects,
    /// Whether the certificate of the other side is verified.
    pub validate: bool,
    pub use_proxy: bool,
    /// Further authorities to trust, PEM.
    pub authorities: Option<PathBuf>,
    /// Certificate and key that the other side may ask for, PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What came back.
pub struct Response {
    pub status: u16,
    pub reason: String,
    /// Where the last redirect led.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Box<dyn Read>,
}

impl Request {
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(10),
            redirects: Redirects::All,
            validate: true,
            use_proxy: true,
            authorities: None,
            certificate: None,
        }
    }

    /// Adds a header.
    pub fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Gives a user and password with the first request.
    pub fn login(&mut self, user: &str, password: &str) {
        self.header("Authorization", basic(user, password));
    }
}

impl Response {
    /// Returns a header's first value; names know no case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let words = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {words}")
}

impl Sys {
    /// Sends a request and returns once the response's headers are there.
    ///
    /// Every status is a response. The task's cancel and deadline end it in any phase, reading the body included.
    pub fn request(&self, request: &Request) -> io::Result<Response> {
        match self.origin(&request.url) {
            Some(origin) if request.method == "GET" => self.ask_origin(origin, request),
            _ => self.send(request),
        }
    }

    fn send(&self, request: &Request) -> io::Result<Response> {
        let (url, login) = without_login(&request.url);
        let uri: Uri = url.parse().map_err(|error| {
            let message = format!("`{url}` is no URL: {error}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !is_http {
            let message = format!("`{url}` is no http or https URL");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut message = ureq::http::Request::builder()
            .method(request.method.as_str())
            .uri(uri);
        if let Some((user, password)) = login {
            message = message.header("Authorization", basic(&user, &password));
        }
        for (name, value) in &request.headers {
            message = message.header(name, value);
        }
        let agent = self.http_agent(request)?;
        let answer = match &request.body {
            Some(body) => agent.run(message.body(body.as_slice()).map_err(io::Error::other)?),
            None => agent.run(message.body(()).map_err(io::Error::other)?),
        };
        let answer = answer.map_err(|error| plain(error, request))?;
        let url = ureq::ResponseExt::get_uri(&answer).to_string();
        let (parts, body) = answer.into_parts();
        let headers = parts.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Ok(Response {
            status: parts.status.as_u16(),
            reason: parts.status.canonical_reason().unwrap_or_default().into(),
            url,
            headers: headers.collect(),
            body: Box::new(body.into_reader()),
        })
    }

    fn http_agent(&self, request: &Request) -> io::Result<ureq::Agent> {
        let is_safe = matches!(request.method.as_str(), "GET" | "HEAD");
        let follows = match request.redirects {
            Redirects::All => true,
            Redirects::Safe => is_safe,
            Redirects::None => false,
        };
        let has = |wanted: &str| {
            request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let agent_name = if has("user-agent") {
            ""
        } else {
            concat!("krun/", env!("CARGO_PKG_VERSION"))
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(if follows { 10 } else { 0 })
            .max_redirects_will_error(follows)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(agent_name)
            .accept_encoding("")
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .proxy(None)
            .tls_config(self.tls(request)?)
            .build();
        let proxies = if request.use_proxy {
            proxy::Proxies::of_host(self)?
        } else {
            proxy::Proxies::default()
        };
        let dialer = wire::Dialer::new(self.clone(), request.timeout, proxies);
        let connector = dialer.clone().chain(RustlsConnector::default());
        Ok(ureq::Agent::with_parts(config, connector, dialer))
    }

    fn tls(&self, request: &Request) -> io::Result<TlsConfig> {
        let mut tls = TlsConfig::builder().disable_verification(!request.validate);
        if request.url.starts_with("https") || request.redirects != Redirects::None {
            tls = tls.root_certs(RootCerts::from(
                self.trusted(request.authorities.as_deref())?,
            ));
        }
        if let Some((certificate, key)) = &request.certificate {
            let chain = certificates(&self.read(certificate)?);
            let key = self.read(key)?;
            let key = PrivateKey::from_pem(&key).map_err(io::Error::other)?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        Ok(tls.build())
    }

    /// Reads the authorities that the host trusts: where `SSL_CERT_FILE` and `SSL_CERT_DIR` say, else in its store.
    fn trusted(&self, further: Option<&Path>) -> io::Result<Vec<Certificate<'static>>> {
        let named = |name: &str| self.variable(name).filter(|path| !path.is_empty());
        let (file, directory) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
        let mut all = Vec::new();
        if file.is_some() || directory.is_some() {
            let real = |path: &String| self.real(Path::new(path));
            let (file, directory) = (file.as_ref().map(real), directory.as_ref().map(real));
            let found =
                rustls_native_certs::load_certs_from_paths(file.as_deref(), directory.as_deref());
            all.extend(
                found
                    .certs
                    .iter()
                    .map(|der| Certificate::from_der(der).to_owned()),
            );
        }
        for store in TRUST_STORES {
            if !all.is_empty() {
                break;
            }
            all = certificates(&self.read(Path::new(store)).unwrap_or_default());
        }
        if let Some(path) = further {
            all.extend(certificates(&self.read(path)?));
        }
        Ok(all)
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .map(|der| Certificate::from_der(&der).to_owned())
        .collect()
}

/// Returns a URL without user and password.
pub fn bare(url: &str) -> String {
    without_login(url).0
}

/// Returns the name of a URL's server, without login and port; an IPv6 address with its brackets.
pub fn server(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = authority.rsplit('@').next().unwrap_or_default();
    match server.find(']') {
        Some(end) => &server[..=end],
        None => server.split(':').next().unwrap_or_default(),
    }
}

/// Takes `user:password@` out of a URL.
fn without_login(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else {
        return (url.to_owned(), None);
    };
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    let bare = format!("{scheme}://{}", &rest[at + 1..]);
    (bare, Some((decoded(user), decoded(password))))
}

/// Reads `%40` and the like.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = std::str::from_utf8(after.get(..2).unwrap_or_default());
        let byte = code.ok().and_then(|code| u8::from_str_radix(code, 16).ok());
        if let Some(byte) = byte.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Says what went wrong without the library's own words for it.
fn plain(error: ureq::Error, request: &Request) -> io::Error {
    match error {
        ureq::Error::Io(error) if error.to_string().contains("UnknownIssuer") => io::Error::other(
            "the certificate is signed by an authority that is not in this host's trust store",
        ),
        ureq::Error::Io(error) => error,
        ureq::Error::HostNotFound => {
            let host = request
                .url
                .parse::<Uri>()
                .ok()
                .and_then(|uri| Some(uri.host()?.to_owned()));
            io::Error::other(format!(
                "no address is known for `{}`",
                host.unwrap_or_default()
            ))
        }
        ureq::Error::TooManyRedirects => io::Error::other("more than 10 redirects"),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
