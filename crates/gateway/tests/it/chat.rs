//! `/v1/chat/completions` and `/v1/models`, as OpenAI's clients see them.

use serde_json::{Value, json};

use crate::house::{Guest, Reply};

fn user(model: &str, content: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": content}]})
}

async fn ask(guest: &Guest, body: Value) -> Reply {
    guest.post("/v1/chat/completions", body).await
}

#[tokio::test]
async fn a_raw_model_answers_in_openais_shape() {
    let guest = Guest::new();
    for model in ["clever", "house/bug"] {
        let mut call = user(model, "hi");
        call["temperature"] = json!(0.7);
        call["user"] = json!("anna");
        call["logit_bias"] = json!({"7": 1});
        let reply = ask(&guest, call).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let body = reply.json();
        let id = reply.header("x-baton-execution-id").unwrap();
        assert_eq!(body["id"], format!("chatcmpl-{id}"));
        assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("house/bug")));
        assert!(body["created"].as_u64().unwrap() > 1_600_000_000);
        assert_eq!(body["choices"][0]["message"], json!({"role": "assistant", "content": "bug"}));
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["usage"]["total_tokens"], 12);
        assert_eq!(body["system_fingerprint"], "fp7", "what the provider says besides is kept");
        let baton = &body["baton"];
        assert_eq!((&baton["executionId"], &baton["via"]), (&json!(id), &json!("model")));
        assert_eq!((&baton["costUsd"], &baton["quality"]["verified"]), (&json!("0.000014"), &json!(false)));
        let record = guest.get(&format!("/v1/executions/{id}")).await.json();
        assert_eq!((&record["subject"], &record["intent"]), (&json!("anna"), &Value::Null));
    }
}

#[tokio::test]
async fn a_raw_stream_is_chunks_and_done() {
    let guest = Guest::new();
    let mut call = user("writer", "Anna");
    call["stream"] = json!(true);
    call["stream_options"] = json!({"include_usage": true});
    let reply = ask(&guest, call).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"), "{}", reply.text());
    let mut events = reply.events();
    assert_eq!(events.pop().unwrap().1, "[DONE]");
    let chunks: Vec<Value> = events.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert!(chunks.iter().all(|c| c["object"] == "chat.completion.chunk" && c["id"] == chunks[0]["id"]));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Dear Anna");
    let finishes: Vec<&Value> =
        chunks.iter().map(|c| &c["choices"][0]["finish_reason"]).filter(|f| !f.is_null()).collect();
    assert_eq!(finishes, ["stop"]);
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 10);
    let with_baton: Vec<&Value> = chunks.iter().filter(|c| c.get("baton").is_some()).collect();
    assert_eq!(with_baton.len(), 1);
    assert_eq!(with_baton[0]["baton"]["executionId"].as_str(), reply.header("x-baton-execution-id"));
    assert_eq!(with_baton[0]["choices"][0]["delta"], json!({}), "clients look for a choice in every chunk");
}

