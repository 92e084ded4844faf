use super::files::has_file;
use super::*;
use std::path::Path;

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

/// A root with a unit file outside of systemd's directories and one inside, and an overlay over it.
fn linked() -> (tempfile::TempDir, Sys) {
    let root = tempfile::tempdir().unwrap();
    let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    for file in [
        "opt/kafka.service",
        "opt/kafka-2.6.service",
        "etc/systemd/system/real.service",
    ] {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let sys = Sys::at(root.path());
    let overlay = sys.new_overlay();
    let sys = sys.over(overlay);
    for (name, target) in [
        ("kafka.service", "/opt/kafka.service"),
        ("broker.service", "/opt/kafka-2.6.service"),
        ("nick.service", "/etc/systemd/system/real.service"),
        ("off.service", "/dev/null"),
    ] {
        let link = Path::new("/etc/systemd/system").join(name);
        sys.symlink(Path::new(target), &link).unwrap();
    }
    (root, sys)
}

#[test]
fn a_link_to_a_unit_file_is_what_systemctl_is_enabled_calls_it() {
    let (root, sys) = linked();
    std::fs::create_dir(root.path().join("dev")).unwrap();
    std::fs::write(root.path().join("dev/null"), "").unwrap();
    for (name, state) in [
        ("kafka", "linked"),
        ("broker", "alias"),
        ("nick", "alias"),
        ("real", "disabled"),
        ("off", "masked"),
    ] {
        assert_eq!(installed::state(&sys, name), Some(state), "{name}");
        let mut unit = Unit::parse("LoadState=loaded\nUnitFileState=enabled\n");
        let is_new = rehearsed::read_anew(&sys, name, &mut unit);
        assert_eq!(is_new, name != "real", "{name}");
        assert_ne!(unit.is_enabled(), Some(is_new), "{name}");
    }
}

#[test]
fn a_linked_unit_is_enabled_by_a_link_to_its_target_and_disabled_with_its_own_link() {
    let (_root, sys) = linked();
    let module = Systemd::default();
    let wants = Path::new("/etc/systemd/system/multi-user.target.wants/kafka.service");
    module.foresee(&sys, "kafka", Step::Enable).unwrap();
    assert_eq!(
        sys.read_link(wants).unwrap(),
        Path::new("/opt/kafka.service")
    );
    assert_eq!(installed::state(&sys, "kafka"), Some("enabled"));
    module.foresee(&sys, "kafka", Step::Disable).unwrap();
    for gone in [wants, Path::new("/etc/systemd/system/kafka.service")] {
        assert!(sys.lstat(gone).unwrap().is_none(), "{}", gone.display());
    }
    assert!(sys.exists(Path::new("/opt/kafka.service")).unwrap());
}

#[test]
fn no_unit_is_enabled_by_its_other_name_which_goes_when_it_is_disabled() {
    let (_root, sys) = linked();
    let module = Systemd::default();
    let error = module.foresee(&sys, "nick", Step::Enable).unwrap_err();
    insta::assert_snapshot!(error, @"`systemctl enable nick` would fail: `/etc/systemd/system/nick.service` is a link to the unit `/etc/systemd/system/real.service`");
    module.foresee(&sys, "real", Step::Enable).unwrap();
    module.foresee(&sys, "real", Step::Disable).unwrap();
    let nick = Path::new("/etc/systemd/system/nick.service");
    assert!(sys.lstat(nick).unwrap().is_none());
}
