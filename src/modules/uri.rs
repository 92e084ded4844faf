//! `uri`: turns a request into its response, registered.

pub mod body;

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions};
use super::diff::Diff;
use super::web::{self, Web};
use super::{Error, Found, Module, Nature, Outcome, words};
use crate::sys::Sys;
use crate::sys::fs::{Durability, Stat};
use crate::sys::http::{Redirects, Request, Response};
use crate::value::{Mapping, Value};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How much of a response is kept in memory, in bytes.
const MAX_CONTENT: u64 = 64 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uri {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    body_format: Option<String>,
    #[serde(default)]
    src: Option<String>,
    #[serde(default)]
    remote_src: bool,
    #[serde(default)]
    status_code: Vec<String>,
    #[serde(default)]
    return_content: bool,
    #[serde(default)]
    dest: Option<String>,
    #[serde(default)]
    creates: Option<String>,
    #[serde(default)]
    removes: Option<String>,
    #[serde(default)]
    follow_redirects: Option<String>,
    #[serde(default = "thirty")]
    timeout: f64,
    #[serde(flatten)]
    web: Web,
    #[serde(flatten)]
    permissions: Permissions,
    /// Not an argument: what the controller read of `src`.
    #[serde(default)]
    sent: Option<ByteBuf>,
}

fn thirty() -> f64 {
    30.0
}
impl Uri {
    /// Returns the file of the controller that has to be sent along with [`Uri::set_sent`], if one has to.
    pub fn needs_source(&self) -> Option<&str> {
        self.src.as_deref().filter(|_| !self.remote_src)
    }

    /// Adds the content of `src`.
    pub fn set_sent(&mut self, content: Vec<u8>) {
        self.sent = Some(ByteBuf::from(content));
    }

    /// The URL of the file that it downloads, if it does nothing else.
    pub fn download(&self) -> Option<String> {
        let is_get = self
            .method
            .as_deref()
            .is_none_or(|it| it.eq_ignore_ascii_case("get"));
        let is_download =
            self.dest.is_some() && is_get && self.body.is_none() && self.src.is_none();
        is_download.then(|| self.url.clone())
    }
}

