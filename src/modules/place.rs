//! Turns the wished content and attributes of one file into the change that stands between, and makes that change.
//!
//! `copy`, `template`, `lineinfile` and all others that write one file differ only in how they come by its content.

use super::args::{Arg, ArgKind};
use super::attributes::{Wish, describe};
use super::diff::{Content, Diff, MAX_DIFF_BYTES};
use super::{Error, Found, Outcome};
use crate::sys::Sys;
use crate::sys::fs::{Attributes, Kind, Stat};
use crate::sys::process::Command;
use md5::Digest;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a task asks for before a file is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safeguards {
    /// Keep a copy of the file as it was.
    #[serde(default)]
    pub backup: bool,
    /// A command that must succeed on the new content, `%s` being its path, before it is put into place.
    #[serde(default)]
    pub validate: Option<String>,
}

impl Safeguards {
    /// Whether no foreign program has a part in it.
    pub(super) fn runs_nothing(&self) -> bool {
        self.validate.is_none()
    }
}

pub(super) const BACKUP: Arg = Arg::new(
    "backup",
    ArgKind::Bool,
    "keep a copy of the file that is replaced (default no)",
);
pub(super) const VALIDATE: Arg = Arg::new(
    "validate",
    ArgKind::Str,
    "a command that must succeed first; `%s` is the new file",
);

/// One file as it is to be.
pub struct Wished<'a> {
    /// Where; a link here is replaced, not followed.
    pub path: &'a Path,
    pub content: &'a [u8],
    pub wish: &'a Wish,
    /// Where the content comes from, for the head of the diff.
    pub source: Option<&'a str>,
    pub safeguards: &'a Safeguards,
}

/// What stands between a file and the wish.
#[derive(Debug)]
pub struct Placement {
    path: PathBuf,
    writes: bool,
    wish: Wish,
    safeguards: Safeguards,
    /// What is registered, with the diff.
    pub outcome: Outcome,
}

/// Looks at the file and says what is to be done.
pub fn check(sys: &Sys, wished: &Wished) -> Result<Found<Placement>, Error> {
    let now = sys.lstat(wished.path)?;
    check_against(sys, wished, now.as_ref(), None)
}

/// Like [`check`], with the file's metadata and, where the module has read it, its content.
pub fn check_against(
    sys: &Sys,
    wished: &Wished,
    now: Option<&Stat>,
    before: Option<&[u8]>,
) -> Result<Found<Placement>, Error> {
    if let Some(now) = now.filter(|now| !matches!(now.kind, Kind::File | Kind::Link)) {
        let path = wished.path.display();
        return Err(Error::new(format!(
            "`{path}` is {}, not a file",
            kind_name(now.kind)
        )));
    }
    // A link that is replaced is nobody's earlier version.
    let old = now.filter(|now| now.is_file());
    let content = content_diff(sys, wished, old, before)?;
    let writes = content.is_some();
    let mut diff = Diff::new(wished.path.display().to_string());
    diff.source = wished.source.map(str::to_owned);
    diff.is_new = now.is_none();
    diff.content = content;
    if let Some(link) = now.filter(|now| now.is_link()) {
        let target = link.link_target.as_ref();
        diff = diff
            .attribute("state", Some("link".into()), Some("file".into()))
            .attribute(
                "target",
                target.map(|target| target.display().to_string().into()),
                None,
            );
    }
    let diff = wished.wish.diff(sys, diff, old, false);
    let stat = wished
        .wish
        .foresee(old, Kind::File, wished.content.len() as u64);
    let outcome = describe(sys, Outcome::new(), &stat).with("checksum", sha1(wished.content));
    if !writes && old.is_some_and(|old| wished.wish.holds(old)) {
        return Ok(Found::same(outcome));
    }
    let outcome = if writes {
        outcome.with("md5sum", hex::encode(md5::Md5::digest(wished.content)))
    } else {
        outcome
    };
    let placement = Placement {
        path: wished.path.to_path_buf(),
        writes,
        wish: wished.wish.clone(),
        safeguards: wished.safeguards.clone(),
        outcome: outcome.changed().diff(diff),
    };
    let outcome = placement.outcome.clone();
    Ok(Found::change(placement, outcome))
}

