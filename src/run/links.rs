//! The links to the hosts' agents: opened once, kept for the whole run, their messages merged into one stream.

use super::aftermath::Aftermath;
use super::supply;
use crate::artifacts::Fetching;
use crate::inventory::connection::{Connection, Kind};
use crate::modules::Error;
use crate::proto::{self, FromAgent, Ready, Seq, ToAgent};
use crate::transport::{self, Link};
use crate::value::HostName;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What comes in from the links.
#[derive(Debug)]
pub(super) enum Incoming {
    Connected {
        host: HostName,
        ready: Ready,
        warnings: Vec<String>,
        elapsed_ms: u64,
    },
    /// Was lost with tasks under way; [`Incoming::Lost`] follows when it is known what became of them.
    Losing {
        host: HostName,
        error: transport::Error,
    },
    /// Could not be reached, or was lost.
    Lost {
        host: HostName,
        error: transport::Error,
        known: Aftermath,
    },
    Message {
        host: HostName,
        message: FromAgent,
    },
}

/// All links of a run.
pub(super) struct Links {
    options: Arc<transport::Options>,
    fetching: Fetching,
    by_host: HashMap<HostName, LinkState>,
    incoming: mpsc::UnboundedSender<Incoming>,
    inbox: mpsc::UnboundedReceiver<Incoming>,
    next_seq: Seq,
    /// Above every epoch of the batches before: agents remember failures for as long as they live.
    pub(super) epoch: u32,
}

/// How long a run waits at its end for agents that do not end.
const CLOSING: Duration = Duration::from_secs(3);

struct LinkState {
    /// Messages wait here until the link stands.
    to_agent: mpsc::UnboundedSender<ToAgent>,
    under_way: UnderWay,
    /// The agent has answered.
    stands: bool,
    machine: Option<String>,
    is_local: bool,
    /// Ends when the agent has ended.
    carrier: JoinHandle<()>,
}

/// What was sent to be done, not only shown, and has not ended: what a journal may know of.
type UnderWay = Arc<Mutex<HashSet<Seq>>>;

