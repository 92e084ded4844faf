//! A plan of three brokers that the tests of all formats draw: shared and single diffs, a roll, an unknown, a failure.

use crate::event::{At, Event, EventKind, Graph, GraphNode, Stats, Status, TaskName, TaskResult};
use crate::modules::diff::Diff;
use crate::value::HostName;

pub(super) const HOSTS: [&str; 3] = ["kafka01.foo", "kafka02.foo", "kafka03.foo"];

pub(super) fn task(title: &str, line: u32) -> TaskName {
    TaskName {
        title: title.into(),
        at: At {
            file: "upgrade.yml".into(),
            line,
            column: 7,
        },
        module: "template".into(),
        is_handler: false,
    }
}

pub(super) fn result(status: Status, diffs: Vec<Diff>) -> TaskResult {
    TaskResult {
        diffs,
        elapsed_ms: 40,
        ..TaskResult::new(status)
    }
}

/// Events, each a tenth of a second after the one before.
pub(super) fn timed(kinds: Vec<EventKind>) -> Vec<Event> {
    (0..)
        .zip(kinds)
        .map(|(n, kind)| Event {
            at: 1_790_000_000_000 + n * 100,
            kind,
        })
        .collect()
}

pub(super) fn settings(broker: usize) -> Diff {
    let text = |retention: u32| {
        format!("# by krun\nbroker.id={broker}\nlog.dirs=/data\nlog.retention.hours={retention}\n")
    };
    Diff::new("/etc/kafka/server.properties")
        .from_source("templates/server.properties.j2")
        .bytes(Some(text(72).as_bytes()), Some(text(168).as_bytes()))
        .attribute("mode", Some("0644".into()), Some("0640".into()))
}

fn ended(host: &str, task: &TaskName, result: TaskResult) -> EventKind {
    EventKind::TaskEnded {
        host: host.into(),
        task: task.clone(),
        result,
    }
}

fn link() -> Diff {
    Diff::new("/usr/local/kafka").attribute(
        "target",
        Some("kafka-2.1.0".into()),
        Some("kafka-2.6.0".into()),
    )
}

fn unit(name: &str, line: u32) -> Diff {
    let _ = line;
    Diff::new(format!("unit {name}")).attribute(
        "state",
        Some("active".into()),
        Some("inactive".into()),
    )
}

pub(super) fn plan() -> Vec<Event> {
    let mut kinds = vec![
        EventKind::RunStarted {
            run: "20260921-1".into(),
            playbooks: vec!["upgrade.yml".into()],
            check_mode: true,
        },
        EventKind::Planned { graph: graph() },
        EventKind::Warning {
            text: "`when` compares <a> & *b*".into(),
            at: None,
        },
        EventKind::PlayStarted {
            name: "Prepare".into(),
            at: task("", 1).at,
            hosts: 3,
        },
    ];
    let settings_task = task("Write server.properties", 4);
    kinds.push(EventKind::TaskStarted {
        task: settings_task.clone(),
    });
    // The third broker's file is its own.
    for (host, broker) in HOSTS.iter().zip([1, 1, 3]) {
        kinds.push(ended(
            host,
            &settings_task,
            result(Status::Changed, vec![settings(broker)]),
        ));
    }
    let motd = task("Say who is here", 9);
    kinds.push(EventKind::TaskStarted { task: motd.clone() });
    for host in HOSTS {
        let diff = Diff::new("/etc/motd").bytes(None, Some(b"krun was here"));
        let diff = diff.attribute("mode", None, Some("0644".into()));
        kinds.push(ended(host, &motd, result(Status::Changed, vec![diff])));
    }
    kinds.push(EventKind::PlayStarted {
        name: "Roll".into(),
        at: task("", 20).at,
        hosts: 3,
    });
    for (number, host) in (1..).zip(HOSTS) {
        kinds.push(EventKind::OrderDecided {
            host: host.into(),
            reason: "its turn".into(),
        });
        kinds.push(EventKind::BatchStarted {
            number,
            of: 3,
            hosts: vec![host.into()],
        });
        roll(&mut kinds, host);
    }
    let stats = Stats {
        ok: 6,
        changed: 4,
        unforeseen: 1,
        ..Stats::default()
    };
    let failed = Stats { failed: 1, ..stats };
    let of = |host: &&str| {
        let stats = if *host == HOSTS[2] { failed } else { stats };
        (HostName::from(*host), stats)
    };
    kinds.push(EventKind::RunEnded {
        stats: HOSTS.iter().map(of).collect(),
        elapsed_ms: 12_345,
    });
    timed(kinds)
}

fn roll(kinds: &mut Vec<EventKind>, host: &str) {
    let stop = task("Stop the broker", 24);
    let switch = task("Switch the link", 28);
    let wait = task("Wait for the ISR", 33);
    let ok = task("Look", 22);
    kinds.push(EventKind::TaskStarted { task: ok.clone() });
    kinds.push(ended(host, &ok, result(Status::Ok, Vec::new())));
    kinds.push(EventKind::TaskStarted { task: stop.clone() });
    kinds.push(ended(
        host,
        &stop,
        result(Status::Changed, vec![unit("kafka", 24)]),
    ));
    kinds.push(EventKind::TaskStarted {
        task: switch.clone(),
    });
    kinds.push(ended(host, &switch, result(Status::Changed, vec![link()])));
    kinds.push(EventKind::TaskStarted { task: wait.clone() });
    let unknown = TaskResult {
        msg: Some("would wait: the broker is down".into()),
        ..result(Status::Unforeseen, Vec::new())
    };
    kinds.push(ended(host, &wait, unknown));
    if host == HOSTS[2] {
        let last = task("Copy the key", 40);
        kinds.push(EventKind::TaskStarted { task: last.clone() });
        let failed = TaskResult {
            msg: Some("cannot read `/x`".into()),
            causes: vec!["no such file".into()],
            ..result(Status::Failed, Vec::new())
        };
        kinds.push(ended(host, &last, failed));
    }
}

fn graph() -> Graph {
    let node = |batch: usize, title: &str, kind: &str| GraphNode {
        play: 0,
        batch,
        host: Some(HOSTS[batch].into()),
        title: title.into(),
        kind: kind.into(),
        at: None,
    };
    let nodes = (0..3).flat_map(|batch| {
        [
            node(batch, "Safe to stop?", "gate"),
            node(batch, "Switch <the> link", "task"),
            node(batch, "restart", "handler"),
        ]
    });
    let mut edges: Vec<(usize, usize, String)> = Vec::new();
    for first in [0, 3, 6] {
        edges.push((first, first + 1, "order".into()));
        edges.push((first + 1, first + 2, "notify".into()));
        edges.push((first + 1, first + 2, "flush".into()));
        if first > 0 {
            edges.push((first - 1, first, "rolling".into()));
        }
    }
    Graph {
        plays: vec!["Roll".into()],
        nodes: nodes.collect(),
        edges,
    }
}
