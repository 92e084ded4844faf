//! Turns what a rehearsal found into checks, each passed, failed, or not applicable, with what was seen.

use super::account::{Account, Broken, Cluster, Kafka};
use super::fault::judge::Strike;
use super::idempotence::Idempotence;
use super::load::{Flow, Grouped};
use super::work::Phase;
use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Passed,
    Failed,
    NotApplicable,
}

/// One thing that was to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub outcome: Outcome,
    /// What was seen.
    pub text: String,
}

impl Check {
    pub(in crate::rehearse) fn of(
        name: impl Into<String>,
        holds: bool,
        text: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            outcome: if holds {
                Outcome::Passed
            } else {
                Outcome::Failed
            },
            text: text.into(),
        }
    }

    fn not_applicable(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::NotApplicable,
            text: why.into(),
        }
    }
}

/// What is checked of Kafka, in the order of the report.
const KAFKA: [&str; 10] = [
    "acks=all: every acknowledged record is there",
    "acks=all: each record once, and in order",
    "acks=all: every record was acknowledged",
    "the group read on, and its offsets are kept",
    "no more brokers down than the roll takes",
    "every broker runs one version and protocol",
    "every replica is in sync at the end",
    "acceptance: the old message is read",
    "acceptance: a new message is exchanged",
    "acceptance: the group's offset is kept",
];

/// All checks of a rehearsal. `allow_non_idempotent`: a second run may change things.
pub fn checks(account: &Account, allow_non_idempotent: bool) -> Vec<Check> {
    let mut all = if account.rest().is_some() {
        // Without a fault it was rehearsed when the matrix began, though no fault may have been tried then.
        Vec::new()
    } else {
        plain(account, allow_non_idempotent)
    };
    all.extend(account.faults.iter().flat_map(broken));
    if account.stopped {
        all.push(Check::of(
            "the rehearsal came to its end",
            false,
            "it was stopped",
        ));
    }
    all
}

/// Those of the rehearsal in which nothing breaks.
fn plain(account: &Account, allow_non_idempotent: bool) -> Vec<Check> {
    let mut all = vec![today(account), ended(account)];
    match &account.kafka {
        Kafka::Absent(why) => {
            all.extend(KAFKA.map(|name| Check::not_applicable(name, why.clone())));
        }
        Kafka::Seen(cluster) => all.extend(kafka(account, cluster)),
    }
    all.push(idempotence(&account.idempotence, allow_non_idempotent));
    if let Some(Ok(evidence)) = &account.evidence
        && !evidence.deadlocks.is_empty()
    {
        let text = evidence.deadlocks.join("; ");
        all.push(Check::of("no deadlock in a JVM", false, text));
    }
    all
}

/// One check for each fault, and whether all were tried.
fn broken(broken: &Broken) -> Vec<Check> {
    let mut all: Vec<Check> = broken
        .trials
        .iter()
        .map(|trial| {
            let name = format!("fault: {}", trial.fault);
            match trial.struck {
                _ if !trial.passed() => Check::of(name, false, trial.faults()),
                Strike::Hit => Check::of(name, true, trial.story()),
                Strike::Nothing => Check::not_applicable(name, "there was nothing to break"),
                Strike::TooLate => Check::not_applicable(name, "the run was over before"),
            }
        })
        .collect();
    let tried = broken.trials.len();
    let text = match &broken.fault {
        Some(why) if tried == broken.of => why.clone(),
        Some(why) => format!("{tried} of {}: {why}; the same command goes on", broken.of),
        None if tried < broken.of => {
            format!("{tried} of {}; the same command goes on", broken.of)
        }
        None => format!("{tried}, --seed {}", broken.seed),
    };
    let is_whole = broken.fault.is_none() && tried == broken.of;
    all.push(Check::of("every fault was tried", is_whole, text));
    all
}

/// Whether not one check failed.
pub fn passed(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.outcome != Outcome::Failed)
}

