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
