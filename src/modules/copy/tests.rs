use super::*;
use crate::modules::Action;
use crate::modules::trial::{Host, shown};

fn host() -> Host {
    Host::with("copy", &[("/old", "old\n"), ("/dir/same", "x\n")])
}

/// A `copy` as the controller prepares it.
fn sent(host: &Host, args: &str, found: &Path) -> Action {
    let mut action = host.action(args);
    let Action::Copy(copy) = &mut action else {
        unreachable!()
    };
    let written = copy.needs_source().unwrap().to_owned();
    let sources = Sources::load(&written, found, copy.local_follow()).unwrap();
    copy.set_sources(Arc::new(sources));
    action
}

#[test]
fn content_comes_to_an_absent_a_different_and_an_equal_file() {
    let host = host();
    let outcome = host.converges("{content: \"x\\n\", dest: /new, mode: '0600'}");
    assert_eq!(
        shown(&outcome),
        "/new: \"\" -> \"x\\n\"\n/new: mode  -> 0600"
    );
    assert_eq!(
        outcome.data["checksum"],
        "6fcf9dfbd479ed82697fee719b9f8c610a11ff2a"
    );
    assert_eq!(outcome.data["md5sum"], "401b30e3b8b5d629635a5c613cdb7919");
    assert_eq!(outcome.data["dest"], "/new");
    assert_eq!(outcome.data["mode"], "0600");
    assert_eq!(outcome.data["state"], "file");
    let outcome = host.converges("{content: \"x\\n\", dest: /old}");
    assert_eq!(shown(&outcome), "/old: \"old\\n\" -> \"x\\n\"");
    host.is_content_with("{content: \"x\\n\", dest: /dir/same}");
}

#[test]
fn a_change_of_mode_alone_is_shown_and_leaves_the_content() {
    let host = host();
    let inode = host.lstat("/old").inode;
    let outcome = host.converges("{content: \"old\\n\", dest: /old, mode: '0600'}");
    assert_eq!(shown(&outcome), "/old: mode 0644 -> 0600");
    assert_eq!(host.lstat("/old").inode, inode);
}