fn today(account: &Account) -> Check {
    let name = "the lab came to today's state";
    if account.today.is_empty() {
        let began = match &account.snapshot {
            Some(snapshot) => format!("as the snapshot `{snapshot}` has them"),
            None => "bare".to_owned(),
        };
        let text = format!("no `--from` was given: the hosts began {began}");
        return Check::not_applicable(name, text);
    }
    let bad: Vec<&Phase> = account.today.iter().filter(|it| !it.ended_well).collect();
    match bad.first() {
        None => Check::of(
            name,
            true,
            format!("{} runs ended well", account.today.len()),
        ),
        Some(phase) => Check::of(name, false, faults(phase)),
    }
}

fn ended(account: &Account) -> Check {
    let name = "the playbook ended well on every host";
    match &account.main {
        None => Check::of(name, false, "it was not run"),
        Some(phase) if phase.ended_well => {
            let changed = phase.works.iter().filter(|work| work.changed()).count();
            let text = format!("{} tasks on hosts, {changed} changed", phase.works.len());
            Check::of(name, true, text)
        }
        Some(phase) => Check::of(name, false, faults(phase)),
    }
}

fn faults(phase: &Phase) -> String {
    let would = phase.held.iter().map(|danger| match &danger.hosts[..] {
        [host] => format!("{} on {host}", danger.what),
        hosts => format!("{} on {} hosts", danger.what, hosts.len()),
    });
    let would = would.collect::<Vec<_>>().join("; ");
    let held = "held before anything was changed, as it needs `--allow-destroy`";
    let why = match phase.faults.first() {
        _ if !would.is_empty() => format!("{held}: {would}"),
        Some(first) => first.clone(),
        None => "it did not end well".to_owned(),
    };
    match phase.title.as_str() {
        // The one that is rehearsed under a fault.
        "" => why,
        title => format!("{title}: {why}"),
    }
}

fn kafka(account: &Account, cluster: &Cluster) -> Vec<Check> {
    let mut all = Vec::new();
    let [there, once, acked, group, down, versions, in_sync, ..] = KAFKA;
    match &cluster.load {
        None => all.extend(
            [there, once, acked, group]
                .map(|it| Check::not_applicable(it, "`--no-load` was given")),
        ),
        Some(Err(why)) => {
            all.extend([there, once, acked, group].map(|it| Check::of(it, false, why.clone())));
        }
        Some(Ok(load)) => {
            let flow = load.flows.iter().find(|flow| flow.acks == "all");
            all.extend(flow.into_iter().flat_map(records));
            all.push(grouped(group, load.group.as_ref(), flow));
        }
    }
    let most = &cluster.most_down;
    all.push(match &most.too_many_for {
        Some((play, width)) => {
            let hosts = most.hosts.join(", ");
            let text = format!("{hosts} were down at once, and `{play}` takes {width} at a time");
            Check::of(down, false, text)
        }
        None => Check::of(down, true, format!("at most {} at once", most.count)),
    });
    all.push(one_version(versions, cluster));
    all.push(synced(in_sync, cluster));
    all.extend(accepted(account, cluster));
    all
}

fn records(flow: &Flow) -> Vec<Check> {
    let [there, once, acked, ..] = KAFKA;
    let sent = &flow.sent;
    let is_whole = sent.fatal.is_none() && sent.failed == 0 && sent.sent >= sent.planned;
    let text = match &sent.fatal {
        Some(why) => format!("the producer gave up: {why}"),
        None => format!(
            "{} of {} sent, {} failed",
            sent.sent, sent.planned, sent.failed
        ),
    };
    let acked = Check::of(acked, is_whole, text);
    match &flow.read {
        Err(why) => vec![
            Check::of(there, false, why.clone()),
            Check::of(once, false, why.clone()),
            acked,
        ],
        Ok(read) => {
            let unread = if read.complete {
                ""
            } else {
                ", and not every partition could be read"
            };
            let lost = format!("{} acknowledged, {} lost{unread}", sent.acked, read.lost);
            let order = format!(
                "{} twice, {} out of order",
                read.duplicated, read.out_of_order
            );
            vec![
                Check::of(there, read.lost == 0 && read.complete, lost),
                Check::of(once, read.duplicated == 0 && read.out_of_order == 0, order),
                acked,
            ]
        }
    }
}

