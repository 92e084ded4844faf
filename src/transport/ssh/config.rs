//! Reads what OpenSSH's client would: options of a command line, then `ssh_config` files; the first value of a keyword wins.

use crate::transport::Error;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How deep files may include files.
const DEPTH: usize = 16;

/// Keywords that change nothing for krun, so that nobody needs to hear of them.
const WITHOUT_EFFECT: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicalizehostname",
    "checkhostip",
    "ciphers",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forwardagent",
    "forwardx11",
    "forwardx11trusted",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "hostkeyalgorithms",
    "ignoreunknown",
    "ipqos",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "logverbose",
    "loglevel",
    "macs",
    "numberofpasswordprompts",
    "passwordauthentication",
    "permitlocalcommand",
    "preferredauthentications",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "pubkeyauthentication",
    "rekeylimit",
    "requesttty",
    "sendenv",
    "setenv",
    "syslogfacility",
    "tcpkeepalive",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "visualhostkey",
    "challengeresponseauthentication",
    "connectionattempts",
    "streamlocalbindunlink",
    "xauthlocation",
];

/// Keywords that krun heeds.
const HEEDED: &[&str] = &[
    "hostname",
    "user",
    "port",
    "identityfile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "globalknownhostsfile",
    "stricthostkeychecking",
    "hostkeyalias",
    "connecttimeout",
    "serveraliveinterval",
    "serveralivecountmax",
    "certificatefile",
];

/// The values found for one host.
#[derive(Debug, Default)]
pub(super) struct Config {
    first: HashMap<String, Vec<String>>,
    /// `IdentityFile` is the one keyword that adds up.
    pub(super) identities: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// `-F`: instead of the user's and the system's files.
    pub(super) file: Option<PathBuf>,
}

impl Config {
    /// Returns a keyword's value; `none` and nothing are the same.
    pub(super) fn text(&self, keyword: &str) -> Option<&str> {
        self.words(keyword)?.first().map(String::as_str)
    }

    pub(super) fn words(&self, keyword: &str) -> Option<&[String]> {
        let words = self.first.get(keyword)?;
        let is_none = words
            .first()
            .is_none_or(|it| it.eq_ignore_ascii_case("none"));
        (!is_none).then_some(words.as_slice())
    }

    /// Returns a keyword's words even where they are `none`.
    pub(super) fn was_set(&self, keyword: &str) -> bool {
        self.first.contains_key(keyword)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, keyword: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.text(keyword) else {
            return Ok(None);
        };
        let fault = |_| Error::Settings(format!("`{keyword} {text}` is not a number"));
        text.parse().map(Some).map_err(fault)
    }

    pub(super) fn is_yes(&self, keyword: &str) -> bool {
        self.text(keyword)
            .is_some_and(|it| it.eq_ignore_ascii_case("yes"))
    }

    /// Sets a keyword unless it is set already.
    pub(super) fn set(&mut self, keyword: &str, words: Vec<String>) {
        let keyword = keyword.to_lowercase();
        if keyword == "identityfile" {
            self.identities.extend(words.into_iter().take(1));
        } else if HEEDED.contains(&keyword.as_str()) {
            self.first.entry(keyword).or_insert(words);
        } else if !WITHOUT_EFFECT.contains(&keyword.as_str()) {
            self.warn(format!(
                "the ssh option `{keyword}` is not known to krun and has no effect"
            ));
        }
    }

    pub(super) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Reads options as they would stand on a command line of `ssh`.
    pub(super) fn arguments(&mut self, line: &str) -> Result<(), Error> {
        let words = shlex::split(line)
            .ok_or_else(|| Error::Settings(format!("`{line}` has an unfinished quote")))?;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(cluster) = word.strip_prefix('-').filter(|it| !it.is_empty()) else {
                self.warn(format!("`{word}` among the ssh arguments has no effect"));
                continue;
            };
            self.cluster(cluster, &mut words)?;
        }
        Ok(())
    }

    fn cluster(
        &mut self,
        cluster: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), Error> {
        for (at, flag) in cluster.char_indices() {
            if "46AaCfGgKkMNnqsTtVvXxYy".contains(flag) {
                if "46fGgMNsV".contains(flag) {
                    self.warn(format!("the ssh argument `-{flag}` has no effect"));
                }
                continue;
            }
            if !"BbcDEeFIiJLlmOopQRSWw".contains(flag) {
                self.warn(format!(
                    "the ssh argument `-{flag}` is not known to krun and has no effect"
                ));
                continue;
            }
            let inline = &cluster[at + flag.len_utf8()..];
            let value = match inline {
                "" => rest.next(),
                inline => Some(inline.to_owned()),
            };
            let value = value.ok_or_else(|| {
                Error::Settings(format!("the ssh argument `-{flag}` lacks its value"))
            })?;
            match flag {
                'F' => self.file = Some(value.into()),
                'J' => self.set("proxyjump", vec![value]),
                'i' => self.set("identityfile", vec![value]),
                'p' => self.set("port", vec![value]),
                'l' => self.set("user", vec![value]),
                'o' => {
                    let (keyword, words) = split(&value)?;
                    self.set(&keyword, words);
                }
                _ => self.warn(format!("the ssh argument `-{flag}` has no effect")),
            }
            break;
        }
        Ok(())
    }

    /// Reads a configuration file for `host`, the name as it was given. A file that is not there is empty.
    pub(super) fn file(&mut self, path: &Path, host: &str, home: &Path) -> Result<(), Error> {
        let mut active = true;
        self.include(path, host, home, &mut active, 0)
    }

    fn include(
        &mut self,
        path: &Path,
        host: &str,
        home: &Path,
        active: &mut bool,
        depth: usize,
    ) -> Result<(), Error> {
        let text = match std::fs::read(path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::Settings(format!("{}: {error}", path.display()))),
        };
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keyword, words) = split(line).map_err(|error| {
                Error::Settings(format!("{}:{}: {error}", path.display(), number + 1))
            })?;
            match keyword.to_lowercase().as_str() {
                "host" => *active = matches_any(&words, host),
                "match" => *active = self.matches(&words, host),
                _ if !*active => {}
                "include" if depth < DEPTH => {
                    for pattern in &words {
                        for file in included(pattern, path, home) {
                            let mut inner = true;
                            self.include(&file, host, home, &mut inner, depth + 1)?;
                        }
                    }
                }
                _ => self.set(&keyword, words),
            }
        }
        Ok(())
    }

    fn matches(&mut self, words: &[String], host: &str) -> bool {
        let mut words = words.iter();
        while let Some(criterion) = words.next() {
            let (negated, name) = match criterion.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, criterion.as_str()),
            };
            let name = name.to_lowercase();
            if name == "all" || name == "final" || name == "canonical" {
                // `final` and `canonical` ask for a second reading, which krun does not do.
                if (name == "all") == negated {
                    return false;
                }
                continue;
            }
            let argument = words.next().map_or("", String::as_str);
            let patterns: Vec<String> = argument.split(',').map(str::to_owned).collect();
            let subject = match name.as_str() {
                "originalhost" => host,
                "host" => self.text("hostname").unwrap_or(host),
                "user" => self.text("user").unwrap_or_default(),
                other => {
                    self.warn(format!("`Match {other}` in ssh_config is not known to krun: what stands below it has no effect"));
                    return false;
                }
            };
            if matches_any(&patterns, subject) == negated {
                return false;
            }
        }
        true
    }
}

