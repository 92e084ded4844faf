use crate::sys::Sys;
use crate::sys::fs::Attributes;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A host with `/old/a` ("a"), `/old/sub/b` ("b") and the link `/now` to `old`, and the same with an overlay.
fn host() -> (tempfile::TempDir, Sys, Sys) {
    let directory = tempfile::tempdir().unwrap();
    let host = Sys::at(directory.path());
    host.create_dir(Path::new("/old"), None).unwrap();
    host.create_dir(Path::new("/old/sub"), None).unwrap();
    write(&host, "/old/a", "a");
    write(&host, "/old/sub/b", "b");
    host.symlink(Path::new("old"), Path::new("/now")).unwrap();
    let over = host.clone().over(host.new_overlay());
    (directory, host, over)
}

fn write(sys: &Sys, path: &str, text: &str) {
    sys.write_atomic(Path::new(path), text.as_bytes(), Attributes::default())
        .unwrap();
}

fn text(sys: &Sys, path: &str) -> String {
    String::from_utf8(sys.read(Path::new(path)).unwrap()).unwrap()
}

fn names(sys: &Sys, path: &str) -> Vec<String> {
    let names = sys.list(Path::new(path)).unwrap();
    names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect()
}

#[test]
fn what_is_written_is_read_again_and_the_host_keeps_what_it_had() {
    let (_directory, host, over) = host();
    write(&over, "/old/a", "new");
    write(&over, "/old/c", "c");
    over.set_mode(Path::new("/old/a"), 0o604).unwrap();
    over.set_owner(Path::new("/old/c"), Some(4711), Some(4712))
        .unwrap();
    assert_eq!(
        (text(&over, "/old/a"), text(&host, "/old/a")),
        ("new".into(), "a".into())
    );
    assert_eq!(names(&over, "/old"), ["a", "c", "sub"]);
    assert_eq!(names(&host, "/old"), ["a", "sub"]);
    let stat = over.stat(Path::new("/old/c")).unwrap().unwrap();
    assert_eq!((stat.uid, stat.gid, stat.size), (4711, 4712, 1));
    assert_eq!(over.stat(Path::new("/old/a")).unwrap().unwrap().mode, 0o604);
}

#[test]
fn a_write_goes_through_links_of_the_host_and_of_the_overlay() {
    let (_directory, host, over) = host();
    over.create_dir(Path::new("/new"), Some(0o750)).unwrap();
    write(&over, "/new/a", "A");
    write(&over, "/now/sub/c", "below the old target");
    over.symlink(Path::new("/new"), Path::new("/now")).unwrap();
    write(&over, "/now/a", "through the link");
    assert_eq!(text(&over, "/new/a"), "through the link");
    assert_eq!(text(&over, "/old/a"), "a");
    assert_eq!(text(&over, "/old/sub/c"), "below the old target");
    assert_eq!(
        over.read_link(Path::new("/now")).unwrap(),
        Path::new("/new")
    );
    assert_eq!(
        over.resolve(Path::new("/now/../now/a")).unwrap(),
        Path::new("/new/a")
    );
    assert_eq!(names(&host, "/"), ["now", "old"]);
}

#[test]
fn a_removed_directory_hides_what_the_host_has_and_a_new_one_in_its_place_is_empty() {
    let (_directory, host, over) = host();
    over.remove_tree(Path::new("/old")).unwrap();
    assert_eq!(over.stat(Path::new("/old/sub/b")).unwrap(), None);
    assert_eq!(over.stat(Path::new("/now")).unwrap(), None);
    assert!(over.lstat(Path::new("/now")).unwrap().unwrap().is_link());
    over.create_dir(Path::new("/old"), None).unwrap();
    assert_eq!(names(&over, "/old"), [""; 0]);
    assert_eq!(over.lstat(Path::new("/old/a")).unwrap(), None);
    write(&over, "/old/a", "again");
    assert_eq!(text(&over, "/now/a"), "again");
    assert_eq!(text(&host, "/old/sub/b"), "b");
}

#[test]
fn a_renamed_directory_brings_its_content_and_what_was_changed_in_it() {
    let (_directory, host, over) = host();
    write(&over, "/old/sub/b", "changed");
    over.rename(Path::new("/old"), Path::new("/moved")).unwrap();
    assert_eq!(names(&over, "/"), ["moved", "now"]);
    assert_eq!(text(&over, "/moved/a"), "a");
    assert_eq!(text(&over, "/moved/sub/b"), "changed");
    write(&over, "/moved/a", "later");
    assert_eq!(text(&over, "/moved/a"), "later");
    over.rename(Path::new("/moved/a"), Path::new("/a")).unwrap();
    assert_eq!(names(&over, "/moved"), ["sub"]);
    assert_eq!(text(&over, "/a"), "later");
    assert_eq!(text(&host, "/old/a"), "a");
}

