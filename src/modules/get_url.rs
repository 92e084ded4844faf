//! `get_url`: turns a URL into a file that is whole, verified and new, or as it was.

pub mod checksum;
pub mod transfer;

use super::args::{Arg, ArgKind, joined};
use super::attributes::{PERMISSIONS, Permissions, Wish as AttributeWish, describe};
use super::diff::Diff;
use super::web::{self, Web};
use super::{Error, Found, Module, Nature, Outcome, digest, place, words};
use crate::sys::Sys;
use crate::sys::fs::{Durability, Stat};
use crate::sys::http::Response;
use crate::value::Value;
use checksum::{Checksum, Held, Wish};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use transfer::{Watched, file_name, offered_name};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetUrl {
    url: String,
    dest: String,
    #[serde(default)]
    checksum: Option<String>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    backup: bool,
    #[serde(default = "ten")]
    timeout: f64,
    #[serde(flatten)]
    web: Web,
    #[serde(flatten)]
    permissions: Permissions,
}

fn ten() -> f64 {
    10.0
}
/// What is to be done to which file.
#[derive(Debug)]
pub struct Change {
    path: PathBuf,
    download: bool,
    checksum: Option<Checksum>,
    wish: AttributeWish,
}

impl Module for GetUrl {
    const NAME: &'static str = "get_url";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = joined!(
        [
            Arg::new("url", ArgKind::Str, "http, https or file URL").required(),
            Arg::new("dest", ArgKind::Path, "the file, or a directory for it").required(),
            Arg::new(
                "checksum",
                ArgKind::Str,
                "`sha512:` and the sum, or the URL of a file of sums",
            ),
            Arg::new(
                "force",
                ArgKind::Bool,
                "look whether a file that is there has changed at its source (default no)",
            )
            .aliases(&["thirsty"]),
            Arg::new(
                "backup",
                ArgKind::Bool,
                "keep the file that is replaced (default no)",
            ),
            web::HEADERS,
            Arg::new(
                "timeout",
                ArgKind::Float,
                "seconds that the server may be silent (default 10)",
            ),
            web::USERNAME.aliases(&["username"]),
        ],
        web::WEB,
        [
            Arg::new(
                "force_basic_auth",
                ArgKind::Bool,
                "accepted: a login is always sent at once",
            ),
            Arg::new(
                "tmp_dest",
                ArgKind::Path,
                "accepted: the download is made beside its destination",
            ),
            Arg::new(
                "decompress",
                ArgKind::Bool,
                "accepted: what the server sends is kept as it is",
            ),
        ],
        PERMISSIONS
    );
    const DOC: &'static str = "Downloads a file. With a checksum nothing is fetched while the file has it, and a wrong download never replaces it.\n\n    - get_url:\n        url: https://archive.apache.org/dist/kafka/2.6.0/kafka_2.12-2.6.0.tgz\n        dest: /opt/kafka_2.12-2.6.0.tgz\n        checksum: sha512:https://archive.apache.org/dist/kafka/2.6.0/kafka_2.12-2.6.0.tgz.sha512\n        mode: '0644'\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let dest = PathBuf::from(words::expand(sys, &self.dest));
        let is_directory = self.dest.ends_with('/') || sys.stat(&dest)?.is_some_and(|s| s.is_dir());
        let mut path = if is_directory {
            dest.join(file_name(&self.url))
        } else {
            dest.clone()
        };
        let checksum = self.wished_checksum(sys, &path)?;
        let wish = self.permissions.wish(sys)?;
        let mut now = sys.stat(&path)?;
        let holds = match (&checksum, &now) {
            (Some(wanted), Some(_)) => {
                digest::of_file(&wanted.algorithm, &mut sys.open(&path)?)? == wanted.sum
            }
            (None, Some(_)) => !self.force && !is_directory,
            (_, None) => {
                if checksum.is_none() && !self.force && !is_directory {
                    sys.rest_on_absence(&path);
                }
                false
            }
        };
        let download = if holds {
            false
        } else if checksum.is_none() && (is_directory || now.is_some()) {
            // Only the server knows whether it has something else, and what it is called.
            let response = self.ask(sys, &self.url, None)?;
            if is_directory && let Some(name) = offered_name(&response) {
                path = dest.join(name);
                now = sys.stat(&path)?;
            }
            now.is_none() || !has_content(sys, &path, response)?
        } else {
            true
        };
        if let Some(now) = now.as_ref().filter(|now| !now.is_file()) {
            let message = format!(
                "`{}` is {}, not a file",
                path.display(),
                place::kind_name(now.kind)
            );
            return Err(Error::new(message));
        }
        if !download && now.as_ref().is_none_or(|now| wish.holds(now)) {
            let outcome = self
                .registered(sys, &path, now.as_ref())
                .msg("file already exists");
            return Ok(Found::same(outcome));
        }
        self.check_parent(sys, &path)?;
        let diff = self.diff(sys, &path, download, &wish, now.as_ref());
        let outcome = self.registered(sys, &path, now.as_ref()).diff(diff);
        let change = Change {
            path,
            download,
            checksum,
            wish,
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        let begin = Instant::now();
        let path = change.path.as_path();
        let before = sys.stat(path)?;
        let diff = self.diff(sys, path, change.download, &change.wish, before.as_ref());
        if !change.download {
            if let Some(now) = &before {
                change.wish.set(sys, path, now)?;
            }
            return Ok(self
                .registered(sys, path, sys.stat(path)?.as_ref())
                .changed()
                .diff(diff));
        }
        let response = self.ask(sys, &self.url, None)?;
        let status = response.status;
        let total = response
            .header("content-length")
            .and_then(|n| n.parse().ok());
        let body = Watched {
            body: response.body,
            sys,
            n_bytes: 0,
            total,
            said: Instant::now(),
        };
        let mut held = Held::new(body, change.checksum.clone())?;
        let backup = match &before {
            Some(_) if self.backup => Some(place::backup(sys, path)?),
            _ => None,
        };
        // A link stays, and what it leads to is replaced.
        let target = sys.resolve(path)?;
        let attributes = change.wish.attributes(before.as_ref(), false);
        let written = sys.write_atomic_from(&target, &mut held, attributes, Durability::Synced);
        if let Err(error) = written {
            return Err(self.not_written(path, &error, &held, change.checksum.as_ref()));
        }
        let mut outcome = self
            .registered(sys, path, sys.stat(path)?.as_ref())
            .changed()
            .diff(diff)
            .msg(format!("OK ({} bytes)", held.n_bytes))
            .with("status_code", status)
            .with("checksum_src", held.sha1())
            .with("checksum_dest", held.sha1())
            .with("elapsed", begin.elapsed().as_secs());
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        Ok(outcome)
    }
}

