//! Turns what a rehearsal found, and its checks, into the sections of the report.

use super::account::{Account, Cluster, StoodIn};
use super::broken::broken;
use super::estimate::Estimate;
use super::idempotence::Idempotence;
use super::load::{Gap, Loaded};
use super::page::{Block, Cell, Mood, Section, Table, duration, grouped, offset};
use super::proof::{Check, Outcome};
use super::timeline::timeline;
use super::work::{Phase, Work};
use crate::lab::leads_to_jdk;
use std::collections::BTreeSet;

/// The whole report.
pub fn sections(account: &Account, checks: &[Check]) -> Vec<Section> {
    let mut all = Vec::new();
    if let Some(cluster) = account.cluster() {
        if let Some(Ok(load)) = &cluster.load {
            all.push(records(load));
            all.push(gaps(account, load));
        }
        all.push(brokers(account, cluster));
    }
    let tried = Section::new("Checks", vec![Block::Table(checked(checks))]);
    if let Some(faults) = account.rest() {
        return vec![broken(faults), tried];
    }
    let mut picture = vec![Block::Timeline(timeline(account))];
    picture.extend(gates(account).map(Block::Table));
    all.push(Section::new("What happened when", picture));
    if let Some(main) = account.main.as_ref().filter(|it| !it.works.is_empty()) {
        all.push(steps(main));
        all.extend(account.estimate.as_ref().map(production));
    }
    all.push(again(account));
    if let Some(comparison) = &account.comparison {
        let mut table = Table::new(["host", "task", "the plan said", "it happened"]);
        for it in &comparison.differences {
            table.row([
                it.host.clone().into(),
                it.task.clone().into(),
                it.planned.clone().into(),
                it.happened.clone().into(),
            ]);
        }
        let text = format!(
            "{} tasks on hosts went as planned; of {} the plan had said that it cannot know; {} went otherwise.",
            comparison.same,
            comparison.unforeseen,
            comparison.differences.len()
        );
        let mut blocks = vec![Block::Text(text)];
        if !table.rows.is_empty() {
            blocks.push(Block::Table(table));
        }
        all.push(Section::new("The plan and what happened", blocks));
    }
    all.extend(account.faults.as_ref().map(broken));
    all.extend(account.main.as_ref().map(diffs));
    all.extend(stood_in(&account.stood_in));
    all.push(tried);
    all
}

/// What is proven of nothing but its name.
fn stood_in(it: &StoodIn) -> Option<Section> {
    let mut blocks = Vec::new();
    let (jdks, empty): (Vec<&str>, Vec<&str>) = it
        .packages
        .iter()
        .map(String::as_str)
        .partition(|name| leads_to_jdk(name));
    if !empty.is_empty() {
        let text = format!(
            "Empty packages, of which nothing is proven: {}.",
            empty.join(", ")
        );
        blocks.push(Block::Text(text));
    }
    if !jdks.is_empty() {
        let text = format!(
            "The lab's own OpenJDK 11 in the place of {}.",
            jdks.join(", ")
        );
        blocks.push(Block::Text(text));
    }
    for (name, dir) in &it.sites {
        let text = format!("The files of {} in the place of {name}.", dir.display());
        blocks.push(Block::Text(text));
    }
    (!blocks.is_empty()).then(|| Section::new("What stood in", blocks))
}

fn checked(checks: &[Check]) -> Table {
    let mut table = Table::new(["", "check", "seen"]);
    for check in checks {
        let (word, mood) = match check.outcome {
            Outcome::Passed => ("passed", Mood::Good),
            Outcome::Failed => ("FAILED", Mood::Bad),
            Outcome::NotApplicable => ("not applicable", Mood::Dim),
        };
        table.row([
            Cell::new(word, mood),
            check.name.clone().into(),
            Cell::new(
                check.text.clone(),
                if mood == Mood::Dim { mood } else { Mood::Plain },
            ),
        ]);
    }
    table
}

