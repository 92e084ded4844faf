//! `authorized_key`: turns public keys into lines of a user's `authorized_keys`, that are there or are not.

use super::args::{Arg, ArgKind, yes};
use super::attributes::Wish;
use super::diff::Diff;
use super::edit::{self, Edit, Original};
use super::group::Presence;
use super::mode::Mode;
use super::place::Safeguards;
use super::{Error, Found, Module, Nature, Outcome};
use crate::sys::Sys;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The first words of keys that sshd takes.
const TYPES: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizedKey {
    user: String,
    key: String,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default = "yes")]
    manage_dir: bool,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    key_options: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    follow: bool,
    #[serde(default = "yes")]
    validate_certs: bool,
}

/// What is to be written.
#[derive(Debug)]
pub struct Change {
    directory: Option<(PathBuf, Wish)>,
    file: Edit,
    outcome: Outcome,
}

impl Module for AuthorizedKey {
    const NAME: &'static str = "authorized_key";
    const NATURE: Nature = Nature::State;
    const ARGS: &'static [Arg] = &[
        Arg::new("user", ArgKind::Str, "who may log in").required(),
        Arg::new("key", ArgKind::Str, "public keys, one a line").required(),
        Arg::new("state", ArgKind::Str, "present (default) or absent")
            .choices(&["present", "absent"]),
        Arg::new(
            "path",
            ArgKind::Path,
            "the file (default `.ssh/authorized_keys` in the user's home)",
        ),
        Arg::new(
            "manage_dir",
            ArgKind::Bool,
            "make the file's directory, the user's and for nobody else (default yes)",
        ),
        Arg::new(
            "exclusive",
            ArgKind::Bool,
            "take out all other keys (default no)",
        ),
        Arg::new(
            "key_options",
            ArgKind::Str,
            "what stands before the keys: `no-pty,from=\"10.0.0.1\"` (default: as in `key`)",
        ),
        Arg::new(
            "comment",
            ArgKind::Str,
            "what stands behind the keys (default: as in `key`)",
        ),
        Arg::new(
            "follow",
            ArgKind::Bool,
            "accepted; links are always followed",
        ),
        Arg::new("validate_certs", ArgKind::Bool, "accepted, has no effect"),
    ];
    const DOC: &'static str = "Lets a user log in by an ssh key, or no more.\n\n    - authorized_key:\n        user: kafka\n        key: \"{{ lookup('file', 'keys/deploy.pub') }}\"\n";
    type Change = Change;

    fn check(&self, sys: &Sys) -> Result<Found<Change>, Error> {
        let wished = self.keys()?;
        let Some(user) = sys.user_named(&self.user)? else {
            let name = &self.user;
            return Err(Error::new(format!(
                "there is no user `{name}` on this host"
            )));
        };
        let path = match &self.path {
            Some(path) => path.clone(),
            None => Path::new(&user.home).join(".ssh/authorized_keys"),
        };
        let original = Original::read(sys, &path, true)?;
        let outcome = self.registered(&path);
        let Some(text) = self.with_keys(&original.text, &wished) else {
            return Ok(Found::same(outcome));
        };
        let owned = |mode: &str| -> Result<Wish, Error> {
            Ok(Wish {
                mode: Some(Mode::parse(mode).map_err(Error::new)?),
                uid: Some(user.uid),
                gid: Some(user.gid),
            })
        };
        let directory = path.parent().filter(|_| self.manage_dir);
        let directory = directory.map(|path| (path.to_path_buf(), owned("0700")));
        let mut diffs = Vec::new();
        let directory = match directory {
            Some((path, wish)) => {
                let (stat, wish) = (sys.stat(&path)?, wish?);
                let holds = stat.as_ref().is_some_and(|stat| wish.holds(stat));
                if !holds {
                    let state = stat.as_ref().map_or("absent", |_| "directory");
                    let diff = Diff::new(path.display().to_string()).attribute(
                        "state",
                        Some(state.into()),
                        Some("directory".into()),
                    );
                    diffs.push(wish.diff(sys, diff, stat.as_ref(), true));
                }
                (!holds).then_some((path, wish))
            }
            None => None,
        };
        let found = original.becomes(sys, &text, &owned("0600")?, &Safeguards::default())?;
        let found = edit::map_outcome(found, |file| {
            let mut all = outcome.clone();
            all.diffs = diffs.iter().chain(&file.diffs).cloned().collect();
            all
        });
        let outcome = found.outcome;
        let Some(file) = found.change else {
            return Ok(Found::same(outcome));
        };
        let change = Change {
            directory,
            file,
            outcome: outcome.clone().changed(),
        };
        Ok(Found::change(change, outcome))
    }

    fn apply(&self, sys: &Sys, change: Change) -> Result<Outcome, Error> {
        if let Some((path, wish)) = &change.directory {
            if !sys.exists(path)? {
                sys.create_dir(path, Some(0o700))?;
            }
            if let Some(stat) = sys.stat(path)? {
                wish.set(sys, path, &stat)?;
            }
        }
        change.file.make(sys)?;
        Ok(change.outcome)
    }
}

