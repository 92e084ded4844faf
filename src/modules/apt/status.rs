//! Turns dpkg's status file and apt-get's simulations into packages and versions.

use crate::modules::diff::Diff;
use crate::modules::{Error, words};
use crate::sys::Sys;
use crate::value::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A package as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub architecture: Option<String>,
    /// A version, or a pattern of one.
    pub version: Option<String>,
    release: Option<String>,
}

/// One package of the status file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    version: String,
    architecture: String,
    is_installed: bool,
    provides: Vec<String>,
}

/// All packages that dpkg knows; several architectures of one name are several entries.
#[derive(Debug, Default)]
pub struct Installed {
    packages: Vec<(String, Package)>,
}

impl Wanted {
    /// Reads `NAME`, `NAME:ARCHITECTURE`, `NAME=VERSION`, `NAME/RELEASE`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.contains(">=") || text.contains("<=") {
            let error = Error::new(format!("`{text}`: only `NAME=VERSION` can be asked for"));
            return Err(error.help("a `*` in the version matches anything"));
        }
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (text, None),
        };
        let (name, release) = match name.split_once('/') {
            Some((name, release)) => (name, Some(release.to_owned())),
            None => (name, None),
        };
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture.to_owned())),
            None => (name, None),
        };
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(Error::new(format!("`{text}` is no package name")));
        }
        Ok(Self {
            name: name.into(),
            architecture,
            version,
            release,
        })
    }

    /// Returns what apt-get is told.
    pub fn for_apt(&self) -> String {
        let part = |mark: &str, part: &Option<String>| {
            part.as_ref()
                .map(|part| format!("{mark}{part}"))
                .unwrap_or_default()
        };
        let suffix = part("=", &self.version) + &part("/", &self.release);
        format!("{}{}{suffix}", self.name, part(":", &self.architecture))
    }

    fn fits(&self, name: &str, package: &Package) -> bool {
        words::matches(&self.name, name)
            && self
                .architecture
                .as_ref()
                .is_none_or(|wanted| *wanted == package.architecture)
    }
}

impl Installed {
    /// Reads `/var/lib/dpkg/status`. A host without it has no packages.
    pub fn read(sys: &Sys) -> Result<Self, Error> {
        let path = Path::new("/var/lib/dpkg/status");
        if !sys.exists(path)? {
            return Err(Error::new(
                "this host has no dpkg: `apt` is for Debian and its kin",
            ));
        }
        Ok(Self::parse(&String::from_utf8_lossy(&sys.read(path)?)))
    }

