//! What several hosts delegate to another one is done in their order, and nobody's work is lost.

use crate::support::Play;

/// With `a`, `b` and `c` eighteen hosts, all of them this machine.
const MANY: [&str; 2] = [
    "-i",
    "h01,h02,h03,h04,h05,h06,h07,h08,h09,h10,h11,h12,h13,h14,h15,",
];

const EDITS: &str = r##"
- hosts: all
  gather_facts: false
  tasks:
    - lineinfile: path={{ dir }}/list line={{ inventory_hostname }} create=yes
      delegate_to: a
    - blockinfile:
        path: "{{ dir }}/list"
        marker: "# {mark} {{ inventory_hostname }}"
        block: "{{ item }}"
      loop: [1, 2]
      delegate_to: a
      when: inventory_hostname is match('h')
    - slurp: src={{ dir }}/list
      delegate_to: a
      register: list
    - copy: dest={{ dir }}/of-{{ inventory_hostname }} content="{{ list.content | b64decode }}"
"##;

#[test]
fn edits_that_many_hosts_delegate_to_one_are_all_there_and_in_the_hosts_order() {
    let play = Play::new(EDITS).args(&MANY);
    let ran = play.run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let list = std::fs::read_to_string(play.path().join("list")).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    let mut hosts: Vec<String> = ["a", "b", "c"].map(String::from).into();
    hosts.extend((1..=15).map(|n| format!("h{n:02}")));
    assert_eq!(lines[..18], hosts, "{list}");
    let mut blocks: Vec<String> = Vec::new();
    for host in &hosts[3..] {
        let lines = [
            format!("# BEGIN {host}"),
            "2".into(),
            format!("# END {host}"),
        ];
        blocks.extend(lines);
    }
    assert_eq!(lines[18..], blocks, "{list}");
    for host in &hosts {
        let seen = std::fs::read_to_string(play.path().join(format!("of-{host}"))).unwrap();
        assert_eq!(seen, list, "{host}");
    }
}

#[test]
fn plan_of_delegated_edits_is_what_its_run_does() {
    let play = Play::new(EDITS).args(&MANY);
    let saved = play.words(&["plan", "-o", "edits.plan"]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    // Each change is compared with what the plan showed.
    let applied = play.krun(&["apply", "edits.plan"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
}
