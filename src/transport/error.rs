//! Says why a host cannot be reached, with the chain of causes and what to do about it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no link to a host, or none any more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("`{host}` has no address")]
    Resolve { host: String, causes: Vec<String> },
    #[error("cannot connect to {address}")]
    Connect {
        address: String,
        causes: Vec<String>,
    },
    #[error("{what} took longer than {} s", limit.as_secs_f32())]
    Timeout { what: String, limit: Duration },
    #[error("the ssh connection to {address} failed")]
    Protocol {
        address: String,
        causes: Vec<String>,
    },
    #[error("the host key of `{name}` is not known")]
    HostKeyUnknown {
        name: String,
        port: u16,
        /// The key that the host showed.
        fingerprint: String,
        /// Where it was looked for.
        files: Vec<PathBuf>,
        causes: Vec<String>,
    },
    #[error(
        "THE HOST KEY OF `{name}` HAS CHANGED: somebody may be listening in, or the host was made anew"
    )]
    HostKeyChanged {
        name: String,
        /// `file:line` of the key that was expected.
        place: String,
        expected: String,
        found: String,
        port: u16,
    },
    #[error("the host key of `{name}` is marked as revoked in {place}")]
    HostKeyRevoked {
        name: String,
        place: String,
        fingerprint: String,
    },
    #[error("`{user}` cannot log in to {address}")]
    Auth {
        user: String,
        address: String,
        /// What was tried, and what came of it, one each.
        tried: Vec<String>,
        /// What the host would accept.
        offered: Vec<String>,
    },
    #[error("the ssh settings cannot be used: {0}")]
    Settings(String),
    #[error("{what}: this is a rehearsal, and nothing outside the lab `{lab}` is connected to")]
    Outside {
        what: String,
        lab: String,
        help: &'static str,
    },
    #[error("cannot start `{program}`")]
    Spawn {
        program: String,
        causes: Vec<String>,
    },
    #[error("krun's own binary cannot be read")]
    Binary { causes: Vec<String> },
    #[error("the agent does not start")]
    Bootstrap { causes: Vec<String> },
    #[error("host is {found}: this krun's agent runs on {needed}")]
    Architecture {
        found: String,
        needed: String,
        /// Where an agent for it is looked for.
        place: PathBuf,
    },
    #[error("another controller is at work on this host: {controller}")]
    Busy { controller: String },
    #[error("the agent refuses to work: {reason}")]
    Refused { reason: String },
    #[error("the connection was lost")]
    Lost { causes: Vec<String> },
}

impl Error {
    /// Returns what lies behind this, the nearest first.
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Resolve { causes, .. }
            | Self::Connect { causes, .. }
            | Self::Protocol { causes, .. }
            | Self::Spawn { causes, .. }
            | Self::Binary { causes }
            | Self::Bootstrap { causes }
            | Self::Lost { causes } => causes.clone(),
            Self::HostKeyUnknown {
                fingerprint,
                files,
                causes,
                ..
            } => {
                let files: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
                let mut all = vec![format!("it shows {fingerprint}")];
                all.push(format!("not found in {}", files.join(", ")));
                all.extend(causes.iter().cloned());
                all
            }
            Self::HostKeyChanged {
                place,
                expected,
                found,
                ..
            } => vec![
                format!("{place} has {expected}"),
                format!("the host shows {found}"),
            ],
            Self::HostKeyRevoked { fingerprint, .. } => vec![format!("it shows {fingerprint}")],
            Self::Auth { tried, offered, .. } => {
                let mut all = tried.clone();
                if tried.is_empty() {
                    all.push("no key and no password to try".into());
                }
                if !offered.is_empty() {
                    all.push(format!("the host accepts {}", offered.join(", ")));
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// Returns what the user can do about it, where that is known.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Outside { help, .. } => (*help).to_owned(),
            Self::HostKeyUnknown {
                name, port, files, ..
            } => {
                let port = match port {
                    22 => String::new(),
                    other => format!("-p {other} "),
                };
                let file = files.first().map_or_else(String::new, |file| {
                    format!(" >> {}", quote(&file.to_string_lossy()))
                });
                format!(
                    "compare the fingerprint with the host's own, then add the key with `ssh-keyscan {port}{}{file}`, or accept new hosts with `ansible_ssh_common_args: -o StrictHostKeyChecking=accept-new`",
                    quote(name)
                )
            }
            Self::HostKeyChanged {
                name, port, place, ..
            } => {
                let file = place.rsplit_once(':').map_or(place.as_str(), |it| it.0);
                let name = match port {
                    22 => name.clone(),
                    other => format!("[{name}]:{other}"),
                };
                format!(
                    "if you know why, remove the old key with `ssh-keygen -R {} -f {}`",
                    quote(&name),
                    quote(file)
                )
            }
            Self::Auth { tried, .. } if tried.is_empty() => {
                "name a key with `ansible_ssh_private_key_file`, start ssh-agent, or give `--ask-pass`".into()
            }
            Self::Architecture { place, .. } => {
                format!("put an agent for it at {}", place.display())
            }
            Self::Busy { .. } => "wait until it is done, or end it there".into(),
            _ => return None,
        })
    }
}

/// Returns `text` as one word of a POSIX shell.
pub(super) fn quote(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| String::from("''"), Cow::into_owned)
}

/// Returns the chain of `error` and what lies behind it, one text each.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Many errors repeat their source in their own text.
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}
