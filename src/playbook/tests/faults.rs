//! The faults of tasks, each with its place and the way out.

use super::{load_files, play_of, task_faults};

#[test]
fn a_task_must_be_a_mapping_with_one_module() {
    insta::assert_snapshot!(task_faults("- ping data=x\n- 5\n- name: nothing\n"), @r#"
    error: a task must be a mapping, not `ping data=x` --> site.yml:3:7
      help: write a colon after the module: `ping: …`
    error: a task must be a mapping, not `5` --> site.yml:4:7
    error: a task without a module --> site.yml:5:7
      help: add one, such as `command:` or `copy:`
    "#);
    insta::assert_snapshot!(task_faults("- ping:\n  debug: msg=x\n"), @r#"
    error: a task has one module, this one has `ping` and `debug` --> site.yml:4:7
      site.yml:3:7: the first module
      help: begin another task with `- `
    "#);
    insta::assert_snapshot!(task_faults("- hosts: all\n  tasks: []\n"), @r#"
    error: a play stands where a task is expected --> site.yml:3:7
      help: plays stand at the top level of a playbook
    "#);
    insta::assert_snapshot!(task_faults("{ping: }"), @r#"error: `tasks` must be a list, not a mapping --> site.yml:3:5"#);
}

#[test]
fn unknown_modules_and_keywords_are_told_apart() {
    insta::assert_snapshot!(task_faults("- name: x\n  pingg:\n  whn: y\n"), @r#"
    error: unknown module `pingg` --> site.yml:4:7
      help: did you mean `ping`?
    error: unknown keyword `whn` of a task --> site.yml:5:7
      help: did you mean `when`?
    "#);
    insta::assert_snapshot!(task_faults("- frobnicate: {a: 1}\n"), @r#"
    error: unknown module `frobnicate` --> site.yml:3:7
      help: `krun doc` lists the modules that krun has; a task for other hosts may stand in a file of its own, which `include_tasks` reads only where it is wanted (`import_tasks` and `when` do not help)
    "#);
    insta::assert_snapshot!(task_faults("- ping:\n  notfy: x\n  hosts: all\n  listen: x\n"), @r#"
    error: unknown keyword `notfy` of a task --> site.yml:4:7
      help: did you mean `notify`?
    error: `hosts` cannot stand in a task --> site.yml:5:7
      help: it belongs to a play
    error: `listen` cannot stand in a task --> site.yml:6:7
      help: it belongs to a handler
    "#);
    insta::assert_snapshot!(task_faults("- my.own.pingg:\n"), @r#"
    error: unknown module `my.own.pingg` --> site.yml:3:7
      help: did you mean `ping`?
    "#);
    insta::assert_snapshot!(task_faults("- action: pingg x=1\n- action: {a: 1}\n- local_action: [x]\n"), @r#"
    error: unknown module `pingg` --> site.yml:3:15
      help: did you mean `ping`?
    error: `action` names no module --> site.yml:4:15
      help: write `action: {module: copy, …}`
    error: `local_action` must be a string or a mapping, not a list --> site.yml:5:21
    "#);
}

#[test]
fn values_of_keywords_are_judged() {
    insta::assert_snapshot!(
        task_faults("- ping:\n  become: perhaps\n  retries: many\n  register: my-var\n  loop_control: {lop_var: x}\n"),
        @r#"
    error: `become` must be a boolean, not `perhaps` --> site.yml:4:15
    error: `retries` must be an integer, not `many` --> site.yml:5:16
    warning: `loop_control` without a loop --> site.yml:7:7
      help: add `loop:`
    error: `my-var` cannot be the name of a variable --> site.yml:6:17
      help: letters, digits and `_`, not beginning with a digit
    "#
    );
    insta::assert_snapshot!(
        task_faults("- ping:\n  when: {a: b}\n  args: [1]\n  run_once: '{{ x }}'\n  ignore_errors: [yes]\n"),
        @r#"
    error: `when` must be a condition or a list of conditions, not a mapping --> site.yml:4:13
    error: `args` must be a mapping, not a list --> site.yml:5:13
    error: `ignore_errors` must be a boolean, not a list --> site.yml:7:22
    "#
    );
}

#[test]
fn arguments_are_judged_where_no_template_stands_in_the_way() {
    insta::assert_snapshot!(
        task_faults("- ping: dataa=x\n- ping: {datta: '{{ x }}'}\n- ping: [a]\n- ping: hello\n- debug: verbosity=lots\n"),
        @r#"
    error: unknown argument `dataa` of `ping` --> site.yml:3:13
      help: did you mean `data`?
    error: unknown argument `datta` of `ping` --> site.yml:4:14
      help: did you mean `data`?
    error: the arguments of `ping` must be a mapping, not a list --> site.yml:5:13
    error: `hello` is not an argument of `ping` --> site.yml:6:13
      help: arguments are written as `data: …`
    error: `verbosity` must be an integer, not `lots` --> site.yml:7:14
    "#
    );
    insta::assert_snapshot!(
        task_faults("- ping: '{{ arguments }}'\n- debug: {verbosity: '{{ x }}'}\n"),
        @r""
    );
    insta::assert_snapshot!(task_faults("- debug: msg=\"open\n"), @r#"error: a quote is opened and never closed --> site.yml:3:14"#);
}

#[test]
fn the_controllers_own_modules_are_judged() {
    insta::assert_snapshot!(
        task_faults("- meta: flush_handler\n- meta:\n- meta: dance\n- set_fact:\n- set_fact: {a-b: 1, cacheable: yes}\n- set_fact: words\n- add_host: groups=a\n"),
        @r#"
    error: unknown `meta: flush_handler` --> site.yml:3:13
      help: did you mean `flush_handlers`?
    error: `meta` without a word --> site.yml:4:7
      help: it is one of flush_handlers, refresh_inventory, noop, clear_facts, clear_host_errors, end_play, end_batch, end_host, end_role, reset_connection
    error: unknown `meta: dance` --> site.yml:5:13
      help: it is one of flush_handlers, refresh_inventory, noop, clear_facts, clear_host_errors, end_play, end_batch, end_host, end_role, reset_connection
    error: `set_fact` sets nothing --> site.yml:6:7
      help: add `name: value` below it
    error: `a-b` cannot be the name of a variable --> site.yml:7:18
      help: letters, digits and `_`, not beginning with a digit
    error: `words` is not an argument of `set_fact` --> site.yml:8:17
    error: `add_host` names no host --> site.yml:9:7
      help: add `name: …`
    "#
    );
    insta::assert_snapshot!(
        task_faults("- include_tasks:\n- include_tasks: {file: '{{ x }}', aply: {}}\n- include_role: kafka\n- include_role: {name: '{{ x }}', task_from: y}\n- include_vars: {fil: x}\n"),
        @r#"
    error: `include_tasks` names no file --> site.yml:3:7
      help: write `include_tasks: file.yml`
    error: unknown argument `aply` of `include_tasks` --> site.yml:4:40
      help: did you mean `apply`?
    error: `include_role` names no role: `kafka` is no `name: …` --> site.yml:5:21
      help: write `include_role: {name: kafka}`
    error: unknown argument `task_from` of `include_role` --> site.yml:6:39
      help: did you mean `tasks_from`?
    error: unknown argument `fil` of `include_vars` --> site.yml:7:22
      help: did you mean `file`?
    "#
    );
}

#[test]
fn a_task_has_one_loop() {
    insta::assert_snapshot!(
        task_faults("- ping:\n  loop: [1]\n  with_items: [2]\n- ping:\n  with_itms: [1]\n- ping:\n  loop: {a: b}\n- ping:\n  loop_control: {label: x}\n- ping:\n  loop: [1]\n  loop_control: {loop_var: my-item}\n"),
        @r#"
    error: a task has one loop, this one has `loop` and `with_items` --> site.yml:5:7
      site.yml:4:7: the first loop
    error: unknown loop `with_itms` --> site.yml:7:7
      help: did you mean `with_items`?
    error: `loop` must be a list, not a mapping --> site.yml:9:13
      help: for a mapping write `loop: "{{ … | dict2items }}"`
    warning: `loop_control` without a loop --> site.yml:11:7
      help: add `loop:`
    error: `my-item` cannot be the name of a variable --> site.yml:14:32
    "#
    );
}

#[test]
fn blocks_are_judged() {
    insta::assert_snapshot!(
        task_faults("- block: [{ping: }]\n  ping:\n  registr: x\n  loop: [1]\n- rescue: [{ping: }]\n- block: {ping: }\n"),
        @r#"
    error: the module `ping` cannot stand beside `block` --> site.yml:4:7
      help: put it into the block as a task of its own
    error: unknown keyword `registr` of a block --> site.yml:5:7
      help: `register` belongs to a task, a handler
    error: `loop` cannot stand in a block --> site.yml:6:7
      help: it belongs to a task, a handler
    error: `rescue` without a `block` --> site.yml:7:7
      help: put the tasks that it belongs to under `block:`
    error: `block` must be a list, not a mapping --> site.yml:8:14
    "#
    );
}

#[test]
fn a_file_that_an_earlier_task_may_bring_need_not_be_there() {
    let faults = |before: &str| {
        let tasks = format!("{before}\n- copy: src=none dest=/x\n");
        load_files(&[("site.yml", &play_of(&tasks))]).1
    };
    for brings in [
        "- fetch: src=/x dest=none flat=true",
        "- command: make\n  delegate_to: localhost",
        "- command: make\n  delegate_to: '{{ x }}'",
        "- local_action: command make",
        "- command: make\n  connection: local",
    ] {
        let faults = faults(brings);
        assert!(faults.starts_with("warning: no file `none` "), "{faults}");
        assert!(
            faults.contains("; an earlier task may bring it"),
            "{faults}"
        );
    }
    for other in [
        "- command: make",
        "- command: make\n  delegate_to: peter.local",
        "- stat: path=none\n  delegate_to: localhost",
    ] {
        let faults = faults(other);
        assert!(faults.starts_with("error: no file `none` "), "{faults}");
    }
}

#[test]
fn files_that_a_task_needs_must_be_there() {
    let tasks = "- include_vars: none.yml\n- include_vars: there.yml\n- include_vars: '{{ x }}.yml'\n- include_vars: none.yml\n  when: x\n- include_tasks: none.yml\n";
    let (_, faults) = load_files(&[("site.yml", &play_of(tasks)), ("vars/there.yml", "a: 1\n")]);
    insta::assert_snapshot!(faults, @r#"
    error: no file `none.yml` --> site.yml:3:21
      help: looked for vars/none.yml, none.yml
    warning: no file `none.yml` --> site.yml:6:21
      help: looked for vars/none.yml, none.yml
    error: no file `none.yml` --> site.yml:8:22
      help: looked for none.yml, tasks/none.yml
    "#);
}

#[test]
fn faults_inside_a_file_that_is_included_while_running_are_found() {
    let (_, faults) = load_files(&[
        ("site.yml", &play_of("- include_tasks: more.yml\n")),
        ("more.yml", "- pingg:\n- include_tasks: more.yml\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    warning: unknown module `pingg` --> more.yml:1:3
      help: did you mean `ping`? a task that comes to it fails
    "#);
}

#[test]
fn a_module_that_krun_does_not_have_is_an_error_only_where_it_is_read_before_the_run() {
    let (_, faults) = load_files(&[
        (
            "site.yml",
            &play_of(
                "- import_tasks: own.yml\n  when: never\n- include_role: {name: r}\n  when: never\n- include_tasks: more.yml\n",
            ),
        ),
        ("own.yml", "- s3_sync: {bucket: own}\n"),
        ("more.yml", "- import_tasks: deep.yml\n"),
        ("deep.yml", "- action: community.general.pkgng name=x\n"),
        (
            "roles/r/tasks/main.yml",
            "- firewalld: {port: 1/tcp, state: enabled}\n",
        ),
    ]);
    insta::assert_snapshot!(faults, @r"
    error: unknown module `s3_sync` --> own.yml:1:3
      help: `krun doc` lists the modules that krun has; a task for other hosts may stand in a file of its own, which `include_tasks` reads only where it is wanted (`import_tasks` and `when` do not help)
    warning: unknown module `firewalld` --> roles/r/tasks/main.yml:1:3
      help: a task that comes to it fails
    warning: unknown module `community.general.pkgng` --> deep.yml:1:11
      help: did you mean `ping`? a task that comes to it fails
    ");
}

#[test]
fn imports_are_judged() {
    let (_, faults) = load_files(&[
        (
            "site.yml",
            &play_of(
                "- import_tasks: none.yml\n- import_tasks: '{{ x }}.yml'\n- import_tasks: a.yml\n  loop: [1]\n- import_tasks:\n- import_playbook: a.yml\n- import_tasks: play.yml\n",
            ),
        ),
        ("a.yml", "- import_tasks: b.yml\n"),
        ("b.yml", "- ping:\n- import_tasks: a.yml\n"),
        ("play.yml", "tasks:\n  - ping:\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: no file `none.yml` --> site.yml:3:21
      help: looked for none.yml, tasks/none.yml
    error: the name of a file of tasks cannot be known before the run: a variable is undefined --> site.yml:4:21
      help: only extra variables and variables of the play or role are known here; include_tasks and include_role choose while running
    error: `import_tasks` cannot loop: it is expanded before the run --> site.yml:6:7
      help: write `include_tasks`, which runs once for each item
    error: files of tasks import each other in a circle: a.yml → b.yml → a.yml --> b.yml:2:17
      a.yml:1:17: `b.yml` is named here
    error: `import_tasks` names no file --> site.yml:7:7
      help: write `import_tasks: file.yml`
    error: `import_playbook` cannot stand in a list of tasks --> site.yml:8:7
      help: put it at the top level of the playbook
    error: a file of tasks holds only the list of tasks --> play.yml:1:1
      help: remove the `tasks:` above it
    "#);
}

#[test]
fn what_is_notified_must_be_there() {
    let play = "- hosts: all\n  tasks:\n    - ping:\n      notify: [restart kafka, restrt zookeeper, topic, '{{ x }}', reload a]\n  handlers:\n    - name: restart zookeeper\n      ping:\n    - name: other\n      listen: topic\n      pingg:\n    - name: reload {{ x }}\n      ping:\n";
    insta::assert_snapshot!(super::faults(play), @r#"
    error: unknown module `pingg` --> site.yml:10:7
      help: did you mean `ping`?
    error: no handler `restart kafka` in this play --> site.yml:4:16
    error: no handler `restrt zookeeper` in this play --> site.yml:4:31
      help: did you mean `restart zookeeper`?
    "#);
    let play = "- hosts: all\n  tasks:\n    - ping:\n      notify: from a role\n    - include_role: name='{{ x }}'\n";
    insta::assert_snapshot!(super::faults(play), @r"");
}

#[test]
fn all_faults_of_all_files_are_found_at_once() {
    let (_, faults) = load_files(&[
        (
            "site.yml",
            "- import_playbook: a.yml\n- import_playbook: b.yml\n",
        ),
        (
            "a.yml",
            "- hosts: a\n  tasks:\n    - pingg:\n    - debgu:\n",
        ),
        ("b.yml", "- hosts: [b\n"),
    ]);
    insta::assert_snapshot!(faults, @r#"
    error: unknown module `pingg` --> a.yml:3:7
      help: did you mean `ping`?
    error: unknown module `debgu` --> a.yml:4:7
      help: did you mean `debug`?
    error: invalid YAML: expected `,` or `]` --> b.yml:1:11
    "#);
}

#[test]
fn modules_that_need_one_of_several_arguments_get_one() {
    insta::assert_snapshot!(
        task_faults("- command:\n- shell: {chdir: /}\n- copy: dest=/a\n- command: ls\n- command: {argv: [ls]}\n"),
        @r#"
    error: `command` needs `cmd` or `argv` --> site.yml:3:7
    error: `shell` needs `cmd` --> site.yml:4:7
    error: `copy` needs `src` or `content` --> site.yml:5:7
    "#
    );
}
