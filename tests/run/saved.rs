//! A saved plan: what was reviewed is done, and nothing else.

use super::support::{Play, Ran};

const PLAYBOOK: &str = "
- hosts: a
  gather_facts: false
  tasks:
    - name: Write
      copy: {content: \"port={{ port }}\\ndb_password={{ db_password }}\\n\", dest: '{{ dir }}/x.properties', mode: '0600'}
      notify: reload
    - name: Link
      file: {src: v2, dest: '{{ dir }}/current', state: link, force: true}
    - name: Run
      command: touch {{ dir }}/ran
    - name: One by one
      lineinfile: {path: '{{ dir }}/lines', line: '{{ item }}', create: true}
      loop: [one, two]
  handlers:
    - name: reload
      command: touch {{ dir }}/reloaded
";

fn play() -> Play {
    let play = Play::new(PLAYBOOK).args(&["-e", "@vars.yml"]);
    play.file("vars.yml", "port: 9092\ndb_password: hunter2222\n");
    play.file("x.properties", "port=1\n");
    play
}

/// `krun plan -o a.plan`, which must go well.
fn planned(play: &Play) -> Ran {
    let plan = play.words(&["plan", "-o", "a.plan"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    assert!(
        plan.stderr.contains("saved: krun apply a.plan"),
        "{}",
        plan.stderr
    );
    plan
}

fn text(play: &Play, name: &str) -> String {
    std::fs::read_to_string(play.path().join(name)).unwrap_or_else(|_| "(not there)".into())
}

#[test]
fn what_was_reviewed_is_done() {
    let play = play();
    let plan = planned(&play);
    let file = text(&play, "a.plan");
    assert!(!file.contains("hunter2222"), "a secret is in the plan");
    let shown = play.krun(&["show", "a.plan"]);
    assert_eq!(shown.stdout, plan.stdout);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(
        text(&play, "x.properties"),
        "port=9092\ndb_password=hunter2222\n"
    );
    assert_eq!(text(&play, "lines"), "one\ntwo\n");
    for made in ["ran", "reloaded"] {
        assert!(play.path().join(made).exists(), "{made}");
    }
    // The second time, nothing is as the plan saw it.
    let again = play.krun(&["apply", "a.plan"]);
    assert_eq!(again.code, 2, "{}", again.stdout);
    assert!(
        again.stdout.contains("planned: it would change; now"),
        "{}",
        again.stdout
    );
}

#[test]
fn what_has_drifted_is_named_with_both_versions_before_anything_is_touched() {
    let play = play();
    planned(&play);
    play.file("x.properties", "port=2\n");
    std::os::unix::fs::symlink("v1", play.path().join("current")).unwrap();
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    let dir = play.path().display().to_string();
    insta::assert_snapshot!(applied.stdout.replace(&dir, "DIR"), @r"
    drifted: [a]: Write
      it is no longer as the plan saw it
        --- before: DIR/x.properties: as planned → as found
        +++ after: DIR/x.properties: as planned → as found
        @@ -1 +1 @@
        -port=1
        +port=2
    drifted: [a]: Link
      it is no longer as the plan saw it
        DIR/current: as planned → as found
          state: absent → link
          target: v1
    ");
    assert_eq!(text(&play, "x.properties"), "port=2\n");
    assert!(!play.path().join("ran").exists());
}

#[test]
fn a_secret_that_became_another_is_a_drift_though_nobody_sees_it() {
    let play = play();
    planned(&play);
    play.file("x.properties", "port=1\ndb_password=another1\n");
    planned(&play);
    play.file("x.properties", "port=1\ndb_password=another2\n");
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}", applied.stdout);
    assert!(
        applied.stdout.contains("a value that is not shown differs"),
        "{}",
        applied.stdout
    );
    assert!(!applied.stdout.contains("another"), "{}", applied.stdout);
}

#[test]
fn what_a_command_changed_on_the_way_stops_the_run_before_the_next_change() {
    let play = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - command: sh -c 'echo other > {{ dir }}/x'
    - name: Write
      copy: {content: new, dest: '{{ dir }}/x'}
      ignore_errors: true
    - name: After
      copy: {content: new, dest: '{{ dir }}/after'}
",
    );
    play.file("x", "old");
    planned(&play);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    for said in ["this is no longer what the plan showed", "-old", "+other"] {
        assert!(applied.stdout.contains(said), "{said}: {}", applied.stdout);
    }
    assert_eq!(text(&play, "x"), "other\n");
    assert!(!play.path().join("after").exists());
}

#[test]
fn items_that_a_plan_found_are_those_that_are_found_when_it_is_applied() {
    let play = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - copy: {content: x, dest: '{{ dir }}/{{ item }}.log', mode: '0644'}
      loop: [one, two]
      register: made
    - find: {paths: '{{ dir }}', patterns: '*.log'}
      register: logs
    - file: {path: '{{ item.path }}', mode: '0600'}
      loop: '{{ logs.files }}'
    - copy: {content: '{{ item.item }}', dest: '{{ item.dest }}.old'}
      loop: '{{ made.results }}'
",
    );
    planned(&play);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(text(&play, "two.log.old"), "two");
}

#[test]
fn names_that_are_made_up_and_times_are_no_drift() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - tempfile: {state: directory, path: "{{ dir }}", suffix: work}
      register: work
    - copy: {dest: "{{ work.path }}/secret", content: x}
      no_log: true
    - copy: {dest: "{{ dir }}/where", content: "{{ work.path }}"}
    - tempfile: {path: "{{ dir }}", suffix: "{{ item }}"}
      loop: [one, two]
      register: files
    - copy: {dest: "{{ item.path }}", content: "{{ item.item }}"}
      loop: "{{ files.results }}"
    - file: {path: "{{ item }}", state: absent}
      loop: "{{ [work.path] + files.results | map(attribute='path') | list }}"
    - lineinfile: {path: "{{ dir }}/old", line: more, backup: true}
      register: edit
    - copy: {src: "{{ edit.backup }}", dest: "{{ dir }}/was", remote_src: true}
    - file: {path: "{{ edit.backup }}", state: absent}
    - file: {path: "{{ dir }}/{{ item }}", state: touch}
      loop: [old, new, new]
    - file: {path: "{{ dir }}/new", modification_time: "202001010000.00"}
"#,
    )
    .args(&["--allow-destroy"]);
    play.file("old", "old\n");
    planned(&play);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(text(&play, "was"), "old\n");
    assert_eq!(text(&play, "old"), "old\nmore\n");
    // Another name in it would have been another content.
    let play = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - tempfile: {path: '{{ dir }}'}
      register: file
    - copy: {dest: '{{ file.path }}', content: \"{{ lookup('file', dir + '/in') }}\"}
",
    );
    play.file("in", "1");
    planned(&play);
    play.file("in", "2");
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    let stable = "/(name 1 that play.yml:5 makes up): wished as planned → wished now";
    assert!(applied.stdout.contains(stable), "{}", applied.stdout);
}

