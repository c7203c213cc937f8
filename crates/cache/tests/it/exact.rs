//! What is found, for whom and how long, and that the bound holds.

use std::time::Duration;

use baton_cache::{Entry, ExactCache, Key, Lookup, STALE_MAX};
use baton_core::{ExecutionId, IntentName, ModelId, Moment, Scope, SubjectHash, TeamId, Usage};
use proptest::prelude::*;
use serde_json::json;

const TTL: Duration = Duration::from_secs(3600);

fn at(seconds: u64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

fn key(n: u64) -> Key {
    Key::of(&Scope::team(TeamId::new("default")), &IntentName::new("intent"), "hash", &json!(n))
}

fn id(n: u64) -> ExecutionId {
    ExecutionId::new(n, [0; 10])
}

fn entry(model: &str, source: u64, seconds: u64) -> Entry {
    Entry {
        intent: IntentName::new("intent"),
        output: json!({"label": "billing"}),
        tool_calls: vec![],
        text: "billing".into(),
        repairs: vec![],
        model: ModelId::new(model),
        source: id(source),
        stored_at: at(seconds),
        expires_at: at(seconds) + TTL,
        simulated: false,
        usage: Usage::default(),
        cost: None,
        subject: None,
    }
}

/// `hit 1`, `stale 1` or `miss`, with the source's number.
fn found(lookup: &Lookup) -> String {
    let name = |entry: &Entry| (1..10).find(|n| id(*n) == entry.source).unwrap();
    match lookup {
        Lookup::Hit(entry) => format!("hit {}", name(entry)),
        Lookup::Stale(entry) => format!("stale {}", name(entry)),
        Lookup::Miss => "miss".into(),
    }
}

#[test]
fn age_and_models_decide_what_is_found() {
    let cache = ExactCache::new(1 << 20);
    assert!(cache.put(key(1), entry("a/x", 1, 0)));
    assert!(cache.put(key(1), entry("b/y", 2, 1000)));
    let [x, y, z] = ["a/x", "b/y", "c/z"].map(ModelId::new);
    let age = |seconds| Some(Duration::from_secs(seconds));
    let check = |now: Moment, max_age: Option<Duration>, models: Option<&[ModelId]>, expected: &str| {
        assert_eq!(found(&cache.get(&key(1), now, max_age, models)), expected, "{now:?} {max_age:?} {models:?}");
    };
    check(at(1000), None, None, "hit 2");
    check(at(1000), None, Some(std::slice::from_ref(&x)), "hit 1");
    check(at(1000), None, Some(&[z.clone(), y.clone()]), "hit 2");
    check(at(1000), None, Some(std::slice::from_ref(&z)), "miss");
    check(at(1000), None, Some(&[]), "miss");
    // The call's own time to live.
    check(at(1009), age(10), None, "hit 2");
    check(at(1010), age(10), None, "stale 2");
    check(at(1000), age(0), None, "stale 2");
    check(at(1009), age(10), Some(std::slice::from_ref(&x)), "stale 1");
    // The intent's time to live.
    check(at(3599), None, Some(std::slice::from_ref(&x)), "hit 1");
    check(at(3600), None, Some(std::slice::from_ref(&x)), "stale 1");
    check(at(3600), age(86_400), Some(std::slice::from_ref(&x)), "stale 1");
    // A day past it.
    check(at(3599) + STALE_MAX, None, Some(std::slice::from_ref(&x)), "stale 1");
    check(at(3600) + STALE_MAX, None, Some(std::slice::from_ref(&x)), "miss");
    assert_eq!(found(&cache.get(&key(2), at(1000), None, None)), "miss");
}

#[test]
fn a_fresh_answer_is_preferred_to_a_newer_expired_one() {
    let cache = ExactCache::new(1 << 20);
    cache.put(key(1), entry("a/x", 1, 0));
    cache.put(key(1), Entry { expires_at: at(20), ..entry("b/y", 2, 10) });
    assert_eq!(found(&cache.get(&key(1), at(30), None, None)), "hit 1");
}

#[test]
fn a_models_new_answer_takes_its_old_ones_place() {
    let cache = ExactCache::new(1 << 20);
    cache.put(key(1), entry("a/x", 1, 0));
    let bytes = cache.bytes();
    cache.put(key(1), entry("a/x", 2, 5));
    assert_eq!(found(&cache.get(&key(1), at(5), None, None)), "hit 2");
    assert_eq!((cache.len(), cache.bytes()), (1, bytes));
}

#[test]
fn eviction_takes_what_it_names_and_leaves_the_rest() {
    let cache = ExactCache::new(1 << 20);
    cache.put(key(1), entry("a/x", 1, 0));
    cache.put(key(1), entry("b/y", 2, 0));
    cache.put(key(2), entry("a/x", 3, 0));
    cache.put(key(3), Entry { intent: IntentName::new("other"), ..entry("a/x", 4, 0) });
    let check = |expected: [&str; 3]| {
        let now = [1, 2, 3].map(|n| found(&cache.get(&key(n), at(0), None, None)));
        assert_eq!(now, expected);
    };
    check(["hit 2", "hit 3", "hit 4"]);
    cache.evict_execution(&id(2));
    check(["hit 1", "hit 3", "hit 4"]);
    let [ann, bob] = ["ann", "bob"].map(|name| Some(SubjectHash::of(&TeamId::new("t"), name)));
    cache.put(key(2), Entry { subject: ann, ..entry("b/y", 5, 0) });
    cache.put(key(3), Entry { subject: bob, ..entry("b/y", 6, 0) });
    check(["hit 1", "hit 5", "hit 6"]);
    assert_eq!([ann, ann].map(|ann| cache.evict_subject(ann.unwrap())), [1, 0]);
    check(["hit 1", "hit 3", "hit 6"]);
    cache.evict_execution(&id(6));
    cache.evict_execution(&id(3));
    check(["hit 1", "miss", "hit 4"]);
    cache.evict_intent(&IntentName::new("intent"));
    check(["miss", "miss", "hit 4"]);
    assert_eq!(cache.len(), 1);
    cache.sweep(at(3599) + STALE_MAX);
    assert_eq!(cache.len(), 1);
    cache.sweep(at(3600) + STALE_MAX);
    assert!(cache.is_empty());
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn what_is_too_large_is_refused_and_said_so() {
    for bytes_max in [0, 100, 10_000, 1 << 20, 64 << 20] {
        let cache = ExactCache::new(bytes_max);
        let overhead = Entry { text: String::new(), ..entry("a/x", 1, 0) }.bytes();
        let sized = |bytes: u64| Entry {
            text: "x".repeat(usize::try_from(bytes.saturating_sub(overhead)).unwrap()),
            ..entry("a/x", 1, 0)
        };
        let largest = cache.entry_bytes_max();
        assert!(!cache.put(key(1), sized(largest.max(overhead) + 1)), "{bytes_max}");
        assert!(cache.is_empty());
        if largest >= overhead {
            assert!(cache.put(key(1), sized(largest)), "{bytes_max}");
            assert_eq!(found(&cache.get(&key(1), at(0), None, None)), "hit 1");
        }
        assert!(cache.bytes() <= bytes_max);
    }
}

#[test]
fn many_models_of_one_key_stay_within_its_share() {
    let cache = ExactCache::new(10_000);
    for n in 1..=9 {
        let large = Entry { text: "x".repeat(3000), ..entry(&format!("p/{n}"), n, n) };
        assert!(cache.put(key(1), large));
        assert_eq!(found(&cache.get(&key(1), at(n), None, None)), format!("hit {n}"));
        assert!(cache.bytes() <= 10_000);
    }
}

proptest! {
    /// Whatever is put, the bound holds, and what is found is what was put last by that model.
    #[test]
    fn the_bound_holds_and_answers_are_never_mixed_up(
        bytes_max in 0u64..40_000,
        puts in proptest::collection::vec((0u64..40, 0u64..3, 0usize..4000), 1..200),
    ) {
        let cache = ExactCache::new(bytes_max);
        let mut last = std::collections::BTreeMap::new();
        for (n, (slot, model, size)) in puts.into_iter().enumerate() {
            let put = Entry { text: "x".repeat(size), ..entry(&format!("p/{model}"), n as u64, 0) };
            if cache.put(key(slot), put.clone()) {
                last.insert((slot, model), put);
            }
            prop_assert!(cache.bytes() <= bytes_max);
        }
        for slot in 0..40 {
            for model in 0..3 {
                let only = [ModelId::new(&format!("p/{model}"))];
                if let Lookup::Hit(found) = cache.get(&key(slot), at(0), None, Some(&only)) {
                    prop_assert_eq!(Some(&*found), last.get(&(slot, model)));
                }
            }
        }
    }
}
