//! Turns a few addresses into the views that all brokers of a cluster hold of it.

use super::client::{Client, Network};
use super::connect::Address;
use super::error::{Error, Result};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// One partition as one broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// `None` while it is offline.
    pub leader: Option<i32>,
    /// In order of preference: the first is the preferred leader.
    pub replicas: Vec<i32>,
    /// In ascending order.
    pub isr: Vec<i32>,
    /// Replicas on dead brokers or failed log directories, in ascending order.
    pub offline: Vec<i32>,
}

/// The partitions of a topic by number.
pub type Topic = BTreeMap<i32, Partition>;

/// The cluster as one broker sees it. Its view of the ISR is up to a minute late.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    pub cluster_id: Option<String>,
    /// `None` while nobody is elected, as far as this broker knows.
    pub controller: Option<i32>,
    /// Live brokers and where their listener of this kind is.
    pub brokers: BTreeMap<i32, Address>,
    pub topics: BTreeMap<String, Topic>,
}

impl Metadata {
    pub(super) fn from_answer(answer: MetadataResponse, client: &Client) -> Result<Self> {
        let mut topics = BTreeMap::new();
        for topic in answer.topics {
            let name = topic.name.map(|n| n.0.to_string()).unwrap_or_default();
            // 5: some partition has no leader, which the partitions say themselves.
            if topic.error_code != 0 && topic.error_code != 5 {
                let resource = format!("topic `{name}`");
                return Err(client.refusal::<MetadataRequest>(topic.error_code, &resource, None));
            }
            let partitions = topic
                .partitions
                .into_iter()
                .map(|p| {
                    let partition = Partition {
                        leader: (p.leader_id.0 >= 0).then_some(p.leader_id.0),
                        replicas: p.replica_nodes.iter().map(|id| id.0).collect(),
                        isr: sorted(&p.isr_nodes),
                        offline: sorted(&p.offline_replicas),
                    };
                    (p.partition_index, partition)
                })
                .collect();
            topics.insert(name, partitions);
        }
        Ok(Self {
            cluster_id: answer.cluster_id.map(|id| id.to_string()),
            controller: (answer.controller_id.0 >= 0).then_some(answer.controller_id.0),
            brokers: answer
                .brokers
                .iter()
                .map(|b| {
                    let port = u16::try_from(b.port).unwrap_or_default();
                    (b.node_id.0, Address::new(b.host.to_string(), port))
                })
                .collect(),
            topics,
        })
    }

    /// Returns a broker that is there, for questions that any of them answers.
    ///
    /// # Errors
    /// None is there.
    pub fn any_broker(&self) -> Result<i32> {
        let first = self.brokers.keys().next().copied();
        first.ok_or_else(|| Error::Host("the cluster has no live broker".into()))
    }

    /// All partitions with their topic's name and their number.
    pub fn partitions(&self) -> impl Iterator<Item = (&str, i32, &Partition)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(number, partition)| (topic.as_str(), *number, partition))
        })
    }
}

fn sorted(ids: &[BrokerId]) -> Vec<i32> {
    let mut ids: Vec<i32> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}

/// Connections to the brokers of one cluster, opened when needed and kept.
pub struct Cluster {
    pub(super) network: Network,
    bootstrap: Vec<Address>,
    /// Where each broker listens, as last heard.
    addresses: BTreeMap<i32, Address>,
    clients: BTreeMap<i32, Client>,
    /// The connection to whichever bootstrap address answered.
    first: Option<Client>,
}

impl Cluster {
    /// Nothing is contacted yet. `bootstrap` is tried in its order.
    pub fn new(network: Network, bootstrap: Vec<Address>) -> Self {
        Self {
            network,
            bootstrap,
            addresses: BTreeMap::new(),
            clients: BTreeMap::new(),
            first: None,
        }
    }

    /// The port of the first bootstrap address: what names without a port get.
    pub fn listener_port(&self) -> u16 {
        self.bootstrap.first().map_or(9092, |address| address.port)
    }

