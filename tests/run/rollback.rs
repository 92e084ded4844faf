//! `krun rollback`: what a run changed lies there again as it was, or the reason is told and nothing is touched.

use crate::support::{Play, Ran};
use std::os::unix::fs::{PermissionsExt, symlink};

const STORY: &str = r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  vars:
    home: "{{ dir }}/{{ inventory_hostname }}"
  handlers:
    - name: restart
      command: touch {{ home }}.restarted
  tasks:
    - name: Tree
      file: {path: "{{ home }}/v2/conf", state: directory, mode: '0750'}
    - name: New file
      copy: {content: "2\n", dest: "{{ home }}/v2/conf/version"}
    - name: Gate
      wait_for: {path: "{{ dir }}/open", timeout: 5}
    - name: Link
      file: {src: v2, dest: "{{ home }}/current", state: link}
    - name: Config
      copy: {content: "port=2\n", dest: "{{ home }}/app.properties", mode: '0600'}
      notify: restart
    - name: Line
      lineinfile: {path: "{{ home }}/app.properties", line: more=1}
    - name: Old
      file: {path: "{{ home }}/old", state: absent}
    - name: Secret
      copy: {content: "key-of-the-house\n", dest: "{{ home }}/key"}
      no_log: true
"#;

fn story() -> Play {
    let play = Play::new(STORY);
    play.file("open", "");
    for host in ["a", "b"] {
        play.file(&format!("{host}/v1/version"), "1\n");
        let properties = play.file(&format!("{host}/app.properties"), "port=1\n");
        std::fs::set_permissions(properties, PermissionsExt::from_mode(0o640)).unwrap();
        play.file(&format!("{host}/old/a/b"), "kept\n");
        symlink("../b", play.path().join(host).join("old/a/link")).unwrap();
        play.file(&format!("{host}/key"), "key-under-the-mat\n");
        symlink("v1", play.path().join(host).join("current")).unwrap();
    }
    play
}

