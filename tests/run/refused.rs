//! Records and plans that cannot be gone on with: cut, altered, another version's, forgotten, of hosts that are gone.

use crate::support::{Play, Ran};
use std::fs;
use std::path::PathBuf;

const STOPS: &str = r#"
- hosts: all
  serial: 1
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - copy: {content: "one\n", dest: "{{ dir }}/{{ inventory_hostname }}"}
    - command: test -e {{ dir }}/fixed
"#;

/// The record of the newest run.
fn newest(play: &Play) -> PathBuf {
    let entries = fs::read_dir(play.path().join(".krun/runs")).unwrap();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort_by_key(|run| run.join("run.json").metadata().unwrap().modified().unwrap());
    runs.pop().unwrap()
}

fn edit(play: &Play, file: &str, change: impl Fn(String) -> String) {
    let path = newest(play).join(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(text)).unwrap();
}

/// What each of these says, none of which may do anything.
fn said(play: &Play, commands: &[&[&str]]) -> String {
    let run = fancy_regex::Regex::new(r"\d{8}T\d{6}Z-\d+").unwrap();
    let before = fs::read_dir(play.path()).unwrap().count();
    let mut all = Vec::new();
    for words in commands {
        let ran = play.krun(words);
        assert_eq!(ran.code, 5, "{words:?}: {}{}", ran.stdout, ran.stderr);
        let text = ran
            .stderr
            .replace(&play.path().display().to_string(), "DIR");
        let place = fancy_regex::Regex::new(r"at line \d+ column \d+").unwrap();
        let text = run.replace_all(&text, "RUN").into_owned();
        all.push(place.replace_all(&text, "at PLACE").into_owned());
    }
    assert_eq!(fs::read_dir(play.path()).unwrap().count(), before);
    all.join("")
}

const GO_ON: &[&[&str]] = &[
    &["resume"],
    &["rollback", "last", "--yes"],
    &["show", "last"],
];

fn stopped() -> Play {
    let play = Play::new(STOPS);
    assert_eq!(play.run().code, 2);
    play
}

#[test]
fn a_record_that_was_altered_is_not_gone_on_with() {
    let play = stopped();
    edit(&play, "events.jsonl", |text| {
        text.replacen("\"kind\"", "\"kind", 1)
    });
    insta::assert_snapshot!(said(&play, GO_ON), @r"
    error: the record `DIR/.krun/runs/RUN/events.jsonl` cannot be read: expected `:` at PLACE
    error: the record `DIR/.krun/runs/RUN/events.jsonl` cannot be read: expected `:` at PLACE
    error: the record `DIR/.krun/runs/RUN/events.jsonl` cannot be read: expected `:` at PLACE
    ");
}

#[test]
fn a_record_of_another_version_is_not_gone_on_with_and_no_older_run_is_taken_for_it() {
    let play = stopped();
    assert_eq!(play.run().code, 2);
    edit(&play, "run.json", |text| {
        let text = text.replacen("\"format\": 1", "\"format\": 2", 1).replacen(
            "\"format\":1",
            "\"format\":2",
            1,
        );
        text.replace(env!("CARGO_PKG_VERSION"), "9.9.9")
    });
    insta::assert_snapshot!(said(&play, GO_ON), @r"
    error: the record `DIR/.krun/runs/RUN` was written by krun 9.9.9, in a form that this krun does not know
    error: the record `DIR/.krun/runs/RUN` was written by krun 9.9.9, in a form that this krun does not know
    error: the record `DIR/.krun/runs/RUN` was written by krun 9.9.9, in a form that this krun does not know
    ");
}

#[test]
fn a_record_that_was_cut_is_not_gone_on_with() {
    let play = stopped();
    edit(&play, "run.json", |text| text[..text.len() / 2].to_owned());
    insta::assert_snapshot!(said(&play, GO_ON), @r"
    error: the record `DIR/.krun/runs/RUN` cannot be read: EOF while parsing a string at PLACE
    error: the record `DIR/.krun/runs/RUN` cannot be read: EOF while parsing a string at PLACE
    error: the record `DIR/.krun/runs/RUN` cannot be read: EOF while parsing a string at PLACE
    ");
}

#[test]
fn a_run_that_went_on_with_a_forgotten_one_is_not_gone_on_with() {
    let play = stopped();
    let first = newest(&play);
    assert_eq!(play.krun(&["resume"]).code, 2);
    fs::remove_dir_all(first).unwrap();
    insta::assert_snapshot!(said(&play, &GO_ON[..2]), @r"
    error: no run `RUN` is recorded here, and run RUN went on with that: what it did is not known any more
    error: no run `RUN` is recorded here, and run RUN went on with that: what it did is not known any more
    ");
}

#[test]
fn hosts_that_the_inventory_does_not_name_any_more_are_told() {
    let play = Play::new(STOPS);
    let inventory = play.file("hosts.sh", "#!/bin/sh\ncat $(dirname $0)/list\n");
    fs::set_permissions(
        &inventory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let dir = play.path().display().to_string();
    let list = |hosts: &str| {
        format!(
            "{{\"all\": {{\"hosts\": [{hosts}], \"vars\": {{\"ansible_connection\": \"local\", \"dir\": \"{dir}\"}}}}}}"
        )
    };
    play.file("list", &list("\"one\", \"two\""));
    let ran: Ran = play.krun(&["-i", "hosts.sh", "play.yml"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    play.file("list", &list("\"two\""));
    insta::assert_snapshot!(said(&play, &GO_ON[..2]), @r"
    error: run RUN did something on hosts that are not in the inventory any more: one
    help: `krun resume --changed-files-ok` leaves them as they are
    error: run RUN did something on hosts that are not in the inventory any more: one
    help: `krun rollback RUN --changed-files-ok` leaves them as they are
    ");
    play.file("fixed", "");
    assert_eq!(play.krun(&["resume", "--changed-files-ok"]).code, 0);
    assert!(play.path().join("two").exists());
}

#[test]
fn a_plan_that_was_cut_or_is_of_another_version_is_neither_shown_nor_applied() {
    let play = Play::new(STOPS);
    assert_eq!(play.words(&["plan", "-o", "a.plan"]).code, 0);
    let whole = fs::read_to_string(play.path().join("a.plan")).unwrap();
    let both: &[&[&str]] = &[&["show", "a.plan"], &["apply", "a.plan"]];
    let mut all = String::new();
    for text in [
        whole[..whole.len() / 2].to_owned(),
        whole.replacen("\"one", "\"two", 1),
        whole.replacen(env!("CARGO_PKG_VERSION"), "9.9.9", 1),
    ] {
        play.file("a.plan", &text);
        all += &said(&play, both);
    }
    play.file("a.plan", "no plan\n");
    all += &said(&play, &both[1..]);
    insta::assert_snapshot!(all.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
    error: `a.plan` cannot be used: it was cut or altered after it was made: plan again
    error: `a.plan` cannot be used: it was cut or altered after it was made: plan again
    error: `a.plan` cannot be used: it was cut or altered after it was made: plan again
    error: `a.plan` cannot be used: it was cut or altered after it was made: plan again
    error: `a.plan` cannot be used: it was made by krun 9.9.9 (form 1), and this is VERSION (form 1): plan again
    error: `a.plan` cannot be used: it was made by krun 9.9.9 (form 1), and this is VERSION (form 1): plan again
    error: `a.plan` cannot be used: it is no saved plan: `krun plan -o FILE` makes one
    ");
}
