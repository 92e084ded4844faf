//! Turns the views of all brokers into the verdict whether one of them may stop; no sockets, no clock.
//!
//! The rule is stricter than Strimzi's `KafkaAvailability`: the worst of all views counts and they must
//! agree, partitions that lose availability whatever one does are named and not passed over, and a
//! broker that is down already uses up the one that may be.

use super::cluster::{Metadata, Partition};
use indexmap::IndexSet;
use std::collections::{BTreeMap, BTreeSet};

mod reason;
pub mod short;
pub(super) use reason::missing_text;
pub use reason::{Reason, summary, way_out};

/// How much must remain when the broker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every partition with a replica on the broker has all its replicas in sync.
    #[default]
    Strict,
    /// Every such partition keeps `max(min.insync.replicas, 1)` replicas in sync without the broker.
    MinIsr,
}

/// What a broker said when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    View(Metadata),
    /// It did not answer; why.
    Silent(String),
}

/// A broker that the inventory names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub name: String,
    /// `None` where it is not known, because no live broker has that name.
    pub id: Option<i32>,
}

/// What is known of the broker that is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It serves.
    Running,
    /// Its process is there but has not joined the cluster yet: it starts or recovers its logs.
    Starting,
    /// There is no process, or no such broker is registered.
    Down,
}

/// All that the rule looks at.
#[derive(Debug, Clone)]
pub struct Situation {
    pub target: i32,
    pub target_is: Target,
    /// Empty where the caller does not know the inventory: then no broker is unexpected.
    pub expected: Vec<Expected>,
    /// What every registered or expected broker with a known id said, the target's own answer included.
    pub answers: BTreeMap<i32, Answer>,
    /// Expected brokers that answer for another cluster: name and that cluster's id.
    pub elsewhere: Vec<(String, String)>,
    /// Effective `min.insync.replicas` by topic.
    pub min_isr: BTreeMap<String, i32>,
    /// Partitions with an active reassignment.
    pub reassigning: Vec<(String, i32)>,
    pub mode: Mode,
    /// Patterns (`*`, `?`) of topics that may lose availability.
    pub allow_unavailable: Vec<String>,
}

/// Whether the broker may stop, and what stands against it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    pub safe: bool,
    pub reasons: Vec<Reason>,
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Whether waiting cannot help.
    pub fn is_final(&self) -> bool {
        self.reasons.iter().any(Reason::is_final)
    }

    /// How much stands against it; waiting makes sense while this falls.
    pub fn weight(&self) -> usize {
        self.reasons.iter().map(Reason::weight).sum()
    }
}

/// Decides whether `situation.target` may stop now.
///
/// That the answer stays the same for a while is the caller's to watch.
pub fn decide(situation: &Situation) -> Verdict {
    let mut warnings = Vec::new();
    let down = others_down(situation);
    let mut reasons = match situation.target_is {
        Target::Down => {
            // It cannot be stopped any more, so nothing of what follows matters, except who else is down.
            let others: Vec<String> = down.iter().map(Reason::subject).collect();
            if others.is_empty() {
                vec![]
            } else {
                vec![Reason::AlsoDown {
                    target: situation.target,
                    others,
                }]
            }
        }
        Target::Starting => {
            let mut reasons = vec![Reason::Starting(situation.target)];
            reasons.extend(down);
            reasons
        }
        Target::Running => {
            let mut reasons = down;
            reasons.extend(wrong_members(situation));
            reasons.extend(partitions_at_risk(situation, &mut warnings));
            reasons
        }
    };
    if situation.expected.is_empty() {
        warnings.push(
            "a broker that is missing cannot be noticed: `brokers` would name those of the inventory"
                .into(),
        );
    }
    // While somebody does not answer, more could not be asked, and is not what one waits for.
    if reasons.iter().any(Reason::is_absence) {
        reasons.retain(|reason| !matches!(reason, Reason::MinIsrUnknown { .. }));
    }
    reasons.sort_by_key(Reason::rank);
    Verdict {
        safe: reasons.is_empty(),
        reasons,
        warnings,
    }
}

fn views(situation: &Situation) -> impl Iterator<Item = (i32, &Metadata)> {
    situation
        .answers
        .iter()
        .filter_map(|(id, answer)| match answer {
            Answer::View(metadata) => Some((*id, metadata)),
            Answer::Silent(_) => None,
        })
}

