//! What tests of this part stand on: works and phases in a few words.

use super::account::{Acceptance, Account, Cluster, Kafka, StoodIn};
use super::brokers::{Broker, MostDown, Standing, State};
use super::compare::{Comparison, Difference};
use super::estimate::{Production, estimate};
use super::eye::{Exchanged, TopicSeen};
use super::idempotence::judge;
use super::load::{Flow, Gap, Grouped, Loaded, ReadBack, Sent, Share};
use super::work::{Batch, Phase, Work};
use crate::event::{At, Status, TaskName};
use crate::modules::diff::Diff;
use std::collections::BTreeMap;

/// A task on a host, with times in milliseconds.
pub(super) fn work(host: &str, title: &str, from: u64, to: u64, status: Status) -> Work {
    let module = match title {
        "Safe to stop?" => "kafka_safe_to_stop",
        "Wait for the ISR" => "wait_for_isr",
        "Assert" => "assert",
        _ => "systemd",
    };
    Work {
        host: host.into(),
        task: TaskName {
            title: title.to_owned(),
            at: At {
                file: "play.yml".to_owned(),
                line: u32::try_from(title.len()).unwrap(),
                column: 7,
            },
            module: module.to_owned(),
            is_handler: false,
        },
        play: 0,
        from,
        to,
        status,
        waits: Vec::new(),
        diffs: Vec::new(),
        msg: None,
    }
}

/// A run of these works.
pub(super) fn phase(works: Vec<Work>, ended_well: bool) -> Phase {
    Phase {
        title: "upgrade.yml".to_owned(),
        from: works.iter().map(|work| work.from).min().unwrap_or(0),
        to: works.iter().map(|work| work.to).max().unwrap_or(0),
        ended_well,
        works,
        ..Phase::default()
    }
}

/// One batch of the play `Roll`, of three hosts in all.
pub(super) fn batch(play: usize, hosts: &[&str], from: u64, to: u64) -> Batch {
    Batch {
        play,
        name: "Roll".to_owned(),
        hosts: hosts.iter().map(|host| (*host).into()).collect(),
        of: 3,
        from,
        to,
    }
}

/// A rehearsal of two brokers whose playbook restarted one, and lost a record with acks=1.
#[expect(clippy::too_many_lines, reason = "one account, told in order")]
pub(super) fn account() -> Account {
    let mut main = phase(
        vec![
            work("k1", "Safe to stop?", 10_000, 12_000, Status::Ok),
            work("k1", "Restart the broker", 12_000, 20_000, Status::Changed),
            work("k1", "Wait for the ISR", 20_000, 40_000, Status::Ok),
        ],
        true,
    );
    main.works[1].diffs = vec![Diff::new("unit kafka-server").attribute(
        "state",
        Some("active".into()),
        Some("restarted".into()),
    )];
    main.works[2].waits = vec![
        (21_000, "waiting: broker 1 is not registered".to_owned()),
        (
            25_000,
            "waiting: 64 replicas missing (a-0 on 1, …)".to_owned(),
        ),
        (
            27_000,
            "waiting: 12 replicas missing (a-0 on 1, …)".to_owned(),
        ),
        (
            30_000,
            "waiting: all in sync, holding for 1 of 10 s".to_owned(),
        ),
    ];
    main.batches = vec![batch(0, &["k1"], 10_000, 40_000)];
    let mut again = phase(
        vec![work("k1", "Safe to stop?", 41_000, 42_000, Status::Ok)],
        true,
    );
    again.title = main.title.clone();
    let gap = Gap {
        partition: 0,
        from: 13_000,
        to: 15_500,
    };
    let flow = |acks: &str, lost| Flow {
        acks: acks.to_owned(),
        sent: Sent {
            planned: 10_000,
            sent: 10_000,
            acked: 10_000,
            slowest_ack_seconds: 2.51,
            partitions: vec![
                Share {
                    partition: 0,
                    longest_gap: Some(gap),
                },
                Share {
                    partition: 1,
                    longest_gap: None,
                },
            ],
            gaps: vec![gap],
            ..Sent::default()
        },
        read: Ok(ReadBack {
            read: 10_000 - lost,
            lost,
            complete: true,
            ..ReadBack::default()
        }),
    };
    let state = |at, pid, version: &str| State {
        at,
        down: pid == 0,
        pid,
        version: (pid > 0).then(|| version.to_owned()),
        protocol: (pid > 0).then(|| "2.1".to_owned()),
        bytes: (1000, 1000),
    };
    let broker = |host: &str, id, states| Broker {
        host: host.to_owned(),
        id,
        states,
    };
    let standing = |at, missing| Standing {
        at,
        seen: TopicSeen {
            partitions: 2,
            replicas: 2,
            min_isr: 2 - missing,
            missing,
            leaderless: 0,
        },
    };
    let exchanged = Exchanged {
        first_offset: 0,
        first_record: "the first record".to_owned(),
        committed: 1,
    };
    let production = Production {
        data_per_broker: Some(700_000_000_000),
        replication_rate: Some(100_000_000),
    };
    let brokers = vec![
        broker(
            "k1",
            1,
            vec![
                state(5_000, 7, "2.1.0"),
                state(13_000, 0, ""),
                state(19_000, 8, "2.6.0"),
            ],
        ),
        broker("k2", 2, vec![state(5_000, 7, "2.6.0")]),
    ];
    Account {
        command: "krun rehearse -i hosts upgrade.yml".to_owned(),
        hosts: vec!["k1".to_owned(), "k2".to_owned()],
        from: 5_000,
        to: 45_000,
        ended: 45_000,
        stood_in: StoodIn {
            packages: vec!["git".to_owned(), "java-1.8.0-openjdk".to_owned()],
            sites: vec![("archive.apache.org".to_owned(), "/srv/apache".into())],
        },
        snapshot: None,
        today: Vec::new(),
        idempotence: judge(&again),
        comparison: Some(Comparison {
            same: 2,
            unforeseen: 1,
            differences: vec![Difference {
                host: "k1".to_owned(),
                task: "Restart the broker".to_owned(),
                planned: "ok".to_owned(),
                happened: "changed".to_owned(),
            }],
        }),
        estimate: Some(estimate(
            &main,
            &brokers,
            &BTreeMap::from([(0, 30)]),
            production,
        )),
        kafka: Kafka::Seen(Box::new(Cluster {
            brokers,
            standings: [(
                "orders".to_owned(),
                vec![standing(6_000, 0), standing(13_500, 2), standing(30_000, 0)],
            )]
            .into(),
            most_down: MostDown {
                count: 1,
                hosts: vec!["k1".to_owned()],
                too_many_for: None,
            },
            load: Some(Ok(Loaded {
                flows: vec![flow("all", 0), flow("1", 3)],
                group: Ok(Grouped {
                    read: 10_000,
                    commits: 40,
                    longest_gap: Some(gap),
                    ..Grouped::default()
                }),
            })),
            acceptance: Acceptance {
                before: Ok(exchanged.clone()),
                after: Ok(exchanged),
            },
        })),
        main: Some(main),
        again: Some(again),
        evidence: None,
        faults: None,
        stopped: false,
    }
}
