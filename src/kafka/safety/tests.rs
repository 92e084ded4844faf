use super::*;
use crate::kafka::connect::Address;
use proptest::prelude::*;

type Rows<'a> = &'a [(&'a str, i32, Option<i32>, &'a [i32], &'a [i32])];

fn metadata(brokers: &[i32], rows: Rows) -> Metadata {
    let mut metadata = Metadata {
        cluster_id: Some("one".into()),
        controller: Some(1),
        brokers: brokers
            .iter()
            .map(|id| (*id, Address::new(format!("kafka0{id}"), 9092)))
            .collect(),
        topics: BTreeMap::new(),
    };
    for (topic, number, leader, replicas, isr) in rows {
        metadata.topics.entry((*topic).into()).or_default().insert(
            *number,
            Partition {
                leader: *leader,
                replicas: replicas.to_vec(),
                isr: isr.to_vec(),
                offline: vec![],
            },
        );
    }
    metadata
}

/// Three brokers that all see `rows`; broker 2 is to stop.
fn situation(rows: Rows, min_isr: &[(&str, i32)]) -> Situation {
    let view = metadata(&[1, 2, 3], rows);
    Situation {
        target: 2,
        target_is: Target::Running,
        expected: [1, 2, 3]
            .iter()
            .map(|id| Expected {
                name: format!("kafka0{id}"),
                id: Some(*id),
            })
            .collect(),
        answers: [1, 2, 3]
            .iter()
            .map(|id| (*id, Answer::View(view.clone())))
            .collect(),
        elsewhere: vec![],
        min_isr: min_isr.iter().map(|(t, n)| ((*t).into(), *n)).collect(),
        reassigning: vec![],
        mode: Mode::Strict,
        allow_unavailable: vec![],
    }
}

fn against(situation: &Situation) -> Vec<String> {
    let verdict = decide(situation);
    assert_eq!(verdict.safe, verdict.reasons.is_empty());
    verdict.reasons.iter().map(ToString::to_string).collect()
}

const HEALTHY: Rows = &[
    ("orders", 0, Some(1), &[1, 2, 3], &[1, 2, 3]),
    ("orders", 1, Some(2), &[2, 3, 1], &[1, 2, 3]),
];

#[test]
fn a_healthy_cluster_lets_a_broker_stop() {
    assert!(decide(&situation(HEALTHY, &[("orders", 2)])).safe);
}

#[test]
fn three_replicas_of_which_three_are_needed_block_by_name() {
    let mut s = situation(HEALTHY, &[("orders", 3)]);
    for mode in [Mode::Strict, Mode::MinIsr] {
        s.mode = mode;
        let reasons = against(&s);
        assert_eq!(reasons.len(), 1);
        assert!(
            reasons[0].contains("`orders` becomes unavailable"),
            "{reasons:?}"
        );
        assert!(reasons[0].contains("partitions 0, 1; 3 replicas with min.insync.replicas 3"));
        assert!(decide(&s).is_final());
    }
    s.allow_unavailable = vec!["ord*".into()];
    let verdict = decide(&s);
    assert!(verdict.safe);
    assert_eq!(verdict.warnings.len(), 1);
}

#[test]
fn two_replicas_of_which_two_are_needed_and_a_lone_replica_block() {
    let rows: Rows = &[
        ("pair", 0, Some(1), &[1, 2], &[1, 2]),
        ("lone", 0, Some(2), &[2], &[2]),
        ("far", 0, Some(1), &[1], &[1]),
    ];
    let s = situation(rows, &[("pair", 2), ("lone", 1), ("far", 1)]);
    let reasons = against(&s);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().any(|r| r.contains("`pair`")));
    assert!(
        reasons
            .iter()
            .any(|r| r.contains("`lone`") && r.contains("1 replica with"))
    );
}

#[test]
fn a_replica_out_of_sync_blocks_in_strict_mode_and_counts_in_the_other() {
    let rows: Rows = &[("orders", 0, Some(1), &[1, 2, 3], &[1, 2])];
    let mut s = situation(rows, &[("orders", 2)]);
    assert_eq!(against(&s), ["orders-0 is not in sync on 3"]);
    s.mode = Mode::MinIsr;
    assert_eq!(
        against(&s),
        ["orders-0 would keep 1 of the 2 replicas in sync that it needs"]
    );
    s.min_isr.insert("orders".into(), 1);
    assert!(decide(&s).safe);
}

#[test]
fn the_worst_view_counts_and_a_difference_is_named() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    let late = metadata(
        &[1, 2, 3],
        &[
            ("orders", 0, Some(1), &[1, 2, 3], &[1, 2]),
            ("orders", 1, None, &[2, 3, 1], &[1, 2, 3]),
        ],
    );
    s.answers.insert(3, Answer::View(late));
    assert_eq!(
        against(&s),
        [
            "orders-1 has no leader (replicas on 2, 3, 1)",
            "orders-0 is not in sync on 3",
            "the brokers do not agree on orders-0, its ISR",
            "the brokers do not agree on orders-1, its leader",
        ]
    );
}

