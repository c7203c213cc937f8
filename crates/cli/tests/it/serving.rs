//! `baton serve`: every route of this version, keys, one writer a folder, and a shutdown that waits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::folder::{Folder, Server, until};
use crate::http::{Response, get, post, send};

const TICKET: &str = r#"{"intent":"classify-ticket","input":{"text":"I was charged twice"}}"#;

/// What `baton init` makes, served on a free port.
fn served() -> (Folder, Server) {
    let folder = Folder::init();
    let server = folder.serve(&["serve", "--listen", "127.0.0.1:0"]);
    (folder, server)
}

#[test]
fn a_call_its_answer_its_record_and_what_is_said_about_it() {
    let (_folder, server) = served();
    let answered = send(&server.address, "POST", "/v1/execute", &["x-request-id: mine"], TICKET).whole().is(200);
    let answer = answered.json();
    assert_eq!(answer["output"], json!({ "label": "billing" }));
    assert_eq!((&answer["via"], &answer["model"]), (&json!("model"), &json!("local")));
    assert_eq!((&answer["quality"]["score"], &answer["quality"]["needed"]), (&Value::Null, &json!(45)));
    let id = answer["executionId"].as_str().unwrap();
    for (name, value) in [
        ("x-baton-execution-id", id),
        ("x-baton-via", "model"),
        ("x-baton-model", "local"),
        ("x-baton-cost-usd", "0"),
        ("x-baton-attempts", "1"),
        ("x-request-id", "mine"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(answered.header(name), Some(value), "{name}");
    }

    // At once, not when it has been ingested.
    let path = format!("/v1/executions/{id}");
    let record = get(&server.address, &path).is(200).json();
    assert_eq!((&record["status"], &record["output"]["label"]), (&json!("succeeded"), &json!("billing")));

    let corrected = json!({ "executionId": id, "correction": { "label": "account" }, "by": "ana" });
    assert_eq!(post(&server.address, "/v1/feedback", &corrected.to_string()).is(200).json()["kept"], true);
    let wrong = json!({ "executionId": id, "correction": { "label": "no-such" } });
    refused(&post(&server.address, "/v1/feedback", &wrong.to_string()), 400, "input_invalid");
    let record = get(&server.address, &path).is(200).json();
    assert_eq!(record["feedback"][0]["correction"]["label"], "account");

    // The address was the first line and the only one.
    let ended = server.stop().done();
    assert_eq!(ended.out, "");
    assert!(ended.err.ends_with("stopped; every record is written\n"), "{}", ended.err);
}

#[track_caller]
fn refused(response: &Response, status: u16, code: &str) {
    assert_eq!((response.status, &response.json()["error"]["code"]), (status, &json!(code)), "{}", response.body);
}

#[test]
fn a_stream_is_start_deltas_and_one_end() {
    let (_folder, server) = served();
    let body = TICKET.replace("\"input\"", "\"stream\":true,\"input\"");
    let streamed = post(&server.address, "/v1/execute", &body).is(200);
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    let events = streamed.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "delta", "end"]);
    assert_eq!(events[0].1["model"], "local");
    assert_eq!(events[1].1, json!({ "text": "billing" }));
    assert_eq!(events[2].1["output"]["label"], "billing");
    assert_eq!(streamed.header("x-baton-execution-id"), events[2].1["executionId"].as_str());
}

