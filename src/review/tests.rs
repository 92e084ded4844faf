use super::markdown::draw_within;
use super::*;
use crate::report::parts;

fn texts(host: &str, before: &str, after: &str) -> (HostName, Diff) {
    let diff = Diff::new("/etc/a").bytes(Some(before.as_bytes()), Some(after.as_bytes()));
    (HostName::from(host), diff)
}

/// As a review holds them.
fn parts(diffs: &[(HostName, Diff)]) -> Vec<Part> {
    let parts = parts::parts(diffs).into_iter();
    parts.map(Part::from).collect()
}

fn names(part: &Part) -> Vec<&str> {
    part.hosts.iter().map(|host| &**host).collect()
}

#[test]
fn hosts_whose_files_differ_elsewhere_share_the_same_change() {
    let found = parts(&[
        texts("a", "id=1\nx=1\n", "id=1\nx=2\n"),
        texts("b", "id=2\nx=1\n", "id=2\nx=2\n"),
    ]);
    assert_eq!(found.len(), 1);
    assert_eq!(names(&found[0]), ["a", "b"]);
}

#[test]
fn a_change_of_one_host_alone_stands_beneath_what_all_share() {
    let found = parts(&[
        texts("a", "x=1\ny=1\nz=1\n", "x=2\ny=1\nz=2\n"),
        texts("b", "x=1\ny=1\nz=1\n", "x=2\ny=1\nz=1\n"),
    ]);
    let shown: Vec<_> = found
        .iter()
        .map(|part| (names(part), part.diffs[0].content.clone()))
        .collect();
    let text = |before: &str, after: &str| {
        Some(crate::modules::diff::Content::Text {
            before: before.into(),
            after: after.into(),
        })
    };
    assert_eq!(
        shown,
        [
            (vec!["a", "b"], text("x=1\ny=1\nz=1\n", "x=2\ny=1\nz=1\n")),
            (vec!["a"], text("x=2\ny=1\nz=1\n", "x=2\ny=1\nz=2\n")),
        ]
    );
}

#[test]
fn a_comment_is_cut_honestly_between_entries() {
    let entry = |n: usize| Entry {
        title: format!("/etc/{n}"),
        place: None,
        parts: parts(&[texts("a", "old\n", &"new\n".repeat(50))]),
    };
    let review = Review {
        sections: vec![Section {
            title: compare::FILES,
            entries: (0..20).map(entry).collect(),
        }],
        ..Review::default()
    };
    let whole = draw_within(&review, 1 << 20);
    assert!(!whole.contains("Cut here"));
    let cut = draw_within(&review, 3000);
    assert!(cut.len() <= 3000, "{}", cut.len());
    let shown = cut.matches("<details>").count();
    assert!(
        shown > 0 && cut.contains(&format!("**Cut here**: {} differences more", 20 - shown)),
        "{cut}"
    );
    assert_eq!(shown, cut.matches("</details>").count());
}
