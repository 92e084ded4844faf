//! Turns the words of a command into the paths, units, accounts and packages that it may change: those that it names.

use crate::modules::Action;
use crate::proto::Task;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Directories that everybody names: that a command does so says nothing of what is in them.
const SHARED: [&str; 24] = [
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/sbin",
    "/var",
    "/var/lib",
    "/var/log",
];

/// What is no file of the host's own.
const KERNELS: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// What may stand before a command's name.
const BEFORE: [&str; 9] = [
    "!", "do", "else", "exec", "if", "nohup", "sudo", "then", "while",
];

/// Programs whose words name accounts and packages that they do not change.
const ELSEWHERE: [&str; 6] = ["chgrp", "chown", "runuser", "service", "su", "systemctl"];

/// The absolute paths among a command's arguments, and where it works; none of one that says it changes nothing.
pub(super) fn paths(task: &Task) -> Vec<PathBuf> {
    let texts = texts(task).into_iter();
    let found = texts.map(|(name, text)| named(&text, is_command(&name)));
    found.flatten().collect()
}

/// All absolute paths in an action's words, those of the programs that it starts too.
pub(super) fn mentioned(action: &Action) -> Vec<PathBuf> {
    let texts = arguments(action);
    let words = texts.iter().flat_map(|(_, text)| text.split(is_between));
    let paths = words.map(PathBuf::from);
    paths.filter(|path| path.is_absolute()).collect()
}

/// The units that a command starts, stops, enables and so on.
pub(super) fn units(task: &Task) -> Vec<String> {
    let texts = texts(task).into_iter();
    let commands = texts.filter(|(name, _)| is_command(name));
    commands.flat_map(|(_, text)| named_units(&text)).collect()
}

/// The words of a command that may be the name of an account or a package.
pub(super) fn names(task: &Task) -> Vec<String> {
    if !matches!(task.action.name(), "command" | "shell" | "script" | "raw") {
        return Vec::new();
    }
    let texts = texts(task).into_iter();
    let commands = texts.filter(|(name, _)| is_command(name));
    commands.flat_map(|(_, text)| named_names(&text)).collect()
}

/// The accounts or packages that a task is about.
pub(super) fn subjects(action: &Action) -> Vec<String> {
    let key = match action.name() {
        "user" | "group" | "apt" | "dnf" | "yum" | "package" => "name",
        "authorized_key" => "user",
        "getent" => "key",
        _ => return Vec::new(),
    };
    let texts = arguments(action).into_iter();
    let named = texts.filter(|(name, _)| name == key);
    named
        .flat_map(|(_, text)| may_be_names(text.split_whitespace()).collect::<Vec<_>>())
        .collect()
}

fn is_command(argument: &str) -> bool {
    !matches!(argument, "chdir" | "removes" | "stdin")
}

/// What the arguments say that a command works with.
fn texts(task: &Task) -> Vec<(String, String)> {
    if task.changes_nothing {
        Vec::new()
    } else {
        arguments(&task.action)
    }
}

fn arguments(action: &Action) -> Vec<(String, String)> {
    let action = serde_json::to_value(action).unwrap_or_default();
    let mut found = Vec::new();
    // It stands in its kind's name: `{"Command": {…}}`.
    for (name, value) in action
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, it)| it.as_object())
        .flatten()
    {
        let text = match (name.as_str(), value) {
            ("executable" | "creates", _) => continue,
            (_, Value::String(text)) => text.clone(),
            ("_content", Value::Array(bytes)) => bytes_of(bytes),
            (_, Value::Array(words)) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                words.join(" ")
            }
            _ => continue,
        };
        found.push((name.clone(), text));
    }
    found
}

/// The words of each call in a text, without its options.
fn calls(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let calls = text.split([';', '|', '&', '(', ')', '`', '\n']);
    calls.map(|call| {
        let words = call
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']));
        words.filter(|word| !word.starts_with('-')).collect()
    })
}

fn program_of(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The units in a text: what stands behind `systemctl` and its verb, or behind `service`.
fn named_units(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for words in calls(text) {
        let is_it = |word: &&str| matches!(program_of(word), "systemctl" | "service");
        let Some(at) = words.iter().position(is_it) else {
            continue;
        };
        let rest = words[at + 1..].iter().map(|word| (*word).to_owned());
        match program_of(words[at]) {
            "systemctl" => found.extend(rest.skip(1)),
            _ => found.extend(rest.take(1)),
        }
    }
    found
}

/// What may be names of accounts or packages: words behind a program, none of one that has to do with units or owners.
fn named_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for words in calls(text) {
        if words
            .iter()
            .any(|word| ELSEWHERE.contains(&program_of(word)))
        {
            continue;
        }
        let is_before = |word: &&&str| BEFORE.contains(*word) || word.contains('=');
        let behind = words.iter().skip_while(is_before).skip(1);
        found.extend(may_be_names(behind.copied()));
    }
    found
}

