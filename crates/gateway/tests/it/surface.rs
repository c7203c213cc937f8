//! Health and figures.

use serde_json::json;

use crate::house::Guest;

#[tokio::test]
async fn health_is_json() {
    let guest = Guest::new();
    let ok = json!({"state": "ok"});
    let parts = ["store", "journal", "configuration", "providers", "telemetry"];
    let mut ready = json!({"status": "ready"});
    parts.iter().for_each(|part| ready[*part] = ok.clone());
    for (path, body) in [
        ("/healthz", &json!({"status": "ok"})),
        ("/health/liveness", &json!({"status": "ok"})),
        ("/readyz", &ready),
        ("/health/readiness", &ready),
    ] {
        let reply = guest.get(path).await;
        assert_eq!((reply.status, &reply.json()), (200, body), "{path}");
    }
}

#[tokio::test]
async fn a_refused_configuration_is_seen_and_calls_go_on() {
    let guest = Guest::new();
    guest.orchestrator.refuse("baton.toml:1:2: unknown key `modles`");
    let reply = guest.get("/readyz").await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("ready")));
    assert_eq!(reply.json()["configuration"]["state"], "refused");
    assert!(!reply.text().contains("modles"), "everybody may read this");
    assert_eq!(guest.execute("classify", json!({"ticket": "x"})).await.status, 200);
    let text = guest.get("/metrics").await.text();
    for line in ["baton_configuration_reloads_total{result=\"refused\"} 1", "baton_configuration_refused 1"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    let hash = &guest.orchestrator.configuration().hash[..8];
    assert!(text.contains(&format!("baton_configuration_info{{hash=\"{hash}\"}} 1\n")), "{text}");
}

#[tokio::test]
async fn figures_derive_from_records() {
    let guest = Guest::new();
    guest.execute("classify", json!({"ticket": "x"})).await;
    guest.execute("classify", json!({"ticket": "x"})).await;
    guest.execute("down", json!("x")).await;
    guest.execute("nope", json!("x")).await;
    let reply = guest.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = reply.text();
    for line in [
        r#"baton_execution_duration_seconds_count{intent="classify",model="house/bug",via="model",status="succeeded"} 1"#,
        r#"baton_execution_duration_seconds_count{intent="classify",model="house/bug",via="cache-exact",status="succeeded"} 1"#,
        r#"baton_execution_duration_seconds_count{intent="down",model="",via="",status="failed"} 1"#,
        r#"baton_execution_duration_seconds_count{intent="",model="",via="",status="failed"} 1"#,
        r#"baton_overhead_seconds_count{intent="classify"} 2"#,
        r#"baton_attempts_total{model="house/bug",outcome="passed"} 1"#,
        r#"baton_attempts_total{model="house/down",outcome="transient"} 1"#,
        r#"baton_errors_total{intent="down",code="all_candidates_failed"} 1"#,
        r#"baton_errors_total{intent="",code="unknown_intent"} 1"#,
        r#"baton_cost_usd_total{intent="classify",model="house/bug"} 0.000014"#,
        r#"baton_tokens_total{model="house/bug",kind="input"} 10"#,
        r#"baton_tokens_total{model="house/bug",kind="output"} 2"#,
        r#"baton_breaker_state{model="house/bug"} 0"#,
        r#"baton_lane_limit{model="house/bug"} 16384"#,
        r#"baton_lane_in_flight{model="house/bug"} 0"#,
        r#"baton_lane_waiting{model="house/bug"} 0"#,
        "baton_journal_refusing 0",
        "baton_executions_running 0",
        "baton_store_failing 0",
        "baton_store_behind_entries 0",
        "baton_configuration_refused 0",
        "baton_configuration_reloads_total{result=\"applied\"} 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.contains("baton_journal_bytes "), "{text}");
    assert!(!text.contains("nope"), "labels are configured names only");
    // What is a state is told anew each time, in no order.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&text), sorted(&guest.metrics.render(&guest.orchestrator)));
}
