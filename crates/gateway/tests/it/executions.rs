//! Reading executions, and feedback on them.

use axum::body::Body;
use baton_config::{Durability, StoreSpec};
use baton_gateway::GatewayOptions;
use baton_store::Store;
use http::Request;
use serde_json::{Value, json};

use crate::house::Guest;

#[tokio::test]
async fn an_execution_is_there_from_its_end_on_and_listed_once_ingested() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreSpec { dir: dir.path().into(), durability: Durability::Process }).await.unwrap();
    let guest = Guest::with(store.clone(), GatewayOptions::default());
    let call = json!({"intent": "classify", "input": {"ticket": "x"}, "session": "s", "metadata": {"k": "v"}});
    let answer = guest.post("/v1/execute", call).await.json();
    let path = format!("/v1/executions/{}", answer["executionId"].as_str().unwrap());
    let seen = guest.get(&path).await.json();
    for (field, expected) in [
        ("executionId", answer["executionId"].clone()),
        ("intent", json!("classify")),
        ("version", answer["version"].clone()),
        ("team", json!("default")),
        ("status", json!("succeeded")),
        ("deadlineMs", json!(5000)),
        ("input", json!({"ticket": "x"})),
        ("output", answer["output"].clone()),
        ("via", json!("model")),
        ("usage", answer["usage"].clone()),
        ("costUsd", answer["costUsd"].clone()),
        ("latency", answer["latency"].clone()),
        ("attempts", answer["attempts"].clone()),
        ("quality", answer["quality"].clone()),
        ("session", json!("s")),
        ("metadata", json!({"k": "v"})),
        ("feedback", json!([])),
    ] {
        assert_eq!(seen[field], expected, "{field} of {seen}");
    }
    assert!(seen["startedAtMs"].as_i64().unwrap() > 1_600_000_000_000);
    store.flush().await.unwrap();
    let page = guest.get("/v1/executions").await.json();
    assert_eq!(page["executions"][0]["executionId"], answer["executionId"]);
    assert_eq!(page.get("next"), None);
    drop(guest);
    store.close().await;
}

#[tokio::test]
async fn what_somebody_calls_bad_is_forgotten_at_once() {
    let guest = Guest::new();
    let call = || json!({"intent": "classify", "input": {"ticket": "x"}, "config": {"cacheTTL": 60}});
    let via = async || {
        let answer = guest.post("/v1/execute", call()).await.json();
        (answer["via"].as_str().unwrap().to_owned(), answer["executionId"].clone())
    };
    assert_eq!(via().await.0, "model");
    let (way, id) = via().await;
    assert_eq!(way, "cache-exact");
    guest.post("/v1/feedback", json!({"executionId": id, "label": "good"})).await;
    assert_eq!(via().await.0, "cache-exact");
    guest.post("/v1/feedback", json!({"executionId": id, "label": "bad", "by": "ann"})).await;
    assert_eq!(via().await.0, "model", "neither the answer nor the one that it came from");
}

#[tokio::test]
async fn pages_and_filters() {
    let guest = Guest::new();
    for n in 0..3 {
        guest.execute("draft", json!(n.to_string())).await;
    }
    let failed = guest.execute("down", json!("x")).await;
    let failed = failed.header("x-baton-execution-id").unwrap().to_owned();
    let list = async |query: &str| {
        let page = guest.get(&format!("/v1/executions{query}")).await.json();
        let ids = page["executions"].as_array().unwrap_or_else(|| panic!("{query}: {page}")).iter();
        (ids.map(|e| e["executionId"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), page["next"].clone())
    };
    let (all, next) = list("").await;
    assert_eq!((all.len(), next), (4, Value::Null));
    assert!(all.is_sorted_by(|a, b| a > b), "the latest first: {all:?}");
    let (first, next) = list("?limit=3").await;
    assert_eq!((&first[..], next.as_str().unwrap()), (&all[..3], all[2].as_str()));
    assert_eq!(list(&format!("?limit=3&before={}", all[2])).await, (all[3..].to_vec(), Value::Null));
    assert_eq!(list("?intent=draft").await.0.len(), 3);
    assert_eq!(list("?status=failed").await.0, [failed]);
    assert_eq!(list("?intent=draft&status=failed").await.0.len(), 0);
    for (query, says) in [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=x", "limit"),
        ("?before=x", "before"),
        ("?status=odd", "odd"),
        ("?intnet=draft", "intnet"),
    ] {
        let reply = guest.get(&format!("/v1/executions{query}")).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &json!("input_invalid")), "{query}");
        assert!(error["message"].as_str().unwrap().contains(says), "{query}: {error}");
    }
}

#[tokio::test]
async fn feedback_is_kept_and_read_back() {
    let guest = Guest::new();
    let answer = guest.execute("classify", json!({"ticket": "x"})).await.json();
    let id = answer["executionId"].as_str().unwrap();
    for said in [
        json!({"score": 4.5, "name": "stars", "by": "anna"}),
        json!({"label": "good", "comment": "thanks"}),
        json!({"correction": {"label": "how-to"}}),
        json!({"finalOutput": {"label": "bug"}}),
    ] {
        let mut body = said.clone();
        body["executionId"] = json!(id);
        let reply = guest.post("/v1/feedback", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json(), json!({"executionId": id, "kept": true}));
    }
    let record = guest.get(&format!("/v1/executions/{id}")).await.json();
    let kept = record["feedback"].as_array().unwrap();
    assert_eq!(kept.len(), 4);
    assert_eq!((&kept[0]["score"], &kept[0]["name"], &kept[0]["by"]), (&json!(4.5), &json!("stars"), &json!("anna")));
    assert_eq!((&kept[1]["label"], &kept[1]["comment"]), (&json!("good"), &json!("thanks")));
    assert_eq!(kept[2]["correction"], json!({"label": "how-to"}));
    assert_eq!(kept[3]["finalOutput"], json!({"label": "bug"}));
}

#[tokio::test]
async fn feedback_that_means_nothing_is_refused() {
    let guest = Guest::new();
    let answer = guest.execute("classify", json!({"ticket": "x"})).await.json();
    let id = answer["executionId"].as_str().unwrap();
    for (said, code, param) in [
        (json!({}), "input_invalid", ""),
        (json!({"score": 1, "label": "good"}), "input_invalid", ""),
        (json!({"score": "1"}), "input_invalid", "/score"),
        (json!({"label": "good", "name": "stars"}), "input_invalid", "/name"),
        (json!({"label": "x".repeat(257)}), "input_invalid", "/label"),
        (json!({"label": "good", "comment": "x".repeat(4097)}), "input_invalid", "/comment"),
        (json!({"correction": {"label": "purple"}}), "input_invalid", "/correction/label"),
        (json!({"finalOutput": "bug"}), "input_invalid", "/finalOutput"),
        (json!({"rating": 5}), "input_invalid", "/rating"),
    ] {
        let mut body = said.clone();
        body["executionId"] = json!(id);
        let reply = guest.post("/v1/feedback", body).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["code"], &error["param"]),
            (400, &json!(code), &json!(param)),
            "{said}: {error}"
        );
    }
    let unknown = json!({"executionId": "01980000-0000-7000-8000-000000000000", "label": "good"});
    let reply = guest.post("/v1/feedback", unknown).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!("unknown_execution")));
    let reply = guest.send(Request::post("/v1/feedback").body(Body::from("{")).unwrap()).await;
    assert_eq!(reply.json()["error"]["code"], "invalid_json");
}
