//! Runs krun as a user does, on the example inventory and this repository's playbooks, and hears its events.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use krun::event::{Event, EventKind, Stats};
use krun::lab::Lab;
use nix::unistd::Pid;

/// The repository.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A setting of the tests, from outside.
pub(crate) fn told(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// The program under test: `KRUN` names one, else it is the one that was built with this test. Stripped, as it
/// travels to every host.
pub(crate) fn krun() -> &'static Path {
    static KRUN: OnceLock<PathBuf> = OnceLock::new();
    KRUN.get_or_init(|| {
        told("KRUN").map_or_else(
            || stripped(Path::new(env!("CARGO_BIN_EXE_krun"))),
            |path| path.canonicalize().unwrap(),
        )
    })
}

/// A copy without symbols, beside the original.
pub(crate) fn stripped(program: &Path) -> PathBuf {
    let copy = program.with_extension("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(program)
        .status()
        .unwrap();
    assert!(status.success(), "strip {}", program.display());
    copy
}

/// krun where it leaves its records: they go with the lab.
pub(crate) fn beside(lab: &Lab) -> Command {
    let mut command = Command::new(krun());
    command.current_dir(lab.ssh_config().parent().unwrap());
    command
}

/// krun with these words and the example inventory on a playbook: one of `playbooks/`, or any file by its absolute path.
pub(crate) fn on_example(lab: &Lab, words: &[&str], playbook: &str) -> Command {
    let mut command = beside(lab);
    command
        .args(words)
        .arg("-i")
        .arg(here().join("inventories/example"))
        .arg(format!(
            "--ssh-common-args=-F {}",
            lab.ssh_config().display()
        ))
        .arg(here().join("playbooks").join(playbook));
    command
}

/// krun at work. Dropped, it is killed.
pub(crate) struct Run {
    child: Child,
    lines: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    what: String,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<Event>,
    pub(crate) stderr: String,
}

impl Run {
    /// Starts krun on a playbook: one of `playbooks/`, or any file by its absolute path.
    pub(crate) fn start(lab: &Lab, playbook: &str) -> Self {
        Self::of(on_example(lab, &["--output", "json"], playbook), playbook)
    }

    /// Starts what goes on with a recorded run: `resume`, `rollback`.
    pub(crate) fn again(lab: &Lab, words: &[&str]) -> Self {
        let mut command = beside(lab);
        command.args(words).args(["--output", "json"]);
        Self::of(command, words[0])
    }

    fn of(mut command: Command, what: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            lines,
            stderr: Some(stderr),
            what: what.to_owned(),
        }
    }

    /// The next event; none when krun has closed its output, or was killed in the middle of a line.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        if !line.ends_with('\n') {
            return None;
        }
        let event: Event =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(trouble) = trouble(&event.kind) {
            println!("{}: {trouble}", self.what);
        }
        Some(event)
    }

    /// krun's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Hears the rest and waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let mut events = Vec::new();
        while let Some(event) = self.next() {
            events.push(event);
        }
        let code = self.child.wait().unwrap().code();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended {
            code,
            events,
            stderr,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Where it has ended this fails, as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a person would want to read when a test fails.
fn trouble(event: &EventKind) -> Option<String> {
    match event {
        EventKind::HostUnreachable { host, message, .. } => {
            Some(format!("{host} is unreachable: {message}"))
        }
        EventKind::RollStopped(stop) => Some(format!("the roll stopped: {}", stop.reason)),
        EventKind::TaskEnded { host, task, result } => {
            (result.status == krun::event::Status::Failed).then(|| {
                let why = result.msg.clone().unwrap_or_default();
                format!(
                    "{host}: {} failed: {why} {}",
                    task.title,
                    result.causes.join(": ")
                )
            })
        }
        _ => None,
    }
}

impl Ended {
    /// The recap, host by host.
    pub(crate) fn stats(&self) -> Vec<(&str, Stats)> {
        let recap = self.events.iter().find_map(|event| match &event.kind {
            EventKind::RunEnded { stats, .. } => Some(stats),
            _ => None,
        });
        recap
            .expect("a run ends with a recap")
            .iter()
            .map(|(host, stats)| (host.as_ref(), *stats))
            .collect()
    }

    /// Fails unless all went well on `hosts` hosts.
    pub(crate) fn expect_success(&self, hosts: usize) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let stats = self.stats();
        assert_eq!(stats.len(), hosts, "{stats:?}");
        for (host, it) in stats {
            let whole = it.failed == 0 && it.unreachable == 0 && !it.not_run && it.ok > 0;
            assert!(whole, "{host}: {it:?}");
        }
    }

    /// Fails unless all went well and nothing was left to do.
    pub(crate) fn expect_no_change(&self, hosts: usize) {
        self.expect_success(hosts);
        for (host, it) in self.stats() {
            assert_eq!(it.changed, 0, "{host}");
        }
    }
}

/// Runs a playbook to its end and says how long it took.
pub(crate) fn run(lab: &Lab, playbook: &str) -> Ended {
    let begun = std::time::Instant::now();
    let ended = Run::start(lab, playbook).end();
    println!("{playbook}: {:.1} s", begun.elapsed().as_secs_f64());
    ended
}

/// Bare hosts become a cluster of 2.1.0.
pub(crate) fn install(lab: &Lab) {
    run(lab, "zookeeper.yml").expect_success(3);
    run(lab, "kafka2.1.yml").expect_success(3);
}
