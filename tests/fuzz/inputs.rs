//! Turns any bytes into a try of each reader of what others wrote: none may panic, hang, or touch what is not its own.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use krun::diag::{Diagnostics, Source};
use krun::inventory::{self, LoadOptions};
use krun::kafka::properties::{self, Wishes};
use krun::modules::{Action, Permission};
use krun::proto::{FromAgent, ToAgent, frame};
use krun::sys::Sys;
use krun::template::{Files, Raw, Scope, Templar};
use krun::value::{Mapping, Value};
use krun::vault::Vault;
use krun::yaml;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A playbook or variable file: either nodes, or a fault that says where.
pub(crate) fn yaml(bytes: &[u8]) {
    let mut faults = Diagnostics::new();
    let source = Source::new("fuzz.yml", text(bytes));
    match yaml::parse_all(&source, &mut faults) {
        Some(nodes) => nodes.iter().for_each(|node| drop(node.to_value())),
        None => assert!(faults.has_errors()),
    }
    let n_lines = source.text.lines().count().max(1);
    for fault in faults.iter() {
        let line = fault.span.as_ref().map_or(1, |span| span.line as usize);
        assert!(line <= n_lines + 1, "{line} of {n_lines}: {fault:?}");
    }
}

/// An inventory, as INI, as YAML, and as hosts on the command line.
pub(crate) fn inventory(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory for the inventory");
    let vault = Vault::default();
    let options = LoadOptions {
        cwd: directory.path(),
        vault: &vault,
    };
    let mut faults = Diagnostics::new();
    for name in ["hosts", "hosts.yml"] {
        fs::write(directory.path().join(name), bytes).expect("the inventory is written");
        let loaded = inventory::load(&[name.to_owned()], &options, &mut faults);
        for host in loaded.group_hosts("all").iter().take(20) {
            loaded.vars(host);
        }
    }
    // Without a comma it would be a path.
    let list = text(bytes).replace('/', " ") + ",";
    inventory::load(&[list], &options, &mut faults);
}

/// What controller and agent say to each other.
pub(crate) fn frames(bytes: &[u8]) {
    let _ = frame::decode::<ToAgent>(bytes);
    let _ = frame::decode::<FromAgent>(bytes);
    let _ = frame::decode::<Value>(bytes);
    let mut stream = Cursor::new(bytes);
    let _ = frame::skip_noise(&mut stream);
    while let Ok(Some(message)) = frame::read::<ToAgent>(&mut stream) {
        let again = frame::encode(&message).expect("what was read can be written");
        frame::decode::<ToAgent>(&again[4..]).expect("what was written can be read");
    }
}

/// An archive of any format: it is unpacked below its destination, or refused.
pub(crate) fn archives(bytes: &[u8]) {
    let root = tempfile::tempdir().expect("a root");
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("dest")).expect("a destination");
    fs::write(at("outside"), "outside").expect("a file outside");
    fs::write(at("archive"), bytes).expect("the archive is written");
    let arguments = "{src: /archive, dest: /dest, remote_src: yes, list_files: yes}";
    let arguments: Mapping = serde_yaml::from_str(arguments).expect("they are YAML");
    let action = Action::new("unarchive", arguments).expect("they are unarchive's");
    let _ = action.run(&Sys::at(root.path()), &mut |_| Permission::Apply);
    let mut names: Vec<_> = fs::read_dir(root.path())
        .expect("the root is there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["archive", "dest", "outside"]);
    assert_eq!(fs::read(at("outside")).expect("it is there"), b"outside");
    assert_eq!(fs::read(at("archive")).expect("it is there"), bytes);
}

/// A string of a playbook, a template file, a condition.
pub(crate) fn templates(bytes: &[u8]) {
    let text = text(bytes);
    let templar = Templar::new();
    let scope: Arc<dyn Scope> = Arc::new(Few);
    let _ = templar.names(&text);
    let _ = templar.names_in_file(&text, &[]);
    let _ = templar.names_in_condition(&text);
    if templar.check_syntax(&text).is_ok() {
        let _ = templar.render_str(&text, &scope);
    }
    let _ = templar.render_file(&text, Path::new("fuzz.j2"), &[], &scope);
    let _ = templar.condition(&Value::String(text), &scope);
}

/// A Java properties file: what is wished is there afterwards, and a second edit changes nothing.
pub(crate) fn properties(bytes: &[u8]) {
    let text = text(bytes);
    let wishes: Wishes = [
        ("broker.id".to_owned(), Some("7".to_owned())),
        ("listeners".to_owned(), None),
        ("new key".to_owned(), Some(" = \u{e9}\\".to_owned())),
    ]
    .into_iter()
    .collect();
    let edited = properties::edit(&text, &wishes, Some("marker"));
    let after = properties::parse(&edited);
    for (key, wish) in &wishes {
        assert_eq!(after.get(key), wish.as_ref(), "{key} in {edited:?}");
    }
    let again = properties::edit(&edited, &wishes, Some("marker"));
    assert_eq!(again, edited);
    properties::without_marked(&edited, "marker");
}

/// A few variables, and no files.
struct Few;

impl Scope for Few {
    fn lookup(&self, name: &str) -> Option<Raw> {
        let value = match name {
            "word" => "krun",
            "list" => "[3, a, [1], {k: v}]",
            "map" => "{a: 1, b: {c: null}}",
            "lazy" => return Some(Raw::Lazy("{{ word }}{{ lazier }}".into())),
            "lazier" => return Some(Raw::Lazy("{{ lazy }}".into())),
            _ => return None,
        };
        serde_yaml::from_str(value).ok().map(Raw::Plain)
    }
    fn names(&self) -> Vec<String> {
        ["word", "list", "map", "lazy", "lazier"]
            .map(str::to_owned)
            .into()
    }
    fn hostvars(&self, host: &str) -> Option<Arc<dyn Scope>> {
        (host == "host").then(|| Arc::new(Self) as Arc<dyn Scope>)
    }
    fn hosts(&self) -> Vec<String> {
        vec!["host".into()]
    }
    fn files(&self) -> Arc<dyn Files> {
        Arc::new(NoFiles)
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn find(&self, _kind: &str, name: &str) -> Result<PathBuf, String> {
        Err(name.into())
    }
    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
    fn env(&self, _name: &str) -> Option<String> {
        None
    }
    fn pipe(&self, command: &str) -> Result<String, String> {
        Err(command.into())
    }
    fn glob(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}