fn others_down(situation: &Situation) -> Vec<Reason> {
    let name_of = |id: i32| {
        situation
            .expected
            .iter()
            .find(|expected| expected.id == Some(id))
            .map(|expected| expected.name.clone())
    };
    let silent = situation
        .answers
        .iter()
        .filter(|(id, _)| **id != situation.target)
        .filter_map(|(id, answer)| match answer {
            Answer::Silent(why) => Some(Reason::NotAnswering {
                broker: *id,
                name: name_of(*id),
                why: why.clone(),
            }),
            Answer::View(_) => None,
        });
    let absent = situation
        .expected
        .iter()
        .filter(|expected| match expected.id {
            Some(id) => id != situation.target && !situation.answers.contains_key(&id),
            None => !situation
                .elsewhere
                .iter()
                .any(|(name, _)| *name == expected.name),
        })
        .map(|expected| Reason::NotRegistered {
            broker: expected.id,
            name: expected.name.clone(),
        });
    let mut down: Vec<Reason> = silent.chain(absent).collect();
    // One that answers but that no other broker counts among the live is leaving or joining.
    for (id, _) in views(situation) {
        let known_to_others = views(situation)
            .filter(|(other, _)| *other != id)
            .all(|(_, view)| view.brokers.contains_key(&id));
        if id != situation.target && !known_to_others {
            down.push(Reason::NotRegistered {
                broker: Some(id),
                name: name_of(id).unwrap_or_else(|| format!("broker {id}")),
            });
        }
    }
    down
}

fn wrong_members(situation: &Situation) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut clusters: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (id, view) in views(situation) {
        let cluster = view.cluster_id.as_deref().unwrap_or("unknown");
        clusters.entry(cluster).or_default().push(id);
    }
    if clusters.len() > 1 {
        reasons.push(Reason::Clusters(
            clusters
                .iter()
                .map(|(cluster, ids)| ((*cluster).to_owned(), ids.clone()))
                .collect(),
        ));
    }
    for (name, cluster) in &situation.elsewhere {
        reasons.push(Reason::Elsewhere {
            name: name.clone(),
            cluster: cluster.clone(),
        });
    }
    if !situation.expected.is_empty() {
        let live: BTreeSet<i32> = views(situation)
            .flat_map(|(_, view)| view.brokers.keys().copied())
            .collect();
        // One that is about to leave or to come is known to some only, and its name leads nowhere meanwhile.
        let is_certain = situation.expected.iter().all(|e| e.id.is_some());
        for id in live {
            let expected =
                id == situation.target || situation.expected.iter().any(|e| e.id == Some(id));
            if !expected {
                let address = views(situation).find_map(|(_, view)| view.brokers.get(&id));
                reasons.push(Reason::NotExpected {
                    broker: id,
                    address: address.map(ToString::to_string).unwrap_or_default(),
                    is_certain,
                });
            }
        }
    }
    reasons
}

/// One partition, the worst of all views.
struct Worst {
    partition: Partition,
    /// What the views differ in.
    differs: Option<&'static str>,
}

fn worst_views(situation: &Situation) -> (BTreeMap<(&str, i32), Worst>, Vec<Reason>) {
    let mut worst: BTreeMap<(&str, i32), Worst> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for (_, view) in views(situation) {
        for (topic, number, partition) in view.partitions() {
            *seen.entry((topic, number)).or_default() += 1;
            match worst.entry((topic, number)) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(Worst {
                        partition: partition.clone(),
                        differs: None,
                    });
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().merge(partition);
                }
            }
        }
    }
    let count = views(situation).count();
    let mut reasons: Vec<Reason> = worst
        .iter()
        .filter_map(|((topic, number), worst)| {
            let what = worst
                .differs
                .or((seen[&(*topic, *number)] < count).then_some("its existence"))?;
            Some(Reason::ViewsDiffer {
                topic: (*topic).to_owned(),
                partition: *number,
                what,
            })
        })
        .collect();
    let members: IndexSet<Vec<i32>> = views(situation)
        .map(|(_, view)| view.brokers.keys().copied().collect())
        .collect();
    if members.len() > 1 {
        reasons.push(Reason::MembersDiffer(members.into_iter().collect()));
    }
    (worst, reasons)
}

