//! What leaves a server, and what does not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::folder::{Folder, until};
use crate::http::{get, post};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
const TICKET: &str = r#"{"intent":"classify-ticket","input":{"text":"I was charged twice"}}"#;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_setting_that_means_nothing_stops_the_server_with_its_name() {
    let folder = Folder::init();
    let with = |name, value| folder.run_with(&SERVE, &[(name, value)], "");
    with("OTEL_EXPORTER_OTLP_ENDPOINT", "collector").ends(2, "OTEL_EXPORTER_OTLP_ENDPOINT: `collector`");
    with("BATON_LOG_FORMAT", "yaml").ends(2, "BATON_LOG_FORMAT: `yaml` is no format; write text or json");
    folder.write("baton.toml", "[[webhooks]]\nurl = \"https://ops.example/\"\nsecret = { env = \"HOOK\" }\n");
    let missing = "the environment variable HOOK is not set; it is a webhook's secret";
    folder.run(&SERVE).ends(2, missing);
    with("HOOK", "s3cret").ends(2, "the environment variable HOOK is no webhook secret");
    // What `serve` refuses, `check` tells, where no secrets are.
    folder.run(&["check"]).done().ends(0, missing);
    folder.run(&["webhooks", "test"]).ends(1, "1 of 1 webhooks did not take it");
    folder.run(&["run", "classify-ticket", "--input", "{\"text\":\"x\"}"]).done();
}

#[test]
fn a_dead_collector_costs_a_line_and_no_call() {
    let folder = Folder::init();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let server = folder.serve_with(&SERVE, &environment);
    let answer = post(&server.address, "/v1/execute", TICKET).is(200).json();
    assert_eq!(answer["output"]["label"], "billing");
    let telemetry = || get(&server.address, "/readyz").is(200).json()["telemetry"].clone();
    until("the lost trace", || telemetry()["state"] == "failing");
    assert_eq!(telemetry()["reason"], "traces: 1 given up, 0 dropped since the start");
    let metrics = get(&server.address, "/metrics").is(200).body;
    for line in [
        "baton_telemetry_items_total{outlet=\"traces\",result=\"failed\"} 1\n",
        "baton_telemetry_items_total{outlet=\"traces\",result=\"sent\"} 0\n",
        "baton_telemetry_failing{outlet=\"traces\"} 1\n",
    ] {
        assert!(metrics.contains(line), "`{line}` is not in:\n{metrics}");
    }
    let err = server.stop().done().err;
    assert_eq!(err.matches("telemetry could not be exported").count(), 1, "{err}");
}

#[test]
fn a_failed_execution_is_logged_with_its_ids_and_without_words() {
    let folder = Folder::with(&[
        (
            "baton.toml",
            "[providers.gone]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = { env = \"KEY\" }\n",
        ),
        ("intents/write/intent.toml", "models = [\"gone/x\"]\n[retry]\nmax = 0\n"),
        ("intents/write/prompt.md", "## user\nmy-prompt-words {{ input }}\n"),
    ]);
    let server = folder.serve_with(&SERVE, &[("KEY", "sk-my-key"), ("BATON_LOG_FORMAT", "json")]);
    let call = r#"{"intent":"write","input":"my-input-words","metadata":{"customer":"my-customer"}}"#;
    let error = post(&server.address, "/v1/execute", call).is(502).json();
    let err = server.stop().done().err;
    let line = err.lines().find(|line| line.contains("an execution failed")).unwrap();
    let logged: Value = serde_json::from_str(line).unwrap();
    assert_eq!(logged["fields"]["execution"], error["error"]["executionId"]);
    assert_eq!(logged["fields"]["code"], "all_candidates_failed");
    assert_eq!(logged["fields"]["attempts"], "gone/x primary transient");
    for word in ["my-prompt-words", "my-input-words", "my-customer", "sk-my-key"] {
        assert!(!err.contains(word), "{word} is logged: {err}");
    }
}

/// Takes one request, answers 200, and gives its head and its body.
fn receive(listener: &TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).unwrap();
        read.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str(body) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            return (head.to_ascii_lowercase(), body);
        }
    }
}

#[test]
fn a_refused_configuration_is_told_to_a_webhook() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    let folder = Folder::init();
    let hook = format!(
        "[[webhooks]]\nurl = \"http://{address}/hook\"\nsecret = {{ env = \"HOOK\" }}\nevents = [\"configuration\"]\n"
    );
    folder.write("baton.toml", &hook);
    let testing = std::thread::spawn(move || {
        let first = receive(&receiver);
        (first, receive(&receiver))
    });
    folder.run_with(&["webhooks", "test"], &[("HOOK", SECRET)], "").done();
    let server = folder.serve_with(&SERVE, &[("HOOK", SECRET)]);
    folder.write("intents/classify-ticket/intent.toml", "models = []\n");
    let ((_, test), (head, refused)) = testing.join().unwrap();
    assert_eq!(test["type"], "webhook.test");
    assert_eq!(refused["type"], "configuration.refused");
    assert_eq!(refused["data"]["inForce"].as_str().map(str::len), Some(8));
    assert_eq!(refused.as_object().map(serde_json::Map::len), Some(3), "{refused}");
    for header in ["post /hook http/1.1", "webhook-id: msg_", "webhook-timestamp: ", "webhook-signature: v1,"] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    until("its delivery", || {
        let sent = "baton_telemetry_items_total{outlet=\"webhooks\",result=\"sent\"} 1\n";
        get(&server.address, "/metrics").is(200).body.contains(sent)
    });
    assert_eq!(get(&server.address, "/readyz").json()["telemetry"], json!({ "state": "ok" }));
    server.stop().done();
}
