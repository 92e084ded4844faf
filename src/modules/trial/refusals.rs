//! The table of what modules say when they refuse: `refusals.txt`, one a line.

use super::Host;
use crate::modules::{Action, find};
use crate::value::Mapping;
use std::os::unix::fs::symlink;

fn host(module: &'static str) -> Host {
    let host = Host::with(
        module,
        &[("/f", "text\n"), ("/d/x", "x"), ("/proc/stat", "")],
    );
    let real = |path: &str| host.sys.real(path.as_ref());
    symlink("/nowhere", real("/l")).unwrap();
    host
}

/// What stands in the way: a fault of the arguments, or the failure with its causes.
fn refusal(module: &str, arguments: &str) -> String {
    let entry = find(module).unwrap();
    let host = host(entry.name);
    let given: Mapping = serde_yaml::from_str(arguments).unwrap();
    match Action::new(module, given) {
        Err(faults) => faults.join("; "),
        Ok(action) => match host.run_action(&action) {
            Err(error) => error.to_string(),
            Ok(outcome) => format!("nothing: {outcome:?}"),
        },
    }
}

#[test]
fn each_refusal_says_what_the_table_says() {
    let mut wrong = Vec::new();
    for line in include_str!("refusals.txt").lines().skip(1) {
        let mut parts = line.splitn(3, " | ");
        let [module, arguments, expected] = [(); 3].map(|()| parts.next().unwrap());
        let said = refusal(module, arguments);
        if said != expected {
            wrong.push(format!("{module} | {arguments} | {said}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
