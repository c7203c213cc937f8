//! People label answers over HTTP.

use axum::body::Body;
use baton_store::Permission::{self, Call, Review};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::{Guest, Reply};

/// A house whose every answer of `reviewed` is drawn, and of `paired` for two.
struct Office {
    guest: Guest,
    key: String,
}

impl Office {
    async fn new() -> Self {
        let guest = Guest::new();
        let key = guest.key("default", &[Call, Review, Permission::Read], None).await;
        Self { guest, key }
    }

    async fn answered(&self, intent: &str) -> String {
        let call = json!({"intent": intent, "input": "it broke"});
        let reply = self.guest.with_key(Method::POST, "/v1/execute", &self.key, Some(call)).await;
        reply.json()["executionId"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.guest.with_key(Method::POST, &format!("/v1/reviews{path}"), &self.key, Some(body)).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.guest.with_key(Method::GET, &format!("/v1/reviews{path}"), &self.key, None).await
    }

    async fn next(&self, name: &str) -> Value {
        self.post("/next", json!({"reviewer": name})).await.json()["item"].clone()
    }

    async fn says(&self, name: &str, id: &str, pass: bool) -> Reply {
        let body = json!({"action": "label", "reviewer": name, "criteria": {"tone": pass}, "comment": name});
        self.post(&format!("/{id}"), body).await
    }
}

#[track_caller]
fn refuses(reply: &Reply, status: u16, code: &str, says: &str) {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"]), (status, &json!(code)), "{error}");
    assert!(error["message"].as_str().unwrap().contains(says), "{error}");
}

#[tokio::test]
async fn an_answer_is_taken_and_labelled() {
    let office = Office::new().await;
    assert_eq!(office.next("ann").await, Value::Null);
    let id = office.answered("reviewed").await;
    let item = office.next("ann").await;
    assert_eq!(
        (&item["executionId"], &item["state"], &item["content"]),
        (&json!(id), &json!("open"), &json!("stored"))
    );
    assert_eq!((&item["input"], &item["output"]), (&json!("it broke"), &json!({"label": "bug"})));
    assert_eq!((&item["probability"], &item["labels"]), (&json!(1.0), &json!([])));
    let tone = json!({"id": "tone", "ask": "Is it polite?", "guideline": "No shouting."});
    assert_eq!(item["criteria"], json!([tone]));
    assert!(item["heldUntilMs"].is_i64(), "{item}");
    assert_eq!(office.next("bob").await, Value::Null);
    refuses(&office.says("bob", &id, true).await, 409, "review_conflict", "somebody else is reviewing");

    let correction = json!({"label": "how-to"});
    let label = json!({"action": "label", "reviewer": "ann", "pass": false, "correction": correction, "comment": "no"});
    let done = office.post(&format!("/{id}"), label).await.json();
    assert_eq!(done["state"], "done");
    let said = &done["labels"][0];
    assert_eq!((&said["reviewer"], &said["source"], &said["pass"]), (&json!("ann"), &json!("review"), &json!(false)));
    refuses(&office.says("ann", &id, true).await, 409, "review_conflict", "has all the labels");

    let undone = office.post("/undo", json!({"reviewer": "ann"})).await.json();
    assert_eq!((&undone["executionId"], &undone["labels"]), (&json!(id), &json!([])));
    refuses(&office.post("/undo", json!({"reviewer": "ann"})).await, 409, "review_conflict", "nothing of yours");
    let released = office.post(&format!("/{id}"), json!({"action": "release", "reviewer": "ann"})).await;
    assert_eq!(released.json().get("heldUntilMs"), None);
    assert_eq!(office.next("bob").await["executionId"], json!(id));
    office.post(&format!("/{id}"), json!({"action": "skip", "reviewer": "bob"})).await.json();
    assert_eq!(office.next("bob").await, Value::Null);
}

#[tokio::test]
async fn two_labels_are_blind_and_a_third_decides() {
    let office = Office::new().await;
    let id = office.answered("paired").await;
    assert_eq!(office.next("ann").await["executionId"], json!(id));
    assert_eq!(office.next("bob").await["executionId"], json!(id), "two at once, on purpose");
    assert_eq!(office.next("cid").await, Value::Null);
    let ann = office.says("ann", &id, true).await.json();
    assert_eq!((&ann["state"], ann["labels"].as_array().unwrap().len()), (&json!("second"), 1));
    let bob = office.get(&format!("/{id}?reviewer=bob")).await.json();
    assert_eq!((&bob["state"], &bob["labels"]), (&json!("open"), &json!([])), "bob knows nothing of ann");
    let listed = office.get("?reviewer=bob").await.json();
    assert_eq!(listed["reviews"][0]["labels"], json!([]));
    assert_eq!(office.get("/export?reviewer=bob").await.json()["labels"], json!([]));

    let bob = office.says("bob", &id, false).await.json();
    assert_eq!(
        (&bob["state"], bob["labels"].as_array().unwrap().len()),
        (&json!("second"), 1),
        "nor whether they agree"
    );
    assert_eq!(office.next("ann").await, Value::Null);
    refuses(
        &office.post("/undo", json!({"reviewer": "ann"})).await,
        409,
        "review_conflict",
        "labelled this item since",
    );
    let cid = office.next("cid").await;
    assert_eq!((&cid["state"], cid["labels"].as_array().unwrap().len()), (&json!("disputed"), 2));
    let decided = office.says("cid", &id, false).await.json();
    assert_eq!((&decided["state"], &decided["labels"][2]["source"]), (&json!("done"), &json!("adjudication")));

    let stats = office.get("/stats").await.json();
    let paired = &stats["intents"]["paired"];
    assert_eq!((&paired["done"], &paired["labelled"], &paired["passed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(paired["agreement"]["items"], 1);
    assert!(paired["criteria"]["tone"]["alpha"].as_f64().unwrap() <= 0.0, "{paired}");
    assert_eq!(stats["reviewers"]["cid"]["labels"], 1);
}

#[tokio::test]
async fn what_cannot_be_a_label_is_refused_by_its_field() {
    let office = Office::new().await;
    let id = office.answered("reviewed").await;
    for (body, param, says) in [
        (json!({"action": "label"}), "/pass", "say whether the answer passes"),
        (json!({"action": "label", "criteria": {"colour": true}}), "/criteria/colour", "it has: tone"),
        (json!({"action": "label", "pass": true, "criteria": {"tone": false}}), "/pass", "an answer that fails tone"),
        (json!({"action": "label", "pass": false, "correction": {"label": "moon"}}), "/correction/label", "shape"),
        (json!({"action": "label", "pass": true, "comment": "x".repeat(4097)}), "/comment", "4096"),
        (json!({"action": "label", "pass": true, "reviewer": " "}), "reviewer", "1 to 256"),
        (json!({"action": "skip", "pass": true}), "/action", "belong to the action `label`"),
        (json!({"action": "dance"}), "/action", "dance"),
        (json!({"action": "label", "pass": true, "stars": 5}), "/stars", "unknown field"),
    ] {
        let reply = office.post(&format!("/{id}"), body.clone()).await;
        refuses(&reply, 400, "input_invalid", says);
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    }
    refuses(&office.post("/nothing", json!({"action": "skip"})).await, 404, "unknown_execution", "nothing");
    let plain = office.answered("draft").await;
    refuses(&office.get(&format!("/{plain}")).await, 404, "unknown_execution", "was not drawn");
    for (query, param) in [("?limit=0", "limit"), ("?before=x", "before"), ("?state=sad", "")] {
        let reply = office.get(query).await;
        refuses(&reply, 400, "input_invalid", param);
    }
}

#[tokio::test]
async fn no_team_sees_anothers_items() {
    let office = Office::new().await;
    let id = office.answered("reviewed").await;
    let sales = office.guest.key("sales", &Permission::ALL, None).await;
    let limited = office.guest.key("default", &[Review], Some(&["paired"])).await;
    let line = json!({"executionId": id, "labels": [{"reviewer": "x", "pass": true}]}).to_string();
    for key in [&sales, &limited] {
        let guest = &office.guest;
        let next = guest.with_key(Method::POST, "/v1/reviews/next", key, Some(json!({}))).await;
        assert_eq!(next.json()["item"], Value::Null);
        assert_eq!(guest.with_key(Method::GET, "/v1/reviews", key, None).await.json()["reviews"], json!([]));
        assert_eq!(guest.with_key(Method::GET, "/v1/reviews/export", key, None).await.text(), "");
        assert_eq!(guest.with_key(Method::GET, "/v1/reviews/stats", key, None).await.json()["items"], 0);
        let path = format!("/v1/reviews/{id}");
        assert_eq!(guest.with_key(Method::GET, &path, key, None).await.status, 404);
        let label = json!({"action": "label", "pass": true});
        assert_eq!(guest.with_key(Method::POST, &path, key, Some(label)).await.status, 404);
        let request = Request::post("/v1/reviews/import").header("authorization", format!("Bearer {key}"));
        let reply = guest.send(request.body(Body::from(line.clone())).unwrap()).await;
        refuses(&reply, 404, "unknown_execution", "line 1: ");
    }
    let reader = office.guest.key("default", &[Permission::Read, Call], None).await;
    let reply = office.guest.with_key(Method::POST, "/v1/reviews/next", &reader, Some(json!({}))).await;
    refuses(&reply, 403, "permission_missing", "review");
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let office = Office::new().await;
    let id = office.answered("reviewed").await;
    let plain = office.answered("draft").await;
    office.says("ann", &id, false).await.json();
    let exported = office.get("/export").await;
    assert_eq!(exported.header("content-type"), Some("application/jsonl"));
    let line = exported.json();
    assert_eq!((&line["output"], &line["labels"][0]["criteria"]["tone"]), (&json!({"label": "bug"}), &json!(false)));

    let import = |body: String| {
        let request = Request::post("/v1/reviews/import").header("authorization", format!("Bearer {}", office.key));
        office.guest.send(request.body(Body::from(body)).unwrap())
    };
    let unasked = json!({"executionId": plain, "labels": [{"reviewer": "eve", "pass": true}]});
    let both = format!("{}\n{unasked}\n", exported.text());
    assert_eq!(import(both.clone()).await.json()["imported"], 1, "ann's is known, and no place is left for it");
    assert_eq!(import(both).await.json()["imported"], 0);
    let imported = office.get(&format!("/{plain}")).await.json();
    assert_eq!((&imported["labels"][0]["source"], imported.get("probability")), (&json!("import"), None));
    for (body, says) in [
        ("{}".to_owned(), "line 1: not a label: missing field `executionId`"),
        (format!("{unasked}\nwords"), "line 2: not a label"),
        (json!({"executionId": id, "labels": [{"reviewer": "e"}]}).to_string(), "line 1: say whether the answer"),
        (json!({"executionId": id, "labels": [], "note": 1}).to_string(), "unknown field `note`"),
    ] {
        refuses(&import(body).await, 400, "input_invalid", says);
    }
}

#[tokio::test]
async fn feedback_answers_for_a_reviewer() {
    let office = Office::new().await;
    let id = office.answered("reviewed").await;
    let feedback = json!({"executionId": id, "finalOutput": {"label": "how-to"}, "by": "support-app"});
    office.guest.with_key(Method::POST, "/v1/feedback", &office.key, Some(feedback)).await.json();
    assert_eq!(office.next("ann").await, Value::Null);
    let item = office.get(&format!("/{id}")).await.json();
    let label = &item["labels"][0];
    assert_eq!((&label["source"], &label["pass"]), (&json!("final_output"), &json!(false)));
    assert_eq!(label["correction"], json!({"label": "how-to"}));
}

#[tokio::test]
async fn content_that_is_not_stored_is_said_to_be() {
    let office = Office::new().await;
    let id = office.answered("private").await;
    let item = office.next("ann").await;
    assert_eq!((&item["executionId"], &item["content"]), (&json!(id), &json!("not_stored")));
    assert_eq!((item.get("input"), item.get("output")), (None, None));
}

#[tokio::test]
async fn what_a_gate_held_back_is_reviewed_too() {
    let office = Office::new().await;
    let mut seen = 0;
    for _ in 0..200 {
        let call = json!({"intent": "strict", "input": "it broke"});
        let reply = office.guest.with_key(Method::POST, "/v1/execute", &office.key, Some(call)).await;
        assert_eq!(reply.status, 502, "{}", reply.text());
        let item = office.next("ann").await;
        if item.is_null() {
            continue;
        }
        seen += 1;
        assert_eq!((&item["rejected"], &item["output"]), (&json!(true), &json!({"label": "bug"})), "{item}");
        let probability = item["probability"].as_f64().unwrap();
        assert!(probability > 0.0 && probability <= 1.0);
        office.says("ann", item["executionId"].as_str().unwrap(), false).await.json();
    }
    assert!(seen > 0, "some of what is thrown away is looked at");
}
