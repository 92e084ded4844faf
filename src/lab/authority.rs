//! Turns a directory into a certificate authority of the lab's own, and names into certificates signed by it.

use std::path::{Path, PathBuf};

use super::Error;
use super::command::Run;

/// How long the lab's certificates hold, in days.
const DAYS: &str = "3650";

/// A certificate authority that only the hosts of one lab trust.
#[derive(Debug, Clone)]
pub struct Authority {
    dir: PathBuf,
}

/// A certificate and its key, both PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate, signed by the lab's authority.
    pub certificate: PathBuf,
    /// Its private key, not encrypted (PKCS #8).
    pub key: PathBuf,
}

impl Authority {
    /// The authority that [`Authority::create`] made in `dir`.
    pub(super) fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Makes a new authority, `ca.crt` and `ca.key`, in `dir`, which exists.
    pub(super) fn create(dir: &Path, lab: &str) -> Result<Self, Error> {
        let authority = Self::at(dir);
        openssl()
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args(["-days", DAYS, "-subj", &format!("/CN=krun lab {lab}")])
            .args(["-addext", "basicConstraints=critical,CA:TRUE"])
            .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
            .arg("-keyout")
            .arg(dir.join("ca.key"))
            .arg("-out")
            .arg(authority.certificate())
            .output()?;
        Ok(authority)
    }

    /// The authority's own certificate, a PEM file.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// Makes a certificate for servers and clients that bears `names`; the first one is its common name.
    /// The files are called after it; an earlier certificate of that name is replaced.
    pub fn issue(&self, names: &[&str]) -> Result<Certificate, Error> {
        let name = names.first().copied().unwrap_or("localhost");
        let (key, request) = (
            self.dir.join(format!("{name}.key")),
            self.dir.join(format!("{name}.csr")),
        );
        let certificate = self.dir.join(format!("{name}.crt"));
        let alternatives: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        openssl()
            .args([
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args(["-subj", &format!("/CN={name}")])
            .args([
                "-addext",
                &format!("subjectAltName={}", alternatives.join(",")),
            ])
            .args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&request)
            .output()?;
        openssl()
            .args([
                "x509",
                "-req",
                "-days",
                DAYS,
                "-copy_extensions",
                "copy",
                "-in",
            ])
            .arg(&request)
            .arg("-CA")
            .arg(self.certificate())
            .arg("-CAkey")
            .arg(self.dir.join("ca.key"))
            .arg("-CAcreateserial")
            .arg("-out")
            .arg(&certificate)
            .output()?;
        std::fs::remove_file(&request).map_err(Error::file("remove", &request))?;
        Ok(Certificate { certificate, key })
    }
}

fn openssl() -> Run {
    Run::new("openssl", "openssl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issued_certificate_is_trusted_through_the_authority_under_each_name() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), "t").unwrap();
        let issued = authority
            .issue(&["archive.example", "other.example"])
            .unwrap();
        for name in ["archive.example", "other.example"] {
            openssl()
                .args(["verify", "-verify_hostname", name, "-CAfile"])
                .arg(authority.certificate())
                .arg(&issued.certificate)
                .output()
                .unwrap();
        }
        let stranger = openssl()
            .args(["verify", "-verify_hostname", "stranger.example", "-CAfile"])
            .arg(authority.certificate())
            .arg(&issued.certificate);
        assert!(!stranger.succeeds().unwrap());
    }
}
