//! Turns a broker's server.properties into where and how the brokers talk to each other.

use super::connect::Address;
use super::error::{Error, Result};
use super::properties::Properties;
use indexmap::IndexMap;

/// A way into a broker on its own host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// To be tried in this order.
    pub addresses: Vec<Address>,
    /// What a client.properties for this listener would say, made from the broker's own settings.
    pub client: Properties,
}

/// One `NAME://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    name: String,
    host: String,
    port: u16,
}

/// Returns the inter-broker listener of a server.properties, or, where `protocol` is given and differs, the
/// first listener with that security protocol.
///
/// Keys read, with Kafka's defaults: `inter.broker.listener.name`, `security.inter.broker.protocol`,
/// `listener.security.protocol.map`, `listeners`, `advertised.listeners`, `host.name`, `port`.
///
/// # Errors
/// The settings do not name such a listener.
pub fn entrance(server: &Properties, protocol: Option<&str>) -> Result<Entrance> {
    let protocols = protocol_map(server);
    let listeners = listeners(server)?;
    let inter_broker = server
        .get("inter.broker.listener.name")
        .or_else(|| server.get("security.inter.broker.protocol"))
        .map_or("PLAINTEXT", |name| name.trim())
        .to_ascii_uppercase();
    let protocol_of = |name: &str| {
        protocols
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    };
    let fits =
        |name: &str| protocol.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&protocol_of(name)));
    let listener = listeners
        .iter()
        .find(|listener| listener.name == inter_broker && fits(&listener.name))
        .or_else(|| {
            listeners
                .iter()
                .find(|listener| protocol.is_some() && fits(&listener.name))
        })
        .ok_or_else(|| {
            let names: Vec<String> = listeners.iter().map(|l| format!("`{}`", l.name)).collect();
            Error::Settings(format!(
                "server.properties has no listener `{}`, only {}",
                protocol.unwrap_or(&inter_broker),
                names.join(", ")
            ))
        })?;
    let advertised = match server.get("advertised.listeners") {
        Some(text) => parse_listeners(text)?
            .into_iter()
            .find(|advertised| advertised.name == listener.name),
        None => None,
    };
    Ok(Entrance {
        addresses: addresses(listener, advertised.as_ref()),
        client: client_settings(server, &listener.name, &protocol_of(&listener.name)),
    })
}

fn addresses(listener: &Listener, advertised: Option<&Listener>) -> Vec<Address> {
    let anywhere = matches!(listener.host.as_str(), "" | "0.0.0.0" | "::");
    let mut found = Vec::new();
    // The advertised name is the one that certificates are made for.
    if let Some(advertised) = advertised.filter(|a| !a.host.is_empty()) {
        found.push(Address::new(&advertised.host, advertised.port));
    }
    let host = if anywhere {
        "localhost"
    } else {
        &listener.host
    };
    found.push(Address::new(host, listener.port));
    found.dedup();
    found
}

fn protocol_map(server: &Properties) -> IndexMap<String, String> {
    server
        .get("listener.security.protocol.map")
        .map_or("", String::as_str)
        .split(',')
        .filter_map(|pair| pair.split_once(':'))
        .map(|(name, protocol)| {
            (
                name.trim().to_ascii_uppercase(),
                protocol.trim().to_ascii_uppercase(),
            )
        })
        .collect()
}

fn listeners(server: &Properties) -> Result<Vec<Listener>> {
    let word = |key: &str| server.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
    match word("listeners") {
        Some(text) => parse_listeners(text),
        None => Ok(vec![Listener {
            name: "PLAINTEXT".into(),
            host: word("host.name").unwrap_or_default().to_owned(),
            port: word("port").and_then(|p| p.parse().ok()).unwrap_or(9092),
        }]),
    }
}

fn parse_listeners(text: &str) -> Result<Vec<Listener>> {
    text.split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(|one| {
            let wrong = || Error::Settings(format!("cannot read the listener `{one}`"));
            let (name, place) = one.split_once("://").ok_or_else(wrong)?;
            let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
            Ok(Listener {
                name: name.trim().to_ascii_uppercase(),
                host: host
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
                port: port.parse().map_err(|_| wrong())?,
            })
        })
        .collect()
}

