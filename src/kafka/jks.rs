//! Turns the bytes of a Java key store of the old kind (JKS) into its certificates and sealed keys.
//!
//! The layout is that of the JDK's `JavaKeyStore`: big-endian numbers, strings with a two-byte length,
//! and a SHA-1 over password, a fixed phrase and the store at the end.

use super::der::element;
use crate::value::Secret;
use sha1::{Digest, Sha1};

pub(super) enum Entry {
    Trusted(Vec<u8>),
    Key {
        /// The PKCS#8 key under the JDK's own cipher; [`open_key`] opens it.
        sealed: Vec<u8>,
        chain: Vec<Vec<u8>>,
    },
}

const JCEKS: u32 = 0xcece_cece;
const DIGEST: usize = 20;

/// Returns the entries of a store in its order. An empty password leaves the store's digest unchecked, as in Java.
pub(super) fn entries(bytes: &[u8], password: &Secret) -> Result<Vec<Entry>, String> {
    let body_end = bytes.len().checked_sub(DIGEST).ok_or("it is cut short")?;
    if !password.reveal().is_empty() && digest(&bytes[..body_end], password) != bytes[body_end..] {
        return Err("its password is wrong, or it is damaged".into());
    }
    let mut input = Input(&bytes[..body_end]);
    let magic = input.number()?;
    let version = input.number()?;
    let count = input.number()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let tag = input.number()?;
        input.text()?;
        input.take(8)?;
        found.push(match tag {
            1 => {
                if magic == JCEKS {
                    return Err(
                        "keys in a JCEKS store are not supported, convert it to PKCS12".into(),
                    );
                }
                let sealed = input.block()?.to_vec();
                let length = input.number()?;
                let chain: Result<_, _> = (0..length).map(|_| input.certificate(version)).collect();
                Entry::Key {
                    sealed,
                    chain: chain?,
                }
            }
            2 => Entry::Trusted(input.certificate(version)?),
            _ => return Err(format!("it has an entry of unknown kind {tag}")),
        });
    }
    Ok(found)
}

fn wide(password: &Secret) -> Vec<u8> {
    password
        .reveal()
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect()
}

fn digest(body: &[u8], password: &Secret) -> [u8; DIGEST] {
    Sha1::new()
        .chain_update(wide(password))
        .chain_update(b"Mighty Aphrodite")
        .chain_update(body)
        .finalize()
        .into()
}

/// Opens a key: salt, key XOR a chain of SHA-1 sums, and a SHA-1 of the open key.
pub(super) fn open_key(sealed: &[u8], password: &Secret) -> Result<Vec<u8>, String> {
    let sealed = encrypted_data(sealed).ok_or("its key has an unknown layout")?;
    if sealed.len() < 2 * DIGEST {
        return Err("its key is cut short".into());
    }
    let (salt, rest) = sealed.split_at(DIGEST);
    let (cipher, check) = rest.split_at(rest.len() - DIGEST);
    let password = wide(password);
    let mut block: Vec<u8> = salt.to_vec();
    let mut key = Vec::with_capacity(cipher.len());
    for chunk in cipher.chunks(DIGEST) {
        block = Sha1::new()
            .chain_update(&password)
            .chain_update(&block)
            .finalize()
            .to_vec();
        key.extend(chunk.iter().zip(&block).map(|(a, b)| a ^ b));
    }
    let sum = Sha1::new()
        .chain_update(&password)
        .chain_update(&key)
        .finalize();
    if sum.as_slice() == check {
        Ok(key)
    } else {
        Err("the key's password is wrong".into())
    }
}

/// `EncryptedPrivateKeyInfo`: a sequence of an algorithm (a sequence) and an octet string.
fn encrypted_data(der: &[u8]) -> Option<&[u8]> {
    let (inside, _) = element(der, 0x30)?;
    let (_, after_algorithm) = element(inside, 0x30)?;
    element(after_algorithm, 0x04).map(|(data, _)| data)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    fn text(&mut self) -> Result<&'a [u8], String> {
        let length = self.take(2)?;
        self.take(usize::from(length[0]) << 8 | usize::from(length[1]))
    }

    fn block(&mut self) -> Result<&'a [u8], String> {
        let length = self.number()?;
        self.take(length as usize)
    }

    fn certificate(&mut self, version: u32) -> Result<Vec<u8>, String> {
        if version == 2 {
            self.text()?;
        }
        self.block().map(<[u8]>::to_vec)
    }
}