fn records(load: &Loaded) -> Section {
    let mut table = Table::new([
        "acks",
        "sent",
        "acknowledged",
        "failed",
        "read",
        "lost",
        "twice",
        "out of order",
        "slowest",
    ]);
    let mut blocks = Vec::new();
    for flow in &load.flows {
        let sent = &flow.sent;
        let read = flow.read.as_ref().ok();
        let number = |of: fn(&super::load::ReadBack) -> u64| {
            read.map_or(Cell::new("unknown", Mood::Bad), |read| {
                Cell::bad_if_any(of(read))
            })
        };
        table.row([
            flow.acks.clone().into(),
            grouped(sent.sent).into(),
            grouped(sent.acked).into(),
            Cell::bad_if_any(sent.failed),
            read.map_or("unknown".into(), |read| grouped(read.read).into()),
            number(|read| read.lost),
            number(|read| read.duplicated),
            number(|read| read.out_of_order),
            format!("{:.1} s", sent.slowest_ack_seconds).into(),
        ]);
        if let Err(why) = &flow.read {
            blocks.push(Block::Text(format!("acks={}: {why}", flow.acks)));
        }
    }
    blocks.insert(0, Block::Table(table));
    blocks.push(Block::Text(match &load.group {
        Ok(group) => format!(
            "A consumer group read {} records meanwhile ({} again after rebalances), and committed {} times; its longest time without a record: {}.",
            grouped(group.read),
            grouped(group.reread),
            grouped(group.commits),
            group.longest_gap.map_or("none".to_owned(), |gap| duration(gap.milliseconds()))
        ),
        Err(why) => format!("The consumer group: {why}"),
    }));
    blocks.push(Block::Text(
        "With acks=1 a record may be lost when its leader stops: it is acknowledged before another broker has it."
            .to_owned(),
    ));
    Section::new("Records", blocks)
}

fn gaps(account: &Account, load: &Loaded) -> Section {
    let cause = |gap: &Gap| {
        let main = account.main.as_ref();
        match account.cause(gap) {
            Some(cause) => format!("{} on {}", cause.task, cause.host),
            None if main.is_some_and(|main| gap.from < main.from) => "(before the playbook)".into(),
            None => "(between the runs)".into(),
        }
    };
    let mut longest = Table::new(["acks", "partition", "longest without", "at", "caused by"]);
    let mut listed = Table::new(["acks", "at", "partitions", "longest", "caused by"]);
    for flow in &load.flows {
        for share in &flow.sent.partitions {
            let acks = Cell::from(flow.acks.clone());
            let partition = Cell::from(share.partition.to_string());
            longest.row(match &share.longest_gap {
                Some(gap) => [
                    acks,
                    partition,
                    duration(gap.milliseconds()).into(),
                    offset(gap.from, account.from).into(),
                    cause(gap).into(),
                ],
                None => [acks, partition, "none".into(), "".into(), "".into()],
            });
        }
        for stretch in stretches(&flow.sent.gaps, cause) {
            listed.row([
                flow.acks.clone().into(),
                offset(stretch.from, account.from).into(),
                stretch.partitions.len().to_string().into(),
                duration(stretch.longest).into(),
                stretch.cause.into(),
            ]);
        }
    }
    let mut blocks = vec![Block::Table(longest)];
    if listed.rows.is_empty() {
        blocks.push(Block::Text(
            "No partition was ever without an acknowledgement for a second.".to_owned(),
        ));
    } else {
        blocks.push(Block::Text("Every time of a second and more:".to_owned()));
        blocks.push(Block::Table(listed));
    }
    Section::new("Time without a successful produce", blocks)
}

/// Gaps of several partitions that overlap and have one cause.
struct Stretch {
    from: u64,
    to: u64,
    longest: u64,
    partitions: BTreeSet<i32>,
    cause: String,
}

