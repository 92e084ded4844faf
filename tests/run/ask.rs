//! `vars_prompt`, asked before anything is contacted, and `pause`: on a terminal, and never where there is none.

use crate::support::Play;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const ASKS: &str = r#"
- hosts: a
  gather_facts: false
  vars_prompt:
    - {name: who, prompt: Who is it, private: false, default: nobody}
    - {name: secret, prompt: The secret, confirm: true}
    - {name: hash, encrypt: sha512_crypt, salt: abcdefgh}
    - {name: given}
  tasks:
    - debug: msg="{{ who }} {{ secret | length }} {{ hash.split('$')[-2] }} {{ given }}"
"#;

/// Runs krun on a terminal and gives each answer when its question has come; returns what the terminal showed.
fn on_a_terminal(play: &Play, answers: &[(&str, &str)]) -> String {
    let krun = env!("CARGO_BIN_EXE_krun");
    let line = format!("{krun} -i a,b,c, -e ansible_connection=local -e given=yes play.yml");
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(play.path())
        .env("HOME", play.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    let mut from = 0;
    for (question, answer) in answers {
        let mut byte = [0];
        while !seen[from..].ends_with(question) {
            assert_eq!(
                output.read(&mut byte).unwrap(),
                1,
                "no `{question}` in {seen}"
            );
            seen.push(char::from(byte[0]));
        }
        from = seen.len();
        writeln!(input, "{answer}").unwrap();
    }
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{seen}");
    seen + &String::from_utf8_lossy(&rest)
}

#[test]
fn a_terminal_is_asked_before_the_run_and_secrets_are_not_shown() {
    let answers = [
        ("Who is it [nobody]: ", ""),
        ("The secret: ", "hunter2"),
        ("confirm The secret: ", "hunter"),
        ("The secret: ", "hunter2"),
        ("confirm The secret: ", "hunter2"),
        ("hash: ", "x"),
    ];
    let seen = on_a_terminal(&Play::new(ASKS), &answers);
    assert!(seen.contains("nobody 7 abcdefgh yes"), "{seen}");
    assert!(seen.contains("the two answers differ"), "{seen}");
    assert!(!seen.contains("hunter"), "{seen}");
}

#[test]
fn without_a_terminal_the_default_counts_and_what_has_none_must_be_given() {
    let ran = Play::new(ASKS).args(&["-e", "given=yes secret=x"]).run();
    assert!(
        ran.stdout.contains("give it with -e hash="),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(ran.code, 2);
    let ran = Play::new(ASKS)
        .args(&["-e", "given=yes secret=xy hash=$6$salt$"])
        .run();
    assert!(ran.stdout.contains("nobody 2 salt yes"), "{}", ran.stdout);
}

#[test]
fn a_run_that_is_told_the_answers_beforehand_asks_nobody() {
    let play = Play::new(ASKS);
    let run = |args: &[&str], answers: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_krun"))
            .args(["-i", "a,", "-e", "ansible_connection=local given=yes"])
            .args(["--answers-on-stdin", "play.yml"])
            .args(args)
            .current_dir(play.path())
            .env("HOME", play.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        input.unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        String::from_utf8_lossy(&said).into_owned()
    };
    let variables = r#""variables": [{"who": "me", "secret": "xyz", "hash": "$6$salt$"}]"#;
    let all = format!(r#"{{"passwords": {{"BECOME password": "p"}}, {variables}}}"#);
    let said = run(&["-K"], &all);
    assert!(said.contains("me 3 salt yes"), "{said}");
    let said = run(&["-K"], &format!(r#"{{"passwords": {{}}, {variables}}}"#));
    assert!(said.contains("nobody is there to be asked"), "{said}");
    let said = run(&[], "blue");
    assert!(said.contains("the answers on standard input: "), "{said}");
}

#[test]
fn a_pause_asks_once_for_all_hosts_and_registers_what_was_typed() {
    let play = Play::new(
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: Look at the ISR
      pause: prompt="Go on? (yes/no)"
      register: reply
    - debug: msg="they said {{ reply.user_input }}"
    - pause: echo=no
      register: hidden
    - assert: {that: hidden.user_input == ''}
"#,
    );
    let answers = [
        ("[Look at the ISR]\r\nGo on? (yes/no):", "yes"),
        ("Press enter to continue:", ""),
    ];
    let seen = on_a_terminal(&play, &answers);
    assert_eq!(seen.matches("they said yes").count(), 3, "{seen}");
    assert_eq!(seen.matches("Go on?").count(), 1, "{seen}");
    let ran = play.run();
    ran.says(&["a `pause` that waits for a key needs a terminal"]);
}
