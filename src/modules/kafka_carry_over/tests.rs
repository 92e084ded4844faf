use crate::modules::trial::{Host, shown};
use crate::modules::{Outcome, Permission};
use std::io::Write;
use std::path::Path;

const ARGS: &str = "{from: /old, to: /new, archive: /old.tgz, except: [config/server.properties]}";

fn header(size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(packed);
    for (path, content) in files {
        let mut header = header(content.len());
        archive.append_data(&mut header, path, *content).unwrap();
    }
    let mut header = header(0);
    header.set_entry_type(tar::EntryType::Symlink);
    archive
        .append_link(&mut header, "kafka-1/bin/link", "run.sh")
        .unwrap();
    let mut packed = archive.into_inner().unwrap();
    packed.flush().unwrap();
    packed.finish().unwrap()
}

/// An installation as it was unpacked, and a newer one beside it.
fn host() -> Host {
    let host = Host::with(
        "kafka_carry_over",
        &[
            ("/old/config/server.properties", "a=2\n"),
            ("/old/config/log4j.properties", "level=INFO\n"),
            ("/old/config/consumer.properties", "group=1\n"),
            ("/old/bin/run.sh", "run\n"),
            ("/old/libs/kafka_2.12-1.jar", "\0old"),
            ("/old/libs/other-1.jar", "\0other"),
            ("/new/config/log4j.properties", "level=WARN\n"),
            ("/new/config/consumer.properties", "group=2\n"),
            ("/new/config/server.properties", "a=3\n"),
            ("/new/bin/run.sh", "run new\n"),
            ("/new/libs/kafka_2.12-2.jar", "\0new"),
        ],
    );
    host.sys
        .symlink(Path::new("run.sh"), Path::new("/old/bin/link"))
        .unwrap();
    let archive = tarball(&[
        ("kafka-1/config/server.properties", b"a=1\n"),
        ("kafka-1/config/log4j.properties", b"level=INFO\n"),
        ("kafka-1/config/consumer.properties", b"group=1\n"),
        ("kafka-1/bin/run.sh", b"run\n"),
        ("kafka-1/libs/kafka_2.12-1.jar", b"\0old"),
        ("kafka-1/libs/other-1.jar", b"\0other"),
        ("kafka-1/LICENSE", b"x"),
    ]);
    host.write("/old.tgz", &archive);
    host
}

fn list(outcome: &Outcome, key: &str) -> String {
    serde_json::to_string(&outcome.data[key]).unwrap()
}

#[test]
fn an_installation_that_nobody_touched_carries_nothing() {
    let host = host();
    host.is_content_with(ARGS);
    let outcome = host.run(ARGS).unwrap();
    assert_eq!(list(&outcome, "files"), "[]");
    assert_eq!(host.text("/new/config/log4j.properties"), "level=WARN\n");
}

#[test]
fn added_and_changed_files_and_links_are_carried_with_their_modes() {
    let host = host();
    host.write("/old/config/jmx", b"JMX_PORT=9999\n");
    host.write(
        "/old/config/ssl/client.properties",
        b"ssl.key.password=hidden\n",
    );
    host.write("/old/config/log4j.properties", b"level=DEBUG\n");
    host.write("/old/libs/agent.jar", b"\0agent");
    host.write("/old/config/log4j.properties~", b"x");
    host.write("/old/config/.jmx.swp", b"x");
    let path = Path::new("/old/config/jmx");
    host.sys.set_mode(path, 0o600).unwrap();
    host.sys
        .symlink(Path::new("/etc/krb5.conf"), Path::new("/old/config/krb5"))
        .unwrap();
    let outcome = host.converges(ARGS);
    assert_eq!(
        list(&outcome, "files"),
        r#"["config/jmx","config/krb5","config/log4j.properties","config/ssl/client.properties","libs/agent.jar"]"#
    );
    assert_eq!(list(&outcome, "files"), list(&outcome, "carried"));
    let diff = shown(&outcome);
    assert!(
        diff.contains(r#"/new/config/log4j.properties: "level=WARN\n" -> "level=DEBUG\n""#),
        "{diff}"
    );
    assert!(diff.contains("/new/libs/agent.jar: binary"), "{diff}");
    assert!(
        diff.contains("/new/config/krb5: target  -> /etc/krb5.conf"),
        "{diff}"
    );
    assert!(!diff.contains("hidden"), "{diff}");
    assert_eq!(host.lstat("/new/config/jmx").mode, 0o600);
    assert_eq!(
        host.text("/new/config/ssl/client.properties"),
        "ssl.key.password=hidden\n"
    );
    assert_eq!(host.text("/new/config/server.properties"), "a=3\n");
    assert!(
        outcome
            .msg
            .unwrap()
            .ends_with("config/ssl/client.properties, libs/agent.jar")
    );
    assert_eq!(host.names("/new/libs"), ["agent.jar", "kafka_2.12-2.jar"]);
    assert!(outcome.warnings[0].ends_with("differences of config/log4j.properties"));
    let again = host.run(ARGS).unwrap();
    assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    assert_eq!(list(&again, "carried"), "[]");
    host.sys
        .set_mode(Path::new("/new/config/jmx"), 0o644)
        .unwrap();
    let outcome = host.converges(ARGS);
    assert_eq!(shown(&outcome), "/new/config/jmx: mode 0644 -> 0600");
}

#[test]
fn kafkas_own_old_jars_stay_behind_even_when_they_were_changed() {
    let host = host();
    host.write("/old/libs/kafka_2.12-1.jar", b"\0patched");
    host.write("/old/libs/kafka_2.12-1.5.jar", b"\0added");
    host.write("/old/libs/kafka-reporter-1.jar", b"\0mine");
    let outcome = host.converges(ARGS);
    assert_eq!(list(&outcome, "files"), r#"["libs/kafka-reporter-1.jar"]"#);
    assert_eq!(outcome.warnings.len(), 2, "{:?}", outcome.warnings);
}

#[test]
fn a_deleted_file_is_warned_of_and_stays() {
    let host = host();
    let gone = Path::new("/old/config/consumer.properties");
    host.sys.remove(gone).unwrap();
    let outcome = host.run(ARGS).unwrap();
    assert!(!outcome.changed);
    assert_eq!(
        list(&outcome, "removed"),
        r#"["config/consumer.properties"]"#
    );
    assert!(outcome.warnings[0].ends_with("there: config/consumer.properties"));
    assert!(
        host.sys
            .exists(Path::new("/new/config/consumer.properties"))
            .unwrap()
    );
}

#[test]
fn check_mode_writes_nothing_and_shows_all() {
    let host = host();
    host.write("/old/config/jmx", b"JMX_PORT=9999\n");
    let action = host.action(ARGS);
    let mut seen = 0;
    action
        .run(&host.sys, &mut |outcome| {
            seen = outcome.diffs.len();
            Permission::OnlyShow
        })
        .unwrap();
    assert_eq!(seen, 1);
    assert!(!host.sys.exists(Path::new("/new/config/jmx")).unwrap());
}

#[test]
fn a_missing_archive_or_tree_is_said() {
    let host = host();
    assert_eq!(
        host.fails("{from: /old, to: /new, archive: /none.tgz}"),
        "the archive `/none.tgz` does not exist on this host"
    );
    assert_eq!(
        host.fails("{from: /old, to: /none, archive: /old.tgz}"),
        "`/none` is not a directory of this host"
    );
    assert_eq!(
        host.fails("{from: /old, to: /old, archive: /old.tgz}"),
        "`from` and `to` lead to the same tree"
    );
}
