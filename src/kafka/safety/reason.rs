//! Turns what stands against a stop into text that names topics, partitions and brokers.

use crate::kafka::isr;
use std::collections::BTreeSet;
use std::fmt;

/// One thing that stands against stopping a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    NotAnswering {
        broker: i32,
        name: Option<String>,
        why: String,
    },
    NotRegistered {
        broker: Option<i32>,
        name: String,
    },
    /// The target is down, and so are these.
    AlsoDown {
        target: i32,
        others: Vec<String>,
    },
    /// The target has not joined yet; a broker that recovers its logs is never restarted.
    Starting(i32),
    NotExpected {
        broker: i32,
        address: String,
        /// Whether all of the inventory's are known, so that it is none of them.
        is_certain: bool,
    },
    /// Brokers with different cluster ids: each id with its brokers.
    Clusters(Vec<(String, Vec<i32>)>),
    Elsewhere {
        name: String,
        cluster: String,
    },
    ViewsDiffer {
        topic: String,
        partition: i32,
        what: &'static str,
    },
    /// Brokers that count different brokers among the live.
    MembersDiffer(Vec<Vec<i32>>),
    Offline {
        topic: String,
        partition: i32,
        replicas: Vec<i32>,
    },
    Reassigning {
        topic: String,
        partition: i32,
    },
    OutOfSync {
        topic: String,
        partition: i32,
        missing: Vec<i32>,
    },
    TooFewLeft {
        topic: String,
        partition: i32,
        left: usize,
        needed: usize,
    },
    /// The topic becomes unavailable whenever this broker stops.
    Unavoidable {
        topic: String,
        partitions: Vec<i32>,
        factor: usize,
        min_isr: i32,
    },
    MinIsrUnknown {
        topic: String,
    },
}

impl Reason {
    /// Whether waiting cannot help: somebody has to change something.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NotExpected {
                is_certain: true,
                ..
            } | Self::Clusters(_)
                | Self::Elsewhere { .. }
                | Self::Unavoidable { .. }
        )
    }

    /// Whether a broker cannot be asked.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NotAnswering { .. } | Self::NotRegistered { .. } | Self::Starting(_)
        )
    }

    /// How much it counts when one asks whether things get better.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::OutOfSync { missing, .. } => missing.len(),
            Self::TooFewLeft { left, needed, .. } => needed - left,
            _ => 1,
        }
    }

    /// The gravest first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Clusters(_) | Self::Elsewhere { .. } => 0,
            Self::AlsoDown { .. } | Self::NotExpected { .. } => 1,
            Self::NotAnswering { .. } | Self::NotRegistered { .. } | Self::Starting(_) => 2,
            Self::Unavoidable { .. } => 3,
            Self::Offline { .. } => 4,
            Self::Reassigning { .. } => 5,
            Self::TooFewLeft { .. } | Self::OutOfSync { .. } => 6,
            Self::MinIsrUnknown { .. } => 7,
            Self::MembersDiffer(_) | Self::ViewsDiffer { .. } => 8,
        }
    }

    /// The broker that is meant, for a list.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::NotAnswering { broker, name, .. } => broker_text(*broker, name.as_deref()),
            Self::NotRegistered { broker, name } => match broker {
                Some(id) => broker_text(*id, Some(name)),
                None => format!("`{name}`"),
            },
            other => other.to_string(),
        }
    }
}

