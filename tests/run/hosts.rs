//! Several hosts: batches, one failing, `run_once`, what hosts see of each other.

use crate::support::Play;

#[test]
fn tasks_go_in_linear_order_over_all_hosts() {
    let ran = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: one
      shell: "echo {{ inventory_hostname }}1 >> {{ dir }}/log"
    - name: two
      shell: "echo {{ inventory_hostname }}2 >> {{ dir }}/log"
"#,
    );
    let done = ran.run();
    assert_eq!(done.code, 0);
    let log = std::fs::read_to_string(ran.path().join("log")).unwrap();
    let rounds: String = log.lines().filter_map(|line| line.chars().last()).collect();
    assert_eq!(rounds, "111222");
}

#[test]
fn serial_runs_batch_after_batch_and_stops_when_a_whole_batch_failed() {
    let ran = Play::new(
        r#"
- hosts: all
  gather_facts: false
  serial: 1
  tasks:
    - command: "test {{ inventory_hostname }} != b"
"#,
    )
    .run();
    ran.says(&[
        "batch 1 of 3: a",
        "batch 2 of 3: b",
        "failed: [b]",
        "done:       a",
        "in between: b",
        "untouched:  c",
    ]);
    assert_eq!(ran.recap("c"), "c : not run");
    assert_eq!(ran.code, 2);
}

#[test]
fn a_host_that_was_unreachable_before_anything_ran_is_untouched() {
    let ran = Play::new(
        r#"
- hosts: b,c
  gather_facts: false
  serial: 1
  any_errors_fatal: true
  tasks:
    - command: "true"
"#,
    )
    .args(&[
        "-e",
        r#"{"ansible_connection": "{{ 'ssh' if inventory_hostname == 'b' else 'local' }}", "ansible_host": "127.0.0.1", "ansible_port": 1}"#,
    ])
    .run();
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    ran.says(&["in between: none", "untouched:  b, c"]);
    assert!(
        ran.recap("b").contains("unreachable=1"),
        "{}",
        ran.recap("b")
    );
    assert_eq!(ran.recap("c"), "c : not run");
}

#[test]
fn max_fail_percentage_is_strict() {
    let play = |limit: u32| {
        let text = format!(
            r#"
- hosts: all
  gather_facts: false
  max_fail_percentage: {limit}
  tasks:
    - command: "test {{{{ inventory_hostname }}}} != b"
    - debug: msg=second
"#
        );
        Play::new(&text).run()
    };
    assert!(play(34).stdout.contains("second"));
    assert!(!play(33).stdout.contains("second"));
}

#[test]
fn run_once_shares_its_result_with_all_and_a_skipped_one_holds_nobody_up() {
    let ran = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - command: echo {{ inventory_hostname }}
      register: it
      run_once: true
    - command: echo never
      run_once: true
      when: false
    - debug: msg="{{ inventory_hostname }} saw {{ it.stdout }}"
"#,
    )
    .run();
    ran.says(&["a saw a", "b saw a", "c saw a"]);
}

#[test]
fn hostvars_show_what_other_hosts_set_before_and_not_what_they_will() {
    let ran = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - set_fact: {mine: "of {{ inventory_hostname }}"}
    - debug: msg="{{ groups['all'] | map('extract', hostvars, 'mine') | join(', ') }}"
    - set_fact: {mine: changed}
"#,
    )
    .run();
    ran.says(&["of a, of b, of c", "of a, of b, of c", "of a, of b, of c"]);
}

#[test]
fn any_errors_fatal_ends_the_play_for_all() {
    let ran = Play::new(
        r#"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - command: "test {{ inventory_hostname }} != b"
    - debug: msg=never
- hosts: all
  gather_facts: false
  tasks:
    - debug: msg=never
"#,
    )
    .run();
    assert!(!ran.stdout.contains("never"));
    assert_eq!(ran.code, 2);
}

#[test]
fn a_delegated_task_runs_elsewhere_with_the_variables_of_its_own_host() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo {{ inventory_hostname }}
      delegate_to: b
      register: it
    - debug: msg="{{ it.stdout }}"
"#,
    )
    .run();
    ran.says(&["changed: [a -> b]", "a"]);
}
