//! The simulator on real sockets: a thin shell that plays the same scripts.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use baton_wire::{HttpRequest, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::routes;
use crate::sim::Sim;

/// Connections at a time; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 16_384;
/// The largest request.
const BODY_BYTES_MAX: usize = 32 << 20;

impl Sim {
    /// Serves HTTP/1.1 on this listener until `shutdown` resolves, then drops what is open: a simulator has
    /// answers that never end.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.use_date(unix.as_secs());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => { connections.spawn(connection(self.clone(), stream)); }
                    Err(error) => {
                        // Usually too many open files: others must close first.
                        tracing::warn!(%error, "the simulator could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

async fn connection(sim: Sim, stream: TcpStream) {
    // Tokens are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(sim.clone(), request));
    // An error here is a fault played on purpose, or a client that left.
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a simulated connection broke");
    }
}

/// An error makes hyper close the connection without an answer.
async fn handle(
    sim: Sim,
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = TransportError>>, TransportError> {
    let (head, body) = request.into_parts();
    let broken = |e| TransportError { fault: TransportFault::Broken, message: format!("reading the request: {e}") };
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(broken)?.to_bytes();
    let request = HttpRequest { method: head.method, uri: head.uri, headers: head.headers, body };
    let answer = routes::answer(&sim, request).await?;
    let body = answer.body.or_else(after_flush).map_ok(Frame::data);
    let mut response = Response::new(StreamBody::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Passes an error on once hyper has had a turn to send what came before it, which it would drop otherwise.
async fn after_flush(error: TransportError) -> Result<Bytes, TransportError> {
    tokio::task::yield_now().await;
    Err(error)
}
