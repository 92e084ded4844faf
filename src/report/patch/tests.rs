//! What git makes of our patches: it applies them, and the result is what was shown.

use super::super::example;
use super::*;
use crate::event::{EventKind, Stats, Status};
use proptest::prelude::*;
use std::path::Path;
use std::process::{Command, Stdio};

/// Applies a patch with git in a directory.
fn git_apply(dir: &Path, patch: &str) -> Result<(), String> {
    use std::io::Write as _;
    let mut git = Command::new("git")
        .args(["apply", "--whitespace=nowarn", "--verbose", "-"])
        .current_dir(dir)
        .env("GIT_CEILING_DIRECTORIES", dir)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin
        .take()
        .unwrap()
        .write_all(patch.as_bytes())
        .unwrap();
    let output = git.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn story(diffs: Vec<Diff>) -> Story {
    let task = example::task("Change", 1);
    let mut kinds: Vec<EventKind> = diffs
        .into_iter()
        .map(|diff| EventKind::TaskEnded {
            host: "a".into(),
            task: task.clone(),
            result: example::result(Status::Changed, vec![diff]),
        })
        .collect();
    kinds.push(EventKind::RunEnded {
        stats: [("a".into(), Stats::default())].into_iter().collect(),
        elapsed_ms: 1,
    });
    Story::of(&example::timed(kinds))
}

#[test]
fn a_plan_is_a_patch_with_a_directory_for_each_host() {
    insta::assert_snapshot!(draw(&Story::of(&example::plan())));
}

#[test]
fn files_links_modes_and_odd_names_apply() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join("a").join(path);
    std::fs::create_dir_all(at("etc")).unwrap();
    std::fs::write(at("etc/x"), "1\n2").unwrap();
    std::fs::write(at("etc/mode"), "same\n").unwrap();
    std::os::unix::fs::symlink("old", at("link")).unwrap();
    std::os::unix::fs::symlink("old", at("gone")).unwrap();
    let diffs = vec![
        Diff::new("/etc/x").bytes(Some(b"1\n2"), Some(b"1\n3\n")),
        // A second task goes on where the first stopped.
        Diff::new("/etc/x").bytes(Some(b"1\n3\n"), Some(b"1\n3\n4\n")),
        Diff::new("/etc/new file \"é\"")
            .bytes(None, Some(b"text\n"))
            .attribute("mode", None, Some("0755".into())),
        Diff::new("/etc/empty").bytes(None, Some(b"")),
        Diff::new("/etc/mode").attribute("mode", Some("0644".into()), Some("0755".into())),
        Diff::new("/link").attribute("target", Some("old".into()), Some("new".into())),
        Diff::new("/made").attribute("target", None, Some("x".into())),
        Diff::new("/gone").attribute("target", Some("old".into()), None),
        Diff::new("/etc/dir")
            .attribute("state", Some("absent".into()), Some("directory".into()))
            .attribute("mode", None, Some("0755".into())),
        Diff::new("unit kafka").attribute("state", Some("active".into()), Some("inactive".into())),
        Diff::new("/bin/x").bytes(Some(b"\0"), Some(b"\x01\0")),
    ];
    let patch = draw(&story(diffs));
    git_apply(dir.path(), &patch).unwrap_or_else(|said| panic!("{said}\n{patch}"));
    assert_eq!(std::fs::read_to_string(at("etc/x")).unwrap(), "1\n3\n4\n");
    assert_eq!(
        std::fs::read_to_string(at("etc/new file \"é\"")).unwrap(),
        "text\n"
    );
    assert_eq!(std::fs::read_to_string(at("etc/empty")).unwrap(), "");
    assert_eq!(std::fs::read_link(at("link")).unwrap(), Path::new("new"));
    assert_eq!(std::fs::read_link(at("made")).unwrap(), Path::new("x"));
    assert!(at("gone").symlink_metadata().is_err());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&at("etc/mode").metadata().unwrap().permissions());
    assert_eq!(mode & 0o111, 0o111);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn git_turns_the_old_text_into_the_new_one(
        before in "([a-c]{0,3}(\n|\r\n|\r|\u{85}|\t)){0,12}[ab]{0,2}",
        after in "([a-c]{0,3}(\n|\r\n|\r|\u{85}|\t)){0,12}[ab]{0,2}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        let path = dir.path().join("a/file");
        std::fs::write(&path, &before).unwrap();
        let diff = Diff::new("/file").bytes(Some(before.as_bytes()), Some(after.as_bytes()));
        let patch = draw(&story(vec![diff]));
        if before != after {
            git_apply(dir.path(), &patch).map_err(|said| TestCaseError::fail(format!("{said}\n{patch}")))?;
        }
        prop_assert_eq!(std::fs::read(&path).unwrap(), after.as_bytes());
    }
}
