//! `krun rehearse` from outside: what it proves, what it refuses, and that it leaves nothing behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use krun::lab::{EngineSpec, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::krun_run::{here, krun};
use crate::stage::{ROOT, assemble, enabled};
use crate::upgrade::canary;

/// An inventory whose hosts are elsewhere, and playbooks for them.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(
            "hosts",
            "[web]\nweb1.prod ansible_host=192.0.2.1 ansible_port=2222 ansible_user=ec2-user \
             ansible_ssh_common_args='-J bastion.prod'\nweb2.prod\n",
        );
        files.put(
            "today.yml",
            "- hosts: web\n  become: true\n  tasks:\n    - user: {name: app}\n",
        );
        files.put(
            "site.yml",
            "- hosts: web\n  become: true\n  serial: 1\n  tasks:\n    - name: The settings\n      copy: {content: \"x={{ inventory_hostname }}\\n\", dest: /etc/app.conf, owner: app}\n",
        );
        files
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `krun rehearse` among these files.
    fn rehearse(&self, lab: &str, args: &[&str]) -> Command {
        let mut command = Command::new(krun());
        command
            .current_dir(self.0.path())
            .args(["rehearse", "-i", "hosts", "--lab", lab])
            .args(args)
            .stdin(Stdio::null());
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

pub(crate) fn assert_gone(lab: &str) {
    let labs = Lab::list(Path::new(ROOT), &EngineSpec::default()).unwrap();
    assert!(labs.iter().all(|it| it.name != lab), "{labs:?}");
}

/// The check's line begins with this outcome.
fn assert_check(text: &str, outcome: &str, check: &str) {
    let line = text.lines().find(|line| line.contains(check));
    let line = line.unwrap_or_else(|| panic!("no check `{check}`: {text}"));
    assert!(line.trim_start().starts_with(outcome), "{line}");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_playbook_without_kafka_is_proven_and_nothing_stays() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    let args = [
        "--from",
        "today.yml",
        "--compare",
        "plan",
        "--report",
        "r.md",
        "--report",
        "r.html",
        "site.yml",
    ];
    let output = files.rehearse("it-rehearse", &args).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_check(&said, "passed", "the lab came to today's state");
    assert_check(&said, "passed", "the playbook ended well on every host");
    assert_check(
        &said,
        "not applicable",
        "acks=all: every acknowledged record is there",
    );
    assert_check(&said, "passed", "a second run has nothing to do");
    assert!(said.contains("0 went otherwise"), "{said}");
    let markdown = fs::read_to_string(files.path("r.md")).unwrap();
    assert!(markdown.contains("+x=web2.prod"), "{markdown}");
    let page = fs::read_to_string(files.path("r.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("web1.prod"),
        "{page}"
    );
    assert_gone("it-rehearse");
    assert!(
        !files.path(".krun").exists(),
        "what it kept went with the lab"
    );
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn what_changes_again_fails_unless_it_is_allowed() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    files.put(
        "again.yml",
        "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: Never done\n      shell: date >> /tmp/log\n",
    );
    for (more, code) in [(&[][..], 2), (&["--allow-non-idempotent"][..], 0)] {
        let args = [more, &["again.yml"]].concat();
        let output = files.rehearse("it-rehearse-again", &args).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("not idempotent"), "{said}");
        assert!(
            said.contains("Never done (again.yml:4) on web1.prod, web2.prod"),
            "{said}"
        );
    }
    assert_gone("it-rehearse-again");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_failure_and_a_wish_to_stop_leave_no_lab() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    files.put(
        "bad.yml",
        "- hosts: web\n  gather_facts: false\n  tasks:\n    - command: /bin/false\n",
    );
    let output = files
        .rehearse("it-rehearse-bad", &["bad.yml"])
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_check(&said, "FAILED", "the playbook ended well on every host");
    assert_check(&said, "not applicable", "a second run has nothing to do");
    assert_gone("it-rehearse-bad");

    files.put("long.yml", "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: Before a long wait\n      command: /bin/true\n    - pause: {seconds: 600}\n");
    let mut child = files
        .rehearse("it-rehearse-bad", &["long.yml"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = |line: &Result<String, _>| line.as_ref().unwrap().contains("Before a long wait");
    assert!(lines.any(|line| begun(&line)), "the playbook began");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let said = rest.join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said}");
    assert!(said.contains("The rehearsal was stopped"), "{said}");
    assert_gone("it-rehearse-bad");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn what_has_no_lab_form_is_said_before_anything_is_made() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    files.put(
        "local.yml",
        "- hosts: web\n  tasks:\n    - command: id\n      delegate_to: localhost\n",
    );
    let output = files
        .rehearse("it-rehearse-local", &["local.yml"])
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("this would not be done on a host of the lab"),
        "{said}"
    );
    let output = files
        .rehearse(
            "it-rehearse-local",
            &["--report", "no/such/r.md", "--report", "r.pdf", "site.yml"],
        )
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("there is no directory `no/such`") && said.contains("`--report r.pdf`"),
        "{said}"
    );
    assert!(!said.contains("Making a lab"), "{said}");
    assert_gone("it-rehearse-local");
}

