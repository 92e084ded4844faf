//! How an agent comes to a host, and what stands in its way.

use crate::sshd::{Setup, Sshd, can_run, connect, run, stdout};
use crate::tasks::{shell, shell_with};
use krun::proto::{FromAgent, ToAgent};
use krun::transport::Error;

#[tokio::test]
async fn a_host_without_an_agent_gets_one_and_keeps_it() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let mut link = host.connect().await.unwrap();
    assert!(!link.ready.warm);
    assert_eq!(link.ready.user, "root");
    let outcome = run(&mut link, shell(1, "echo $HOME")).await.unwrap();
    assert_eq!(stdout(&outcome), host.file("home").to_string_lossy());
    link.close().await;
    let link = host.connect().await.unwrap();
    assert!(link.ready.warm);
    link.close().await;
    let kept: Vec<_> = std::fs::read_dir(host.file("home/.krun"))
        .unwrap()
        .flatten()
        .collect();
    let names: Vec<_> = kept
        .iter()
        .map(|it| it.file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|it| it.starts_with("upload.")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_login_that_prints_a_banner_does_no_harm() {
    if !can_run() {
        return;
    }
    let prepare = r#"printf 'echo "Welcome to $(hostname)!"; echo warning >&2; printf "krun without end"\n' > $HOME/.bashrc; echo Authorized only > $PLACE/banner"#;
    let host = Sshd::with(&Setup {
        prepare,
        ..Setup::default()
    });
    let link = host.connect().await.unwrap();
    assert!(!link.ready.warm);
    link.close().await;
    assert!(host.connect().await.unwrap().ready.warm);
}

#[tokio::test]
async fn a_noexec_home_is_passed_over() {
    if !can_run() {
        return;
    }
    let host = Sshd::with(&Setup {
        prepare: "mount -t tmpfs -o noexec tmpfs $HOME",
        ..Setup::default()
    });
    for warm in [false, true] {
        let mut link = host.connect().await.unwrap();
        assert_eq!(link.ready.warm, warm);
        let outcome = run(&mut link, shell(1, "ls /var/tmp/krun-0"))
            .await
            .unwrap();
        assert!(stdout(&outcome).contains("agent-"), "{outcome:?}");
        link.close().await;
    }
}

#[tokio::test]
async fn a_full_home_is_passed_over() {
    if !can_run() {
        return;
    }
    let host = Sshd::with(&Setup {
        prepare: "mount -t tmpfs -o size=64k tmpfs $HOME; head -c 65536 /dev/zero > $HOME/full || true",
        ..Setup::default()
    });
    let mut link = host.connect().await.unwrap();
    let outcome = run(&mut link, shell(1, "ls /var/tmp/krun-0"))
        .await
        .unwrap();
    assert!(stdout(&outcome).contains("journal"), "{outcome:?}");
}

#[tokio::test]
async fn a_host_without_any_place_has_all_of_them_named() {
    if !can_run() {
        return;
    }
    let host = Sshd::with(&Setup {
        prepare: "mount -t tmpfs -o size=64k tmpfs $HOME; head -c 65536 /dev/zero > $HOME/full || true; mount -t tmpfs -o ro tmpfs /var/tmp; \
                  mkdir -p /tmp/krun-0; mount -t tmpfs -o ro tmpfs /tmp/krun-0; mount -t tmpfs -o noexec tmpfs /dev/shm",
        ..Setup::default()
    });
    let error = host.connect().await.err().expect("an agent came up");
    let Error::Bootstrap { causes } = &error else {
        panic!("{error:?}");
    };
    let all = causes.join("\n");
    for place in [
        "/.krun: ",
        "/var/tmp/krun-0: ",
        "/tmp/krun-0: ",
        "/dev/shm/krun-0: ",
    ] {
        assert!(all.contains(place), "{all}");
    }
    assert!(
        all.contains("No space left") && all.contains("Read-only") && all.contains("noexec"),
        "{all}"
    );
}

#[tokio::test]
async fn a_broken_agent_on_the_host_is_replaced() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    host.connect().await.unwrap().close().await;
    let kept = std::fs::read_dir(host.file("home/.krun"))
        .unwrap()
        .flatten();
    let agent = kept
        .map(|it| it.path())
        .find(|it| it.to_string_lossy().contains("agent-"))
        .unwrap();
    // In its place, not into it: the agent before may not have ended yet.
    std::fs::remove_file(&agent).unwrap();
    std::fs::write(&agent, "").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&agent, mode).unwrap();
    let link = host.connect().await.unwrap();
    assert!(!link.ready.warm);
}

#[tokio::test]
async fn a_second_controller_hears_of_the_first_until_it_is_gone() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let first = host.connect().await.unwrap();
    let mut other = host.options();
    other.run = "run2".into();
    other.controller = "bob@lap".into();
    let error = connect(&host.connection(), other).await.err().unwrap();
    assert!(
        matches!(&error, Error::Busy { controller } if controller.starts_with("ann@desk")),
        "{error:?}"
    );
    first.close().await;
    let mut other = host.options();
    other.run = "run2".into();
    connect(&host.connection(), other).await.unwrap();
}

/// Bytes.
const MUCH: usize = 20 << 20;

#[tokio::test]
async fn much_output_against_much_input_does_not_hang() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let mut link = host.connect().await.unwrap();
    let long = "y".repeat(1 << 20);
    let output = format!("head -c {MUCH} /dev/zero | tr '\\0' x");
    link.to_agent
        .send(ToAgent::Task(Box::new(shell(1, &output))))
        .unwrap();
    for seq in 2..22 {
        let task = shell_with(seq, "cat > /dev/null", &long);
        link.to_agent.send(ToAgent::Task(Box::new(task))).unwrap();
    }
    let mut ended = 0;
    while ended < 21 {
        match link.from_agent.recv().await.unwrap().unwrap() {
            FromAgent::Ended { seq, result } => {
                ended += 1;
                if seq == 1 {
                    assert_eq!(stdout(&result.unwrap()).len(), MUCH);
                }
            }
            FromAgent::Began { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_local_connection_needs_no_login() {
    let place = tempfile::tempdir().unwrap();
    let mut options = krun::transport::Options::new(crate::sshd::agent(), place.path().into());
    options.run = "run1".into();
    let local = |name: &str| (name == "ansible_connection").then(|| "local".into());
    let connection = krun::inventory::connection::Connection::resolve("here", &local).unwrap();
    let options = std::sync::Arc::new(options);
    let mut one = krun::transport::connect(&"here".into(), &connection, &options)
        .await
        .unwrap();
    let two = krun::transport::connect(&"there".into(), &connection, &options)
        .await
        .unwrap();
    let outcome = run(&mut one, shell(1, "echo here")).await.unwrap();
    assert_eq!(stdout(&outcome), "here");
    two.close().await;
    one.close().await;
}
