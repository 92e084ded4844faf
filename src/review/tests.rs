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

#[test]
fn a_file_of_many_hosts_leaves_room_for_what_stands_behind_it() {
    let many: Vec<_> = (0..200)
        .map(|n| texts(&format!("kafka{n:03}"), "x=1\n", &format!("x=1\nid={n}\n")))
        .collect();
    let entry = |title: &str, parts: Vec<Part>| Entry {
        title: title.to_owned(),
        place: None,
        parts,
    };
    let review = Review {
        sections: vec![Section {
            title: compare::FILES,
            entries: vec![
                entry("/etc/many", parts(&many)),
                entry("/etc/one", parts(&[texts("zk1", "old\n", "new\n")])),
            ],
        }],
        ..Review::default()
    };
    let cut = draw_within(&review, 6000);
    assert!(cut.len() <= 6000, "{}", cut.len());
    assert!(cut.contains("<b>/etc/one</b>"), "{cut}");
    let shown = cut.matches("+id=").count();
    assert!(shown > 0, "{cut}");
    let rest = format!("… and {} hosts: kafka{shown:03}–199", 200 - shown);
    assert!(cut.contains(&rest), "{cut}");
    assert!(
        cut.contains(&format!("**Cut here**: {} differences", 200 - shown)),
        "{cut}"
    );
}

#[test]
fn what_stands_around_a_shared_change_is_said_to_be_of_one_host() {
    let found = parts(&[
        texts("a", "id=1\nx=1\n", "id=1\nx=2\n"),
        texts("b", "id=2\nx=1\n", "id=2\nx=2\n"),
    ]);
    assert_eq!(
        found[0].notes,
        ["the lines around the change are those of a"]
    );
    let found = parts(&[texts("a", "x=1\n", "x=2\n"), texts("b", "x=1\n", "x=2\n")]);
    assert!(found[0].notes.is_empty());
}
