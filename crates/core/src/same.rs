//! When two outputs say the same: what a person sent back and what was given, what two models answered.

use serde_json::{Map, Value};

/// Whether two outputs say the same: white space in texts collapsed, numbers by value, fields that are
/// `null` as absent, the order of fields ignored. Case, punctuation and the order of items count.
#[must_use]
pub fn says_the_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.split_whitespace().eq(b.split_whitespace()),
        (Value::Number(a), Value::Number(b)) => {
            let (x, y) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            a == b || ((x - y).abs() <= f64::EPSILON * x.abs().max(y.abs()) && !(a.is_i64() && b.is_i64()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| says_the_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let covered = |a: &Map<String, Value>, b: &Map<String, Value>| {
                a.iter().all(|(key, value)| says_the_same(value, b.get(key).unwrap_or(&Value::Null)))
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
            assert_eq!(says_the_same(&a, &b), expected, "{a} {b}");
            assert_eq!(says_the_same(&b, &a), expected, "{b} {a}");
        }
    }
}
