//! Handlers: when they run, in which order, and that none is forgotten.

use crate::support::Play;

const NOTIFIES: &str = r#"
- name: p
  hosts: a
  gather_facts: false
  tasks:
    - copy: {content: x, dest: "{{ dir }}/x"}
      notify: [second, topic]
    - command: "test -e {{ dir }}/go"
      changed_when: false
  handlers:
    - name: first
      debug: msg=first
      listen: topic
    - name: second
      debug: msg=second
"#;

#[test]
fn handlers_run_once_in_definition_order_at_the_end() {
    let play = Play::new(NOTIFIES);
    play.file("go", "");
    let ran = play.run();
    ran.says(&[
        "changed: [a]",
        "RUNNING HANDLER [first]",
        "first",
        "RUNNING HANDLER [second]",
        "second",
    ]);
    assert!(
        !play.run().stdout.contains("HANDLER"),
        "nothing changed the second time"
    );
}

#[test]
fn a_handler_that_a_failure_kept_from_running_runs_the_next_time_and_says_why() {
    let play = Play::new(NOTIFIES);
    let ran = play.run();
    assert_eq!(ran.code, 2);
    assert!(!ran.stdout.contains("HANDLER"));
    play.file("go", "");
    let ran = play.run();
    ran.says(&[
        "kept handler: [a] `first` will run: an earlier run stopped after `copy` had notified it",
        "RUNNING HANDLER [first]",
        "RUNNING HANDLER [second]",
    ]);
    assert!(!play.run().stdout.contains("kept handler"));
}

#[test]
fn flush_handlers_runs_them_early_and_a_handler_may_notify_another() {
    let ran = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - command: /bin/true
      notify: one
    - meta: flush_handlers
    - debug: msg=after
  handlers:
    - name: two
      debug: msg=two
    - name: one
      command: /bin/true
      notify: two
",
    )
    .run();
    ran.says(&[
        "RUNNING HANDLER [one]",
        "RUNNING HANDLER [two]",
        "two",
        "after",
    ]);
}
