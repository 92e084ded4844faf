//! Holds what a plan said against what lies on a host after the run: one comparison for this machine and for labs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use krun::event::Event;
use krun::modules::diff::Content;
use krun::value::Value;
use sha1::{Digest, Sha1};

/// What is not compared, with the reason.
pub(crate) const LEFT_OUT: [(&str, &str); 5] = [
    ("times", "a plan is earlier than the run"),
    ("names of backups", "the time is in them"),
    (
        "names of temporary files",
        "they are made up as they are needed",
    ),
    ("what services write", "nobody can foresee it"),
    ("sizes of directories", "the file system's own"),
];

/// A host's files, seen from here: below `/`, or below a container's root.
pub(crate) struct Root(pub(crate) PathBuf);

/// The end state of one path or unit, as a plan told it.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    content: Option<Content>,
    /// By name: what it is in the end, `None` where there is none.
    pub(crate) attributes: BTreeMap<String, Option<Value>>,
}

/// By path, links on the way resolved; units and the like by their words.
pub(crate) type Told = BTreeMap<PathBuf, Wish>;

impl Root {
    /// What a plan's events tell of a host's end state. To be asked before the run: links are followed as they are then.
    pub(crate) fn told(&self, events: &[Event], host: &str) -> Told {
        let mut told = Told::new();
        for event in events {
            let Some((of, _, _, result)) = event.kind.result() else {
                continue;
            };
            let of = result.delegated_to.as_ref().unwrap_or(of);
            if **of != *host {
                continue;
            }
            if result
                .msg
                .as_deref()
                .is_some_and(|msg| msg.starts_with("only looked at"))
            {
                continue;
            }
            for diff in &result.diffs {
                let is_link = diff.attributes.iter().any(|it| it.name == "target");
                let path = if diff.subject.starts_with('/') {
                    self.resolved(&told, Path::new(&diff.subject), !is_link)
                } else {
                    PathBuf::from(&diff.subject)
                };
                let state = diff.attributes.iter().find(|it| it.name == "state");
                let state = state.and_then(|it| it.after.as_ref()?.as_str());
                if state == Some("absent") {
                    told.retain(|other, _| !other.starts_with(&path));
                }
                let wish = told.entry(path).or_default();
                if state.is_some() || diff.is_new {
                    *wish = Wish::default();
                }
                for one in &diff.attributes {
                    wish.attributes.insert(one.name.clone(), one.after.clone());
                }
                if let Some(content) = &diff.content {
                    // Written anew, it is a file of its own.
                    if wish.is("hard") {
                        wish.attributes
                            .retain(|name, _| name != "state" && name != "target");
                    }
                    wish.content = Some(content.clone());
                }
            }
        }
        told
    }

    /// Compares, and returns how many things were.
    pub(crate) fn holds(&self, told: &Told) -> usize {
        let mut compared = 0;
        for (path, wish) in told.iter().filter(|(path, _)| path.is_absolute()) {
            let lies = self.0.join(path.strip_prefix("/").unwrap());
            let found = lies.symlink_metadata().ok();
            let found = found.as_ref();
            let mut same = |name: &str, is: Option<Value>, wished: Option<&Value>| {
                assert_eq!(is.as_ref(), wished, "{name} of {}", path.display());
                compared += 1;
            };
            match &wish.content {
                Some(Content::Text { after, .. }) => {
                    let is = fs::read_to_string(&lies).ok().map(Value::from);
                    same("content", is, Some(&after.as_str().into()));
                }
                Some(Content::Opaque { after, .. }) => {
                    let size = found.map(|found| found.len().into());
                    same("size", size, after.map(Value::from).as_ref());
                }
                None => {}
            }
            for (name, wished) in &wish.attributes {
                let is: Option<Value> = match name.as_str() {
                    "mode" => found.map(|it| format!("{:04o}", it.mode() & 0o7777).into()),
                    "owner" => found.map(|it| self.name("etc/passwd", it.uid()).into()),
                    "group" => found.map(|it| self.name("etc/group", it.gid()).into()),
                    "target" if wish.is("hard") => {
                        let other = wished.as_ref().and_then(Value::as_str).unwrap();
                        let other = self.0.join(other.trim_start_matches('/'));
                        let is_same = fs::metadata(other).unwrap().ino() == found.unwrap().ino();
                        is_same.then(|| wished.clone().unwrap())
                    }
                    "target" => {
                        let target = fs::read_link(&lies).ok();
                        target.map(|target| target.display().to_string().into())
                    }
                    "state" if wish.is("touched") => continue,
                    "state" => Some(kind(found, wish).into()),
                    // An entry of an archive that was unpacked here.
                    entry if wish.attributes.contains_key("entries") && !is_count(entry) => {
                        let entry = lies.join(entry).symlink_metadata().ok();
                        let wished = wished.as_ref().and_then(Value::as_str).unwrap();
                        let kind = kind(entry.as_ref(), wish);
                        let is_same = wished.starts_with(kind) || kind == "hard";
                        assert!(
                            is_same,
                            "{kind} for {wished}: {name} below {}",
                            path.display()
                        );
                        continue;
                    }
                    _ => continue,
                };
                same(name, is, wished.as_ref());
            }
        }
        compared
    }

