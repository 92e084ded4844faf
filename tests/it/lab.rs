//! A lab comes up, its hosts are what they should be, and nothing is left of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use krun::lab::{EngineKind, EngineSpec, Error, Lab, LabSpec, Site, Snapshot, Tmpfs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
        Lab::list(root, &EngineSpec::default())
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
    let error = Lab::up(root, &spec, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
    assert!(
        Lab::list(root, &EngineSpec::default())
            .unwrap()
            .iter()
            .all(|listed| listed.name != "it-broken")
    );
    assert!(matches!(
        Lab::down(root, &EngineSpec::default(), "it-broken"),
        Err(Error::NoSuchLab { .. })
    ));
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn dnf_of_a_host_finds_the_stand_ins_and_nothing_else() {
    if !enabled() {
        return;
    }
    let names = ["git", "java-1.8.0-openjdk-devel", "tool-2.1.0"];
    let spec = LabSpec {
        name: "it-stand-ins".to_owned(),
        hosts: vec!["k1".to_owned()],
        stand_ins: names.map(str::to_owned).into(),
        ..LabSpec::default()
    };
    let stage = Stage::of(&spec);
    let install = format!("sudo dnf -y -q install {} >&2", names.join(" "));
    stage.on("k1", &install);
    // On Debian each user has an rpm database of its own; installing was root's.
    let found = stage.on("k1", "sudo rpm -q git tool java-1.8.0-openjdk-devel");
    assert_eq!(
        found,
        "git-0-0.krun.noarch\ntool-2.1.0-0.krun.noarch\njava-1.8.0-openjdk-devel-0-0.krun.noarch"
    );
    assert_eq!(stage.on("k1", "command -v git || echo none"), "none");
    let java = "/usr/lib/jvm/java-1.8.0-openjdk/bin/java -version 2>&1";
    assert!(stage.on("k1", java).contains("11.0.13"));
    let other = stage.on("k1", "sudo dnf -y -q install chrony 2>&1 || true");
    assert!(other.contains("Unable to find a match: chrony"), "{other}");

    // A host that begins where this one was is set up once more, and looks the same.
    let (root, name) = (Path::new(ROOT), "it-stand-ins");
    let files = |stage: &Stage| stage.on("k1", "ls /etc/yum.repos.d");
    let before = files(&stage);
    let _ = Snapshot::remove(root, name);
    stage.0.snapshot(root, name, &|_| ()).unwrap();
    drop(stage);
    let stage = Stage::of(&LabSpec {
        name: "it-stand-ins-again".to_owned(),
        snapshot: Some(name.to_owned()),
        ..spec
    });
    assert_eq!(files(&stage), before);
    stage.on("k1", "sudo dnf -y -q reinstall git >&2");
    drop(stage);
    Snapshot::remove(root, name).unwrap();
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn snapshot_stops_what_runs_in_order_and_a_new_lab_begins_where_it_was() {
    if !enabled() {
        return;
    }
    let (root, hosts) = (Path::new(ROOT), ["zk.foo", "kafka.foo"]);
    let spec = LabSpec {
        name: "it-snapshot".to_owned(),
        hosts: hosts.map(str::to_owned).to_vec(),
        ..LabSpec::default()
    };
    let stage = Stage::of(&spec);
    // Each notes when it stops: the broker must have left before its ZooKeeper.
    for host in hosts {
        stage.on(
            host,
            "printf '%s\\n' '[Service]' 'ExecStart=/bin/sleep infinity' \
             \"ExecStop=/bin/sh -c 'date +%%s%%N >/var/tmp/stopped; sleep 1'\" | \
             sudo tee /etc/systemd/system/own.service && sudo systemctl start own",
        );
    }
    stage.on(
        hosts[1],
        "echo 10.1.2.3 other.example | sudo tee -a /etc/hosts",
    );
    let name = "it-snapshot";
    let _ = Snapshot::remove(root, name);
    let made = stage.0.snapshot(root, name, &|_| ()).unwrap();
    assert!(made.hosts().eq(hosts));
    assert_eq!(stage.on(hosts[0], "systemctl is-active own"), "active");
    let again = stage.0.snapshot(root, name, &|_| ()).unwrap_err();
    assert!(matches!(again, Error::SnapshotExists { .. }), "{again}");
    drop(stage);

    let stage = Stage::of(&LabSpec {
        name: "it-again".to_owned(),
        hosts: Vec::new(),
        snapshot: Some(name.to_owned()),
        ..LabSpec::default()
    });
    let stopped = hosts.map(|host| {
        assert_eq!(stage.on(host, "systemctl is-active own"), "active");
        let at: u128 = stage.on(host, "cat /var/tmp/stopped").parse().unwrap();
        at
    });
    assert!(stopped[1] < stopped[0], "{stopped:?}");
    assert_eq!(
        stage.on(hosts[1], "getent hosts other.example zk.foo | wc -l"),
        "2"
    );
    drop(stage);
    Snapshot::remove(root, name).unwrap();
    assert!(matches!(
        Snapshot::find(root, name),
        Err(Error::NoSuchSnapshot { .. })
    ));
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn down_all_removes_what_is_left_of_krun_and_nothing_else() {
    if !enabled() {
        return;
    }
    // A store of its own: this machine may have other labs.
    let store = tempfile::tempdir().unwrap();
    let at = |name: &str| store.path().join(name).display().to_string();
    let args = [
        "--root",
        &at("images"),
        "--runroot",
        &at("run"),
        "--network-config-dir",
        &at("networks"),
    ]
    .map(str::to_owned);
    fs::create_dir(at("networks")).unwrap();
    let podman = |more: &[&str]| {
        let output = Command::new("podman")
            .args(&args)
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "{more:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    };
    let empty = at("empty.tar");
    let tar = Command::new("tar")
        .args(["-cf", &empty, "-T", "/dev/null"])
        .status();
    assert!(tar.unwrap().success());
    podman(&["import", &empty, "localhost/somebody"]);
    podman(&[
        "create",
        "--name",
        "somebodys",
        "localhost/somebody",
        "/bin/true",
    ]);
    podman(&["network", "create", "krun-like"]);
    // What a crash or a reboot leaves: containers that do not run, a network, half of a lab's files.
    podman(&[
        "create",
        "--label",
        "krun.lab=lost",
        "localhost/somebody",
        "/bin/true",
    ]);
    podman(&["network", "create", "--label", "krun.lab=lost", "krun-lost"]);
    podman(&["network", "create", "--label", "krun.lab=bare", "krun-bare"]);
    fs::create_dir_all(store.path().join("labs/half/seeds")).unwrap();

    let engine = EngineSpec {
        kind: Some(EngineKind::Podman),
        args: args.to_vec(),
        run_args: Vec::new(),
    };
    let removed = Lab::down_all(store.path(), &engine).unwrap();
    assert_eq!(removed, ["bare", "half", "lost"]);
    assert!(Lab::list(store.path(), &engine).unwrap().is_empty());
    assert_eq!(
        podman(&["ps", "--all", "--format", "{{.Names}}"]),
        "somebodys"
    );
    let networks = podman(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(
        networks.contains("krun-like") && !networks.contains("krun-lost"),
        "{networks}"
    );
    assert_eq!(fs::read_dir(store.path().join("labs")).unwrap().count(), 0);
    podman(&["rm", "--all", "--force"]);
    podman(&["rmi", "--all", "--force"]);
}

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn ctrl_c_while_a_lab_comes_up_leaves_nothing_of_it() {
    if !enabled() {
        return;
    }
    let root = Path::new(ROOT);
    let own = || fs::read("/etc/hosts").unwrap();
    let before = own();
    let mut child = Command::new(krun())
        .args(["lab", "up", "it-stopped", "a.foo", "b.foo", "c.foo"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let mut lines = said.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("starting 3 hosts")));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let end: Vec<String> = lines.collect();
    assert!(!child.wait().unwrap().success());
    assert!(
        end.iter().any(|line| line.contains("interrupted")),
        "{end:?}"
    );
    let left = Lab::list(root, &EngineSpec::default()).unwrap();
    assert!(left.iter().all(|listed| listed.name != "it-stopped"));
    assert_eq!(own(), before);
}
