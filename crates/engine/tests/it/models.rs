//! Models that say what a test scripted, in memory and on tokio's clock. Written by hand, apart from
//! Baton's own encoder.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use baton_embed::{Embedder as _, Hashed};
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::sleep;

/// What one call is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// This text, after so many milliseconds; as one piece where a stream was asked for.
    Text(u64, &'static str),
    /// What this makes of all it was asked, after so many milliseconds.
    Of(u64, fn(&str) -> &'static str),
    /// These pieces, each so many milliseconds after the one before, then the end.
    Pieces(&'static [(u64, &'static str)]),
    /// The same, without the usage that was asked for.
    NoUsage(&'static [(u64, &'static str)]),
    /// The same, and then the connection breaks.
    Broken(&'static [(u64, &'static str)]),
    /// These bytes of a stream, each so many milliseconds after the ones before.
    Raw(Vec<(u64, String)>),
    /// This status, after so many milliseconds.
    Status(u64, u16),
    /// A whole answer that does not say why it stopped.
    Unfinished,
    /// The hashed vector of the one text that is to be embedded, after so many milliseconds.
    Vector(u64),
    /// These bytes, as they are.
    Verbatim(String),
    /// Nothing, ever.
    Hangs,
    /// A fault of Baton's own, as far as the engine can tell.
    Panics,
}

/// One call that a model got.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// The key that it was asked with, where there was one.
    pub(crate) key: Option<String>,
    /// Text of all its messages.
    pub(crate) prompt: String,
    /// How many alternatives of each token it was asked for.
    pub(crate) top_logprobs: Option<u64>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, VecDeque<Says>>,
    asked: Vec<Asked>,
    open: usize,
}

/// See the module. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Models(Arc<Mutex<State>>);

impl Models {
    /// What a model says next, or (`model key`) what it says to those with this key; the last thing said
    /// is repeated.
    pub(crate) fn say(&self, model: &str, says: &[Says]) {
        self.lock().scripts.entry(model.to_owned()).or_default().extend(says.iter().cloned());
    }

    /// All calls so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// The models of all calls so far, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.model).collect()
    }

    /// Calls that nobody closed and that did not end.
    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&self, request: &Value, key: Option<String>) -> Says {
        let mut state = self.lock();
        let model = request["model"].as_str().unwrap().to_owned();
        let messages = request["messages"].as_array().into_iter().flatten().map(|message| &message["content"]);
        let texts = messages.chain(request["input"].as_array().into_iter().flatten());
        let prompt = texts.filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
        let keyed = format!("{model} {}", key.as_deref().unwrap_or_default());
        let name = if state.scripts.contains_key(&keyed) { &keyed } else { &model };
        let script = state.scripts.get_mut(name).unwrap_or_else(|| panic!("{model} has nothing to say"));
        let says = if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() };
        let top_logprobs = request["top_logprobs"].as_u64().filter(|_| request["logprobs"] == true);
        let says = if let Says::Of(after, answer) = says { Says::Text(after, answer(&prompt)) } else { says };
        state.asked.push(Asked { model, key, prompt, top_logprobs });
        state.open += 1;
        says
    }
}

/// A call under way.
struct Open(Models);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

impl Transport for Models {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let key = request.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
            let key = key.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
            let request: Value = serde_json::from_slice(&request.body).unwrap();
            let says = self.begin(&request, key);
            let open = Open(self.clone());
            let streamed = request["stream"] == true;
            match says {
                Says::Panics => panic!("scripted: this is what a bug looks like"),
                Says::Hangs => std::future::pending().await,
                Says::Status(after, status) => {
                    sleep(Duration::from_millis(after)).await;
                    let error = json!({ "error": { "message": "scripted", "type": "scripted", "code": null } });
                    Ok(response(status, "application/json", vec![(0, error.to_string())], false, open))
                }
                Says::Unfinished => {
                    let mut body = whole("bug");
                    body["choices"][0]["finish_reason"] = Value::Null;
                    Ok(response(200, "application/json", vec![(0, body.to_string())], false, open))
                }
                Says::Raw(body) => Ok(response(200, "text/event-stream", body, false, open)),
                Says::Vector(after) => {
                    sleep(Duration::from_millis(after)).await;
                    let vector = Hashed::new().embed(request["input"][0].as_str().unwrap());
                    let data = json!([{ "object": "embedding", "index": 0, "embedding": vector }]);
                    let body = json!({ "data": data, "usage": { "prompt_tokens": 7, "total_tokens": 7 } });
                    Ok(response(200, "application/json", vec![(0, body.to_string())], false, open))
                }
                Says::Verbatim(body) => Ok(response(200, "application/json", vec![(0, body)], false, open)),
                Says::Text(after, text) if !streamed => {
                    sleep(Duration::from_millis(after)).await;
                    Ok(response(200, "application/json", vec![(0, whole(text).to_string())], false, open))
                }
                Says::Text(after, text) => Ok(events(&[(after, text)], &usage(), open)),
                Says::Pieces(pieces) | Says::NoUsage(pieces) if !streamed => {
                    sleep(Duration::from_millis(pieces.iter().map(|(after, _)| after).sum())).await;
                    let text: String = pieces.iter().map(|(_, text)| *text).collect();
                    Ok(response(200, "application/json", vec![(0, whole(&text).to_string())], false, open))
                }
                Says::Pieces(pieces) => Ok(events(pieces, &usage(), open)),
                Says::NoUsage(pieces) => Ok(events(pieces, &Value::Null, open)),
                Says::Broken(pieces) => Ok(broken(pieces, open)),
                Says::Of(..) => unreachable!("a text by now"),
            }
        })
    }
}

const USAGE: (u64, u64) = (100, 10);

fn usage() -> Value {
    json!({ "prompt_tokens": USAGE.0, "completion_tokens": USAGE.1, "total_tokens": USAGE.0 + USAGE.1 })
}

fn whole(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": text, "refusal": null },
        }],
        "usage": usage(),
    })
}

fn chunk(delta: &Value, finish: Option<&str>, usage: &Value) -> String {
    let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

fn texts(pieces: &[(u64, &str)]) -> Vec<(u64, String)> {
    pieces.iter().map(|(at, text)| (*at, chunk(&json!({ "content": text }), None, &Value::Null))).collect()
}

fn events(pieces: &[(u64, &str)], usage: &Value, open: Open) -> HttpResponse {
    let mut body = texts(pieces);
    body.push((0, chunk(&json!({}), Some("stop"), usage)));
    body.push((0, "data: [DONE]\n\n".to_owned()));
    response(200, "text/event-stream", body, false, open)
}

fn broken(pieces: &[(u64, &str)], open: Open) -> HttpResponse {
    response(200, "text/event-stream", texts(pieces), true, open)
}

fn response(status: u16, kind: &'static str, body: Vec<(u64, String)>, broken: bool, open: Open) -> HttpResponse {
    let pieces = stream::iter(body).then(|(after, text)| async move {
        if after > 0 {
            sleep(Duration::from_millis(after)).await;
        }
        Ok(Bytes::from(text))
    });
    let end =
        broken.then(|| Err(TransportError { fault: TransportFault::Broken, message: "scripted: it broke".into() }));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    // The call is open as long as its body lives.
    let body = pieces.chain(stream::iter(end)).map(move |piece| {
        let _held = &open;
        piece
    });
    HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers, body: Box::pin(body) }
}