    /// Where a path leads on this host, with what the plan has done to links by then.
    fn resolved(&self, told: &Told, path: &Path, follow_last: bool) -> PathBuf {
        let mut done = PathBuf::from("/");
        let mut parts: Vec<String> = Vec::new();
        let words = |path: &Path| -> Vec<String> {
            let parts = path.components().rev().filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
                Component::ParentDir => Some("..".to_owned()),
                _ => None,
            });
            parts.collect()
        };
        parts.extend(words(path));
        while let Some(part) = parts.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            if parts.is_empty() && !follow_last {
                break;
            }
            let target = match told.get(&done).filter(|wish| !wish.is("hard")) {
                Some(wish) if wish.attributes.contains_key("target") => {
                    let target = wish.attributes["target"].as_ref();
                    target.and_then(Value::as_str).map(PathBuf::from)
                }
                Some(wish) if wish.attributes.contains_key("state") => None,
                _ => fs::read_link(self.0.join(done.strip_prefix("/").unwrap())).ok(),
            };
            if let Some(target) = target {
                done.pop();
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                parts.extend(words(&target));
            }
        }
        done
    }

    /// An account's name by its number.
    fn name(&self, database: &str, number: u32) -> String {
        let text = fs::read_to_string(self.0.join(database)).unwrap();
        let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let found = lines.find(|fields| fields.get(2) == Some(&number.to_string().as_str()));
        found.map_or(number.to_string(), |fields| fields[0].to_owned())
    }

    /// Everything below some directories: kind, mode, owner, names, and the content's hash or the target.
    pub(crate) fn picture(&self, below: &[&str]) -> BTreeMap<PathBuf, String> {
        let mut picture = BTreeMap::new();
        let mut ahead: Vec<PathBuf> = below.iter().map(PathBuf::from).collect();
        while let Some(path) = ahead.pop() {
            let lies = self.0.join(path.strip_prefix("/").unwrap());
            let found = lies.symlink_metadata().unwrap();
            let what = if found.is_dir() {
                let names = fs::read_dir(&lies)
                    .unwrap()
                    .map(|it| it.unwrap().file_name());
                ahead.extend(names.map(|name| path.join(name)));
                "directory".to_owned()
            } else if found.is_symlink() {
                "link".to_owned()
            } else {
                let hash = hex::encode(Sha1::digest(fs::read(&lies).unwrap()));
                format!("{} bytes {hash}", found.len())
            };
            let mode = found.mode() & 0o7777;
            let line = format!("{mode:04o} {}:{} {what}", found.uid(), found.gid());
            picture.insert(path, line);
        }
        picture
    }
}

impl Wish {
    fn is(&self, state: &str) -> bool {
        let is = self.attributes.get("state").and_then(Option::as_ref);
        is.and_then(Value::as_str) == Some(state)
    }
}

fn is_count(name: &str) -> bool {
    matches!(name, "entries" | "further entries")
}

fn kind(found: Option<&fs::Metadata>, wish: &Wish) -> &'static str {
    match found {
        None => "absent",
        Some(found) if found.is_dir() => "directory",
        Some(found) if found.is_symlink() => "link",
        Some(found) if found.nlink() > 1 && wish.is("hard") => "hard",
        Some(_) => "file",
    }
}

/// What the last `find` of a run or plan saw on a host, in the words of [`Root::picture`].
pub(crate) fn looked(events: &[Event], host: &str) -> BTreeMap<PathBuf, String> {
    let results = events.iter().rev().filter_map(|event| event.kind.result());
    let of_host = |module: &str, of: &str| module == "find" && of == host;
    let mut finds = results.filter(|(of, task, ..)| of_host(&task.module, of));
    let (.., result) = finds.next().expect("a find");
    let files = result.data["files"].as_sequence().unwrap();
    let entry = |file: &Value| {
        let text = |key: &str| file[key].as_str().unwrap_or_default();
        let what = if file["isdir"].as_bool() == Some(true) {
            "directory".to_owned()
        } else if file["islnk"].as_bool() == Some(true) {
            "link".to_owned()
        } else {
            format!(
                "{} bytes {}",
                file["size"].as_u64().unwrap(),
                text("checksum")
            )
        };
        let (uid, gid) = (file["uid"].as_u64().unwrap(), file["gid"].as_u64().unwrap());
        let line = format!("{} {uid}:{gid} {what}", text("mode"));
        (PathBuf::from(text("path")), line)
    };
    files.iter().map(entry).collect()
}

/// The events of the newest record in a directory.
pub(crate) fn newest_record(directory: &Path) -> Vec<Event> {
    let runs = directory.join(".krun/runs");
    let names: BTreeSet<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    let newest = names.iter().max_by_key(|path| {
        path.join("run.json")
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
    });
    let text = fs::read_to_string(newest.unwrap().join("events.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