impl Worst {
    fn merge(&mut self, other: &Partition) {
        let mine = &mut self.partition;
        if mine.leader != other.leader {
            self.differs = Some("its leader");
            if other.leader.is_none() {
                mine.leader = None;
            }
        }
        if mine.isr != other.isr {
            self.differs = Some("its ISR");
            mine.isr.retain(|id| other.isr.contains(id));
        }
        let same: BTreeSet<_> = mine.replicas.iter().collect();
        if same != other.replicas.iter().collect() {
            self.differs = Some("its replicas");
            for id in &other.replicas {
                if !mine.replicas.contains(id) {
                    mine.replicas.push(*id);
                }
            }
        }
    }
}

fn partitions_at_risk(situation: &Situation, warnings: &mut Vec<String>) -> Vec<Reason> {
    let (worst, mut reasons) = worst_views(situation);
    let live: BTreeSet<i32> = views(situation)
        .flat_map(|(_, view)| view.brokers.keys().copied())
        .collect();
    for (topic, number) in &situation.reassigning {
        reasons.push(Reason::Reassigning {
            topic: topic.clone(),
            partition: *number,
        });
    }
    // Topics that become unavailable whatever one does: RF, min ISR, partitions.
    let mut unavoidable: BTreeMap<&str, (usize, i32, Vec<i32>)> = BTreeMap::new();
    let mut dead: BTreeMap<i32, usize> = BTreeMap::new();
    for ((topic, number), worst) in &worst {
        let partition = &worst.partition;
        if partition.leader.is_none() {
            reasons.push(Reason::Offline {
                topic: (*topic).to_owned(),
                partition: *number,
                replicas: partition.replicas.clone(),
            });
        }
        if !partition.replicas.contains(&situation.target) {
            continue;
        }
        for id in partition.replicas.iter().filter(|id| !live.contains(id)) {
            *dead.entry(*id).or_default() += 1;
        }
        let missing: Vec<i32> = partition
            .replicas
            .iter()
            .filter(|id| !partition.isr.contains(id))
            .copied()
            .collect();
        if situation.mode == Mode::Strict && !missing.is_empty() {
            reasons.push(Reason::OutOfSync {
                topic: (*topic).to_owned(),
                partition: *number,
                missing,
            });
        }
        let Some(&min_isr) = situation.min_isr.get(*topic) else {
            reasons.push(Reason::MinIsrUnknown {
                topic: (*topic).to_owned(),
            });
            continue;
        };
        let factor = partition.replicas.len();
        let needed = usize::try_from(min_isr).unwrap_or(0).max(1);
        if factor <= needed {
            let entry = unavoidable
                .entry(topic)
                .or_insert((factor, min_isr, Vec::new()));
            entry.2.push(*number);
            continue;
        }
        let left = partition
            .isr
            .iter()
            .filter(|id| **id != situation.target)
            .count();
        if situation.mode == Mode::MinIsr && left < needed {
            reasons.push(Reason::TooFewLeft {
                topic: (*topic).to_owned(),
                partition: *number,
                left,
                needed,
            });
        }
    }
    for (topic, (factor, min_isr, partitions)) in unavoidable {
        if is_allowed(topic, &situation.allow_unavailable) {
            warnings.push(format!(
                "`{topic}` is unavailable while the broker is down (replication factor {factor}, min.insync.replicas {min_isr}), which is allowed"
            ));
        } else {
            reasons.push(Reason::Unavoidable {
                topic: topic.to_owned(),
                partitions,
                factor,
                min_isr,
            });
        }
    }
    if situation.mode == Mode::MinIsr {
        for (id, count) in dead {
            warnings.push(format!(
                "broker {id} is not alive; {count} partitions of broker {} have a replica there",
                situation.target
            ));
        }
    }
    reasons
}

/// Whether a topic matches one of the patterns; `*` stands for any letters, `?` for one.
pub fn is_allowed(topic: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        let (pattern, topic): (Vec<char>, Vec<char>) =
            (pattern.chars().collect(), topic.chars().collect());
        glob(&pattern, &topic)
    })
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
