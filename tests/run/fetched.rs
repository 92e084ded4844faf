//! What playbooks fetch comes from mirrors, through the controller, and with `krun.lock` only as it was.

#[path = "../../src/sys/http/serve.rs"]
mod serve;

use crate::support::{Play, Ran};
use serve::{Server, answer};
use std::fs;

const FETCH: &str = r#"
- hosts: a
  gather_facts: false
  vars: {kafka: "2.6.0"}
  tasks:
    - name: Fetch Kafka
      get_url:
        url: "{{ site }}/kafka-{{ kafka }}.tgz"
        dest: "{{ dir }}/kafka.tgz"
"#;

/// A play whose site, `http://site.example`, is mirrored by that server.
fn from(server: &Server, playbook: &str) -> Play {
    let play = Play::new(playbook).args(&["-e", "site=http://site.example"]);
    mirror(&play, server);
    play
}

fn mirror(play: &Play, server: &Server) {
    let mirrors = format!("mirrors: {{'http://site.example': '{}'}}\n", server.url);
    play.file("krun.yml", &mirrors);
}

/// What was said, with nothing in it that another run would say otherwise.
fn said(ran: &Ran, play: &Play, server: &Server) -> String {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    let text = text.replace(&server.url, "http://server");
    text.replace(&play.path().display().to_string(), "DIR")
}

/// The failure itself.
fn failure(ran: &Ran, play: &Play, server: &Server) -> String {
    let text = said(ran, play, server);
    let begin = text.find("failed: [a]").unwrap_or(0);
    let end = text.find("PLAY RECAP").unwrap_or(text.len());
    text[begin..end].trim_end().to_owned()
}

#[test]
fn controller_downloads_once_and_the_hosts_get_the_bytes_over_their_connection() {
    let play = Play::new(
        r"
- hosts: all
  gather_facts: false
  tasks:
    - name: Fetch
      get_url: url=https://archive.example/dist/a.tgz dest={{ dir }}/{{ inventory_hostname }}.tgz
    - name: Unpack
      unarchive: src=https://archive.example/dist/b.tar dest={{ dir }}/unpacked remote_src=yes
      when: inventory_hostname == 'a'
",
    );
    play.file(
        "krun.yml",
        "fetch_via: controller\nmirrors: {'https://archive.example/': srv/}\n",
    );
    // More than two pieces.
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    fs::create_dir_all(play.path().join("srv/dist/conf")).unwrap();
    fs::create_dir(play.path().join("unpacked")).unwrap();
    fs::write(play.path().join("srv/dist/a.tgz"), &bytes).unwrap();
    play.file("srv/dist/conf/app", "colour=blue\n");
    let packed = std::process::Command::new("tar")
        .args(["-cf", "b.tar", "conf"])
        .current_dir(play.path().join("srv/dist"))
        .status();
    assert!(packed.unwrap().success());
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for host in ["a", "b", "c"] {
        let came = fs::read(play.path().join(format!("{host}.tgz"))).unwrap();
        assert!(came == bytes, "{host} got {} bytes", came.len());
    }
    let unpacked = fs::read_to_string(play.path().join("unpacked/conf/app"));
    assert_eq!(unpacked.unwrap(), "colour=blue\n");
    assert_eq!(
        play.run().recap("a"),
        "a : ok=2 changed=0 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0"
    );
}

#[test]
fn what_no_place_has_fails_the_task_with_the_place() {
    let play = Play::new(&FETCH.replace("{{ site }}", "https://archive.example"));
    play.file("krun.yml", "mirrors: {'https://archive.example/': srv/}\n");
    fs::create_dir(play.path().join("srv")).unwrap();
    let server = Server::with(|_| answer("200 OK", "", b""));
    let ran = play.run();
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(failure(&ran, &play, &server));
}

#[test]
fn locked_run_takes_the_locked_bytes_and_no_others() {
    let server = Server::with(|_| answer("200 OK", "", b"kafka, as it was"));
    let play = from(&server, FETCH);
    let missing = play_locked(&play);
    assert_eq!(missing.code, 5);
    insta::assert_snapshot!("locked_run_without_a_lock", said(&missing, &play, &server));
    let locked = play.run_with(&["lock", "--no-base"]);
    assert_eq!(locked.code, 0);
    let lock = fs::read_to_string(play.path().join("krun.lock")).unwrap();
    insta::assert_snapshot!("lock", lock);
    assert!(locked.stderr.contains("new      "), "{}", locked.stderr);

    assert_eq!(play_locked(&play).code, 0);
    let other = Server::with(|_| answer("200 OK", "", b"kafka, with something in it"));
    mirror(&play, &other);
    fs::remove_file(play.path().join("kafka.tgz")).unwrap();
    let ran = play_locked(&play);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(
        "other_bytes_than_the_locked_ones",
        failure(&ran, &play, &other)
    );
    assert!(!play.path().join("kafka.tgz").exists());

    let ran = play_locked(&play.args(&["-e", "kafka=2.7.0"]));
    assert_eq!(ran.code, 2);
    assert!(
        ran.stdout.contains("kafka-2.7.0.tgz` is not in krun.lock"),
        "{}",
        ran.stdout
    );
}

