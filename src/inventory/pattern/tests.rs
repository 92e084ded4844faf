use super::*;
use crate::diag::{Diagnostics, Source};
use crate::inventory::ini;

/// The inventory of the examples: web01 to web03, db1, db2, zk1; dc1 has web01 and db1.
fn inventory() -> Inventory {
    let text = "[web]\nweb[01:03].x\n[db]\ndb1\ndb2\n[zk]\nzk1\n[dc1]\nweb01.x\ndb1\n[back:children]\ndb\nzk\n";
    let mut inventory = Inventory::default();
    let mut faults = Diagnostics::new();
    ini::parse(&Source::new("hosts", text), &mut inventory, &mut faults);
    inventory.reconcile();
    assert!(faults.is_empty(), "{faults:?}");
    inventory
}

fn select(pattern: &str) -> String {
    let mut unmatched = Vec::new();
    let hosts = match inventory().select_noting(&[pattern], &mut unmatched) {
        Ok(hosts) => hosts.join(" "),
        Err(error) => error.to_string(),
    };
    let notes = unmatched.iter().map(|u| format!(" [{u}]"));
    format!("{hosts}{}", notes.collect::<Vec<_>>().concat())
}

#[test]
fn parts_apply_in_a_fixed_order_wherever_they_stand() {
    assert_eq!(select("!db:all"), "web01.x web02.x web03.x zk1");
    assert_eq!(select("web:&dc1"), "web01.x");
    assert_eq!(select("&dc1:web:db:!db1"), "web01.x");
    assert_eq!(select("!web"), "db1 db2 zk1");
}

#[test]
fn hosts_come_in_the_order_of_the_parts_and_once() {
    assert_eq!(select("zk,db"), "zk1 db1 db2");
    assert_eq!(select("db2:db"), "db2 db1");
    assert_eq!(select("back"), "db1 db2 zk1");
    assert_eq!(select(" db1 , zk1 "), "db1 zk1");
}

#[test]
fn globs_match_groups_and_hosts_and_regexes_begin_at_the_start() {
    assert_eq!(select("web0?.x"), "web01.x web02.x web03.x");
    assert_eq!(select("web0[!1]*"), "web02.x web03.x");
    assert_eq!(select("d*"), "db1 db2 web01.x");
    assert_eq!(select("~(web|db)0?1"), "web01.x db1");
    assert_eq!(select("~eb01"), " [no host or group matches `~eb01`]");
    assert_eq!(select("*"), "web01.x web02.x web03.x db1 db2 zk1");
}

#[test]
fn subscripts_count_from_either_end_and_include_both() {
    assert_eq!(select("web[0]"), "web01.x");
    assert_eq!(select("web[-1]"), "web03.x");
    assert_eq!(select("web[1:]"), "web02.x web03.x");
    assert_eq!(select("web[0:1]"), "web01.x web02.x");
    assert_eq!(select("web[0:1]:!web[0]:zk"), "web02.x zk1");
    assert_eq!(
        select("web[7]"),
        "`web[7]` counts past the end: 3 hosts match"
    );
}

#[test]
fn localhost_need_not_be_in_the_inventory() {
    assert_eq!(select("localhost"), "localhost");
    assert_eq!(select("127.0.0.1"), "127.0.0.1");
    assert!(!select("all").contains("localhost"));
}

#[test]
fn what_matches_nothing_is_noted_with_what_was_meant() {
    insta::assert_snapshot!(select("bakc:db"), @"db1 db2 [no host or group matches `bakc`: did you mean `back`?]");
    insta::assert_snapshot!(select("~(web"), @"`~(web` is not a valid pattern: Parsing error at position 9: Opening parenthesis without closing parenthesis");
}

#[test]
fn a_limit_keeps_the_order_of_the_play_and_may_be_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("retry"), "db2\n\nweb01.x\n").unwrap();
    let inventory = inventory();
    let limit = Limit::load("@retry,zk1", dir.path()).unwrap();
    let hosts = inventory.select("all").unwrap();
    let hosts = inventory.limited(hosts, &limit, &mut Vec::new()).unwrap();
    assert_eq!(hosts.join(" "), "web01.x db2 zk1");
    assert!(Limit::load("@nope", dir.path()).is_err());
}
