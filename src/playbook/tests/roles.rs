//! Roles: their files, what they depend on, and where they are looked for.

use super::{load_files, notify, titles};

const MAIN: &str = "- name: main\n  ping:\n";

#[test]
fn a_role_brings_its_files() {
    let (playbook, faults) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  roles:\n    - role: kafka\n      listener: 9092\n      tags: k\n      vars: {v: 1}\n  handlers:\n    - name: own\n      ping:\n",
        ),
        (
            "roles/kafka/tasks/main.yml",
            "- import_tasks: sub/more.yml\n- name: main\n  ping:\n  notify: [restart, 'kafka : restart', own]\n",
        ),
        (
            "roles/kafka/tasks/sub/more.yml",
            "- import_tasks: beside.yml\n- import_tasks: above.yml\n",
        ),
        (
            "roles/kafka/tasks/sub/beside.yml",
            "- name: beside\n  ping:\n",
        ),
        ("roles/kafka/tasks/above.yaml", ""),
        (
            "roles/kafka/tasks/above.yml",
            "- name: above\n  include_vars: v.yml\n",
        ),
        (
            "roles/kafka/handlers/main.yml",
            "- name: restart\n  ping:\n",
        ),
        ("roles/kafka/defaults/main.yaml", "a: 1\nb: 1\n"),
        ("roles/kafka/vars/main/one.yml", "b: 2\n"),
        ("roles/kafka/vars/main/two.yml", "c: 3\n"),
        ("roles/kafka/vars/v.yml", "c: 3\n"),
    ]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    assert_eq!(
        titles(&play.roles),
        "kafka : beside, kafka : above, kafka : main"
    );
    assert_eq!(titles(&play.handlers), "kafka : restart, own");
    let role = &play.role_list[0];
    assert_eq!(role.defaults.values.len(), 2);
    assert_eq!(role.vars.values["b"], 2);
    assert_eq!(role.vars.values["c"], 3);
    let task = &notify::tasks(&play.roles)[2];
    assert_eq!(task.params[0].values["listener"], 9092);
    assert_eq!(task.block_vars[0].values["v"], 1);
    assert_eq!(task.tags, ["k"]);
    assert!(task.dir.ends_with("roles/kafka/tasks"));
}

#[test]
fn dependencies_come_first_and_once() {
    let (playbook, faults) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  roles: [a, b, {role: c, x: 1}, {role: c, x: 2}, b]\n",
        ),
        ("roles/a/tasks/main.yml", MAIN),
        ("roles/a/defaults/main.yml", "from_a: 1\n"),
        ("roles/a/meta/main.yml", "dependencies: [c]\n"),
        ("roles/b/tasks/main.yml", MAIN),
        (
            "roles/b/meta/main.yml",
            "dependencies:\n  - role: c\n    when: go\n  - c\n",
        ),
        ("roles/c/tasks/main.yml", MAIN),
        ("roles/c/defaults/main.yml", "from_c: 1\n"),
    ]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    assert_eq!(
        titles(&play.roles),
        "c : main, a : main, c : main, b : main, c : main, c : main"
    );
    assert_eq!(play.role_list[1].name, "a");
    assert!(play.role_list[1].defaults.values.contains_key("from_c"));
    assert_eq!(play.role_list[0].parents, ["a"]);
    assert!(play.role_list[0].defaults.values.contains_key("from_a"));
}

#[test]
fn a_dependency_under_a_condition_does_not_stand_for_one_without() {
    let (playbook, _) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  roles: [{role: a, when: never}, b]\n",
        ),
        ("roles/a/tasks/main.yml", MAIN),
        ("roles/a/meta/main.yml", "dependencies: [c]\n"),
        ("roles/b/tasks/main.yml", MAIN),
        ("roles/b/meta/main.yml", "dependencies: [c]\n"),
        ("roles/c/tasks/main.yml", MAIN),
    ]);
    let play = &playbook.unwrap().plays[0];
    assert_eq!(
        titles(&play.roles),
        "c : main, a : main, c : main, b : main"
    );
}

#[test]
fn duplicates_run_again_where_the_role_allows_it() {
    let (playbook, _) = load_files(&[
        ("site.yml", "- hosts: all\n  roles: [a, a]\n"),
        ("roles/a/tasks/main.yml", MAIN),
        ("roles/a/meta/main.yml", "allow_duplicates: yes\n"),
    ]);
    assert_eq!(
        titles(&playbook.unwrap().plays[0].roles),
        "a : main, a : main"
    );
}

