//! What tasks take over from blocks, imports and plays.

use super::{load_files, play_of, tasks_of};
use crate::playbook::{Item, Task, load_tasks};

fn summary(task: &Task) -> String {
    let when: Vec<_> = task.when.iter().map(|n| n.as_str().unwrap()).collect();
    let vars: Vec<_> = task
        .block_vars
        .iter()
        .chain([&task.vars])
        .flat_map(|vars| vars.values.iter())
        .map(|(k, v)| format!("{k}={}", crate::value::display(v)))
        .collect();
    let notify: Vec<_> = task.notify.iter().map(|n| n.as_str().unwrap()).collect();
    format!(
        "{}: when [{}] tags [{}] vars [{}] notify [{}] env {} become {}",
        task.title(),
        when.join(" & "),
        task.tags.join(" "),
        vars.join(" "),
        notify.join(" "),
        task.keywords.environment.len(),
        task.keywords
            .r#become
            .as_ref()
            .map_or("-".into(), |n| crate::value::display(&n.to_value())),
    )
}

const PLAY: &str = "- hosts: all
  become: yes
  tags: [play]
  environment: {A: 1}
  handlers: [{name: h, ping: }]
  tasks:
    - name: outer
      when: a
      tags: b1, b2
      vars: {x: 1}
      notify: h
      environment: {B: 2}
      block:
        - block:
            - name: inner
              ping:
              become: no
              when: [b, c]
              tags: b2, t
              vars: {y: 2}
              environment: {C: 3}
          rescue:
            - name: saved
              ping:
    - import_tasks: more.yml
      when: i
      tags: i
      vars: {z: 3}
    - name: alone
      ping:
";

#[test]
fn everything_inherited_is_folded_into_tasks() {
    let (playbook, faults) = load_files(&[
        ("site.yml", PLAY),
        ("more.yml", "- name: imported\n  ping:\n  when: own\n"),
    ]);
    assert_eq!(faults, "");
    let play = &playbook.unwrap().plays[0];
    let tasks = super::notify::tasks(&play.tasks);
    let shown: Vec<String> = tasks.iter().map(|task| summary(task)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    inner: when [a & b & c] tags [play b1 b2 t] vars [x=1 y=2] notify [h] env 3 become False
    saved: when [a] tags [play b1 b2] vars [x=1] notify [h] env 2 become True
    imported: when [i & own] tags [play i] vars [z=3] notify [] env 1 become True
    alone: when [] tags [play] vars [] notify [] env 1 become True
    "#);
    // Blocks that rescue nothing are flattened away.
    assert!(matches!(&play.tasks[0], Item::Block(block) if block.rescue.len() == 1));
    assert_eq!(play.tasks.len(), 3);
    assert!(super::notify::tasks(&play.handlers)[0].is_handler);
}

#[test]
fn tasks_included_while_running_inherit_what_stands_around_the_include() {
    let dir = tempfile::tempdir().unwrap();
    let play = play_of(
        "- when: around\n  tags: block\n  vars: {a: 1}\n  block:\n    - include_tasks: {file: more.yml, apply: {tags: applied, become: yes}}\n      when: own\n      tags: include\n      vars: {b: 2}\n",
    );
    std::fs::write(dir.path().join("site.yml"), play).unwrap();
    let more = dir.path().join("more.yml");
    std::fs::write(&more, "- name: included\n  ping:\n").unwrap();
    let (playbook, faults) = super::load_dir(dir.path(), "site.yml");
    assert_eq!(faults, "");
    let include = &super::notify::tasks(&playbook.unwrap().plays[0].tasks)[0];
    let options = super::options();
    let mut diagnostics = crate::diag::Diagnostics::new();
    let items = load_tasks(
        &more,
        include,
        std::sync::Arc::default(),
        &options,
        &mut diagnostics,
    );
    assert!(diagnostics.is_empty());
    insta::assert_snapshot!(summary(&super::notify::tasks(&items)[0]), @r#"included: when [around] tags [block applied] vars [a=1 b=2] notify [] env 0 become True"#);
}

#[test]
fn krun_s_own_keywords_are_read() {
    let tasks = tasks_of("- ping:\n  id: one\n- ping:\n  needs: one, two\n  barrier: yes\n");
    assert_eq!(tasks[0].id.as_deref(), Some("one"));
    let needs: Vec<&str> = tasks[1].needs.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(needs, ["one", "two"]);
    assert!(tasks[1].barrier);
}

#[test]
fn loops_keep_their_controls() {
    let tasks = tasks_of(
        "- ping:\n  with_dict: {a: 1}\n  loop_control: {loop_var: outer, index_var: i, label: l, extended: yes}\n",
    );
    let looped = tasks[0].loop_.as_ref().unwrap();
    assert_eq!(looped.kind, crate::playbook::LoopKind::With("dict".into()));
    assert_eq!(looped.loop_var, "outer");
    assert_eq!(looped.index_var.as_deref(), Some("i"));
    assert!(looped.extended && looped.label.is_some());
}