impl Placement {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the content and the attributes into place.
    pub fn make(self, sys: &Sys, content: &[u8]) -> Result<Outcome, Error> {
        let now = sys.lstat(&self.path)?;
        let old = now.as_ref().filter(|now| now.is_file());
        let mut outcome = self.outcome;
        if self.writes {
            if let Some(command) = &self.safeguards.validate {
                validate(sys, command, content)?;
            }
            if self.safeguards.backup && old.is_some() {
                let backup = backup(sys, &self.path)?;
                outcome = outcome.with("backup_file", backup.display().to_string());
            }
            sys.write_atomic(&self.path, content, self.wish.attributes(old, false))?;
        } else if let Some(old) = old {
            self.wish.set(sys, &self.path, old)?;
        }
        match sys.lstat(&self.path)? {
            Some(stat) => Ok(describe(sys, outcome, &stat)),
            None => Ok(outcome),
        }
    }
}

/// Returns how the content will change; `None` if it will not.
fn content_diff(
    sys: &Sys,
    wished: &Wished,
    old: Option<&Stat>,
    before: Option<&[u8]>,
) -> Result<Option<Content>, Error> {
    let after = wished.content;
    let diff = |before: Option<&[u8]>| Diff::new("").bytes(before, Some(after)).content;
    let Some(old) = old else {
        return Ok(diff(None));
    };
    if let Some(before) = before {
        return Ok((before != after).then(|| diff(Some(before))).flatten());
    }
    let size = after.len() as u64;
    if old.size.max(size) <= MAX_DIFF_BYTES as u64 {
        let before = sys.read(wished.path)?;
        return Ok((before != after).then(|| diff(Some(&before))).flatten());
    }
    if old.size == size && same_content(&mut sys.open(wished.path)?, after)? {
        return Ok(None);
    }
    Ok(Some(Content::Opaque {
        reason: format!("larger than {MAX_DIFF_BYTES} bytes"),
        before: Some(old.size),
        after: Some(size),
    }))
}

/// Compares a file with bytes, without holding the file.
fn same_content(file: &mut dyn Read, mut wanted: &[u8]) -> std::io::Result<bool> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(wanted.is_empty());
        }
        match wanted.split_at_checked(n) {
            Some((part, rest)) if part == &buffer[..n] => wanted = rest,
            _ => return Ok(false),
        }
    }
}

/// Copies a file beside itself, as `NAME.PID.DATE@TIME~`. Returns where.
pub fn backup(sys: &Sys, path: &Path) -> Result<PathBuf, Error> {
    let now = jiff::Zoned::now().strftime("%Y-%m-%d@%H:%M:%S").to_string();
    let mut number = std::process::id();
    let copy = loop {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{number}.{now}~"));
        let copy = path.with_file_name(name);
        if sys.lstat(&copy)?.is_none() {
            break copy;
        }
        // Made in the same second: no backup takes another's place.
        number += 1;
    };
    let attributes = sys
        .stat(path)?
        .map_or_else(Attributes::default, |stat| Attributes {
            mode: Some(stat.mode),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
            mtime: Some(stat.mtime),
        });
    sys.write_atomic(&copy, &sys.read(path)?, attributes)?;
    Ok(copy)
}

/// Runs the command on the new content in a private file. Its failure is an error.
fn validate(sys: &Sys, command: &str, content: &[u8]) -> Result<(), Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if !command.contains("%s") {
        let text = format!("`validate` must contain `%s`, the path of the new file: `{command}`");
        return Err(Error::new(text));
    }
    // Only the host has the program.
    if sys.is_imagined() {
        return Ok(());
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("krun-validate-{}-{count}", std::process::id());
    let path = sys.temporary_directory()?.join(name);
    let private = Attributes {
        mode: Some(0o600),
        ..Attributes::default()
    };
    sys.write_atomic(&path, content, private)?;
    let real = sys.real(&path).display().to_string();
    let words = shlex::split(command).unwrap_or_default();
    let words = words.iter().map(|word| word.replace("%s", &real));
    let output = sys.run(&Command::new(words).only_reads());
    let removed = sys.remove(&path);
    let output = output.map_err(|error| Error::new("failed to validate").because(error))?;
    if !output.success() {
        return Err(Error::new("failed to validate")
            .because(format!("`{command}` says: {}", output.reason()))
            .with("exit_status", output.rc)
            .with("stdout", output.stdout)
            .with("stderr", output.stderr));
    }
    Ok(removed?)
}

/// Returns the SHA-1 of some content in hexadecimal, as Ansible registers it.
pub fn sha1(content: &[u8]) -> String {
    hex::encode(sha1::Sha1::digest(content))
}

/// Whether a path is written as that of a directory.
pub fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Returns what something is called in messages: `a directory`.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Link => "a link",
        Kind::Fifo => "a fifo",
        Kind::Socket => "a socket",
        Kind::CharDevice | Kind::BlockDevice => "a device",
    }
}
