//! `baton prices`, and models that come to their end.

use crate::folder::Folder;

const INTENT: &str =
    "models = [\"openai/gpt-4o-mini\", \"house\", \"openai/unheard-of\"]\n[labels]\na = \"\"\nb = \"\"\n";
const BATON: &str = r#"# ours
[models.house] # at home
id = "house/llama"
price = { input = "0.10 USD/M", output = "0.30 USD/M" } # as agreed

[providers.house]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
"#;

fn house() -> Folder {
    Folder::with(&[("baton.toml", BATON), ("intents/a/intent.toml", INTENT)])
}

fn baton_toml(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join("baton.toml")).unwrap()
}

#[test]
fn prices_are_listed_with_where_they_are_from() {
    let folder = house();
    let listed = folder.run(&["prices", "list", "--json"]).done().json();
    let model = |name: &str| listed["models"].as_array().unwrap().iter().find(|m| m["model"] == name).unwrap().clone();
    assert_eq!(model("openai/gpt-4o-mini")["from"], "built-in list: gpt-4o-mini");
    assert_eq!(model("openai/gpt-4o-mini")["rows"][0]["usd_per_million"]["cached"], "0.075");
    assert_eq!(model("house/llama")["from"], "baton.toml");
    assert!(model("openai/unheard-of")["rows"].is_null());
    assert_eq!(listed["sources"][0]["package"], "genai-prices");
    let text = folder.run(&["prices", "list"]).done().out;
    assert!(text.contains("not known") && text.contains("genai-prices"), "{text}");
    let found = folder.run(&["prices", "list", "anthropic/claude-haiku-4"]).done().out;
    assert!(found.contains("1.25 cache write") && !found.contains("gpt"), "{found}");
}

#[test]
fn a_price_is_set_and_the_file_keeps_its_form() {
    let folder = house();
    folder.run(&["prices", "set", "house", "--output", "0.25", "--batch-percent", "50"]).done();
    let mini = ["prices", "set", "openai/gpt-4o-mini", "--input", "0.12", "--output", "0.5", "--from", "2027-01-01"];
    folder.run(&mini).done();
    insta::assert_snapshot!(baton_toml(&folder), @r#"
    # ours
    [models.house] # at home
    id = "house/llama"
    price = { input = "0.10 USD/M", output = "0.25 USD/M", batch_percent = 50 } # as agreed

    [models.gpt-4o-mini]
    id = "openai/gpt-4o-mini"
    price = { input = "0.12 USD/M", output = "0.5 USD/M", from = "2027-01-01" }

    [providers.house]
    kind = "openai-compatible"
    base_url = "http://127.0.0.1:9/v1"
    "#);
    let diff = folder.run(&["prices", "diff"]).done().out;
    assert!(diff.contains("baton.toml: 0.12 in, 0.5 out; from 2027-01-01"), "{diff}");
    assert!(diff.contains("2 of 3 models in use cost something else"), "{diff}");
}

#[test]
fn a_price_that_would_not_load_is_not_left_there() {
    let folder = house();
    folder.run(&["prices", "set", "nowhere/model", "--input", "1", "--output", "2"]).ends(2, "is as it was");
    folder.run(&["prices", "set", "openai/gpt-4o-mini", "--input", "1"]).ends(2, "give it --output too");
    folder.run(&["prices", "set", "small", "--input", "1"]).ends(2, "has no [models.small]");
    folder.run(&["prices", "set", "house", "--input", "-1"]).ends(2, "");
    assert_eq!(baton_toml(&folder), BATON);
    let fresh = Folder::with(&[("intents/a/intent.toml", "models = [\"openai/x\"]\n[labels]\na = \"\"\nb = \"\"\n")]);
    fresh.run(&["prices", "set", "openai/x", "--input", "1", "--output", "2"]).done();
    assert!(fresh.run(&["prices", "list"]).done().out.contains("1 in, 2 out"));
}

#[test]
fn another_list_is_compared() {
    let folder = house();
    let list = r#"{"sources":[],"vendors":{"openai":[
{"id":"gpt-4o-mini","names":["gpt-4o-mini"],"rows":[{"input":"0.2","output":"0.6"}]}]}}"#;
    folder.write("new.json", list);
    folder.write("no.json", "{}");
    let diff = folder.run(&["prices", "diff", "new.json", "--json"]).done().json();
    assert_eq!(diff["changes"][0]["model"], "openai/gpt-4o-mini");
    assert_eq!(diff["changes"][0]["after"][0]["usd_per_million"]["input"], "0.2");
    assert!(folder.run(&["prices", "diff", "new.json"]).done().out.contains("1 priced otherwise, 0 new"));
    folder.run(&["prices", "diff", "no.json"]).ends(2, "not a price list");
    folder.run(&["prices", "diff", "none.json"]).ends(3, "none.json");
}

#[test]
fn models_that_are_turned_off_are_told() {
    // Turned off in 2026, whenever this runs.
    let intent = "models = [\"openai/gpt-4-0314\", \"openai/gpt-4o-mini\"]\n[labels]\na = \"\"\nb = \"\"\n";
    let folder = Folder::with(&[("intents/a/intent.toml", intent)]);
    let told = "`openai/gpt-4-0314`, used by a, was to be turned off on 2026-03-26 or later";
    let checked = folder.run(&["check"]).done();
    assert!(checked.err.contains(told) && !checked.err.contains("`openai/gpt-4o-mini`, used"), "{}", checked.err);
    folder.run(&["report"]).ends(0, told);
    let report = folder.run(&["report", "--json"]).done().json();
    assert_eq!(report["retiring"][0]["model"], "openai/gpt-4-0314");
}
