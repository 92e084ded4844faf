//! `wait_for_isr`: after a start, asks the cluster until the broker is back in every ISR it belongs to.

use super::{Glance, POLL, pause, seconds};
use crate::kafka::access::{Access, Local};
use crate::kafka::cluster::{Cluster, Metadata, view};
use crate::kafka::isr::{Decision, Look, Missing, Patience, Standing, Wait};
use crate::kafka::service::{self, Service};
use crate::kafka::version::{Protocol, Software};
use crate::kafka::{Error, Result, configs, isr, running};
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Whose replicas must be in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those on this broker.
    #[default]
    Broker,
    /// All of the cluster's.
    Cluster,
}

/// What a task says about a start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WaitForIsrArgs {
    /// Default: the broker of this host.
    #[serde(default)]
    pub broker: Option<i32>,
    /// The version whose jar the process must run, `2.6.0`; only where the broker is this host's.
    #[serde(default)]
    pub version: Option<String>,
    /// The effective `inter.broker.protocol.version`, compared as a version.
    #[serde(default)]
    pub protocol: Option<String>,
    #[serde(default)]
    pub scope: Scope,
    /// Seconds for which all must be well. Default 10.
    #[serde(default)]
    pub stable_for: Option<u64>,
    /// Seconds for which nothing may move before the gate fails. Default 300.
    #[serde(default)]
    pub stall: Option<u64>,
    #[serde(flatten)]
    pub access: Access,
}

/// A broker that is back.
#[derive(Debug, Clone, PartialEq)]
pub struct InSync {
    pub broker: i32,
    pub waited: Duration,
}

/// Waits until the broker is registered, answers, runs what it should, and is in sync.
///
/// # Errors
/// [`Error::Gate`]: the process is gone, runs another version, or nothing moved for the stall time, with the
/// partitions and brokers seen last. Settings, logins and rights that are wrong, at once. [`Error::Cancelled`].
pub fn wait_for_isr(sys: &Sys, args: &WaitForIsrArgs) -> Result<InSync> {
    let begun = Instant::now();
    let mut gate = Gate::new(sys, args)?;
    let mut wait = Wait::new(Patience {
        stable_for: seconds(args.stable_for, 10),
        stall: seconds(args.stall, 300),
        ..Patience::default()
    });
    loop {
        let mut look = gate.look()?;
        look.at = begun.elapsed();
        let target = gate.target;
        let text = match wait.decide(&look) {
            Decision::Open => {
                return Ok(InSync {
                    broker: target,
                    waited: begun.elapsed(),
                });
            }
            Decision::Wait(text) => text,
            Decision::Stalled(_) => {
                let message = format!(
                    "broker {target} did not come back: nothing moved for {} s",
                    seconds(args.stall, 300).as_secs()
                );
                return Err(gate.shut(message, &look));
            }
            Decision::Gone => {
                let message = format!("the process of broker {target} is gone");
                return Err(gate.shut(message, &look));
            }
            Decision::Fallen => return Err(gate.fallen()),
        };
        sys.progress(&format!("waiting: {text}"));
        pause(sys, POLL, &text)?;
    }
}

/// Looks once whether the broker is in sync, as far as one look can tell.
///
/// # Errors
/// [`Error::Gate`] where it runs another version than it should; settings, logins and rights that are wrong.
pub fn glance(sys: &Sys, args: &WaitForIsrArgs) -> Result<Glance<InSync>> {
    let begun = Instant::now();
    let mut gate = Gate::new(sys, args)?;
    let mut wait = Wait::new(Patience {
        stable_for: Duration::ZERO,
        stall: Duration::ZERO,
        ..Patience::default()
    });
    let look = gate.look()?;
    Ok(match wait.decide(&look) {
        Decision::Open => Glance::Open(InSync {
            broker: gate.target,
            waited: begun.elapsed(),
        }),
        Decision::Wait(text) | Decision::Stalled(text) => Glance::Shut(text),
        Decision::Gone => Glance::Shut(format!("the process of broker {} is gone", gate.target)),
        Decision::Fallen => Glance::Shut(gate.fallen().to_string()),
    })
}

