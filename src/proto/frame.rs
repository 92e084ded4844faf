//! Turns messages into length-prefixed frames and back: four bytes of length, then `MessagePack`.
//!
//! Structs travel with their field names, so that a module may skip or flatten fields as it likes.
//! A YAML tag does not survive the way (`!unsafe x` would arrive as a mapping): `Action::new` strips them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, Read, Write};

/// The largest frame that either side sends or accepts, in bytes.
pub const LIMIT: usize = 256 << 20;

/// What an agent prints before its first frame: whatever stands before it is a login's noise.
pub const MARKER: &[u8] = b"\x1ekrun agent 1\n";

/// How much noise is read in search of the marker, in bytes.
pub const NOISE_LIMIT: usize = 1 << 20;

/// How deep a value may nest; deeper input is refused instead of overflowing a stack.
const DEPTH: usize = 256;

/// What can be wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a message of {size} bytes is above the limit of {LIMIT}")]
    TooLarge { size: usize },
    #[error("a message cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("a message cannot be understood: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("{0} bytes follow a message inside its frame")]
    Trailing(usize),
    #[error("the stream ended within a message")]
    Truncated,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Returns the frame of `message`, its length included.
pub fn encode<T: Serialize + ?Sized>(message: &T) -> Result<Vec<u8>, Error> {
    let mut frame = vec![0; 4];
    message.serialize(&mut rmp_serde::Serializer::new(&mut frame).with_struct_map())?;
    let size = frame.len() - 4;
    let length = length(size)?;
    frame[..4].copy_from_slice(&length);
    Ok(frame)
}

/// Reads a message from the inside of a frame. Never panics, whatever the bytes are.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    reader.set_max_depth(DEPTH);
    let message = T::deserialize(&mut reader)?;
    match rest.len() {
        0 => Ok(message),
        left => Err(Error::Trailing(left)),
    }
}

/// Returns the size that a frame's first four bytes announce.
pub fn size(prefix: [u8; 4]) -> Result<usize, Error> {
    let size = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if size > LIMIT {
        return Err(Error::TooLarge { size });
    }
    Ok(size)
}

/// Reads one message, waiting for it; `None` where the stream ends between two.
pub fn read<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>, Error> {
    let mut prefix = [0; 4];
    if !fill(input, &mut prefix)? {
        return Ok(None);
    }
    let size = size(prefix)?;
    // Grown as bytes arrive: an announced size alone costs no memory.
    let mut bytes = Vec::with_capacity(size.min(1 << 16));
    input.by_ref().take(size as u64).read_to_end(&mut bytes)?;
    if bytes.len() < size {
        return Err(Error::Truncated);
    }
    decode(&bytes).map(Some)
}

/// Reads up to and with the marker; returns what stood before it, and whether the marker came at all.
pub fn skip_noise(input: &mut impl BufRead) -> Result<(Vec<u8>, bool), Error> {
    let mut noise = Vec::new();
    while noise.len() < NOISE_LIMIT {
        if input.by_ref().take(1 << 16).read_until(b'\n', &mut noise)? == 0 {
            return Ok((noise, false));
        }
        if noise.ends_with(MARKER) {
            noise.truncate(noise.len() - MARKER.len());
            return Ok((noise, true));
        }
    }
    Ok((noise, false))
}

/// Writes one message without flushing.
pub fn write<T: Serialize + ?Sized>(output: &mut impl Write, message: &T) -> Result<(), Error> {
    output.write_all(&encode(message)?)?;
    Ok(())
}

fn length(size: usize) -> Result<[u8; 4], Error> {
    match u32::try_from(size) {
        Ok(length) if size <= LIMIT => Ok(length.to_be_bytes()),
        _ => Err(Error::TooLarge { size }),
    }
}

/// Fills `prefix`; `false` where the stream ended before its first byte.
fn fill(input: &mut impl Read, prefix: &mut [u8; 4]) -> Result<bool, Error> {
    let mut have = 0;
    while have < prefix.len() {
        match input.read(&mut prefix[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => return Err(Error::Truncated),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{FromAgent, ToAgent};
    use crate::value::Value;
    use proptest::prelude::*;

    fn there_and_back(yaml: &str) -> Value {
        let value: Value = serde_yaml::from_str(yaml).unwrap();
        decode(&encode(&value).unwrap()[4..]).unwrap()
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        let yaml = "{a: 1, b: -7, c: 1.5, d: [true, null, 'text'], 5: {nested: {}}, big: 18446744073709551615, inf: .inf}";
        let value: Value = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(there_and_back(yaml), value);
    }

    #[test]
    fn an_action_leaves_its_tags_behind() {
        let given: crate::value::Mapping =
            serde_yaml::from_str("data: !unsafe '{{ text }}'").unwrap();
        let action = crate::modules::Action::new("ping", given).unwrap();
        let frame = encode(&action).unwrap();
        let action: crate::modules::Action = decode(&frame[4..]).unwrap();
        assert!(format!("{action:?}").contains("Some(\"{{ text }}\")"));
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_it_is_read() {
        let input = &mut &u32::MAX.to_be_bytes()[..];
        assert!(matches!(
            read::<ToAgent>(input),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn the_end_between_frames_is_an_end_and_within_one_an_error() {
        assert!(read::<ToAgent>(&mut &b""[..]).unwrap().is_none());
        let frame = encode(&ToAgent::Grant(7)).unwrap();
        let cut = &mut &frame[..frame.len() - 1];
        assert!(matches!(read::<ToAgent>(cut), Err(Error::Truncated)));
    }

    #[test]
    fn a_deeply_nested_frame_is_an_error() {
        let deep = vec![0x91; 100_000];
        assert!(decode::<Value>(&deep).is_err());
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<ToAgent>(&bytes);
            let _ = decode::<FromAgent>(&bytes);
            let _ = decode::<Value>(&bytes);
        }
    }
}
