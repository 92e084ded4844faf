//! Turns what broke on purpose into a section of the report: each fault, and how each kind fared.

use super::account::Broken;
use super::fault::Kind;
use super::fault::judge::{Strike, Trial};
use super::page::{Block, Cell, Mood, Section, Table, duration};
use super::proof::Outcome;

/// With fewer faults than these the kinds are not counted.
const MANY: usize = 12;

/// All that was tried.
pub fn broken(broken: &Broken) -> Section {
    let title = "What broke on purpose";
    let stop = broken.fault.as_ref();
    if broken.trials.is_empty() {
        let why = stop.map_or("the rehearsal was stopped before", String::as_str);
        let text = format!("No fault was tried: {why}.");
        return Section::new(title, vec![Block::Text(text)]);
    }
    let text = format!(
        "{} of {} faults were tried, chosen with --seed {}. Each began from the state before the playbook, and was gone on with until it ended.",
        broken.trials.len(),
        broken.of,
        broken.seed
    );
    let mut table = Table::new(["", "fault", "at", "on", "lasted", "no produce for", "took"]);
    let time = |milliseconds: Option<u64>| milliseconds.map_or("–".to_owned(), duration);
    for trial in &broken.trials {
        let (word, mood) = verdict(trial);
        table.row([
            Cell::new(word, mood),
            trial.fault.kind.name().into(),
            trial.fault.task.clone().into(),
            trial.fault.host.clone().into(),
            time(trial.lasted).into(),
            time(trial.silence).into(),
            duration(trial.seconds * 1000).into(),
        ]);
    }
    let mut blocks = vec![Block::Text(text), Block::Table(table)];
    blocks.extend(stop.map(|why| Block::Text(format!("It ended there: {why}."))));
    if broken.trials.len() >= MANY {
        blocks.push(Block::Table(kinds(broken)));
    }
    blocks.extend(broken.trials.iter().filter_map(story).map(Block::Table));
    Section::new(title, blocks)
}

/// Of a fault that needs a person's eye: what the runs did, what failed, where to look, and how to try it again.
fn story(trial: &Trial) -> Option<Table> {
    if trial.passed() && trial.evidence.is_none() {
        return None;
    }
    let fault = &trial.fault;
    let mut table = Table::new(["", ""]);
    let (word, mood) = verdict(trial);
    table.row([Cell::new(word, mood), fault.to_string().into()]);
    table.row(["what happened".into(), trial.story().into()]);
    let failed = trial.checks.iter();
    for check in failed.filter(|it| it.outcome == Outcome::Failed) {
        let text = format!("{}: {}", check.name, check.text);
        table.row(["what failed".into(), Cell::new(text, Mood::Bad)]);
    }
    if let Some(dir) = &trial.evidence {
        table.row(["what tells why".into(), dir.display().to_string().into()]);
    }
    let again = format!("--fault '{}'", fault.wish());
    table.row(["to try it again".into(), again.into()]);
    Some(table)
}

fn verdict(trial: &Trial) -> (&'static str, Mood) {
    match trial.struck {
        _ if !trial.passed() => ("FAILED", Mood::Bad),
        Strike::Hit => ("passed", Mood::Good),
        Strike::Nothing => ("nothing to break", Mood::Dim),
        Strike::TooLate => ("too late", Mood::Dim),
    }
}

fn kinds(broken: &Broken) -> Table {
    let mut table = Table::new(["fault", "passed", "failed", "struck nothing"]);
    for kind in Kind::ALL {
        let of_kind = broken
            .trials
            .iter()
            .filter(|trial| trial.fault.kind == kind);
        let moods: Vec<Mood> = of_kind.map(|trial| verdict(trial).1).collect();
        let count = |mood| moods.iter().filter(|it| **it == mood).count();
        let failed = u64::try_from(count(Mood::Bad)).unwrap_or(u64::MAX);
        table.row([
            kind.name().into(),
            count(Mood::Good).to_string().into(),
            Cell::bad_if_any(failed),
            count(Mood::Dim).to_string().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::At;
    use crate::rehearse::fault::Fault;
    use crate::rehearse::proof::Check;
    use crate::report::Paint;

    fn trial(kind: Kind, struck: Strike, holds: bool) -> Trial {
        Trial {
            fault: Fault {
                kind,
                host: "k1".to_owned(),
                task: "Stop the broker".to_owned(),
                at: At {
                    file: "roll.yml".to_owned(),
                    line: 9,
                    column: 7,
                },
                is_its_own: true,
                after: 0,
            },
            legs: vec!["was killed".to_owned(), "ended well".to_owned()],
            struck,
            checks: vec![Check::of(
                "the end is the same as without the fault",
                holds,
                "x",
            )],
            seconds: 95,
            lasted: (kind == Kind::FillDisk).then_some(75_000),
            silence: Some(1_234),
            by_hand: Vec::new(),
            evidence: (!holds).then(|| ".krun/rehearsals/1/002-fill-disk".into()),
        }
    }

    #[test]
    fn what_a_person_had_to_do_is_told() {
        let mut one = trial(Kind::KillHost, Strike::Hit, true);
        one.by_hand =
            vec!["no boot starts kafka-server.service, which was started by hand".to_owned()];
        assert_eq!(
            one.story(),
            "the run was killed, then ended well; no boot starts kafka-server.service, which was started by hand"
        );
    }

    #[test]
    fn each_fault_has_its_line_and_what_tells_why_is_named() {
        let all = Broken {
            seed: 7,
            trials: vec![
                trial(Kind::KillController, Strike::Hit, true),
                trial(Kind::FillDisk, Strike::Hit, false),
                trial(Kind::KillBroker, Strike::Nothing, true),
            ],
            of: 3,
            earlier: 0,
            fault: None,
        };
        let text = crate::rehearse::text::terminal(&[broken(&all)], Paint { colour: false });
        insta::assert_snapshot!(text);
        let none = Broken {
            trials: Vec::new(),
            fault: Some("the playbook did not end well without a fault".to_owned()),
            ..all.clone()
        };
        let text = |it| crate::rehearse::text::terminal(&[broken(it)], Paint { colour: false });
        assert!(
            text(&none)
                .contains("No fault was tried: the playbook did not end well without a fault.")
        );
        let cut = Broken {
            of: 9,
            fault: Some("the lab cannot be made".to_owned()),
            ..all
        };
        let text = text(&cut);
        for word in [
            "3 of 9 faults were tried",
            "nothing to break",
            "It ended there: the lab cannot be made.",
        ] {
            assert!(text.contains(word), "{text}");
        }
    }
}
