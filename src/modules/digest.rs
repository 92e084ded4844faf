//! Turns bytes, as they come, into a checksum in hexadecimal.

use super::Error;
use md5::Digest;
use std::io::Read;

/// The names of the checksums that modules know.
pub const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// Returns the checksum of all that `content` gives. An unknown algorithm is an error.
pub fn of_file(algorithm: &str, content: &mut dyn Read) -> Result<String, Error> {
    match algorithm {
        "md5" => digest::<md5::Md5>(content),
        "sha1" => digest::<sha1::Sha1>(content),
        "sha224" => digest::<sha2::Sha224>(content),
        "sha256" => digest::<sha2::Sha256>(content),
        "sha384" => digest::<sha2::Sha384>(content),
        "sha512" => digest::<sha2::Sha512>(content),
        _ => Err(Error::new(format!(
            "unknown checksum `{algorithm}`: one of {}",
            ALGORITHMS.join(", ")
        ))),
    }
}

fn digest<D: Digest>(content: &mut dyn Read) -> Result<String, Error> {
    let mut digest = D::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_algorithms_are_known_and_no_others() {
        for algorithm in ALGORITHMS {
            assert!(of_file(algorithm, &mut &b"x"[..]).is_ok());
        }
        assert!(of_file("crc", &mut &b"x"[..]).is_err());
        let empty = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        assert_eq!(of_file("sha1", &mut &b""[..]).unwrap(), empty);
    }
}
