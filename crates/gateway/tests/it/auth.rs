//! Who may do what.

use axum::body::Body;
use baton_gateway::GatewayOptions;
use baton_store::{Permission, Store};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::Guest;

const ROUTES: [(&str, &str); 16] = [
    ("POST", "/v1/execute"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/executions"),
    ("GET", "/v1/executions/01980000-0000-7000-8000-000000000000"),
    ("POST", "/v1/feedback"),
    ("GET", "/metrics"),
    ("DELETE", "/v1/subjects/ann"),
    ("GET", "/v1/reviews"),
    ("GET", "/v1/reviews/stats"),
    ("GET", "/v1/reviews/export"),
    ("POST", "/v1/reviews/import"),
    ("POST", "/v1/reviews/next"),
    ("POST", "/v1/reviews/undo"),
    ("GET", "/v1/reviews/01980000-0000-7000-8000-000000000000"),
    ("POST", "/v1/reviews/01980000-0000-7000-8000-000000000000"),
];

async fn ask(guest: &Guest, method: &str, path: &str, header: Option<(&str, String)>) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let reply = guest.send(request.body(Body::from("{}")).unwrap()).await;
    let code = serde_json::from_slice::<Value>(&reply.body).map(|body| body["error"]["code"].clone());
    (reply.status, code.unwrap_or_default())
}

#[tokio::test]
async fn each_route_takes_its_permission() {
    use Permission::{Admin, Call, Operate, Read, Review};
    let guest = Guest::new();
    for permission in [Call, Read, Review, Operate, Admin] {
        let key = guest.key("default", &[permission], None).await;
        for (method, path) in ROUTES {
            let allowed = match path {
                "/v1/feedback" => matches!(permission, Call | Review),
                "/metrics" => permission == Operate,
                "/v1/subjects/ann" => permission == Admin,
                path if path.starts_with("/v1/reviews") => permission == Review,
                path if path.starts_with("/v1/executions") => permission == Read,
                _ => permission == Call,
            };
            for header in [("authorization", format!("Bearer {key}")), ("x-api-key", key.clone())] {
                let (status, code) = ask(&guest, method, path, Some(header)).await;
                let refused = (status, code.as_str()) == (403, Some("permission_missing"));
                assert_eq!(!refused, allowed, "{method} {path} with {permission:?}: {status} {code}");
                assert!(status != 401);
            }
        }
    }
}

#[tokio::test]
async fn without_a_good_key_nothing_but_health_is_open() {
    let guest = Guest::new();
    let key = guest.key("default", &Permission::ALL, None).await;
    let id = guest.orchestrator.store().list_keys(None).await.unwrap()[0].id.clone();
    for (method, path) in ROUTES {
        assert_eq!(ask(&guest, method, path, None).await, (401, json!("missing_key")), "{path}");
        let unknown = ("authorization", "Bearer bk_unknown".to_owned());
        assert_eq!(ask(&guest, method, path, Some(unknown)).await, (401, json!("invalid_key")), "{path}");
        let other = ("authorization", format!("Basic {key}"));
        assert_eq!(ask(&guest, method, path, Some(other)).await, (401, json!("missing_key")), "{path}");
    }
    for path in ["/healthz", "/readyz", "/health/liveness", "/health/readiness", "/openapi.json"] {
        assert_eq!(ask(&guest, "GET", path, None).await.0, 200, "{path}");
    }
    let reply = guest.get("/v1/executions").await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));

    let second = guest.key("default", &Permission::ALL, None).await;
    guest.orchestrator.store().revoke_key(&id).await.unwrap();
    assert_eq!(guest.with_key(Method::GET, "/v1/executions", &key, None).await.status, 401);
    assert_eq!(guest.with_key(Method::GET, "/v1/executions", &second, None).await.status, 200);
}

#[tokio::test]
async fn ending_the_last_key_does_not_open_the_server() {
    let guest = Guest::new();
    let key = guest.key("support", &Permission::ALL, None).await;
    let id = guest.orchestrator.store().list_keys(None).await.unwrap()[0].id.clone();
    guest.orchestrator.store().revoke_key(&id).await.unwrap();
    assert_eq!(ask(&guest, "GET", "/v1/models", None).await, (401, json!("missing_key")));
    let header = Some(("authorization", format!("Bearer {key}")));
    assert_eq!(ask(&guest, "GET", "/v1/models", header).await, (401, json!("invalid_key")));
}

