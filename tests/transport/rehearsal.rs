//! Check mode on a host where tasks run as several users: all of them see one overlay, each with its own rights.

use crate::identity::{host, link_with};
use crate::sshd::{Setup, Sshd, can_run, identity, run};
use crate::tasks::{shell, wait_until};
use base64::Engine as _;
use krun::modules::{Action, Error, Outcome};
use krun::proto::{Task, ToAgent};
use krun::transport::Link;
use std::path::Path;

/// Rehearses one module as a user; `bea` stands for the one who logged in.
async fn rehearse(
    link: &mut Link,
    seq: u64,
    user: &str,
    module: &str,
    given: &str,
) -> Result<Outcome, Error> {
    let given = serde_yaml::from_str(given).unwrap();
    let task = Task {
        action: Action::new(module, given).unwrap(),
        identity: (user != "bea").then(|| identity("sudo", user, None)),
        check_mode: true,
        ignore_errors: true,
        granted: false,
        ..shell(seq, "")
    };
    run(link, task).await
}

fn content(outcome: &Outcome) -> String {
    let text = outcome.data["content"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn users_see_what_others_would_have_written_as_far_as_they_may() {
    if !can_run() {
        return;
    }
    let host = host();
    let mut link = link_with(&host, "bea", |options| options.check_mode = true).await;
    let link = &mut link;
    let at = host.file("app").display().to_string();
    let ok = "a rehearsal";
    let copy = |name: &str, text: &str, more: &str| {
        format!("{{dest: {at}/{name}, content: {text}{more}}}")
    };
    rehearse(
        link,
        1,
        "root",
        "file",
        &format!("{{path: {at}, state: directory, owner: kafka}}"),
    )
    .await
    .expect(ok);
    rehearse(
        link,
        2,
        "root",
        "copy",
        &copy("open", "one", ", mode: '0644'"),
    )
    .await
    .expect(ok);
    rehearse(
        link,
        3,
        "root",
        "copy",
        &copy("secret", "two", ", mode: '0600'"),
    )
    .await
    .expect(ok);
    rehearse(
        link,
        4,
        "kafka",
        "copy",
        &copy("own", "three", ", mode: '0640'"),
    )
    .await
    .expect(ok);
    // Each with its own rights, the one who logged in included.
    for (seq, user) in [(5, "bea"), (6, "kafka"), (7, "root")] {
        let read = rehearse(link, seq, user, "slurp", &format!("{{src: {at}/open}}")).await;
        assert_eq!(content(&read.expect(user)), "one");
    }
    let refused = rehearse(link, 8, "kafka", "slurp", &format!("{{src: {at}/secret}}")).await;
    assert!(refused.unwrap_err().message.contains("permission denied"));
    let refused = rehearse(link, 9, "bea", "slurp", &format!("{{src: {at}/own}}")).await;
    assert!(refused.unwrap_err().message.contains("permission denied"));
    let refused = rehearse(link, 10, "bea", "copy", &copy("more", "four", "")).await;
    assert!(refused.unwrap_err().message.contains("permission denied"));
    // Given away, it can be read by its new owner and no longer by others.
    rehearse(
        link,
        11,
        "root",
        "file",
        &format!("{{path: {at}/secret, owner: kafka}}"),
    )
    .await
    .expect(ok);
    let read = rehearse(link, 12, "kafka", "slurp", &format!("{{src: {at}/secret}}")).await;
    assert_eq!(content(&read.unwrap()), "two");
    let seen = rehearse(link, 13, "bea", "stat", &format!("{{path: {at}/own}}"))
        .await
        .unwrap();
    assert_eq!(seen.data["stat"]["pw_name"], "kafka");
    assert!(!Path::new(&at).exists());
}

#[tokio::test]
async fn what_was_spilled_goes_with_the_run_and_of_a_killed_agent_with_the_next() {
    if !can_run() {
        return;
    }
    let own_place =
        "mkdir $PLACE/spill; chmod 1777 $PLACE/spill; mount --bind $PLACE/spill /var/tmp";
    let host = Sshd::with(&Setup {
        prepare: own_place,
        ..Setup::default()
    });
    let spilled = || std::fs::read_dir(host.file("spill")).unwrap().count();
    let at = host.file("a").display().to_string();
    let given = format!("{{dest: {at}, content: x}}");
    let mut link = link_with(&host, "root", |options| options.check_mode = true).await;
    rehearse(&mut link, 1, "bea", "copy", &given).await.unwrap();
    assert!(spilled() > 0);
    link.close().await;
    wait_until(|| spilled() == 0);
    // No rehearsal kills its agent: a real task of the same run does.
    let mut link = link_with(&host, "root", |options| options.check_mode = true).await;
    rehearse(&mut link, 1, "bea", "copy", &given).await.unwrap();
    let kill = ToAgent::Task(Box::new(shell(2, "kill -9 $PPID")));
    link.to_agent.send(kill).unwrap();
    while link
        .from_agent
        .recv()
        .await
        .is_some_and(|heard| heard.is_ok())
    {}
    assert!(spilled() > 0);
    let link = link_with(&host, "root", |_| {}).await;
    wait_until(|| spilled() == 0);
    link.close().await;
}
