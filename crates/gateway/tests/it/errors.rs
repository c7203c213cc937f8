//! Every row of the error table that a request can meet, and the document that explains them.

use std::time::Duration;

use axum::body::Body;
use baton_core::ErrorCode;
use baton_gateway::GatewayOptions;
use baton_store::Store;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::{Guest, Reply};

#[track_caller]
fn check(reply: &Reply, status: u16, family: &str, code: &str) -> Value {
    let body = reply.json();
    let error = body["error"].clone();
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!((reply.status, &error["type"], &error["code"]), (status, &json!(family), &json!(code)), "{error}");
    assert_eq!(error["docs"], format!("docs/errors.md#{code}"));
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    assert!(reply.header("x-request-id").is_some());
    error
}

#[tokio::test]
async fn what_the_request_gets_wrong() {
    let guest = Guest::new();
    let execute = |body: &str| guest.send(Request::post("/v1/execute").body(Body::from(body.to_owned())).unwrap());
    let error = check(&execute("{\"intent\": nope}").await, 400, "invalid_request", "invalid_json");
    assert!(error["message"].as_str().unwrap().contains("line 1 column"), "{error}");
    check(&execute("").await, 400, "invalid_request", "invalid_json");
    check(&execute(&"[".repeat(100_000)).await, 400, "invalid_request", "invalid_json");
    let big = r#"{"intent":"classify","input":{"ticket":"x","count":123456789012345678901}}"#;
    let error = check(&execute(big).await, 400, "invalid_request", "input_invalid");
    assert_eq!(error["param"], "/input/count");

    let error = check(&guest.execute("classify", json!({"ticket": 5})).await, 400, "invalid_request", "input_invalid");
    assert_eq!(error["param"], "/input/ticket");
    assert!(error["executionId"].is_string(), "refused calls have a record too: {error}");

    let call = json!({"intent": "classify", "input": {"ticket": "x"}, "config": {"maxLatencyMs": 5001}});
    let error = check(&guest.post("/v1/execute", call).await, 400, "invalid_request", "override_not_permitted");
    assert_eq!(error["param"], "/config/maxLatencyMs");

    check(&guest.execute("nope", json!({})).await, 404, "not_found", "unknown_intent");
    check(&guest.get("/v1/executions/nope").await, 404, "not_found", "unknown_execution");
    let id = "01980000-0000-7000-8000-000000000000";
    check(&guest.get(&format!("/v1/executions/{id}")).await, 404, "not_found", "unknown_execution");
}

#[tokio::test]
async fn what_is_not_there_yet_is_named() {
    let guest = Guest::new();
    for (method, path) in
        [(Method::POST, "/v1/messages"), (Method::GET, "/v1/reports"), (Method::GET, "/v1/intents/classify")]
    {
        let reply = guest.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        let error = check(&reply, 400, "invalid_request", "unsupported_feature");
        assert!(path.starts_with(error["param"].as_str().unwrap()), "{error}");
    }
    for path in ["/v1/responses", "/v1/embeddings"] {
        let reply = guest.post(path, json!({})).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &json!("unsupported_feature")));
        assert_eq!(error["type"], "invalid_request_error", "OpenAI's endpoints have OpenAI's envelope");
    }
}

#[tokio::test]
async fn other_routes_and_methods() {
    let guest = Guest::new();
    for path in ["/v1/exekute", "/v1/execute/", "/", "/v2/execute", "/v1/intentsx"] {
        let error = check(&guest.get(path).await, 404, "not_found", "unknown_route");
        assert!(error["message"].as_str().unwrap().contains("/v1/chat/completions"), "{error}");
    }
    let reply = guest.get("/v1/execute").await;
    check(&reply, 405, "invalid_request", "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
    let reply = guest.post("/v1/executions", json!({})).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let options = GatewayOptions { max_body_bytes: 100, ..GatewayOptions::default() };
    let guest = Guest::with(Store::memory(), options);
    let request = Request::post("/v1/execute").header("content-length", "101").body(Body::empty()).unwrap();
    check(&guest.send(request).await, 413, "too_large", "body_too_large");
    let undeclared = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("x".repeat(101))]));
    let request = Request::post("/v1/execute").body(undeclared).unwrap();
    check(&guest.send(request).await, 413, "too_large", "body_too_large");
    let broken = futures_util::stream::iter([Ok("{".to_owned()), Err(std::io::Error::other("reset"))]);
    let request = Request::post("/v1/execute").body(Body::from_stream(broken)).unwrap();
    check(&guest.send(request).await, 400, "invalid_request", "invalid_json");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let options = GatewayOptions { read_timeout: Duration::from_secs(15), ..GatewayOptions::default() };
    let guest = Guest::with(Store::memory(), options);
    let never = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let reply = guest.send(Request::post("/v1/execute").body(never).unwrap()).await;
    check(&reply, 504, "deadline_exceeded", "deadline_exceeded");
}

