//! Turns the few DER structures that a key store's key is wrapped in into their parts, and back.

/// Returns the contents of the element at the start of `der`, and what follows it.
pub(super) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|_| count <= 4)?;
        length = digits.iter().fold(0, |n, d| n << 8 | usize::from(*d));
        rest = &rest[count..];
    }
    (found == tag && length <= rest.len()).then(|| rest.split_at(length))
}

fn wrap(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = contents.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    if contents.len() < 0x80 {
        out.extend(digits.first().or(Some(&0)));
    } else {
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
        out.extend_from_slice(digits);
    }
    out.extend_from_slice(contents);
    out
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
/// `[1]`, where an `ECPrivateKey` keeps its public key.
const PUBLIC: u8 = 0xa1;

/// Returns the PKCS#8 key with the public key of `public_info` (a `SubjectPublicKeyInfo`) put in, if it
/// is an elliptic-curve key without one: the JDK writes such keys, and ring refuses them.
pub(super) fn with_public_key(pkcs8: &[u8], public_info: &[u8]) -> Option<Vec<u8>> {
    let (inside, _) = element(pkcs8, SEQUENCE)?;
    let (version, rest) = element(inside, INTEGER)?;
    let (algorithm, rest) = element(rest, SEQUENCE)?;
    let (key, _) = element(rest, OCTETS)?;
    // The object identifier of id-ecPublicKey.
    let curve_key = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    if !algorithm.starts_with(&curve_key) {
        return None;
    }
    let (fields, _) = element(key, SEQUENCE)?;
    let (key_version, rest) = element(fields, INTEGER)?;
    let (number, rest) = element(rest, OCTETS)?;
    if rest.contains(&PUBLIC) && element(rest, PUBLIC).is_some() {
        return None;
    }
    let (info, _) = element(public_info, SEQUENCE)?;
    let (_, rest) = element(info, SEQUENCE)?;
    let (public, _) = element(rest, BITS)?;
    let fields = [
        wrap(INTEGER, key_version),
        wrap(OCTETS, number),
        wrap(PUBLIC, &wrap(BITS, public)),
    ]
    .concat();
    let key = wrap(OCTETS, &wrap(SEQUENCE, &fields));
    let whole = [wrap(INTEGER, version), wrap(SEQUENCE, algorithm), key].concat();
    Some(wrap(SEQUENCE, &whole))
}
