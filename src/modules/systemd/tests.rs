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
