//! Random plays under random schedules: changes come in an order that Ansible's linear strategy allows (design.md §3).

use super::{Began, Fate, Story, run};
use crate::run::Ending;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    /// A state that others could tell of.
    Group,
    /// A file: `Host`.
    File,
}

#[derive(Debug, Clone)]
struct Written {
    kind: Kind,
    ignores_errors: bool,
    /// Runs only where this many tasks before it something changed.
    when_changed: Option<usize>,
    /// By item, where there is more than one it loops, and by host.
    fates: Vec<Vec<Fate>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    /// `strategy: linear`, written out: nothing is granted ahead.
    Linear,
    /// `any_errors_fatal`.
    Guarded,
}

#[derive(Debug, Clone)]
struct Play {
    n_hosts: usize,
    style: Style,
    /// 0: all at once.
    serial: usize,
    tasks: Vec<Written>,
}

fn fate(kind: Kind) -> impl Strategy<Value = Fate> {
    let fails = if kind == Kind::Command {
        Fate::Fails
    } else {
        Fate::LookFails
    };
    prop_oneof![5 => Just(Fate::Change), 3 => Just(Fate::Same), 1 => Just(fails)]
}

fn task(n_hosts: usize) -> impl Strategy<Value = Written> {
    let kinds = prop_oneof![Just(Kind::Command), Just(Kind::Group), Just(Kind::File)];
    kinds.prop_flat_map(move |kind| {
        let fates = proptest::collection::vec(fate(kind), n_hosts);
        let fates = proptest::collection::vec(fates, 1..3);
        let when = prop_oneof![3 => Just(None), 1 => (1_usize..4).prop_map(Some)];
        (fates, proptest::bool::weighted(0.2), when).prop_map(
            move |(fates, ignores_errors, when_changed)| Written {
                kind,
                ignores_errors,
                when_changed,
                fates,
            },
        )
    })
}

fn play() -> impl Strategy<Value = Play> {
    let styles =
        prop_oneof![2 => Just(Style::Plain), 1 => Just(Style::Linear), 2 => Just(Style::Guarded)];
    (1_usize..5, styles, 0_usize..4).prop_flat_map(|(n_hosts, style, serial)| {
        proptest::collection::vec(task(n_hosts), 1..8).prop_map(move |tasks| Play {
            n_hosts,
            style,
            serial,
            tasks,
        })
    })
}

impl Play {
    fn text(&self) -> String {
        let mut text = "- hosts: all\n  gather_facts: false\n".to_owned();
        text += match self.style {
            Style::Plain => "",
            Style::Linear => "  strategy: linear\n",
            Style::Guarded => "  any_errors_fatal: true\n",
        };
        let _ = writeln!(text, "  serial: {}\n  tasks:", self.serial);
        for (number, task) in self.tasks.iter().enumerate() {
            let module = match task.kind {
                Kind::Command => "command: work".to_owned(),
                Kind::Group => format!("group: {{name: g{number}}}"),
                Kind::File => format!("copy: {{content: x, dest: /srv/f{number}}}"),
            };
            let _ = writeln!(
                text,
                "    - name: t{number}\n      {module}\n      register: r{number}"
            );
            if task.fates.len() > 1 {
                text += "      loop: [0, 1]\n";
            }
            if task.ignores_errors {
                text += "      ignore_errors: true\n";
            }
            if let Some(before) = self.condition(number) {
                let _ = writeln!(text, "      when: r{before} is changed");
            }
        }
        text
    }

    /// The task whose change decides over this one.
    fn condition(&self, number: usize) -> Option<usize> {
        number.checked_sub(self.tasks[number].when_changed?)
    }

    fn batches(&self) -> Vec<Vec<usize>> {
        let hosts: Vec<usize> = (0..self.n_hosts).collect();
        let width = if self.serial == 0 {
            self.n_hosts
        } else {
            self.serial
        };
        hosts.chunks(width).map(<[usize]>::to_vec).collect()
    }

