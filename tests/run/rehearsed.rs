//! What a rehearsal is refused for before anything is made: every fault at once, with its place and the way out.

use crate::support::{Play, Ran};
use std::os::unix::fs::PermissionsExt as _;

const PLAY: &str = r"
- hosts: web
  become: true
  tasks:
    - name: Tools
      yum: {name: [git, java-11-openjdk-headless], state: latest}
    - name: Tools of one kind of host
      dnf: name=chrony
      when: ansible_os_family == 'RedHat'
    - name: Fetch Kafka
      get_url: url=https://archive.example/dist/kafka.tgz dest=/opt/ checksum=sha512:https://archive.example/dist/kafka.tgz.sha512
    - name: Fetch a tool
      get_url: url=https://tools.example/a/tool dest=/opt/
    - name: Fetch what is there
      get_url: url=https://tools.example/b dest=/opt/
";

/// Two hosts behind ssh, and sites of which one file is there.
fn play(playbook: &str) -> Play {
    let play = Play::new(playbook);
    play.file("hosts", "[web]\nweb1.prod\nweb2.prod\n");
    play.file(
        "krun.yml",
        "lab: {engine: docker}\nmirrors: {'https://archive.example/': mirror/, 'https://tools.example/': tools/}\n",
    );
    play.file("mirror/dist/kafka.tgz.sha512", "0\n");
    play.file("tools/b", "b\n");
    play
}

/// With programs of its own that say what those of a machine say on which a lab could be made.
fn rehearse(play: &Play, words: &[&str]) -> Ran {
    let store = play.path().display();
    let docker = format!("case $1 in info) echo '{store}' ;; esac");
    for (name, script) in [
        ("docker", docker.as_str()),
        ("ssh", ":"),
        ("ssh-keygen", ":"),
        ("openssl", ":"),
    ] {
        let path = play.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = play.path().join("bin").display().to_string();
    let common = ["rehearse", "-i", "hosts", "--no-load", "--root", "labs"];
    let words = [&common, words, &["play.yml"]].concat();
    play.krun_with(&[("PATH", &path)], &words)
}

/// Both streams, with nothing in them that another run would say otherwise.
fn said(ran: &Ran, play: &Play) -> String {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    let text = text.replace(&play.path().display().to_string(), "DIR");
    let lines: Vec<String> = text.lines().map(without_time).collect();
    lines.join("\n")
}

/// A step's line without the time since the beginning.
fn without_time(line: &str) -> String {
    let is_time = |word: &str| {
        word.split_once(':')
            .is_some_and(|(minutes, seconds)| minutes.parse::<u32>().is_ok() && seconds.len() == 2)
    };
    match line.trim_start().split_once("  ") {
        Some((time, step)) if is_time(time) => format!("M:SS  {step}"),
        _ => line.to_owned(),
    }
}

#[test]
fn packages_of_red_hat_on_hosts_of_debian_are_said_before_there_is_a_lab() {
    let play = play(PLAY);
    let ran = rehearse(&play, &[]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play));
}

#[test]
fn what_can_have_no_stand_in_is_said_with_its_place() {
    let play = play("- hosts: web\n  tasks:\n    - yum: name=@development,git\n");
    let ran = rehearse(&play, &["--stand-ins"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play));
}

#[test]
fn all_artifacts_that_cannot_be_had_are_said_before_there_is_a_lab() {
    let play = play(PLAY);
    let ran = rehearse(&play, &["--stand-ins", "--site", "archive.example=mirror"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play));
}

#[test]
fn artifact_that_the_lock_does_not_have_is_said_before_there_is_a_lab() {
    let play = play(PLAY);
    play.file("krun.lock", "version: 1\nartifacts: []\n");
    let ran = rehearse(&play, &["--stand-ins"]);
    assert_eq!(ran.code, 5);
    let text = said(&ran, &play);
    assert_eq!(text.matches("is not in krun.lock").count(), 4, "{text}");
}

#[test]
fn machine_without_an_engine_is_told_what_to_install() {
    let play = play("- hosts: web\n  tasks:\n    - command: id\n");
    play.file("krun.yml", "{}\n");
    let nothing = play.path().join("nothing").display().to_string();
    let ran = play.krun_with(
        &[("PATH", &nothing)],
        &["rehearse", "-i", "hosts", "--no-load", "play.yml"],
    );
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play));
    let ran = play.krun_with(&[("PATH", &nothing)], &["lab", "up", "-i", "hosts", "x"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
}

#[test]
fn host_and_task_that_are_this_machines_are_refused_with_their_places() {
    let play = play("- hosts: web\n  tasks:\n    - command: id\n      delegate_to: localhost\n");
    play.file("hosts", "[web]\nweb1.prod\nhere ansible_connection=local\n");
    let ran = rehearse(&play, &[]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play));
}
