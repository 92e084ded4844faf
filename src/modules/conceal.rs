//! Turns the text of a configuration file into one that may be shown: passwords and keys are `***`.

use super::Outcome;
use super::diff::{Content, Diff};
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

/// Returns the diff with the secrets of both sides covered.
#[must_use]
pub fn diff(mut diff: Diff) -> Diff {
    if let Some(Content::Text { before, after }) = &diff.content {
        let (old, new) = (text(before), text(after));
        diff.content = Some(if old == new {
            Content::Opaque {
                reason: "only a secret differs".into(),
                before: Some(before.len() as u64),
                after: Some(after.len() as u64),
            }
        } else {
            Content::Text {
                before: old,
                after: new,
            }
        });
    }
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
    fn a_private_key_is_covered() {
        let shown = text("a\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nb\n");
        assert_eq!(
            shown,
            "a\n-----BEGIN PRIVATE KEY-----\n***\n-----END PRIVATE KEY-----\nb\n"
        );
    }
}
