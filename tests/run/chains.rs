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
fn files_that_a_plan_would_write_on_this_machine_are_not_read_as_they_are_now() {
    let play = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - name: new
      copy: dest={{ dir }}/new content=x
    - name: old
      copy: dest={{ dir }}/old content=y
    - name: other
      copy: dest={{ dir }}/host content=brought
    - name: bring
      fetch: src={{ dir }}/host dest={{ dir }}/fetched flat=true
    - name: looked up
      copy: dest={{ dir }}/1 content="{{ lookup('file', dir + '/new') }}"
    - name: looked up as it was
      copy: dest={{ dir }}/2 content="{{ lookup('file', dir + '/old') }}"
    - name: whether it is there
      copy: dest={{ dir }}/3 content=x
      when: (dir + '/new') is exists
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
    - name: bring it beside the playbook
      fetch: src={{ dir }}/host dest=brought/ flat=true
    - name: named without a template
      copy: src=brought/host dest={{ dir }}/9
"#,
    );
    play.file("old", "old");
    let plan = play.subcommand("--check");
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);
    let needs = |name: &str, task: &str| {
        let path = play.path().join(name);
        format!(
            "it needs `{}`, which `{task}` would bring (a plan writes nothing to this machine)",
            path.display()
        )
    };
    plan.says(&[
        "TASK [looked up]",
        "unknown: [a]",
        &needs("new", "new"),
        "TASK [looked up as it was]",
        "unknown: [a]",
        &needs("old", "old"),
        "TASK [whether it is there]",
        "perhaps: [a]",
        "TASK [sent]",
        "unknown: [a]",
        &needs("new", "new"),
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
        "TASK [named without a template]",
        "would change: [a]",
        "+brought",
    ]);
    let run = play.run();
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    for copied in ["6", "9"] {
        let text = std::fs::read_to_string(play.path().join(copied)).unwrap();
        assert_eq!(text, "brought");
    }
}