/// One key: options, type, the key itself, comment.
#[derive(Debug, Clone)]
struct Key {
    options: Vec<String>,
    kind: String,
    body: String,
    comment: String,
}

impl Key {
    /// Reads a line; `None` if it is no key.
    fn parse(line: &str) -> Option<Self> {
        let line = line.replace("\\#", "#");
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first()?.starts_with('#') {
            return None;
        }
        let at = words.iter().position(|word| TYPES.contains(word))?;
        Some(Self {
            options: options(&words[..at].join(" ")),
            kind: words[at].to_owned(),
            body: (*words.get(at + 1)?).to_owned(),
            comment: words[at + 2..].join(" "),
        })
    }

    /// Whether the order of options is all that differs.
    fn is_like(&self, other: &Self) -> bool {
        let sorted = |key: &Self| {
            let mut options = key.options.clone();
            options.sort();
            options
        };
        self.kind == other.kind && self.comment == other.comment && sorted(self) == sorted(other)
    }

    fn line(&self) -> String {
        let options = self.options.join(",");
        let words = [&options, &self.kind, &self.body, &self.comment];
        let words: Vec<&str> = words
            .into_iter()
            .map(String::as_str)
            .filter(|word| !word.is_empty())
            .collect();
        words.join(" ")
    }
}

