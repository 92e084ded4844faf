//! Turns the sources into the list of places where they break the rules of `ARCHITECTURE.md`. Needs no hosts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use krun::modules::{self, Nature};

/// Who may use whom; a part may always use itself. In `ARCHITECTURE.md` the same table stands with its reasons.
const MAY_USE: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("value", &[]),
    ("sys", &[]),
    ("yaml", &["diag", "value"]),
    ("vault", &["diag", "value", "yaml"]),
    ("template", &["diag", "value", "yaml"]),
    ("inventory", &["diag", "yaml", "value", "vault"]),
    ("playbook", &["diag", "yaml", "value", "modules"]),
    ("facts", &["sys", "value"]),
    ("kafka", &["sys", "value"]),
    (
        "modules",
        &["diag", "yaml", "value", "sys", "kafka", "facts"],
    ),
    ("proto", &["value", "facts", "modules", "sys"]),
    ("artifacts", &["sys"]),
    ("agent", &["value", "proto", "facts", "modules", "sys"]),
    (
        "plan",
        &[
            "diag",
            "yaml",
            "value",
            "inventory",
            "playbook",
            "template",
            "modules",
        ],
    ),
    ("transport", &["value", "inventory", "proto"]),
    ("event", &["diag", "value", "modules"]),
    (
        "run",
        &[
            "diag",
            "value",
            "yaml",
            "vault",
            "inventory",
            "playbook",
            "template",
            "modules",
            "facts",
            "proto",
            "plan",
            "transport",
            "event",
            "artifacts",
        ],
    ),
    ("record", &["value", "event"]),
    ("report", &["diag", "value", "modules", "event"]),
    ("review", &["event", "modules", "value", "report"]),
    ("lab", &["plan", "run", "transport", "report", "value"]),
    (
        "rehearse",
        &[
            "diag",
            "yaml",
            "value",
            "inventory",
            "playbook",
            "plan",
            "modules",
            "sys",
            "kafka",
            "transport",
            "event",
            "run",
            "report",
            "lab",
        ],
    ),
];

/// Parts that may use every other.
const ABOVE_ALL: &[&str] = &["cli", "main", "lib"];

/// A crate that only these paths may name, each the beginning of a path below `src`.
const CRATES: &[(&str, &[&str])] = &[
    (
        "tokio",
        &["transport/", "run/", "lab/", "rehearse/", "cli/"],
    ),
    ("russh", &["transport/ssh/"]),
    ("petgraph", &["plan/graph.rs", "run/queue.rs"]),
    ("similar", &["report/diff.rs"]),
    ("clap", &["cli/", "canary/"]),
    ("rdkafka", &["canary/"]),
];

/// Lines of the longest file.
const LONGEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`: its path from the repository's root, and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(folder)];
    while let Some(path) = waiting.pop() {
        if path.ends_with("tests/fuzz/target") {
            continue;
        }
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|it| it == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            found.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// All Rust files of the repository.
fn everything() -> Vec<(String, String)> {
    ["src", "tests", "benches"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

/// Unit tests may lean on any part.
fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

/// The part of krun that a file below `src` belongs to; the canary is a program of its own.
fn part(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap();
    inside.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The lines of code: no comments, and nothing from the unit tests on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line))
}

/// The first name after each `prefix` in a line, where `prefix` begins a word.
fn names_after<'t>(line: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let begins =
            !line[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':');
        let rest = &line[at + prefix.len()..];
        let end = rest
            .find(|it: char| !it.is_ascii_lowercase() && it != '_')
            .unwrap_or(rest.len());
        begins.then_some(&rest[..end])
    })
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn parts_use_only_the_parts_that_they_may_use() {
    let parts: BTreeSet<&str> = MAY_USE.iter().map(|(part, _)| *part).collect();
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let part = part(&path);
        if is_test(&path) || part == "canary" || ABOVE_ALL.contains(&part) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == part) else {
            faults.push(format!("{path}: `{part}` is not in the table of parts"));
            continue;
        };
        for (number, line) in code(&text) {
            for used in names_after(line, "crate::") {
                let known = parts.contains(used) || ABOVE_ALL.contains(&used);
                if known && used != part && !allowed.contains(&used) {
                    faults.push(format!("{path}:{number}: `{part}` may not use `{used}`"));
                }
            }
            if line.contains("crate::{") {
                faults.push(format!("{path}:{number}: one `use crate::part` a line"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        if is_test(&path) {
            continue;
        }
        let inside = path.strip_prefix("src/").unwrap();
        for (name, places) in CRATES {
            if places.iter().any(|place| inside.starts_with(place)) {
                continue;
            }
            let prefix = format!("{name}::");
            for (number, line) in code(&text) {
                if names_after(line, &prefix).next().is_some() {
                    faults.push(format!("{path}:{number}: `{name}` is not for this part"));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let mut faults = Vec::new();
    for (path, text) in everything() {
        // Unit tests beside their file need no sentence: the file has it.
        if !is_test(&path) && !text.starts_with("//! ") {
            faults.push(format!("{path}: does not begin with `//! `"));
        }
    }
    assert_none(&faults);
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let mut faults = Vec::new();
    for (path, text) in everything() {
        let lines = text.lines().count();
        if lines > LONGEST {
            faults.push(format!(
                "{path}: {lines} lines; split it by idea (at most {LONGEST})"
            ));
        }
    }
    assert_none(&faults);
}

#[test]
fn every_test_file_is_compiled() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    let modules: BTreeSet<&str> = main
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let files: Vec<PathBuf> = fs::read_dir(root().join("tests/it"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let is_module = file.is_dir() || file.extension().is_some_and(|it| it == "rs");
        assert!(
            name == "main" || !is_module || modules.contains(name),
            "`mod {name};` is missing in tests/it/main.rs"
        );
    }
}

#[test]
fn what_prints_or_ends_the_process_is_cli_and_report() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        if is_test(&path) || ["cli", "report", "main", "canary"].contains(&part(&path)) {
            continue;
        }
        for (number, line) in code(&text) {
            for word in [
                "println!(",
                "print!(",
                "eprint!(",
                "process::exit(",
                "env::var(",
                "env::var_os(",
            ] {
                if line.contains(word) {
                    faults.push(format!("{path}:{number}: `{word}…)` is for cli and report"));
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_list_of_actions_in_the_architecture_is_the_list_of_actions() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let listed: BTreeSet<&str> = text
        .lines()
        .find_map(|line| line.strip_prefix("Actions: "))
        .expect("a line `Actions: …`")
        .trim_end_matches('.')
        .split(", ")
        .map(|name| name.trim_matches('`'))
        .collect();
    let actions: BTreeSet<&str> = modules::entries()
        .filter(|entry| entry.nature == Nature::Action)
        .map(|entry| entry.name)
        .collect();
    assert_eq!(listed, actions);
}