fn lock(under_way: &UnderWay) -> MutexGuard<'_, HashSet<Seq>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    pub(super) fn new(options: Arc<transport::Options>, fetching: Fetching) -> Self {
        let (incoming, inbox) = mpsc::unbounded_channel();
        Self {
            options,
            fetching,
            by_host: HashMap::new(),
            incoming,
            inbox,
            next_seq: 0,
            epoch: 0,
        }
    }

    /// Makes a link whose other end is the test.
    #[cfg(test)]
    pub(super) fn pretend(&mut self, host: &HostName) -> mpsc::UnboundedReceiver<ToAgent> {
        let (to_agent, from_controller) = mpsc::unbounded_channel();
        let link = LinkState {
            to_agent,
            under_way: UnderWay::default(),
            stands: false,
            machine: None,
            is_local: false,
            carrier: tokio::spawn(async {}),
        };
        self.by_host.insert(Arc::clone(host), link);
        from_controller
    }

    /// Where the links' messages go.
    #[cfg(test)]
    pub(super) fn sender(&self) -> mpsc::UnboundedSender<Incoming> {
        self.incoming.clone()
    }

    /// Returns whether a link to the host stands or is being made.
    pub(super) fn has(&self, host: &str) -> bool {
        self.by_host.contains_key(host)
    }

    /// Starts to connect; what is sent meanwhile waits for the link.
    pub(super) fn open(&mut self, host: &HostName, connection: Connection) {
        if self.has(host) {
            return;
        }
        let (to_agent, mut waiting) = mpsc::unbounded_channel::<ToAgent>();
        let under_way = UnderWay::default();
        let is_local = connection.kind == Kind::Local;
        let (name, shared) = (Arc::clone(host), Arc::clone(&under_way));
        let (host, options, incoming) = (
            Arc::clone(host),
            Arc::clone(&self.options),
            self.incoming.clone(),
        );
        let fetching = self.fetching.clone();
        let carrier = tokio::spawn(async move {
            let since = Instant::now();
            let connecting = transport::connect_sending(&host, &connection, &options, &mut waiting);
            let mut link = match connecting.await {
                Ok(link) => link,
                Err(error) => {
                    let known = Aftermath::Nothing;
                    return drop(incoming.send(Incoming::Lost { host, error, known }));
                }
            };
            let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (ready, warnings) = (link.ready.clone(), std::mem::take(&mut link.warnings));
            let _ = incoming.send(Incoming::Connected {
                host: Arc::clone(&host),
                ready,
                warnings,
                elapsed_ms,
            });
            let carried = Carrying {
                host: &host,
                incoming: &incoming,
                under_way: &under_way,
                fetching: &fetching,
            };
            let carried = carried.all(&mut link, &mut waiting).await;
            link.close().await;
            let Err(error) = carried else { return };
            let known = if lock(&under_way).is_empty() {
                Aftermath::Nothing
            } else {
                let (host, error) = (Arc::clone(&host), error.clone());
                let _ = incoming.send(Incoming::Losing {
                    host: Arc::clone(&host),
                    error,
                });
                Aftermath::read(&host, &connection, &options, &mut waiting).await
            };
            let _ = incoming.send(Incoming::Lost { host, error, known });
        });
        self.by_host.insert(
            name,
            LinkState {
                to_agent,
                under_way: shared,
                stands: false,
                machine: None,
                is_local,
                carrier,
            },
        );
    }

    /// Sends to a host's agent. Nothing happens where the link is gone: its loss has been said already.
    pub(super) fn send(&self, host: &str, message: ToAgent) {
        if let Some(link) = self.by_host.get(host) {
            if let ToAgent::Task(task) = &message
                && !task.check_mode
            {
                lock(&link.under_way).insert(task.seq);
            }
            let _ = link.to_agent.send(message);
        }
    }

    /// Where the bytes of what a task fetches come from.
    pub(super) fn origins(&self, urls: &[String]) -> Result<Vec<proto::Origin>, Error> {
        let origins = self.fetching.origins(urls);
        origins.map_err(|error| Error::new(error.to_string()))
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.next_seq += 1;
        self.next_seq
    }

    /// Waits for the next thing that any link says.
    pub(super) async fn next(&mut self) -> Incoming {
        self.inbox
            .recv()
            .await
            .expect("`Links` holds a sender itself")
    }

    /// Remembers what the agent said of its machine.
    pub(super) fn connected(&mut self, host: &str, ready: &Ready) {
        if let Some(link) = self.by_host.get_mut(host) {
            link.stands = true;
            link.machine = Some(ready.machine.clone()).filter(|machine| !machine.is_empty());
        }
    }

    /// Forgets a link that was lost; the next use connects again.
    pub(super) fn forget(&mut self, host: &str) {
        self.by_host.remove(host);
    }

    /// Whether the host is known to be a machine of its own, reached over a network: then nobody else sees its files change.
    pub(super) fn is_alone(&self, host: &str) -> bool {
        let Some(link) = self.by_host.get(host) else {
            return false;
        };
        let Some(machine) = &link.machine else {
            return false;
        };
        let same = |other: &LinkState| other.machine.as_ref() == Some(machine);
        !link.is_local && self.by_host.values().filter(|other| same(other)).count() == 1
    }

    /// Whether two hosts are one machine, as far as their machine ids tell.
    pub(super) fn are_one_machine(&self, one: &str, other: &str) -> bool {
        let machine = |host| {
            self.by_host
                .get(host)
                .and_then(|link| link.machine.as_ref())
        };
        machine(one).is_some_and(|it| machine(other) == Some(it))
    }

    /// Whether the host is this machine.
    pub(super) fn is_local(&self, host: &str) -> bool {
        self.by_host.get(host).is_some_and(|link| link.is_local)
    }

    /// Whether the host is reached over a network, and has answered.
    pub(super) fn is_remote(&self, host: &str) -> bool {
        let link = self.by_host.get(host);
        link.is_some_and(|link| !link.is_local && link.machine.is_some())
    }

    /// Whether every one of `hosts` has answered, so that machines can be compared.
    pub(super) fn all_known(&self, hosts: &HashSet<HostName>) -> bool {
        hosts.iter().all(|host| {
            self.by_host
                .get(host)
                .is_some_and(|link| link.machine.is_some())
        })
    }

    /// Ends all links, and waits until the agents have read what was sent to them and have ended: a handler that ran
    /// must not be due there any more.
    pub(super) async fn close(&mut self) {
        let links = std::mem::take(&mut self.by_host).into_values();
        // All of them end at once; one that is still being made is not waited for.
        let carriers: Vec<_> = links
            .filter(|link| link.stands)
            .map(|link| link.carrier)
            .collect();
        let all = async {
            for carrier in carriers {
                let _ = carrier.await;
            }
        };
        let _ = tokio::time::timeout(CLOSING, all).await;
    }
}

/// What a link's messages pass on their way.
struct Carrying<'a> {
    host: &'a HostName,
    incoming: &'a mpsc::UnboundedSender<Incoming>,
    under_way: &'a UnderWay,
    fetching: &'a Fetching,
}

impl Carrying<'_> {
    /// Carries messages both ways until the run closes the link (`Ok`) or it is lost.
    async fn all(
        &self,
        link: &mut Link,
        waiting: &mut mpsc::UnboundedReceiver<ToAgent>,
    ) -> Result<(), transport::Error> {
        loop {
            tokio::select! {
                message = waiting.recv() => match message {
                    Some(message) => drop(link.to_agent.send(message)),
                    None => return Ok(()),
                },
                message = link.from_agent.recv() => match message {
                    Some(Ok(FromAgent::Fetch { seq, url, from })) => {
                        let wanted = supply::Wanted { seq, url, from };
                        supply::send(wanted, self.fetching, self.host, &link.to_agent, self.incoming);
                    }
                    Some(Ok(message)) => {
                        if let Some(seq) = message.ends() {
                            lock(self.under_way).remove(&seq);
                        }
                        let host = Arc::clone(self.host);
                        let _ = self.incoming.send(Incoming::Message { host, message });
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Err(transport::Error::Lost { causes: vec!["the agent ended".into()] }),
                },
            }
        }
    }
}