/// Splits at commas that are not quoted.
fn options(text: &str) -> Vec<String> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    for letter in text.chars() {
        match (quote, letter) {
            (None, ',') => {
                parts.push(String::new());
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

impl AuthorizedKey {
    fn keys(&self) -> Result<Vec<Key>, Error> {
        if self.key.starts_with("http://") || self.key.starts_with("https://") {
            let error = Error::new("`key` is a URL, which krun does not fetch on the host");
            let help = format!(
                "write `key: \"{{{{ lookup('url', '{}', split_lines=False) }}}}\"`",
                self.key
            );
            return Err(error.help(help));
        }
        let lines = self.key.lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                let Some(mut key) = Key::parse(line) else {
                    return Err(Error::new(format!("`{line}` is no public key")));
                };
                if let Some(given) = &self.key_options {
                    key.options = options(given);
                }
                if let Some(comment) = &self.comment {
                    key.comment.clone_from(comment);
                }
                Ok(key)
            })
            .collect()
    }

    /// Returns the file as it is to be; `None` if it is so already.
    fn with_keys(&self, text: &str, wished: &[Key]) -> Option<String> {
        let mut lines: Vec<(String, Option<Key>)> = text
            .lines()
            .map(|line| (line.to_owned(), Key::parse(line)))
            .collect();
        let mut changed = false;
        for key in wished {
            let is_it = |(_, known): &(String, Option<Key>)| {
                known.as_ref().is_some_and(|known| known.body == key.body)
            };
            if self.state == Presence::Absent {
                let n_before = lines.len();
                lines.retain(|line| !is_it(line));
                changed |= lines.len() != n_before;
                continue;
            }
            let known = lines.iter().rev().find(|line| is_it(line));
            if known
                .is_some_and(|(_, known)| known.as_ref().is_some_and(|known| known.is_like(key)))
            {
                continue;
            }
            lines.retain(|line| !is_it(line));
            lines.push((key.line(), Some(key.clone())));
            changed = true;
        }
        if self.exclusive && self.state == Presence::Present {
            let n_before = lines.len();
            lines.retain(|(_, key)| {
                let wanted = |key: &Key| wished.iter().any(|wished| wished.body == key.body);
                key.as_ref().is_some_and(wanted)
            });
            changed |= lines.len() != n_before;
        }
        changed.then(|| {
            lines
                .iter()
                .flat_map(|(line, _)| [line.as_str(), "\n"])
                .collect()
        })
    }

    fn registered(&self, file: &Path) -> Outcome {
        let text = |value: &Option<String>| value.as_deref().map_or(Value::Null, Value::from);
        let state = match self.state {
            Presence::Present => "present",
            Presence::Absent => "absent",
        };
        let path = self.path.as_ref().map(|path| path.display().to_string());
        Outcome::new()
            .with("user", self.user.as_str())
            .with("key", self.key.as_str())
            .with("keyfile", file.display().to_string())
            .with("path", text(&path))
            .with("state", state)
            .with("exclusive", self.exclusive)
            .with("manage_dir", self.manage_dir)
            .with("key_options", text(&self.key_options))
            .with("comment", text(&self.comment))
            .with("follow", self.follow)
            .with("validate_certs", self.validate_certs)
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::trial::Host;

    const FILE: &str = "/home/kafka/.ssh/authorized_keys";

    fn host(files: &[(&str, &str)]) -> Host {
        let passwd = "kafka:x:970:971::/home/kafka:/bin/sh\n";
        let standing = [("/etc/passwd", passwd), ("/home/kafka/notes", "")];
        Host::with("authorized_key", &[&standing, files].concat())
    }

    #[test]
    fn a_key_comes_into_a_new_file_that_only_its_user_reads() {
        let host = host(&[]);
        host.converges("{user: kafka, key: ssh-ed25519 AAAA me@here}");
        assert_eq!(host.text(FILE), "ssh-ed25519 AAAA me@here\n");
        let (file, directory) = (host.lstat(FILE), host.lstat("/home/kafka/.ssh"));
        assert_eq!((file.mode, file.uid, file.gid), (0o600, 970, 971));
        assert_eq!((directory.mode, directory.uid), (0o700, 970));
        host.is_content_with("{user: kafka, key: 'ssh-ed25519   AAAA me@here'}");
    }

    #[test]
    fn options_and_comments_are_part_of_a_key_and_other_lines_stay() {
        let host = host(&[(
            FILE,
            "# mine\nno-pty,from=\"a,b\" ssh-rsa AAAB old\n\nssh-rsa AAAC other",
        )]);
        host.is_content_with(
            r#"{user: kafka, key: ssh-rsa AAAB old, key_options: 'from="a,b",no-pty'}"#,
        );
        host.converges("{user: kafka, key: ssh-rsa AAAB old, comment: new name}");
        assert_eq!(
            host.text(FILE),
            "# mine\n\nssh-rsa AAAC other\nssh-rsa AAAB new name\n"
        );
        host.converges("{user: kafka, key: ssh-rsa AAAC, state: absent}");
        assert_eq!(host.text(FILE), "# mine\n\nssh-rsa AAAB new name\n");
    }

    #[test]
    fn exclusive_keys_are_the_only_ones() {
        let host = host(&[(FILE, "# mine\nssh-rsa AAAB b\nssh-rsa AAAC c\n")]);
        host.converges(
            "{user: kafka, key: \"ssh-rsa AAAC c\\n# no key\\nssh-rsa AAAD d\\n\", exclusive: yes}",
        );
        assert_eq!(host.text(FILE), "ssh-rsa AAAC c\nssh-rsa AAAD d\n");
    }

    #[test]
    fn another_file_is_written_where_its_directory_is_somebody_elses() {
        let host = host(&[("/etc/ssh/keys/x", "")]);
        host.converges(
            "{user: kafka, key: ssh-rsa AAAB b, path: /etc/ssh/keys/kafka, manage_dir: no}",
        );
        assert_eq!(host.lstat("/etc/ssh/keys").mode, 0o755);
        assert_eq!(host.text("/etc/ssh/keys/kafka"), "ssh-rsa AAAB b\n");
    }
}
