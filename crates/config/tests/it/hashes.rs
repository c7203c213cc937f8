//! What changes which hash.

use baton_config::{Hashes, Share, share_of};
use baton_core::IntentName;
use serde_json::json;

use crate::folder::Folder;

const INTENT: &str = r#"models = ["openai/a", "gpt"]
examples = 1
[labels]
billing = "invoices"
bug = "broken"
[params]
temperature = 0
[cache]
ttl = "1h"
"#;
const BATON: &str = "[models.gpt]\nid = \"openai/b\"\n";
const PROMPT: &str = "## system\nPick one\n## user\n{{ ticket }}\n";
const SCHEMA: &str = r#"{"properties": {"ticket": {"type": "string"}}}"#;
const CASES: &str = "{\"input\": {\"ticket\": \"x\"}, \"expected\": {\"label\": \"bug\"}, \"share\": \"examples\"}\n";

/// Path, what is replaced, and by what.
type Edit<'a> = (&'a str, &'a str, &'a str);

fn hashes(name: &str, (path, from, to): Edit<'_>) -> Hashes {
    let files = [("intent.toml", INTENT), ("prompt.md", PROMPT), ("input.schema.json", SCHEMA), ("cases.jsonl", CASES)];
    let edited = |file: &str, text: &str| if file == path { text.replace(from, to) } else { text.to_owned() };
    let folder = Folder::default().with("baton.toml", edited("baton.toml", BATON));
    let folder =
        files.iter().fold(folder, |f, (file, text)| f.with(&format!("intents/{name}/{file}"), edited(file, text)));
    let loaded = folder.load().unwrap_or_else(|report| panic!("{path} {to}: {report}"));
    loaded.snapshot.intents[&IntentName::new(name)].hashes.clone()
}

/// `a`nswer, `p`olicy and `l`ineage: those that differ.
fn changed(a: &Hashes, b: &Hashes) -> String {
    let pairs = [("a", &a.answer, &b.answer), ("p", &a.policy, &b.policy), ("l", &a.lineage, &b.lineage)];
    pairs.iter().filter(|(_, a, b)| a != b).map(|(name, ..)| *name).collect()
}

#[test]
fn each_change_changes_exactly_its_hashes() {
    let none = ("", "", "");
    let before = hashes("one", none);
    assert_eq!(changed(&before, &hashes("one", none)), "", "hashes are repeatable");
    assert_eq!(changed(&before, &hashes("two", none)), "pl", "the name");
    for (edit, expected) in [
        (("intent.toml", "temperature = 0", "temperature = 1"), "ap"),
        (("intent.toml", "examples = 1", "examples = 0"), "ap"),
        (("intent.toml", "\"broken\"", "\"does not work\""), "ap"),
        (("intent.toml", "bug = \"broken\"", "bug = \"broken\"\nspam = \"\""), "apl"),
        (("intent.toml", "billing = \"invoices\"\nbug = \"broken\"", "bug = \"broken\"\nbilling = \"invoices\""), "ap"),
        (("intent.toml", "1h", "2h"), "p"),
        (("intent.toml", "\"openai/a\", ", ""), "p"),
        (("intent.toml", "[cache]", "[objective]\nlatency_ms = 5\n[cache]"), "p"),
        (("intent.toml", "[cache]", "[[checks]]\ntype = \"length\"\nmax = 9\n[cache]"), "p"),
        (("intent.toml", "[cache]", "[[criteria]]\nid = \"a\"\nask = \"b?\"\n[cache]"), "pl"),
        (("intent.toml", "[cache]", "[review]\nper_day = 5\n[cache]"), "p"),
        (("intent.toml", "[cache]", "# a remark\n[cache]"), ""),
        (("intent.toml", "examples = 1", "examples = 1\nroute = \"ordered\""), ""),
        (("prompt.md", "Pick", "Choose"), "ap"),
        (("prompt.md", "## system\n", "## system\n\n\n"), ""),
        (("prompt.md", "\n", "\r\n"), ""),
        (("input.schema.json", "\"string\"", "\"string\", \"maxLength\": 9"), "ap"),
        (("input.schema.json", ": ", ":  "), ""),
        (("cases.jsonl", "\"x\"", "\"y\""), "ap"),
        (("baton.toml", "openai/b", "openai/c"), "p"),
        (("baton.toml", "\"openai/b\"", "\"openai/b\"\ntimeout = \"9s\""), "p"),
        (("baton.toml", "[models.gpt]", "[models.other]\nid = \"openai/z\"\n[models.gpt]"), ""),
    ] {
        assert_eq!(changed(&before, &hashes("one", edit)), expected, "{edit:?}");
    }
}

#[test]
fn an_output_schema_carries_lineage_whatever_its_spelling() {
    let hashes = |schema: &str| {
        let folder = Folder::default()
            .with("intents/a/intent.toml", "models = [\"openai/a\"]\n")
            .with("intents/a/prompt.md", "{{ input }}")
            .with("intents/a/output.schema.json", schema);
        folder.load().unwrap_or_else(|report| panic!("{report}")).snapshot.intents[&IntentName::new("a")].hashes.clone()
    };
    let before = hashes(r#"{"type": "object", "properties": {"a": {}, "b": {}}}"#);
    let swapped = hashes(r#"{"type": "object", "properties": {"b": {}, "a": {}}}"#);
    assert_eq!(changed(&before, &swapped), "ap", "models read the order");
    assert_eq!(changed(&before, &hashes(r#"{"type": "object", "properties": {"a": {}}}"#)), "apl");
}

#[test]
fn cases_split_six_two_two_by_their_input() {
    let mut counts = [0_u32; 3];
    for n in 0..10_000 {
        counts[share_of(&json!({"n": n})) as usize] += 1;
    }
    // Four standard deviations of a share of 0.6 in 10,000 are 196.
    assert!(counts[0].abs_diff(6000) < 200 && counts[1].abs_diff(2000) < 200, "{counts:?}");
    assert_eq!(share_of(&json!({"a": 1, "b": 2})), share_of(&json!({"b": 2, "a": 1})));
    assert_eq!(share_of(&json!("x")), Share::Evaluation, "the split of stored cases never changes");
}
