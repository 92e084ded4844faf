//! Turns text that ansible-vault encrypted (format 1.1 and 1.2, AES256) into plain text.

use crate::diag::{Diagnostics, Source, Span};
use crate::value::{Masks, Secret};
use crate::yaml::{self, Kind, Node};
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::sync::{Arc, Mutex, PoisonError};

/// What every encrypted text begins with.
const MARK: &str = "$ANSIBLE_VAULT;";
/// Rounds of PBKDF2, as ansible-vault has them.
const ROUNDS: u32 = 10_000;
/// Strings of a whole encrypted file are masked from this length on, in characters; below it,
/// ordinary words (`true`, `kafka`) would vanish from every output.
const MASKED_LENGTH: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a vault password is needed")]
    NoPassword,
    #[error("no vault password fits (tried {})", .tried.join(", "))]
    WrongPassword { tried: Vec<String> },
    #[error("vault format `{0}` is unknown")]
    UnknownFormat(String),
    #[error("damaged vault text: {0}")]
    Damaged(&'static str),
    #[error("the decrypted text is not UTF-8")]
    NotText,
}

/// Returns whether `text` is a vault's, armour and all.
pub fn is_encrypted(text: &str) -> bool {
    text.trim_start().starts_with(MARK)
}

/// Decrypts armoured text. Passwords whose id is the text's own label are tried first.
pub fn decrypt(armoured: &str, passwords: &[(String, Secret)]) -> Result<Secret, Error> {
    let bytes = decrypt_bytes(armoured, passwords)?;
    String::from_utf8(bytes)
        .map(Secret::new)
        .map_err(|_| Error::NotText)
}

/// As [`decrypt`], for files that need not be text.
pub fn decrypt_bytes(armoured: &str, passwords: &[(String, Secret)]) -> Result<Vec<u8>, Error> {
    let sealed = Sealed::read(armoured)?;
    if passwords.is_empty() {
        return Err(Error::NoPassword);
    }
    let fits_label = |id: &String| Some(id.as_str()) == sealed.label.as_deref();
    let (first, then): (Vec<_>, Vec<_>) = passwords.iter().partition(|(id, _)| fits_label(id));
    for (_, password) in first.iter().chain(&then) {
        if let Some(plain) = sealed.open(password) {
            return plain;
        }
    }
    let tried = passwords.iter().map(|(id, _)| format!("`{id}`")).collect();
    Err(Error::WrongPassword { tried })
}

/// The parts of an encrypted text.
struct Sealed {
    label: Option<String>,
    salt: Vec<u8>,
    mac: Vec<u8>,
    cipher: Vec<u8>,
}

impl Sealed {
    fn read(armoured: &str) -> Result<Self, Error> {
        let (header, body) = armoured
            .trim()
            .split_once('\n')
            .ok_or(Error::Damaged("no lines behind the header"))?;
        let header = header.trim();
        let fields: Vec<&str> = header.split(';').map(str::trim).collect();
        let label = match fields[..] {
            ["$ANSIBLE_VAULT", "1.1", "AES256"] => None,
            ["$ANSIBLE_VAULT", "1.2", "AES256", label] => Some(label.to_string()),
            _ => return Err(Error::UnknownFormat(header.into())),
        };
        let hex_text: String = body.split_whitespace().collect();
        let inner = hex::decode(hex_text).map_err(|_| Error::Damaged("not hexadecimal"))?;
        let parts: Vec<Vec<u8>> = inner
            .split(|b| *b == b'\n')
            .map(hex::decode)
            .collect::<Result<_, _>>()
            .map_err(|_| Error::Damaged("its parts are not hexadecimal"))?;
        let [salt, mac, cipher] =
            <[Vec<u8>; 3]>::try_from(parts).map_err(|_| Error::Damaged("not three parts"))?;
        Ok(Self {
            label,
            salt,
            mac,
            cipher,
        })
    }

    /// Returns `None` where the password does not fit.
    fn open(&self, password: &Secret) -> Option<Result<Vec<u8>, Error>> {
        let mut keys = [0_u8; 80];
        let password = password.reveal().as_bytes();
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, ROUNDS, &mut keys);
        let (cipher_key, rest) = keys.split_at(32);
        let (mac_key, iv) = rest.split_at(32);
        let mut mac = Hmac::<Sha256>::new_from_slice(mac_key).ok()?;
        mac.update(&self.cipher);
        mac.verify_slice(&self.mac).ok()?;

        let mut plain = self.cipher.clone();
        let mut cipher = ctr::Ctr128BE::<aes::Aes256>::new_from_slices(cipher_key, iv).ok()?;
        cipher.apply_keystream(&mut plain);
        // PKCS#7: the last byte says how many bytes were added.
        let padding = plain.last().copied().map_or(0, usize::from);
        let is_padded = (1..=16).contains(&padding) && padding <= plain.len();
        if !is_padded {
            return Some(Err(Error::Damaged("wrong padding")));
        }
        plain.truncate(plain.len() - padding);
        Some(Ok(plain))
    }
}

