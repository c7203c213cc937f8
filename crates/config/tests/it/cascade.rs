//! `route = "cascade"` and `cascade.json`: what is read, and what is said of each mistake.

use baton_config::Cascade;
use serde_json::{Value, json};

use crate::folder::{Folder, intent};

const MODELS: &str = "[models.small]\nid = \"openai/small\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
    [models.large]\nid = \"openai/large\"\nprice = { input = \"10 USD/M\", output = \"20 USD/M\" }\n";
const LABELS: &str = "[labels]\na = \"first\"\nb = \"second\"\n";

/// An intent whose small, large and priceless model are asked in turn.
fn house() -> Folder {
    let models = "models = [\"small\", \"large\", \"openai/priceless\"]\nroute = \"cascade\"\n";
    intent(&format!("{models}[routing]\nright_usd = 0.05\n{LABELS}")).with("baton.toml", MODELS)
}

/// The hash of what that intent asks.
fn answer() -> String {
    let loaded = house().load().unwrap();
    loaded.snapshot.intents.values().next().unwrap().hashes.answer.clone()
}

fn models(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "model": name, "inputTokens": 100, "outputTokens": 3 })).collect()
}

/// What `baton eval --cascade` writes, of two models and 200 cases.
fn file() -> Value {
    json!({
        "answer": answer()[..16],
        "models": models(&["openai/small", "openai/large"]),
        "right": { "00": 10, "01": 40, "10": 10, "11": 140 },
    })
}

fn with(file: &Value) -> Folder {
    house().with("intents/a/cascade.json", serde_json::to_string_pretty(file).unwrap())
}

fn compiled(folder: &Folder) -> Cascade {
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    loaded.snapshot.intents.values().next().unwrap().route.cascade.clone().unwrap()
}

#[test]
fn what_is_read() {
    let folder = with(&file());
    assert_eq!(folder.diagnostics(), "");
    let Cascade { right_usd, asks, together } = compiled(&folder);
    let together = together.unwrap();
    assert_eq!((right_usd, asks, together.models.len()), (0.05, 4, 2));
    assert_eq!((together.usage[1].input_tokens, together.usage[1].output_tokens), (100, 3));
    assert_eq!(together.rows[1], (vec![false, true], 40));
}

#[test]
fn terms_of_other_routes_are_told() {
    let ignored = intent(&format!(
        "models = [\"small\", \"large\"]\nroute = \"cascade\"\n[routing]\nright_usd = 0.05\nexplore = 0.1\n{LABELS}"
    ));
    let told = ignored.with("baton.toml", MODELS).with("intents/a/cascade.json", file().to_string()).diagnostics();
    assert!(told.contains("intent.toml:5:1") && told.contains("does not look at it"), "{told}");
}

/// A file whose answers no longer say anything of this intent is passed over, and the intent goes on without it.
#[test]
fn what_is_not_used_is_told() {
    let check = |folder: &Folder, expected: &str| {
        assert_eq!(folder.diagnostics(), expected);
        assert_eq!(compiled(folder).together, None);
    };
    check(
        &house(),
        "intents/a/intent.toml:2:9: route \"cascade\" behaves as \"ordered\" until cascade.json says who is right together\n    \
         `baton eval a --candidates A,B,C --share all --cascade` writes it\n",
    );
    let changed = |key: &str, value: Value| {
        let mut file = file();
        file[key] = value;
        with(&file)
    };
    check(
        &changed("right", json!({ "11": 60, "01": 39 })),
        "intents/a/cascade.json:1:1: 99 cases, and 100 at least say who is right together: it is not used\n    \
         `baton eval a --candidates A,B,C --share all --cascade` writes it anew\n",
    );
    for other in ["0123456789abcdef", &answer()[..7], ""] {
        check(
            &changed("answer", json!(other)),
            "intents/a/cascade.json:1:1: it was made of another prompt, schema or example than the intent has now: it is not used\n    \
             `baton eval a --candidates A,B,C --share all --cascade` writes it anew\n",
        );
    }
    check(
        &changed("models", models(&["openai/small", "openai/gone"])),
        "intents/a/cascade.json:1:1: `openai/gone` is not asked in turn: it is not among the intent's `models`\n    \
         add it there, or leave it out of the next `baton eval --cascade`\n\
         intents/a/cascade.json:1:1: fewer than two of its models can be asked: it is not used\n    \
         `baton eval a --candidates A,B,C --share all --cascade` writes it anew\n",
    );
}

#[test]
fn a_model_that_cannot_be_asked_is_left_out_of_the_cases() {
    let mut file = file();
    file["models"] = models(&["openai/small", "openai/priceless", "openai/large"]);
    file["right"] = json!({ "101": 80, "111": 40 });
    let folder = with(&file);
    assert_eq!(
        folder.diagnostics(),
        "intents/a/cascade.json:1:1: `openai/priceless` is not asked in turn: its price is not known\n    \
         give it a `price` under [models] in baton.toml\n"
    );
    let together = compiled(&folder).together.unwrap();
    assert_eq!(together.models.len(), 2);
    assert_eq!(together.rows, [(vec![true, true], 80), (vec![true, true], 40)]);
}

