//! Two calls share a key only where scope, intent, plan and input are the same.

use baton_cache::Key;
use baton_core::{IntentName, Scope, TeamId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn key(input: &Value) -> Key {
    Key::of(&Scope::team(TeamId::new("default")), &IntentName::new("classify"), "3f9a", input)
}

#[test]
fn inputs_are_the_same_as_json_and_nothing_looser() {
    let check = |a: Value, b: Value, same: bool| assert_eq!(key(&a) == key(&b), same, "{a} and {b}");
    check(json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"d": 3, "c": 2}, "a": 1}), true);
    check(json!([1, 2]), json!([2, 1]), false);
    check(json!([[1], 2]), json!([[1, 2]]), false);
    check(json!([["a"], []]), json!([[], ["a"]]), false);
    check(json!({"a": "b"}), json!(["a", "b"]), false);
    check(json!({"ab": "c"}), json!({"a": "bc"}), false);
    check(json!({}), json!([]), false);
    check(json!({"a": null}), json!({}), false);
    check(json!(null), json!(false), false);
    check(json!("1"), json!(1), false);
    check(json!(1), json!(1.0), false);
    check(json!(0.1), json!(0.10), true);
    check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false);
    check(json!(u64::MAX), json!(u64::MAX - 1), false);
    check(json!(i64::MIN), json!(i64::MIN + 1), false);
    check(json!(-1), json!(u64::MAX), false);
    check(json!("é"), json!("e\u{301}"), false);
    check(json!("A"), json!("a"), false);
    check(json!("a"), json!("a "), false);
}

#[test]
fn the_format_does_not_change_unnoticed() {
    let scope = Scope { team: TeamId::new("support"), partition: vec![Some("acme".into()), None] };
    let key =
        Key::of(&scope, &IntentName::new("classify-ticket"), "3f9a", &json!({"ticket": "refund", "n": [1, -2, 0.5]}));
    insta::assert_debug_snapshot!(key, @"c6f35eb6808a206b2d7250080ae22d4c619900046d4bec1248434967f8ca055b");
}

/// Everything that a key is made of. Short strings from few letters, so that pairs nearly collide.
type Parts = (String, Vec<Option<String>>, String, String, Value);

fn text() -> impl Strategy<Value = String> {
    "[ab\u{0}]{0,3}"
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2.0..2.0f64).prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect()))
        ]
    })
}

fn parts() -> impl Strategy<Value = Parts> {
    let partition = proptest::collection::vec(proptest::option::of(text()), 0..3);
    (text(), partition, text(), text(), json_value())
}

fn key_of((team, partition, intent, hash, input): &Parts) -> Key {
    let scope = Scope { team: TeamId::new(team), partition: partition.clone() };
    Key::of(&scope, &IntentName::new(intent), hash, input)
}

/// The same value with the keys of every object in reverse order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_where_all_parts_are(a in parts(), b in parts()) {
        prop_assert_eq!(key_of(&a) == key_of(&b), a == b);
    }

    /// One part moved into its neighbour: what unframed concatenation would confuse.
    #[test]
    fn no_part_runs_into_the_next(all in parts(), shift in text()) {
        let (team, partition, intent, hash, input) = all;
        let left = (team.clone() + &shift, partition.clone(), intent.clone(), hash.clone(), input.clone());
        let mut moved = vec![Some(shift.clone())];
        moved.extend(partition.clone());
        let right = (team.clone(), moved, intent.clone(), hash.clone(), input.clone());
        prop_assert_ne!(key_of(&left), key_of(&right));

        let left = (team.clone(), partition.clone(), intent.clone() + &shift, hash.clone(), input.clone());
        let right = (team, partition, intent, shift.clone() + &hash, input);
        prop_assert_eq!(key_of(&left) == key_of(&right), shift.is_empty());
    }

    #[test]
    fn the_order_of_keys_does_not_matter(all in parts()) {
        let (team, partition, intent, hash, input) = all;
        let other = (team.clone(), partition.clone(), intent.clone(), hash.clone(), reversed(&input));
        prop_assert_eq!(key_of(&(team, partition, intent, hash, input)), key_of(&other));
    }
}