#[test]
fn roles_that_need_each_other_are_a_circle() {
    let (_, faults) = load_files(&[
        ("site.yml", "- hosts: all\n  roles: [a]\n"),
        ("roles/a/meta/main.yml", "dependencies: [b]\n"),
        ("roles/b/meta/main.yml", "dependencies:\n  - role: a\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: roles need each other in a circle: a → b → a --> roles/b/meta/main.yml:2:11
      site.yml:2:11: `a` is needed here
      roles/a/meta/main.yml:1:16: `b` is needed here
    "#);
}

#[test]
fn uses_of_roles_are_judged() {
    let (_, faults) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  roles:\n    - kafkaa\n    - {tags: x}\n    - [kafka]\n    - {role: kafka, become: perhaps}\n  tasks:\n    - import_role: {name: kafka, tasks_from: none, taks_from: x}\n    - import_role: {tasks_from: main}\n    - include_role: {name: nowhere}\n    - include_role: {name: kafka, tasks_from: faulty}\n",
        ),
        ("roles/kafka/tasks/main.yml", MAIN),
        ("roles/kafka/tasks/faulty.yml", "- pingg:\n"),
        ("roles/kafka/defaults/main.yml", "- a\n"),
        ("roles/kafka/meta/main.yml", "dependencies: x\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: no role `kafkaa` --> site.yml:3:7
      help: did you mean `kafka`? looked for roles/kafkaa, kafkaa
    error: this role has no name --> site.yml:4:7
      help: write `role: name`
    error: a role must be a name or a mapping, not a list --> site.yml:5:7
    error: `become` must be a boolean, not `perhaps` --> site.yml:6:29
    error: a file of variables must hold a mapping, not a list --> roles/kafka/defaults/main.yml:1:1
    error: `dependencies` must be a list, not `x` --> roles/kafka/meta/main.yml:1:15
    error: unknown argument `taks_from` of `import_role` --> site.yml:8:52
      help: did you mean `tasks_from`?
    error: the role `kafka` has no tasks/none --> site.yml:8:27
      help: looked for roles/kafka/tasks/none.yml, roles/kafka/tasks/none.yaml, roles/kafka/tasks/none.json, roles/kafka/tasks/none
    error: `import_role` names no role --> site.yml:9:7
      help: write `import_role: {name: kafka}`
    error: no role `nowhere` --> site.yml:10:28
      help: looked for roles/nowhere, nowhere
    warning: unknown module `pingg` --> roles/kafka/tasks/faulty.yml:1:3
      help: did you mean `ping`? a task that comes to it fails
    "#);
}

#[test]
fn import_role_inherits_and_brings_handlers() {
    let (playbook, faults) = load_files(&[
        (
            "site.yml",
            "- hosts: all\n  vars: {which: one}\n  tasks:\n    - import_role: {name: kafka, tasks_from: '{{ which }}'}\n      when: go\n      tags: t\n      become: yes\n",
        ),
        (
            "roles/kafka/tasks/one.yml",
            "- name: one\n  ping:\n  notify: restart\n",
        ),
        (
            "roles/kafka/handlers/main.yml",
            "- name: restart\n  ping:\n",
        ),
    ]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    assert_eq!(titles(&play.tasks), "kafka : one");
    assert_eq!(titles(&play.handlers), "kafka : restart");
    let task = &notify::tasks(&play.tasks)[0];
    assert_eq!(task.when.len(), 1);
    assert_eq!(task.tags, ["t"]);
    assert!(task.keywords.r#become.is_some());
}

/// The order is what ansible-core 2.19 runs.
#[test]
fn a_role_that_ran_as_a_dependency_does_not_run_again_as_one() {
    let files = [
        (
            "site.yml",
            "- hosts: all\n  roles: [a, b, {role: c, x: 1}, {role: c, x: 2}, b, {role: d, tags: t1}, {role: e, tags: t2}]\n  tasks:\n    - import_role: {name: d}\n    - include_role: {name: d}\n    - import_role: {name: a}\n",
        ),
        ("roles/a/tasks/main.yml", MAIN),
        ("roles/b/tasks/main.yml", MAIN),
        ("roles/c/tasks/main.yml", MAIN),
        ("roles/d/tasks/main.yml", MAIN),
        ("roles/e/tasks/main.yml", MAIN),
        ("roles/f/tasks/main.yml", MAIN),
        ("roles/a/meta/main.yml", "dependencies: [c]\n"),
        (
            "roles/b/meta/main.yml",
            "dependencies: [{role: c, when: true}, c]\n",
        ),
        ("roles/d/meta/main.yml", "dependencies: [f]\n"),
        ("roles/e/meta/main.yml", "dependencies: [f]\n"),
    ];
    let dir = tempfile::tempdir().unwrap();
    super::write(dir.path(), &files);
    let (playbook, faults) = super::load_dir(dir.path(), "site.yml");
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    let run = |titles: String| titles.replace(" : main", "").replace(", ", " ");
    assert_eq!(run(titles(&play.roles)), "c a c b c c f d e");
    assert_eq!(run(titles(&play.tasks)), "d include_role a");

    let include = &notify::tasks(&play.tasks)[1];
    let mut wanted = crate::playbook::RoleUse::new("d", include.span.clone());
    wanted.ran.clone_from(&play.role_list);
    let mut diagnostics = crate::diag::Diagnostics::new();
    let options = super::options();
    let role = crate::playbook::load_role(&wanted, include, &options, &mut diagnostics);
    assert_eq!(run(titles(&role.unwrap().tasks)), "d");
    assert!(diagnostics.is_empty());
}

#[test]
fn paths_are_read_as_ansible_reads_them() {
    let (_, faults) = load_files(&[
        ("play/site.yml", "- hosts: all\n  roles: [../../roles/a]\n"),
        ("roles/a/tasks/main.yml", MAIN),
    ]);
    assert_eq!(faults, "");
}
