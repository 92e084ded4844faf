//! Everything that a rehearsal found, as data: what the checks judge and the reports show.

use super::brokers::{Broker, MostDown, Standing};
use super::compare::Comparison;
use super::estimate::Estimate;
use super::evidence::Evidence;
use super::eye::Exchanged;
use super::fault::judge::Trial;
use super::gaps::{self, Cause};
use super::idempotence::Idempotence;
use super::load::{Gap, Loaded};
use super::work::Phase;
use crate::lab::LabSpec;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a rehearsal found. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// The command line.
    pub command: String,
    pub hosts: Vec<String>,
    /// What of the lab was not what it is called.
    pub stood_in: StoodIn,
    /// The snapshot that the hosts began from.
    pub snapshot: Option<String>,
    pub from: u64,
    /// When the playbook's own story was over.
    pub to: u64,
    /// When the last fault's was, too.
    pub ended: u64,
    /// What brought the lab to today's state.
    pub today: Vec<Phase>,
    /// The rehearsed playbook's run, if it came to that.
    pub main: Option<Phase>,
    /// The same once more.
    pub again: Option<Phase>,
    pub idempotence: Idempotence,
    pub comparison: Option<Comparison>,
    pub estimate: Option<Estimate>,
    pub kafka: Kafka,
    /// What was collected because a gate stayed shut.
    #[serde(skip)]
    pub evidence: Option<Result<Evidence, String>>,
    /// What broke on purpose, and what came of it.
    pub faults: Option<Broken>,
    /// The user stopped it.
    pub stopped: bool,
}

/// What of a lab was not what it is called.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StoodIn {
    /// Names of packages that were empty.
    pub packages: Vec<String>,
    /// Sites, each with the directory that had its files.
    pub sites: Vec<(String, PathBuf)>,
}

impl StoodIn {
    /// What is known of it from what the lab was to be.
    pub fn of(spec: &LabSpec) -> Self {
        let sites = spec.sites.iter();
        Self {
            packages: spec.stand_ins.clone(),
            sites: sites.map(|it| (it.name.clone(), it.root.clone())).collect(),
        }
    }
}

/// What broke on purpose.
#[derive(Debug, Clone, Serialize)]
pub struct Broken {
    pub seed: u64,
    pub trials: Vec<Trial>,
    /// How many faults were to be tried.
    pub of: usize,
    /// How many of them an earlier rehearsal had tried, which was stopped.
    pub earlier: usize,
    /// Why not all were tried.
    pub fault: Option<String>,
}

/// What was found of Kafka.
#[derive(Debug, Clone, Serialize)]
pub enum Kafka {
    /// No broker ran before the rehearsed playbook: why nothing can be said.
    Absent(String),
    Seen(Box<Cluster>),
}

/// A cluster that was there before, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Cluster {
    pub brokers: Vec<Broker>,
    pub standings: BTreeMap<String, Vec<Standing>>,
    pub most_down: MostDown,
    /// What became of the records, or why that is not known; `None` where the user wanted no load.
    pub load: Option<Result<Loaded, String>>,
    pub acceptance: Acceptance,
}

/// What every operator tries by hand: before, and after.
#[derive(Debug, Clone, Serialize)]
pub struct Acceptance {
    pub before: Result<Exchanged, String>,
    pub after: Result<Exchanged, String>,
}

impl Account {
    /// A rehearsal of which nothing is known yet.
    pub fn begin(command: &str, hosts: Vec<String>, from: u64) -> Self {
        Self {
            command: command.to_owned(),
            hosts,
            stood_in: StoodIn::default(),
            snapshot: None,
            from,
            to: from,
            ended: from,
            today: Vec::new(),
            main: None,
            again: None,
            idempotence: Idempotence::NotTried("the playbook did not end well".to_owned()),
            comparison: None,
            estimate: None,
            kafka: Kafka::Absent("the lab did not come to today's state".to_owned()),
            evidence: None,
            faults: None,
            stopped: false,
        }
    }

    /// The rehearsed playbooks' names.
    pub fn title(&self) -> &str {
        match &self.main {
            Some(main) => &main.title,
            None if self.rest().is_some() => "the rest of the faults",
            None => "it did not come to the playbook",
        }
    }

    /// What broke on purpose, where this rehearsal is only the rest of one that was stopped among its faults.
    pub fn rest(&self) -> Option<&Broken> {
        let is_rest = |it: &&Broken| self.main.is_none() && (it.fault.is_none() || it.of > 0);
        self.faults.as_ref().filter(is_rest)
    }

    /// All runs, in order.
    pub fn phases(&self) -> impl Iterator<Item = &Phase> {
        self.today.iter().chain(&self.main).chain(&self.again)
    }

    /// The runs under load.
    pub fn rehearsed(&self) -> Vec<Phase> {
        self.main.iter().chain(&self.again).cloned().collect()
    }

    /// Which step caused a gap.
    pub fn cause(&self, gap: &Gap) -> Option<Cause> {
        gaps::cause(gap, &self.rehearsed())
    }

    /// The longest time without an acknowledgement of all replicas in sync on any partition, in milliseconds.
    pub fn silence(&self) -> Option<u64> {
        let load = self.cluster()?.load.as_ref()?.as_ref().ok()?;
        let flow = load.flows.iter().find(|flow| flow.acks == "all")?;
        let gaps = flow.sent.partitions.iter().filter_map(|it| it.longest_gap);
        gaps.map(|gap| gap.milliseconds()).max()
    }

    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.kafka {
            Kafka::Seen(cluster) => Some(cluster),
            Kafka::Absent(_) => None,
        }
    }
}
