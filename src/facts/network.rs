//! Turns the kernel's interfaces, addresses and routes into facts.

use super::{Facts, line, map, text};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

/// One address of an interface.
#[derive(Debug, Clone)]
struct Address {
    interface: String,
    ip: IpAddr,
    netmask: IpAddr,
    broadcast: Option<Ipv4Addr>,
}

/// The way out: through which interface, over which router.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    interface: String,
    gateway: IpAddr,
}

pub(super) fn gather(sys: &Sys, facts: &mut Facts) {
    let addresses = addresses();
    let names = sys.list(Path::new("/sys/class/net")).unwrap_or_default();
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    // A file like `bonding_masters` is no interface.
    let names: Vec<String> = names
        .filter(|name| {
            sys.exists(&Path::new("/sys/class/net").join(name).join("type"))
                .unwrap_or(false)
        })
        .collect();
    let interfaces: Vec<(String, Mapping)> = names
        .iter()
        .map(|name| (name.clone(), interface(sys, name, &addresses)))
        .collect();
    let all = |wanted: fn(&IpAddr) -> bool| -> Vec<Value> {
        let global = addresses.iter().map(|a| a.ip);
        let global = global.filter(|ip| !ip.is_loopback() && wanted(ip));
        global.map(|ip| ip.to_string().into()).collect()
    };
    facts.put("all_ipv4_addresses", all(IpAddr::is_ipv4));
    facts.put("all_ipv6_addresses", all(IpAddr::is_ipv6));
    let list: Vec<Value> = names.iter().map(|name| name.as_str().into()).collect();
    facts.put("interfaces", list);
    let v4 = ipv4_route(&text(sys, "/proc/net/route"));
    facts.put(
        "default_ipv4",
        default(v4, "8.8.8.8:53", &addresses, &interfaces),
    );
    let v6 = ipv6_route(&text(sys, "/proc/net/ipv6_route"));
    let outside = "[2404:6800:400a:800::1012]:53";
    facts.put(
        "default_ipv6",
        default(v6, outside, &addresses, &interfaces),
    );
    for (name, interface) in interfaces {
        facts.put(&name.replace([':', '-'], "_"), interface);
    }
}

/// Asks the kernel for the addresses of all interfaces.
fn addresses() -> Vec<Address> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let ip = |storage: &nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    all.filter_map(|entry| {
        let address = ip(entry.address.as_ref()?)?;
        let broadcast = match entry.broadcast.as_ref().and_then(ip) {
            Some(IpAddr::V4(broadcast)) => Some(broadcast),
            _ => None,
        };
        Some(Address {
            interface: entry.interface_name,
            ip: address,
            netmask: entry.netmask.as_ref().and_then(ip)?,
            broadcast,
        })
    })
    .collect()
}

fn interface(sys: &Sys, name: &str, addresses: &[Address]) -> Mapping {
    let base = format!("/sys/class/net/{name}");
    let of = |file: &str| line(sys, &format!("{base}/{file}"));
    let mut entry = map([
        ("device", name.into()),
        (
            "active",
            (of("operstate").as_deref() != Some("down")).into(),
        ),
        ("type", kind(sys, &base).into()),
    ]);
    let mut put = |key: &str, value: Value| drop(entry.insert(key.into(), value));
    let mac = of("address").filter(|mac| mac.contains(':') && mac != "00:00:00:00:00:00");
    if let Some(mac) = mac {
        put("macaddress", mac.into());
    }
    if let Some(mtu) = of("mtu").and_then(|n| n.parse::<u64>().ok()) {
        put("mtu", mtu.into());
    }
    if let Some(speed) = of("speed").and_then(|n| n.parse::<i64>().ok()) {
        put("speed", speed.into());
    }
    let flags = of("flags").unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
    put("promisc", (flags & 0x100 != 0).into());
    for (key, link) in [("pciid", "device"), ("module", "device/driver/module")] {
        let target = sys.read_link(Path::new(&format!("{base}/{link}"))).ok();
        if let Some(target) = target.as_deref().and_then(Path::file_name) {
            put(key, target.to_string_lossy().into_owned().into());
        }
    }
    let own = || addresses.iter().filter(|a| a.interface == name);
    let v4: Vec<Value> = own().filter_map(ipv4).map(Value::from).collect();
    let v6: Vec<Value> = own().filter_map(ipv6).map(Value::from).collect();
    if let Some((first, others)) = v4.split_first() {
        put("ipv4", first.clone());
        if !others.is_empty() {
            put("ipv4_secondaries", others.to_vec().into());
        }
    }
    if !v6.is_empty() {
        put("ipv6", v6.into());
    }
    entry
}

