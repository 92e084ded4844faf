//! A playbook is proven by a second run that changes nothing; what it changes again is named, with the diff.

use crate::support::{Play, Ran};

fn said(ran: &Ran, play: &Play) -> String {
    let dir = play.path().display().to_string();
    let text = ran.stdout.replace(&dir, "DIR");
    // The first run is as every run is.
    let second = text.find("once more").unwrap_or(0);
    let lines = text[second..].lines().map(|line| {
        let end = line.find(" (").filter(|_| line.starts_with("run:"));
        line[..end.unwrap_or(line.len())].to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn playbook_that_changes_nothing_again_is_proven() {
    let play = Play::new(
        "- hosts: a,b\n  gather_facts: false\n  tasks:\n    - copy: dest={{ dir }}/{{ inventory_hostname }} content=x\n",
    );
    let ran = play.subcommand("prove");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(said(&ran, &play));
}

#[test]
fn what_changes_again_is_named_with_its_diff() {
    let play = Play::new(
        r"
- hosts: a,b
  gather_facts: false
  tasks:
    - name: once is enough
      copy: dest={{ dir }}/{{ inventory_hostname }}.once content=x
    - name: one says this
      copy: dest={{ dir }}/shared content=this
      run_once: true
    - name: another says that
      copy: dest={{ dir }}/shared content=that
      run_once: true
",
    );
    let ran = play.subcommand("prove");
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(said(&ran, &play));
}

#[test]
fn first_run_that_fails_proves_nothing_and_a_guard_refuses_the_second() {
    let play = Play::new("- hosts: a\n  gather_facts: false\n  tasks:\n    - command: 'false'\n");
    let ran = play.subcommand("prove");
    assert_eq!(ran.code, 2);
    assert!(
        ran.stdout
            .ends_with("nothing is proven: the first run did not end well\n"),
        "{}",
        ran.stdout
    );
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - file: path={{ dir }}/logs state=absent
    - file: path={{ dir }}/logs state=directory
    - copy: dest={{ dir }}/logs/0.log content=record
",
    );
    let ran = play.subcommand("prove");
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(said(&ran, &play));
}
