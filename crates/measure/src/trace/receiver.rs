//! The smallest OTLP receiver: takes traces, metrics and logs over HTTP/protobuf and gRPC, and keeps them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Version};
use http_body_util::StreamBody;
use hyper::body::Frame;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Node;

/// A longer message is no telemetry of a few calls.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Everything that came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Span>,
    pub(crate) events: Vec<LogRecord>,
    /// By name; of each the last.
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) resources: Vec<Resource>,
    /// What was no OTLP.
    pub(crate) wrong: Vec<String>,
}

type Kept = Arc<Mutex<Received>>;

/// See the module.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    kept: Kept,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&kept));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move { drop(stopped.await) });
        Ok(Self { address, kept, stop, serving: tokio::spawn(async move { serving.await }) })
    }

    pub(crate) async fn stop(self) -> Received {
        let _gone = self.stop.send(());
        let _ended = self.serving.await;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Received {
    pub(crate) fn tree(&self) -> super::Tree {
        self.spans.iter().map(Node::of_span).collect()
    }
}

async fn take(State(kept): State<Kept>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
    let whole = axum::body::to_bytes(body, MESSAGE_BYTES_MAX).await.unwrap_or_default();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let message = if grpc { framed(&whole) } else { Some(whole.clone()) };
    let form =
        if grpc { head.version == Version::HTTP_2 } else { head.headers["content-type"] == "application/x-protobuf" };
    let taken = message.is_some_and(|message| kept.take(head.uri.path(), &message));
    if !(taken && form) {
        kept.wrong.push(format!("{} with {} bytes is no OTLP", head.uri.path(), whole.len()));
    }
    if grpc { accepted() } else { Response::new(Body::empty()) }
}

/// One message, its flag and its length before it.
fn framed(body: &Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?) as usize;
    (body[0] == 0 && body.len() == length + 5).then(|| body.slice(5..))
}

/// An empty response message, and the status in the trailers.
fn accepted() -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

impl Received {
    fn take(&mut self, path: &str, message: &Bytes) -> bool {
        let message = message.clone();
        if path.ends_with("/v1/traces") || path.ends_with("TraceService/Export") {
            return ExportTraceServiceRequest::decode(message).map(|request| self.traces(request)).is_ok();
        }
        if path.ends_with("/v1/metrics") || path.ends_with("MetricsService/Export") {
            return ExportMetricsServiceRequest::decode(message).map(|request| self.metrics(request)).is_ok();
        }
        if path.ends_with("/v1/logs") || path.ends_with("LogsService/Export") {
            return ExportLogsServiceRequest::decode(message).map(|request| self.logs(request)).is_ok();
        }
        false
    }

    fn traces(&mut self, request: ExportTraceServiceRequest) {
        for part in request.resource_spans {
            self.resources.extend(part.resource);
            self.spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }

    fn metrics(&mut self, request: ExportMetricsServiceRequest) {
        for part in request.resource_metrics {
            self.resources.extend(part.resource);
            let metrics = part.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.metrics.extend(metrics.map(|metric| (metric.name.clone(), metric)));
        }
    }

    fn logs(&mut self, request: ExportLogsServiceRequest) {
        for part in request.resource_logs {
            self.resources.extend(part.resource);
            self.events.extend(part.scope_logs.into_iter().flat_map(|scope| scope.log_records));
        }
    }
}
