//! How long a judgement takes: ten checks on an answer of 4 KB, and the worst that inputs can do.
//!
//! `cargo run --release -p baton-eval --example speed`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for developers")]

#[path = "../tests/it/plan.rs"]
mod plan;

use std::time::{Duration, Instant};

use baton_config::{CheckKind, IntentKind, LengthUnit};
use baton_eval::{Checks, Finish};
use serde_json::{Map, Value, json};

fn median(rounds: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[rounds / 2]
}

fn main() {
    let fields: Map<String, Value> = (0..40)
        .map(|n| (format!("field{n}"), format!("value {n} of a long record, {}", "lorem ipsum ".repeat(6)).into()))
        .collect();
    let answer = serde_json::to_string_pretty(&fields).unwrap();
    let properties: Map<String, Value> =
        fields.keys().map(|name| (name.clone(), json!({ "type": "string" }))).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": ["field0", "field39"] });
    let regex = |pattern: &str| CheckKind::Regex(regex::Regex::new(pattern).unwrap());
    let plain = vec![
        plan::check("regex", Some("/field1"), regex("^value [0-9]+ of")),
        plan::check("regex", None, regex("field3[0-9]")),
        plan::check("contains", Some("/field2"), CheckKind::ContainsAll(vec!["value".into(), "record".into()])),
        plan::check("contains-any", None, CheckKind::ContainsAny(vec!["nothing".into(), "record".into()])),
        plan::check(
            "length",
            None,
            CheckKind::Length { min: Some(10), max: Some(100_000), unit: LengthUnit::Characters },
        ),
        plan::check(
            "length",
            Some("/field3"),
            CheckKind::Length { min: None, max: Some(100), unit: LengthUnit::Words },
        ),
        plan::check("contains", None, CheckKind::ContainsAll(vec!["lorem".into()])),
        plan::check("regex", Some("/field4"), regex("lorem")),
        plan::check("contains", Some("/field9"), CheckKind::ContainsAll(vec!["value 9".into()])),
        plan::check("regex", Some("/field39"), regex("record")),
    ];
    let input = json!({ "text": answer });
    let judge = |checks: &Checks| {
        median(500, || {
            assert!(checks.judge(&answer, &input, Finish::Complete).checks.iter().all(|c| c.passed));
        })
    };
    let compile = |checks| Checks::compile(&plan::plan(IntentKind::Extraction, Some(schema.clone()), checks));
    println!("{} bytes, parse and schema: {:?}", answer.len(), judge(&compile(vec![])));
    println!("{} bytes, and ten checks: {:?}", answer.len(), judge(&compile(plain.clone())));
    let span = CheckKind::SpanInSource((0..10).map(|n| format!("/field{n}")).collect());
    let spanned = [plain[..9].to_vec(), vec![plan::check("span-in-source", None, span)]].concat();
    println!("{} bytes, nine checks and ten spans in as long an input: {:?}", answer.len(), judge(&compile(spanned)));

    let span = vec![plan::check("span-in-source", None, CheckKind::SpanInSource(vec!["/company".into()]))];
    let checks = Checks::compile(&plan::receipt(span));
    for (name, source, value) in [
        ("nothing in common", "alpha beta ".repeat(95_000), "zeta ".repeat(512)),
        ("first letters in common", "alpha beta ".repeat(95_000), "ax bx ".repeat(256)),
        ("one word again and again", "a ".repeat(520_000), "a ".repeat(511) + "b"),
        ("nearly, again and again", "ab aa ".repeat(170_000), "ab aab ".repeat(256)),
    ] {
        let (output, input) = (json!({ "company": value, "date": null, "total": null }), json!(source));
        println!(
            "1 MB of input, 512 words, {name}: {:?}",
            median(3, || {
                std::hint::black_box(checks.judge_output(&output, &input));
            })
        );
    }
}
