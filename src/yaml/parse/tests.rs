use super::*;
use crate::value::Value;
use proptest::prelude::*;

fn read(text: &str) -> (Option<Node>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let source = Source::new("a.yml", text);
    let node = parse(&source, &mut diagnostics);
    (node, diagnostics)
}

fn good(text: &str) -> Node {
    let (node, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    node.expect("a node")
}

fn json(node: &Node) -> String {
    serde_json::to_string(&node.to_value()).unwrap()
}

/// `line:column+length message (help)`, one diagnostic a line.
fn faults(text: &str) -> String {
    let (_, diagnostics) = read(text);
    let lines: Vec<String> = diagnostics
        .iter()
        .map(|d| {
            let span = d.span.as_ref().expect("a place");
            let help = d.help.as_ref().map(|help| format!(" ({help})"));
            let labels = d
                .labels
                .iter()
                .map(|(s, t)| format!(" [{}: {t}]", s.line))
                .collect::<Vec<_>>()
                .concat();
            format!(
                "{}:{}+{} {}{}{labels}",
                span.line,
                span.column,
                span.length,
                d.message,
                help.unwrap_or_default()
            )
        })
        .collect();
    lines.join("\n")
}

#[test]
fn scalars_collections_and_their_places() {
    let node = good("a: yes\nb:\n  - 0644\n  - \"5\"\n  - {x: 1.10}\nc:\n5: |\n  text\n");
    assert_eq!(
        json(&node),
        r#"{"a":true,"b":[420,"5",{"x":1.1}],"c":null,"5":"text\n"}"#
    );
    let map = node.as_map().unwrap();
    let places: Vec<String> = map
        .entries
        .values()
        .map(|entry| format!("{:?} {:?}", entry.key, entry.value.span))
        .collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    a.yml:1:1+1 a.yml:1:4+3
    a.yml:2:1+1 a.yml:3:3+1
    a.yml:6:1+1 a.yml:6:1+1
    a.yml:7:1+1 a.yml:8:3+4
    ");
}

#[test]
fn an_unquoted_template_is_named_at_its_braces() {
    insta::assert_snapshot!(
        faults("a: {{ b }}/c\n"),
        @r#"1:4+7 a value that starts with `{{` must be quoted (quote the whole value: `"{{ b }}/c"`)"#
    );
}

#[test]
fn an_empty_file_is_null() {
    assert_eq!(good("").kind, Kind::Null);
    assert_eq!(good("---\n").kind, Kind::Null);
    assert_eq!(good("# nothing\n").kind, Kind::Null);
}

#[test]
fn merge_keys_give_way_to_own_keys_and_to_earlier_mappings() {
    let node =
        good("one: &one {x: 1, y: 1}\ntwo: &two {y: 2, z: 2}\nboth:\n  z: 3\n  <<: [*one, *two]\n");
    let both = node.entry("both").unwrap();
    assert_eq!(json(both), r#"{"y":1,"z":3,"x":1}"#);
    assert_eq!(json(&good("'<<': 1\n")), r#"{"<<":1}"#);
}

#[test]
fn tags_make_unsafe_and_vault_strings() {
    let node = good(
        "a: !unsafe '{{ x }}'\nb: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nc: !!str 5\nd: !unsafe [x, {y: z}]\n",
    );
    assert_eq!(
        node.entry("a").unwrap().kind,
        Kind::Unsafe("{{ x }}".into())
    );
    let vault = "$ANSIBLE_VAULT;1.1;AES256\n00\n";
    assert_eq!(node.entry("b").unwrap().kind, Kind::Vault(vault.into()));
    assert_eq!(node.entry("c").unwrap().kind, Kind::Str("5".into()));
    let list = node.entry("d").unwrap().as_seq().unwrap();
    assert_eq!(list[0].kind, Kind::Unsafe("x".into()));
    assert_eq!(list[1].entry("y").unwrap().kind, Kind::Unsafe("z".into()));
}

#[test]
fn the_usual_slips_are_named_with_their_cure() {
    let slips = [
        "a: {{ b | default('x: y') }}\n",
        "- {{ b }}\n",
        "- name: say: hello\n  x: 1\n",
        "a:\n\tb: 1\n",
        "a:\n  b: 1\n\tc: 2\n",
        "- hosts: all\n  name:foo\n  tasks:\n",
        "- a: 1\n-b: 2\n",
        "a: @x\n",
        "a: `x`\n",
        "a: %x\n",
        "when: \"a\" == 'b'\n",
        "msg: 'it's'\n",
        "tasks:\n- name: x\n  shell: echo \"a: b\n  y: z\n",
    ];
    let all: Vec<String> = slips.into_iter().map(faults).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    1:4+25 a value that starts with `{{` must be quoted (quote the whole value: `"{{ b | default('x: y') }}"`)
    1:3+7 a value that starts with `{{` must be quoted (quote the whole value: `"{{ b }}"`)
    1:12+1 `: ` inside a plain value (quote the value: `"say: hello"`)
    2:1+1 a tab cannot indent YAML (use spaces)
    3:1+1 a tab cannot indent YAML (use spaces)
    2:7+1 no space after `:` (write `name: foo`)
    2:1+1 no space after `-` (write `- b: 2`)
    1:4+1 a plain value cannot start with `@` (quote it: `"@x"`)
    1:4+1 a plain value cannot start with ``` (quote it: `"`x`"`)
    1:4+1 a plain value cannot start with `%` (quote it: `"%x"`)
    1:11+6 text after the closing quote (quote the whole value, or use the other kind of quotes around it)
    1:10+2 text after the closing quote (quote the whole value, or use the other kind of quotes around it)
    3:17+1 `: ` inside a plain value (quote the value: `'echo "a: b'`)
    "#);
}

#[test]
fn other_syntax_errors_have_a_place_and_plain_words() {
    let errors = [
        "a: \"x\nb: 1\n",
        "a: \"x\n",
        "a: [1, 2\nb: 1\n",
        "a: {x: 1\nb: 1\n",
        "a: [1, 2",
        "a: *nope\n",
        "a: &a [*a]\n",
        "a: !foo 1\n",
        "a: !valut x\n",
        "a: !!int x\n",
        "a: 1\n b: 2\n",
        "a: text\n  b: 2\n",
        "a:\n  - 1\n - 2\n",
        "a:\n  b: 1\n c: 2\n",
        "- a\nb: 1\n",
        "a: x\n- b\n",
        "a: - b\n",
        "key: |\n  a\n b\n",
        "a: ]\n",
        "a\u{0}: x\n",
        "a: \"\\q\"\n",
        "? [1]\n: 2\n",
        "a: 1\n---\nb: 1\n",
        "<<: 1\n",
        "<<: [1]\n",
    ];
    let all: Vec<String> = errors.into_iter().map(faults).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    1:4+1 invalid YAML: this quote is never closed
    1:4+1 invalid YAML: this quote is never closed
    2:2+1 invalid YAML: a bracket above is not closed
    2:2+1 invalid YAML: expected `,` or `}`
    1:8+1 invalid YAML: expected `,` or `]`
    1:4+1 invalid YAML: no anchor of this name above
    1:8+2 this alias is inside its own anchor
    1:4+6 unknown tag `!foo`
    1:4+8 unknown tag `!valut` (did you mean `!vault`?)
    1:4+7 `x` is not an integer
    2:3+1 invalid YAML: a `key: value` cannot stand here (compare this line's indentation with the lines above)
    2:4+1 invalid YAML: a `key: value` cannot stand here (compare this line's indentation with the lines above)
    3:2+1 invalid YAML: expected a key here (compare this line's indentation with the lines above)
    3:2+1 invalid YAML: expected a key here (compare this line's indentation with the lines above)
    2:1+1 invalid YAML: expected a `- ` here (compare this line's indentation with the lines above)
    2:3+1 invalid YAML: expected a key here (compare this line's indentation with the lines above)
    1:4+1 invalid YAML: a list cannot begin here (put each `- ` on a line of its own)
    3:2+1 invalid YAML: expected a key here (compare this line's indentation with the lines above)
    1:4+1 invalid YAML: this bracket was never opened
    1:2+1 invalid YAML: a character that is not text
    1:4+1 invalid YAML: unknown escape inside double quotes (write the backslash twice, or use single quotes)
    1:3+1 a mapping or a list cannot be the key of a mapping
    3:1+1 a second document begins here, but this file may hold only one (remove the `---` before it)
    1:5+1 `<<` needs a mapping, found an integer (write `<<: *anchor` or `<<: [*one, *two]`)
    1:6+1 `<<` needs a mapping, found an integer (write `<<: *anchor` or `<<: [*one, *two]`)
    "#);
}

#[test]
fn a_key_given_twice_warns_with_both_places_and_the_last_wins() {
    let (node, _) = read("a: 1\nb: {c: 1, c: 2}\na: 3\n");
    assert_eq!(json(&node.unwrap()), r#"{"a":3,"b":{"c":2}}"#);
    insta::assert_snapshot!(faults("a: 1\nb: {c: 1, c: 2}\na: 3\n"), @r#"
    2:11+1 duplicate key `c`: the last one wins [2: first defined here]
    3:1+1 duplicate key `a`: the last one wins [1: first defined here]
    "#);
}

#[test]
fn hostile_files_are_errors() {
    let laughs = (1..12)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 10].join(", ")
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let chain = (1..500)
        .map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1))
        .collect::<Vec<_>>()
        .concat();
    let all = [
        format!("a0: &a0 x\n{laughs}"),
        format!("a0: &a0 x\n{chain}"),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        "x".into(),
        (0..200)
            .map(|n| " ".repeat(n) + "a:\n")
            .collect::<Vec<_>>()
            .concat(),
    ]
    .map(|text| faults(&text));
    insta::assert_snapshot!(all.join("\n"), @r#"
    7:10+3 aliases expand to more than 200000 values
    129:14+5 nested deeper than 128 levels
    1:256+1 invalid YAML: nested too deeply
    1:1021+1 invalid YAML: nested too deeply
    1:257+1 nested deeper than 128 levels
    1:3+1 a mapping or a list cannot be the key of a mapping

    129:129+1 nested deeper than 128 levels
    "#);
}

/// Values that `serde_yaml` writes in a way that YAML 1.1 reads as the same: it leaves `1_000`
/// unquoted, and writes great floats without a dot.
fn value() -> impl Strategy<Value = Value> {
    let text = "[a-zA-Z0-9 :#{}\\[\\],&*!|>'\"%@`~?=\\-\n\té日]{0,12}"
        .prop_filter("a string in YAML 1.1", |text| {
            matches!(scalar::resolve(text), Kind::Str(_)) || serde_yaml_quotes(text)
        });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(|n: f64| Value::from((n * 1000.0).round() / 1000.0 + 0.5)),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let key = text
            .clone()
            .prop_filter("not a merge key", |key| key != "<<");
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.prop_map(Value::from), inner), 0..5)
                .prop_map(|pairs| Value::Mapping(pairs.into_iter().collect())),
        ]
    })
}

