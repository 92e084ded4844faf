//! Judges a host's key by OpenSSH's `known_hosts` files.

use super::config::matches_any;
use super::settings::{Settings, Strict};
use crate::transport::Error;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use sha1::Sha1;
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the files say about one host.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: Vec<Entry>,
    /// Found without the port: good for a match, no proof of a change.
    portless: Vec<Entry>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    file: PathBuf,
    line: usize,
    revoked: bool,
    key: PublicKey,
}

impl Entry {
    fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

/// What became of a host's key.
#[derive(Debug)]
pub(super) enum Verdict {
    Trusted,
    /// Accepted all the same; the text is a warning.
    Accepted(String),
    Refused(Box<Error>),
}

impl Known {
    /// Reads the entries for the host of `settings` from all its files.
    pub(super) fn read(settings: &Settings) -> Self {
        let mut known = Self::default();
        let name = &settings.key_name;
        let full = match settings.port {
            22 => name.clone(),
            port => format!("[{name}]:{port}"),
        };
        for file in &settings.known_hosts {
            let Ok(text) = std::fs::read(file) else {
                continue;
            };
            let text = String::from_utf8_lossy(&text);
            for (number, line) in text.lines().enumerate() {
                known.line(file, number + 1, line, &full, name);
            }
        }
        known
    }

    fn line(&mut self, file: &Path, number: usize, line: &str, full: &str, name: &str) {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|it| it.starts_with('@'));
        let (Some(hosts), Some(_), Some(key)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if hosts.starts_with('#') {
            return;
        }
        let is_full = names(hosts, full);
        if !is_full && (full == name || !names(hosts, name)) {
            return;
        }
        if marker == Some("@cert-authority") {
            self.notes.push(format!(
                "{}:{number} is a certificate authority, which krun does not support",
                file.display()
            ));
            return;
        }
        let Ok(key) = parse_public_key_base64(key) else {
            self.notes
                .push(format!("{}:{number} cannot be read", file.display()));
            return;
        };
        let entry = Entry {
            file: file.to_path_buf(),
            line: number,
            revoked: marker == Some("@revoked"),
            key,
        };
        if is_full {
            self.entries.push(entry);
        } else {
            self.portless.push(entry);
        }
    }

    /// Returns the key algorithms to ask for: those that the files hold for this host first.
    pub(super) fn preferred(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let is_known = |algorithm: &&Algorithm| {
            let mut entries = self.entries.iter().chain(&self.portless);
            entries.any(|entry| !entry.revoked && same_kind(&entry.key.algorithm(), algorithm))
        };
        let known = all.iter().filter(is_known);
        let others = all.iter().filter(|it| !is_known(it));
        known.chain(others).cloned().collect()
    }

    /// Judges the key that the host showed.
    pub(super) fn judge(&self, key: &PublicKey, settings: &Settings) -> Verdict {
        let name = settings.key_name.clone();
        let port = settings.port;
        let found = fingerprint(key);
        let all = || self.entries.iter().chain(&self.portless);
        if let Some(entry) = all().find(|it| it.revoked && same_key(&it.key, key)) {
            return Verdict::Refused(Box::new(Error::HostKeyRevoked {
                name,
                place: entry.place(),
                fingerprint: found,
            }));
        }
        if all().any(|it| !it.revoked && same_key(&it.key, key)) {
            return Verdict::Trusted;
        }
        let mut kept: Vec<&Entry> = self.entries.iter().filter(|it| !it.revoked).collect();
        // The line that the key stands against is the one of its own kind, if there is one.
        kept.sort_by_key(|it| !same_kind(&it.key.algorithm(), &key.algorithm()));
        let error = match kept.first() {
            Some(entry) => Error::HostKeyChanged {
                name: name.clone(),
                place: entry.place(),
                expected: fingerprint(&entry.key),
                found: found.clone(),
                port,
            },
            None => Error::HostKeyUnknown {
                name: name.clone(),
                port,
                fingerprint: found.clone(),
                files: settings.known_hosts.clone(),
                causes: self.notes.clone(),
            },
        };
        match settings.strict {
            Strict::No => Verdict::Accepted(format!(
                "HOST KEYS ARE NOT CHECKED: {error}, and anybody between could read and change everything (`StrictHostKeyChecking=no`)"
            )),
            Strict::AcceptNew if kept.is_empty() => match learn(key, settings) {
                Ok(file) => Verdict::Accepted(format!(
                    "the host key of `{name}`, {found}, was added to {}",
                    file.display()
                )),
                Err(cause) => Verdict::Accepted(format!(
                    "the host key of `{name}`, {found}, is accepted but could not be kept: {cause}"
                )),
            },
            _ => Verdict::Refused(Box::new(error)),
        }
    }
}

/// Returns a key as a person compares it: `ED25519 SHA256:…`.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    let algorithm = match key.algorithm() {
        Algorithm::Ed25519 => "ED25519".to_owned(),
        Algorithm::Ecdsa { .. } => "ECDSA".to_owned(),
        Algorithm::Rsa { .. } => "RSA".to_owned(),
        other => other.to_string(),
    };
    format!("{algorithm} {}", key.fingerprint(HashAlg::Sha256))
}

fn same_key(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}

/// RSA is one kind of key, whatever hash its signatures use.
fn same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    match (one, other) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => one == other,
    }
}

/// Returns `true` if the first field of a line speaks of `name`.
fn names(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        let Some((salt, hash)) = hashed.split_once('|') else {
            return false;
        };
        let (Ok(salt), Ok(hash)) = (BASE64_STANDARD.decode(salt), BASE64_STANDARD.decode(hash))
        else {
            return false;
        };
        return Hmac::<Sha1>::new_from_slice(&salt).is_ok_and(|mac| {
            mac.chain_update(name.as_bytes())
                .verify_slice(&hash)
                .is_ok()
        });
    }
    let patterns: Vec<String> = hosts.split(',').map(str::to_owned).collect();
    matches_any(&patterns, name)
}

/// Adds a key to the first file of the list.
fn learn(key: &PublicKey, settings: &Settings) -> Result<PathBuf, String> {
    let file = settings
        .known_hosts
        .first()
        .ok_or("there is no known_hosts file")?;
    let text = |error: std::io::Error| format!("{}: {error}", file.display());
    if let Some(directory) = file.parent().filter(|it| !it.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(text)?;
    }
    let mut known = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .map_err(text)?;
    let mut line = String::new();
    let mut last = [b'\n'];
    if known.seek(SeekFrom::End(-1)).is_ok() {
        known.read_exact(&mut last).map_err(text)?;
    }
    if last != *b"\n" {
        line.push('\n');
    }
    match settings.port {
        22 => line.push_str(&settings.key_name),
        port => {
            let _ = write!(line, "[{}]:{port}", settings.key_name);
        }
    }
    let key = PublicKey::new(key.key_data().clone(), "");
    let key = key.to_openssh().map_err(|error| error.to_string())?;
    let _ = writeln!(line, " {}", key.trim());
    // One write: other connections of this run add theirs at the same time.
    known.write_all(line.as_bytes()).map_err(text)?;
    Ok(file.clone())
}
