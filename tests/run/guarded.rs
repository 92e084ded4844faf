//! What nobody can bring back is removed only where the user says so; the run is held before anything is changed.

use crate::support::{Play, Ran};
use std::path::Path;

const WIPE: &str = r"
- hosts: a,b
  gather_facts: false
  tasks:
    - name: before
      copy: dest={{ dir }}/{{ inventory_hostname }}.mark content=here
    - name: remove the data
      file: path={{ dir }}/{{ inventory_hostname }}/logs state=absent
";

fn with_data(playbook: &str) -> Play {
    let play = Play::new(playbook);
    for host in ["a", "b"] {
        play.file(&format!("{host}/logs/t-0/0.log"), "record");
        play.file(&format!("{host}/logs/meta"), "x");
    }
    play
}

fn said(ran: &Ran, play: &Play) -> String {
    let dir = play.path().display().to_string();
    let text = format!("{}{}", ran.stdout, ran.stderr).replace(&dir, "DIR");
    let program = env!("CARGO_BIN_EXE_krun");
    let lines = text.lines().map(|line| {
        // What a run takes differs from run to run.
        match line
            .split_once(" (")
            .filter(|(head, _)| head.starts_with("PLAY RECAP") || head.starts_with("plan:"))
        {
            Some((head, _)) => head.to_owned(),
            None => line.replace(program, "krun"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_there(play: &Play, path: &str) -> bool {
    Path::new(&play.path().join(path)).exists()
}

#[test]
fn run_that_would_remove_data_is_held_before_anything_is_changed() {
    let play = with_data(WIPE);
    let ran = play.run();
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(said(&ran, &play));
    assert!(is_there(&play, "a/logs/t-0/0.log") && is_there(&play, "b/logs/meta"));
    assert!(!is_there(&play, "a.mark"), "nothing was changed");
}

#[test]
fn play_without_a_host_yet_is_no_obstacle_to_the_question() {
    let late = "- hosts: b\n  gather_facts: false\n  tasks:\n    - group_by: key=late\n\
                - hosts: late\n  gather_facts: false\n  serial: 1\n  tasks:\n    - debug: msg=late\n";
    let play = with_data(&format!("{late}{WIPE}"));
    let ran = play.run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("held before anything"),
        "{}",
        ran.stdout
    );
    let ran = play.run_with(&["--allow-destroy"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.says(&["TASK [before]"]);
}

#[test]
fn what_is_allowed_is_said_first_and_done() {
    let play = with_data(WIPE);
    let ran = play.run_with(&["--allow-destroy"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout
            .starts_with("guarded, and allowed by `--allow-destroy`"),
        "{}",
        ran.stdout
    );
    assert!(!is_there(&play, "a/logs") && !is_there(&play, "b/logs"));
}

#[test]
fn under_ansibles_name_nothing_is_guarded() {
    let play = with_data(WIPE);
    assert_eq!(play.run_as_ansible().code, 0);
    assert!(!is_there(&play, "a/logs"));
}

#[test]
fn plan_says_at_its_top_what_would_be_removed() {
    let play = with_data(WIPE);
    let ran = play.subcommand("plan");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(said(&ran, &play));
    for format in ["markdown", "html", "json"] {
        let ran = play.krun(&[
            "plan",
            "-i",
            "a,b,",
            "-e",
            "ansible_connection=local",
            "-e",
            &format!("dir={}", play.path().display()),
            "--format",
            format,
            "play.yml",
        ]);
        let place = ran.stdout.find("with 2 files, 7 bytes");
        let place = place.unwrap_or_else(|| panic!("{format}: {}", ran.stdout));
        let tasks = ran.stdout.find(".mark").unwrap();
        assert!(place < tasks, "{format}");
    }
}

#[test]
fn what_the_run_made_itself_and_what_is_empty_is_no_loss() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - tempfile: state=directory path={{ dir }}
      register: made
    - copy: dest={{ made.path }}/file content=x
    - file: path={{ made.path }} state=absent
    - file: path={{ dir }}/unpacked state=directory
    - copy: dest={{ dir }}/unpacked/file content=x
    - file: path={{ dir }}/unpacked state=absent
    - command: mkdir -p {{ dir }}/by-command/below
    - file: path={{ dir }}/by-command state=absent
    - file: path={{ dir }}/empty state=absent
    - file: path={{ dir }}/link state=absent
    - file: path={{ dir }}/not-there state=absent
",
    );
    std::fs::create_dir(play.path().join("empty")).unwrap();
    play.file("linked/file", "x");
    std::os::unix::fs::symlink("linked", play.path().join("link")).unwrap();
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(is_there(&play, "linked/file"));
    assert!(!is_there(&play, "unpacked") && !is_there(&play, "by-command"));
}

#[test]
fn what_only_the_run_can_tell_is_guarded_on_the_host_right_before() {
    let play = with_data(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - stat: path={{ dir }}/{{ inventory_hostname }}/logs
      register: logs
    - name: remove what was found
      file: path={{ logs.stat.path }} state=absent
      when: logs.stat.exists
    - debug: msg=after
",
    );
    let ran = play.run();
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(said(&ran, &play));
    assert!(is_there(&play, "a/logs/meta") && is_there(&play, "b/logs/meta"));
}

#[test]
fn what_was_held_is_held_again_when_it_is_resumed() {
    let play = with_data(WIPE);
    assert_eq!(play.run().code, 2);
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 2);
    assert!(
        said(&ran, &play).contains("held before anything was changed"),
        "{}",
        ran.stdout
    );
    assert!(!is_there(&play, "a.mark") && is_there(&play, "a/logs/meta"));
}

#[test]
fn a_resumed_run_is_held_for_the_hosts_that_it_has_not_begun() {
    let play = with_data(
        r"
- hosts: a,b
  serial: 1
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: before
      copy: dest={{ dir }}/{{ inventory_hostname }}.mark content=here
    - name: remove the data
      file: path={{ dir }}/{{ inventory_hostname }}/logs state=absent
    - name: goes on
      command: test -e {{ dir }}/fixed
",
    );
    std::fs::remove_dir_all(play.path().join("a/logs")).unwrap();
    std::fs::rename(play.path().join("b/logs"), play.path().join("later")).unwrap();
    assert_eq!(play.run().code, 2);
    assert!(is_there(&play, "a.mark") && !is_there(&play, "b.mark"));
    play.file("fixed", "");
    // Both have data now: on the one it is the run's own.
    play.file("a/logs/new", "");
    std::fs::rename(play.path().join("later"), play.path().join("b/logs")).unwrap();
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(said(&ran, &play), @r"
    held before anything was changed: this needs `--allow-destroy`
      remove `DIR/b/logs` with 2 files, 7 bytes on b  (remove the data, play.yml:9)

    PLAY RECAP
    ");
    assert!(is_there(&play, "b/logs/meta") && !is_there(&play, "b.mark"));
}
