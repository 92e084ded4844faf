//! Turns a [`LabSpec`] into running hosts: its ground, then image, network, keys, seeds, containers, and waits.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::engine::{Container, Engine, Network};
use super::ground::{self, Ground};
use super::image;
use super::seed::{self, Shared, put};
use super::{Authority, Error, Host, Lab, LabSpec, Snapshot, room, saved, stand_in};
use crate::report::words::count;

/// How long a host may take from its start to its sshd's first word. Usual: a second or two.
const BOOT: Duration = Duration::from_secs(60);
/// How many hosts are started at a time: more only queue for the engine's locks.
const AT_ONCE: usize = 4;
/// The last byte of the first host's address; the server of the sites has the one before.
const FIRST: usize = 10;

pub(super) fn up(
    root: &Path,
    spec: &LabSpec,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Lab, Error> {
    let first = |faults: Vec<Error>| faults.into_iter().next().expect("something is in the way");
    let Ground {
        spec,
        engine,
        snapshot,
    } = ground::find(root, spec).map_err(first)?;
    seed::private_dir(&root.join("labs"))?;
    let dir = saved::dir(root, &spec.name);
    // Making the directory is what decides between two callers with one name.
    fs::create_dir(&dir).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => ground::already_up(&spec),
        _ => Error::file("make", &dir)(error),
    })?;
    let made = make(&engine, root, &dir, &spec, snapshot.as_ref(), progress);
    made.map_err(|error| {
        let full = room::full(&engine, root);
        // The first failure is the one to tell; what stays behind is listed and can be removed.
        saved::clear(&engine, root, &spec.name);
        match full {
            Some(place) => Error::Full {
                place,
                source: Box::new(error),
            },
            None => error,
        }
    })
}

fn make(
    engine: &Engine,
    root: &Path,
    dir: &Path,
    spec: &LabSpec,
    snapshot: Option<&Snapshot>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Lab, Error> {
    let recipe = spec.recipe();
    let image = image::ensure(engine, root, recipe, progress)?;
    if let Some(locked) = &spec.digest {
        image::check(engine, &image, recipe, locked)?;
    }
    go_on(spec)?;
    progress("making network, keys and certificates");
    let network = engine.create_network(&spec.name)?;
    let lab = plan(spec, engine, &network, dir)?;
    let login_key = seed::key_pair(&lab.identity(), "krun lab")? + "\n";
    let authority = Authority::create(dir, &spec.name)?;
    let shared = Shared {
        spec,
        hosts_file: hosts_file(&lab, spec),
        login_key,
        authority: authority.certificate(),
        stand_ins: stand_in::lines(&spec.stand_ins)?,
    };

    let mut known_hosts = Vec::new();
    let everyone: Vec<&Host> = lab.hosts.iter().chain(&lab.server).collect();
    for host in &everyone {
        let key = seed::write(&seed_dir(dir, host), host, &shared)?;
        known_hosts.push(format!("{} {key}\n", known_as(host)));
    }
    if let Some(server) = &lab.server {
        let names: Vec<&str> = spec.sites.iter().map(|site| site.name.as_str()).collect();
        seed::serve(
            &seed_dir(dir, server),
            &spec.sites,
            &authority.issue(&names)?,
        )?;
    }
    put(&lab.known_hosts(), &known_hosts.concat())?;
    put(&lab.ssh_config(), &ssh_config(&lab))?;

    progress(&format!("starting {}", count(everyone.len(), "host")));
    each_at_once(&everyone, |host| {
        let serves = lab.server.as_ref() == Some(*host);
        let answers_on = if serves { 443 } else { 22 };
        let mut mounts = vec![(seed_dir(dir, host), "/krun-seed".to_owned())];
        if serves {
            mounts.extend(
                spec.sites
                    .iter()
                    .map(|site| (site.root.clone(), seed::site_root(&site.name))),
            );
        }
        engine.start(&Container {
            lab: &spec.name,
            name: &host.container,
            hostname: &host.name,
            network: &network.name,
            address: &host.address,
            image: snapshot
                .and_then(|it| it.image(&host.name))
                .unwrap_or(&image),
            mounts,
            ports: host
                .port
                .map(|port| (port, answers_on))
                .into_iter()
                .collect(),
            tmpfs: spec
                .tmpfs
                .iter()
                .filter(|it| it.host == host.name)
                .map(|it| format!("{}:{}", it.path, it.options))
                .collect(),
        })?;
        await_answer(engine, host, answers_on)?;
        go_on(spec)
    })?;
    if let Some(snapshot) = snapshot {
        snapshot.start_services(&lab, progress)?;
    }
    saved::write(&lab)?;
    Ok(lab)
}

/// An error once the making shall end.
fn go_on(spec: &LabSpec) -> Result<(), Error> {
    match &spec.stop {
        Some(stop) if stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
        _ => Ok(()),
    }
}

/// Gives every host its address and its container's name.
fn plan(spec: &LabSpec, engine: &Engine, network: &Network, dir: &Path) -> Result<Lab, Error> {
    let host = |name: &str, place: usize| {
        Ok(Host {
            name: name.to_owned(),
            address: format!("{}.{place}", network.prefix),
            container: format!("krun-{}.{name}", spec.name),
            port: engine.rootless.then(free_port).transpose()?,
        })
    };
    let hosts = spec.hosts.iter().enumerate();
    let hosts = hosts.map(|(n, name)| host(name, FIRST + n));
    let server = (!spec.sites.is_empty()).then(|| host("lab-sites", FIRST - 1));
    Ok(Lab {
        name: spec.name.clone(),
        hosts: hosts.collect::<Result<_, Error>>()?,
        server: server.transpose()?,
        sites: spec.sites.iter().map(|site| site.name.clone()).collect(),
        engine: engine.clone(),
        dir: dir.to_owned(),
    })
}

/// A port of the loopback that nobody has right now.
fn free_port() -> Result<u16, Error> {
    let here = Path::new("127.0.0.1");
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("listen on", here))?;
    let address = listener
        .local_addr()
        .map_err(Error::file("listen on", here))?;
    Ok(address.port())
}

