//! The language: loops, until, includes, roles, tags, variables.

use crate::support::Play;

#[test]
fn loops_register_all_results_and_when_is_judged_per_item() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo {{ item }}
      loop: [1, 2, 3]
      when: item != 2
      register: it
    - debug: msg="{{ it.results | map(attribute='stdout', default='-') | join(' ') }}"
    - set_fact: {sum: "{{ sum | default(0) | int + item }}"}
      loop: [1, 2, 3]
    - debug: msg="sum {{ sum }}"
    - debug: msg="{{ item.key }}={{ item.value }}"
      with_dict: {x: 1, y: 2}
"#,
    )
    .run();
    ran.says(&[
        "changed: [a] => (item=1)",
        "skipping: [a] => (item=2)",
        "1 - 3",
        "sum 6",
        "x=1",
        "y=2",
    ]);
}

#[test]
fn until_tries_again_and_says_so() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - shell: "echo x >> {{ dir }}/tries; wc -l < {{ dir }}/tries"
      register: it
      until: it.stdout | int >= 3
      retries: 5
      delay: 0
      changed_when: false
    - debug: msg="{{ it.attempts }} attempts"
"#,
    )
    .run();
    ran.says(&[
        "retrying: [a] (5 tries left)",
        "retrying: [a] (4 tries left)",
        "ok: [a]",
        "3 attempts",
    ]);
}

#[test]
fn included_tasks_run_for_the_hosts_that_want_them() {
    let play = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - include_tasks: "{{ inventory_hostname }}.yml"
      when: inventory_hostname != 'c'
    - debug: msg=after
"#,
    );
    play.file("a.yml", "- debug: msg=for-a\n");
    play.file("b.yml", "- debug: msg=for-b\n");
    let ran = play.run();
    ran.says(&["for-a", "for-b", "after"]);
    assert_eq!(ran.stdout.matches("for-a").count(), 1);
}

#[test]
fn a_role_brings_defaults_vars_templates_and_handlers() {
    let play =
        Play::new("- hosts: a\n  gather_facts: false\n  roles:\n    - role: r\n      who: you\n");
    play.file(
        "roles/r/defaults/main.yml",
        "greeting: hello\nwho: nobody\n",
    );
    play.file("roles/r/templates/t.j2", "{{ greeting }} {{ who }}\n");
    play.file(
        "roles/r/tasks/main.yml",
        "- template: {src: t.j2, dest: '{{ dir }}/out'}\n  notify: done\n",
    );
    play.file(
        "roles/r/handlers/main.yml",
        "- name: done\n  debug: msg=handled\n",
    );
    let ran = play.run();
    ran.says(&["+hello you", "RUNNING HANDLER [r : done]", "handled"]);
    assert_eq!(
        std::fs::read_to_string(play.path().join("out")).unwrap(),
        "hello you\n"
    );
}

#[test]
fn tags_choose_tasks() {
    let text = r"
- hosts: a
  gather_facts: false
  tasks:
    - {debug: msg=one, tags: one}
    - {debug: msg=two, tags: two}
    - {debug: msg=always, tags: always}
";
    let ran = Play::new(text).args(&["--tags", "two"]).run();
    ran.says(&["two", "always"]);
    assert!(!ran.stdout.contains("one"));
}

#[test]
fn check_mode_changes_nothing_and_shows_the_diff() {
    let play = Play::new("- hosts: a\n  gather_facts: false\n  tasks:\n    - copy: {content: new, dest: '{{ dir }}/x'}\n    - command: touch {{ dir }}/y\n").args(&["--check", "--exit-code"]);
    let ran = play.run();
    ran.says(&["would change: [a]", "+new"]);
    assert!(!play.path().join("x").exists() && !play.path().join("y").exists());
    assert_eq!(ran.code, 3);
}

#[test]
fn a_secret_of_no_log_is_not_shown() {
    let ran = Play::new("- hosts: a\n  gather_facts: false\n  tasks:\n    - command: echo hunter2secret\n      no_log: true\n    - copy: {content: hunter2secret, dest: '{{ dir }}/x'}\n      no_log: true\n").args(&["-vv"]).run();
    assert_eq!(ran.code, 0);
    assert!(!ran.stdout.contains("hunter2secret"), "{}", ran.stdout);
}

#[test]
fn a_task_queued_behind_a_slow_one_does_not_count_its_time() {
    let ran = Play::new(
        "- hosts: a\n  gather_facts: false\n  tasks:\n    - command: sleep 2.3\n    - file: {path: '{{ dir }}', state: directory}\n",
    )
    .run();
    // However busy the machine is, it is no less.
    let shown = ran
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("changed: [a]  "));
    let seconds = shown.and_then(|shown| shown.strip_suffix(" s")?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|it| it >= 2.3), "{}", ran.stdout);
    assert!(ran.stdout.contains("ok: [a]\n"), "{}", ran.stdout);
}

