//! What results and templates hold: the keys that playbooks for Ansible read.

use crate::support::Play;

#[test]
fn registered_facts_have_their_whole_names_and_services_are_a_variable() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - setup: {gather_subset: min}
      register: found
    - gather_facts:
    - debug: msg="{{ found.ansible_facts.ansible_system }} {{ ansible_system }}"
    - service_facts:
    - debug: msg="{{ services is mapping }}"
"#,
    )
    .run();
    ran.says(&["Linux Linux", "True"]);
}

#[test]
fn a_program_that_is_not_there_has_said_nothing() {
    let ran = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - command: no-such-program
      register: said
      failed_when: said.rc != 2 or said.stdout != '' or said.stdout_lines != []
",
    )
    .run();
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn a_result_that_cannot_be_judged_keeps_what_the_module_said() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo here
      register: said
      failed_when: "ansible_no_such.x"
      ignore_errors: true
    - debug: msg="{{ said.stdout }} {{ said.failed_when_result }}"
"#,
    )
    .run();
    ran.says(&["here `failed_when` cannot be judged: `ansible_no_such` is undefined"]);
}

#[test]
fn include_vars_says_which_files_it_read_and_takes_only_those_that_are_wanted() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - include_vars: {dir: all, files_matching: "^a", ignore_files: ["away.yml"], depth: 1}
      register: read
    - debug: msg="{{ read.ansible_included_var_files | map('basename') | join(' ') }} {{ x }}"
    - include_vars: {dir: all, extensions: [txt]}
      ignore_errors: true
      register: read
    - debug: msg="{{ read.message | replace(dir, '') }}"
    - include_vars: {dir: all, extensions: [txt], ignore_unknown_extensions: true}
    - debug: msg="{{ x }}"
"#,
    );
    for (name, value) in [
        ("a.yml", 1),
        ("away.yml", 2),
        ("b.yml", 3),
        ("below/a.yml", 4),
    ] {
        play.file(&format!("all/{name}"), &format!("x: {value}\n"));
    }
    play.file("all/below/c.txt", "x: 5\n");
    play.run().says(&[
        "a.yml 1",
        "`all/a.yml` does not have a valid extension: txt",
        "5",
    ]);
}

#[test]
fn a_template_knows_where_it_comes_from_and_goes_to() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - template: {src: a.j2, dest: "{{ dir }}/out"}
"#,
    );
    play.file(
        "templates/a.j2",
        "{{ template_path | basename }} {{ template_destpath | basename }} {{ template_host | length > 0 }} {{ template_run_date[:2] }}\n",
    );
    play.run();
    let text = std::fs::read_to_string(play.path().join("out")).unwrap();
    assert_eq!(text, "a.j2 out True 20\n");
}

#[test]
fn what_hosts_say_runs_nothing_in_a_condition_that_a_template_makes() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo "lookup('pipe', 'touch {{ dir }}/bang')"
      register: said
    - debug: msg=x
      when: '"foo" in {{ said.stdout }}'
      ignore_errors: true
"#,
    );
    let ran = play.run();
    assert!(!play.path().join("bang").exists(), "{}", ran.stdout);
    ran.says(&["failed: [a] (ignored)"]);
    assert!(ran.stdout.contains("write the condition without `{{ }}`"));
}

#[test]
fn files_that_lookups_find_are_found_from_everywhere() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - include_role: {name: one}
",
    );
    play.file(
        "roles/one/tasks/main.yml",
        r#"
- include_tasks: "{{ lookup('first_found', ['none.yml', 'some.yml']) }}"
- debug: msg="{{ lookup('file', lookup('fileglob', '*.txt')) }}"
- debug: msg="[{{ lookup('first_found', ['none.yml'], errors='ignore') }}]"
- debug: msg="{{ lookup('ini', 'port section=main file=a.ini') }}"
"#,
    );
    play.file("roles/one/tasks/some.yml", "- debug: msg=some\n");
    play.file("files/beside.txt", "beside the play");
    play.file("roles/one/files/a.ini", "[main]\nport=9092\n");
    play.run().says(&["some", "beside the play", "[]", "9092"]);
}

#[test]
fn a_user_that_is_left_out_is_nobody_in_particular() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: id -u
      become_user: "{{ other | default(omit) }}"
      delegate_to: "{{ other | default(omit) }}"
      register: said
    - debug: msg="uid {{ said.stdout }}"
"#,
    )
    .run();
    ran.says(&["changed: [a]"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn a_pause_of_no_time_asks_nobody() {
    let ran =
        Play::new("- hosts: a\n  gather_facts: false\n  tasks:\n    - pause: seconds=0\n").run();
    ran.says(&["ok: [a]"]);
    assert_eq!(ran.code, 0);
}
