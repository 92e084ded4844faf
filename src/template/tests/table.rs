//! The first line of a table holds the variables; each other line is a template and its result. All is
//! JSON; `ERR` stands for any error.

use super::super::{Error, Raw, Templar};
use super::{Memory, render};
use crate::value::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What went wrong in a table, where `run` renders one of its templates.
fn wrong(table: &str, run: impl Fn(&str, &Memory) -> Result<Value, Error>) -> Vec<String> {
    let (vars, lines) = table.split_once('\n').unwrap();
    let vars: BTreeMap<String, Value> = serde_json::from_str(vars).unwrap();
    let mut memory = Memory::default();
    for (name, value) in vars {
        memory.vars.insert(name, Raw::Lazy(value));
    }
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let (template, expected) = line.split_once(" => ").unwrap();
        let template: String = serde_json::from_str(template).unwrap();
        let got = match run(&template, &memory) {
            Ok(value) => serde_json::to_string(&value).unwrap(),
            Err(error) => format!("ERR {error}"),
        };
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let same = match expected {
            "ERR" => got.starts_with("ERR"),
            _ => parse(expected) == parse(&got) && parse(&got).is_some(),
        };
        if !same {
            wrong.push(format!(
                "{template:?}\n   expected {expected}\n   got      {got}"
            ));
        }
    }
    wrong
}

#[test]
fn every_expression_of_the_table_gives_what_ansible_gives() {
    let wrong = wrong(include_str!("table.txt"), render);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_file_of_the_table_is_rendered_as_jinja_renders_it() {
    let wrong = wrong(include_str!("files.txt"), |text, memory| {
        let scope = memory.clone().scope();
        let rendered = Templar::new().render_file(text, Path::new("t.j2"), &[], &scope)?;
        Ok(Value::String(rendered))
    });
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
