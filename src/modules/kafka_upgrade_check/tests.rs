use super::judge::{Verdict, java_major};
use super::*;
use crate::modules::trial::Host;

const SERVER: &str = "broker.id=1\nlog.dirs=/data/kafka-logs\n";

fn shown(limit: &str, further: &str) -> String {
    format!(
        "LoadState=loaded\nTimeoutStopUSec={limit}\nEnvironmentFiles=/usr/local/kafka/config/jmx (ignore_errors=no)\nEnvironmentFiles=/usr/local/kafka/config/optional (ignore_errors=yes)\nExecStart={{ path=/usr/local/kafka/bin/kafka-server-start.sh ; argv[]=/usr/local/kafka/bin/kafka-server-start.sh /usr/local/kafka/config/server.properties ; ignore_errors=no ; pid=0 }}\n{further}\n"
    )
}

/// A host with both trees, ready for the switch.
fn host() -> Host {
    let host = Host::with(
        "kafka_upgrade_check",
        &[
            ("/usr/local/old/config/server.properties", SERVER),
            ("/usr/local/old/config/jmx", "JMX_PORT=9999\n"),
            ("/usr/local/old/bin/kafka-server-start.sh", "x"),
            ("/usr/local/new/config/server.properties", SERVER),
            ("/usr/local/new/config/jmx", "JMX_PORT=9999\n"),
            ("/usr/local/new/bin/kafka-server-start.sh", "x"),
            ("/usr/local/new/libs/kafka_2.12-2.6.0.jar", "x"),
            ("/usr/local/new/libs/kafka_2.12-2.6.0-sources.jar", "x"),
            ("/usr/local/new/libs/kafka_2.12-2.6.0-test.jar", "x"),
            ("/usr/local/new/libs/kafka_2.12-2.6.0.jar.asc", "x"),
            ("/data/kafka-logs/meta.properties", "broker.id=1\n"),
        ],
    );
    let start = Path::new("/usr/local/new/bin/kafka-server-start.sh");
    host.sys.set_mode(start, 0o755).unwrap();
    host.sys
        .symlink(Path::new("old"), Path::new("/usr/local/kafka"))
        .unwrap();
    host
}

