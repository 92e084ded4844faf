//! `krun resume`: what ended is not done again, what describes a state is looked at again, and doubt is asked about.

use crate::support::{Play, Ran};

impl Play {
    /// What the playbook's commands have written, a line each.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn resume(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = [&["resume"], words].concat();
        self.krun(&words)
    }
}

/// The lines of an error, without what differs from run to run.
fn settled(ran: &Ran, play: &Play) -> String {
    let text = ran
        .stderr
        .replace(&play.path().display().to_string(), "DIR");
    nameless(&text)
}

fn nameless(text: &str) -> String {
    let run = fancy_regex::Regex::new(r"\d{8}T\d{6}Z-\d+").unwrap();
    run.replace_all(text, "RUN").into_owned()
}

/// What a run said, from its first failure on.
fn failure(ran: &Ran) -> String {
    let lines = ran
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("failed:"));
    let lines = lines.take_while(|line| !line.is_empty());
    nameless(&lines.collect::<Vec<_>>().join("\n"))
}

const STORY: &str = r#"
- hosts: a,b,c
  serial: 1
  gather_facts: false
  any_errors_fatal: true
  handlers:
    - name: restart
      shell: echo "{{ inventory_hostname }} handler" >> {{ dir }}/log
  tasks:
    - name: First
      shell: echo "{{ inventory_hostname }} first" | tee -a {{ dir }}/log
      register: first
    - name: Config
      copy: {content: "{{ first.stdout }}\n", dest: "{{ dir }}/{{ inventory_hostname }}.txt"}
      register: config
      notify: restart
    - include_tasks: more.yml
      loop: [1, 2]
      loop_control: {loop_var: round}
    - name: Last
      shell: echo "{{ inventory_hostname }} last {{ first.stdout }} {{ config.changed }}" >> {{ dir }}/log
"#;

const MORE: &str = r#"
- name: Many
  shell: echo "{{ inventory_hostname }} {{ round }}{{ item }}" >> {{ dir }}/log; test "{{ inventory_hostname }}{{ round }}{{ item }}" != b2y || test -e {{ dir }}/fixed
  loop: [x, y, z]
"#;

#[test]
fn it_goes_on_inside_an_include_where_it_stopped_and_nothing_is_done_twice() {
    let play = Play::new(STORY);
    play.file("more.yml", MORE);
    let ran = play.run();
    assert_eq!(ran.code, 2);
    assert!(
        ran.stdout.contains("go on with: krun resume\n"),
        "{}",
        ran.stdout
    );
    let before = play.log();
    assert_eq!(before.last().unwrap(), "b 2z");
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let after = play.log();
    assert_eq!(
        after[before.len()..],
        [
            "b 2y",
            "b last b first True",
            "b handler",
            "c first",
            "c 1x",
            "c 1y",
            "c 1z",
            "c 2x",
            "c 2y",
            "c 2z",
            "c last c first True",
            "c handler"
        ]
    );
    assert_eq!(
        ran.recap("a"),
        "a : ok=7 changed=0 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0"
    );
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(settled(&ran, &play), @"error: run RUN ended well: there is nothing to go on with");
}

#[test]
fn a_resumed_run_that_stops_is_resumed_with_what_both_did() {
    let play = Play::new(STORY);
    play.file("more.yml", MORE);
    play.run();
    let before = play.log().len();
    assert_eq!(play.resume(&[]).code, 2);
    assert_eq!(play.log()[before..], ["b 2y"]);
    play.file("fixed", "");
    assert_eq!(play.resume(&[]).code, 0);
    let log = play.log();
    assert_eq!(
        log[before..before + 3],
        ["b 2y", "b 2y", "b last b first True"]
    );
    assert_eq!(log.iter().filter(|line| *line == "a first").count(), 1);
}