fn kind(sys: &Sys, base: &str) -> &'static str {
    let has = |file: &str| {
        sys.exists(Path::new(&format!("{base}/{file}")))
            .unwrap_or(false)
    };
    let number = line(sys, &format!("{base}/type")).unwrap_or_default();
    match number.as_str() {
        _ if has("bridge") => "bridge",
        _ if has("bonding") => "bonding",
        "1" => "ether",
        "32" => "infiniband",
        "512" => "ppp",
        "772" => "loopback",
        "65534" => "tunnel",
        _ => "unknown",
    }
}

fn ipv4(address: &Address) -> Option<Mapping> {
    let (IpAddr::V4(ip), IpAddr::V4(netmask)) = (address.ip, address.netmask) else {
        return None;
    };
    let broadcast = address.broadcast.filter(|_| !ip.is_loopback());
    let broadcast = broadcast.map_or_else(String::new, |b| b.to_string());
    Some(map([
        ("address", ip.to_string().into()),
        ("broadcast", broadcast.into()),
        ("netmask", netmask.to_string().into()),
        ("network", (ip & netmask).to_string().into()),
        ("prefix", netmask.to_bits().count_ones().to_string().into()),
    ]))
}

fn ipv6(address: &Address) -> Option<Mapping> {
    let (IpAddr::V6(ip), IpAddr::V6(netmask)) = (address.ip, address.netmask) else {
        return None;
    };
    Some(map([
        ("address", ip.to_string().into()),
        ("prefix", netmask.to_bits().count_ones().to_string().into()),
        ("scope", scope(ip).into()),
    ]))
}

fn scope(ip: Ipv6Addr) -> &'static str {
    if ip.is_loopback() {
        "host"
    } else if ip.is_unicast_link_local() {
        "link"
    } else {
        "global"
    }
}

/// The default route of the least metric.
fn ipv4_route(table: &str) -> Option<Route> {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, _, _, _, metric, mask, ..] = words[..] else {
            return None;
        };
        if destination != "00000000" || mask != "00000000" {
            return None;
        }
        // Printed in the machine's own order.
        let gateway = Ipv4Addr::from(u32::from_str_radix(gateway, 16).ok()?.swap_bytes());
        let route = Route {
            interface: interface.into(),
            gateway: gateway.into(),
        };
        Some((metric.parse::<u64>().ok()?, route))
    };
    let routes = table.lines().skip(1).filter_map(one);
    routes
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, route)| route)
}

fn ipv6_route(table: &str) -> Option<Route> {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, metric, .., interface] = words[..] else {
            return None;
        };
        let is_default = length == "00" && destination.bytes().all(|b| b == b'0');
        if !is_default || interface == "lo" {
            return None;
        }
        let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        let route = Route {
            interface: interface.into(),
            gateway: gateway.into(),
        };
        Some((u64::from_str_radix(metric, 16).ok()?, route))
    };
    let routes = table.lines().filter_map(one);
    routes
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, route)| route)
}

