//! Loops and what belongs to them: pauses, early ends, includes for some hosts only, hosts added on the way.

use crate::support::Play;

#[test]
fn a_pause_ends_alone_in_a_loop_and_between_items() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - pause: {seconds: 0.1}
    - pause: {seconds: 0.1}
      loop: [1, 2]
    - debug: msg="item {{ item }}"
      loop: [1, 2]
      loop_control: {pause: 0.1}
    - command: echo {{ item }}
      loop: [1, 2]
      loop_control: {pause: 0.1}
"#,
    )
    .run();
    ran.says(&["item 1", "item 2"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn a_loop_ends_behind_the_item_with_which_break_when_holds() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - command: echo {{ item }}
      loop: [one, two, three]
      register: said
      loop_control:
        break_when: said.stdout == 'two'
    - debug: msg="{{ said.results | map(attribute='stdout') | join(' ') }}"
"#,
    )
    .run();
    ran.says(&["one two"]);
    assert!(!ran.stdout.contains("item=three"), "{}", ran.stdout);
}

#[test]
fn an_include_in_an_include_of_one_host_only_holds_nobody_up() {
    let play = Play::new(
        r#"
- hosts: a,b
  gather_facts: false
  tasks:
    - include_tasks: outer.yml
      when: inventory_hostname == 'b'
    - debug: msg="{{ inventory_hostname }} after {{ hostvars.b.done }}"
"#,
    );
    play.file(
        "outer.yml",
        "- include_tasks: inner.yml\n- set_fact: {done: inner}\n",
    );
    play.file("inner.yml", "- debug: msg=within\n");
    let ran = play.run();
    ran.says(&["within", "a after inner"]);
    ran.says(&["within", "b after inner"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn included_tasks_see_everything_that_the_loop_defines() {
    let play = Play::new(
        r"
- hosts: a
  gather_facts: false
  tasks:
    - include_tasks: one.yml
      loop: [x, y]
      loop_control: {extended: true, extended_allitems: false, index_var: at}
",
    );
    play.file(
        "one.yml",
        r#"- debug: msg="{{ item }} {{ at }} {{ ansible_loop.last }} {{ ansible_loop.allitems is defined }}""#,
    );
    play.run().says(&["x 0 False False", "y 1 True False"]);
}

#[test]
fn group_by_and_add_host_register_loop_and_are_judged_as_any_task() {
    let ran = Play::new(
        r#"
- hosts: a,b
  gather_facts: false
  tasks:
    - group_by: {key: "of_{{ inventory_hostname }}"}
      changed_when: false
      register: grouped
    - add_host: {name: "{{ item }}", groups: more}
      loop: [x, y]
      register: added
    - debug: msg="{{ grouped.changed }} {{ added.results | length }} {{ groups.more | join(',') }} {{ groups.of_b | join(',') }}"
      run_once: true
    - add_host: {name: z}
      when: false
"#,
    )
    .run();
    ran.says(&["False 2 x,y b"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn a_name_of_set_fact_may_be_a_template_and_words_are_flags() {
    let ran = Play::new(
        r#"
- hosts: a
  gather_facts: false
  tasks:
    - set_fact: "port_{{ item }}={{ item * 2 }}"
      loop: [1, 2]
    - set_fact: ready=no
    - debug: msg="{{ port_1 }} {{ port_2 }}"
      when: not ready
"#,
    )
    .run();
    ran.says(&["2 4"]);
}

#[test]
fn set_fact_with_delegate_facts_sets_the_other_hosts() {
    let ran = Play::new(
        r#"
- hosts: a,b
  gather_facts: false
  tasks:
    - set_fact: {leader: "{{ inventory_hostname }}"}
      delegate_to: b
      delegate_facts: true
      when: inventory_hostname == 'a'
    - debug: msg="{{ inventory_hostname }} {{ leader | default('none') }}"
"#,
    )
    .run();
    ran.says(&["a none", "b a"]);
}
