//! Diffs as a terminal shows them, and the rule that a diff loses nothing.

use super::*;
use proptest::prelude::*;

const PLAIN: Paint = Paint { colour: false };

#[test]
fn content_and_attributes_are_both_shown() {
    let diff = Diff::new("/etc/x")
        .bytes(Some(b"a=1\nb=2\n"), Some(b"a=1\nb=3\n"))
        .attribute("mode", Some("0644".into()), Some("0600".into()));
    insta::assert_snapshot!(draw(&diff, PLAIN), @r"
    /etc/x
      mode: 0644 → 0600
    --- before: /etc/x
    +++ after: /etc/x
    @@ -1,2 +1,2 @@
     a=1
    -b=2
    +b=3
    ");
}

#[test]
fn words_that_differ_are_shown_inverse_inside_their_line() {
    let diff = Diff::new("/etc/x").bytes(
        Some(b"log.retention.hours=72\n"),
        Some(b"log.retention.hours=168\n"),
    );
    let drawn = draw(&diff, Paint { colour: true });
    insta::assert_snapshot!(drawn.replace('\x1b', "^["), @r"
    ^[[1m--- before: /etc/x^[[0m
    ^[[1m+++ after: /etc/x^[[0m
    ^[[36m@@ -1 +1 @@^[[0m
    ^[[31m-^[[0m^[[31mlog.retention.hours=^[[0m^[[31m^[[7m72^[[0m^[[0m
    ^[[32m+^[[0m^[[32mlog.retention.hours=^[[0m^[[32m^[[7m168^[[0m^[[0m
    ");
}

#[test]
fn a_missing_newline_at_the_end_is_said() {
    let diff = Diff::new("/x").bytes(None, Some(b"a"));
    assert!(draw(&diff, PLAIN).contains(NO_NEWLINE));
    let diff = Diff::new("/x").bytes(Some(b"a\nb"), Some(b"a\nb\n"));
    insta::assert_snapshot!(draw(&diff, PLAIN), @r"
    --- before: /x
    +++ after: /x
    @@ -1,2 +1,2 @@
     a
    -b
    \ No newline at end of file
    +b
    ");
}

#[test]
fn a_carriage_return_and_an_escape_are_written_out() {
    let diff = Diff::new("/x").bytes(Some(b"a\r\n"), Some(b"a\x1b[2J\n"));
    insta::assert_snapshot!(draw(&diff, PLAIN), @r"
    --- before: /x
    +++ after: /x
    @@ -1 +1 @@
    -a^M
    +a^[[2J
    ");
}

#[test]
fn binary_content_shows_its_sizes() {
    let diff = Diff::new("/x").bytes(Some(b"\0\x01"), Some(b"\0"));
    insta::assert_snapshot!(draw(&diff, PLAIN), @r"
    /x
      content: binary: 2 bytes → 1 byte
    ");
}

/// Takes the hunks back to the text on one side, with what stands between them from that side.
fn side(hunks: &[Hunk], other: Sign) -> String {
    hunks
        .iter()
        .flat_map(|hunk| &hunk.lines)
        .filter(|line| line.sign != other)
        .map(|line| line.text() + if line.ends_with_newline { "\n" } else { "" })
        .collect()
}

proptest! {
    #[test]
    fn hunks_hold_every_line_that_differs(
        before in "([ab=]{0,2}(\n|\r\n|\r)?){0,6}",
        after in "([ab=]{0,2}(\n|\r\n|\r)?){0,6}",
    ) {
        // Texts this short are one hunk with all of their lines.
        let hunks = hunks(&before, &after);
        if before == after {
            prop_assert!(hunks.is_empty());
        } else if hunks.len() == 1 && before.lines().count() < 4 && after.lines().count() < 4 {
            prop_assert_eq!(side(&hunks, Sign::Added), before);
            prop_assert_eq!(side(&hunks, Sign::Removed), after);
        }
    }
}