#[test]
fn changed_files_are_told_and_need_a_word() {
    let play = Play::new(STORY);
    let more = play.file("more.yml", MORE);
    play.run();
    let before = play.log().len();
    std::fs::write(&more, MORE.replace("test -e", "test -d")).unwrap();
    play.file("group_vars/all.yml", "x: 1\n");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(settled(&ran, &play), @r"
    error: these files differ from those of run RUN
      new      group_vars/all.yml
      changed  more.yml
    help: `krun resume --changed-files-ok` goes on with the files as they are now
    ");
    assert_eq!(play.log().len(), before);
    play.file("fixed/now", "");
    let ran = play.resume(&["--changed-files-ok"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // Another command under the same name is another command.
    assert_eq!(play.log()[before..before + 2], ["b 1x", "b 1y"]);
}

#[test]
fn a_finished_host_that_differs_stops_it_before_anything_is_changed() {
    let play = Play::new(STORY);
    play.file("more.yml", MORE);
    play.run();
    let before = play.log().len();
    play.file("fixed", "");
    play.file("a.txt", "somebody's\n");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(failure(&ran).replace(&play.path().display().to_string(), "DIR"), @r"
    failed: [a]
      run RUN had finished `Config` here, and the host differs from that now
      --> play.yml:13:7
      help: `krun resume --anew a` runs everything again on this host; `krun resume --differences-ok` goes on and leaves it as it is
    --- before: DIR/a.txt
    +++ after: DIR/a.txt
    @@ -1 +1 @@
    -somebody's
    +a first
    ");
    assert_eq!(play.log().len(), before);
    let ran = play.resume(&["--differences-ok"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let conf = || std::fs::read_to_string(play.path().join("a.txt")).unwrap();
    assert_eq!(conf(), "somebody's\n");
}

#[test]
fn a_host_is_done_anew_where_the_user_says_so() {
    let play = Play::new(STORY);
    play.file("more.yml", MORE);
    play.run();
    let before = play.log().len();
    play.file("fixed", "");
    play.file("a.txt", "somebody's\n");
    let ran = play.resume(&["--anew", "a"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(play.log()[before..before + 2], ["a first", "a 1x"]);
    assert_eq!(
        std::fs::read_to_string(play.path().join("a.txt")).unwrap(),
        "a first\n"
    );
}

#[test]
fn what_a_later_task_has_changed_on_a_finished_host_is_no_difference() {
    let play = Play::new(
        r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - copy: {content: "one\n", dest: "{{ dir }}/{{ inventory_hostname }}.txt"}
    - lineinfile: {path: "{{ dir }}/{{ inventory_hostname }}.txt", line: two}
    - file: {path: "{{ dir }}/{{ inventory_hostname }}.tmp", state: directory}
    - file: {path: "{{ dir }}/{{ inventory_hostname }}.tmp", state: absent}
    - stat: {path: "{{ dir }}/fixed"}
      register: fixed
    - shell: test {{ inventory_hostname }} = a || test -e {{ dir }}/fixed
"#,
    );
    assert_eq!(play.run().code, 2);
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let conf = std::fs::read_to_string(play.path().join("a.txt")).unwrap();
    assert_eq!(conf, "one\ntwo\n");
}

#[test]
fn a_result_that_held_a_secret_is_not_made_up() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: The key
      shell: echo key-of-the-house | tee -a {{ dir }}/log
      register: key
      no_log: true
    - command: test -e {{ dir }}/fixed
    - shell: echo "used {{ key.stdout }}" >> {{ dir }}/log
"#,
    );
    assert_eq!(play.run().code, 2);
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(failure(&ran), @r"
    failed: [a]
      `key` cannot be restored: it held a secret, which no record keeps
      --> play.yml:5:7
      help: look at the host, then `krun resume --again 'The key'` runs it again, or `krun resume --done 'The key'` takes it as done
    ");
    assert_eq!(play.log().len(), 1);
    let ran = play.resume(&["--again", "The key"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        play.log(),
        [
            "key-of-the-house",
            "key-of-the-house",
            "used key-of-the-house"
        ]
    );
}

#[test]
fn gates_are_read_live_on_a_host_in_between_and_passed_on_a_finished_one() {
    let play = Play::new(
        r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: The gate
      wait_for: {path: "{{ dir }}/open", timeout: 2}
    - shell: test {{ inventory_hostname }} = a || test -e {{ dir }}/fixed
"#,
    );
    let open = play.file("open", "");
    assert_eq!(play.run().code, 2);
    play.file("fixed", "");
    std::fs::remove_file(&open).unwrap();
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    ran.says(&["ok: [a]  (in the run before)"]);
    assert!(ran.stdout.contains("failed: [b]"), "{}", ran.stdout);
    std::fs::write(&open, "").unwrap();
    assert_eq!(play.resume(&[]).code, 0);
}

#[test]
fn a_stopped_run_of_a_saved_plan_goes_on_with_what_the_plan_showed_and_nothing_else() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: "one\n", dest: "{{ dir }}/one"}
    - shell: echo x >> {{ dir }}/log && test -e {{ dir }}/fixed
    - copy: {content: "two\n", dest: "{{ dir }}/two"}
"#,
    );
    let plan = play.words(&["plan", "-o", "a.plan"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    assert_eq!(play.krun(&["apply", "a.plan"]).code, 2);
    play.file("fixed", "");
    let two = play.file("two", "somebody's\n");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.contains("somebody's"), "{}", ran.stdout);
    std::fs::remove_file(two).unwrap();
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        std::fs::read_to_string(play.path().join("two")).unwrap(),
        "two\n"
    );
    // It failed, so it ran again; what had ended well then was not.
    assert_eq!(play.log(), ["x", "x"]);
}

#[test]
fn what_a_later_task_has_put_where_something_was_removed_is_not_removed_again() {
    let play = Play::new(
        r#"
- hosts: a,b
  gather_facts: false
  tasks:
    - file: {path: "{{ dir }}/{{ inventory_hostname }}", state: absent}
    - file: {path: "{{ dir }}/{{ inventory_hostname }}", state: directory}
    - shell: echo kept > {{ dir }}/{{ inventory_hostname }}/data
    - command: test -e {{ dir }}/fixed
"#,
    );
    assert_eq!(play.run().code, 2);
    // As a server does that a later task has started.
    play.file("a/more", "kept\n");
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for file in ["a/data", "a/more", "b/data"] {
        let text = std::fs::read_to_string(play.path().join(file)).unwrap();
        assert_eq!(text, "kept\n");
    }
}

#[test]
fn what_nobody_of_the_run_has_put_there_is_guarded_in_a_resumed_run_too() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - file: {path: "{{ dir }}/old", state: absent}
    - command: test -e {{ dir }}/fixed
"#,
    );
    assert_eq!(play.run().code, 2);
    play.file("old/theirs", "");
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    let said = failure(&ran);
    assert!(said.contains("it would remove what is there"), "{said}");
    assert!(play.path().join("old/theirs").exists());
    let ran = play.resume(&["--allow-destroy"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!play.path().join("old").exists());
}

#[test]
fn handlers_that_ran_do_not_run_again_and_those_of_an_included_role_are_not_lost() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  handlers:
    - name: first
      shell: echo first >> {{ dir }}/log
    - name: second
      shell: test -e {{ dir }}/fixed && echo second >> {{ dir }}/log
  tasks:
    - copy: {content: "x\n", dest: "{{ dir }}/a.txt"}
      notify: [first, second]
    - include_role: {name: broker}
"#,
    );
    play.file(
        "roles/broker/tasks/main.yml",
        "- shell: echo broker >> {{ dir }}/log\n  notify: third\n",
    );
    play.file(
        "roles/broker/handlers/main.yml",
        "- name: third\n  shell: echo third >> {{ dir }}/log\n",
    );
    assert_eq!(play.run().code, 2);
    assert_eq!(play.log(), ["broker", "first"]);
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(play.log(), ["broker", "first", "second", "third"]);
}

#[test]
fn a_failure_that_was_rescued_is_not_tried_again_and_the_rescue_goes_on() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - block:
            - name: body
              shell: echo body >> {{ dir }}/log; test -e {{ dir }}/fixed
            - shell: echo never >> {{ dir }}/log
      rescue:
        - shell: echo rescue >> {{ dir }}/log
        - shell: test -e {{ dir }}/fixed && echo "mended {{ ansible_failed_task.name }}" >> {{ dir }}/log
    - shell: test -e {{ dir }}/fixed/more && echo after >> {{ dir }}/log
"#,
    );
    assert_eq!(play.run().code, 2);
    play.file("fixed/empty", "");
    assert_eq!(play.resume(&[]).code, 2);
    play.file("fixed/more", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(play.log(), ["body", "rescue", "mended body", "after"]);
}

#[test]
fn what_only_the_user_can_decide_is_neither_rescued_nor_ignored() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - block:
        - name: The key
          shell: echo key
          register: key
          no_log: true
          ignore_errors: true
        - command: test -e {{ dir }}/fixed
      rescue:
        - shell: echo rescue >> {{ dir }}/log; false
      always:
        - shell: echo always >> {{ dir }}/log
",
    );
    assert_eq!(play.run().code, 2);
    assert_eq!(play.log(), ["rescue", "always"]);
    play.file("fixed", "");
    let ran = play.resume(&[]);
    assert_eq!(ran.code, 2);
    let said = failure(&ran);
    assert!(said.contains("`key` cannot be restored"), "{said}");
    assert_eq!(play.log(), ["rescue", "always"]);
}
