//! The graph in its formats, and why a node waits.

use super::support::{Play, Ran};

const ROLL: &str = "
- name: Prepare
  hosts: a,b
  gather_facts: false
  tasks:
    - name: Write
      copy: {content: x, dest: /tmp/krun-graph}
      notify: reload
  handlers:
    - name: reload
      command: 'true'
- name: Roll
  hosts: a,b
  gather_facts: false
  serial: 1
  tasks:
    - name: Stop
      command: 'true'
    - name: Switch
      command: 'true'
    - name: Start
      command: 'true'
    - name: Back in sync
      wait_for_isr:
";

fn graph(words: &[&str]) -> Ran {
    let play = Play::new(ROLL);
    let path = play.path().join("play.yml").display().to_string();
    let mut args = vec!["graph", "-i", "a,b,"];
    args.extend(words);
    args.push(&path);
    let ran = play.krun(&args);
    Ran {
        stdout: ran
            .stdout
            .replace(&play.path().display().to_string(), "DIR"),
        ..ran
    }
}

#[test]
fn the_text_shows_batches_gates_and_reasons() {
    insta::assert_snapshot!(graph(&[]).stdout, @r"
    play 1: Prepare  (2 hosts)
      batch 1
        a › Write
        b › Write
        a › reload (handler)  ⇐ notify a › Write; flush a › Write
        b › reload (handler)  ⇐ notify b › Write; flush b › Write
    play 2: Roll  (2 hosts in 2 batches, stops at the first failed or unreachable host)
      batch 1
        a › Stop  ⇐ play a › reload (handler); play b › reload (handler)
        a › Switch
        a › Start
        a › Back in sync  [gate]
      batch 2
        b › Stop  ⇐ rolling a › Back in sync
        b › Switch
        b › Start
        b › Back in sync  [gate]
    ");
}

#[test]
fn why_follows_the_reasons_back_to_the_beginning() {
    insta::assert_snapshot!(graph(&["--why", "b › Start"]).stdout, @r"
    b › Start  (play 2, batch 2, DIR/play.yml:21)
      ⇐ order: a host's tasks keep their order
    b › Switch  (play 2, batch 2, DIR/play.yml:19)
      ⇐ order: a host's tasks keep their order
    b › Stop  (play 2, batch 2, DIR/play.yml:17)
      ⇐ rolling: `serial`: a batch ends before the next begins
    a › Back in sync  [gate]  (play 2, batch 1, DIR/play.yml:23)
      ⇐ order: over 2 more tasks of the same host
    a › Stop  (play 2, batch 1, DIR/play.yml:17)
      ⇐ play: a play ends before the next begins
        also play ⇐ a › reload (handler)
    b › reload (handler)  (play 1, batch 1, DIR/play.yml:10)
      ⇐ notify: it notifies this handler
      ⇐ flush: handlers run where they are flushed
    b › Write  (play 1, batch 1, DIR/play.yml:6)
      nothing is before it
    ");
    insta::assert_snapshot!(graph(&["--why", "reload"]).stdout, @r"
    b › reload (handler)  (play 1, batch 1, DIR/play.yml:10)
      ⇐ notify: it notifies this handler
      ⇐ flush: handlers run where they are flushed
    b › Write  (play 1, batch 1, DIR/play.yml:6)
      nothing is before it

    also called so: a › reload (handler)
    ");
    let missing = graph(&["--why", "Swich"]);
    assert_eq!(missing.code, 5);
    insta::assert_snapshot!(missing.stderr, @r"
    error: no node is called `Swich`
    help: did you mean `Switch`?

    1 error; no host was contacted
    ");
}

#[test]
fn dot_and_mermaid_put_batches_in_boxes_and_gates_in_diamonds() {
    insta::assert_snapshot!(graph(&["--format", "dot"]).stdout, @r#"
    digraph krun {
      rankdir=LR;
      node [shape=box, fontname="sans-serif"];
      subgraph cluster_p0s0 {
        label="Prepare, batch 1";
        n0 [label="a › Write"];
        n1 [label="b › Write"];
        n2 [label="a › reload (handler)", style=rounded];
        n3 [label="b › reload (handler)", style=rounded];
      }
      subgraph cluster_p1s0 {
        label="Roll, batch 1";
        n4 [label="a › Stop"];
        n5 [label="a › Switch"];
        n6 [label="a › Start"];
        n7 [label="a › Back in sync", shape=diamond];
      }
      subgraph cluster_p1s1 {
        label="Roll, batch 2";
        n8 [label="b › Stop"];
        n9 [label="b › Switch"];
        n10 [label="b › Start"];
        n11 [label="b › Back in sync", shape=diamond];
      }
      n0 -> n2 [label="notify"];
      n0 -> n2 [label="flush"];
      n1 -> n3 [label="notify"];
      n1 -> n3 [label="flush"];
      n2 -> n4 [label="play"];
      n3 -> n4 [label="play"];
      n4 -> n5 [label="order"];
      n5 -> n6 [label="order"];
      n6 -> n7 [label="order"];
      n7 -> n8 [label="rolling"];
      n8 -> n9 [label="order"];
      n9 -> n10 [label="order"];
      n10 -> n11 [label="order"];
    }
    "#);
    insta::assert_snapshot!(graph(&["--format", "mermaid"]).stdout, @r#"
    flowchart TD
      subgraph p0s0["Prepare, batch 1"]
        n0["a › Write"]
        n1["b › Write"]
        n2("a › reload (handler)")
        n3("b › reload (handler)")
      end
      subgraph p1s0["Roll, batch 1"]
        n4["a › Stop"]
        n5["a › Switch"]
        n6["a › Start"]
        n7{"a › Back in sync"}
      end
      subgraph p1s1["Roll, batch 2"]
        n8["b › Stop"]
        n9["b › Switch"]
        n10["b › Start"]
        n11{"b › Back in sync"}
      end
      n0 -->|notify| n2
      n0 -->|flush| n2
      n1 -->|notify| n3
      n1 -->|flush| n3
      n2 -->|play| n4
      n3 -->|play| n4
      n4 -->|order| n5
      n5 -->|order| n6
      n6 -->|order| n7
      n7 -->|rolling| n8
      n8 -->|order| n9
      n9 -->|order| n10
      n10 -->|order| n11
    "#);
}

#[test]
fn the_page_draws_every_play() {
    let page = graph(&["--format", "html"]).stdout;
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(
        page.matches("class=\"gate\"").count(),
        2,
        "one for each host"
    );
}
