//! Turns the text of a configuration file into one that may be shown: passwords and keys are `***`.

use super::Outcome;
use super::diff::{Content, Diff};
use crate::value::{Masks, Secret, Value};
use fancy_regex::Regex;
use std::sync::LazyLock;

/// A setting's name that says it is a secret, its sign, and its value: quoted, or to the end of the line.
///
/// `user_NAME="…"` is how a JAAS file gives the passwords of PLAIN.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?im)((?:[\w.-]*(?:password|passwd|secret|credential|keystore\.key)[\w.-]*|\buser_[\w.@-]+)["']?[ \t]*[=:][ \t]*)("(?:\\.|[^"\\\n])*"|[^\s"][^\n]*)"#,
    )
    .expect("the expression is right")
});

static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\z)")
        .expect("the expression is right")
});

/// Returns the text with its secrets covered.
pub fn text(text: &str) -> String {
    let covered = SECRET.replace_all(text, "${1}***");
    PRIVATE_KEY
        .replace_all(&covered, "${1}\n***\n${2}")
        .into_owned()
}

/// Values shorter than this are covered where they are set only: elsewhere they would eat ordinary words.
const MIN_LENGTH: usize = 6;

/// A variable whose name says that its value is a secret; where a secret lies, or whose it is, is none.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(password|passwd|passphrase|secret|credential|private_key|api_key|token)s?$|_(pass|pwd)$",
    )
    .expect("the expression is right")
});

/// Returns the secret that a variable of this name holds, if it is long enough to be told from ordinary words.
pub fn variable(name: &str, value: &Value) -> Option<Secret> {
    let value = value.as_str().filter(|value| {
        value.len() >= MIN_LENGTH && !value.contains("{{") && !value.starts_with(['/', '~'])
    })?;
    let is_secret = NAME.is_match(name).unwrap_or(false);
    is_secret.then(|| Secret::new(value))
}

/// The values that the text gives to names of secrets.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let found = SECRET.captures_iter(text).filter_map(Result::ok);
    found
        .filter_map(|found| found.get(2))
        .map(|value| value.as_str().trim().trim_end_matches([',', ';']))
        .map(|value| value.trim_matches(['"', '\'']))
        .filter(|value| value.len() >= MIN_LENGTH && !value.contains("***"))
}

/// Returns the diff with the secrets of both sides covered, wherever in it they stand.
#[must_use]
pub fn diff(mut diff: Diff) -> Diff {
    let Some(Content::Text { before, after }) = &diff.content else {
        return diff;
    };
    let mut masks = Masks::default();
    for value in values(before).chain(values(after)) {
        masks.add(&Secret::new(value));
    }
    let covered = |side: &str| masks.mask(&text(side)).into_owned();
    let (old, new) = (covered(before), covered(after));
    diff.content = Some(if old == new && before != after {
        Content::Opaque {
            reason: "only a secret differs".into(),
            before: (!diff.is_new).then_some(before.len() as u64),
            after: Some(after.len() as u64),
        }
    } else {
        Content::Text {
            before: old,
            after: new,
        }
    });
    diff
}

/// Returns a result whose diffs show no secret.
#[must_use]
pub fn outcome(mut outcome: Outcome) -> Outcome {
    outcome.diffs = outcome.diffs.into_iter().map(diff).collect();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_properties_and_jaas_are_covered() {
        let shown = text(
            "ssl.key.password=a b\nlistener.name.x.ssl.keystore.password : c\nzookeeper.connect=h\nsasl.jaas.config=x required username=\"u\" password=\"p;q\" user_bob=\"s\";\npassword.encoder.secret=\nnext=1\n",
        );
        assert_eq!(
            shown,
            "ssl.key.password=***\nlistener.name.x.ssl.keystore.password : ***\nzookeeper.connect=h\nsasl.jaas.config=x required username=\"u\" password=*** user_bob=***;\npassword.encoder.secret=\nnext=1\n"
        );
    }

    #[test]
    fn a_password_is_covered_wherever_its_value_stands() {
        let shown = diff(Diff::new("/x.properties").bytes(
            Some(b"db.password=hunter22\nurl=jdbc:x?p=hunter22\nport=1\n"),
            Some(b"db.password=hunter22\nurl=jdbc:x?p=hunter22\nport=2\n"),
        ));
        let Some(Content::Text { before, .. }) = shown.content else {
            panic!("{shown:?}");
        };
        assert_eq!(before, "db.password=***\nurl=jdbc:x?p=***\nport=1\n");
    }

    #[test]
    fn a_name_says_what_is_secret() {
        let is_secret = |name: &str, value: &str| variable(name, &value.into()).is_some();
        assert!(is_secret("keystore_password", "changeit"));
        assert!(is_secret("ansible_become_pass", "hunter2"));
        assert!(!is_secret("password_file", "secretfile"));
        assert!(!is_secret("keystore_password", "{{ other }}"));
        assert!(!is_secret("ssl_key_password", "/etc/secret"));
        assert!(!is_secret("bypass", "everything"));
    }

    #[test]
    fn a_private_key_is_covered() {
        let shown = text("a\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nb\n");
        assert_eq!(
            shown,
            "a\n-----BEGIN PRIVATE KEY-----\n***\n-----END PRIVATE KEY-----\nb\n"
        );
    }
}
