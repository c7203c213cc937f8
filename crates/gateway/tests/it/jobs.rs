//! Many inputs: at once, and as jobs.

use axum::body::Body;
use baton_config::{Durability, StoreSpec};
use baton_gateway::GatewayOptions;
use baton_store::{Permission, Store};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::{Guest, Reply};

fn items(tickets: &[Value]) -> Value {
    let items: Vec<Value> = tickets.iter().map(|ticket| json!({ "input": { "ticket": ticket } })).collect();
    json!({ "intent": "classify", "items": items })
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, param: Option<&str>) -> String {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"]), (status, &json!(code)), "{error}");
    assert_eq!(error["param"].as_str(), param, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn many_at_once_are_answered_in_order_and_one_fails_alone() {
    let guest = Guest::new();
    let reply = guest.post("/v1/execute/batch", items(&[json!("a"), json!(7), json!("c")])).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let results = reply.json()["results"].clone();
    let told = |n: usize| (results[n]["place"].clone(), results[n]["status"].as_str().unwrap().to_owned());
    assert_eq!(
        [told(0), told(1), told(2)].map(|(place, status)| format!("{place} {status}")),
        ["0 succeeded", "1 failed", "2 succeeded"]
    );
    assert_eq!(results[0]["answer"]["output"], json!({ "label": "bug" }));
    let error = &results[1]["error"];
    assert_eq!((&error["code"], &error["param"]), (&json!("input_invalid"), &json!("/input/ticket")));
    assert!(error["executionId"].is_string(), "refused calls have a record too: {error}");
}

#[tokio::test]
async fn many_at_once_are_bounded_and_made_again_are_the_same() {
    let guest = Guest::new();
    for count in [0, 129] {
        let reply = guest.post("/v1/execute/batch", items(&vec![json!("a"); count])).await;
        refused(&reply, 400, "input_invalid", Some("/items"));
    }
    let long = json!({ "intent": "classify", "items": [{ "input": {}, "id": "x".repeat(300) }] });
    refused(&guest.post("/v1/execute/batch", long).await, 400, "input_invalid", Some("/items/0/id"));
    let named = |body: Value| {
        let request = Request::post("/v1/execute/batch").header("idempotency-key", "k");
        guest.send(request.body(Body::from(body.to_string())).unwrap())
    };
    let ids = |reply: &Reply| {
        let results = reply.json()["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["answer"]["executionId"].to_string()).collect::<Vec<_>>()
    };
    let first = ids(&named(items(&[json!("a"), json!("b")])).await);
    assert_eq!(first, ids(&named(items(&[json!("a"), json!("b")])).await));
    assert_ne!(first[0], first[1]);
    let other = named(items(&[json!("a"), json!("z")])).await.json();
    assert_eq!(other["results"][1]["error"]["code"], "idempotency_conflict");
}

async fn on_disk() -> (Guest, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let spec = StoreSpec { dir: dir.path().to_owned(), durability: Durability::Process };
    (Guest::with(Store::open(&spec).await.unwrap(), GatewayOptions::default()), dir)
}

fn lines(text: &str) -> Request<Body> {
    let request = Request::post("/v1/jobs?intent=classify").header("content-type", "application/jsonl");
    request.body(Body::from(text.to_owned())).unwrap()
}

#[tokio::test]
async fn a_job_is_handed_in_answered_and_read() {
    let (guest, _dir) = on_disk().await;
    let text = "{\"input\":{\"ticket\":\"a\"},\"id\":\"x\"}\n\n{\"input\":{\"ticket\":\"b\"}}";
    let reply = guest.send(lines(text)).await;
    assert_eq!((reply.status, &reply.json()["items"]), (201, &json!(2)), "{}", reply.text());
    let place = reply.header("location").unwrap().to_owned();
    let done = async {
        while guest.get(&place).await.json()["status"] != "done" {
            tokio::task::yield_now().await;
        }
        guest.orchestrator.stop_work();
    };
    tokio::join!(guest.orchestrator.work(), done);
    let read = |reply: &Reply| -> Vec<Value> {
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let results = guest.get(&format!("{place}/results")).await;
    assert_eq!(results.header("content-type"), Some("application/jsonl"));
    let all = read(&results);
    assert_eq!((all.len(), &all[0]["id"], &all[1]["place"]), (2, &json!("x"), &json!(1)));
    assert_eq!(all[0]["answer"]["output"], json!({ "label": "bug" }));
    let page = guest.get(&format!("{place}/results?from=1&limit=1")).await;
    assert_eq!((page.header("x-baton-next"), read(&page)), (Some("2"), vec![all[1].clone()]));
    assert_eq!(guest.get("/v1/jobs").await.json()["jobs"][0]["succeeded"], 2);
    let gone = guest.send(Request::delete(&place).body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, 204);
    refused(&guest.get(&place).await, 404, "unknown_job", Some("id"));
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_said_with_its_line_and_field() {
    let (guest, _dir) = on_disk().await;
    let wrong = "{\"input\":{\"ticket\":\"a\"}}\n{\"input\":{\"ticket\":7}}";
    let message = refused(&guest.send(lines(wrong)).await, 400, "input_invalid", Some("/input/ticket"));
    assert!(message.starts_with("line 2: "), "{message}");
    let good = "{\"input\":{\"ticket\":\"a\"}}";
    for (line, code, param, expected) in [
        ("{\"input\":1", "invalid_json", None, "line 3, column 10: it is not JSON: EOF while parsing an object"),
        ("{\"input\" 1}", "invalid_json", None, "line 3, column 10: it is not JSON: expected `:`"),
        ("{\"id\":\"x\"}", "input_invalid", Some("/input"), "line 3, column 10: missing field `input`"),
    ] {
        // An empty line is a line of the file.
        let message = refused(&guest.send(lines(&format!("{good}\n\n{line}\r\n{good}"))).await, 400, code, param);
        assert_eq!(message, expected);
    }
    refused(&guest.send(lines("\n")).await, 400, "input_invalid", Some("/items"));
    let reply = guest.post("/v1/jobs", items(&[json!("a"), json!(7)])).await;
    let message = refused(&reply, 400, "input_invalid", Some("/items/1/input/ticket"));
    assert!(message.starts_with("item 1: "), "{message}");
    let private = json!({ "intent": "private", "items": [{ "input": { "ticket": "a" } }] });
    refused(&guest.post("/v1/jobs", private).await, 400, "unsupported_feature", Some("/intent"));
    assert_eq!(guest.get("/v1/jobs").await.json(), json!({ "jobs": [] }), "none of them is a job");
    let reply = Guest::new().post("/v1/jobs", items(&[json!("a")])).await;
    refused(&reply, 400, "unsupported_feature", None);
}

#[tokio::test]
async fn a_job_is_its_team_s_and_takes_the_permission_to_call() {
    let (guest, _dir) = on_disk().await;
    let caller = guest.key("support", &[Permission::Call], Some(&["classify"])).await;
    let reader = guest.key("support", &[Permission::Read], None).await;
    let narrow = guest.key("support", &[Permission::Call, Permission::Read], Some(&["draft"])).await;
    let other = guest.key("sales", &[Permission::Call, Permission::Read], None).await;
    let body = items(&[json!("a")]);
    let post = async |key: &str| guest.with_key(Method::POST, "/v1/jobs", key, Some(body.clone())).await;
    refused(&post(&reader).await, 403, "permission_missing", None);
    refused(&post(&narrow).await, 403, "intent_not_allowed", Some("/intent"));
    let place = post(&caller).await.header("location").unwrap().to_owned();
    for key in [&caller, &reader] {
        assert_eq!(guest.with_key(Method::GET, &place, key, None).await.status, 200);
    }
    for key in [&narrow, &other] {
        refused(&guest.with_key(Method::GET, &place, key, None).await, 404, "unknown_job", Some("id"));
        refused(&guest.with_key(Method::DELETE, &place, key, None).await, 404, "unknown_job", Some("id"));
        let list = guest.with_key(Method::GET, "/v1/jobs", key, None).await.json();
        assert_eq!(list, json!({ "jobs": [] }));
    }
    refused(&guest.with_key(Method::DELETE, &place, &reader, None).await, 403, "permission_missing", None);
    let cancel = format!("{place}/cancel");
    assert_eq!(guest.with_key(Method::POST, &cancel, &caller, None).await.json()["status"], "cancelled");
}