    pub(super) fn parse(text: &str) -> Self {
        let one = |paragraph: &str| {
            let field = |name: &str| {
                let mut lines = paragraph.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            let status = field("Status")?;
            let provides = field("Provides").unwrap_or_default().split(',');
            let provides = provides.filter_map(|one| one.split_whitespace().next());
            let package = Package {
                version: field("Version").unwrap_or_default().into(),
                architecture: field("Architecture").unwrap_or_default().into(),
                is_installed: status.ends_with(" installed"),
                provides: provides.map(str::to_owned).collect(),
            };
            Some((field("Package")?.to_owned(), package))
        };
        Self {
            packages: text.split("\n\n").filter_map(one).collect(),
        }
    }

    /// Returns the version that is installed, if any is.
    pub fn version(&self, wanted: &Wanted) -> Option<String> {
        let mut fitting = self
            .packages
            .iter()
            .filter(|(name, p)| p.is_installed && wanted.fits(name, p));
        fitting.next().map(|(_, package)| package.version.clone())
    }

    /// Whether what is wanted is installed, in its version, or provided by something that is.
    pub fn holds(&self, wanted: &Wanted) -> bool {
        if let Some(now) = self.version(wanted) {
            return wanted
                .version
                .as_ref()
                .is_none_or(|pattern| words::matches(pattern, &now));
        }
        let provides =
            |package: &Package| package.is_installed && package.provides.contains(&wanted.name);
        wanted.version.is_none() && self.packages.iter().any(|(_, package)| provides(package))
    }

    /// Returns all installed packages that fit; to be purged, also those of which configuration is left.
    pub fn all(&self, wanted: &Wanted, with_rest: bool) -> Vec<(String, String)> {
        let fitting = self.packages.iter().filter(|(name, package)| {
            wanted.fits(name, package) && (package.is_installed || with_rest)
        });
        fitting
            .map(|(name, package)| (name.clone(), package.version.clone()))
            .collect()
    }

    /// Returns every package of which the version differs.
    pub fn diff(&self, after: &Self) -> Diff {
        let versions = |side: &Self| -> BTreeMap<String, String> {
            let installed = side
                .packages
                .iter()
                .filter(|(_, package)| package.is_installed);
            installed
                .map(|(name, package)| (name.clone(), package.version.clone()))
                .collect()
        };
        let (before, after) = (versions(self), versions(after));
        let mut diff = Diff::new("packages");
        let names: std::collections::BTreeSet<&String> =
            before.keys().chain(after.keys()).collect();
        for name in names {
            let side = |side: &BTreeMap<String, String>| {
                Some(Value::from(side.get(name).map_or("absent", String::as_str)))
            };
            diff = diff.attribute(name, side(&before), side(&after));
        }
        diff
    }
}

/// Reads the `Inst` lines of a simulation: name, version now, version then.
pub fn simulated(text: &str) -> Vec<(String, Option<String>, String)> {
    let one = |line: &str| {
        let rest = line.strip_prefix("Inst ")?;
        let (name, rest) = rest.split_once(' ')?;
        let now = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next());
        let then = rest.split_once('(')?.1.split(' ').next()?;
        Some((name.to_owned(), now.map(str::to_owned), then.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n\
        Package: mawk\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.3\nProvides: awk, other (= 2)\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";

    fn holds(text: &str) -> bool {
        Installed::parse(STATUS).holds(&Wanted::parse(text).unwrap())
    }

    #[test]
    fn what_is_installed_or_provided_holds() {
        for text in [
            "bash",
            "bash=5.2-1",
            "bash=5.*",
            "bash:amd64",
            "awk",
            "other",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in ["gone", "bash=5.1", "bash:i386", "awk=1", "nano"] {
            assert!(!holds(text), "{text}");
        }
        let installed = Installed::parse(STATUS);
        let gone = Wanted::parse("gone").unwrap();
        assert_eq!(installed.all(&gone, false).len(), 0);
        assert_eq!(installed.all(&gone, true).len(), 1);
    }

    #[test]
    fn names_are_read_and_handed_on() {
        for text in ["a", "a=1:2-3", "a:amd64", "a/bookworm-backports"] {
            assert_eq!(Wanted::parse(text).unwrap().for_apt(), text);
        }
        assert!(Wanted::parse("a>=1").is_err());
        assert!(Wanted::parse("--purge").is_err());
    }

    #[test]
    fn a_simulation_tells_the_versions() {
        let text = "Inst libc6 [2.36-9] (2.36-10 Debian:12.15 [amd64])\nInst hello (2.10-3 Debian:12 [amd64])\nConf hello (2.10-3)\n";
        let expected = [
            ("libc6".into(), Some("2.36-9".into()), "2.36-10".into()),
            ("hello".into(), None, "2.10-3".into()),
        ];
        assert_eq!(simulated(text), expected);
    }

    #[test]
    fn the_diff_shows_every_version_that_moved() {
        let before = Installed::parse(STATUS);
        let after = Installed::parse(
            &STATUS
                .replace("5.2-1", "5.3")
                .replace("deinstall ok config-files", "install ok installed"),
        );
        let diff = before.diff(&after);
        let names: Vec<_> = diff.attributes.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["bash", "gone"]);
    }
}
