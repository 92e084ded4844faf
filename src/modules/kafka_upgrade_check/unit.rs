//! Turns what systemd says of a service into the paths that it needs, and how long it waits for a stop.

use crate::kafka::running::cleaned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a path has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// A program that is started.
    Program,
    EnvironmentFile,
    /// A word of a command, a directory, a variable.
    Word,
}

/// What a service is made of, as far as an upgrade cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// `loaded`, `not-found`, …; empty where nothing says it.
    pub load_state: String,
    pub programs: Vec<String>,
    /// Command lines, directories, variables: texts that may name paths.
    pub words: Vec<String>,
    /// Their paths; one that may be missing is not among them.
    pub environment_files: Vec<String>,
    pub optional_environment_files: Vec<String>,
    /// `None` where nothing says it. An endless one is [`Duration::MAX`].
    pub stop_limit: Option<Duration>,
}

/// The properties that [`Unit::shown`] reads.
pub(super) const PROPERTIES: &str = "LoadState,EnvironmentFiles,Environment,ExecStart,ExecStartPre,ExecStartPost,ExecStop,ExecStopPost,ExecReload,WorkingDirectory,TimeoutStopUSec";

impl Unit {
    /// Reads the output of `systemctl show`.
    pub(super) fn shown(text: &str) -> Self {
        let mut unit = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "LoadState" => value.clone_into(&mut unit.load_state),
                "EnvironmentFiles" | "EnvironmentFile" => {
                    let (path, flags) = value.split_once(" (").unwrap_or((value, ""));
                    unit.environment_file(path, flags.contains("ignore_errors=yes"));
                }
                "TimeoutStopUSec" => unit.stop_limit = span(value),
                name if name.starts_with("Exec") => unit.command_shown(value),
                "Environment" | "WorkingDirectory" => unit.words.push(value.to_owned()),
                _ => {}
            }
        }
        unit
    }

    /// Reads a unit file with its drop-ins, as `systemctl cat` prints them.
    pub(super) fn written(text: &str) -> Self {
        let mut unit = Self {
            load_state: "loaded".into(),
            ..Self::default()
        };
        let text = text.replace("\\\n", " ");
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim();
            match name.trim() {
                "EnvironmentFile" => {
                    unit.environment_file(value.trim_start_matches('-'), value.starts_with('-'));
                }
                "TimeoutStopSec" | "TimeoutSec" => unit.stop_limit = span(value),
                name if name.starts_with("Exec") => {
                    let command = value.trim_start_matches(['-', '@', ':', '+', '!']);
                    unit.programs
                        .extend(command.split_whitespace().next().map(str::to_owned));
                    unit.words.push(command.to_owned());
                }
                "Environment" | "WorkingDirectory" => unit.words.push(value.to_owned()),
                _ => {}
            }
        }
        unit
    }

    fn environment_file(&mut self, path: &str, is_optional: bool) {
        let list = if is_optional {
            &mut self.optional_environment_files
        } else {
            &mut self.environment_files
        };
        list.extend(Some(path.trim().to_owned()).filter(|path| !path.is_empty()));
    }

    /// `{ path=… ; argv[]=… ; ignore_errors=no ; … }`, several on one line in some versions.
    fn command_shown(&mut self, value: &str) {
        for part in value.split(['{', '}']).flat_map(|one| one.split(" ; ")) {
            let part = part.trim();
            if let Some(path) = part.strip_prefix("path=") {
                self.programs.push(path.to_owned());
            } else if let Some(words) = part.strip_prefix("argv[]=") {
                self.words.push(words.to_owned());
            }
        }
    }

    /// Returns the paths below `home` that the service names, relative to it, each with its use.
    pub(super) fn paths_below(&self, home: &Path) -> Vec<(PathBuf, Use)> {
        let of = |texts: &[String], r#use| {
            let paths = texts.iter().flat_map(|text| needed_below(text, home));
            paths.map(|path| (path, r#use)).collect::<Vec<_>>()
        };
        let mut paths = of(&self.programs, Use::Program);
        paths.extend(of(&self.environment_files, Use::EnvironmentFile));
        paths.extend(of(&self.words, Use::Word));
        paths.sort();
        paths.dedup_by(|later, first| later.0 == first.0);
        paths
    }

    /// All texts in which the service may name a path.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let files = self.environment_files.iter();
        let files = files.chain(&self.optional_environment_files);
        let all = self.programs.iter().chain(&self.words).chain(files);
        all.map(String::as_str)
    }
}