#[test]
fn names_of_one_file_share_what_is_set_on_one_of_them() {
    let (_directory, host, over) = host();
    host.hardlink(Path::new("/old/a"), Path::new("/second"))
        .unwrap();
    over.set_mode(Path::new("/old/a"), 0o600).unwrap();
    over.hardlink(Path::new("/second"), Path::new("/third"))
        .unwrap();
    for path in ["/old/a", "/second", "/third"] {
        let stat = over.lstat(Path::new(path)).unwrap().unwrap();
        assert_eq!((stat.mode, stat.n_links), (0o600, 3), "{path}");
    }
    write(&over, "/third", "its own");
    assert_eq!(text(&over, "/second"), "a");
    assert_eq!(
        over.lstat(Path::new("/second")).unwrap().unwrap().n_links,
        2
    );
}

#[test]
fn what_the_host_would_refuse_is_refused_in_the_same_words() {
    let (_directory, host, over) = host();
    let dir = Path::new("/old");
    let refusals = |sys: &Sys| {
        [
            sys.write_atomic(Path::new("/none/a"), b"", Attributes::default()),
            sys.write_atomic(Path::new("/old/a/b"), b"", Attributes::default()),
            sys.write_atomic(dir, b"", Attributes::default()),
            sys.create_dir(dir, None),
            sys.remove(Path::new("/none")),
            sys.remove(dir),
            sys.set_mode(Path::new("/none"), 0o600),
            sys.rename(Path::new("/none"), Path::new("/x")),
            sys.rename(Path::new("/old/a"), Path::new("/old/sub")),
            sys.read_link(Path::new("/old/a")).map(drop),
            sys.read(Path::new("/none")).map(drop),
            sys.list(Path::new("/old/a")).map(drop),
        ]
        .map(|result| result.unwrap_err().to_string())
    };
    assert_eq!(refusals(&over), refusals(&host));
}

#[test]
fn programs_find_the_copy_of_a_file_that_only_the_overlay_has() {
    let (directory, _host, over) = host();
    write(&over, "/now/c", "c");
    let real = over.real(Path::new("/now/c"));
    assert!(!real.starts_with(directory.path()));
    assert_eq!(std::fs::read(&real).unwrap(), b"c");
    assert_eq!(
        over.real(Path::new("/now/a")),
        directory.path().join("old/a")
    );
    drop(over);
    assert!(!real.exists());
}

#[test]
fn another_agent_of_the_host_goes_on_where_the_first_stopped() {
    let (_directory, host, over) = host();
    write(&over, "/old/a", "first");
    let other = host.new_overlay();
    other.adopt(over.overlay().unwrap().layer());
    let second = host.clone().over(other);
    assert_eq!(text(&second, "/old/a"), "first");
    write(&second, "/old/a", "second");
    over.overlay()
        .unwrap()
        .adopt(second.overlay().unwrap().layer());
    assert_eq!(text(&over, "/now/a"), "second");
}

#[test]
fn a_rehearsal_starts_no_program_that_is_not_marked_as_reading() {
    use crate::sys::process::Command;
    let (_directory, _host, over) = host();
    let over = over.without_programs();
    let error = over.run(&Command::new(["touch", "x"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "`touch` is not run in check mode");
    assert!(
        over.run(&Command::new(["true"]).only_reads())
            .unwrap()
            .success()
    );
}

#[test]
fn what_a_tried_task_noted_of_a_unit_is_doubtful_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let overlay = Sys::at(root.path()).new_overlay();
    overlay.note("unit same.service ActiveState", "active");
    let fork = overlay.fork();
    fork.note("unit k.service ActiveState", "inactive");
    fork.doubt("unit z.service", "`stop` names it");
    overlay.blur(&fork, "whether it runs is open");
    let met = |unit: &str| {
        let sys = Sys::at(root.path()).over(Arc::clone(&overlay));
        sys.meet(&format!("unit {unit}.service"));
        sys.met_assumed()
    };
    assert_eq!(met("k").as_deref(), Some("whether it runs is open"));
    assert_eq!(met("z").as_deref(), Some("`stop` names it"));
    assert_eq!(met("same"), None);
    assert!(overlay.notes("unit k.service").is_empty());
}