#[tokio::test]
async fn tool_calls_come_back_whole_and_in_pieces() {
    let guest = Guest::new();
    let mut call = user("tools", "look");
    call["tools"] = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]);
    let body = ask(&guest, call.clone()).await.json();
    let message = &body["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "look_up", "arguments": "{\"id\":7}"}));
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    call["stream"] = json!(true);
    let reply = ask(&guest, call).await;
    assert!(reply.text().contains(r#""name":"look_up""#) && reply.text().contains(r#""finish_reason":"tool_calls""#));
}

#[tokio::test]
async fn an_intents_tool_call_has_no_text_beside_it() {
    let guest = Guest::new();
    let mut call = user("intent:agent", "look");
    call["tools"] = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]);
    let body = ask(&guest, call.clone()).await.json();
    let message = &body["choices"][0]["message"];
    assert_eq!((&message["content"], message["tool_calls"][0]["id"].as_str()), (&Value::Null, Some("t1")));
    call["stream"] = json!(true);
    let reply = ask(&guest, call).await;
    assert!(
        reply.text().contains(r#""name":"look_up""#) && !reply.text().contains(r#""content":"{"#),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn an_intent_is_asked_as_a_model() {
    let guest = Guest::new();
    for (intent, content, text) in [
        ("classify", "It does not start", "bug"),
        ("classify", r#"{"ticket":"It does not start"}"#, "bug"),
        ("draft", "Anna", "Dear Anna"),
        ("draft", r#"{"a":1}"#, r#"Dear {"a":1}"#),
        ("extract", r#"{"a":"x","b":1}"#, r#"{"total":12.5}"#),
        ("fallback", "x", "bug"),
    ] {
        for stream in [false, true] {
            let mut call = user(&format!("intent:{intent}"), content);
            call["stream"] = json!(stream);
            call["metadata"] = json!({"customer": "7"});
            let reply = ask(&guest, call).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let said = if stream {
                let events = reply.events();
                let chunks = events.iter().filter_map(|(_, data)| serde_json::from_str::<Value>(data).ok());
                let pieces = chunks.filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
                pieces.collect()
            } else {
                let body = reply.json();
                assert_eq!(body["baton"]["intent"], intent);
                body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
            };
            assert_eq!(said, text, "{intent} {content} {stream}");
            let id = reply.header("x-baton-execution-id").unwrap();
            let record = guest.get(&format!("/v1/executions/{id}")).await.json();
            assert_eq!(record["metadata"], json!({"customer": "7"}));
        }
    }
}

#[tokio::test]
async fn errors_are_in_openais_envelope() {
    let guest = Guest::new();
    let turn = |role: &str| json!({"role": role, "content": "x"});
    let intent = |messages: Value| json!({"model": "intent:classify", "messages": messages});
    let with = |mut call: Value, name: &str, value: Value| {
        call[name] = value;
        call
    };
    let image = json!([{"type": "image_url", "image_url": {"url": "data:"}}]);
    for (call, status, kind, code, param) in [
        (json!([]), 400, "invalid_request_error", "input_invalid", json!("")),
        (json!({"messages": [turn("user")]}), 400, "invalid_request_error", "input_invalid", json!("/model")),
        (
            json!({"model": "clever", "messages": [turn("boss")]}),
            400,
            "invalid_request_error",
            "input_invalid",
            json!("/messages/0/role"),
        ),
        (user("o9", "x"), 404, "invalid_request_error", "unknown_model", json!("/model")),
        (user("intent:o9", "x"), 404, "invalid_request_error", "unknown_intent", json!("/intent")),
        (user("intent:extract", "x"), 400, "invalid_request_error", "input_invalid", json!("/messages/0/content")),
        (with(user("clever", "x"), "n", json!(2)), 400, "invalid_request_error", "unsupported_feature", json!("/n")),
        (
            intent(json!([turn("user"), turn("user")])),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("/messages/1"),
        ),
        (
            intent(json!([turn("user"), turn("assistant")])),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("/messages/1"),
        ),
        (
            intent(json!([turn("system"), turn("user")])),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("/messages/0"),
        ),
        (
            intent(json!([{"role": "user", "content": image}])),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("/messages/0/content"),
        ),
        (
            with(user("intent:draft", "x"), "temperature", json!(1)),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("temperature"),
        ),
        (
            with(user("intent:draft", "x"), "service_tier", json!("flex")),
            400,
            "invalid_request_error",
            "unsupported_feature",
            json!("service_tier"),
        ),
        (user("intent:down", "x"), 502, "server_error", "all_candidates_failed", Value::Null),
        (
            with(user("intent:down", "x"), "stream", json!(true)),
            502,
            "server_error",
            "all_candidates_failed",
            Value::Null,
        ),
    ] {
        let reply = ask(&guest, call.clone()).await;
        let body = reply.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("{call}: {body}"));
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"], "{call}");
        assert_eq!(
            (reply.status, &error["type"], &error["code"]),
            (status, &json!(kind), &json!(code)),
            "{call}: {body}"
        );
        assert_eq!(error["param"], param, "{call}: {body}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_and_without_done() {
    let mut guest = Guest::new();
    let mut call = user("gated", "x");
    call["stream"] = json!(true);
    guest.say(json!({"content": "Once"}), None);
    guest.gate = None;
    let reply = ask(&guest, call).await;
    let events = reply.events();
    let last: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    assert_eq!(last["error"]["code"], "stream_interrupted", "{}", reply.text());
    assert!(!reply.text().contains("[DONE]"));
}

#[tokio::test]
async fn models_are_listed_in_openais_shape() {
    let body = Guest::new().get("/v1/models").await.json();
    assert_eq!(body["object"], "list");
    let models = body["data"].as_array().unwrap();
    let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
    for id in ["clever", "house/bug", "house/how-to", "intent:classify", "intent:draft"] {
        assert_eq!(ids.iter().filter(|known| **known == id).count(), 1, "{id}: {ids:?}");
    }
    let one = models.iter().find(|model| model["id"] == "clever").unwrap();
    assert_eq!(*one, json!({"id": "clever", "object": "model", "created": 0, "owned_by": "house"}));
}