#[tokio::test(start_paused = true)]
async fn what_upstream_gets_wrong() {
    let guest = Guest::new();
    for (intent, status, family, code) in [
        ("down", 502, "upstream_failed", "all_candidates_failed"),
        ("rejected", 400, "upstream_rejected", "upstream_rejected"),
        ("long", 413, "too_large", "context_too_long"),
        ("wrong", 502, "quality", "no_acceptable_answer"),
        ("hangs", 504, "deadline_exceeded", "deadline_exceeded"),
        ("limited", 502, "upstream_failed", "all_candidates_failed"),
    ] {
        let reply = guest.execute(intent, json!("x")).await;
        let error = check(&reply, status, family, code);
        assert_eq!(error["executionId"].as_str(), reply.header("x-baton-execution-id"));
        let record = guest.get(&format!("/v1/executions/{}", error["executionId"].as_str().unwrap())).await.json();
        assert_eq!((&record["status"], &record["error"]["code"]), (&json!("failed"), &json!(code)));
        if code == "upstream_rejected" {
            assert!(error["message"].as_str().unwrap().contains("the moon is not supported"), "{error}");
        }
        if intent == "limited" {
            assert_eq!(reply.header("retry-after"), Some("7"), "rounded up: {error}");
            assert_eq!(error["retryAfterMs"], 6500);
        }
    }
}

#[tokio::test]
async fn what_this_server_has_no_room_for() {
    let options = GatewayOptions { max_running: 0, ..GatewayOptions::default() };
    let guest = Guest::with(Store::memory(), options);
    let reply = guest.execute("classify", json!({"ticket": "x"})).await;
    check(&reply, 503, "overloaded", "queue_full");
    assert_eq!(reply.header("retry-after"), Some("1"));

    let dir = tempfile::tempdir().unwrap();
    let spec = baton_config::StoreSpec { dir: dir.path().into(), durability: baton_config::Durability::Process };
    let store = Store::open(&spec).await.unwrap();
    let guest = Guest::with(store.clone(), GatewayOptions::default());
    assert_eq!(guest.get("/readyz").await.status, 200);
    store.journal().clone().close().await;
    check(&guest.execute("classify", json!({"ticket": "x"})).await, 503, "overloaded", "journal_full");
    for path in ["/readyz", "/health/readiness"] {
        let reply = guest.get(path).await;
        assert_eq!((reply.status, &reply.json()["status"]), (503, &json!("journal_refuses")), "{path}");
    }
    assert_eq!(guest.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn one_team_does_not_take_the_last_place_from_another() {
    for (team, status) in [("default", 503), ("noisy", 200)] {
        let guest = Guest::with(Store::memory(), GatewayOptions { max_running: 9, ..GatewayOptions::default() });
        let running: Vec<_> = (0..8)
            .map(|n| {
                let mut call = baton_engine::Call::intent("hangs", json!(n.to_string()));
                call.caller.team = team.into();
                guest.orchestrator.start(call)
            })
            .collect();
        let reply = guest.execute("classify", json!({"ticket": "x"})).await;
        assert_eq!(reply.status, status, "8 of 9 run, all of team {team}");
        drop(running);
    }
}

#[test]
fn every_code_is_explained() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md")).unwrap();
    let headings: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes, "docs/errors.md has a heading for each code, in the order of the table");
}

#[tokio::test]
async fn room_that_was_taken_while_a_body_arrived() {
    for (path, call) in [
        ("/v1/execute", json!({"intent": "classify", "input": {"ticket": "x"}})),
        ("/v1/chat/completions", json!({"model": "clever", "messages": [{"role": "user", "content": "x"}]})),
    ] {
        let options = GatewayOptions { max_running: 1, ..GatewayOptions::default() };
        let guest = Guest::with(Store::memory(), options);
        let (orchestrator, running) = (guest.orchestrator.clone(), std::sync::Arc::new(std::sync::Mutex::new(None)));
        let other = running.clone();
        let body = futures_util::stream::once(async move {
            *other.lock().unwrap() = Some(orchestrator.start(baton_engine::Call::intent("hangs", json!("x"))));
            Ok::<_, std::convert::Infallible>(call.to_string())
        });
        let reply = guest.send(http::Request::post(path).body(axum::body::Body::from_stream(body)).unwrap()).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (503, Some("queue_full")), "{path}");
        assert!(running.lock().unwrap().is_some());
    }
}
