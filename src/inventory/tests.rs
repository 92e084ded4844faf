use super::*;
use crate::diag::{Diagnostics, Severity};
use crate::vault::Vault;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A directory with files, and what loading from it gave.
struct Loaded {
    inventory: Inventory,
    faults: Diagnostics,
    dir: tempfile::TempDir,
}

fn load_from(files: &[(&str, &str)], sources: &[&str]) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let mut faults = Diagnostics::new();
    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let vault = Vault::default();
    let options = LoadOptions {
        cwd: dir.path(),
        vault: &vault,
    };
    let inventory = load(&sources, &options, &mut faults);
    Loaded {
        inventory,
        faults,
        dir,
    }
}

fn good(files: &[(&str, &str)], sources: &[&str]) -> Inventory {
    let loaded = load_from(files, sources);
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded.inventory
}

/// One fault a line.
fn faults(name: &str, text: &str) -> String {
    let loaded = load_from(&[(name, text)], &[name]);
    let lines: Vec<String> = loaded
        .faults
        .iter()
        .map(|d| {
            let help = d.help.as_ref().map(|help| format!(" ({help})"));
            let severity = match d.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = d.span.as_ref().map(|span| format!("{span:?} "));
            let message = d
                .message
                .replace(&loaded.dir.path().display().to_string(), "DIR");
            format!(
                "{}{severity}: {message}{}",
                place.unwrap_or_default(),
                help.unwrap_or_default()
            )
        })
        .collect();
    lines.join("\n")
}

fn vars(inventory: &Inventory, host: &str) -> String {
    let mut vars = inventory.vars(host).values;
    vars.shift_remove("inventory_file");
    vars.shift_remove("inventory_dir");
    vars.sort_keys();
    serde_json::to_string(&vars).unwrap()
}

fn groups(inventory: &Inventory) -> String {
    let groups = inventory.groups_map();
    let lines: Vec<String> = groups
        .iter()
        .map(|(name, hosts)| format!("{name}: {}", hosts.join(" ")))
        .collect();
    lines.join("\n")
}

