//! Turns certificates into a TLS client that trusts the way a Java client does.

use super::error::{Error, Result};
use super::stores::Identity;
use p12_keystore::Certificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// Makes a TLS client. Without `trust` the host's own trust store counts.
///
/// `check_name: false` is `ssl.endpoint.identification.algorithm=`: the chain is still checked.
pub(super) fn config(
    trust: Option<Vec<CertificateDer<'static>>>,
    identity: Option<Identity>,
    check_name: bool,
) -> Result<Arc<ClientConfig>> {
    let trusted = match trust {
        Some(trusted) => trusted,
        None => host_trust()?,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if added == 0 {
        return Err(Error::Settings(
            "none of the trusted certificates can be used".into(),
        ));
    }
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| Error::Settings(error.to_string()))?;
    let verifier = Arc::new(JavaLike {
        chain,
        trusted,
        check_name,
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Settings(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| Error::Settings(format!("cannot use the client's key: {error}")))?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn host_trust() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Error::Settings(
            "this host has no trust store: set `ssl.truststore.location`".into(),
        ));
    }
    Ok(found.certs)
}

/// Java's rules where they are wider than web PKI: a certificate that stands in the trust store itself
/// is trusted, a certificate without alternative names is known by its common name, and the check of
/// names can be off.
#[derive(Debug)]
struct JavaLike {
    chain: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    check_name: bool,
}

impl ServerCertVerifier for JavaLike {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match checked {
            Err(rustls::Error::InvalidCertificate(fault)) => {
                let mut fault = fault;
                if self.trusted.iter().any(|known| known == end_entity) && !is_of_its_own(&fault) {
                    // Found itself in the trust store: what is left to check is its name.
                    let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
                    match rustls::client::verify_server_name(&parsed, server_name) {
                        Ok(()) => return Ok(ServerCertVerified::assertion()),
                        Err(rustls::Error::InvalidCertificate(name_fault)) => fault = name_fault,
                        Err(other) => return Err(other),
                    }
                }
                let only_name = is_name(&fault);
                if only_name
                    && (!self.check_name || common_name_fits(end_entity, &fault, server_name))
                {
                    return Ok(ServerCertVerified::assertion());
                }
                Err(rustls::Error::InvalidCertificate(fault))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Faults that a certificate has even where it stands in the trust store itself; what is wrong with its
/// path to a root, with its signature or its marks does not matter then.
fn is_of_its_own(fault: &CertificateError) -> bool {
    matches!(
        fault,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::Revoked
    )
}

fn is_name(fault: &CertificateError) -> bool {
    matches!(
        fault,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

fn common_name_fits(
    end_entity: &CertificateDer<'_>,
    fault: &CertificateError,
    server_name: &ServerName<'_>,
) -> bool {
    let has_alternatives = match fault {
        CertificateError::NotValidForNameContext { presented, .. } => !presented.is_empty(),
        _ => true,
    };
    if has_alternatives {
        return false;
    }
    let Ok(certificate) = Certificate::from_der(end_entity) else {
        return false;
    };
    certificate
        .subject()
        .split(", ")
        .filter_map(|part| part.strip_prefix("CN="))
        .any(|name| name.eq_ignore_ascii_case(&server_name.to_str()))
}