/// Under which names `known_hosts` has a host's key.
fn known_as(host: &Host) -> String {
    match host.port {
        Some(port) => format!("{},[127.0.0.1]:{port}", host.name),
        None => format!("{},{}", host.name, host.address),
    }
}

fn seed_dir(dir: &Path, host: &Host) -> std::path::PathBuf {
    dir.join("seeds").join(&host.name)
}

/// Everyone's /etc/hosts: each host under its full and, where that is unambiguous, its short name.
fn hosts_file(lab: &Lab, spec: &LabSpec) -> String {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut lines = vec![
        "127.0.0.1 localhost".to_owned(),
        "::1 localhost ip6-localhost ip6-loopback".to_owned(),
    ];
    for host in &lab.hosts {
        let mine = short(&host.name);
        let shared = lab
            .hosts
            .iter()
            .filter(|other| short(&other.name) == mine)
            .count()
            > 1;
        let more = if shared || mine == host.name {
            String::new()
        } else {
            format!(" {mine}")
        };
        lines.push(format!("{} {}{more}", host.address, host.name));
    }
    if let Some(server) = &lab.server {
        lines.extend(
            spec.sites
                .iter()
                .map(|site| format!("{} {}", server.address, site.name)),
        );
    }
    lines.extend(
        spec.extra_hosts
            .iter()
            .map(|(name, address)| format!("{address} {name}")),
    );
    lines.join("\n") + "\n"
}

fn ssh_config(lab: &Lab) -> String {
    let block = |host: &Host| {
        let address = match host.port {
            Some(port) => format!("127.0.0.1\n    Port {port}"),
            None => host.address.clone(),
        };
        format!(
            "Host {}\n    HostName {}\n    User krun\n    IdentityFile {}\n    IdentitiesOnly yes\n    \
             UserKnownHostsFile {}\n    GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n",
            host.name,
            address,
            lab.identity().display(),
            lab.known_hosts().display(),
        )
    };
    let blocks: Vec<String> = lab.hosts.iter().map(block).collect();
    format!(
        "# Reaches the hosts of the lab `{}`, and nothing else.\n{}",
        lab.name,
        blocks.concat()
    )
}

