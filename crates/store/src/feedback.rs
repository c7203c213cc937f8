//! Feedback as labels: what a product hears from people counts as evidence too.

use baton_core::{LabelSource, Record, ReviewItem, ReviewLabel};
use serde_json::Value;

use crate::{Feedback, FeedbackKind};

/// Verdicts in one word, as products say them.
const PASS: [&str; 12] =
    ["pass", "passed", "good", "ok", "correct", "right", "yes", "true", "accept", "accepted", "up", "👍"];
const FAIL: [&str; 12] =
    ["fail", "failed", "bad", "wrong", "incorrect", "no", "false", "reject", "rejected", "down", "thumbs-down", "👎"];

/// Who said it where nobody is named.
const ANONYMOUS: &str = "feedback";

/// The label that feedback on this record is; `None` where it says nothing that can be decided: a
/// score, a word that is no verdict, a correction of an output that is not stored.
pub(crate) fn label(feedback: &Feedback, record: &Record) -> Option<ReviewLabel> {
    // A text may be sent back as it is, without its field.
    let judged = |output: &Value| {
        let given = record.output.as_ref()?;
        let text = given.get("text").filter(|_| output.is_string());
        Some(same(text.unwrap_or(given), output))
    };
    let (source, pass, correction) = match &feedback.kind {
        FeedbackKind::Score { .. } => return None,
        FeedbackKind::Label { value } => (LabelSource::Label, word(value)?, None),
        FeedbackKind::Correction { output } => (LabelSource::Correction, judged(output)?, Some(output)),
        FeedbackKind::FinalOutput { output } => (LabelSource::FinalOutput, judged(output)?, Some(output)),
    };
    Some(ReviewLabel {
        reviewer: feedback.by.clone().unwrap_or_else(|| ANONYMOUS.into()),
        at_us: feedback.at_us,
        source,
        pass,
        criteria: Default::default(),
        correction: correction.filter(|_| !pass).cloned(),
        comment: feedback.comment.clone(),
    })
}

/// The item of a record, with this label heard; `None` for a raw model call.
pub(crate) fn item(record: &Record) -> Option<ReviewItem> {
    // What was said is about the answer that was given, not about one that was held back.
    let about_rejected = record.review.as_ref().is_some_and(|draw| draw.rejected.is_some());
    ReviewItem::of(record).filter(|_| !about_rejected)
}

fn word(value: &str) -> Option<bool> {
    let value = value.trim().to_lowercase();
    let among = |words: &[&str]| words.contains(&value.as_str());
    if among(&PASS) { Some(true) } else { among(&FAIL).then_some(false) }
}

/// Whether two outputs say the same: white space in texts collapsed, numbers by value, fields that are
/// `null` as absent, the order of fields ignored. Case, punctuation and the order of items count.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.split_whitespace().eq(b.split_whitespace()),
        (Value::Number(a), Value::Number(b)) => {
            let (x, y) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            a == b || ((x - y).abs() <= f64::EPSILON * x.abs().max(y.abs()) && !(a.is_i64() && b.is_i64()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let covered = |a: &serde_json::Map<String, Value>, b: &serde_json::Map<String, Value>| {
                a.iter().all(|(key, value)| same(value, b.get(key).unwrap_or(&Value::Null)))
            };
            covered(a, b) && covered(b, a)
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_are_the_same_whatever_their_form() {
        for (a, b, expected) in [
            (json!({"text": "Dear Ann,\n thanks "}), json!({"text": "Dear Ann, thanks"}), true),
            (json!({"text": "Dear Ann"}), json!({"text": "dear Ann"}), false),
            (json!({"label": "bug"}), json!({"label": "billing"}), false),
            (json!({"total": 12.5, "n": null}), json!({"total": 12.50}), true),
            (json!({"total": 3}), json!({"total": 3.0}), true),
            (json!({"total": 3}), json!({"total": "3"}), false),
            (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
            (json!({"a": [1, 2]}), json!({"a": [2, 1]}), false),
            (json!({"a": 9_007_199_254_740_993_i64}), json!({"a": 9_007_199_254_740_992_i64}), false),
        ] {
            assert_eq!(same(&a, &b), expected, "{a} {b}");
            assert_eq!(same(&b, &a), expected, "{b} {a}");
        }
    }

    #[test]
    fn verdicts_in_a_word() {
        for (value, expected) in [("Good", Some(true)), (" no ", Some(false)), ("👎", Some(false)), ("billing", None)]
        {
            assert_eq!(word(value), expected, "{value}");
        }
    }
}
