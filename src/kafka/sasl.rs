//! Turns a login into the messages of SASL PLAIN and SCRAM (RFC 4616, RFC 5802), no sockets.

use super::settings::{Login, Mechanism};
use crate::value::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

/// The one message of PLAIN.
pub(super) fn plain(login: &Login) -> Vec<u8> {
    format!("\0{}\0{}", login.user, login.password.reveal()).into_bytes()
}

/// A SCRAM exchange from the client's side.
pub(super) struct Scram<'a> {
    mechanism: Mechanism,
    password: &'a Secret,
    nonce: String,
    first_bare: String,
}

/// The client's last message, and what the server must answer to prove that it knows the password too.
pub(super) struct Final {
    pub(super) message: String,
    pub(super) expected: String,
}

impl<'a> Scram<'a> {
    pub(super) fn new(login: &'a Login, nonce: String) -> Self {
        let user = login.user.replace('=', "=3D").replace(',', "=2C");
        Self {
            mechanism: login.mechanism,
            password: &login.password,
            first_bare: format!("n={user},r={nonce}"),
            nonce,
        }
    }

    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    pub(super) fn answer(&self, server_first: &str) -> Result<Final, String> {
        let field = |name: &str| field(server_first, name);
        let nonce = field("r=").ok_or("the server sent no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's nonce does not continue ours".into());
        }
        let salt = field("s=")
            .and_then(|s| STANDARD.decode(s).ok())
            .ok_or("the server sent no salt")?;
        let rounds: u32 = field("i=")
            .and_then(|i| i.parse().ok())
            .filter(|rounds| (4096..=10_000_000).contains(rounds))
            .ok_or("the server asks for an unacceptable number of iterations")?;
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let (proof, signature) = match self.mechanism {
            Mechanism::ScramSha512 => {
                let mut salted = [0; 64];
                pbkdf2::pbkdf2_hmac::<Sha512>(
                    self.password.reveal().as_bytes(),
                    &salt,
                    rounds,
                    &mut salted,
                );
                proof(&salted, message.as_bytes(), hmac_sha512, |b| {
                    Sha512::digest(b).to_vec()
                })
            }
            Mechanism::ScramSha256 | Mechanism::Plain => {
                let mut salted = [0; 32];
                pbkdf2::pbkdf2_hmac::<Sha256>(
                    self.password.reveal().as_bytes(),
                    &salt,
                    rounds,
                    &mut salted,
                );
                proof(&salted, message.as_bytes(), hmac_sha256, |b| {
                    Sha256::digest(b).to_vec()
                })
            }
        };
        Ok(Final {
            message: format!("{without_proof},p={}", STANDARD.encode(proof)),
            expected: format!("v={}", STANDARD.encode(signature)),
        })
    }
}

/// Returns the client's proof and the server's signature.
fn proof(
    salted: &[u8],
    message: &[u8],
    hmac: fn(&[u8], &[u8]) -> Vec<u8>,
    hash: fn(&[u8]) -> Vec<u8>,
) -> (Vec<u8>, Vec<u8>) {
    let client_key = hmac(salted, b"Client Key");
    let client_signature = hmac(&hash(&client_key), message);
    let proof = client_key
        .iter()
        .zip(&client_signature)
        .map(|(key, signature)| key ^ signature)
        .collect();
    (proof, hmac(&hmac(salted, b"Server Key"), message))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn hmac_sha512(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(mechanism: Mechanism) -> Login {
        Login {
            mechanism,
            user: "user".into(),
            password: Secret::new("pencil"),
        }
    }

    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        let login = login(Mechanism::ScramSha256);
        let scram = Scram::new(&login, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let end = scram
            .answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
            .unwrap();
        assert_eq!(
            end.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            end.expected,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_nonce_that_is_not_ours_is_refused() {
        let login = login(Mechanism::ScramSha512);
        let scram = Scram::new(&login, "abc".into());
        assert!(
            scram
                .answer("r=xyz,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
                .is_err()
        );
        assert!(
            scram
                .answer("r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1")
                .is_err()
        );
    }

    #[test]
    fn plain_is_user_and_password_between_zeros() {
        assert_eq!(plain(&login(Mechanism::Plain)), b"\0user\0pencil");
    }
}
