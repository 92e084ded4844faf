//! What becomes of a host's queue when its controller or its connection dies.

use crate::sshd::{Sshd, can_run, connect};
use crate::tasks::{shell, wait_until};
use krun::proto::{FromAgent, ToAgent};
use krun::transport::{Error, Options};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the directory of the host in the controller's process.
const PLACE: &str = "KRUN_TEST_PLACE";

#[tokio::test]
async fn a_queued_stop_does_not_run_when_the_controller_is_killed() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let mut controller = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::a_controller_to_be_killed", "--ignored"])
        .env(PLACE, host.place.path())
        .env("KRUN_TEST_PORT", host.port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let running = host.file("running");
    wait_until(|| std::fs::read_to_string(&running).is_ok_and(|it| it.ends_with('\n')));
    let pid = std::fs::read_to_string(&running).unwrap();
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until(|| !Path::new(&format!("/proc/{}", pid.trim())).exists());
    // The next controller gets in as soon as the agent has ended, and sees what was in hand.
    let mut options = host.options();
    options.run = "run2".into();
    let mut link = connect(&host.connection(), options).await.unwrap();
    assert!(!host.file("stopped").exists(), "the broker was stopped");
    link.to_agent.send(ToAgent::Journal).unwrap();
    let Some(Ok(FromAgent::Journal(entries))) = link.from_agent.recv().await else {
        panic!("no journal");
    };
    assert!(entries.iter().all(|it| it.seq != 2), "{entries:?}");
    assert_eq!(entries[0].seq, 1);
}

#[tokio::test]
#[ignore = "the controller of another test, in a process of its own"]
async fn a_controller_to_be_killed() {
    let place = PathBuf::from(std::env::var_os(PLACE).expect("started by another test"));
    let port: u16 = std::env::var("KRUN_TEST_PORT").unwrap().parse().unwrap();
    let set = |name: &str| -> Option<krun::value::Value> {
        Some(match name {
            "ansible_host" => "127.0.0.1".into(),
            "ansible_port" => port.into(),
            "ansible_user" => "root".into(),
            "ansible_ssh_private_key_file" => place.join("id").to_string_lossy().into(),
            "ansible_ssh_common_args" => format!(
                "-F none -o UserKnownHostsFile={}",
                place.join("known_hosts").display()
            )
            .into(),
            _ => return None,
        })
    };
    let connection = krun::inventory::connection::Connection::resolve("host", &set).unwrap();
    let mut options = Options::new(crate::sshd::agent(), place.join("controller"));
    options.run = "run1".into();
    let link = connect(&connection, options).await.unwrap();
    let running = place.join("running");
    let command = format!("echo $$ > {}; sleep 300", running.display());
    let stop = format!("touch {}", place.join("stopped").display());
    link.to_agent
        .send(ToAgent::Task(Box::new(shell(1, &command))))
        .unwrap();
    link.to_agent
        .send(ToAgent::Task(Box::new(shell(2, &stop))))
        .unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_lost_connection_is_said_so_once() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let mut link = host.connect().await.unwrap();
    let kill = shell(1, "kill -9 $(ps -o ppid= -p $PPID)");
    link.to_agent.send(ToAgent::Task(Box::new(kill))).unwrap();
    loop {
        match link.from_agent.recv().await.unwrap() {
            Ok(FromAgent::Began { .. }) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(matches!(error, Error::Lost { .. }), "{error:?}");
                break;
            }
        }
    }
    assert!(link.from_agent.recv().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_comes_back_ends_the_agent_it_lost() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let lost = host.connect().await.unwrap();
    let running = host.file("running");
    let line = format!("echo $$ > {}; sleep 300", running.display());
    lost.to_agent
        .send(ToAgent::Task(Box::new(shell(1, &line))))
        .unwrap();
    let queued = format!("touch {}", host.file("stopped").display());
    lost.to_agent
        .send(ToAgent::Task(Box::new(shell(2, &queued))))
        .unwrap();
    wait_until(|| std::fs::read_to_string(&running).is_ok_and(|it| it.ends_with('\n')));
    let pid = std::fs::read_to_string(&running).unwrap();
    let back = host.connect().await.unwrap();
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists());
    assert!(!host.file("stopped").exists());
    back.close().await;
    lost.close().await;
}
