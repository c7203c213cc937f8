//! `POST /v1/execute`: answers, headers, streams, fields.

use baton_core::{ExecutionId, SpanId, TraceId};
use std::time::Duration;

use axum::body::Body;
use baton_gateway::GatewayOptions;
use baton_store::Store;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::house::{Guest, until};

#[tokio::test]
async fn the_call_that_started_the_project_runs() {
    let guest = Guest::new();
    let call = json!({
        "intent": "classify",
        "input": {"ticket": "It does not start"},
        "config": {
            "primaryModel": "clever", "fallbackModel": "house/how-to",
            "cacheTTL": 3600, "maxLatencyMs": 2000, "retries": 2,
        },
        "session": "s", "subject": "anna", "metadata": {"customer": "7"},
    });
    let reply = guest.post("/v1/execute", call).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["output"], json!({"label": "bug"}));
    assert_eq!((&answer["via"], &answer["model"]), (&json!("model"), &json!("house/bug")));
    assert_eq!(answer["costUsd"], "0.000014", "10 in at 1 USD/M, 2 out at 2 USD/M");
    assert_eq!(answer["quality"]["score"], Value::Null);
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-baton-execution-id", answer["executionId"].as_str().unwrap()),
        ("x-request-id", answer["executionId"].as_str().unwrap()),
        ("x-baton-model", "house/bug"),
        ("x-baton-via", "model"),
        ("x-baton-cost-usd", "0.000014"),
        ("x-baton-attempts", "1"),
        ("x-baton-overhead-ms", &answer["latency"]["overheadMs"].to_string()),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(reply.header("x-baton-quality"), None, "nothing is known of it");
    let again = guest.execute("classify", json!({"ticket": "It does not start"})).await;
    assert_eq!(again.header("x-baton-via"), Some("cache-exact"));
}

#[tokio::test]
async fn a_default_answer_says_so() {
    let reply = Guest::new().execute("fallback", json!("help")).await;
    assert_eq!(
        (reply.status, reply.header("x-baton-via"), reply.header("x-baton-model")),
        (200, Some("default"), None)
    );
    assert_eq!(reply.json()["output"]["label"], "bug");
}

#[tokio::test]
async fn ids_of_the_caller_are_echoed_where_they_are_ids() {
    let guest = Guest::new();
    let request = Request::get("/healthz").header("x-request-id", "mine");
    let reply = guest.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.header("x-request-id"), Some("mine"));
    let long = "x".repeat(129);
    let request = Request::get("/healthz").header("x-request-id", &long);
    let reply = guest.send(request.body(Body::empty()).unwrap()).await;
    assert_ne!(reply.header("x-request-id"), Some(long.as_str()));
    assert_eq!(reply.header("x-request-id").map(str::len), Some(36));
}

/// Trace and span of the response's header, and what the model was told, called with these headers.
async fn traced(headers: &[(&str, &str)]) -> (ExecutionId, String, String) {
    let body = json!({"intent": "traced", "input": "help"}).to_string();
    let mut request = Request::post("/v1/execute").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = Guest::new().send(request.body(Body::from(body)).unwrap()).await;
    let execution = ExecutionId::parse(reply.header("x-baton-execution-id").unwrap()).unwrap();
    let told = reply.json()["output"]["text"].as_str().unwrap().to_owned();
    (execution, reply.header("traceparent").unwrap().to_owned(), told)
}

#[tokio::test]
async fn a_trace_goes_through_and_back() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let (execution, back, told) =
        traced(&[("traceparent", &parent), ("tracestate", "a=1"), ("tracestate", "b=2")]).await;
    assert_eq!(back, format!("00-{trace}-{}-01", SpanId::of_execution(execution)));
    assert_eq!(told, format!("00-{trace}-{}-01 a=1,b=2", SpanId::of_attempt(execution, 0)));
}

#[tokio::test]
async fn a_trace_that_is_not_valid_is_as_none() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for headers in
        [vec![], vec![("traceparent", "00-zz-b7-01")], vec![("traceparent", parent), ("traceparent", parent)]]
    {
        let (execution, back, told) = traced(&headers).await;
        let trace = TraceId::of(execution);
        assert_eq!(back, format!("00-{trace}-{}-02", SpanId::of_execution(execution)));
        assert_eq!(told, format!("00-{trace}-{}-02 -", SpanId::of_attempt(execution, 0)));
    }
}

#[tokio::test]
async fn a_stream_is_a_start_pieces_and_one_end() {
    let guest = Guest::new();
    let reply = guest.post("/v1/execute", json!({"intent": "draft", "input": "Anna", "stream": true})).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")), "{}", reply.text());
    let events = reply.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "delta", "end"]);
    let data: Vec<Value> = events.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    let id = reply.header("x-baton-execution-id").unwrap();
    assert_eq!(data[0], json!({"executionId": id, "model": "house/writer"}));
    assert_eq!(data[1], json!({"text": "Dear Anna"}));
    assert_eq!((&data[2]["executionId"], &data[2]["output"]["text"]), (&json!(id), &json!("Dear Anna")));
    assert_eq!(reply.header("x-baton-model"), Some("house/writer"));
}

