//! Whole runs whose connection is lost in the middle of a task: what the user is told, and what stands on the host.

use crate::hold::{Point, hold};
use crate::sshd::{Sshd, agent, can_run};
use crate::tasks::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Begins with the number of the agent's process, ends when it may.
const WAITS: &str = "echo $PPID > {at}/agent; while [ ! -e {at}/go ]; do sleep 0.05; done";

/// krun at work on a playbook. Dropped, it is killed.
struct Run(Child);

/// What it said, and its exit code.
struct Said {
    code: Option<i32>,
    text: String,
}

/// Starts krun in a directory of its own, as on a machine of its own. `{at}` in the playbook is the host's directory.
fn start(host: &Sshd, machine: &str, playbook: &str) -> Run {
    let place = host.file(machine);
    std::fs::create_dir_all(&place).unwrap();
    let at = host.place.path().display().to_string();
    std::fs::write(place.join("play.yml"), playbook.replace("{at}", &at)).unwrap();
    let inventory = format!(
        "host ansible_host=127.0.0.1 ansible_port={} ansible_user=root ansible_ssh_private_key_file={at}/id\n\
         other ansible_connection=local\n[all:vars]\n\
         ansible_ssh_common_args=-F none -o UserKnownHostsFile={at}/known_hosts -o ServerAliveInterval=1 -o ServerAliveCountMax=1\n",
        host.port,
    );
    std::fs::write(place.join("hosts"), inventory).unwrap();
    let child = Command::new(agent())
        .args(["-i", "hosts", "play.yml"])
        .current_dir(&place)
        .env("HOME", &place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Run(child)
}

impl Run {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    fn end(mut self) -> Said {
        use std::io::Read as _;
        wait_until(|| self.0.try_wait().unwrap().is_some());
        let mut text = String::new();
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        let code = self.0.wait().unwrap().code();
        Said { code, text }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process whose number a task wrote into this file.
fn process(host: &Sshd, file: &str) -> Pid {
    let file = host.file(file);
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until(|| read().ends_with('\n'));
    Pid::from_raw(read().trim().parse().unwrap())
}

/// The agent's login: sshd's process for this session.
fn session(agent: Pid) -> Pid {
    let stat = std::fs::read_to_string(format!("/proc/{agent}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    Pid::from_raw(fields.split_whitespace().nth(1).unwrap().parse().unwrap())
}

fn is_alive(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The message without what differs from run to run.
fn story(host: &Sshd, said: &Said) -> String {
    let place = host.place.path().display().to_string();
    let text = said.text.replace(&place, "[place]");
    let text = text.replace(&agent().display().to_string(), "krun");
    // Whichever notices first: ssh's keepalives, or the agent's missing signs of life.
    let text = text.replace(
        "nothing came from the host for 2 s",
        "the host no longer answers",
    );
    let lines = text.lines().map(|line| {
        let line = line.split(" ****").next().unwrap_or(line);
        // How long a task took.
        let (line, rest) = line.rsplit_once("  ").unwrap_or((line, ""));
        if rest.ends_with('s') && rest.starts_with(|c: char| c.is_ascii_digit()) {
            return line.to_owned();
        }
        format!("{line}  {rest}").trim_end().to_owned()
    });
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("PLAY RECAP"));
    lines.collect::<Vec<_>>().join("\n")
}

fn touched(host: &Sshd, file: &str) -> bool {
    host.file(file).exists()
}

fn touch(host: &Sshd, file: &str) {
    std::fs::write(host.file(file), "").unwrap();
}

/// The agent's process, as it says itself.
fn agent_of(host: &Sshd) -> Pid {
    let lock = || std::fs::read(host.file("home/.krun/lock")).unwrap_or_default();
    let holder = || serde_json::from_slice::<serde_json::Value>(&lock()).ok();
    wait_until(|| holder().is_some());
    let process = holder().unwrap()["process"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(process).unwrap())
}

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
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
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
fn a_handler_that_a_lost_connection_left_runs_from_another_machine() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let playbook = r#"
- name: brokers
  hosts: host
  gather_facts: false
  tasks:
    - name: change the file
      copy: {content: new, dest: "{at}/file"}
      notify: restart
    - name: the connection goes
      shell: "WAITS"
      changed_when: false
  handlers:
    - name: restart
      command: touch {at}/restarted
"#;
    let playbook = playbook.replace("WAITS", WAITS);
    let run = start(&host, "one", &playbook);
    kill(session(process(&host, "agent")), Signal::SIGKILL).unwrap();
    let said = run.end();
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(!touched(&host, "restarted"));
    touch(&host, "go");
    let said = start(&host, "two", &playbook).end();
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(touched(&host, "restarted"), "{}", said.text);
    insta::assert_snapshot!(story(&host, &said));
    // The first machine's own record is out of date now, and the host's word counts.
    let said = start(&host, "one", &playbook).end();
    assert!(!said.text.contains("HANDLER"), "{}", said.text);
}

#[test]
fn a_handler_that_the_host_never_heard_of_runs_from_the_machine_that_knows() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let playbook = r#"
- name: brokers
  hosts: host
  gather_facts: false
  tasks:
    - name: "wait"
      shell: "WAITS"
      changed_when: false
    - name: change the file
      copy: {content: new, dest: "{at}/file"}
      notify: restart
    - name: goes on and on
      shell: "echo $$ > {at}/second; [ -e {at}/again ] || sleep 300"
      changed_when: false
  handlers:
    - name: restart
      command: touch {at}/restarted
"#;
    let playbook = playbook.replace("WAITS", WAITS);
    let run = start(&host, "one", &playbook);
    let session = session(process(&host, "agent"));
    kill(session, Signal::SIGSTOP).unwrap();
    touch(&host, "go");
    process(&host, "second");
    kill(session, Signal::SIGKILL).unwrap();
    let said = run.end();
    assert!(said.text.contains("changed: [host]"), "{}", said.text);
    touch(&host, "again");
    let said = start(&host, "one", &playbook).end();
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(touched(&host, "restarted"), "{}", said.text);
}

#[test]
fn a_handler_survives_controller_and_agent_that_are_killed_in_the_middle_of_its_task() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let playbook = r#"
- name: brokers
  hosts: host
  gather_facts: false
  tasks:
    - name: make it
      shell:
        cmd: "touch {at}/made; WAITS"
        creates: "{at}/made"
      notify: restart
    - name: nothing changed
      command: "true"
      changed_when: false
      notify: reload
  handlers:
    - name: restart
      command: touch {at}/restarted
    - name: reload
      command: touch {at}/reloaded
"#;
    let playbook = playbook.replace("WAITS", WAITS);
    let mut run = start(&host, "one", &playbook);
    let agent = process(&host, "agent");
    run.0.kill().unwrap();
    kill(agent, Signal::SIGKILL).unwrap();
    run.0.wait().unwrap();
    touch(&host, "go");
    // The change is there, so that this run has nothing to notify.
    let said = start(&host, "two", &playbook).end();
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(touched(&host, "restarted"), "{}", said.text);
    assert!(!touched(&host, "reloaded"), "{}", said.text);
    let said = start(&host, "two", &playbook).end();
    assert!(!said.text.contains("HANDLER"), "{}", said.text);
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
