//! Turns names of rpm packages into empty ones of those names, for hosts that no repository reaches.

use super::Error;

/// What a host needs to make and to install them, by Debian's names.
pub(super) const TOOLS: [&str; 3] = ["dnf", "rpm", "createrepo-c"];

/// How a host makes them (see there for what is in them).
pub(super) const SCRIPT: &str = include_str!("stand-ins.sh");

/// An empty package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StandIn {
    name: String,
    /// Where none is asked for, 0: older than any real one.
    version: String,
    release: String,
}

impl StandIn {
    /// Reads what a task gives to dnf: `NAME`, `NAME-VERSION` or `NAME-VERSION-RELEASE`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '+');
        if !text.chars().all(fits) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let parts: Vec<&str> = text.rsplitn(3, '-').collect();
        let (name, version, release) = match parts[..] {
            [release, version, name] if is_number(version) && is_number(release) => {
                (name, version, release)
            }
            [version, ..] if is_number(version) && version.len() < text.len() => {
                (&text[..text.len() - version.len() - 1], version, "0.krun")
            }
            _ => (text, "0", "0.krun"),
        };
        Some(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            release: release.to_owned(),
        })
    }

    /// A line for the script.
    fn line(&self) -> String {
        format!("{} {} {}\n", self.name, self.version, self.release)
    }
}

/// Whether there can be a stand-in for what a task gives to dnf: not for a group, a file, a URL or a pattern.
pub fn can_stand_in(text: &str) -> bool {
    StandIn::parse(text).is_some()
}

/// Whether a stand-in of that name leads to the host's own JDK, as the script decides it.
pub fn leads_to_jdk(text: &str) -> bool {
    let name = StandIn::parse(text).map(|it| it.name).unwrap_or_default();
    let ends = ["-openjdk", "-openjdk-headless", "-openjdk-devel"];
    name.starts_with("java-") && ends.iter().any(|end| name.ends_with(end))
}

/// What the script reads.
///
/// # Errors
/// A name of which there can be no stand-in.
pub(super) fn lines(names: &[String]) -> Result<String, Error> {
    let line = |name: &String| {
        let stand_in = StandIn::parse(name).ok_or_else(|| Error::BadName {
            name: name.clone(),
            what: "stand-in",
            why: "it is no name of a package, but a group, a file, a URL or a pattern",
        });
        stand_in.map(|it| it.line())
    };
    names.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnf_is_asked_for_is_a_name_and_perhaps_a_version() {
        let names = [
            "git",
            "java-1.8.0-openjdk",
            "java-1.8.0-openjdk-devel",
            "libstdc++",
            "kafka-2.1.0",
            "nginx-1.20.1-14.el9",
            "python3.11",
        ];
        let names = names.map(str::to_owned);
        insta::assert_snapshot!(lines(&names).unwrap(), @r"
        git 0 0.krun
        java-1.8.0-openjdk 0 0.krun
        java-1.8.0-openjdk-devel 0 0.krun
        libstdc++ 0 0.krun
        kafka 2.1.0 0.krun
        nginx 1.20.1 14.el9
        python3.11 0 0.krun
        ");
    }

    #[test]
    fn groups_files_urls_and_patterns_have_no_stand_in() {
        for name in [
            "@development",
            "/tmp/a.rpm",
            "https://x.example/a.rpm",
            "git*",
            "",
            "a b",
        ] {
            assert!(lines(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}