    /// Asks the first bootstrap address that answers for its view, all topics included.
    ///
    /// # Errors
    /// A permanent fault of any address at once; else, when none answers, the fault of the last.
    pub fn metadata(&mut self) -> Result<Metadata> {
        let mut fault = Error::Settings("no address of a broker is known".into());
        if let Some(mut client) = self.first.take() {
            match view(&mut client) {
                Ok(metadata) => return Ok(self.heard(metadata, client)),
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) => fault = error,
            }
        }
        let known: Vec<Address> = self.addresses.values().cloned().collect();
        let mut tried = Vec::new();
        for address in self.bootstrap.clone().into_iter().chain(known) {
            if tried.contains(&address) {
                continue;
            }
            let found = Client::connect(&self.network, &address)
                .and_then(|mut client| view(&mut client).map(|metadata| (metadata, client)));
            match found {
                Ok((metadata, client)) => return Ok(self.heard(metadata, client)),
                // A certificate may be made for one name of the broker and not for another.
                Err(error) if error.is_permanent() && !error.is_bad_certificate() => {
                    return Err(error);
                }
                Err(error) => fault = error,
            }
            tried.push(address);
        }
        Err(fault)
    }

    fn heard(&mut self, metadata: Metadata, client: Client) -> Metadata {
        self.first = Some(client);
        self.learn(&metadata);
        metadata
    }

    /// Remembers where brokers are; a broker that moved gets a new connection.
    pub fn learn(&mut self, metadata: &Metadata) {
        for (id, address) in &metadata.brokers {
            let before = self.addresses.insert(*id, address.clone());
            if before.is_some_and(|before| before != *address) {
                self.clients.remove(id);
            }
        }
    }

    /// Returns where broker `id` was last said to listen.
    pub fn address(&self, id: i32) -> Option<&Address> {
        self.addresses.get(&id)
    }

    /// Returns a usable connection to broker `id`, from its last known address.
    pub fn broker(&mut self, id: i32) -> Result<&mut Client> {
        if self.clients.get(&id).is_none_or(|c| !c.is_usable()) {
            let client = connected(&self.network, self.addresses.get(&id), id)?;
            self.clients.insert(id, client);
        }
        Ok(self
            .clients
            .get_mut(&id)
            .expect("a usable client was there or has just been put there"))
    }

    /// Does `ask` with a broker's connection; where an old connection turns out to be dead, with a new one.
    pub fn with_broker<T>(
        &mut self,
        id: i32,
        mut ask: impl FnMut(&mut Client) -> Result<T>,
    ) -> Result<T> {
        let reused = self.clients.contains_key(&id);
        match ask(self.broker(id)?) {
            Err(Error::Lost { .. }) if reused => {
                self.clients.remove(&id);
                ask(self.broker(id)?)
            }
            other => other,
        }
    }

    /// Asks all `ids` at the same time; one that hangs costs the others nothing.
    pub fn with_each<T: Send>(
        &mut self,
        ids: &[i32],
        ask: impl Fn(i32, &mut Client) -> Result<T> + Sync,
    ) -> BTreeMap<i32, Result<T>> {
        let mut taken: Vec<(i32, Option<Client>)> = ids
            .iter()
            .map(|id| (*id, self.clients.remove(id).filter(Client::is_usable)))
            .collect();
        let (network, addresses, ask) = (&self.network, &self.addresses, &ask);
        let answers: Vec<(i32, Option<Client>, Result<T>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = taken
                .drain(..)
                .map(|(id, client)| {
                    scope.spawn(move || ask_one(network, addresses.get(&id), id, client, ask))
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        answers
            .into_iter()
            .map(|(id, client, answer)| {
                self.clients.extend(client.map(|client| (id, client)));
                (id, answer)
            })
            .collect()
    }
}

fn ask_one<T>(
    network: &Network,
    address: Option<&Address>,
    id: i32,
    client: Option<Client>,
    ask: &(impl Fn(i32, &mut Client) -> Result<T> + Sync),
) -> (i32, Option<Client>, Result<T>) {
    if let Some(mut client) = client {
        match ask(id, &mut client) {
            Err(Error::Lost { .. }) => {}
            answer => return (id, Some(client), answer),
        }
    }
    match connected(network, address, id) {
        Ok(mut client) => {
            let answer = ask(id, &mut client);
            (id, Some(client), answer)
        }
        Err(error) => (id, None, Err(error)),
    }
}

fn connected(network: &Network, address: Option<&Address>, id: i32) -> Result<Client> {
    let address = address
        .ok_or_else(|| Error::Host(format!("broker {id} is not registered in the cluster")))?;
    Client::connect(network, address)
}

/// Asks one broker for its view of the whole cluster.
pub fn view(client: &mut Client) -> Result<Metadata> {
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_allow_auto_topic_creation(false);
    let answer = client.ask(&request)?;
    Metadata::from_answer(answer, client)
}

/// Asks one broker for some topics; one that is not there is an error.
pub fn view_of(client: &mut Client, topics: &[&str]) -> Result<Metadata> {
    let topics = topics
        .iter()
        .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))))
        .collect();
    let request = MetadataRequest::default()
        .with_topics(Some(topics))
        .with_allow_auto_topic_creation(false);
    let answer = client.ask(&request)?;
    Metadata::from_answer(answer, client)
}

pub(super) fn text(words: &str) -> StrBytes {
    StrBytes::from_string(words.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
