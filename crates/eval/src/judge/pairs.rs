//! Which of two answers is better, asked in both orders: a judge that goes by the order says nothing.

use serde_json::Value;

/// What a judge says of two answers in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The one that stands first.
    First,
    /// The other.
    Second,
    /// Neither.
    Tie,
}

/// What it says of A and B in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paired {
    /// A is better, wherever it stands.
    A,
    /// B is better, wherever it stands.
    B,
    /// Neither is, in both orders.
    Tie,
    /// It depends on the order: no better than a tie.
    Disagrees,
}

/// From the output of the intent that compares; `None` where that is no verdict.
#[must_use]
pub fn better(output: &Value) -> Option<Better> {
    match output.get("better")?.as_str()? {
        "first" => Some(Better::First),
        "second" => Some(Better::Second),
        "tie" => Some(Better::Tie),
        _ => None,
    }
}

/// From what was said with A first, and with B first; `None` where either said nothing.
#[must_use]
pub fn paired(a_first: Option<Better>, b_first: Option<Better>) -> Option<Paired> {
    Some(match (a_first?, b_first?) {
        (Better::First, Better::Second) => Paired::A,
        (Better::Second, Better::First) => Paired::B,
        (Better::Tie, Better::Tie) => Paired::Tie,
        _ => Paired::Disagrees,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_is_better_only_where_it_is_in_both_orders() {
        use Better::{First, Second, Tie};
        for (a_first, b_first, said) in [
            (First, Second, Paired::A),
            (Second, First, Paired::B),
            (Tie, Tie, Paired::Tie),
            // Whoever stands first.
            (First, First, Paired::Disagrees),
            (Second, Second, Paired::Disagrees),
            (First, Tie, Paired::Disagrees),
            (Tie, Second, Paired::Disagrees),
        ] {
            assert_eq!(paired(Some(a_first), Some(b_first)), Some(said), "{a_first:?} {b_first:?}");
        }
        assert_eq!((paired(None, Some(Tie)), paired(Some(First), None)), (None, None));
    }

    #[test]
    fn what_is_no_verdict_says_nothing() {
        assert_eq!(better(&json!({ "reasoning": "hm", "better": "second" })), Some(Better::Second));
        for none in [json!({}), json!({ "better": "A" }), json!({ "better": 1 }), json!("first")] {
            assert_eq!(better(&none), None, "{none}");
        }
    }
}
