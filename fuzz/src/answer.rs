//! A model's text, read as the answer of an intent: what passes is an answer of the declared shape,
//! and states what the text states.

use std::cell::OnceCell;

use baton_config::{IntentKind, Snapshot};
use baton_eval::{Checks, Finish, Judged};
use serde_json::{Value, json};

use crate::house;

/// The longest reason of a check, in characters.
const REASON_CHARS_MAX: usize = 200;

thread_local! {
    static HOUSE: OnceCell<Snapshot> = const { OnceCell::new() };
}

/// The input up to the first `---` line, the model's text behind it.
///
/// # Panics
/// Where an answer passes that is none, where a reason is too long, or where reading an answer that
/// was read gives another one.
pub fn answer(bytes: &[u8]) {
    let bytes = String::from_utf8_lossy(bytes);
    let (input, text) = bytes.split_once("\n---\n").unwrap_or(("", &bytes));
    HOUSE.with(|house| {
        for plan in house.get_or_init(house::snapshot).intents.values() {
            let checks = Checks::compile(plan);
            for finish in [Finish::Complete, Finish::Truncated, Finish::Refused] {
                let judged = checks.judge(text, &json!({ "text": input }), finish);
                check(&judged, finish);
                let passed = judged.checks.iter().all(|check| check.passed);
                if let (Some(output), Some(schema)) = (&judged.output, &plan.output_schema)
                    && passed
                {
                    assert_eq!(schema.validate(output), Ok(()), "{output}");
                    read_again(&checks, output, &plan.kind);
                }
            }
        }
    });
}

fn check(judged: &Judged, finish: Finish) {
    for check in &judged.checks {
        let long = check.reason.as_ref().map_or(0, |reason| reason.chars().count());
        assert!(long <= REASON_CHARS_MAX, "{check:?}");
        assert!(check.passed || check.reason.is_some(), "no reason: {check:?}");
    }
    let finished = judged.checks.iter().find(|check| check.check == "finish");
    assert_eq!(finished.map(|check| check.passed), Some(finish == Finish::Complete), "{judged:?}");
}

/// What an answer says, said plainly, is the same answer without repairs.
fn read_again(checks: &Checks, output: &Value, kind: &IntentKind) {
    let text = match kind {
        IntentKind::Classification(_) => output["label"].as_str().unwrap().to_owned(),
        _ => output.to_string(),
    };
    let again = checks.judge(&text, &json!({}), Finish::Complete);
    assert_eq!(again.output.as_ref(), Some(output), "{text}");
    assert_eq!(again.repairs, Vec::<String>::new(), "{text}");
}
