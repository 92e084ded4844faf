//! What a run brings home: files of hosts by `fetch`, and what `set_stats` says at its end.

use crate::support::Play;
use std::fs;

const FETCH: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - copy: content="{{ inventory_hostname }}, secret" dest={{ dir }}/{{ inventory_hostname }}.txt
      check_mode: false
      diff: false
    - name: Fetch
      fetch: src={{ dir }}/{{ inventory_hostname }}.txt dest=brought
      register: brought
    - debug: msg="{{ brought.dest is match('/') }} {{ brought.checksum | length }} {{ brought._content is defined }}"
    - fetch: src={{ dir }}/a.txt dest=flat/ flat=yes
      run_once: true
    - fetch: src={{ dir }}/none dest=flat/ fail_on_missing=no
      register: missing
      failed_when: missing is changed or 'ignored' not in missing.msg
"#;

#[test]
fn fetched_files_stand_under_their_hosts_names_and_are_no_change_the_second_time() {
    let play = Play::new(FETCH);
    let first = play.run();
    assert_eq!(first.code, 0, "{}", first.stdout);
    first.says(&["True 40 False"]);
    assert!(!first.stdout.contains("secret"), "{}", first.stdout);
    let dir = play.path().display().to_string();
    for host in ["a", "b"] {
        let path = play.path().join(format!("brought/{host}{dir}/{host}.txt"));
        assert_eq!(fs::read_to_string(path).unwrap(), format!("{host}, secret"));
    }
    assert_eq!(
        fs::read_to_string(play.path().join("flat/a.txt")).unwrap(),
        "a, secret"
    );
    let second = play.run();
    assert!(!second.stdout.contains("changed: ["), "{}", second.stdout);
}

#[test]
fn check_mode_says_what_would_be_fetched_and_writes_nothing() {
    let play = Play::new(FETCH).args(&["--check"]);
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let dir = play.path().display().to_string();
    let text = ran.stdout.replace(&dir, "/DIR");
    let shown =
        "would change: [a]\ncontroller's file /DIR/brought/a/DIR/a.txt\n  copy of: /DIR/a.txt\n";
    assert!(text.contains(shown), "{text}");
    assert!(!play.path().join("brought").exists());
    assert!(!play.path().join("flat").exists());
}

#[test]
fn a_missing_file_and_a_directory_as_destination_fail() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - fetch: src={{ dir }}/none dest=x
      ignore_errors: true
    - fetch: src=/etc/passwd dest={{ dir }} flat=yes
",
    );
    let ran = play.run();
    assert_eq!(ran.code, 2);
    let dir = play.path().display().to_string();
    let text = ran.stdout.replace(&dir, "DIR");
    assert!(text.contains("the host has no file `DIR/none`"), "{text}");
    let fault = "`dest` is a directory of the controller: `DIR`";
    assert!(text.contains(fault), "{text}");
}

#[test]
fn stats_of_the_run_and_of_hosts_are_told_at_its_end() {
    let play = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - set_stats: {data: {upgraded: 1}}
    - set_stats: {data: {name: "{{ inventory_hostname }}"}, per_host: true}
"#,
    );
    let ran = play.run();
    let at = ran.stdout.find("CUSTOM STATS").unwrap();
    let told: Vec<&str> = ran.stdout[at..].lines().skip(1).take(4).collect();
    let expected = [
        r#"a: {"name":"a"}"#,
        r#"b: {"name":"b"}"#,
        r#"c: {"name":"c"}"#,
        r#"RUN: {"upgraded":3}"#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_getent_and_package_facts_find_are_facts_for_the_tasks_behind_them() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - getent: database=passwd key=root
    - debug: msg="home {{ getent_passwd.root[4] }} {{ ansible_facts.getent_passwd['root'][1] }}"
    - getent: database=services key=no-such-service fail_key=false
    - debug: msg="{{ ansible_facts.getent_services['no-such-service'] is none }}"
"#,
    );
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    ran.says(&["home /root 0", "True"]);
}