/// The passwords of a run, and the secrets that they have opened so far.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    passwords: Vec<(String, Secret)>,
    opened: Arc<Mutex<Masks>>,
}

impl Vault {
    /// Takes passwords with their ids (`default` where the user gave none).
    pub fn new(passwords: Vec<(String, Secret)>) -> Self {
        Self {
            passwords,
            opened: Arc::default(),
        }
    }

    /// Returns what must not be shown, of all that was decrypted so far.
    pub fn masks(&self) -> Masks {
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Decrypts text and remembers it as a secret.
    pub fn decrypt(&self, armoured: &str) -> Result<Secret, Error> {
        let secret = decrypt(armoured, &self.passwords)?;
        self.mask(&secret);
        Ok(secret)
    }

    /// Decrypts a file that need not be text.
    pub fn decrypt_bytes(&self, armoured: &str) -> Result<Vec<u8>, Error> {
        decrypt_bytes(armoured, &self.passwords)
    }

    fn mask(&self, secret: &Secret) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.add(secret);
        // Output shows a secret of several lines line by line.
        let lines = secret.reveal().lines().map(str::trim);
        for line in lines.filter(|line| line.chars().count() >= MASKED_LENGTH) {
            opened.add(&Secret::new(line));
        }
    }

    /// Parses a YAML file that may be encrypted as a whole or hold `!vault` values; both are opened.
    ///
    /// No place in the result leads to decrypted text.
    pub fn parse(&self, source: &Arc<Source>, faults: &mut Diagnostics) -> Option<Node> {
        if !is_encrypted(&source.text) {
            let mut node = yaml::parse(source, faults)?;
            self.open(&mut node, faults);
            return Some(node);
        }
        let start = Span::start_of(source);
        let plain = match decrypt(&source.text, &self.passwords) {
            Ok(plain) => Source::new(source.path.clone(), plain.reveal()),
            Err(error) => {
                faults.push(with_help(start.error(error.to_string()), &error));
                return None;
            }
        };
        // The faults quote the text that they point at: only their places may be told.
        let blank = Source::new(source.path.clone(), "");
        let mut inner = Diagnostics::new();
        let node = yaml::parse(&plain, &mut inner);
        for fault in inner.iter() {
            let line = fault.span.as_ref().map_or(1, |span| span.line);
            let mut told =
                start.error(format!("invalid YAML in line {line} of the decrypted text"));
            told.severity = fault.severity;
            told.span = Some(Span::new(&blank, 1, 1, 1));
            faults.push(told);
        }
        let mut node = node?;
        hide(&mut node, &blank);
        self.open(&mut node, faults);
        self.mask_strings(&node, false);
        Some(node)
    }

    /// Replaces every `!vault` value in a tree by its plain text; one that cannot be opened is a fault.
    pub fn open(&self, node: &mut Node, faults: &mut Diagnostics) {
        match &mut node.kind {
            Kind::Vault(text) => match self.decrypt(text) {
                Ok(plain) => node.kind = Kind::Str(plain.reveal().into()),
                Err(error) => {
                    faults.push(with_help(node.span.error(error.to_string()), &error));
                }
            },
            Kind::Seq(items) => items.iter_mut().for_each(|item| self.open(item, faults)),
            Kind::Map(map) => {
                for entry in map.entries.values_mut() {
                    self.open(&mut entry.value, faults);
                }
            }
            _ => {}
        }
    }

    fn mask_strings(&self, node: &Node, is_named_secret: bool) {
        match &node.kind {
            Kind::Str(text) | Kind::Unsafe(text)
                if is_named_secret || text.chars().count() >= MASKED_LENGTH =>
            {
                self.mask(&Secret::new(text.as_str()));
            }
            Kind::Seq(items) => items
                .iter()
                .for_each(|item| self.mask_strings(item, is_named_secret)),
            Kind::Map(map) => {
                for (name, entry) in &map.entries {
                    self.mask_strings(&entry.value, is_named_secret || names_a_secret(name));
                }
            }
            _ => {}
        }
    }
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["pass", "secret", "token", "key", "credential"];
    words.iter().any(|word| name.contains(word))
}

fn with_help(fault: crate::diag::Diagnostic, error: &Error) -> crate::diag::Diagnostic {
    match error {
        Error::NoPassword => {
            fault.help("give one with `--vault-password-file FILE` or `--ask-vault-pass`")
        }
        Error::UnknownFormat(_) => fault.help("krun reads the formats 1.1 and 1.2 with AES256"),
        _ => fault,
    }
}

/// Leads every place of a tree to `blank`, at the same line and column.
fn hide(node: &mut Node, blank: &Arc<Source>) {
    node.span.source = Arc::clone(blank);
    match &mut node.kind {
        Kind::Seq(items) => items.iter_mut().for_each(|item| hide(item, blank)),
        Kind::Map(map) => {
            for entry in map.entries.values_mut() {
                entry.key.source = Arc::clone(blank);
                hide(&mut entry.value, blank);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
