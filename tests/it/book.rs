//! The book's own playbooks run unmodified: from six bare hosts to a cluster of 2.1.0, and every file of chapter 2
//! is in order. `KRUN_BOOK` names a checkout's `chapter2/ansible_playbook` (github.com/onlybooks/kafka2).

use std::path::{Path, PathBuf};
use std::process::Command;

use krun::lab::{LabSpec, Site};

use crate::stage::{BROKERS, Stage, ZOOKEEPERS, assemble, enabled};

/// What the book's tasks ask dnf for.
const PACKAGES: &str =
    "dstat java-1.8.0-openjdk java-1.8.0-openjdk-devel krb5-workstation git krb5-server krb5-libs";

#[test]
#[ignore = "needs the book's playbooks; KRUN_LAB=1 KRUN_BOOK=DIR cargo test --test it -- --ignored"]
fn every_playbook_of_chapter_2_is_in_order() {
    let Some(book) = book() else { return };
    let mut n = 0;
    for entry in book.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            krun(&book, &["-i", "hosts", "--syntax-check", name]);
            n += 1;
        }
    }
    assert!(n >= 9, "{n} playbooks");
}

#[test]
#[ignore = "needs root, podman and the book's playbooks; KRUN_LAB=1 KRUN_BOOK=DIR cargo test --test it -- --ignored"]
fn the_book_makes_a_cluster_of_2_1() {
    let Some(book) = book() else { return };
    let stage = stage();
    let args = format!(
        "ansible_ssh_common_args='-F {}'",
        stage.0.ssh_config().display()
    );
    let play = |name: &str| krun(&book, &["-i", "hosts", "-e", &args, name]);

    let text = play("zookeeper.yml");
    for host in ZOOKEEPERS {
        assert_recap(&text, host);
        assert_eq!(stage.on(host, "date +%Z"), "KST");
        assert_eq!(stage.on(host, "stat -c %U /data/zk/myid"), "zookeeper");
    }
    let text = play("kafka2.1.yml");
    for host in BROKERS {
        assert_recap(&text, host);
        assert_eq!(
            stage.on(host, "readlink /usr/local/kafka"),
            "/usr/local/kafka_2.12-2.1.0"
        );
    }
    let bootstrap = BROKERS.map(|host| format!("{host}:9092")).join(",");
    let line = format!(
        "for try in $(seq 30); do \
         n=$(/usr/local/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server {bootstrap} | grep -c ^peter-kafka); \
         [ \"$n\" = 3 ] && break; done; echo $n"
    );
    assert_eq!(stage.on(BROKERS[0], &line), "3");
    stage.on(
        BROKERS[1],
        "/usr/local/kafka/bin/kafka-topics.sh --zookeeper peter-zk01.foo.bar:2181 \
         --create --topic peter-overview --partitions 3 --replication-factor 3",
    );

    // The role's own steps never converge (it wipes its directories); what is a state does.
    let text = play("kerberos.yml");
    assert_recap(&text, ZOOKEEPERS[0]);
    let text = play("kerberos.yml");
    assert!(text.contains(" changed=1 "), "{text}");
}

/// The book's six hosts with a dnf that knows the book's packages.
fn stage() -> Stage {
    let stage = Stage::of(&LabSpec {
        name: "it-book".to_owned(),
        hosts: ZOOKEEPERS
            .into_iter()
            .chain(BROKERS)
            .map(str::to_owned)
            .collect(),
        packages: ["dnf", "rpm", "createrepo-c"].map(str::to_owned).into(),
        sites: vec![Site {
            name: "archive.apache.org".to_owned(),
            root: assemble(),
        }],
        ..LabSpec::default()
    });
    let script = include_str!("../lab/dnf.sh");
    for host in ZOOKEEPERS.into_iter().chain(BROKERS) {
        let line = format!("sudo bash -s -- {PACKAGES} <<'SCRIPT'\n{script}SCRIPT");
        stage.on(host, &line);
    }
    stage
}

/// The playbooks, or `None` where this test shall not run; says so.
fn book() -> Option<PathBuf> {
    if !enabled() {
        return None;
    }
    let Some(dir) = std::env::var_os("KRUN_BOOK") else {
        println!("SKIPPED: KRUN_BOOK does not name the book's chapter2/ansible_playbook");
        return None;
    };
    let dir = PathBuf::from(dir);
    assert!(dir.join("kafka2.1.yml").exists(), "{}", dir.display());
    Some(dir)
}

/// Runs krun among the playbooks, which must succeed; returns what it printed.
fn krun(book: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_krun"))
        .args(args)
        .current_dir(book)
        // Nothing is left among the book's files.
        .env(
            "KRUN_RECORD",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("book"),
        )
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {text}{stderr}");
    assert!(!stderr.contains("error"), "{args:?}: {stderr}");
    text
}

/// The host is in the recap with nothing failed.
fn assert_recap(text: &str, host: &str) {
    let line = text
        .rsplit("PLAY RECAP")
        .next()
        .unwrap()
        .lines()
        .find(|line| line.starts_with(host));
    let line = line.unwrap_or_else(|| panic!("{host} is not in the recap: {text}"));
    for cell in ["unreachable=0 ", "failed=0 "] {
        assert!(line.contains(cell), "{line}");
    }
    println!("{line}");
}
