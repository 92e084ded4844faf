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

#[test]
fn what_a_command_names_is_perhaps_something_else_after_it() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: looks
      command: cat {{ dir }}/file
      changed_when: false
    - name: line before
      lineinfile: path={{ dir }}/file line=one
    - name: append
      shell: echo by-hand >> {{ dir }}/file
    - name: line
      lineinfile: path={{ dir }}/file line=two
    - name: read
      slurp: src={{ dir }}/file
      register: read
    - name: written
      copy: dest={{ dir }}/copied content="{{ read.content | b64decode }}"
    - name: switch
      command: ln -sfn second {{ dir }}/link
    - name: through the link
      copy: dest={{ dir }}/link/new content=x
    - name: in a directory
      shell: ./configure
      args: {chdir: "{{ dir }}/work"}
    - name: its mode
      file: path={{ dir }}/work/file mode=0600
    - name: elsewhere
      copy: dest={{ dir }}/elsewhere content=x
"#,
    );
    play.file("file", "zero\n");
    play.file("first/file", "");
    play.file("second/file", "");
    play.file("work/file", "");
    play.file("work/configure", "#!/bin/sh\nchmod 600 file\n");
    std::os::unix::fs::symlink("first", play.path().join("link")).unwrap();
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let may = |task: &str, name: &str| {
        let path = play.path().join(name);
        format!("`{task}` names `{}`, and may change it", path.display())
    };
    plan.says(&[
        "TASK [line before]",
        "would change: [a]",
        "TASK [line]",
        "perhaps: [a]",
        &may("append", "file"),
        "+two",
        "TASK [read]",
        "unknown: [a]",
        "TASK [written]",
        "unknown: [a]",
        "TASK [through the link]",
        "perhaps: [a]",
        &may("switch", "link"),
        "TASK [its mode]",
        "perhaps: [a]",
        &may("in a directory", "work"),
        "TASK [elsewhere]",
        "would change: [a]",
    ]);
}

#[test]
fn what_was_perhaps_is_done_otherwise_only_where_the_user_says_so() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: append
      shell: echo by-hand >> {{ dir }}/file
    - name: line
      lineinfile: path={{ dir }}/file line=two
",
    );
    let file = play.file("file", "zero\n");
    let plan = play.words(&["plan", "-o", "kept.plan"]);
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let applied = play.krun(&["apply", "kept.plan"]);
    assert_eq!(applied.code, 2, "{}\n{}", applied.stdout, applied.stderr);
    applied.says(&[
        "this is no longer what the plan showed",
        "help: `--allow-unknown` lets it; or plan again and review what is shown then: krun plan -o FILE",
    ]);
    std::fs::write(&file, "zero\n").unwrap();
    let applied = play.krun(&["apply", "--allow-unknown", "kept.plan"]);
    assert_eq!(applied.code, 0, "{}\n{}", applied.stdout, applied.stderr);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "zero\nby-hand\ntwo\n"
    );
}

#[test]
fn files_that_a_plan_would_write_on_this_machine_are_read_as_they_would_be() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: new
      copy: dest={{ dir }}/new content=x
    - name: old
      copy: dest={{ dir }}/old content=y
    - name: gone
      file: path={{ dir }}/gone state=absent
    - name: unpacked
      unarchive: src={{ dir }}/a.tar dest={{ dir }} remote_src=true
    - name: a mode
      file: path={{ dir }}/kept mode=0600
    - name: other
      copy: dest={{ dir }}/host content=brought
    - name: bring
      fetch: src={{ dir }}/host dest={{ dir }}/fetched flat=true
    - name: looked up
      copy: dest={{ dir }}/1 content="{{ lookup('file', dir + '/new') }}"
    - name: looked up as it would be
      copy: dest={{ dir }}/2 content="{{ lookup('file', dir + '/old') }}"
    - name: not looked up
      copy: dest={{ dir }}/2b content="{{ lookup('file', dir + '/gone/x', errors='ignore') }}"
    - name: not looked up either
      copy: dest={{ dir }}/2c content="{{ lookup('file', dir + '/packed/x') }}"
    - name: nothing else
      copy: dest={{ dir }}/2d content="{{ lookup('file', dir + '/kept') }}"
    - name: whether it is there
      copy: dest={{ dir }}/3 content=x
      when: (dir + '/new') is file and dir is directory
    - name: whether it is still there
      copy: dest={{ dir }}/3c content=x
      when: (dir + '/gone') is exists
    - name: variables
      copy: dest={{ dir }}/vars.yml content="made{{ ':' }} here"
    - include_vars: "{{ dir }}/vars.yml"
    - name: with a variable
      copy: dest={{ dir }}/3b content="{{ made }}"
    - include_vars: "{{ dir }}/packed/x"
      ignore_errors: true
    - name: sent
      copy: src={{ dir }}/new dest={{ dir }}/4
    - name: globbed
      copy: dest={{ dir }}/5 content="{{ lookup('fileglob', dir + '/*') }}"
    - name: what was fetched is known
      copy: src={{ dir }}/fetched dest={{ dir }}/6
    - name: and can be looked up
      copy: dest={{ dir }}/7 content="{{ lookup('file', dir + '/fetched') }}"
    - name: the playbook is what it is
      copy: src={{ dir }}/play.yml dest={{ dir }}/8
    - name: a password
      copy: dest={{ dir }}/10 content="{{ lookup('password', dir + '/password') }}"
    - name: bring it beside the playbook
      fetch: src={{ dir }}/host dest=brought/ flat=true
    - name: named without a template
      copy: src=brought/host dest={{ dir }}/9
