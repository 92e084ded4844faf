//! What a plan cannot know is said with its cause, and what rests on it is *perhaps*.

use crate::support::Play;
use std::os::unix::fs::PermissionsExt;

#[test]
fn what_a_command_may_bring_is_unknown_with_its_cause_and_what_is_there_is_read_on() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: build
      command: make install
      register: made
    - name: from the build
      copy: src={{ dir }}/built dest={{ dir }}/installed remote_src=yes
    - name: is it there
      stat: path={{ dir }}/built
      register: built
    - name: what is there is read on
      copy: src={{ dir }}/play.yml dest={{ dir }}/installed remote_src=yes
    - name: after it
      copy: dest={{ dir }}/log content=x
      when: made.rc == 0
    - name: with its output
      copy: dest={{ dir }}/log content="{{ made.stdout }}"
    - name: once more
      copy: dest={{ dir }}/log content=x
      when: built.stat.exists
"#,
    )
    .args(&["--exit-code"]);
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 3, "{}\n{}", plan.stdout, plan.stderr);
    let built = play.path().join("built");
    let cause = "command does not run in check mode";
    plan.says(&[
        "TASK [build]",
        "unknown: [a]",
        cause,
        "TASK [from the build]",
        "unknown: [a]",
        &format!(
            "`{0}` is not there now; after `build` it may be; as it is now: `{0}` does not exist on the host",
            built.display()
        ),
        "TASK [is it there]",
        "unknown: [a]",
        "TASK [what is there is read on]",
        "would change: [a]",
        "TASK [after it]",
        "perhaps: [a]",
        &format!("whether it runs depends on `made`, which `build` would bring ({cause})"),
        "TASK [with its output]",
        "unknown: [a]",
        &format!("it needs `made`, which `build` would bring ({cause})"),
        "TASK [once more]",
        "unknown: [a]",
        "plan: 1 to change on 1 host, 6 unknown",
    ]);
    let recap = plan.recap("a");
    assert!(recap.ends_with("ignored=0 unknown=6"), "{recap}");
    assert!(!play.path().join("log").exists());
}

#[test]
fn what_rests_on_the_absence_of_a_file_is_unknown_after_a_command_that_may_bring_it() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: line before
      lineinfile: path={{ dir }}/early line=x create=yes
    - name: build
      shell: echo built > {{ dir }}/edited; echo built > {{ dir }}/kept
    - name: line
      lineinfile: path={{ dir }}/edited line=x create=yes
    - name: another line
      lineinfile: path={{ dir }}/edited line=y create=yes
    - name: no line
      lineinfile: path={{ dir }}/edited regexp=built state=absent
    - name: no file
      lineinfile: path={{ dir }}/other regexp=built state=absent
    - name: kept
      copy: dest={{ dir }}/kept content=x force=no
    - name: written
      copy: dest={{ dir }}/written content=x
    - name: line in what is written
      lineinfile: path={{ dir }}/written line=y
    - name: line in the early one
      lineinfile: path={{ dir }}/early line=y create=yes
",
    );
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let may_be = |name: &str| {
        let path = play.path().join(name);
        format!(
            "`{}` is not there now; after `build` it may be",
            path.display()
        )
    };
    plan.says(&[
        "TASK [line before]",
        "would change: [a]",
        "TASK [line]",
        "perhaps: [a]",
        &may_be("edited"),
        "TASK [another line]",
        "perhaps: [a]",
        &may_be("edited"),
        "x",
        "+y",
        "TASK [no line]",
        "unknown: [a]",
        &may_be("edited"),
        "TASK [no file]",
        "unknown: [a]",
        &may_be("other"),
        "TASK [kept]",
        "perhaps: [a]",
        &may_be("kept"),
        "TASK [written]",
        "would change: [a]",
        "TASK [line in what is written]",
        "would change: [a]",
        "TASK [line in the early one]",
        "would change: [a]",
    ]);
    let run = play.run();
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(
        std::fs::read_to_string(play.path().join("edited")).unwrap(),
        "x\ny\n"
    );
}

#[test]
fn what_rescues_a_command_perhaps_runs_and_what_ends_a_play_there_does_not_end_the_plan() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - name: try
          command: "false"
        - name: if it worked
          copy: dest={{ dir }}/worked content=x
      rescue:
        - name: mend
          copy: dest={{ dir }}/mended content=x
        - name: remember
          set_fact: mended=true
        - name: give up
          fail: msg="no way"
        - meta: end_play
      always:
        - name: always
          copy: dest={{ dir }}/always content=x
    - block:
        - name: never fails
          command: "false"
          failed_when: false
        - name: may fail
          command: "false"
          ignore_errors: true
      rescue:
        - name: not needed
          copy: dest={{ dir }}/not-needed content=x
    - name: after it
      copy: dest={{ dir }}/after content=x
      when: mended is defined
    - meta: end_play
      when: mended is defined
    - name: last
      copy: dest={{ dir }}/last content=x
