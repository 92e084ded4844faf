//! Turns a lab in which a gate did not open into files that tell why, and names the deadlocks that a JVM reports.

use super::work::Phase;
use crate::event::Status;
use crate::lab::Lab;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// Gates whose failure means that a cluster did not become whole in time.
const GATES: &[&str] = &["kafka_safe_to_stop", "wait_for_isr"];

/// What was collected.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub dir: PathBuf,
    /// Of each host whose JVM reports one: which threads.
    pub deadlocks: Vec<String>,
}

/// Whether a gate timed out in a run.
pub fn is_wanted(run: &Phase) -> bool {
    run.works.iter().any(|work| {
        let module = work.task.module.rsplit('.').next().unwrap_or_default();
        work.status == Status::Failed && GATES.contains(&module)
    })
}

/// Collects from all hosts at once, into a file for each, and the controller's records beside them. `why` is what is
/// known already, a line for each thing.
///
/// # Errors
/// The directory cannot be written.
pub fn collect(
    lab: &Lab,
    hosts: &[String],
    records: &Path,
    dir: &Path,
    why: &[String],
) -> std::io::Result<Evidence> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("why.txt"), why.join("\n") + "\n")?;
    let texts: Vec<(&String, String)> = thread::scope(|scope| {
        let all: Vec<_> = hosts
            .iter()
            .map(|host| scope.spawn(move || (host, of_host(lab, host))))
            .collect();
        all.into_iter().filter_map(|one| one.join().ok()).collect()
    });
    let mut deadlocks = Vec::new();
    for (host, text) in &texts {
        fs::write(dir.join(format!("{host}.txt")), text)?;
        deadlocks.extend(deadlock(text).map(|what| format!("{host}: {what}")));
    }
    for record in fs::read_dir(records).into_iter().flatten().flatten() {
        let name = record.file_name();
        let events = record.path().join("events.jsonl");
        if events.exists() {
            fs::copy(
                events,
                dir.join(format!("controller-{}.jsonl", name.display())),
            )?;
        }
    }
    Ok(Evidence {
        dir: dir.to_owned(),
        deadlocks,
    })
}

fn of_host(lab: &Lab, host: &str) -> String {
    let said = lab.sh(host, include_str!("evidence.sh"));
    said.unwrap_or_else(|error| format!("nothing could be collected: {error}\n"))
}

/// The threads that a JVM says wait for each other; `None` where it says of none.
pub fn deadlock(dump: &str) -> Option<String> {
    let begin = dump.find("Java-level deadlock")?;
    let mut threads: Vec<&str> = dump[begin..]
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("Java stack information"))
        .filter_map(|line| line.strip_prefix('"')?.split_once("\":"))
        .map(|(name, _)| name)
        .collect();
    threads.dedup();
    Some(format!("deadlock between {}", threads.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadlock_that_the_jvm_reports_has_the_names_of_its_threads() {
        let dump = "\"main\" #1 prio=5\n\nFound one Java-level deadlock:\n=============================\n\
            \"kafka-request-handler-3\":\n  waiting for ownable synchronizer 0x00000007c, (a ReentrantReadWriteLock$NonfairSync),\n  which is held by \"kafka-request-handler-7\"\n\
            \"kafka-request-handler-7\":\n  waiting to lock monitor 0x00007f,\n  which is held by \"kafka-request-handler-3\"\n\n\
            Java stack information for the threads listed above:\n===\n\"kafka-request-handler-3\":\n\tat x\n\nFound 1 deadlock.\n";
        assert_eq!(
            deadlock(dump).unwrap(),
            "deadlock between kafka-request-handler-3 and kafka-request-handler-7"
        );
        assert_eq!(deadlock("\"main\" #1\n"), None);
    }
}
