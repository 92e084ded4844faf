//! Turns `/proc` into the broker that runs on this host: what it was started with, from which jar, by which JVM.

use super::error::{Error, Result};
use super::properties::{self, Properties};
use super::version::{self, Software};
use crate::sys::Sys;
use std::path::{Component, Path, PathBuf};

/// A broker process as the kernel shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub pid: u32,
    /// The argument itself, made absolute; links in it are as they were written.
    pub server_properties: PathBuf,
    /// `--override key=value` behind it: they count over the file.
    pub overrides: Properties,
    /// Kafka's version by the jar that the process holds open, or by its class path.
    ///
    /// `None` where no jar says it, or where several disagree.
    pub version: Option<Software>,
    /// The directory of the jar as the class path has it: `/usr/local/kafka/libs`.
    pub libs: Option<PathBuf>,
    /// Seconds since 1970, to a hundredth.
    pub started: f64,
    /// The Java version that the JVM's home names, such as `11.0.13`.
    pub java: Option<String>,
    /// All its arguments.
    pub arguments: Vec<String>,
}

/// Returns all brokers that run on this host, by process id.
///
/// # Errors
/// `/proc` cannot be read.
pub fn brokers(sys: &Sys) -> Result<Vec<Running>> {
    let proc = Path::new("/proc");
    let names = sys.list(proc).map_err(|source| Error::File {
        path: proc.into(),
        source,
    })?;
    let mut pids: Vec<u32> = names
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    // A process may end between the list and the look.
    Ok(pids
        .into_iter()
        .filter_map(|pid| broker(sys, pid))
        .collect())
}

/// Returns the broker that was started with `server_properties`; without that word, the only one.
///
/// # Errors
/// Several brokers run here and none is chosen.
pub fn find(sys: &Sys, server_properties: Option<&Path>) -> Result<Option<Running>> {
    let mut found = brokers(sys)?;
    if let Some(wanted) = server_properties {
        let real = |path: &Path| sys.resolve(path).unwrap_or_else(|_| path.to_path_buf());
        let wanted = cleaned(wanted);
        // A link may have been switched since the start, so the words themselves count as well.
        found.retain(|b| {
            b.server_properties == wanted || real(&b.server_properties) == real(&wanted)
        });
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            let paths: Vec<String> = found
                .iter()
                .map(|b| format!("`{}`", b.server_properties.display()))
                .collect();
            Err(Error::Host(format!(
                "{} brokers run on this host, choose one by `server_properties`: {}",
                found.len(),
                paths.join(", ")
            )))
        }
    }
}

fn broker(sys: &Sys, pid: u32) -> Option<Running> {
    let at = PathBuf::from(format!("/proc/{pid}"));
    // Before its words: a shell's child that is about to become `java -version` has those of the shell until then.
    let executable = sys.read_link(&at.join("exe")).ok();
    let arguments: Vec<String> = sys
        .read(&at.join("cmdline"))
        .ok()?
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let main = arguments.iter().position(|word| word == "kafka.Kafka")?;
    // `sh -c "java … kafka.Kafka …"` holds the words in one argument; `grep kafka.Kafka` is no JVM.
    let is_java = arguments
        .first()
        .is_some_and(|first| first.ends_with("java"))
        || executable
            .as_ref()
            .is_some_and(|path| path.ends_with("java"));
    if !is_java {
        return None;
    }
    let directory = sys
        .read_link(&at.join("cwd"))
        .unwrap_or_else(|_| PathBuf::from("/"));
    let mut behind = arguments[main + 1..].iter().filter(|w| !w.is_empty());
    let server_properties = cleaned(&directory.join(behind.next()?));
    let class_path: Vec<PathBuf> = class_path(sys, &at, &arguments)
        .iter()
        .map(|entry| cleaned(&directory.join(entry)))
        .collect();
    let (version, libs) = version_of(sys, &at, &class_path);
    Some(Running {
        pid,
        server_properties,
        overrides: overrides(&arguments[main + 1..]),
        version,
        libs,
        started: started(sys, &at)?,
        java: executable.and_then(|path| java_version(sys, &path)),
        arguments,
    })
}

