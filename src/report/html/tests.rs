//! The page is well-formed, needs nothing else, and shows all parts.

use super::super::example;
use super::*;

#[test]
fn the_page_needs_nothing_else_and_no_script() {
    let page = draw(&Story::of(&example::plan()));
    for outside in ["<script", "href=\"http", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in [
        "id=\"changes\"",
        "id=\"timeline\"",
        "id=\"graph\"",
        "<svg",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("Switch &lt;the&gt; link"));
    assert!(
        page.contains("log.retention.hours=<em>"),
        "words are marked"
    );
}

#[test]
fn every_element_is_closed_in_its_order() {
    let page = draw(&Story::of(&example::plan()));
    let mut open: Vec<String> = Vec::new();
    for tag in page
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(tag, _)| tag)
    {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        if tag.starts_with('!') || tag.ends_with('/') || matches!(name.as_str(), "meta" | "br") {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "in {tag}");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_diff_marks_words_and_says_what_is_new() {
    let drawn = diff(&example::settings(1));
    insta::assert_snapshot!(drawn);
}
