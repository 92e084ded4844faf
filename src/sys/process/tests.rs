use super::*;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn shell(text: &str) -> Output {
    Sys::host().run(&Command::shell(text, None)).unwrap()
}

#[test]
fn output_errors_and_code_come_back() {
    let output = shell("echo out; echo err >&2; exit 3");
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str(), output.rc),
        ("out\n", "err\n", 3)
    );
    assert_eq!(output.reason(), "err");
    assert_eq!(output.ending(), "ended with code 3");
}

#[test]
fn twenty_megabytes_on_both_pipes_do_not_hang() {
    let output = shell("head -c 20000000 /dev/zero >&2 & head -c 20000000 /dev/zero; wait");
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (20_000_000, 20_000_000)
    );
}

#[test]
fn input_larger_than_a_pipe_is_written_while_output_is_read() {
    let input = "0123456789abcde\n".repeat(200_000);
    let output = Sys::host()
        .run(&Command::new(["cat"]).stdin(input.as_str()))
        .unwrap();
    assert!(output.stdout == input);
}

#[test]
fn a_command_that_does_not_read_its_input_ends_well() {
    let output = Sys::host()
        .run(&Command::new(["true"]).stdin(vec![b'x'; 1_000_000]))
        .unwrap();
    assert_eq!(output.rc, 0);
}

#[test]
fn a_deadline_ends_the_whole_group_with_term() {
    let sys = Sys::host().with_deadline(Some(Duration::from_millis(300)));
    let begin = Instant::now();
    let output = sys
        .run(&Command::shell("sleep 600 & echo $!; sleep 600", None))
        .unwrap();
    assert!(output.timed_out && !output.cancelled);
    assert_eq!(output.rc, -15);
    assert!(begin.elapsed() < Duration::from_secs(3));
    let child = output.stdout.trim().parse().unwrap();
    assert_eq!(
        nix::sys::signal::kill(Pid::from_raw(child), None).err(),
        Some(Errno::ESRCH)
    );
}

#[test]
fn a_process_that_ignores_term_is_killed_after_its_grace() {
    let command = Command::shell("trap '' TERM; while :; do sleep 1; done", None)
        .limit(Duration::from_millis(200))
        .grace(Duration::from_millis(300));
    let output = Sys::host().run(&command).unwrap();
    assert_eq!(output.rc, -9);
    assert!(output.delta < Duration::from_secs(4));
}

#[test]
fn a_cancel_ends_a_command_at_once() {
    let cancel = Arc::new(AtomicBool::new(false));
    let sys = Sys::host().with_cancel(Arc::clone(&cancel));
    let runner = std::thread::spawn(move || sys.run(&Command::new(["sleep", "600"])).unwrap());
    cancel.store(true, Ordering::Relaxed);
    let output = runner.join().unwrap();
    assert!(output.cancelled);
    assert!(output.delta < Duration::from_secs(5));
}

#[test]
fn a_daemon_that_keeps_the_pipes_does_not_keep_the_task() {
    let output = shell("sleep 600 & echo $!");
    assert!(output.delta < Duration::from_secs(3));
    assert_eq!(output.rc, 0);
    let daemon = Pid::from_raw(output.stdout.trim().parse().unwrap());
    nix::sys::signal::kill(daemon, Signal::SIGKILL).unwrap();
}

#[test]
fn what_is_written_last_is_read_though_a_daemon_keeps_the_pipe() {
    let output = shell("sleep 600 & P=$!; (sleep 0.1; echo late; kill $P) & echo early");
    assert_eq!(output.stdout, "early\nlate\n");
}

#[test]
fn directory_environment_and_umask_reach_the_command() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("srv")).unwrap();
    let sys = Sys::at(root.path()).with_environment(vec![("A".into(), "task".into())]);
    let command = Command::shell("echo $A $B; umask; pwd", None)
        .env("B", "own")
        .umask(0o027)
        .directory("/srv");
    let output = sys.run(&command).unwrap();
    let here = root.path().join("srv").canonicalize().unwrap();
    assert_eq!(
        output.stdout,
        format!("task own\n0027\n{}\n", here.display())
    );
}

#[test]
fn a_missing_program_is_an_error_of_the_start() {
    let error = Sys::host()
        .run(&Command::new(["no-such-program"]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    assert_eq!(shell("printf 'a\\377b'").stdout, "a\u{fffd}b");
}