impl Module for Uri {
    const NAME: &'static str = "uri";
    const NATURE: Nature = Nature::Action;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("url", ArgKind::Str, "http or https URL").required(),
            Arg::new(
                "method",
                ArgKind::Str,
                "GET (default), POST, PUT, DELETE, …",
            ),
            Arg::new("body", ArgKind::Any, "what to send"),
            Arg::new(
                "body_format",
                ArgKind::Str,
                "raw (default), json, form-urlencoded: how `body` is written",
            )
            .choices(&["raw", "json", "form-urlencoded", "form-multipart"]),
            Arg::new(
                "src",
                ArgKind::Path,
                "a file to send instead of `body`, of the controller or, with `remote_src`, of the host",
            ),
            web::HEADERS,
            Arg::new(
                "status_code",
                ArgKind::StrList,
                "which statuses are success (default 200)",
            ),
            Arg::new(
                "return_content",
                ArgKind::Bool,
                "register the body as `content` (default no)",
            ),
            Arg::new("dest", ArgKind::Path, "a file or directory for the body"),
            Arg::new(
                "creates",
                ArgKind::Path,
                "a path or pattern; if it exists, nothing is asked",
            ),
            Arg::new(
                "removes",
                ArgKind::Path,
                "a path or pattern; if it does not exist, nothing is asked",
            ),
            Arg::new(
                "follow_redirects",
                ArgKind::Str,
                "safe (default: of GET and HEAD), all or none",
            )
            .choices(&[
                "safe", "all", "none", "urllib2", "yes", "no", "True", "False",
            ]),
            Arg::new(
                "timeout",
                ArgKind::Float,
                "seconds that the server may be silent (default 30)",
            ),
            web::USERNAME.aliases(&["user"]),
        ],
        web::WEB,
        [
            Arg::new("force", ArgKind::Bool, "accepted: nothing is cached"),
            Arg::new(
                "force_basic_auth",
                ArgKind::Bool,
                "accepted: a login is always sent at once",
            ),
            Arg::new(
                "remote_src",
                ArgKind::Bool,
                "`src` is a file of the host (default no)",
            ),
            Arg::new(
                "decompress",
                ArgKind::Bool,
                "accepted: no compression is asked for",
            ),
            Arg::new("use_netrc", ArgKind::Bool, "accepted, has no effect"),
            Arg::new(
                "unredirected_headers",
                ArgKind::StrList,
                "accepted, has no effect",
            ),
            Arg::new("ciphers", ArgKind::StrList, "accepted, has no effect"),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Sends a request and registers the response: status, headers, `json`.\n\n    - uri:\n        url: http://localhost:8083/connectors\n        return_content: yes\n      register: connectors\n      until: connectors.status == 200\n";
    type Change = ();

    fn check(&self, sys: &Sys) -> Result<Found<()>, Error> {
        let reason = match (&self.creates, &self.removes) {
            (Some(path), _) if words::exists(sys, path) => Some(format!("`{path}` exists")),
            (_, Some(path)) if !words::exists(sys, path) => {
                Some(format!("`{path}` does not exist"))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Ok(Found::same(
                Outcome::new().msg(format!("skipped, since {reason}")),
            ));
        }
        let change = Some(());
        let outcome = Outcome::new();
        Ok(Found { change, outcome })
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let begin = Instant::now();
        let request = self.request(sys)?;
        sys.progress(&format!("{} {}", request.method, self.url));
        let failed = |error: std::io::Error| {
            let message = format!("no answer from `{}`", self.url);
            let error = Error::new(message).because(error);
            let error = error.with("status", -1).with("url", self.url.as_str());
            error.with("elapsed", begin.elapsed().as_secs())
        };
        let mut response = sys.request(&request).map_err(failed)?;
        let is_expected = self.expects(response.status);
        let mut outcome = registered(&response, &self.url);
        if let (Some(dest), true) = (&self.dest, is_expected) {
            return self.save(
                sys,
                dest,
                response,
                outcome.with("elapsed", begin.elapsed().as_secs()),
            );
        }
        let mut content = Vec::new();
        let read = (&mut response.body)
            .take(MAX_CONTENT)
            .read_to_end(&mut content);
        read.map_err(failed)?;
        let text = String::from_utf8_lossy(&content).into_owned();
        let kind = response
            .header("content-type")
            .unwrap_or_default()
            .to_lowercase();
        if (kind.contains("json") || kind.contains("javascript"))
            && let Ok(json) = serde_json::from_str::<Value>(&text)
        {
            outcome = outcome.with("json", json);
        }
        if self.return_content || !is_expected {
            outcome = outcome.with("content", text);
        }
        outcome = outcome.with("elapsed", begin.elapsed().as_secs());
        let length = response
            .header("content-length")
            .map_or_else(|| content.len().to_string(), str::to_owned);
        if is_expected {
            return Ok(outcome.msg(format!("{} ({length} bytes)", reason(&response))));
        }
        let codes = self.status_code.join(", ");
        let codes = if codes.is_empty() { "200" } else { &codes };
        let status = response.status;
        let mut error = Error::new(format!(
            "Status code was {status} and not [{codes}]: {}",
            reason(&response)
        ));
        error.data = outcome.data;
        Err(error)
    }
}

impl Uri {
    fn request(&self, sys: &Sys) -> Result<Request, Error> {
        let mut request = self.web.request(&self.url)?;
        request.method = self.method.as_deref().unwrap_or("GET").to_uppercase();
        request.timeout =
            Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::from_secs(30));
        request.redirects = match self.follow_redirects.as_deref() {
            Some("all" | "yes" | "True") => Redirects::All,
            Some("none" | "no" | "False") => Redirects::None,
            _ => Redirects::Safe,
        };
        if let Some(path) = &self.src {
            if self.body.is_some() {
                return Err(Error::new("only one of `body` and `src` can be given"));
            }
            request.body = Some(match &self.sent {
                Some(sent) => sent.to_vec(),
                None => sys.read(Path::new(&words::expand(sys, path)))?,
            });
        } else if let Some(body) = &self.body {
            let (bytes, kind) = body::written(body, self.body_format.as_deref().unwrap_or("raw"))?;
            request.body = Some(bytes);
            let has_kind = request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if let Some(kind) = kind.filter(|_| !has_kind) {
                request.header("Content-Type", kind);
            }
        }
        Ok(request)
    }

    fn expects(&self, status: u16) -> bool {
        if self.status_code.is_empty() {
            return status == 200;
        }
        self.status_code
            .iter()
            .any(|code| code.trim() == status.to_string())
    }

    /// Writes the body to a file if it differs.
    fn save(
        &self,
        sys: &Sys,
        dest: &str,
        mut response: Response,
        outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let mut path = PathBuf::from(words::expand(sys, dest));
        if sys.stat(&path)?.is_some_and(|stat| stat.is_dir()) {
            let name = response.url.split(['?', '#']).next().unwrap_or_default();
            let name = name
                .rsplit('/')
                .next()
                .filter(|name| !matches!(*name, "" | "." | ".."));
            path = path.join(name.unwrap_or("index.html"));
        }
        let mut content = Vec::new();
        let read = (&mut response.body)
            .take(MAX_CONTENT)
            .read_to_end(&mut content);
        read.map_err(|error| Error::new(format!("cannot read `{}`", self.url)).because(error))?;
        let wish = self.permissions.wish(sys)?;
        let now = sys.stat(&path)?;
        let is_same = now.as_ref().is_some_and(Stat::is_file) && sys.read(&path)? == content;
        let outcome = outcome.with("path", path.display().to_string());
        let outcome = outcome.msg(format!("{} ({} bytes)", reason(&response), content.len()));
        if is_same && now.as_ref().is_some_and(|now| wish.holds(now)) {
            return Ok(outcome);
        }
        let mut diff = Diff::new(path.display().to_string());
        if !is_same {
            let before = now.as_ref().map(|_| sys.read(&path)).transpose()?;
            diff = diff.bytes(before.as_deref(), Some(&content));
        }
        diff = wish.diff(sys, diff, now.as_ref(), false);
        let target = sys.resolve(&path)?;
        let attributes = wish.attributes(now.as_ref(), false);
        sys.write_atomic_from(
            &target,
            &mut content.as_slice(),
            attributes,
            Durability::Synced,
        )?;
        Ok(outcome.changed().diff(diff))
    }
}

