//! What the tests share: a small scenario, requests, and reading a response to its end.

use std::path::Path;

use baton_sim::{Scenario, Script, Sim};
use baton_wire::{HttpRequest, HttpResponse, TransportError};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// A scenario from TOML with the two tickets of [`tickets`].
pub(crate) fn sim(toml: &str) -> Sim {
    Sim::new(Scenario::parse(toml, Path::new("")).unwrap().cases(tickets()).unwrap(), 7)
}

pub(crate) fn tickets() -> Vec<(Value, Value)> {
    vec![
        (json!({"ticket": "I was charged twice for October."}), json!({"label": "billing"})),
        (json!({"ticket": "The app crashes when I press the shutter."}), json!({"label": "bug"})),
    ]
}

pub(crate) const TICKET: &str = "I was charged twice for October.";

/// A chat request for `gpt-4`.
pub(crate) fn body(user: &str, stream: bool) -> Bytes {
    let mut body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": user}]});
    if stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    body.to_string().into()
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> HttpRequest {
    let uri = format!("http://sim.invalid{path}").parse().unwrap();
    HttpRequest { method: Method::POST, uri, headers: HeaderMap::new(), body: body.into() }
}

pub(crate) fn get(path: &str) -> HttpRequest {
    HttpRequest { method: Method::GET, ..post(path, "") }
}

pub(crate) fn chat(body: Bytes) -> HttpRequest {
    post("/v1/chat/completions", body)
}

/// All bytes of a script's body.
pub(crate) fn bytes_of(script: &Script) -> String {
    let bytes: Vec<u8> = script.body.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

/// What the model wrote in a whole, unstreamed answer.
pub(crate) fn content(script: &Script) -> String {
    let body: Value = serde_json::from_str(&bytes_of(script)).unwrap();
    body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// Reads to the end: status, bytes, and the error if it ends with one.
pub(crate) async fn read(response: HttpResponse) -> (StatusCode, Vec<u8>, Option<TransportError>) {
    let (mut bytes, mut error, mut body) = (Vec::new(), None, response.body);
    while let Some(item) = body.next().await {
        match item {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(e) => error = Some(e),
        }
    }
    (response.status, bytes, error)
}
