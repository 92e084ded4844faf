//! Controller and agent are killed in the middle of an upgrade, and the same command goes on as if nothing had been.
//!
//! A walk is one upgrade with several kills, each on another broker of a roll: the run after a kill brings that
//! broker to its end and goes on to the next one, where the next kill strikes. After the last kill comes a plain run
//! that ends well, and one that has nothing to do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use krun::event::EventKind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hold::Point::{self, Begun, Ended};
use crate::hold::hold;
use crate::krun_run::{Run, install, run};
use crate::sight::{Inside, Process, Watch};
use crate::stage::{BROKERS, Stage, enabled};

/// In the command line of every process of an agent.
const AGENT: &str = "/.krun/agent-";
const UPGRADE: &str = "upgrade-2.6.yml";

const STOP: &str = "Stop the broker";
const LINK: &str = "Switch the link";
const START: &str = "Start the broker";
const UNPIN: &str = "Remove the lines that the upgrade added";
const RESTART: &str = "Restart the broker";

/// The ten points. At most three of a walk lie in one roll, as there are three brokers.
const WALKS: [&[Point]; 2] = [
    &[
        Begun(STOP),
        Ended(STOP),
        Begun(LINK),
        Begun(UNPIN),
        Ended(UNPIN),
    ],
    &[
        Ended(LINK),
        Begun(START),
        Ended(START),
        Begun(RESTART),
        Ended(RESTART),
    ],
];

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn three_interruption_points() {
    if enabled() {
        walk("it-three", &[Ended(STOP), Begun(START), Ended(UNPIN)]);
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

/// Runs the upgrade until the agent of a broker that was not struck in this roll yet stands at the point, and kills there.
fn interrupt(stage: &Stage, point: Point, struck: &mut BTreeSet<(bool, &'static str)>) {
    let begun = Instant::now();
    let (Begun(task) | Ended(task)) = point;
    let is_second = task == UNPIN || task == RESTART;
    let mut run = Run::start(&stage.0, UPGRADE);
    let krun = run.pid();
    let is_over = Arc::new(AtomicBool::new(false));
    let waiting = BROKERS
        .into_iter()
        .filter(|host| !struck.contains(&(is_second, host)));
    let strikes: Vec<_> = waiting
        .map(|host| {
            let (inside, is_over) = (Inside::of(&stage.0, host), Arc::clone(&is_over));
            (
                host,
                thread::spawn(move || strike(&inside, point, krun, &is_over)),
            )
        })
        .collect();
    let mut last = String::new();
    while let Some(event) = run.next() {
        match &event.kind {
            EventKind::TaskEnded { host, task, .. } => last = format!("{host}: {}", task.title),
            EventKind::RollStopped(stop) => panic!("{point:?}: {}", stop.reason),
            _ => {}
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let strikes = strikes.into_iter();
    let killed: Vec<_> = strikes
        .filter_map(|(host, strike)| Some((host, strike.join().unwrap()?)))
        .collect();
    let stderr = run.end().stderr;
    let [(host, n_killed)] = killed[..] else {
        panic!("{point:?}: killed at {killed:?}; last: {last}; {stderr}");
    };
    assert!(n_killed >= 2, "an agent, and one that is root");
    struck.insert((is_second, host));
    let stands = stage.on(
        host,
        "readlink /usr/local/kafka; systemctl is-active kafka-server || true",
    );
    println!(
        "{point:?}: killed krun and {n_killed} processes of the agent on {host} after {:.1} s; there: {}",
        begun.elapsed().as_secs_f64(),
        stands.replace('\n', ", ")
    );
}

/// Waits for the host's agent to come to the point, kills krun and every process of the agent there, and returns how
/// many those were. `None` if it never came there.
fn strike(inside: &Inside, point: Point, krun: Pid, is_over: &AtomicBool) -> Option<usize> {
    let is_login = |process: &Process| !process.line.contains("--child");
    let agent = loop {
        if let Some(agent) = inside.processes(AGENT).into_iter().find(is_login) {
            break agent;
        }
        if is_over.load(Ordering::Relaxed) {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let binary = agent.line.split(' ').next().unwrap();
    let directory = Path::new(binary)
        .parent()
        .unwrap()
        .strip_prefix("/")
        .unwrap();
    let root = Path::new("/proc").join(agent.pid.to_string()).join("root");
    let journal = root.join(directory).join("journal");
    let mut n_killed = None;
    hold(Pid::from_raw(agent.pid), &journal, point, || {
        // krun first, or it would come back for what the agent did.
        kill(krun, Signal::SIGKILL).unwrap();
        let processes = inside.processes(AGENT);
        for process in &processes {
            // sudo between the two may have gone with the first.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        n_killed = Some(processes.len());
    });
    n_killed
}