fn stretches(gaps: &[Gap], cause: impl Fn(&Gap) -> String) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for gap in gaps {
        let cause = cause(gap);
        let same = |it: &&mut Stretch| it.cause == cause && gap.from <= it.to && gap.to >= it.from;
        if let Some(stretch) = found.iter_mut().find(same) {
            stretch.to = stretch.to.max(gap.to);
            stretch.longest = stretch.longest.max(gap.milliseconds());
            stretch.partitions.insert(gap.partition);
        } else {
            found.push(Stretch {
                from: gap.from,
                to: gap.to,
                longest: gap.milliseconds(),
                partitions: BTreeSet::from([gap.partition]),
                cause,
            });
        }
    }
    found
}

fn brokers(account: &Account, cluster: &Cluster) -> Section {
    let mut table = Table::new(["broker", "before", "between", "after"]);
    let (from, to) = account
        .main
        .as_ref()
        .map_or((account.to, account.to), |main| (main.from, main.to));
    for broker in &cluster.brokers {
        let text = |state: Option<&super::brokers::State>| {
            state.map_or("unknown".to_owned(), super::brokers::State::text)
        };
        let mut between: Vec<String> = broker
            .states
            .iter()
            .filter(|state| !state.down && state.at > from && state.at <= to)
            .map(|state| format!("{} from {}", state.text(), offset(state.at, account.from)))
            .collect();
        // The last one is what it is after.
        between.pop();
        table.row([
            format!("{} ({})", broker.host, broker.id).into(),
            text(broker.at(from)).into(),
            if between.is_empty() {
                Cell::new("–", Mood::Dim)
            } else {
                between.join("; ").into()
            },
            text(broker.last()).into(),
        ]);
    }
    let most = &cluster.most_down;
    let text = format!(
        "Versions by the jar on the running process, protocols by the broker's own word. At most {} down at once{}.",
        most.count,
        if most.count > 0 {
            format!(" ({})", most.hosts.join(", "))
        } else {
            String::new()
        }
    );
    Section::new("Brokers", vec![Block::Table(table), Block::Text(text)])
}

