//! What surrounds a playbook: `ansible.cfg`, options of the command line, handlers that are forced.

use crate::support::Play;

const WHO: &str = r#"
- hosts: a
  tasks:
    - debug: msg="{{ ansible_facts.hostname is defined }}"
"#;

#[test]
fn ansible_cfg_says_what_the_command_line_does_not() {
    let play = Play::new(WHO);
    play.file("ansible.cfg", "[defaults]\ngathering = explicit\n");
    play.run().says(&["False"]);
}

#[test]
fn roles_are_found_where_ansible_cfg_says() {
    let play = Play::new("- {hosts: a, gather_facts: false, roles: [one]}\n");
    play.file("ansible.cfg", "[defaults]\nroles_path = shared/roles\n");
    play.file("shared/roles/one/tasks/main.yml", "- debug: msg=found\n");
    play.run().says(&["found"]);
}

#[test]
fn another_hash_behaviour_is_refused() {
    let play = Play::new(WHO);
    play.file("ansible.cfg", "[defaults]\nhash_behaviour = merge\n");
    let ran = play.run();
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @r"
    error: `hash_behaviour = merge` would give variables other values, and krun replaces them
    help: merge where it is wanted: `{{ defaults | combine(overrides, recursive=true) }}`

    1 error; no host was contacted
    ");
}

#[test]
fn forced_handlers_run_on_hosts_that_failed() {
    let playbook = r"
- hosts: a,b
  gather_facts: false
  tasks:
    - command: 'true'
      notify: restart
    - command: /bin/false
      when: inventory_hostname == 'a'
  handlers:
    - name: restart
      debug: msg=restarted
";
    let ran = Play::new(playbook).run();
    ran.says(&["failed: [a]", "ok: [b]"]);
    assert!(!ran.stdout.contains("ok: [a]\n  restarted"));
    let ran = Play::new(playbook).args(&["--force-handlers"]).run();
    ran.says(&["failed: [a]", "ok: [b]", "ok: [a]"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let forced = playbook.replace("hosts: a,b", "hosts: a,b\n  force_handlers: true");
    let ran = Play::new(&forced).run();
    ran.says(&["failed: [a]", "ok: [b]", "ok: [a]"]);
}

#[test]
fn always_runs_although_any_errors_fatal_ends_the_play() {
    let ran = Play::new(
        r"
- hosts: a,b
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - command: /bin/false
          when: inventory_hostname == 'a'
      rescue:
        - command: /bin/false
      always:
        - debug: msg=cleaned
    - debug: msg=never
",
    )
    .run();
    ran.says(&["failed: [a]", "failed: [a]", "cleaned"]);
    assert!(!ran.stdout.contains("never"), "{}", ran.stdout);
    assert_eq!(ran.code, 2);
}

#[test]
fn a_missing_include_is_fatal_and_may_be_ignored_as_any_failure() {
    let playbook = r"
- hosts: a,b
  gather_facts: false
  any_errors_fatal: true
  vars: {file: none.yml}
  tasks:
    - include_tasks: '{{ file }}'
      when: inventory_hostname == 'a'
    - debug: msg=after
";
    let ran = Play::new(playbook).run();
    assert!(!ran.stdout.contains("  after"), "{}", ran.stdout);
    let ignored = playbook.replace("when:", "ignore_errors: true\n      when:");
    let ran = Play::new(&ignored).run();
    ran.says(&["failed: [a] (ignored)", "after"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn handlers_of_a_role_that_tags_leave_out_are_no_fault() {
    let play = Play::new(
        "- hosts: a\n  gather_facts: false\n  roles: [one]\n  tasks:\n    - debug: msg=tagged\n      tags: wanted\n",
    );
    play.file(
        "roles/one/tasks/main.yml",
        "- set_fact: {place: x}\n- command: 'true'\n  notify: restart\n",
    );
    play.file(
        "roles/one/handlers/main.yml",
        "- name: restart\n  debug: msg={{ place }}\n",
    );
    let ran = play.args(&["--tags", "wanted"]).run();
    ran.says(&["tagged"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn facts_are_gathered_with_the_plays_environment_as_far_as_it_can_be_known() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_subset: [min, env]
  environment:
    PATH: "{{ ansible_env.PATH }}:/extra"
    MARK: here
  tasks:
    - debug: msg="{{ ansible_env.MARK }} {{ '/extra' in ansible_env.PATH }}"
    - command: sh -c 'echo $PATH'
      register: said
    - debug: msg="{{ said.stdout.endswith('/extra') }}"
"#,
    )
    .run();
    ran.says(&["here False", "True"]);
}
