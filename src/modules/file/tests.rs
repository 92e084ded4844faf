use crate::modules::trial::{Host, shown};
use crate::sys::fs::Attributes;
use std::path::Path;

fn host() -> Host {
    Host::with("file", &[("/a", "a\n"), ("/b", "b\n"), ("/full/c", "c\n")])
}

#[test]
fn a_directory_is_made_with_its_parents_all_of_the_same_mode() {
    let host = host();
    let outcome = host.converges("{path: /x/y/z, state: directory, mode: '0750'}");
    insta::assert_snapshot!(shown(&outcome), @r"
    /x: state absent -> directory
    /x: mode  -> 0750
    /x/y: state absent -> directory
    /x/y: mode  -> 0750
    /x/y/z: state absent -> directory
    /x/y/z: mode  -> 0750
    ");
    assert_eq!(host.lstat("/x").mode, 0o750);
    assert_eq!(outcome.data["state"], "directory");
    assert_eq!(outcome.data["mode"], "0750");
    assert!(!host.run("{path: /x/y, state: directory}").unwrap().changed);
}

#[test]
fn a_permission_change_is_never_silent() {
    let host = host();
    let outcome = host.converges("{path: /a, mode: '0600'}");
    assert_eq!(shown(&outcome), "/a: mode 0644 -> 0600");
    let outcome = host.converges("{path: /a, mode: 'g+r,o=g'}");
    assert_eq!(shown(&outcome), "/a: mode 0600 -> 0644");
    assert!(!host.run("{path: /a, mode: '0644'}").unwrap().changed);
}

#[test]
fn a_link_is_made_switched_and_kept() {
    let host = host();
    let outcome = host.converges("{src: /a, dest: /current, state: link}");
    assert_eq!(
        shown(&outcome),
        "/current: state absent -> link\n/current: target  -> /a"
    );
    assert_eq!(outcome.data["dest"], "/current");
    assert_eq!(outcome.data["src"], "/a");
    let outcome = host.converges("{src: /b, dest: /current, state: link}");
    assert_eq!(shown(&outcome), "/current: target /a -> /b");
    assert!(
        !host
            .run("{src: /b, dest: /current, state: link}")
            .unwrap()
            .changed
    );
    host.converges("{src: b, dest: /current, state: link}");
    assert_eq!(host.lstat("/current").link_target.unwrap(), Path::new("b"));
}

#[test]
fn a_link_to_nothing_or_in_place_of_a_file_needs_force() {
    let host = host();
    assert_eq!(
        host.fails("{src: /none, dest: /l, state: link}"),
        "`/none`, to which the link would lead, does not exist"
    );
    host.converges("{src: /none, dest: /l, state: link, force: yes}");
    assert_eq!(
        host.fails("{src: /a, dest: /b, state: link}"),
        "refusing to convert `/b` from a file to a link"
    );
    host.converges("{src: /a, dest: /b, state: link, force: yes}");
    assert_eq!(
        host.fails("{src: /a, dest: /full, state: link, force: yes}"),
        "the directory `/full` is not empty, refusing to convert it to a link"
    );
    host.run("{path: /empty, state: directory}").unwrap();
    host.converges("{src: /a, dest: /empty, state: link, force: yes}");
}

#[test]
fn the_mode_of_a_link_is_that_of_its_target() {
    let host = host();
    host.converges("{src: /a, dest: /l, state: link, mode: '0600'}");
    assert_eq!(host.lstat("/a").mode, 0o600);
}

#[test]
fn a_hard_link_is_another_name_of_one_file() {
    let host = host();
    host.converges("{src: /a, dest: /h, state: hard}");
    assert_eq!(host.lstat("/h").inode, host.lstat("/a").inode);
    assert_eq!(
        host.fails("{src: /a, dest: /b, state: hard}"),
        "cannot link: `/b` exists and is a file"
    );
    host.converges("{src: /a, dest: /b, state: hard, force: yes}");
}

#[test]
fn absent_takes_files_links_and_whole_directories() {
    let host = host();
    host.converges("{src: /full, dest: /l, state: link}");
    host.converges("{path: /l, state: absent}");
    assert!(host.sys.exists(Path::new("/full/c")).unwrap());
    let outcome = host.converges("{path: /full, state: absent}");
    assert_eq!(
        shown(&outcome),
        "/full: state directory -> absent\n/full: entries 1 -> "
    );
    assert!(!host.run("{path: /full, state: absent}").unwrap().changed);
}

#[test]
fn touch_makes_an_empty_file_and_preserves_times_if_told_to() {
    let host = host();
    assert!(host.run("{path: /t, state: touch}").unwrap().changed);
    assert!(host.run("{path: /t, state: touch}").unwrap().changed);
    let kept = "{path: /t, state: touch, access_time: preserve, modification_time: preserve}";
    assert!(!host.run(kept).unwrap().changed);
    host.converges("{path: /u, state: touch, access_time: preserve, modification_time: preserve}");
    host.converges("{path: /t, state: file, modification_time: '202009131226.40'}");
}

#[test]
fn state_file_creates_nothing_and_a_directory_never_replaces_a_file() {
    let host = host();
    assert_eq!(
        host.fails("{path: /none}"),
        "file (`/none`) is absent, cannot continue"
    );
    assert_eq!(
        host.fails("{path: /full, state: file}"),
        "file (`/full`) is a directory, cannot continue"
    );
    assert_eq!(
        host.fails("{path: /a, state: directory}"),
        "`/a` already exists and is a file"
    );
    assert_eq!(
        host.fails("{path: /a/b, state: directory}"),
        "cannot make `/a/b`: `/a` is a file"
    );
}

#[test]
fn recurse_sets_files_and_directories_by_their_kind() {
    let host = host();
    host.run("{path: /full/d, state: directory, mode: '0755'}")
        .unwrap();
    let outcome =
        host.converges("{path: /full, state: directory, mode: 'u=rwX,g=rX,o=', recurse: yes}");
    insta::assert_snapshot!(shown(&outcome), @r"
    /full: mode 0755 -> 0750
    /full/c: mode 0644 -> 0640
    /full/d: mode 0755 -> 0750
    ");
}

#[test]
fn an_unknown_owner_is_named() {
    let host = host();
    assert_eq!(
        host.fails("{path: /a, owner: kafka}"),
        "there is no user `kafka` on this host"
    );
}

#[test]
fn owner_and_group_by_number_are_set_where_we_may() {
    let host = host();
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root gives files away");
        return;
    }
    let outcome = host.converges("{path: /a, owner: '970', group: '971', mode: '4755'}");
    assert_eq!(
        shown(&outcome),
        "/a: mode 0644 -> 4755\n/a: owner 0 -> 970\n/a: group 0 -> 971"
    );
    assert_eq!((host.lstat("/a").uid, host.lstat("/a").mode), (970, 0o4755));
}

#[test]
fn a_slash_behind_a_link_means_the_directory_and_each_entry_of_a_tree_is_set_once() {
    let host = host();
    host.sys.create_dir(Path::new("/tree"), None).unwrap();
    host.sys
        .write_atomic(Path::new("/tree/a"), b"", Attributes::default())
        .unwrap();
    for (target, path) in [("a", "/tree/link"), ("tree", "/to-tree")] {
        host.sys
            .symlink(Path::new(target), Path::new(path))
            .unwrap();
    }
    let args = "{path: /to-tree/, state: directory, mode: '0700', recurse: yes, follow: FOLLOW}";
    let outcome = host.converges(&args.replace("FOLLOW", "yes"));
    assert_eq!(
        shown(&outcome),
        "/tree: mode 0755 -> 0700\n/tree/a: mode 0644 -> 0700"
    );
    host.converges(&args.replace("FOLLOW", "no").replace("0700", "0750"));
    assert_eq!(host.lstat("/tree").mode, 0o750);
}