/// Every path below a host's directory, with its mode, time of change, and content or target.
fn picture(play: &Play) -> String {
    let mut lines = Vec::new();
    let mut ahead = vec![play.path().join("a"), play.path().join("b")];
    while let Some(path) = ahead.pop() {
        let found = path.symlink_metadata().unwrap();
        let (mode, name) = (
            found.permissions().mode(),
            path.strip_prefix(play.path())
                .unwrap()
                .display()
                .to_string(),
        );
        if found.is_dir() {
            lines.push(format!("{name} {mode:o}"));
            let entries = std::fs::read_dir(&path).unwrap();
            ahead.extend(entries.map(|entry| entry.unwrap().path()));
        } else if found.is_symlink() {
            let to = std::fs::read_link(&path).unwrap();
            lines.push(format!("{name} -> {}", to.display()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let time = found.modified().unwrap();
            lines.push(format!("{name} {mode:o} {time:?} {text:?}"));
        }
    }
    lines.sort();
    lines.join("\n")
}

fn settled(text: &str, play: &Play) -> String {
    let run = fancy_regex::Regex::new(r"\d{8}T\d{6}Z-\d+").unwrap();
    let text = text.replace(&play.path().display().to_string(), "DIR");
    let text = run.replace_all(&text, "RUN").into_owned();
    let time = fancy_regex::Regex::new(r"\([\d.]+ m?s\)").unwrap();
    time.replace_all(&text, "(TIME)").into_owned()
}

fn well(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_a_run_changed_is_as_it_was_before_and_the_second_time_nothing_is_to_be_done() {
    let play = story();
    let before = picture(&play);
    let plan = play.subcommand("plan");
    well(&plan);
    well(&play.run_with(&["--allow-destroy"]));
    assert_ne!(picture(&play), before);
    let shown = play.krun(&["rollback", "last", "--check"]);
    well(&shown);
    insta::assert_snapshot!("rollback_is_shown", settled(&shown.stdout, &play));
    insta::assert_snapshot!(settled(&shown.stderr, &play), @r"
    not put back, as it is neither file nor link of these hosts:
      `restart` (play.yml:8) on a, b
    ");
    let run = first_run(&play);
    let ran = play.krun(&["rollback", "last", "--yes"]);
    well(&ran);
    assert_eq!(picture(&play), before);
    ran.says(&[
        "batch 1 of 2: a",
        "TASK [Gate]",
        "ok: [a]",
        &format!("TASK [Put back what {run} changed]"),
        "batch 2 of 2: b",
    ]);
    // No secret of a `no_log` task was shown.
    assert!(!(shown.stdout + &ran.stdout).contains("-mat"));
    let again = play.krun(&["rollback", &run, "--yes"]);
    well(&again);
    insta::assert_snapshot!(settled(&again.stderr, &play), @r"
    not put back, as it is neither file nor link of these hosts:
      `restart` (play.yml:8) on a, b
    nothing is to be put back: every file and link is as it was before run RUN
    ");
}

fn first_run(play: &Play) -> String {
    let runs = play.krun(&["runs"]).stdout;
    let line = runs
        .lines()
        .find(|line| line.starts_with("20") && !line.contains("(plan)"));
    line.unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn nothing_is_put_back_unasked() {
    let play = story();
    well(&play.run_with(&["--allow-destroy"]));
    let after = picture(&play);
    let ran = play.krun(&["rollback", "last"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(settled(&ran.stderr, &play), @r"
    not put back, as it is neither file nor link of these hosts:
      `restart` (play.yml:8) on a, b
    error: nobody can be asked here, and nothing was changed
    help: `krun rollback RUN --yes` puts it back
    ");
    assert_eq!(picture(&play), after);
}

#[test]
fn what_was_changed_since_is_told_and_put_back_only_where_the_user_says_so() {
    let play = story();
    let before = picture(&play);
    well(&play.run_with(&["--allow-destroy"]));
    play.file("b/app.properties", "somebody's\n");
    play.file("b/v2/conf/mine", "somebody's\n");
    let after = picture(&play);
    let ran = play.krun(&["rollback", "last", "--yes"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(settled(&failure(&ran), &play), @r"
    ! would fail: b
    what run RUN changed cannot be put back here
    Caused by: `DIR/b/app.properties` is not as `Config` or a later task left it
    help: `krun rollback RUN --differences-ok` puts it back all the same: what was changed since is lost
    ");
    assert!(
        ran.stderr.ends_with("nothing was changed\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(picture(&play), after);
    let ran = play.krun(&["rollback", "last", "--yes", "--differences-ok"]);
    well(&ran);
    let stays = "b/v2/conf` stays: it holds what the run did not make";
    assert!(ran.stderr.contains(stays), "{}", ran.stderr);
    assert!(ran.stdout.contains(stays), "{}", ran.stdout);
    std::fs::remove_dir_all(play.path().join("b/v2")).unwrap();
    assert_eq!(picture(&play), before);
}

/// What would fail, and why.
fn failure(ran: &Ran) -> String {
    let lines = ran.stdout.lines().filter(|line| {
        let begins = ["! would fail", "what run", "run 2", "Caused by", "help"];
        begins.iter().any(|begin| line.trim().starts_with(begin))
    });
    let lines: Vec<&str> = lines.map(str::trim).collect();
    lines.join("\n") + "\n"
}

#[test]
fn what_was_not_kept_is_named_and_nothing_is_touched() {
    let play = story();
    well(&play.run_with(&["--allow-destroy"]));
    let kept = play.path().join(".krun/before").join(first_run(&play));
    for entry in std::fs::read_dir(&kept).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("list") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let after = picture(&play);
    let ran = play.krun(&["rollback", "last", "--yes"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(settled(&failure(&ran), &play), @r"
    ! would fail: a
    what run RUN changed cannot be put back here
    Caused by: `DIR/a/app.properties` was not kept: its copy is gone
    Caused by: `DIR/a/key` was not kept: its copy is gone
    Caused by: `DIR/a/old/a/b` was not kept: its copy is gone
    help: what was not kept has to come from a backup
    ! would fail: b
    what run RUN changed cannot be put back here
    Caused by: `DIR/b/app.properties` was not kept: its copy is gone
    Caused by: `DIR/b/key` was not kept: its copy is gone
    Caused by: `DIR/b/old/a/b` was not kept: its copy is gone
    help: what was not kept has to come from a backup
    ");
    std::fs::remove_dir_all(&kept).unwrap();
    let ran = play.krun(&["rollback", "last", "--yes"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(settled(&failure(&ran), &play), @r"
    ! would fail: a
    run RUN changed `DIR/a/app.properties`, and nothing is kept here of what was before
    Caused by: hosts keep that of the newest 20 runs, each in the agent's directory of the user who did it
    help: it has to come from a backup
    ! would fail: b
    run RUN changed `DIR/b/app.properties`, and nothing is kept here of what was before
    Caused by: hosts keep that of the newest 20 runs, each in the agent's directory of the user who did it
    help: it has to come from a backup
    ");
    assert_eq!(picture(&play), after);
}

#[test]
fn a_gate_that_does_not_open_stops_the_way_back_and_the_same_command_goes_on() {
    let play = story();
    let before = picture(&play);
    well(&play.run_with(&["--allow-destroy"]));
    std::fs::remove_file(play.path().join("open")).unwrap();
    let run = first_run(&play);
    let ran = play.krun(&["rollback", &run, "--yes"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let again = format!("go on with: krun rollback {run}");
    ran.says(&["in between: a", "untouched:  b", &again]);
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(settled(&ran.stderr, &play), @r"
    error: run RUN was a rollback
    help: `krun rollback RUN` goes on with it
    ");
    play.file("open", "");
    well(&play.krun(&["rollback", &run, "--yes"]));
    assert_eq!(picture(&play), before);
}

#[test]
fn plays_go_back_in_the_opposite_order_each_to_what_it_found() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: "one\n", dest: "{{ dir }}/x"}
    - shell: echo registered
      register: word
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: "{{ word.stdout }}\n", dest: "{{ dir }}/x"}
    - wait_for: {path: "{{ dir }}/{{ word.stdout }}", timeout: 2}
    - command: touch {{ dir }}/x2
    - command: test -e {{ dir }}/go
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: "three\n", dest: "{{ dir }}/y"}
"#,
    );
    play.file("registered", "");
    let x = play.file("x", "zero\n");
    assert_eq!(play.run().code, 2);
    play.file("go", "");
    well(&play.krun(&["resume"]));
    let ran = play.krun(&["rollback", "last", "--yes"]);
    well(&ran);
    assert_eq!(std::fs::read_to_string(&x).unwrap(), "zero\n");
    assert!(!play.path().join("y").exists());
    let looked = ran.stdout.split("TASK [wait_for]").count();
    assert!(looked > 1, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("`command` (play.yml:14)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn runs_that_cannot_be_rolled_back_are_told_apart() {
    let play = story();
    well(&play.run_with(&["--allow-destroy"]));
    let run = first_run(&play);
    well(&play.krun(&["rollback", &run, "--yes"]));
    well(&play.subcommand("plan"));
    let mut said = Vec::new();
    let mut say = |words: &[&str]| {
        let ran = play.krun(words);
        assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
        said.push(settled(&ran.stderr, &play));
    };
    let runs = play.krun(&["runs"]).stdout;
    let names: Vec<&str> = runs
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    say(&["rollback", "nothing"]);
    say(&["rollback", names[2]]);
    say(&["rollback", names[3]]);
    play.file("play.yml", &STORY.replace("port=2", "port=3"));
    say(&["rollback", &run]);
    insta::assert_snapshot!(said.join("\n"), @r"
    error: no run `nothing` is recorded here

    error: run RUN was a rollback itself, of RUN: to have its changes again, run the playbook

    error: RUN was a plan, and changed nothing

    error: these files differ from those of run RUN
      changed  play.yml
    help: `krun rollback RUN --changed-files-ok` goes on with the files as they are now
    ");
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_anything_is_put_back() {
    let play = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - file: {path: '{{ dir }}/d/x', state: absent}
    - copy: {content: new, dest: '{{ dir }}/e/y'}
",
    );
    play.file("d/x", "old");
    play.file("e/y", "old");
    well(&play.run());
    std::fs::remove_dir(play.path().join("d")).unwrap();
    play.file("d", "a file");
    let before = play.path().join("e/y");
    let ran = play.krun(&["rollback", "last", "--yes"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let at = play.path().join("d/x");
    let said = format!("cannot write `{}`: not a directory", at.display());
    assert!(ran.stdout.contains(&said), "{}", ran.stdout);
    assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(before).unwrap(), "new");
    // Out of the way, it goes back.
    std::fs::remove_file(play.path().join("d")).unwrap();
    std::fs::create_dir(play.path().join("d")).unwrap();
    well(&play.krun(&["rollback", "last", "--yes"]));
    for name in ["d/x", "e/y"] {
        let text = std::fs::read_to_string(play.path().join(name)).unwrap();
        assert_eq!(text, "old", "{name}");
    }
}

#[test]
fn what_loops_and_skipped_tasks_registered_is_there_again_on_the_way_back() {
    let play = Play::new(
        r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  vars: {home: "{{ dir }}/{{ inventory_hostname }}"}
  tasks:
    - copy: {content: x, dest: "{{ home }}-{{ item }}"}
      loop: [one, two]
      register: made
    - copy: {content: x, dest: "{{ home }}-never"}
      when: false
      register: never
    - set_fact:
        all: "{{ made.results | map(attribute='item') | join('+') }}"
        none: "{{ never is skipped }}"
    - copy: {content: "{{ all }} {{ none }}", dest: "{{ home }}-all"}
- hosts: a,b
  gather_facts: false
  tasks:
    - set_fact: {first: "{{ made.results[0].dest }}"}
    - lineinfile: {path: "{{ first }}", line: y}
"#,
    );
    let names = || {
        let entries = std::fs::read_dir(play.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(['a', 'b'])).collect();
        names.sort();
        names
    };
    well(&play.run());
    assert_eq!(
        names(),
        ["a-all", "a-one", "a-two", "b-all", "b-one", "b-two"]
    );
    well(&play.krun(&["rollback", "last", "--yes"]));
    assert_eq!(names(), Vec::<String>::new());
    // What the second play had changed of the first one's is where the first one found it.
    let again = play.krun(&["rollback", &first_run(&play), "--yes"]);
    well(&again);
    assert!(
        again.stderr.contains("nothing is to be put back"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_a_stopped_run_did_on_a_finished_host_is_live_on_the_way_back_of_the_run_that_went_on() {
    let play = Play::new(
        r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  tasks:
    - name: Config
      copy: {content: new, dest: "{{ dir }}/{{ inventory_hostname }}.conf"}
      register: config
    - name: Gate
      wait_for: {path: "{{ dir }}/open"}
      when: config is changed
    - name: Included
      include_tasks: gate.yml
      when: config is changed
    - name: Trouble on b
      command: test -e {{ dir }}/mended
      when: inventory_hostname == 'b'
"#,
    );
    play.file(
        "gate.yml",
        "- name: Inner gate\n  wait_for: {path: '{{ dir }}/open'}\n",
    );
    play.file("open", "");
    assert_eq!(play.run().code, 2);
    play.file("mended", "");
    let resumed = play.krun(&["resume"]);
    well(&resumed);
    assert!(
        resumed.stdout.contains("skipping: [a]"),
        "{}",
        resumed.stdout
    );
    let back = play.krun(&["rollback", "last", "--yes"]);
    well(&back);
    for host in ["a", "b"] {
        assert!(!play.path().join(format!("{host}.conf")).exists());
        let waited = back.stdout.matches(&format!("ok: [{host}]")).count();
        assert!(waited >= 2, "{host}: {}", back.stdout);
    }
}