#[test]
fn local_is_asked_in_turn_at_no_price() {
    let mut file = file();
    file["models"] = models(&["local", "openai/large"]);
    let policy = format!("models = [\"local\", \"large\"]\nroute = \"cascade\"\n[routing]\nright_usd = 0.05\n{LABELS}");
    let line = |n: usize| json!({ "input": n, "expected": { "label": "a" } }).to_string() + "\n";
    let folder = with(&file)
        .with("intents/a/intent.toml", policy)
        .with("intents/a/cases.jsonl", (0..20).map(line).collect::<String>());
    assert_eq!(folder.diagnostics(), "");
    assert_eq!(compiled(&folder).together.unwrap().models.len(), 2);
}

#[test]
fn what_is_wrong_with_the_file() {
    let anew = "    remove the file; `baton eval a --candidates A,B,C --share all --cascade` writes it anew\n";
    let check = |key: &str, value: Value, expected: &str| {
        let mut file = file();
        file[key] = value;
        assert_eq!(with(&file).diagnostics(), format!("intents/a/cascade.json:{expected}\n{anew}"));
    };
    check("models", models(&["openai/small"]), "3:13: 1 models; from 2 to 11 can be asked in turn");
    check("models", models(&["openai/small", "openai/small"]), "9:5: `openai/small` is there twice");
    check(
        "right",
        json!({ "11": 150, "012": 1 }),
        "17:12: `012` is not one digit, 1 for right or 0, for each of 2 models",
    );
    check(
        "right",
        json!({ "11": 150, "x1": 1 }),
        "17:11: `x1` is not one digit, 1 for right or 0, for each of 2 models",
    );
    check("right", json!({ "11": 9_999, "10": 2 }), "15:12: 10001 cases; at most 10000 are read");
    check(
        "right",
        json!({ "11": -1 }),
        "1:1: not what cascade.json is made of: invalid value: integer `-1`, expected u32",
    );
    check(
        "rigth",
        json!({}),
        "1:1: not what cascade.json is made of: unknown field `rigth`, expected one of `answer`, `models`, `right`",
    );
    assert_eq!(
        house().with("intents/a/cascade.json", "{\n  \"answer\": \"0123\",\n  \"mod").diagnostics(),
        "intents/a/cascade.json:3:6: not valid JSON: EOF while parsing a string\n    correct the syntax\n"
    );
}

#[test]
fn what_does_not_go_with_it() {
    let check = |toml: &str, expected: &str| {
        let told = intent(toml).with("baton.toml", MODELS).diagnostics();
        assert!(told.contains(expected), "{toml}\n{told}");
    };
    let models = "models = [\"small\", \"large\"]\n";
    let route = format!("{models}route = \"cascade\"\n");
    check(
        &format!("{models}route = \"fastest\"\n[routing]\nright_usd = 0.1\n{LABELS}"),
        "intents/a/intent.toml:4:1: only the route \"cascade\" has it\n    set `route = \"cascade\"`, or remove it",
    );
    check(
        &format!("{models}route = \"fastest\"\n[routing]\nasks = 3\n{LABELS}"),
        "intents/a/intent.toml:4:1: only the route \"cascade\" has it",
    );
    check(
        &format!("{models}[routing]\nright_usd = 0.1\n{LABELS}"),
        "set `route` to \"cheapest\", \"fastest\", \"weighted\" or \"cascade\", or remove [routing]",
    );
    check(
        &format!("{route}{LABELS}"),
        "intents/a/intent.toml:2:9: route \"cascade\" weighs answers against their cost\n    add `right_usd` to [routing]",
    );
    let none = format!("{route}[routing]\nright_usd = 0\n{LABELS}");
    let told = intent(&none).with("baton.toml", MODELS).diagnostics();
    let once = "intents/a/intent.toml:4:13: `routing.right_usd` must be more than 0\n";
    assert!(told.starts_with(once) && !told.contains("weighs"), "{told}");
    for asks in [1, 5] {
        check(
            &format!("{route}[routing]\nright_usd = 0.1\nasks = {asks}\n{LABELS}"),
            "intents/a/intent.toml:5:8: `routing.asks` must be at",
        );
    }
    let texts = intent(&format!("{route}[routing]\nright_usd = 0.1\n")).with("baton.toml", MODELS);
    assert_eq!(
        texts.with("intents/a/prompt.md", "## user\n{{ input }}\n").diagnostics(),
        "intents/a/intent.toml:2:9: route \"cascade\" compares labels and fields, not texts\n    \
         two good texts need not be equal: take another route\n\
         intents/a/intent.toml:2:9: route \"cascade\" behaves as \"ordered\" until cascade.json says who is right together\n    \
         `baton eval a --candidates A,B,C --share all --cascade` writes it\n"
    );
    check(
        &format!("{route}[routing]\nright_usd = 0.1\n[routing.weights]\nsmall = 1\n{LABELS}"),
        "only the route \"weighted\" has weights",
    );
    let judge = "[objective]\nunproven = \"judge\"\n[judge]\nmodel = \"openai/other\"\nsecond_opinion = true\n";
    check(
        &format!("{route}[routing]\nright_usd = 0.1\n{judge}{LABELS}"),
        "intents/a/intent.toml:6:12: route \"cascade\" asks no judge in the path",
    );
}
