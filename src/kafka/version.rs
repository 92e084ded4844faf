//! Turns the names of Kafka's releases and protocols into values that compare as versions.

use std::cmp::Ordering;
use std::fmt;

/// The version of Kafka's software: `2.1.0`, `0.10.2.1`, `7.0.1-ccs`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Software {
    numbers: Vec<u32>,
    /// A vendor's mark or a release candidate, `-ccs` or `-rc1`; empty for Apache's releases.
    suffix: String,
}

impl Software {
    /// Reads `2.1.0`; `None` for what is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (numbers, suffix) = text.split_at(end);
        let numbers: Option<Vec<u32>> = numbers.split('.').map(|n| n.parse().ok()).collect();
        let numbers = numbers?;
        (numbers.len() >= 2).then(|| Self {
            numbers,
            suffix: suffix.to_owned(),
        })
    }

    /// Returns the release that names the protocol: `2.1` of `2.1.0`, `0.10.2` of `0.10.2.1`.
    pub fn release(&self) -> Release {
        Release::of(&self.numbers)
    }

    /// Returns the protocol that these binaries speak when nothing is pinned.
    pub fn default_protocol(&self) -> Protocol {
        Protocol::newest_of(self.release())
    }

    /// Returns `true` when these binaries start with `inter.broker.protocol.version` set to `protocol`.
    pub fn speaks(&self, protocol: &Protocol) -> bool {
        // 4.0 dropped every protocol before 3.3 together with ZooKeeper.
        let oldest = if self.numbers[0] >= 4 {
            Release(3, 3, 0)
        } else {
            Release(0, 8, 0)
        };
        protocol.release >= oldest && protocol.release <= self.release()
    }

    /// Returns `false` from 3.0 on, where `log.message.format.version` is ignored.
    pub fn heeds_message_format(&self) -> bool {
        self.numbers[0] < 3
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(u32::to_string).collect();
        write!(f, "{}{}", numbers.join("."), self.suffix)
    }
}

/// The part of a version that names a protocol; the third number only counts before 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(u32, u32, u32);

impl Release {
    fn of(numbers: &[u32]) -> Self {
        let at = |i: usize| numbers.get(i).copied().unwrap_or(0);
        Self(at(0), at(1), if at(0) == 0 { at(2) } else { 0 })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            write!(f, "0.{}.{}", self.1, self.2)
        } else {
            write!(f, "{}.{}", self.0, self.1)
        }
    }
}

/// Releases whose last internal protocol is not `IV0`, from Kafka's own tables.
const LAST_IV: &[(Release, u32)] = &[
    (Release(0, 10, 0), 1),
    (Release(0, 10, 1), 2),
    (Release(0, 11, 0), 2),
    (Release(2, 0, 0), 1),
    (Release(2, 1, 0), 2),
    (Release(2, 2, 0), 1),
    (Release(2, 3, 0), 1),
    (Release(2, 4, 0), 1),
    (Release(2, 7, 0), 2),
    (Release(2, 8, 0), 1),
    (Release(3, 0, 0), 1),
    (Release(3, 3, 0), 3),
    (Release(3, 5, 0), 2),
    (Release(3, 6, 0), 2),
    (Release(3, 7, 0), 4),
    (Release(4, 0, 0), 3),
];

/// A value of `inter.broker.protocol.version` or `log.message.format.version`.
///
/// `2.1` means the last protocol of that release, so it equals `2.1-IV2`, which is how a running
/// 2.1 shows its default.
#[derive(Debug, Clone)]
pub struct Protocol {
    release: Release,
    iv: u32,
    text: String,
}

impl Protocol {
    /// Reads `2.1`, `2.1.0`, `2.1-IV2`, `0.10.2-IV0`; `None` for what is no protocol.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (version, iv) = match text.split_once("-IV") {
            Some((version, iv)) => (version, Some(iv.parse().ok()?)),
            None => (text, None),
        };
        let software = Software::parse(version).filter(|s| s.suffix.is_empty())?;
        let newest = Self::newest_of(software.release());
        Some(Self {
            iv: iv.unwrap_or(newest.iv),
            release: newest.release,
            text: text.to_owned(),
        })
    }

    fn newest_of(release: Release) -> Self {
        let iv = LAST_IV
            .iter()
            .find(|(known, _)| *known == release)
            .map_or(0, |(_, iv)| *iv);
        Self {
            release,
            iv,
            text: release.to_string(),
        }
    }

    pub fn release(&self) -> Release {
        self.release
    }

    /// Returns how a user pins this protocol: `2.1` for `2.1-IV2`, the full name for one that is not its release's last.
    pub fn pin(&self) -> String {
        let newest = Self::newest_of(self.release);
        if newest == *self {
            newest.text
        } else {
            format!("{}-IV{}", self.release, self.iv)
        }
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Protocol {}

impl PartialOrd for Protocol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Protocol {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.release, self.iv).cmp(&(other.release, other.iv))
    }
}

