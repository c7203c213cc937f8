//! What every request goes through, whatever its route: ids echoed, panics caught.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, ExecutionId, Failure, SpanId};
use futures_util::FutureExt as _;
use http::HeaderValue;
use uuid::Uuid;

use crate::error::Problem;
use crate::headers::{EXECUTION_ID, REQUEST_ID, TRACEPARENT, put, request_id, trace};
use crate::state::Gateway;

/// Echoes `x-request-id`; a request without one gets its execution's, else a new one. The
/// `traceparent` of the response names the execution's own span.
pub(crate) async fn edge(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let parent = trace(request.headers());
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = handled.unwrap_or_else(|_| {
        tracing::error!("a request ended in a panic");
        let message = "a fault of Baton's own ended this request; please report it";
        Problem::from(Failure::new(ErrorCode::Internal, message)).into_response()
    });
    let headers = response.headers_mut();
    let execution = headers.get(EXECUTION_ID).and_then(|id| id.to_str().ok()).and_then(ExecutionId::parse);
    if let Some(execution) = execution {
        let trace = gateway.orchestrator().trace(execution, parent.as_ref());
        put(headers, TRACEPARENT, trace.traceparent(SpanId::of_execution(execution)));
    }
    let id = id.or_else(|| headers.get(EXECUTION_ID).cloned());
    let id = id.or_else(|| HeaderValue::try_from(Uuid::now_v7().to_string()).ok());
    headers.extend(id.map(|id| (REQUEST_ID, id)));
    response
}
