//! The main job: bare hosts become a cluster of 2.1.0, and that one of 2.6.0 while a client writes; nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use krun::lab::Lab;
use serde_json::Value;

use crate::krun_run::{install, run, stripped, told};
use crate::sight::{Inside, Watch};
use crate::stage::{BROKERS, Stage, enabled};

pub(crate) const CLIENT: &str = "client.foo.bar";
const TOPIC: &str = "orders";
/// Records a second.
const RATE: u64 = 250;
/// Seconds within which a record is acknowledged or has failed.
const DELIVERY: u64 = 120;

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn krun_installs_and_upgrades_a_cluster_under_load() {
    if !enabled() {
        return;
    }
    let canary = canary();
    let stage = Stage::book_and("it-upgrade", &[CLIENT]);
    let lab = &stage.0;
    install(lab);
    run(lab, "kafka2.1.yml").expect_no_change(3);
    create_topic(lab);
    for host in BROKERS {
        assert_eq!(running_version(lab, host), "2.1.0", "{host}");
    }

    let watch = Watch::start(lab);
    let load = Load::start(&stage, &canary);
    Load::wait_until_it_flows(&stage);
    let begun = Instant::now();
    run(lab, "upgrade-2.6.yml").expect_success(3);
    let took = begun.elapsed();
    let sent = load.stop(&stage);
    let seen = watch.end();
    println!("{seen:?}");

    check_sent(&sent, took);
    check_read(&verify(&stage), &sent);
    assert_eq!(seen.most_down, 1, "one broker at a time: {seen:?}");
    for host in BROKERS {
        assert_eq!(
            seen.lives[host].len(),
            3,
            "{host} started exactly twice anew: {seen:?}"
        );
        assert_eq!(running_version(lab, host), "2.6.0", "{host}");
    }
    run(lab, "upgrade-2.6.yml").expect_no_change(3);
    let after: Vec<_> = BROKERS.map(|host| lives(lab, host)).into();
    for (host, life) in BROKERS.iter().zip(after) {
        assert!(seen.lives[host].contains(&life), "{host} went on");
    }
}

/// The producer's own account: what was planned was sent, and all of it acknowledged in time.
pub(crate) fn check_sent(sent: &Value, took: Duration) {
    let count = |name: &str| sent[name].as_u64().unwrap();
    println!("sent: {sent}");
    assert_eq!(sent["acks"], "all");
    assert!(sent["fatal"].is_null(), "{}", sent["fatal"]);
    assert!(count("sent") >= count("planned"));
    assert!(count("planned") >= took.as_secs() * RATE);
    assert_eq!(count("failed"), 0);
    assert_eq!(count("acked"), count("sent"));
    assert!(sent["slowest_ack_seconds"].as_f64().unwrap() < 120.0);
    for share in sent["partitions"].as_array().unwrap() {
        assert!(share["acked"].as_u64().unwrap() > 0, "{share}");
    }
    assert_eq!(sent["partitions"].as_array().unwrap().len(), 6);
}

/// What a fresh consumer found from the log start on.
pub(crate) fn check_read(read: &Value, sent: &Value) {
    println!("read: {read}");
    assert_eq!(read["ok"], true, "{}", read["faults"]);
    assert_eq!(read["complete"], true);
    assert_eq!(read["acked"], sent["acked"]);
    for none in [
        "lost",
        "out_of_order",
        "strayed_keys",
        "moved",
        "failed",
        "unacknowledged",
    ] {
        assert_eq!(read[none], 0, "{none}");
    }
}

/// The canary: `KRUN_CANARY` names one, else it is the one that was built with this test.
pub(crate) fn canary() -> PathBuf {
    told("KRUN_CANARY").unwrap_or_else(|| {
        let built = option_env!("CARGO_BIN_EXE_krun-canary");
        stripped(Path::new(built.expect("cargo test --features canary")))
    })
}

/// A topic whose every record is on two brokers at least before it is acknowledged.
pub(crate) fn create_topic(lab: &Lab) {
    let files = tempfile::tempdir().unwrap();
    let playbook = files.path().join("topic.yml");
    let text = format!(
        "- hosts: kafkahosts[0]
  become: true
  gather_facts: false
  tasks:
    - name: A topic for the load
      kafka_topic:
        name: {TOPIC}
        partitions: 6
        replication_factor: 3
        config:
          min.insync.replicas: 2
"
    );
    fs::write(&playbook, text).unwrap();
    run(lab, playbook.to_str().unwrap()).expect_success(1);
}

/// The broker's process: its number and when it began.
pub(crate) fn lives(lab: &Lab, host: &str) -> (i32, u64) {
    let brokers = Inside::of(lab, host).brokers();
    assert_eq!(brokers.len(), 1, "{host}");
    (brokers[0].pid, brokers[0].started)
}

/// The version in the name of the jar on the running process's class path.
pub(crate) fn running_version(lab: &Lab, host: &str) -> String {
    let brokers = Inside::of(lab, host).brokers();
    assert_eq!(brokers.len(), 1, "{host}");
    let versions: Vec<&str> = brokers[0]
        .line
        .split([':', ' '])
        .filter_map(|jar| jar.rsplit_once("/libs/kafka_2.12-")?.1.strip_suffix(".jar"))
        .filter(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
        .collect();
    assert_eq!(versions.len(), 1, "{host}: {versions:?}");
    versions[0].to_owned()
}

fn bootstrap() -> String {
    BROKERS.map(|host| format!("{host}:9092")).join(",")
}

/// A producer on the client host, over ssh.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start(stage: &Stage, canary: &Path) -> Self {
        let status = Command::new("scp")
            .arg("-qF")
            .arg(stage.0.ssh_config())
            .arg(canary)
            .arg(format!("{CLIENT}:krun-canary"))
            .status()
            .unwrap();
        assert!(status.success());
        let line = format!(
            "./krun-canary produce --bootstrap {} --topic {TOPIC} --rate {RATE} --acks all \
             --delivery-timeout {DELIVERY} --state load 2>load.log",
            bootstrap()
        );
        let child = stage
            .0
            .ssh(CLIENT)
            .unwrap()
            .arg(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits for acknowledged records.
    pub(crate) fn wait_until_it_flows(stage: &Stage) {
        stage.on(
            CLIENT,
            "timeout 60 sh -c 'until [ \"$(grep -c ^ack load)\" -gt 500 ]; do sleep 0.2; done' || { cat load.log; false; }",
        );
    }

    /// Ends the sending, waits for what is in flight, and returns the producer's summary.
    pub(crate) fn stop(mut self, stage: &Stage) -> Value {
        stage.on(CLIENT, "pkill -TERM -x krun-canary");
        let output = std::mem::replace(&mut self.0, idle())
            .wait_with_output()
            .unwrap();
        let log = stage.on(CLIENT, "tail -n 20 load.log");
        assert!(output.status.success(), "{log}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The lab goes with its processes; only ssh is left here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that stands in for one that was waited for.
fn idle() -> Child {
    Command::new("true").spawn().unwrap()
}

/// Reads everything back with a fresh consumer; exit 0 is part of the proof.
pub(crate) fn verify(stage: &Stage) -> Value {
    let text = stage.on(
        CLIENT,
        &format!(
            "./krun-canary verify --bootstrap {} --topic {TOPIC} --state load 2>verify.log || {{ tail -n 20 verify.log >&2; false; }}",
            bootstrap()
        ),
    );
    serde_json::from_str(&text).unwrap()
}