impl GetUrl {
    /// The URLs that it asks for: the file's, and that of its checksums.
    pub fn urls(&self) -> Vec<String> {
        let checksum = self.checksum.as_deref().map(checksum::parse);
        let sums = match checksum {
            Some(Ok(Wish::File(_, url))) => Some(url),
            _ => None,
        };
        std::iter::once(self.url.clone()).chain(sums).collect()
    }

    fn wished_checksum(&self, sys: &Sys, path: &Path) -> Result<Option<Checksum>, Error> {
        let Some(text) = self
            .checksum
            .as_deref()
            .filter(|text| !text.trim().is_empty())
        else {
            // What krun.lock says of the bytes is as good.
            return Ok(sys.locked(&self.url).map(|locked| Checksum {
                algorithm: "sha256".into(),
                sum: locked.sha256.clone(),
            }));
        };
        let (algorithm, url) = match checksum::parse(text)? {
            Wish::Sum(sum) => return Ok(Some(sum)),
            Wish::File(algorithm, url) => (algorithm, url),
        };
        let mut file = String::new();
        let response = self.ask(sys, &url, None)?;
        let read = response.body.take(1 << 20).read_to_string(&mut file);
        read.map_err(|error| Error::new(format!("cannot read `{url}`")).because(error))?;
        let of_url = file_name(&self.url);
        let of_path = path.file_name().unwrap_or_default().to_string_lossy();
        let found = checksum::find(&file, &algorithm, &[&of_url, &of_path]);
        found
            .map(Some)
            .map_err(|error| error.because(format!("it is {url}")))
    }

