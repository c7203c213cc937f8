//! Health and figures.

use serde_json::json;

use crate::house::Guest;

#[tokio::test]
async fn health_is_json() {
    let guest = Guest::new();
    for (path, status) in
        [("/healthz", "ok"), ("/health/liveness", "ok"), ("/readyz", "ready"), ("/health/readiness", "ready")]
    {
        let reply = guest.get(path).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"status": status})), "{path}");
    }
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
        "baton_journal_refusing 0",
        "baton_executions_running 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.contains("baton_journal_bytes "), "{text}");
    assert!(!text.contains("nope"), "labels are configured names only");
    assert_eq!(text, guest.metrics.render(&guest.orchestrator));
}
