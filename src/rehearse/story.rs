//! The story of a rehearsal, in order, from no lab to no lab; whoever calls says what a playbook's run is.

use super::account::{Acceptance, Account, Cluster, Kafka, StoodIn};
use super::brokers::{Away, brokers, most_down, standings};
use super::compare::compare;
use super::estimate::{Production, estimate};
use super::evidence;
use super::fault::matrix::{self, Faults};
use super::fault::{Reference, places, state};
use super::idempotence::judge;
use super::load::{CLIENT, Load};
use super::settle::{self, Entrance};
use super::watch::{Seen, Watch};
use super::work::{Phase, Recorder};
use crate::event::Event;
use crate::lab::{self, EngineSpec, Lab, LabSpec};
use crate::run::Conclusion;
use crate::transport::Confined;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Hears every event of a run.
pub type Sink = Box<dyn FnMut(&Event)>;
/// Told of each step before it begins; what belongs to a step begins with a space.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;
/// Begins a run.
pub type Start = Box<dyn FnOnce(Place, Sink) -> Pin<Box<dyn Future<Output = Conclusion>>>>;
/// Counts the user's wishes to stop.
pub type Stops = watch::Receiver<u32>;

/// Where a run of the rehearsal takes place.
#[derive(Debug, Clone)]
pub struct Place {
    /// The only hosts that it may reach.
    pub confined: Confined,
    /// Where it keeps what a later run must know; goes with the lab.
    pub state_dir: PathBuf,
    pub stops: Stops,
}

/// One run of playbooks.
pub struct Act {
    /// The playbooks' names.
    pub title: String,
    pub start: Start,
}

/// What is to be rehearsed.
pub struct Script {
    /// The command line.
    pub command: String,
    /// krun, as a file that a host of the lab can start.
    pub program: PathBuf,
    /// The load's program; `None`: no load.
    pub canary: Option<PathBuf>,
    /// Records a second of each producer.
    pub rate: u32,
    /// Further settings of the load's clients, `name=value`.
    pub client_settings: Vec<String>,
    /// Where labs are kept.
    pub root: PathBuf,
    pub spec: LabSpec,
    pub allow_local: bool,
    /// Leave the lab up in the end.
    pub keep: bool,
    /// What brings the lab to today's state.
    pub from: Vec<Act>,
    /// The rehearsed playbook in check mode, if it is to be compared.
    pub plan: Option<Act>,
    /// What breaks on purpose, if anything.
    pub faults: Option<Faults>,
    /// Where a gate that times out leaves its evidence.
    pub evidence: PathBuf,
    /// What is rehearsed.
    pub main: Act,
    /// The same once more.
    pub again: Act,
    pub production: Production,
    /// Of each play of what is rehearsed, by its place: how many hosts production has for it.
    pub hosts_there: BTreeMap<usize, usize>,
}

/// Why there was no rehearsal, or its lab is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lab(#[from] lab::Error),
    #[error("what is done of the faults cannot be kept in `{path}`")]
    Journal {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the lab `{name}` could not be removed; `krun lab down {name}` tries again")]
    StaysUp {
        name: String,
        #[source]
        source: lab::Error,
    },
}

/// The lab of a rehearsal: the inventory's hosts, and the load's.
pub fn with_client(spec: &LabSpec) -> LabSpec {
    let mut spec = spec.clone();
    spec.hosts.push(CLIENT.to_owned());
    spec
}

/// How long partitions may need to be in sync again after the last run.
const SETTLING: Duration = Duration::from_secs(180);

/// Plays the whole story, and then once more for each fault.
///
/// # Errors
/// A lab could not be made, or not be removed.
pub async fn rehearse(script: Script, say: Say, stops: Stops) -> Result<Account, Error> {
    match matrix::Matrix::of(&script, Arc::clone(&say), stops.clone()) {
        None => Ok(tell(script, say, stops).await?.0),
        Some(matrix) => matrix.play(script).await,
    }
}

/// Plays the story without a fault. Whatever happens, the lab is gone in the end, unless it is to be kept. With faults to
/// come, what they are measured by is returned, too, if it came to that.
pub(super) async fn tell(
    mut script: Script,
    say: Say,
    stops: Stops,
) -> Result<(Account, Option<Reference>), Error> {
    let (root, keep) = (script.root.clone(), script.keep);
    let engine = script.spec.engine.clone();
    let hosts = script.spec.hosts.clone();
    say(&format!("Making a lab of {} hosts", hosts.len()));
    script.spec = with_client(&script.spec);
    let lab = aside({
        let (root, spec, say) = (root.clone(), script.spec.clone(), Arc::clone(&say));
        move || Lab::up(&root, &spec, &|step| say(&format!("  {step}")))
    })
    .await?;
    let told = match Watch::start(&lab, &hosts, &script.program) {
        Ok(watch) => {
            let mut stage = Stage {
                lab: lab.clone(),
                say: Arc::clone(&say),
                stops,
                watch: Arc::new(watch),
                reference: None,
            };
            let told = stage.play(script, hosts).await;
            told.map(|account| (account, stage.reference))
        }
        Err(error) => Err(Error::Lab(error)),
    };
    if keep && told.is_ok() {
        let name = &lab.name;
        say(&format!(
            "The lab stays: `krun lab ssh {name} HOST` goes there, `krun lab down {name}` removes it"
        ));
        return told;
    }
    say("Removing the lab");
    remove(&root, &engine, &lab.name).await?;
    told
}

