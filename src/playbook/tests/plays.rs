//! What stands at the top level of a playbook.

use super::{faults, load_files, titles};

#[test]
fn a_playbook_must_be_a_list_of_plays() {
    insta::assert_snapshot!(faults("hosts: all\ntasks: []\n"), @r#"
    error: a playbook is a list of plays, not one mapping --> site.yml:1:1
      help: write `- ` before its first key and indent the others by two
    "#);
    insta::assert_snapshot!(faults("just words\n"), @r#"error: a playbook is a list of plays, not a string --> site.yml:1:1"#);
    insta::assert_snapshot!(faults(""), @r#"error: this playbook is empty --> site.yml:1:1"#);
    insta::assert_snapshot!(faults("[]\n"), @r#"error: this playbook holds no play --> site.yml:1:1"#);
    insta::assert_snapshot!(faults("- kafka\n"), @r#"
    error: a play must be a mapping, not `kafka` --> site.yml:1:3
      help: begin it with `- hosts: …`
    "#);
}

#[test]
fn a_task_at_the_level_of_plays_is_explained() {
    insta::assert_snapshot!(faults("- name: look\n  ping:\n"), @r#"
    error: a task stands where a play is expected --> site.yml:1:3
      help: put it under the `tasks:` of a play, which begins with `- hosts: …`
    "#);
}

#[test]
fn a_play_needs_hosts() {
    insta::assert_snapshot!(faults("- name: x\n  tasks: []\n"), @r#"
    error: this play has no `hosts` --> site.yml:1:3
      help: add `hosts:` with a host, a group or `all`
    "#);
    insta::assert_snapshot!(faults("- host: all\n  tasks: []\n"), @r#"
    error: unknown keyword `host` of a play --> site.yml:1:3
      help: did you mean `hosts`?
    "#);
    insta::assert_snapshot!(faults("- hosts:\n  tasks: []\n"), @r#"
    error: `hosts` is empty --> site.yml:1:3
      help: name a host, a group or `all`
    "#);
    insta::assert_snapshot!(faults("- hosts: {a: b}\n"), @r#"error: `hosts` must be a string or a list of strings, not a mapping --> site.yml:1:10"#);
}

#[test]
fn keys_of_a_play_are_judged() {
    insta::assert_snapshot!(
        faults("- hosts: all\n  becom: yes\n  ping:\n  when: x\n  seriall: 1\n"),
        @r#"
    error: unknown keyword `becom` of a play --> site.yml:2:3
      help: did you mean `become`?
    error: the module `ping` cannot stand in a play --> site.yml:3:3
      help: put it under `tasks:`
    error: `when` cannot stand in a play --> site.yml:4:3
      help: it belongs to a role entry, a block, a task, a handler
    error: unknown keyword `seriall` of a play --> site.yml:5:3
      help: did you mean `serial`?
    "#
    );
    insta::assert_snapshot!(
        faults("- hosts: all\n  become: maybe\n  tasks: {ping: }\n  max_fail_percentage: lots\n"),
        @r#"
    error: `become` must be a boolean, not `maybe` --> site.yml:2:11
    error: `tasks` must be a list, not a mapping --> site.yml:3:10
    error: `max_fail_percentage` must be a number, not `lots` --> site.yml:4:24
    "#
    );
    insta::assert_snapshot!(
        faults("- hosts: all\n  strategy: liner\n  order: sideways\n  serial: [1, many]\n"),
        @r#"
    error: unknown strategy `liner` --> site.yml:2:13
      help: did you mean `linear`?
    error: unknown order `sideways` --> site.yml:3:10
      help: it is one of inventory, reverse_inventory, sorted, reverse_sorted, shuffle, kafka
    error: `serial` must be a number of hosts or a percentage, not `many` --> site.yml:4:15
      help: write `serial: 1` or `serial: "30%"`
    "#
    );
}

#[test]
fn hosts_may_be_a_list_and_the_name_falls_back_to_them() {
    let (playbook, faults) = load_files(&[("site.yml", "- hosts: [a, b]\n  serial: [1, 50%]\n")]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    assert_eq!(play.hosts.as_str(), Some("a,b"));
    assert_eq!(play.name, "a,b");
    assert_eq!(play.serial.len(), 2);
}

#[test]
fn imported_playbooks_stand_in_their_places() {
    let (playbook, faults) = load_files(&[
        (
            "site.yml",
            "- import_playbook: sub/one.yml\n  tags: first\n  when: go\n  vars: {n: 1}\n- hosts: b\n  tasks: [ping: ]\n",
        ),
        (
            "sub/one.yml",
            "- hosts: a\n  vars: {n: 0, m: 2}\n  tasks: [ping: ]\n",
        ),
    ]);
    assert_eq!(faults, "");
    let plays = playbook.unwrap().plays;
    assert_eq!(plays[0].name, "a");
    assert_eq!(plays[1].name, "b");
    assert_eq!(plays[0].tags, ["first"]);
    assert!(plays[0].dir.ends_with("sub"));
    let tasks = super::notify::tasks(&plays[0].tasks);
    assert_eq!(tasks[0].when.len(), 1);
    assert_eq!(plays[0].vars.values["n"], 1);
    assert_eq!(plays[0].vars.values["m"], 2);
}

#[test]
fn imports_of_playbooks_are_judged() {
    let (_, faults) = load_files(&[(
        "site.yml",
        "- import_playbook: nowhere.yml\n- import_playbook: '{{ x }}.yml'\n- import_playbook: site.yml\n  become: yes\n",
    )]);
    insta::assert_snapshot!(faults, @r#"
    error: no file `nowhere.yml` --> site.yml:1:20
      help: looked for nowhere.yml
    error: the name of a playbook cannot be known before the run: a variable is undefined --> site.yml:2:20
      help: only extra variables and variables of the play or role are known here; include_tasks and include_role choose while running
    error: `become` cannot stand beside `import_playbook` --> site.yml:4:3
      help: it takes name, vars, when and tags
    error: playbooks import each other in a circle: site.yml → site.yml --> site.yml:3:20
    "#);
}

#[test]
fn a_circle_of_playbooks_is_spelled() {
    let (_, faults) = load_files(&[
        ("a.yml", "- import_playbook: b.yml\n"),
        ("b.yml", "- import_playbook: a.yml\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: playbooks import each other in a circle: a.yml → b.yml → a.yml --> b.yml:1:20
      a.yml:1:20: `b.yml` is named here
    "#);
}

#[test]
fn files_of_variables_must_be_there() {
    let (_, faults) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  vars_files:\n    - none.yml\n    - there.yml\n    - [none.yml, vars.yml]\n    - '{{ x }}.yml'\n",
        ),
        ("there.yml", "- a\n"),
        ("vars/vars.yml", "a: 1\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: no file `none.yml` --> site.yml:3:7
      help: looked for vars/none.yml, none.yml
    error: a file of variables must hold a mapping, not a list --> there.yml:1:1
    "#);
}

#[test]
fn variables_must_have_names() {
    insta::assert_snapshot!(
        faults("- hosts: all\n  vars:\n    kafka-version: 1\n    ok: 2\n- hosts: all\n  vars: 5\n"),
        @r#"
    error: `kafka-version` cannot be the name of a variable --> site.yml:3:5
      help: letters, digits and `_`, not beginning with a digit
    error: `vars` must be a mapping, not `5` --> site.yml:6:9
    "#
    );
}

#[test]
fn an_encrypted_file_needs_a_password() {
    let (_, faults) = load_files(&[
        ("site.yml", "- hosts: all\n  vars_files: secret.yml\n"),
        ("secret.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: this file is encrypted, and there is no vault password --> secret.yml:1:1
      help: give one with `--vault-password-file` or `--ask-vault-pass`
    "#);
}

#[test]
fn sections_keep_their_order() {
    let (playbook, faults) = load_files(&[(
        "site.yml",
        "- hosts: all\n  handlers: [{name: h, ping: }]\n  post_tasks: [{name: c, ping: }]\n  pre_tasks: [{name: a, ping: }]\n  tasks: [{name: b, ping: }]\n",
    )]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    assert_eq!(titles(&play.pre_tasks), "a");
    assert_eq!(titles(&play.tasks), "b");
    assert_eq!(titles(&play.post_tasks), "c");
    assert_eq!(titles(&play.handlers), "h");
}
