//! Time: latencies on the paused clock, phases, concurrency, cancellation.

use std::time::Duration;

use baton_sim::{Behaviour, Sim};
use baton_wire::{Transport, TransportFault};
use futures_util::{FutureExt, StreamExt};
use http::StatusCode;
use tokio::time::Instant;

use crate::support::{TICKET, body, chat, read, sim};

/// Sends one request; milliseconds until headers and until the end, and the status.
async fn timed(sim: &Sim, stream: bool) -> (u128, u128, StatusCode) {
    let start = Instant::now();
    let response = sim.transport().send(chat(body(TICKET, stream))).await.unwrap();
    let headers = start.elapsed().as_millis();
    let (status, ..) = read(response).await;
    (headers, start.elapsed().as_millis(), status)
}

#[tokio::test(start_paused = true)]
async fn tokens_arrive_at_their_speed() {
    // "billing" is two tokens: the second comes 20 ms after the first.
    let sim = sim("[models.gpt-4]\nfirst_token_ms = { fixed = 200 }\ntokens_per_second = 50");
    assert_eq!(timed(&sim, true).await, (200, 220, StatusCode::OK));
    assert_eq!(timed(&sim, false).await, (220, 220, StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn phases_follow_calls_and_clock() {
    let sim = sim(r#"
        [models.gpt-4]
        [[models.gpt-4.phases]]
        from_call = 1
        to_call = 3
        errors = [{ status = 500, share = 1.0 }]
        [[models.gpt-4.phases]]
        from_ms = 1000
        errors = [{ status = 503, share = 1.0 }]
    "#);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(timed(&sim, false).await.2.as_u16());
    }
    tokio::time::advance(Duration::from_millis(999)).await;
    statuses.push(timed(&sim, false).await.2.as_u16());
    tokio::time::advance(Duration::from_millis(1)).await;
    statuses.push(timed(&sim, false).await.2.as_u16());
    assert_eq!(statuses, [200, 500, 500, 200, 200, 503]);
}

#[tokio::test(start_paused = true)]
async fn above_the_limit_is_429_at_once() {
    let sim = sim("[models.gpt-4]\nfirst_token_ms = { fixed = 100 }\nconcurrency = 1");
    let transport = sim.transport();
    let start = Instant::now();
    let (first, second) = futures_util::future::join(
        transport.send(chat(body(TICKET, true))),
        transport.send(chat(body(TICKET, true))).map(|r| (r, start.elapsed().as_millis())),
    )
    .await;
    let second = (second.0.unwrap(), second.1);
    assert_eq!((second.0.status, second.1), (StatusCode::TOO_MANY_REQUESTS, 0));
    assert_eq!(second.0.headers["retry-after"], "1");
    assert_eq!(read(first.unwrap()).await.0, StatusCode::OK);
    read(second.0).await;
    assert_eq!(timed(&sim, true).await.2, StatusCode::OK, "both are over");
    let stats = &sim.stats()["gpt-4"];
    assert_eq!((stats.calls, stats.finished, stats.in_flight, stats.faults["limit"]), (3, 3, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn dropping_cancels_and_is_counted() {
    let sim = sim("[models.gpt-4]\nfirst_token_ms = { fixed = 100 }");
    let transport = sim.transport();
    let impatient = tokio::time::timeout(Duration::from_millis(50), transport.send(chat(body(TICKET, true)))).await;
    assert!(impatient.is_err());
    let mut response = transport.send(chat(body(TICKET, true))).await.unwrap();
    assert!(response.body.next().await.is_some());
    assert_eq!(sim.stats()["gpt-4"].in_flight, 1);
    drop(response);
    let stats = &sim.stats()["gpt-4"];
    assert_eq!((stats.calls, stats.cancelled, stats.finished, stats.in_flight), (2, 2, 0, 0));

    // Whoever has read the last byte has not gone away, asked for the end or not.
    let mut response = transport.send(chat(body(TICKET, false))).await.unwrap();
    assert!(response.body.next().await.is_some());
    drop(response);
    let stats = &sim.stats()["gpt-4"];
    assert_eq!((stats.calls, stats.cancelled, stats.finished, stats.in_flight), (3, 2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_never_ends() {
    let hour = Duration::from_secs(3600);
    for (fault, answered) in [
        ("kind = \"hang\"", false),
        ("kind = \"headers_then_silence\"", true),
        ("kind = \"keepalive_forever\", every_ms = 1000", true),
    ] {
        let sim = sim(&format!("[models.gpt-4]\nfaults = [{{ {fault}, share = 1.0 }}]"));
        let transport = sim.transport();
        match tokio::time::timeout(hour, transport.send(chat(body(TICKET, true)))).await {
            Ok(response) => {
                assert!(answered, "{fault}");
                let mut bytes = Vec::new();
                let mut body = response.unwrap().body;
                let whole = async {
                    while let Some(piece) = body.next().await {
                        bytes.extend_from_slice(&piece.unwrap());
                    }
                };
                assert!(tokio::time::timeout(hour, whole).await.is_err(), "{fault}");
                let comments = if fault.contains("keepalive") { 3600 } else { 0 };
                assert!(bytes.len().abs_diff(comments * ": keep-alive\n\n".len()) <= 14, "{fault}: {}", bytes.len());
            }
            Err(_) => assert!(!answered, "{fault}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_connections_are_errors() {
    let sim = sim("[models.gpt-4]\nfaults = [{ kind = \"refuse\", share = 1.0 }]");
    let error = sim.transport().send(chat(body(TICKET, false))).await.err().unwrap();
    assert_eq!(error.fault, TransportFault::Connect);
}

#[tokio::test(start_paused = true)]
async fn behaviours_change_at_run_time() {
    let sim = sim("[models.gpt-4]");
    assert_eq!(timed(&sim, false).await.2, StatusCode::OK);
    let down: Behaviour = serde_json::from_str(r#"{"errors": [{"status": 503, "share": 1.0}]}"#).unwrap();
    sim.set("gpt-4", down).unwrap();
    assert_eq!(timed(&sim, false).await.2, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(sim.stats()["gpt-4"].calls, 2, "counters go on");
    let twice = r#"{"errors": [{"status": 503, "share": 0.6}, {"status": 500, "share": 0.6}]}"#;
    let error = sim.set("gpt-4", serde_json::from_str(twice).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "model `gpt-4`: the shares of errors and faults sum to 1.2, above 1");
}