/// Each gate: when it opened, and what it waited for.
fn gates(account: &Account) -> Option<Table> {
    let mut table = Table::new(["host", "gate", "opened at", "waited", "for"]);
    let works = account.main.iter().chain(&account.again);
    for work in works.flat_map(|phase| &phase.works) {
        if !work.is_wait() || work.milliseconds() < 500 {
            continue;
        }
        let opened = if work.status == crate::event::Status::Failed {
            Cell::new("never", Mood::Bad)
        } else {
            offset(work.to, account.from).into()
        };
        table.row([
            work.host.to_string().into(),
            work.task.title.clone().into(),
            opened,
            duration(work.milliseconds()).into(),
            reasons(work).into(),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What a gate said while it was shut, each reason once whatever its numbers were.
fn reasons(work: &Work) -> String {
    let mut known = BTreeSet::new();
    let mut said = Vec::new();
    for (_, text) in &work.waits {
        // What comes behind the first words changes with every look.
        let text = text.strip_prefix("waiting: ").unwrap_or(text);
        let text = text.split(", holding for").next().unwrap_or(text);
        if text.is_empty() {
            continue;
        }
        let bare: String = text.split('(').next().unwrap_or_default().to_owned();
        let key: String = bare.chars().filter(|it| !it.is_ascii_digit()).collect();
        if known.insert(key) {
            said.push(text.to_owned());
        }
    }
    said.join("; then ")
}

fn steps(main: &Phase) -> Section {
    let mut table = Table::new(["task", "hosts", "longest", "in all", "changed"]);
    let mut order: Vec<(usize, &str)> = Vec::new();
    for work in &main.works {
        let key = (work.play, work.task.title.as_str());
        if !order.contains(&key) {
            order.push(key);
        }
    }
    for (play, title) in order {
        let works: Vec<&Work> = main
            .works
            .iter()
            .filter(|work| work.play == play && work.task.title == title)
            .filter(|work| work.status != crate::event::Status::Skipped)
            .collect();
        let longest = works.iter().map(|work| work.milliseconds()).max();
        let Some(longest) = longest else { continue };
        let sum: u64 = works.iter().map(|work| work.milliseconds()).sum();
        let changed = works.iter().filter(|work| work.changed()).count();
        table.row([
            title.into(),
            works.len().to_string().into(),
            duration(longest).into(),
            duration(sum).into(),
            if changed > 0 {
                changed.to_string().into()
            } else {
                Cell::new("–", Mood::Dim)
            },
        ]);
    }
    let text = format!("{} took {}.", main.title, duration(main.to - main.from));
    Section::new("Steps", vec![Block::Text(text), Block::Table(table)])
}

fn production(estimate: &Estimate) -> Section {
    let mut table = Table::new(["play", "here", "took", "production", "expected"]);
    for play in &estimate.plays {
        let shape = |batches: usize, hosts: usize| match batches {
            1 => format!("{hosts} hosts together"),
            _ => format!("{hosts} hosts in {batches} batches"),
        };
        table.row([
            play.name.clone().into(),
            shape(play.batches_here, play.hosts_here).into(),
            duration(play.measured).into(),
            shape(play.batches_there, play.hosts_there).into(),
            duration(play.expected).into(),
        ]);
    }
    table.row([
        "in all".into(),
        "".into(),
        duration(estimate.measured).into(),
        "".into(),
        duration(estimate.expected).into(),
    ]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a percentage"
    )]
    let share = (estimate.refetched * 100.0).round() as u64;
    let text = match (estimate.whole_copy, estimate.at_worst) {
        (Some(copy), Some(worst)) => format!(
            "A restarted broker had to fetch {share} % of its data anew here; in production, all of it would be {}. If every restart had to fetch all of it (a wiped or lost disk): {} in all.",
            duration(copy),
            duration(worst)
        ),
        _ => "Without `--data-per-broker` and `--replication-rate`, catching up is taken to last as long as here."
            .to_owned(),
    };
    Section::new(
        "How long production would take",
        vec![Block::Table(table), Block::Text(text)],
    )
}

fn again(account: &Account) -> Section {
    let mut blocks = Vec::new();
    let text = match &account.idempotence {
        Idempotence::Proven => "Proven: the second run changed nothing.".to_owned(),
        Idempotence::Not(works) => {
            format!(
                "Not idempotent: the second run changed {} things.",
                works.len()
            )
        }
        Idempotence::Refused {
            host,
            task,
            message,
        } => {
            format!("Refused by a guard, before anything was changed: {task} on {host}: {message}")
        }
        Idempotence::Failed(faults) => format!("The second run failed: {}", faults.join("; ")),
        Idempotence::NotTried(why) => format!("Not tried: {why}"),
    };
    blocks.push(Block::Text(text));
    if let Idempotence::Not(works) = &account.idempotence {
        blocks.extend(by_task(works));
    }
    Section::new("The same once more", blocks)
}

/// Each task once, with the hosts on which it changed the same things.
fn by_task(works: &[Work]) -> Vec<Block> {
    let mut found: Vec<(&Work, Vec<&str>)> = Vec::new();
    for work in works {
        let same = |it: &&mut (&Work, Vec<&str>)| {
            it.0.task == work.task && it.0.diffs == work.diffs && it.0.play == work.play
        };
        match found.iter_mut().find(same) {
            Some((_, hosts)) => hosts.push(&work.host),
            None => found.push((work, vec![&work.host])),
        }
    }
    found
        .into_iter()
        .map(|(work, hosts)| {
            let at = &work.task.at;
            let place = format!(
                "{} ({}:{}) on {}",
                work.task.title,
                at.file,
                at.line,
                hosts.join(", ")
            );
            Block::Diffs(place, work.diffs.clone())
        })
        .collect()
}

fn diffs(main: &Phase) -> Section {
    let works = main.works.iter().filter(|work| work.changed());
    let works: Vec<Work> = works.cloned().collect();
    Section {
        only_in_files: true,
        ..Section::new("Every change", by_task(&works))
    }
}
