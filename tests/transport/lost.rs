//! Whole runs whose connection is lost in the middle of a task: what the user is told, and what stands on the host.

use crate::hold::{Point, hold};
use crate::sshd::{Sshd, can_run};
use crate::started::{
    Said, WAITS, agent_of, is_alive, process, session, start, story, touch, touched,
};
use crate::tasks::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

const CHANGE: &str = r#"
- hosts: host
  gather_facts: false
  tasks:
    - name: wait
      shell: "WAITS"
    - name: change the file
      copy: {content: new, dest: "{at}/file"}
    - name: never begins
      command: touch {at}/third
"#;

/// Whether all threads of the agent are being followed: what it does from now on is seen.
fn is_followed(agent: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{agent}/task"))
        .into_iter()
        .flatten();
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status"));
        status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    })
}

/// Runs to the point and kills the agent there.
fn kill_at(host: &Sshd, point: Point) -> Said {
    std::fs::write(host.file("file"), "old").unwrap();
    let run = start(host, "one", &CHANGE.replace("WAITS", WAITS));
    let agent = process(host, "agent");
    let journal = host.file("home/.krun/journal");
    let held = std::thread::spawn(move || {
        hold(agent, &journal, point, || {
            kill(agent, Signal::SIGKILL).unwrap();
        })
    });
    wait_until(|| is_followed(agent));
    touch(host, "go");
    let said = run.end();
    assert!(held.join().unwrap(), "{}", said.text);
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(!touched(host, "third"));
    said
}

#[test]
fn an_agent_that_is_killed_before_its_change_leaves_the_old_file_and_an_unknown_task() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let said = kill_at(&host, Point::Begun("change the file"));
    assert_eq!(std::fs::read_to_string(host.file("file")).unwrap(), "old");
    assert!(said.text.contains("unknown: [host]"), "{}", said.text);
}

#[test]
fn an_agent_that_is_killed_after_its_change_is_believed_by_its_journal() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let said = kill_at(&host, Point::Ended("change the file"));
    assert_eq!(std::fs::read_to_string(host.file("file")).unwrap(), "new");
    assert!(!said.text.contains("unknown: [host]"), "{}", said.text);
    assert_eq!(
        said.text.matches("changed: [host]").count(),
        2,
        "{}",
        said.text
    );
}

const THREE_TASKS: &str = r#"
- hosts: host
  gather_facts: false
  tasks:
    - name: ends
      shell: "WAITS"
    - name: goes on and on
      shell: "echo $$ > {at}/second; sleep 300"
    - name: never begins
      command: touch {at}/third
"#;

#[test]
fn what_ended_is_told_and_what_was_ended_in_the_middle_is_unknown() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let run = start(&host, "one", &THREE_TASKS.replace("WAITS", WAITS));
    let session = session(process(&host, "agent"));
    // What the host says no longer arrives.
    kill(session, Signal::SIGSTOP).unwrap();
    touch(&host, "go");
    let second = process(&host, "second");
    kill(session, Signal::SIGKILL).unwrap();
    let said = run.end();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(!is_alive(second) && !touched(&host, "third"));
    insta::assert_snapshot!(story(&host, &said));
}

#[test]
fn a_killed_agent_leaves_an_unknown_task_and_stops_the_guarded_roll() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let playbook = THREE_TASKS.replace("WAITS", WAITS).replace(
        "hosts: host",
        "hosts: host,other\n  serial: 1\n  any_errors_fatal: true",
    );
    let run = start(&host, "one", &playbook);
    let agent = process(&host, "agent");
    kill(agent, Signal::SIGKILL).unwrap();
    let said = run.end();
    touch(&host, "go");
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(!touched(&host, "second"));
    insta::assert_snapshot!(story(&host, &said));
}

#[test]
fn a_file_change_that_was_cut_leaves_the_old_file_whole() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    std::fs::write(host.file("file"), "old").unwrap();
    let playbook = r#"
- hosts: host
  gather_facts: false
  tasks:
    - name: change the file
      copy:
        content: new
        dest: "{at}/file"
        validate: sh -c "WAITS" %s
    - name: never begins
      command: touch {at}/third
"#;
    let run = start(&host, "one", &playbook.replace("WAITS", WAITS));
    // The agent, as the validating shell has one of its own.
    process(&host, "agent");
    let agent = agent_of(&host);
    kill(session(agent), Signal::SIGKILL).unwrap();
    let said = run.end();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert_eq!(std::fs::read_to_string(host.file("file")).unwrap(), "old");
    assert!(!touched(&host, "third"));
    let beside = std::fs::read_dir(host.place.path()).unwrap().flatten();
    let left: Vec<_> = beside
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.contains("file") && name != "file")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    insta::assert_snapshot!(story(&host, &said));
}

#[test]
fn a_frozen_connection_is_given_up_after_its_limit_and_the_host_is_taken_over() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let run = start(
        &host,
        "one",
        &THREE_TASKS.replace("WAITS", "echo $PPID > {at}/agent; sleep 300"),
    );
    let agent = process(&host, "agent");
    let session = session(agent);
    let begun = Instant::now();
    kill(session, Signal::SIGSTOP).unwrap();
    let said = run.end();
    let elapsed = begun.elapsed();
    let was_alive = is_alive(agent);
    kill(session, Signal::SIGKILL).unwrap();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(!was_alive, "the agent that was lost is over");
    // No measure of speed: without a limit it would wait for as long as the session is frozen.
    assert!(elapsed < Duration::from_secs(200), "{elapsed:?}");
    assert!(!touched(&host, "second"));
    insta::assert_snapshot!(story(&host, &said));
}

#[test]
fn a_host_drops_its_queue_when_its_controller_falls_silent() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let run = start(&host, "one", &THREE_TASKS.replace("WAITS", WAITS));
    let agent = process(&host, "agent");
    run.signal(Signal::SIGSTOP);
    let lock = host.file("home/.krun/lock");
    wait_until(|| std::fs::read_to_string(&lock).is_ok_and(|it| it.contains(r#""ending":true"#)));
    // What is in hand goes on to its end, and only that.
    assert!(is_alive(agent));
    touch(&host, "go");
    wait_until(|| !is_alive(agent));
    assert!(!touched(&host, "second"));
    run.signal(Signal::SIGCONT);
    let said = run.end();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(said.text.contains("changed: [host]"), "{}", said.text);
    assert!(
        said.text
            .contains("`goes on and on` and the task behind it had not begun"),
        "{}",
        said.text
    );
}

#[test]
fn a_task_of_another_user_is_over_before_its_agents_journal_is_believed() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    // Of the user `nobody`: its agent is a child of the one that is killed, and only finds out when its input ends.
    let playbook = r#"
- hosts: host
  gather_facts: false
  become: true
  become_user: nobody
  become_method: su
  become_flags: -s /bin/sh
  tasks:
    - name: takes its time to end
      shell: "trap 'sleep 1; echo over >> {at}/open/over; exit' TERM; echo $PPID > {at}/open/child; while true; do sleep 0.05; done"
"#;
    std::fs::create_dir(host.file("open")).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(host.file("open"), everybody).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(host.place.path(), everybody).unwrap();
    let run = start(&host, "one", playbook);
    process(&host, "open/child");
    kill(agent_of(&host), Signal::SIGKILL).unwrap();
    let said = run.end();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(touched(&host, "open/over"), "{}", said.text);
    assert!(
        said.text.contains("how it ended is unknown"),
        "{}",
        said.text
    );
}
