//! Turns a task's words and what runs on this host into connections to the cluster.

use super::client::Network;
use super::cluster::Cluster;
use super::connect::Address;
use super::error::{Error, Result};
use super::listeners::{self, Entrance};
use super::properties::{self, Properties};
use super::running::{self, Running};
use super::settings::{self, Security};
use super::zookeeper::Ensemble;
use crate::sys::Sys;
use crate::value::{self, Value};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// A client.properties: a path on the host, or the keys themselves. Its `Debug` shows none of them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientProperties(Value);

impl ClientProperties {
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// Returns the keys, read from the host where a path is given.
    fn keys(&self, sys: &Sys) -> Result<Properties> {
        match &self.0 {
            Value::String(path) => {
                let path = Path::new(path);
                let bytes = sys.read(path).map_err(|source| Error::File {
                    path: path.into(),
                    source,
                })?;
                Ok(properties::parse(&String::from_utf8_lossy(&bytes)))
            }
            Value::Mapping(keys) => Ok(keys
                .iter()
                .map(|(key, value)| (value::display(key), value::display(value)))
                .collect()),
            _ => Err(Error::Settings(
                "`client_properties` must be a path or a mapping".into(),
            )),
        }
    }
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a task says where the cluster is; all may be left out on a broker's own host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    /// Chooses between brokers on one host, and serves while none runs. Default: the running process's argument.
    #[serde(default)]
    pub server_properties: Option<PathBuf>,
    /// `host:port` each.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// Default: what the broker itself uses towards its peers.
    #[serde(default)]
    pub client_properties: Option<ClientProperties>,
}

/// The broker of this host: its process and its settings.
#[derive(Debug, Clone, Default)]
pub struct Local {
    pub running: Option<Running>,
    /// The file that was read; `None` where there is no broker here.
    pub server_properties: Option<PathBuf>,
    /// The file's keys under the command line's overrides.
    pub server: Properties,
    pub broker_id: Option<i32>,
}

impl Local {
    /// The ensemble of `zookeeper.connect`.
    pub fn ensemble(&self) -> Option<Ensemble> {
        Ensemble::parse(self.server.get("zookeeper.connect")?)
    }

    /// Returns where the broker keeps its logs.
    pub fn log_dirs(&self) -> Vec<PathBuf> {
        log_dirs(&self.server)
    }
}

fn log_dirs(server: &Properties) -> Vec<PathBuf> {
    server
        .get("log.dirs")
        .or_else(|| server.get("log.dir"))
        .map_or("/tmp/kafka-logs", String::as_str)
        .split(',')
        .map(str::trim)
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .collect()
}

impl Access {
    /// Looks at the broker of this host.
    ///
    /// # Errors
    /// Several brokers run here and none is chosen; the server.properties cannot be read.
    pub fn local(&self, sys: &Sys) -> Result<Local> {
        let running = running::find(sys, self.server_properties.as_deref())?;
        let path = self
            .server_properties
            .clone()
            .or_else(|| running.as_ref().map(|r| r.server_properties.clone()));
        let Some(path) = path else {
            return Ok(Local::default());
        };
        let bytes = sys.read(&path).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        let mut server = properties::parse(&String::from_utf8_lossy(&bytes));
        if let Some(running) = &running {
            server.extend(running.overrides.clone());
        }
        let broker_id = broker_id(sys, &server);
        Ok(Local {
            running,
            server_properties: Some(path),
            server,
            broker_id,
        })
    }

    /// Prepares connections to the cluster of this host's broker, or of `bootstrap`.
    ///
    /// # Errors
    /// Those of [`Access::local`] and [`Access::cluster`].
    pub fn own_cluster(&self, sys: &Sys) -> Result<Cluster> {
        let local = self.local(sys)?;
        self.cluster(sys, &local, &[])
    }

