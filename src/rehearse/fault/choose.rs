//! Turns wishes and a run without a fault into faults: what breaks at which task on which host; chance has a seed.

use super::{Fault, Kind, Place, Wish};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Chooses all faults. The same wishes, places and seed give the same faults.
///
/// # Errors
/// A wish names a host or a task that there is not, in words.
pub fn choose(
    wishes: &[Wish],
    places: &[Place],
    hosts: &[String],
    seed: u64,
) -> Result<Vec<Fault>, String> {
    let mut chance = StdRng::seed_from_u64(seed);
    // In which order hosts took their turns is another matter in every run.
    let mut places = places.to_vec();
    places.sort_by(|one, other| {
        let key = |it: &Place| (it.at.file.clone(), it.at.line, it.host.clone());
        key(one).cmp(&key(other))
    });
    let mut faults = Vec::new();
    for wish in wishes {
        match wish {
            Wish::All => faults.extend(all(&places, &mut chance)),
            Wish::Random(count) => {
                for _ in 0..*count {
                    let kind = *Kind::ALL.choose(&mut chance).expect("there are kinds");
                    faults.push(one(kind, None, None, &places, hosts, &mut chance)?);
                }
            }
            Wish::One {
                kind,
                host,
                task,
                after,
            } => {
                let (host, task) = (host.as_deref(), task.as_deref());
                let mut fault = one(*kind, host, task, &places, hosts, &mut chance)?;
                if task.is_some() {
                    fault.after = *after;
                }
                faults.push(fault);
            }
        }
    }
    Ok(faults)
}

/// The tasks among which chance chooses: those of rolling plays, or all where none rolls.
fn rolling(places: &[Place]) -> Vec<&Place> {
    let rolling: Vec<&Place> = places.iter().filter(|place| place.rolling).collect();
    if rolling.is_empty() {
        places.iter().collect()
    } else {
        rolling
    }
}

fn all(places: &[Place], chance: &mut StdRng) -> Vec<Fault> {
    let places = rolling(places);
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for place in &places {
        if seen.contains(&&place.at) {
            continue;
        }
        seen.push(&place.at);
        let here: Vec<&Place> = places
            .iter()
            .copied()
            .filter(|other| other.at == place.at)
            .collect();
        faults.extend(Kind::ALL.map(|kind| {
            let place = here.choose(chance).expect("it is one of them");
            within(kind, place, chance)
        }));
    }
    faults
}

fn one(
    kind: Kind,
    host: Option<&str>,
    task: Option<&str>,
    places: &[Place],
    hosts: &[String],
    chance: &mut StdRng,
) -> Result<Fault, String> {
    if let Some(host) = host
        && !hosts.iter().any(|it| it == host)
    {
        return Err(format!("the inventory has no host `{host}`"));
    }
    let named = match task {
        Some(task) => named(places, task),
        None => rolling(places),
    };
    if named.is_empty() {
        let what = task.map_or_else(
            || "the run did not do a task".to_owned(),
            |task| format!("the run did no task named `{task}`"),
        );
        return Err(what);
    }
    let own: Vec<&Place> = named
        .iter()
        .copied()
        .filter(|place| host.is_none_or(|host| place.host == host))
        .collect();
    let (from, is_its_own) = if own.is_empty() {
        (named, false)
    } else {
        (own, true)
    };
    let place = from.choose(chance).expect("it is not empty");
    // A task that was named is hit as it begins.
    let mut fault = match task {
        Some(_) => at_once(kind, place),
        None => within(kind, place, chance),
    };
    if let Some(host) = host {
        host.clone_into(&mut fault.host);
    }
    fault.is_its_own = is_its_own;
    Ok(fault)
}

/// By its whole name, else by where it stands, else by a part of its name.
fn named<'a>(places: &'a [Place], task: &str) -> Vec<&'a Place> {
    let part = task.to_lowercase();
    let ways: [&dyn Fn(&Place) -> bool; 3] = [
        &|place| place.task.eq_ignore_ascii_case(task),
        &|place| format!("{}:{}", place.at.file, place.at.line).ends_with(task),
        &|place| place.task.to_lowercase().contains(&part),
    ];
    let found = ways.map(|is_it| places.iter().filter(|place| is_it(place)).collect());
    let mut found = found.into_iter();
    found.find(|it: &Vec<_>| !it.is_empty()).unwrap_or_default()
}