#[test]
fn all_that_stands_in_the_way_is_said_at_once() {
    let files = Files::new();
    fs::create_dir(files.path("mirror")).unwrap();
    files.put(
        "krun.yml",
        "lab: {engine: docker, engine_args: [--host, 'unix:///nowhere/docker.sock']}\n",
    );
    files.put(
        "wants.yml",
        "- hosts: web\n  tasks:\n    - yum: {name: git}\n    \
         - get_url: {url: 'https://archive.example/a.tgz', dest: /opt/}\n    \
         - get_url: {url: 'http://192.0.2.1:1/b.tgz', dest: /opt/}\n      when: some_fact | default(false)\n",
    );
    let args = ["--site", "archive.example=mirror", "wants.yml"];
    let output = files.rehearse("it-preflight", &args).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for word in [
        "docker",
        "`yum` finds neither dnf nor yum",
        "`--site archive.example=mirror` has no `a.tgz`",
    ] {
        assert!(said.contains(word), "no `{word}`: {said}");
    }
    assert!(!said.contains("Making"), "{said}");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_package_that_apt_will_not_find_is_said_before_anything_is_made() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    files.put(
        "apt.yml",
        "- hosts: web\n  become: true\n  tasks:\n    - apt: {name: [tar, chrony, 'jq=1.6*'], update_cache: true}\n",
    );
    let rehearse = |args: &[&str]| {
        let output = files.rehearse("it-apt", args).output().unwrap();
        (output.status.code(), text(&output))
    };
    let (code, said) = rehearse(&["apt.yml"]);
    assert_eq!(code, Some(5), "{said}");
    for word in [
        "apt cannot have `chrony`, `jq=1.6*`",
        "`--package chrony --package jq`",
    ] {
        assert!(said.contains(word), "no `{word}`: {said}");
    }
    assert!(!said.contains("Making a lab"), "{said}");
    assert_gone("it-apt");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_locked_rehearsal_takes_the_locked_bytes_and_no_others() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    fs::create_dir(files.path("mirror")).unwrap();
    files.put("mirror/a.tgz", "bytes");
    let get = "- hosts: web\n  become: true\n  tasks:\n    - get_url: {url: 'https://archive.example/VERSION.tgz', dest: /opt/a.tgz}\n";
    files.put("get.yml", &get.replace("VERSION", "a"));
    let lock = Command::new(krun())
        .current_dir(files.0.path())
        .args([
            "lock",
            "-i",
            "hosts",
            "--site",
            "archive.example=mirror",
            "get.yml",
        ])
        .output()
        .unwrap();
    assert!(lock.status.success(), "{}", text(&lock));
    let rehearse = || {
        let args = ["--locked", "--site", "archive.example=mirror", "get.yml"];
        let output = files.rehearse("it-locked", &args).output().unwrap();
        (output.status.code(), text(&output))
    };
    let (code, said) = rehearse();
    assert_eq!(code, Some(0), "{said}");
    files.put("mirror/a.tgz", "other bytes");
    let (code, said) = rehearse();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("these are not the bytes of krun.lock"),
        "{said}"
    );
    files.put("get.yml", &get.replace("VERSION", "b"));
    files.put("mirror/b.tgz", "bytes");
    let (code, said) = rehearse();
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("`https://archive.example/b.tgz` is not in krun.lock"),
        "{said}"
    );
    assert!(!said.contains("Making a lab"), "{said}");
    assert_gone("it-locked");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_host_that_the_run_adds_is_never_reached_where_the_lab_does_not_have_it() {
    if !enabled() {
        return;
    }
    let files = Files::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    files.put(
        "added.yml",
        &format!(
            "- hosts: web\n  gather_facts: false\n  tasks:\n    \
             - add_host: {{name: db.prod, groups: added, ansible_host: 127.0.0.1, ansible_port: {port}}}\n\
             - hosts: added\n  gather_facts: false\n  tasks:\n    - command: id\n"
        ),
    );
    files.put(
        "delegated.yml",
        &format!(
            "- hosts: web\n  gather_facts: false\n  tasks:\n    \
             - set_fact: {{where: 127.0.0.1, ansible_port: {port}}}\n    \
             - command: id\n      delegate_to: \"{{{{ where }}}}\"\n"
        ),
    );
    for (playbook, word) in [
        (
            "added.yml",
            "`db.prod` would be reached by ssh at `127.0.0.1`",
        ),
        ("delegated.yml", "`127.0.0.1` is this machine"),
    ] {
        let output = files
            .rehearse("it-elsewhere", &[playbook])
            .output()
            .unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "no `{word}`: {said}");
        assert_check(&said, "FAILED", "the playbook ended well on every host");
    }
    assert!(elsewhere.accept().is_err(), "somebody came");
    assert_gone("it-elsewhere");
}

#[test]
#[ignore = "needs root and podman, seven minutes; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn the_upgrade_is_rehearsed_under_load() {
    if !enabled() {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let report = files.path().join("report.md");
    let site = format!("archive.apache.org={}", assemble().display());
    let output = Command::new(krun())
        .current_dir(here())
        .args([
            "rehearse",
            "-i",
            "inventories/example",
            "--lab",
            "it-rehearse-kafka",
        ])
        .args(["--site", &site, "--canary"])
        .arg(canary())
        .arg("--report")
        .arg(&report)
        .args([
            "--from",
            "playbooks/zookeeper.yml",
            "--from",
            "playbooks/kafka2.1.yml",
        ])
        .args([
            "--data-per-broker",
            "700GB",
            "--replication-rate",
            "100MB/s",
        ])
        .arg("playbooks/upgrade-2.6.yml")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("13 checks passed, 0 failed, 0 not applicable"),
        "{said}"
    );
    let report = fs::read_to_string(report).unwrap();
    for word in [
        "2.1.0, protocol 2.1-IV2",
        "2.6.0, protocol 2.6-IV0",
        "Wait for the ISR",
        "all of it would be 1 h 56 min",
        "-inter.broker.protocol.version=2.1",
    ] {
        assert!(report.contains(word), "`{word}` is missing: {report}");
    }
    assert_gone("it-rehearse-kafka");
}
