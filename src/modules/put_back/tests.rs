use super::super::{Action, Error, Outcome, Permission, Ran};
use crate::sys::Sys;
use crate::sys::before::Keeper;
use crate::value::Mapping;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A host below a directory, and what its agent keeps of a run.
struct Host {
    dir: tempfile::TempDir,
    keeper: Arc<Keeper>,
    sys: Sys,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("agent");
        std::fs::create_dir(&store).unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let keeper = Arc::new(Keeper::new(move || Ok(store.clone()), "r1", "h"));
        let sys = Sys::at(dir.path().join("root")).with_keeper(Arc::clone(&keeper));
        Self { dir, keeper, sys }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a task as an agent does.
    fn task(&self, module: &str, args: &str) {
        let keeping = Arc::new(self.keeper.task(1, "Task", false));
        let sys = self.sys.clone().keeping(Some(Arc::clone(&keeping)));
        run(&sys, module, args, Permission::Apply).unwrap();
        keeping.end(&sys).unwrap();
    }

    fn put_back(&self, permission: Permission) -> Result<Outcome, Error> {
        run(
            &self.sys,
            "put_back",
            "{runs: [r1], play: 1, host: h}",
            permission,
        )
    }

    fn picture(&self) -> String {
        let mut lines = Vec::new();
        look(&self.root(), &mut lines);
        lines.sort();
        lines.join("\n")
    }
}

fn run(sys: &Sys, module: &str, args: &str, permission: Permission) -> Result<Outcome, Error> {
    let args: Mapping = serde_yaml::from_str(args).unwrap();
    let action = Action::new(module, args).unwrap();
    match action.run(sys, &mut |_| permission)? {
        Ran::Done(outcome) => Ok(outcome),
        Ran::Cancelled => unreachable!(),
    }
}

fn look(path: &Path, lines: &mut Vec<String>) {
    let found = path.symlink_metadata().unwrap();
    let name = path.display();
    if found.is_symlink() {
        let to = std::fs::read_link(path).unwrap();
        lines.push(format!("{name} -> {}", to.display()));
    } else if found.is_dir() {
        lines.push(format!("{name} {:o}", found.mode()));
        for entry in std::fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), lines);
        }
    } else {
        let (mode, time) = (found.mode(), found.modified().unwrap());
        let content = std::fs::read(path).unwrap();
        lines.push(format!("{name} {mode:o} {time:?} {content:?}"));
    }
}

fn busy_host() -> (Host, String) {
    let host = Host::new();
    host.file("etc/app.conf", "one\n");
    host.file("etc/gone.conf", "gone\n");
    host.file("opt/v1/bin", "1");
    host.file("srv/data/deep/file", "precious\n");
    symlink("v1", host.root().join("opt/app")).unwrap();
    let conf = host.root().join("etc/app.conf");
    std::fs::set_permissions(conf, PermissionsExt::from_mode(0o640)).unwrap();
    let before = host.picture();
    host.task(
        "copy",
        "{content: \"two\\n\", dest: /etc/app.conf, mode: '0600'}",
    );
    host.task("lineinfile", "{path: /etc/app.conf, line: three}");
    host.task("file", "{path: /etc/gone.conf, state: absent}");
    host.task("file", "{path: /opt/v2/lib, state: directory}");
    host.task("copy", "{content: x, dest: /opt/v2/lib/new}");
    // Through the link, before and after it is switched.
    host.task("copy", "{content: y, dest: /opt/app/bin}");
    host.task("file", "{src: v2, dest: /opt/app, state: link}");
    host.task("copy", "{content: z, dest: /opt/app/bin}");
    host.task("file", "{path: /srv/data, state: absent}");
    host.task("file", "{src: /opt/v2, dest: /srv/data, state: link}");
    (host, before)
}

#[test]
fn everything_that_modules_wrote_is_as_it_was_to_the_byte() {
    let (host, before) = busy_host();
    let after = host.picture();
    assert_ne!(before, after);
    let seen = host.put_back(Permission::OnlyShow).unwrap();
    assert!(seen.changed);
    assert_eq!(host.picture(), after);
    let done = host.put_back(Permission::Apply).unwrap();
    assert_eq!(done.diffs, seen.diffs);
    assert_eq!(host.picture(), before);
    assert!(!host.put_back(Permission::Apply).unwrap().changed);
}

