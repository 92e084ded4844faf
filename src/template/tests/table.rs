//! The first line of table.txt are the variables; each other line is a template and its result. All is
//! JSON; `ERR` stands for any error.

use super::super::Raw;
use super::{Memory, render};
use crate::value::Value;
use std::collections::BTreeMap;

#[test]
fn every_expression_of_the_table_gives_what_ansible_gives() {
    let text = include_str!("table.txt");
    let (vars, lines) = text.split_once('\n').unwrap();
    let vars: BTreeMap<String, Value> = serde_json::from_str(vars).unwrap();
    let mut memory = Memory::default();
    for (name, value) in vars {
        memory.vars.insert(name, Raw::Lazy(value));
    }
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let (expression, expected) = line.split_once(" => ").unwrap();
        let expression: String = serde_json::from_str(expression).unwrap();
        let got = match render(&expression, &memory) {
            Ok(value) => serde_json::to_string(&value).unwrap(),
            Err(error) => format!("ERR {error}"),
        };
        let same = match expected.strip_prefix("ERR") {
            Some(_) => got.starts_with("ERR"),
            None => match (
                serde_json::from_str::<serde_json::Value>(expected),
                serde_json::from_str::<serde_json::Value>(&got),
            ) {
                (Ok(expected), Ok(got)) => expected == got,
                _ => false,
            },
        };
        if !same {
            wrong.push(format!(
                "{expression}\n   expected {expected}\n   got      {got}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
