use super::*;
use std::fs;
use std::os::unix::fs::symlink;

fn host() -> (tempfile::TempDir, Sys) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/stat"), "cpu 1 2\nbtime 1700000000\n").unwrap();
    let sys = Sys::at(root.path());
    (root, sys)
}

fn process(root: &Path, pid: u32, words: &[&str], open: &[&str]) {
    let at = root.join(format!("proc/{pid}"));
    fs::create_dir_all(at.join("fd")).unwrap();
    fs::write(at.join("cmdline"), words.join("\0") + "\0").unwrap();
    let before: Vec<String> = (0..19).map(|n| n.to_string()).collect();
    let stat = format!("{pid} (java x) {} 1234 0\n", before.join(" "));
    fs::write(at.join("stat"), stat).unwrap();
    symlink("/opt/jdk/bin/java", at.join("exe")).unwrap();
    symlink("/opt/work", at.join("cwd")).unwrap();
    for (n, path) in open.iter().enumerate() {
        symlink(path, at.join("fd").join(n.to_string())).unwrap();
    }
    fs::create_dir_all(root.join("opt/jdk")).unwrap();
    fs::write(
        root.join("opt/jdk/release"),
        "JAVA_VERSION=\"11.0.13\"\nX=1\n",
    )
    .unwrap();
}

const CLASS_PATH: &str = "/usr/local/kafka/bin/../libs/kafka-clients-2.1.0.jar:\
    /usr/local/kafka/bin/../libs/kafka_2.12-2.1.0-sources.jar:/usr/local/kafka/bin/../libs/kafka_2.12-2.1.0.jar";

#[test]
fn a_broker_is_read_from_its_command_line() {
    let (root, sys) = host();
    process(
        root.path(),
        42,
        &[
            "/opt/jdk/bin/java",
            "-Xmx1G",
            "-cp",
            CLASS_PATH,
            "kafka.Kafka",
            "config/server.properties",
            "--override",
            "broker.id=7",
        ],
        &[],
    );
    process(root.path(), 43, &["grep", "kafka.Kafka", "x"], &[]);
    fs::remove_file(root.path().join("proc/43/exe")).unwrap();
    let found = find(&sys, None).unwrap().unwrap();
    assert_eq!(found.pid, 42);
    assert_eq!(
        found.server_properties,
        Path::new("/opt/work/config/server.properties")
    );
    assert_eq!(found.version, Software::parse("2.1.0"));
    assert_eq!(
        found.libs.as_deref(),
        Some(Path::new("/usr/local/kafka/libs"))
    );
    assert_eq!(found.java.as_deref(), Some("11.0.13"));
    assert_eq!(found.overrides["broker.id"], "7");
    assert!((found.started - 1_700_000_012.34).abs() < 0.001);
}

#[test]
fn an_open_jar_says_what_runs_where_the_class_path_has_a_star() {
    let (root, sys) = host();
    process(
        root.path(),
        42,
        &[
            "java",
            "-cp",
            "/usr/local/kafka/libs/*",
            "kafka.Kafka",
            "/usr/local/kafka/config/server.properties",
        ],
        &[
            "/usr/local/kafka_2.12-2.1.0/libs/kafka_2.12-2.1.0.jar (deleted)",
            "socket:[1]",
        ],
    );
    let found = find(&sys, None).unwrap().unwrap();
    assert_eq!(found.version, Software::parse("2.1.0"));
    assert_eq!(
        found.libs.as_deref(),
        Some(Path::new("/usr/local/kafka/libs"))
    );
}

#[test]
fn of_two_brokers_one_is_chosen_by_its_file() {
    let (root, sys) = host();
    for (pid, file) in [
        (42, "/etc/kafka/a.properties"),
        (43, "/etc/kafka/../kafka/b.properties"),
    ] {
        process(
            root.path(),
            pid,
            &["java", "-cp", CLASS_PATH, "kafka.Kafka", file],
            &[],
        );
    }
    let error = find(&sys, None).unwrap_err().to_string();
    assert!(
        error.contains("2 brokers run on this host") && error.contains("a.properties"),
        "{error}"
    );
    let chosen = find(&sys, Some(Path::new("/etc/kafka/b.properties")))
        .unwrap()
        .unwrap();
    assert_eq!(chosen.pid, 43);
    assert!(
        find(&sys, Some(Path::new("/etc/kafka/c.properties")))
            .unwrap()
            .is_none()
    );
}

#[test]
fn no_broker_is_none() {
    let (_root, sys) = host();
    assert_eq!(find(&sys, None).unwrap(), None);
}

#[test]
fn a_link_shows_its_target_and_version() {
    let (root, sys) = host();
    let libs = root.path().join("usr/local/kafka_2.12-2.6.0/libs");
    fs::create_dir_all(&libs).unwrap();
    fs::write(libs.join("kafka_2.12-2.6.0.jar"), "").unwrap();
    fs::write(libs.join("kafka_2.12-2.6.0-test.jar"), "").unwrap();
    symlink("kafka_2.12-2.6.0", root.path().join("usr/local/kafka")).unwrap();
    let found = linked(&sys, Path::new("/usr/local/kafka"))
        .unwrap()
        .unwrap();
    assert_eq!(found.version, Software::parse("2.6.0"));
    assert_eq!(found.target, Path::new("/usr/local/kafka_2.12-2.6.0"));
    assert_eq!(linked(&sys, Path::new("/usr/local/none")).unwrap(), None);
}