#[test]
fn a_topic_that_only_some_brokers_know_is_waited_for() {
    let mut s = situation(HEALTHY, &[("orders", 2), ("new", 1)]);
    let mut view = metadata(&[1, 2, 3], HEALTHY);
    view.topics
        .extend(metadata(&[1], &[("new", 0, Some(1), &[1, 3], &[1, 3])]).topics);
    s.answers.insert(1, Answer::View(view));
    assert_eq!(
        against(&s),
        ["the brokers do not agree on new-0, its existence"]
    );
}

#[test]
fn a_partition_without_leader_anywhere_blocks() {
    let rows: Rows = &[
        ("orders", 0, Some(1), &[1, 2, 3], &[1, 2, 3]),
        ("gone", 0, None, &[9], &[9]),
    ];
    let s = situation(rows, &[("orders", 2), ("gone", 1)]);
    assert_eq!(against(&s), ["gone-0 has no leader (replicas on 9)"]);
}

#[test]
fn a_dead_foreign_broker_blocks_in_strict_mode_and_warns_in_the_other() {
    let rows: Rows = &[("orders", 0, Some(1), &[1, 2, 9], &[1, 2])];
    let mut s = situation(rows, &[("orders", 1)]);
    assert_eq!(against(&s), ["orders-0 is not in sync on 9"]);
    s.mode = Mode::MinIsr;
    let verdict = decide(&s);
    assert!(verdict.safe);
    assert!(verdict.warnings[0].contains("broker 9 is not alive"));
}

#[test]
fn a_broker_outside_the_inventory_is_named() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    for id in [1, 2, 3] {
        s.answers
            .insert(id, Answer::View(metadata(&[1, 2, 3, 4], HEALTHY)));
    }
    s.answers
        .insert(4, Answer::View(metadata(&[1, 2, 3, 4], HEALTHY)));
    assert_eq!(
        against(&s),
        ["broker 4 at kafka04:9092 belongs to the cluster but not to the inventory"]
    );
    assert!(decide(&s).is_final());
}

#[test]
fn a_broker_that_only_some_count_among_the_living_is_waited_for() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    s.answers
        .insert(1, Answer::View(metadata(&[1, 3], HEALTHY)));
    s.expected[1].id = None;
    let verdict = decide(&s);
    assert!(
        !verdict.safe && !verdict.is_final(),
        "{:?}",
        verdict.reasons
    );
}

#[test]
fn a_silent_or_missing_broker_is_named() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    s.answers
        .insert(3, Answer::Silent("no answer within 5s".into()));
    assert_eq!(
        against(&s),
        ["broker 3 (`kafka03`) does not answer: no answer within 5s"]
    );
    s.answers.remove(&3);
    s.expected[2].id = None;
    let reasons = against(&s);
    assert!(reasons.contains(&"`kafka03` is not registered in the cluster".to_owned()));
}

#[test]
fn two_clusters_are_told_apart() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    let mut other = metadata(&[1, 2, 3], HEALTHY);
    other.cluster_id = Some("two".into());
    s.answers.insert(3, Answer::View(other));
    assert_eq!(
        against(&s),
        ["the brokers belong to different clusters: `one` (brokers 1, 2), `two` (brokers 3)"]
    );
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    s.expected[2].id = None;
    s.elsewhere.push(("kafka03".into(), "two".into()));
    assert!(against(&s).contains(&"`kafka03` belongs to another cluster, `two`".to_owned()));
    assert!(decide(&s).is_final());
}

#[test]
fn an_active_reassignment_blocks() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    s.reassigning.push(("orders".into(), 1));
    assert_eq!(against(&s), ["orders-1 is being reassigned"]);
}

#[test]
fn a_broker_that_is_down_passes_unless_another_is_down_too() {
    let rows: Rows = &[("orders", 0, None, &[1, 2, 3], &[2])];
    let mut s = situation(rows, &[]);
    s.target_is = Target::Down;
    let without = metadata(&[1, 3], rows);
    s.answers = [1, 3]
        .iter()
        .map(|id| (*id, Answer::View(without.clone())))
        .collect();
    s.reassigning.push(("orders".into(), 0));
    assert!(decide(&s).safe);
    s.answers
        .insert(3, Answer::Silent("connection refused".into()));
    assert_eq!(
        against(&s),
        ["broker 2 is down already, and so is broker 3 (`kafka03`)"]
    );
}

