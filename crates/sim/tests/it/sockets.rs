//! The server: the same scripts over real sockets, and the routes that steer it.

use std::net::SocketAddr;
use std::time::Duration;

use baton_sim::Sim;
use baton_wire::Transport;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{TICKET, body, bytes_of, get, post, read, sim};

/// Serves while `client` runs, then shuts down and waits for the end.
async fn serving<T>(sim: Sim, client: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(sim.serve(listener, async { drop(stopped.await) }));
    let result = client(address).await;
    drop(stop);
    server.await.unwrap();
    result
}

/// One POST on a connection of its own; all bytes until the server closes.
async fn exchange(address: SocketAddr, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut bytes = Vec::new();
    // A reset is an end as well: what came before it counts.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// The payload of a chunked body, and whether its last chunk came.
fn dechunk(mut rest: &str) -> (String, bool) {
    let mut payload = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (payload, true);
        }
        payload.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    (payload, false)
}

fn with_fault(fault: &str) -> Sim {
    sim(&format!("[models.gpt-4]\nfaults = [{{ {fault}, share = 1.0 }}]"))
}

/// What `created` says differs: sockets have today's date.
fn undated(text: &str) -> String {
    text.split("\"created\":").map(|part| part.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit())).collect()
}

#[tokio::test]
async fn sockets_carry_what_memory_does() {
    let sim = sim("[models.gpt-4]");
    for stream in [true, false] {
        let request = body(TICKET, stream);
        let call = sim.stats().get("gpt-4").map_or(0, |s| s.calls);
        let memory = bytes_of(&sim.script(&request, call, Duration::ZERO));
        let answer = serving(sim.clone(), async |address| exchange(address, &request).await).await;
        let (head, payload) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("x-baton-simulated: true"), "{head}");
        let payload = if stream { dechunk(payload) } else { (payload.to_owned(), true) };
        assert_eq!((undated(&payload.0), payload.1), (undated(&memory), true));
    }
}

#[tokio::test]
async fn refused_is_closed_without_a_byte() {
    let answer = serving(with_fault("kind = \"refuse\""), async |a| exchange(a, &body(TICKET, false)).await).await;
    assert_eq!(answer, "");
}

#[tokio::test]
async fn a_cut_body_falls_short_of_its_length() {
    let answer = serving(with_fault("kind = \"cut_body\""), async |a| exchange(a, &body(TICKET, false)).await).await;
    let (head, payload) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert_eq!(payload.len(), length.parse::<usize>().unwrap() / 2);
}

#[tokio::test]
async fn a_cut_stream_has_no_last_chunk() {
    let fault = with_fault("kind = \"cut_stream\", after_tokens = 1");
    let answer = serving(fault, async |a| exchange(a, &body(TICKET, true)).await).await;
    let (payload, ended) = dechunk(answer.split_once("\r\n\r\n").unwrap().1);
    assert!(payload.ends_with("\n\n") && payload.contains("\"bill\"") && !payload.contains("\"ing\""), "{payload}");
    assert!(!ended);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_answers_that_never_come() {
    let sim = with_fault("kind = \"hang\"");
    let request = body(TICKET, false);
    let client = async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n", request.len());
        stream.write_all(&[head.as_bytes(), &request].concat()).await.unwrap();
        while sim.stats().is_empty() {
            tokio::task::yield_now().await;
        }
        stream
    };
    let mut stream = serving(sim.clone(), client).await;
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(sim.stats()["gpt-4"].cancelled, 1);
}

#[tokio::test]
async fn tests_steer_it() {
    let sim = sim("[models.gpt-4]");
    let transport = sim.transport();
    let json = async |request| {
        let (status, bytes, _) = read(transport.send(request).await.unwrap()).await;
        (status, serde_json::from_slice::<Value>(&bytes).unwrap())
    };
    let down = r#"{"errors": [{"status": 503, "share": 1.0}]}"#;
    assert_eq!(json(post("/__sim/models/gpt-4", down)).await, (StatusCode::OK, json!({"model": "gpt-4"})));
    assert_eq!(json(post("/v1/chat/completions", body(TICKET, false))).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let stats = json!({"models": {"gpt-4": {
        "calls": 1, "in_flight": 0, "finished": 1, "cancelled": 0, "wrong": 0, "faults": {"status": 1},
    }}, "batches": {"made": [], "uploads": 0, "files": 0}});
    assert_eq!(json(get("/__sim/stats")).await, (StatusCode::OK, stats));
    let (status, error) = json(post("/__sim/models/gpt-4", r#"{"wrong": 2}"#)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error["error"]["message"], "a share lies between 0 and 1, not 2 at line 1 column 12");
    assert_eq!(json(get("/__sim/nothing")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(json(get("/v1/models")).await.1["data"][0]["id"], "gpt-4");
    assert_eq!(json(get("/v1/elsewhere")).await.0, StatusCode::NOT_FOUND);
}
