//! `POST /v1/execute`: the call.

mod events;
pub(crate) mod many;
mod request;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use baton_core::{Failure, Idempotency};
use baton_engine::{Call, Caller};
use baton_store::Permission;
use http::request::Parts;
use tokio::time::Instant;

use crate::error::{ErrorBody, Problem};
use crate::schemas::AnswerSchema;
use crate::state::Gateway;
use crate::{auth, body, headers, json, stream};

pub(crate) use request::{ExecuteRequest, check_metadata, check_name, not_yet};

/// Answers a call of an intent.
///
/// With `stream: true` as server-sent events: `start` `{executionId, model}`, `delta` `{text}`,
/// then exactly one `end` (the whole answer) or `error`. The deadline runs from the request fully
/// read. A client that leaves cancels the call. With the header `Idempotency-Key` the same request again
/// is given the same execution again, for 24 hours.
#[utoipa::path(
    post,
    path = "/v1/execute",
    tag = "calls",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the call: made again, it is given the \
        same execution, for 24 hours; with another body it is refused. 1 to 255 bytes", max_length = 255)),
    request_body = ExecuteRequest,
    responses(
        (status = 200, description = "The answer; or a stream", content(
            (AnswerSchema = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn execute(State(gateway): State<Gateway>, request: Request) -> Response {
    respond(&gateway, request).await.unwrap_or_else(IntoResponse::into_response)
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request to call models, from whom may, read whole.
pub(crate) struct Received {
    pub(crate) parts: Parts,
    pub(crate) caller: Caller,
    pub(crate) body: Bytes,
    /// When the last byte was there.
    pub(crate) at: Instant,
}

/// Refuses who may not call, and where there is no room, before the body is read.
pub(crate) async fn receive(gateway: &Gateway, request: Request) -> Result<Received, Problem> {
    let (parts, body) = request.into_parts();
    let caller = auth::allow(gateway, &parts.headers, &[Permission::Call]).await?;
    gateway.room(&caller.team)?;
    let body = body::read(gateway.options(), &parts.headers, body).await?;
    Ok(Received { parts, caller, body, at: Instant::now() })
}

/// What makes this request, made again, the same call, where its client says so: team and key, route
/// and body.
///
/// # Errors
/// `input_invalid` for what is no key.
pub(crate) fn idempotency(parts: &Parts, body: &[u8]) -> Result<Option<Idempotency>, Failure> {
    let Some(key) = key_of(parts)? else { return Ok(None) };
    let asked = [parts.uri.path().as_bytes(), b"\n", body].concat();
    baton_engine::idempotency(&key, &asked).map(Some)
}

/// The `Idempotency-Key` of a request, where it has one.
///
/// # Errors
/// `input_invalid` for what is no key.
pub(crate) fn key_of(parts: &Parts) -> Result<Option<String>, Failure> {
    let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    // What is no text, or two, is no key.
    let key = key.to_str().ok().filter(|_| keys.next().is_none()).unwrap_or_default();
    baton_engine::idempotency(key, &[]).map(|_| Some(key.to_owned()))
}

async fn respond(gateway: &Gateway, request: Request) -> Result<Response, Problem> {
    let Received { parts, caller, body, at } = receive(gateway, request).await?;
    let idempotency = idempotency(&parts, &body)?;
    let request: ExecuteRequest = json::read(&body, gateway.options().max_json_depth).map_err(request::explain)?;
    drop(body);
    let stream = request.stream;
    let call = Call { trace: headers::trace(&parts.headers), idempotency, ..request.into_call(caller, at)? };
    // Others may have begun while the body arrived.
    gateway.room(&call.caller.team)?;
    if stream {
        let opened = stream::open(gateway, call).await?;
        let writer = events::Writer::new(opened.execution);
        return Ok(opened.respond(writer));
    }
    let delivered = gateway.orchestrator().execute(call).await?;
    headers::respond(&delivered.answer, &delivered.answer)
}
