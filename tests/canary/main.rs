//! The canary's program against brokers of librdkafka's mock cluster: real TCP, in this process.
#![expect(clippy::unwrap_used, reason = "what tests stand on is test code, too")]

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value;

const TOPIC: &str = "peter-overview";
const PARTITIONS: i32 = 6;

/// Three mock brokers that each lead two partitions of one topic, and a place for the state.
struct Stage {
    cluster: MockCluster<'static, DefaultProducerContext>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let cluster = MockCluster::new(3).unwrap();
        cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
        for partition in 0..PARTITIONS {
            // Left alone, the mock draws each leader, and a broker may lead nothing.
            let broker = partition % 3 + 1;
            cluster
                .partition_leader(TOPIC, partition, Some(broker))
                .unwrap();
        }
        Self {
            cluster,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The canary with this command and what follows it, stdout and stderr taken.
    fn canary(&self, command: &str, rest: &str) -> Command {
        let mut canary = Command::new(env!("CARGO_BIN_EXE_krun-canary"));
        canary
            .args([command, "--topic", TOPIC, "--status", "0.2", "--bootstrap"])
            .arg(self.cluster.bootstrap_servers())
            .args(rest.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if command != "consume" {
            canary.arg("--state").arg(self.state());
        }
        canary
    }

    fn produce(&self, rest: &str) -> (i32, Value) {
        json(&self.canary("produce", rest).output().unwrap())
    }

    fn verify(&self) -> (i32, Value) {
        json(&self.canary("verify", "--timeout 120").output().unwrap())
    }

    /// Waits until the state file has so many acknowledged records.
    fn wait_for_acks(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let text = std::fs::read_to_string(self.state()).unwrap_or_default();
            if text.lines().filter(|line| line.starts_with("ack ")).count() >= count {
                return;
            }
            assert!(Instant::now() < deadline, "no {count} acks in time: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Adds a line to the state, as if the producer had written it.
    fn note(&self, line: &str) {
        let mut file = OpenOptions::new().append(true).open(self.state()).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

fn json(output: &Output) -> (i32, Value) {
    let said = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code().unwrap(), json)
}

fn terminate(child: Child) -> (i32, Value) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    json(&child.wait_with_output().unwrap())
}

/// Follows the lines of a reader's progress until it has so many records.
fn wait_until_read(reader: &mut Child, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let wanted = format!(" {count} in all, ");
    for line in BufReader::new(reader.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "not {count} in time: {line}");
    }
    panic!("the reader ended before it had {count} records");
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_was_sent_is_acknowledged_and_read_back() {
    let stage = Stage::new();
    let (code, sent) = stage.produce("--rate 200 --keys 8 --seconds 2");
    assert_eq!(code, 0, "{sent}");
    assert_eq!(
        (&sent["planned"], &sent["acked"]),
        (&400.into(), &400.into())
    );
    assert_eq!(sent["partitions"].as_array().unwrap().len(), 6);
    let summary = text_of(&stage.folder.path().join("state.json"));
    assert_eq!(serde_json::from_str::<Value>(&summary).unwrap(), sent);

    let (code, verdict) = stage.verify();
    assert_eq!(code, 0, "{verdict}");
    assert_eq!(
        (&verdict["read"], &verdict["lost"]),
        (&400.into(), &0.into())
    );
    assert_eq!(
        (&verdict["duplicated"], &verdict["moved"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn brokers_that_refuse_and_hang_up_cost_time_and_no_record() {
    let stage = Stage::new();
    let child = stage
        .canary("produce", "--rate 200 --keys 32 --gap 0.5")
        .spawn()
        .unwrap();
    stage.wait_for_acks(100);
    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    stage
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &refusals);
    stage.wait_for_acks(300);
    stage.cluster.broker_down(1).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    stage.cluster.broker_up(1).unwrap();
    stage.wait_for_acks(800);
    let (code, sent) = terminate(child);
    assert_eq!(code, 0, "{sent}");
    assert_eq!(sent["sent"], sent["acked"]);
    assert!(
        sent["longest_gap"]["seconds"].as_f64().unwrap() >= 0.5,
        "{sent}"
    );

    let (code, verdict) = stage.verify();
    assert_eq!(code, 0, "{verdict}");
    assert_eq!(
        (&verdict["acked"], &verdict["duplicated"]),
        (&sent["acked"], &0.into())
    );
    assert!(!verdict["gaps"].as_array().unwrap().is_empty());
}

#[test]
fn an_acknowledged_record_that_is_not_there_is_named() {
    let stage = Stage::new();
    stage.produce("--rate 100 --keys 4 --seconds 1");
    stage.note("ack 3 9999 9999 3 5000 1700000000000");
    let (code, verdict) = stage.verify();
    assert_eq!((code, &verdict["lost"]), (1, &1.into()));
    assert_eq!(verdict["lost_examples"][0]["number"], 9999);
    assert_eq!(verdict["faults"][0], "1 acknowledged records are lost");
}

#[test]
fn a_killed_producer_leaves_a_state_that_can_be_checked_and_continued() {
    let stage = Stage::new();
    let mut child = stage.canary("produce", "--rate 200").spawn().unwrap();
    stage.wait_for_acks(100);
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, verdict) = stage.verify();
    assert_eq!(code, 0, "{verdict}");

    stage.produce("--acks 1 --rate 100 --seconds 1");
    let (code, verdict) = stage.verify();
    assert_eq!(code, 0, "{verdict}");
    assert_eq!(verdict["runs"].as_array().unwrap().len(), 2);
    assert_eq!(verdict["acks"], serde_json::json!({"all": 1, "1": 1}));
}

#[test]
fn records_that_time_out_fail_by_name_and_the_rest_still_verifies() {
    let stage = Stage::new();
    let child = stage
        .canary("produce", "--rate 100 --keys 6 --delivery-timeout 2")
        .spawn()
        .unwrap();
    stage.wait_for_acks(50);
    stage.cluster.broker_down(-1).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let (code, sent) = terminate(child);
    assert_eq!(code, 1, "{sent}");
    let failed = sent["failed"].as_u64().unwrap();
    assert!(failed > 0);
    assert_eq!(
        sent["sent"].as_u64().unwrap(),
        sent["acked"].as_u64().unwrap() + failed
    );
    assert!(!sent["errors"].as_object().unwrap().is_empty());
    stage.cluster.broker_up(-1).unwrap();
    let (code, verdict) = stage.verify();
    assert_eq!((code, &verdict["lost"]), (0, &0.into()), "{verdict}");
}

#[test]
fn a_group_reads_along_and_its_committed_offsets_are_what_it_read() {
    let stage = Stage::new();
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", stage.cluster.bootstrap_servers())
        .create()
        .unwrap();
    let stray = BaseRecord::<str, str>::to(TOPIC).payload("not ours");
    producer.send(stray).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    let mut reader = stage
        .canary("consume", "--group peter-group")
        .spawn()
        .unwrap();
    let (code, sent) = stage.produce("--rate 200 --seconds 8");
    assert_eq!(code, 0, "{sent}");
    wait_until_read(&mut reader, 1601);
    let (code, read) = terminate(reader);
    assert_eq!(code, 0, "{read}");
    assert_eq!(
        (&read["read"], &read["unknown"]),
        (&1601.into(), &1.into()),
        "{read}"
    );
    assert!(read["commits"].as_u64().unwrap() > 0);
    let (_, verdict) = stage.verify();
    assert_eq!(verdict["unknown"], 1);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_sent() {
    let stage = Stage::new();
    let refused = stage
        .canary("produce", "--acks 1 --idempotence true")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(
        said,
        "krun-canary: `--idempotence true` needs `--acks all`\n"
    );

    stage.cluster.broker_down(-1).unwrap();
    let alone = stage.canary("produce", "--wait 0.5").output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(said.contains("topic `peter-overview` is not to be had from"));
}