#[test]
fn a_home_or_a_variable_in_a_path_is_the_hosts() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  environment: {HOME: "{{ dir }}/home", KRUN_PLACE: "{{ dir }}/place"}
  tasks:
    - file: {path: "{{ item }}", state: directory}
      loop: ["{{ dir }}/home", $KRUN_PLACE/deep]
    - copy: {dest: ~/made, content: "text\n"}
    - lineinfile: {dest: ~/made, line: more}
    - file: {src: ~/made, dest: ~/link, state: link}
    - find: {paths: ['~', $KRUN_PLACE], file_type: any}
      register: found
    - debug: msg="{{ found.files | map(attribute='path') | map('relpath', dir) | sort | join(' ') }}"
    - stat: {path: "{{ dir }}/home/link"}
      register: link
    - debug: msg="{{ link.stat.lnk_target | relpath(dir) }}"
    - stat: {path: ~no-such-user/x}
    - debug: msg="{{ lookup('file', '~root/no/such') }}"
      ignore_errors: yes
"#,
    )
    .run();
    ran.says(&[
        "home/link home/made place/deep",
        "home/made",
        "could not find `~root/no/such`: /root/no/such",
    ]);
    assert_eq!(ran.code, 0);
}

#[test]
fn a_task_may_say_how_its_template_is_to_be_read() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  vars: {x: 1}
  tasks:
    - template:
        src: own.j2
        dest: "{{ dir }}/own"
        variable_start_string: "[["
        variable_end_string: "]]"
        lstrip_blocks: yes
    - template: {src: kept.j2, dest: "{{ dir }}/kept", trim_blocks: no}
    - debug: msg="{{ lookup('template', 'own.j2', variable_start_string='[[', variable_end_string=']]') | trim }}"
"#,
    );
    play.file(
        "own.j2",
        "  {% if x %}\n[[ x ]] {{ not_ours }}\n  {% endif %}\n",
    );
    play.file("kept.j2", "{% if x %}\n{{ x }}\n{% endif %}\n");
    let ran = play.run();
    ran.says(&["1 {{ not_ours }}"]);
    let read = |name: &str| std::fs::read_to_string(play.path().join(name)).unwrap();
    assert_eq!(read("own"), "1 {{ not_ours }}\n");
    assert_eq!(read("kept"), "\n1\n");
}

#[test]
fn what_a_task_writes_on_this_machine_is_read_by_the_next() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - shell: sleep 0.3; echo new > {{ dir }}/looked-up
    - copy: {dest: "{{ dir }}/one", content: "{{ lookup('file', dir ~ '/looked-up') }}"}
    - shell: sleep 0.3; echo new > {{ dir }}/template.j2
    - template: {src: template.j2, dest: "{{ dir }}/two"}
    - shell: sleep 0.3; echo new > {{ dir }}/source
    - copy: {src: source, dest: "{{ dir }}/three"}
"#,
    );
    for name in ["looked-up", "template.j2", "source"] {
        play.file(name, "old\n");
    }
    play.run();
    let read = |name: &str| std::fs::read_to_string(play.path().join(name)).unwrap();
    assert_eq!(
        [read("one"), read("two"), read("three")],
        ["new", "new\n", "new\n"]
    );
}

#[test]
fn tests_of_paths_look_at_this_machine() {
    let play = Play::new("");
    play.file("file", "");
    for (target, name) in [("file", "link"), ("nowhere", "dangling")] {
        std::os::unix::fs::symlink(target, play.path().join(name)).unwrap();
    }
    let tests = [
        "exists",
        "link_exists",
        "file",
        "directory",
        "link",
        "mount",
    ];
    let paths = "[dir, dir + '/file', dir + '/link', dir + '/dangling', dir + '/none', '/proc']";
    let tasks = tests.map(|test| {
        format!("    - debug: msg=\"{test} {{% for path in {paths} %}}{{{{ 'y' if path is {test} else 'n' }}}}{{% endfor %}}\"\n")
    });
    let head = "- hosts: a\n  gather_facts: false\n  tasks:\n";
    play.file("play.yml", &format!("{head}{}", tasks.concat()));
    let ran = play.run();
    ran.says(&[
        "exists yyynny",
        "link_exists yyyyny",
        "file nyynnn",
        "directory ynnnny",
        "link nnyynn",
        "mount nnnnny",
    ]);
}