"#,
    );
    play.file("old", "old");
    play.file("gone/x", "gone");
    play.file("kept", "kept");
    play.file("packed/x", "packed");
    let mut tar = std::process::Command::new("tar");
    tar.args(["-cf", "a.tar", "packed"])
        .current_dir(play.path());
    assert!(tar.status().unwrap().success());
    std::fs::remove_dir_all(play.path().join("packed")).unwrap();
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let path = |name: &str| play.path().join(name).display().to_string();
    let needs = |name: &str, task: &str| {
        let path = path(name);
        format!(
            "it needs `{path}`, which `{task}` would bring (a plan writes nothing to this machine)"
        )
    };
    plan.says(&[
        "TASK [looked up]",
        "would change: [a]",
        "+x",
        "TASK [looked up as it would be]",
        "would change: [a]",
        "+y",
        "TASK [not looked up]",
        "unknown: [a]",
        &format!(
            "it needs `{}`, and `gone` would change `{}`",
            path("gone/x"),
            path("gone")
        ),
        "TASK [not looked up either]",
        "unknown: [a]",
        &needs("packed/x", "unpacked"),
        "TASK [nothing else]",
        "would change: [a]",
        "+kept",
        "TASK [whether it is there]",
        "would change: [a]",
        "TASK [whether it is still there]",
        "perhaps: [a]",
        "TASK [with a variable]",
        "would change: [a]",
        "+here",
        "TASK [include_vars]",
        "unknown: [a]",
        &needs("packed/x", "unpacked"),
        "TASK [sent]",
        "would change: [a]",
        "+x",
        "TASK [globbed]",
        "unknown: [a]",
        "TASK [what was fetched is known]",
        "would change: [a]",
        "+brought",
        "TASK [and can be looked up]",
        "would change: [a]",
        "+brought",
        "TASK [the playbook is what it is]",
        "would change: [a]",
        "TASK [a password]",
        "unknown: [a]",
        &needs("password", "lookup('password')"),
        "TASK [named without a template]",
        "would change: [a]",
        "+brought",
    ]);
    assert!(!play.path().join("password").exists());
    let run = play.run_with(&["--allow-destroy"]);
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    let made = [
        ("1", "x"),
        ("2", "y"),
        ("2d", "kept"),
        ("3b", "here"),
        ("4", "x"),
    ];
    for (copied, text) in made.into_iter().chain([("6", "brought"), ("9", "brought")]) {
        let found = std::fs::read_to_string(play.path().join(copied)).unwrap();
        assert_eq!(found, text, "{copied}");
    }
    assert!(!play.path().join("3c").exists());
}

#[test]
fn what_changed_when_calls_no_change_is_shown_and_can_be_applied() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - name: edited
      lineinfile: path={{ dir }}/file line={{ item }}
      changed_when: false
      notify: told
      loop: [one, two]
    - name: hidden
      lineinfile: path={{ dir }}/file line=three
      changed_when: false
      no_log: true
    - name: only looked at
      lineinfile: path={{ dir }}/file line=four
      changed_when: false
      check_mode: true
  handlers:
    - name: told
      copy: dest={{ dir }}/told content=x
",
    );
    let file = play.file("file", "zero\n");
    let plan = play.words(&["plan", "-o", "kept.plan", "--exit-code"]);
    assert_eq!(plan.code, 3, "{}\n{}", plan.stdout, plan.stderr);
    plan.says(&[
        "edited  play.yml:5",
        "~ would change: a (one)",
        "line added; `changed_when` calls it no change, so it notifies nobody",
        "+one",
        "~ would change: a (two)",
        "+two",
        "hidden  play.yml:10",
        "~ would change: a",
        "a  2 to change",
    ]);
    let applied = play.krun(&["apply", "kept.plan"]);
    assert_eq!(applied.code, 0, "{}\n{}", applied.stdout, applied.stderr);
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(text, "zero\none\ntwo\nthree\n");
    assert!(!play.path().join("told").exists());
}
