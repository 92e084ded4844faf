//! The document is what its schema says.

use super::super::example;
use super::*;

#[test]
fn the_document_of_a_plan_holds_each_result_and_each_diff() {
    let story = Story::of(&example::plan());
    let document: Value = serde_json::from_str(&draw(&story)).unwrap();
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&document["plays"][0]["outcomes"][0]).unwrap()
    );
    insta::assert_snapshot!(document["summary"].to_string());
    assert_eq!(
        document["plays"][1]["batches"][2]["tasks"][3]["results"][0]["status"],
        "unforeseen"
    );
}

/// Every field that the schema requires is there, and none that it does not know.
fn holds(schema: &Value, root: &Value, value: &Value, path: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &root["$defs"][name.trim_start_matches("#/$defs/")],
        None => schema,
    };
    if value.is_null() {
        let types = &schema["type"];
        let may = types == "null"
            || types
                .as_array()
                .is_some_and(|all| all.contains(&json!("null")));
        assert!(may || schema.get("type").is_none(), "{path} is null");
        return;
    }
    if let Some(of) = schema["oneOf"].as_array() {
        let of = of.iter().find(|of| of["type"] != "null").unwrap();
        return holds(of, root, value, path);
    }
    match value {
        Value::Object(fields) if schema.get("properties").is_some() => {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().unwrap()),
                    "{path} lacks {name}"
                );
            }
            for (name, value) in fields {
                let of = &schema["properties"][name];
                assert!(!of.is_null(), "{path}.{name} is not in the schema");
                holds(of, root, value, &format!("{path}.{name}"));
            }
        }
        Value::Object(fields) => {
            let of = &schema["additionalProperties"];
            fields
                .iter()
                .for_each(|(name, value)| holds(of, root, value, &format!("{path}.{name}")));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| holds(&schema["items"], root, item, &format!("{path}[]"))),
        _ => {}
    }
}

#[test]
fn the_schema_knows_every_field() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/report.schema.json")).unwrap();
    assert_eq!(schema["properties"]["version"]["const"], VERSION);
    let document = document(&Story::of(&example::plan()));
    holds(&schema, &schema, &document, "report");
}
