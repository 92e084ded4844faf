//! The dialect of old Ansible, taken with a warning.

use super::{faults, load_files, play_of, task_faults, tasks_of, titles};

#[test]
fn variables_as_a_list_are_taken() {
    let text = "- hosts: all\n  vars:\n    - a: 1\n    - b: 2\n      a: 3\n";
    insta::assert_snapshot!(faults(text), @r#"
    warning: `vars` is a list, which today's Ansible refuses --> site.yml:3:5
      help: write a mapping: the same lines without the `-`
    "#);
    let (playbook, _) = load_files(&[("site.yml", text)]);
    let play = &playbook.unwrap().plays[0];
    assert_eq!(play.vars.values["a"], 3);
    assert_eq!(play.vars.values["b"], 2);
}

#[test]
fn sudo_becomes_become() {
    let text = "- hosts: all\n  sudo: yes\n  user: me\n  connection: localhost\n  tasks:\n    - ping:\n      sudo_user: kafka\n      always_run: yes\n";
    insta::assert_snapshot!(faults(text), @r#"
    warning: `sudo` is old --> site.yml:2:3
      help: write `become`
    warning: there is no connection `localhost` --> site.yml:4:15
      help: krun takes it for `local`
    warning: `sudo_user` is old --> site.yml:7:7
      help: write `become_user`
    warning: `always_run` is old --> site.yml:8:7
      help: write `check_mode: no`
    "#);
    let (playbook, _) = load_files(&[("site.yml", text)]);
    let play = &playbook.unwrap().plays[0];
    let keywords = &super::notify::tasks(&play.tasks)[0].keywords;
    let text = |node: &Option<crate::yaml::Node>| node.as_ref().map(crate::yaml::Node::to_value);
    assert_eq!(text(&keywords.r#become), Some(true.into()));
    assert_eq!(text(&keywords.become_user), Some("kafka".into()));
    assert_eq!(text(&keywords.remote_user), Some("me".into()));
    assert_eq!(text(&keywords.connection), Some("local".into()));
    assert_eq!(text(&keywords.check_mode), Some(false.into()));
}

#[test]
fn include_is_an_import_where_it_can_be() {
    let (playbook, faults) = load_files(&[
        (
            "site.yml",
            &play_of(
                "- include: a.yml port=1\n  when: x\n- include: '{{ item }}.yml'\n  with_items: [a]\n",
            ),
        ),
        ("a.yml", "- name: in a\n  ping:\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    warning: `include` is old --> site.yml:3:7
      help: write `import_tasks`
    warning: `include` is old --> site.yml:5:7
      help: write `include_tasks`
    "#);
    let play = &playbook.unwrap().plays[0];
    assert_eq!(titles(&play.tasks), "in a, include");
    let tasks = super::notify::tasks(&play.tasks);
    assert_eq!(tasks[0].params[0].values["port"], "1");
    assert_eq!(tasks[0].when.len(), 1);
}

#[test]
fn a_condition_in_braces_is_taken() {
    insta::assert_snapshot!(task_faults("- ping:\n  when: '{{ x }}'\n  until: \"{{ a }} == {{ b }}\"\n  retries: 1\n"), @r#"
    warning: `when` is an expression already, without `{{ }}` --> site.yml:4:13
      help: write `x`
    warning: `until` is an expression already, without `{{ }}` --> site.yml:5:14
    "#);
}

#[test]
fn actions_are_read_in_every_form() {
    let tasks = tasks_of(
        "- action: ping data=a\n- action: {module: ping, data: b}\n- local_action: ping data=c\n- ping:\n  args: {data: d}\n- ansible.builtin.ping: data=e\n- meta: flush_handlers\n- include_tasks: '{{ x }}.yml'\n",
    );
    let shown: Vec<String> = tasks
        .iter()
        .map(|task| {
            let args = serde_json::to_string(&task.args_value()).unwrap();
            let delegate = task.keywords.delegate_to.as_ref();
            format!(
                "{} {args} {}",
                task.module,
                delegate.map_or("", |node| node.as_str().unwrap())
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ping {"data":"a"} 
    ping {"data":"b"} 
    ping {"data":"c"} localhost
    ping {"data":"d"} 
    ansible.builtin.ping {"data":"e"} 
    meta {"_raw_params":"flush_handlers"} 
    include_tasks {"_raw_params":"{{ x }}.yml"}
    "#);
}

#[test]
fn arguments_that_old_ansible_let_pass_are_dropped() {
    insta::assert_snapshot!(
        task_faults("- file: {path: /a, state: link, src: /b, remote_src: yes}\n- command: ls warn=no\n- copy: dest=/x content=y setype=etc_t\n"),
        @r#"
    warning: `remote_src` has no effect on `file` --> site.yml:3:46
      help: remove it
    warning: `setype` of `copy` has no effect in krun --> site.yml:5:31
    "#
    );
}
