//! One signal's way to its collector: OTLP messages over our own transport.
//!
//! Sources: OpenTelemetry protocol specification 1.9 (OTLP/HTTP: status codes that are worth another try;
//! OTLP/gRPC: likewise), and gRPC over HTTP/2 (a message is a flag, its length in four bytes, and itself).

use std::sync::Arc;
use std::time::Duration;

use baton_wire::{HttpRequest, HttpResponse, Transport};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};

use crate::outlets::Outlet;
use crate::settings::{Protocol, Target};

/// A longer answer is not read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Before the first further try; doubled by each, as long as the target's timeout has room.
const BACK_OFF: Duration = Duration::from_millis(500);
/// gRPC's codes that are worth another try: cancelled, deadline exceeded, aborted, out of range,
/// unavailable, data loss.
const AGAIN: [u32; 6] = [1, 4, 10, 11, 14, 15];

/// One signal's way out.
pub(crate) struct Way {
    signal: &'static str,
    target: Target,
    transport: Arc<dyn Transport>,
    pub(crate) outlet: Arc<Outlet>,
}

/// Why an export failed.
struct Failed {
    again: bool,
    why: String,
}

impl Way {
    pub(crate) fn new(
        signal: &'static str,
        target: Target,
        transport: Arc<dyn Transport>,
        outlet: Arc<Outlet>,
    ) -> Self {
        Self { signal, target, transport, outlet }
    }

    /// Sends one message that stands for `count`; tries again within the target's timeout where that may
    /// help. What came of it is counted, and told in the log where it changed.
    pub(crate) async fn export(&self, message: &impl Message, count: u64) {
        let request = self.request(message);
        let until = Instant::now() + self.target.timeout;
        let mut pause = BACK_OFF;
        let failed = loop {
            let tried = timeout_at(until, self.once(request.clone())).await;
            let failed = match tried {
                Ok(Ok(rejected)) => return self.done(count, rejected),
                Ok(Err(failed)) => failed,
                Err(_) => Failed { again: false, why: format!("no answer within {:?}", self.target.timeout) },
            };
            if !failed.again || Instant::now() + pause >= until {
                break failed;
            }
            sleep(pause).await;
            pause *= 2;
        };
        if self.outlet.failed(count) {
            let host = self.target.uri.authority().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(signal = self.signal, collector = host, why = failed.why, "telemetry could not be exported");
        }
    }

    fn done(&self, count: u64, rejected: u64) {
        self.outlet.sent(count.saturating_sub(rejected));
        // Rejected are spans, points or events: as many executions at most.
        if rejected > 0 && self.outlet.failed(rejected.min(count)) {
            tracing::warn!(signal = self.signal, rejected, "the collector rejected a part of the telemetry");
        }
    }

    fn request(&self, message: &impl Message) -> HttpRequest {
        let mut headers = self.target.headers.clone();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("baton/", env!("CARGO_PKG_VERSION"))));
        let body = match self.target.protocol {
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                message.encode_to_vec().into()
            }
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                framed(message)
            }
        };
        HttpRequest { method: Method::POST, uri: self.target.uri.clone(), headers, body }
    }

    /// How many the collector rejected of what it took.
    async fn once(&self, request: HttpRequest) -> Result<u64, Failed> {
        let broken = |error: baton_wire::TransportError| Failed { again: true, why: error.message };
        let response = self.transport.send(request).await.map_err(broken)?;
        self.judge(&response)?;
        let body = collect(response).await?;
        let message = match self.target.protocol {
            Protocol::Http => body,
            Protocol::Grpc => {
                unframed(&body).ok_or_else(|| Failed { again: false, why: "the answer holds no message".into() })?
            }
        };
        // The responses of all signals have the same shape.
        let answer = ExportTraceServiceResponse::decode(message).unwrap_or_default();
        Ok(answer.partial_success.map_or(0, |part| u64::try_from(part.rejected_spans).unwrap_or_default()))
    }

    fn judge(&self, response: &HttpResponse) -> Result<(), Failed> {
        let status = response.status;
        if status != StatusCode::OK && !(self.target.protocol == Protocol::Http && status.is_success()) {
            let again = matches!(status.as_u16(), 429 | 502 | 503 | 504);
            let hint = if status == StatusCode::NOT_FOUND {
                format!(": it takes no such signal there; OTEL_{}_EXPORTER=none sends none", self.signal.to_uppercase())
            } else {
                String::new()
            };
            return Err(Failed { again, why: format!("the collector answered {status}{hint}") });
        }
        match grpc_status(&response.headers) {
            None | Some(0) => Ok(()),
            Some(code) if self.target.protocol == Protocol::Grpc => {
                Err(Failed { again: AGAIN.contains(&code), why: format!("the collector answered gRPC status {code}") })
            }
            Some(_) => Ok(()),
        }
    }
}

/// Where a failed call has no message, its status is among the headers.
fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(length + 5);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A buffer that grows has room.
    let encoded = message.encode(&mut body);
    debug_assert!(encoded.is_ok());
    body.freeze()
}

fn unframed(body: &Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?) as usize;
    (body[0] == 0 && body.len() >= 5 + length).then(|| body.slice(5..5 + length))
}

async fn collect(mut response: HttpResponse) -> Result<Bytes, Failed> {
    let mut all = BytesMut::new();
    while let Some(piece) = response.body.next().await {
        let piece = piece.map_err(|error| Failed { again: true, why: error.message })?;
        if all.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Failed { again: false, why: "the collector's answer does not end".into() });
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}