/// The parts of words that accounts and packages may be named.
fn may_be_names<'a>(words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let parts = words.flat_map(|word| word.split(['=', ':', ',', '<', '>']));
    let is_name = |part: &&str| !part.is_empty() && !part.contains(['/', '$', '*', '"', '\'']);
    parts.filter(is_name).map(str::to_owned)
}

fn bytes_of(bytes: &[Value]) -> String {
    let bytes = bytes
        .iter()
        .filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

/// What stands between the words that may be paths.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || "\"'`=:;,|&<>(){}[]".contains(letter)
}

/// The paths in a text, without the programs that it starts.
fn named(text: &str, is_command: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let (mut word, mut starts, mut is_value) = (String::new(), is_command, false);
    for letter in text.chars().chain(['\n']) {
        if !is_between(letter) {
            word.push(letter);
            continue;
        }
        if !word.is_empty() {
            let is_program = starts && !is_value && !BEFORE.contains(&word.as_str());
            if !is_program {
                found.extend(place(&word));
            }
            // `NAME=value program`
            is_value = starts && letter == '=';
            starts = starts && (!is_program || is_value);
            word.clear();
        }
        if is_command && ";|&(`\n".contains(letter) {
            starts = true;
        }
        if "<>".contains(letter) {
            starts = false;
        }
    }
    found
}

/// The path that a word is, up to the first part that a shell decides.
fn place(word: &str) -> Option<PathBuf> {
    let is_fixed = |part: &&str| !part.contains(['*', '?', '$', '~']);
    let fixed: Vec<&str> = word.split('/').take_while(is_fixed).collect();
    let path = PathBuf::from(fixed.join("/"));
    let is_shared = SHARED.iter().any(|shared| path == Path::new(shared));
    let is_kernels = KERNELS.iter().any(|it| path.starts_with(it));
    // Behind a URL's colon.
    let is_url = word.starts_with("//");
    (path.is_absolute() && !is_url && !is_shared && !is_kernels).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let paths: Vec<String> = named(text, true)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.join(" ")
    }

    #[test]
    fn what_a_command_works_on_is_named_and_what_it_starts_is_not() {
        let cases = [
            ("/opt/x/bin/tool --file=/etc/x.conf", "/etc/x.conf"),
            ("sed -i s/a/b/ /etc/x.conf", "/etc/x.conf"),
            (
                "cd /srv/a && /srv/a/run > /srv/b 2>/dev/null",
                "/srv/a /srv/b",
            ),
            ("echo a >> '/srv/a'; /bin/b /srv/c", "/srv/a /srv/c"),
            ("HOME=/srv/h sudo /bin/b /srv/c", "/srv/h /srv/c"),
            ("rm -rf /srv/a/*.log /srv/b/$x/y", "/srv/a /srv/b"),
            ("tar xf /srv/a.tgz -C /opt", "/srv/a.tgz"),
            ("chown -R kafka /data /usr/local", "/data"),
            ("if /bin/a; then /bin/b /srv/b; fi", "/srv/b"),
            ("ls relative http://host/path", ""),
        ];
        for (text, paths) in cases {
            assert_eq!(shown(text), paths, "{text}");
        }
        assert_eq!(named("/srv/a", false), [PathBuf::from("/srv/a")]);
    }

    #[test]
    fn units_stand_behind_systemctl_and_its_verb_or_behind_service() {
        let cases = [
            ("systemctl stop kafka zookeeper", "kafka zookeeper"),
            (
                "/bin/systemctl --no-block restart 'kafka.service' && x y",
                "kafka.service",
            ),
            ("cd /x; sudo service kafka stop", "kafka"),
            ("systemctl daemon-reload", ""),
            ("echo stop kafka", ""),
        ];
        for (text, units) in cases {
            assert_eq!(named_units(text).join(" "), units, "{text}");
        }
    }
    #[test]
    fn names_stand_behind_a_program_that_is_not_about_units_or_owners() {
        let cases = [
            ("userdel -r kafka", "kafka"),
            ("sudo useradd --uid=970 kafka; groupadd zk", "kafka zk"),
            (
                "DEBIAN_FRONTEND=x apt-get -y install chrony=4.3",
                "install chrony 4.3",
            ),
            ("chown -R kafka:kafka /data && /bin/run $x a/b", ""),
            ("systemctl restart kafka", ""),
        ];
        for (text, names) in cases {
            assert_eq!(named_names(text).join(" "), names, "{text}");
        }
    }
}