    /// Prepares connections to the cluster; nothing is contacted yet.
    ///
    /// The local broker's inter-broker listener comes first, then `bootstrap`, then `others` (host names
    /// or `host:port`) at the listener's port.
    ///
    /// # Errors
    /// Neither a local broker nor `bootstrap` is there; the security settings do not fit together.
    pub fn cluster(&self, sys: &Sys, local: &Local, others: &[String]) -> Result<Cluster> {
        let client = self
            .client_properties
            .as_ref()
            .map(|client| client.keys(sys))
            .transpose()?;
        let protocol = client
            .as_ref()
            .and_then(|client| client.get("security.protocol"))
            .map(String::as_str);
        let entrance = match &local.server_properties {
            Some(_) => Some(listeners::entrance(&local.server, protocol)?),
            None => None,
        };
        let security = security(sys, client, entrance.as_ref())?;
        let port = entrance
            .as_ref()
            .and_then(|entrance| entrance.addresses.last())
            .map_or(9092, |address| address.port);
        let mut addresses = entrance.map(|e| e.addresses).unwrap_or_default();
        for word in &self.bootstrap {
            let address = Address::parse(word, port)
                .ok_or_else(|| Error::Settings(format!("cannot read the address `{word}`")))?;
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(Error::Host(
                "no broker runs on this host: set `server_properties` or `bootstrap`".into(),
            ));
        }
        let others = others.iter().filter(|word| word.parse::<i32>().is_err());
        addresses.extend(others.filter_map(|word| Address::parse(word, port)));
        Ok(Cluster::new(
            Network::new(security, sys.cancel_flag()),
            addresses,
        ))
    }
}

fn security(
    sys: &Sys,
    client: Option<Properties>,
    entrance: Option<&Entrance>,
) -> Result<Security> {
    let own = entrance.map(|e| e.client.clone()).unwrap_or_default();
    let keys = match client {
        // Without a protocol of its own it only completes what the listener says.
        Some(client) if !client.contains_key("security.protocol") => {
            let mut keys = own;
            keys.extend(client);
            keys
        }
        Some(client) => client,
        None => own,
    };
    settings::security(&keys, &|path| sys.read(path))
}

fn broker_id(sys: &Sys, server: &Properties) -> Option<i32> {
    let given = server
        .get("broker.id")
        .or_else(|| server.get("node.id"))
        .and_then(|id| id.trim().parse().ok())
        .filter(|id| *id >= 0);
    given.or_else(|| {
        // A broker that was given no id keeps the one it made up here.
        log_dirs(server).iter().find_map(|dir| {
            let bytes = sys.read(&dir.join("meta.properties")).ok()?;
            let meta = properties::parse(&String::from_utf8_lossy(&bytes));
            meta.get("broker.id")?.trim().parse().ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn host(server: &str) -> (tempfile::TempDir, Sys) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("data")).unwrap();
        fs::write(root.path().join("server.properties"), server).unwrap();
        let sys = Sys::at(root.path());
        (root, sys)
    }

    fn access() -> Access {
        Access {
            server_properties: Some("/server.properties".into()),
            ..Access::default()
        }
    }

    #[test]
    fn a_broker_without_an_id_in_its_file_has_one_in_its_logs() {
        let (root, sys) = host("broker.id=-1\nlog.dirs=/none,/data\n");
        fs::write(
            root.path().join("data/meta.properties"),
            "version=0\nbroker.id=1003\n",
        )
        .unwrap();
        assert_eq!(access().local(&sys).unwrap().broker_id, Some(1003));
    }

    #[test]
    fn without_any_broker_the_way_to_name_one_is_said() {
        let (_root, sys) = host("");
        let error = Access::default().own_cluster(&sys).err().unwrap();
        assert!(error.to_string().contains("`bootstrap`"));
    }

    #[test]
    fn an_unsupported_mechanism_is_an_error_before_anything_is_contacted() {
        let (_root, sys) = host(
            "listeners=SASL_PLAINTEXT://:9092\nsecurity.inter.broker.protocol=SASL_PLAINTEXT\n",
        );
        let error = access().own_cluster(&sys).err().unwrap();
        assert!(
            matches!(&error, Error::Mechanism(name) if name == "GSSAPI"),
            "{error}"
        );
    }

    #[test]
    fn client_properties_are_not_shown() {
        let client = ClientProperties::new(Value::String("secret".into()));
        assert_eq!(format!("{client:?}"), "***");
    }
}
