//! Tasks as a controller sends them, and waiting for what they do: for the agent's own tests and its bench, too.

use krun::modules::Action;
use krun::proto::Task;
use std::time::{Duration, Instant};

pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn shell(seq: u64, line: &str) -> Task {
    shell_with(seq, line, "")
}

pub(crate) fn shell_with(seq: u64, line: &str, stdin: &str) -> Task {
    let given = [("cmd", line), ("stdin", stdin)].map(|(key, value)| (key.into(), value.into()));
    let given = given.into_iter().collect();
    task(seq, Action::new("shell", given).unwrap())
}

/// An action that may apply without asking.
pub(crate) fn task(seq: u64, action: Action) -> Task {
    Task {
        seq,
        lane: 0,
        group: seq,
        epoch: 0,
        name: format!("task {seq}"),
        action,
        identity: None,
        environment: Vec::new(),
        granted: true,
        check_mode: false,
        only_looks: false,
        changes_nothing: false,
        perhaps: None,
        deadline: Some(60),
        ignore_errors: false,
        notifies: Vec::new(),
        allow_destroy: false,
        crowd: None,
        origins: Vec::new(),
        keeps: krun::proto::Keeps::default(),
    }
}
