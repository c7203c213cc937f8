//! Server-sent events from an execution's log.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, ExecutionId, Failure};
use baton_engine::{Call, Cursor, LogEvent};
use futures_util::FutureExt as _;
use futures_util::stream::unfold;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::time::timeout;

use crate::error::Problem;
use crate::headers;
use crate::state::Gateway;

/// Pieces are sent together up to about this size.
const FILL_BYTES: usize = 8 * 1024;

/// How a surface writes what happens. It is given at most one `End` or `Error`, last.
pub(crate) trait Frames: Send + 'static {
    /// Appends the frames of one event, if it has any.
    fn write(&mut self, said: LogEvent, out: &mut Vec<u8>);
}

/// Appends one event: its name, where it has one, and its data.
pub(crate) fn event(out: &mut Vec<u8>, name: Option<&str>, data: &impl Serialize) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    // JSON has no line breaks of its own, and these types cannot fail to be written.
    if let Err(error) = serde_json::to_writer(&mut *out, data) {
        tracing::error!(%error, "an event could not be written");
    }
    out.extend_from_slice(b"\n\n");
}

/// A begun stream.
pub(crate) struct Opened {
    pub(crate) execution: ExecutionId,
    /// What happened first; `None` where nothing did yet, and headers should leave.
    first: Option<LogEvent>,
    rest: Rest,
}

/// Starts a call and waits a moment for its first event, so that an error has its status.
///
/// # Errors
/// What the execution ended with before anything was given.
pub(crate) async fn open(gateway: &Gateway, call: Call) -> Result<Opened, Problem> {
    let keep_alive = gateway.options().keep_alive;
    let execution = gateway.orchestrator().start(call);
    let mut rest = Rest { cursor: execution.events, keep_alive, ended: false };
    let first = match rest.next().await {
        Some(LogEvent::Error(failure)) => return Err(Problem::of(execution.id, (*failure).clone())),
        first => first,
    };
    Ok(Opened { execution: execution.id, first, rest })
}

/// The events still to come. Dropping it is how the caller leaves.
pub(crate) struct Rest {
    cursor: Cursor,
    keep_alive: Duration,
    ended: bool,
}

impl Rest {
    /// The next event; `None` where nothing happened for as long as a stream may be silent.
    async fn next(&mut self) -> Option<LogEvent> {
        let said = timeout(self.keep_alive, self.cursor.next()).await.ok()?;
        Some(self.take(said))
    }

    fn take(&mut self, said: Option<LogEvent>) -> LogEvent {
        let said = said.unwrap_or_else(|| {
            let message = "the reader fell too far behind what was written: read faster, or do not stream";
            LogEvent::Error(Failure::new(ErrorCode::StreamInterrupted, message).into())
        });
        self.ended = matches!(said, LogEvent::End(_) | LogEvent::Error(_));
        said
    }

    /// Waits until there is something to send, and takes along what else is there. Nothing is the
    /// end.
    async fn fill(&mut self, frames: &mut impl Frames, out: &mut Vec<u8>) {
        while !self.ended && out.len() < FILL_BYTES {
            if out.is_empty() {
                match self.next().await {
                    Some(said) => frames.write(said, out),
                    None => out.extend_from_slice(b": waiting\n\n"),
                }
            } else {
                let Some(said) = self.cursor.next().now_or_never() else { return };
                let said = self.take(said);
                frames.write(said, out);
            }
        }
    }
}

impl Opened {
    /// The response: what is known so far as headers, the events as they come as the body.
    pub(crate) fn respond(self, mut frames: impl Frames) -> Response {
        let Self { execution, first, rest } = self;
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx would hold the pieces back.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        headers::put(&mut headers, headers::EXECUTION_ID, execution.to_string());
        if let Some(LogEvent::Start { model }) = &first {
            headers::put(&mut headers, headers::MODEL, model.as_str());
        }
        let mut began = Vec::new();
        if let Some(first) = first {
            frames.write(first, &mut began);
        }
        let body = unfold((rest, frames, began), |(mut rest, mut frames, mut out)| async move {
            rest.fill(&mut frames, &mut out).await;
            (!out.is_empty()).then(|| (Ok::<_, Infallible>(Bytes::from(out)), (rest, frames, Vec::new())))
        });
        (headers, Body::from_stream(body)).into_response()
    }
}
