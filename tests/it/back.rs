//! A plan of the upgrade held against what was then done; and the way back from an upgrade, whole and from its middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use krun::event::EventKind;
use nix::sys::signal::{Signal, kill};

use crate::end_state::{LEFT_OUT, Root, Told, looked, newest_record};
use crate::krun_run::{Run, beside, install, on_example, run};
use crate::sight::{Inside, Watch};
use crate::stage::{BROKERS, Stage, enabled};
use crate::upgrade::{
    CLIENT, Load, canary, check_read, check_sent, create_topic, lives, running_version, verify,
};

const UPGRADE: &str = "upgrade-2.6.yml";
/// Where a krun module writes on a broker.
const PLACES: [&str; 3] = ["/usr/local", "/opt", "/etc"];
/// Looks at all of these, as a later task would see them.
const LOOK: &str = "
- hosts: kafkahosts
  become: true
  gather_facts: false
  tasks:
    - find: paths=/usr/local,/opt,/etc recurse=yes hidden=yes file_type=any get_checksum=yes
";

/// What lies in these places, without what brokers write: their own logs beside `bin`.
fn picture(stage: &Stage, host: &str) -> BTreeMap<PathBuf, String> {
    let root = Root(Inside::of(&stage.0, host).root);
    of_krun(root.picture(&PLACES))
}

fn of_krun(mut picture: BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    picture.retain(|path, _| {
        let is_place = PLACES
            .iter()
            .any(|place| path.as_path() == Path::new(place));
        let is_log = path.starts_with("/usr/local") && path.iter().any(|part| part == "logs");
        !is_place && !is_log
    });
    picture
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn what_a_saved_plan_of_the_upgrade_says_is_what_lies_there_after_it_was_applied() {
    if !enabled() {
        return;
    }
    for (what, why) in LEFT_OUT {
        println!("not compared: {what}: {why}");
    }
    let stage = Stage::book("it-apply");
    let lab = &stage.0;
    install(lab);
    let place = lab.ssh_config().parent().unwrap().to_path_buf();
    fs::write(place.join("look.yml"), LOOK).unwrap();
    let plan = on_example(lab, &["plan", "-o", "upgrade.plan"], UPGRADE)
        .arg("look.yml")
        .output()
        .unwrap();
    assert!(plan.status.success(), "{}", text(&plan));
    let planned = newest_record(&place);
    let roots = BROKERS.map(|host| (host, Root(Inside::of(lab, host).root)));
    let told: Vec<Told> = roots
        .iter()
        .map(|(host, root)| root.told(&planned, host))
        .collect();

    let applied = beside(lab)
        .args(["apply", "upgrade.plan"])
        .output()
        .unwrap();
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
    for ((host, root), told) in roots.iter().zip(&told) {
        let compared = root.holds(told);
        println!("{host}: {compared} things that the plan told of were compared");
        assert!(compared > 5, "{told:#?}");
        let ends = told[&PathBuf::from("unit kafka-server")].attributes["state"].clone();
        assert!(ends.is_some_and(|state| state == "restarted" || state == "active"));
        assert_eq!(stage.on(host, "systemctl is-active kafka-server"), "active");
        assert_eq!(running_version(lab, host), "2.6.0");
        // Every byte of the new tree, and that nothing else was written.
        let seen = of_krun(looked(&planned, host));
        let lies = of_krun(root.picture(&PLACES));
        let differs = seen.iter().filter(|(path, is)| lies.get(*path) != Some(is));
        let more = lies.iter().filter(|(path, _)| !seen.contains_key(*path));
        let differs: Vec<_> = differs.chain(more).collect();
        assert!(differs.is_empty(), "{host}: {differs:#?}");
        println!(
            "{host}: {} files, links and directories are as the plan saw them",
            lies.len()
        );
    }

    // The protocol was raised: there is no way back, and nothing is stopped to find that out.
    let before = BROKERS.map(|host| lives(lab, host));
    let back = beside(lab)
        .args(["rollback", "last", "--yes"])
        .output()
        .unwrap();
    println!("{}", text(&back));
    assert_eq!(back.status.code(), Some(2));
    let said =
        "this broker speaks protocol 2.6-IV0, and inter.broker.protocol.version would be 2.1 again";
    assert!(text(&back).contains(said) && text(&back).contains("nothing was changed"));
    assert_eq!(BROKERS.map(|host| lives(lab, host)), before);
}

/// Runs the upgrade until this many brokers have been rolled to the new version, and signals krun then.
fn stop_after(mut run: Run, n_brokers: usize, signal: Signal) -> Option<i32> {
    let (mut play, mut n_ended) = (String::new(), 0);
    while let Some(event) = run.next() {
        match event.kind {
            EventKind::PlayStarted { name, .. } => play = name,
            EventKind::BatchEnded { .. } if play == "Roll the binaries" => {
                n_ended += 1;
                if n_ended == n_brokers {
                    kill(run.pid(), signal).unwrap();
                }
            }
            _ => {}
        }
    }
    run.end().code
}

/// The new tree's directory stays where its broker has written its own logs into it.
fn assert_same(host: &str, before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) {
    let paths = before.keys().chain(after.keys());
    let differing: BTreeMap<&PathBuf, _> = paths
        .filter(|path| before.get(*path) != after.get(*path))
        .filter(|path| path.to_str() != Some("/usr/local/kafka_2.12-2.6.0"))
        .map(|path| (path, (before.get(path), after.get(path))))
        .collect();
    assert!(differing.is_empty(), "{host}: {differing:#?}");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn an_upgrade_that_was_stopped_goes_back_and_goes_on_under_load() {
    if !enabled() {
        return;
    }
    let canary = canary();
    let stage = Stage::book_and("it-back", &[CLIENT]);
    let lab = &stage.0;
    install(lab);
    create_topic(lab);
    let before = BROKERS.map(|host| picture(&stage, host));
    let watch = Watch::start(lab);
    let load = Load::start(&stage, &canary);
    Load::wait_until_it_flows(&stage);
    let begun = std::time::Instant::now();

    stop_after(Run::start(lab, UPGRADE), 2, Signal::SIGINT);
    let mut versions = BROKERS.map(|host| running_version(lab, host));
    versions.sort();
    assert_eq!(versions, ["2.1.0", "2.6.0", "2.6.0"]);
    let check = beside(lab)
        .args(["rollback", "last", "--check"])
        .output()
        .unwrap();
    println!("{}", text(&check));
    assert_eq!(check.status.code(), Some(0));
    let back = Run::again(lab, &["rollback", "last", "--yes"]).end();
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    println!("{}", back.stderr);
    for (host, before) in BROKERS.iter().zip(before) {
        assert_eq!(running_version(lab, host), "2.1.0", "{host}");
        assert_same(host, &before, &picture(&stage, host));
    }

    // Stopped again, gone on with, killed, and gone on with to the end.
    stop_after(Run::start(lab, UPGRADE), 1, Signal::SIGINT);
    stop_after(Run::again(lab, &["resume"]), 1, Signal::SIGKILL);
    let resumed = Run::again(lab, &["resume"]).end();
    resumed.expect_success(3);
    for host in BROKERS {
        assert_eq!(running_version(lab, host), "2.6.0", "{host}");
    }
    let took = begun.elapsed();
    let sent = load.stop(&stage);
    let seen = watch.end();
    println!("{seen:?}");
    check_sent(&sent, took);
    check_read(&verify(&stage), &sent);
    assert_eq!(seen.most_down, 1, "one broker at a time: {seen:?}");
    run(lab, UPGRADE).expect_no_change(3);
}
