//! Faults of the user's files: all at once, each with its place, exit code 5, and no host is touched.

use crate::support::Play;

#[test]
fn all_faults_are_reported_at_once_and_nothing_runs() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: x, dest: "{{ dir }}/x", modee: '0644'}
    - debgu: msg=x
    - debug: msg="{{ nobody_defines_this }}"
    - debug: msg="{{ 'x' | no_such_filter }}"
    - command: /bin/true
      notify: no such handler
"#,
    );
    let ran = play.run();
    assert_eq!(ran.code, 5);
    for fault in [
        "unknown argument `modee` of `copy`",
        "did you mean `mode`?",
        "`debgu`",
        "nothing defines `nobody_defines_this`",
        "no_such_filter",
        "no such handler",
    ] {
        assert!(ran.stderr.contains(fault), "no {fault} in {}", ran.stderr);
    }
    assert!(ran.stderr.contains("play.yml:5:47"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
    assert!(!play.path().join("x").exists());
}

#[test]
fn a_name_that_may_be_missing_is_no_fault_where_it_is_guarded() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - debug: msg="{{ maybe | default('none') }}"
    - debug: msg="{{ maybe }}"
      when: maybe is defined
    - debug: msg="{{ later.stdout }}"
      when: false
    - command: echo x
      register: later
"#,
    )
    .run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_pattern_that_nobody_answers_to_is_a_warning_while_another_play_has_hosts() {
    let ran = Play::new(
        "
- hosts: aa
  gather_facts: false
  tasks: [ping: ]
- hosts: a
  gather_facts: false
  tasks: [ping: ]
",
    )
    .run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let warning = "warning: no host or group matches `aa`: did you mean `a`?";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
}

#[test]
fn a_run_that_nobody_answers_to_is_a_fault() {
    let ran = Play::new("- hosts: aa\n  tasks: [ping: ]\n").run();
    assert_eq!(ran.code, 5);
    let fault = "error: no host or group matches `aa`: did you mean `a`?";
    assert!(ran.stderr.contains(fault), "{}", ran.stderr);
}

#[test]
fn a_host_that_is_added_while_running_is_not_missed() {
    let ran = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - add_host: {name: late, groups: latecomers, ansible_connection: local}
- hosts: latecomers
  gather_facts: false
  tasks: [ping: ]
",
    )
    .run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    assert!(ran.stdout.contains("ok: [late]"), "{}", ran.stdout);
}

#[test]
fn a_limit_that_names_nobody_is_a_fault() {
    let limited_to = |pattern: &str| {
        Play::new("- hosts: a\n  tasks: [ping: ]\n")
            .args(&["--limit", pattern])
            .run()
    };
    let ran = limited_to("aa");
    assert_eq!(ran.code, 5);
    let fault = "error: --limit: no host or group matches `aa`: did you mean `a`?";
    assert!(ran.stderr.contains(fault), "{}", ran.stderr);
    let ran = limited_to("@/nowhere");
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr.contains("cannot read limit file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_module_of_another_system_fails_only_the_task_that_comes_to_it() {
    let play = Play::new(
        r"
- hosts: all
  gather_facts: false
  tasks:
    - include_tasks: bsd.yml
      when: inventory_hostname == 'b'
    - debug: msg=after
",
    );
    play.file(
        "bsd.yml",
        "- community.general.pkgng: {name: x}\n  when: false\n- pkgng: name=x free text\n",
    );
    let ran = play.run();
    assert!(
        ran.stderr.contains("warning: unknown module `pkgng`"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("bsd.yml:3:3"), "{}", ran.stderr);
    ran.says(&[
        "skipping: [b]",
        "failed: [b]",
        "unknown module `pkgng`",
        "after",
    ]);
    assert!(ran.recap("a").contains("failed=0"));
    assert!(ran.recap("b").contains("failed=1"));
    assert_eq!(ran.code, 2);
}

#[test]
fn a_command_behind_its_options_is_told_how_it_is_written() {
    let play = Play::new("- hosts: a\n  tasks: []\n");
    let ran = play.krun(&["-i", "a,", "plan", "play.yml"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @r"
    error: the command comes first
    help: krun plan -i a, play.yml
    ");
    let ran = play.krun(&["-i", "a,", "plan", "-o", "a.plan", "play.yml"]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr
            .ends_with("help: the command comes first: krun plan -i a, -o a.plan play.yml\n"),
        "{}",
        ran.stderr
    );
}
