use super::*;
use proptest::prelude::*;

fn wishes(list: &[(&str, Option<&str>)]) -> Wishes {
    list.iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
        .collect()
}

fn pairs(text: &str) -> Vec<(String, String)> {
    parse(text).into_iter().collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

#[test]
fn equals_colon_and_space_all_end_a_key() {
    let text = "a=1\nb: 2\nc 3\n  d = x = y\ne\nf:\n";
    assert_eq!(
        pairs(text),
        [
            pair("a", "1"),
            pair("b", "2"),
            pair("c", "3"),
            pair("d", "x = y"),
            pair("e", ""),
            pair("f", "")
        ]
    );
}

#[test]
fn a_backslash_continues_a_line_and_an_even_number_does_not() {
    assert_eq!(
        pairs("fruits = apple, \\\n   pear, \\\r\n  plum\ndir=C:\\\\\nnext=1"),
        [
            pair("fruits", "apple, pear, plum"),
            pair("dir", "C:\\"),
            pair("next", "1")
        ]
    );
    assert_eq!(pairs("a=1\\\n\nb=2\n"), [pair("a", "1"), pair("b", "2")]);
    assert_eq!(pairs("a=1\\"), [pair("a", "1")]);
}

#[test]
fn a_comment_begins_only_where_a_logical_line_begins() {
    assert_eq!(
        pairs("# x\\\na=1 # not a comment\n ! y=2\nb=1,\\\n# 2\n"),
        [pair("a", "1 # not a comment"), pair("b", "1,# 2")]
    );
}

#[test]
fn escapes_are_those_of_java() {
    assert_eq!(
        pairs("a\\ b\\=c=\\t\\u00e9\\q\\ud83d\\ude00\n"),
        [pair("a b=c", "\té\u{71}\u{1f600}")]
    );
}

#[test]
fn of_a_key_that_stands_twice_the_last_one_counts() {
    assert_eq!(pairs("a=1\nb=2\na=3\n"), [pair("a", "3"), pair("b", "2")]);
    assert_eq!(
        edit("a=1\nb=2\na=3\n", &wishes(&[("a", Some("4"))]), None),
        "a=1\nb=2\na=4\n"
    );
    assert_eq!(
        edit("a=1\nb=2\na=3\n", &wishes(&[("a", None)]), None),
        "b=2\n"
    );
    assert_eq!(
        edit("a=1\na=3\n", &wishes(&[("a", Some("3"))]), None),
        "a=1\na=3\n"
    );
}

#[test]
fn other_lines_stay_byte_for_byte() {
    let text = "# Kafka\r\n\r\nbroker.id : 1\r\n  log.dirs =\t/data\r\n! 끝";
    assert_eq!(
        edit(text, &wishes(&[("log.dirs", Some("/other"))]), None),
        text.replace("/data", "/other")
    );
    assert_eq!(edit(text, &wishes(&[("broker.id", Some("1"))]), None), text);
}

#[test]
fn a_continued_value_is_rewritten_as_one_line() {
    assert_eq!(
        edit("a=1,\\\n  2\nb=3\n", &wishes(&[("a", Some("7"))]), None),
        "a=7\nb=3\n"
    );
    assert_eq!(
        edit("a\nb=3\n", &wishes(&[("a", Some("7"))]), None),
        "a=7\nb=3\n"
    );
}

#[test]
fn pins_come_under_their_marker_and_go_with_it() {
    let before = "broker.id=1\n";
    let pins = wishes(&[("ibp", Some("2.1")), ("lmf", Some("2.1"))]);
    let pinned = edit(before, &pins, Some("added by krun"));
    assert_eq!(pinned, "broker.id=1\n# added by krun\nibp=2.1\nlmf=2.1\n");
    let once = edit(&pinned, &wishes(&[("ibp", None)]), Some("added by krun"));
    assert_eq!(once, "broker.id=1\n# added by krun\nlmf=2.1\n");
    let again = edit(&once, &wishes(&[("x", Some("1"))]), Some("added by krun"));
    assert_eq!(again, "broker.id=1\n# added by krun\nlmf=2.1\nx=1\n");
    let unpinned = edit(
        &pinned,
        &wishes(&[("ibp", None), ("lmf", None)]),
        Some("added by krun"),
    );
    assert_eq!(unpinned, before);
}

#[test]
fn a_text_without_a_last_line_ending_gets_one_before_new_keys() {
    assert_eq!(
        edit("a=1", &wishes(&[("b", Some("2"))]), None),
        "a=1\nb=2\n"
    );
    assert_eq!(edit("", &wishes(&[("b", Some("2"))]), None), "b=2\n");
}

#[test]
fn what_stands_under_a_marker_goes_with_it_and_nothing_else_does() {
    let text = "a=1\n# pins\nb=2\nc=3,\\\n  4\n\nd=5\n# pins of mine\ne=6\nf=7,\\\n# pins\ng=8\n";
    assert_eq!(
        without_marked(text, "pins"),
        "a=1\n\nd=5\n# pins of mine\ne=6\nf=7,\\\n# pins\ng=8\n"
    );
    assert_eq!(without_marked("a=1\nb=2", "pins"), "a=1\nb=2");
    assert_eq!(without_marked("a=1\n# pins\n", "pins"), "a=1\n");
}

#[test]
fn what_was_appended_behind_a_block_keeps_its_own_line() {
    let pinned = edit("a=1", &wishes(&[("b", Some("2"))]), Some("pins"));
    assert_eq!(without_marked(&pinned, "pins"), "a=1");
    assert_eq!(
        without_marked(&format!("{pinned}\nc=3\n"), "pins"),
        "a=1\n\nc=3\n"
    );
}

#[test]
fn a_value_that_begins_like_a_separator_stays_whole() {
    let edited = edit("a b", &wishes(&[("a", Some("=c"))]), None);
    assert_eq!(edited, "a \\=c");
    assert_eq!(parse(&edited)["a"], "=c");
}

proptest! {
    #[test]
    fn what_was_added_under_a_marker_is_taken_back_byte_for_byte(
        text in "[a-c=: \\\\\n\r#!x]{0,60}|([a-c=]{1,3}\r\n){0,3}[a-c\\\\]{0,3}[\\\\\r\n]{0,4}",
        keys in proptest::collection::vec(("[d-h]{1,3}", "\\PC{0,6}|[ \\\\\n\t:=#]{0,5}"), 1..4),
    ) {
        let wishes: Wishes = keys.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let pinned = edit(&text, &wishes, Some("pins"));
        prop_assert_eq!(without_marked(&pinned, "pins"), &*text, "from {:?}", pinned);
        prop_assert_eq!(without_marked(&text, "pins"), text);
    }

    #[test]
    fn what_was_wished_is_read_back(
        text in "[a-c=: \\\\\n\r#!x]{0,60}",
        keys in proptest::collection::vec(("[a-d =:#\\\\\u{e9}]{1,4}", proptest::option::of("\\PC{0,6}|[ \\\\\n\t:=#]{0,5}")), 1..4),
    ) {
        let wishes: Wishes = keys.into_iter().collect();
        let before = parse(&text);
        let edited = edit(&text, &wishes, Some("marker"));
        let after = parse(&edited);
        for (key, wish) in &wishes {
            prop_assert_eq!(after.get(key), wish.as_ref(), "of {:?} in {:?}", key, edited);
        }
        for (key, value) in before.iter().filter(|(key, _)| !wishes.contains_key(*key)) {
            prop_assert_eq!(after.get(key), Some(value), "of {:?} in {:?} from {:?}", key, &edited, &text);
        }
        prop_assert_eq!(edit(&edited, &wishes, Some("marker")), edited);
    }
}
