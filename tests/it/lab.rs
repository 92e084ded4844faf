//! A lab comes up, its hosts are what they should be, and nothing is left of it.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use krun::lab::{Error, Lab, LabSpec, Site, Tmpfs};

use crate::krun_run::krun;
use crate::stage::{ROOT, Stage, enabled};

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn hosts_answer_to_their_names_trust_the_lab_and_reach_nothing_else() {
    if !enabled() {
        return;
    }
    let root = Path::new(ROOT);
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("hello.txt"), "hello").unwrap();
    let hosts = ["peter-zk01.foo.bar", "peter-kafka01.foo.bar"];
    let spec = LabSpec {
        name: "it-lab".to_owned(),
        hosts: hosts.iter().map(|&name| name.to_owned()).collect(),
        users: vec!["ec2-user".to_owned()],
        sites: vec![Site {
            name: "archive.apache.org".to_owned(),
            root: PathBuf::from(files.path()),
        }],
        ..LabSpec::default()
    };
    let stage = Stage::of(&spec);
    let lab = &stage.0;

    for host in hosts {
        assert_eq!(stage.on(host, "hostname"), host);
        assert_eq!(stage.on(host, "sudo -n id -u"), "0");
        assert_eq!(stage.on(host, "cat /proc/1/comm"), "systemd");
        assert_eq!(
            stage.on(host, "curl -fsS https://archive.apache.org/hello.txt"),
            "hello"
        );
        assert!(stage.on(host, "java -version 2>&1").contains("11.0.13"));
        assert_eq!(stage.on(host, "command -v python3 || echo none"), "none");
        assert_eq!(stage.on(host, "ip route show default"), "");
        // A module renames over it, which a mount would refuse.
        stage.on(
            host,
            "sudo cp /etc/hosts /etc/hosts.new && sudo mv /etc/hosts.new /etc/hosts",
        );
    }
    let other = stage.on(
        hosts[0],
        &format!("getent hosts {} && getent hosts peter-kafka01", hosts[1]),
    );
    assert!(
        other.contains(&lab.host(hosts[1]).unwrap().address),
        "{other}"
    );
    let login = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .args(["-l", "ec2-user", hosts[0], "sudo -n whoami"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&login.stdout).trim(), "root");

    assert!(matches!(
        Lab::up(root, &spec, &|_| ()),
        Err(Error::AlreadyUp { .. })
    ));
    assert_eq!(Lab::find(root, "it-lab").unwrap().hosts, lab.hosts);
    assert!(
        Lab::list(root)
            .unwrap()
            .iter()
            .any(|listed| listed.name == "it-lab" && listed.running == 3)
    );
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn host_comes_back_from_every_trouble_with_its_files() {
    if !enabled() {
        return;
    }
    let host = "a.foo";
    let home = Tmpfs {
        host: host.to_owned(),
        path: "/home/krun".to_owned(),
        options: "size=64k,mode=1777,noexec".to_owned(),
    };
    let stage = Stage::of(&LabSpec {
        name: "it-faults".to_owned(),
        hosts: vec![host.to_owned()],
        tmpfs: vec![home],
        ..LabSpec::default()
    });
    let lab = &stage.0;
    let full = stage.on(
        host,
        "head -c 100k /dev/zero 2>/dev/null | cat >big || echo full",
    );
    assert_eq!(full, "full");
    stage.on(host, "echo kept | sudo tee /var/tmp/kept");
    let silent = || {
        let address = format!("{}:22", lab.host(host).unwrap().address)
            .parse()
            .unwrap();
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
            return true;
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        stream.read_exact(&mut [0; 4]).is_err()
    };
    assert!(!silent());
    lab.freeze(host).unwrap();
    assert!(silent());
    lab.thaw(host).unwrap();
    assert!(!silent());
    lab.cut(host).unwrap();
    assert!(silent());
    lab.join(host).unwrap();
    assert!(!silent());
    lab.power_off(host).unwrap();
    assert!(silent());
    lab.power_on(host).unwrap();
    assert_eq!(stage.on(host, "cat /var/tmp/kept"), "kept");
    assert_eq!(stage.on(host, "ip route show default"), "");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn a_container_is_reached_through_its_engine_first_cold_then_warm() {
    if !enabled() {
        return;
    }
    let host = "a.foo";
    let stage = Stage::of(&LabSpec {
        name: "it-podman".to_owned(),
        hosts: vec![host.to_owned()],
        ..LabSpec::default()
    });
    let files = tempfile::tempdir().unwrap();
    let playbook = files.path().join("play.yml");
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: here, dest: /root/here}\n";
    fs::write(&playbook, text).unwrap();
    for changed in [1, 0] {
        let output = Command::new("timeout")
            .arg("60")
            .arg(krun())
            .args(["-i", "a,", "-e", "ansible_connection=podman", "-e"])
            .arg(format!(
                "ansible_host={}",
                stage.0.host(host).unwrap().container
            ))
            .arg(&playbook)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("changed={changed} ")), "{said}");
    }
    assert_eq!(stage.on(host, "sudo cat /root/here"), "here");
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn lab_that_cannot_come_up_leaves_nothing() {
    if !enabled() {
        return;
    }
    let root = Path::new(ROOT);
    let spec = LabSpec {
        name: "it-broken".to_owned(),
        hosts: vec!["a.foo".to_owned()],
        sites: vec![Site {
            name: "gone.example".to_owned(),
            root: PathBuf::from("/no/such/directory"),
        }],
        ..LabSpec::default()
    };
    let begun = Instant::now();
    let error = Lab::up(root, &spec, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(120));
    assert!(
        Lab::list(root)
            .unwrap()
            .iter()
            .all(|listed| listed.name != "it-broken")
    );
    assert!(matches!(
        Lab::down(root, "it-broken"),
        Err(Error::NoSuchLab { .. })
    ));
}
