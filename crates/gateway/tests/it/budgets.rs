//! Limits of keys and repeated calls, as HTTP tells of them.

use axum::body::Body;
use baton_core::{Allowance, NanoUsd};
use baton_store::Permission;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::{Guest, Reply};

/// A call of `traced`, which has no cache, under these idempotency keys.
async fn send(guest: &Guest, path: &str, keys: &[&str], body: &Value) -> Reply {
    let request = Request::post(path);
    let request = keys.iter().fold(request, |request, key| request.header("Idempotency-Key", *key));
    guest.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn call(input: &str, stream: bool) -> Value {
    json!({"intent": "traced", "input": input, "stream": stream})
}

#[tokio::test]
async fn the_same_request_under_a_key_is_the_same_execution() {
    let guest = Guest::new();
    let first = send(&guest, "/v1/execute", &["k"], &call("help", false)).await;
    let again = send(&guest, "/v1/execute", &["k"], &call("help", false)).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(first.header("x-baton-execution-id"), again.header("x-baton-execution-id"));
    let other = send(&guest, "/v1/execute", &["k2"], &call("help", false)).await;
    assert_ne!(first.json()["executionId"], other.json()["executionId"]);

    let conflict = send(&guest, "/v1/execute", &["k"], &call("else", false)).await;
    let error = &conflict.json()["error"];
    assert_eq!((conflict.status, &error["code"]), (409, &json!("idempotency_conflict")));
    assert_eq!(error["param"], "Idempotency-Key");

    let first = send(&guest, "/v1/execute", &["s"], &call("help", true)).await;
    let again = send(&guest, "/v1/execute", &["s"], &call("help", true)).await;
    let names = |reply: &Reply| reply.events().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!((names(&first), names(&again)), (vec!["start".into(), "delta".into(), "end".into()], names(&first)));
    assert_eq!(first.events().last(), again.events().last());
}

#[tokio::test]
async fn chat_completions_know_the_key_too() {
    let guest = Guest::new();
    let body = json!({"model": "house/writer", "messages": [{"role": "user", "content": "hello"}]});
    let first = send(&guest, "/v1/chat/completions", &["k"], &body).await;
    let again = send(&guest, "/v1/chat/completions", &["k"], &body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(first.json()["choices"], again.json()["choices"]);
    let elsewhere = send(&guest, "/v1/execute", &["k"], &call("help", false)).await;
    assert_eq!(elsewhere.status, 409, "the key was used for another call");
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let guest = Guest::new();
    let long = "x".repeat(256);
    for keys in [&[""][..], &[long.as_str()], &["one", "two"], &["ü"]] {
        let reply = send(&guest, "/v1/execute", keys, &call("help", false)).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &json!("input_invalid")), "{keys:?}");
        assert_eq!(error["param"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn a_keys_limits_are_told_with_when_to_come_back() {
    let guest = Guest::new();
    let may = [Permission::Call, Permission::Operate];
    let allowance = Allowance { calls_per_minute: Some(1), ..Allowance::default() };
    let key = guest.limited_key("sales", &may, None, allowance).await;
    let send = |key: String| {
        let guest = &guest;
        async move { guest.with_key(Method::POST, "/v1/execute", &key, Some(call("help", false))).await }
    };
    assert_eq!(send(key.clone()).await.status, 200);
    let refused = send(key.clone()).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["type"], &error["code"]), (429, &json!("rate_limited"), &json!("rate_limit")));
    let ms = error["retryAfterMs"].as_u64().unwrap();
    assert!((1..=61_000).contains(&ms), "{error}");
    assert_eq!(refused.header("retry-after"), Some(ms.div_ceil(1000).to_string().as_str()));

    let none = Allowance { usd_per_day: Some(NanoUsd(1)), ..Allowance::default() };
    let poor = guest.limited_key("sales", &may, None, none).await;
    let refused = send(poor).await;
    let error = refused.json()["error"].clone();
    assert_eq!((refused.status, &error["code"]), (429, &json!("budget_exhausted")), "{error}");
    assert_eq!(error.get("retryAfterMs"), None, "it never fits: {error}");
    let text = guest.with_key(Method::GET, "/metrics", &key, None).await.text();
    assert!(text.contains("baton_budget_refusals_total{kind=\"key\",name=\"\"} 2\n"), "{text}");
}