#[tokio::test]
async fn without_keys_the_server_is_open_but_not_to_other_pages() {
    let guest = Guest::new();
    let any = Some(("authorization", "Bearer sk-whatever".to_owned()));
    assert_eq!(ask(&guest, "GET", "/v1/models", any).await.0, 200, "clients that must send some key may");
    for (origin, status) in [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("http://[::1]:80", 200),
        ("https://evil.example", 403),
        ("http://127.evil.example", 403),
        ("null", 403),
    ] {
        let (found, _) = ask(&guest, "GET", "/v1/models", Some(("origin", origin.to_owned()))).await;
        assert_eq!(found, status, "{origin}");
    }
    for (host, status) in
        [("localhost:7700", 200), ("127.0.0.1:7700", 200), ("[::1]:7700", 200), ("rebound.example", 403)]
    {
        let (found, _) = ask(&guest, "GET", "/v1/models", Some(("host", host.to_owned()))).await;
        assert_eq!(found, status, "{host}");
    }
    let options = GatewayOptions { open_without_keys: false, ..GatewayOptions::default() };
    let closed = Guest::with(Store::memory(), options);
    assert_eq!(ask(&closed, "GET", "/v1/models", None).await, (401, json!("missing_key")));
}

#[tokio::test]
async fn a_key_calls_the_intents_that_it_and_its_team_may() {
    let guest = Guest::new();
    let call = |intent: &str| json!({"intent": intent, "input": "x"});
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    for (team, intents, allowed) in [
        ("other", None, vec!["classify", "draft", "extract"]),
        ("other", Some(&["draft", "extract"][..]), vec!["draft", "extract"]),
        ("support", None, vec!["classify", "draft"]),
        ("support", Some(&["draft", "extract"][..]), vec!["draft"]),
    ] {
        let key = guest.key(team, &[Permission::Call], intents).await;
        for intent in ["classify", "draft", "extract"] {
            let expected = allowed.contains(&intent);
            let reply = guest.with_key(Method::POST, "/v1/execute", &key, Some(call(intent))).await;
            assert_eq!(reply.status != 403, expected, "{team} {intents:?} {intent}: {}", reply.text());
            assert!(expected || reply.json()["error"]["code"] == "intent_not_allowed");
        }
        let models = guest.with_key(Method::GET, "/v1/models", &key, None).await.json();
        let listed = |id: &str| models["data"].as_array().unwrap().iter().any(|model| model["id"] == id);
        for intent in ["classify", "draft", "extract"] {
            assert_eq!(listed(&format!("intent:{intent}")), allowed.contains(&intent), "{team} {intents:?} {intent}");
        }
        let unlimited = team == "other" && intents.is_none();
        assert_eq!(listed("clever"), unlimited);
        let raw = guest.with_key(Method::POST, "/v1/chat/completions", &key, Some(chat("clever"))).await;
        assert_eq!(raw.status, if unlimited { 200 } else { 403 }, "{}", raw.text());
    }
}

#[tokio::test]
async fn nobody_sees_what_another_team_did() {
    let guest = Guest::new();
    let all = Permission::ALL;
    let (ours, theirs) = (guest.key("a", &all, None).await, guest.key("b", &all, None).await);
    let call = json!({"intent": "draft", "input": "x"});
    let reply = guest.with_key(Method::POST, "/v1/execute", &ours, Some(call)).await;
    let id = reply.json()["executionId"].as_str().unwrap().to_owned();
    let path = format!("/v1/executions/{id}");
    let feedback = json!({"executionId": id, "label": "good"});
    for (key, read, list) in [(&ours, 200, 1), (&theirs, 404, 0)] {
        assert_eq!(guest.with_key(Method::GET, &path, key, None).await.status, read);
        assert_eq!(guest.with_key(Method::POST, "/v1/feedback", key, Some(feedback.clone())).await.status, read);
        let page = guest.with_key(Method::GET, "/v1/executions", key, None).await.json();
        assert_eq!(page["executions"].as_array().unwrap().len(), list);
    }
    let limited = guest.key("a", &all, Some(&["classify"])).await;
    assert_eq!(guest.with_key(Method::GET, &path, &limited, None).await.status, 404);
    assert_eq!(guest.with_key(Method::GET, "/v1/executions", &limited, None).await.status, 403);
    assert_eq!(guest.with_key(Method::GET, "/v1/executions?intent=draft", &limited, None).await.status, 403);
    assert_eq!(guest.with_key(Method::GET, "/v1/executions?intent=classify", &limited, None).await.status, 200);
}