#[test]
fn file_that_is_there_and_not_the_locked_one_is_replaced() {
    let server = Server::with(|_| answer("200 OK", "", b"kafka"));
    let play = from(&server, FETCH);
    assert_eq!(play.run_with(&["lock", "--no-base"]).code, 0);
    let path = play.file("kafka.tgz", "something else");
    assert_eq!(play.run().code, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
    assert_eq!(play_locked(&play).code, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "kafka");
}

#[test]
fn lock_follows_what_the_controller_knows_and_names_what_only_a_run_can_tell() {
    let server = Server::with(|asked| {
        let status = if asked.line.contains("gone") {
            "404 Not Found"
        } else {
            "200 OK"
        };
        answer(status, "", b"bytes")
    });
    let play = from(
        &server,
        r#"
- hosts: a,b
  vars: {tools: [one, two]}
  handlers:
    - name: handler
      get_url: {url: "{{ site }}/handler", dest: /opt/}
  tasks:
    - set_fact: {version: "1.{{ 1 + 1 }}"}
    - name: set before
      get_url: {url: "{{ site }}/set-{{ version }}", dest: /opt/, checksum: "sha256:{{ site }}/sums"}
    - name: in a loop
      get_url: {url: "{{ site }}/{{ item }}", dest: /opt/}
      loop: "{{ tools }}"
    - include_tasks: more.yml
    - name: of the hosts' kind
      get_url: {url: "{{ site }}/{{ ansible_architecture }}", dest: /opt/}
    - command: uname -r
      register: kernel
    - name: of what was asked
      unarchive: {src: "{{ site }}/{{ kernel.stdout }}", dest: /opt, remote_src: true}
    - name: perhaps
      get_url: {url: "{{ site }}/gone-perhaps", dest: /opt/}
      when: ansible_os_family == 'RedHat'
    - name: never
      get_url: {url: "{{ site }}/never", dest: /opt/}
      when: version == '2'
"#,
    );
    play.file(
        "more.yml",
        "- name: included\n  uri: {url: '{{ site }}/included', dest: /opt/x}\n",
    );
    play.file(
        "krun.lock",
        "version: 1\nartifacts:\n- {url: 'http://x.example/old', sha256: AB, size: 2}\n"
            .replace("AB", &"ab".repeat(32))
            .as_str(),
    );
    let ran = play.run_with(&["lock", "--no-base"]);
    insta::assert_snapshot!("lock_of_many_kinds", said(&ran, &play, &server));
    assert_eq!(ran.code, 0);
    let before = server.asked().len();
    let again = play.run_with(&["lock", "--no-base"]);
    assert_eq!(
        server.asked().len(),
        before + 1,
        "only what is not locked is fetched"
    );
    insta::assert_snapshot!("lock_again", said(&again, &play, &server));
}

#[test]
fn what_cannot_be_had_leaves_the_lock_as_it_was() {
    let server = Server::with(|_| answer("404 Not Found", "", b""));
    let play = from(&server, FETCH);
    let ran = play.run_with(&["lock", "--no-base"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(said(&ran, &play, &server));
    assert!(!play.path().join("krun.lock").exists());
}

fn play_locked(play: &Play) -> Ran {
    play.run_with(&["--locked"])
}

#[test]
fn lock_without_an_engine_says_that_the_base_is_not_locked() {
    let server = Server::with(|_| answer("200 OK", "", b"kafka"));
    let play = from(&server, FETCH);
    let nothing = play.path().join("nothing").display().to_string();
    let words = [
        "lock",
        "-i",
        "a,",
        "-e",
        "site=http://site.example",
        "-e",
        "dir=/opt",
    ];
    let ran = play.krun_with(&[("PATH", &nothing)], &[&words[..], &["play.yml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(said(&ran, &play, &server));
}

#[test]
fn sites_that_rehearsals_stand_in_for_are_locked_from_their_directories() {
    let play = Play::new(&FETCH.replace("{{ site }}", "https://site.example/dist"));
    play.file("www/dist/kafka-2.6.0.tgz", "kafka");
    let words = [
        "lock",
        "--no-base",
        "--site",
        "site.example=www",
        "-i",
        "a,",
        "-e",
        "dir=/opt",
    ];
    let ran = play.krun(&[&words[..], &["play.yml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lock = fs::read_to_string(play.path().join("krun.lock")).unwrap();
    assert!(
        lock.contains("url: https://site.example/dist/kafka-2.6.0.tgz"),
        "{lock}"
    );
}