#[test]
fn a_broker_that_recovers_its_logs_is_not_restarted() {
    let mut s = situation(HEALTHY, &[("orders", 2)]);
    s.target_is = Target::Starting;
    s.answers.remove(&2);
    let reasons = against(&s);
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].contains("recovering its logs"));
    assert!(!decide(&s).is_final());
}

#[test]
fn a_line_of_progress_counts_and_gives_examples() {
    let rows: Rows = &[
        ("a", 0, Some(1), &[1, 2, 3], &[1]),
        ("b", 0, Some(1), &[1, 2, 3], &[1, 2]),
    ];
    let verdict = decide(&situation(rows, &[("a", 1), ("b", 1)]));
    assert_eq!(
        summary(&verdict.reasons),
        "3 replicas missing (a-0 on 2, a-0 on 3, b-0 on 3)"
    );
}

#[test]
fn patterns_have_stars_and_question_marks() {
    let patterns = |p: &str| vec![p.to_owned()];
    assert!(is_allowed("test-a", &patterns("test-*")));
    assert!(is_allowed("a.b.c", &patterns("a*c")));
    assert!(is_allowed("t1", &patterns("t?")));
    assert!(!is_allowed("t12", &patterns("t?")));
    assert!(!is_allowed("xtest", &patterns("test*")));
    assert!(is_allowed("__consumer_offsets", &patterns("__*")));
}

fn any_partition() -> impl Strategy<Value = (Vec<i32>, Vec<i32>, bool)> {
    proptest::sample::subsequence(vec![1, 2, 3, 4], 1..=4).prop_flat_map(|replicas| {
        let count = replicas.len();
        (
            Just(replicas.clone()),
            proptest::sample::subsequence(replicas, 0..=count),
            proptest::bool::weighted(0.95),
        )
    })
}

#[test]
fn a_way_out_is_shown_where_all_brokers_are_up_and_some_do_not_catch_up() {
    let behind = Reason::OutOfSync {
        topic: "t".into(),
        partition: 0,
        missing: vec![1],
    };
    let short = Reason::TooFewLeft {
        topic: "t".into(),
        partition: 0,
        left: 1,
        needed: 2,
    };
    let told = way_out(&[behind.clone(), short.clone()]).unwrap();
    assert!(told.starts_with("broker 1 is up: "), "{told}");
    assert_eq!(way_out(&[short]), None);
    assert_eq!(way_out(&[behind, Reason::Starting(3)]), None);
    assert_eq!(way_out(&[]), None);
}

proptest! {
    #[test]
    fn after_a_safe_stop_every_partition_keeps_what_it_needs(
        topics in proptest::collection::vec(
            (1..4i32, proptest::collection::vec((any_partition(), any_partition(), proptest::bool::weighted(0.7)), 1..3)), 1..4),
        strict in any::<bool>(),
        allowed in any::<bool>(),
    ) {
        let mut views = vec![metadata(&[1, 2, 3, 4], &[]); 2];
        let mut min_isr = BTreeMap::new();
        for (at, (min, partitions)) in topics.iter().enumerate() {
            let topic = format!("t{at}");
            min_isr.insert(topic.clone(), *min);
            for (number, (first, second, same)) in partitions.iter().enumerate() {
                for (view, (replicas, isr, led)) in views.iter_mut().zip([first, if *same { first } else { second }]) {
                    view.topics.entry(topic.clone()).or_default().insert(
                        i32::try_from(number).unwrap(),
                        Partition {
                            leader: led.then(|| isr.first().copied()).flatten(),
                            replicas: replicas.clone(),
                            isr: isr.clone(),
                            offline: vec![],
                        },
                    );
                }
            }
        }
        let s = Situation {
            target: 2,
            target_is: Target::Running,
            expected: (1..=4).map(|id| Expected { name: id.to_string(), id: Some(id) }).collect(),
            answers: (1..=4).map(|id| (id, Answer::View(views[usize::from(id > 2)].clone()))).collect(),
            elsewhere: vec![],
            min_isr: min_isr.clone(),
            reassigning: vec![],
            mode: if strict { Mode::Strict } else { Mode::MinIsr },
            allow_unavailable: if allowed { vec!["t0".into()] } else { vec![] },
        };
        if decide(&s).safe {
            for view in &views {
                for (topic, _, partition) in view.partitions() {
                    prop_assert!(partition.leader.is_some());
                    if partition.replicas.contains(&2) && !(allowed && topic == "t0") {
                        let left = partition.isr.iter().filter(|id| **id != 2).count();
                        prop_assert!(left >= usize::try_from(min_isr[topic].max(1)).unwrap());
                    }
                }
            }
        }
    }
}
