//! Turns what a rehearsal found into rows of bars over one axis of time, and these into a picture of characters.

use super::account::{Account, Cluster};
use super::eye::TopicSeen;
use super::page::{duration, offset};
use crate::event::Status;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of topics that are drawn each by itself.
const TOPICS: usize = 12;

/// Rows of bars. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Timeline {
    pub from: u64,
    pub to: u64,
    pub groups: Vec<Group>,
}

/// Rows under one heading.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub title: &'static str,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub label: String,
    pub bars: Vec<Bar>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Bar {
    pub from: u64,
    pub to: u64,
    pub kind: Kind,
    /// What a mouse over it is told.
    pub title: String,
}

/// What a bar means; a later one covers an earlier one where there is room for one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// A run, by its place.
    Run(usize),
    /// A broker's version and protocol, by the order in which they were seen.
    State(usize),
    InSync,
    Look,
    Wait,
    Change,
    Missing,
    Down,
    Gap,
    Leaderless,
    Failed,
}

impl Kind {
    fn glyph(self) -> char {
        match self {
            Self::Run(n) | Self::State(n) => char::from(b'a' + u8::try_from(n % 26).unwrap_or(0)),
            Self::InSync => '─',
            Self::Look => '·',
            Self::Wait => '░',
            Self::Change | Self::Gap => '█',
            Self::Missing => '▒',
            Self::Down => '×',
            Self::Leaderless | Self::Failed => '!',
        }
    }
}

/// The whole picture, from the lab's first moment to the end of reading everything back.
pub fn timeline(account: &Account) -> Timeline {
    let phases: Vec<_> = account.phases().collect();
    if phases.is_empty() {
        return Timeline::default();
    }
    let mut groups = vec![Group {
        title: "runs",
        rows: vec![Row {
            label: String::new(),
            bars: phases
                .iter()
                .enumerate()
                .map(|(n, phase)| Bar {
                    from: phase.from,
                    to: phase.to,
                    kind: Kind::Run(n),
                    title: format!("{}: {}", phase.title, duration(phase.to - phase.from)),
                })
                .collect(),
        }],
    }];
    groups.push(Group {
        title: "hosts",
        rows: hosts(account),
    });
    if let Some(cluster) = account.cluster() {
        let end = account.to;
        groups.push(Group {
            title: "brokers",
            rows: brokers(cluster, end),
        });
        groups.push(Group {
            title: "replicas in sync",
            rows: topics(cluster, end),
        });
        groups.push(Group {
            title: "a second and more without an acknowledgement",
            rows: gaps(account, cluster),
        });
    }
    groups.retain(|group| !group.rows.is_empty());
    Timeline {
        from: account.from,
        to: account.to,
        groups,
    }
}

fn hosts(account: &Account) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Vec<Bar>> = BTreeMap::new();
    for work in account.phases().flat_map(|phase| &phase.works) {
        let kind = match work.status {
            Status::Skipped => continue,
            Status::Failed | Status::Unknown => Kind::Failed,
            _ if work.is_wait() => Kind::Wait,
            Status::Changed => Kind::Change,
            _ => Kind::Look,
        };
        let title = format!("{}: {}", work.task.title, duration(work.milliseconds()));
        rows.entry(&work.host).or_default().push(Bar {
            from: work.from,
            to: work.to,
            kind,
            title,
        });
    }
    let mut named: Vec<Row> = Vec::new();
    for host in &account.hosts {
        if let Some(bars) = rows.remove(host.as_str()) {
            named.push(Row {
                label: host.clone(),
                bars,
            });
        }
    }
    named
}

fn brokers(cluster: &Cluster, end: u64) -> Vec<Row> {
    let mut known: Vec<String> = Vec::new();
    let rows = cluster.brokers.iter().map(|broker| {
        let ends = broker.states.iter().skip(1).map(|state| state.at);
        let bars = broker
            .states
            .iter()
            .zip(ends.chain([end]))
            .map(|(state, to)| {
                let title = state.text();
                let kind = if state.down {
                    Kind::Down
                } else {
                    let place = known.iter().position(|it| *it == title);
                    Kind::State(place.unwrap_or_else(|| {
                        known.push(title.clone());
                        known.len() - 1
                    }))
                };
                Bar {
                    from: state.at,
                    to,
                    kind,
                    title,
                }
            })
            .collect();
        Row {
            label: format!("{} ({})", broker.host, broker.id),
            bars,
        }
    });
    rows.collect()
}

fn topics(cluster: &Cluster, end: u64) -> Vec<Row> {
    let mut rows: Vec<(usize, Row)> = cluster
        .standings
        .iter()
        .map(|(topic, standings)| {
            let ends = standings.iter().skip(1).map(|it| it.at);
            let bars: Vec<Bar> = standings
                .iter()
                .zip(ends.chain([end]))
                .map(|(standing, to)| Bar {
                    from: standing.at,
                    to,
                    kind: stands(&standing.seen),
                    title: stands_text(&standing.seen),
                })
                .collect();
            let worst = standings.iter().map(|it| it.seen.missing).max();
            let label = topic.clone();
            (worst.unwrap_or(0), Row { label, bars })
        })
        .collect();
    // Those that were touched at all first; the rest would only repeat themselves.
    rows.sort_by_key(|(worst, _)| *worst == 0);
    let more = rows.len().saturating_sub(TOPICS);
    rows.truncate(TOPICS);
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    if more > 0 {
        rows.push(Row {
            label: format!("and {more} more"),
            bars: Vec::new(),
        });
    }
    rows
}