struct Gate<'a> {
    sys: &'a Sys,
    access: &'a Access,
    scope: Scope,
    version: Option<Software>,
    protocol: Option<Protocol>,
    /// Made anew while it cannot be: the server.properties may only just have come.
    cluster: Cluster,
    target: i32,
    is_local: bool,
    /// Of this host's broker: where its data lies, and how its service stood at the last look.
    data: Vec<PathBuf>,
    service: Option<Service>,
    full: Vec<String>,
}

impl<'a> Gate<'a> {
    fn new(sys: &'a Sys, args: &'a WaitForIsrArgs) -> Result<Self> {
        let access = &args.access;
        let version = parsed("version", args.version.as_deref(), Software::parse)?;
        let protocol = parsed("protocol", args.protocol.as_deref(), Protocol::parse)?;
        let local = local_broker(sys, access)?;
        let cluster = access.cluster(sys, &local, &[])?;
        let target = args.broker.or(local.broker_id).ok_or_else(|| {
            Error::Host("which broker is meant is not known here: set `broker`".into())
        })?;
        Ok(Self {
            sys,
            access,
            scope: args.scope,
            version,
            protocol,
            cluster,
            target,
            is_local: local.broker_id == Some(target),
            data: local.log_dirs(),
            service: None,
            full: Vec::new(),
        })
    }

