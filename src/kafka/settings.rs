//! Turns a Java `client.properties`, or a broker's server.properties, into the way to talk to brokers.

use super::error::{Error, Result};
use super::properties::Properties;
use super::stores::{self, Identity};
use super::tls;
use crate::value::Secret;
use rustls::ClientConfig;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Reads a file of the host; tests and `Sys` bring their own.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;

/// How a connection is secured, made ready once and used for every broker.
#[derive(Clone, Default)]
pub struct Security {
    /// `None` for PLAINTEXT and `SASL_PLAINTEXT`.
    pub tls: Option<Arc<ClientConfig>>,
    /// `None` without SASL.
    pub login: Option<Login>,
}

impl Security {
    /// The user's name as errors show it.
    pub fn user(&self) -> String {
        match &self.login {
            Some(login) => format!("user `{}`", login.user),
            None => "the client".into(),
        }
    }
}

/// A user name and a password for SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub mechanism: Mechanism,
    pub user: String,
    pub password: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub fn parse(name: &str) -> Result<Self> {
        match name.trim() {
            "PLAIN" => Ok(Self::Plain),
            "SCRAM-SHA-256" => Ok(Self::ScramSha256),
            "SCRAM-SHA-512" => Ok(Self::ScramSha512),
            other => Err(Error::Mechanism(other.to_owned())),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Makes the security that a client.properties text asks for.
///
/// Known keys: `security.protocol`, `sasl.mechanism`, `sasl.jaas.config` (user name and password),
/// `ssl.truststore.{location,password,type,certificates}`, `ssl.keystore.{location,password,type}`,
/// `ssl.keystore.{key,certificate.chain}`, `ssl.key.password`, `ssl.endpoint.identification.algorithm`.
/// Without a trust store the host's own is used.
///
/// # Errors
/// A mechanism krun does not speak, a login that is not there, a store that cannot be opened.
pub fn security(settings: &Properties, read: &ReadFile) -> Result<Security> {
    let word = |key: &str| {
        settings
            .get(key)
            .map(|v| v.trim())
            .filter(|v| !v.is_empty())
    };
    let protocol = word("security.protocol").unwrap_or("PLAINTEXT");
    let (with_tls, with_sasl) = match protocol.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => (false, false),
        "SSL" => (true, false),
        "SASL_PLAINTEXT" => (false, true),
        "SASL_SSL" => (true, true),
        _ => {
            return Err(Error::Settings(format!(
                "unknown security.protocol `{protocol}`: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
            )));
        }
    };
    let login = if with_sasl {
        // Java's default is GSSAPI.
        let mechanism = Mechanism::parse(word("sasl.mechanism").unwrap_or("GSSAPI"))?;
        let jaas = word("sasl.jaas.config").ok_or_else(|| {
            Error::Settings(format!(
                "{protocol} needs `sasl.jaas.config` with a username and a password"
            ))
        })?;
        Some(login(mechanism, jaas)?)
    } else {
        None
    };
    let tls = if with_tls {
        Some(tls_config(settings, read)?)
    } else {
        None
    };
    Ok(Security { tls, login })
}

fn tls_config(settings: &Properties, read: &ReadFile) -> Result<Arc<ClientConfig>> {
    let word = |key: &str| {
        settings
            .get(key)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    };
    let secret = |key: &str| Secret::new(word(key).unwrap_or_default());
    let open = |path: &str| {
        read(Path::new(path)).map_err(|source| Error::File {
            path: path.into(),
            source,
        })
    };
    let trust = match (
        word("ssl.truststore.certificates"),
        word("ssl.truststore.location"),
    ) {
        (Some(pem), _) => Some(stores::trusted_pem(
            pem.as_bytes(),
            "ssl.truststore.certificates",
        )?),
        (None, Some(path)) => Some(stores::trusted(
            &open(path)?,
            &secret("ssl.truststore.password"),
            path,
        )?),
        (None, None) => None,
    };
    let identity: Option<Identity> = match (word("ssl.keystore.key"), word("ssl.keystore.location"))
    {
        (Some(key), _) => {
            let chain = word("ssl.keystore.certificate.chain").unwrap_or_default();
            Some(stores::identity_pem(
                format!("{key}\n{chain}").as_bytes(),
                "ssl.keystore.key",
            )?)
        }
        (None, Some(path)) => {
            let password = secret("ssl.keystore.password");
            let key_password =
                word("ssl.key.password").map_or_else(|| password.clone(), Secret::new);
            Some(stores::identity(
                &open(path)?,
                &password,
                &key_password,
                path,
            )?)
        }
        (None, None) => None,
    };
    // An empty value, written out, is how Java's users switch the check of names off.
    let check_name = settings
        .get("ssl.endpoint.identification.algorithm")
        .is_none_or(|algorithm| !algorithm.trim().is_empty());
    tls::config(trust, identity, check_name)
}

/// Reads `… required username="u" password="p";`.
fn login(mechanism: Mechanism, jaas: &str) -> Result<Login> {
    let option = |name: &str| jaas_option(jaas, name);
    match (option("username"), option("password")) {
        (Some(user), Some(password)) => Ok(Login {
            mechanism,
            user,
            password: Secret::new(password),
        }),
        (user, _) => Err(Error::Settings(format!(
            "`sasl.jaas.config` has no `{}`",
            if user.is_none() {
                "username"
            } else {
                "password"
            }
        ))),
    }
}

/// Returns the value of an option in a JAAS login module's line; quotes and escapes as in JAAS.
fn jaas_option(jaas: &str, name: &str) -> Option<String> {
    let mut rest = jaas;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].trim_start();
        if before.is_none_or(char::is_whitespace)
            && let Some(value) = after.strip_prefix('=')
        {
            return Some(jaas_value(value.trim_start()));
        }
        rest = &rest[at + name.len()..];
    }
}

