//! `fetch`: reads a file of the host, which the controller then keeps among its own.

use super::args::{Arg, ArgKind, yes};
use super::place::sha1;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The largest file that is fetched, in bytes: it travels in one message, in Base64.
const LIMIT: u64 = 128 << 20;
/// Where the content stands in the result, until the controller has it.
const CONTENT: &str = "_content";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    src: PathBuf,
    /// On the controller: as it is written.
    pub dest: String,
    /// `dest` is the file itself, or with a slash at its end the directory.
    #[serde(default)]
    pub flat: bool,
    #[serde(default = "yes")]
    fail_on_missing: bool,
    #[serde(default = "yes")]
    validate_checksum: bool,
}

impl Module for Fetch {
    const NAME: &'static str = "fetch";
    const NATURE: Nature = Nature::Action;
    const REHEARSES: bool = true;
    const ARGS: &'static [Arg] = &[
        Arg::new("src", ArgKind::Path, "the file of the host").required(),
        Arg::new(
            "dest",
            ArgKind::Str,
            "a directory of the controller, in which it becomes `HOST/SRC`",
        )
        .required(),
        Arg::new(
            "flat",
            ArgKind::Bool,
            "`dest` is the file itself, or its directory if it ends with a slash (default no)",
        ),
        Arg::new(
            "fail_on_missing",
            ArgKind::Bool,
            "fail if the host has no such file (default yes)",
        ),
        Arg::new(
            "validate_checksum",
            ArgKind::Bool,
            "accepted; what arrives is always compared",
        ),
    ];
    const DOC: &'static str = "Copies a file of each host to the controller. Its content is not shown.\n\n    - fetch:\n        src: /var/log/kafka/server.log\n        dest: logs/\n";
    type Change = ();

    fn check(&self, _sys: &Sys) -> Result<Found<()>, Error> {
        Ok(Found::change((), Outcome::new()))
    }

    fn apply(&self, sys: &Sys, (): ()) -> Result<Outcome, Error> {
        let shown = self.src.display().to_string();
        let outcome = Outcome::new().with("file", shown.as_str());
        let size = match sys.stat(&self.src)? {
            None if self.fail_on_missing => {
                return Err(Error::new(format!("the host has no file `{shown}`")));
            }
            None => return Ok(outcome.msg(format!("the host has no file `{shown}`: ignored"))),
            Some(stat) if stat.is_dir() => {
                let error =
                    Error::new(format!("`{shown}` is a directory, and `fetch` takes files"));
                return Err(error.help("`find` lists its files, for a loop of `fetch`"));
            }
            Some(stat) => stat.size,
        };
        if size > LIMIT {
            let text = format!("`{shown}` has {size} bytes, and `fetch` takes files up to {LIMIT}");
            return Err(Error::new(text));
        }
        let content = sys.read(&self.src)?;
        Ok(outcome
            .with("checksum", sha1(&content))
            .with("md5sum", hex::encode(md5::Md5::digest(&content)))
            .with(CONTENT, STANDARD.encode(content)))
    }
}

/// Takes the content out of a result; `None` if there is none. What was spoilt on its way is an error.
pub fn take_content(data: &mut Mapping) -> Result<Option<Vec<u8>>, Error> {
    let Some(Value::String(content)) = data.remove(CONTENT) else {
        return Ok(None);
    };
    let content = STANDARD.decode(content).ok();
    let content = content.filter(|content| data.get("checksum") == Some(&sha1(content).into()));
    match content {
        Some(content) => Ok(Some(content)),
        None => Err(Error::new(
            "the file was spoilt on its way: its checksum differs",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::trial::Host;

    #[test]
    fn a_files_bytes_arrive_whole_or_not_at_all() {
        let host = Host::with("fetch", &[]);
        host.write("/etc/a", b"\xff\0one\n");
        let mut data = host.run("{src: /etc/a, dest: x}").unwrap().data;
        let mut spoilt = data.clone();
        assert_eq!(take_content(&mut data).unwrap().unwrap(), b"\xff\0one\n");
        assert!(!data.contains_key(CONTENT));
        spoilt.insert(CONTENT.into(), STANDARD.encode("other").into());
        assert!(take_content(&mut spoilt).is_err());
    }

    #[test]
    fn a_file_that_is_missing_may_be_passed_over() {
        let host = Host::with("fetch", &[]);
        let outcome = host.run("{src: /a, dest: x, fail_on_missing: no}").unwrap();
        assert_eq!(outcome.msg.unwrap(), "the host has no file `/a`: ignored");
    }
}
