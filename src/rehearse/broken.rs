//! Turns what broke on purpose into a section of the report: each fault, and how each kind fared.

use super::account::Broken;
use super::fault::Kind;
use super::fault::judge::{Strike, Trial};
use super::page::{Block, Cell, Mood, Section, Table, duration};

/// With fewer faults than these the kinds are not counted.
const MANY: usize = 12;

/// All that was tried.
pub fn broken(broken: &Broken) -> Section {
    let title = "What broke on purpose";
    if let Some(why) = &broken.fault {
        return Section::new(
            title,
            vec![Block::Text(format!("No fault was tried: {why}."))],
        );
    }
    let text = format!(
        "{} of {} faults were tried, chosen with --seed {}. Each began from the state before the playbook, and was gone on with until it ended.",
        broken.trials.len(),
        broken.of,
        broken.seed
    );
    let mut table = Table::new([
        "",
        "fault",
        "at",
        "on",
        "lasted",
        "no produce for",
        "took",
        "the runs",
    ]);
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
            trial.legs.join(", then ").into(),
        ]);
    }
    let mut blocks = vec![Block::Text(text), Block::Table(table)];
    if broken.trials.len() >= MANY {
        blocks.push(Block::Table(kinds(broken)));
    }
    for trial in &broken.trials {
        let (fault, wish) = (&trial.fault, trial.fault.wish());
        let mut said = Vec::new();
        if let Some(dir) = &trial.evidence {
            said.push(format!("what tells why lies in {}", dir.display()));
        }
        if !trial.passed() {
            said.push(format!("`--fault '{wish}'` tries it again"));
        }
        if !said.is_empty() {
            blocks.push(Block::Text(format!("{fault}: {}.", said.join("; "))));
        }
    }
    Section::new(title, blocks)
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
            legs: vec!["was killed by signal 9".to_owned(), "ended well".to_owned()],
            struck,
            checks: vec![Check::of(
                "the end is the same as without the fault",
                holds,
                "x",
            )],
            seconds: 95,
            lasted: (kind == Kind::FillDisk).then_some(75_000),
            silence: Some(1_234),
            evidence: (!holds).then(|| ".krun/rehearsals/1/002-fill-disk".into()),
        }
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
            ..all
        };
        let text = crate::rehearse::text::terminal(&[broken(&none)], Paint { colour: false });
        assert!(
            text.contains("No fault was tried: the playbook did not end well without a fault.")
        );
    }
}