#[test]
fn errors_are_typed() {
    let (_folder, server) = served();
    let execute = |body: &str, status: u16, code: &str| {
        refused(&post(&server.address, "/v1/execute", body), status, code);
    };
    execute("{", 400, "invalid_json");
    execute(r#"{"intent":"classify-ticket"}"#, 400, "input_invalid");
    execute(r#"{"intent":"classify-ticket","input":1,"messages":[]}"#, 400, "unsupported_feature");
    execute(r#"{"intent":"none","input":1}"#, 404, "unknown_intent");
    execute(r#"{"intent":"classify-ticket","input":1,"config":{"retries":9}}"#, 400, "override_not_permitted");
    refused(&get(&server.address, "/v1/execute"), 405, "method_not_allowed");
    refused(&get(&server.address, "/v1/nothing"), 404, "unknown_route");
    refused(&get(&server.address, "/v1/reports"), 400, "unsupported_feature");
    refused(&get(&server.address, "/v1/executions/none"), 404, "unknown_execution");
    refused(&get(&server.address, "/v1/executions?status=none"), 400, "input_invalid");
    let keyed = |body| send(&server.address, "POST", "/v1/execute", &["idempotency-key: a"], body).whole();
    let first = keyed(TICKET).is(200).json();
    assert_eq!(keyed(TICKET).is(200).json()["executionId"], first["executionId"]);
    refused(&keyed(r#"{"intent":"classify-ticket","input":{"ticket":"another"}}"#), 409, "idempotency_conflict");
}

#[test]
fn an_openai_client_finds_what_it_expects() {
    let (_folder, server) = served();
    let models = get(&server.address, "/v1/models").is(200).json();
    assert_eq!(models["data"][0]["id"], "intent:classify-ticket");

    let chat = |stream: bool, model: &str| {
        let messages = json!([{ "role": "user", "content": "I was charged twice" }]);
        let usage = if stream { json!({ "include_usage": true }) } else { Value::Null };
        let body = json!({ "model": model, "messages": messages, "stream": stream, "stream_options": usage });
        post(&server.address, "/v1/chat/completions", &body.to_string())
    };
    let whole = chat(false, "intent:classify-ticket").is(200).json();
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["message"], json!({ "role": "assistant", "content": "billing" }));
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["baton"]["intent"], "classify-ticket");

    let events = chat(true, "intent:classify-ticket").is(200).events();
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.1, "[DONE]");
    let text = chunks.iter().filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["content"].as_str());
    assert_eq!(text.collect::<String>(), "billing");
    assert_eq!(chunks.iter().filter(|(_, chunk)| chunk["choices"][0]["finish_reason"] == "stop").count(), 1);
    assert!(chunks.iter().any(|(_, chunk)| chunk["usage"]["total_tokens"].is_u64()));

    let unknown = chat(false, "gpt-9").is(404).json();
    assert_eq!(unknown["error"]["type"], "invalid_request_error");
    assert_eq!(unknown["error"]["code"], "unknown_model");
}

#[test]
fn health_and_figures() {
    let (_folder, server) = served();
    for path in ["/healthz", "/health/liveness"] {
        assert_eq!(get(&server.address, path).is(200).json(), json!({ "status": "ok" }));
    }
    for path in ["/readyz", "/health/readiness"] {
        assert_eq!(get(&server.address, path).is(200).json()["status"], "ready");
    }
    post(&server.address, "/v1/execute", TICKET).is(200);
    let metrics = get(&server.address, "/metrics").is(200).body;
    assert!(metrics.contains("baton_attempts_total{model=\"local\",outcome=\"passed\"} 1"), "{metrics}");
    assert_eq!(get(&server.address, "/openapi.json").is(200).json()["openapi"], "3.1.0");
    let listed = get(&server.address, "/v1/executions?intent=classify-ticket&limit=5").is(200).json();
    assert!(listed["executions"].is_array());
}

#[test]
fn one_process_writes_to_a_folder() {
    let (folder, server) = served();
    let run = ["run", "classify-ticket", "--input", r#"{"text":"I was charged twice"}"#];
    let ran = folder.run(&run).ends(3, "is in use by process");
    assert!(ran.err.contains("POST /v1/execute") && ran.err.contains("--no-record"), "{}", ran.err);
    let ran = folder.run(&[&run[..], &["--no-record"]].concat()).done();
    assert_eq!(ran.out, "billing\n");
    folder.run(&["serve", "--listen", "127.0.0.1:0"]).ends(3, "serve another folder");
    folder.run(&["report"]).ends(0, "no calls in the last 24h");
    folder.run(&["report", "--intent", "nope"]).ends(2, "there is no intent `nope`");
    folder.run(&["check"]).done();

    let other = Folder::init();
    other.run(&["serve", "--listen", &server.address]).ends(3, &format!("cannot listen on {}", server.address));
}

#[test]
fn keys_are_made_and_revoked_while_it_serves() {
    let folder = Folder::init();
    folder.run(&["keys", "create", "--team", "first"]).done();
    let server = folder.serve(&["serve", "--listen", "127.0.0.1:0"]);
    refused(&post(&server.address, "/v1/execute", TICKET), 401, "missing_key");

    let made = folder.run(&["keys", "create", "--team", "support", "--allow", "call", "--json"]).done().json();
    let header = format!("authorization: Bearer {}", made["key"].as_str().unwrap());
    let call = || send(&server.address, "POST", "/v1/execute", &[&header], TICKET).whole();
    // Seen within seconds; how soon is no matter of this test, that it ends is.
    let seen = |status: u16| {
        let end = Instant::now() + Duration::from_secs(60);
        std::iter::repeat_with(|| call().status).take_while(|_| Instant::now() < end).any(|given| given == status)
    };
    assert!(seen(200));
    let read = send(&server.address, "GET", "/v1/executions", &[&header], "").whole();
    refused(&read, 403, "permission_missing");
    folder.run(&["keys", "revoke", made["id"].as_str().unwrap()]).done();
    assert!(seen(401));
    refused(&call(), 401, "invalid_key");
    get(&server.address, "/healthz").is(200);
}

const SLOW: [(&str, &str); 5] = [
    ("baton.toml", "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n"),
    ("scenario.toml", "truth = [\"truth.jsonl\"]\n[models.slow]\ntokens_per_second = 50\n"),
    (
        "truth.jsonl",
        "{\"input\":\"Write a poem\",\"expected\":{\"text\":\"Roses are red, violets are blue, and so on, and so on, and on.\"}}\n",
    ),
    ("intents/write/intent.toml", "models = [\"sim/slow\"]\n"),
    ("intents/write/prompt.md", "## user\n{{ input }}\n"),
];

#[test]
fn sigterm_lets_an_open_stream_finish() {
    let folder = Folder::with(&SLOW);
    let server = folder.serve(&["serve", "--listen", "127.0.0.1:0"]);
    let body = r#"{"intent":"write","input":"Write a poem","stream":true}"#;
    let mut stream = send(&server.address, "POST", "/v1/execute", &[], body);
    stream.until("event: delta");
    server.terminate();
    let events = stream.whole().events();
    let (name, end) = events.last().unwrap();
    assert_eq!(name, "end");
    assert!(end["output"]["text"].as_str().unwrap().ends_with("and on."), "{end}");
    assert_eq!(end["simulated"], true);
    server.ended().ends(0, "every record is written");

    let report = folder.run(&["report", "--json"]).done().json();
    assert_eq!((&report["intents"][0]["calls"], &report["intents"][0]["failed"]), (&json!(1), &json!(0)));
}

/// Each call here has something to log: it fails, and the shutdown is told.
#[test]
fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    let folder = Folder::init();
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    let (server, _unread) = folder.serve_unread(&arguments, &[("BATON_LOG", "trace")]);
    for _ in 0..20 {
        post(&server.address, "/v1/execute", TICKET).is(200);
        refused(&post(&server.address, "/v1/execute", r#"{"intent":"none","input":1}"#), 404, "unknown_intent");
    }
    let metrics = get(&server.address, "/metrics").is(200).body;
    assert!(metrics.contains("baton_telemetry_items_total{outlet=\"log\",result=\"dropped\"} 0"), "{metrics}");
    server.stop().done();
}

#[test]
fn a_person_is_erased_by_the_server_or_without_one() {
    let (folder, server) = served();
    let url = format!("http://{}", server.address);
    let call = |subject: &str| {
        let body = TICKET.replace("\"input\"", &format!("\"subject\":\"{subject}\",\"input\""));
        post(&server.address, "/v1/execute", &body).is(200)
    };
    for subject in ["ann/o'x", "bob", "bob"] {
        call(subject);
    }
    folder.run(&["erase", "bob"]).ends(3, "have it do so with --server URL, or stop it");
    // Once it is ingested.
    until("bob is counted", || folder.run(&["erase", "bob", "--dry-run", "--json"]).done().json()["records"] == 2);
    let erased = folder.run(&["erase", "ann/o'x", "--server", &url, "--json"]).done().json();
    assert_eq!((&erased["records"], &erased["labels"]), (&json!(1), &json!(0)), "{erased}");
    folder.run(&["erase", "cid", "--server", &url]).ends(0, "there is nothing about them");
    server.stop().done();
    let told = folder.run(&["erase", "bob"]).ends(0, "backups are yours to look through");
    assert_eq!(told.out, "       2 records, whose figures stay\n");
    folder.run(&["erase", "bob"]).ends(0, "there is nothing about them");
    folder.run(&["erase", "", "--team", "x"]).ends(2, "a subject has 1 to 256 characters");
    let report = folder.run(&["report", "--json"]).done().json();
    assert_eq!(report["intents"][0]["calls"], 3);
}
