use crate::modules::trial::Host;
use crate::sys::fs::Time;
use crate::value::display;
use std::path::Path;

fn host() -> Host {
    let files = [
        ("/d/a.log", "error: x\n"),
        ("/d/b.log.1", "fine\n"),
        ("/d/.hidden.log", "error\n"),
        ("/d/sub/c.log", " error\n"),
        ("/d/sub/deep/e.log", "0123456789\n"),
    ];
    let host = Host::with("find", &files);
    let old = Time::from_seconds(Time::now().seconds - 90_000);
    let path = Path::new("/d/a.log");
    host.sys.set_times(path, None, Some(old)).unwrap();
    host.sys
        .symlink(Path::new("/d/sub"), Path::new("/d/link"))
        .unwrap();
    host
}

fn found(args: &str) -> String {
    let outcome = host().run(&format!("{{paths: /d, {args}}}")).unwrap();
    assert!(!outcome.changed);
    let files = outcome.data["files"].as_sequence().unwrap();
    assert_eq!(outcome.data["matched"], files.len());
    let paths = files.iter().map(|file| display(&file["path"]));
    paths.collect::<Vec<_>>().join(" ").replace("/d/", "")
}

#[test]
fn names_are_matched_by_pattern_and_by_regular_expression() {
    assert_eq!(found("patterns: '*.log'"), "a.log");
    assert_eq!(found("patterns: '*.log,*.1'"), "a.log b.log.1");
    assert_eq!(found("excludes: 'a*'"), "b.log.1");
    assert_eq!(
        found("patterns: '[ab]\\.log', use_regex: yes"),
        "a.log b.log.1"
    );
    assert_eq!(
        found("patterns: '.*log$', use_regex: yes, hidden: yes"),
        ".hidden.log a.log"
    );
}

#[test]
fn directories_are_searched_as_deep_as_told() {
    assert_eq!(
        found("recurse: yes, patterns: '*.log'"),
        "a.log sub/c.log sub/deep/e.log"
    );
    assert_eq!(
        found("recurse: yes, depth: 2, patterns: '*.log'"),
        "a.log sub/c.log"
    );
    assert_eq!(found("recurse: yes, file_type: directory"), "sub sub/deep");
    assert_eq!(found("file_type: link"), "link");
    assert_eq!(found("file_type: any"), "a.log b.log.1 link sub");
    assert_eq!(
        found("recurse: yes, follow: yes, patterns: c.log"),
        "link/c.log"
    );
    assert_eq!(found("limit: 1"), "a.log");
}

#[test]
fn age_size_mode_and_content_are_conditions() {
    assert_eq!(found("age: 1d"), "a.log");
    assert_eq!(found("age: -1d"), "b.log.1");
    assert_eq!(found("recurse: yes, size: 10"), "sub/deep/e.log");
    assert_eq!(found("size: -5"), "b.log.1");
    assert_eq!(found("recurse: yes, contains: error"), "a.log");
    assert_eq!(
        found("recurse: yes, contains: '\\s*error'"),
        "a.log sub/c.log"
    );
    assert_eq!(found("mode: '0600'"), "");
    assert_eq!(found("mode: '0644'"), "a.log b.log.1");
}

#[test]
fn a_path_that_is_no_directory_is_skipped_with_a_warning() {
    let outcome = host()
        .run("{paths: [/none, /d], get_checksum: yes}")
        .unwrap();
    assert_eq!(outcome.data["matched"], 2);
    assert_eq!(
        outcome.warnings,
        ["skipped `/none`, which is not a directory"]
    );
    let file = &outcome.data["files"][1];
    assert_eq!(file["checksum"], "a9e60c687da7d68a10a5e2d62ff1d01d2fee9f59");
}
