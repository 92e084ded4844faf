use super::*;
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
            let labels: String = d
                .labels
                .iter()
                .map(|(s, t)| format!(" [{}: {t}]", s.line))
                .collect();
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

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([ \\n\\t]|[-:?&*!|>%@#,\\[\\]{}\"'~<]|[a-c0-9]|: |- |\\n  |\\r|\\.\\.\\.|---){0,60}") {
        let _ = read(&text);
    }
}