fn stands(seen: &TopicSeen) -> Kind {
    match (seen.leaderless, seen.missing) {
        (0, 0) => Kind::InSync,
        (0, _) => Kind::Missing,
        _ => Kind::Leaderless,
    }
}

fn stands_text(seen: &TopicSeen) -> String {
    format!(
        "{} partitions, at least {} of {} replicas in sync, {} missing, {} without a leader",
        seen.partitions, seen.min_isr, seen.replicas, seen.missing, seen.leaderless
    )
}

fn gaps(account: &Account, cluster: &Cluster) -> Vec<Row> {
    let Some(Ok(load)) = &cluster.load else {
        return Vec::new();
    };
    let row = |flow: &super::load::Flow| Row {
        label: format!("acks={}", flow.acks),
        bars: flow
            .sent
            .gaps
            .iter()
            .map(|gap| {
                let cause = account.cause(gap).map_or_else(String::new, |cause| {
                    format!(", {} on {}", cause.task, cause.host)
                });
                Bar {
                    from: gap.from,
                    to: gap.to,
                    kind: Kind::Gap,
                    title: format!(
                        "partition {}: {}{cause}",
                        gap.partition,
                        duration(gap.milliseconds())
                    ),
                }
            })
            .collect(),
    };
    load.flows.iter().map(row).collect()
}

impl Timeline {
    /// Draws it with characters, `width` columns of time.
    pub fn text(&self, width: usize) -> String {
        let mut out = String::new();
        let span = (self.to - self.from).max(1);
        let labels = self.groups.iter().flat_map(|group| &group.rows);
        let room = labels
            .map(|row| row.label.chars().count())
            .max()
            .unwrap_or(0);
        let _ = writeln!(
            out,
            "{:room$}  0:00{:>rest$}",
            "",
            offset(self.to, self.from),
            rest = width.saturating_sub(4)
        );
        for group in &self.groups {
            let _ = writeln!(out, "{}", group.title);
            for row in &group.rows {
                let mut cells = vec![None; width];
                for bar in &row.bars {
                    let place = |time: u64| {
                        let part = time.clamp(self.from, self.to) - self.from;
                        usize::try_from(part * width as u64 / span).unwrap_or(width)
                    };
                    let (first, last) = (place(bar.from), place(bar.to));
                    if bar.to < self.from || first >= width {
                        continue;
                    }
                    let last = last.clamp(first + 1, width);
                    for cell in &mut cells[first..last] {
                        *cell = (*cell).max(Some(bar.kind));
                    }
                }
                let line: String = cells
                    .iter()
                    .map(|cell| cell.map_or(' ', Kind::glyph))
                    .collect();
                let _ = writeln!(out, "{:room$}  {}", row.label, line.trim_end());
            }
        }
        out.push_str(&self.legend());
        out
    }

    /// What the characters mean, of those that are there.
    fn legend(&self) -> String {
        let bars = || {
            let rows = self.groups.iter().flat_map(|group| &group.rows);
            rows.flat_map(|row| &row.bars)
        };
        let mut lines: BTreeMap<Kind, String> = BTreeMap::new();
        for bar in bars() {
            let text = match bar.kind {
                Kind::Run(_) | Kind::State(_) => bar.title.clone(),
                Kind::InSync => "all replicas in sync".to_owned(),
                Kind::Look => "looked, nothing to do".to_owned(),
                Kind::Wait => "a gate or a wait".to_owned(),
                Kind::Change => "changed something".to_owned(),
                Kind::Missing => "replicas missing".to_owned(),
                Kind::Down => "no broker process".to_owned(),
                Kind::Gap => "no acknowledgement".to_owned(),
                Kind::Leaderless => "partitions without a leader".to_owned(),
                Kind::Failed => "failed".to_owned(),
            };
            lines.entry(bar.kind).or_insert(text);
        }
        let mut out = String::new();
        let named = |kind: &Kind| matches!(kind, Kind::Run(_) | Kind::State(_));
        let what = |kind: &Kind| {
            if matches!(kind, Kind::Run(_)) {
                "run"
            } else {
                "brokers"
            }
        };
        for (kind, text) in lines.iter().filter(|(kind, _)| named(kind)) {
            let _ = writeln!(out, "  {} {}: {text}", kind.glyph(), what(kind));
        }
        let rest: Vec<String> = lines
            .iter()
            .filter(|(kind, _)| !named(kind))
            .map(|(kind, text)| format!("{} {text}", kind.glyph()))
            .collect();
        let _ = writeln!(out, "  {}", rest.join("   "));
        out
    }
}