#[test]
fn a_put_back_that_was_cut_in_the_middle_goes_on() {
    let (host, before) = busy_host();
    std::fs::remove_file(host.root().join("opt/v2/lib/new")).unwrap();
    std::fs::write(host.root().join("etc/gone.conf"), "gone\n").unwrap();
    std::fs::remove_file(host.root().join("srv/data")).unwrap();
    let refused = host.put_back(Permission::Apply).unwrap_err();
    let causes = refused.causes.join("\n");
    // What lies there as it did before needs nothing; what lies there as nobody left it is told.
    assert_eq!(
        causes,
        "`/srv/data` is not as `Task` or a later task left it"
    );
    symlink("/opt/v2", host.root().join("srv/data")).unwrap();
    host.put_back(Permission::Apply).unwrap();
    assert_eq!(without_times(&host.picture()), without_times(&before));
}

/// Without the times of files, as one of them was made anew.
fn without_times(picture: &str) -> Vec<String> {
    let words = picture.lines().map(|line| line.split(" SystemTime").next());
    words.map(|line| line.unwrap().to_owned()).collect()
}

#[test]
fn a_list_that_cannot_be_read_is_told_and_nothing_is_done() {
    let (host, _) = busy_host();
    let after = host.picture();
    let list = host.dir.path().join("agent/before/r1/list");
    let text = std::fs::read_to_string(&list).unwrap();
    // A last line that a crash cut off is left out, and what it would have told is not known.
    std::fs::write(&list, &text[..text.len() - 5]).unwrap();
    let refused = host.put_back(Permission::Apply).unwrap_err();
    assert!(
        refused.causes[0].contains("nobody knows what it left")
            || refused.causes[0].contains("is not as"),
        "{refused}"
    );
    std::fs::write(&list, text.replacen("Before", "Befroe", 1)).unwrap();
    let error = host.put_back(Permission::Apply).unwrap_err().to_string();
    let root = host.dir.path().display().to_string();
    insta::assert_snapshot!(error.replace(&root, "DIR"), @"`DIR/agent/before/r1/list`, what was kept of the run, cannot be read: unknown variant `Befroe`, expected `Before` or `Left` at line 1 column 9");
    assert_eq!(host.picture(), after);
}

/// Two trees of Kafka, the link that leads to one of them, and the broker that runs from there.
fn broker() -> Host {
    let host = Host::new();
    for version in ["2.1.0", "2.6.0"] {
        let tree = format!("opt/kafka_2.12-{version}");
        host.file(&format!("{tree}/libs/kafka_2.12-{version}.jar"), "");
        host.file(&format!("{tree}/config/server.properties"), "broker.id=1\n");
    }
    symlink("kafka_2.12-2.1.0", host.root().join("opt/kafka")).unwrap();
    host
}

const PIN: &str = "{path: /opt/kafka_2.12-2.6.0/config/server.properties, line: inter.broker.protocol.version=2.1}";
const UNPIN: &str =
    "{path: /opt/kafka_2.12-2.6.0/config/server.properties, regexp: ^inter, state: absent}";
const SWITCH: &str = "{path: /opt/kafka, src: kafka_2.12-2.6.0, state: link}";

#[test]
fn a_broker_goes_back_while_its_protocol_is_held_and_not_once_it_was_raised() {
    let host = broker();
    host.task("lineinfile", PIN);
    host.task("file", SWITCH);
    host.put_back(Permission::OnlyShow).unwrap();
    host.task("lineinfile", UNPIN);
    let error = host.put_back(Permission::OnlyShow).unwrap_err();
    insta::assert_snapshot!(error, @"what run r1 changed cannot be put back here: this broker speaks protocol 2.6, and Kafka 2.1.0 would be linked again, which does not know it");
}

#[test]
fn a_protocol_that_was_raised_is_not_held_again() {
    let host = broker();
    std::fs::remove_file(host.root().join("opt/kafka")).unwrap();
    symlink("kafka_2.12-2.6.0", host.root().join("opt/kafka")).unwrap();
    host.file(
        "opt/kafka_2.12-2.6.0/config/server.properties",
        "inter.broker.protocol.version=2.1\n",
    );
    host.file("proc/42/cmdline", "java\0-cp\0/opt/kafka/libs/kafka_2.12-2.6.0.jar\0kafka.Kafka\0/opt/kafka/config/server.properties\0");
    host.file("proc/42/stat", &format!("42 (java) S{}\n", " 1".repeat(30)));
    host.file("proc/stat", "btime 1700000000\n");
    host.task("lineinfile", UNPIN);
    let error = host.put_back(Permission::OnlyShow).unwrap_err();
    insta::assert_snapshot!(error, @"what run r1 changed cannot be put back here: this broker speaks protocol 2.6, and inter.broker.protocol.version would be 2.1 again");
}
