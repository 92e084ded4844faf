//! Turns a package file, by path or URL, into what it would change.

use super::status::{Installed, Wanted};
use crate::modules::{Error, tool, words};
use crate::sys::Sys;
use crate::sys::http::Request;
use crate::value::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The package of a file, with the versions before and after.
pub(super) struct Update {
    pub(super) name: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// A package file on the host; one that was downloaded is removed at the end.
pub(super) struct Local<'a> {
    sys: &'a Sys,
    path: PathBuf,
    is_ours: bool,
}

impl<'a> Local<'a> {
    pub(super) fn of(sys: &'a Sys, deb: &str) -> Result<Self, Error> {
        let is_ours = deb.starts_with("http://") || deb.starts_with("https://");
        let path = if is_ours {
            download(sys, deb)?
        } else {
            PathBuf::from(words::expand(sys, deb))
        };
        Ok(Self { sys, path, is_ours })
    }

    /// Returns the path by which a program of the host finds it.
    pub(super) fn real(&self, sys: &Sys) -> String {
        sys.real(&self.path).display().to_string()
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            // What is left in /tmp is swept there; the task's own result matters more.
            let _ = self.sys.remove(&self.path);
        }
    }
}

/// Returns what installing the file would change, if anything.
pub(super) fn look(sys: &Sys, deb: &str, installed: &Installed) -> Result<Option<Update>, Error> {
    let file = Local::of(sys, deb)?;
    let real = file.real(sys);
    let fields = tool::must(sys, &["dpkg-deb", "-f", &real, "Package", "Version"])
        .map_err(|error| Error::new(format!("`{deb}` is no package")).because(error))?;
    let field = |name: &str| {
        let lines = fields.stdout.lines();
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        let found = pairs.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    };
    let name = field("Package").unwrap_or_default();
    let version = field("Version");
    let now = installed.version(&Wanted::parse(&name)?);
    if now == version {
        return Ok(None);
    }
    let before = now.unwrap_or_else(|| "absent".into());
    Ok(Some(Update {
        name,
        before: Some(before.into()),
        after: version.map(Value::from),
    }))
}

/// Fetches a package file into a private place.
fn download(sys: &Sys, url: &str) -> Result<PathBuf, Error> {
    let failed =
        |why: &dyn std::fmt::Display| Error::new(format!("cannot download `{url}`")).because(why);
    let mut request = Request::get(url);
    request.timeout = Duration::from_secs(60);
    let mut response = sys.request(&request).map_err(|error| failed(&error))?;
    if response.status != 200 {
        return Err(failed(&format!(
            "the server says {} {}",
            response.status, response.reason
        )));
    }
    let path = sys
        .temporary_directory()?
        .join(format!("krun-{}.deb", std::process::id()));
    let durability = crate::sys::fs::Durability::Later;
    let attributes = crate::sys::fs::Attributes {
        mode: Some(0o644),
        ..Default::default()
    };
    sys.write_atomic_from(&path, &mut response.body, attributes, durability)?;
    Ok(path)
}
