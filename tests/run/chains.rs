//! Chains of tasks of which nobody can say everything before: what a plan must not claim to know.

use super::support::Play;

#[test]
fn what_a_command_may_add_to_is_not_listed_as_if_it_were_all() {
    let play = Play::new(
        r#"
- hosts: a
  gather_subset: [min]
  tasks:
    - find: paths={{ dir }}/d
      register: before
    - name: install
      command: ./install
    - name: files
      find: paths={{ dir }}/d
      register: after
    - name: services
      service_facts:
    - name: nobody
      getent: database=passwd key=krun-nobody fail_key=false
    - name: known before
      copy: dest={{ dir }}/before content="{{ before.matched }}"
    - name: known after
      copy: dest={{ dir }}/after content="{{ after.matched }}"
    - name: known of services
      copy: dest={{ dir }}/services content="{{ ansible_facts['services'] | length }}"
    - name: known of others
      copy: dest={{ dir }}/system content="{{ ansible_facts.system }}"
"#,
    );
    play.file("d/one", "1");
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let may = |what: &str| format!("{what} is not there now; after `install` it may be");
    plan.says(&[
        "TASK [files]",
        "unknown: [a]",
        &may("another file"),
        "TASK [services]",
        "unknown: [a]",
        &may("another service"),
        "TASK [nobody]",
        "unknown: [a]",
        &may("`krun-nobody` in the database `passwd`"),
        "TASK [known before]",
        "would change: [a]",
        "TASK [known after]",
        "unknown: [a]",
        "TASK [known of services]",
        "unknown: [a]",
        "TASK [known of others]",
        "would change: [a]",
    ]);
}

#[test]
fn an_account_that_a_command_may_bring_is_not_shown_as_new() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let plan = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: before
      group: name=krun-before
    - name: install
      command: ./install
    - name: a group
      group: name=krun-planned
    - name: a user
      user: name=krun-planned group=krun-planned create_home=no
    - name: its entry
      getent: database=passwd key=krun-planned
    - name: its file
      copy: dest={{ dir }}/a content=a owner=krun-planned mode=0600
",
    )
    .subcommand("--check");
    let may = |database: &str| {
        format!("`krun-planned` in /etc/{database} is not there now; after `install` it may be")
    };
    plan.says(&[
        "TASK [before]",
        "would change: [a]",
        "TASK [a group]",
        "perhaps: [a]",
        &may("group"),
        "TASK [a user]",
        "perhaps: [a]",
        &may("passwd"),
        "TASK [its entry]",
        "unknown: [a]",
        &may("passwd"),
        "TASK [its file]",
        "would change: [a]",
    ]);
}