fn grouped(name: &str, group: Result<&Grouped, &String>, flow: Option<&Flow>) -> Check {
    let group = match group {
        Ok(group) => group,
        Err(why) => return Check::of(name, false, why.clone()),
    };
    if let Some(fault) = group.faults.first() {
        return Check::of(name, false, fault.clone());
    }
    let acked = flow.map_or(0, |flow| flow.sent.acked);
    let text = format!(
        "{} of {acked} read, {} again, {} commits",
        group.read, group.reread, group.commits
    );
    Check::of(name, group.read >= acked, text)
}

fn one_version(name: &str, cluster: &Cluster) -> Check {
    let down: Vec<&str> = cluster
        .brokers
        .iter()
        .filter(|broker| broker.last().is_none_or(|state| state.down))
        .map(|broker| broker.host.as_str())
        .collect();
    if !down.is_empty() {
        return Check::of(name, false, format!("down at the end: {}", down.join(", ")));
    }
    let mut texts: Vec<String> = cluster
        .brokers
        .iter()
        .filter_map(|broker| Some(broker.last()?.text()))
        .collect();
    texts.sort();
    texts.dedup();
    let is_known = texts.iter().all(|text| !text.contains("unknown"));
    Check::of(name, texts.len() == 1 && is_known, texts.join("; "))
}

fn synced(name: &str, cluster: &Cluster) -> Check {
    let open: Vec<String> = cluster
        .standings
        .iter()
        .filter_map(|(topic, standings)| {
            let last = &standings.last()?.seen;
            (last.missing > 0 || last.leaderless > 0).then(|| {
                format!(
                    "{topic}: {} replicas missing, {} partitions without a leader",
                    last.missing, last.leaderless
                )
            })
        })
        .collect();
    let topics = cluster.standings.len();
    if open.is_empty() {
        Check::of(name, topics > 0, format!("{topics} topics"))
    } else {
        Check::of(name, false, open.join("; "))
    }
}

fn accepted(account: &Account, cluster: &Cluster) -> Vec<Check> {
    let [.., old, new, offset] = KAFKA;
    let names = [old, new, offset];
    let acceptance = &cluster.acceptance;
    match (&acceptance.before, &acceptance.after) {
        (Err(why), _) => names
            .map(|it| Check::of(it, false, format!("before the playbook: {why}")))
            .into(),
        (_, Err(why)) if account.main.is_some() => names
            .map(|it| Check::of(it, false, format!("after the playbook: {why}")))
            .into(),
        (_, Err(_)) => names
            .map(|it| Check::not_applicable(it, "the playbook was not run"))
            .into(),
        (Ok(before), Ok(after)) => {
            let is_old = before.first_offset == after.first_offset
                && before.first_record == after.first_record;
            let text = format!("offset {}: `{}`", after.first_offset, after.first_record);
            let committed = format!("{} before, {} after", before.committed, after.committed);
            vec![
                Check::of(old, is_old, text),
                Check::of(new, true, "sent with acks=all, and read"),
                Check::of(offset, before.committed == after.committed, committed),
            ]
        }
    }
}

