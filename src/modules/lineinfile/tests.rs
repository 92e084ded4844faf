use crate::modules::trial::{Host, shown};
use std::path::Path;

fn host() -> Host {
    Host::with("lineinfile", &[("/f", "a=1\nb=2\nc=3\n"), ("/cut", "a\nb")])
}

/// Runs on a fresh file and returns what it became; a second run has nothing to do.
fn becomes(args: &str) -> String {
    let host = host();
    host.converges(&format!("{{path: /f, {args}}}"));
    host.text("/f")
}

#[test]
fn a_matching_line_is_replaced_and_else_the_line_is_added() {
    assert_eq!(becomes("regexp: '^b=', line: b=9"), "a=1\nb=9\nc=3\n");
    assert_eq!(becomes("regexp: '^b=2$', line: b=2"), "a=1\nb=2\nc=3\n");
    assert_eq!(becomes("regexp: '^d=', line: d=4"), "a=1\nb=2\nc=3\nd=4\n");
    assert_eq!(becomes("line: b=2"), "a=1\nb=2\nc=3\n");
    assert_eq!(becomes("line: d=4"), "a=1\nb=2\nc=3\nd=4\n");
    assert_eq!(becomes("search_string: 'b=', line: b=9"), "a=1\nb=9\nc=3\n");
}

#[test]
fn the_last_match_counts_unless_the_first_is_asked_for() {
    // Only the replaced line decides: it must itself match no longer to stay put.
    let host = host();
    host.run("{path: /f, regexp: '=', line: x}").unwrap();
    assert_eq!(host.text("/f"), "a=1\nb=2\nx\n");
    host.run("{path: /f, regexp: '=', line: y, firstmatch: yes}")
        .unwrap();
    assert_eq!(host.text("/f"), "y\nb=2\nx\n");
}

#[test]
fn a_new_line_goes_where_it_is_told() {
    assert_eq!(becomes("line: x, insertafter: '^a'"), "a=1\nx\nb=2\nc=3\n");
    assert_eq!(becomes("line: x, insertbefore: '^c'"), "a=1\nb=2\nx\nc=3\n");
    assert_eq!(becomes("line: x, insertbefore: BOF"), "x\na=1\nb=2\nc=3\n");
    assert_eq!(becomes("line: x, insertafter: EOF"), "a=1\nb=2\nc=3\nx\n");
    assert_eq!(becomes("line: x, insertafter: none"), "a=1\nb=2\nc=3\nx\n");
    assert_eq!(
        becomes("line: x, insertafter: '=', firstmatch: yes"),
        "a=1\nx\nb=2\nc=3\n"
    );
    assert_eq!(
        becomes("regexp: '^d', line: d=4, insertafter: '^a'"),
        "a=1\nd=4\nb=2\nc=3\n"
    );
}

#[test]
fn groups_are_filled_in_and_without_a_match_nothing_happens() {
    assert_eq!(
        becomes("regexp: '^(b)=(\\d)$', line: '\\1=\\g<2>\\2', backrefs: yes, firstmatch: yes"),
        "a=1\nb=22\nc=3\n"
    );
    assert_eq!(
        becomes("regexp: '^(z)=', line: '\\1=0', backrefs: yes"),
        "a=1\nb=2\nc=3\n"
    );
}

#[test]
fn absent_takes_all_that_match() {
    assert_eq!(becomes("state: absent, regexp: '^[ab]='"), "c=3\n");
    assert_eq!(becomes("state: absent, line: b=2"), "a=1\nc=3\n");
    assert_eq!(becomes("state: absent, search_string: '='"), "");
    assert_eq!(becomes("state: absent, line: none"), "a=1\nb=2\nc=3\n");
    let outcome = host().run("{path: /none, state: absent, line: x}").unwrap();
    assert_eq!(outcome.msg.as_deref(), Some("file not present"));
}

#[test]
fn a_last_line_without_an_end_gets_one_first() {
    let host = host();
    host.converges("{path: /cut, line: c}");
    assert_eq!(host.text("/cut"), "a\nb\nc\n");
}

#[test]
fn a_file_is_made_only_if_told_to() {
    let host = host();
    assert_eq!(host.fails("{path: /new, line: x}"), "`/new` does not exist");
    let outcome = host.converges("{path: /new, line: x, create: yes, mode: '0600'}");
    assert_eq!(
        shown(&outcome),
        "/new: \"\" -> \"x\\n\"\n/new: mode  -> 0600"
    );
    assert_eq!(outcome.msg.as_deref(), Some("line added"));
}

#[test]
fn a_link_is_followed_and_stays() {
    let host = host();
    host.sys.symlink(Path::new("/f"), Path::new("/l")).unwrap();
    host.converges("{path: /l, regexp: '^a', line: a=9}");
    assert!(host.lstat("/l").is_link());
    assert_eq!(host.text("/f"), "a=9\nb=2\nc=3\n");
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let host = host();
    host.write("/latin", b"caf\xe9=1\nb=2\n");
    host.converges("{path: /latin, regexp: '^b', line: 'b=\u{e9}'}");
    assert_eq!(
        host.sys.read(Path::new("/latin")).unwrap(),
        b"caf\xe9=1\nb=\xc3\xa9\n"
    );
}

#[test]
fn arguments_that_exclude_each_other_are_named() {
    let fails = |args: &str| host().fails(&format!("{{path: /f, {args}}}"));
    assert_eq!(fails("state: present"), "`line` is needed");
    assert_eq!(fails("line: x, backrefs: yes"), "`backrefs` needs `regexp`");
    assert_eq!(
        fails("line: x, insertafter: a, insertbefore: b"),
        "`insertafter` and `insertbefore` exclude each other"
    );
}

#[test]
fn a_copy_that_was_not_needed_has_an_empty_name() {
    let host = Host::with("lineinfile", &[("/a", "x\n")]);
    let outcome = host.run("{path: /a, line: x, backup: yes}").unwrap();
    assert!(!outcome.changed);
    assert_eq!(outcome.data["backup"], "");
}
