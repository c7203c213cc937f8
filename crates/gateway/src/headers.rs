//! The headers that Baton reads and writes besides HTTP's own.

use axum::body::Body;
use axum::response::Response;
use baton_core::{Answer, TraceParent};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::error::Problem;
use crate::json;

pub(crate) const EXECUTION_ID: HeaderName = HeaderName::from_static("x-baton-execution-id");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-baton-model");
const VIA: HeaderName = HeaderName::from_static("x-baton-via");
const COST_USD: HeaderName = HeaderName::from_static("x-baton-cost-usd");
const QUALITY: HeaderName = HeaderName::from_static("x-baton-quality");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-baton-attempts");
const OVERHEAD_MS: HeaderName = HeaderName::from_static("x-baton-overhead-ms");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longer request ids are replaced.
const REQUEST_ID_MAX: usize = 128;

/// A whole answer: its headers, and a body of JSON.
///
/// # Errors
/// `internal`: our types can be written.
pub(crate) fn respond(answer: &Answer, body: &impl Serialize) -> Result<Response, Problem> {
    let body = json::written(body).map_err(|failure| Problem::of(answer.execution_id, failure))?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.reserve(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    of_answer(answer, headers);
    Ok(response)
}

/// What an answer's headers say; what is unknown is left out.
pub(crate) fn of_answer(answer: &Answer, headers: &mut HeaderMap) {
    put(headers, EXECUTION_ID, answer.execution_id.to_string());
    headers.insert(VIA, HeaderValue::from_static(answer.via.as_str()));
    if let Some(model) = &answer.model {
        put(headers, MODEL, model.as_str());
    }
    if let Some(cost) = &answer.cost_usd {
        put(headers, COST_USD, cost.as_str());
    }
    if let Some(score) = answer.quality.score {
        put(headers, QUALITY, score.to_string());
    }
    headers.insert(ATTEMPTS, HeaderValue::from(answer.attempts.iter().filter(|a| a.outcome.was_made()).count()));
    put(headers, OVERHEAD_MS, answer.latency.overhead_ms.to_string());
}

/// Sets a header; a value that no header can carry is left out.
pub(crate) fn put<V: TryInto<HeaderValue>>(headers: &mut HeaderMap, name: HeaderName, value: V) {
    if let Ok(value) = value.try_into() {
        headers.insert(name, value);
    }
}

/// The caller's id of a request, where it is one: short and printable.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    (!id.is_empty() && id.len() <= REQUEST_ID_MAX && id.to_str().is_ok()).then(|| id.clone())
}

/// The caller's trace; what is not valid counts as none, and so does a trace that is told twice.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let state: Vec<&str> = headers.get_all(TRACESTATE).iter().map(|s| s.to_str().unwrap_or("=")).collect();
    TraceParent::parse(parent.to_str().ok()?, &state.join(","))
}