fn idempotence(found: &Idempotence, allowed: bool) -> Check {
    let name = "a second run has nothing to do";
    match found {
        Idempotence::Proven => Check::of(name, true, "proven: it changed nothing"),
        Idempotence::Not(works) => {
            let mut tasks: Vec<&str> = works.iter().map(|work| work.task.title.as_str()).collect();
            tasks.dedup();
            let note = if allowed {
                ", as `--allow-non-idempotent` allows"
            } else {
                ""
            };
            let text = format!("not idempotent{note}: changed again: {}", tasks.join(", "));
            Check::of(name, allowed, text)
        }
        Idempotence::Refused {
            host,
            task,
            message,
        } => {
            let text = format!("refused by a guard: {task} on {host}: {message}");
            Check::of(name, true, text)
        }
        Idempotence::Failed(faults) => {
            let why = faults.first().map_or("it did not end well", String::as_str);
            Check::of(name, false, format!("the second run failed: {why}"))
        }
        Idempotence::NotTried(why) => Check::not_applicable(name, why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Danger;
    use crate::rehearse::brokers::State;
    use crate::rehearse::trial::account;

    /// The names of the checks that failed after something went wrong.
    fn failed(spoil: impl FnOnce(&mut Account)) -> Vec<String> {
        let mut account = account();
        spoil(&mut account);
        checks(&account, false)
            .into_iter()
            .filter(|check| check.outcome == Outcome::Failed)
            .map(|check| check.name)
            .collect()
    }

    fn cluster(account: &mut Account) -> &mut Cluster {
        match &mut account.kafka {
            Kafka::Seen(cluster) => cluster,
            Kafka::Absent(why) => panic!("{why}"),
        }
    }

    fn flow(account: &mut Account) -> &mut Flow {
        match &mut cluster(account).load {
            Some(Ok(load)) => &mut load.flows[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_lost_with_acks_1_fail_nothing_and_brokers_of_two_versions_do() {
        assert_eq!(failed(|_| {}), [""; 0]);
        let two = failed(|account| cluster(account).brokers[0].states.truncate(1));
        assert_eq!(two, [KAFKA[5]]);
    }

    #[test]
    fn each_fault_fails_its_own_check() {
        let lost = failed(|account| flow(account).read.as_mut().unwrap().lost = 1);
        assert_eq!(lost, [KAFKA[0]]);
        let unread = failed(|account| flow(account).read.as_mut().unwrap().complete = false);
        assert_eq!(unread, [KAFKA[0]]);
        let twice = failed(|account| flow(account).read.as_mut().unwrap().duplicated = 1);
        assert_eq!(twice, [KAFKA[1]]);
        let refused = failed(|account| flow(account).sent.failed = 1);
        assert_eq!(refused, [KAFKA[2]]);
        let more = failed(|account| {
            cluster(account).most_down.too_many_for = Some(("Roll".to_owned(), 1));
        });
        assert_eq!(more, [KAFKA[4]]);
        let open = failed(|account| {
            let standings = cluster(account).standings.values_mut();
            standings.for_each(|all| all.truncate(2));
        });
        assert_eq!(open, [KAFKA[6]]);
        let wiped = failed(|account| {
            let after = cluster(account).acceptance.after.as_mut().unwrap();
            after.first_record = "another".to_owned();
            after.committed = 0;
        });
        assert_eq!(wiped, [KAFKA[7], KAFKA[9]]);
        let stopped = failed(|account| account.stopped = true);
        assert_eq!(stopped, ["the rehearsal came to its end"]);
    }

    #[test]
    fn a_playbook_that_a_guard_held_says_what_it_would_have_done() {
        let mut account = account();
        let main = account.main.as_mut().unwrap();
        let task = main.works[0].task.clone();
        let danger = |what: &str, hosts: &[&str]| Danger {
            task: task.clone(),
            what: what.to_owned(),
            hosts: hosts.iter().map(|&host| host.into()).collect(),
        };
        main.ended_well = false;
        main.held = vec![
            danger("stop the Kafka broker", &["k1", "k2"]),
            danger("remove `/data/kafka-logs` with 258 files, 1.3 GB", &["k1"]),
        ];
        let found = checks(&account, false);
        let check = found.iter().find(|it| it.outcome == Outcome::Failed);
        insta::assert_snapshot!(check.unwrap().text, @"upgrade.yml: held before anything was changed, as it needs `--allow-destroy`: stop the Kafka broker on 2 hosts; remove `/data/kafka-logs` with 258 files, 1.3 GB on k1");
    }

    #[test]
    fn hosts_of_a_snapshot_are_not_said_to_have_begun_bare() {
        let mut account = account();
        account.snapshot = Some("today".to_owned());
        let text = &checks(&account, false)[0].text;
        assert!(text.ends_with("as the snapshot `today` has them"), "{text}");
    }

    #[test]
    fn a_broker_that_stays_down_is_named() {
        let mut account = account();
        let down = State {
            at: 44_000,
            down: true,
            ..State::default()
        };
        cluster(&mut account).brokers[1].states.push(down);
        let found = checks(&account, false);
        let check = found.iter().find(|check| check.name == KAFKA[5]).unwrap();
        assert_eq!(check.text, "down at the end: k2");
    }

    #[test]
    fn without_brokers_nothing_of_kafka_is_said_to_have_passed() {
        let mut account = account();
        account.kafka = Kafka::Absent("no broker ran before the playbook".to_owned());
        let found = checks(&account, false);
        assert!(passed(&found));
        let applied = |check: &&Check| check.outcome == Outcome::NotApplicable;
        assert_eq!(found.iter().filter(applied).count(), KAFKA.len() + 1);
    }
}