/// What the broker itself uses towards its peers: `listener.name.NAME.…` before the plain key.
fn client_settings(server: &Properties, listener: &str, protocol: &str) -> Properties {
    let mut client = Properties::new();
    client.insert("security.protocol".into(), protocol.to_owned());
    let prefix = format!("listener.name.{}.", listener.to_ascii_lowercase());
    let lookup = |key: &str| {
        server
            .get(&format!("{prefix}{key}"))
            .or_else(|| server.get(key))
            .cloned()
    };
    for (key, _) in server {
        let plain = key.strip_prefix(&prefix).unwrap_or(key);
        let of_tls = plain.starts_with("ssl.truststore.")
            || plain.starts_with("ssl.keystore.")
            || plain == "ssl.key.password"
            || plain == "ssl.endpoint.identification.algorithm";
        if of_tls && let Some(value) = lookup(plain) {
            client.insert(plain.to_owned(), value);
        }
    }
    if protocol.starts_with("SASL") {
        let mechanism = server
            .get("sasl.mechanism.inter.broker.protocol")
            .map_or("GSSAPI", |m| m.trim())
            .to_owned();
        let key = format!("{}.sasl.jaas.config", mechanism.to_ascii_lowercase());
        if let Some(jaas) = lookup(&key).or_else(|| lookup("sasl.jaas.config")) {
            client.insert("sasl.jaas.config".into(), jaas);
        }
        client.insert("sasl.mechanism".into(), mechanism);
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::properties;

    fn of(text: &str) -> Entrance {
        entrance(&properties::parse(text), None).unwrap()
    }

    #[test]
    fn without_listeners_it_is_port_9092_here() {
        assert_eq!(
            of("broker.id=1").addresses,
            [Address::new("localhost", 9092)]
        );
        assert_eq!(
            of("host.name=a\nport=9\n").addresses,
            [Address::new("a", 9)]
        );
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_its_advertised_name_first() {
        let found = of(
            "listeners=PLAINTEXT://0.0.0.0:9092\nadvertised.listeners=PLAINTEXT://kafka01:9092\n",
        );
        assert_eq!(
            found.addresses,
            [
                Address::new("kafka01", 9092),
                Address::new("localhost", 9092)
            ]
        );
        assert_eq!(
            of("listeners=PLAINTEXT://:9092").addresses,
            [Address::new("localhost", 9092)]
        );
    }

    #[test]
    fn the_inter_broker_listener_is_taken_with_its_login() {
        let text = "listeners=EXTERNAL://:9092,internal://10.0.0.1:9093\n\
            inter.broker.listener.name=INTERNAL\n\
            listener.security.protocol.map=INTERNAL:SASL_SSL,EXTERNAL:PLAINTEXT\n\
            sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512\n\
            listener.name.internal.scram-sha-512.sasl.jaas.config=x required username=\"b\" password=\"c\";\n\
            ssl.truststore.location=/all.jks\nlistener.name.internal.ssl.truststore.location=/own.jks\n";
        let found = of(text);
        assert_eq!(found.addresses, [Address::new("10.0.0.1", 9093)]);
        assert_eq!(found.client["security.protocol"], "SASL_SSL");
        assert_eq!(found.client["sasl.mechanism"], "SCRAM-SHA-512");
        assert!(found.client["sasl.jaas.config"].contains("username"));
        assert_eq!(found.client["ssl.truststore.location"], "/own.jks");
        let plain = entrance(&properties::parse(text), Some("PLAINTEXT")).unwrap();
        assert_eq!(plain.addresses, [Address::new("localhost", 9092)]);
        assert!(entrance(&properties::parse(text), Some("SSL")).is_err());
    }

    #[test]
    fn the_protocol_between_brokers_names_its_listener() {
        let found = of("listeners=PLAINTEXT://a:1,SSL://a:2\nsecurity.inter.broker.protocol=SSL\n");
        assert_eq!(found.addresses, [Address::new("a", 2)]);
        assert_eq!(found.client["security.protocol"], "SSL");
    }
}
