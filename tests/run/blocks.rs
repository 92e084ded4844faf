//! Blocks: rescue, always, and where a failure goes on.

use crate::support::Play;

#[test]
fn a_failure_in_a_block_is_rescued_and_always_runs() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - name: fails
          command: /bin/false
        - name: never
          debug: msg=never
      rescue:
        - debug: msg="rescued {{ ansible_failed_task.name }} with {{ ansible_failed_result.rc }}"
      always:
        - debug: msg=always
    - debug: msg=after
"#,
    )
    .run();
    ran.says(&["failed: [a]", "rescued fails with 1", "always", "after"]);
    assert!(!ran.stdout.contains("never"));
    assert_eq!(
        ran.recap("a"),
        "a : ok=3 changed=0 unreachable=0 failed=0 skipped=0 rescued=1 ignored=0"
    );
    assert_eq!(ran.code, 0);
}

#[test]
fn a_failure_without_rescue_runs_always_and_then_ends_the_host() {
    let ran = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - block:
            - command: /bin/false
          always:
            - debug: msg=inner
        - debug: msg=never
      always:
        - debug: msg=outer
    - debug: msg=never
",
    )
    .run();
    ran.says(&["failed: [a]", "inner", "outer"]);
    assert!(!ran.stdout.contains("never"));
    assert_eq!(ran.code, 2);
}

#[test]
fn ignore_errors_and_failed_when_let_the_host_go_on() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: /bin/false
      ignore_errors: true
      register: it
    - shell: exit 3
      register: three
      failed_when: three.rc not in [0, 3]
      changed_when: false
    - debug: msg="{{ it.failed }} {{ three.rc }} {{ three.failed }}"
"#,
    )
    .run();
    ran.says(&["failed: [a] (ignored)", "True 3 False"]);
    assert_eq!(
        ran.recap("a"),
        "a : ok=3 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=1"
    );
}

/// Agents live longer than plays: what one dropped behind a failure is no business of the next.
#[test]
fn plays_behind_rescued_failures_run() {
    let ran = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - lineinfile: path={{ dir }}/none line=x
      rescue:
        - block:
            - command: /bin/false
          rescue:
            - debug: msg=rescued
- hosts: a,b
  gather_facts: false
  tasks:
    - copy: dest={{ dir }}/{{ inventory_hostname }} content=one
    - copy: dest={{ dir }}/{{ inventory_hostname }}.2 content=two
    - lineinfile: path={{ dir }}/{{ inventory_hostname }}.2 line=three
",
    )
    .run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        ran.recap("a"),
        "a : ok=4 changed=3 unreachable=0 failed=0 skipped=0 rescued=2 ignored=0"
    );
}

/// A host that failed leaves a lane behind on the host to which it had delegated; the next batch has its number.
#[test]
fn batches_behind_a_failed_delegated_task_run() {
    let ran = Play::new(
        r"
- hosts: a,b,c
  gather_facts: false
  serial: 2
  tasks:
    - stat: path=/
    - lineinfile: path={{ dir }}/none line=x
      delegate_to: c
      when: inventory_hostname == 'a'
    - copy: dest={{ dir }}/of-{{ inventory_hostname }} content=x
      delegate_to: c
",
    )
    .run();
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let done = "ok=2 changed=1 unreachable=0 failed=0 skipped=1 rescued=0 ignored=0";
    assert_eq!(ran.recap("b"), format!("b : {done}"));
    assert_eq!(ran.recap("c"), format!("c : {done}"));
}

/// What Ansible does, too: the failure is everyone's when everyone has tried the task, not before.
#[test]
fn a_fatal_failure_is_every_host_s_once_all_have_tried_the_task() {
    let play = Play::new(
        r#"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - name: one after the other
          copy: dest={{ dir }}/{{ 'none/' if inventory_hostname == 'a' else '' }}{{ inventory_hostname }} content=tried
          throttle: 1
        - name: never
          copy: dest={{ dir }}/never-{{ inventory_hostname }} content=x
      rescue:
        - debug: msg="rescue on {{ inventory_hostname }}"
      always:
        - debug: msg="always on {{ inventory_hostname }}"
    - debug: msg="after on {{ inventory_hostname }}"
"#,
    );
    let plan = play.subcommand("plan");
    let ran = play.run();
    for ran in [&plan, &ran] {
        for host in ["a", "b", "c"] {
            for word in ["rescue", "always", "after"] {
                let said = format!("{word} on {host}");
                assert!(ran.stdout.contains(&said), "{said}: {}", ran.stdout);
            }
        }
        assert!(!ran.stdout.contains("never-"), "{}", ran.stdout);
    }
    for host in ["b", "c"] {
        let recap = "ok=4 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0";
        assert_eq!(ran.recap(host), format!("{host} : {recap}"));
        assert!(plan.stdout.contains(&format!("/{host}")), "{}", plan.stdout);
        assert!(play.path().join(host).exists());
    }
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_fatal_failure_takes_back_what_other_hosts_were_sent_behind_it() {
    let play = Play::new(
        r"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - shell: echo tried >> {{ dir }}/{{ inventory_hostname }}; test {{ inventory_hostname }} != b
        - shell: echo never >> {{ dir }}/{{ inventory_hostname }}
        - copy: dest={{ dir }}/never-{{ inventory_hostname }} content=x
      rescue:
        - shell: echo rescue >> {{ dir }}/{{ inventory_hostname }}; test {{ inventory_hostname }} != c
        - shell: echo never >> {{ dir }}/{{ inventory_hostname }}
      always:
        - shell: echo always >> {{ dir }}/{{ inventory_hostname }}
        - shell: echo always2 >> {{ dir }}/{{ inventory_hostname }}
    - shell: echo never >> {{ dir }}/{{ inventory_hostname }}
",
    );
    for run in [Play::run, Play::run_as_ansible] {
        let ran = run(&play);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        for host in ["a", "b", "c"] {
            let path = play.path().join(host);
            let did = std::fs::read_to_string(&path).unwrap();
            assert_eq!(did, "tried\nrescue\nalways\nalways2\n", "{host}");
            std::fs::remove_file(path).unwrap();
            let never = play.path().join(format!("never-{host}"));
            assert!(!never.exists(), "{host}");
        }
    }
}
