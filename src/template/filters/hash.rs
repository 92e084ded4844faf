//! Filters that hash and encode: `hash`, `checksum`, `b64encode`, `to_uuid`, `password_hash`.

use super::Filter;
use crate::template::args::{Args, count};
use crate::template::error::Error;
use crate::template::eval::Cx;
use crate::template::native;
use crate::template::values::{Res, Val};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rand::Rng;
use sha2::Digest;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("hash", |_, s, args| {
        let [kind] = args.bind(["hashtype"])?;
        let kind = kind.map_or_else(|| "sha1".to_string(), |k| native::text(&k));
        digest(&kind, &native::text(s)).map(Val::str)
    }),
    ("checksum", |_, s, _| {
        digest("sha1", &native::text(s)).map(Val::str)
    }),
    ("sha1", |_, s, _| {
        digest("sha1", &native::text(s)).map(Val::str)
    }),
    ("md5", |_, s, _| {
        digest("md5", &native::text(s)).map(Val::str)
    }),
    ("b64encode", |_, s, _| {
        Ok(Val::str(STANDARD.encode(native::text(s))))
    }),
    ("b64decode", b64decode),
    ("to_uuid", to_uuid),
    ("password_hash", password_hash),
];

fn digest(kind: &str, text: &str) -> Res<String> {
    Ok(match kind {
        "md5" => hex::encode(md5::Md5::digest(text)),
        "sha1" => hex::encode(sha1::Sha1::digest(text)),
        "sha224" => hex::encode(sha2::Sha224::digest(text)),
        "sha256" => hex::encode(sha2::Sha256::digest(text)),
        "sha384" => hex::encode(sha2::Sha384::digest(text)),
        "sha512" => hex::encode(sha2::Sha512::digest(text)),
        other => return Err(Error::wrong_type(format!("unknown hash `{other}`"))),
    })
}

fn b64decode(_: &mut Cx, subject: &Val, mut args: Args) -> Res {
    let url_safe = args.take("urlsafe").is_some_and(|u| u.is_true());
    let text: String = native::text(subject)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    let bytes = engine
        .decode(&text)
        .map_err(|error| Error::wrong_type(format!("not base64: {error}")))?;
    Ok(Val::str(String::from_utf8_lossy(&bytes)))
}

/// Ansible's own namespace for uuids that are made of a name.
const NAMESPACE: &str = "361E6D51-FAEC-444A-9079-341386DA8E2E";

fn to_uuid(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [namespace] = args.bind(["namespace"])?;
    let namespace = namespace.map_or_else(|| NAMESPACE.to_string(), |n| native::text(&n));
    let namespace = uuid::Uuid::parse_str(&namespace)
        .map_err(|error| Error::wrong_type(format!("`{namespace}`: {error}")))?;
    let uuid = uuid::Uuid::new_v5(&namespace, native::text(subject).as_bytes());
    Ok(Val::str(uuid.to_string()))
}

fn password_hash(_: &mut Cx, subject: &Val, args: Args) -> Res {
    let [kind, salt, _salt_size, rounds, _ident] =
        args.bind(["hashtype", "salt", "salt_size", "rounds", "ident"])?;
    let kind = kind.map_or_else(|| "sha512".to_string(), |k| native::text(&k));
    let salt = match salt {
        None | Some(Val::None) => random_text(16, SALT),
        Some(salt) => native::text(&salt),
    };
    let bad_salt = salt.chars().find(|c| !SALT.contains(*c));
    if let Some(bad) = bad_salt {
        return Err(Error::wrong_type(format!(
            "invalid character `{bad}` in salt"
        )));
    }
    let sha512 = match kind.as_str() {
        "sha512" | "sha512_crypt" => true,
        "sha256" | "sha256_crypt" => false,
        other => {
            return Err(Error::wrong_type(format!(
                "`{other}` is not supported: only `sha512` and `sha256` are"
            )));
        }
    };
    let default = if sha512 { 656_000 } else { 535_000 };
    let rounds = count(rounds.as_ref(), "rounds")?.unwrap_or(default);
    crypt(&native::text(subject), &salt, rounds, sha512).map(Val::str)
}

/// The characters of a salt.
pub(crate) const SALT: &str = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A random text of these characters.
pub(crate) fn random_text(length: usize, alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut generator = rand::rng();
    (0..length)
        .map(|_| alphabet[generator.random_range(0..alphabet.len())])
        .collect()
}

/// What crypt(3) gives: `$6$rounds=656000$salt$hash`. 5000 rounds are not written out.
pub(crate) fn crypt(password: &str, salt: &str, rounds: usize, sha512: bool) -> Res<String> {
    let fault = |error: &dyn std::fmt::Debug| Error::wrong_type(format!("{error:?}"));
    let (password, salt_bytes) = (password.as_bytes(), salt.as_bytes());
    let (prefix, hash) = if sha512 {
        let params = sha_crypt::Sha512Params::new(rounds).map_err(|e| fault(&e))?;
        let hash = sha_crypt::sha512_crypt_b64(password, salt_bytes, &params);
        ("6", hash.map_err(|e| fault(&e))?)
    } else {
        let params = sha_crypt::Sha256Params::new(rounds).map_err(|e| fault(&e))?;
        let hash = sha_crypt::sha256_crypt_b64(password, salt_bytes, &params);
        ("5", hash.map_err(|e| fault(&e))?)
    };
    let rounds = if rounds == 5000 {
        String::new()
    } else {
        format!("rounds={rounds}$")
    };
    Ok(format!("${prefix}${rounds}{salt}${hash}"))
}
