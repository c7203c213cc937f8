//! Which case a prompt is recognised as, and what wrong answers look like.

use std::time::Duration;

use baton_sim::{Scenario, Script, Sim};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::content;

fn one_model(toml: &str) -> Scenario {
    Scenario::parse(&format!("[models.gpt-4]\n{toml}"), std::path::Path::new("")).unwrap()
}

/// Tickets, receipts and replies, some of whose inputs share text.
fn helpdesk(toml: &str) -> Sim {
    let tickets = [("I was charged twice", "billing"), ("I was charged twice and it crashes", "bug"), ("hi", "how-to")];
    let tickets = tickets.map(|(ticket, label)| (json!({"ticket": ticket}), json!({"label": label})));
    let receipt = "BOOK TA .K(TAMAN DAYA) SDN BND\nDATE:\n25/12/2018 8:13:39 PM\nTOTAL:\n9.00\nCASH \"10.00\"";
    let fields = json!({"company": "BOOK TA .K(TAMAN DAYA) SDN BND", "date": "25/12/2018", "total": "9.00"});
    let replies = json!({"customer": "Ann", "ticket": "I was charged twice"});
    one_model(toml)
        .cases(tickets)
        .and_then(|s| s.cases([(json!({"text": receipt}), fields)]))
        .and_then(|s| s.cases([(replies, json!({"text": "Hi Ann,\n\nwe look into it.\n\nThe team"}))]))
        .map(|scenario| Sim::new(scenario, 7))
        .unwrap()
}

