use super::*;
use crate::modules::Action;
use crate::modules::trial::{Host, shown};
use std::io::Write;
use std::path::Path;
use tar::{EntryType, Header};

/// What a test puts into an archive: path, kind, content or target.
type Member<'a> = (&'a str, EntryType, &'a str);

const FILE: EntryType = EntryType::Regular;
const DIRECTORY: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

const KAFKA: &[Member] = &[
    ("kafka/", DIRECTORY, ""),
    ("kafka/bin/", DIRECTORY, ""),
    ("kafka/bin/start.sh", FILE, "#!/bin/sh\n"),
    ("kafka/config/server.properties", FILE, "broker.id=0\n"),
    ("kafka/current", LINK, "bin/start.sh"),
    ("kafka/again", HARD, "kafka/bin/start.sh"),
];

/// Writes names as they are, evil ones too.
fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        let is_script = Path::new(path).extension().is_some_and(|end| end == "sh");
        let is_run = path.ends_with('/') || is_script;
        header.set_mode(if is_run { 0o755 } else { 0o644 });
        header.set_mtime(1_600_000_000);
        header.set_uid(0);
        header.set_gid(0);
        let content = if *kind == FILE { text.as_bytes() } else { b"" };
        if matches!(*kind, LINK | HARD) {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn host(archive: &[u8]) -> Host {
    let host = Host::with("unarchive", &[("/opt/other", "stays\n")]);
    host.write("/a.tgz", archive);
    host
}

const UNPACK: &str = "{src: /a.tgz, dest: /opt, remote_src: yes}";

#[test]
fn an_archive_comes_to_an_empty_place_and_then_there_is_nothing_to_do() {
    let host = host(&gzip(&tar(KAFKA)));
    let outcome = host.converges(UNPACK);
    insta::assert_snapshot!(shown(&outcome), @r"
    /opt: entries  -> 6 new, 0 changed
    /opt: kafka  -> directory
    /opt: kafka/bin  -> directory
    /opt: kafka/bin/start.sh  -> file
    /opt: kafka/config/server.properties  -> file
    /opt: kafka/current  -> link to bin/start.sh
    /opt: kafka/again  -> hard link to kafka/bin/start.sh
    ");
    assert_eq!(outcome.data["handler"], "TgzArchive");
    assert_eq!(host.text("/opt/kafka/current"), "#!/bin/sh\n");
    let start = host.lstat("/opt/kafka/bin/start.sh");
    assert_eq!(start.mode, 0o755);
    assert_eq!(start.mtime.seconds, 1_600_000_000);
    assert_eq!(start.inode, host.lstat("/opt/kafka/again").inode);
    assert_eq!(host.lstat("/opt/kafka").mtime.seconds, 1_600_000_000);
    assert_eq!(host.text("/opt/other"), "stays\n");
}

#[test]
fn what_differs_is_unpacked_again_and_nothing_else() {
    let host = host(&gzip(&tar(KAFKA)));
    host.converges(UNPACK);
    host.write("/opt/kafka/config/server.properties", b"broker.id=7\n");
    host.write("/opt/kafka/config/mine", b"1");
    host.sys.remove(Path::new("/opt/kafka/current")).unwrap();
    host.sys
        .set_mode(Path::new("/opt/kafka/bin"), 0o700)
        .unwrap();
    let inode = host.lstat("/opt/kafka/bin/start.sh").inode;
    let outcome = host.converges(UNPACK);
    insta::assert_snapshot!(shown(&outcome), @r"
    /opt: entries  -> 1 new, 2 changed
    /opt: kafka/bin other mode or owner -> directory
    /opt: kafka/config/server.properties other content -> file
    /opt: kafka/current  -> link to bin/start.sh
    ");
    assert_eq!(host.lstat("/opt/kafka/bin/start.sh").inode, inode);
    assert_eq!(host.text("/opt/kafka/config/mine"), "1");
}

#[test]
fn the_same_content_with_another_time_is_the_same() {
    let host = host(&gzip(&tar(KAFKA)));
    host.converges(UNPACK);
    host.write("/opt/kafka/config/server.properties", b"broker.id=0\n");
    host.is_content_with(UNPACK);
}

#[test]
fn a_file_written_anew_takes_its_hard_links_along() {
    let host = host(&tar(KAFKA));
    host.converges(UNPACK);
    host.write("/opt/kafka/bin/start.sh", b"other");
    host.converges(UNPACK);
    assert_eq!(
        host.lstat("/opt/kafka/bin/start.sh").inode,
        host.lstat("/opt/kafka/again").inode
    );
}

#[test]
fn archives_that_would_write_elsewhere_are_refused_before_anything_is_written() {
    let first = ("kafka/first", FILE, "x");
    for (evil, why) in [
        (
            vec![first, ("../evil", FILE, "x")],
            "`../evil` leads out of the destination",
        ),
        (
            vec![first, ("a/../../evil", FILE, "x")],
            "`a/../../evil` leads out of the destination",
        ),
        (
            vec![first, ("/etc/evil", FILE, "x")],
            "`/etc/evil` leads out of the destination",
        ),
        (
            vec![first, ("l", LINK, "/"), ("l/evil", FILE, "x")],
            "`l/evil` goes through a link of the archive",
        ),
        (
            vec![
                first,
                ("l", LINK, ".."),
                ("m", LINK, "l"),
                ("m/evil", FILE, "x"),
            ],
            "`m/evil` goes through a link of the archive",
        ),
        (
            vec![first, ("d/evil", FILE, "x"), ("d", LINK, "/")],
            "`d` is a link and a directory",
        ),
        (
            vec![first, ("h", HARD, "../../etc/passwd")],
            "`h` is a hard link out of the destination",
        ),
        (
            vec![first, ("l", LINK, "/etc"), ("h", HARD, "l/passwd")],
            "`h` goes through a link of the archive",
        ),
        (
            vec![first, ("old/evil", FILE, "x")],
            "`old/evil` goes through a link that leads out of the destination",
        ),
    ] {
        let host = host(&gzip(&tar(&evil)));
        host.write("/etc/passwd", b"root");
        host.sys
            .symlink(Path::new("/etc"), Path::new("/opt/old"))
            .unwrap();
        assert_eq!(
            host.fails(UNPACK),
            format!("refusing the archive: its entry {why}")
        );
        assert_eq!(host.names("/opt"), ["old", "other"]);
        assert_eq!(host.names("/etc"), ["passwd"]);
    }
}

#[test]
fn a_truncated_archive_is_named_and_leaves_the_place_as_it_was() {
    let whole = gzip(&tar(KAFKA));
    for length in [whole.len() - 1, whole.len() / 2, 40] {
        let host = host(&whole[..length]);
        assert_eq!(
            host.fails(UNPACK),
            "the archive `/a.tgz` is truncated or damaged"
        );
        assert_eq!(host.names("/opt"), ["other"]);
    }
    assert_eq!(host(b"").fails(UNPACK), "the archive `/a.tgz` is empty");
    assert_eq!(
        host(b"<html>not found</html>").fails(UNPACK),
        "`/a.tgz` is not an archive"
    );
}

#[test]
fn components_are_stripped_and_patterns_choose() {
    let host = host(&gzip(&tar(KAFKA)));
    let args = |more: &str| format!("{{src: /a.tgz, dest: /opt, remote_src: yes, {more}}}");
    let strip = args("extra_opts: [--strip-components=1], exclude: ['*.properties']");
    host.converges(&strip);
    assert_eq!(host.names("/opt"), ["again", "bin", "current", "other"]);
    let outcome = host.converges(&args("include: [kafka/config], list_files: yes"));
    assert_eq!(host.names("/opt/kafka"), ["config"]);
    let files = serde_json::to_string(&outcome.data["files"]).unwrap();
    assert_eq!(files, r#"["kafka/config/server.properties"]"#);
    assert_eq!(
        host.fails(&args("extra_opts: [--checkpoint]")),
        "unknown option `--checkpoint` in `extra_opts`"
    );
}

#[test]
fn mode_is_set_on_everything_and_creates_skips() {
    let host = host(&gzip(&tar(KAFKA)));
    let args = "{src: /a.tgz, dest: /opt, copy: no, mode: 'g-rwx,o-rwx'}";
    host.converges(args);
    assert_eq!(host.lstat("/opt/kafka").mode, 0o700);
    assert_eq!(
        host.lstat("/opt/kafka/config/server.properties").mode,
        0o600
    );
    let args = "{src: /none, dest: /none, copy: no, creates: /opt/kafka}";
    let outcome = host.run(args).unwrap();
    assert!(outcome.skipped && !outcome.changed);
    assert_eq!(
        host.fails("{src: /a.tgz, dest: /none, copy: no}"),
        "`dest` must be an existing directory, and `/none` is not"
    );
}

#[test]
fn newer_files_are_kept_if_told_to() {
    let host = host(&gzip(&tar(KAFKA)));
    host.converges(UNPACK);
    host.write("/opt/kafka/bin/start.sh", b"newer");
    let args = "{src: /a.tgz, dest: /opt, copy: no, keep_newer: yes}";
    host.run(args).unwrap();
    assert_eq!(host.text("/opt/kafka/bin/start.sh"), "newer");
}

#[test]
fn a_sent_archive_needs_no_file_on_the_host() {
    let host = Host::with("unarchive", &[("/opt/other", "")]);
    let mut action = host.action("{src: a.tgz, dest: /opt}");
    let Action::Unarchive(unarchive) = &mut action else {
        unreachable!()
    };
    assert_eq!(unarchive.needs_source(), Some("a.tgz"));
    unarchive.set_archive(Arc::new(Archive::new(gzip(&tar(KAFKA)))));
    host.converges_action(&action);
    assert_eq!(
        host.text("/opt/kafka/config/server.properties"),
        "broker.id=0\n"
    );
}

#[test]
fn a_zip_is_unpacked_with_modes_links_and_times() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::from_date_and_time(2020, 9, 13, 12, 26, 40).unwrap());
    writer
        .add_directory("kafka/", options.unix_permissions(0o755))
        .unwrap();
    writer
        .start_file("kafka/run.sh", options.unix_permissions(0o750))
        .unwrap();
    writer.write_all(b"#!/bin/sh\n").unwrap();
    writer.add_symlink("kafka/link", "run.sh", options).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let host = host(&bytes);
    let outcome = host.converges(UNPACK);
    assert_eq!(outcome.data["handler"], "ZipArchive");
    assert_eq!(host.text("/opt/kafka/link"), "#!/bin/sh\n");
    assert_eq!(host.lstat("/opt/kafka/run.sh").mode & 0o700, 0o700);
    host.write("/a.tgz", &bytes[..bytes.len() - 30]);
    assert_eq!(
        host.fails(UNPACK),
        "the archive `/a.tgz` is truncated or damaged"
    );
}

#[test]
fn every_packing_of_tar_is_known() {
    let plain = tar(KAFKA);
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut &plain[..], &mut xz).unwrap();
    for (bytes, handler) in [(plain, "TarArchive"), (xz, "TarXzArchive")] {
        let host = host(&bytes);
        assert_eq!(host.converges(UNPACK).data["handler"], handler);
    }
    // `printf x > x && tar cj x`, as nothing here packs by bzip2.
    let Ok(packed) = std::process::Command::new("sh")
        .args(["-c", "cd $(mktemp -d) && echo x > x && tar cj x"])
        .output()
    else {
        return;
    };
    if packed.stdout.starts_with(b"BZh") {
        let host = host(&packed.stdout);
        assert_eq!(host.converges(UNPACK).data["handler"], "TarBzipArchive");
        assert_eq!(host.text("/opt/x"), "x\n");
    }
}

#[test]
fn a_url_of_a_file_is_that_file_of_the_host() {
    let host = host(&gzip(&tar(KAFKA)));
    host.converges("{src: 'file:///a.tgz', dest: /opt, remote_src: yes}");
    host.is_content_with(UNPACK);
    assert_eq!(
        host.fails("{src: 'ftp://host/a.tgz', dest: /opt, remote_src: yes}"),
        "`ftp://host/a.tgz` is not a file of the host"
    );
}
