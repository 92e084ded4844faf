//! Holds a document against a JSON schema of `docs`: no field too many, none too few, each of its type.

use serde_json::Value;
use std::path::Path;

/// Reads a schema of `docs`.
pub(crate) fn read(name: &str) -> Value {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text = std::fs::read_to_string(docs.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Asserts that a document is what the schema says.
pub(crate) fn assert_holds(schema: &Value, document: &Value) {
    holds(schema, schema, document, "document");
}

fn holds(schema: &Value, root: &Value, value: &Value, path: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let (file, name) = reference.split_once("#/$defs/").unwrap();
        let other = (!file.is_empty()).then(|| read(file));
        let root = other.as_ref().unwrap_or(root);
        return holds(&root["$defs"][name], root, value, path);
    }
    if let Some(of) = schema["oneOf"].as_array() {
        let of = of
            .iter()
            .find(|of| value.is_null() == (of["type"] == "null"));
        return holds(of.unwrap(), root, value, path);
    }
    if let Some(only) = schema.get("const") {
        assert_eq!(value, only, "{path}");
    }
    if let Some(all) = schema["enum"].as_array() {
        assert!(all.contains(value), "{path} is {value}");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => Vec::from_iter(one.as_str()),
    };
    let is_of_a_type = types.is_empty() || types.iter().any(|it| is(value, it));
    assert!(is_of_a_type, "{path} is {value}, and not {types:?}");
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            for name in required.filter_map(Value::as_str) {
                assert!(fields.contains_key(name), "{path} lacks {name}");
            }
            for (name, value) in fields {
                let named = &schema["properties"][name];
                let of = if named.is_null() {
                    &schema["additionalProperties"]
                } else {
                    named
                };
                let is_known = !of.is_null() || schema.get("properties").is_none();
                assert!(is_known, "{path}.{name} is not in the schema");
                holds(of, root, value, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                holds(&schema["items"], root, item, &format!("{path}[]"));
            }
        }
        _ => {}
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    }
}