/// Splits a line into its keyword and words: blanks or one `=` in between, double quotes around words.
fn split(line: &str) -> Result<(String, Vec<String>), Error> {
    let line = line.trim();
    let end = line
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in rest.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quoted {
        return Err(Error::Settings(format!("`{line}` has an unfinished quote")));
    }
    // These take the rest of the line as it stands.
    if keyword.eq_ignore_ascii_case("proxycommand") {
        words = vec![rest.to_owned()];
    }
    if words.is_empty() {
        return Err(Error::Settings(format!("`{keyword}` lacks its value")));
    }
    Ok((keyword.to_owned(), words))
}

/// Returns `true` if a pattern of the list matches and no negated one does.
pub(super) fn matches_any(patterns: &[String], name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

/// Matches `*` and `?`; case does not count.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                // Let the last star take one more.
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Returns the files that an `Include` names, sorted; relative ones lie beside the file that names them.
fn included(pattern: &str, from: &Path, home: &Path) -> Vec<PathBuf> {
    let path = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => from.parent().unwrap_or(Path::new("/")).join(pattern),
    };
    let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
    let (Some(name), Some(directory)) = (name, path.parent()) else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| {
            let found = entry.file_name();
            let found = found.to_string_lossy();
            matches(&name, &found) && !found.starts_with('.')
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, host: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, text).unwrap();
        std::fs::write(directory.path().join("10-more.conf"), "User included\n").unwrap();
        let mut config = Config::default();
        config.file(&path, host, Path::new("/home/ann")).unwrap();
        config
    }

    #[test]
    fn the_first_value_wins_and_identities_add_up() {
        let text = "Host kafka*\n  Port=2222\n\tIdentityFile \"~/a key\"\nHost *\nPort 22\nidentityfile ~/b\n";
        let config = read(text, "kafka1");
        assert_eq!(config.text("port"), Some("2222"));
        assert_eq!(config.identities, ["~/a key", "~/b"]);
    }

    #[test]
    fn a_negated_pattern_takes_its_block_away() {
        let text = "Host *.lab !gate.lab\nProxyJump gate.lab\nHost gate.lab\nProxyJump none\n";
        assert_eq!(read(text, "k1.lab").text("proxyjump"), Some("gate.lab"));
        assert_eq!(read(text, "gate.lab").text("proxyjump"), None);
    }

    #[test]
    fn files_are_included_and_match_blocks_heeded() {
        let config = read(
            "Include *.conf\nUser late\nMatch host k?\nPort 7\nMatch exec true\nPort 8",
            "k1",
        );
        assert_eq!(config.text("user"), Some("included"));
        assert_eq!(config.text("port"), Some("7"));
        assert!(config.warnings[0].contains("`Match exec`"));
    }

    #[test]
    fn arguments_come_as_ssh_takes_them() {
        let mut config = Config::default();
        let line = "-F /tmp/cfg -p2200 -o StrictHostKeyChecking=accept-new -o 'ServerAliveInterval 5' -qC -J gate -o Magic=1 -L 1:a:2";
        config.arguments(line).unwrap();
        assert_eq!(config.file.as_deref(), Some(Path::new("/tmp/cfg")));
        assert_eq!(config.text("port"), Some("2200"));
        assert_eq!(config.text("stricthostkeychecking"), Some("accept-new"));
        assert_eq!(config.number("serveraliveinterval").unwrap(), Some(5));
        assert_eq!(config.text("proxyjump"), Some("gate"));
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
        assert!(config.warnings[0].contains("`magic`"));
    }

    #[test]
    fn a_star_takes_as_much_as_it_must() {
        assert!(matches("*kafka*1", "my-kafka-kafka-11"));
        assert!(!matches("kafka?", "kafka"));
        assert!(matches("*", ""));
    }
}
