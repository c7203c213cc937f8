//! Serving: connections with bounds, and a shutdown that lets open streams finish.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use baton_engine::Orchestrator;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tower::ServiceExt as _;

use crate::patience::Patient;
use crate::routes::build;
use crate::{GatewayOptions, Metrics};

/// After accepting failed (too many open files, as a rule), how long until it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What the records of calls that were cut may take at the end.
const RECORDS_GRACE: Duration = Duration::from_secs(5);
/// HTTP/2: calls at a time on one connection.
const STREAMS_MAX: u32 = 1024;

/// Serves until `shutdown` resolves; then stops taking connections, lets what is open finish within
/// the grace, cuts the rest, and waits for the records.
///
/// Where the store has no keys, everybody may call if the listener is on loopback, and nobody if
/// not.
///
/// # Errors
/// Where the listener has no address.
pub async fn serve(
    listener: TcpListener,
    orchestrator: Orchestrator,
    metrics: Arc<Metrics>,
    mut options: GatewayOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    options.open_without_keys &= listener.local_addr()?.ip().is_loopback();
    let (router, gateway) = build(orchestrator.clone(), metrics, options.clone());
    let (closing, closed) = watch::channel(false);
    let server = Server { builder: Arc::new(builder(&options)), router, options, closed };
    let mut connections = JoinSet::new();
    let mut delayed = pin!(async {
        shutdown.await;
        gateway.drain();
        sleep(server.options.shutdown_delay).await;
    });
    loop {
        let full = connections.len() >= server.options.max_connections;
        tokio::select! {
            biased;
            () = &mut delayed => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => server.take(accepted, &mut connections).await,
        }
    }
    drop(listener);
    let end = Instant::now() + server.options.shutdown_grace;
    let _none_listens = closing.send(true);
    let finished = timeout_at(end, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!(connections = connections.len(), "cut what had not finished within the grace");
        connections.shutdown().await;
    }
    if timeout_at(end.max(Instant::now()) + RECORDS_GRACE, orchestrator.idle()).await.is_err() {
        tracing::error!(executions = orchestrator.running(), "stopped before these executions had their records");
    }
    Ok(())
}

struct Server {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    options: GatewayOptions,
    closed: watch::Receiver<bool>,
}

impl Server {
    async fn take(&self, accepted: io::Result<(TcpStream, SocketAddr)>, connections: &mut JoinSet<()>) {
        match accepted {
            Ok((stream, _)) => {
                // Pieces of a stream are small, and must not wait for one another.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection without TCP_NODELAY");
                }
                let builder = Arc::clone(&self.builder);
                let (router, closed) = (self.router.clone(), self.closed.clone());
                let stream = Patient::new(stream, self.options.write_timeout);
                let read_timeout = self.options.read_timeout;
                connections.spawn(async move { connection(&builder, stream, router, (read_timeout, closed)).await });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder(options: &GatewayOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Runs between requests too.
        .header_read_timeout(options.idle_timeout)
        .max_buf_size(options.max_header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(options.idle_timeout)
        .keep_alive_timeout(options.read_timeout);
    builder
}

/// One connection, from its first byte to its end.
async fn connection(
    builder: &auto::Builder<TokioExecutor>,
    stream: Patient<TcpStream>,
    router: Router,
    (read_timeout, mut closed): (Duration, watch::Receiver<bool>),
) {
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        router.clone().oneshot(request)
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let first = sleep_until(Instant::now() + read_timeout);
    let mut first = pin!(first);
    let (mut waits, mut closes) = (true, true);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended in an error");
                }
                return;
            }
            _ = closed.wait_for(|closed| *closed), if closes => {
                closes = false;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut first, if waits => {
                waits = false;
                // Whoever has not said what they want by now is holding a place.
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}
