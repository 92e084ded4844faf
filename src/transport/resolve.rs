//! Turns a host's name into addresses, without the resolver that a static binary cannot call safely.
//!
//! A statically linked glibc loads the system's name service modules at run time, and crashes where they
//! do not fit. `getent` asks the same sources in a process of its own.

use crate::transport::Error;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use tokio::process::Command;

/// Returns the addresses of `host`, the preferred first.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let file = tokio::fs::read_to_string("/etc/hosts").await;
    let mut found = listed(&file.unwrap_or_default(), host);
    let mut causes = Vec::new();
    if found.is_empty() {
        match ask(host).await {
            Ok(text) => found = column(&text),
            Err(cause) => causes.push(cause),
        }
    }
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![[127, 0, 0, 1].into()];
    }
    if found.is_empty() {
        let host = host.to_owned();
        return Err(Error::Resolve { host, causes });
    }
    Ok(found.into_iter().map(|it| (it, port).into()).collect())
}

async fn ask(host: &str) -> Result<String, String> {
    let output = Command::new("getent")
        .args(["ahosts", host])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("`getent`: {error}"))?;
    if output.status.code() == Some(2) {
        return Err("no such name in /etc/hosts or DNS".into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the addresses that /etc/hosts has for a name.
fn listed(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|word| word.eq_ignore_ascii_case(name))
                .then_some(address)
        })
        .collect()
}

/// Returns the first column of `getent ahosts`, every address once.
fn column(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(address) = line
            .split_whitespace()
            .next()
            .and_then(|it| it.parse().ok())
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_etc_hosts_is_found_whatever_its_case() {
        let hosts = "127.0.0.1 localhost # me\n10.0.0.7\tkafka1.lab Kafka1\n#10.0.0.8 kafka1\n";
        assert_eq!(listed(hosts, "kafka1"), [IpAddr::from([10, 0, 0, 7])]);
    }

    #[test]
    fn every_address_of_getent_comes_once() {
        let text = "10.0.0.1 STREAM a\n10.0.0.1 DGRAM\n::1 STREAM b\n";
        assert_eq!(column(text).len(), 2);
    }
}