/// Describes the interface and address that a packet to the outside would have.
fn default(
    route: Option<Route>,
    outside: &str,
    addresses: &[Address],
    interfaces: &[(String, Mapping)],
) -> Mapping {
    let Some(route) = route else {
        return Mapping::new();
    };
    let is_v4 = route.gateway.is_ipv4();
    let mut entry = map([("interface", route.interface.as_str().into())]);
    if !route.gateway.is_unspecified() {
        entry.insert("gateway".into(), route.gateway.to_string().into());
    }
    // Connecting a datagram socket sends nothing and chooses the source.
    let local = if is_v4 { "0.0.0.0:0" } else { "[::]:0" };
    let source = UdpSocket::bind(local).and_then(|socket| {
        socket.connect(outside)?;
        socket.local_addr()
    });
    let source = source.ok().map(|address| address.ip());
    let of_route = |a: &&Address| a.interface == route.interface && a.ip.is_ipv4() == is_v4;
    let own = || addresses.iter().filter(of_route);
    let address = own()
        .find(|a| Some(a.ip) == source)
        .or_else(|| own().next());
    if let Some(address) = address {
        entry.extend(ipv4(address).or_else(|| ipv6(address)).unwrap_or_default());
        if is_v4 {
            entry.insert("alias".into(), route.interface.as_str().into());
        }
    }
    let interface = interfaces.iter().find(|(name, _)| *name == route.interface);
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = interface.and_then(|(_, facts)| facts.get(key)) {
            entry.insert(key.into(), value.clone());
        }
    }
    entry
}

/// Reads `resolv.conf`.
pub(super) fn dns(resolv_conf: &str) -> Mapping {
    let mut found = Mapping::new();
    for line in resolv_conf.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let list = |words: &[&str]| -> Vec<Value> { words.iter().map(|w| (*w).into()).collect() };
        match (word, rest.first()) {
            ("nameserver", Some(server)) => {
                let entry = found.entry("nameservers".into());
                if let Value::Sequence(all) = entry.or_insert_with(|| Vec::<Value>::new().into()) {
                    all.push((*server).into());
                }
            }
            ("domain", Some(domain)) => drop(found.insert(word.into(), (*domain).into())),
            ("search" | "sortlist", Some(_)) => drop(found.insert(word.into(), list(&rest).into())),
            ("options", Some(_)) => {
                let options = rest.iter().map(|option| match option.split_once(':') {
                    Some((name, value)) => (Value::from(name), Value::from(value)),
                    None => (Value::from(*option), true.into()),
                });
                found.insert(word.into(), options.collect::<Mapping>().into());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_the_one_of_least_metric() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let route = ipv4_route(table).unwrap();
        assert_eq!(
            (route.interface.as_str(), route.gateway.to_string().as_str()),
            ("eth0", "192.0.2.1")
        );
        assert_eq!(ipv4_route("Iface\n"), None);
    }

    #[test]
    fn the_default_route_of_ipv6_is_read() {
        let zero = "0".repeat(32);
        let gateway = "fd000000000000000000000000000001";
        let table = format!(
            "{zero} 00 {zero} 00 {gateway} 00000400 00000003 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(ipv6_route(&table).unwrap().gateway.to_string(), "fd00::1");
    }

    #[test]
    fn a_network_is_computed_from_address_and_mask() {
        let address = Address {
            interface: "eth0".into(),
            ip: "192.0.2.2".parse().unwrap(),
            netmask: "255.255.255.0".parse().unwrap(),
            broadcast: Some(Ipv4Addr::new(192, 0, 2, 255)),
        };
        let facts = ipv4(&address).unwrap();
        assert_eq!(facts["network"], "192.0.2.0");
        assert_eq!(facts["prefix"], "24");
    }

    #[test]
    fn the_resolvers_file_is_read() {
        let facts = dns(
            "# a\nnameserver 10.0.0.1\nnameserver 10.0.0.2 # b\nsearch a.test b.test\noptions ndots:2 rotate\n",
        );
        assert_eq!(facts["nameservers"][1], "10.0.0.2");
        assert_eq!(facts["search"][0], "a.test");
        assert_eq!(facts["options"]["ndots"], "2");
        assert_eq!(facts["options"]["rotate"], true);
    }
}