fn overrides(behind: &[String]) -> Properties {
    behind
        .windows(2)
        .filter(|pair| pair[0] == "--override")
        .filter_map(|pair| pair[1].split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn class_path(sys: &Sys, at: &Path, arguments: &[String]) -> Vec<String> {
    let given = arguments.iter().enumerate().rev().find_map(|(n, word)| {
        if matches!(word.as_str(), "-cp" | "-classpath" | "--class-path") {
            return arguments.get(n + 1).cloned();
        }
        word.strip_prefix("--class-path=").map(str::to_owned)
    });
    let given = given.or_else(|| {
        let environment = sys.read(&at.join("environ")).ok()?;
        environment.split(|byte| *byte == 0).find_map(|word| {
            let word = String::from_utf8_lossy(word);
            word.strip_prefix("CLASSPATH=").map(str::to_owned)
        })
    });
    given
        .unwrap_or_default()
        .split(':')
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The jar that the process holds open says what runs even where the class path only says `libs/*`.
fn version_of(sys: &Sys, at: &Path, class_path: &[PathBuf]) -> (Option<Software>, Option<PathBuf>) {
    let open: Vec<String> = sys
        .list(&at.join("fd"))
        .unwrap_or_default()
        .iter()
        .filter_map(|fd| sys.read_link(&at.join("fd").join(fd)).ok())
        .map(|path| {
            path.to_string_lossy()
                .trim_end_matches(" (deleted)")
                .to_owned()
        })
        .collect();
    let named: Vec<String> = class_path
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let words = |names: &[String]| version::versions_in(names.iter().map(String::as_str));
    let mut versions = words(&open);
    if versions.is_empty() {
        versions = words(&named);
    }
    let jar = |path: &&PathBuf| !words(&[path.to_string_lossy().into_owned()]).is_empty();
    let libs = class_path
        .iter()
        .find(jar)
        .or_else(|| class_path.iter().find(|path| path.ends_with("libs/*")))
        .and_then(|path| path.parent())
        .map(Path::to_path_buf);
    let only = (versions.len() == 1).then(|| versions.remove(0));
    (only, libs)
}

/// Ticks of `/proc/PID/stat` are hundredths of a second on every Linux that krun knows.
const TICKS: f64 = 100.0;

fn started(sys: &Sys, at: &Path) -> Option<f64> {
    let stat = String::from_utf8_lossy(&sys.read(&at.join("stat")).ok()?).into_owned();
    // The name in parentheses may hold spaces; behind it, the start is the twentieth word.
    let ticks: f64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let host = String::from_utf8_lossy(&sys.read(Path::new("/proc/stat")).ok()?).into_owned();
    let boot: f64 = host
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + ticks / TICKS)
}

/// `release` stands in the home of the JVM, two or (Java 8's `jre/bin/java`) three levels above.
fn java_version(sys: &Sys, java: &Path) -> Option<String> {
    java.ancestors().skip(2).take(2).find_map(|home| {
        let text = sys.read(&home.join("release")).ok()?;
        let release = properties::parse(&String::from_utf8_lossy(&text));
        Some(release.get("JAVA_VERSION")?.trim_matches('"').to_owned())
    })
}

/// Returns how many bytes the process has read so far: what grows while it recovers its logs.
pub fn bytes_read(sys: &Sys, pid: u32) -> Option<u64> {
    let text = sys.read(Path::new(&format!("/proc/{pid}/io"))).ok()?;
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| line.strip_prefix("rchar: ")?.trim().parse().ok())
}

/// Takes `.` and `..` out of a path by its words alone, for a link on the way may lead elsewhere by now.
pub fn cleaned(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// What lies under the path that the service starts from, `/usr/local/kafka`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    pub home: PathBuf,
    /// Where the link leads, all links resolved; equal to `home` where it is no link.
    pub target: PathBuf,
    /// The version by the jars in `libs`; `None` where none or several say it.
    pub version: Option<Software>,
}

/// Looks at what `home` leads to; `None` where nothing is there.
pub fn linked(sys: &Sys, home: &Path) -> Result<Option<Linked>> {
    let fault = |source| Error::File {
        path: home.into(),
        source,
    };
    if !sys.exists(home).map_err(fault)? {
        return Ok(None);
    }
    let names = sys.list(&home.join("libs")).unwrap_or_default();
    let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
    let mut versions = version::versions_in(names);
    Ok(Some(Linked {
        home: home.into(),
        target: sys.resolve(home).map_err(fault)?,
        version: (versions.len() == 1).then(|| versions.remove(0)),
    }))
}

#[cfg(test)]
mod tests;
