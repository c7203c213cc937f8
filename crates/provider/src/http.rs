//! The HTTP transport: pooled connections, HTTP/1.1 and HTTP/2.

use std::error::Error;
use std::time::Duration;

use baton_wire::{BodyStream, HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyStream as Frames, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::ProviderError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_PER_HOST_MAX: usize = 256;

/// Sends requests over sockets. Follows no redirects, retries nothing, and bounds only the time that
/// a connection may take: the request's state machine owns the rest.
pub struct HttpTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpTransport {
    /// A pool without connections.
    ///
    /// # Errors
    /// Where the machine's trusted certificates cannot be read.
    pub fn new() -> Result<Self, ProviderError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| ProviderError::Tls(error.to_string()))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        let mut outgoing = http::Request::new(Full::new(request.body));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = request.uri;
        *outgoing.headers_mut() = request.headers;
        let response = self.client.request(outgoing);
        Box::pin(async move {
            let response = response.await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            Ok(HttpResponse { status: head.status, headers: head.headers, body: stream(body) })
        })
    }
}

fn stream(body: Incoming) -> BodyStream {
    Box::pin(Frames::new(body).filter_map(|frame| async {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => {
                let message = format!("the response broke off: {}", causes(&error));
                Some(Err(TransportError { fault: TransportFault::Broken, message }))
            }
        }
    }))
}

fn failed(error: &hyper_util::client::legacy::Error) -> TransportError {
    let message = causes(error);
    let fault = if !error.is_connect() {
        TransportFault::Broken
    } else if message.contains("dns error") {
        TransportFault::Dns
    } else if message.contains("certificate") || message.contains("tls") || message.contains("handshake") {
        TransportFault::Tls
    } else {
        TransportFault::Connect
    };
    TransportError { fault, message }
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
