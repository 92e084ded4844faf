//! The story of a rehearsal, in order, from no lab to no lab; whoever calls says what a playbook's run is.

use super::account::{Acceptance, Account, Cluster, Kafka};
use super::brokers::{brokers, most_down, standings};
use super::compare::compare;
use super::estimate::{Production, estimate};
use super::idempotence::{Idempotence, judge};
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
    #[error("the lab `{name}` could not be removed; `krun lab down {name}` tries again")]
    StaysUp {
        name: String,
        #[source]
        source: lab::Error,
    },
}

/// How long partitions may need to be in sync again after the last run.
const SETTLING: Duration = Duration::from_secs(180);

/// Plays the whole story. Whatever happens, the lab is gone in the end, unless it is to be kept.
pub async fn rehearse(mut script: Script, say: Say, stops: Stops) -> Result<Account, Error> {
    let (root, keep) = (script.root.clone(), script.keep);
    let engine = script.spec.engine.clone();
    let hosts = script.spec.hosts.clone();
    say(&format!("Making a lab of {} hosts", hosts.len()));
    script.spec.hosts.push(CLIENT.to_owned());
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
            };
            Ok(stage.play(script, hosts).await)
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
struct Stage {
    lab: Lab,
    say: Say,
    stops: Stops,
    watch: Arc<Watch>,
}

impl Stage {
    async fn play(&mut self, script: Script, hosts: Vec<String>) -> Account {
        let mut account = Account {
            command: script.command.clone(),
            hosts,
            from: now(),
            to: 0,
            today: Vec::new(),
            main: None,
            again: None,
            idempotence: Idempotence::NotTried("the playbook did not end well".to_owned()),
            comparison: None,
            estimate: None,
            kafka: Kafka::Absent("the lab did not come to today's state".to_owned()),
            stopped: false,
        };
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
                return self.end(account);
            }
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
        let before = self.before(&script.program, wish).await;
        if self.is_stopped() {
            return self.end(account);
        }

        (self.say)(&format!("Rehearsing {}", script.main.title));
        let main = self.run(script.main, &confined).await;
        account.comparison = plan.map(|plan| compare(&plan, &main));
        if main.ended_well && !self.is_stopped() {
            (self.say)(&format!("The same once more: {}", script.again.title));
            let again = self.run(script.again, &confined).await;
            account.idempotence = judge(&again);
            account.again = Some(again);
        }
        account.main = Some(main);
        account.kafka = match before {
            Before::NoBroker(why) => Kafka::Absent(why),
            Before::Cluster(before) => {
                let cluster = self.after(*before, &script.program, &account).await;
                Kafka::Seen(Box::new(cluster))
            }
        };
        let found = account.cluster().map_or(&[][..], |it| &it.brokers);
        let main = account.main.as_ref();
        account.estimate =
            main.map(|main| estimate(main, found, &script.hosts_there, script.production));
        self.end(account)
    }

    fn end(&self, mut account: Account) -> Account {
        account.stopped = self.is_stopped();
        account.to = now();
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

    /// What is there before the playbook: brokers, an old message, and load that flows.
    async fn before(&mut self, program: &Path, wish: settle::LoadWish) -> Before {
        let (watch, lab, say) = (
            Arc::clone(&self.watch),
            self.lab.clone(),
            Arc::clone(&self.say),
        );
        let program = program.to_owned();
        self.unless_stopped(move || {
            let Some(entrance) = settle::entrance(&watch) else {
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
    async fn after(&mut self, before: Known, program: &Path, account: &Account) -> Cluster {
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
        let phases: Vec<&Phase> = account.main.iter().chain(&account.again).collect();
        Cluster {
            most_down: most_down(&brokers, &phases),
            standings: standings(&seen),
            brokers,
            load,
            acceptance: Acceptance {
                before: exchanged,
                after,
            },
        }
    }

    fn is_stopped(&self) -> bool {
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

enum Before {
    /// Why there is nothing to be said of Kafka.
    NoBroker(String),
    Cluster(Box<Known>),
}

/// What was there before the playbook.
struct Known {
    entrance: Entrance,
    exchanged: Result<super::eye::Exchanged, String>,
    /// `None` where the user wanted no load.
    load: Option<Result<Load, String>>,
}

/// A Ctrl-C that reaches the engine's own program, too, must not leave the lab behind.
async fn remove(root: &Path, engine: &EngineSpec, name: &str) -> Result<(), Error> {
    const TRIES: usize = 3;
    let mut tries = 1;
    loop {
        let (root, engine, lab) = (root.to_owned(), engine.clone(), name.to_owned());
        match aside(move || Lab::down(&root, &engine, &lab)).await {
            Ok(()) => return Ok(()),
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
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("it returns its errors")
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}
