//! Turns what runs and what would be started now into the points in which they differ: the reasons for a restart.

use super::access::Local;
use super::configs::Settings;
use super::running::Linked;
use super::version::Protocol;

pub const PROTOCOL: &str = "inter.broker.protocol.version";
pub const FORMAT: &str = "log.message.format.version";

/// Returns in which points the running process is not what the link and the file would start now.
///
/// `effective` are the settings that the process itself reports, empty where it does not answer. Empty
/// means that a restart would change nothing.
pub fn differences(local: &Local, linked: Option<&Linked>, effective: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    let Some(process) = &local.running else {
        return vec!["no broker runs".into()];
    };
    let link = linked.and_then(|linked| linked.version.as_ref());
    if let (Some(runs), Some(link)) = (&process.version, link)
        && runs != link
    {
        found.push(format!("{runs} runs, {link} is linked"));
    }
    if effective.is_empty() {
        return found;
    }
    let value = |key: &str| effective.get(key).and_then(|s| s.value.as_deref());
    let default = link.map(|version| version.default_protocol().to_string());
    for key in [PROTOCOL, FORMAT] {
        if key == FORMAT && link.is_some_and(|version| !version.heeds_message_format()) {
            continue;
        }
        let wanted = local.server.get(key).or(default.as_ref());
        if let (Some(runs), Some(wanted)) = (value(key), wanted)
            && Protocol::parse(runs) != Protocol::parse(wanted)
        {
            found.push(format!("{key} is {runs}, would be {wanted}"));
        }
    }
    for (key, wanted) in &local.server {
        // A setting that was changed while the broker runs counts over the file.
        let is_known = effective.get(key).is_some_and(|s| s.own || s.is_default);
        if key == PROTOCOL || key == FORMAT || !is_known {
            continue;
        }
        if let Some(runs) = value(key)
            && !is_same(runs, wanted)
        {
            found.push(format!("{key} is {runs}, would be {}", wanted.trim()));
        }
    }
    for (key, setting) in effective.iter().filter(|(_, setting)| setting.own) {
        let is_gone = !local.server.contains_key(key) && setting.value.is_some();
        if is_gone && key != PROTOCOL && key != FORMAT {
            found.push(format!(
                "{key} is set in the running process and no longer in the file"
            ));
        }
    }
    found
}

/// Whether a key's value must not be shown.
pub fn is_secret(key: &str) -> bool {
    [
        "password",
        "jaas",
        "secret",
        "ssl.keystore.key",
        "credential",
    ]
    .iter()
    .any(|word| key.contains(word))
}

/// A broker shows its settings as it read them: lists without spaces, numbers and truths in one form.
fn is_same(runs: &str, wanted: &str) -> bool {
    let plain = |text: &str| {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        parts.join(",")
    };
    let (runs, wanted) = (plain(runs), plain(wanted));
    if let (Ok(runs), Ok(wanted)) = (runs.parse::<f64>(), wanted.parse::<f64>()) {
        return (runs - wanted).abs() <= f64::EPSILON * runs.abs();
    }
    let is_truth = matches!(runs.as_str(), "true" | "false");
    runs == wanted || is_truth && runs.eq_ignore_ascii_case(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::configs::Setting;
    use crate::kafka::properties;
    use crate::kafka::running::Running;
    use crate::kafka::version::Software;

    fn local(version: &str, file: &str) -> Local {
        Local {
            running: Some(Running {
                pid: 1,
                server_properties: "/s".into(),
                overrides: properties::Properties::new(),
                version: Software::parse(version),
                libs: None,
                started: 0.0,
                java: None,
                arguments: vec![],
            }),
            server: properties::parse(file),
            ..Local::default()
        }
    }

    fn linked(version: &str) -> Linked {
        Linked {
            home: "/k".into(),
            target: "/k-1".into(),
            version: Software::parse(version),
        }
    }

    fn effective(own: &[(&str, &str)], defaults: &[(&str, &str)]) -> Settings {
        let setting = |value: &str, own| Setting {
            value: Some(value.into()),
            own,
            is_default: !own,
            read_only: true,
        };
        own.iter()
            .map(|(k, v)| ((*k).to_owned(), setting(v, true)))
            .chain(
                defaults
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), setting(v, false))),
            )
            .collect()
    }

    #[test]
    fn a_broker_that_runs_what_is_linked_needs_no_restart() {
        let file =
            "num.io.threads= 8\nlog.dirs=/a, /b\nauto.create.topics.enable=TRUE\nunknown.key=1\n";
        let runs = effective(
            &[
                ("num.io.threads", "8"),
                ("log.dirs", "/a,/b"),
                ("auto.create.topics.enable", "true"),
            ],
            &[
                (PROTOCOL, "2.1-IV2"),
                (FORMAT, "2.1-IV2"),
                ("log.retention.hours", "168"),
            ],
        );
        let same = differences(&local("2.1.0", file), Some(&linked("2.1.0")), &runs);
        assert!(same.is_empty(), "{same:?}");
    }

    #[test]
    fn each_difference_is_a_reason() {
        let runs = effective(
            &[("a", "1"), ("gone", "1"), (PROTOCOL, "2.1")],
            &[(FORMAT, "2.1-IV2"), ("b", "5")],
        );
        assert_eq!(
            differences(&local("2.1.0", "a=2\nb=6\n"), Some(&linked("2.6.0")), &runs),
            [
                "2.1.0 runs, 2.6.0 is linked",
                "inter.broker.protocol.version is 2.1, would be 2.6",
                "log.message.format.version is 2.1-IV2, would be 2.6",
                "a is 1, would be 2",
                "b is 5, would be 6",
                "gone is set in the running process and no longer in the file",
            ]
        );
    }

    #[test]
    fn a_pin_of_the_running_protocol_is_no_difference() {
        let runs = effective(&[], &[(PROTOCOL, "2.1-IV2"), (FORMAT, "2.1-IV2")]);
        let file = format!("{PROTOCOL}=2.1\n{FORMAT}=2.1\n");
        assert_eq!(
            differences(&local("2.1.0", &file), Some(&linked("2.6.0")), &runs),
            ["2.1.0 runs, 2.6.0 is linked"]
        );
    }
}
