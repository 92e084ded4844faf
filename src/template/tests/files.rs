//! Template files: what they include, their headers, how they end.

use super::super::{ErrorKind, Templar};
use super::{Memory, render};
use std::path::Path;

#[test]
fn files_may_include_extend_and_import_others() {
    let mut memory = Memory::lazy("{name: x}");
    for (name, body) in [
        (
            "base.j2",
            "<{% block a %}base{% endblock %}|{% block b %}B{% endblock %}>\n",
        ),
        (
            "child.j2",
            "{% extends 'base.j2' %}\n{% set q = 5 %}\n{% block a %}{{ super() }}+{{ name }}{{ q }}{% endblock %}\n",
        ),
        ("part.j2", "part {{ name }} {{ local | default('none') }}\n"),
        (
            "macros.j2",
            "{% macro hi(who) %}hi {{ who }} from {{ name }}{% endmacro %}\n{% set version = 3 %}\n",
        ),
        ("broken.j2", "ok\n{{ missing }}\n"),
    ] {
        memory.files.insert(name.into(), body.into());
    }
    let file = |body: &str| {
        Templar::new().render_file(body, Path::new("main.j2"), &[], &memory.clone().scope())
    };
    assert_eq!(file("{% include 'child.j2' %}").unwrap(), "<base+x5|B>");
    assert_eq!(
        file("{% extends 'base.j2' %}\n").unwrap(),
        "<base|B>\n",
        "the file that is rendered says how the text ends"
    );
    assert_eq!(
        file("{% set local = 1 %}{% include 'part.j2' %}\n").unwrap(),
        "part x 1\n"
    );
    assert_eq!(file("{% include 'zz.j2' ignore missing %}-").unwrap(), "-");
    assert_eq!(
        file("{% import 'macros.j2' as m %}{{ m.hi('you') }} {{ m.version }}").unwrap(),
        "hi you from x 3"
    );
    assert_eq!(
        file("{% from 'macros.j2' import hi as h with context %}{{ h(1) }}").unwrap(),
        "hi 1 from x"
    );
    assert_eq!(
        file("{% for i in [1, 2] %}{% include 'part.j2' %}{% endfor %}").unwrap(),
        "part x nonepart x none"
    );
    let error = file("a\n{% include 'broken.j2' %}").unwrap_err();
    assert_eq!(error.to_string(), "broken.j2:2: `missing` is undefined");
    let error = file("{% include 'zz.j2' %}").unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(
        render(
            "{{ lookup('template', 'part.j2') }}{{ lookup('file', 'part.j2') }}",
            &memory
        )
        .unwrap(),
        "part x none\npart {{ name }} {{ local | default('none') }}"
    );
}

#[test]
fn a_header_changes_the_marks_of_a_file() {
    let memory = Memory::lazy("{x: 1}");
    let file = "#jinja2: variable_start_string:'[%', variable_end_string:'%]', trim_blocks: False\n{% if true %}\n[% x %] {{ x }}\n{% endif %}\n";
    let rendered = Templar::new()
        .render_file(file, Path::new("h.j2"), &[], &memory.clone().scope())
        .unwrap();
    assert_eq!(rendered, "\n1 {{ x }}\n");
    let file = "#jinja2: line_statement_prefix: '%%', line_comment_prefix: '##'\n## why\n%% if x\nyes\n%% endif\n";
    let rendered = Templar::new()
        .render_file(file, Path::new("h.j2"), &[], &memory.scope())
        .unwrap();
    assert_eq!(rendered, "yes\n");
}
