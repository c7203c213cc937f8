//! Files and batches: late, in another order, not all of them, and the same each time.

use std::time::Duration;

use baton_sim::{BatchBehaviour, BatchEnd, Behaviour, Scenario, Share, Sim};
use baton_wire::{HttpRequest, Transport as _};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

const REQUESTS: usize = 200;

fn sim(batch: BatchBehaviour) -> Sim {
    Sim::new(Scenario::default().model("m", Behaviour { batch, ..Behaviour::default() }).unwrap(), 7)
}

async fn send(sim: &Sim, method: Method, path: &str, body: String) -> (u16, String) {
    let form = HeaderValue::from_static("multipart/form-data; boundary=xx");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
    let uri = format!("http://sim.test/v1/{path}").parse().unwrap();
    let response = sim.transport().send(HttpRequest { method, uri, headers, body: Bytes::from(body) }).await.unwrap();
    let status = response.status.as_u16();
    let pieces: Vec<_> = response.body.map(Result::unwrap).collect().await;
    (status, String::from_utf8(pieces.concat()).unwrap())
}

async fn json_of(sim: &Sim, method: Method, path: &str, body: Value) -> Value {
    serde_json::from_str(&send(sim, method, path, body.to_string()).await.1).unwrap()
}

async fn hand_in(sim: &Sim) -> Value {
    let line = |n: usize| {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": format!("number {n}") }] });
        json!({ "custom_id": n.to_string(), "method": "POST", "url": "/v1/chat/completions", "body": body }).to_string()
    };
    let file: Vec<String> = (0..REQUESTS).map(line).collect();
    let form = format!(
        "--xx\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}\r\n--xx--\r\n",
        file.join("\n")
    );
    let (status, uploaded) = send(sim, Method::POST, "files", form).await;
    assert_eq!(status, 200, "{uploaded}");
    let id = serde_json::from_str::<Value>(&uploaded).unwrap()["id"].clone();
    let body = json!({
        "input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"},
    });
    json_of(sim, Method::POST, "batches", body).await
}

/// The custom ids of a file of results.
async fn ids(sim: &Sim, batch: &Value, file: &str) -> Vec<usize> {
    let (status, text) =
        send(sim, Method::GET, &format!("files/{}/content", batch[file].as_str().unwrap()), String::new()).await;
    assert_eq!(status, 200, "{text}");
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().parse().unwrap();
    text.lines().map(id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_its_time_and_leaves_some_out() {
    let share = |share| Share::new(share).unwrap();
    let behaviour = BatchBehaviour { takes_ms: 5000, ends: BatchEnd::Expired, failed: share(0.1), missing: share(0.2) };
    let (one, two) = (sim(behaviour.clone()), sim(behaviour));
    let made = hand_in(&one).await;
    assert_eq!((&made["status"], &made["output_file_id"]), (&json!("in_progress"), &Value::Null));
    let path = format!("batches/{}", made["id"].as_str().unwrap());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let over = json_of(&one, Method::GET, &path, Value::Null).await;
    assert_eq!((&over["status"], &over["metadata"]), (&json!("expired"), &json!({"a": "b"})));
    let (answered, left_out) = (ids(&one, &over, "output_file_id").await, ids(&one, &over, "error_file_id").await);
    assert!((20..100).contains(&left_out.len()), "{} of {REQUESTS} were left out", left_out.len());
    let mut all = [answered.clone(), left_out].concat();
    assert!(!all.is_sorted(), "in no order");
    all.sort_unstable();
    assert_eq!(all, (0..REQUESTS).collect::<Vec<_>>(), "each stands in one of the files");

    hand_in(&two).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let again = json_of(&two, Method::GET, &path, Value::Null).await;
    assert_eq!(answered, ids(&two, &again, "output_file_id").await, "the same seed");
}

#[tokio::test(start_paused = true)]
async fn batches_are_listed_cancelled_and_refused() {
    let sim = sim(BatchBehaviour { takes_ms: 5000, ends: BatchEnd::Failed, ..BatchBehaviour::default() });
    let (first, second) = (hand_in(&sim).await, hand_in(&sim).await);
    let page = json_of(&sim, Method::GET, "batches?limit=1", Value::Null).await;
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&second["id"], &json!(true)), "the latest first");
    let next = format!("batches?limit=1&after={}", second["id"].as_str().unwrap());
    let page = json_of(&sim, Method::GET, &next, Value::Null).await;
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&first["id"], &json!(false)));
    let cancel = format!("batches/{}/cancel", first["id"].as_str().unwrap());
    assert_eq!(json_of(&sim, Method::POST, &cancel, Value::Null).await["status"], "cancelled");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let path = format!("batches/{}", second["id"].as_str().unwrap());
    let failed = json_of(&sim, Method::GET, &path, Value::Null).await;
    assert_eq!((&failed["status"], failed["errors"].is_object()), (&json!("failed"), true));
    assert_eq!(send(&sim, Method::GET, "batches/nope", String::new()).await.0, 404);
    assert_eq!(send(&sim, Method::POST, "files", "no form".to_owned()).await.0, 400);
}
