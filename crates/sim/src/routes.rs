//! What is where: the vendor's routes, and the simulator's own, by which tests steer it.

use baton_wire::{HttpRequest, HttpResponse, TransportError};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::openai;
use crate::sim::Sim;
use crate::transport::play;

/// Answers one request: over sockets and in memory alike. An error means that the connection closes.
pub(crate) async fn answer(sim: &Sim, request: HttpRequest) -> Result<HttpResponse, TransportError> {
    let path = request.uri.path();
    if let Some(own) = path.strip_prefix("/__sim/") {
        return Ok(steer(sim, &request.method, own, &request.body));
    }
    // Any prefix will do: base URLs differ.
    if path.ends_with("/chat/completions") && request.method == Method::POST {
        let (script, call) = sim.begin(&request.body);
        return play(script, call).await;
    }
    if path.ends_with("/embeddings") && request.method == Method::POST {
        return Ok(embeddings(&request.body));
    }
    if path.ends_with("/models") && request.method == Method::GET {
        let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": crate::FINGERPRINT});
        let data: Vec<Value> = sim.names().into_iter().map(model).collect();
        return Ok(plain(StatusCode::OK, &json!({"object": "list", "data": data})));
    }
    let message = format!("Unknown request URL: {} {path}.", request.method);
    Ok(plain(StatusCode::NOT_FOUND, &openai::error(404, Some(&message))))
}

/// Numbers of a simulated vector.
const DIMENSIONS: usize = 64;

/// Texts that share words are near: each word, by its hash, is one of the vector's numbers. It means
/// nothing beyond that.
fn embeddings(body: &Bytes) -> HttpResponse {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let texts: Vec<&str> = match &request["input"] {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if texts.is_empty() {
        let message = "'input' must be a text or an array of texts";
        return plain(StatusCode::BAD_REQUEST, &openai::error(400, Some(message)));
    }
    let vector = |text: &str| {
        let mut vector = [0.0_f32; DIMENSIONS];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let hash = word.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
            vector[hash % DIMENSIONS] += 1.0;
        }
        vector.to_vec()
    };
    let one =
        |(index, text): (usize, &&str)| json!({ "object": "embedding", "index": index, "embedding": vector(text) });
    let data: Vec<Value> = texts.iter().enumerate().map(one).collect();
    let tokens: usize = texts.iter().map(|text| text.len().div_ceil(openai::CHARS_PER_TOKEN)).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    plain(StatusCode::OK, &json!({ "object": "list", "data": data, "model": request["model"], "usage": usage }))
}

/// `POST /__sim/models/{model}` changes a behaviour, `GET /__sim/stats` counts.
fn steer(sim: &Sim, method: &Method, path: &str, body: &Bytes) -> HttpResponse {
    let refuse = |status: StatusCode, message: String| plain(status, &json!({ "error": { "message": message } }));
    match (method, path.strip_prefix("models/")) {
        (&Method::GET, None) if path == "stats" => plain(StatusCode::OK, &json!({ "models": sim.stats() })),
        (&Method::POST, Some(model)) if !model.is_empty() => {
            let behaviour = serde_json::from_slice(body).map_err(|e| e.to_string());
            match behaviour.and_then(|b| sim.set(model, b).map_err(|e| e.to_string())) {
                Ok(()) => plain(StatusCode::OK, &json!({ "model": model })),
                Err(message) => refuse(StatusCode::BAD_REQUEST, message),
            }
        }
        _ => refuse(
            StatusCode::NOT_FOUND,
            "the simulator has GET /__sim/stats and POST /__sim/models/{model}".to_owned(),
        ),
    }
}

fn plain(status: StatusCode, body: &Value) -> HttpResponse {
    let bytes = Bytes::from(body.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(crate::SIMULATED_HEADER, HeaderValue::from_static("true"));
    HttpResponse { status, headers, body: Box::pin(stream::iter([Ok(bytes)])) }
}
