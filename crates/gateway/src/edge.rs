//! What every request goes through, whatever its route: ids echoed, panics caught.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, Failure};
use futures_util::FutureExt as _;
use http::HeaderValue;
use uuid::Uuid;

use crate::error::Problem;
use crate::headers::{EXECUTION_ID, REQUEST_ID, TRACEPARENT, request_id, traceparent};

/// Echoes `x-request-id` and `traceparent`. A request without an id gets its execution's, else a
/// new one.
pub(crate) async fn edge(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let trace = traceparent(request.headers());
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = handled.unwrap_or_else(|_| {
        tracing::error!("a request ended in a panic");
        let message = "a fault of Baton's own ended this request; please report it";
        Problem::from(Failure::new(ErrorCode::Internal, message)).into_response()
    });
    let headers = response.headers_mut();
    let id = id.or_else(|| headers.get(EXECUTION_ID).cloned());
    let id = id.or_else(|| HeaderValue::try_from(Uuid::now_v7().to_string()).ok());
    headers.extend(id.map(|id| (REQUEST_ID, id)));
    headers.extend(trace.map(|trace| (TRACEPARENT, trace)));
    response
}
