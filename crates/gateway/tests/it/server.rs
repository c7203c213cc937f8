//! Over sockets: shutdown, clients that leave, slow clients, bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_gateway::{GatewayOptions, serve};
use baton_store::{Permission, Store};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::house::Guest;

struct Served {
    guest: Guest,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn served(options: GatewayOptions) -> Served {
    served_on("127.0.0.1:0", options).await
}

async fn served_on(address: &str, options: GatewayOptions) -> Served {
    let guest = Guest::with(Store::memory(), options.clone());
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (orchestrator, metrics) = (guest.orchestrator.clone(), Arc::clone(&guest.metrics));
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(serve(listener, orchestrator, metrics, options, shutdown));
    Served { guest, address, stop: Some(stop), server }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.address.port())).await.unwrap()
    }

    async fn ask(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

fn post(body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!("POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn streamed() -> String {
    post(&json!({"intent": "gated", "input": "x", "stream": true}))
}

async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the connection ended without {text:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    seen
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let mut served = served(GatewayOptions::default()).await;
    let mut stream = served.ask("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    read_until(&mut stream, "\"ok\"").await;
    stream.write_all(post(&json!({"intent": "draft", "input": "Anna"})).as_bytes()).await.unwrap();
    read_until(&mut stream, "Dear Anna").await;
    served.stop();
    served.server.await.unwrap().unwrap();
    assert_eq!(rest(&mut stream).await, "", "an idle connection is closed at shutdown");
}

#[tokio::test]
async fn a_shutdown_lets_open_streams_finish() {
    let mut served = served(GatewayOptions::default()).await;
    served.guest.say(json!({"content": "Once"}), None);
    let mut stream = served.ask(&streamed()).await;
    read_until(&mut stream, "Once").await;
    served.stop();
    // Nobody listens any more, and the stream goes on.
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!served.server.is_finished());
    served.guest.say(json!({"content": " upon"}), None);
    read_until(&mut stream, " upon").await;
    served.guest.say(json!({}), Some("stop"));
    served.guest.gate = None;
    let seen = rest(&mut stream).await;
    assert!(seen.contains("event: end"), "{seen}");
    served.server.await.unwrap().unwrap();
    assert_eq!(served.guest.orchestrator.running(), 0);
}

#[tokio::test]
async fn the_grace_has_an_end_and_what_is_cut_is_recorded() {
    let options = GatewayOptions { shutdown_grace: Duration::from_millis(50), ..GatewayOptions::default() };
    let mut served = served(options).await;
    served.guest.say(json!({"content": "Once"}), None);
    let mut stream = served.ask(&streamed()).await;
    read_until(&mut stream, "Once").await;
    served.stop();
    served.server.await.unwrap().unwrap();
    assert_eq!(served.guest.orchestrator.running(), 0);
    let page = served.guest.get("/v1/executions").await.json();
    assert_eq!(page["executions"][0]["status"], "cancelled", "{page}");
}

#[tokio::test]
async fn while_it_drains_it_says_that_it_is_not_ready() {
    let options = GatewayOptions { shutdown_delay: Duration::from_secs(3600), ..GatewayOptions::default() };
    let mut served = served(options).await;
    served.stop();
    let mut seen = String::new();
    while !seen.contains("503") {
        let mut stream = served.ask("GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        seen = rest(&mut stream).await;
    }
    assert!(seen.contains("shutting_down"), "{seen}");
    let mut stream = served.ask(&post(&json!({"intent": "draft", "input": "Anna"}))).await;
    read_until(&mut stream, "Dear Anna").await;
    served.server.abort();
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_call() {
    for body in [json!({"intent": "gated", "input": "x"}), json!({"intent": "gated", "input": "x", "stream": true})] {
        let mut served = served(GatewayOptions::default()).await;
        served.guest.say(json!({"content": "Once"}), None);
        let mut stream = served.ask(&post(&body)).await;
        if body["stream"] == true {
            read_until(&mut stream, "Once").await;
        } else {
            while served.guest.orchestrator.running() == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(stream);
        served.guest.left.recv().await.unwrap();
        served.guest.orchestrator.idle().await;
        let page = served.guest.get("/v1/executions").await.json();
        assert_eq!(page["executions"][0]["status"], "cancelled", "{page}");
        served.stop();
        served.server.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up_and_its_call_cancelled() {
    let options = GatewayOptions { write_timeout: Duration::from_millis(100), ..GatewayOptions::default() };
    let mut served = served(options).await;
    served.guest.say(json!({"content": "Once"}), None);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(served.address).await.unwrap();
    stream.write_all(streamed().as_bytes()).await.unwrap();
    read_until(&mut stream, "Once").await;
    // More than the sockets hold, and less than what a reader may be behind by; never read.
    let piece = "x".repeat(128 << 10);
    for _ in 0..28 {
        served.guest.say(json!({"content": piece}), None);
    }
    served.guest.left.recv().await.unwrap();
    served.guest.orchestrator.idle().await;
    let page = served.guest.get("/v1/executions").await.json();
    assert_eq!(page["executions"][0]["status"], "cancelled", "{page}");
    drop(stream);
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let options = GatewayOptions { read_timeout: Duration::from_millis(30), ..GatewayOptions::default() };
    let served = served(options).await;
    for opening in ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\nhost: "] {
        let mut stream = served.ask(opening).await;
        let seen = rest(&mut stream).await;
        assert_eq!(seen, "", "{opening:?}");
    }
}

#[tokio::test]
async fn headers_have_bounds() {
    let served = served(GatewayOptions::default()).await;
    let many: String = (0..101).map(|n| format!("h{n}: x\r\n")).collect();
    let long = format!("h: {}\r\n", "x".repeat(17 << 10));
    for headers in [many, long] {
        let mut stream = served.ask(&format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")).await;
        let seen = read_until(&mut stream, "\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 431"), "{seen}");
    }
}

#[tokio::test]
async fn connections_have_a_bound_past_which_they_wait() {
    let options = GatewayOptions { max_connections: 1, ..GatewayOptions::default() };
    let served = served(options).await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = served.ask(request).await;
    read_until(&mut first, "\"ok\"").await;
    let mut second = served.ask(request).await;
    first.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut first, "\"ok\"").await;
    let mut buffer = [0; 1];
    assert!(second.try_read(&mut buffer).is_err(), "not served while the first is there");
    drop(first);
    read_until(&mut second, "\"ok\"").await;
}

#[tokio::test]
async fn without_keys_other_machines_are_kept_out() {
    let served = served_on("0.0.0.0:0", GatewayOptions::default()).await;
    let request = |key: &str| format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{key}\r\n");
    let mut stream = served.ask(&request("")).await;
    assert!(rest(&mut stream).await.contains("missing_key"));
    let key = served.guest.key("default", &[Permission::Call], None).await;
    let mut stream = served.ask(&request(&format!("x-api-key: {key}\r\n"))).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_begin_it() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let mut served = served(GatewayOptions::default()).await;
    let io = TokioIo::new(served.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let call = json!({"intent": "draft", "input": "Anna"}).to_string();
    let uri = format!("http://{}/v1/execute", served.address);
    let request = hyper::Request::post(uri).body(Full::new(bytes::Bytes::from(call))).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, hyper::Version::HTTP_2));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Dear Anna"));
    served.stop();
    served.server.await.unwrap().unwrap();
    connection.await.unwrap().unwrap();
}