fn ask(sim: &Sim, messages: &Value, format: Value) -> Script {
    let request = json!({"model": "gpt-4", "messages": messages, "response_format": format});
    sim.script(request.to_string().as_bytes(), 0, Duration::ZERO)
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn prompts_are_recognised() {
    let sim = helpdesk("");
    let labels = "labels: billing, bug, how-to";
    for (name, messages, expected) in [
        ("alone", user("I was charged twice"), "billing"),
        ("the longer of two that overlap", user("Ticket: I was charged twice and it crashes"), "bug"),
        ("short", user("Ticket: hi"), "how-to"),
        (
            "examples before it",
            json!([
                {"role": "system", "content": labels},
                {"role": "user", "content": "I was charged twice and it crashes"}, {"role": "assistant", "content": "bug"},
                {"role": "user", "content": "I was charged twice"},
            ]),
            "billing",
        ),
        (
            "examples in the same message",
            user("Q: I was charged twice and it crashes\nA: bug\nQ: I was charged twice\nA:"),
            "billing",
        ),
        ("parts", json!([{"role": "user", "content": [{"type": "text", "text": "I was charged twice"}]}]), "billing"),
        ("in the system message alone", json!([{"role": "system", "content": "Sort: I was charged twice"}]), "billing"),
        (
            "an input with more text",
            user("Customer Ann writes: I was charged twice"),
            "Hi Ann,\n\nwe look into it.\n\nThe team",
        ),
        ("told apart by the labels", user(&format!("{labels}. Customer Ann: I was charged twice")), "billing"),
    ] {
        assert_eq!(content(&ask(&sim, &messages, Value::Null)), expected, "{name}");
    }
}

#[test]
fn inputs_inside_json_are_recognised() {
    let sim = helpdesk("");
    let receipt = "BOOK TA .K(TAMAN DAYA) SDN BND\nDATE:\n25/12/2018 8:13:39 PM\nTOTAL:\n9.00\nCASH \"10.00\"";
    let fields = r#"{"company":"BOOK TA .K(TAMAN DAYA) SDN BND","date":"25/12/2018","total":"9.00"}"#;
    let inside = json!({ "text": receipt });
    for text in [inside.to_string(), format!("The \"input\" is {inside}: extract."), json!(receipt).to_string()] {
        assert_eq!(content(&ask(&sim, &user(&text), Value::Null)), fields, "{text}");
    }
}

#[test]
fn json_is_written_where_json_is_asked_for() {
    let sim = helpdesk("");
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    for format in [schema, json!({"type": "json_object"})] {
        assert_eq!(content(&ask(&sim, &user("I was charged twice"), format)), r#"{"label":"billing"}"#);
    }
}

#[test]
fn unknown_prompts_are_answered_in_form() {
    let sim = helpdesk("");
    let schema = json!({"type": "object", "properties": {
        "kind": {"enum": ["a"]}, "count": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "ok": {"type": ["boolean", "null"]},
    }});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let script = ask(&sim, &user("something else"), format);
    assert_eq!(content(&script), r#"{"kind":"a","count":0,"tags":["simulated"],"note":"simulated","ok":false}"#);
    assert_eq!(script.truth, None);
    let label = content(&ask(&sim, &user("billing, bug or how-to? It is broken."), Value::Null));
    assert!(["billing", "bug", "how-to"].contains(&label.as_str()), "{label}");
    assert!(content(&ask(&sim, &user("something else"), Value::Null)).starts_with("A simulated answer"));
}

#[test]
fn too_few_tokens_cut_the_answer() {
    let sim = helpdesk("");
    let request = json!({"model": "gpt-4", "messages": user("I was charged twice"), "max_tokens": 1});
    let script = sim.script(request.to_string().as_bytes(), 0, Duration::ZERO);
    assert_eq!(content(&script), "bill");
    assert!(crate::support::bytes_of(&script).contains(r#""finish_reason": "length""#));
}

#[test]
fn a_false_statement_leaves_the_text_in_form() {
    let sim = helpdesk("wrong = 1.0");
    let text = content(&ask(&sim, &user("Customer Ann writes: I was charged twice"), Value::Null));
    assert!(text.starts_with("Hi Ann,\n\nwe look into it. ") && text.ends_with(".\n\nThe team"), "{text}");
}

fn receipt(company: &str, date: &str, total: &str) -> (Value, Value) {
    let text = format!("{company}\nDATE: {date} 8:13 PM\nTOTAL: {total}\nCASH 50.00 CHANGE 1.25 THANK YOU COME AGAIN");
    (json!({ "text": text }), json!({"company": company, "date": date, "total": total}))
}

proptest! {
    /// An invented receipt has the same fields, at least one of them invented, and what is invented does not
    /// occur in the receipt.
    #[test]
    fn inventions_do_not_occur_in_the_input(
        seed: u64, company in "[A-Z][a-z]{2,8} [A-Z]{3,6}( [A-Z][a-z]{3,9})?", date in "[0-3][0-9]/1[0-2]/20[12][0-9]", cents in 1..100_000_u32,
    ) {
        let total = format!("{}.{:02}", cents / 100, cents % 100);
        let cases = [receipt(&company, &date, &total), receipt("OJC MARKETING SDN BHD", "15/01/2019", "193.00")];
        let scenario = one_model("wrong = 1.0").cases(cases.clone()).unwrap();
        let source = cases[0].0["text"].as_str().unwrap();
        let script = ask(&Sim::new(scenario, seed), &user(source), Value::Null);
        let truth = script.truth.clone().unwrap();
        prop_assert!(truth.wrong);
        let said: Value = serde_json::from_str(&content(&script)).unwrap();
        let keys = |v: &Value| Vec::from_iter(v.as_object().unwrap().keys().cloned());
        prop_assert_eq!(keys(&said), keys(&truth.expected));
        let mut invented = 0;
        for (key, value) in said.as_object().unwrap() {
            if *value != truth.expected[key] {
                invented += 1;
                prop_assert!(!source.contains(value.as_str().unwrap()), "{} in {}", value, source);
            }
        }
        prop_assert!(invented > 0);
    }

    /// Whatever comes is answered: no request makes the simulator panic.
    #[test]
    fn any_body_is_answered(body in r#"(\{"model":"gpt-4","messages":)?[\[\]{}":,a-z0-9\\é ]{0,60}"#) {
        let sim = helpdesk("");
        prop_assert!(!sim.script(body.as_bytes(), 0, Duration::ZERO).body.is_empty());
    }
}

#[test]
fn values_of_every_type_can_be_wrong() {
    let expected =
        json!({"n": 42, "f": 0.05, "b": true, "none": null, "list": ["net 30 days", 7], "deep": {"s": "x-1"}});
    let case = (json!({"text": "Invoice no. 42, 0.05, net 30 days, 7, x-1"}), expected.clone());
    let scenario = one_model("wrong = 1.0").cases([case]).unwrap();
    for seed in 0..1000 {
        let script =
            ask(&Sim::new(scenario.clone(), seed), &user("Invoice no. 42, 0.05, net 30 days, 7, x-1"), Value::Null);
        let said: Value = serde_json::from_str(&content(&script)).unwrap();
        assert_ne!(said, expected);
        assert!(
            said["n"].is_u64() && said["f"].is_f64() && said["b"].is_boolean() && said["list"][1].is_u64(),
            "{said}"
        );
        assert!(said["deep"]["s"].is_string() && said["list"].as_array().unwrap().len() == 2, "{said}");
    }
}

#[test]
fn an_invention_is_found_in_an_input_full_of_numbers() {
    let text = "units: 0 1 2 3 4 5 6 7 9, all ordered";
    for (value, rest) in [(json!(4), "8"), (json!("4"), "8")] {
        let other = (json!({"text": "another order"}), json!({"units": value}));
        let cases = [(json!({"text": text}), json!({"units": value})), other];
        let scenario = one_model("wrong = 1.0").cases(cases).unwrap();
        for seed in 0..200 {
            let script = ask(&Sim::new(scenario.clone(), seed), &user(text), Value::Null);
            let said: Value = serde_json::from_str(&content(&script)).unwrap();
            let said = said["units"].as_str().map_or_else(|| said["units"].to_string(), str::to_owned);
            assert!(said == rest || !text.contains(&said), "{said}");
        }
    }
}

#[test]
fn the_wording_of_a_prompt_changes_no_answer() {
    let sim = helpdesk("wrong = 0.5");
    for ticket in ["I was charged twice", "I was charged twice and it crashes", "hi"] {
        let plain = content(&ask(&sim, &user(ticket), Value::Null));
        for n in 0..20 {
            let worded = ask(&sim, &user(&format!("{n} labels. Ticket: {ticket}")), Value::Null);
            assert_eq!(content(&worded), plain);
        }
    }
}