/// The lab while it is up, and who looks at it.
pub(super) struct Stage {
    pub(super) lab: Lab,
    pub(super) say: Say,
    pub(super) stops: Stops,
    pub(super) watch: Arc<Watch>,
    /// What runs with a fault are measured by.
    pub(super) reference: Option<Reference>,
}

impl Stage {
    async fn play(&mut self, script: Script, hosts: Vec<String>) -> Result<Account, Error> {
        let mut account = Account::begin(&script.command, hosts, now());
        account.stood_in = StoodIn::of(&script.spec);
        account.snapshot.clone_from(&script.spec.snapshot);
        let confined = Confined {
            lab: self.lab.name.clone(),
            hosts: account.hosts.iter().cloned().collect(),
            ssh_config: self.lab.ssh_config(),
            allow_local: script.allow_local,
        };
        for act in script.from {
            (self.say)(&format!("Bringing the lab to today's state: {}", act.title));
            let phase = self.run(act, &confined).await;
            let well = phase.ended_well;
            account.today.push(phase);
            if !well || self.is_stopped() {
                return Ok(self.end(account));
            }
        }
        let mut at_least = 0;
        if let Some(faults) = &script.faults {
            at_least = self.settled().await.map_or(0, |it| it.brokers);
            (self.say)("Keeping today's state, from which each fault begins");
            let (lab, say) = (self.lab.clone(), Arc::clone(&self.say));
            let (root, name) = (script.root.clone(), faults.snapshot.clone());
            let is_kept =
                aside(move || lab.snapshot(&root, &name, &|step| say(&format!("  {step}"))));
            is_kept.await?;
        }
        let plan = match script.plan {
            Some(act) => {
                (self.say)(&format!("What the plan says: {}", act.title));
                Some(self.run(act, &confined).await)
            }
            None => None,
        };
        let wish = settle::LoadWish {
            canary: script.canary,
            rate: script.rate,
            settings: script.client_settings,
        };
        let before = self.before(&script.program, wish, at_least).await;
        if self.is_stopped() {
            return Ok(self.end(account));
        }

        (self.say)(&format!("Rehearsing {}", script.main.title));
        let main = self.run(script.main, &confined).await;
        account.comparison = plan.map(|plan| compare(&plan, &main));
        if main.ended_well && !self.is_stopped() {
            (self.say)(&format!("The same once more: {}", script.again.title));
            self.settled().await;
            let again = self.run(script.again, &confined).await;
            account.idempotence = judge(&again);
            account.again = Some(again);
        }
        if evidence::is_wanted(&main) {
            let dir = script.evidence.clone();
            account.evidence = Some(self.collect(&account.hosts, dir, &main.faults).await);
        }
        let end = match &script.faults {
            Some(_) if main.ended_well => Some(self.states(&account.hosts).await),
            _ => None,
        };
        account.main = Some(main);
        let brokers = match &before {
            Before::NoBroker(_) => 0,
            Before::Cluster(known) => known.entrance.brokers,
        };
        account.kafka = match before {
            Before::NoBroker(why) => Kafka::Absent(why),
            Before::Cluster(before) => {
                let phases: Vec<&Phase> = account.main.iter().chain(&account.again).collect();
                let cluster = self.after(*before, &script.program, &phases, &[]).await;
                Kafka::Seen(Box::new(cluster))
            }
        };
        if let (Some(end), Some(main)) = (end, &account.main) {
            self.reference = Some(Reference {
                places: places(main),
                unsteady: end.unsteady(&self.states(&account.hosts).await),
                state: end,
                second_run: account.idempotence.words(),
                brokers,
            });
        }
        let found = account.cluster().map_or(&[][..], |it| &it.brokers);
        let main = account.main.as_ref();
        account.estimate =
            main.map(|main| estimate(main, found, &script.hosts_there, script.production));
        Ok(self.end(account))
    }

    /// Waits until brokers that are about to start have joined: before, there is no state to begin from. `None` where
    /// there is no broker.
    pub(super) async fn settled(&mut self) -> Option<Entrance> {
        let watch = Arc::clone(&self.watch);
        let entrance = self.unless_stopped(move || settle::entrance(&watch, 0));
        entrance.await.flatten()
    }

    /// What stands on every host now.
    pub(super) async fn states(&self, hosts: &[String]) -> state::States {
        let (lab, hosts) = (self.lab.clone(), hosts.to_vec());
        aside(move || state::of_lab(&lab, &hosts)).await
    }

