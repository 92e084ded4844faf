//! Records of runs: every run leaves one, it is shown again as it was, and no secret is in it.

use crate::support::Play;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const STORY: &str = r#"
- hosts: a,b
  gather_facts: false
  tasks:
    - name: A file
      copy: {content: "one\n", dest: "{{ dir }}/{{ inventory_hostname }}"}
    - name: It breaks
      command: /bin/false
      when: inventory_hostname == 'b'
"#;

fn runs_of(play: &Play) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(play.path().join(".krun/runs")).unwrap();
    let mut runs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

/// Everything below a directory, as one text.
fn text_of(dir: &Path) -> String {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            if path.is_dir() {
                text_of(&path)
            } else {
                String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
            }
        })
        .collect()
}

/// What differs from run to run is replaced.
fn settled(text: &str, play: &Play) -> String {
    let text = text.replace(&play.path().display().to_string(), "DIR");
    let replace = |text: &str, pattern: &str, by: &str| {
        fancy_regex::Regex::new(pattern)
            .unwrap()
            .replace_all(text, by)
            .into_owned()
    };
    let text = replace(&text, r"\d{8}T\d{6}Z-\d+", "RUN");
    let text = replace(&text, r"RUN +BEGAN", "RUN  BEGAN");
    let text = replace(&text, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME");
    let text = replace(&text, r"by:       .*", "by:       WHO");
    let text = replace(&text, r"command:  \S*krun", "command:  krun");
    // A busy machine is slow enough for times to be said.
    let text = replace(&text, r"(?m)  \d+(\.\d+)? s$", "");
    replace(&text, r"PLAY RECAP \(.*", "PLAY RECAP")
}

#[test]
fn a_run_is_shown_again_as_it_was() {
    let play = Play::new(STORY);
    let ran = play.run();
    assert_eq!(ran.code, 2);
    let shown = play.krun(&["show", "last"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.ends_with(&ran.stdout),
        "{}\n{}",
        ran.stdout,
        shown.stdout
    );
    let plan = play.subcommand("plan");
    let shown = play.krun(&["show", "last"]);
    assert!(
        shown.stdout.ends_with(&plan.stdout),
        "{}\n{}",
        plan.stdout,
        shown.stdout
    );
}

#[test]
fn runs_are_listed_and_the_last_failure_is_found() {
    let play = Play::new(STORY);
    play.run();
    let listed = play.krun(&["runs"]);
    insta::assert_snapshot!(settled(&listed.stdout, &play), @r"
    RUN  BEGAN                HOW          HOSTS  CHANGED  PLAYBOOKS
    RUN  TIME  failed           2        2  play.yml
    ");
    let failed = play.krun(&["runs", "--last", "--failed"]);
    insta::assert_snapshot!(settled(&failed.stdout, &play), @r"
    RUN  failed
      command:  krun -i 'a,b,c,' -e 'ansible_connection=local' -e 'dir=DIR' play.yml
      in:       DIR
      by:       WHO
      began:    TIME


    PLAY [a,b] ********************************************************************

    TASK [It breaks] **************************************************************
    failed: [b]
      non-zero return code
      Caused by: the command ended with code 1
      --> play.yml:7:7
    ");
}

#[test]
fn a_record_names_its_files_and_is_its_owners_alone() {
    let play = Play::new(STORY);
    play.file("roles/r/tasks/main.yml", "- debug: msg=x\n");
    play.file("group_vars/all.yml", "x: 1\n");
    play.run();
    let [run] = &runs_of(&play)[..] else { panic!() };
    let header = std::fs::read_to_string(run.join("run.json")).unwrap();
    for name in ["play.yml", "roles/r/tasks/main.yml", "group_vars/all.yml"] {
        assert!(header.contains(&format!("\"{name}\"")), "{header}");
    }
    for entry in std::fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn no_secret_is_in_a_record() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo {{ api_token }}
      register: said
    - debug: msg="{{ said.stdout }} {{ api_token }}"
    - copy: {content: "password={{ db_password }}", dest: "{{ dir }}/out"}
    - command: echo quiet-secret
      no_log: true
"#,
    )
    .args(&[
        "-e",
        "db_password=hunter-two",
        "-e",
        "api_token=tok-tok-tok",
    ]);
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let text = text_of(&play.path().join(".krun"));
    for secret in ["hunter-two", "tok-tok-tok", "quiet-secret"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("db_password=***"), "{text}");
}

#[test]
fn a_run_whose_record_cannot_be_written_does_not_start() {
    let play = Play::new(STORY);
    play.file("taken", "");
    let play = play.args(&["--record", "taken/runs"]);
    let ran = play.run();
    assert_eq!(ran.code, 5);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(!play.path().join("a").exists());
    insta::assert_snapshot!(settled(&ran.stderr, &play), @r"
    error: the record of this run cannot be written to `DIR/taken/runs/RUN`: Not a directory (os error 20)
    help: name another directory with --record DIR or KRUN_RECORD, or run with --no-record
    ");
}

#[test]
fn a_run_without_a_record_leaves_none() {
    let play = Play::new(STORY).args(&["--no-record"]);
    assert_eq!(play.run().code, 2);
    assert!(!play.path().join(".krun/runs").exists());
    insta::assert_snapshot!(play.krun(&["runs"]).stdout, @"no run is recorded here");
    insta::assert_snapshot!(play.krun(&["show", "last"]).stderr, @"error: no run `last` is recorded here");
}

#[test]
fn variables_whose_names_say_that_they_are_secret_are_covered_wherever_they_are_written() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  vars:
    play_password: of-play
    users: [{name: one, password: of-user}, {name: two, password: "{{ 'of-' ~ users[0].name }}"}]
    made_password: "{{ 'of-' ~ 'template' }}"
  vars_files: [vars.yml]
  tasks:
    - include_vars: included.yml
    - set_fact: {set_password: of-fact}
    - debug:
        msg: "{{ play_password }} {{ users[0].password }} {{ users[1].password }} {{ made_password }} {{ file_token }} {{ included_secret }} {{ set_password }} {{ task_password }}"
      vars: {task_password: of-task}
"#,
    );
    play.file("vars.yml", "file_token: of-file\n");
    play.file("included.yml", "included_secret: of-include\n");
    let ran = play.run();
    ran.says(&["*** *** *** *** *** *** *** ***"]);
    let kept = crate::end_state_of::newest_record(play.path());
    let kept = serde_json::to_string(&kept).unwrap();
    assert!(!kept.contains("of-"), "{kept}");
    assert!(kept.contains("*** ***"), "{kept}");
}