fn jaas_value(text: &str) -> String {
    let mut chars = text.chars().peekable();
    let quote = chars.next_if(|c| *c == '"' || *c == '\'');
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match quote {
            Some(end) if c == end => break,
            Some(_) if c == '\\' => value.extend(chars.next()),
            None if c.is_whitespace() || c == ';' => break,
            _ => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;

    fn security_of(text: &str) -> Result<Security> {
        security(&properties::parse(text), &|_| {
            Err(io::Error::from(io::ErrorKind::NotFound))
        })
    }

    #[test]
    fn a_scram_login_is_read_from_the_jaas_line() {
        let security = security_of(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n \
             username=\"adm in\" \\\n password=\"a\\\\\"b;=c\";\n",
        )
        .unwrap();
        let login = security.login.unwrap();
        assert_eq!(login.user, "adm in");
        assert_eq!(login.password.reveal(), "a\"b;=c");
        assert_eq!(login.mechanism, Mechanism::ScramSha512);
    }

    #[test]
    fn an_unsupported_mechanism_is_named() {
        for mechanism in ["GSSAPI", "OAUTHBEARER"] {
            let error = security_of(&format!(
                "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.jaas.config=x required;"
            ))
            .err()
            .unwrap();
            assert!(error.to_string().contains(mechanism), "{error}");
        }
    }

    #[test]
    fn a_login_without_password_is_an_error_that_says_so() {
        let error = security_of(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=x required username=a;",
        )
        .err()
        .unwrap();
        assert_eq!(error.to_string(), "`sasl.jaas.config` has no `password`");
    }

    #[test]
    fn a_trust_store_that_is_not_there_is_named() {
        let error =
            security_of("security.protocol=SSL\nssl.truststore.location=/etc/kafka/t.jks\n")
                .err()
                .unwrap();
        assert!(error.to_string().contains("/etc/kafka/t.jks"));
    }
}
