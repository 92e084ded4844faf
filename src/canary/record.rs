//! The text of a record: which one it is, readable by a person with any consumer, and back.

use std::fmt::Write as _;

use crate::options::Acks;

/// One record, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Which start of the producer sent it.
    pub(crate) run: String,
    pub(crate) key: u32,
    /// From 1, for each key of a run by itself.
    pub(crate) number: u64,
    /// From 1, over all keys of a run, in the order of sending.
    pub(crate) sequence: u64,
    /// When it was handed to the client, in milliseconds since the epoch.
    pub(crate) time: u64,
    pub(crate) acks: Acks,
}

/// What each record begins with, so that other records are not mistaken.
const MARK: &str = "krun-canary";

impl Record {
    /// The record's value, filled up to `size` bytes.
    pub(crate) fn value(&self, size: usize) -> String {
        let mut text = format!(
            "{MARK} run={} key={} number={} sequence={} time={} acks={}",
            self.run,
            self.key,
            self.number,
            self.sequence,
            self.time,
            self.acks.word()
        );
        if text.len() < size {
            // Varied, or compression would make a long record short.
            text.push(' ');
            let mut filler = self.sequence;
            while text.len() < size {
                filler = filler
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let _ = write!(text, "{filler:016x}");
            }
            text.truncate(size);
        }
        text
    }

    /// The record's key in the topic.
    pub(crate) fn key_text(key: u32) -> String {
        format!("key-{key}")
    }

    /// Reads [`Record::value`] back; `None` if this is no record of a canary.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok()?;
        let mut words = text.split(' ');
        if words.next()? != MARK {
            return None;
        }
        let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(Self {
            run: field("run")?.to_owned(),
            key: field("key")?.parse().ok()?,
            number: field("number")?.parse().ok()?,
            sequence: field("sequence")?.parse().ok()?,
            time: field("time")?.parse().ok()?,
            acks: Acks::of_word(field("acks")?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_is_read_back_as_it_was_written(
            run in "[0-9a-f]{8}", key: u32, number: u64, sequence: u64, time: u64, all: bool, size in 0_usize..2000,
        ) {
            let acks = if all { Acks::All } else { Acks::Leader };
            let record = Record { run, key, number, sequence, time, acks };
            let value = record.value(size);
            prop_assert!(value.len() >= size);
            prop_assert_eq!(Record::parse(value.as_bytes()), Some(record));
        }

        #[test]
        fn bytes_of_others_are_no_record(bytes: Vec<u8>) {
            prop_assert_eq!(Record::parse(&bytes), None);
        }
    }
}