fn broker_text(id: i32, name: Option<&str>) -> String {
    match name {
        Some(name) if name != format!("broker {id}") && name != id.to_string() => {
            format!("broker {id} (`{name}`)")
        }
        _ => format!("broker {id}"),
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    words.join(", ")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnswering { why, .. } => {
                write!(f, "{} does not answer: {why}", self.subject())
            }
            Self::NotRegistered { .. } => {
                write!(f, "{} is not registered in the cluster", self.subject())
            }
            Self::AlsoDown { target, others } => {
                write!(
                    f,
                    "broker {target} is down already, and so is {}",
                    list(others)
                )
            }
            Self::Starting(id) => write!(
                f,
                "broker {id} runs but has not joined the cluster yet: it is starting or recovering its logs"
            ),
            Self::NotExpected {
                broker, address, ..
            } => write!(
                f,
                "broker {broker} at {address} belongs to the cluster but not to the inventory"
            ),
            Self::Clusters(clusters) => {
                let words: Vec<String> = clusters
                    .iter()
                    .map(|(id, brokers)| format!("`{id}` (brokers {})", list(brokers)))
                    .collect();
                write!(
                    f,
                    "the brokers belong to different clusters: {}",
                    words.join(", ")
                )
            }
            Self::Elsewhere { name, cluster } => {
                write!(f, "`{name}` belongs to another cluster, `{cluster}`")
            }
            Self::ViewsDiffer {
                topic,
                partition,
                what,
            } => write!(f, "the brokers do not agree on {topic}-{partition}, {what}"),
            Self::MembersDiffer(members) => {
                let words: Vec<String> = members
                    .iter()
                    .map(|ids| format!("{{{}}}", list(ids)))
                    .collect();
                write!(
                    f,
                    "the brokers do not agree on who is alive: {}",
                    words.join(" or ")
                )
            }
            Self::Offline {
                topic,
                partition,
                replicas,
            } => write!(
                f,
                "{topic}-{partition} has no leader (replicas on {})",
                list(replicas)
            ),
            Self::Reassigning { topic, partition } => {
                write!(f, "{topic}-{partition} is being reassigned")
            }
            Self::OutOfSync {
                topic,
                partition,
                missing,
            } => write!(f, "{topic}-{partition} is not in sync on {}", list(missing)),
            Self::TooFewLeft {
                topic,
                partition,
                left,
                needed,
            } => write!(
                f,
                "{topic}-{partition} would keep {left} of the {needed} replicas in sync that it needs"
            ),
            Self::Unavoidable {
                topic,
                partitions,
                factor,
                min_isr,
            } => write!(
                f,
                "`{topic}` becomes unavailable whenever this broker stops (partitions {}; {} with min.insync.replicas {min_isr}): \
                 add a replica, lower min.insync.replicas, or list it in `allow_unavailable`",
                list(partitions),
                if *factor == 1 {
                    "1 replica".into()
                } else {
                    format!("{factor} replicas")
                },
            ),
            Self::MinIsrUnknown { topic } => {
                write!(f, "min.insync.replicas of `{topic}` could not be read")
            }
        }
    }
}

/// What to do where all brokers answer and some do not catch up.
pub fn way_out(reasons: &[Reason]) -> Option<String> {
    let mut behind = BTreeSet::new();
    for reason in reasons {
        match reason {
            Reason::OutOfSync { missing, .. } => behind.extend(missing),
            Reason::TooFewLeft { .. } => {}
            _ => return None,
        }
    }
    (!behind.is_empty()).then(|| isr::way_out(&behind))
}

/// How many examples a line of progress names.
const EXAMPLES: usize = 4;

/// Says on one line what is waited for: `3 replicas missing (orders-0 on 2, …)`.
pub fn summary(reasons: &[Reason]) -> String {
    let missing: Vec<String> = reasons
        .iter()
        .filter_map(|reason| match reason {
            Reason::OutOfSync {
                topic,
                partition,
                missing,
            } => Some(
                missing
                    .iter()
                    .map(|id| format!("{topic}-{partition} on {id}"))
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        })
        .flatten()
        .collect();
    let mut parts: Vec<String> = Vec::new();
    let others: Vec<&Reason> = reasons
        .iter()
        .filter(|r| !matches!(r, Reason::OutOfSync { .. }))
        .collect();
    parts.extend(others.iter().take(EXAMPLES).map(ToString::to_string));
    if others.len() > EXAMPLES {
        parts.push(format!("{} more", others.len() - EXAMPLES));
    }
    if !missing.is_empty() {
        parts.push(missing_text(&missing));
    }
    parts.join("; ")
}

/// Says which replicas are missing, with a few examples.
pub(in crate::kafka) fn missing_text(missing: &[String]) -> String {
    let more = if missing.len() > EXAMPLES {
        ", …"
    } else {
        ""
    };
    let examples = missing[..missing.len().min(EXAMPLES)].join(", ");
    let noun = if missing.len() == 1 {
        "replica"
    } else {
        "replicas"
    };
    format!("{} {noun} missing ({examples}{more})", missing.len())
}