    /// Sends the request. Every status but success is an error.
    fn ask(&self, sys: &Sys, url: &str, method: Option<&str>) -> Result<Response, Error> {
        let failed = |why: String| {
            let error = Error::new(format!("cannot download `{url}`")).because(why);
            error.with("url", url).with("dest", self.dest.as_str())
        };
        if let Some(path) = url.strip_prefix("file://") {
            let file = sys
                .open(Path::new(path))
                .map_err(|error| failed(error.to_string()))?;
            return Ok(Response {
                status: 200,
                reason: "OK".into(),
                url: url.into(),
                headers: Vec::new(),
                body: Box::new(file),
            });
        }
        let mut request = self.web.request(url)?;
        if let Some(method) = method {
            method.clone_into(&mut request.method);
        }
        request.timeout =
            Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::from_secs(10));
        sys.progress(&format!("asking for {url}"));
        let response = sys
            .request(&request)
            .map_err(|error| failed(error.to_string()))?;
        if response.status != 200 {
            let why = format!("the server says {} {}", response.status, response.reason);
            return Err(failed(why).with("status_code", response.status));
        }
        Ok(response)
    }

    fn check_parent(&self, sys: &Sys, path: &Path) -> Result<(), Error> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        match sys.stat(parent)? {
            Some(stat) if stat.is_dir() => Ok(()),
            _ => {
                let message = format!("no directory `{}` for the download", parent.display());
                Err(Error::new(message).with("dest", self.dest.as_str()))
            }
        }
    }

    fn diff(
        &self,
        sys: &Sys,
        path: &Path,
        download: bool,
        wish: &AttributeWish,
        now: Option<&Stat>,
    ) -> Diff {
        let mut diff = Diff::new(path.display().to_string());
        if download {
            let before = now.map(|now| Value::from(format!("{} bytes", now.size)));
            diff = diff.attribute("content", before, Some(format!("from {}", self.url).into()));
        }
        wish.diff(sys, diff, now, false)
    }

    fn registered(&self, sys: &Sys, path: &Path, now: Option<&Stat>) -> Outcome {
        let outcome = Outcome::new()
            .with("url", self.url.as_str())
            .with("dest", path.display().to_string());
        match now {
            Some(now) => describe(sys, outcome, now),
            None => outcome,
        }
    }

    fn not_written<R>(
        &self,
        path: &Path,
        error: &std::io::Error,
        held: &Held<R>,
        checksum: Option<&Checksum>,
    ) -> Error {
        if let (Some(came), Some(wanted)) = (&held.wrong, checksum) {
            return Error::new(format!(
                "the download of `{}` has a wrong checksum",
                self.url
            ))
            .because(format!("expected {} {}", wanted.algorithm, wanted.sum))
            .because(format!(
                "came     {} {came} ({} bytes)",
                wanted.algorithm, held.n_bytes
            ))
            .help("the file at its destination is as it was")
            .with("url", self.url.as_str())
            .with("dest", path.display().to_string());
        }
        Error::new(format!(
            "cannot download `{}` to `{}`",
            self.url,
            path.display()
        ))
        .because(error)
        .because(format!("{} bytes had come", held.n_bytes))
        .with("url", self.url.as_str())
        .with("dest", path.display().to_string())
    }
}

/// Whether the file holds what the response brings; nothing is kept of it.
fn has_content(sys: &Sys, path: &Path, response: Response) -> Result<bool, Error> {
    let mut body = response.body;
    let came = digest::of_file("sha256", &mut body)?;
    Ok(digest::of_file("sha256", &mut sys.open(path)?)? == came)
}

#[cfg(test)]
mod tests;
