//! What a comment on a pull request looks like, and where it is cut.

use super::super::example;
use super::*;

#[test]
fn hosts_that_share_everything_share_a_fold() {
    insta::assert_snapshot!(draw(&Story::of(&example::plan())));
}

#[test]
fn what_is_too_long_is_cut_between_results_and_says_so() {
    let story = Story::of(&example::plan());
    let whole = draw(&story);
    for limit in [1300, 1600, 1900] {
        let cut = draw_within(&story, limit);
        assert!(cut.len() <= limit, "{limit}: {}", cut.len());
        assert!(cut.contains("**Cut here**: "), "{cut}");
        assert!(cut.contains("krun show 20260921-1"), "{cut}");
        assert_eq!(
            cut.matches("<details>").count(),
            cut.matches("</details>").count()
        );
        assert_eq!(cut.matches("```").count() % 2, 0);
        let head = &cut[..cut.find("**Cut here**").unwrap()];
        let head = head.trim_end().trim_end_matches("</details>").trim_end();
        assert!(whole.starts_with(head), "{head}");
    }
}

#[test]
fn thousands_of_changes_stay_within_the_limit() {
    let mut events = example::plan();
    let task = example::task("Many", 90);
    for n in 0..5000_usize {
        let mut diff = example::settings(n);
        diff.subject = format!("/etc/kafka/{n}.properties");
        events.push(crate::event::Event {
            at: 0,
            kind: crate::event::EventKind::TaskEnded {
                host: format!("host{n}-x").as_str().into(),
                task: task.clone(),
                result: example::result(Status::Changed, vec![diff]),
            },
        });
    }
    let drawn = draw(&Story::of(&events));
    assert!(drawn.chars().count() <= 65_536);
    assert!(drawn.len() > 60_000, "{}", drawn.len());
}

#[test]
fn a_fence_is_longer_than_any_in_the_text() {
    let diff = Diff::new("/x.md").bytes(None, Some(b"````\na\n````\n"));
    let drawn = one_diff(&diff);
    assert!(drawn.contains("\n`````diff\n"), "{drawn}");
}