fn reason(response: &Response) -> &str {
    match response.reason.as_str() {
        "" => "OK",
        reason => reason,
    }
}

/// Status, place and headers; a header's name is in lower case with `_`, several of one name are joined.
fn registered(response: &Response, asked: &str) -> Outcome {
    let mut outcome = Outcome::new()
        .with("status", response.status)
        .with("url", response.url.as_str())
        .with(
            "redirected",
            response.url.trim_end_matches('/') != asked.trim_end_matches('/'),
        );
    let mut cookies = Mapping::new();
    for (name, value) in &response.headers {
        let key = name.to_lowercase().replace('-', "_");
        if key == "set_cookie"
            && let Some((name, value)) = value
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
        {
            cookies.insert(name.trim().into(), value.trim().into());
        }
        let value = match outcome.data.get(key.as_str()).and_then(Value::as_str) {
            Some(before) if !matches!(key.as_str(), "url" | "status") => {
                format!("{before}, {value}")
            }
            _ => value.clone(),
        };
        if !matches!(key.as_str(), "url" | "status" | "msg" | "content" | "json") {
            outcome = outcome.with(&key, value);
        }
    }
    let text = cookies
        .iter()
        .filter_map(|(n, v)| Some(format!("{}={}", n.as_str()?, v.as_str()?)));
    let text = text.collect::<Vec<_>>().join("; ");
    outcome
        .with("cookies_string", text)
        .with("cookies", cookies)
}

#[cfg(test)]
mod tests;
