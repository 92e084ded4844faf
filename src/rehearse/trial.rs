//! What tests of this part stand on: works and phases in a few words.

use super::work::{Batch, Phase, Work};
use crate::event::{At, Status, TaskName};

/// A task on a host, with times in milliseconds.
pub(super) fn work(host: &str, title: &str, from: u64, to: u64, status: Status) -> Work {
    let module = match title {
        "Safe to stop?" => "kafka_safe_to_stop",
        "Wait for the ISR" => "wait_for_isr",
        "Assert" => "assert",
        _ => "systemd",
    };
    Work {
        host: host.into(),
        task: TaskName {
            title: title.to_owned(),
            at: At {
                file: "play.yml".to_owned(),
                line: u32::try_from(title.len()).unwrap(),
                column: 7,
            },
            module: module.to_owned(),
            is_handler: false,
        },
        play: 0,
        from,
        to,
        status,
        waits: Vec::new(),
        diffs: Vec::new(),
        msg: None,
    }
}

/// A run of these works.
pub(super) fn phase(works: Vec<Work>, ended_well: bool) -> Phase {
    Phase {
        title: "upgrade.yml".to_owned(),
        from: works.iter().map(|work| work.from).min().unwrap_or(0),
        to: works.iter().map(|work| work.to).max().unwrap_or(0),
        ended_well,
        works,
        ..Phase::default()
    }
}

/// One batch of the play `Roll`, of three hosts in all.
pub(super) fn batch(play: usize, hosts: &[&str], from: u64, to: u64) -> Batch {
    Batch {
        play,
        name: "Roll".to_owned(),
        hosts: hosts.iter().map(|host| (*host).into()).collect(),
        of: 3,
        from,
        to,
    }
}
