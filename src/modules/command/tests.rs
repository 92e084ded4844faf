use super::super::registry::Action;
use super::super::{Permission, Ran};
use super::*;

fn run_at(sys: &Sys, module: &str, args: &str) -> Result<Outcome, Error> {
    let args = serde_yaml::from_str(args).unwrap();
    let action = Action::new(module, args).unwrap();
    match action.run(sys, &mut |_| Permission::Apply)? {
        Ran::Done(outcome) => Ok(outcome),
        Ran::Cancelled => panic!("cancelled"),
    }
}

fn run(module: &str, args: &str) -> Result<Outcome, Error> {
    run_at(&Sys::host(), module, args)
}

#[test]
fn a_command_registers_what_it_wrote() {
    let outcome = run("command", "_raw_params: printf 'a\\nb  c\\n\\n'").unwrap();
    assert!(outcome.changed);
    assert_eq!(outcome.data["stdout"], "a\nb  c");
    assert_eq!(outcome.data["stdout_lines"], lines("a\nb  c"));
    assert_eq!(outcome.data["rc"], 0);
    assert_eq!(outcome.data["cmd"][0], "printf");
    assert!(
        outcome.data["delta"]
            .as_str()
            .unwrap()
            .starts_with("0:00:0")
    );
}

#[test]
fn a_command_knows_no_shell_but_variables() {
    let sys = Sys::host().with_environment(vec![("WORD".into(), "a b".into())]);
    let outcome = run_at(&sys, "command", "_raw_params: echo $WORD | wc > /x").unwrap();
    assert_eq!(outcome.data["stdout"], "a b | wc > /x");
}

#[test]
fn a_failing_command_is_an_error_that_carries_its_output() {
    let error = run("shell", "_raw_params: 'echo no >&2; exit 3'").unwrap_err();
    assert_eq!(error.message, "non-zero return code");
    assert_eq!(error.causes, ["the command ended with code 3"]);
    assert_eq!(error.data["rc"], 3);
    assert_eq!(error.data["stderr"], "no");
    assert_eq!(error.data["changed"], true);
}

#[test]
fn creates_and_removes_decide_whether_it_runs() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("done"), "").unwrap();
    let sys = Sys::at(root.path());
    let outcome = run_at(&sys, "shell", "{_raw_params: 'exit 1', creates: /do*}").unwrap();
    assert!(!outcome.changed);
    assert_eq!(outcome.data["stdout"], "skipped, since /do* exists");
    let outcome = run_at(&sys, "shell", "{cmd: 'exit 1', removes: no, chdir: /}").unwrap();
    assert_eq!(outcome.data["rc"], 0);
    run_at(&sys, "shell", "{cmd: 'exit 1', removes: done, chdir: /}").unwrap_err();
}

#[test]
fn a_shell_reads_input_in_its_directory() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("srv")).unwrap();
    let args = "{cmd: 'cat > got', chdir: /srv, stdin: hello, executable: /bin/bash}";
    run_at(&Sys::at(root.path()), "shell", args).unwrap();
    let got = std::fs::read_to_string(root.path().join("srv/got")).unwrap();
    assert_eq!(got, "hello\n");
}

#[test]
fn a_missing_program_and_a_missing_directory_are_named() {
    let error = run("command", "argv: [no-such-program, x]").unwrap_err();
    assert_eq!(error.message, "no program `no-such-program` on this host");
    assert_eq!(error.data["rc"], 2);
    let error = run("command", "{cmd: pwd, chdir: /no/such}").unwrap_err();
    assert_eq!(
        error.message,
        "no directory `/no/such` to run the command in"
    );
}

#[test]
fn a_command_does_not_run_in_check_mode() {
    let args = serde_yaml::from_str("cmd: exit 1").unwrap();
    let ran = Action::new("shell", args)
        .unwrap()
        .run(&Sys::host(), &mut |_| Permission::OnlyShow);
    let Ran::Done(outcome) = ran.unwrap() else {
        panic!("cancelled")
    };
    assert!(outcome.skipped && !outcome.changed);
}

#[test]
fn a_duration_reads_as_in_python() {
    let text = delta(std::time::Duration::from_micros(90_061_000_042));
    assert_eq!(text, "1 day, 1:01:01.000042");
}