    /// What Ansible would do: the changes of all tasks, and where the run stops, if it does.
    fn in_ansible(&self) -> Expected {
        let mut expected = Expected::default();
        let mut changed = vec![vec![false; self.n_hosts]; self.tasks.len()];
        for (batch, hosts) in self.batches().into_iter().enumerate() {
            let mut alive = hosts.clone();
            for (number, task) in self.tasks.iter().enumerate() {
                let mut failed = Vec::new();
                for &host in &alive {
                    if self
                        .condition(number)
                        .is_some_and(|before| !changed[before][host])
                    {
                        continue;
                    }
                    for (item, fates) in task.fates.iter().enumerate() {
                        let fate = fates[host];
                        changed[number][host] |= fate == Fate::Change;
                        if matches!(fate, Fate::Change | Fate::Fails) {
                            expected.begins.insert((batch, number, item, host));
                        }
                        if matches!(fate, Fate::Fails | Fate::LookFails) && !task.ignores_errors {
                            failed.push(host);
                        }
                    }
                }
                alive.retain(|host| !failed.contains(host));
                if self.style == Style::Guarded && !failed.is_empty() {
                    expected.stops = true;
                    return expected;
                }
            }
            if alive.is_empty() {
                expected.stops = true;
                return expected;
            }
        }
        expected
    }
}

#[derive(Debug, Default)]
struct Expected {
    /// By batch, task, item and host.
    begins: BTreeSet<(usize, usize, usize, usize)>,
    stops: bool,
}

fn judge(play: &Play, story: &Story) -> Result<(), TestCaseError> {
    let expected = play.in_ansible();
    let width = if play.serial == 0 {
        play.n_hosts
    } else {
        play.serial
    };
    let place = |began: &Began| (began.host / width, began.task, began.item, began.host);
    let began: BTreeSet<_> = story.began.iter().map(place).collect();
    prop_assert_eq!(began.len(), story.began.len(), "nothing is done twice");
    if play.style == Style::Guarded && expected.stops {
        // Whoever fails ahead of its turn stops the others earlier than Ansible would.
        let more: Vec<_> = began.difference(&expected.begins).collect();
        prop_assert!(
            more.is_empty(),
            "begun beyond what Ansible begins: {more:?}"
        );
    } else {
        prop_assert_eq!(&began, &expected.begins);
    }
    prop_assert!(story.granted_after_failure.is_empty(), "{story:?}");
    prop_assert_eq!(story.ended == Some(Ending::Stop), expected.stops);
    let is_host = |began: &Began| play.tasks[began.task].kind == Kind::File;
    let may_run_ahead = play.style == Style::Plain;
    let kept = story
        .began
        .iter()
        .filter(|began| !(may_run_ahead && is_host(began)));
    let order: Vec<_> = kept.map(|began| (began.host / width, began.task)).collect();
    prop_assert!(order.is_sorted(), "not in linear order: {order:?}");
    // On its own host nothing overtakes anything.
    for host in 0..play.n_hosts {
        let own = story.began.iter().filter(|began| began.host == host);
        prop_assert!(own.map(|began| (began.task, began.item)).is_sorted());
    }
    Ok(())
}

#[test]
fn what_is_sent_after_an_ignored_failure_is_dropped_behind_the_next_one() {
    let fates = [Fate::Fails, Fate::Fails, Fate::Change, Fate::Change];
    let task = |number: usize| Written {
        kind: Kind::Command,
        ignores_errors: number == 0,
        when_changed: (number == 2).then_some(2),
        fates: vec![vec![fates[number]]],
    };
    let play = Play {
        n_hosts: 1,
        style: Style::Plain,
        serial: 0,
        tasks: (0..4).map(task).collect(),
    };
    let fates: Vec<_> = play.tasks.iter().map(|task| task.fates.clone()).collect();
    for schedule in 0..=255 {
        let story = run(&play.text(), &fates, 1, &[schedule, 0, 2, 1, schedule / 3]);
        judge(&play, &story).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_come_in_an_order_that_the_linear_strategy_allows(
        play in play(),
        schedule in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let fates: Vec<_> = play.tasks.iter().map(|task| task.fates.clone()).collect();
        let story = run(&play.text(), &fates, play.n_hosts, &schedule);
        judge(&play, &story).map_err(|fault| TestCaseError::fail(format!("{fault}\n{story:?}\n{}", play.text())))?;
    }
}