/// Returns the paths below `home` that the words of a text need to be there: of a log or a dump, its directory only.
pub(super) fn needed_below(text: &str, home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        // Kafka's scripts make this directory.
        if word.contains("kafka.logs.dir=") || word.contains("LOG_DIR=") {
            continue;
        }
        let is_written = ["-Xlog", "HeapDumpPath=", "ErrorFile="]
            .iter()
            .any(|option| word.contains(option));
        for path in paths_below(word, home) {
            match path.parent() {
                Some(parent) if is_written => found.push(parent.to_path_buf()),
                _ => found.push(path),
            }
        }
    }
    found
}

/// Returns every path below `home` that a text names, relative to `home`: alone, after `file:`, in a list, as a part of
/// `-javaagent:JAR=PORT:FILE`.
fn paths_below(text: &str, home: &Path) -> Vec<PathBuf> {
    let home = home.to_string_lossy();
    let home = home.trim_end_matches('/');
    let text = text.replace("file://", "file:");
    let is_end = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | ':' | ';' | ',' | '=' | ')' | '}' | '%')
    };
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let mut found = Vec::new();
    for (at, _) in text.match_indices(home) {
        // `/usr/local/kafka` is neither in `/usr/local/kafka_2.12-2.1.0` nor in `/opt/usr/local/kafka`, but `-I/usr/local/kafka` counts.
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| is_part(c) && c != '-') {
            continue;
        }
        let Some(rest) = text[at + home.len()..].strip_prefix('/') else {
            continue;
        };
        let path = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        let whole = cleaned(Path::new(&format!("{home}/{path}")));
        if let Ok(path) = whole.strip_prefix(home)
            && path.components().next().is_some()
            && !found.contains(&path.to_path_buf())
        {
            found.push(path.to_path_buf());
        }
    }
    found
}

/// Whether a text names `tree` itself or something in it.
pub(super) fn names_tree(text: &str, tree: &Path) -> bool {
    let tree = tree.to_string_lossy();
    text.match_indices(&*tree).any(|(at, _)| {
        let next = text[at + tree.len()..].chars().next();
        next.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-')))
    })
}

