//! Turns the words of a command into the paths and units that it may change: those that it names.

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

/// The absolute paths among a command's arguments, and where it works; none of one that says it changes nothing.
pub(super) fn paths(task: &Task) -> Vec<PathBuf> {
    let texts = texts(task).into_iter();
    let found = texts.map(|(name, text)| named(&text, is_command(&name)));
    found.flatten().collect()
}

/// The units that a command starts, stops, enables and so on.
pub(super) fn units(task: &Task) -> Vec<String> {
    let texts = texts(task).into_iter();
    let commands = texts.filter(|(name, _)| is_command(name));
    commands.flat_map(|(_, text)| named_units(&text)).collect()
}

fn is_command(argument: &str) -> bool {
    !matches!(argument, "chdir" | "removes" | "stdin")
}

/// What the arguments say that a command works with.
fn texts(task: &Task) -> Vec<(String, String)> {
    if task.changes_nothing {
        return Vec::new();
    }
    let action = serde_json::to_value(&task.action).unwrap_or_default();
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

/// The units in a text: what stands behind `systemctl` and its verb, or behind `service`.
fn named_units(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in text.split([';', '|', '&', '(', ')', '`', '\n']) {
        let words = call
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']));
        let mut words = words.filter(|word| !word.starts_with('-'));
        let program = words.find_map(|word| {
            let name = word.rsplit('/').next()?;
            matches!(name, "systemctl" | "service").then_some(name)
        });
        match program {
            Some("systemctl") => found.extend(words.skip(1).map(str::to_owned)),
            Some(_) => found.extend(words.next().map(str::to_owned)),
            None => {}
        }
    }
    found
}

fn bytes_of(bytes: &[Value]) -> String {
    let bytes = bytes
        .iter()
        .filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

/// The paths in a text, without the programs that it starts.
fn named(text: &str, is_command: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let (mut word, mut starts, mut is_value) = (String::new(), is_command, false);
    for letter in text.chars().chain(['\n']) {
        let is_end = letter.is_whitespace() || "\"'`=:;,|&<>(){}[]".contains(letter);
        if !is_end {
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
}
