//! Handlers that are due when a connection, a controller or an agent is lost: the next run that may runs them, once.

use crate::sshd::{Sshd, can_run};
use crate::started::{WAITS, process, session, start, story, touch, touched};
use nix::sys::signal::{Signal, kill};

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
