//! Runs that are stopped from outside: Ctrl-C once, twice, and a kill; each leaves a record that `krun resume` can use.

use crate::support::{Play, Ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Child;
use std::time::{Duration, Instant};

const STORY: &str = r#"
- hosts: a,b
  serial: 1
  gather_facts: false
  handlers:
    - name: restart
      shell: echo "{{ inventory_hostname }} handler" >> {{ dir }}/log
  tasks:
    - name: Config
      copy: {content: "x\n", dest: "{{ dir }}/{{ inventory_hostname }}.conf"}
      notify: restart
    - name: Long
      shell: |
        echo "{{ inventory_hostname }} begun" >> {{ dir }}/log
        for i in $(seq 300); do test -e {{ dir }}/go && break; sleep 0.1; done
        echo "{{ inventory_hostname }} ended" >> {{ dir }}/log
    - name: After
      shell: echo "{{ inventory_hostname }} after" >> {{ dir }}/log
"#;

/// What the log of a whole run has behind the end of `Long` on the first host.
const BEHIND_IT: [&str; 6] = [
    "a after",
    "a handler",
    "b begun",
    "b ended",
    "b after",
    "b handler",
];

fn log(play: &Play) -> Vec<String> {
    let text = std::fs::read_to_string(play.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the run and waits until the long command of the first host is under way.
fn under_way() -> (Play, Child) {
    let play = Play::new(STORY);
    let child = play.spawn();
    wait_until(|| log(&play).contains(&"a begun".to_owned()));
    (play, child)
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

fn events(play: &Play) -> String {
    let runs = std::fs::read_dir(play.path().join(".krun/runs")).unwrap();
    let texts = runs.map(|run| std::fs::read_to_string(run.unwrap().path().join("events.jsonl")));
    texts.map(Result::unwrap).collect()
}

/// The first failure and what follows, without what differs from run to run.
fn failure(ran: &Ran) -> String {
    let lines = ran
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("failed:"));
    let text = lines
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let run = fancy_regex::Regex::new(r"\d{8}T\d{6}Z-\d+").unwrap();
    run.replace_all(&text, "RUN").into_owned()
}

#[test]
fn one_ctrl_c_lets_the_task_in_hand_end_and_resume_goes_on_behind_it() {
    let (play, mut child) = under_way();
    send(&child, Signal::SIGINT);
    wait_until(|| events(&play).contains("the task in hand ends first"));
    play.file("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert_eq!(log(&play), ["a begun", "a ended"]);
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(log(&play)[2..], BEHIND_IT);
}

#[test]
fn a_command_that_two_ctrl_c_cut_off_needs_a_word() {
    let (play, mut child) = under_way();
    send(&child, Signal::SIGINT);
    wait_until(|| events(&play).contains("the task in hand ends first"));
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert_eq!(log(&play), ["a begun"]);
    // What was cut off is not untouched.
    assert!(events(&play).contains(r#""between":["a"],"untouched":["b"]"#));
    play.file("go", "");
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(failure(&ran), @r"
    failed: [a]
      `Long` was cut off in the middle in run RUN
      --> play.yml:12:7
      help: look at the host, then `krun resume --again Long` runs it again, or `krun resume --done Long` takes it as done
    ");
    let ran = play.krun(&["resume", "--done", "Long"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(log(&play)[1..], BEHIND_IT);
}

#[test]
fn what_a_killed_krun_had_under_way_is_learned_from_the_hosts_journal() {
    let (play, mut child) = under_way();
    send(&child, Signal::SIGKILL);
    child.wait().unwrap();
    let listed = play.krun(&["runs"]);
    assert!(listed.stdout.contains("  killed "), "{}", listed.stdout);
    play.file("go", "");
    let ran = play.krun(&["resume"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    // Whether the agent had the time to end the command is its affair.
    let failure = failure(&ran).replace("was cut off in the middle in", "began in");
    let failure = failure.replace(", and nobody knows how it ended", "");
    insta::assert_snapshot!(failure, @r"
    failed: [a]
      `Long` began in run RUN
      --> play.yml:12:7
      help: look at the host, then `krun resume --again Long` runs it again, or `krun resume --done Long` takes it as done
    ");
    let before = log(&play).len();
    let ran = play.krun(&["resume", "--again", "Long"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        log(&play)[before..],
        [
            "a begun",
            "a ended",
            "a after",
            "a handler",
            "b begun",
            "b ended",
            "b after",
            "b handler"
        ]
    );
}
