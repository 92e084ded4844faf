//! Turns the bytes of a trust store or key store (PEM, PKCS#12, JKS) into certificates and a key.
//!
//! The bytes say what they are; `ssl.truststore.type` is often wrong since Java 9 reads either kind.

use super::der;
use super::error::{Error, Result};
use super::jks::{self, Entry};
use crate::value::Secret;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A client's certificate chain, its own first, and the key to it.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Returns the certificates that a trust store trusts. `name` is shown in errors.
pub(super) fn trusted(
    bytes: &[u8],
    password: &Secret,
    name: &str,
) -> Result<Vec<CertificateDer<'static>>> {
    let found = match Kind::of(bytes) {
        Kind::Pem => return trusted_pem(bytes, name),
        Kind::Jks => jks::entries(bytes, password)
            .map_err(|message| unreadable(name, &message))?
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Trusted(der) => Some(CertificateDer::from(der)),
                Entry::Key { .. } => None,
            })
            .collect(),
        Kind::Pkcs12 => {
            let store = pkcs12(bytes, password, name)?;
            store
                .entries()
                .filter_map(|(_, entry)| match entry {
                    KeyStoreEntry::Certificate(cert) => {
                        Some(CertificateDer::from(cert.as_der().to_vec()))
                    }
                    _ => None,
                })
                .collect::<Vec<_>>()
        }
    };
    if found.is_empty() {
        return Err(unreadable(name, "it holds no trusted certificate"));
    }
    Ok(found)
}

/// Returns all certificates of a PEM text.
pub(super) fn trusted_pem(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(name, &error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable(name, "it holds no certificate"));
    }
    Ok(found)
}

/// Returns the first key of a key store, with its certificates.
pub(super) fn identity(
    bytes: &[u8],
    password: &Secret,
    key_password: &Secret,
    name: &str,
) -> Result<Identity> {
    let (chain, key) = match Kind::of(bytes) {
        Kind::Pem => return identity_pem(bytes, name),
        Kind::Jks => jks::entries(bytes, password)
            .map_err(|message| unreadable(name, &message))?
            .into_iter()
            .find_map(|entry| match entry {
                Entry::Key { sealed, chain } => Some((chain, sealed)),
                Entry::Trusted(_) => None,
            })
            .map(|(chain, sealed)| jks::open_key(&sealed, key_password).map(|key| (chain, key)))
            .transpose()
            .map_err(|message| unreadable(name, &message))?
            .ok_or_else(|| unreadable(name, "it holds no key"))?,
        Kind::Pkcs12 => {
            let store = pkcs12(bytes, password, name)?;
            let (_, chain) = store
                .private_key_chain()
                .ok_or_else(|| unreadable(name, "it holds no key"))?;
            (
                chain.certs().iter().map(|c| c.as_der().to_vec()).collect(),
                chain.key().as_der().to_vec(),
            )
        }
    };
    let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
    let completed = chain
        .first()
        .and_then(|own| rustls::server::ParsedCertificate::try_from(own).ok())
        .and_then(|own| der::with_public_key(&key, &own.subject_public_key_info()));
    Ok(Identity {
        chain,
        key: PrivatePkcs8KeyDer::from(completed.unwrap_or(key)).into(),
    })
}

/// Returns the key and the certificates of a PEM text; the key must not be encrypted.
pub(super) fn identity_pem(pem: &[u8], name: &str) -> Result<Identity> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let encrypted = pem.windows(9).any(|w| w == b"ENCRYPTED");
        unreadable(
            name,
            &if encrypted {
                "its key is encrypted, which only JKS and PKCS12 stores may be".to_owned()
            } else {
                error.to_string()
            },
        )
    })?;
    Ok(Identity {
        chain: trusted_pem(pem, name)?,
        key,
    })
}

fn pkcs12(bytes: &[u8], password: &Secret, name: &str) -> Result<KeyStore> {
    KeyStore::from_pkcs12(bytes, password.reveal(), Pkcs12ImportPolicy::Relaxed)
        .map_err(|error| unreadable(name, &format!("{error} (is its password right?)")))
}

enum Kind {
    Pem,
    Pkcs12,
    Jks,
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => Self::Jks,
            [0x30, ..] => Self::Pkcs12,
            _ => Self::Pem,
        }
    }
}

fn unreadable(name: &str, why: &str) -> Error {
    Error::Settings(format!("cannot use `{name}`: {why}"))
}

#[cfg(test)]
mod tests;