fn running(java: &str, words: &[&str]) -> Running {
    Running {
        pid: 1,
        server_properties: "/usr/local/kafka/config/server.properties".into(),
        overrides: Properties::new(),
        version: Software::parse("2.1.0"),
        libs: Some("/usr/local/kafka/libs".into()),
        started: 0.0,
        java: Some(java.into()),
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn judged(host: &Host, unit: &str, running: Option<Running>, version: &str) -> Verdict {
    let check = KafkaUpgradeCheck {
        unit: unit_name(),
        home: home(),
        tree: "/usr/local/new".into(),
        version: version.into(),
        min_free: Some(Value::from(0)),
    };
    let look = check.look(&host.sys, Unit::shown(unit), running).unwrap();
    look.judge(&host.sys).unwrap()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_host_that_is_ready_has_no_problem() {
    let words = [
        "/usr/bin/java",
        "-Xloggc:/usr/local/kafka/bin/../logs/kafkaServer-gc.log",
        "-Dkafka.logs.dir=/usr/local/kafka/bin/../logs",
        "-cp",
        "/usr/local/kafka/bin/../libs/kafka_2.12-2.1.0.jar:/usr/local/kafka/bin/../libs/*:/none",
        "kafka.Kafka",
        "/usr/local/kafka/config/server.properties",
    ];
    let verdict = judged(
        &host(),
        &shown("infinity", ""),
        Some(running("11.0.13", &words)),
        "2.6.0",
    );
    assert_eq!(verdict.problems, nothing());
    assert_eq!(verdict.warnings, nothing());
    assert_eq!(
        verdict.checked,
        [
            "bin/kafka-server-start.sh",
            "config/jmx",
            "config/server.properties"
        ]
    );
}

#[test]
fn every_missing_path_is_named_with_its_way_out() {
    let host = host();
    for path in ["config/jmx", "bin/kafka-server-start.sh"] {
        let path = Path::new("/usr/local/new").join(path);
        host.sys.remove(&path).unwrap();
    }
    host.write("/usr/local/old/config/agent.yml", b"x");
    host.write("/usr/local/old/config/mine.properties", b"x");
    host.write("/usr/local/old/ssl/key.jks", b"x");
    host.write(
        "/usr/local/old/config/jmx",
        b"#X=/usr/local/kafka/config/agent.yml\nKAFKA_LOG4J_OPTS=-Dlog4j.configuration=file:/usr/local/kafka/config/mine.properties\n",
    );
    host.write(
        "/usr/local/new/config/server.properties",
        b"log.dirs=/data/kafka-logs\nssl.keystore.location=/usr/local/kafka/ssl/key.jks\n",
    );
    let words = [
        "java",
        "-javaagent:/usr/local/kafka/libs/none.jar=1:/usr/local/kafka/config/agent.yml",
    ];
    let verdict = judged(
        &host,
        &shown("5min", ""),
        Some(running("11.0.13", &words)),
        "2.6.0",
    );
    assert_eq!(
        verdict.problems,
        [
            "`/usr/local/new/bin/kafka-server-start.sh` is missing, and `kafka-server` names it: cp -a /usr/local/kafka/bin/kafka-server-start.sh /usr/local/new/bin/kafka-server-start.sh",
            "`/usr/local/new/config/jmx` is missing, and `kafka-server` names it: cp -a /usr/local/kafka/config/jmx /usr/local/new/config/jmx",
            "`/usr/local/new/config/mine.properties` is missing, and `/usr/local/kafka/config/jmx` names it: cp -a /usr/local/kafka/config/mine.properties /usr/local/new/config/mine.properties",
            "`/usr/local/new/config/agent.yml` is missing, and the running broker's command line names it: cp -a /usr/local/kafka/config/agent.yml /usr/local/new/config/agent.yml",
            "`/usr/local/new/ssl/key.jks` is missing, and `ssl.keystore.location` in server.properties names it: cp -a /usr/local/kafka/ssl /usr/local/new/ssl",
        ]
    );
}

#[test]
fn a_program_that_cannot_be_executed_is_a_problem() {
    let host = host();
    let start = Path::new("/usr/local/new/bin/kafka-server-start.sh");
    host.sys.set_mode(start, 0o644).unwrap();
    let verdict = judged(&host, &shown("5min", ""), None, "2.6.0");
    assert_eq!(verdict.problems.len(), 1);
    assert!(verdict.problems[0].ends_with("chmod +x /usr/local/new/bin/kafka-server-start.sh"));
}

#[test]
fn a_short_stop_limit_is_a_warning_that_says_where_to_set_it() {
    let warnings = judged(&host(), &shown("1min 30s", ""), None, "2.6.0").warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("systemd kills the broker 90 s after"));
    assert!(warnings[0].contains("/etc/systemd/system/kafka-server.service.d/stop.conf"));
}

#[test]
fn a_service_that_names_the_old_tree_itself_and_one_that_is_not_there_are_problems() {
    let host = host();
    let unit = shown("5min", "WorkingDirectory=/usr/local/old");
    let verdict = judged(&host, &unit, None, "2.6.0");
    assert!(verdict.problems[0].starts_with("`kafka-server` names `/usr/local/old` itself"));
    let verdict = judged(&host, "LoadState=not-found\n", None, "2.6.0");
    assert!(verdict.problems[0].contains("no service `kafka-server`"));
    assert!(verdict.problems[0].contains("not-found"));
}

#[test]
fn the_jars_of_the_new_tree_are_those_of_its_version() {
    let host = host();
    let verdict = judged(&host, &shown("5min", ""), None, "2.7.0");
    assert!(verdict.problems[0].contains("`kafka_2.12-2.6.0.jar`, which is not 2.7.0"));
    host.write("/usr/local/new/libs/kafka_2.12-2.1.0.jar", b"x");
    let verdict = judged(&host, &shown("5min", ""), None, "2.6.0");
    assert!(verdict.problems[0].contains("holds 2 jars of Kafka"));
    host.sys
        .remove_tree(Path::new("/usr/local/new/libs"))
        .unwrap();
    let verdict = judged(&host, &shown("5min", ""), None, "2.6.0");
    assert!(verdict.problems[0].contains("holds no jar of Kafka"));
}

#[test]
fn data_behind_the_link_stops_the_upgrade() {
    let host = host();
    let server = b"log.dirs=/data/kafka-logs,/usr/local/kafka/data\n";
    host.write("/usr/local/new/config/server.properties", server);
    let verdict = judged(&host, &shown("5min", ""), None, "2.6.0");
    assert_eq!(verdict.problems.len(), 1);
    assert!(verdict.problems[0].contains("`/usr/local/kafka/data`, behind the link"));
    let link = Path::new("/data/kafka-logs");
    host.write("/usr/local/old/README", b"");
    for tree in ["/usr/local/old/data", "/usr/local/new/data"] {
        host.sys.symlink(link, Path::new(tree)).unwrap();
    }
    let verdict = judged(&host, &shown("5min", ""), None, "2.6.0");
    assert_eq!(verdict.problems, nothing());
}

#[test]
fn the_jvm_has_to_fit() {
    let host = host();
    let with = |java, version| judged(&host, &shown("5min", ""), Some(running(java, &[])), version);
    assert!(with("1.7.0_80", "2.6.0").problems[0].contains("needs 8 or newer"));
    assert!(with("1.8.0_292", "2.6.0").warnings.is_empty());
    assert!(with("17.0.1", "2.6.0").warnings[0].contains("made for 8 to 15"));
    assert!(with("17.0.1", "2.1.0").warnings[0].contains("ZOOKEEPER-3779"));
    assert_eq!(java_major("1.8.0_292"), Some(8));
    assert_eq!(java_major("14-ea"), Some(14));
}

#[test]
fn a_full_disk_is_a_problem_and_sizes_are_read() {
    let host = host();
    let mut check: KafkaUpgradeCheck =
        serde_yaml::from_str("{tree: /usr/local/new, version: 2.6.0, min_free: 900000TB}").unwrap();
    let unit = Unit::shown(&shown("5min", ""));
    let look = check.look(&host.sys, unit.clone(), None).unwrap();
    let problems = look.judge(&host.sys).unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[1].starts_with("the disk of `/data/kafka-logs` has "));
    check.min_free = Some("much".into());
    assert!(check.look(&host.sys, unit, None).is_err());
    assert_eq!(bytes("2GB"), Some(2 << 30));
    assert_eq!(bytes("1.5 GiB"), Some((1 << 30) + (1 << 30) / 10 * 5));
    assert_eq!(bytes("4096"), Some(4096));
    assert_eq!(bytes("-1"), None);
}
