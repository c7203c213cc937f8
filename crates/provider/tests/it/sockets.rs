//! The real transport against a real server on this machine.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use baton_core::Disposition;
use baton_provider::{HttpTransport, Provider};
use baton_wire::{HttpRequest, Transport, TransportFault};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::{ANSWER, STREAM, at, request};

type Body = BoxBody<Bytes, Infallible>;

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from(text)).boxed()
}

/// Serves at the address it gives, and counts connections.
async fn serve<F, R>(answer: F) -> (String, Arc<AtomicUsize>)
where
    F: Fn(http::Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await.ok();
            });
        }
    });
    (url, connections)
}

/// Answers each connection with these bytes, whatever is asked, and closes it.
async fn raw(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(bytes).await;
        }
    });
    address.to_string()
}

fn transport() -> Arc<HttpTransport> {
    Arc::new(HttpTransport::new().unwrap())
}

fn get(url: &str) -> HttpRequest {
    HttpRequest { method: Method::GET, uri: url.parse().unwrap(), headers: HeaderMap::new(), body: Bytes::new() }
}

#[tokio::test]
async fn connections_are_used_again_for_answers_and_streams() {
    let (url, connections) = serve(|request| async move {
        assert_eq!(request.uri().path(), "/v1/chat/completions");
        let streamed = request.headers()["accept"] == "text/event-stream";
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert!(std::str::from_utf8(&body).unwrap().contains("Where is my invoice?"));
        if !streamed {
            return Response::new(full(ANSWER));
        }
        let (first, rest) = STREAM.split_at(20);
        let frames = [first, rest].map(|piece| Ok(Frame::data(Bytes::from(piece))));
        Response::builder()
            .header("content-type", "text/event-stream")
            .header("x-baton-simulated", "true")
            .body(BodyExt::boxed(StreamBody::new(stream::iter(frames))))
            .unwrap()
    })
    .await;
    let provider = Provider::new(&at(&url), transport()).unwrap();
    for _ in 0..3 {
        assert_eq!(provider.complete(&request()).await.unwrap().completion.text(), "billing");
        let reply = provider.stream(&request()).await.unwrap();
        assert!(reply.simulated);
        let events: Vec<_> = reply.events.collect().await;
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(events.iter().all(Result::is_ok));
    }
    // A connection is free again a moment after its body was read: the next exchange may come first,
    // and open another. It cannot be told when; that one is used again at all can.
    assert!(connections.load(Ordering::SeqCst) < 6, "{connections:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, visits) = serve(|_| async { Response::new(full(ANSWER)) }).await;
    let (url, _) = serve(move |_| {
        let location = elsewhere.clone();
        async move {
            let moved = Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("location", location);
            moved.body(full("")).unwrap()
        }
    })
    .await;
    let error = Provider::new(&at(&url), transport()).unwrap().complete(&request()).await.unwrap_err();
    assert_eq!((error.disposition, error.status), (Disposition::HardDown, Some(307)));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn where_it_failed_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let plain = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let silent = raw(b"").await;
    let noise = raw(b"220 mail.example ESMTP\r\n").await;
    for (url, fault) in [
        (format!("http://{closed}/"), TransportFault::Connect),
        (format!("https://{plain}/"), TransportFault::Tls),
        ("http://no-such-host.invalid/".to_owned(), TransportFault::Dns),
        (format!("http://{silent}/"), TransportFault::Broken),
        (format!("http://{noise}/"), TransportFault::Broken),
    ] {
        let error = transport().send(get(&url)).await.err().unwrap();
        assert_eq!(error.fault, fault, "{url}: {error}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id\":"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n",
    ] {
        let address = raw(bytes).await;
        let mut response = transport().send(get(&format!("http://{address}/"))).await.unwrap();
        assert_eq!(response.status, StatusCode::OK);
        let mut last = None;
        while let Some(piece) = response.body.next().await {
            last = Some(piece);
        }
        assert_eq!(last.unwrap().unwrap_err().fault, TransportFault::Broken);
        let provider = Provider::new(&at(&format!("http://{address}")), transport()).unwrap();
        assert_eq!(provider.complete(&request()).await.unwrap_err().disposition, Disposition::Transient);
        assert!(provider.stream(&request()).await.unwrap().events.any(|event| async move { event.is_err() }).await);
    }
}

/// Tells of its drop.
struct Open(mpsc::UnboundedSender<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[tokio::test]
async fn dropping_an_answer_closes_its_exchange() {
    let (gone, mut left) = mpsc::unbounded_channel();
    let (url, _) = serve(move |_| {
        let open = Open(gone.clone());
        async move {
            let endless = std::iter::repeat_with(move || {
                let _held = &open;
                Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n")))
            });
            Response::new(BodyExt::boxed(StreamBody::new(stream::iter(endless))))
        }
    })
    .await;
    let response = transport().send(get(&url)).await.unwrap();
    assert!(left.try_recv().is_err(), "still open");
    drop(response);
    assert_eq!(left.recv().await, Some(()), "the server saw it");
}
