//! The document is what its schema says.

use super::super::example;
use super::*;

#[path = "../../../tests/shared/schema.rs"]
mod schema;

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

#[test]
fn the_schema_knows_every_field() {
    let schema = schema::read("report.schema.json");
    assert_eq!(schema["properties"]["version"]["const"], VERSION);
    let document = document(&Story::of(&example::plan()));
    schema::assert_holds(&schema, &document);
}
