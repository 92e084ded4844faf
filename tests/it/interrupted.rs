//! Controller and agent are killed in the middle of an upgrade, and the same command goes on as if nothing had been.
//!
//! A walk is one upgrade with several kills, each on another broker of a roll: the run after a kill brings that
//! broker to its end and goes on to the next one, where the next kill strikes. After the last kill comes a plain run
//! that ends well, and one that has nothing to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::process::{Command, Stdio};
use std::time::Instant;

use krun::event::{EventKind, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};

use crate::krun_run::{Run, install, run};
use crate::sight::{Inside, Process, Watch};
use crate::stage::{BROKERS, Stage, enabled};

/// In the command line of every process of an agent.
const AGENT: &str = "/.krun/agent-";
const UPGRADE: &str = "upgrade-2.6.yml";

/// Where a run is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// As soon as the host begins the task: the agent has written so into its journal, and nothing is done yet.
    Before(&'static str),
    /// As soon as the task has ended on the host.
    After(&'static str),
}
use Point::{After, Before};

impl Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Before(title) => write!(out, "before `{title}`"),
            After(title) => write!(out, "after `{title}`"),
        }
    }
}

const STOP: &str = "Stop the broker";
const LINK: &str = "Switch the link";
const START: &str = "Start the broker";
const UNPIN: &str = "Remove the lines that the upgrade added";
const RESTART: &str = "Restart the broker";

/// The ten points. At most three of a walk lie in one roll, as there are three brokers.
const WALKS: [&[Point]; 2] = [
    &[
        Before(STOP),
        After(STOP),
        Before(LINK),
        Before(UNPIN),
        After(UNPIN),
    ],
    &[
        After(LINK),
        Before(START),
        After(START),
        Before(RESTART),
        After(RESTART),
    ],
];

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn three_interruption_points() {
    if enabled() {
        walk("it-three", &[After(STOP), Before(START), After(UNPIN)]);
    }
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn ten_interruption_points() {
    if enabled() {
        for (points, name) in WALKS.into_iter().zip(["it-ten-a", "it-ten-b"]) {
            walk(name, points);
        }
    }
}

/// Upgrades a fresh cluster with a kill at each of the points, in this order.
fn walk(name: &str, points: &[Point]) {
    let stage = Stage::book(name);
    hear_at_once();
    install(&stage.0);
    let watch = Watch::start(&stage.0);
    // Brokers that a roll's kills have struck. A broker of the second roll may be one of the first.
    let mut struck: BTreeSet<(bool, &'static str)> = BTreeSet::new();
    for &point in points {
        interrupt(&stage, point, &mut struck);
    }
    run(&stage.0, UPGRADE).expect_success(3);
    let seen = watch.end();
    println!("{seen:?}");
    assert_eq!(seen.down.len(), 3, "every broker was down once: {seen:?}");
    assert_eq!(seen.most_down, 1, "never two brokers at once: {seen:?}");
    for host in BROKERS {
        let brokers = Inside::of(&stage.0, host).brokers();
        assert_eq!(brokers.len(), 1, "{host}");
        assert!(brokers[0].line.contains("/libs/kafka_2.12-2.6.0.jar"));
    }
    run(&stage.0, UPGRADE).expect_no_change(3);
}

/// Puts this thread and the krun that it starts before all others, or a busy machine's agent is past the point.
fn hear_at_once() {
    let status = Command::new("renice")
        .args(["-n", "-15", "-p", &gettid().to_string()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Runs the upgrade until a broker that was not struck in this roll yet reaches the point, and kills there.
fn interrupt(stage: &Stage, point: Point, struck: &mut BTreeSet<(bool, &'static str)>) {
    let begun = Instant::now();
    let agents = BROKERS.map(|host| (host, Inside::of(&stage.0, host)));
    let mut run = Run::start(&stage.0, UPGRADE);
    // Looked for ahead of the moment, as the agent goes on while one looks.
    let mut pids: BTreeMap<&str, Vec<Process>> = BTreeMap::new();
    let mut last = String::new();
    while let Some(event) = run.next() {
        let (host, title, is_begin) = match &event.kind {
            EventKind::TaskProgress { host, task, .. } => (host, &task.title, true),
            EventKind::TaskEnded { host, task, result } if result.status != Status::Skipped => {
                (host, &task.title, false)
            }
            EventKind::RollStopped(stop) => panic!("{point}: {}", stop.reason),
            _ => continue,
        };
        last = format!("{host}: {title}");
        let (is_here, task) = match point {
            Before(task) => (is_begin && title == task, task),
            After(task) => (!is_begin && title == task, task),
        };
        let is_second = task == UNPIN || task == RESTART;
        let &(name, ref inside) = agents.iter().find(|(name, _)| **name == **host).unwrap();
        if !is_here || struck.contains(&(is_second, name)) {
            if title != task {
                pids.insert(name, inside.processes(AGENT));
            }
            continue;
        }
        let pids = &pids[name];
        assert!(pids.len() >= 2, "an agent, and one that is root: {pids:?}");
        for agent in pids {
            // sudo between the two may have gone with the first.
            let _ = kill(Pid::from_raw(agent.pid), Signal::SIGKILL);
        }
        run.kill();
        struck.insert((is_second, name));
        let stands = stage.on(
            host,
            "readlink /usr/local/kafka; systemctl is-active kafka-server || true",
        );
        println!(
            "{point}: killed krun and {} processes of the agent on {host} after {:.1} s; there: {}",
            pids.len(),
            begun.elapsed().as_secs_f64(),
            stands.replace('\n', ", ")
        );
        return;
    }
    let stderr = run.end().stderr;
    panic!("no broker came to the point {point}; last: {last}; {stderr}");
}
