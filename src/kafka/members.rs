//! Turns the inventory's names of brokers into broker ids, by what the cluster says and by asking at those names.

use super::client::Client;
use super::cluster::{Cluster, Metadata, view};
use super::configs;
use super::connect::Address;
use super::error::{Error, Result};
use super::safety::Expected;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};

/// The brokers of an inventory, and which of them turned out to be which.
#[derive(Debug, Default)]
pub struct Members {
    words: Vec<String>,
    /// The port of the listener, for names without one.
    port: u16,
    /// Names of this very host, where the target is this host's broker.
    here: Vec<String>,
    /// Where the target listens, where it is this host's broker.
    own: Vec<Address>,
    addresses: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// What became of the inventory's names.
#[derive(Debug, Default)]
pub struct Resolved {
    pub expected: Vec<Expected>,
    /// Name and cluster id of those that answer for another cluster.
    pub elsewhere: Vec<(String, String)>,
}

impl Members {
    /// `words` are ids, host names or `host:port`; `port` is what names without one get.
    pub fn new(words: &[String], port: u16) -> Self {
        Self {
            words: words.to_vec(),
            port,
            here: vec![],
            own: vec![],
            addresses: BTreeMap::new(),
        }
    }

    /// Says that the target is the broker of this host, with its names and its listener's addresses: so
    /// it is known even while it is down.
    #[must_use]
    pub fn with_local(mut self, here: Vec<String>, own: Vec<Address>) -> Self {
        self.here = here;
        self.own = own;
        self
    }

    /// Returns every expected broker with its id where that can be told, and those that answer for another cluster.
    ///
    /// # Errors
    /// Only a cancelled wait: a name that leads nowhere is a broker without an id.
    pub fn resolve(
        &mut self,
        cluster: &Cluster,
        metadata: &Metadata,
        target: i32,
    ) -> Result<Resolved> {
        let mut expected = Vec::new();
        let mut elsewhere = Vec::new();
        for word in self.words.clone() {
            let mut id = self.by_words(&word, metadata, target);
            if id.is_none() {
                match self.by_asking(&word, cluster, metadata) {
                    Ok(Place::Here(found)) => id = Some(found),
                    Ok(Place::Elsewhere(other)) => elsewhere.push((word.clone(), other)),
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(_) => {}
                }
            }
            expected.push(Expected { name: word, id });
        }
        self.name_target(&mut expected, &elsewhere, target);
        Ok(Resolved {
            expected,
            elsewhere,
        })
    }

    /// The target may be down, and then nothing tells its name but that it is the one left over.
    fn name_target(&self, expected: &mut [Expected], elsewhere: &[(String, String)], target: i32) {
        if expected.iter().any(|e| e.id == Some(target)) {
            return;
        }
        let mut left: Vec<&mut Expected> = expected
            .iter_mut()
            .filter(|e| e.id.is_none() && !elsewhere.iter().any(|(name, _)| *name == e.name))
            .collect();
        let here = left.iter().position(|e| self.is_here(&e.name));
        match here {
            Some(at) => left[at].id = Some(target),
            None if left.len() == 1 => left[0].id = Some(target),
            None => {}
        }
    }

    fn is_here(&self, word: &str) -> bool {
        let Some(address) = Address::parse(word, 0) else {
            return false;
        };
        let listens = self.own.iter().any(|own| {
            own.host.eq_ignore_ascii_case(&address.host)
                && (address.port == 0 || address.port == own.port)
        });
        let is_named = self.here.iter().any(|name| same_name(name, &address.host));
        let ports: BTreeSet<u16> = self.own.iter().map(|own| own.port).collect();
        listens || is_named && (address.port == 0 || ports.contains(&address.port))
    }

    fn by_words(&mut self, word: &str, metadata: &Metadata, target: i32) -> Option<i32> {
        if let Ok(id) = word.trim().parse() {
            return Some(id);
        }
        let address = Address::parse(word, 0)?;
        let port_fits = |known: &Address| address.port == 0 || address.port == known.port;
        let mut by_name = metadata.brokers.iter().filter(|(_, known)| {
            port_fits(known) && known.host.eq_ignore_ascii_case(&address.host)
        });
        if let (Some((id, _)), None) = (by_name.next(), by_name.next()) {
            return Some(*id);
        }
        let own = self.resolved(&address.host);
        let mut by_number = metadata
            .brokers
            .iter()
            .filter(|(_, known)| port_fits(known))
            .filter(|(_, known)| !own.is_disjoint(&self.resolved(&known.host)));
        let found = (by_number.next(), by_number.next());
        drop(by_number);
        if let (Some((id, _)), None) = found {
            return Some(*id);
        }
        self.is_here(word).then_some(target)
    }

    /// Names that are not known are remembered as without an address.
    fn resolved(&mut self, host: &str) -> BTreeSet<IpAddr> {
        if let Some(known) = self.addresses.get(host) {
            return known.clone();
        }
        let found: BTreeSet<IpAddr> = (host, 0)
            .to_socket_addrs()
            .map(|found| found.map(|address| address.ip()).collect())
            .unwrap_or_default();
        self.addresses.insert(host.to_owned(), found.clone());
        found
    }

    fn by_asking(&self, word: &str, cluster: &Cluster, metadata: &Metadata) -> Result<Place> {
        let unknown = || Error::Host(format!("`{word}` does not tell which broker it is"));
        let address = Address::parse(word, self.port).ok_or_else(unknown)?;
        let mut client = Client::connect(&cluster.network, &address)?;
        let seen = view(&mut client)?;
        if seen.cluster_id != metadata.cluster_id {
            return Ok(Place::Elsewhere(seen.cluster_id.unwrap_or_default()));
        }
        metadata
            .brokers
            .keys()
            .find(|id| configs::of_broker(&mut client, **id, &["broker.id"]).is_ok())
            .map(|id| Place::Here(*id))
            .ok_or_else(unknown)
    }
}

enum Place {
    Here(i32),
    Elsewhere(String),
}

/// `kafka01` and `kafka01.example.org` name one host; two different full names do not.
fn same_name(one: &str, other: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let bare = !one.contains('.') || !other.contains('.');
    one.eq_ignore_ascii_case(other) || (bare && short(one) == short(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_the_same_host_as_its_full_one() {
        assert!(same_name("kafka01", "KAFKA01.foo.bar"));
        assert!(same_name("a.b", "a.b"));
        assert!(!same_name("kafka01.a", "kafka01.b"));
        assert!(!same_name("kafka01", "kafka02"));
    }

    #[test]
    fn the_one_name_left_over_is_the_target() {
        let members = Members::default();
        let expected = |name: &str, id| Expected {
            name: name.into(),
            id,
        };
        let mut list = [expected("a", Some(1)), expected("b", None)];
        members.name_target(&mut list, &[], 2);
        assert_eq!(list[1].id, Some(2));
        let mut list = [expected("a", None), expected("b", None)];
        members.name_target(&mut list, &[], 2);
        assert_eq!(list[0].id, None);
        let here = Members::new(&[], 0).with_local(vec!["b".into()], vec![]);
        here.name_target(&mut list, &[], 2);
        assert_eq!(list[1].id, Some(2));
    }
}
