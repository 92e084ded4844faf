//! Turns seeds and chance into input that was broken on the way: what the fuzz targets try, a little of it, on any toolchain.
#![expect(clippy::unwrap_used, reason = "what tests stand on is test code, too")]

mod inputs;

use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

/// How long one try of a few hundred bytes may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A cut, a repetition or a foreign word, somewhere in what was well-formed.
#[derive(Debug, Clone)]
enum Harm {
    Cut(usize, usize),
    Repeat(usize, usize),
    Word(usize, usize),
    Byte(usize, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        1 => (any::<usize>(), 0..40usize).prop_map(|(at, length)| Harm::Cut(at, length)),
        1 => (any::<usize>(), 0..40usize).prop_map(|(at, length)| Harm::Repeat(at, length)),
        4 => (any::<usize>(), any::<usize>()).prop_map(|(at, word)| Harm::Word(at, word)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Byte(at, byte)),
    ]
}

fn done_to(mut bytes: Vec<u8>, harms: Vec<Harm>, words: &[&str]) -> Vec<u8> {
    for harm in harms {
        let place = |at: usize| at % (bytes.len() + 1);
        match harm {
            Harm::Cut(at, length) => {
                let at = place(at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Harm::Repeat(at, length) => {
                let at = place(at);
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Harm::Word(at, word) => {
                let at = place(at);
                bytes.splice(at..at, words[word % words.len()].bytes());
            }
            Harm::Byte(at, byte) => {
                let at = place(at);
                bytes.splice(at..at, [byte]);
            }
        }
    }
    bytes
}

/// Plain chance, or a seed that came to harm.
fn input(seeds: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let chance = prop::collection::vec(any::<u8>(), 0..300);
    let harmed = (
        prop::sample::select(seeds),
        prop::collection::vec(harm(), 0..12),
    );
    prop_oneof![
        1 => chance,
        4 => harmed.prop_map(move |(seed, harms)| done_to(seed, harms, words)),
    ]
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Tries inputs until one panics or takes too long.
fn hold(n_tries: u32, inputs: impl Strategy<Value = Vec<u8>>, read: fn(&[u8])) {
    let config = ProptestConfig {
        cases: n_tries,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(bytes in inputs)| {
        let begun = Instant::now();
        read(&bytes);
        prop_assert!(begun.elapsed() < LIMIT, "{:?}: {}", begun.elapsed(), String::from_utf8_lossy(&bytes));
    });
}

#[test]
fn broken_yaml_is_a_fault_with_a_place() {
    let seeds = seeds(&[
        "- hosts: all\n  vars: &v {a: 1, b: [yes, 0644, ~, 1e3]}\n  tasks:\n    - name: x\n      copy: content=\"a\\n\" dest=/a\n      <<: *v\n",
        "a: |\n  text\n   more\nb: >-\n  folded\n\n  text\nc: 'it''s'\nd: \"\\u00e9\\x41\"\n",
        "--- !unsafe\n? [complex, key]\n: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n...\n---\n2001-12-14t21:59:43.10-05:00\n",
    ]);
    let words = &[
        "&a ",
        "*a",
        "*v",
        "<<: ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "? ",
        "|",
        ">",
        "\"",
        "'",
        "#",
        "!unsafe ",
        "!vault ",
        "!!binary ",
        "---\n",
        "\t",
        "\n",
        "\r",
        "  ",
        "\u{feff}",
        "%YAML 1.1\n",
        "{{ x }}",
        ",",
    ];
    hold(1500, input(seeds, words), inputs::yaml);
}

#[test]
fn a_broken_inventory_is_a_fault() {
    let seeds = seeds(&[
        "a01 ansible_host=10.0.0.1 x='{\"k\": [1, 2]}' # c\n[web]\nweb[01:20:2].foo.bar\n[all:children]\nweb\n[web:vars]\nv=True\n",
        "all:\n  hosts:\n    a[a:f]:\n      x: 1\n  children:\n    g:\n      hosts: {b: null}\n      vars: {y: [1]}\n",
        "[a:children]\nb\n[b:children]\na\n[c]\nd:22 y=(1,)\n",
    ]);
    let words = &[
        "[",
        "]",
        ":",
        "[all:vars]\n",
        ":children]\n",
        "[1:9]",
        "[a:z]",
        "[0:99]",
        "=",
        "'",
        "\"",
        "\\",
        "#",
        "\n",
        " ",
        "(",
        "{",
        "hosts:",
        "ungrouped",
        "ansible_port=x",
    ];
    hold(300, input(seeds, words), inputs::inventory);
}

#[test]
fn a_broken_frame_is_an_error() {
    let task = serde_json::json!({"Cancel": {"task": 7}});
    let mut stream = krun::proto::frame::MARKER.to_vec();
    stream.extend(krun::proto::frame::encode(&task).unwrap());
    let list = krun::proto::frame::encode(&vec![task; 3]).unwrap();
    let words = &[
        "\u{1e}krun agent 1\n",
        "\0\0\0\u{1}",
        "\0\0\0\u{5}hello",
        "Cancel",
        "Hello",
        "Task",
    ];
    hold(3000, input(vec![stream, list], words), inputs::frames);
}

#[test]
fn a_broken_template_is_an_error() {
    let seeds = seeds(&[
        "{% for i in list if i %}{{ loop.index }}: {{ i | default('x') | upper }}{% else %}none{% endfor %}",
        "{% set x = namespace(n=1) %}{% macro m(a, b=2) %}{{ a ~ b }}{% endmacro %}{{ m(1) }}{% raw %}{{ }}{% endraw %}",
        "#jinja2: trim_blocks: False, variable_start_string: '[%'\n[% word }}{# c #}",
        "{{ map.b.c | ternary(1, 2) + list[0] * -3 // 2 ** 2 }}{{ '%05.2f|%s' % (1.5, word) }}",
        "word in list and not lazy is defined or map['a'] == 1 and word is match('k.*')",
        "{{ hostvars['host'].word }}{{ vars['lazy'] }}{{ lookup('env', 'x') }}{{ word[::-1] | b64encode | regex_replace('(.)', '\\\\1') }}",
        "{{ '{:>9.3f}{:+,d}'.format(1.5, 7) }}{{ 2.5 | round(2) }}{{ word | center(9) | indent(3) }}{{ '%.*g' % 1.5 }}",
    ]);
    let words = &[
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{%-",
        "-%}",
        " if ",
        " else ",
        " in ",
        " is ",
        " not ",
        "|",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "'",
        "\"",
        ".",
        "~",
        "**",
        "%",
        "-",
        "1e999",
        "99999999999999999999",
        "loop",
        "self",
        "caller()",
        "{% if word %}",
        "{% endif %}",
        "{% for a in list %}",
        "{% endfor %}",
        "{% block b %}",
        "{% include 'x' %}",
        "| map('upper')",
        "| selectattr('k')",
        "| combine(map)",
        "| dict2items",
        "| from_yaml",
        "| to_nice_json",
        "| int",
        "| format",
        "| regex_search('(')",
        "| flatten",
        "| zip(list)",
        "| sort",
        "| strftime",
        "| ipaddr",
        "| center(9)",
        "lazier",
        "70000",
        "omit",
        "range(3)",
        "list",
        "map",
        "\\",
        "\n",
        "\u{e9}",
    ];
    hold(2500, input(seeds, words), inputs::templates);
}

#[test]
fn broken_properties_are_edited_all_the_same() {
    let seeds = seeds(&[
        "# c\nbroker.id=1\n! d\nlisteners = a,\\\n    b\nkey\\ with\\:space : v\\u00e9\n",
        "broker.id:2\r\nbroker.id 3\r\n# marker\r\nnew\\ key=x",
    ]);
    let words = &[
        "\\",
        "\n",
        "\r",
        "\r\n",
        "=",
        ":",
        " ",
        "\t",
        "#",
        "!",
        "\\u00",
        "\\u",
        "# marker\n",
        "broker.id",
        "\u{c}",
    ];
    hold(2500, input(seeds, words), inputs::properties);
}

#[test]
fn a_broken_archive_writes_nothing_outside() {
    let words = &[
        "../",
        "/",
        "../outside",
        "outside",
        "PK\u{3}\u{4}",
        "PK\u{5}\u{6}",
        "ustar",
        "\0\0\0\0",
        "12",
        "~~~~",
    ];
    hold(600, input(archives(), words), inputs::archives);
}

/// One archive of each format, with a file, a directory and links, one of which leads out.
fn archives() -> Vec<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o644);
    tar.append_data(&mut header.clone(), "d/f", &b"hi"[..])
        .unwrap();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    tar.append_link(&mut header, "d/l", "../../outside")
        .unwrap();
    header.set_entry_type(tar::EntryType::Link);
    tar.append_link(&mut header, "d/h", "d/f").unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut &tar[..], &mut xz).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("d/f", options).unwrap();
    zip.write_all(b"hi").unwrap();
    zip.add_symlink("d/l", "../../outside", options).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    // A tar with one file, packed by bzip2: nothing here can write that.
    let bzip2 = "QlpoOTFBWSZTWT00UcAAAHN7hMkQAEDAAH+AAADhYJ4AAACACCAAVDSanpPUaNGR6hk9BJTSepoBoNDQV+phGKEEnASNp3EpwczgkgZdMRqzauCohLDKXRsh1biMtFU4AxVntQXF1s6B3iREBgXckU4UJA9NFHAA";
    let bzip2 = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bzip2).unwrap();
    vec![tar, gzip.finish().unwrap(), xz, zip, bzip2]
}
