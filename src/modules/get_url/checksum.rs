//! Turns what a user or a checksum file says of a download into a checksum, and holds bytes against it as they pass.

use crate::modules::Error;
use sha2::digest::DynDigest;
use std::io::{self, Read};

/// A checksum in hexadecimal, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    pub algorithm: String,
    pub sum: String,
}

/// What follows `algorithm:` in a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Sum(Checksum),
    /// A file of checksums: which algorithm, where it lies.
    File(String, String),
}

/// Reads `sha512:AB12…` or `sha512:https://…`.
pub fn parse(text: &str) -> Result<Wish, Error> {
    let Some((algorithm, rest)) = text.split_once(':') else {
        let error = Error::new(format!("`checksum: {text}` names no algorithm"));
        return Err(error.help(format!("write `sha256:{text}`")));
    };
    let algorithm = algorithm.trim().to_lowercase();
    let length = length(&algorithm)?;
    let rest = rest.trim();
    if ["http://", "https://", "file://"]
        .iter()
        .any(|scheme| rest.starts_with(scheme))
    {
        return Ok(Wish::File(algorithm, rest.to_owned()));
    }
    let sum = bare(rest);
    if sum.len() != length || !is_hex(&sum) {
        let message = format!(
            "`{rest}` is no {algorithm} checksum: {length} hexadecimal digits are expected"
        );
        return Err(Error::new(message));
    }
    Ok(Wish::Sum(Checksum { algorithm, sum }))
}

/// Finds the checksum of `name` in a file of checksums.
///
/// It may be as coreutils write it (`SUM  NAME`), as BSD does (`SHA512 (NAME) = SUM`), as gpg does for Apache's
/// releases (`NAME: AB12 34CD …` over several lines), or nothing but the sum.
pub fn find(text: &str, algorithm: &str, names: &[&str]) -> Result<Checksum, Error> {
    let length = length(algorithm)?;
    let found = |sum: String| Checksum {
        algorithm: algorithm.to_owned(),
        sum,
    };
    let fits = |sum: &str| sum.len() == length && is_hex(sum);
    for line in text.lines() {
        if let Some((sum, name)) = line.trim().split_once(char::is_whitespace) {
            let name = name
                .trim_start()
                .trim_start_matches('*')
                .trim_start_matches("./");
            let last = name.rsplit('/').next().unwrap_or(name);
            if fits(&bare(sum)) && (names.contains(&name) || names.contains(&last)) {
                return Ok(found(bare(sum)));
            }
        }
        if let Some((left, sum)) = line.rsplit_once('=') {
            let of_name = |name: &&str| left.contains(&format!("({name})"));
            if names.iter().any(of_name) && fits(&bare(sum)) {
                return Ok(found(bare(sum)));
            }
        }
    }
    for name in names {
        let Some(at) = text.find(&format!("{name}:")) else {
            continue;
        };
        let rest = &text[at + name.len() + 1..];
        // Up to the next file's name.
        let block = rest.split(':').next().unwrap_or_default();
        let block = block.rsplit_once('=').map_or(block, |(_, sum)| sum);
        let sum: String = bare(block).chars().take(length).collect();
        if fits(&sum) {
            return Ok(found(sum));
        }
    }
    let all = bare(text.split_whitespace().next().unwrap_or_default());
    if fits(&all) && text.split_whitespace().count() == 1 {
        return Ok(found(all));
    }
    Err(Error::new(format!(
        "the checksum file has no {algorithm} of `{}`",
        names.join("` or `")
    )))
}

