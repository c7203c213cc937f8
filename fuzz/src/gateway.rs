//! Requests to the gateway: whatever is asked, the answer is an answer or a typed error.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use baton_engine::Orchestrator;
use baton_gateway::{GatewayOptions, Metrics, router};
use baton_store::Store;
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::house;
use crate::wire::exchange;

/// A first line `METHOD PATH`, lines of headers, an empty line, the body.
///
/// # Panics
/// Where the gateway does not answer, answers with a fault of its own, or with an error that does
/// not say what it is.
pub fn gateway(bytes: &[u8]) {
    let (first, headers, body) = exchange(bytes);
    let Some((method, path)) = std::str::from_utf8(first).ok().and_then(|first| first.split_once(' ')) else { return };
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_vec()));
    let Ok(mut request) = request else { return };
    request.headers_mut().extend(headers);
    let head = request.method() == Method::HEAD;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (status, kind, answer) = runtime.block_on(async {
        let response = open().oneshot(request).await.unwrap();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        (response.status(), kind.unwrap_or_default(), response.into_body().collect().await.unwrap().to_bytes())
    });
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    if kind.starts_with("application/json") && !answer.is_empty() {
        let document: Value = serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        if status.is_client_error() {
            let code = document["error"]["code"].as_str().unwrap_or_default();
            assert!(!code.is_empty(), "an error without a code: {document}");
        }
    }
    assert!(head || status.is_success() || !answer.is_empty(), "{status} without a word");
}

/// Open to everybody, over models that say their own names.
fn open() -> Router {
    let metrics = Metrics::new();
    let builder = Orchestrator::builder(house::snapshot(), Store::memory()).simulated(1);
    let orchestrator = builder.transport("house", Arc::new(Parrot)).build().unwrap();
    router(orchestrator, metrics, GatewayOptions::default())
}

/// Says the name of the model that it is asked as.
struct Parrot;

impl Transport for Parrot {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let name = asked["model"].as_str().unwrap();
            let usage = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
            let (kind, text) = if asked["stream"] == true {
                let choice = json!({"index": 0, "delta": {"content": name}, "finish_reason": "stop"});
                let chunk = json!({"id": "c", "model": name, "choices": [choice], "usage": usage});
                ("text/event-stream", format!("data: {chunk}\n\ndata: [DONE]\n\n"))
            } else {
                let message = json!({"role": "assistant", "content": name});
                let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
                let answer = json!({"id": "c", "model": name, "choices": [choice], "usage": usage});
                ("application/json", answer.to_string())
            };
            let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind))].into_iter().collect();
            let body = Box::pin(stream::iter([Ok(Bytes::from(text))]));
            Ok(HttpResponse { status: StatusCode::OK, headers, body })
        })
    }
}