fn serde_yaml_quotes(text: &str) -> bool {
    serde_yaml::to_string(text).is_ok_and(|written| written.starts_with(['"', '\'', '|']))
}

proptest! {
    #[test]
    fn what_serde_yaml_writes_is_read_back(value in value()) {
        let text = serde_yaml::to_string(&value).unwrap();
        let (node, faults) = read(&text);
        prop_assert!(faults.is_empty(), "{text}\n{faults:?}");
        prop_assert_eq!(node.unwrap().to_value(), value, "{}", text);
    }

    #[test]
    fn every_place_is_in_the_file(value in value()) {
        let text = serde_yaml::to_string(&value).unwrap();
        let n_lines = text.lines().count();
        let mut stack = vec![good(&text)];
        while let Some(node) = stack.pop() {
            let line = node.span.source.line(node.span.line);
            let end = (node.span.column - 1 + node.span.length) as usize;
            prop_assert!(node.span.line as usize <= n_lines, "{text}");
            prop_assert!(end <= line.chars().count().max(1), "{:?} in {text}", node.span);
            match node.kind {
                Kind::Seq(items) => stack.extend(items),
                Kind::Map(map) => stack.extend(map.entries.into_values().map(|e| e.value)),
                _ => {}
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([ \\n\\t]|[-:?&*!|>%@#,\\[\\]{}\"'~<]|[a-c0-9]|: |- |\\n  |\\r|\\.\\.\\.|---){0,60}") {
        let _ = read(&text);
    }
}