/// As it was written.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the version of Kafka in a `libs` directory or on a class path, from its file names.
///
/// `kafka_2.12-2.1.0.jar` counts; `-sources`, `-test`, `-javadoc`, `-scaladoc` jars and `.asc` files
/// do not. Names that disagree give all their versions, lowest first.
pub fn versions_in<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Software> {
    let mut found: Vec<Software> = names.into_iter().filter_map(version_of_jar).collect();
    found.sort();
    found.dedup();
    found
}

fn version_of_jar(path: &str) -> Option<Software> {
    let name = path.rsplit('/').next()?.strip_suffix(".jar")?;
    let (scala, version) = name.strip_prefix("kafka_")?.split_once('-')?;
    Software::parse(scala)?;
    let marked = ["-sources", "-test", "-tests", "-javadoc", "-scaladoc"];
    if marked.iter().any(|mark| version.ends_with(mark)) {
        return None;
    }
    Software::parse(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(text: &str) -> Protocol {
        Protocol::parse(text).unwrap()
    }

    fn software(text: &str) -> Software {
        Software::parse(text).unwrap()
    }

    #[test]
    fn a_default_protocol_equals_the_explicit_one() {
        assert_eq!(protocol("2.1-IV2"), protocol("2.1"));
        assert_eq!(protocol("2.1.0"), protocol("2.1"));
        assert_eq!(protocol("0.10.2-IV0"), protocol("0.10.2"));
        assert_eq!(protocol("2.6-IV0"), protocol("2.6"));
        assert!(protocol("2.1-IV1") < protocol("2.1"));
    }

    #[test]
    fn protocols_compare_as_versions_and_not_as_words() {
        assert!(protocol("0.9.0") < protocol("0.10.2"));
        assert!(protocol("0.11.0-IV2") < protocol("1.0"));
        assert!(protocol("2.6") < protocol("2.10"));
        assert!(Protocol::parse("latest").is_none());
        assert!(software("2.10.0") > software("2.9.1"));
    }

    #[test]
    fn a_pin_is_the_short_name_of_the_running_protocol() {
        assert_eq!(protocol("2.1-IV2").pin(), "2.1");
        assert_eq!(protocol("2.1-IV0").pin(), "2.1-IV0");
        assert_eq!(protocol("0.10.2-IV0").pin(), "0.10.2");
    }

    #[test]
    fn old_binaries_do_not_speak_a_newer_protocol() {
        assert!(software("2.6.0").speaks(&protocol("2.1")));
        assert!(!software("2.1.0").speaks(&protocol("2.6")));
        assert!(!software("4.0.0").speaks(&protocol("3.2")));
        assert_eq!(software("2.6.0").default_protocol(), protocol("2.6-IV0"));
    }

    #[test]
    fn the_version_of_a_libs_directory_comes_from_the_broker_jar_only() {
        let names = [
            "kafka-clients-2.1.0.jar",
            "kafka_2.12-2.1.0-sources.jar",
            "kafka_2.12-2.1.0-test.jar",
            "kafka_2.12-2.1.0.jar.asc",
            "kafka_2.12-9.9.9-javadoc.jar",
            "kafka-log4j-appender-2.0.0.jar",
            "kafka_2.12-2.1.0.jar",
        ];
        assert_eq!(versions_in(names), [software("2.1.0")]);
        assert_eq!(
            versions_in(["/a/libs/kafka_2.11-0.10.2.1.jar", "kafka_2.13-2.6.0.jar"]),
            [software("0.10.2.1"), software("2.6.0")]
        );
        assert!(versions_in(["kafka_2.12-2.1.0-sources.jar"]).is_empty());
    }
}
