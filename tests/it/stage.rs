//! What tests on real hosts stand on: labs that go with the test, commands on their hosts, a cluster of brokers.

use std::path::{Path, PathBuf};
use std::process::Command;

use krun::lab::{EngineSpec, Lab, LabSpec, Site};

/// Where labs, their image and the tarballs are kept; the same place as the command line's for root.
pub(crate) const ROOT: &str = "/var/cache/krun";

/// The hosts of `tests/lab/cluster.sh`: the book's.
pub(crate) const ZOOKEEPERS: [&str; 3] = [
    "peter-zk01.foo.bar",
    "peter-zk02.foo.bar",
    "peter-zk03.foo.bar",
];
pub(crate) const BROKERS: [&str; 3] = [
    "peter-kafka01.foo.bar",
    "peter-kafka02.foo.bar",
    "peter-kafka03.foo.bar",
];

/// Whether tests that make hosts shall run.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is switched on from outside"
)]
pub(crate) fn enabled() -> bool {
    std::env::var("KRUN_LAB").is_ok()
}

/// A lab that is removed even when its test fails.
pub(crate) struct Stage(pub(crate) Lab);

impl Drop for Stage {
    fn drop(&mut self) {
        Lab::down(Path::new(ROOT), &EngineSpec::default(), &self.0.name).unwrap();
    }
}

impl Stage {
    /// A lab of `spec`'s hosts.
    pub(crate) fn of(spec: &LabSpec) -> Self {
        Self(
            Lab::up(Path::new(ROOT), spec, &|step| {
                println!("{}: {step}", spec.name);
            })
            .unwrap(),
        )
    }

    /// The book's six hosts, bare, with `https://archive.apache.org` in reach.
    pub(crate) fn book(name: &str) -> Self {
        Self::book_and(name, &[])
    }

    /// The book's six hosts and others beside them.
    pub(crate) fn book_and(name: &str, others: &[&str]) -> Self {
        let site = assemble();
        Self::of(&LabSpec {
            name: name.to_owned(),
            hosts: ZOOKEEPERS
                .into_iter()
                .chain(BROKERS)
                .chain(others.iter().copied())
                .map(str::to_owned)
                .collect(),
            sites: vec![Site {
                name: "archive.apache.org".to_owned(),
                root: site,
            }],
            ..LabSpec::default()
        })
    }

    /// The book's hosts with three `ZooKeeper`s and three brokers of `version` that listen.
    pub(crate) fn cluster(name: &str, version: &str) -> Self {
        let stage = Self::book(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/cluster.sh");
        let status = Command::new(script)
            .arg(stage.0.ssh_config())
            .arg(version)
            .status()
            .unwrap();
        assert!(status.success());
        stage
    }

    /// Runs a line of shell on a host and returns what it printed; its failure is the test's.
    pub(crate) fn on(&self, host: &str, line: &str) -> String {
        let output = self.0.ssh(host).unwrap().arg(line).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{host}: {line}: {text}{stderr}");
        text.trim().to_owned()
    }
}

/// Makes the tarballs where they are not there yet; returns the site's directory.
pub(crate) fn assemble() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/assemble.sh");
    let output = Command::new(script).arg(ROOT).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
