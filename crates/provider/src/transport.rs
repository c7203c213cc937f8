//! The real transport: pooled HTTP/1.1 and HTTP/2 over TCP and TLS.
//!
//! A client keeps one HTTP/2 connection to a host, and a server allows about a hundred exchanges on
//! one. So there are a few clients, and an exchange goes to the first that is not busy.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

/// The longest that a TCP connection may take to open, over all addresses of the name. It is the
/// only timeout here: the time of an attempt belongs to the request's state machine.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept; servers close theirs after a minute or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Unused connections kept to a host, for each client.
const IDLE_PER_HOST_MAX: usize = 64;
/// TCP keep-alive, and HTTP/2 pings on connections in use: a peer that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const CLIENTS: usize = 4;
/// A client with this many exchanges in flight is busy.
const BUSY: usize = 64;

type HyperClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Real sockets. It follows no redirects, and does not retry what a server may have seen (a request
/// that was never written, because an idle connection had just closed, is sent on another one).
pub struct HttpTransport {
    clients: [(HyperClient, Arc<AtomicUsize>); CLIENTS],
}

impl HttpTransport {
    /// Trusts the certificates that the system trusts. Where there are none, that is logged, and
    /// every https address fails; http ones work.
    ///
    /// # Errors
    /// TLS itself cannot be set up.
    pub fn new() -> Result<Self, TransportError> {
        Ok(Self::with_tls(&trusting()?, client))
    }

    /// The same, speaking HTTP/2 from the first byte, for gRPC: a status in the trailers that is not 0
    /// is an error.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub fn http2() -> Result<Self, TransportError> {
        Ok(Self::with_tls(&trusting()?, http2_client))
    }

    fn with_tls(config: &ClientConfig, client: fn(ClientConfig) -> HyperClient) -> Self {
        Self { clients: std::array::from_fn(|_| (client(config.clone()), Arc::default())) }
    }

    /// The first client that is not busy, else the least busy.
    fn client(&self) -> &(HyperClient, Arc<AtomicUsize>) {
        let load = |(_, in_flight): &&(HyperClient, Arc<AtomicUsize>)| in_flight.load(Ordering::Relaxed);
        let [first, ..] = &self.clients;
        let free = self.clients.iter().find(|client| load(client) < BUSY);
        free.or_else(|| self.clients.iter().min_by_key(load)).unwrap_or(first)
    }
}

/// What the system trusts.
fn trusting() -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TransportError {
        fault: TransportFault::Tls,
        message: format!("cannot set up TLS: {error}"),
    })?;
    let config = match builder.clone().with_native_roots() {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, "no trusted root certificates, so no https; install them, or set SSL_CERT_FILE");
            builder.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(config.with_no_client_auth())
}

fn client(config: ClientConfig) -> HyperClient {
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_all_versions();
    pool().build(connector.wrap_connector(tcp()))
}

fn http2_client(config: ClientConfig) -> HyperClient {
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http2();
    pool().http2_only(true).build(connector.wrap_connector(tcp()))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

fn pool() -> Builder {
    let mut pool = Client::builder(TokioExecutor::new());
    pool.timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE);
    pool
}

impl Transport for HttpTransport {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        let (client, count) = self.client();
        let in_flight = InFlight::new(count);
        Box::pin(async move {
            let mut message = http::Request::new(Full::new(request.body));
            *message.method_mut() = request.method;
            *message.uri_mut() = request.uri;
            *message.headers_mut() = request.headers;
            let (head, body) = client.request(message).await.map_err(|error| unsent(&error))?.into_parts();
            let body = Box::pin(IncomingBody { body: Some(body), _in_flight: in_flight });
            Ok(HttpResponse { status: head.status, headers: head.headers, body })
        })
    }
}

/// One exchange, counted from its request to the end of its body.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The data of a body; of trailers only gRPC's status is looked at.
struct IncomingBody {
    body: Option<Incoming>,
    _in_flight: InFlight,
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(frame) => {
                        if let Some(error) = frame.trailers_ref().and_then(refused) {
                            self.body = None;
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                },
                Some(Err(error)) => {
                    self.body = None;
                    let error = TransportError { fault: TransportFault::Broken, message: chain(&error) };
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// What gRPC's trailers say of a call that failed.
fn refused(trailers: &http::HeaderMap) -> Option<TransportError> {
    let status = trailers.get("grpc-status")?.to_str().ok().filter(|status| *status != "0")?;
    Some(TransportError { fault: TransportFault::Broken, message: format!("gRPC status {status}") })
}

/// Where a request failed that got no answer.
fn unsent(error: &hyper_util::client::legacy::Error) -> TransportError {
    let message = chain(error);
    let fault = if !error.is_connect() {
        TransportFault::Broken
    } else if is_tls(error) {
        TransportFault::Tls
    } else if message.contains("dns error") {
        TransportFault::Dns // the connector's error type is private; its text is all there is
    } else {
        TransportFault::Connect
    };
    TransportError { fault, message }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|error| is_tls(error)) || error.source().is_some_and(is_tls)
}

/// An error and its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
