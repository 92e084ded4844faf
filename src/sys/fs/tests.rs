use super::*;

fn root() -> (tempfile::TempDir, Sys) {
    let directory = tempfile::tempdir().unwrap();
    let sys = Sys::at(directory.path());
    (directory, sys)
}

/// Gives some bytes, then the error of a full disk.
struct FullDisk(usize);

impl Read for FullDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        let n = buffer.len().min(self.0);
        buffer[..n].fill(b'x');
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else() {
    let (_directory, sys) = root();
    let path = Path::new("/a");
    sys.write_atomic(path, b"old", Attributes::default())
        .unwrap();
    let error = sys
        .write_atomic_from(
            path,
            &mut FullDisk(100_000),
            Attributes::default(),
            Durability::Synced,
        )
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(
        error.to_string(),
        "cannot write `/a`: no space left on device"
    );
    assert_eq!(sys.read(path).unwrap(), b"old");
    assert_eq!(sys.list(Path::new("/")).unwrap(), ["a"]);
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_new_one_gets_the_default() {
    let (_directory, sys) = root();
    let path = Path::new("/a");
    sys.write_atomic(path, b"1", Attributes::default()).unwrap();
    assert_eq!(sys.lstat(path).unwrap().unwrap().mode, 0o666 & !umask());
    sys.set_mode(path, 0o640).unwrap();
    sys.write_atomic(path, b"2", Attributes::default()).unwrap();
    assert_eq!(sys.lstat(path).unwrap().unwrap().mode, 0o640);
    let asked = Attributes {
        mode: Some(0o4750),
        ..Attributes::default()
    };
    sys.write_atomic(path, b"3", asked).unwrap();
    assert_eq!(sys.lstat(path).unwrap().unwrap().mode, 0o4750);
}

#[test]
fn an_absolute_link_stays_below_the_root_of_a_test() {
    let (_directory, sys) = root();
    sys.create_dir(Path::new("/etc"), None).unwrap();
    sys.write_atomic(Path::new("/etc/passwd"), b"mine", Attributes::default())
        .unwrap();
    sys.symlink(Path::new("/etc"), Path::new("/link")).unwrap();
    assert_eq!(sys.read(Path::new("/link/passwd")).unwrap(), b"mine");
    assert_eq!(
        sys.resolve(Path::new("/link/../link/new")).unwrap(),
        Path::new("/etc/new")
    );
    let up = Path::new("../../../../../../etc/passwd");
    assert_eq!(sys.read(up).unwrap(), b"mine");
}

#[test]
fn a_link_is_switched_without_a_moment_without_it() {
    let (_directory, sys) = root();
    let link = Path::new("/current");
    sys.symlink(Path::new("/one"), link).unwrap();
    sys.symlink(Path::new("/two"), link).unwrap();
    assert_eq!(sys.read_link(link).unwrap(), Path::new("/two"));
    assert_eq!(sys.list(Path::new("/")).unwrap(), ["current"]);
    assert_eq!(sys.stat(link).unwrap(), None);
    assert!(sys.lstat(link).unwrap().unwrap().is_link());
}

#[test]
fn a_circle_of_links_is_an_error() {
    let (_directory, sys) = root();
    sys.symlink(Path::new("/b"), Path::new("/a")).unwrap();
    sys.symlink(Path::new("/a"), Path::new("/b")).unwrap();
    let error = sys.read(Path::new("/a")).unwrap_err();
    assert_eq!(error.to_string(), "cannot follow `/a`: too many links");
}

#[test]
fn a_hard_link_twice_leaves_no_temporary_name() {
    let (_directory, sys) = root();
    let (a, b) = (Path::new("/a"), Path::new("/b"));
    sys.write_atomic(a, b"1", Attributes::default()).unwrap();
    sys.hardlink(a, b).unwrap();
    sys.hardlink(a, b).unwrap();
    assert_eq!(sys.list(Path::new("/")).unwrap(), ["a", "b"]);
    assert_eq!(sys.lstat(b).unwrap().unwrap().n_links, 2);
}

#[test]
fn a_tree_is_removed_without_following_its_links() {
    let (_directory, sys) = root();
    sys.create_dir(Path::new("/keep"), None).unwrap();
    sys.write_atomic(Path::new("/keep/file"), b"", Attributes::default())
        .unwrap();
    sys.create_dir(Path::new("/gone"), Some(0o700)).unwrap();
    sys.symlink(Path::new("/keep"), Path::new("/gone/link"))
        .unwrap();
    sys.remove_tree(Path::new("/gone")).unwrap();
    assert_eq!(sys.list(Path::new("/")).unwrap(), ["keep"]);
    assert!(sys.exists(Path::new("/keep/file")).unwrap());
}

#[test]
fn times_are_set_to_the_nanosecond() {
    let (_directory, sys) = root();
    let path = Path::new("/a");
    sys.touch(path).unwrap();
    let time = Time {
        seconds: 1_600_000_000,
        nanos: 123_456_789,
    };
    sys.set_times(path, None, Some(time)).unwrap();
    assert_eq!(sys.lstat(path).unwrap().unwrap().mtime, time);
    sys.touch(path).unwrap();
    assert!(sys.lstat(path).unwrap().unwrap().mtime > time);
}

#[test]
fn settling_syncs_what_clones_changed_and_forgets_what_is_gone() {
    let (_directory, sys) = root();
    sys.create_dir(Path::new("/d"), None).unwrap();
    sys.clone()
        .write_atomic(Path::new("/d/a"), b"", Attributes::default())
        .unwrap();
    assert_eq!(sys.unsettled.lock().unwrap().len(), 1);
    sys.remove_tree(Path::new("/d")).unwrap();
    sys.settle().unwrap();
    assert!(sys.unsettled.lock().unwrap().is_empty());
}
