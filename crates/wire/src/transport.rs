//! The IO seam: bytes out, bytes in.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode, Uri};

/// One request, its body whole.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Usually POST.
    pub method: Method,
    /// Absolute.
    pub uri: Uri,
    /// Authentication included: never log these.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// One response, its body as it arrives.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, in the pieces in which it arrives; dropping it closes the exchange.
    pub body: BodyStream,
}

/// A body as it arrives. An error is the last item.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;
/// What [`Transport::send`] returns; dropping it cancels the request.
pub type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send + 'a>>;

/// Where a transport failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportFault {
    /// The name did not resolve.
    Dns,
    /// No connection.
    Connect,
    /// No trusted connection.
    Tls,
    /// The exchange broke: reset, closed early, not HTTP.
    Broken,
}

/// A failed exchange. Its disposition is transient.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Where it failed.
    pub fault: TransportFault,
    /// What happened, without secrets.
    pub message: String,
}

/// Sends requests. Implementations neither retry nor time out: the request's state machine does.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request; resolves when the response's headers are there.
    fn send(&self, request: HttpRequest) -> SendFuture<'_>;
}