/// Does `work` for every host, a few at a time; the first failure is returned once none is in hand.
pub(super) fn each_at_once(
    hosts: &[&Host],
    work: impl Fn(&&Host) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let lane = || -> Result<(), Error> {
        while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(host).inspect_err(|_| next.store(hosts.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(lane)).collect();
        let ends = lanes
            .into_iter()
            .map(|lane| lane.join().expect("a lane returns its errors"));
        ends.fold(Ok(()), Result::and)
    })
}

/// Waits until something answers: sshd with its greeting, anything else by accepting.
pub(super) fn await_answer(engine: &Engine, host: &Host, port: u16) -> Result<(), Error> {
    let begun = Instant::now();
    let address: IpAddr = host
        .address
        .parse()
        .expect("the address is one that `plan` wrote");
    let address = match host.port {
        Some(port) => SocketAddr::from(([127, 0, 0, 1], port)),
        None => SocketAddr::new(address, port),
    };
    while begun.elapsed() < BOOT {
        if answers(address, port).unwrap_or(false) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let (host, log) = (host.name.clone(), engine.log(&host.container));
    Err(Error::NoAnswer {
        host,
        port,
        seconds: BOOT.as_secs(),
        log,
    })
}

fn answers(address: SocketAddr, port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    if port != 22 {
        return Ok(true);
    }
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting)?;
    Ok(&greeting == b"SSH-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(hosts: &[&str]) -> LabSpec {
        let hosts = hosts.iter().map(|&name| name.to_owned()).collect();
        LabSpec {
            name: "t".to_owned(),
            hosts,
            ..LabSpec::default()
        }
    }

    fn planned(spec: &LabSpec) -> Lab {
        planned_by(&Engine::default(), spec)
    }

    fn planned_by(engine: &Engine, spec: &LabSpec) -> Lab {
        let network = Network {
            name: "krun-t".to_owned(),
            prefix: "10.89.0".to_owned(),
        };
        plan(spec, engine, &network, Path::new("/labs/t")).unwrap()
    }

    #[test]
    fn host_is_known_by_full_and_short_name_unless_two_share_the_short_one() {
        let mut spec = spec(&["k1.foo", "k2.foo", "k2.bar", "plain"]);
        spec.sites.push(super::super::Site {
            name: "archive.apache.org".to_owned(),
            root: "/x".into(),
        });
        insta::assert_snapshot!(hosts_file(&planned(&spec), &spec), @r"
        127.0.0.1 localhost
        ::1 localhost ip6-localhost ip6-loopback
        10.89.0.10 k1.foo k1
        10.89.0.11 k2.foo
        10.89.0.12 k2.bar
        10.89.0.13 plain
        10.89.0.9 archive.apache.org
        ");
    }

    #[test]
    fn ssh_config_names_address_key_and_known_hosts() {
        insta::assert_snapshot!(ssh_config(&planned(&spec(&["k1.foo"]))), @r"
        # Reaches the hosts of the lab `t`, and nothing else.
        Host k1.foo
            HostName 10.89.0.10
            User krun
            IdentityFile /labs/t/id_ed25519
            IdentitiesOnly yes
            UserKnownHostsFile /labs/t/known_hosts
            GlobalKnownHostsFile /dev/null
            StrictHostKeyChecking yes
        ");
    }

    #[test]
    fn host_that_cannot_be_reached_by_address_is_reached_through_a_port() {
        let rootless = Engine {
            rootless: true,
            ..Engine::default()
        };
        let lab = planned_by(&rootless, &spec(&["k1.foo"]));
        let port = lab.hosts[0].port.unwrap();
        let expected = format!("Host k1.foo\n    HostName 127.0.0.1\n    Port {port}\n");
        assert!(ssh_config(&lab).contains(&expected));
        assert_eq!(
            known_as(&lab.hosts[0]),
            format!("k1.foo,[127.0.0.1]:{port}")
        );
    }

    #[test]
    fn first_failure_keeps_later_hosts_from_being_begun() {
        let spec = spec(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let lab = planned(&spec);
        let hosts: Vec<&Host> = lab.hosts.iter().collect();
        let begun = AtomicUsize::new(0);
        let end = each_at_once(&hosts, |host| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(Error::NoSuchLab {
                name: host.name.clone(),
            })
        });
        assert!(end.is_err());
        assert!(begun.load(Ordering::Relaxed) <= AT_ONCE);
    }
}