    fn look(&mut self) -> Result<Look> {
        let mut look = Look::default();
        if self.is_local {
            let local = self.access.local(self.sys)?;
            self.look_at_process(&local, &mut look)?;
        }
        let metadata = match self.cluster.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => {
                look.obstacles.push(error.chain());
                return Ok(look);
            }
        };
        let id = self.target;
        if !metadata.brokers.contains_key(&id) {
            look.obstacles
                .push(format!("broker {id} is not registered"));
            return Ok(look);
        }
        look.activity = None;
        self.look_at_broker(&mut look)?;
        self.look_at_replicas(&metadata, &mut look)?;
        Ok(look)
    }

    fn look_at_process(&mut self, local: &Local, look: &mut Look) -> Result<()> {
        look.alive = Some(local.running.is_some());
        look.standing = self.standing(local);
        let Some(process) = &local.running else {
            return Ok(());
        };
        look.activity = running::bytes_read(self.sys, process.pid);
        match (&self.version, &process.version) {
            (Some(wanted), Some(found)) if wanted != found => Err(Error::Gate {
                message: format!("broker {} runs {found}, not {wanted}", self.target),
                seen: vec![],
                help: Some(
                    "check the class path of its start script, and what the link points to".into(),
                ),
            }),
            (Some(wanted), None) => {
                look.obstacles.push(format!(
                    "no jar of broker {} tells its version, {wanted} is expected",
                    self.target
                ));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How the service of this host's broker stands; its unit is known from the last process that was seen.
    fn standing(&mut self, local: &Local) -> Option<Standing> {
        let known = self.service.as_ref().map(|it| it.unit.clone());
        let running = local.running.as_ref();
        let unit = running
            .and_then(|it| service::of_process(self.sys, it.pid))
            .or(known)
            .or_else(|| service::of_host(self.sys))?;
        self.service = Service::look(self.sys, &unit);
        self.full = service::full(self.sys, &self.data);
        self.service.as_ref().map(|service| Standing {
            is_down: service.is_down(),
            restarts: service.restarts,
            has_room: self.full.is_empty(),
        })
    }

    /// Why the service of this host's broker does not stay up.
    fn fallen(&self) -> Error {
        let service = self.service.clone().unwrap_or_default();
        let what = format!("broker {} does not stay up", self.target);
        service.fault(self.sys, &what, self.full.clone())
    }

    /// Only this very broker answers a question about its own settings.
    fn look_at_broker(&mut self, look: &mut Look) -> Result<()> {
        const PROTOCOL: &str = "inter.broker.protocol.version";
        let id = self.target;
        let answer = self
            .cluster
            .with_broker(id, |client| configs::of_broker(client, id, &[PROTOCOL]));
        let settings = match answer {
            Ok(settings) => settings,
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => {
                look.obstacles
                    .push(format!("broker {id} does not answer: {}", error.chain()));
                return Ok(());
            }
        };
        let found = settings
            .get(PROTOCOL)
            .and_then(|s| s.value.as_deref())
            .and_then(Protocol::parse);
        if let (Some(wanted), Some(found)) = (&self.protocol, &found)
            && wanted != found
        {
            return Err(Error::Gate {
                message: format!("broker {id} speaks protocol {found}, not {wanted}"),
                seen: vec![],
                help: Some("it was started with another server.properties".into()),
            });
        }
        Ok(())
    }

    /// A replica counts as missing while any broker's view misses it.
    fn look_at_replicas(&mut self, metadata: &Metadata, look: &mut Look) -> Result<()> {
        let ids: Vec<i32> = metadata.brokers.keys().copied().collect();
        let mut missing = BTreeSet::new();
        let mut leaderless = BTreeSet::new();
        for (id, answer) in self.cluster.with_each(&ids, |_, client| view(client)) {
            let view = match answer {
                Ok(view) => view,
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => {
                    if id == self.target || self.scope == Scope::Cluster {
                        look.obstacles
                            .push(format!("broker {id} does not answer: {}", error.chain()));
                    }
                    continue;
                }
            };
            if !view.brokers.contains_key(&self.target) {
                look.obstacles.push(format!(
                    "broker {id} does not count broker {} among the living yet",
                    self.target
                ));
            }
            for (topic, number, partition) in view.partitions() {
                for replica in &partition.replicas {
                    let counts = self.scope == Scope::Cluster || *replica == self.target;
                    if counts && !partition.isr.contains(replica) {
                        missing.insert((topic.to_owned(), number, *replica));
                    }
                    if counts && partition.leader.is_none() {
                        leaderless.insert(format!("{topic}-{number} has no leader"));
                    }
                }
            }
        }
        look.obstacles.extend(leaderless);
        look.missing = missing
            .into_iter()
            .map(|(topic, partition, broker)| Missing {
                topic,
                partition,
                broker,
            })
            .collect();
        Ok(())
    }

    fn shut(&self, message: String, look: &Look) -> Error {
        let mut seen = look.obstacles.clone();
        seen.extend(look.missing.iter().map(|m| format!("{m} is not in sync")));
        let service = self.service.iter();
        seen.extend(service.flat_map(|service| service.last_faults(self.sys)));
        let help = if look.obstacles.is_empty() && !look.missing.is_empty() {
            let behind = look.missing.iter().map(|it| it.broker).collect();
            Some(isr::way_out(&behind))
        } else {
            self.is_local.then(|| {
                "look into the broker's log; it is still starting or recovering where its process is there".to_owned()
            })
        };
        Error::Gate {
            message,
            seen,
            help,
        }
    }
}

/// Right after a start the process may still be the start script.
fn local_broker(sys: &Sys, access: &Access) -> Result<Local> {
    const START: Duration = Duration::from_secs(30);
    let begun = Instant::now();
    loop {
        let local = access.local(sys)?;
        let is_enough = local.server_properties.is_some() || !access.bootstrap.is_empty();
        if is_enough || begun.elapsed() >= START {
            return Ok(local);
        }
        is_down(sys)?;
        let text = "there is no broker process";
        sys.progress(&format!("waiting: {text}"));
        pause(sys, POLL, text)?;
    }
}

/// Nothing is to be waited for where the service of the only broker here has failed.
fn is_down(sys: &Sys) -> Result<()> {
    let unit = service::of_host(sys);
    let service = unit.and_then(|unit| Service::look(sys, &unit));
    match service.filter(Service::has_failed) {
        Some(service) => Err(service.fault(sys, "there is no broker", Vec::new())),
        None => Ok(()),
    }
}

fn parsed<T>(name: &str, text: Option<&str>, parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
    text.map(|text| {
        parse(text).ok_or_else(|| Error::Settings(format!("`{name}` is no version: `{text}`")))
    })
    .transpose()
}
