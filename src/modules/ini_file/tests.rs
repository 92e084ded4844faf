use crate::modules::trial::Host;

fn host(text: &str) -> Host {
    Host::with("ini_file", &[("/f", text)])
}

/// The file after an option was set in it, which is then as wished.
fn after(text: &str, args: &str) -> String {
    let host = host(text);
    host.converges(&format!("{{path: /f, {args}}}"));
    host.text("/f")
}

#[test]
fn an_option_is_changed_where_it_stands_and_its_comments_and_twins_go() {
    assert_eq!(
        after(
            "[a]\nx = 0\n[b]\n# y = 1\nx=1\nx = 2\n\n[c]\nx=3\n",
            "section: b, option: x, value: 5"
        ),
        "[a]\nx = 0\n[b]\n# y = 1\nx = 5\n\n[c]\nx=3\n"
    );
    assert_eq!(
        after(
            "[b]\n#x = 1\n",
            "section: b, option: x, value: 1, no_extra_spaces: yes"
        ),
        "[b]\nx=1\n"
    );
}

#[test]
fn what_is_missing_is_added_at_the_end_of_what_the_section_says() {
    assert_eq!(
        after(
            "[b]\ny = 1\n# end\n\n[c]\n",
            "section: b, option: x, value: 5"
        ),
        "[b]\ny = 1\nx = 5\n# end\n\n[c]\n"
    );
    assert_eq!(
        after("[b]\ny = 1", "section: d, option: x, value: 5"),
        "[b]\ny = 1\n[d]\nx = 5\n"
    );
    assert_eq!(
        after("a = 1\n[b]\n", "option: x, value: 5"),
        "a = 1\nx = 5\n[b]\n"
    );
}

#[test]
fn a_file_that_is_not_there_begins_with_an_empty_line() {
    let host = host("");
    host.converges("{path: /new, section: b, option: x, value: 5, mode: '0640'}");
    assert_eq!(host.text("/new"), "\n[b]\nx = 5\n");
    assert_eq!(host.lstat("/new").mode, 0o640);
    host.is_content_with("{path: /none, section: b, option: x, state: absent}");
    assert_eq!(host.names("/"), ["f", "new"]);
    assert_eq!(
        host.fails("{path: /none, section: b, option: x, value: 5, create: no}"),
        "`/none` does not exist"
    );
}

#[test]
fn options_and_sections_are_taken_out() {
    assert_eq!(
        after(
            "[b]\nx = 1\n# x = 2\ny = 3\n",
            "section: b, option: x, state: absent"
        ),
        "[b]\n# x = 2\ny = 3\n"
    );
    assert_eq!(
        after("[a]\ny = 1\n[b]\nx = 1\n[c]\n", "section: b, state: absent"),
        "[a]\ny = 1\n[c]\n"
    );
    assert_eq!(
        after(
            "[b]\nx = 1\nx = 2\n",
            "section: b, option: x, value: 2, state: absent, exclusive: no"
        ),
        "[b]\nx = 1\n"
    );
}

#[test]
fn several_values_are_a_line_each() {
    assert_eq!(
        after(
            "[b]\nx = 1\nx = 2\n",
            "section: b, option: x, values: [2, 3]"
        ),
        "[b]\nx = 3\nx = 2\n"
    );
    assert_eq!(
        after(
            "[b]\nx = 1\n",
            "section: b, option: x, values: [2, 3], exclusive: no"
        ),
        "[b]\nx = 1\nx = 2\nx = 3\n"
    );
}

#[test]
fn an_option_may_be_a_word_alone() {
    assert_eq!(
        after(
            "[b]\n",
            "section: b, option: skip-name-resolve, allow_no_value: yes"
        ),
        "[b]\nskip-name-resolve\n"
    );
}

#[test]
fn spaces_may_be_of_no_matter() {
    let host = host("[b]\nx=5\n");
    host.is_content_with("{path: /f, section: b, option: x, value: 5, ignore_spaces: yes}");
}

#[test]
fn a_section_is_told_from_its_twins_by_what_it_has() {
    assert_eq!(
        after(
            "[P]\nip = 1\n[P]\nip = 2\n",
            "section: P, section_has: [{option: ip, value: 2}], option: key, value: k"
        ),
        "[P]\nip = 1\n[P]\nip = 2\nkey = k\n"
    );
    assert_eq!(
        after(
            "[P]\nip = 1\n",
            "section: P, section_has: [{option: ip, value: 2}], option: key, value: k"
        ),
        "[P]\nip = 1\n[P]\nip = 2\nkey = k\n"
    );
}
