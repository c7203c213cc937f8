//! Erasing a person.

use axum::body::Body;
use baton_config::{Durability, StoreSpec};
use baton_gateway::GatewayOptions;
use baton_store::{Permission, ReportQuery, Store};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::house::{Guest, Reply};

fn call(subject: &str) -> Value {
    json!({"intent": "classify", "input": {"ticket": "zanzibar"}, "config": {"cacheTTL": 60}, "subject": subject,
        "session": "zanzibar", "metadata": {"customer": "zanzibar"}})
}

async fn delete(guest: &Guest, subject: &str, key: Option<&str>) -> Reply {
    let path = format!("/v1/subjects/{subject}");
    match key {
        Some(key) => guest.with_key(Method::DELETE, &path, key, None).await,
        None => guest.send(Request::delete(path).body(Body::empty()).unwrap()).await,
    }
}

fn counts(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut counts = reply.json();
    assert!(counts.as_object_mut().unwrap().remove("erasedAtMs").unwrap().as_i64().unwrap() > 1_600_000_000_000);
    counts.as_object_mut().unwrap().retain(|_, count| *count != 0);
    counts
}

#[tokio::test]
async fn a_person_goes_from_their_team_with_everything_that_was_said_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreSpec { dir: dir.path().into(), durability: Durability::Process }).await.unwrap();
    let guest = Guest::with(store.clone(), GatewayOptions::default());
    let keys = [guest.key("one", &Permission::ALL, None).await, guest.key("two", &Permission::ALL, None).await];
    let execute = async |key: &str| {
        let reply = guest.with_key(Method::POST, "/v1/execute", key, Some(call("ann@example.org"))).await.json();
        (reply["via"].as_str().unwrap().to_owned(), reply["executionId"].as_str().unwrap().to_owned())
    };
    let mut ids = Vec::new();
    for key in &keys {
        ids.push(execute(key).await.1);
        assert_eq!(execute(key).await.0, "cache-exact");
    }
    let said = json!({"executionId": ids[0], "label": "good", "comment": "about zanzibar", "by": "eve"});
    assert_eq!(guest.with_key(Method::POST, "/v1/feedback", &keys[0], Some(said)).await.status, 200);
    store.flush().await.unwrap();
    let report = store.report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() }).await.unwrap();

    let reply = delete(&guest, "ann%40example.org", Some(&keys[0])).await;
    assert_eq!(counts(&reply), json!({"records": 2, "cacheEntries": 1, "feedback": 1, "labels": 1}));
    let read = async |id: &str, key: &str| {
        guest.with_key(Method::GET, &format!("/v1/executions/{id}"), key, None).await.json()
    };
    let record = read(&ids[0], &keys[0]).await;
    assert!(!record.to_string().contains("zanzibar") && !record.to_string().contains("ann"), "{record}");
    assert_eq!(record["erasedAtMs"], reply.json()["erasedAtMs"]);
    assert_eq!(record["feedback"][0]["label"], "good");
    assert!(record["attempts"][0]["outcome"] == "passed" && record["usage"]["inputTokens"] == 10, "{record}");
    let query = ReportQuery { until_us: i64::MAX, ..ReportQuery::default() };
    assert_eq!(store.report(query).await.unwrap(), report);

    let theirs = read(&ids[1], &keys[1]).await;
    assert_eq!((&theirs["input"]["ticket"], &theirs["erasedAtMs"]), (&json!("zanzibar"), &Value::Null));
    assert_eq!(execute(&keys[1]).await.0, "cache-exact");
    assert_eq!(execute(&keys[0]).await.0, "model", "the next call is a miss, and a new one");
    assert_eq!(
        counts(&delete(&guest, "ann%40example.org", Some(&keys[0])).await),
        json!({"records": 1, "cacheEntries": 1})
    );
    assert_eq!(counts(&delete(&guest, "ann%40example.org", Some(&keys[0])).await), json!({}), "again: nobody");

    // What would be said of them now, nothing would lead to.
    for words in [json!({"label": "bad", "comment": "x"}), json!({"correction": {"label": "bug"}})] {
        let mut said = words;
        said["executionId"] = json!(ids[0]);
        let reply = guest.with_key(Method::POST, "/v1/feedback", &keys[0], Some(said)).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("input_invalid")));
    }
    let said = json!({"executionId": ids[0], "label": "bad"});
    assert_eq!(guest.with_key(Method::POST, "/v1/feedback", &keys[0], Some(said)).await.status, 200);
    drop(guest);
    store.close().await;
}

#[tokio::test]
async fn reviewers_say_pass_or_fail_of_them_and_no_more() {
    let guest = Guest::new();
    let ask = json!({"intent": "paired", "input": "zanzibar", "subject": "ann"});
    let id = guest.post("/v1/execute", ask).await.json()["executionId"].as_str().unwrap().to_owned();
    let path = format!("/v1/reviews/{id}");
    let label = |reviewer: &str, comment: Option<&str>| json!({"action": "label", "reviewer": reviewer, "pass": true, "comment": comment});
    assert_eq!(guest.post(&path, label("ann", Some("zanzibar"))).await.status, 200);
    assert_eq!(counts(&delete(&guest, "ann", None).await), json!({"records": 1, "labels": 1}));
    let item = guest.get(&format!("{path}?reviewer=eve")).await.json();
    assert!(item["content"] == "erased" && !item.to_string().contains("zanzibar"), "{item}");
    let refused = guest.post(&path, label("eve", Some("zanzibar"))).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("input_invalid")));
    let done = guest.post(&path, label("eve", None)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(!guest.get(&format!("{path}?reviewer=eve")).await.text().contains("ann"));
}

#[tokio::test]
async fn whom_to_erase_is_read_from_the_path() {
    let guest = Guest::new();
    for (subject, code) in
        [("%ff", "input_invalid"), (&"x".repeat(257), "input_invalid"), ("", "unknown_route"), ("a/b", "unknown_route")]
    {
        let reply = delete(&guest, subject, None).await;
        assert_eq!(reply.json()["error"]["code"], code, "{subject}: {}", reply.text());
    }
    for (subject, encoded) in [("a/b", "a%2Fb"), ("Jürgen %41", "J%C3%BCrgen%20%2541"), ("..", "%2e%2e"), ("\n", "%0a")]
    {
        guest.post("/v1/execute", call(subject)).await;
        assert_eq!(counts(&delete(&guest, encoded, None).await)["records"], 1, "{subject}");
    }
    assert_eq!(guest.get("/v1/subjects/ann").await.status, 405, "who is known is nobody's business");
}

#[tokio::test]
async fn who_may_not_see_all_of_a_team_does_not_erase_half_of_a_person() {
    let guest = Guest::new();
    for (team, intents, status) in [
        ("other", None, 200),
        ("other", Some(&["classify"][..]), 403),
        ("support", None, 200),
        ("support", Some(&["draft", "classify"][..]), 200),
        ("support", Some(&["draft"][..]), 403),
    ] {
        let key = guest.key(team, &[Permission::Admin], intents).await;
        let reply = delete(&guest, "ann", Some(&key)).await;
        assert_eq!(reply.status, status, "{team} {intents:?}: {}", reply.text());
        assert!(status == 200 || reply.json()["error"]["code"] == "intent_not_allowed");
    }
}