fn bare(text: &str) -> String {
    let digits = text.chars().filter(|c| !c.is_whitespace());
    digits.flat_map(char::to_lowercase).collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn length(algorithm: &str) -> Result<usize, Error> {
    Ok(digest(algorithm)?.output_size() * 2)
}

fn digest(algorithm: &str) -> Result<Box<dyn DynDigest>, Error> {
    Ok(match algorithm {
        "md5" => Box::new(md5::Md5::default()),
        "sha1" => Box::new(sha1::Sha1::default()),
        "sha224" => Box::new(sha2::Sha224::default()),
        "sha256" => Box::new(sha2::Sha256::default()),
        "sha384" => Box::new(sha2::Sha384::default()),
        "sha512" => Box::new(sha2::Sha512::default()),
        _ => {
            let known = crate::modules::digest::ALGORITHMS.join(", ");
            let message = format!("unknown checksum algorithm `{algorithm}`; there are {known}");
            return Err(Error::new(message));
        }
    })
}

/// Passes bytes on; at their end, a wrong checksum is an error, so that who writes them never finishes.
pub struct Held<R> {
    inner: R,
    sha1: sha1::Sha1,
    expected: Option<(Checksum, Box<dyn DynDigest>)>,
    pub n_bytes: u64,
    /// The checksum that came instead of the expected one.
    pub wrong: Option<String>,
}

impl<R: Read> Held<R> {
    pub fn new(inner: R, expected: Option<Checksum>) -> Result<Self, Error> {
        let expected = match expected {
            Some(checksum) => {
                let digest = digest(&checksum.algorithm)?;
                Some((checksum, digest))
            }
            None => None,
        };
        Ok(Self {
            inner,
            sha1: sha1::Sha1::default(),
            expected,
            n_bytes: 0,
            wrong: None,
        })
    }

    /// Returns the SHA-1 of all that passed, as Ansible registers it.
    pub fn sha1(&self) -> String {
        use sha1::Digest;
        hex::encode(self.sha1.clone().finalize())
    }
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.n_bytes += n as u64;
        DynDigest::update(&mut self.sha1, &buffer[..n]);
        let Some((checksum, digest)) = &mut self.expected else {
            return Ok(n);
        };
        digest.update(&buffer[..n]);
        if n == 0 && !buffer.is_empty() {
            let came = hex::encode(digest.finalize_reset());
            if came != checksum.sum {
                let message = format!("{} is {came}, not {}", checksum.algorithm, checksum.sum);
                self.wrong = Some(came);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.expected = None;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_checksum_of_any_writing_is_found() {
        let grouped = "kafka_2.12-2.6.0.tgz: 0123 4567 89AB CDEF 0123\n                      4567 89AB CDEF 0123 4567\n";
        let files = [
            format!("{SUM}  kafka_2.12-2.6.0.tgz\n"),
            format!(
                "{}  other.tgz\n{SUM} *./kafka_2.12-2.6.0.tgz\n",
                SUM.replace('0', "f")
            ),
            format!("{SUM}  dist/kafka_2.12-2.6.0.tgz\n"),
            format!("SHA1 (kafka_2.12-2.6.0.tgz) = {}\n", SUM.to_uppercase()),
            format!("kafka_2.12-2.6.0.tgz: SHA1 = {SUM}\n"),
            grouped.into(),
            format!("other.tgz: FFFF FFFF\n FFFF\n{grouped}third.tgz: 11\n"),
            format!("{SUM}\n"),
        ];
        for file in files {
            let found = find(&file, "sha1", &["kafka_2.12-2.6.0.tgz"]);
            assert_eq!(found.unwrap().sum, SUM, "{file}");
        }
        let error = find("1234  a\n", "sha1", &["b"]).unwrap_err();
        assert_eq!(error.message, "the checksum file has no sha1 of `b`");
    }

    #[test]
    fn a_wish_is_read_or_refused() {
        let sum = Checksum {
            algorithm: "sha1".into(),
            sum: SUM.into(),
        };
        assert_eq!(
            parse(&format!("SHA1: {}", SUM.to_uppercase())).unwrap(),
            Wish::Sum(sum)
        );
        let url = "https://archive.apache.org/x.sha512";
        assert_eq!(
            parse(&format!("sha512:{url}")).unwrap(),
            Wish::File("sha512".into(), url.into())
        );
        assert!(
            parse("sha256:1234")
                .unwrap_err()
                .message
                .contains("64 hexadecimal digits")
        );
        assert!(parse("crc:1234").is_err());
        assert!(
            parse("1234")
                .unwrap_err()
                .help
                .unwrap()
                .contains("sha256:1234")
        );
    }

    #[test]
    fn bytes_of_another_checksum_end_in_an_error() {
        let right = crate::modules::digest::of_file("sha256", &mut &b"abc"[..]).unwrap();
        let expected = |sum: &str| {
            Some(Checksum {
                algorithm: "sha256".into(),
                sum: sum.into(),
            })
        };
        let mut held = Held::new(&b"abc"[..], expected(&right)).unwrap();
        assert_eq!(io::copy(&mut held, &mut io::sink()).unwrap(), 3);
        let mut held = Held::new(&b"abd"[..], expected(&right)).unwrap();
        let error = io::copy(&mut held, &mut io::sink()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("not {right}")));
    }
}