/// Reads systemd's spans: `1min 30s`, `90`, `infinity`. Without a unit, seconds.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "infinity" {
        return Some(Duration::MAX);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let seconds = match &rest[..letters] {
            "us" | "µs" | "usec" => 1e-6,
            "ms" | "msec" => 1e-3,
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "min" | "m" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            "month" | "months" | "M" => 2_629_800.0,
            "y" | "year" | "years" => 31_557_600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = rest[letters..].trim_start();
    }
    // A limit of nothing is none.
    Some(if total.is_zero() {
        Duration::MAX
    } else {
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "\
TimeoutStopUSec=1min 30s
WorkingDirectory=
EnvironmentFiles=/usr/local/kafka/config/jmx (ignore_errors=no)
EnvironmentFiles=/usr/local/kafka/config/extra (ignore_errors=yes)
Environment=KAFKA_LOG4J_OPTS=-Dlog4j.configuration=file:///usr/local/kafka/config/mine.properties X=1
ExecStartPre={ path=/bin/test ; argv[]=/bin/test -e /usr/local/kafka/ssl/key.jks ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
ExecStart={ path=/usr/local/kafka/bin/kafka-server-start.sh ; argv[]=/usr/local/kafka/bin/kafka-server-start.sh /usr/local/kafka/config/server.properties ; ignore_errors=no ; start_time=[Fri 2026-11-20 20:31:02 UTC] ; stop_time=[n/a] ; pid=312 ; code=(null) ; status=0/0 }
ExecStop={ path=/usr/local/kafka/bin/kafka-server-stop.sh ; argv[]=/usr/local/kafka/bin/kafka-server-stop.sh ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
LoadState=loaded
";

    fn paths(unit: &Unit) -> Vec<(String, Use)> {
        let paths = unit.paths_below(Path::new("/usr/local/kafka"));
        let paths = paths.into_iter();
        paths
            .map(|(path, r#use)| (path.display().to_string(), r#use))
            .collect()
    }

    #[test]
    fn all_paths_that_systemd_shows_are_found() {
        let unit = Unit::shown(SHOWN);
        let wanted = [
            ("bin/kafka-server-start.sh", Use::Program),
            ("bin/kafka-server-stop.sh", Use::Program),
            ("config/jmx", Use::EnvironmentFile),
            ("config/mine.properties", Use::Word),
            ("config/server.properties", Use::Word),
            ("ssl/key.jks", Use::Word),
        ];
        assert_eq!(
            paths(&unit),
            wanted.map(|(path, r#use)| (path.to_owned(), r#use))
        );
        assert_eq!(
            unit.optional_environment_files,
            ["/usr/local/kafka/config/extra"]
        );
        assert_eq!(unit.stop_limit, Some(Duration::from_secs(90)));
        assert_eq!(unit.load_state, "loaded");
    }

    #[test]
    fn a_unit_file_says_the_same_as_what_systemd_shows() {
        let unit = Unit::written(
            "[Service]\nEnvironmentFile=/usr/local/kafka/config/jmx\nEnvironmentFile=-/usr/local/kafka/config/extra\nExecStart=-/usr/local/kafka/bin/kafka-server-start.sh \\\n  /usr/local/kafka/config/server.properties\nTimeoutStopSec=infinity\n",
        );
        let wanted = [
            ("bin/kafka-server-start.sh", Use::Program),
            ("config/jmx", Use::EnvironmentFile),
            ("config/server.properties", Use::Word),
        ];
        assert_eq!(
            paths(&unit),
            wanted.map(|(path, r#use)| (path.to_owned(), r#use))
        );
        assert_eq!(unit.stop_limit, Some(Duration::MAX));
    }

    #[test]
    fn paths_stand_inside_of_other_words() {
        let found = paths_below(
            "-javaagent:/k/libs/agent.jar=7071:/k/config/jmx.yml -cp /k/bin/../libs/*:/k-2/libs/x:/opt/k/y /k",
            Path::new("/k"),
        );
        let found: Vec<_> = found
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(found, ["libs/agent.jar", "config/jmx.yml", "libs/*"]);
        assert!(names_tree("ExecStart=/k-2/bin/x", Path::new("/k-2")));
        assert!(!names_tree("ExecStart=/k-2.1/bin/x", Path::new("/k-2")));
    }

    #[test]
    fn what_a_broker_writes_needs_only_its_directory() {
        let found = needed_below(
            "-Xloggc:/k/gc/x.log -Dkafka.logs.dir=/k/l -XX:HeapDumpPath=/k/dumps/x -Da=/k/config/a",
            Path::new("/k"),
        );
        let found: Vec<_> = found
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(found, ["gc", "dumps", "config/a"]);
    }

    #[test]
    fn spans_are_read_as_systemd_writes_them() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("1min 30s"), Some(90));
        assert_eq!(seconds("5min"), Some(300));
        assert_eq!(seconds("1h 30min"), Some(5400));
        assert_eq!(seconds("180"), Some(180));
        assert_eq!(span("infinity"), Some(Duration::MAX));
        assert_eq!(span("soon"), None);
    }
}
