//! Tests that change the units of the host they run on: for a throw-away host with a real systemd.

use super::super::registry::Action;
use super::super::{Permission, Ran};
use super::*;
use crate::sys::fs::Attributes;
use std::path::Path;

fn run(module: &str, args: &str) -> Result<Outcome, Error> {
    let action = Action::new(module, serde_yaml::from_str(args).unwrap()).unwrap();
    match action.run(&Sys::host(), &mut |_| Permission::Apply)? {
        Ran::Done(outcome) => Ok(outcome),
        Ran::Cancelled => unreachable!(),
    }
}

fn converges(args: &str) -> Outcome {
    let outcome = run("systemd", args).unwrap();
    assert!(outcome.changed, "{args}");
    let again = run("systemd", args).unwrap();
    assert!(!again.changed, "{args}: {:?}", again.diffs);
    outcome
}

fn write_unit(name: &str, command: &str) {
    let text = format!(
        "[Unit]\nDescription=trial\n[Service]\nExecStart={command}\nTimeoutStopSec=2\n[Install]\nWantedBy=multi-user.target\n"
    );
    let path = format!("/etc/systemd/system/{name}.service");
    Sys::host()
        .write_atomic(Path::new(&path), text.as_bytes(), Attributes::default())
        .unwrap();
}

#[test]
#[ignore = "changes the units of the host it runs on"]
fn a_unit_goes_through_all_its_states() {
    write_unit("krun-trial", "/bin/sleep 600");
    let outcome = converges("{name: krun-trial, state: started, enabled: yes, daemon_reload: yes}");
    assert_eq!(outcome.data["status"]["ActiveState"], "active");
    assert_eq!(outcome.data["enabled"], true);
    let pid = |outcome: &Outcome| {
        outcome.data["status"]["MainPID"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let restarted = run("systemd", "{name: krun-trial, state: restarted}").unwrap();
    assert!(restarted.changed && pid(&restarted) != pid(&outcome));
    assert!(
        !run(
            "service",
            "{name: krun-trial, state: started, enabled: yes}"
        )
        .unwrap()
        .changed
    );
    let facts = run("service_facts", "{}").unwrap().facts;
    let service = &facts["services"]["krun-trial.service"];
    assert_eq!(
        (&service["state"], &service["status"]),
        (&"running".into(), &"enabled".into())
    );
    // A changed file makes the next reload due, and only the next.
    write_unit("krun-trial", "/bin/sleep 601");
    let asks = "{name: krun-trial, daemon_reload: yes}";
    let module = || Systemd {
        name: Some("krun-trial".into()),
        daemon_reload: true,
        ..Systemd::default()
    };
    assert!(module().check(&Sys::host()).unwrap().change.is_some());
    assert!(!run("systemd", asks).unwrap().changed);
    assert!(module().check(&Sys::host()).unwrap().change.is_none());
    let outcome = converges("{name: krun-trial, state: stopped, enabled: no}");
    assert_eq!(outcome.warnings, Vec::<String>::new());
}

#[test]
#[ignore = "changes the units of the host it runs on"]
fn an_end_by_kill_is_reported_of_a_stop_and_of_a_restart() {
    write_unit(
        "krun-stubborn",
        "/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'",
    );
    let start = "{name: krun-stubborn, state: started, daemon_reload: yes}";
    run("systemd", start).unwrap();
    for state in ["restarted", "stopped"] {
        Sys::host()
            .pause(std::time::Duration::from_millis(500))
            .unwrap();
        let outcome = run(
            "systemd",
            &format!("{{name: krun-stubborn, state: {state}}}"),
        )
        .unwrap();
        assert_eq!(outcome.data["killed"], true, "{state}");
        assert!(
            outcome.warnings[0].contains("SIGKILL"),
            "{:?}",
            outcome.warnings
        );
    }
}

#[test]
#[ignore = "changes the units of the host it runs on"]
fn an_unknown_unit_and_one_that_cannot_start_are_explained() {
    write_unit("krun-broken", "/no/such/program");
    let error = run(
        "systemd",
        "{name: krun-broken, state: restarted, daemon_reload: yes}",
    );
    // A simple unit has started once its process is forked.
    assert!(error.is_err() || error.unwrap().changed);
    let error = run("systemd", "{name: krun-brokn, state: started}").unwrap_err();
    assert_eq!(
        error.message,
        "Could not find the requested service krun-brokn: host"
    );
    assert_eq!(error.help.as_deref(), Some("did you mean `krun-broken`?"));
}

#[test]
#[ignore = "changes the units of the host it runs on"]
fn a_masked_unit_starts_only_when_it_is_unmasked() {
    // systemd masks no unit whose file lies in /etc.
    let path = Path::new("/usr/lib/systemd/system/krun-masked.service");
    let text = b"[Service]\nExecStart=/bin/sleep 600\n";
    Sys::host()
        .write_atomic(path, text, Attributes::default())
        .unwrap();
    converges("{name: krun-masked, masked: yes, daemon_reload: yes}");
    let error = run("systemd", "{name: krun-masked, state: started}").unwrap_err();
    assert!(error.message.contains("is masked"), "{error}");
    converges("{name: krun-masked, masked: no, state: started}");
}
