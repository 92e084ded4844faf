//! The book's own playbooks run unmodified: from six bare hosts to a cluster of 2.1.0, and every file of chapter 2
//! is in order. `KRUN_BOOK` names a checkout's `chapter2/ansible_playbook` (github.com/onlybooks/kafka2).

use std::path::{Path, PathBuf};
use std::process::Command;

use krun::lab::{LabSpec, Site};

use crate::krun_run::{self, here};
use crate::rehearse::assert_gone;
use crate::stage::{BROKERS, Stage, ZOOKEEPERS, assemble, enabled};
use crate::upgrade::canary;

/// What the book's tasks ask yum for.
const PACKAGES: [&str; 7] = [
    "dstat",
    "java-1.8.0-openjdk",
    "java-1.8.0-openjdk-devel",
    "krb5-workstation",
    "git",
    "krb5-server",
    "krb5-libs",
];
/// What of a KDC its Kerberos role needs, where `krb5-server` is empty.
const KDC: &str = r#"
mkdir -p /var/kerberos/krb5kdc
echo '*/admin@EXAMPLE.COM *' >/var/kerberos/krb5kdc/kadm5.acl
printf '#!/bin/sh\n: >/var/kerberos/krb5kdc/principal\n' >/usr/sbin/kdb5_util
printf '#!/bin/sh\necho "$2" >>/var/kerberos/krb5kdc/principal\n' >/usr/sbin/kadmin.local
chmod 0755 /usr/sbin/kdb5_util /usr/sbin/kadmin.local
for unit in krb5kdc kadmin; do
    printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/$unit.service
done
"#;

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

/// The words with which this machine rehearses the book.
fn rehearse(book: &Path, words: &[&str]) -> (Option<i32>, String) {
    let site = format!("archive.apache.org={}", assemble().display());
    let output = Command::new(krun_run::krun())
        .args(["rehearse", "-i", "hosts", "--lab", "it-book", "--stand-ins"])
        .args(["--site", &site, "--canary"])
        .arg(canary())
        .args(words)
        .current_dir(book)
        .env("KRUN_RECORD", record())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
#[ignore = "needs root, podman and the book's playbooks; KRUN_LAB=1 KRUN_BOOK=DIR cargo test --test it -- --ignored"]
fn the_books_cluster_is_upgraded_in_a_rehearsal_and_its_own_way_to_2_1_is_stopped() {
    let Some(book) = book() else { return };
    let upgrade = here().join("playbooks/upgrade-2.6.yml");
    let today = ["--from", "zookeeper.yml", "--from", "kafka2.1.yml"];
    let words = [&today[..], &[upgrade.to_str().unwrap()]].concat();
    let (code, said) = rehearse(&book, &words);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("Empty packages, of which nothing is proven: dstat, krb5-workstation, git."),
        "{said}"
    );
    assert!(said.contains("13 checks passed, 0 failed"), "{said}");

    let (code, said) = rehearse(&book, &["--from", "site.yml", "kafka2.1.yml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("remove `/data/kafka-logs` with"), "{said}");
    assert_gone("it-book");
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
        stand_ins: PACKAGES.map(str::to_owned).into(),
        sites: vec![Site {
            name: "archive.apache.org".to_owned(),
            root: assemble(),
        }],
        ..LabSpec::default()
    });
    let line = format!("sudo sh -s <<'SCRIPT'\n{KDC}SCRIPT");
    stage.on(ZOOKEEPERS[0], &line);
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
        .env("KRUN_RECORD", record())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {text}{stderr}");
    assert!(!stderr.contains("error"), "{args:?}: {stderr}");
    text
}

/// Where records go.
fn record() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("book")
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
