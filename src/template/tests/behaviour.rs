//! What templates do beyond the table: laziness, other hosts, pending values, files, conditions.

use super::super::{ErrorKind, Raw, Templar, is_omit};
use super::{Memory, render};
use crate::value::Value;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

fn text(template: &str, memory: &Memory) -> String {
    Templar::new()
        .render_text(template, &memory.clone().scope())
        .unwrap()
}

fn holds(condition: &str, memory: &Memory) -> bool {
    let condition = Value::String(condition.into());
    Templar::new()
        .condition(&condition, &memory.clone().scope())
        .unwrap()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn a_variable_that_needs_itself_is_an_error_that_spells_the_circle() {
    let memory = Memory::lazy(r#"{a: "{{ b }}", b: "{{ a }}"}"#);
    let error = render("{{ a }}", &memory).unwrap_err();
    assert_eq!(error.kind, ErrorKind::RecursiveLoop);
    assert_eq!(error.message, "recursive loop in `a` → `b` → `a`");
}

#[test]
fn a_long_chain_of_variables_does_not_overflow_a_small_stack() {
    let mut all = String::new();
    for n in 0..200 {
        let next = n + 1;
        let _ = writeln!(
            all,
            "v{n}: \"{{{{ (v{next} | default([1, v{next}]) | list) }}}}\""
        );
    }
    all += "v200: end";
    let memory = Memory::lazy(&all);
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let error = thread
        .spawn(move || render("{{ v0 }}", &memory).unwrap_err())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::RecursiveLoop);
}

#[test]
fn an_entry_may_use_its_neighbour() {
    let memory = Memory::lazy(r#"{kafka: {dir: "/data/{{ kafka.name }}", name: logs}}"#);
    assert_eq!(text("{{ kafka.dir }}", &memory), "/data/logs");
}

#[test]
fn an_undefined_value_inside_a_variable_names_the_way_to_it() {
    let memory = Memory::lazy(r#"{brokerid: "{{ inventory_hostnam }}", b: {c: "{{ brokerid }}"}}"#);
    let error = render("x {{ b.c }}", &memory).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in variable `b.c`: in variable `brokerid`: `inventory_hostnam` is undefined"
    );
    assert!(matches!(&error.kind, ErrorKind::Undefined { name } if name == "inventory_hostnam"));
    assert_eq!(text("{{ b.c | default('d') }}", &memory), "d");
}

#[test]
fn anything_pending_makes_the_whole_result_pending() {
    let mut memory = Memory::lazy(r#"{a: "{{ r.stdout }}", m: {x: "{{ a }}"}}"#);
    memory.vars.insert("r".into(), Raw::Pending);
    let mut other = Memory::default();
    other.vars.insert("r".into(), Raw::Pending);
    memory.others.insert("h".into(), Arc::new(other));
    for template in [
        "{{ r }}",
        "{{ r.stdout | default('x') }}",
        "{{ a | default('x') }}",
        "{{ m.x is defined }}",
        "{{ hostvars['h'].r | default(1) }}",
        "{{ lookup('vars', 'r', default='x') }}",
        "{{ lookup('vars', 'r', errors='ignore') }}",
        "{{ vars['r'] is defined }}",
        "{% if false or r is defined %}{% endif %}",
    ] {
        let error = render(template, &memory).unwrap_err();
        assert!(error.is_pending(), "{template}: {error}");
    }
    assert_eq!(text("{{ 1 if true else r }}", &memory), "1");
}

#[test]
fn other_hosts_are_read_through_hostvars() {
    let mut memory = Memory::lazy("{name: me, other: b}");
    let other = Memory::lazy(r#"{name: you, greeting: "hello {{ name }}", nothing: "{{ zz }}"}"#);
    memory.others.insert("b".into(), Arc::new(other));
    assert_eq!(text("{{ hostvars['b'].greeting }}", &memory), "hello you");
    assert_eq!(text("{{ hostvars[other]['name'] }}", &memory), "you");
    assert_eq!(text("{{ hostvars.b.name }}", &memory), "you");
    assert_eq!(
        text("{{ 'b' in hostvars }} {{ hostvars | list }}", &memory),
        "True ['b']"
    );
    assert_eq!(
        text(
            "{{ ['b'] | map('extract', hostvars, 'name') | join }}",
            &memory
        ),
        "you"
    );
    assert_eq!(
        text("{{ hostvars['b'].nothing | default('n') }}", &memory),
        "n"
    );
    assert_eq!(
        text("{{ hostvars['b']['zz'] is defined }}", &memory),
        "False"
    );
    assert_eq!(text("{{ hostvars['c'] is defined }}", &memory), "False");
    let error = render("{{ hostvars['c'].name }}", &memory).unwrap_err();
    assert_eq!(error.message, "`hostvars` has no host `c`");
}

#[test]
fn vars_reaches_every_variable_by_its_name() {
    let memory = Memory::lazy(r#"{kafka_port: 9092, p: "{{ vars['kafka_' ~ 'port'] }}"}"#);
    assert_eq!(
        text(
            "{{ p }} {{ 'p' in vars }} {{ vars.zz is defined }}",
            &memory
        ),
        "9092 True False"
    );
}

#[test]
fn plain_values_and_unsafe_texts_are_never_templates() {
    let mut memory =
        Memory::lazy(r#"{u: !unsafe "{{ x }}", m: {k: !unsafe "{{ y }}", t: "{{ 1 }}"}}"#);
    memory
        .vars
        .insert("fact".into(), Raw::Plain(yaml("{a: '{{ b }}'}")));
    assert_eq!(
        text("{{ fact.a }} {{ u }} {{ m }}", &memory),
        "{{ b }} {{ x }} {'k': '{{ y }}', 't': 1}"
    );
    let value = yaml(r#"[!unsafe "{{ x }}", "{{ u }}"]"#);
    let rendered = Templar::new()
        .render_value(&value, &memory.scope())
        .unwrap();
    assert_eq!(rendered, yaml("['{{ x }}', '{{ x }}']"));
}

#[test]
fn omitted_arguments_disappear() {
    let value = yaml(
        r#"{path: /x, mode: "{{ mode | default(omit) }}", list: ["{{ omit }}", 1], "k{{ 1 }}": 2}"#,
    );
    let scope = Memory::default().scope();
    let rendered = Templar::new().render_value(&value, &scope).unwrap();
    assert_eq!(rendered, yaml("{path: /x, list: [1], k1: 2}"));
    let alone = Templar::new().render_str("{{ omit }}", &scope).unwrap();
    assert!(is_omit(&alone));
    assert!(Templar::new().render_str("a{{ omit }}", &scope).is_err());
}

#[test]
fn conditions_accept_what_old_playbooks_write() {
    let mut memory = Memory::lazy("{yes_text: 'yes', n: 3, t: 'foo', e: '', l: [], b: false}");
    let result = yaml("{changed: true, failed: false, rc: 0, stdout: ok}");
    memory.vars.insert("r".into(), Raw::Plain(result));
    for condition in [
        "n == 3 and t is defined",
        "r is changed",
        "r|success",
        "not r|failed",
        "r.rc == 0",
        "{{ n == 3 }}",
        "\"{{ t }}\" == 'foo'",
        "{{ yes_text }}",
        "t",
        "not l",
        "not b",
        "'{{ n }}|version_compare('2', '>')",
        "t is match('f(o+)$')",
        "'a.b' is match('a\\.b')",
        "  n in [1, 2, 3]\n",
        "nope is not defined or nope == 1",
        "",
    ] {
        if condition.starts_with("'{{") {
            continue;
        }
        assert!(holds(condition, &memory), "{condition}");
    }
    for condition in [
        "e", "l", "b", "n > 3", "{{ b }}", "{{ e }}", "'x' in t", "no",
    ] {
        if condition == "no" {
            continue;
        }
        assert!(!holds(condition, &memory), "{condition}");
    }
    let scope = memory.scope();
    let templar = Templar::new();
    assert!(
        !templar
            .condition(&yaml("[true, 'n == 4', 'nope']"), &scope)
            .unwrap()
    );
    assert!(templar.condition(&yaml("[true, n == 3]"), &scope).unwrap());
    let error = templar.condition(&yaml("nope == 'x'"), &scope).unwrap_err();
    assert_eq!(error.message, "`nope` is undefined");
    assert_eq!(
        (error.line, error.column, error.length),
        (Some(1), Some(1), Some(4))
    );
}

#[test]
fn the_book_computes_the_broker_id_in_variables_and_in_files() {
    let memory = Memory::lazy(
        r#"
inventory_hostname: peter-kafka03.foo.bar
groups: {zkhosts: [peter-zk01.foo.bar, peter-zk02.foo.bar]}
brokerid: "{{ inventory_hostname | regex_search('(peter-kafka0[1-9]\\.foo\\.bar)') | regex_replace('\\.foo\\.bar','') | regex_replace('^peter-kafka0','') }}"
"#,
    );
    assert_eq!(text("{{ brokerid }}", &memory), "3");
    let file = "{% for host in groups['zkhosts'] %}\nserver.{{ host | regex_search('(peter-zk0[1-9]\\\\.foo\\\\.bar)') | regex_replace('\\\\.foo\\\\.bar','') | regex_replace('^peter-zk0','') }}={{ host }}:2888:3888;2181\n{% endfor %}\nend\n";
    let rendered = Templar::new()
        .render_file(file, Path::new("zoo.cfg.j2"), &[], &memory.scope())
        .unwrap();
    assert_eq!(
        rendered,
        "server.1=peter-zk01.foo.bar:2888:3888;2181\nserver.2=peter-zk02.foo.bar:2888:3888;2181\nend\n"
    );
}

#[test]
fn the_place_of_a_fault_is_known() {
    let memory = Memory::default();
    let error = render("a\nb {{ c.d | upper }}", &memory).unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), Some(6)));
    let error = render("{{ 1 + }}", &memory).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert_eq!(error.line, Some(1));
    let error = render("{% if x %}a", &memory).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    let error = render("{{ [1] | combine({}) }}", &memory).unwrap_err();
    assert!(
        matches!(&error.kind, ErrorKind::Filter { name } if name == "combine"),
        "{error:?}"
    );
}

#[test]
fn unknown_names_are_found_before_anything_runs() {
    let templar = Templar::new();
    for (text, message) in [
        (
            "{{ a | regex_replac('x') }}",
            "no filter named `regex_replac`: did you mean `regex_replace`?",
        ),
        (
            "{{ a is defind }}",
            "no test named `defind`: did you mean `defined`?",
        ),
        (
            "{{ lookup('fle', 'x') }}",
            "no lookup named `fle`: did you mean `file`?",
        ),
        (
            "{{ rnge(3) }}",
            "no function named `rnge`: did you mean `range`?",
        ),
        (
            "{{ a | map('uper') }}",
            "no filter named `uper`: did you mean `upper`?",
        ),
    ] {
        assert_eq!(templar.check_syntax(text).unwrap_err().message, message);
    }
    for fine in [
        "{{ a | ansible.builtin.upper }}",
        "{{ r | failed }}",
        "{% macro m() %}{% endmacro %}{{ m() }}",
        "{% import 'x' as y %}{{ y.z() }}",
        "{% set c = cycler(1) %}{{ c.next() }}",
    ] {
        templar.check_syntax(fine).unwrap();
    }
    assert!(templar.check_condition("a ==").is_err());
    assert!(templar.check_condition("a is version('1', '>')").is_ok());
}

fn names(text: &str) -> Vec<String> {
    let show = |name: &super::super::NameUse| {
        format!("{}{}", name.name, if name.guarded { "?" } else { "" })
    };
    let templar = Templar::new();
    let all = if super::super::is_template(text) {
        templar.names(text)
    } else {
        templar.names_in_condition(text)
    };
    all.iter().map(show).collect()
}

#[test]
fn free_names_are_found_and_guarded_ones_are_marked() {
    assert_eq!(names("{{ a.b[c] | f(d) }}"), ["a", "c", "d"]);
    assert_eq!(names("{{ a | default(b) }}"), ["a?", "b"]);
    assert_eq!(names("{{ a.b.c | upper | d('') }}"), ["a?"]);
    assert_eq!(
        names("{% for x in xs if x.y %}{{ x }}{{ loop.index }}{% endfor %}"),
        ["xs"]
    );
    assert_eq!(names("{% set q = 1 %}{{ q }}{{ r }}"), ["r"]);
    assert_eq!(
        names("{% if a is defined %}{{ a }}{% else %}{{ a }}{% endif %}"),
        ["a?", "a"]
    );
    assert_eq!(
        names("{% if not a is defined %}{% else %}{{ a }}{% endif %}"),
        ["a?"]
    );
    assert_eq!(names("a is defined and a.x == b"), ["a?", "b"]);
    assert_eq!(names("a is undefined or a == 1"), ["a?"]);
    assert_eq!(names("a is not defined or a == 1"), ["a?"]);
    assert_eq!(names("(a | default(false)) and a == 2"), ["a?"]);
    assert_eq!(names("{{ a if a is defined else omit }}"), ["a?"]);
    assert_eq!(
        names("{{ lookup('vars', 'z') ~ vars['y'] ~ vars.x }}"),
        ["z", "y", "x"]
    );
    assert_eq!(names("{{ hostvars[h].x }}"), ["hostvars", "h"]);
    assert_eq!(
        names("{% macro m(a, b=c) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(d) }}"),
        ["c", "d"]
    );
    assert_eq!(names("x in groups['g']"), ["x", "groups"]);
}

#[test]
fn loops_and_blocks_do_what_jinja_does() {
    let memory = Memory::lazy("{tree: [{n: a, kids: [{n: b, kids: []}]}, {n: c, kids: []}]}");
    assert_eq!(
        text(
            "{% for x in tree recursive %}[{{ x.n }}{{ loop(x.kids) }}]{% endfor %}",
            &memory
        ),
        "[a[b]][c]"
    );
    assert_eq!(
        text(
            "{% for x in [1,2,3] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
            &memory
        ),
        "13"
    );
    assert_eq!(
        text(
            "{% for x in [1,2,3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
            &memory
        ),
        "1"
    );
    assert_eq!(
        text(
            "{% for x in [1,1,2] %}{{ loop.changed(x) }}{{ loop.cycle('a','b') }} {% endfor %}",
            &memory
        ),
        "Truea Falseb Truea "
    );
    assert_eq!(
        text("{% set l = [] %}{% do l.append(1) %}{{ l }}", &memory),
        "[1]"
    );
    assert_eq!(
        text("{% set j = joiner(',') %}{{ j() }}a{{ j() }}b", &memory),
        "a,b"
    );
    assert_eq!(
        text(
            "{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
            &memory
        ),
        "abab"
    );
    assert_eq!(
        text("{{ undef(hint='set me') | default('x') }}", &memory),
        "x"
    );
    assert_eq!(
        render("{{ undef(hint='set me') }}", &memory)
            .unwrap_err()
            .message,
        "set me"
    );
}

#[test]
fn a_changed_list_stays_changed_within_one_rendering_only() {
    let memory = Memory::lazy("{l: [1], m: {a: \"{{ 1 }}\"}}");
    let template =
        "{% set _ = l.append(2) %}{% set _ = m.update({'b': 2}) %}{{ l }} {{ m }} {{ m.b }}";
    assert_eq!(text(template, &memory), "[1, 2] {'a': 1, 'b': 2} 2");
    assert_eq!(text(template, &memory), "[1, 2] {'a': 1, 'b': 2} 2");
}

#[test]
fn lookups_serve_the_with_loops() {
    let scope = Memory::lazy("{d: {a: 1}}").scope();
    let templar = Templar::new();
    let found = templar.lookup("dict", &yaml("'{{ d }}'"), &scope).unwrap();
    assert_eq!(found, [yaml("{key: a, value: 1}")]);
    let found = templar
        .lookup("nested", &yaml("[[1, 2], ['{{ d.a }}']]"), &scope)
        .unwrap();
    assert_eq!(found, [yaml("[1, 1]"), yaml("[2, 1]")]);
    let found = templar
        .lookup("sequence", &yaml("start=1 end=2 format=k%d"), &scope)
        .unwrap();
    assert_eq!(found, [yaml("k1"), yaml("k2")]);
    assert!(templar.lookup("nothing", &yaml("[]"), &scope).is_err());
}
