//! Logins that work, and errors that say why one does not.

use crate::sshd::{Setup, Sshd, can_run, connect, keygen};
use crate::tasks::wait_until;
use krun::transport::Error;
use krun::value::Secret;
use std::process::Command;

fn arguments(host: &Sshd, more: &str) -> String {
    let connection = host.connection();
    format!("{} {more}", connection.ssh_common_args.unwrap())
}

#[tokio::test]
async fn a_changed_host_key_is_refused_loudly() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    keygen(&host.file("host_other"), "ed25519", "");
    let line = host.known_line("other");
    std::fs::write(host.file("known_hosts"), format!("# a comment\n{line}")).unwrap();
    let error = host.connect().await.err().unwrap();
    assert!(error.to_string().contains("HAS CHANGED"), "{error}");
    let causes = error.causes().join("\n");
    assert!(
        causes.contains("known_hosts:2 has ED25519 SHA256:"),
        "{causes}"
    );
    assert!(error.help().unwrap().contains("ssh-keygen -R"));
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_the_way_to_make_it_known() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    std::fs::write(host.file("known_hosts"), "").unwrap();
    let error = host.connect().await.err().unwrap();
    let help = error.help().unwrap();
    assert!(matches!(error, Error::HostKeyUnknown { .. }), "{error:?}");
    assert!(
        help.contains(&format!("ssh-keyscan -p {} 127.0.0.1", host.port)),
        "{help}"
    );

    let mut connection = host.connection();
    connection.ssh_common_args = Some(arguments(&host, "-o StrictHostKeyChecking=accept-new"));
    let link = connect(&connection, host.options()).await.unwrap();
    assert!(
        link.warnings[0].contains("was added to"),
        "{:?}",
        link.warnings
    );
    link.close().await;
    host.connect().await.unwrap();
}

#[tokio::test]
async fn hashed_names_and_hosts_known_by_one_key_only_are_found() {
    if !can_run() {
        return;
    }
    let host = Sshd::with(&Setup {
        host_keys: &["rsa", "ecdsa", "ed25519"],
        ..Setup::default()
    });
    for kind in ["rsa", "ecdsa", "ed25519"] {
        std::fs::write(host.file("known_hosts"), host.known_line(kind)).unwrap();
        let hashed = Command::new("ssh-keygen")
            .arg("-H")
            .arg("-f")
            .arg(host.file("known_hosts"))
            .output();
        assert!(hashed.unwrap().status.success());
        let link = host
            .connect()
            .await
            .unwrap_or_else(|it| panic!("{kind}: {it}"));
        link.close().await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let line = host.known_line("ed25519");
    std::fs::write(host.file("known_hosts"), format!("{line}@revoked {line}")).unwrap();
    let error = host.connect().await.err().unwrap();
    assert!(matches!(error, Error::HostKeyRevoked { .. }), "{error:?}");
}

#[tokio::test]
async fn keys_of_every_kind_log_in() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = host.file(&format!("my_{kind}"));
        keygen(&key, kind, "");
        std::fs::copy(key.with_extension("pub"), host.file("authorized_keys")).unwrap();
        let mut connection = host.connection();
        connection.private_key_file = Some(key.to_string_lossy().into());
        let link = connect(&connection, host.options()).await;
        link.unwrap_or_else(|it| panic!("{kind}: {it:?}"))
            .close()
            .await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_named_with_what_the_host_accepts() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    keygen(&host.file("wrong"), "ed25519", "");
    let mut connection = host.connection();
    connection.private_key_file = Some(host.file("wrong").to_string_lossy().into());
    let error = connect(&connection, host.options()).await.err().unwrap();
    let causes = error.causes().join("\n");
    assert!(
        error.to_string().starts_with("`root` cannot log in"),
        "{error}"
    );
    assert!(causes.contains("/wrong: refused"), "{causes}");
    assert!(causes.contains("the host accepts publickey"), "{causes}");
}

#[tokio::test]
async fn an_encrypted_key_needs_ssh_agent() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let key = host.file("locked");
    keygen(&key, "ed25519", "secret");
    std::fs::copy(host.file("locked.pub"), host.file("authorized_keys")).unwrap();
    let mut connection = host.connection();
    connection.private_key_file = Some(key.to_string_lossy().into());
    let error = connect(&connection, host.options()).await.err().unwrap();
    assert!(
        error
            .causes()
            .join("\n")
            .contains("is encrypted, and ssh-agent does not hold it"),
        "{error:?}"
    );

    let socket = host.file("agent.sock");
    let mut agent = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .spawn()
        .unwrap();
    wait_until(|| socket.exists());
    let ask = host.file("ask");
    std::fs::write(&ask, "#!/bin/sh\necho secret\n").unwrap();
    std::fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let added = Command::new("ssh-add")
        .arg(&key)
        .env("SSH_AUTH_SOCK", &socket)
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .status();
    assert!(added.unwrap().success());
    let mut options = host.options();
    options.ssh_auth_sock = Some(socket);
    let linked = connect(&connection, options).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    linked.unwrap().close().await;
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_does_not() {
    if !can_run() {
        return;
    }
    let host = Sshd::with(&Setup {
        prepare: "mkdir $PLACE/etc; mount -t tmpfs tmpfs $PLACE/etc; cp -a /etc/. $PLACE/etc; mount --bind $PLACE/etc /etc; useradd -m -d $PLACE/ann -s /bin/sh ann; echo ann:right | chpasswd; chmod 755 $PLACE; chmod 777 $HOME",
        config: "PasswordAuthentication yes",
        ..Setup::default()
    });
    let mut connection = host.connection();
    connection.private_key_file = None;
    connection.user = Some("ann".into());
    connection.password = Some(Secret::new("right"));
    let link = connect(&connection, host.options()).await.unwrap();
    assert_eq!(link.ready.user, "ann");
    link.close().await;
    connection.password = Some(Secret::new("wrong"));
    let error = connect(&connection, host.options()).await.err().unwrap();
    assert!(
        error.causes().join("\n").contains("the password: refused"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_jump_host_leads_to_the_target() {
    if !can_run() {
        return;
    }
    let gate = Sshd::start();
    let host = Sshd::start();
    let config = format!(
        "Host gate\n  HostName 127.0.0.1\n  Port {}\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\nHost 127.0.0.1\n  ProxyJump gate\n",
        gate.port,
        gate.file("id").display(),
        gate.file("known_hosts").display(),
    );
    std::fs::write(host.file("ssh_config"), config).unwrap();
    let mut connection = host.connection();
    connection.ssh_common_args = Some(format!(
        "-F {} -o UserKnownHostsFile={}",
        host.file("ssh_config").display(),
        host.file("known_hosts").display()
    ));
    connect(&connection, host.options())
        .await
        .unwrap()
        .close()
        .await;
    assert!(gate.log().contains("Accepted publickey"));
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_so() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let mut connection = host.connection();
    connection.port = Some(1);
    let error = connect(&connection, host.options()).await.err().unwrap();
    assert!(
        error.causes()[0].contains("Connection refused"),
        "{error:?}"
    );
    connection.host = "no-such-host.invalid".into();
    let error = connect(&connection, host.options()).await.err().unwrap();
    assert!(error.to_string().contains("has no address"), "{error:?}");
}