#[test]
fn commands_that_ran_in_the_plan_run_again_and_a_command_that_it_left_out_does_not() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: cat {{ dir }}/in
      check_mode: false
      changed_when: false
      register: read
    - command: cat {{ dir }}/in
      check_mode: false
      changed_when: "'none' in again.stdout"
      register: again
    - copy: {dest: "{{ dir }}/out", content: "{{ read.stdout }} {{ again.stdout }}"}
    - name: left out
      command: touch {{ dir }}/touched
      args: {creates: "{{ dir }}/in"}
"#,
    );
    let file = play.file("in", "some");
    planned(&play);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(text(&play, "out"), "some some");
    let playbook = text(&play, "play.yml");
    play.file(
        "play.yml",
        &playbook.replace("cat {{ dir }}/in", "echo some"),
    );
    planned(&play);
    std::fs::remove_file(&file).unwrap();
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("left out"), "{}", applied.stdout);
    assert!(!play.path().join("touched").exists());
}

#[test]
fn an_unknown_that_turns_out_to_change_something_needs_leave() {
    let play = Play::new(
        "
- hosts: a
  gather_facts: false
  tasks:
    - command: echo hello
      register: said
      changed_when: false
    - name: Write
      copy: {content: '{{ said.stdout }}', dest: '{{ dir }}/x'}
    - name: Perhaps
      include_tasks: more.yml
      when: said.stdout == 'hello'
",
    );
    play.file(
        "more.yml",
        "- copy: {content: more, dest: '{{ dir }}/more'}\n",
    );
    planned(&play);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    for said in [
        "it would change something that was not shown",
        "--allow-unknown",
        "+hello",
    ] {
        assert!(applied.stdout.contains(said), "{said}: {}", applied.stdout);
    }
    assert!(!play.path().join("x").exists());
    let again = play.krun(&["resume"]);
    assert_eq!(again.code, 2, "{}{}", again.stdout, again.stderr);
    assert!(!play.path().join("x").exists());
    let resumed = play.krun(&["resume", "--allow-unknown"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
    assert!(play.path().join("x").exists());
    for name in ["x", "more"] {
        std::fs::remove_file(play.path().join(name)).unwrap();
    }
    let applied = play.krun(&["apply", "a.plan", "--allow-unknown"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert_eq!(text(&play, "x"), "hello");
    assert_eq!(text(&play, "more"), "more");
}

#[test]
fn what_cannot_be_applied_is_refused_before_any_host_is_contacted() {
    let said = |ran: Ran, play: &Play| {
        assert_eq!(ran.code, 5, "{}", ran.stdout);
        ran.stderr
            .replace(&play.path().display().to_string(), "DIR")
    };
    let play = play();
    planned(&play);
    play.file("vars.yml", "port: 1\ndb_password: hunter2222\n");
    insta::assert_snapshot!(said(play.krun(&["apply", "a.plan"]), &play), @r"
    error: `a.plan` cannot be applied; no host was contacted
      `vars.yml` is no longer as it was planned with
      the extra variables are not those that it was planned with
    ");
    let file = text(&play, "a.plan");
    play.file("a.plan", &file.replace("9092", "9093"));
    insta::assert_snapshot!(said(play.krun(&["apply", "a.plan"]), &play), @"error: `a.plan` cannot be used: it was cut or altered after it was made: plan again");

    let play = Play::new("- hosts: all\n  gather_facts: false\n  tasks: [{debug: }]\n")
        .args(&["-e", "db_password=hunter2222"]);
    planned(&play);
    assert!(!text(&play, "a.plan").contains("hunter2222"));
    insta::assert_snapshot!(said(play.krun(&["apply", "a.plan"]), &play), @r"
    error: `a.plan` cannot be applied; no host was contacted
      the plan holds no secrets: give what it was planned with again: -e 'db_password=***'
    ");
    let applied = play.krun(&["apply", "a.plan", "-e", "db_password=hunter2222"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
}

#[test]
fn a_plan_of_this_machine_needs_no_inventory() {
    let play = Play::new(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - copy: {dest: \"{{ playbook_dir }}/made\", content: x}\n",
    );
    let plan = play.krun(&["plan", "-o", "a.plan", "play.yml"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    assert!(play.path().join("made").exists());
}

#[test]
fn a_host_that_disappeared_is_named() {
    let play = Play::new("- hosts: all\n  gather_facts: false\n  tasks: [{command: 'true'}]\n");
    let inventory = play.file("hosts.sh", "#!/bin/sh\ncat $(dirname $0)/list\n");
    std::fs::set_permissions(
        &inventory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let list = |hosts: &str| {
        format!(
            "{{\"all\": {{\"hosts\": [{hosts}], \"vars\": {{\"ansible_connection\": \"local\"}}}}}}"
        )
    };
    play.file("list", &list("\"one\", \"two\""));
    let plan = play.krun(&["plan", "-o", "a.plan", "-i", "hosts.sh", "play.yml"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    play.file("list", &list("\"one\""));
    let applied = play.krun(&["apply", "a.plan"]);
    assert_eq!(applied.code, 5, "{}", applied.stdout);
    assert!(
        applied
            .stderr
            .contains("`two` is no longer in the inventory"),
        "{}",
        applied.stderr
    );
}
