//! What a plan says of a path is, byte for byte, what lies there after the run.

use super::support::Play;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CHAINS: &str = r#"
- hosts: a
  gather_facts: false
  vars: {root: "{{ dir }}/root"}
  tasks:
    - name: a copy and edits of it
      copy: dest={{ root }}/app.conf content="one=1\ntwo=2\n" mode=0640
      notify: say
    - lineinfile: path={{ root }}/app.conf regexp=^two= line=two=3
    - blockinfile: path={{ root }}/app.conf block=three=3
    - replace: path={{ root }}/app.conf regexp=one=1 replace=one=11
    - properties: {path: "{{ root }}/app.conf", set: {four: '4'}}
    - name: a tree and a template into it
      unarchive: src={{ root }}/app.tgz dest={{ root }} remote_src=yes
    - template: src=settings.j2 dest={{ root }}/app-2/settings mode=0600
    - name: a directory and what goes into it
      file: path={{ root }}/conf.d/deep state=directory mode=0750
    - copy: src=tree/ dest={{ root }}/conf.d/deep mode=0604
    - assemble: src={{ root }}/conf.d/deep dest={{ root }}/assembled remote_src=yes mode=0644
    - name: a link is switched, and an edit goes through it
      file: src=app-2 path={{ root }}/app state=link
    - lineinfile: path={{ root }}/app/settings line=more create=yes
    - copy: src={{ root }}/app/settings dest={{ root }}/copied remote_src=yes
    - name: no newline at the end, and bytes that are no text
      copy: dest={{ root }}/bare content=bare
    - copy: dest={{ root }}/binary src=binary
    - file: path={{ root }}/gone state=absent
    - file: src={{ root }}/bare path={{ root }}/hard state=hard
  handlers:
    - name: say
      copy: dest={{ root }}/said content="by a handler\n"
"#;

/// What is not compared, with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    ("times", "a plan is earlier than the run"),
    (
        "the content of binary files",
        "a plan shows their sizes, which are compared",
    ),
];

/// What the plan says of each path in the end: by attribute, the content as `content`.
fn end_state(document: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut found: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let outcomes = list(&document["plays"])
        .into_iter()
        .flat_map(|play| list(&play["outcomes"]));
    for diff in outcomes.flat_map(|outcome| list(&outcome["diffs"])) {
        let path = diff["subject"].as_str().unwrap().to_owned();
        // One file, whichever link leads there.
        let path = path.replace("/root/app/", "/root/app-2/");
        let known = found.entry(path).or_default();
        for one in list(&diff["attributes"]) {
            known.insert(
                one["name"].as_str().unwrap().to_owned(),
                one["after"].clone(),
            );
        }
        match diff["content"]["kind"].as_str() {
            Some("text") => drop(known.insert("content".into(), diff["content"]["after"].clone())),
            Some(_) => drop(known.insert("bytes".into(), diff["content"]["after_bytes"].clone())),
            None => {}
        }
    }
    found
}

#[test]
fn what_a_plan_says_of_a_path_is_what_lies_there_after_the_run() {
    for (what, why) in LEFT_OUT {
        println!("not compared: {what}: {why}");
    }
    let play = Play::new(CHAINS).args(&["--format", "json"]);
    play.file("settings.j2", "colour=blue\n");
    play.file("files/tree/a", "a\n");
    play.file("files/tree/b", "b\n");
    play.file("root/gone", "gone\n");
    play.file("pack/app-2/settings", "colour=white\n");
    play.file("pack/app-2/lib/x.jar", "jar");
    std::fs::write(play.file("files/binary", ""), [0, 159, 146, 150, 0]).unwrap();
    let packed = std::process::Command::new("tar")
        .args(["-czf", "root/app.tgz", "-C", "pack", "app-2"])
        .current_dir(play.path())
        .status();
    assert!(packed.unwrap().success());
    let plan = play.subcommand("plan");
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let planned = end_state(&serde_json::from_str(&plan.stdout).unwrap());
    let run = play.run();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let mut compared = 0;
    for (path, wished) in &planned {
        let found = Path::new(path).symlink_metadata().ok();
        for (name, value) in wished {
            let found = found.as_ref();
            let (is, wished) = match name.as_str() {
                "content" => (
                    std::fs::read_to_string(path).ok().map(Value::from),
                    value.clone(),
                ),
                "bytes" => (found.map(|found| found.len().into()), value.clone()),
                "mode" => (
                    found.map(|found| format!("{:04o}", found.mode() & 0o7777).into()),
                    value.clone(),
                ),
                // Another name of a file shows itself by the file's number.
                "target" if wished.get("state").and_then(Value::as_str) == Some("hard") => {
                    let number =
                        |path: &str| std::fs::metadata(path).ok().map(|it| it.ino().into());
                    (number(path), number(value.as_str().unwrap()).unwrap())
                }
                "target" => {
                    let target = std::fs::read_link(path).ok();
                    let target = target.map(|target| target.display().to_string().into());
                    (target, value.clone())
                }
                "state" => {
                    let state = found.map_or("absent", |found| match found.is_dir() {
                        true => "directory",
                        false if found.is_symlink() => "link",
                        false if found.nlink() > 1 => "hard",
                        false => "file",
                    });
                    (Some(state.into()), value.clone())
                }
                _ => continue,
            };
            assert_eq!(is, Some(wished), "{name} of {path}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{planned:#?}");
    // Nothing else was made.
    let root = play.path().join("root");
    for entry in std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let path = entry.display().to_string();
        let is_planned = planned.keys().any(|known| known.starts_with(&path));
        assert!(
            is_planned || path.ends_with("app.tgz"),
            "{path} was not in the plan"
        );
    }
}