"#,
    );
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let cause = "it rescues `try`, and whether that fails a plan cannot say";
    plan.says(&[
        "TASK [try]",
        "unknown: [a]",
        "TASK [if it worked]",
        "would change: [a]",
        "TASK [mend]",
        "perhaps: [a]",
        cause,
        "TASK [remember]",
        "unknown: [a]",
        "TASK [give up]",
        "unknown: [a]",
        cause,
        "TASK [meta]",
        "TASK [always]",
        "would change: [a]",
        "TASK [after it]",
        "perhaps: [a]",
        "TASK [last]",
        "would change: [a]",
    ]);
    assert!(!plan.stdout.contains("not needed"), "{}", plan.stdout);
}

#[test]
fn an_account_that_a_command_names_is_perhaps_otherwise() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: remove
      command: userdel daemon
    - name: own
      command: chown bin:bin {{ dir }}/play.yml
    - name: named
      user: name=daemon
    - name: its entry
      getent: database=passwd key=daemon
    - name: not named
      user: name=bin
    - name: an owner
      file: path={{ dir }}/play.yml owner=root
",
    );
    let plan = play.subcommand("--check");
    let cause = "`remove` names `daemon`, and may change it";
    plan.says(&[
        "TASK [named]",
        "unknown: [a]",
        cause,
        "TASK [its entry]",
        "unknown: [a]",
        cause,
        "TASK [not named]",
        "ok: [a]",
    ]);
    assert!(plan.stdout.matches(cause).count() >= 2, "{}", plan.stdout);
}

#[test]
fn a_look_as_a_user_that_only_the_plan_makes_leaves_nothing_unknown() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - user: name=krun-not-there
    - name: look
      stat: path={{ dir }}
      become: true
      become_user: krun-not-there
    - name: line
      lineinfile: path={{ dir }}/absent line=x create=yes
    - name: touch
      command: touch {{ dir }}/absent
      become: true
      become_user: krun-not-there
    - name: another line
      lineinfile: path={{ dir }}/other line=x create=yes
",
    );
    let plan = play.subcommand("--check");
    plan.says(&[
        "TASK [look]",
        "unknown: [a]",
        "TASK [line]",
        "would change: [a]",
        "TASK [touch]",
        "unknown: [a]",
        "TASK [another line]",
        "perhaps: [a]",
    ]);
}

#[test]
fn a_plan_waits_for_nothing() {
    let plan = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: awaited
      stat: path={{ dir }}/pid
      register: pid
      until: pid.stat.exists
      retries: 100
      delay: 60
    - name: there
      stat: path={{ dir }}/play.yml
      register: it
      until: it.stat.exists
    - name: after it
      copy: dest={{ dir }}/a content=x
      when: pid.stat.exists
",
    )
    .subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    plan.says(&[
        "TASK [awaited]",
        "unknown: [a]",
        "would wait: what `until` asks for does not hold yet",
        "TASK [there]",
        "ok: [a]",
        "TASK [after it]",
        "perhaps: [a]",
    ]);
}

#[test]
fn what_a_command_names_and_may_make_is_perhaps_new() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: make
      shell: mkdir {{ dir }}/made; echo x > {{ dir }}/file
    - name: directory
      file: path={{ dir }}/made state=directory
    - name: file
      copy: dest={{ dir }}/file content=mine
    - name: its line
      lineinfile: path={{ dir }}/file line=more
    - name: another
      copy: dest={{ dir }}/another content=mine
",
    );
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let may = |name: &str| {
        let path = play.path().join(name).display().to_string();
        format!("`{path}` is not there now; `make` names it, and may make it")
    };
    plan.says(&[
        "TASK [directory]",
        "perhaps: [a]",
        &may("made"),
        "TASK [file]",
        "perhaps: [a]",
        &may("file"),
        "+mine",
        "TASK [its line]",
        "would change: [a]",
        "TASK [another]",
        "would change: [a]",
    ]);
}

#[test]
fn what_only_an_earlier_task_lets_a_user_see_is_no_failure() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: closed
      slurp: src={{ dir }}/closed/x
      become: true
      become_user: nobody
      ignore_errors: true
    - file: path={{ dir }}/closed mode=0755
    - name: opened
      slurp: src={{ dir }}/closed/x
      become: true
      become_user: nobody
    - name: still closed
      slurp: src={{ dir }}/closed/y
      become: true
      become_user: nobody
      ignore_errors: true
",
    );
    play.file("closed/x", "x");
    let only_root = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(play.file("closed/y", "y"), only_root).unwrap();
    for (path, mode) in [("", 0o755), ("closed", 0o700)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(play.path().join(path), mode).unwrap();
    }
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let cause = format!(
        "an earlier task would let this user see `{0}/closed/x`, and a plan leaves it as it is: cannot look at `{0}/closed/x`: permission denied",
        play.path().display()
    );
    plan.says(&[
        "TASK [closed]",
        "failed: [a] (ignored)",
        "TASK [opened]",
        "unknown: [a]",
        &cause,
    ]);
    let run = play.run();
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    run.says(&[
        "TASK [opened]",
        "ok: [a]",
        "TASK [still closed]",
        "failed: [a] (ignored)",
    ]);
}
