//! The JSON Schemas that editors use, as they are checked in.

use std::path::Path;

use serde_json::Value;

/// Set `UPDATE_GOLDEN=1` to write what is compared.
fn check(name: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|v| v == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, text, "schema/{name} is out of date: run this test with UPDATE_GOLDEN=1");
}

#[test]
fn the_schemas_are_those_of_the_shapes() {
    check("intent.schema.json", &baton_config::json_schema_intent());
    check("baton.schema.json", &baton_config::json_schema_baton());
}

#[test]
fn the_schemas_accept_what_the_loader_accepts() {
    let intent = baton_config::Schema::compile(baton_config::json_schema_intent()).unwrap();
    let file: toml::Value =
        toml::from_str("models = [\"a/b\"]\non_exhausted = { default = { text = \"\" } }\n").unwrap();
    intent.validate(&serde_json::to_value(file).unwrap()).unwrap();
    assert_eq!(intent.validate(&serde_json::json!({})).unwrap_err().pointer, "/models");
}
