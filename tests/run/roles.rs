//! Roles while running: which variables stay, what has run already, what throttles and paths are.

use crate::support::Play;

#[test]
fn a_public_role_leaves_its_variables_to_later_tasks_and_another_does_not() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - include_role: {name: hidden}
    - include_role: {name: shown, public: true}
    - debug: msg="{{ of_shown }} {{ var_of_shown }} {{ of_hidden | default('nothing') }}"
"#,
    );
    for name in ["hidden", "shown"] {
        play.file(
            &format!("roles/{name}/defaults/main.yml"),
            &format!("of_{name}: default\n"),
        );
        play.file(
            &format!("roles/{name}/vars/main.yml"),
            &format!("var_of_{name}: var\n"),
        );
        play.file(&format!("roles/{name}/tasks/main.yml"), "- debug: msg=in\n");
    }
    play.run().says(&["default var nothing"]);
}

#[test]
fn a_dependency_that_has_run_is_not_run_again_by_an_included_role() {
    let play = Play::new(
        "- hosts: a\n  gather_facts: false\n  roles: [base]\n  tasks:\n    - include_role: {name: app}\n    - include_role: {name: other}\n",
    );
    play.file("roles/base/tasks/main.yml", "- debug: msg=of-base\n");
    for name in ["app", "other"] {
        play.file(
            &format!("roles/{name}/meta/main.yml"),
            "dependencies: [base]\n",
        );
        play.file(
            &format!("roles/{name}/tasks/main.yml"),
            &format!("- debug: msg=of-{name}\n"),
        );
    }
    let ran = play.run();
    ran.says(&["of-base", "of-app", "of-other"]);
    assert_eq!(ran.stdout.matches("of-base").count(), 1, "{}", ran.stdout);
}

#[test]
fn directories_are_absolute() {
    let play = Play::new(
        "- hosts: a\n  gather_facts: false\n  roles: [r]\n  tasks:\n    - debug: msg={{ playbook_dir }}\n",
    );
    play.file(
        "roles/r/tasks/main.yml",
        "- debug: msg={{ role_path }}\n- import_tasks: '{{ role_path }}/tasks/more.yml'\n",
    );
    play.file("roles/r/tasks/more.yml", "- debug: msg=more\n");
    let dir = play.path().canonicalize().unwrap();
    let ran = play.run();
    ran.says(&[
        &format!("{}/roles/r", dir.display()),
        "more",
        &dir.display().to_string(),
    ]);
}

#[test]
fn no_more_hosts_than_the_throttle_says_are_at_the_task() {
    let text = |throttle: &str| {
        format!(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - shell: mkdir {{{{ dir }}}}/lock && sleep 0.2 && rmdir {{{{ dir }}}}/lock\n{throttle}"
        )
    };
    assert_eq!(
        Play::new(&text("")).run().code,
        2,
        "they meet where nothing holds them apart"
    );
    for throttle in [
        "      throttle: 1\n",
        "      throttle: '{{ 1 }}'\n",
        "  strategy: free\n  throttle: 1\n",
    ] {
        let ran = Play::new(&text(throttle)).run();
        assert_eq!(ran.code, 0, "{throttle}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_background_task_is_refused_and_one_that_is_waited_for_has_its_time() {
    let play = |words: &str| {
        Play::new(&format!(
            "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: sleep 30\n{words}"
        ))
    };
    let ran = play("      async: 60\n      poll: 0\n").run();
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr
            .contains("`poll: 0` leaves a task in the background"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("play.yml:6:13"), "{}", ran.stderr);
    let ran = play("      async: 1\n      poll: 1\n").run();
    assert_eq!(ran.code, 2);
    assert!(ran.recap("a").contains("failed=1"), "{}", ran.stdout);
}