#[test]
fn ini_hosts_groups_and_variables() {
    let inventory = good(
        &[(
            "hosts",
            "lone:2222
# comment
[kafka]
kafka[01:02] broker_id=5 rack='a b' # trailing
kafka01 extra=[1,2]
[zk]
zk1 flag=True word=true h=a#b c=x
[cluster:children]
kafka
zk
[cluster:vars]
version = 2.6.0
heap=\"-Xmx1g\"   
n=5
note=a # kept
",
        )],
        &["hosts"],
    );
    insta::assert_snapshot!(groups(&inventory), @"
    all: lone kafka01 kafka02 zk1
    ungrouped: lone
    kafka: kafka01 kafka02
    zk: zk1
    cluster: kafka01 kafka02 zk1
    ");
    insta::assert_snapshot!(vars(&inventory, "kafka01"), @r#"
    {"broker_id":5,"extra":[1,2],"heap":"-Xmx1g","n":5,"note":"a # kept","rack":"a b","version":"2.6.0"}
    "#);
    insta::assert_snapshot!(vars(&inventory, "zk1"), @r#"
    {"flag":true,"h":"a","heap":"-Xmx1g","n":5,"note":"a # kept","version":"2.6.0","word":"true"}
    "#);
    insta::assert_snapshot!(vars(&inventory, "lone"), @r#"
    {"ansible_port":2222}
    "#);
    assert_eq!(inventory.group_names("zk1"), ["cluster", "zk"]);
    assert_eq!(inventory.group_names("lone"), ["ungrouped"]);
}

#[test]
fn yaml_hosts_groups_and_variables() {
    let inventory = good(
        &[(
            "hosts.yml",
            "all:
  vars: {a: 1}
  hosts:
    lone:
  children:
    kafka:
      hosts:
        kafka[1:2]: {port: 9092}
      vars:
        a: 2
    cluster:
      children:
        kafka:
        zk: {hosts: zk1}
",
        )],
        &["hosts.yml"],
    );
    insta::assert_snapshot!(groups(&inventory), @"
    all: lone kafka1 kafka2 zk1
    ungrouped: lone
    kafka: kafka1 kafka2
    cluster: kafka1 kafka2 zk1
    zk: zk1
    ");
    insta::assert_snapshot!(vars(&inventory, "kafka2"), @r#"
    {"a":2,"port":9092}
    "#);
    insta::assert_snapshot!(vars(&inventory, "zk1"), @r#"
    {"a":1}
    "#);
}

#[test]
fn variables_merge_by_precedence() {
    let loaded = load_from(
        &[
            (
                "inv/hosts",
                "[child]\nh1 own=host\n[parent:children]\nchild\n[parent:vars]\nx=parent\ny=parent\n\
                 [child:vars]\nx=child\n[zeta]\nh1\n[zeta:vars]\nx=zeta\nansible_group_priority=0\n\
                 [all:vars]\nz=all\n",
            ),
            (
                "inv/group_vars/all.yml",
                "z: all-file\nown: all-file\nlevel: 4\n",
            ),
            ("inv/group_vars/child/main.yml", "from_dir: 1\nlevel: 6\n"),
            ("inv/group_vars/child/sub/more.yml", "from_sub: 1\n"),
            ("inv/group_vars/child/skipped.txt", "not: read\n"),
            ("inv/group_vars/child.yml", "not: read\n"),
            ("inv/host_vars/h1.json", "{\"level\": 9}"),
            ("play/group_vars/all", "level: 5\nplay_all: 1\n"),
            ("play/host_vars/h1.yaml", "level: 10\n"),
        ],
        &["inv/hosts"],
    );
    let Loaded {
        mut inventory,
        mut faults,
        dir,
    } = loaded;
    assert_eq!(
        vars(&inventory, "h1"),
        r#"{"from_dir":1,"from_sub":1,"level":9,"own":"host","x":"child","y":"parent","z":"all-file"}"#
    );
    let vault = Vault::default();
    let options = LoadOptions {
        cwd: dir.path(),
        vault: &vault,
    };
    inventory.add_playbook_vars(Path::new("play"), &options, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    let merged = inventory.vars("h1");
    assert_eq!(merged.values["level"], 10);
    assert_eq!(merged.values["play_all"], 1);
    assert_eq!(
        merged.spans["level"].to_string(),
        "play/host_vars/h1.yaml:1:8"
    );
    assert!(inventory.all_vars_names().contains("from_sub"));
}

#[test]
fn several_sources_add_up() {
    let inventory = good(
        &[
            ("a/10-hosts", "[web]\nw1 x=1\n"),
            ("a/20.yml", "web: {hosts: {w2: {x: 2}}, vars: {g: a}}\n"),
            ("a/skip.cfg", "[[["),
            ("a/group_vars/web.yml", "g: file\n"),
            ("b", "[web]\nw1 x=3\n[more:children]\nweb\n"),
        ],
        &["a", "b", "extra1, extra2,"],
    );
    insta::assert_snapshot!(groups(&inventory), @"
    all: extra1 extra2 w1 w2
    ungrouped: extra1 extra2
    web: w1 w2
    more: w1 w2
    ");
    assert_eq!(vars(&inventory, "w1"), r#"{"g":"file","x":3}"#);
}

#[test]
fn a_script_is_asked_for_its_list() {
    let script = "#!/bin/sh\ncat <<'END'\n{\"web\": {\"hosts\": [\"w1\"], \"vars\": {\"a\": true}},\n \
                  \"top\": {\"children\": [\"web\"]}, \"_meta\": {\"hostvars\": {\"w1\": {\"b\": 2}}}}\nEND\n";
    let inventory = good(&[("hosts", script)], &["hosts"]);
    insta::assert_snapshot!(groups(&inventory), @"
    all: w1
    ungrouped: 
    web: w1
    top: w1
    ");
    assert_eq!(vars(&inventory, "w1"), r#"{"a":true,"b":2}"#);
}

#[test]
fn ini_faults_are_found_all_at_once_each_at_its_place() {
    let text = "[kafka]
k1 ansible_host = 10.0.0.1
k2 broker_id
k[3:1]
k4 name='open
k5 name=a b
[kafka:varz]
x=1
[kafka:vars]
no value
port: 9092
ansible_usr=root
[cluster:children]
kafak
nowhere
[nobody:vars]
x=1
[zk servers]
[open
[ kafka ]
[a:children]
b
[b:children]
a
a b
---
";
    insta::assert_snapshot!(faults("hosts", text), @r#"
    hosts:2:4+12 error: expected `key=value` behind the host, found `ansible_host` (no blanks around the `=`)
    hosts:3:4+9 error: expected `key=value` behind the host, found `broker_id`
    hosts:4:2+5 error: the range `[3:1]` runs backwards
    hosts:5:9+1 error: this quote is never closed
    hosts:6:11+1 error: expected `key=value` behind the host, found `b` (quote a value that has blanks: `key="a b"`)
    hosts:7:8+4 error: unknown kind of section `varz` (did you mean `vars`?)
    hosts:10:1+8 error: expected `key=value`, found `no value` (this is in the section `[kafka:vars]`)
    hosts:11:1+10 error: expected `key=value`, found `port: 9092` (write `port=9092`)
    hosts:14:1+5 error: `[cluster:children]` names an unknown group `kafak` (did you mean `kafka`?)
    hosts:15:1+7 error: `[cluster:children]` names an unknown group `nowhere` (add a section `[nowhere]`)
    hosts:16:2+6 error: `[nobody:vars]` names an unknown group (add a section `[nobody]` or `[nobody:children]`)
    hosts:18:1+12 error: broken section header `[zk servers]` (a group's name has no blanks: `[zk_servers]`)
    hosts:19:1+5 error: broken section header `[open` (close it with `]`)
    hosts:20:1+9 error: broken section header `[ kafka ]` (write `[kafka]`: no blanks in a section header)
    hosts:24:1+1 error: group `b` contains itself: b → a → b
    hosts:25:1+3 error: expected the name of a group, found `a b`
    hosts:26:1+3 error: `[b:children]` names an unknown group `---` (add a section `[---]`)
    hosts:12:13+4 warning: `ansible_usr` is no variable of Ansible's (did you mean `ansible_user`?)
    "#);
}

#[test]
fn yaml_faults_are_found_all_at_once_each_at_its_place() {
    let text = "all:
  hosts:
    - web1
    - web2
  children:
    kafka:
      host: {k1: }
      hosts:
        k2: 10.0.0.2
        k[3:1]:
      vars: [a]
      rubbish: 1
    a: {children: {b: }}
    b: {children: {a: }}
hosts:
  x:
other: 5
";
    insta::assert_snapshot!(faults("hosts.yml", text), @r#"
    hosts.yml:3:5+1 error: `hosts` of group `all` must be a mapping, found a list (write `web1:` instead of `- web1`, each on a line of its own)
    hosts.yml:7:7+4 error: unknown key `host` in group `kafka` (did you mean `hosts`?)
    hosts.yml:9:13+8 error: the variables of host `k2` must be a mapping, found a string (write `k2: {ansible_host: 10.0.0.2}`)
    hosts.yml:10:10+5 error: the range `[3:1]` runs backwards
    hosts.yml:11:13+1 error: `vars` of group `kafka` must be a mapping, found a list (take away the `-` in front of each line)
    hosts.yml:12:7+7 warning: unknown key `rubbish` in group `kafka` (a group has `hosts:`, `vars:` and `children:`; this is skipped)
    hosts.yml:14:20+1 error: group `b` contains itself: b → a → b
    hosts.yml:15:1+5 warning: `hosts` at the top level is read as a group of that name (put it under `all:`)
    hosts.yml:16:3+1 warning: unknown key `x` in group `hosts` (a group has `hosts:`, `vars:` and `children:`; this is skipped)
    hosts.yml:17:8+1 warning: group `other` must be a mapping, found an integer: skipped (a group has `hosts:`, `vars:` and `children:`)
    "#);
}

#[test]
fn a_source_that_is_no_inventory_is_a_fault() {
    insta::assert_snapshot!(faults("i.yml", "- a\n- b\n"), @"i.yml:1:1+1 error: a YAML inventory must be a mapping of groups, found a list (begin with `all:` and its `hosts:`)");
    insta::assert_snapshot!(faults("i.yml", "plugin: aws_ec2\n"), @"i.yml:1:1+6 error: this configures the inventory plugin `aws_ec2`, which krun has not (write the hosts as INI or YAML, or as a script that prints JSON)");
    insta::assert_snapshot!(faults("hosts", "#!/bin/sh\necho oops >&2; exit 3\n"), @"error: `hosts --list` failed (exit status: 3): oops");
    let missing = load_from(&[("hosts", "h\n")], &["hsots"]);
    let fault = missing.faults.iter().next().unwrap();
    assert_eq!(fault.message, "inventory `hsots` does not exist");
    assert_eq!(fault.help.as_deref(), Some("did you mean `hosts`?"));
}

#[test]
fn a_localhost_that_nobody_named_is_local_and_sees_what_all_see() {
    let inventory = good(&[("hosts", "web1\n[all:vars]\na=1\n")], &["hosts"]);
    assert_eq!(
        vars(&inventory, "localhost"),
        r#"{"a":1,"ansible_connection":"local"}"#
    );
    assert!(inventory.group_names("localhost").is_empty());
    assert_eq!(inventory.select("all").unwrap().len(), 1);
}

#[test]
fn hosts_and_memberships_added_while_running_bring_their_group_vars() {
    let mut inventory = good(
        &[
            ("hosts", "web1\n"),
            ("group_vars/new.yml", "from_group: 1\n"),
            ("group_vars/broken.yml", "a: {{ b }}\n"),
        ],
        &["hosts"],
    );
    let vars_of_host = Dict::from([("x".to_string(), Value::from(5))]);
    let added = inventory.add_host("web2", &["new".into()], vars_of_host.clone());
    assert!(added.changed && added.faults.is_empty());
    assert_eq!(vars(&inventory, "web2"), r#"{"from_group":1,"x":5}"#);
    assert!(
        !inventory
            .add_host("web2", &["new".into()], vars_of_host)
            .changed
    );
    assert!(inventory.add_to_group("web1", "new").changed);
    assert_eq!(inventory.group_names("web1"), ["new"]);
    assert!(inventory.add_to_group("web1", "broken").faults.has_errors());
}