#[tokio::test]
async fn pieces_arrive_as_they_are_written_and_a_break_is_no_answer() {
    let mut guest = Guest::new();
    let call = json!({"intent": "gated", "input": "x", "stream": true}).to_string();
    guest.say(json!({"content": "Once"}), None);
    let response =
        guest.router.clone().oneshot(Request::post("/v1/execute").body(Body::from(call)).unwrap()).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    let seen = until(&mut body, "\"Once\"").await;
    assert!(seen.contains("event: start"), "{seen}");
    guest.say(json!({"content": " upon"}), None);
    until(&mut body, "\" upon\"").await;
    guest.gate = None;
    let seen = until(&mut body, "event: error").await;
    assert!(seen.contains("\"code\":\"stream_interrupted\"") && !seen.contains("event: end"), "{seen}");
}

#[tokio::test]
async fn an_error_before_the_first_event_of_a_stream_has_its_status() {
    let guest = Guest::new();
    let reply = guest.post("/v1/execute", json!({"intent": "down", "input": "x", "stream": true})).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (502, &json!("all_candidates_failed")));
    assert_eq!(reply.json()["error"]["executionId"].as_str(), reply.header("x-baton-execution-id"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive_and_its_late_error_is_an_event() {
    let options = GatewayOptions { keep_alive: Duration::from_secs(10), ..GatewayOptions::default() };
    let guest = Guest::with(Store::memory(), options);
    let call = json!({"intent": "hangs", "input": "x", "stream": true, "config": {"maxLatencyMs": 29_000}});
    let reply = guest.post("/v1/execute", call).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text().matches(": waiting\n\n").count(), 1, "at 20 s; headers left at 10 s");
    let events = reply.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].0, "error");
    let error: Value = serde_json::from_str(&events[0].1).unwrap();
    assert_eq!(error["error"]["code"], "deadline_exceeded");
    assert_eq!(error["error"]["executionId"].as_str(), reply.header("x-baton-execution-id"));
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_upstream_call_and_is_recorded() {
    let mut guest = Guest::new();
    let call = json!({"intent": "gated", "input": "x", "stream": true}).to_string();
    guest.say(json!({"content": "Once"}), None);
    let response =
        guest.router.clone().oneshot(Request::post("/v1/execute").body(Body::from(call)).unwrap()).await.unwrap();
    let id = response.headers()["x-baton-execution-id"].to_str().unwrap().to_owned();
    let mut body = response.into_body().into_data_stream();
    until(&mut body, "Once").await;
    drop(body);
    guest.left.recv().await.unwrap();
    guest.orchestrator.idle().await;
    let record = guest.get(&format!("/v1/executions/{id}")).await.json();
    assert_eq!(record["status"], "cancelled");
}

#[tokio::test]
async fn tools_and_their_calls_pass_through() {
    // No intent of the house asks for tools by itself: the writer ignores them, the request reads.
    let tool =
        json!({"type": "function", "function": {"name": "look_up", "strict": true, "parameters": {"type": "object"}}});
    let call = json!({"intent": "draft", "input": "x", "tools": [tool], "toolChoice": "auto"});
    let reply = Guest::new().post("/v1/execute", call).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn fields_are_checked_by_name() {
    let guest = Guest::new();
    for (field, value, code, param) in [
        ("inptu", json!(1), "input_invalid", "/inptu"),
        ("messages", json!([]), "unsupported_feature", "/messages"),
        ("batch", json!([]), "unsupported_feature", "/batch"),
        ("stream", json!("yes"), "input_invalid", "/stream"),
        ("config", json!({"maxLatency": 5}), "input_invalid", "/config/maxLatency"),
        ("config", json!({"retries": -1}), "input_invalid", "/config/retries"),
        ("config", json!({"models": ["local"], "primaryModel": "clever"}), "input_invalid", "/config/models"),
        ("metadata", json!({"a": 1}), "input_invalid", "/metadata/a"),
        ("metadata", json!({"a": "x".repeat(513)}), "input_invalid", "/metadata/a"),
        ("metadata", (0..33).map(|n| (n.to_string(), json!("x"))).collect(), "input_invalid", "/metadata"),
        ("session", json!("x".repeat(257)), "input_invalid", "/session"),
        ("subject", json!("x".repeat(257)), "input_invalid", "/subject"),
        ("tools", json!([{"type": "retrieval"}]), "input_invalid", "/tools/0/type"),
        ("tools", json!([{"type": "function"}]), "input_invalid", "/tools/0/function"),
    ] {
        let mut call = json!({"intent": "classify", "input": {"ticket": "x"}});
        call[field] = value;
        let reply = guest.post("/v1/execute", call).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["code"], &error["param"]),
            (400, &json!(code), &json!(param)),
            "{field}: {error}"
        );
    }
    let missing = guest.post("/v1/execute", json!({"input": {}})).await;
    assert_eq!(missing.json()["error"]["param"], "/intent");
}
