//! Tasks of other users than the one who logged in.

use crate::sshd::{Setup, Sshd, can_run, connect, identity, run, stdout};
use crate::tasks::shell;
use krun::proto::Task;

/// Accounts of the host's own: `ann` logs in, `kafka` is become; ann's sudo asks for a password, bea's does not.
const ACCOUNTS: &str = "mkdir $PLACE/etc; mount -t tmpfs tmpfs $PLACE/etc; cp -a /etc/. $PLACE/etc; mount --bind $PLACE/etc /etc; \
    for user in ann bea kafka; do useradd -m -d $PLACE/$user -s /bin/sh $user; done; echo ann:right | chpasswd; echo bea:other | chpasswd; \
    printf 'ann ALL=(ALL) ALL\\nbea ALL=(ALL) NOPASSWD: ALL\\n' > /etc/sudoers.d/krun; chmod 440 /etc/sudoers.d/krun; \
    chmod 755 $PLACE; chmod 700 $PLACE/ann $PLACE/bea";

pub(crate) fn host() -> Sshd {
    // Homes are the accounts' own here.
    Sshd::with(&Setup {
        prepare: &format!("{ACCOUNTS}; sed -i '/^SetEnv/d' $PLACE/sshd_config"),
        ..Setup::default()
    })
}

async fn link(host: &Sshd, user: &str) -> krun::transport::Link {
    link_with(host, user, |_| {}).await
}

pub(crate) async fn link_with(
    host: &Sshd,
    user: &str,
    change: impl FnOnce(&mut krun::transport::Options),
) -> krun::transport::Link {
    let mut connection = host.connection();
    connection.user = Some(user.into());
    let mut options = host.options();
    change(&mut options);
    connect(&connection, options).await.unwrap()
}

fn as_user(seq: u64, line: &str, method: &str, user: &str, password: Option<&str>) -> Task {
    Task {
        identity: Some(identity(method, user, password)),
        ..shell(seq, line)
    }
}

#[tokio::test]
async fn a_task_runs_as_root_and_as_a_user_without_rights() {
    if !can_run() {
        return;
    }
    let host = host();
    let mut link = link(&host, "bea").await;
    for (seq, user) in [(1, "root"), (2, "kafka"), (3, "root")] {
        // bea's sudo asks for nothing: a password must not end up in the agent's input.
        let task = as_user(seq, "id -un; echo $HOME", "sudo", user, Some("unused"));
        let outcome = run(&mut link, task).await.unwrap();
        assert!(stdout(&outcome).starts_with(user), "{outcome:?}");
    }
    let outcome = run(&mut link, shell(4, "id -un")).await.unwrap();
    assert_eq!(stdout(&outcome), "bea");
    link.close().await;
}

#[tokio::test]
async fn a_become_password_is_given_when_it_is_asked_for() {
    if !can_run() {
        return;
    }
    let host = host();
    let mut one = link(&host, "ann").await;
    let task = as_user(1, "id -un", "sudo", "kafka", Some("right"));
    assert_eq!(stdout(&run(&mut one, task).await.unwrap()), "kafka");
    one.close().await;
}

#[tokio::test]
async fn a_wrong_or_missing_become_password_is_a_clear_error() {
    if !can_run() {
        return;
    }
    let host = host();
    let mut link = link(&host, "ann").await;
    let task = as_user(1, "id -un", "sudo", "root", Some("wrong"));
    let error = run(&mut link, task).await.unwrap_err();
    assert!(
        error.message.contains("did not accept the become password"),
        "{error:?}"
    );
    let mut task = as_user(2, "id -un", "sudo", "root", None);
    task.epoch = 1;
    let error = run(&mut link, task).await.unwrap_err();
    assert!(
        error.to_string().contains("asks for a password"),
        "{error:?}"
    );
    assert!(error.help.unwrap().contains("--ask-become-pass"));
    let mut task = as_user(3, "id -un", "sudo", "nobody-there", Some("right"));
    task.epoch = 2;
    let error = run(&mut link, task).await.unwrap_err();
    assert!(error.to_string().contains("nobody-there"), "{error:?}");
}

#[tokio::test]
async fn su_serves_where_sudo_is_not_wanted() {
    if !can_run() {
        return;
    }
    let host = host();
    let mut link = link(&host, "root").await;
    let task = as_user(1, "id -un", "su", "kafka", None);
    assert_eq!(stdout(&run(&mut link, task).await.unwrap()), "kafka");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_command_ends_with_the_controller() {
    if !can_run() {
        return;
    }
    let host = host();
    let link = link(&host, "bea").await;
    let pid = host.file("kafka/pid");
    let command = format!("echo $$ > {}; sleep 300", pid.display());
    let task = as_user(1, &command, "sudo", "kafka", None);
    link.to_agent
        .send(krun::proto::ToAgent::Task(Box::new(task)))
        .unwrap();
    crate::tasks::wait_until(|| std::fs::read_to_string(&pid).is_ok_and(|it| it.ends_with('\n')));
    let process = format!("/proc/{}", std::fs::read_to_string(&pid).unwrap().trim());
    link.close().await;
    crate::tasks::wait_until(|| !std::path::Path::new(&process).exists());
}
