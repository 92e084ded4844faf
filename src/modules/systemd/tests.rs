use super::*;

#[test]
fn a_unit_file_below_the_root_makes_a_unit() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("etc/systemd/system");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("kafka-server.service"), "").unwrap();
    std::fs::write(directory.join("disk@.service"), "").unwrap();
    let sys = Sys::at(root.path());
    assert!(has_file(&sys, "kafka-server"));
    assert!(has_file(&sys, "disk@data1.service"));
    assert!(!has_file(&sys, "kafka-server.timer"));
}

#[test]
fn a_reload_of_the_manager_alone_is_no_change() {
    let module = Systemd {
        daemon_reload: true,
        ..Systemd::default()
    };
    let found = module.check(&Sys::host()).unwrap();
    assert!(found.change.is_some() && !found.outcome.changed);
    let error = Systemd::default().check(&Sys::host()).unwrap_err();
    assert!(error.message.starts_with("nothing to do"));
}

#[test]
fn a_file_newer_than_systemds_last_reading_makes_it_stale() {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("etc/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    let sys = Sys::at(root.path());
    let unit = Unit::parse("NeedDaemonReload=no\n");
    assert!(is_stale(&sys, &unit));
    let generators = root.path().join("run/systemd/generator");
    std::fs::create_dir_all(&generators).unwrap();
    let later = crate::sys::fs::Time::from_seconds(crate::sys::fs::Time::now().seconds + 60);
    sys.set_times(Path::new("/run/systemd/generator"), None, Some(later))
        .unwrap();
    assert!(!is_stale(&sys, &unit));
    assert!(is_stale(&sys, &Unit::parse("NeedDaemonReload=yes\n")));
    let earlier = crate::sys::fs::Time::from_seconds(1);
    sys.set_times(Path::new("/run/systemd/generator"), None, Some(earlier))
        .unwrap();
    assert!(is_stale(&sys, &unit));
}

#[test]
fn an_unread_unit_shows_what_a_start_would_change() {
    let unit = Unit::unread("kafka-server");
    let diff = diff("kafka-server", &unit, &[Step::Enable, Step::Start]);
    let shown: Vec<_> = diff.attributes.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(shown, ["enabled", "state"]);
}

#[test]
fn a_restart_is_left_out_where_an_earlier_try_has_done_it_and_else_it_is_done() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let running = |seconds: u64| {
        let since = monotonic().saturating_sub(Duration::from_secs(seconds));
        Unit::parse(&format!(
            "ActiveState=active\nMainPID=42\nExecMainStartTimestampMonotonic={}\n",
            since.as_micros()
        ))
    };
    let steps = |began: Option<u64>, unit: &Unit| {
        let module = Systemd {
            state: Some(State::Restarted),
            began,
            ..Systemd::default()
        };
        module.steps(unit).unwrap()
    };
    // The process is 60 s old.
    let unit = running(60);
    assert_eq!(steps(None, &unit), [Step::Restart]);
    assert_eq!(steps(Some(now - 90), &unit), []);
    assert_eq!(steps(Some(now - 30), &unit), [Step::Restart]);
    assert_eq!(steps(Some(now - 60), &unit), [Step::Restart]);
    let stopped = Unit::parse("ActiveState=inactive\nMainPID=0\n");
    assert_eq!(steps(Some(now - 90), &stopped), [Step::Start]);
}