fn at_once(kind: Kind, place: &Place) -> Fault {
    Fault {
        kind,
        host: place.host.clone(),
        task: place.task.clone(),
        at: place.at.clone(),
        is_its_own: true,
        after: 0,
    }
}

/// Somewhere between its beginning and its end.
fn within(kind: Kind, place: &Place, chance: &mut StdRng) -> Fault {
    // A part of the time that it takes: whatever that is, the next number of chance is the same.
    let part: u16 = chance.random_range(0..=1_000);
    Fault {
        after: place.took * u64::from(part) / 1_000,
        ..at_once(kind, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::At;

    fn place(host: &str, task: &str, line: u32, rolling: bool) -> Place {
        Place {
            host: host.to_owned(),
            task: task.to_owned(),
            at: At {
                file: "/play/roll.yml".to_owned(),
                line,
                column: 1,
            },
            took: 4_000,
            changed: true,
            rolling,
        }
    }

    fn places() -> Vec<Place> {
        vec![
            place("k1", "Look", 3, false),
            place("k1", "Stop the broker", 9, true),
            place("k2", "Stop the broker", 9, true),
            place("k1", "Start the broker", 12, true),
        ]
    }

    fn chosen(wish: &str, seed: u64) -> Result<Vec<Fault>, String> {
        let hosts = ["k1", "k2", "zk"].map(str::to_owned);
        choose(&[wish.parse().unwrap()], &places(), &hosts, seed)
    }

    #[test]
    fn all_is_every_task_of_the_roll_by_every_kind() {
        let all = chosen("all", 1).unwrap();
        assert_eq!(all.len(), 2 * Kind::ALL.len());
        assert!(
            all.iter()
                .all(|fault| fault.task != "Look" && fault.after <= 4_000)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_one_others() {
        assert_eq!(chosen("random:9", 7), chosen("random:9", 7));
        assert_ne!(chosen("random:9", 7), chosen("random:9", 8));
    }

    #[test]
    fn a_named_task_is_hit_as_it_begins_by_name_by_part_or_by_line() {
        for task in ["Stop the broker", "stop", "roll.yml:9"] {
            let fault = &chosen(&format!("kill-ssh:k2@{task}"), 3).unwrap()[0];
            assert_eq!(
                (
                    fault.host.as_str(),
                    fault.at.line,
                    fault.after,
                    fault.is_its_own
                ),
                ("k2", 9, 0, true)
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_whichever_host_took_its_turn_first_and_for_how_long() {
        let hosts = ["k1", "k2"].map(str::to_owned);
        let wishes = ["random:9", "all"].map(|wish| wish.parse().unwrap());
        let names = |places: &[Place]| {
            let faults = choose(&wishes, places, &hosts, 7).unwrap();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut later = places();
        later.reverse();
        later[0].took = 90_000;
        assert_eq!(names(&places()), names(&later));
    }

    #[test]
    fn a_whole_name_is_not_a_part_of_another_one() {
        let mut places = places();
        places.push(place("k1", "Restart the broker", 20, true));
        for seed in 0..9 {
            let wish = "kill-ssh@start the broker".parse().unwrap();
            let fault = &choose(&[wish], &places, &[], seed).unwrap()[0];
            assert_eq!(fault.at.line, 12);
        }
    }

    #[test]
    fn a_host_that_does_not_do_the_task_is_hit_when_the_first_one_begins_it() {
        let fault = &chosen("kill-host:zk@Look", 3).unwrap()[0];
        assert_eq!((fault.host.as_str(), fault.is_its_own), ("zk", false));
    }

    #[test]
    fn what_there_is_not_is_said() {
        let faults = [chosen("kill-host:k9", 1), chosen("kill-host@Dance", 1)];
        let texts = faults.map(|it| it.unwrap_err()).join("\n");
        insta::assert_snapshot!(texts, @r"
        the inventory has no host `k9`
        the run did no task named `Dance`
        ");
    }
}