    /// What tells why a gate stayed shut.
    async fn collect(
        &self,
        hosts: &[String],
        dir: PathBuf,
        why: &[String],
    ) -> Result<evidence::Evidence, String> {
        (self.say)(&format!(
            "A gate stayed shut: thread dumps, logs and journals go to {}",
            dir.display()
        ));
        let (lab, hosts, why) = (self.lab.clone(), hosts.to_vec(), why.to_vec());
        let records = self.lab.state_dir().join("runs");
        let found = aside(move || evidence::collect(&lab, &hosts, &records, &dir, &why)).await;
        found.map_err(|error| error.to_string())
    }

    fn end(&self, mut account: Account) -> Account {
        account.stopped = self.is_stopped();
        account.to = now();
        account.ended = account.to;
        account
    }

    /// One run, as what it did.
    async fn run(&self, act: Act, confined: &Confined) -> Phase {
        let recorder = Rc::new(RefCell::new(Recorder::new(&act.title)));
        let place = Place {
            confined: confined.clone(),
            state_dir: self.lab.state_dir(),
            stops: self.stops.clone(),
        };
        let hear = Rc::clone(&recorder);
        let sink: Sink = Box::new(move |event| hear.borrow_mut().hear(event));
        let conclusion = (act.start)(place, sink).await;
        recorder.take().end(conclusion.is_ok())
    }

    /// What is there before the playbook: brokers, `at_least` so many, an old message, and load that flows.
    pub(super) async fn before(
        &mut self,
        program: &Path,
        wish: settle::LoadWish,
        at_least: usize,
    ) -> Before {
        let (watch, lab, say) = (
            Arc::clone(&self.watch),
            self.lab.clone(),
            Arc::clone(&self.say),
        );
        let program = program.to_owned();
        self.unless_stopped(move || {
            let Some(entrance) = settle::entrance(&watch, at_least) else {
                let why = "no broker ran before the playbook".to_owned();
                return Before::NoBroker(why);
            };
            say(&format!(
                "A cluster of {} brokers: an old message, and load",
                entrance.brokers
            ));
            let exchanged = settle::topics(&lab, &program, &entrance)
                .and_then(|()| settle::exchange(&lab, &program, &entrance));
            let load = settle::load(&lab, wish, &entrance, &say);
            Before::Cluster(Box::new(Known {
                entrance,
                exchanged,
                load,
            }))
        })
        .await
        .unwrap_or_else(|| Before::NoBroker("the rehearsal was stopped".to_owned()))
    }

    /// What is there after it.
    pub(super) async fn after(
        &mut self,
        before: Known,
        program: &Path,
        phases: &[&Phase],
        away: &[Away],
    ) -> Cluster {
        (self.say)("Waiting until every replica is in sync, then reading every record back");
        let (watch, lab) = (Arc::clone(&self.watch), self.lab.clone());
        let program = program.to_owned();
        let Known {
            entrance,
            exchanged,
            load,
        } = before;
        let outcome = self
            .unless_stopped(move || {
                settle::in_sync(&watch, SETTLING);
                let load = load.map(|load| load.and_then(Load::stop));
                let after = settle::exchange(&lab, &program, &entrance);
                (load, after)
            })
            .await;
        let stopped = || Err("the rehearsal was stopped".to_owned());
        let (load, after) = outcome.unwrap_or_else(|| (Some(stopped()), Err("stopped".to_owned())));
        let seen: Vec<Seen> = self.watch.seen();
        let brokers = brokers(&seen);
        Cluster {
            most_down: most_down(&brokers, phases, away),
            standings: standings(&seen),
            brokers,
            load,
            acceptance: Acceptance {
                before: exchanged,
                after,
            },
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stops.borrow() > 0
    }

    /// Does what waits for programs, unless the user stops it.
    async fn unless_stopped<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.is_stopped() {
            return None;
        }
        tokio::select! {
            done = aside(work) => Some(done),
            _ = self.stops.changed() => None,
        }
    }
}

pub(super) enum Before {
    /// Why there is nothing to be said of Kafka.
    NoBroker(String),
    Cluster(Box<Known>),
}

/// What was there before the playbook.
pub(super) struct Known {
    entrance: Entrance,
    exchanged: Result<super::eye::Exchanged, String>,
    /// `None` where the user wanted no load.
    load: Option<Result<Load, String>>,
}

/// A Ctrl-C that reaches the engine's own program, too, must not leave the lab behind.
pub(super) async fn remove(root: &Path, engine: &EngineSpec, name: &str) -> Result<(), Error> {
    const TRIES: usize = 3;
    let mut tries = 1;
    loop {
        let (root, engine, lab) = (root.to_owned(), engine.clone(), name.to_owned());
        match aside(move || Lab::down(&root, &engine, &lab)).await {
            // Somebody else may have removed it.
            Ok(()) | Err(lab::Error::NoSuchLab { .. }) => return Ok(()),
            Err(_) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(source) => {
                let name = name.to_owned();
                return Err(Error::StaysUp { name, source });
            }
        }
    }
}

/// Does what waits for programs without holding up everything else.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("it returns its errors")
}

/// Milliseconds since the epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}
