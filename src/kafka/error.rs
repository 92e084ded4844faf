//! What can go wrong between krun and a broker, said so that a person can act on it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A fault of a connection, a request or its settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {address}")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} did not answer {request} within {limit:?}")]
    Timeout {
        address: String,
        request: &'static str,
        limit: Duration,
    },
    #[error("the connection to {address} was lost during {request}")]
    Lost {
        address: String,
        request: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("no TLS connection to {address}")]
    Tls {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} refused the login of `{user}` by {mechanism}: {message}")]
    Login {
        address: String,
        user: String,
        mechanism: &'static str,
        message: String,
    },
    #[error(
        "sasl mechanism `{0}` is not supported: krun speaks PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512"
    )]
    Mechanism(String),
    /// The words of a client.properties or of a module's arguments do not fit together.
    #[error("{0}")]
    Settings(String),
    #[error("cannot read `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{address} speaks {request} {theirs}, krun speaks {ours}")]
    Version {
        address: String,
        request: &'static str,
        theirs: String,
        ours: String,
    },
    #[error(
        "missing ACL: {user} needs `{operation}` on {resource} ({request} at {address} was refused)"
    )]
    MissingAcl {
        address: String,
        request: &'static str,
        user: String,
        operation: &'static str,
        resource: String,
    },
    #[error("{address} answered {request} of {resource} with {code}{}", message.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused {
        address: String,
        request: &'static str,
        resource: String,
        /// The protocol's name of the error, such as `NotController`.
        code: String,
        message: Option<String>,
    },
    #[error("{address} sent an answer to {request} that cannot be read: {message}")]
    Malformed {
        address: String,
        request: &'static str,
        message: String,
    },
    #[error("zookeeper at {address}: {message}")]
    Zookeeper { address: String, message: String },
    /// A gate did not open.
    #[error("{message}")]
    Gate {
        message: String,
        /// What was seen last: partitions and brokers by name.
        seen: Vec<String>,
        help: Option<String>,
    },
    /// What runs on this host is not what was asked for.
    #[error("{0}")]
    Host(String),
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Returns the error and all its causes on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            // An `io::Error` that only wraps another one repeats its words.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }

    /// Returns `true` where a broker's certificate was refused.
    pub fn is_bad_certificate(&self) -> bool {
        let Self::Tls { source, .. } = self else {
            return false;
        };
        let fault = source
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>());
        matches!(fault, Some(rustls::Error::InvalidCertificate(_)))
    }

    /// Returns `true` for an error that asking again cannot mend: a login, a right, a setting.
    pub fn is_permanent(&self) -> bool {
        self.is_bad_certificate()
            || matches!(
                self,
                Self::Login { .. }
                    | Self::Mechanism(_)
                    | Self::Settings(_)
                    | Self::File { .. }
                    | Self::Version { .. }
                    | Self::MissingAcl { .. }
                    | Self::Cancelled
            )
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