#[test]
fn structured_content_is_json_and_plain_content_is_its_text() {
    let host = host();
    host.converges("{content: {a: 1, b: [true]}, dest: /json}");
    assert_eq!(host.text("/json"), r#"{"a": 1, "b": [true]}"#);
    host.converges("{content: 7, dest: /number}");
    assert_eq!(host.text("/number"), "7");
}

#[test]
fn a_sent_file_goes_into_a_directory_under_its_own_name() {
    let host = host();
    let local = tempfile::tempdir().unwrap();
    let path = local.path().join("a.conf");
    std::fs::write(&path, "a\n").unwrap();
    let outcome = host.converges_action(&sent(&host, "{src: a.conf, dest: /dir}", &path));
    assert_eq!(outcome.data["dest"], "/dir/a.conf");
    let args = "{src: files/a.conf, dest: /made/too/, directory_mode: '0700', mode: preserve}";
    let outcome = host.converges_action(&sent(&host, args, &path));
    assert_eq!(outcome.data["dest"], "/made/too/a.conf");
    assert_eq!(host.lstat("/made/too").mode, 0o700);
    let error = host
        .run_action(&sent(&host, "{src: a.conf, dest: /none/a}", &path))
        .unwrap_err();
    assert_eq!(error.message, "the directory `/none` does not exist");
    assert_eq!(
        host.fails("{content: x, dest: /dir}"),
        "`content` needs a file as `dest`, and `/dir` is a directory"
    );
}

#[test]
fn a_sent_directory_goes_with_its_name_or_as_its_contents() {
    let host = host();
    let local = tempfile::tempdir().unwrap();
    let top = local.path().join("conf");
    std::fs::create_dir_all(top.join("sub/empty")).unwrap();
    std::fs::write(top.join("same"), "x\n").unwrap();
    std::fs::write(top.join("sub/b"), [0, 159]).unwrap();
    std::os::unix::fs::symlink("same", top.join("link")).unwrap();
    let outcome = host.converges_action(&sent(&host, "{src: conf, dest: /dir}", &top));
    assert_eq!(host.names("/dir/conf"), ["link", "same", "sub"]);
    assert_eq!(host.names("/dir/conf/sub"), ["b", "empty"]);
    assert!(host.lstat("/dir/conf/link").is_file());
    assert!(shown(&outcome).contains("/dir/conf/sub/b: binary"));
    let args = "{src: conf/, dest: /dir, local_follow: no, mode: '0640', directory_mode: '0750'}";
    let outcome = host.converges_action(&sent(&host, args, &top));
    insta::assert_snapshot!(shown(&outcome), @r"
    /dir/link: target  -> same
    /dir/same: mode 0644 -> 0640
    /dir/sub: state absent -> directory
    /dir/sub: mode  -> 0750
    /dir/sub/b: binary
    /dir/sub/b: mode  -> 0640
    /dir/sub/empty: state absent -> directory
    /dir/sub/empty: mode  -> 0750
    ");
    assert!(host.lstat("/dir/link").is_link());
}

#[test]
fn a_directory_copied_on_the_host_keeps_modes_and_links_and_takes_what_is_asked_for() {
    let host = host();
    host.write("/tree/sub/deep/file", b"x");
    host.sys
        .symlink(Path::new("sub"), Path::new("/tree/link"))
        .unwrap();
    for (path, mode) in [
        ("/tree", 0o750),
        ("/tree/sub", 0o700),
        ("/tree/sub/deep", 0o2775),
    ] {
        host.sys.set_mode(Path::new(path), mode).unwrap();
    }
    let modes = |top: &str| {
        ["", "/sub", "/sub/deep", "/sub/deep/file"]
            .map(|path| host.lstat(&format!("{top}{path}")).mode)
    };
    let missing = "{src: /tree/, dest: /made/copy, remote_src: yes}";
    assert_eq!(host.fails(missing), "the directory `/made` does not exist");
    host.sys
        .create_dir(Path::new("/made"), Some(0o755))
        .unwrap();
    host.converges(missing);
    assert_eq!(modes("/made/copy"), [0o750, 0o700, 0o2775, 0o644]);
    assert!(host.lstat("/made/copy/link").is_link());
    // It is for what is missing above.
    host.converges("{src: /tree, dest: /in/, remote_src: yes, directory_mode: '0711'}");
    assert_eq!(host.lstat("/in").mode, 0o711);
    assert_eq!(modes("/in/tree"), [0o750, 0o700, 0o2775, 0o644]);
    host.converges("{src: /tree/, dest: /followed, remote_src: yes, local_follow: yes}");
    assert_eq!(host.lstat("/followed/link").mode, 0o700);
    // One that is there keeps its own.
    host.sys
        .set_mode(Path::new("/made/copy/sub"), 0o755)
        .unwrap();
    host.is_content_with("{src: /tree/, dest: /made/copy, remote_src: yes}");
}

#[test]
fn the_mode_of_a_tree_of_the_host_is_that_of_its_top_and_files_keep_their_own() {
    let host = Host::with(
        "copy",
        &[
            ("/tree/a", "a\n"),
            ("/tree/sub/x", "x\n"),
            ("/there/a", "old\n"),
            ("/there/sub/x", "x\n"),
            ("/linked/to", "old\n"),
        ],
    );
    for (path, mode) in [
        ("/tree/a", 0o640),
        ("/tree/sub", 0o700),
        ("/tree/sub/x", 0o755),
        ("/there/a", 0o604),
        ("/there/sub/x", 0o604),
    ] {
        host.sys.set_mode(Path::new(path), mode).unwrap();
    }
    let modes =
        |top: &str| ["", "/a", "/sub", "/sub/x"].map(|it| host.lstat(&format!("{top}{it}")).mode);
    host.converges("{src: /tree/, dest: /new, remote_src: yes, mode: '0711'}");
    assert_eq!(modes("/new"), [0o711, 0o640, 0o700, 0o755]);
    host.converges("{src: /tree, dest: /under, remote_src: yes, mode: '0711'}");
    assert_eq!(host.lstat("/under").mode, 0o711);
    assert_eq!(modes("/under/tree"), [0o711, 0o640, 0o700, 0o755]);
    host.converges("{src: /tree/, dest: /made/, remote_src: yes, directory_mode: '0770'}");
    assert_eq!(modes("/made"), [0o770, 0o640, 0o700, 0o755]);
    // A file whose content differs takes its source's mode; what is equal, and a directory that is there, keep theirs.
    host.converges("{src: /tree/, dest: /there, remote_src: yes, mode: g+w}");
    assert_eq!(modes("/there"), [0o775, 0o640, 0o755, 0o604]);
    // A link in the way is written through.
    host.sys
        .symlink(Path::new("to"), Path::new("/linked/a"))
        .unwrap();
    host.converges("{src: /tree/, dest: /linked, remote_src: yes}");
    assert_eq!(host.text("/linked/to"), "a\n");
    host.is_content_with("{src: /tree, dest: /under, remote_src: yes, mode: '0700', force: no}");
}

#[test]
fn the_owner_of_a_tree_of_the_host_is_that_of_all_that_lies_there() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::with("copy", &[("/tree/sub/x", "x\n"), ("/own/sub/extra", "e\n")]);
    host.sys
        .symlink(Path::new("nowhere"), Path::new("/tree/link"))
        .unwrap();
    host.converges("{src: /tree/, dest: /own, remote_src: yes, owner: '12', group: '13'}");
    for path in ["", "/link", "/sub", "/sub/x", "/sub/extra"] {
        let stat = host.lstat(&format!("/own{path}"));
        assert_eq!((stat.uid, stat.gid), (12, 13), "{path}");
    }
}

#[test]
fn a_file_or_directory_of_the_host_is_copied_there() {
    let host = host();
    host.converges("{src: /old, dest: /copy, remote_src: yes}");
    assert_eq!(host.text("/copy"), "old\n");
    host.converges("{src: /dir, dest: /other, remote_src: yes}");
    assert_eq!(host.text("/other/dir/same"), "x\n");
    host.converges("{src: /dir/, dest: /third, remote_src: yes}");
    assert_eq!(host.text("/third/same"), "x\n");
    assert_eq!(
        host.fails("{src: /none, dest: /copy, remote_src: yes}"),
        "`/none` does not exist on the host"
    );
}

#[test]
fn without_force_a_file_that_is_there_stays() {
    let host = host();
    host.is_content_with("{content: new, dest: /old, force: no}");
    assert_eq!(host.text("/old"), "old\n");
    host.converges("{content: new, dest: /new, force: no}");
}

#[test]
fn a_backup_keeps_what_was_replaced() {
    let host = host();
    let outcome = host.converges("{content: new, dest: /old, backup: yes}");
    let backup = value::display(&outcome.data["backup_file"]);
    assert!(
        backup.starts_with("/old.") && backup.ends_with('~'),
        "{backup}"
    );
    assert_eq!(host.text(&backup), "old\n");
    let outcome = host.converges("{content: new, dest: /fresh, backup: yes}");
    assert!(!outcome.data.contains_key("backup_file"));
}

#[test]
fn a_link_is_replaced_or_followed() {
    let host = host();
    host.sys
        .symlink(Path::new("/old"), Path::new("/link"))
        .unwrap();
    host.converges("{content: new, dest: /link, follow: yes}");
    assert_eq!(host.text("/old"), "new");
    assert!(host.lstat("/link").is_link());
    let outcome = host.converges("{content: new, dest: /link}");
    assert!(shown(&outcome).contains("/link: state link -> file"));
    assert!(host.lstat("/link").is_file());
}

#[test]
fn a_wrong_checksum_leaves_the_old_file() {
    let host = host();
    assert_eq!(
        host.fails("{content: new, dest: /old, checksum: abc}"),
        "the checksum is `c2a6b03f190dfb2b4aa91f8af8d477a9bc3401dc`, not `abc` as expected"
    );
    assert_eq!(host.text("/old"), "old\n");
}

#[test]
fn large_files_are_compared_without_a_diff() {
    let host = host();
    let content = "0123456789abcdef".repeat(20_000);
    let args = format!("{{content: \"{content}\", dest: /large}}");
    let outcome = host.converges(&args);
    assert_eq!(shown(&outcome), "/large: larger than 104448 bytes");
    let mut other = content.clone().into_bytes();
    other[300_000] = b'!';
    host.write("/large", &other);
    host.converges(&args);
    assert_eq!(host.text("/large"), content);
}

#[test]
fn a_rendered_template_names_its_source_in_the_diff() {
    let host = Host::with("template", &[("/etc/a", "1\n")]);
    let mut action = host.action("{src: a.j2, dest: /etc/a, mode: preserve}");
    let Action::Template(template) = &mut action else {
        unreachable!()
    };
    template.set_text("2\n".into(), Path::new("/play/templates/a.j2"), 0o100_640);
    let outcome = host.converges_action(&action);
    assert_eq!(
        shown(&outcome),
        "/etc/a: \"1\\n\" -> \"2\\n\"\n/etc/a: mode 0644 -> 0640"
    );
    assert_eq!(
        outcome.diffs[0].source.as_deref(),
        Some("/play/templates/a.j2")
    );
}

#[test]
fn a_command_may_refuse_the_new_content() {
    let host = host();
    let error = host
        .run("{content: bad, dest: /old, validate: 'grep -q good %s'}")
        .unwrap_err();
    assert_eq!(error.message, "failed to validate");
    assert_eq!(error.data["exit_status"], 1);
    assert_eq!(host.text("/old"), "old\n");
    assert_eq!(host.names("/tmp"), [""; 0]);
    host.converges("{content: good, dest: /old, validate: 'grep -q good %s'}");
    assert_eq!(
        host.fails("{content: x, dest: /old, validate: 'true'}"),
        "`validate` must contain `%s`, the path of the new file: `true`"
    );
}
