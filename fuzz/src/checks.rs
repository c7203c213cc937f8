//! What teams write to have answers checked: promptfoo's assertions, and invariants as expressions.

use baton_config::Expression;
use baton_eval::{Assertion, Facts};
use serde_json::{Value, json};

/// An assertion as JSON up to the first `---` line, the output behind it: JSON, else text.
///
/// # Panics
/// Where a grade is out of bounds or says no reason, or where an assertion is refused without saying
/// where.
pub fn promptfoo(bytes: &[u8]) {
    let (assertion, output) = halves(bytes);
    let Ok(assertion) = serde_json::from_str::<Value>(&assertion) else { return };
    match Assertion::read(&assertion, &|text| Ok(text.to_owned())) {
        Ok(read) => {
            let Ok(grade) = read.grade(&Facts::of(&output)) else { return };
            assert!((0.0..=1.0).contains(&grade.score), "{grade:?}");
            assert!(grade.pass || !grade.reason.is_empty(), "{grade:?}");
        }
        Err(error) => assert!(!error.why.is_empty() && (error.at.is_empty() || error.at.starts_with('/')), "{error}"),
    }
}

/// An expression up to the first `---` line, the output behind it.
///
/// # Panics
/// Where it is true and not true of the same output, or refused without a word.
pub fn expression(bytes: &[u8]) {
    let (source, output) = halves(bytes);
    match Expression::compile(&source) {
        Ok(expression) => {
            let input = json!({ "text": source });
            assert_eq!(expression.holds(&output, &input), expression.holds(&output, &input));
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

fn halves(bytes: &[u8]) -> (String, Value) {
    let text = String::from_utf8_lossy(bytes);
    let (first, second) = text.split_once("\n---\n").unwrap_or((&text, ""));
    (first.to_owned(), serde_json::from_str(second).unwrap_or_else(|_| json!(second)))
}
