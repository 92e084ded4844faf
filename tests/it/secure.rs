//! A cluster that asks everybody who they are: each way to log in works, and who lacks a right is told which one.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use krun::event::{EventKind, Status, TaskResult};
use krun::lab::Lab;

use crate::krun_run::{here, run};
use crate::stage::{BROKERS, Stage, enabled};

/// Whose certificate the listener for certificates lets in.
const CERTIFIED: &str = "certified.foo.bar";
/// Where every play runs, unless it says otherwise.
const HOST: &str = BROKERS[0];

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_secured_cluster_lets_in_who_may_and_names_the_right_that_is_missing() {
    if !enabled() {
        return;
    }
    let stage = Stage::cluster("it-secure", "2.1.0");
    secure(&stage);
    let lab = &stage.0;
    every_login_works(lab);
    a_roll_goes_through_the_gates(&stage);
    a_missing_right_is_named(lab);
    an_unknown_mechanism_stops_nothing(&stage);
}

fn secure(stage: &Stage) {
    let authority = stage.0.authority();
    for name in BROKERS.into_iter().chain([CERTIFIED]) {
        authority.issue(&[name]).unwrap();
    }
    let status = Command::new(here().join("tests/lab/secure.sh"))
        .arg(stage.0.ssh_config())
        .arg(authority.certificate().parent().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A task with its arguments; `client` names a file of `secure.sh`.
fn task(module: &str, client: Option<&str>, arguments: &[&str]) -> String {
    let mut text = format!("    - {module}:\n");
    for argument in arguments {
        writeln!(text, "        {argument}").unwrap();
    }
    if let Some(client) = client {
        writeln!(
            text,
            "        client_properties: /etc/kafka/{client}.properties"
        )
        .unwrap();
    }
    text
}

/// Runs tasks one after the other, on after failures, and returns how each of them ended.
fn results(lab: &Lab, host: &str, tasks: &str) -> Vec<TaskResult> {
    let files = tempfile::tempdir().unwrap();
    let playbook = files.path().join("secure.yml");
    let text = format!(
        "- hosts: {host}\n  become: true\n  gather_facts: false\n  ignore_errors: true\n  tasks:\n{tasks}"
    );
    fs::write(&playbook, text).unwrap();
    let ended = run(lab, playbook.to_str().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended
        .events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::TaskEnded { result, .. } => Some(result),
            _ => None,
        });
    results.collect()
}

fn said(result: &TaskResult) -> String {
    let msg = result.msg.clone().unwrap_or_default();
    format!("{:?} {msg} {}", result.status, result.causes.join(": "))
}

/// By SCRAM as the brokers themselves, by SCRAM and PLAIN from a client.properties, by a certificate in a JKS.
fn every_login_works(lab: &Lab) {
    let topic = ["name: orders", "partitions: 3", "replication_factor: 3"];
    let mut tasks = task("kafka_topic", Some("operator"), &topic);
    for client in [None, Some("operator"), Some("writer"), Some("certified")] {
        tasks += &task("kafka_exchange", client, &["topic: orders"]);
        tasks += &task("kafka_facts", client, &["home: /usr/local/kafka"]);
        tasks += "    - assert:\n        that:\n          - ansible_facts.kafka.answers\n          - ansible_facts.kafka.inter_broker_protocol_pin == '2.1'\n          - ansible_facts.kafka.brokers | length == 3\n";
    }
    let results = results(lab, HOST, &tasks);
    assert_eq!(results.len(), 13);
    assert_eq!(results[0].status, Status::Changed, "{}", said(&results[0]));
    for result in &results[1..] {
        assert_eq!(result.status, Status::Ok, "{}", said(result));
    }
}

fn a_roll_goes_through_the_gates(stage: &Stage) {
    let before = process(stage, BROKERS[1]);
    let mut tasks = task(
        "kafka_safe_to_stop",
        Some("operator"),
        &["brokers: \"{{ groups['kafkahosts'] }}\"", "stable_for: 1"],
    );
    tasks += "    - systemd:\n        name: kafka-server\n        state: restarted\n";
    tasks += &task(
        "wait_for_isr",
        Some("operator"),
        &["version: 2.1.0", "stable_for: 1"],
    );
    let results = results(&stage.0, BROKERS[1], &tasks);
    let ends: Vec<String> = results.iter().map(said).collect();
    let statuses: Vec<Status> = results.iter().map(|result| result.status).collect();
    assert_eq!(
        statuses,
        [Status::Ok, Status::Changed, Status::Ok],
        "{ends:?}"
    );
    assert_ne!(process(stage, BROKERS[1]), before);
}

fn a_missing_right_is_named(lab: &Lab) {
    let exchange = |client| {
        task(
            "kafka_exchange",
            Some(client),
            &["topic: orders", "timeout: 20"],
        )
    };
    let stop = |client| task("kafka_safe_to_stop", Some(client), &["stall: 0"]);
    let create = task(
        "kafka_topic",
        Some("reader"),
        &["name: new", "partitions: 1", "replication_factor: 1"],
    );
    let isr = task(
        "wait_for_isr",
        Some("reader"),
        &["protocol: '2.1'", "stall: 20"],
    );
    let tasks = [
        (
            exchange("stranger"),
            "user `stranger` needs `Describe` on topic `orders`",
        ),
        (
            exchange("reader"),
            "user `reader` needs `Write` on topic `orders`",
        ),
        (
            exchange("groupless"),
            "user `groupless` needs `Describe` on group `krun-acceptance`",
        ),
        (create, "user `reader` needs `Create` on topic `new`"),
        (
            stop("reader"),
            "user `reader` needs `Describe` on the cluster",
        ),
        (
            stop("halfblind"),
            "user `halfblind` needs `Describe` on topic `orders`",
        ),
        (isr, "user `reader` needs `DescribeConfigs` on the cluster"),
        (
            task("kafka_facts", Some("reader"), &[]),
            "user `reader` needs `DescribeConfigs` on the cluster",
        ),
    ];
    let text: String = tasks.iter().map(|(task, _)| task.as_str()).collect();
    let results = results(lab, HOST, &text);
    assert_eq!(results.len(), tasks.len());
    for (result, (task, missing)) in results.iter().zip(&tasks) {
        assert_eq!(result.status, Status::Ignored, "{task}{}", said(result));
        let msg = result.msg.as_deref().unwrap_or_default();
        assert!(
            msg.starts_with(&format!("missing ACL: {missing}")),
            "{task}{}",
            said(result)
        );
    }
}

/// The gate before a stop is where it is found; what comes behind it is not reached.
fn an_unknown_mechanism_stops_nothing(stage: &Stage) {
    let before = process(stage, HOST);
    for (client, mechanism) in [("kerberos", "GSSAPI"), ("bearer", "OAUTHBEARER")] {
        let mut tasks = task("kafka_safe_to_stop", Some(client), &[]);
        tasks += "    - systemd:\n        name: kafka-server\n        state: stopped\n";
        let files = tempfile::tempdir().unwrap();
        let playbook = files.path().join("stop.yml");
        let text =
            format!("- hosts: {HOST}\n  become: true\n  gather_facts: false\n  tasks:\n{tasks}");
        fs::write(&playbook, text).unwrap();
        let ended = run(&stage.0, playbook.to_str().unwrap());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let wanted = format!(
            "sasl mechanism `{mechanism}` is not supported: krun speaks PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512"
        );
        let failed = ended.events.iter().any(|event| {
            matches!(&event.kind,
            EventKind::TaskEnded { result, .. } if result.msg.as_deref() == Some(&wanted))
        });
        assert!(failed, "{wanted}");
        assert_eq!(process(stage, HOST), before);
    }
}

/// The broker's process, by its number and when it began.
fn process(stage: &Stage, host: &str) -> String {
    stage.on(
        host,
        "ps -o pid=,lstart= -p \"$(pgrep -f 'kafka[.]Kafka')\"",
    )
}
